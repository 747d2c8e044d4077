"""The daemon that holds a job stands still until its lease is over: the other takes the job, and what the first still says
about it when it goes on counts no more. What the job does happens once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

import pytest

from rig.client import Rest, a_chat, a_user
from rig.daemon import Daemon, shared_secret
from rig.jobs import Jobs
from rig.judge import judge
from rig.load import Load
from rig.postgres import PostgresCluster, chat_locked

LONG = os.environ.get("SUPD_LONG") == "1"
LEASE_S = 60.0
# What is left of the lease when its holder stops, a round each. Few wait for a whole one: for the others its end is set to
# so soon.
SOON_S = 2.0
ROUNDS = [LEASE_S] * 3 + [SOON_S] * 197 if LONG else [SOON_S]
MESSAGES = 40
RATE = float(os.environ.get("SUPD_RATE", "100"))
KIND = "messages.expire"

pytestmark = pytest.mark.faults


@pytest.fixture
def pair(spawn: Callable[..., Daemon], postgres: PostgresCluster) -> list[Daemon]:
    # Who stands still for two leases must not take its sockets for idle when it goes on.
    url, settings = postgres.new_database(), {"JWT_SECRET": shared_secret(), "SUPD__WEBSOCKET__IDLE_TIMEOUT_S": "600"}
    return [spawn(database_url=url, name=name, settings=settings).start() for name in ("a", "b")]


async def test_a_holder_that_stands_still(pair: list[Daemon], postgres: PostgresCluster, seed: int) -> None:
    jobs = Jobs(pair, postgres, KIND)

    async def handed_over(chat: str, left_s: float) -> None:
        await jobs.sql(f"update messages set expires_at = now() where chat_id = '{chat}'")
        async with chat_locked(postgres, jobs.database, chat):
            job = await jobs.ask()
            # In the middle of it: it has the lease, and waits for the chat.
            holder, other, fence = await jobs.taken(
                job, f"exists (select from pg_stat_activity where datname = '{jobs.database}' and wait_event = 'advisory' "
                     "and application_name <> 'psql')")
            fenced, done = await jobs.count(holder, "fenced"), await jobs.count(other, "done")
            assert holder.process is not None
            os.kill(holder.process.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            if left_s < LEASE_S:
                await jobs.lease_ends_in(left_s, job, fence)
            await jobs.until(f"select 1 where not exists (select from jobs where id = {job} and fence = {fence})",
                        left_s + LEASE_S / 2)
            took_over = time.monotonic() - stopped
            assert took_over >= left_s * 0.9, "a lease is kept"
            await jobs.until(f"select 1 where not exists (select from jobs where id = {job})", 30)
            while await jobs.count(other, "done") == done:
                assert time.monotonic() < stopped + took_over + 30, "the other has not finished it"
                await asyncio.sleep(0.05)
            await asyncio.sleep(max(0.0, stopped + 2 * left_s - time.monotonic()))
        finally:
            os.kill(holder.process.pid, signal.SIGCONT)
        went_on = time.monotonic()
        while await jobs.count(holder, "fenced") == fenced:
            assert time.monotonic() < went_on + 20, "its word still counted"
            await asyncio.sleep(0.05)
        print(f"{other.name} took the job of {holder.name} over {took_over:.1f} s after that stood still; "
              f"refused {time.monotonic() - went_on:.1f} s after it went on")

    load = Load([daemon.url for daemon in pair], seed, rate=RATE)

    async def fault() -> None:
        await jobs.put_off()
        async with Rest(pair[0].url) as one, Rest(pair[1].url) as two:
            for left_s in ROUNDS:
                # Of each round's own: all together outlast an access token.
                ann, bob = await a_user(one), await a_user(one)
                bob.rest = two
                chat = (await a_chat(ann, bob))["id"]
                ids = {(await ann.send(chat, f"soon gone {number}", expires_in_s=3600))["id"] for number in range(MESSAGES)}
                async with bob.socket() as bobs:
                    await bobs.event("caught_up")
                    await handed_over(chat, left_s)
                    rows = await jobs.sql(f"select message_id from chat_changes where chat_id = '{chat}' and kind = 'message_deleted'")
                    assert sorted(row[0] for row in rows) == sorted(ids), "each is deleted once"
                    while len([each for each in bobs.events if each["type"] == "message_deleted"]) < MESSAGES:
                        await bobs.event("message_deleted")
                    told = [each["data"]["id"] for each in bobs.events if each["type"] == "message_deleted"]
                    assert sorted(told) == sorted(ids), "each is told once"

    await judge(load, pair, fault)
