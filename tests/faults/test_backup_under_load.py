"""A backup is made while devices write; then everything is lost and restored. What was acknowledged before the backup
began is there, and devices with a cursor from before start over by themselves."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.daemon import Daemon, shared_secret
from rig.load import Load
from rig.postgres import PostgresCluster

LONG = os.environ.get("SUPD_LONG") == "1"
RATE = float(os.environ.get("SUPD_RATE", "500"))
BEFORE_S = 20.0 if LONG else 3.0

pytestmark = pytest.mark.faults


async def test_backup_under_load_and_restore(spawn: Callable[..., Daemon], postgres: PostgresCluster, seed: int,
                                             tmp_path: Path) -> None:
    key = tmp_path / "key"
    daemon = spawn(database_url=postgres.new_database(), name="backup-load", settings={
        "JWT_SECRET": shared_secret(), "SUPD__BACKUP__FOLDER": str(tmp_path / "backups"),
        "SUPD__BACKUP__KEY_FILE": str(key)})
    assert daemon.run("backup", "key", str(key)).returncode == 0
    daemon.start()
    async with Load([daemon.url], seed, rate=RATE) as load:
        load.start()
        await asyncio.sleep(BEFORE_S)
        acknowledged = {each.message_id: each.acked_seq for each in load.history.operations.values() if each.acks}
        begun = time.monotonic()
        archive = Path((await supd(daemon, "backup", "create")).splitlines()[0])
        took = time.monotonic() - begun
        await asyncio.sleep(1)
        await load.settle()
        old_cursors = {user: (await account.snapshot())["cursor"] for user, account in load.accounts.items()}
        await asyncio.to_thread(daemon.stop)
        name = postgres.database_of(daemon.database_url)
        postgres.sql(f'drop database "{name}"')
        postgres.sql(f'create database "{name}"')
        await supd(daemon, "restore", str(archive))
        await supd(daemon, "backup", "verify", str(archive))
        stored = {row[0]: int(row[1]) for row in postgres.sql("select id, seq from messages", name)}
        lost = [each for each, seq in acknowledged.items() if stored.get(each) != seq]
        assert acknowledged and not lost, f"{len(lost)} of {len(acknowledged)} acknowledged before the backup are gone"
        await asyncio.to_thread(daemon.start)
        until = time.monotonic() + 60
        while not all(device.resyncs for device in load.devices):
            assert time.monotonic() < until, "not every device was told to start over"
            await asyncio.sleep(0.1)
        for user, account in load.accounts.items():
            (await account.get("sync", params={"cursor": old_cursors[user]})).problem(410)
        for account in list(load.accounts.values())[:5]:
            snapshot = await account.snapshot()
            (await account.get("sync", params={"cursor": snapshot["cursor"]})).expect(200)
            for chat_id, chat in snapshot["chats"].items():
                seqs = [item["seq"] for item in await account.whole_history(chat_id)]
                assert seqs == sorted(set(seqs)) and (not seqs or seqs[-1] <= chat["last_seq"])
    print(f"{len(acknowledged)} acknowledged before, a backup of {archive.stat().st_size} bytes in {took:.1f} s")


async def supd(daemon: Daemon, *arguments: str) -> str:
    done = await asyncio.to_thread(daemon.run, *arguments, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
