"""Several daemons with one Redis: what they count, and whether they hear each other."""

from __future__ import annotations

import asyncio
import re
import time

from rig.client import Rest
from rig.daemon import Daemon


async def metric(daemon: Daemon, name: str) -> float:
    async with Rest(daemon.admin_url) as admin:
        text = (await admin.get("/metrics")).body.decode()
    found = re.search(rf"^(?:supd_)?{name} ([0-9.e+]+)$", text, re.M)
    assert found, f"{name} is not among the metrics"
    return float(found.group(1))


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
