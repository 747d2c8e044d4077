"""Three daemons and one Redis, each with a wire of its own to it: wires go silent and are cut, Redis is killed and emptied,
daemons are killed and stand still. Nothing is lost, doubled, skipped or reordered."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable

import pytest

from rig.daemon import Daemon
from rig.judge import judge
from rig.load import Load
from rig.nodes import linked, metric
from rig.redis import RedisServer
from rig.wire import Wire

LONG = os.environ.get("SUPD_LONG") == "1"
ROUNDS = 60 if LONG else 7
RATE = float(os.environ.get("SUPD_RATE", "600" if LONG else "300"))
STANDSTILL_S = 30.0 if LONG else 5.0

pytestmark = pytest.mark.faults


async def judged(nodes: list[Daemon], seed: int, fault: Callable[[], Awaitable[None]]) -> None:
    load = Load([daemon.url for daemon in nodes], seed, rate=RATE)

    async def meanwhile() -> None:
        await linked(nodes)
        await fault()
        await linked(nodes)

    await judge(load, nodes, meanwhile)


async def test_partitions_and_kills(nodes: list[Daemon], wires: list[Wire], redis: RedisServer, seed: int,
                                    chance: random.Random) -> None:
    """Every fault in turn, then at random, now and then two at once."""
    def pause() -> float:
        return chance.uniform(0.5, 20.0 if LONG else 2.0)

    async def silent() -> None:
        wire = chance.choice(wires)
        wire.hold()
        await asyncio.sleep(pause())
        wire.mend()

    async def cut() -> None:
        wire = chance.choice(wires)
        wire.cut()
        await asyncio.sleep(pause())
        wire.mend()

    async def alone() -> None:
        for wire in wires:
            wire.hold()
        await asyncio.sleep(pause())
        for wire in wires:
            wire.mend()

    async def redis_killed() -> None:
        await asyncio.to_thread(redis.kill)
        await asyncio.sleep(chance.uniform(0, 1))
        await asyncio.to_thread(redis.start)

    async def flushed() -> None:
        await asyncio.to_thread(redis.command, "FLUSHALL")

    async def paused() -> None:
        await asyncio.to_thread(redis.command, "CLIENT", "PAUSE", "1200", "ALL")

    async def node_killed() -> None:
        victim = chance.choice(nodes)
        await asyncio.to_thread(victim.kill)
        await asyncio.sleep(chance.uniform(0, 1))
        await asyncio.to_thread(victim.start)

    kinds = [silent, cut, alone, redis_killed, flushed, paused, node_killed]

    async def fault() -> None:
        for number in range(ROUNDS):
            kind = kinds[number] if number < len(kinds) else chance.choice(kinds)
            begun = time.monotonic()
            if kind is not redis_killed and chance.random() < 0.3:
                await asyncio.gather(kind(), node_killed() if kind is not node_killed else cut())
            else:
                await kind()
            await linked(nodes, deadline_s=20)
            print(f"{kind.__name__}: all hear each other again after {time.monotonic() - begun:.1f} s")

    await judged(nodes, seed, fault)


async def test_a_node_that_stands_still(nodes: list[Daemon], redis: RedisServer, seed: int) -> None:
    """Its subscription is cut meanwhile, as Redis does when the buffer of a subscriber is full; when it goes on it notices,
    and catches up by seq."""
    victim = nodes[-1]

    async def fault() -> None:
        assert victim.process is not None
        before = await metric(victim, "redis_connects_total")
        os.kill(victim.process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(STANDSTILL_S)
            await asyncio.to_thread(redis.command, "CLIENT", "KILL", "TYPE", "pubsub")
        finally:
            os.kill(victim.process.pid, signal.SIGCONT)
        begun = time.monotonic()
        await linked(nodes)
        print(f"it hears the others again {time.monotonic() - begun:.2f} s after it went on")
        assert await metric(victim, "redis_connects_total") > before, "Redis had let it go"

    await judged(nodes, seed, fault)
