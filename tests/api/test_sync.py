"""Snapshot and continuation, resume over the WebSocket: nothing missing, nothing twice after the client rule."""

from __future__ import annotations

import asyncio

import pytest

from rig.client import Account, Rest, a_chat, a_user, an_id
from rig.postgres import PostgresCluster

pytestmark = pytest.mark.core


async def a_pair(rest: Rest) -> tuple[Account, Account, str]:
    ann, bob = await a_user(rest), await a_user(rest)
    return ann, bob, (await a_chat(ann, bob))["id"]


def by_seq(events: list[dict], chat: str) -> dict[int, str]:
    return {event["seq"]: event["type"] for event in events if event.get("chat_id") == chat and "seq" in event}


async def test_a_snapshot_has_the_chats_and_continues_without_a_gap(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    sent = await ann.send(chat, "before")
    snapshot = await bob.snapshot()
    entry = snapshot["chats"][chat]
    assert entry["last_seq"] == sent["seq"] and entry["last_message"]["text"] == "before"
    assert entry["unread_count"] == 1 and entry["read_seq"] < sent["seq"]
    after = [await ann.send(chat, str(number)) for number in range(5)]
    await ann.patch(f"messages/{sent['id']}", {"text": "edited"})
    events, cursor = await bob.sync_from(snapshot["cursor"])
    found = by_seq(events, chat)
    assert [found[message["seq"]] for message in after] == ["message"] * 5
    assert found[after[-1]["seq"] + 1] == "message_edited"
    assert (await bob.sync_from(cursor))[0] == [] or all(
        event.get("seq", 0) <= after[-1]["seq"] + 1 for event in (await bob.sync_from(cursor))[0])


async def test_continuation_in_small_pages_is_dense_and_in_order(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    snapshot = await bob.snapshot()
    base = snapshot["chats"][chat]["last_seq"]
    for number in range(30):
        await ann.send(chat, str(number))
    events, _ = await bob.sync_from(snapshot["cursor"], limit=7)
    seqs = [event["seq"] for event in events if event.get("chat_id") == chat]
    assert seqs == sorted(seqs) and sorted(set(seqs)) == list(range(base + 1, base + 31))


async def test_a_chat_joined_after_the_snapshot_is_in_the_continuation(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    cursor = (await bob.snapshot())["cursor"]
    chat = (await a_chat(ann, bob))["id"]
    sent = await ann.send(chat)
    events, _ = await bob.sync_from(cursor)
    found = by_seq(events, chat)
    assert found[sent["seq"]] == "message" and "chat_created" in found.values()


async def test_a_member_added_later_syncs_from_the_join(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    eve = await a_user(rest)
    cursor = (await eve.snapshot())["cursor"]
    hidden = await ann.send(chat, "hidden")
    await ann.post(f"chats/{chat}/members", {"user_ids": [eve.id]})
    seen = await ann.send(chat, "seen")
    events, _ = await eve.sync_from(cursor)
    found = by_seq(events, chat)
    assert found[seen["seq"]] == "message" and hidden["seq"] not in found
    assert "hidden" not in str(events)


async def test_what_somebody_hid_comes_back_to_the_others_alone(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    cursor = (await bob.snapshot())["cursor"]
    first, hidden, last = [await ann.send(chat, text) for text in ("first", "not for bob", "last")]
    edit = (await ann.patch(f"messages/{hidden['id']}", {"text": "nor this for bob"})).expect(200)
    assert edit["text"] == "nor this for bob"
    assert (await bob.get(f"chats/{chat}"))["unread_count"] == 3
    (await bob.delete(f"messages/{hidden['id']}", params={"for": "me"})).expect(204)
    assert (await bob.get(f"chats/{chat}"))["unread_count"] == 2
    assert (await bob.snapshot())["chats"][chat]["unread_count"] == 2
    dense = list(range(first["seq"], last["seq"] + 2))  # and the edit

    def check(events: list[dict], whole: bool) -> None:
        found = {event["seq"]: event["data"] for event in events if event.get("chat_id") == chat and "seq" in event}
        assert sorted(found) == dense
        gone = found[hidden["seq"]]
        assert found[first["seq"]]["text"] == "first" and found[first["seq"]]["deleted_at"] is None
        assert (gone["id"], gone["sender_id"]) == (hidden["id"], ann.id)
        assert (gone["text"] is not None) is whole and (gone["deleted_at"] is None) is whole
        assert found[dense[-1]]["text"] == ("nor this for bob" if whole else None)

    check((await bob.sync_from(cursor))[0], whole=False)
    check((await bob.sync_from(cursor, limit=1))[0], whole=False)
    check((await ann.sync_from(cursor))[0], whole=True)
    for who, whole in ((bob, False), (ann, True)):
        async with who.socket(cursor=cursor) as socket:
            await socket.event("caught_up")
            check(socket.events, whole)


async def test_a_removed_member_syncs_nothing_after(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    cursor = (await bob.snapshot())["cursor"]
    before = await ann.send(chat, "before")
    await ann.delete(f"chats/{chat}/members/{bob.id}")
    after = await ann.send(chat, "after the removal")
    events, cursor = await bob.sync_from(cursor)
    found = by_seq(events, chat)
    assert after["seq"] not in found and "after the removal" not in str(events)
    assert "member_removed" in found.values() or before["seq"] not in found
    assert chat not in (await bob.snapshot())["chats"]


async def test_who_was_removed_and_added_again_while_away_begins_at_the_new_join(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    async with bob.socket() as bobs:
        cursor = (await bobs.event("caught_up"))["data"]["cursor"]
    await ann.send(chat, "before")
    (await ann.delete(f"chats/{chat}/members/{bob.id}")).expect(204)
    await ann.send(chat, "not for him")
    (await ann.post(f"chats/{chat}/members", {"user_ids": [bob.id]})).expect(200)
    after = await ann.send(chat, "after")
    async with bob.socket(cursor=cursor) as bobs:
        caught_up = await bobs.event("caught_up")
        resumed = bobs.events[:bobs.events.index(caught_up)]
    synced, _ = await bob.sync_from(cursor)
    for events in (resumed, synced):
        assert by_seq(events, chat) == {after["seq"] - 1: "member_added", after["seq"]: "message"}
        added = next(event for event in events if event.get("seq") == after["seq"] - 1)
        assert added["data"]["user_ids"] == [bob.id]
    assert [message["seq"] for message in await bob.whole_history(chat)] == [after["seq"]]


async def test_resume_over_the_socket(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    async with bob.socket() as bobs:
        cursor = (await bobs.event("caught_up"))["data"]["cursor"]
    missed = [await ann.send(chat, str(number)) for number in range(10)]
    async with bob.socket(cursor=cursor) as bobs:
        caught_up = await bobs.event("caught_up")
        at = bobs.events.index(caught_up)
        got = [event["seq"] for event in bobs.events[:at] if event["type"] == "message"]
        assert sorted(set(got)) == [message["seq"] for message in missed] and got == sorted(got)
        live = await ann.send(chat, "live")
        assert (await bobs.event("message"))["seq"] == live["seq"]
        later = caught_up["data"]["cursor"]
    async with bob.socket(cursor=later) as bobs:
        await bobs.event("caught_up")
        seqs = {event["seq"] for event in bobs.events if event["type"] == "message"}
        assert live["seq"] in seqs


async def test_resume_after_the_header(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    cursor = (await bob.snapshot())["cursor"]
    sent = await ann.send(chat)
    async with bob.socket(header_auth=True) as bobs:
        await bobs.send_frame({"type": "resume", "ref": "r", "data": {"cursor": cursor}})
        assert (await bobs.event("message"))["seq"] == sent["seq"]
        await bobs.event("caught_up")
        kinds = [frame["type"] for frame in bobs.events]
        assert kinds.index("caught_up") > kinds.index("message"), "caught_up waits for the resume"


async def test_resume_while_writers_write(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    cursor = (await bob.snapshot())["cursor"]
    base = (await bob.get(f"chats/{chat}"))["last_seq"]
    total = 200

    async def write() -> None:
        async with ann.socket() as anns:
            for start in range(0, total, 20):
                await asyncio.gather(*(anns.message(chat, str(start + number)) for number in range(20)))

    writing = asyncio.create_task(write())
    seen: list[int] = []
    while base + total not in seen:
        async with bob.socket(cursor=cursor) as bobs:
            event = await bobs.event("caught_up")
            await bobs.call("ping")  # the session ends in the middle of what is being written
            seen += [each["seq"] for each in bobs.events if each["type"] == "message"]
            cursor = event["data"]["cursor"]
    await writing
    assert set(range(base + 1, base + total + 1)) <= set(seen)


async def test_a_cursor_frame_comes_while_live(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    async with bob.socket() as bobs:
        await bobs.event("caught_up")
        await ann.send(chat)
        await bobs.event("message")
        cursor = (await bobs.event("cursor", deadline_s=35))["data"]["cursor"]
    later = await ann.send(chat)
    events, _ = await bob.sync_from(cursor)
    assert later["seq"] in by_seq(events, chat)


async def expect_a_resync(rest: Rest, ann: Account, bob: Account, chat: str, cursor: str) -> None:
    """The cursor is refused everywhere; a snapshot and a resume on the same socket get over it."""
    (await bob.get("sync", params={"cursor": cursor})).problem(410, "cursor_expired")
    async with bob.socket(cursor=cursor) as bobs:
        await bobs.event("resync_required")
        live = await ann.send(chat, "meanwhile")
        assert (await bobs.event("message"))["seq"] == live["seq"]
        await bobs.no_event("caught_up", for_s=1.5)
        assert not [each for each in bobs.events if each["type"] in ("caught_up", "cursor")]
        fresh = (await bob.snapshot())["cursor"]
        missed = await ann.send(chat, "after the snapshot")
        await bobs.send_frame({"type": "resume", "ref": "r", "data": {"cursor": fresh}})
        newer = (await bobs.event("caught_up"))["data"]["cursor"]
        assert missed["seq"] in {each["seq"] for each in bobs.events if each["type"] == "message"}
        live = await ann.send(chat, "live")
        await bobs.event("message", lambda each: each["seq"] == live["seq"])
    assert live["seq"] in by_seq((await bob.sync_from(newer))[0], chat)


async def test_an_old_cursor_is_refused(spawn, postgres: PostgresCluster) -> None:
    url = postgres.new_database()
    database = postgres.database_of(url)
    daemon = spawn(database_url=url, name="old").start()
    async with Rest(daemon.url) as rest:
        ann, bob, chat = await a_pair(rest)
        cursor = (await bob.snapshot())["cursor"]
        await ann.send(chat)
        postgres.sql("insert into stream_marks (at, w) values (now() - interval '1 year', "
                     "pg_snapshot_xmin(pg_current_snapshot()))", database)
        postgres.sql("update job_schedules set next_run_at = now() where name = 'chatlog.expire_cursors'", database)
        deadline = asyncio.get_running_loop().time() + 30
        while postgres.sql("select horizon from stream_state where horizon > '0'", database) == []:
            assert asyncio.get_running_loop().time() < deadline, "the job did not run"
            await asyncio.sleep(0.2)
        await expect_a_resync(rest, ann, bob, chat, cursor)


async def test_a_cursor_of_another_server_is_refused(spawn, postgres: PostgresCluster) -> None:
    url = postgres.new_database()
    database = postgres.database_of(url)
    daemon = spawn(database_url=url, name="moved").start()
    async with Rest(daemon.url) as rest:
        ann, bob, chat = await a_pair(rest)
        cursor = (await bob.snapshot())["cursor"]
        await asyncio.to_thread(daemon.restart)
        assert (await bob.get("sync", params={"cursor": cursor})).status == 200, "the same server"
        postgres.sql("update stream_state set origin = '1/00000001'", database)
        await asyncio.to_thread(daemon.restart)
        await expect_a_resync(rest, ann, bob, chat, cursor)
        assert "stream_epoch_changed" in daemon.log_text()


async def test_foreign_and_garbage_cursors(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    await ann.send(chat, "between us")
    eve = await a_user(rest)
    for cursor in ("garbage", "0", "", "x" * 5000, "1:2:3", an_id(), "'; drop table users; --"):
        answer = await eve.get("sync", params={"cursor": cursor})
        assert answer.status in (200, 400, 410), (cursor, answer.status)
        if answer.status == 200:
            assert cursor == ""
        async with eve.socket(authenticate=False) as socket:
            await socket.send_frame({"type": "authenticate", "ref": "1", "data": {"token": eve.access_token,
                                                                                 "cursor": cursor}})
            frame = await socket.event(where=lambda each: each["type"] in ("resync_required", "error", "caught_up"))
            assert frame["type"] != "caught_up" or cursor == ""
    cursor = (await ann.snapshot())["cursor"]
    await ann.send(chat, "secret of ann")
    answer = await eve.get("sync", params={"cursor": cursor})
    assert "secret of ann" not in answer.body.decode()


async def test_the_authors_second_device_catches_up_on_own_messages(rest: Rest) -> None:
    ann, _, chat = await a_pair(rest)
    desk = await ann.another_device()
    cursor = (await desk.snapshot())["cursor"]
    sent = await ann.send(chat, "mine")
    async with desk.socket(cursor=cursor) as socket:
        assert (await socket.event("message"))["seq"] == sent["seq"]
