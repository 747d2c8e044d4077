"""One message at a time, sent by hand at a daemon of the test's choice and noted in the history of a load."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

import aiohttp

from rig.client import Account, Closed, Problem, Rest, Socket
from rig.history import Edit, digest
from rig.load import Load


@dataclass
class Answer:
    """`body` None: it was not acknowledged, and `code` says why."""

    body: dict | None
    status: int
    code: str
    at: float


class Hand:
    """Somebody of the load on a device of their own at each daemon."""

    def __init__(self, load: Load, user: str) -> None:
        self.load = load
        self.user = user
        self._devices: dict[str, Account] = {}
        self._sockets: dict[str, Socket] = {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Hand":
        for node in self.load.nodes:
            account = await self.load.accounts[self.user].another_device(f"by hand at {node}")
            account.rest = await self._stack.enter_async_context(Rest(node))
            self._devices[node] = account
            self._sockets[node] = await self._stack.enter_async_context(account.socket())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def chats(self) -> list[str]:
        return [chat for chat in self.load.chat_ids if self.user in self.load.history.members[chat]]

    async def send(self, node: str, chat: str, message_id: str, text: str, *, by_rest: bool, deadline_s: float = 30) -> Answer:
        """A 4xx fails the test: nothing that is sent here may be refused."""
        history = self.load.history
        history.invoke(message_id, chat, self.user, f"by hand of {self.user}", text, time.monotonic())
        data = {"id": message_id, "chat_id": chat, "type": "text", "text": text}
        answer = await (self._post(node, data, deadline_s) if by_rest else self._call(node, "message", data, deadline_s))
        if answer.body is not None:
            history.ok(message_id, answer.body["seq"], answer.at)
        else:
            assert not 400 <= answer.status < 500, answer
            history.unknown(message_id)
        return answer

    async def edit(self, node: str, chat: str, message_id: str, change_id: str, text: str) -> Answer:
        noted = self.load.history.edits.setdefault(change_id, Edit(change_id, message_id, chat, digest(text)))
        answer = await self._call(node, "edit", {"id": change_id, "message_id": message_id, "text": text}, 30)
        if answer.body is not None:
            noted.seq = answer.body["seq"]
        return answer

    async def _post(self, node: str, data: dict, deadline_s: float) -> Answer:
        try:
            reply = await asyncio.wait_for(self._devices[node].post("messages", data), deadline_s)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Answer(None, 0, type(error).__name__, time.monotonic())
        if reply.status in (200, 201):
            return Answer(reply.json, reply.status, "", time.monotonic())
        return Answer(None, reply.status, reply.json["code"], time.monotonic())

    async def _call(self, node: str, kind: str, data: dict, deadline_s: float) -> Answer:
        try:
            ack = await self._sockets[node].call(kind, data, deadline_s)
        except Problem as problem:
            return Answer(None, problem.status or 0, problem.code or "", time.monotonic())
        except (Closed, OSError, TimeoutError) as error:
            return Answer(None, 0, type(error).__name__, time.monotonic())
        return Answer(ack["data"], 200, "", time.monotonic())
