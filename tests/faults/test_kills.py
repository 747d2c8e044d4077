"""Kill the daemon and its PostgreSQL under load: nothing acknowledged is lost, doubled, skipped or reordered, and
every device ends equal to a fresh snapshot. Short here; SUPD_LONG=1 runs the full counts."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.checker import assert_clean, summary
from rig.daemon import Daemon, shared_secret
from rig.fast_load import FastLoad
from rig.load import Load
from rig.nodes import percentile
from rig.postgres import PostgresCluster

LONG = os.environ.get("SUPD_LONG") == "1"
DAEMON_KILLS = int(os.environ.get("SUPD_KILLS", "200" if LONG else "10"))
BACKEND_KILLS = 50 if LONG else 5
IMMEDIATE_RESTARTS = 20 if LONG else 3
RATE = float(os.environ.get("SUPD_RATE", "1000"))
KILL_PAUSE_S = (1.0, 3.0)
READY_AGAIN_S = 3.0
SENDS_AGAIN_S = 5.0
WAYS_TO_DROP = ("rst", "fin", "vanish")
RESUMED_P99_S = 1.0

pytestmark = pytest.mark.faults
MODES = ["external", pytest.param("embedded", marks=pytest.mark.embedded)]


@pytest.fixture
def daemon(request: pytest.FixtureRequest, spawn: Callable[..., Daemon], postgres: PostgresCluster) -> Daemon:
    url = postgres.new_database() if request.param == "external" else None
    return spawn(database_url=url, name=request.param, settings={"JWT_SECRET": shared_secret()}).start()


async def judged(load: Load, daemon: Daemon, fault: Callable, what: str) -> None:
    """Runs the load with the fault and asserts a clean history; keeps the history of a bad run."""
    print(f"seed {load.seed}, {what}")
    async with load:
        await load.run(2.0, fault)
        print(summary(load.history))
        print(load.report())
        try:
            assert_clean(load.history)
        except AssertionError:
            kept = Path(os.environ.get("SUPD_ARTIFACTS", "/tmp")) / f"history-{what.replace(' ', '-')}-{load.seed}.jsonl"
            load.history.save(kept)
            print(f"the history is in {kept}")
            raise
        assert sum(1 for each in load.history.operations.values() if each.acks) > 0
    daemon.check()


@pytest.mark.parametrize("daemon", MODES, indirect=True)
async def test_no_fault(daemon: Daemon, seed: int) -> None:
    async def nothing() -> None:
        await asyncio.sleep(8)

    load = Load([daemon.url], seed, rate=RATE)
    await judged(load, daemon, nothing, "no fault")
    assert load.held_back == 0, "the load was not carried"


@pytest.mark.parametrize("daemon", MODES, indirect=True)
async def test_kill_the_daemon(daemon: Daemon, seed: int, chance: random.Random) -> None:
    kills = DAEMON_KILLS if daemon.database_url or LONG else max(DAEMON_KILLS // 2, 3)
    ready: list[float] = []

    async def kill() -> None:
        for number in range(kills):
            await asyncio.sleep(chance.uniform(*KILL_PAUSE_S))
            await asyncio.to_thread(daemon.kill)
            await asyncio.to_thread(daemon.start)
            ready.append(daemon.start_took_s)

    load = Load([daemon.url], seed, rate=RATE)
    await judged(load, daemon, kill, f"{kills} kills of the daemon")
    print(f"ready again in {min(ready):.2f} to {max(ready):.2f} s")
    cap = READY_AGAIN_S if daemon.database_url else 3 * READY_AGAIN_S
    assert sorted(ready)[len(ready) * 9 // 10] <= cap, ready


@pytest.mark.parametrize("daemon", ["external"], indirect=True)
async def test_kill_the_daemon_of_many_devices(daemon: Daemon, seed: int, chance: random.Random) -> None:
    """500 devices in 200 chats, all of whom come back at once."""
    # As many as there are while an access token lives: this load renews none.
    kills = int(os.environ.get("SUPD_KILLS", "80" if LONG else "2"))

    async def kill() -> None:
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(1, 10 if LONG else 2))
            await asyncio.to_thread(daemon.kill)
            await asyncio.to_thread(daemon.start)
            assert daemon.start_took_s <= READY_AGAIN_S

    load = FastLoad([daemon.url], seed, users=500, chats=200, members=3, rate=2000)
    await judged(load, daemon, kill, f"{kills} kills of the daemon of many devices")
    assert load.connections >= kills * load.users, "everybody came back each time"


@pytest.mark.parametrize("daemon", MODES, indirect=True)
async def test_kill_backends(daemon: Daemon, postgres: PostgresCluster, seed: int, chance: random.Random) -> None:
    """Most are ended politely, every fifth by SIGKILL, after which PostgreSQL recovers from its log."""
    done = []

    async def kill() -> None:
        for number in range(BACKEND_KILLS):
            await asyncio.sleep(chance.uniform(0.5, 1.5))
            hard = number % 5 == 4
            if daemon.database_url is None:
                pid = await asyncio.to_thread(retried, daemon.embedded_crash_backend if hard else lambda _: (
                    daemon.embedded_sql(f"select pg_terminate_backend({chance.choice(daemon.embedded_backends())})")), chance)
            else:
                database = postgres.database_of(daemon.database_url)
                pid = await asyncio.to_thread(retried, lambda chance: (
                    postgres.crash_backend if hard else postgres.terminate_backend)(database, chance), chance)
            done.append(pid)
        await asyncio.sleep(2)

    load = Load([daemon.url], seed, rate=RATE)
    await judged(load, daemon, kill, f"{BACKEND_KILLS} backends killed")
    assert sum(1 for pid in done if pid) >= BACKEND_KILLS * 3 // 4, done


def retried(action: Callable, chance: random.Random):
    """A server that is recovering refuses us, too."""
    for _ in range(50):
        try:
            if found := action(chance):
                return found
        except (RuntimeError, IndexError, StopIteration):
            pass
        time.sleep(0.2)
    return None


@pytest.mark.parametrize("daemon", MODES, indirect=True)
async def test_restart_postgres_immediately(daemon: Daemon, postgres: PostgresCluster, seed: int,
                                            chance: random.Random) -> None:
    recovered: list[float] = []
    load = Load([daemon.url], seed, rate=RATE)

    def acknowledged() -> int:
        return sum(len(device.latencies) for device in load.devices)

    async def restart() -> None:
        for _ in range(IMMEDIATE_RESTARTS):
            await asyncio.sleep(chance.uniform(1.5, 3))
            if daemon.database_url is None:
                before = daemon.embedded_postmaster()
                daemon.embedded_restart_immediate()
                deadline = time.monotonic() + 30
                while time.monotonic() < deadline:
                    try:
                        if daemon.embedded_postmaster() not in (None, before):
                            await asyncio.to_thread(daemon.embedded_sql, "select 1")
                            break
                    except (RuntimeError, StopIteration, OSError):
                        pass
                    await asyncio.sleep(0.05)
            else:
                await asyncio.to_thread(postgres.restart_immediate)
            begun, before_acks = time.monotonic(), acknowledged()
            while acknowledged() == before_acks and time.monotonic() - begun < 20:
                await asyncio.sleep(0.02)
            recovered.append(time.monotonic() - begun)

    await judged(load, daemon, restart, f"{IMMEDIATE_RESTARTS} immediate restarts")
    print(f"sends succeed {min(recovered):.2f} to {max(recovered):.2f} s after PostgreSQL accepts")
    assert max(recovered) <= SENDS_AGAIN_S


@pytest.mark.parametrize("daemon", ["external"], indirect=True)
async def test_resume_churn(daemon: Daemon, seed: int, chance: random.Random) -> None:
    """Devices lose the network all the time, in every way there is; each resumes from its cursor."""
    load = Load([daemon.url], seed, rate=RATE / 2)
    drops: Counter[str] = Counter()

    async def churn() -> None:
        until = time.monotonic() + (1800 if LONG else 12)
        while time.monotonic() < until:
            await asyncio.sleep(0.1)
            for device, how in zip(chance.sample(load.devices, 3), WAYS_TO_DROP):
                device.drop(how)
        for device in load.devices:
            drops.update(device.drops)

    await judged(load, daemon, churn, "resume churn")
    back = [each for device in load.devices for each in device.reconnects]
    print(f"{dict(drops)} drops, back after p50 {percentile(back, 0.5):.2f} s, p99 {percentile(back, 0.99):.2f} s")
    assert sum(device.connections for device in load.devices) > 2 * len(load.devices)
    assert all(drops[how] > 50 for how in WAYS_TO_DROP), drops
    assert percentile(back, 0.99) <= (RESUMED_P99_S if LONG else 3 * RESUMED_P99_S)
