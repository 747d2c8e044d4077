"""The REST and WebSocket clients of the tests: thin, exact, and never forgiving what the wire contract forbids."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import ssl
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

API = "/api/v1"
PASSWORD = "correct horse battery staple 7!"
REQUEST_DEADLINE_S = 20.0


class Problem(Exception):
    """An error answer of the WebSocket: the problem object it carried."""

    def __init__(self, problem: dict) -> None:
        super().__init__(f"{problem.get('status')} {problem.get('code')}: {problem.get('detail')}")
        self.problem = problem
        self.status = problem.get("status")
        self.code = problem.get("code")


class Closed(Exception):
    """The WebSocket ended, with its close code and reason."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"closed with {code} {reason}")
        self.code = code
        self.reason = reason


@dataclass
class Reply:
    status: int
    headers: aiohttp.typedefs.LooseHeaders
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def __getitem__(self, key: str) -> Any:
        return self.json[key]

    def expect(self, *statuses: int) -> "Reply":
        assert self.status in statuses, f"expected {statuses}, got {self.status}: {self.body[:600]!r}"
        return self

    def problem(self, status: int, code: str | None = None) -> dict:
        """Asserts a well-formed problem+json answer and returns it."""
        assert self.status == status, f"expected {status}, got {self.status}: {self.body[:600]!r}"
        assert self.headers.get("Content-Type", "").startswith("application/problem+json"), self.headers
        problem = self.json
        for member in ("type", "title", "status", "code", "request_id"):
            assert member in problem, f"{member} is missing in {problem}"
        assert problem["status"] == status
        if code is not None:
            assert problem["code"] == code, problem
        return problem


class Rest:
    """One HTTP client. Paths that begin with / are used as they are; others go below /api/v1/. `source` is the address
    that it connects from."""

    def __init__(self, url: str, token: str | None = None, connections: int = 100,
                 tls: ssl.SSLContext | None = None, source: str | None = None) -> None:
        self.url = url
        self.token = token
        self._connections = connections
        self._tls = tls
        self._source = None if source is None else (source, 0)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Rest":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._tls or True,
                                               local_addr=self._source),
                timeout=aiohttp.ClientTimeout(total=REQUEST_DEADLINE_S),
            )
        return self._session

    async def request(self, method: str, path: str, body: Any = None, *, token: str | None = None,
                      headers: dict[str, str] | None = None, data: bytes | None = None,
                      params: dict[str, Any] | None = None) -> Reply:
        url = self.url + (path if path.startswith("/") else f"{API}/{path}")
        sent = dict(headers or {})
        bearer = token if token is not None else self.token
        if bearer:
            sent.setdefault("Authorization", f"Bearer {bearer}")
        if data is None and body is not None:
            data = orjson.dumps(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(method, url, data=data, headers=sent, params=params,
                                        allow_redirects=False) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **rest: Any) -> Reply:
        return await self.request("GET", path, **rest)

    async def post(self, path: str, body: Any = None, **rest: Any) -> Reply:
        return await self.request("POST", path, body, **rest)

    async def patch(self, path: str, body: Any = None, **rest: Any) -> Reply:
        return await self.request("PATCH", path, body, **rest)

    async def delete(self, path: str, **rest: Any) -> Reply:
        return await self.request("DELETE", path, **rest)


_names = itertools.count(1)


def a_name(prefix: str = "user") -> str:
    return f"{prefix}_{secrets.token_hex(4)}_{next(_names)}"


def an_id() -> str:
    return str(uuid.uuid4())


