"""The connection to PostgreSQL breaks between a COMMIT and its answer. Whoever sends again with the same id, at another
daemon, finds what was stored: one row, its seq, its time. What a daemon cannot know it calls unknown, never refused."""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from rig.attempts import Hand
from rig.client import an_id
from rig.daemon import Daemon, shared_secret
from rig.judge import judge
from rig.load import Load
from rig.nodes import becomes, linked, through
from rig.postgres import PostgresCluster
from rig.redis import RedisServer
from rig.wire import CommitWire

LONG = os.environ.get("SUPD_LONG") == "1"
CUTS = 500 if LONG else 20
EDITS = 50 if LONG else 5
OUTAGES = 10 if LONG else 1
AT_ONCE = 20
RATE = float(os.environ.get("SUPD_RATE", "300" if LONG else "100"))
# A daemon tries again for ten seconds; an attempt to connect that is under way then may take three more.
GIVES_UP_WITHIN_S = 15.0

pytestmark = pytest.mark.faults


@dataclass
class Nodes:
    """`a` reaches PostgreSQL by the wire, `b` by itself."""

    a: Daemon
    b: Daemon
    wire: CommitWire
    database: str


@pytest_asyncio.fixture
async def nodes(spawn: Callable[..., Daemon], postgres: PostgresCluster, redis: RedisServer) -> AsyncIterator[Nodes]:
    wire = CommitWire(postgres.port)
    await wire.start()
    url, settings = postgres.new_database(), {"JWT_SECRET": shared_secret(), "REDIS_URL": redis.url}
    a = await asyncio.to_thread(spawn(database_url=through(wire, url), name="a", settings=settings).start)
    b = await asyncio.to_thread(spawn(database_url=url, name="b", settings=settings).start)
    yield Nodes(a, b, wire, postgres.database_of(url))
    await asyncio.gather(*(asyncio.to_thread(each.close) for each in (a, b)))
    await wire.close()


@pytest.fixture
def stored(postgres: PostgresCluster, nodes: Nodes) -> Callable:
    """What PostgreSQL has of a message, or of a change: (seq, created_at) of each row."""
    async def rows(table: str, *ids: str) -> list[tuple[int, str]]:
        found = await asyncio.to_thread(
            postgres.sql, f"select seq, to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') "
                          f"from {table} where id in ({', '.join(repr(each) for each in ids)})", nodes.database)
        return [(int(seq), at) for seq, at in found]

    return rows


async def judged(nodes: Nodes, seed: int, fault: Callable) -> None:
    load = Load([nodes.a.url, nodes.b.url], seed, rate=RATE)

    async def meanwhile() -> None:
        await linked([nodes.a, nodes.b])
        async with Hand(load, load.devices[0].account.id) as hand:
            await fault(hand)
        await becomes(nodes.a, True, 10)

    await judge(load, (nodes.a, nodes.b), meanwhile)


async def test_the_answer_of_a_commit_is_lost(nodes: Nodes, stored: Callable, seed: int, chance: random.Random) -> None:
    """The daemon asks again by itself, while the client has long asked another one."""
    async def fault(hand: Hand) -> None:
        first_answers: Counter[str] = Counter()
        ids = []
        for number in range(CUTS):
            message, chat, text = an_id(), chance.choice(hand.chats()), f"unknown {number}"
            ids.append(message)
            nodes.wire.arm(uuid.UUID(message).bytes)
            first = asyncio.create_task(hand.send(nodes.a.url, chat, message, text, by_rest=number % 2 == 0))
            await asyncio.wait_for(nodes.wire.fired.wait(), 10)
            rows = await stored("messages", message)
            assert len(rows) == 1, "the server had answered, so it is stored"
            again = await hand.send(nodes.b.url, chat, message, text, by_rest=number % 4 < 2)
            assert again.body is not None, again
            assert (again.body["seq"], again.body["created_at"]) == rows[0]
            answer = await first
            first_answers[answer.code or "acknowledged"] += 1
            if answer.body is not None:
                assert (answer.body["seq"], answer.body["created_at"]) == rows[0]
            else:
                assert (answer.status, answer.code) == (503, "commit_unknown")
        assert len(await stored("messages", *ids)) == CUTS
        print(f"{CUTS} commits cut off from their answer; what their daemon said: {dict(first_answers)}")

    await judged(nodes, seed, fault)


async def test_the_answer_of_a_change_is_lost(nodes: Nodes, stored: Callable, seed: int, chance: random.Random) -> None:
    """A transaction of several statements is not tried again by the daemon: it says so at once."""
    async def fault(hand: Hand) -> None:
        for number in range(EDITS):
            message, change, chat, text = an_id(), an_id(), chance.choice(hand.chats()), f"another text {number}"
            sent = await hand.send(nodes.b.url, chat, message, "a text", by_rest=False)
            assert sent.body is not None, sent
            nodes.wire.arm(text.encode(), in_transaction=True)
            edit = asyncio.create_task(hand.edit(nodes.a.url, chat, message, change, text))
            await asyncio.wait_for(nodes.wire.fired.wait(), 10)
            first = await edit
            assert (first.body, first.status, first.code) == (None, 503, "commit_unknown")
            rows = await stored("chat_changes", change)
            again = await hand.edit(nodes.b.url, chat, message, change, text)
            assert again.body is not None and [again.body["seq"]] == [seq for seq, _ in rows]
            assert await stored("chat_changes", change) == rows

    await judged(nodes, seed, fault)


async def test_the_database_stays_away_after_a_commit(nodes: Nodes, stored: Callable, seed: int,
                                                      chance: random.Random) -> None:
    """For longer than the daemon tries again: it says what it does not know, and another one does."""
    async def fault(hand: Hand) -> None:
        for _ in range(OUTAGES):
            chat, ids = chance.choice(hand.chats()), [an_id() for _ in range(AT_ONCE)]
            nodes.wire.arm(uuid.UUID(ids[0]).bytes, stays_cut=True)
            begun = time.monotonic()
            first = [asyncio.create_task(hand.send(nodes.a.url, chat, message, "unknown", by_rest=number % 2 == 1))
                     for number, message in enumerate(ids)]
            await asyncio.wait_for(nodes.wire.fired.wait(), 10)
            [known] = await stored("messages", ids[0])
            answers = await asyncio.gather(*first)
            took = max(answer.at for answer in answers) - begun
            codes = Counter((answer.status, answer.code) for answer in answers)
            print(f"{dict(codes)} after up to {took:.1f} s")
            assert answers[0].code == "commit_unknown", "it was stored, and nobody could know"
            assert set(codes) <= {(503, code) for code in ("commit_unknown", "overloaded", "database_unavailable")}
            assert took <= GIVES_UP_WITHIN_S
            again = [await hand.send(nodes.b.url, chat, message, "unknown", by_rest=False) for message in ids]
            assert all(each.body is not None for each in again), again
            assert (again[0].body["seq"], again[0].body["created_at"]) == known
            nodes.wire.mend()
            await becomes(nodes.a, True, 10)
            assert len(await stored("messages", *ids)) == AT_ONCE

    await judged(nodes, seed, fault)
