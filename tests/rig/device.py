"""A device as a careful client would be written: comes back when it is told to, stores its cursor, applies each chat by
sequence number, fills gaps from the history, and sends again with the same id until it knows what became of a message."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

import aiohttp
import orjson

from rig.client import API, Account, an_id, log_in
from rig.history import Edit, Entry, History, digest

GAP_PATIENCE_S = 1.0
ANSWER_PATIENCE_S = 15.0
RECONNECT_S = (0.05, 0.4)
VANISHED_KEPT = 20
RESTARTING = 1012
DURABLE_KINDS = frozenset({
    "message", "message_edited", "message_deleted", "reaction_added", "reaction_removed", "message_pinned",
    "message_unpinned", "chat_created", "chat_updated", "chat_deleted", "member_added", "member_removed",
    "member_updated",
})


@dataclass(slots=True)
class Pending:
    """A command whose outcome is not known yet."""

    frame: bytes
    chat_id: str
    text: str
    kind: str
    sent_at: float = 0.0
    in_flight: bool = False
    maybe_stored: bool = False
    retry_at: float = 0.0
    refusal: str = ""


class Device:
    """One device of one user. `nodes` are the daemons it may connect to, taken at random."""

    def __init__(self, account: Account, history: History, name: str, nodes: list[str], chance: random.Random) -> None:
        self.account = account
        self.history = history
        self.name = name
        self.nodes = nodes
        self.node = ""
        self.chance = chance
        self.cursor: str | None = None
        self.last: dict[str, int] = {}
        self.pending: dict[str, Pending] = {}
        self.waiting: dict[str, dict[int, Entry]] = defaultdict(dict)
        self.waiting_since: dict[str, float] = {}
        self.connections = 0
        self.gaps_filled = 0
        self.resyncs = 0
        self.caught_up = asyncio.Event()
        self.latencies: list[float] = []
        self._writes: set[asyncio.Future] = set()
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task | None = None
        self._tend: asyncio.Task | None = None
        self._stopping = False
        self.closes: list[tuple[int | None, str]] = []
        self.reconnects: list[float] = []
        self._lost_at: float | None = None
        self._asked_pause: float | None = None
        self.drops: Counter[str] = Counter()
        self._receiving: asyncio.Task | None = None
        self._vanished: list[aiohttp.ClientWebSocketResponse] = []
        history.clients[name] = account.id

    async def start(self) -> None:
        """Takes a snapshot as the starting point and goes live."""
        snapshot = await self.account.snapshot()
        self.cursor = snapshot["cursor"]
        self.last = {chat_id: chat["last_seq"] for chat_id, chat in snapshot["chats"].items()}
        self._task = asyncio.create_task(self._live())
        self._tend = asyncio.create_task(self._look_after())

    async def stop(self) -> None:
        self._stopping = True
        for task in (self._tend, self._task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._ws is not None and not self._ws.closed:
            await asyncio.gather(asyncio.wait_for(self._ws.close(), 6), return_exceptions=True)
        for ws in self._vanished:
            self._forget(ws)

    @staticmethod
    def _forget(ws: aiohttp.ClientWebSocketResponse) -> None:
        connection = ws._response.connection  # noqa: SLF001
        if connection is not None and connection.transport is not None:
            connection.transport.abort()

    def drop(self, how: str = "abort") -> None:
        """Loses its connection. "rst": it is torn. "fin": it ends without a closing frame. "vanish": the server is told nothing, and
        what it still sends there nobody takes, until the device is back by another connection. "abort": as may be."""
        if self._ws is None or (connection := self._ws._response.connection) is None:  # noqa: SLF001
            return
        transport = connection.transport
        if transport is None or transport.is_closing():
            return
        self.drops[how] += 1
        if how == "vanish":
            transport.pause_reading()
            self._vanished.append(self._ws)
            # Of those the server has let go long since.
            for old in self._vanished[:-VANISHED_KEPT]:
                self._forget(old)
            del self._vanished[:-VANISHED_KEPT]
            if self._receiving is not None:
                self._receiving.cancel()
        elif how == "fin":
            transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
        else:
            if how == "rst":
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()

    @property
    def connected(self) -> bool:
        return self._ws is not None and not self._ws.closed and self.caught_up.is_set()

    # Sending

    def send(self, chat_id: str, text: str) -> str:
        """Sends a message, now or as soon as there is a connection. Returns its id."""
        message_id = an_id()
        frame = orjson.dumps({"type": "message", "ref": message_id, "data": {
            "id": message_id, "chat_id": chat_id, "type": "text", "text": text}})
        self.pending[message_id] = Pending(frame, chat_id, text, "message")
        # The moment of intent counts: a message acknowledged before it must be in front of this one.
        self.history.intend(message_id, chat_id, self.account.id, self.name, text, time.monotonic())
        self._push(message_id)
        return message_id

    def edit(self, chat_id: str, message_id: str, text: str) -> str:
        change_id = an_id()
        frame = orjson.dumps({"type": "edit", "ref": change_id, "data": {
            "id": change_id, "message_id": message_id, "text": text}})
        self.pending[change_id] = Pending(frame, chat_id, text, "edit")
        self.history.edits[change_id] = Edit(change_id, message_id, chat_id, digest(text))
        self._push(change_id)
        return change_id

    def react(self, chat_id: str, message_id: str, emoji: str) -> None:
        change_id = an_id()
        frame = orjson.dumps({"type": "reaction", "ref": change_id, "data": {
            "id": change_id, "message_id": message_id, "emoji": emoji, "action": "add"}})
        self.pending[change_id] = Pending(frame, chat_id, "", "reaction")
        self._push(change_id)

    def _push(self, key: str) -> None:
        if not self.connected:
            return
        pending = self.pending[key]
        pending.in_flight = True
        pending.sent_at = time.monotonic()
        if pending.kind == "message":
            self.history.operations[key].attempts += 1
        write = asyncio.ensure_future(self._write(self._ws, key, pending))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)

    async def _write(self, ws: aiohttp.ClientWebSocketResponse, key: str, pending: Pending) -> None:
        try:
            await ws.send_frame(pending.frame, aiohttp.WSMsgType.TEXT)
        except (ConnectionError, aiohttp.ClientError):
            self._unknown(key, pending)

    def _unknown(self, key: str, pending: Pending, retry_in: float = 0.0) -> None:
        if pending.in_flight:
            pending.in_flight = False
            pending.maybe_stored = True
            if pending.kind == "message":
                self.history.unknown(key)
        pending.retry_at = time.monotonic() + retry_in

    # Receiving

    async def _live(self) -> None:
        while not self._stopping:
            node = self.node = self.chance.choice(self.nodes)
            try:
                ws = self._ws = await self.account.rest.session.ws_connect(
                    node + "/ws", compress=0, max_msg_size=0, heartbeat=None)
                try:
                    await self._serve(ws)
                finally:
                    if ws not in self._vanished:
                        await ws.close()
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass
            finally:
                if self.caught_up.is_set():
                    self._lost_at = time.monotonic()
                self.caught_up.clear()
                self._ws = None
                for key, pending in self.pending.items():
                    self._unknown(key, pending)
            pause, self._asked_pause = self._asked_pause, None
            await asyncio.sleep(self.chance.uniform(*RECONNECT_S) if pause is None else pause)

    async def _serve(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_json({"type": "authenticate", "ref": "auth",
                            "data": {"token": self.account.access_token, "cursor": self.cursor}})
        # A task, so that it can end with the connection still there.
        self._receiving = asyncio.ensure_future(self._receive(ws))
        try:
            await asyncio.wait({self._receiving})
        finally:
            self._receiving.cancel()
            [outcome] = await asyncio.gather(self._receiving, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome

    async def _receive(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await ws.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                # By what the frame said: a proxy may cut the connection before our own close frame gets there.
                said = message.type is aiohttp.WSMsgType.CLOSE
                code, reason = (message.data, str(message.extra or "")) if said else (ws.close_code, "")
                self.closes.append((code, reason))
                if code == RESTARTING and reason:
                    self._asked_pause = orjson.loads(reason)["retry_after_ms"] / 1000
                if code == 4401:
                    await self._log_in_again()
                return
            frame = orjson.loads(message.data)
            kind = frame["type"]
            if kind == "message" and "seq" in frame:
                data = frame["data"]
                self._take(frame["chat_id"], Entry(frame["seq"], data["id"], digest(data.get("text"))))
            elif kind == "ack":
                self._acked(frame["ref"], frame["data"])
            elif kind == "error":
                await self._refused(frame)
            elif kind == "caught_up":
                self.cursor = frame["data"]["cursor"] if "data" in frame else frame["cursor"]
                self.connections += 1
                if self._lost_at is not None:
                    self.reconnects.append(time.monotonic() - self._lost_at)
                self.caught_up.set()
                self._push_all()
            elif kind == "cursor":
                self.cursor = frame["data"]["cursor"] if "data" in frame else frame["cursor"]
            elif kind == "resync_required":
                await self._resync()
                await ws.send_json({"type": "resume", "ref": "resume", "data": {"cursor": self.cursor}})
            elif "seq" in frame and "chat_id" in frame and kind in DURABLE_KINDS:
                self._take(frame["chat_id"], Entry(frame["seq"], None))

    def _acked(self, key: str, data: dict) -> None:
        seq = data["seq"]
        pending = self.pending.pop(key, None)
        if pending is None:
            return
        now = time.monotonic()
        self.latencies.append(now - pending.sent_at)
        if pending.kind == "message":
            self.history.ok(key, seq, now)
            self._take(pending.chat_id, Entry(seq, key, digest(pending.text)))
        else:
            if pending.kind == "edit":
                self.history.edits[key].seq = seq
            if seq:
                self._take(pending.chat_id, Entry(seq, None))

    async def _refused(self, frame: dict) -> None:
        problem = frame.get("error") or {}
        if frame.get("ref") == "auth":
            await self._log_in_again()
            return
        pending = self.pending.get(frame.get("ref"))
        if pending is None:
            return
        key, status = frame["ref"], problem.get("status", 0)
        pending.refusal = f"{status} {problem.get('code')}"
        if 400 <= status < 500 and status not in (408, 429) and not pending.maybe_stored:
            del self.pending[key]
            if pending.kind == "message":
                self.history.fail(key)
            elif pending.kind == "edit":
                self.history.edits[key].failed = True
        else:
            self._unknown(key, pending, retry_in=0.25)

    async def _log_in_again(self) -> None:
        try:
            fresh = await log_in(self.account.rest, self.account.username, self.account.password,
                                 device={"id": self.account.device["id"], "name": "first", "platform": "desktop"})
            self.account.access_token, self.account.refresh_token = fresh.access_token, fresh.refresh_token
        except (AssertionError, aiohttp.ClientError, OSError, TimeoutError):
            await asyncio.sleep(0.2)

    def _push_all(self) -> None:
        for key, pending in list(self.pending.items()):
            if not pending.in_flight:
                self._push(key)

    # The client rule: next is applied, older is dropped, newer waits for the gap to be filled.

    def _take(self, chat_id: str, entry: Entry) -> None:
        last = self.last.get(chat_id, 0)
        if entry.seq == last + 1:
            self._apply(chat_id, entry)
            waiting = self.waiting.get(chat_id)
            if waiting:
                self._apply_waiting(chat_id, waiting)
        elif entry.seq > last:
            self.waiting[chat_id][entry.seq] = entry
            self.waiting_since.setdefault(chat_id, time.monotonic())

    def _apply(self, chat_id: str, entry: Entry, inferred: bool = False) -> None:
        self.last[chat_id] = entry.seq
        self.history.apply(self.name, chat_id, entry, inferred)

    def _apply_waiting(self, chat_id: str, waiting: dict[int, Entry]) -> None:
        while (following := waiting.pop(self.last[chat_id] + 1, None)) is not None:
            self._apply(chat_id, following)
        for seq in [seq for seq in waiting if seq <= self.last[chat_id]]:
            del waiting[seq]
        if waiting:
            self.waiting_since[chat_id] = time.monotonic()
        else:
            self.waiting_since.pop(chat_id, None)

    async def _look_after(self) -> None:
        """Fills gaps that did not close by themselves, and sends again what nobody answered."""
        while not self._stopping:
            await asyncio.sleep(0.2)
            now = time.monotonic()
            for chat_id in [chat for chat, since in self.waiting_since.items() if now - since > GAP_PATIENCE_S]:
                await self.fill(chat_id)
            for key, pending in list(self.pending.items()):
                if pending.in_flight and now - pending.sent_at > ANSWER_PATIENCE_S:
                    self._unknown(key, pending)
                if not pending.in_flight and self.connected and now >= pending.retry_at:
                    self._push(key)

    async def fill(self, chat_id: str, up_to: int | None = None) -> None:
        """Reads what is missing from the history. It has messages only; the numbers between them are other entries."""
        after = self.last.get(chat_id, 0)
        entries: list[Entry] = []
        try:
            while True:
                answer = await self.account.get(f"{API}/messages/chat/{chat_id}",
                                                params={"after_seq": after, "limit": 200})
                if answer.status != 200:
                    return
                page = answer.json
                entries += [Entry(item["seq"], item["id"], digest(item.get("text"))) for item in page["items"]]
                if not page["has_more"]:
                    break
                after = page["items"][-1]["seq"]
        except (aiohttp.ClientError, OSError, TimeoutError):
            return
        self.gaps_filled += 1
        waiting = self.waiting[chat_id]
        known = {entry.seq: entry for entry in entries} | {
            seq: entry for seq, entry in waiting.items() if entry.message_id is None}
        reach = max([*known, up_to or 0], default=0)
        for seq in range(self.last.get(chat_id, 0) + 1, reach + 1):
            self._apply(chat_id, known.get(seq) or Entry(seq, None), inferred=seq not in known)
        self._apply_waiting(chat_id, waiting)

    async def _resync(self) -> None:
        self.resyncs += 1
        snapshot = await self.account.snapshot()
        for chat_id, chat in snapshot["chats"].items():
            if chat["last_seq"] > self.last.get(chat_id, 0):
                await self.fill(chat_id, chat["last_seq"])
        self.cursor = snapshot["cursor"]
