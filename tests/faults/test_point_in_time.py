"""Point-in-time recovery as docs/backup.md describes it: base backup, archived WAL, a time between two messages, and
`supd restore --recovered`."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from rig.client import Rest, a_chat, a_user
from rig.daemon import Daemon, shared_secret
from rig.postgres import CLUSTER_USER, PostgresCluster, server_binaries

pytestmark = pytest.mark.faults


@pytest.fixture
def archiving() -> Iterator[PostgresCluster]:
    cluster = PostgresCluster()
    wal = cluster.folder / "wal"
    wal.mkdir()
    if os.geteuid() == 0:
        shutil.chown(wal, CLUSTER_USER)
    cluster.sql("alter system set archive_mode = on")
    cluster.sql(f"alter system set archive_command = 'test ! -f {wal}/%f && cp %p {wal}/%f'")
    cluster.restart_immediate()
    yield cluster
    cluster.close()


async def test_recover_to_a_time(archiving: PostgresCluster, spawn: Callable[..., Daemon], tmp_path: Path) -> None:
    key = tmp_path / "key"
    daemon = spawn(database_url=archiving.new_database(), name="pitr", settings={
        "JWT_SECRET": shared_secret(), "SUPD__BACKUP__FOLDER": str(tmp_path / "backups"), "SUPD__BACKUP__KEY_FILE": str(key)})
    assert daemon.run("backup", "key", str(key)).returncode == 0
    daemon.start()
    base = archiving.folder / "base"
    identity = {"user": CLUSTER_USER, "group": pwd.getpwnam(CLUSTER_USER).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        await ann.send(chat, "before the base backup")
        await asyncio.to_thread(
            subprocess.run, [server_binaries() / "pg_basebackup", "-h", archiving.sockets, "-p", str(archiving.port), "-U",
                             CLUSTER_USER, "-D", base, "-X", "none", "-c", "fast"],
            check=True, capture_output=True, cwd="/", timeout=60, **identity)
        wanted = await ann.send(chat, "before the accident")
        moment = archiving.sql("select clock_timestamp()")[0][0]
        unwanted = await ann.send(chat, "the accident")
        cursor = (await bob.snapshot())["cursor"]
    await asyncio.to_thread(daemon.stop)
    needed = archiving.sql("select pg_walfile_name(pg_switch_wal())")[0][0]
    await until(lambda: archiving.sql("select coalesce(last_archived_wal, '') from pg_stat_archiver")[0][0] >= needed)
    archiving.stop_immediate()
    shutil.rmtree(archiving.data)
    base.rename(archiving.data)
    with open(archiving.data / "postgresql.conf", "a", encoding="utf-8") as settings:
        settings.write(f"restore_command = 'cp {archiving.folder}/wal/%f %p'\nrecovery_target_time = '{moment}'\n"
                       "recovery_target_action = 'promote'\n")
    (archiving.data / "recovery.signal").touch()
    if os.geteuid() == 0:
        shutil.chown(archiving.data / "recovery.signal", CLUSTER_USER)
    archiving.start()
    await until(lambda: archiving.sql("select pg_is_in_recovery()") == [["f"]])
    done = await asyncio.to_thread(daemon.run, "restore", "--recovered")
    assert done.returncode == 0 and "new epoch" in done.stdout, done.stderr
    await asyncio.to_thread(daemon.start)
    async with Rest(daemon.url) as rest:
        ann.rest = bob.rest = rest
        ids = {item["id"] for item in await bob.whole_history(chat)}
        assert wanted["id"] in ids and unwanted["id"] not in ids
        (await bob.get("sync", params={"cursor": cursor})).problem(410)
        fresh = await bob.snapshot()
        new = await ann.send(chat, "life goes on")
        events, _ = await bob.sync_from(fresh["cursor"])
        assert [event["seq"] for event in events if event.get("chat_id") == chat] == [new["seq"]]


async def until(condition: Callable[[], bool], deadline_s: float = 60) -> None:
    end = monotonic() + deadline_s
    while not condition():
        assert monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.1)
