"""A messenger in one Python process, just enough of the wire contract to carry the load harness, with faults on
demand: it tests the rig end to end before the rig tests the daemon."""

from __future__ import annotations

import itertools
import random
import uuid
from collections import defaultdict

from aiohttp import web

NOW = "2026-01-01T00:00:00.000Z"


class InMemoryMessenger:
    """`fault` plants one: lose, double, phantom, refuse_but_keep, gap, leak, forget_reader, or none."""

    def __init__(self, fault: str = "", seed: int = 1, every: int = 97) -> None:
        self.fault, self.every, self.chance = fault, every, random.Random(seed)
        self.users: dict[str, dict] = {}
        self.tokens: dict[str, str] = {}
        self.members: dict[str, list[str]] = {}
        self.logs: dict[str, list[dict]] = defaultdict(list)
        self.positions: dict[str, tuple[str, int]] = {}
        self.stream: list[tuple[str, dict]] = []
        self.sockets: dict[web.WebSocketResponse, str] = {}
        self.count = itertools.count(1)
        self.planted = 0
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "InMemoryMessenger":
        app = web.Application()
        app.add_routes([
            web.post("/api/v1/auth/register", self.register), web.post("/api/v1/chats", self.make_chat),
            web.get("/api/v1/chats/{id}", self.get_chat), web.get("/api/v1/sync", self.sync),
            web.get("/api/v1/messages/chat/{id}", self.history), web.get("/ws", self.socket)])
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # noqa: SLF001
        return self

    async def __aexit__(self, *_: object) -> None:
        for socket in list(self.sockets):
            await socket.close()
        await self._runner.cleanup()

    def caller(self, request: web.Request) -> str:
        return self.tokens[request.headers["Authorization"].split()[1]]

    def faulty(self, kind: str) -> bool:
        if self.fault == kind and next(self.count) % self.every == 0:
            self.planted += 1
            return True
        return False

    async def register(self, request: web.Request) -> web.Response:
        body = await request.json()
        user, token = {"id": str(uuid.uuid4()), "username": body["username"]}, uuid.uuid4().hex
        self.users[user["id"]], self.tokens[token] = user, user["id"]
        return web.json_response({"user": user, "device": {"id": str(uuid.uuid4())}, "access_token": token,
                                  "refresh_token": token}, status=201)

    async def make_chat(self, request: web.Request) -> web.Response:
        body, chat = await request.json(), str(uuid.uuid4())
        self.members[chat] = [self.caller(request), *body["member_ids"]]
        await self.append(chat, None, {"type": "chat_created", "data": {}}, None)
        return web.json_response(self.chat(chat), status=201)

    def chat(self, chat: str) -> dict:
        return {"id": chat, "last_seq": self.logs[chat][-1]["seq"] if self.logs[chat] else 0}

    async def get_chat(self, request: web.Request) -> web.Response:
        return web.json_response(self.chat(request.match_info["id"]))

    async def history(self, request: web.Request) -> web.Response:
        after, limit = int(request.query.get("after_seq", 0)), int(request.query.get("limit", 50))
        items = [entry["data"] | {"seq": entry["seq"]} for entry in self.logs[request.match_info["id"]]
                 if entry["type"] == "message" and entry["seq"] > after]
        return web.json_response({"items": items[:limit], "has_more": len(items) > limit})

    async def sync(self, request: web.Request) -> web.Response:
        user = self.caller(request)
        return web.json_response({"cursor": str(len(self.stream)), "has_more": False, "events": [],
                                  "chats": [self.chat(chat) for chat, people in self.members.items() if user in people]})

    async def append(self, chat: str, name: str | None, entry: dict, by: web.WebSocketResponse | None) -> int:
        """Stores, then tells: the order of everything is that of the calls."""
        seq = self.chat(chat)["last_seq"] + 1
        if self.faulty("gap"):
            seq += 1
        entry = entry | {"chat_id": chat, "seq": seq}
        if not (name and self.faulty("lose")):
            self.logs[chat].append(entry)
        if name:
            self.positions[name] = (chat, seq)
        self.stream.append((chat, entry))
        for socket, user in list(self.sockets.items()):
            if socket is not by and (user in self.members[chat] or self.faulty("leak")):
                if not self.faulty("forget_reader"):
                    await self.tell(socket, entry)
        if name and self.faulty("double"):
            await self.append(chat, None, {"type": "message", "data": entry["data"]}, None)
        if name and self.faulty("phantom"):
            await self.append(chat, None, {"type": "message", "data": entry["data"] | {"id": str(uuid.uuid4())}}, None)
        return seq

    async def tell(self, socket: web.WebSocketResponse, frame: dict) -> None:
        try:
            if not socket.closed:
                await socket.send_json(frame)
        except ConnectionError:
            pass

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "data": {}})
        user = ""
        try:
            async for message in socket:
                frame = message.json()
                data = frame.get("data") or {}
                if frame["type"] == "authenticate":
                    user = self.tokens[data["token"]]
                    await socket.send_json({"type": "authenticated", "ref": frame["ref"], "data": {"user_id": user}})
                    start = int(data["cursor"]) if data["cursor"] is not None else len(self.stream)
                    while start < len(self.stream):
                        chat, entry = self.stream[start]
                        start += 1
                        if user in self.members[chat]:
                            await self.tell(socket, entry)
                    self.sockets[socket] = user
                    await socket.send_json({"type": "caught_up", "data": {"cursor": str(len(self.stream))}})
                else:
                    await self.command(socket, user, frame, data)
        finally:
            self.sockets.pop(socket, None)
        return socket

    async def command(self, socket: web.WebSocketResponse, user: str, frame: dict, data: dict) -> None:
        name = data["id"]
        if name in self.positions:
            chat, seq = self.positions[name]
        elif frame["type"] == "message":
            chat = data["chat_id"]
            entry = {"type": "message", "data": {"id": name, "text": data["text"], "sender_id": user}}
            if self.faulty("refuse_but_keep"):
                await self.append(chat, name, entry, socket)
                await self.tell(socket, {"type": "error", "ref": frame["ref"], "error": {"status": 422, "code": "invalid"}})
                return
            seq = await self.append(chat, name, entry, socket)
        else:
            chat = self.positions[data["message_id"]][0]
            if frame["type"] == "edit":
                for entry in self.logs[chat]:
                    if entry["type"] == "message" and entry["data"]["id"] == data["message_id"]:
                        entry["data"]["text"] = data["text"]
            seq = await self.append(chat, None, {"type": "message_edited" if frame["type"] == "edit" else "reaction_added",
                                                 "data": {}}, socket)
            self.positions[name] = (chat, seq)
        await self.tell(socket, {"type": "ack", "ref": frame["ref"], "data": {
            "id": name, "chat_id": chat, "seq": seq, "created_at": NOW}})
