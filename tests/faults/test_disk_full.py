"""The volume of PostgreSQL is full: nothing is acknowledged that is not there, what cannot be stored is refused soon, reads go
on, and all is well again soon after there is room."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.attempts import Answer, Hand
from rig.client import an_id
from rig.daemon import Daemon, shared_secret
from rig.judge import judge
from rig.load import Load
from rig.nodes import alive, becomes
from rig.postgres import PostgresCluster
from rig.tasks import meanwhile

LONG = os.environ.get("SUPD_LONG") == "1"
RATE = float(os.environ.get("SUPD_RATE", "500" if LONG else "300"))
FULL_S = 120.0 if LONG else 6.0
VOLUME = "1g" if LONG else "256m"
REFUSED_WITHIN_S = 2.0 if LONG else 5.0  # a machine that does other work, too
# For what was sent while PostgreSQL itself was down: ten seconds of patience, and a try that is under way.
ANSWERED_WITHIN_S = 15.0
NORMAL_WITHIN_S = 10.0

pytestmark = pytest.mark.faults


@pytest.fixture
def volume() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="supd-volume-"))
    folder.chmod(0o755)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={VOLUME},mode=755", "none", folder], capture_output=True)
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("a small volume cannot be mounted here: " + mounted.stderr.decode().strip())
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


@pytest.fixture
def cluster(volume: Path) -> Iterator[PostgresCluster]:
    made = PostgresCluster(volume)
    yield made
    made.close()


@pytest.fixture
def pair(spawn: Callable[..., Daemon], cluster: PostgresCluster) -> Iterator[list[Daemon]]:
    url, settings = cluster.new_database(), {"JWT_SECRET": shared_secret()}
    made = [spawn(database_url=url, name=name, settings=settings) for name in ("a", "b")]
    yield [each.start() for each in made]
    for each in made:
        each.close()


class Filler:
    """A file that takes all the room there is, and what becomes free."""

    def __init__(self, volume: Path) -> None:
        self.path = volume / "filler"

    def fill(self) -> None:
        with open(self.path, "ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    pass

    def free(self) -> None:
        self.path.unlink()


async def test_no_room(pair: list[Daemon], cluster: PostgresCluster, volume: Path, seed: int, chance: random.Random) -> None:
    load, filler = Load([daemon.url for daemon in pair], seed, rate=RATE), Filler(volume)
    downs: list[float] = []

    async def runs() -> bool:
        try:
            await asyncio.to_thread(cluster.sql, "select 1")
            return True
        except (RuntimeError, subprocess.TimeoutExpired):
            return False

    async def attend() -> None:
        """What keeps PostgreSQL: starts it again when it has ended for good."""
        while True:
            if cluster.process is not None and cluster.process.poll() is not None:
                downs.append(time.monotonic())
                try:
                    await asyncio.to_thread(cluster.start)
                except RuntimeError:
                    pass
            await asyncio.sleep(0.2)

    async def fault() -> None:
        async with Hand(load, load.devices[0].account.id) as hand:
            await asyncio.sleep(1)
            async with meanwhile(attend()):
                sent: list[tuple[float, asyncio.Task[Answer]]] = []
                reads: list[tuple[int, float]] = []
                begun = time.monotonic()
                try:
                    while time.monotonic() < begun + FULL_S:
                        await asyncio.to_thread(filler.fill)
                        node, asked = chance.choice(load.nodes), time.monotonic()
                        sent.append((asked, asyncio.create_task(
                            hand.send(node, chance.choice(hand.chats()), an_id(), "x" * 2000, by_rest=len(sent) % 2 == 0))))
                        for daemon in pair:
                            assert await alive(daemon)
                        if await runs():
                            account = load.devices[len(reads) % len(load.devices)].account
                            reads.append(((await account.get("chats")).status, time.monotonic()))
                        await asyncio.sleep(0.1)
                finally:
                    filler.free()
                    freed = time.monotonic()
                for daemon in pair:
                    await becomes(daemon, True, NORMAL_WITHIN_S)
                for node in load.nodes:
                    answer = await hand.send(node, hand.chats()[0], an_id(), "there is room", by_rest=True, deadline_s=10)
                    while answer.body is None:
                        assert time.monotonic() < freed + NORMAL_WITHIN_S, answer
                        answer = await hand.send(node, hand.chats()[0], an_id(), "there is room", by_rest=True, deadline_s=10)
                print(f"sends succeed {time.monotonic() - freed:.2f} s after there was room")
                answers = [(asked, await each) for asked, each in sent]
            took = [answer.at - asked for asked, answer in answers]
            codes = Counter(f"{answer.status} {answer.code}".strip() for _, answer in answers)
            print(f"{dict(codes)} within {max(took):.2f} s, {len(reads)} reads: {dict(Counter(status for status, _ in reads))}, "
                  f"PostgreSQL ended {len(downs)} times")
            assert any(answer.body is None for _, answer in answers), "there was room all the time"
            assert max(took) <= (ANSWERED_WITHIN_S if downs or "PANIC" in cluster.log_text() else REFUSED_WITHIN_S)
            assert {answer.status for _, answer in answers} <= {200, 201, 503, 507}
            if not downs and "PANIC" not in cluster.log_text():
                assert {status for status, _ in reads} == {200}

    await judge(load, pair, fault)
