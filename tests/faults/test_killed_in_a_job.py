"""A daemon is killed in the middle of what a job does, some of it done and some not: another finishes it when the lease is over,
and every effect is there once."""

from __future__ import annotations

import asyncio
import os
import random
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
ROUNDS = 100 if LONG else 1
SOON_S = 1.0  # what is left of the lease
MESSAGES = 40
RATE = float(os.environ.get("SUPD_RATE", "100"))
KIND = "messages.expire"

pytestmark = pytest.mark.faults


@pytest.fixture
def pair(spawn: Callable[..., Daemon], postgres: PostgresCluster) -> list[Daemon]:
    url, settings = postgres.new_database(), {"JWT_SECRET": shared_secret()}
    return [spawn(database_url=url, name=name, settings=settings).start() for name in ("a", "b")]


async def test_a_holder_that_is_killed(pair: list[Daemon], postgres: PostgresCluster, seed: int, chance: random.Random) -> None:
    jobs = Jobs(pair, postgres, KIND)
    load = Load([daemon.url for daemon in pair], seed, rate=RATE)

    async def killed(done: str, held: str) -> Daemon:
        """Nobody gets at the one chat; the messages of the other are due before. Returns who finished it."""
        await jobs.sql(f"update messages set expires_at = now() - interval '1 hour' where chat_id = '{done}'")
        await jobs.sql(f"update messages set expires_at = now() where chat_id = '{held}'")
        async with chat_locked(postgres, jobs.database, held):
            job = await jobs.ask()
            holder, other, fence = await jobs.taken(
                job, f"not exists (select from messages where chat_id = '{done}' and expires_at is not null)")
            finished = await jobs.count(other, "done")
            await asyncio.to_thread(holder.kill)
            dead = time.monotonic()
            await jobs.lease_ends_in(SOON_S, job, fence)
            if chance.random() < 0.5:
                # Else what the dead one asked of PostgreSQL last goes on before another takes the job.
                await jobs.until(f"select 1 from jobs where id = {job} and fence <> {fence}", 30)
        await jobs.until(f"select 1 where not exists (select from jobs where id = {job})", 30)
        print(f"{other.name} finished the job of {holder.name} {time.monotonic() - dead:.1f} s after that was killed")
        while await jobs.count(other, "done") == finished:
            assert time.monotonic() < dead + 30, "somebody else has finished it"
            await asyncio.sleep(0.05)
        await asyncio.to_thread(holder.start)
        return other

    async def fault() -> None:
        await jobs.put_off()
        async with Rest(pair[0].url) as one, Rest(pair[1].url) as two:
            rests = {pair[0].name: one, pair[1].name: two}
            for _ in range(ROUNDS):
                # Of each round's own: all together outlast an access token.
                ann, bob = await a_user(one), await a_user(two)
                chats = [(await a_chat(ann, bob))["id"] for _ in range(2)]
                ids = {(await ann.send(chats[number % 2], f"soon gone {number}", expires_in_s=3600))["id"]
                       for number in range(MESSAGES)}
                cursor = (await bob.snapshot())["cursor"]
                other = await killed(*chats)
                rows = await jobs.sql("select message_id from chat_changes where kind = 'message_deleted' and chat_id in "
                                 f"('{chats[0]}', '{chats[1]}')")
                assert sorted(row[0] for row in rows) == sorted(ids), "each is deleted once"
                bob.rest = rests[other.name]
                events, _ = await bob.sync_from(cursor)
                told = [each["data"]["id"] for each in events if each["type"] == "message_deleted"]
                assert sorted(told) == sorted(ids), "each is told once"
                assert not await jobs.sql(f"select 1 from jobs where kind = '{KIND}'")

    await judge(load, pair, fault)
