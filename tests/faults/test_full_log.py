"""Nobody takes the daemon's log: its volume is full, or who should read it stands still. It serves on, counts what is lost, and
ends when it is told to."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator

import pytest

from rig.client import Rest
from rig.daemon import Daemon, shared_secret
from rig.judge import judge
from rig.load import Load
from rig.nodes import metric, ready
from rig.postgres import PostgresCluster
from rig.tasks import meanwhile

LONG = os.environ.get("SUPD_LONG") == "1"
RATE = float(os.environ.get("SUPD_RATE", "300"))
LOST_LINES = 100_000 if LONG else 500
FULL_S = 60.0
GRACE_S = 3
MARGIN_S = 6.0
ACK_P99_S = 0.5

pytestmark = pytest.mark.faults


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


async def requests(daemon: Daemon) -> None:
    """Each is a line."""
    async with Rest(daemon.url) as rest:
        while True:
            for answer in await asyncio.gather(*(rest.get("server") for _ in range(16))):
                answer.expect(200)


async def lost(daemon: Daemon) -> float:
    return await metric(daemon, "log_lines_dropped_total")


async def served_without_a_log(daemon: Daemon, seed: int) -> None:
    load = Load([daemon.url], seed, rate=RATE)

    async def full() -> None:
        begun = time.monotonic()
        async with meanwhile(requests(daemon)) as asking:
            while await lost(daemon) < LOST_LINES:
                assert time.monotonic() < begun + FULL_S and not asking.done(), f"only {await lost(daemon)} lines are counted"
                assert await ready(daemon)
                await asyncio.sleep(0.1)
        acks = sorted(latency for device in load.devices for latency in device.latencies)
        print(f"{await lost(daemon):.0f} lines lost in {time.monotonic() - begun:.1f} s; {len(acks)} acks, "
              f"p99 {acks[int(len(acks) * 0.99)] * 1000:.0f} ms")
        assert not LONG or acks[int(len(acks) * 0.99)] <= ACK_P99_S

    await judge(load, [daemon], full)


def stopped_in_time(daemon: Daemon) -> None:
    begun = time.monotonic()
    assert daemon.stop() == 0
    print(f"ended {time.monotonic() - begun:.1f} s after SIGTERM")
    assert time.monotonic() - begun < GRACE_S + MARGIN_S


@pytest.fixture
def daemon(spawn: Callable[..., Daemon], postgres: PostgresCluster) -> Daemon:
    return spawn(database_url=postgres.new_database(), name="mute",
                 settings={"JWT_SECRET": shared_secret(), "SUPD__SERVER__GRACE_S": str(GRACE_S)})


async def test_a_full_volume(daemon: Daemon, seed: int) -> None:
    with open("/dev/full", "wb") as full:
        daemon.stderr = full.fileno()
        await asyncio.to_thread(daemon.start)
    await served_without_a_log(daemon, seed)
    await asyncio.to_thread(stopped_in_time, daemon)


async def test_a_reader_that_stands_still(daemon: Daemon, pipe: tuple[int, int], seed: int) -> None:
    reading, daemon.stderr = pipe
    await asyncio.to_thread(daemon.start)
    await served_without_a_log(daemon, seed)
    # It reads again: what was kept is whole, and soon it is level with what happens.
    os.set_blocking(reading, False)
    received, until = b"", time.monotonic() + 10
    async with Rest(daemon.url) as rest:
        mark = (await rest.get("server")).headers["X-Request-Id"].encode()
        while mark not in received or not received.endswith(b"\n"):
            assert time.monotonic() < until, received[-2000:]
            try:
                received += os.read(reading, 1 << 20)
            except BlockingIOError:
                await asyncio.sleep(0.02)
    for line in received.splitlines():
        json.loads(line)
    # And no more, until the end.
    async with meanwhile(requests(daemon)) as asking:
        before, until = await lost(daemon), time.monotonic() + FULL_S
        while await lost(daemon) == before:
            assert time.monotonic() < until and not asking.done()
            await asyncio.sleep(0.1)
    await asyncio.to_thread(stopped_in_time, daemon)
