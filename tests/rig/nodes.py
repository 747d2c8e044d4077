"""Several daemons with one Redis: what they count, whether they hear each other, how fast and whether they are ready."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import time
from bisect import bisect_left
from collections.abc import Callable

import aiohttp

from rig.client import Rest, a_chat, a_user, an_id
from rig.daemon import Daemon
from rig.wire import Wire


async def metric(daemon: Daemon, name: str, absent: float | None = None) -> float:
    """`name` with its labels, if it has some; those that were never counted are `absent`."""
    async with Rest(daemon.admin_url) as admin:
        text = (await admin.get("/metrics")).body.decode()
    found = re.search(rf"^(?:supd_)?{re.escape(name)} ([0-9.e+]+)$", text, re.M)
    assert found or absent is not None, f"{name} is not among the metrics"
    return float(found.group(1)) if found else absent


async def hears(daemon: Daemon) -> bool:
    wanted = await metric(daemon, "redis_subscriptions_wanted")
    return bool(await metric(daemon, "redis_connected")) and await metric(daemon, "redis_subscriptions") == wanted > 0


async def linked(daemons: list[Daemon], deadline_s: float = 15.0) -> None:
    """Waits until each hears all that it wants to hear."""
    deadline = time.monotonic() + deadline_s
    for daemon in daemons:
        while not await hears(daemon):
            assert time.monotonic() < deadline, f"{daemon.name} does not hear the others: {daemon.log_text()[-2000:]}"
            await asyncio.sleep(0.02)


async def cut_off(daemon: Daemon, deadline_s: float = 5.0) -> None:
    """Waits until the daemon no longer asks Redis."""
    deadline = time.monotonic() + deadline_s
    while await metric(daemon, "redis_connected"):
        assert time.monotonic() < deadline, f"{daemon.name} still asks Redis"
        await asyncio.sleep(0.02)


async def ready(daemon: Daemon) -> bool:
    """Whether a proxy would send somebody there: an answer of another kind, or none for long, is a no."""
    try:
        async with Rest(daemon.admin_url) as probe:
            return (await asyncio.wait_for(probe.get("/readyz"), 2)).status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


async def becomes(daemon: Daemon, is_ready: bool, deadline_s: float) -> float:
    """Waits until the daemon is ready, or until it is not; how long it took."""
    begun = time.monotonic()
    while await ready(daemon) != is_ready:
        assert time.monotonic() - begun < deadline_s, f"{daemon.name} is {'not ' if is_ready else ''}ready after {deadline_s} s"
        await asyncio.sleep(0.05)
    return time.monotonic() - begun


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def quick_again(times: Callable[[], list[tuple[float, float]]], since: float, limit_s: float, deadline_s: float,
                      window_s: float = 2.0) -> float:
    """`times`: when each thing was asked for, and how long it took, infinite if that is not known yet. Waits for the first
    window whose p99 keeps the limit; how long after `since` it begins."""
    while True:
        of_late = sorted((at - since, took) for at, took in times() if at >= since)
        for begin in (step / 4 for step in range(int(deadline_s * 4) + 1)):
            if time.monotonic() - since <= begin + window_s + limit_s:
                break
            took = [each for _, each in of_late[bisect_left(of_late, (begin,)):bisect_left(of_late, (begin + window_s,))]]
            if took and percentile(took, 0.99) <= limit_s:
                return begin
        assert time.monotonic() - since < deadline_s + window_s + 2 * limit_s + 1, (
            f"not within {limit_s} s again {deadline_s} s later: the last took "
            f"{[round(took, 2) for _, took in of_late[-20:]]}")
        await asyncio.sleep(0.25)


class Crossing:
    """Somebody at one daemon writes all the time to somebody at another: how long each message is under way."""

    def __init__(self, here: Daemon, there: Daemon, every_s: float = 0.02) -> None:
        self._rests = [Rest(here.url), Rest(there.url)]
        self._every_s = every_s
        self._sent: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Crossing":
        for rest in self._rests:
            await self._stack.enter_async_context(rest)
        ann, bob = [await a_user(self._rests[0]) for _ in range(2)]
        self._chat = (await a_chat(ann, bob))["id"]
        bob.rest = self._rests[1]
        self._speaker = await self._stack.enter_async_context(ann.socket())
        listener = await self._stack.enter_async_context(bob.socket(on_event=self._hear))
        await listener.event("caught_up")
        self._writing = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        await self._stack.aclose()

    def _hear(self, frame: dict) -> None:
        if frame["type"] == "message":
            self._heard.setdefault(frame["data"]["id"], frame["_at"])

    async def _write(self) -> None:
        while True:
            message_id = an_id()
            self._sent[message_id] = time.monotonic()
            await self._speaker.send_frame({"type": "message", "ref": message_id, "data": {
                "id": message_id, "chat_id": self._chat, "type": "text", "text": "across"}})
            await asyncio.sleep(self._every_s)

    def times(self) -> list[tuple[float, float]]:
        return [(at, self._heard.get(each, math.inf) - at) for each, at in self._sent.items()]


def through(wire: Wire, database_url: str) -> str:
    """The same database by the wire, in plain bytes."""
    return re.sub(r":\d+/", f":{wire.port}/", database_url) + "?sslmode=disable&gssencmode=disable"


async def alive(daemon: Daemon) -> bool:
    async with Rest(daemon.admin_url) as probe:
        return (await asyncio.wait_for(probe.get("/livez"), 5)).status == 200
