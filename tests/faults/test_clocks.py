"""The clock of one of two daemons jumps, by minutes and an hour, forth and back: order, sockets, sessions and what is to be
deleted later are none of its business. Access tokens are: docs/scaling.md says what clocks may differ by."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import Account, Rest, a_chat, a_user, log_in
from rig.daemon import Daemon, shared_secret
from rig.judge import judge
from rig.load import Load
from rig.nodes import linked
from rig.postgres import PostgresCluster
from rig.redis import RedisServer
from rig.tokens import claims_of

LONG = os.environ.get("SUPD_LONG") == "1"
MINUTE, HOUR, YEAR = 60, 3600, 365 * 24 * 3600
JUMPS = [10 * MINUTE, -10 * MINUTE, HOUR, -HOUR] + ([YEAR, -YEAR] if LONG else [])
STAY_S = 20.0 if LONG else 0.5
# A second back each second.
STEPS = 60 if LONG else 3
RATE = float(os.environ.get("SUPD_RATE", "300"))
FAKED = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)

pytestmark = [pytest.mark.faults, pytest.mark.skipif(FAKED is None, reason="no libfaketime here")]


class Clock:
    """The wall clock of a process, by how many seconds it is wrong; its monotonic one is right."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "clock"
        self.set(0)

    @property
    def settings(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(FAKED), "FAKETIME_TIMESTAMP_FILE": str(self.path), "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def set(self, offset_s: int) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.replace(self.path)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def pair(spawn: Callable[..., Daemon], postgres: PostgresCluster, redis: RedisServer, clock: Clock) -> list[Daemon]:
    url, settings = postgres.new_database(), {"JWT_SECRET": shared_secret(), "REDIS_URL": redis.url}
    return [spawn(database_url=url, name="a", settings=settings | clock.settings).start(),
            spawn(database_url=url, name="b", settings=settings).start()]


async def wrong_by(account: Account) -> float:
    """The clock of the account's daemon, as a token that it makes says."""
    return claims_of((await log_in(account.rest, account.username)).access_token)["iat"] - time.time()


async def shows(account: Account, offset_s: int) -> None:
    deadline = time.monotonic() + 10
    while abs(await wrong_by(account) - offset_s) > 3:
        assert time.monotonic() < deadline, f"the clock is not wrong by {offset_s} s"
        await asyncio.sleep(0.1)


async def test_jumps(pair: list[Daemon], clock: Clock, seed: int) -> None:
    load = Load([daemon.url for daemon in pair], seed, rate=RATE)

    async def fault() -> None:
        await linked(pair)
        async with Rest(pair[0].url) as one, Rest(pair[1].url) as two:
            ann, cleo = await a_user(one), await a_user(one)
            chat = (await a_chat(ann, cleo))["id"]
            later = await ann.send(chat, "gone in a day", expires_in_s=86400)
            closes = [len(device.closes) for device in load.devices]
            for jump in JUMPS:
                clock.set(jump)
                await shows(cleo, jump)
                await asyncio.sleep(STAY_S)
                # The session is there, at this daemon and at the other.
                for rest in (one, two):
                    answer = (await rest.post("auth/refresh", {"refresh_token": ann.refresh_token})).expect(200)
                    ann.refresh_token = answer["refresh_token"]
            for step in range(STEPS):
                clock.set(-step)
                await asyncio.sleep(1)
            clock.set(0)
            await shows(cleo, 0)
            dropped = Counter(code for device, before in zip(load.devices, closes) for code, _ in device.closes[before:])
            print(f"{len(JUMPS)} jumps and {STEPS} steps back; sockets that ended meanwhile: {dict(dropped)}")
            assert sum(dropped.values()) <= max(1, len(load.devices) // 100)
            fresh = await log_in(two, ann.username)
            assert (await fresh.get(f"messages/{later['id']}")).expect(200)["text"] == "gone in a day"

    await judge(load, pair, fault)
