"""The user's own log: devices that come and go and own settings of chats, told to all of the user's sockets, in a resume
and in /sync, in the order of user_seq and with none left out."""

from __future__ import annotations

import asyncio

import pytest

from rig.client import Problem, Rest, Socket, a_chat, a_user, an_id, log_in
from rig.daemon import shared_secret
from rig.postgres import PostgresCluster

pytestmark = pytest.mark.core

WRITERS = 4
ROUNDS = 15
# Of each log: the places that are missing before the head, and the neighbours whose transactions are the wrong way round.
DISORDER = """
    select h.user_id, h.last_seq, count(e.seq), count(*) filter (where e.xid <= e.before) from user_heads h
    left join (select user_id, seq, xid, lag(xid) over (partition by user_id order by seq) as before from user_events) e
    on e.user_id = h.user_id group by h.user_id, h.last_seq
    having h.last_seq <> count(e.seq) or count(*) filter (where e.xid <= e.before) > 0"""


def own(events: list[dict]) -> list[dict]:
    return [event for event in events if "user_seq" in event]


def since(events: list[dict], last: int) -> list[dict]:
    """What is new to a client that has the log up to `last`: an answer may repeat what is known, but nothing twice in it."""
    seqs = [event["user_seq"] for event in own(events)]
    assert seqs == sorted(set(seqs)), seqs
    return [event for event in own(events) if event["user_seq"] > last]


def seqs_since(events: list[dict], last: int) -> list[int]:
    return [event["user_seq"] for event in since(events, last)]


def kinds_since(events: list[dict], last: int) -> list[str]:
    return [event["type"] for event in since(events, last)]


async def own_event(socket: Socket) -> dict:
    return await socket.event(where=lambda event: "user_seq" in event)


