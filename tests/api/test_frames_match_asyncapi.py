"""Every frame that the daemon sends is one that docs/asyncapi.yaml describes, field by field."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import aiohttp
import pytest

from rig.client import Account, Rest, a_chat, a_user, an_id
from rig.documents import closed, document

jsonschema = pytest.importorskip("jsonschema_rs")

ASYNCAPI = closed(document("asyncapi.yaml"))
WAIT_S = 10.0


def validators() -> dict[str, list[Any]]:
    """The schemas of what the server sends by itself, by `type`."""
    found = defaultdict(list)
    for reference in ASYNCAPI["operations"]["sendFrames"]["messages"]:
        message = ASYNCAPI["components"]["messages"][reference["$ref"].rsplit("/", 1)[-1]]
        schema = {"components": ASYNCAPI["components"], **message["payload"]}
        found[message["name"]].append(jsonschema.Draft202012Validator(schema))
    return found


class RawSocket:
    """Keeps every frame as it came."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.frames: list[dict] = []
        self._refs = 0

    async def __aenter__(self) -> "RawSocket":
        self._ws = await self.account.rest.session.ws_connect(self.account.rest.url + "/ws", heartbeat=None)
        await self.until("hello")
        await self.send("authenticate", {"token": self.account.access_token})
        await self.until("caught_up")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ws.close()

    async def send(self, kind: str, data: dict | None = None) -> str:
        self._refs += 1
        await self._ws.send_json({"type": kind, "ref": str(self._refs)} | ({} if data is None else {"data": data}))
        return str(self._refs)

    async def until(self, *kinds: str) -> dict:
        """Reads on to the first frame of one of these types."""
        async with asyncio.timeout(WAIT_S):
            while True:
                message = await self._ws.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, f"{message.type} while waiting for {kinds}; {self.frames[-3:]}"
                self.frames.append(message.json())
                if self.frames[-1]["type"] in kinds:
                    return self.frames[-1]

    async def call(self, kind: str, data: dict | None = None) -> dict:
        await self.send(kind, data)
        return await self.until("ack", "error", "pong")


async def test_every_frame_is_described(rest: Rest) -> None:
    ann, bob, cat = await a_user(rest), await a_user(rest), await a_user(rest)
    chat = (await a_chat(ann, bob))["id"]
    path, members = f"chats/{chat}", f"chats/{chat}/members"
    async with RawSocket(ann) as anns, RawSocket(bob) as bobs:
        one = an_id()
        sent = await anns.call("message", {"id": one, "chat_id": chat, "type": "text", "text": "hello", "metadata": {"a": 1},
                                           "mentions": [bob.id], "expires_in_s": 3600})
        assert sent["type"] == "ack"
        await bobs.until("message")
        await anns.call("edit", {"message_id": one, "id": an_id(), "text": "hello again"})
        await bobs.until("message_edited")
        await bobs.call("reaction", {"message_id": one, "id": an_id(), "emoji": "\N{SPARKLES}", "action": "add"})
        await anns.until("reaction_added")
        await bobs.call("reaction", {"message_id": one, "id": an_id(), "emoji": "\N{SPARKLES}", "action": "remove"})
        await anns.until("reaction_removed")
        await anns.call("delete", {"message_id": one, "id": an_id(), "for": "everyone"})
        await bobs.until("message_deleted")
        (await ann.patch(path, {"title": "renamed"})).expect(200)
        await bobs.until("chat_updated")
        (await ann.post(members, {"user_ids": [cat.id]})).expect(200)
        await bobs.until("member_added")
        (await ann.patch(f"{members}/{cat.id}", {"role": "admin"})).expect(200)
        await bobs.until("member_updated")
        (await ann.delete(f"{members}/{cat.id}")).expect(204)
        await bobs.until("member_removed")
        other = (await a_chat(ann, bob))["id"]
        await bobs.until("chat_created")
        (await ann.delete(f"chats/{other}")).expect(204)
        await bobs.until("chat_deleted")
        (await ann.patch(f"{path}/settings", {"mute": True})).expect(200)
        await anns.until("settings_updated")
        other_device = await ann.another_device()
        await anns.until("device_added")
        (await ann.delete(f"users/me/devices/{other_device.device['id']}")).expect(204)
        await anns.until("device_removed")
        await anns.call("ping")
        await anns.call("message", {"id": "no id", "chat_id": chat})
        await anns.call("no_such_command", {})
        assert (await bobs.call("subscribe_presence", {"user_ids": [ann.id]}))["type"] == "ack"
        assert (await anns.call("presence", {"status": "away", "status_text": "at lunch"}))["type"] == "ack"
        await bobs.until("presence")
        await anns.send("typing", {"chat_id": chat, "state": "typing"})
        await bobs.until("typing")
        await bobs.send("delivered", {"chat_id": chat, "seq": 1})
        await anns.until("delivered")
        await bobs.send("read_receipt", {"chat_id": chat, "seq": 2})
        await anns.until("read_receipt")
        frames = anns.frames + bobs.frames
    known, wrong = validators(), []
    for frame in frames:
        candidates = known.get(frame["type"], [])
        if not any(each.is_valid(frame) for each in candidates):
            wrong.append((frame, [str(error.message) for each in candidates for error in each.iter_errors(frame)][:5]))
    assert wrong == []


async def test_every_event_of_the_sync_is_described(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    cursor = (await ann.snapshot())["cursor"]
    chat = (await a_chat(ann, bob))["id"]
    message = await bob.send(chat, "hello")
    (await bob.patch(f"messages/{message['id']}", {"text": "changed"})).expect(200)
    (await ann.post(f"messages/{message['id']}/reactions", {"emoji": "\N{SPARKLES}"})).expect(200, 201)
    (await ann.patch(f"chats/{chat}/settings", {"pin": True})).expect(200)
    await ann.another_device()
    events, _ = await ann.sync_from(cursor)
    assert {event["type"] for event in events} >= {"chat_created", "message", "message_edited", "reaction_added",
                                                   "settings_updated", "device_added"}
    known = validators()
    assert [event for event in events if not any(each.is_valid(event) for each in known[event["type"]])] == []
