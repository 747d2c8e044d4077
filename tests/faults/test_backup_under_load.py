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
        acknowledged = {operation_id: operation for operation_id, operation in load.history.operations.items() if operation.acks}
        begun = time.monotonic()
        done = await asyncio.to_thread(daemon.run, "backup", "create", timeout=120)
        took = time.monotonic() - begun
        assert done.returncode == 0, done.stderr
        archive = Path(done.stdout.splitlines()[0])
        await asyncio.sleep(1)
        await load.settle()
        cursors = {user: (await account.snapshot())["cursor"] for user, account in load.accounts.items()}
    await asyncio.to_thread(daemon.stop)
    name = postgres.database_of(daemon.database_url)
    postgres.sql(f'drop database "{name}"')
    postgres.sql(f'create database "{name}"')
    done = await asyncio.to_thread(daemon.run, "restore", str(archive), timeout=120)
    assert done.returncode == 0, done.stderr
    done = await asyncio.to_thread(daemon.run, "backup", "verify", str(archive), timeout=120)
    assert done.returncode == 0, done.stderr
    ids = {row[0] for row in postgres.sql("select id from messages union all select id from chat_changes", name)}
    lost = set(acknowledged) - ids
    assert acknowledged and not lost, f"{len(lost)} of {len(acknowledged)} acknowledged before the backup are gone"
    await asyncio.to_thread(daemon.start)
    for user, account in load.accounts.items():
        (await account.get("sync", params={"cursor": cursors[user]})).problem(410)
    for account in list(load.accounts.values())[:5]:
        snapshot = await account.snapshot()
        for chat_id, chat in snapshot["chats"].items():
            seqs = [item["seq"] for item in await account.whole_history(chat_id)]
            assert seqs == sorted(set(seqs)) and (not seqs or seqs[-1] <= chat["last_seq"])
    await asyncio.gather(*(rest.close() for rest in load.rests))
    print(f"{len(acknowledged)} acknowledged before, backup of {archive.stat().st_size} bytes in {took:.1f} s")