async def test_all_sockets_of_the_user_hear_of_devices_and_settings(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    chat = (await a_chat(ann, bob))["id"]
    async with ann.socket() as first, bob.socket() as bobs:
        await first.event("caught_up"), await bobs.event("caught_up")
        tablet = await ann.another_device("tablet")
        added = await own_event(first)
        listed = (await ann.get("users/me/devices")).expect(200).json["items"]
        assert added["type"] == "device_added" and added["user_seq"] == 2 and set(added) == {"type", "user_seq", "data", "_at"}
        assert added["data"] == {"device": next(each for each in listed if each["id"] == tablet.device["id"])}
        async with tablet.socket() as second:
            await second.event("caught_up")
            (await ann.patch(f"chats/{chat}/settings", {"mute": True})).expect(200)
            for socket in (first, second):
                updated = await own_event(socket)
                assert updated["type"] == "settings_updated" and updated["user_seq"] == 3
                assert updated["data"] == {"chat_id": chat, "settings": (await ann.get(f"chats/{chat}/settings")).json}
            (await ann.delete(f"users/me/devices/{tablet.device['id']}")).expect(204)
            removed = await own_event(first)
            assert removed["type"] == "device_removed" and removed["user_seq"] == 4
            assert removed["data"] == {"device_id": tablet.device["id"]}
            assert await second.closing() == 4401
        await ann.send(chat, "behind it all")
        await bobs.event("message")
        assert own(bobs.events) == [], "it is nobody else's business"
    assert since((await bob.sync_from((await bob.snapshot())["cursor"]))[0], 1) == []


async def test_what_changes_nothing_is_no_event(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    chat = (await a_chat(ann, bob))["id"]
    cursor = (await ann.snapshot())["cursor"]
    path = f"chats/{chat}/settings"
    for change in ({}, {"mute": False}, {"pin": True}, {"pin": True}, {"pin": True, "archive": False}, {"pin": False}):
        (await ann.patch(path, change)).expect(200)
    ann = await log_in(rest, ann.username, device={"id": ann.device["id"], "name": "renamed", "platform": "desktop"})
    (await ann.delete(f"users/me/devices/{an_id()}")).problem(404)
    (await bob.patch(f"chats/{an_id()}/settings", {"mute": True})).problem(404)
    events, _ = await (await log_in(rest, ann.username)).sync_from(cursor)
    assert [event["data"].get("settings", {}).get("pin") for event in since(events, 1)] == [True, False, None]
    assert kinds_since(events, 1) == ["settings_updated", "settings_updated", "device_added"]


async def test_a_resume_and_the_sync_bring_what_was_missed_once(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    chats = [(await a_chat(ann, bob, id=an_id()))["id"] for _ in range(6)]
    snapshot = (await ann.snapshot())["cursor"]
    async with ann.socket() as socket:
        cursor = (await socket.event("caught_up"))["data"]["cursor"]
    tablet = await ann.another_device()
    for chat in chats:
        (await ann.patch(f"chats/{chat}/settings", {"pin": True})).expect(200)
        await bob.send(chat, "between")
    (await ann.delete(f"users/me/devices/{tablet.device['id']}")).expect(204)
    wanted = list(range(2, 2 + len(chats) + 2))

    async with ann.socket(cursor=cursor) as socket:
        later = (await socket.event("caught_up"))["data"]["cursor"]
        assert seqs_since(socket.events, 1) == wanted
        assert kinds_since(socket.events, 1) == ["device_added"] + ["settings_updated"] * len(chats) + ["device_removed"]
        (await ann.patch(f"chats/{chats[0]}/settings", {"pin": False})).expect(200)
        live = await socket.event(where=lambda event: event.get("user_seq", 0) > wanted[-1])
        assert live["user_seq"] == wanted[-1] + 1
        await socket.no_event("settings_updated", for_s=1.5)
    async with ann.socket(cursor=later) as socket:
        await socket.event("caught_up")
        assert seqs_since(socket.events, wanted[-1]) == [wanted[-1] + 1]

    for limit in (1, 3, None):
        events, after = await ann.sync_from(snapshot, limit=limit)
        assert seqs_since(events, 1) == [*wanted, wanted[-1] + 1], limit
        assert {event["chat_id"] for event in events if event["type"] == "message"} == set(chats)
        assert since((await ann.sync_from(after))[0], wanted[-1] + 1) == []


async def test_a_sign_in_past_the_limit_tells_which_device_went(rest: Rest) -> None:
    ann = await a_user(rest)

    async def devices() -> set[str]:
        return {each["id"] for each in (await newest.get("users/me/devices", params={"limit": 200})).expect(200).json["items"]}

    limit = (await rest.get("server")).expect(200).json["limits"]["devices"]
    for _ in range(limit - 2):
        await ann.another_device()
    newest = await ann.another_device()
    before, cursor = await devices(), (await newest.snapshot())["cursor"]
    assert len(before) == limit
    last = await newest.another_device()
    gone = before - await devices()
    assert gone == {ann.device["id"]}
    events = since((await newest.sync_from(cursor))[0], limit)
    assert [event["user_seq"] for event in events] == [limit + 1, limit + 2]
    assert events[0]["data"]["device"]["id"] == last.device["id"]
    assert (events[1]["type"], events[1]["data"]) == ("device_removed", {"device_id": ann.device["id"]})


async def test_the_own_log_is_no_chat(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    async with ann.socket() as socket:
        await socket.event("caught_up")
        for kind, data in (("typing", {"state": "typing"}), ("read_receipt", {"seq": 1}), ("delivered", {"seq": 1})):
            with pytest.raises(Problem) as refused:
                await socket.call(kind, {"chat_id": ann.id} | data)
            assert refused.value.status == 404
        with pytest.raises(Problem):
            await socket.message(ann.id, "to myself")
    (await ann.get(f"messages/chat/{ann.id}")).problem(404)
    (await ann.get(f"chats/{ann.id}")).problem(404)
    for user in (ann, bob):
        (await ann.post("chats", {"id": user.id, "type": "group", "title": "taken", "member_ids": [bob.id]})).problem(
            409, "id_reused")
        (await ann.post("chats", {"id": user.id, "type": "direct", "member_ids": [bob.id]})).problem(409, "id_reused")


async def test_changes_at_the_same_time_leave_no_gap(spawn, postgres: PostgresCluster) -> None:
    """Sign-ins, removals and settings of one user through two processes, while a reader pages through the log and sockets
    listen: dense everywhere, and the order of the transactions is the order of the log."""
    url, shared = postgres.new_database(), {"JWT_SECRET": shared_secret()}
    pair = [spawn(database_url=url, name=name, settings=shared).start() for name in ("a", "b")]
    async with Rest(pair[0].url) as one, Rest(pair[1].url) as two:
        ann, bob = await a_user(one), await a_user(one)
        chats = [(await a_chat(ann, bob, id=an_id()))["id"] for _ in range(WRITERS)]
        start, seen, writing = (await ann.snapshot())["cursor"], [], True

        async def change_settings(number: int) -> None:
            rest = (one, two)[number % 2]
            for count in range(ROUNDS):
                (await rest.patch(f"chats/{chats[number]}/settings", {"pin": count % 2 == 0}, token=ann.access_token)).expect(200)

        async def come_and_go(number: int) -> None:
            rest = (one, two)[number % 2]
            for _ in range(ROUNDS):
                device = await log_in(rest, ann.username)
                (await rest.delete(f"users/me/devices/{device.device['id']}", token=ann.access_token)).expect(204)

        async def read() -> None:
            cursor, last_round = start, False
            while True:
                page = (await (one, two)[len(seen) % 2].get("sync", token=ann.access_token, params={
                    "cursor": cursor, "limit": 1 + len(seen) % 5})).expect(200).json
                seen.extend(event["user_seq"] for event in own(page["events"]))
                cursor = page["cursor"]
                if not page["has_more"]:
                    if last_round:
                        return
                    last_round = not writing

        head = 1 + WRITERS * ROUNDS * 3
        async with ann.socket(cursor=start) as here, ann.socket(url=two.url, token=(await log_in(one, ann.username)).access_token,
                                                                cursor=start) as there:
            reading = asyncio.create_task(read())
            await asyncio.gather(*(work(number) for number in range(WRITERS) for work in (change_settings, come_and_go)))
            writing = False
            await asyncio.wait_for(reading, 60)
            for socket in (here, there):
                await socket.event(where=lambda event: event.get("user_seq") == head + 1, deadline_s=20)
                assert seqs_since(socket.events, 1) == list(range(2, head + 2))
        last = 1
        for seq in seen:  # a page may repeat what is known; it must not pass over anything, not even for a moment
            assert seq <= last + 1, f"from {last} to {seq}"
            last = max(last, seq)
        assert last == head + 1
    assert postgres.sql(DISORDER, postgres.database_of(url)) == []
    assert postgres.sql("select count(*) from user_events", postgres.database_of(url)) == [[str(head + 2)]]
