"""What operators do to the database by scripts: back it up, restore it, put a snapshot back, take a migration back."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

from operate.machine import Machine, tool_path
from rig.client import Rest, a_chat, a_user
from rig.daemon import REPOSITORY, find_binary
from rig.postgres import PostgresCluster, server_binaries

DATA, CONFIGURATION = 65, 78


def with_backup_key(here: Machine) -> Machine:
    subprocess.run([find_binary(), "backup", "key", here.home / "secrets/backup_key"], check=True, capture_output=True)
    return here


def database_of(here: Machine) -> str:
    return (here.home / "secrets/database_url").read_text().strip().rsplit("/", 1)[1]


def archives(here: Machine) -> list[str]:
    return sorted(path.name for path in (here.home / "var/backups").glob("backup-*.supd"))


def test_backups_of_what_is_deployed(machine, postgres: PostgresCluster) -> None:
    here: Machine = machine()
    assert "deploy first" in here.run("backup.sh", code=CONFIGURATION)
    here.deploy()
    assert "backup.key_file must be set" in here.deploy("backup", code=CONFIGURATION)
    with_backup_key(here)

    def runs(kind: str) -> int:
        return int(postgres.sql(f"select count(*) from backup_runs where kind = '{kind}'", database_of(here))[0][0])

    assert "would run" in here.deploy("backup", "--dry-run") and not archives(here)
    here.deploy("backup")
    assert len(archives(here)) == 1 and runs("created") == 1
    assert here.run("backup.sh") == "", "what goes well is not for cron's mail"
    assert len(archives(here)) == 2 and runs("created") == 2
    assert here.run("backup.sh", "--verify") == "" and runs("verified") == 1

    newest = archives(here)[-1]
    assert newest in here.run("restore.sh", "--list")
    assert "stop every supd" in here.run("restore.sh", "--yes", newest, code=DATA)
    here.deploy("stop")
    assert "nobody to ask" in here.run("restore.sh", newest, code=64)
    postgres.sql("create table not_in_the_archive (id int)", database_of(here))
    assert "restored: the database" in here.run("restore.sh", "--yes", newest)
    assert postgres.sql("select 1 from pg_class where relname = 'not_in_the_archive'", database_of(here)) == []
    here.deploy("start")
    assert here.serving() == "blue"


def test_another_program_by_name(machine, tmp_path: Path) -> None:
    """A daemon that is none of .env's: by SUPD, or the one of PATH with its own file."""
    here: Machine = machine()
    (tmp_path / "supd").write_text('#!/bin/sh\necho "asked: $*"\nexit 7\n')
    (tmp_path / "supd").chmod(0o755)
    assert here.run("backup.sh", "--push", code=7, SUPD=str(tmp_path / "supd")) == "asked: backup push\n"
    said = here.run("backup.sh", "--config", "/etc/supd.toml", code=7, PATH=f"{tmp_path}:{tool_path()}")
    assert said == "asked: backup create --config /etc/supd.toml\n"


DOCKER = """#!/usr/bin/env python3
import os, sys
words = sys.argv[1:]
if words[:2] == ["compose", "run"]:
    with open(os.environ["ASKED"], "a") as asked:
        print(" ".join(words), file=asked)
    print("Container supd-postgres-1 Running", file=sys.stderr)
    if words[-1] == "--json":
        print('[{"file": "/b/backup-1.supd", "kind": "backup"}, {"file": "/b/backup-2.supd", "kind": "backup"},'
              ' {"file": "/b/safety-3.supd", "kind": "safety"}, {"file": "/b/backup-4.supd", "fault": "cut off"}]')
"""


def test_backups_with_containers(machine, tmp_path: Path) -> None:
    """What the container engine is told, with a stand-in of it."""
    here: Machine = machine(SUPD_DRIVER="compose")
    for name in ("redis_url", "supd_db_password", "postgres_password"):
        here.secret(name, "some text")
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)

    def asked(*words: str, quiet: bool = True) -> list[str]:
        record = tmp_path / "asked"
        record.write_text("")
        said = here.run(*words, PATH=f"{tmp_path}:{tool_path()}", ASKED=str(record))
        assert not quiet or said == ""
        return [line.removeprefix("compose run --rm -T supd-cli ") for line in record.read_text().splitlines()]

    assert asked("deploy.sh", "development", "backup", quiet=False) == ["backup create"]
    assert asked("backup.sh") == ["backup create"]
    assert asked("backup.sh", "--push") == ["backup push"]
    assert asked("backup.sh", "--verify") == ["backup list --json", "backup verify /b/backup-2.supd"]
    assert asked("restore.sh", "--list", quiet=False) == ["restore --list"]
    assert asked("restore.sh", "--yes", "backup-2.supd", quiet=False) == ["restore --dry-run backup-2.supd", "restore backup-2.supd"]
    assert asked("restore.sh", "--recovered", quiet=False) == ["restore --recovered"]