@dataclass
class Account:
    """A registered user on one device."""

    rest: Rest
    username: str
    password: str
    user: dict
    device: dict
    access_token: str
    refresh_token: str

    @property
    def id(self) -> str:
        return self.user["id"]

    async def request(self, method: str, path: str, body: Any = None, **rest: Any) -> Reply:
        rest.setdefault("token", self.access_token)
        return await self.rest.request(method, path, body, **rest)

    async def get(self, path: str, **rest: Any) -> Reply:
        return await self.request("GET", path, **rest)

    async def post(self, path: str, body: Any = None, **rest: Any) -> Reply:
        return await self.request("POST", path, body, **rest)

    async def patch(self, path: str, body: Any = None, **rest: Any) -> Reply:
        return await self.request("PATCH", path, body, **rest)

    async def delete(self, path: str, **rest: Any) -> Reply:
        return await self.request("DELETE", path, **rest)

    async def another_device(self, name: str = "second") -> "Account":
        return await log_in(self.rest, self.username, self.password, device={"name": name, "platform": "desktop"})

    async def send(self, chat_id: str, text: str = "hello", message_id: str | None = None, **more: Any) -> dict:
        body = {"id": message_id or an_id(), "chat_id": chat_id, "type": "text", "text": text, **more}
        return (await self.post("messages", body)).expect(200, 201).json

    async def history(self, chat_id: str, **params: Any) -> dict:
        return (await self.get(f"messages/chat/{chat_id}", params=params)).expect(200).json

    async def whole_history(self, chat_id: str, after_seq: int = 0) -> list[dict]:
        found: list[dict] = []
        while True:
            page = await self.history(chat_id, after_seq=after_seq, limit=200)
            found += page["items"]
            if not page["has_more"]:
                return found
            after_seq = page["items"][-1]["seq"]

    async def snapshot(self) -> dict:
        """A sync from nothing, all its pages: the chats and the cursor that continues them."""
        page = (await self.get("sync")).expect(200).json
        chats = {chat["id"]: chat for chat in page.get("chats") or []}
        events = list(page.get("events") or [])
        while page["has_more"]:
            page = (await self.get("sync", params={"cursor": page["cursor"]})).expect(200).json
            chats |= {chat["id"]: chat for chat in page.get("chats") or []}
            events += page.get("events") or []
        return {"chats": chats, "cursor": page["cursor"], "events": events}

    async def sync_from(self, cursor: str, limit: int | None = None) -> tuple[list[dict], str]:
        """All events since a cursor and the cursor after them."""
        events: list[dict] = []
        while True:
            params = {"cursor": cursor} | ({"limit": limit} if limit else {})
            page = (await self.get("sync", params=params)).expect(200).json
            events += page["events"]
            cursor = page["cursor"]
            if not page["has_more"]:
                return events, cursor

    def socket(self, **more: Any) -> "Socket":
        return Socket(self.rest, self, **more)


def _account(rest: Rest, username: str, password: str, answer: dict) -> Account:
    return Account(rest, username, password, answer["user"], answer["device"],
                   answer["access_token"], answer["refresh_token"])


async def a_user(rest: Rest, name: str | None = None, password: str = PASSWORD, **more: Any) -> Account:
    """Registers a user with a fresh name."""
    username = name or a_name()
    more.setdefault("device", {"name": "first", "platform": "desktop"})
    answer = await rest.post("auth/register", {"username": username, "password": password, **more})
    return _account(rest, username, password, answer.expect(200, 201).json)


async def some_users(rest: Rest, count: int) -> list[Account]:
    """A few at once: only so many passwords may wait to be hashed."""
    gate = asyncio.Semaphore(16)

    async def one() -> Account:
        async with gate:
            return await a_user(rest)

    return await asyncio.gather(*(one() for _ in range(count)))


async def log_in(rest: Rest, username: str, password: str = PASSWORD, **more: Any) -> Account:
    answer = await rest.post("auth/login", {"identifier": username, "password": password, **more})
    return _account(rest, username, password, answer.expect(200).json)


async def a_chat(owner: Account, *members: Account, type: str | None = None, **more: Any) -> dict:
    """A group of the owner and the members, or a direct chat with type="direct"."""
    body = {"type": type or "group", "member_ids": [each.id for each in members], **more}
    if body["type"] != "direct":
        body.setdefault("title", a_name("chat"))
    return (await owner.post("chats", body)).expect(200, 201).json


