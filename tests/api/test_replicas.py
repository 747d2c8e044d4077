"""The history of a chat is read from a standby only when it holds all that the reader may have seen."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.client import Account, Rest, a_chat, a_user
from rig.daemon import Daemon, shared_secret
from rig.nodes import metric
from rig.postgres import CLUSTER_USER, PostgresCluster, free_port, run_sql, server_binaries


class Standby:
    """A streaming copy of the cluster, whose replay can be paused."""

    def __init__(self, primary: PostgresCluster) -> None:
        self.primary = primary
        self.folder = Path(tempfile.mkdtemp(prefix="supd-standby-"))
        self.port = free_port()
        self.identity = primary._identity  # noqa: SLF001
        if self.identity:
            shutil.chown(self.folder, self.identity["user"], self.identity["group"])
        data = self.folder / "data"
        subprocess.run([server_binaries() / "pg_basebackup", "-D", data, "-h", primary.sockets, "-p", str(primary.port),
                        "-U", CLUSTER_USER, "-R", "-X", "stream", "-c", "fast", "--no-sync"],
                       check=True, capture_output=True, cwd="/", timeout=120, **self.identity)
        with open(data / "postgresql.conf", "a", encoding="utf-8") as settings:
            settings.write(f"port = {self.port}\nunix_socket_directories = '{self.folder}'\n")
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([server_binaries() / "postgres", "-D", data], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, cwd="/", **self.identity)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.sql("select 1")
                return
            except RuntimeError:
                assert time.monotonic() < deadline and self.process.poll() is None, "the standby did not start"
                time.sleep(0.05)

    def sql(self, statement: str) -> list[list[str]]:
        return run_sql(statement, host=str(self.folder), port=self.port, user=CLUSTER_USER, database="postgres")

    def url_of(self, primary_url: str) -> str:
        return f"postgresql://{CLUSTER_USER}@127.0.0.1:{self.port}/{self.primary.database_of(primary_url)}"

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self) -> None:
        self.end()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def standby(postgres: PostgresCluster) -> Iterator[Standby]:
    made = Standby(postgres)
    yield made
    made.close()


async def test_a_replica_is_read_unless_it_is_behind(spawn: Callable[..., Daemon], postgres: PostgresCluster,
                                                     standby: Standby) -> None:
    url = postgres.new_database()
    daemon = spawn(database_url=url, name="reader", settings={
        "JWT_SECRET": shared_secret(), "DATABASE_REPLICA_URLS": standby.url_of(url)}).start()
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        sent = [(await ann.send(chat, f"number {number}"))["id"] for number in range(5)]

        async def read(who: Account) -> list[str]:
            return [item["id"] for item in (await who.history(chat))["items"]]

        deadline = time.monotonic() + 20
        while not await metric(daemon, "replica_reads_total"):
            assert await read(bob) == sent, "before the replica has it, and after"
            assert time.monotonic() < deadline, "the replica is never read"
            await asyncio.sleep(0.05)

        standby.sql("select pg_wal_replay_pause()")
        late = (await ann.send(chat, "not yet replayed"))["id"]
        behind = await metric(daemon, "replica_behind_total")
        assert await read(bob) == [*sent, late]
        assert await metric(daemon, "replica_behind_total") == behind + 1
        (await ann.delete(f"chats/{chat}/members/{bob.id}")).expect(200, 204)
        (await bob.get(f"messages/chat/{chat}")).problem(404)
        # What is hidden for oneself has no number: whoever did so is answered by the primary.
        (await ann.delete(f"messages/{late}", params={"for": "me"})).expect(204)
        assert await read(ann) == sent
        standby.sql("select pg_wal_replay_resume()")
        assert await read(ann) == sent

        standby.end()
        cleo = await a_user(rest)
        other = (await a_chat(cleo, ann))["id"]
        mine = (await cleo.send(other, "still here"))["id"]
        assert [item["id"] for item in (await cleo.history(other))["items"]] == [mine]
        assert await metric(daemon, "replica_failures_total") >= 1
        begun = time.monotonic()
        assert [item["id"] for item in (await cleo.history(other))["items"]] == [mine]
        assert time.monotonic() - begun < 3, "a replica that failed is not asked again at once"


async def test_a_replica_that_refuses_is_passed_over(spawn: Callable[..., Daemon], postgres: PostgresCluster,
                                                     standby: Standby) -> None:
    """A statement that fails there - no right to read, a table that the replay has not brought yet - is no error of ours."""
    url = postgres.new_database()
    blind = f"blind_{postgres.database_of(url)}"
    postgres.sql(f'create role "{blind}" login')
    daemon = spawn(database_url=url, name="reader", settings={
        "JWT_SECRET": shared_secret(), "DATABASE_REPLICA_URLS": standby.url_of(url).replace(f"//{CLUSTER_USER}@", f"//{blind}@")}).start()
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        sent = (await ann.send(chat, "hello"))["id"]
        deadline = time.monotonic() + 20
        while not await metric(daemon, "replica_failures_total"):
            assert [item["id"] for item in (await bob.history(chat))["items"]] == [sent]
            assert time.monotonic() < deadline, "the replica is never asked"
            await asyncio.sleep(0.05)
        assert await metric(daemon, "replica_reads_total") == 0