async def test_a_snapshot_put_back(machine, postgres: PostgresCluster) -> None:
    """docs/deploy.md, when data was damaged: clients start over, and what was erased stays erased."""
    here: Machine = with_backup_key(machine())
    await asyncio.to_thread(here.deploy)
    async with Rest(here.url, tls=here.tls) as rest:
        ann, ben = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, ben))["id"]
        kept, secret = await ann.send(chat, "kept"), await ann.send(chat, "erase me")
        await asyncio.to_thread(here.deploy, "backup")
    await asyncio.to_thread(here.deploy)
    snapshot = here.state["history"][-1]["snapshot"]
    async with Rest(here.url, tls=here.tls) as rest:
        ann.rest = ben.rest = rest
        (await ann.delete(f"messages/{secret['id']}")).expect(200, 204)
        later = await ann.send(chat, "after the snapshot")
        cursor = (await ben.snapshot())["cursor"]

    def epoch() -> str:
        return postgres.sql("select epoch from stream_state", name)[0][0]

    name = database_of(here)
    before = epoch()
    await asyncio.to_thread(here.deploy, "stop")
    await asyncio.to_thread(here.run, "backup.sh")
    postgres.sql(f'alter database "{name}" rename to "{name}_damaged"')
    postgres.sql(f'create database "{name}" template template0')
    url = (here.home / "secrets/database_url").read_text().strip()
    subprocess.run([server_binaries() / "pg_restore", "--exit-on-error", "--no-owner", "-d", url, snapshot], check=True)
    assert epoch() == before, "of itself it is the same stream, and cursors of after it would seem to be good"
    assert "new epoch" in await asyncio.to_thread(here.run, "restore.sh", "--recovered")
    assert epoch() != before
    await asyncio.to_thread(here.deploy, "start")

    async with Rest(here.url, tls=here.tls) as rest:
        ann.rest = ben.rest = rest
        (await ben.get("sync", params={"cursor": cursor})).problem(410)
        async with ben.socket(cursor=cursor) as socket:
            await socket.event("resync_required")
        history = {item["id"]: item for item in await ben.whole_history(chat)}
        assert history[kept["id"]]["text"] == "kept" and later["id"] not in history
        assert history[secret["id"]].get("text") is None and history[secret["id"]]["deleted_at"]
        fresh = await ben.snapshot()
        new = await ann.send(chat, "life goes on")
        events, _ = await ben.sync_from(fresh["cursor"])
        assert [event["seq"] for event in events if event.get("chat_id") == chat] == [new["seq"]]


def newer_supd(folder: Path, newest: int) -> str:
    """The next release: one migration more."""
    migrations = folder / "migrations"
    shutil.copytree(REPOSITORY / "migrations", migrations)
    (migrations / f"{newest + 1:04}_later.up.sql").write_text(f"-- compat: {newest}\ncreate table later (id int);\n")
    (migrations / f"{newest + 1:04}_later.down.sql").write_text("drop table later;\n")
    path = folder / "newer-supd"
    path.write_text(f"#!/bin/sh\n[ $1 != migrate ] || exec {find_binary()} \"$@\" --dir {migrations}\nexec {find_binary()} \"$@\"\n")
    path.chmod(0o755)
    return str(path)


def test_a_migration_is_taken_back_by_who_knows_it(machine, tmp_path: Path) -> None:
    here: Machine = machine()
    here.deploy()

    def states() -> list[str]:
        return [each["state"] for each in json.loads(here.run("migrate.sh", "development", "status", "--json"))["migrations"]]

    newest = len(states())
    assert set(states()) == {"applied"}
    here.write_settings(SUPD_BINARY=newer_supd(tmp_path, newest))
    here.deploy()
    here.run("rollback.sh", "development")
    assert here.active == "blue" and states()[-1] == "newer", "the former version does not know it"
    said = here.run("migrate.sh", "development", "down", "--to", str(newest))
    assert f"took back {newest + 1}" in said and "snapshot:" in said
    assert len(states()) == newest and set(states()) == {"applied"} and here.serving() == "blue"

    # Once both colours have gone on without it, it is still here by its record.
    here.deploy()
    here.run("rollback.sh", "development")
    here.deploy("restart")
    assert here.serving() == "green" and states()[-1] == "newer"
    newer = [path for path in (here.home / "var/process/artefacts").iterdir() if (path / "supd").stat().st_size < 4096]
    for path in newer:
        path.rename(tmp_path / path.name)
    assert "no version that is still here" in here.run("migrate.sh", "development", "down", code=1)
    for path in newer:
        (tmp_path / path.name).rename(path)
    assert f"took back {newest + 1}" in here.run("migrate.sh", "development", "down")
    assert set(states()) == {"applied"} and here.serving() == "green"