@dataclass
class Socket:
    """One WebSocket connection. A reader task sorts what comes in: answers by ref, everything else in order to
    `events`. Use as an async context manager; entering connects and, unless told otherwise, authenticates."""

    rest: Rest
    account: Account | None = None
    header_auth: bool = False
    authenticate: bool = True
    cursor: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    compress: int = 0
    url: str | None = None
    token: str | None = None
    on_event: Callable[[dict], None] | None = None
    events: list[dict] = field(default_factory=list, init=False)
    hello: dict = field(default_factory=dict, init=False)
    close_code: int | None = field(default=None, init=False)
    close_reason: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._waiting: dict[str, asyncio.Future] = {}
        self._changed = asyncio.Event()
        self._refs = itertools.count(1)
        self._task: asyncio.Task | None = None
        self._seen = 0
        self._ws: aiohttp.ClientWebSocketResponse | None = None

    @property
    def bearer(self) -> str:
        if self.token is not None:
            return self.token
        assert self.account is not None
        return self.account.access_token

    async def __aenter__(self) -> "Socket":
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        headers = dict(self.headers)
        if self.header_auth:
            headers["Authorization"] = f"Bearer {self.bearer}"
        self._ws = await self.rest.session.ws_connect(
            (self.url or self.rest.url) + "/ws", headers=headers, compress=self.compress,
            max_msg_size=16 * 1024 * 1024, autoclose=True, heartbeat=None,
            timeout=aiohttp.ClientWSTimeout(ws_close=5.0))
        self._task = asyncio.create_task(self._read())
        self.hello = await self.event("hello")
        if self.header_auth:
            self.authenticated = await self.event("authenticated")
        elif self.authenticate:
            data = {"token": self.bearer, "cursor": self.cursor}
            self.authenticated = await self.call("authenticate", data)

    async def _read(self) -> None:
        assert self._ws is not None
        try:
            while True:
                message = await self._ws.receive()
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._sort(orjson.loads(message.data))
                elif message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING,
                                      aiohttp.WSMsgType.ERROR):
                    if message.type is aiohttp.WSMsgType.CLOSE:
                        self.close_code, self.close_reason = message.data, message.extra or ""
                    break
        except (aiohttp.ClientError, ConnectionError, RuntimeError):
            pass
        finally:
            if self.close_code is None:
                self.close_code = self._ws.close_code or 1006
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Closed(self.close_code, self.close_reason))
            self._waiting.clear()
            self._changed.set()

    def _sort(self, frame: dict) -> None:
        frame["_at"] = time.monotonic()
        ref = frame.get("ref")
        if ref is not None and frame["type"] in ("ack", "error", "authenticated", "pong"):
            waiting = self._waiting.pop(ref, None)
            if waiting is not None and not waiting.done():
                if frame["type"] == "error":
                    waiting.set_exception(Problem(frame.get("error") or {}))
                else:
                    waiting.set_result(frame)
                return
        if self.on_event is not None:
            self.on_event(frame)
        self.events.append(frame)
        self._changed.set()

    @property
    def closed(self) -> bool:
        return self._task is None or self._task.done()

    async def send_frame(self, frame: dict | str | bytes) -> None:
        assert self._ws is not None
        text = frame if isinstance(frame, (str, bytes)) else orjson.dumps(frame)
        try:
            await self._ws.send_str(text if isinstance(text, str) else text.decode())
        except (ConnectionError, aiohttp.ClientError) as error:
            raise Closed(self.close_code or 1006) from error

    async def call(self, type: str, data: Any = None, deadline_s: float = REQUEST_DEADLINE_S) -> dict:
        """Sends a command and returns the whole frame that answers it."""
        if self.closed:
            raise Closed(self.close_code, self.close_reason)
        ref = str(next(self._refs))
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[ref] = waiting
        frame = {"type": type, "ref": ref} | ({"data": data} if data is not None else {})
        try:
            await self.send_frame(frame)
            return await asyncio.wait_for(waiting, deadline_s)
        finally:
            self._waiting.pop(ref, None)

    async def message(self, chat_id: str, text: str = "hello", message_id: str | None = None, **more: Any) -> dict:
        data = {"id": message_id or an_id(), "chat_id": chat_id, "type": "text", "text": text, **more}
        return (await self.call("message", data))["data"]

    async def event(self, type: str | None = None, where: Callable[[dict], bool] | None = None,
                    deadline_s: float = 10.0) -> dict:
        """The first event since the last one taken by this call that fits; those before it are passed over."""
        deadline = time.monotonic() + deadline_s
        position = self._seen
        while True:
            while position < len(self.events):
                frame = self.events[position]
                position += 1
                if (type is None or frame["type"] == type) and (where is None or where(frame)):
                    self._seen = position
                    return frame
            if self._task is not None and self._task.done():
                raise Closed(self.close_code, self.close_reason)
            self._changed.clear()
            left = deadline - time.monotonic()
            try:
                await asyncio.wait_for(self._changed.wait(), max(left, 0))
            except TimeoutError:
                types = [frame["type"] for frame in self.events[self._seen:]]
                raise AssertionError(f"no {type or 'such'} event in {deadline_s} s; since then: {types}") from None

    async def no_event(self, type: str, where: Callable[[dict], bool] | None = None, for_s: float = 0.5) -> None:
        """Asserts that nothing such comes: not before a ping that is sent now is answered, which is behind all that this
        session's own commands have caused, and not for a while after it, in which others' commands take effect."""
        if not self.closed:
            await self.call("ping")
        until = time.monotonic() + for_s
        while True:
            self._changed.clear()
            found = [each for each in self.events[self._seen:] if each["type"] == type and (where is None or where(each))]
            assert not found, found
            left = until - time.monotonic()
            if left <= 0 or self.closed:
                return
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                pass

    async def closing(self, deadline_s: float = 10.0) -> int:
        """Waits for the server to close and returns the code."""
        assert self._task is not None
        done, _ = await asyncio.wait({self._task}, timeout=deadline_s)
        assert done, f"the server did not close within {deadline_s} s"
        assert self.close_code is not None
        return self.close_code

    async def close(self) -> None:
        if self._ws is not None and not self._ws.closed:
            try:
                await asyncio.wait_for(self._ws.close(), 6)
            except (TimeoutError, ConnectionError, aiohttp.ClientError, RuntimeError):
                pass
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def drop(self) -> None:
        """Cuts the connection with no closing handshake, as a lost network does."""
        if self._ws is not None:
            transport = self._ws._response.connection and self._ws._response.connection.transport  # noqa: SLF001
            if transport is not None:
                transport.abort()
        if self._task is not None:
            self._task.cancel()
