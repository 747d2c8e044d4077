"""Redis is killed, flushed, paused and frozen under two daemons that serve a load: it costs latency only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Awaitable, Callable

import pytest

from rig.daemon import Daemon, shared_secret
from rig.judge import judge
from rig.load import Load
from rig.nodes import Crossing, cut_off, linked, metric, percentile, quick_again, ready
from rig.postgres import PostgresCluster
from rig.redis import RedisError, RedisServer
from rig.tasks import meanwhile

LONG = os.environ.get("SUPD_LONG") == "1"
KILLS = 50 if LONG else 3
FLUSHES = 50 if LONG else 6
PAUSES = 10 if LONG else 2
# So many in a run: each ends while its access tokens live.
FREEZES, RUNS = (10, 2) if LONG else (1, 1)
FREEZE_S = 60.0 if LONG else 4.0
AWAY_S = 300.0 if LONG else 4.0
RATE = float(os.environ.get("SUPD_RATE", "600" if LONG else "300"))
ACK_P99_S = 0.5
CROSSING_P99_S = 5.0  # by the database alone
AGAIN_S, AGAIN_WITHIN_S = 0.5 if LONG else 1.0, 5.0  # on a machine that does other work, too

pytestmark = pytest.mark.faults


@pytest.fixture
def pair(spawn, postgres: PostgresCluster, redis: RedisServer) -> list[Daemon]:
    settings = {"JWT_SECRET": shared_secret(), "REDIS_URL": redis.url}
    url = postgres.new_database()
    return [spawn(database_url=url, name=name, settings=settings).start() for name in ("a", "b")]


async def judged(pair: list[Daemon], seed: int, fault: Callable[[Load], Awaitable[None]]) -> None:
    load = Load([daemon.url for daemon in pair], seed, rate=RATE)

    async def between() -> None:
        await linked(pair)
        await fault(load)
        await linked(pair)

    await judge(load, pair, between)
    assert not [device.closes for device in load.devices if 4401 in (code for code, _ in device.closes)]


class Unfelt:
    """Around a time without Redis: what one daemon stores the other's clients hear soon all the same, and a proxy would send
    people to both all the time."""

    def __init__(self, pair: list[Daemon]) -> None:
        self._pair = pair
        self._crossing = Crossing(*pair)
        self._answers: list[bool] = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Unfelt":
        await self._stack.enter_async_context(self._crossing)
        await self._stack.enter_async_context(meanwhile(self._ask()))
        await asyncio.sleep(0.5)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _ask(self) -> None:
        while True:
            self._answers += await asyncio.gather(*(ready(daemon) for daemon in self._pair))
            await asyncio.sleep(0.1)

    async def judged(self, away: float, back: float, what: str) -> None:
        """`away`, `back`: when Redis went and came."""
        quick = await quick_again(self._crossing.times, back, AGAIN_S, AGAIN_WITHIN_S)
        took = [took for at, took in self._crossing.times() if away <= at < back]
        print(f"{len(took)} messages from daemon to daemon while Redis was {what}: p50 {percentile(took, 0.5) * 1000:.0f} ms, p99 "
              f"{percentile(took, 0.99) * 1000:.0f} ms; as before {quick:.2f} s after; ready {sum(self._answers)} of "
              f"{len(self._answers)} times")
        assert len(took) > (back - away) * 5
        assert percentile(took, 0.99) <= CROSSING_P99_S
        assert len(self._answers) > (back - away) * 2 and all(self._answers), "not ready, although only Redis was away"


async def heard_more(daemon: Daemon, than: float) -> None:
    deadline = time.monotonic() + 10
    while await metric(daemon, "node_hints_received_total") <= than:
        assert time.monotonic() < deadline, f"{daemon.name} hears nothing again"
        await asyncio.sleep(0.05)


async def test_killed_and_restarted(pair: list[Daemon], redis: RedisServer, seed: int, chance: random.Random) -> None:
    async def fault(load: Load) -> None:
        for _ in range(KILLS):
            await asyncio.to_thread(redis.kill)
            await cut_off(pair[0])
            await asyncio.sleep(chance.uniform(0, 0.7))
            await asyncio.to_thread(redis.start)
            begun = time.monotonic()
            await linked(pair)
            print(f"all hear each other again {time.monotonic() - begun:.2f} s after Redis was back")
            await heard_more(pair[0], await metric(pair[0], "node_hints_received_total"))

    await judged(pair, seed, fault)


async def test_away(pair: list[Daemon], redis: RedisServer, seed: int) -> None:
    async def fault(load: Load) -> None:
        async with Unfelt(pair) as unfelt:
            away = time.monotonic()
            await asyncio.to_thread(redis.kill)
            await asyncio.sleep(AWAY_S)
            back = time.monotonic()
            await asyncio.to_thread(redis.start)
            await linked(pair)
            await unfelt.judged(away, back, "away")

    await judged(pair, seed, fault)


async def test_flushed_and_paused(pair: list[Daemon], redis: RedisServer, seed: int, chance: random.Random) -> None:
    async def fault(load: Load) -> None:
        for _ in range(FLUSHES):
            redis.command("FLUSHALL")
            await asyncio.sleep(chance.uniform(0, 0.3))
        for _ in range(PAUSES):
            redis.command("CLIENT", "PAUSE", "1500", "ALL")
            await cut_off(pair[0])
            await linked(pair)
        # Redis cuts every subscription, as it does with one whose output buffer is full.
        try:
            redis.command("CLIENT", "KILL", "TYPE", "pubsub")
        except RedisError as error:
            pytest.fail(str(error))
        await linked(pair)
        await heard_more(pair[1], await metric(pair[1], "node_hints_received_total"))

    await judged(pair, seed, fault)


@pytest.mark.parametrize("_run", range(RUNS))
async def test_frozen(pair: list[Daemon], redis: RedisServer, seed: int, _run: int) -> None:
    """Nothing answers and nothing is refused: senders must not feel it."""
    async def frozen(load: Load) -> None:
        before = [len(device.latencies) for device in load.devices]
        redis.freeze()
        begun = time.monotonic()
        try:
            await asyncio.gather(*(cut_off(daemon) for daemon in pair))
            print(f"the breakers were open {time.monotonic() - begun:.2f} s after Redis froze")
            await asyncio.sleep(max(0.0, begun + FREEZE_S - time.monotonic()))
        finally:
            redis.thaw()
        acks = sorted(latency for device, count in zip(load.devices, before) for latency in device.latencies[count:])
        assert len(acks) > RATE * FREEZE_S / 4, "the load went on"
        p99 = acks[int(len(acks) * 0.99)]
        print(f"{len(acks)} acks while Redis was frozen: p50 {acks[len(acks) // 2] * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
        assert p99 <= ACK_P99_S
        assert max(await asyncio.gather(*(metric(daemon, "node_hints_untold_total") for daemon in pair))) > 0

    async def fault(load: Load) -> None:
        for _ in range(FREEZES):
            async with Unfelt(pair) as unfelt:
                begun = time.monotonic()
                await frozen(load)
                thawed = time.monotonic()
                await linked(pair)
                await unfelt.judged(begun, thawed, "frozen")

    await judged(pair, seed, fault)
