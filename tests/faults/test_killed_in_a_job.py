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
from rig.judge import judge
from rig.load import Load
from rig.nodes import metric
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
    database = postgres.database_of(pair[0].database_url or "")
    load = Load([daemon.url for daemon in pair], seed, rate=RATE)

    async def sql(statement: str) -> list[list[str]]:
        return await asyncio.to_thread(postgres.sql, statement, database)

    async def until(statement: str, deadline_s: float) -> list[list[str]]:
        begun = time.monotonic()
        while not (rows := await sql(statement)):
            assert time.monotonic() < begun + deadline_s, f"after {deadline_s} s still nothing: {statement}"
            await asyncio.sleep(0.02)
        return rows

    async def killed(done: str, held: str) -> Daemon:
        """Nobody gets at the one chat; the messages of the other are due before. Returns who finished it."""
        await sql(f"update messages set expires_at = now() - interval '1 hour' where chat_id = '{done}'")
        await sql(f"update messages set expires_at = now() where chat_id = '{held}'")
        async with chat_locked(postgres, database, held):
            [[job]] = await sql(f"insert into jobs (kind, payload, max_attempts) values ('{KIND}', '{{}}', 20) returning id")
            [[leased_by, fence]] = await until(
                f"select leased_by, fence from jobs where id = {job} and state = 'running' and not exists (select from "
                f"messages where chat_id = '{done}' and expires_at is not null)", 15)
            [holder] = [each for each in pair if each.process and leased_by.endswith(f":{each.process.pid}")]
            other = pair[1 - pair.index(holder)]
            finished = await metric(other, f'jobs_total{{kind="{KIND}",outcome="done"}}', absent=0.0)
            await asyncio.to_thread(holder.kill)
            dead = time.monotonic()
            await sql(f"update jobs set lease_until = now() + {SOON_S} * interval '1 second' where id = {job} and fence = {fence}")
            if chance.random() < 0.5:
                # Else what the dead one asked of PostgreSQL last goes on before another takes the job.
                await until(f"select 1 from jobs where id = {job} and fence <> {fence}", 30)
        await until(f"select 1 where not exists (select from jobs where id = {job})", 30)
        print(f"{other.name} finished the job of {holder.name} {time.monotonic() - dead:.1f} s after that was killed")
        while await metric(other, f'jobs_total{{kind="{KIND}",outcome="done"}}', absent=0.0) == finished:
            assert time.monotonic() < dead + 30, "somebody else has finished it"
            await asyncio.sleep(0.05)
        await asyncio.to_thread(holder.start)
        return other

    async def fault() -> None:
        # Nobody but the test asks for it.
        await until(f"update job_schedules set next_run_at = now() + interval '1 hour' where name = '{KIND}' and runs > 0 "
                    "returning name", 15)
        await until(f"select 1 where not exists (select from jobs where kind = '{KIND}')", 15)
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
                rows = await sql("select message_id from chat_changes where kind = 'message_deleted' and chat_id in "
                                 f"('{chats[0]}', '{chats[1]}')")
                assert sorted(row[0] for row in rows) == sorted(ids), "each is deleted once"
                bob.rest = rests[other.name]
                events, _ = await bob.sync_from(cursor)
                told = [each["data"]["id"] for each in events if each["type"] == "message_deleted"]
                assert sorted(told) == sorted(ids), "each is told once"
                assert not await sql(f"select 1 from jobs where kind = '{KIND}'")

    await judge(load, pair, fault)
