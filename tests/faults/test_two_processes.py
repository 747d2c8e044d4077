"""Two daemons on one database: no cursor ever skips an entry, whoever writes and whoever reads."""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict

import pytest

from rig.client import Account, Rest, a_chat, a_user, an_id
from rig.daemon import Daemon, shared_secret
from rig.judge import judge
from rig.load import Load
from rig.postgres import PostgresCluster

LONG = os.environ.get("SUPD_LONG") == "1"
WRITERS = 16
CHATS = 8
READERS = 6
MESSAGES_PER_WRITER = 2000 if LONG else 250

pytestmark = pytest.mark.faults


@pytest.fixture
def pair(spawn, postgres: PostgresCluster) -> list[Daemon]:
    url, secret = postgres.new_database(), shared_secret()
    return [spawn(database_url=url, name=name, settings={"JWT_SECRET": secret}).start() for name in ("a", "b")]


async def test_a_cursor_never_skips(pair: list[Daemon], seed: int, chance: random.Random) -> None:
    """Writers send by REST and WebSocket through both processes, in transactions of every kind, while readers page
    through /sync, each page at a process of its own; what a reader got is dense in every chat."""
    rests = [Rest(daemon.url) for daemon in pair]
    people = await asyncio.gather(*(a_user(rests[number % 2]) for number in range(WRITERS)))
    # Random ids: their order is not that in which they were made.
    chats = [(await a_chat(people[0], *people[1:], id=an_id()))["id"] for _ in range(CHATS)]
    starts = [await people[number].snapshot() for number in range(READERS)]
    base = {chat: starts[0]["chats"][chat]["last_seq"] for chat in chats}
    seen: list[dict[str, list[int]]] = [defaultdict(list) for _ in range(READERS)]
    writing = True

    async def write(person: Account, number: int) -> None:
        own = random.Random(f"{seed}/{number}")
        through = Account(rests[number % 2], person.username, person.password, person.user, person.device,
                          person.access_token, person.refresh_token)
        sent: list[str] = []
        async with through.socket() as socket:
            for count in range(MESSAGES_PER_WRITER):
                chat, draw = own.choice(chats), own.random()
                if draw < 0.7:
                    sent.append((await socket.message(chat, f"{number}/{count}"))["id"])
                elif draw < 0.8 or not sent:
                    sent.append((await through.send(chat, f"{number}/{count}"))["id"])
                elif draw < 0.9:
                    (await through.patch(f"messages/{own.choice(sent)}", {"text": f"edited {count}"})).expect(200)
                else:
                    (await through.post(f"messages/{own.choice(sent)}/reactions", {"emoji": "\N{FIRE}"})).expect(200, 201)

    async def read(number: int) -> None:
        cursor, own = starts[number]["cursor"], random.Random(f"{seed}/reader {number}")
        last_round = False
        while True:
            answer = await rests[own.randrange(2)].get("sync", token=people[number].access_token,
                                                       params={"cursor": cursor, "limit": own.choice((20, 100, 200))})
            page = answer.expect(200).json
            for event in page["events"]:
                if event.get("chat_id") in base and "seq" in event:
                    seen[number][event["chat_id"]].append(event["seq"])
            cursor = page["cursor"]
            if not page["has_more"]:
                if last_round:
                    return
                last_round = not writing
                await asyncio.sleep(own.choice((0, 0, 0.005, 0.05)))

    readers = [asyncio.create_task(read(number)) for number in range(READERS)]
    try:
        await asyncio.gather(*(write(person, number) for number, person in enumerate(people)))
        writing = False
        await asyncio.wait_for(asyncio.gather(*readers), 60)
        heads = {chat: (await people[0].get(f"chats/{chat}"))["last_seq"] for chat in chats}
        entries = sum(heads[chat] - base[chat] for chat in chats)
        print(f"seed {seed}: {entries} entries by {WRITERS} writers in {len(pair)} processes, {READERS} readers")
        assert entries >= WRITERS * MESSAGES_PER_WRITER * 0.8
        repeated = 0
        for number in range(READERS):
            for chat in chats:
                last = base[chat]
                for seq in seen[number][chat]:
                    # A resume may repeat what is known; it must not pass over anything, not even for a moment.
                    assert seq <= last + 1, f"reader {number} went from {last} to {seq} in {chat}"
                    repeated += seq <= last
                    last = max(last, seq)
                assert last == heads[chat], f"reader {number} ended at {last} in {chat}, the head is {heads[chat]}"
        print(f"{repeated} repeated")
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*(rest.close() for rest in rests))


async def test_devices_that_move_between_processes(pair: list[Daemon], seed: int, chance: random.Random) -> None:
    """Devices reconnect at either process all the time, and the processes are killed in turn."""
    load = Load([daemon.url for daemon in pair], seed, rate=400)

    async def churn() -> None:
        for number in range(40 if LONG else 6):
            for _ in range(10):
                await asyncio.sleep(0.15)
                for device in chance.sample(load.devices, 3):
                    device.drop()
            victim = pair[number % 2]
            await asyncio.to_thread(victim.kill)
            await asyncio.sleep(chance.uniform(0, 0.5))
            await asyncio.to_thread(victim.start)

    await judge(load, pair, churn, 2.0)


async def test_a_mark_crosses_processes(pair: list[Daemon]) -> None:
    async with Rest(pair[0].url) as one, Rest(pair[1].url) as two:
        ann, bob = await a_user(one), await a_user(one)
        chat = (await a_chat(ann, bob))["id"]
        bob.rest = two
        async with ann.socket() as anns, bob.socket() as bobs:
            await anns.event("caught_up"), await bobs.event("caught_up")
            ack = await anns.message(chat, "across")
            await bobs.event("message")
            await bobs.send_frame({"type": "delivered", "data": {"chat_id": chat, "seq": ack["seq"]}})
            event = await anns.event("delivered", deadline_s=10)
            assert event["data"]["user_id"] == bob.id and event["data"]["seq"] == ack["seq"]
            (await bob.post(f"chats/{chat}/read", {"seq": ack["seq"]})).expect(200)
            event = await anns.event("read_receipt", deadline_s=10)
            assert event["data"]["user_id"] == bob.id and event["data"]["seq"] == ack["seq"]
            # What is told here and there comes no second time.
            await anns.no_event("read_receipt", for_s=2.5)


async def test_a_message_crosses_processes_and_a_revocation_too(pair: list[Daemon]) -> None:
    async with Rest(pair[0].url) as one, Rest(pair[1].url) as two:
        ann, bob = await a_user(one), await a_user(one)
        chat = (await a_chat(ann, bob))["id"]
        bob.rest = two
        async with ann.socket() as anns, bob.socket() as bobs:
            await bobs.event("caught_up")
            ack = await anns.message(chat, "across")
            event = await bobs.event("message", deadline_s=5)
            assert event["seq"] == ack["seq"]
            read = (await bob.get(f"messages/{ack['id']}")).expect(200).json
            assert read["text"] == "across", "acknowledged by one, read at once from the other"
            session = bobs.authenticated["data"]["session_id"]
            assert (await one.delete(f"auth/sessions/{session}", token=bob.access_token)).status in (200, 204)
            assert await bobs.closing(5) == 4401
