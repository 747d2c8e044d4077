"""A daemon stands still for so long that Redis cuts its subscription, because what waits for it outgrew Redis's buffer. When it
goes on it notices, catches up by seq, and soon hears the others as fast as before."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from rig.daemon import Daemon, shared_secret
from rig.fast_load import FastLoad
from rig.judge import judge
from rig.nodes import Crossing, linked, metric, percentile, quick_again
from rig.postgres import PostgresCluster
from rig.redis import RedisServer

LONG = os.environ.get("SUPD_LONG") == "1"
RATE = float(os.environ.get("SUPD_RATE", "5000" if LONG else "1000"))
STANDSTILL_S = 30.0 if LONG else 3.0
# Kernels hold some megabytes before Redis's own buffer grows: long bodies fill them soon.
BODY = 200 if LONG else 2000
BUFFER = "pubsub 1048576 0 0"
CUT_WITHIN_S = 60.0
LISTENERS = 10
CROSSING_S = 0.5 if LONG else 1.0  # on a machine that does other work, too
AGAIN_WITHIN_S = 5.0

pytestmark = pytest.mark.faults


@pytest.fixture
def pair(spawn, postgres: PostgresCluster, redis: RedisServer) -> list[Daemon]:
    redis.command("CONFIG", "SET", "client-output-buffer-limit", BUFFER)
    settings = {"JWT_SECRET": shared_secret(), "REDIS_URL": redis.url}
    url = postgres.new_database()
    return [spawn(database_url=url, name=name, settings=settings).start() for name in ("a", "b")]


def cut_for_its_buffer(redis: RedisServer) -> int:
    """How often: Redis 7.0 counts it nowhere but in its log."""
    return redis.log_text().count("overcoming of output buffer limits")


async def test_a_subscriber_that_reads_no_more(pair: list[Daemon], redis: RedisServer, seed: int) -> None:
    load = FastLoad([daemon.url for daemon in pair], seed, rate=RATE, body=BODY)
    still = pair[1]

    async def fault() -> None:
        assert still.process is not None
        await linked(pair)
        # Most at the one, some at the other.
        await load.seat(lambda number: pair[1 if number < LISTENERS else 0].url)
        async with Crossing(*pair) as crossing:
            await asyncio.sleep(1)
            connects, cuts = await metric(still, "redis_connects_total"), cut_for_its_buffer(redis)
            assert cuts == 0, "nobody who reads is cut"
            acked = load.acked
            begun = time.monotonic()
            os.kill(still.process.pid, signal.SIGSTOP)
            try:
                while time.monotonic() < begun + STANDSTILL_S or not cut_for_its_buffer(redis):
                    assert time.monotonic() < begun + CUT_WITHIN_S, "Redis holds all that is told to who stands still"
                    await asyncio.sleep(0.1)
                stood = time.monotonic() - begun
                acked = load.acked - acked
                print(f"stood still for {stood:.1f} s at {acked / stood:.0f} acknowledgements a second")
            finally:
                os.kill(still.process.pid, signal.SIGCONT)
            went_on = time.monotonic()
            await linked(pair)
            print(f"it hears the others again {time.monotonic() - went_on:.2f} s after it went on")
            assert await metric(still, "redis_connects_total") > connects, "it made its connection anew"
            quick = await quick_again(crossing.times, went_on, CROSSING_S, AGAIN_WITHIN_S)
            before = [took for at, took in crossing.times() if at < begun - CROSSING_S]
            after = [took for at, took in crossing.times() if went_on + quick <= at < went_on + quick + 2]
            print(f"{cut_for_its_buffer(redis)} cut; from daemon to daemon p99 {percentile(before, 0.99) * 1000:.0f} ms before, "
                  f"{percentile(after, 0.99) * 1000:.0f} ms from {quick:.2f} s after")

    await judge(load, pair, fault)
