"""The WebSocket: hello, authentication, commands, events, presence, typing, receipts, revocation, Origin."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from rig.client import Account, Closed, Problem, Rest, Socket, a_chat, a_user, an_id, log_in
from rig.daemon import Daemon

pytestmark = pytest.mark.core

REVOCATION_S = 2.0


async def a_pair(rest: Rest) -> tuple[Account, Account, str]:
    ann, bob = await a_user(rest), await a_user(rest)
    return ann, bob, (await a_chat(ann, bob))["id"]


async def test_hello_then_authentication_by_frame(rest: Rest) -> None:
    ann = await a_user(rest)
    async with ann.socket() as socket:
        hello = socket.hello["data"]
        assert hello["server"] and hello["version"] and hello["protocol"] == 1
        assert hello["heartbeat_s"] > 0 and isinstance(hello["limits"], dict) and hello["limits"]
        assert socket.authenticated["data"]["user_id"] == ann.id
        assert socket.authenticated["data"]["device_id"] == ann.device["id"]
        assert socket.authenticated["data"]["session_id"]
        caught_up = await socket.event("caught_up")
        assert caught_up["data"]["cursor"]


async def test_authentication_by_header(rest: Rest) -> None:
    ann = await a_user(rest)
    async with ann.socket(header_auth=True) as socket:
        assert socket.authenticated["data"]["user_id"] == ann.id


@pytest.mark.parametrize("header_auth", [True, False])
async def test_nothing_is_missed_from_authenticated_on(rest: Rest, header_auth: bool) -> None:
    """Who has no cursor and does not wait for caught_up: ten times, since it is a matter of moments."""
    ann, bob, chat = await a_pair(rest)
    for _ in range(10):
        async with bob.socket(header_auth=header_auth) as bobs:
            assert bobs.events[0]["type"] == "hello"
            sent = await ann.send(chat)
            await bobs.event("message", lambda frame: frame["seq"] == sent["seq"], deadline_s=5)


async def test_commands_before_authentication_are_refused(rest: Rest) -> None:
    ann, _, chat = await a_pair(rest)
    async with ann.socket(authenticate=False) as socket:
        with pytest.raises((Problem, Closed)) as refusal:
            await socket.message(chat)
        assert getattr(refusal.value, "status", None) == 401 or getattr(refusal.value, "code", None) == 4401
    assert await ann.whole_history(chat) == []


async def test_a_bad_token_closes_with_4401(rest: Rest) -> None:
    for token in ("garbage", "a.b.c"):
        socket = Socket(rest, None, token=token, authenticate=False)
        await socket.connect()
        await socket.send_frame({"type": "authenticate", "ref": "1", "data": {"token": token, "cursor": None}})
        assert await socket.closing() == 4401
        await socket.close()


async def test_a_bad_header_token_is_refused_before_the_upgrade_or_closes_4401(rest: Rest) -> None:
    socket = Socket(rest, None, token="garbage", header_auth=True)
    with pytest.raises((aiohttp.WSServerHandshakeError, Closed)) as refusal:
        await socket.connect()
    assert getattr(refusal.value, "status", 0) == 401 or getattr(refusal.value, "code", 0) == 4401
    await socket.close()


async def test_a_socket_that_never_authenticates_is_closed(rest: Rest) -> None:
    async with Socket(rest, None, authenticate=False) as socket:
        begun = time.monotonic()
        assert await socket.closing(deadline_s=14) == 4401
        assert 5 < time.monotonic() - begun < 13


async def test_a_message_is_acknowledged_and_reaches_the_others(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    desk = await ann.another_device()
    async with ann.socket() as phone, desk.socket() as second, bob.socket() as bobs:
        ack = await phone.message(chat, "over the wire")
        assert set(ack) == {"id", "chat_id", "seq", "created_at"}
        for other in (second, bobs):
            event = await other.event("message")
            assert event["chat_id"] == chat and event["seq"] == ack["seq"]
            assert event["data"]["text"] == "over the wire" and event["data"]["id"] == ack["id"]
            assert event["data"]["sender_id"] == ann.id and event["data"]["sender_device_id"] == ann.device["id"]
            assert event["data"]["created_at"] == ack["created_at"]
        await phone.no_event("message")
    stored = (await bob.get(f"messages/{ack['id']}")).expect(200).json
    event.pop("_at")
    assert stored == event["data"], "REST and the event say the same"


async def test_a_repeat_is_acknowledged_alike_and_delivered_once(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    async with ann.socket() as anns, bob.socket() as bobs:
        name = an_id()
        first = await anns.message(chat, "once", name)
        assert await anns.message(chat, "once", name) == first
        with pytest.raises(Problem) as refusal:
            await anns.message(chat, "twice", name)
        assert refusal.value.status == 409 and refusal.value.code == "id_reused"
        await bobs.event("message")
        await bobs.no_event("message")


async def test_edit_delete_and_reaction_by_frame(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    async with ann.socket() as anns, bob.socket() as bobs:
        sent = await anns.message(chat, "frist")
        change = an_id()
        ack = (await anns.call("edit", {"message_id": sent["id"], "text": "first", "id": change}))["data"]
        assert ack["seq"] == sent["seq"] + 1 and ack["chat_id"] == chat and ack["id"] == change
        event = await bobs.event("message_edited")
        assert event["seq"] == ack["seq"] and event["chat_id"] == chat
        assert "first" in str(event["data"]) and sent["id"] in str(event["data"])
        again = (await anns.call("edit", {"message_id": sent["id"], "text": "first", "id": change}))["data"]
        assert again == ack
        react = (await bobs.call("reaction", {"message_id": sent["id"], "emoji": "\U0001F389", "action": "add",
                                              "id": an_id()}))["data"]
        event = await anns.event("reaction_added")
        assert event["seq"] == react["seq"] == ack["seq"] + 1 and "\U0001F389" in str(event["data"])
        await bobs.call("reaction", {"message_id": sent["id"], "emoji": "\U0001F389", "action": "remove", "id": an_id()})
        await anns.event("reaction_removed")
        await anns.call("delete", {"message_id": sent["id"], "for": "everyone", "id": an_id()})
        event = await bobs.event("message_deleted")
        assert sent["id"] in str(event["data"]) and "first" not in str(event["data"])
        with pytest.raises(Problem) as refusal:
            await bobs.call("edit", {"message_id": (await anns.message(chat))["id"], "text": "x"})
        assert refusal.value.status == 403


async def test_an_ack_names_what_the_client_knows_or_what_made_it_so(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    async with ann.socket() as anns, bob.socket() as bobs:
        sent = await anns.message(chat)

        async def react(emoji: str, action: str = "add", **more: str) -> dict:
            return (await bobs.call("reaction", {"message_id": sent["id"], "emoji": emoji, "action": action} | more))["data"]

        assert await react("+", "remove") == sent, "nothing to take back: the message itself"
        first, second = await react("+", id=an_id()), await react("-", id=an_id())
        assert [first["seq"], second["seq"]] == [sent["seq"] + 1, sent["seq"] + 2]
        assert await react("+") == first and await react("-") == second, "each emoji has its own entry"
        gone = await react("-", "remove", id=an_id())
        assert await react("-", "remove") == gone
        assert await react("?", "remove") == sent

        by_id = {"id": sent["id"]}
        last = gone["seq"]
        for socket, name, data in ((bobs, "reaction", {"emoji": "!"}), (bobs, "reaction", {"emoji": "!", "action": "remove"}),
                                   (anns, "edit", {"text": "changed"}), (anns, "delete", {})):
            ack = (await socket.call(name, by_id | data))["data"]
            last += 1
            assert ack["id"] == sent["id"] and ack["seq"] == last and ack["chat_id"] == chat, (name, ack)
        again = (await anns.call("delete", by_id))["data"]
        assert again == ack, "no entry more"


async def test_what_rest_does_is_told_on_the_sockets(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    eve = await a_user(rest)
    async with ann.socket() as anns, bob.socket() as bobs, eve.socket() as eves:
        sent = await ann.send(chat, "by REST")
        assert (await bobs.event("message"))["data"]["id"] == sent["id"]
        assert (await anns.event("message"))["seq"] == sent["seq"], "no socket sent it, so every device is told"
        (await ann.post(f"chats/{chat}/members", {"user_ids": [eve.id]})).expect(200, 201)
        added = await bobs.event("member_added")
        assert eve.id in str(added["data"]) and added["seq"] == sent["seq"] + 1
        await eves.event(where=lambda frame: frame["type"] in ("chat_created", "member_added"))
        after = await ann.send(chat, "after")
        assert (await eves.event("message"))["data"]["id"] == after["id"]
        (await ann.delete(f"chats/{chat}/members/{eve.id}")).expect(200, 204)
        await eves.event("member_removed")
        await ann.send(chat, "without Eve")
        await bobs.event("message", lambda frame: frame["data"]["text"] == "without Eve")
        await eves.no_event("message")
        (await ann.patch(f"chats/{chat}", {"title": "new"})).expect(200)
        assert "new" in str((await bobs.event("chat_updated"))["data"])


async def test_a_new_chat_is_told(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    async with bob.socket() as bobs:
        await bobs.event("caught_up")
        chat = await a_chat(ann, bob)
        event = await bobs.event("chat_created")
        assert event["chat_id"] == chat["id"]
        sent = await ann.send(chat["id"])
        assert (await bobs.event("message"))["seq"] == sent["seq"]


async def test_typing_is_told_to_the_others_and_never_replayed(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    stranger = await a_user(rest)
    async with ann.socket() as anns, bob.socket() as bobs, stranger.socket() as strangers:
        cursor = (await bobs.event("caught_up"))["data"]["cursor"]
        await anns.send_frame({"type": "typing", "data": {"chat_id": chat, "state": "typing"}})
        event = await bobs.event("typing")
        assert event["data"]["chat_id"] == chat and event["data"]["user_id"] == ann.id
        assert event["data"]["state"] == "typing" and "seq" not in event
        with pytest.raises(Problem) as refusal:
            await strangers.call("typing", {"chat_id": chat, "state": "typing"})
        assert refusal.value.status == 404
        await strangers.no_event("typing")
    async with bob.socket(cursor=cursor) as later:
        await later.event("caught_up")
        assert not [frame for frame in later.events if frame["type"] == "typing"]


async def test_receipts(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    async with ann.socket() as anns, bob.socket() as bobs:
        sent = await anns.message(chat)
        await bobs.send_frame({"type": "delivered", "data": {"chat_id": chat, "seq": sent["seq"]}})
        event = await anns.event("delivered")
        assert event["data"]["user_id"] == bob.id and event["data"]["seq"] == sent["seq"]
        await bobs.send_frame({"type": "read_receipt", "data": {"chat_id": chat, "seq": sent["seq"]}})
        event = await anns.event("read_receipt")
        assert event["data"]["user_id"] == bob.id and event["data"]["seq"] == sent["seq"]
    assert (await bob.get(f"chats/{chat}"))["unread_count"] == 0


async def test_a_mark_that_moves_while_away_comes_with_the_resume(rest: Rest) -> None:
    ann, bob, chat = await a_pair(rest)
    sent = await ann.send(chat)
    async with ann.socket() as anns:
        cursor = (await anns.event("caught_up"))["data"]["cursor"]
    (await bob.post(f"chats/{chat}/read", {"seq": sent["seq"]})).expect(200, 204)
    async with ann.socket(cursor=cursor) as anns:
        event = await anns.event("read_receipt")
        assert event["data"]["user_id"] == bob.id and event["data"]["seq"] == sent["seq"]


async def test_presence_frames_have_a_budget(rest: Rest) -> None:
    ann = await a_user(rest)
    async with ann.socket() as socket:
        with pytest.raises(Problem) as refusal:
            for number in range(60):
                await socket.call("presence", {"status": "online", "status_text": str(number)})
        assert refusal.value.status == 429 and number >= 10
        await socket.call("ping")


async def test_a_large_frame_waits_for_authentication(rest: Rest) -> None:
    ann = await a_user(rest)
    large = '{"type": "ping", "ref": "large"' + " " * 20_000 + "}"
    async with ann.socket(authenticate=False) as socket:
        await socket.send_frame(large)
        assert await socket.closing() == 1009
    async with ann.socket() as socket:
        await socket.send_frame(large)
        assert (await socket.event("pong"))["ref"] == "large"


async def test_presence_comes_goes_and_is_only_for_those_who_share_a_chat(rest: Rest) -> None:
    ann, bob, _ = await a_pair(rest)
    stranger = await a_user(rest)
    async with ann.socket() as anns:
        await anns.call("subscribe_presence", {"user_ids": [bob.id, stranger.id]})
        async with bob.socket() as bobs, stranger.socket():
            event = await anns.event("presence", lambda frame: frame["data"]["user_id"] == bob.id
                                     and frame["data"]["status"] == "online")
            assert "seq" not in event
            await bobs.call("presence", {"status": "away", "status_text": "lunch"})
            event = await anns.event("presence", lambda frame: frame["data"].get("status") == "away")
            assert event["data"]["status_text"] == "lunch"
            await anns.no_event("presence", lambda frame: frame["data"]["user_id"] == stranger.id
                                and frame["data"]["status"] == "online")
        await anns.event("presence", lambda frame: frame["data"]["user_id"] == bob.id
                         and frame["data"]["status"] == "offline", deadline_s=50)


async def test_presence_is_told_to_the_device_that_asked_only(rest: Rest) -> None:
    ann, bob, cat = [await a_user(rest) for _ in range(3)]
    await a_chat(ann, bob, cat)
    desk = await ann.another_device()
    async with bob.socket() as bobs, cat.socket() as cats, ann.socket() as anns, desk.socket() as desks:
        await anns.call("subscribe_presence", {"user_ids": [bob.id]})
        await desks.call("subscribe_presence", {"user_ids": [cat.id]})
        for number in range(3):
            # What Bob says is on its way to every thread before what Cat says.
            await bobs.call("presence", {"status": "away", "status_text": f"bob {number}"})
            await cats.call("presence", {"status": "away", "status_text": f"cat {number}"})
        for socket, name in ((anns, "bob"), (desks, "cat")):
            await socket.event("presence", lambda frame: frame["data"]["status_text"] == f"{name} 2")
            await socket.no_event("presence")
            told = [frame["data"]["status_text"] for frame in socket.events if frame["type"] == "presence"]
            assert told == [f"{name} {number}" for number in range(3)]


async def test_ping(rest: Rest) -> None:
    ann = await a_user(rest)
    async with ann.socket() as socket:
        assert (await socket.call("ping"))["type"] == "pong"


@pytest.mark.parametrize("frame", [
    "", "x", "[]", "5", '"text"', "{}", '{"type": 5}', '{"type": "nonsense", "ref": "7"}', '{"type": "message", "ref": "7"}',
    '{"type": "message", "ref": "7", "data": []}', '{"type": "message", "ref": "7", "data": {"seq": 4}}', '{"type":"ping",',
    '{"type": "typing", "ref": "7", "data": {"chat_id": "x", "state": "dancing"}}', '{"type": "ping", "ref": {"a": 1}}',
    '{"type": "ping", "ref": "7", "sender_id": "x"}', "[" * 5000, '{"a":' * 2000 + "1" + "}" * 2000])
async def test_a_bad_frame_is_an_error_and_the_socket_stays(rest: Rest, frame: str) -> None:
    ann = await a_user(rest)
    async with ann.socket() as socket:
        await socket.send_frame(frame)
        event = await socket.event("error")
        assert 400 <= event["error"]["status"] < 500, event
        assert event["error"]["code"]
        assert (await socket.call("ping"))["type"] == "pong"


async def test_a_second_authentication_of_another_user_changes_nothing(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    async with ann.socket() as socket:
        with pytest.raises((Problem, Closed)):
            await socket.call("authenticate", {"token": bob.access_token, "cursor": None})


async def test_the_same_device_again_replaces_the_older_socket(rest: Rest) -> None:
    ann = await a_user(rest)
    async with ann.socket() as old, ann.socket() as new:
        assert await old.closing() == 4409
        assert (await new.call("ping"))["type"] == "pong"


@pytest.mark.parametrize("how", ["logout", "revoked", "removed_by_login_family"])
async def test_a_revoked_session_loses_its_socket(rest: Rest, how: str) -> None:
    ann = await a_user(rest)
    other = await ann.another_device()
    async with other.socket() as socket, ann.socket() as kept:
        begun = time.monotonic()
        if how == "logout":
            (await other.post("auth/logout")).expect(200, 204)
        elif how == "revoked":
            (await ann.delete(f"auth/sessions/{socket.authenticated['data']['session_id']}")).expect(200, 204)
        else:
            first = (await rest.post("auth/refresh", {"refresh_token": other.refresh_token})).expect(200).json
            (await rest.post("auth/refresh", {"refresh_token": first["refresh_token"]})).expect(200)
            (await rest.post("auth/refresh", {"refresh_token": other.refresh_token})).problem(401)
        assert await socket.closing(deadline_s=5) == 4401
        assert time.monotonic() - begun <= REVOCATION_S + 0.5
        assert (await kept.call("ping"))["type"] == "pong"


async def test_a_disabled_user_loses_sockets_and_rights(rest: Rest, server: Daemon) -> None:
    ann = await a_user(rest)
    async with ann.socket() as socket:
        begun = time.monotonic()
        done = await asyncio.to_thread(server.run, "user", "disable", ann.username, "--data-dir", str(server.data_dir))
        assert done.returncode == 0, done.stderr
        assert await socket.closing(deadline_s=5) == 4401
        assert time.monotonic() - begun <= REVOCATION_S + 1.5
    (await ann.get("users/me")).problem(401)
    (await rest.post("auth/refresh", {"refresh_token": ann.refresh_token})).problem(401)
    answer = await rest.post("auth/login", {"identifier": ann.username, "password": ann.password})
    assert answer.status in (401, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://app.example.com.evil"])
async def test_a_foreign_origin_is_refused_before_the_upgrade(rest: Rest, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with Socket(rest, None, authenticate=False, headers={"Origin": origin}):
            pass
    assert refusal.value.status == 403
    headers, plain = refusal.value.headers, (await rest.get("nowhere")).headers
    for name in ("Content-Security-Policy", "Referrer-Policy", "X-Frame-Options", "X-Content-Type-Options", "Cache-Control"):
        assert headers[name] == plain[name], name
    assert headers["Date"] and headers["X-Request-Id"]


async def test_no_token_in_the_query(rest: Rest) -> None:
    ann = await a_user(rest)
    url = f"{rest.url}/ws?token={ann.access_token}"
    async with rest.session.ws_connect(url) as socket:
        hello = await socket.receive_json()
        assert hello["type"] == "hello"
        await socket.send_json({"type": "typing", "ref": "1", "data": {"chat_id": an_id(), "state": "typing"}})
        answer = await asyncio.wait_for(socket.receive(), 5)
        assert answer.type is not aiohttp.WSMsgType.TEXT or answer.json()["type"] == "error"


async def test_a_device_of_two_logins_is_two_devices(rest: Rest) -> None:
    ann = await a_user(rest)
    again = await log_in(rest, ann.username, device={"name": "x", "platform": "web"})
    async with ann.socket() as one, again.socket() as two:
        assert one.authenticated["data"]["device_id"] != two.authenticated["data"]["device_id"]
        assert (await one.call("ping"))["type"] == "pong"
