"""Blue and green, back and forth, under load through nginx: nobody loses, doubles or misses anything."""

from __future__ import annotations

import asyncio
import os
import time

from operate.machine import Machine
from rig.checker import assert_clean, summary
from rig.load import Load

LONG = os.environ.get("SUPD_LONG") == "1"
SWITCHES = 20 if LONG else 3
RATE = 500.0 if LONG else 100.0
USERS = 200 if LONG else 30
CHATS = 60 if LONG else 10
RECONNECT_P99_S = 3.0
CONNECTED_DEADLINE_S = 60.0


async def all_connected(load: Load) -> None:
    """A switch moves only who is there."""
    until = time.monotonic() + CONNECTED_DEADLINE_S
    while not all(device.connected for device in load.devices):
        assert time.monotonic() < until, "not all devices came back"
        await asyncio.sleep(0.05)


async def test_nobody_notices_a_deployment(machine, seed: int) -> None:
    here: Machine = machine()
    await asyncio.to_thread(here.deploy)
    assert here.serving() == here.active == "blue"
    load = Load([here.url], seed, users=USERS, chats=CHATS, rate=RATE, tls=here.tls)

    async def switches() -> None:
        for number in range(SWITCHES):
            expected = ("green", "blue")[number % 2]
            former = here.active
            await all_connected(load)
            await asyncio.to_thread(here.deploy, "--skip-migrations")
            assert here.serving() == here.active == expected
            assert here.pid(former) is None, "the old colour still runs"

    async with load:
        await load.run(2.0, switches)
        print(f"seed {seed}: {summary(load.history)}")
        print(load.report())
        reconnects = sorted(each for device in load.devices for each in device.reconnects)
        p99 = reconnects[int(len(reconnects) * 0.99)]
        print(f"{SWITCHES} switches, {len(reconnects)} reconnects: p50 {reconnects[len(reconnects) // 2]:.2f} s, "
              f"p99 {p99:.2f} s, longest {reconnects[-1]:.2f} s")
        assert_clean(load.history)
        hints = [reason for device in load.devices for code, reason in device.closes if code == 1012]
        closes = [close for device in load.devices for close in device.closes]
        assert len(hints) == len(closes), f"sockets that ended without a hint: {[c for c in closes if c[0] != 1012][:5]}"
        assert len(reconnects) >= SWITCHES * USERS, "every device was moved by every switch"
        assert p99 <= RECONNECT_P99_S or not LONG
    assert [each["result"] for each in here.state["history"]] == ["deployed"] * (SWITCHES + 1)
