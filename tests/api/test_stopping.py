"""SIGTERM is honoured within the grace, whatever the daemon waits for: a database that stands still, its own start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

from rig.client import Rest, a_user
from rig.daemon import Daemon, find_binary
from rig.postgres import CLUSTER_USER, PostgresCluster, server_binaries

MARGIN_S = 6.0
MIGRATION_LOCK = "1937072228, 1"


def launch(daemon: Daemon) -> None:
    """Starts it without waiting for the ready line."""
    command = [str(find_binary()), "serve", "--data-dir", str(daemon.data_dir), "--port", "0", "--admin-port", "0"]
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                          env=daemon.environment, cwd=daemon.folder, start_new_session=True)


def wait_until(condition, deadline_s: float = 30.0) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_a_database_that_stands_still_does_not_keep_the_daemon(spawn, postgres: PostgresCluster) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="frozen", settings={"SUPD__SERVER__GRACE_S": "3"}).start()
    async with Rest(daemon.url) as rest:
        ann = await a_user(rest)
        await asyncio.gather(*(ann.get("chats") for _ in range(32)))
        frozen = postgres.backends(postgres.database_of(daemon.database_url))
        asking: list[asyncio.Task] = []
        try:
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            asking = [asyncio.create_task(ann.get("chats")) for _ in range(16)]
            assert (await asyncio.wait(asking, timeout=1.0))[1], "nothing stands still"
            begun = time.monotonic()
            assert await asyncio.to_thread(daemon.stop) == 0
            assert time.monotonic() - begun < 3 + MARGIN_S
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
            await asyncio.gather(*asking, return_exceptions=True)
    assert "stop_timed_out" in daemon.log_text()


def test_a_start_that_waits_for_another_migration_can_be_stopped(spawn, postgres: PostgresCluster) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="waiting", settings={"SUPD__SERVER__GRACE_S": "1"})
    database = postgres.database_of(daemon.database_url)
    holder = subprocess.Popen(
        [str(server_binaries() / "psql"), "-X", "-h", str(postgres.sockets), "-p", str(postgres.port), "-U", CLUSTER_USER,
         "-d", database, "-c", f"select pg_advisory_lock({MIGRATION_LOCK})", "-c", "select pg_sleep(300)"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: postgres.sql("select 1 from pg_locks l join pg_database d on d.oid = l.database where "
                                        f"l.locktype = 'advisory' and l.granted and d.datname = '{database}'"))
        launch(daemon)
        wait_until(lambda: "migration_waits" in daemon.log_text())
        begun = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - begun < 1 + MARGIN_S
    finally:
        postgres.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}' and pid <> pg_backend_pid()")
        holder.wait(timeout=30)


def test_the_start_of_the_private_postgresql_can_be_stopped(spawn) -> None:
    daemon = spawn(name="young", settings={"SUPD__SERVER__GRACE_S": "10"})
    launch(daemon)
    wait_until(lambda: (Path(daemon.data_dir) / "supd.lock").exists())
    assert daemon.process is not None and daemon.process.stdout is not None
    stdout = daemon.process.stdout
    daemon.process.terminate()
    assert stdout.read() == b"", "it was not ready any more"
    assert daemon.stop() == 0
    assert daemon.embedded_pid_file() is None
