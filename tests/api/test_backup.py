"""Backups made beside a running daemon, proven, and restored after everything is gone."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import Account, Rest, a_chat, a_user
from rig.daemon import Daemon, shared_secret
from rig.postgres import PostgresCluster

REFUSED, UNAVAILABLE, CONFIGURATION = 65, 69, 78
MODES = ["external", pytest.param("embedded", marks=pytest.mark.embedded)]


class Backed:
    """A daemon with a folder of backups and a key."""

    def __init__(self, spawn: Callable[..., Daemon], postgres: PostgresCluster, mode: str, folder: Path, **more: str) -> None:
        self.postgres = postgres
        self.folder = folder / "backups"
        self.key = folder / "key"
        url = postgres.new_database() if mode == "external" else None
        self.daemon = spawn(database_url=url, name=f"backup-{mode}", settings={
            "JWT_SECRET": shared_secret(), "SUPD__BACKUP__FOLDER": str(self.folder),
            "SUPD__BACKUP__KEY_FILE": str(self.key), "SUPD__BACKUP__LEDGER_INTERVAL_S": "1", **more})
        self.run("backup", "key", str(self.key), configured=False)

    def run(self, *arguments: str, code: int = 0, configured: bool = True) -> subprocess.CompletedProcess[str]:
        where = ("--data-dir", str(self.daemon.data_dir)) if configured else ()
        done = self.daemon.run(*arguments, *where, timeout=120)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def create(self) -> Path:
        return Path(self.run("backup", "create").stdout.splitlines()[0])

    def destroy(self) -> None:
        """What a lost disk leaves of the database: nothing."""
        assert not self.daemon.alive
        if self.daemon.database_url is None:
            shutil.rmtree(self.daemon.data_dir / "postgres")
        else:
            name = self.postgres.database_of(self.daemon.database_url)
            self.postgres.sql(f'drop database "{name}"')
            self.postgres.sql(f'create database "{name}"')

    def sql(self, statement: str) -> list[list[str]]:
        assert self.daemon.database_url is not None
        return self.postgres.sql(statement, self.postgres.database_of(self.daemon.database_url))

    def ledger_written_since(self, moment: float) -> bool:
        return any(each.stat().st_mtime > moment for each in self.folder.glob("ledger-*.supd"))


@pytest.fixture
def backed(request: pytest.FixtureRequest, spawn: Callable[..., Daemon], postgres: PostgresCluster, tmp_path: Path) -> Backed:
    made = Backed(spawn, postgres, getattr(request, "param", "external"), tmp_path)
    made.daemon.start()
    return made


async def wait_until(condition: Callable[[], bool], deadline_s: float = 30) -> None:
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        await asyncio.sleep(0.05)


async def a_pair(rest: Rest) -> tuple[Account, Account, str]:
    ann, bob = await a_user(rest), await a_user(rest)
    return ann, bob, (await a_chat(ann, bob))["id"]


@pytest.mark.parametrize("backed", MODES, indirect=True)
async def test_everything_is_lost_and_restored(backed: Backed) -> None:
    daemon = backed.daemon
    async with Rest(daemon.url) as rest:
        ann, bob, chat = await a_pair(rest)
        old_cursor = (await bob.snapshot())["cursor"]
        kept = [await ann.send(chat, f"kept {number}") for number in range(20)]
        secret = await ann.send(chat, "erase me")
        await ann.patch(f"messages/{secret['id']}", {"text": "erase me too"})
        second = await ann.another_device()
        archive = await asyncio.to_thread(backed.create)
        await ann.send(chat, "after the backup")
        (await ann.delete(f"messages/{secret['id']}")).expect(200, 204)
        (await second.post("auth/logout")).expect(200, 204)
        erased_at = time.time()
        await wait_until(lambda: backed.ledger_written_since(erased_at + 1))
        await asyncio.to_thread(backed.run, "backup", "verify", str(archive))
    await asyncio.to_thread(daemon.stop)
    backed.destroy()
    restored = await asyncio.to_thread(backed.run, "restore", archive.name)
    assert "restored" in restored.stdout
    await asyncio.to_thread(daemon.start)
    async with Rest(daemon.url) as rest:
        for account in (ann, bob, second):
            account.rest = rest
        history = {item["id"]: item for item in await bob.whole_history(chat)}
        assert [history[each["id"]]["text"] for each in kept] == [f"kept {number}" for number in range(20)]
        assert not any(item.get("text") == "after the backup" for item in history.values())
        assert history[secret["id"]].get("text") is None and history[secret["id"]]["deleted_at"]
        (await rest.post("auth/refresh", {"refresh_token": second.refresh_token})).problem(401)
        (await rest.post("auth/refresh", {"refresh_token": bob.refresh_token})).expect(200)

        (await bob.get("sync", params={"cursor": old_cursor})).problem(410)
        async with bob.socket(cursor=old_cursor) as socket:
            await socket.event("resync_required")
        fresh = await bob.snapshot()
        assert fresh["chats"][chat]["last_seq"] >= max(item["seq"] for item in history.values())
        new = await ann.send(chat, "life goes on")
        events, _ = await bob.sync_from(fresh["cursor"])
        assert [event["seq"] for event in events if event.get("chat_id") == chat] == [new["seq"]]
        assert new["seq"] == fresh["chats"][chat]["last_seq"] + 1
    text = json.dumps([await asyncio.to_thread(dump_of, backed, "messages"), await asyncio.to_thread(dump_of, backed, "chat_changes"),
                       await asyncio.to_thread(dump_of, backed, "message_edits")])
    assert "kept 3" in text and "erase me" not in text


def dump_of(backed: Backed, table: str) -> list[list[str]]:
    statement = f"select row_to_json(t)::text from {table} t"
    return backed.sql(statement) if backed.daemon.database_url else backed.daemon.embedded_sql(statement)


async def test_the_live_database_is_saved_and_its_ledger_replayed(backed: Backed) -> None:
    """No copy of the ledger is needed while the database itself is there."""
    async with Rest(backed.daemon.url) as rest:
        ann, bob, chat = await a_pair(rest)
        secret = await ann.send(chat, "erase me")
        archive = await asyncio.to_thread(backed.create)
        (await ann.delete(f"messages/{secret['id']}")).expect(200, 204)
        later = await ann.send(chat, "later")
    await asyncio.to_thread(backed.daemon.stop)
    for copy in backed.folder.glob("ledger-*"):
        copy.unlink()
    before = {row[0] for row in backed.sql("select datname from pg_database")}
    await asyncio.to_thread(backed.run, "restore", str(archive))
    assert {row[0] for row in backed.sql("select datname from pg_database")} == before
    assert backed.sql(f"select text is null, deleted_at is not null from messages where id = '{secret['id']}'") == [["t", "t"]]
    assert backed.sql(f"select 1 from messages where id = '{later['id']}'") == []
    safety = next(backed.folder.glob("safety-*.supd"))
    await asyncio.to_thread(backed.run, "restore", safety.name)
    assert backed.sql(f"select text from messages where id = '{later['id']}'") == [["later"]]


async def test_what_is_not_whole_is_refused_and_nothing_touched(backed: Backed, tmp_path: Path) -> None:
    async with Rest(backed.daemon.url) as rest:
        ann, _, chat = await a_pair(rest)
        archive = await asyncio.to_thread(backed.create)
        await ann.send(chat, "after the backup")
    await asyncio.to_thread(backed.daemon.stop)
    whole = archive.read_bytes()
    before = (backed.sql("select id, seq, xid from messages"), backed.sql("select epoch from stream_state"),
              backed.sql("select datname from pg_database order by 1"), sorted(backed.folder.iterdir()))
    damaged = tmp_path / "damaged.supd"
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (whole[:-1], whole[: len(whole) // 2], whole[:40], b"", bytes(flipped), whole + b"x", b"not an archive" * 99):
        damaged.write_bytes(content)
        for command in (("restore",), ("backup", "verify")):
            done = await asyncio.to_thread(backed.run, *command, str(damaged), code=REFUSED)
            assert "archive" in done.stderr and not done.stdout
    other = tmp_path / "other-key"
    backed.run("backup", "key", str(other), configured=False)
    backed.daemon.settings["SUPD__BACKUP__KEY_FILE"] = str(other)
    assert "another key" in backed.run("restore", str(archive), code=REFUSED).stderr
    backed.daemon.settings["SUPD__BACKUP__KEY_FILE"] = str(backed.key)
    assert "nothing was changed" in backed.run("restore", str(archive), "--dry-run").stdout
    assert before == (backed.sql("select id, seq, xid from messages"), backed.sql("select epoch from stream_state"),
                      backed.sql("select datname from pg_database order by 1"), sorted(backed.folder.iterdir()))


@pytest.mark.parametrize("backed", MODES, indirect=True)
async def test_a_served_database_is_not_restored(backed: Backed) -> None:
    archive = await asyncio.to_thread(backed.create)
    done = await asyncio.to_thread(backed.run, "restore", str(archive),
                                   code=REFUSED if backed.daemon.database_url else UNAVAILABLE)
    assert "stop" in done.stderr
    async with Rest(backed.daemon.url) as rest:
        await a_pair(rest)


def test_retention_and_list(spawn: Callable[..., Daemon], postgres: PostgresCluster, tmp_path: Path) -> None:
    backed = Backed(spawn, postgres, "external", tmp_path, SUPD__BACKUP__KEEP="2")
    backed.run("migrate", "up")
    made = [backed.create() for _ in range(4)]
    assert sorted(backed.folder.glob("backup-*.supd")) == made[-2:]
    listed = json.loads(backed.run("backup", "list", "--json").stdout)
    assert [Path(each["file"]) for each in listed if each["kind"] == "backup"] == made[-2:]
    assert backed.run("restore", "--list").stdout.count("backup-") == 2
    made[-1].write_bytes(b"junk")
    assert "not an archive" in backed.run("backup", "list").stdout
    backed.daemon.settings["SUPD__BACKUP__KEEP"] = "1"
    assert made[-2].name in backed.run("backup", "prune").stdout


def test_without_a_configuration_nothing_is_made(spawn: Callable[..., Daemon], tmp_path: Path) -> None:
    done = spawn(name="bare").run("backup", "create")
    assert done.returncode == CONFIGURATION and "backup.key_file" in done.stderr


@pytest.mark.parametrize("command", [("backup", "create"), ("restore", "--recovered")])
def test_no_database_is_made_to_be_saved(spawn: Callable[..., Daemon], postgres: PostgresCluster, tmp_path: Path,
                                         command: tuple[str, ...]) -> None:
    """Without its DATABASE_URL a command must not save an empty database, and have good archives make room for it."""
    backed = Backed(spawn, postgres, "embedded", tmp_path)
    done = backed.run(*command, code=CONFIGURATION)
    assert "DATABASE_URL is not set" in done.stderr
    assert not (backed.daemon.data_dir / "postgres").exists() and not list(backed.folder.glob("*.supd"))


def test_a_dry_run_finds_missing_rights(spawn: Callable[..., Daemon], postgres: PostgresCluster, tmp_path: Path) -> None:
    backed = Backed(spawn, postgres, "external", tmp_path)
    backed.run("migrate", "up")
    archive = backed.create()
    url = backed.daemon.database_url
    name, role = postgres.database_of(url), f"role_{postgres.database_of(url)}"
    postgres.sql(f'create role "{role}" login')
    backed.daemon.database_url = url.replace("://postgres@", f"://{role}@")
    for arguments in (("--dry-run",), ()):
        done = backed.run("restore", archive.name, *arguments, code=UNAVAILABLE)
        assert f"alter role {role} createdb" in done.stderr, done.stderr
    assert not list(backed.folder.glob("safety-*"))
    postgres.sql(f'alter role "{role}" createdb')
    assert "does not own" in backed.run("restore", archive.name, "--dry-run", code=UNAVAILABLE).stderr
    postgres.sql(f'alter database "{name}" owner to "{role}"')
    assert "nothing was changed" in backed.run("restore", archive.name, "--dry-run").stdout


async def test_into_an_empty_database(backed: Backed) -> None:
    async with Rest(backed.daemon.url) as rest:
        ann, _, chat = await a_pair(rest)
        sent = await ann.send(chat, "here")
        archive = await asyncio.to_thread(backed.create)
    empty = backed.postgres.new_database()
    await asyncio.to_thread(backed.run, "restore", str(archive), "--into", empty)
    name = backed.postgres.database_of(empty)
    assert backed.postgres.sql(f"select text from messages where id = '{sent['id']}'", name) == [["here"]]
    again = await asyncio.to_thread(backed.run, "restore", str(archive), "--into", empty, code=REFUSED)
    assert "not empty" in again.stderr


async def test_age_of_backup_and_proof(backed: Backed) -> None:
    async with Rest(backed.daemon.url) as rest, Rest(backed.daemon.admin_url) as admin:
        async def ages() -> dict:
            return (await rest.get("/health")).expect(200).json["backup"]

        async def metric(name: str) -> str | None:
            lines = (await admin.get("/metrics")).expect(200).body.decode().splitlines()
            return next((line.rsplit(" ", 1)[1] for line in lines if line.startswith((name, f"supd_{name}"))), None)

        async def known(name: str) -> None:
            until = time.monotonic() + 30
            while (await ages())[name] is None:
                assert time.monotonic() < until
                await asyncio.sleep(0.1)

        assert await ages() == {"age_s": None, "verified_age_s": None}
        assert await metric("backup_age_seconds") is None
        archive = await asyncio.to_thread(backed.create)
        await known("age_s")
        assert (await ages())["verified_age_s"] is None and 0 <= float(await metric("backup_age_seconds") or "nan") < 300
        proof = await asyncio.to_thread(backed.run, "backup", "verify", archive.name)
        assert "in order" in proof.stdout
        await known("verified_age_s")
        assert 0 <= float(await metric("backup_verified_age_seconds") or "nan") < 300
        assert (await rest.get("/health")).json["status"] == "healthy"


async def test_a_proof_finds_what_is_wrong(backed: Backed) -> None:
    """Whole archives of a database that is not in order: rows that went missing from a log."""
    async with Rest(backed.daemon.url) as rest:
        ann, _, chat = await a_pair(rest)
        for number in range(3):
            await ann.send(chat, str(number))
        backed.sql(f"delete from messages where chat_id = '{chat}' and text = '1'")
        archive = await asyncio.to_thread(backed.create)
        before = backed.sql("select datname from pg_database order by 1")
        done = await asyncio.to_thread(backed.run, "backup", "verify", archive.name, code=REFUSED)
        assert "gaps" in done.stderr and chat in done.stderr
        assert backed.sql("select datname from pg_database order by 1") == before, "the scratch database is gone"
        assert backed.sql("select 1 from backup_runs where kind = 'verified'") == []
