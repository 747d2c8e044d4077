"""Bytes on a socket: HTTP and WebSocket as no honest client would write them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from dataclasses import dataclass
from urllib.parse import urlsplit

DEADLINE_S = 15.0


@dataclass
class RawReply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)


class RawConnection:
    """One TCP connection with reads that never hang. Use as an async context manager."""

    def __init__(self, url: str, receive_buffer: int | None = None) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self._receive_buffer = receive_buffer
        self._kept = b""

    async def __aenter__(self) -> "RawConnection":
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        if self._receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, (self.host, self.port))
        limit = 64 * 1024 if self._receive_buffer is None else self._receive_buffer
        self.reader, self.writer = await asyncio.open_connection(sock=connection, limit=limit)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), DEADLINE_S)

    async def _more(self, deadline_s: float) -> bool:
        try:
            part = await asyncio.wait_for(self.reader.read(65536), deadline_s)
        except ConnectionError:
            part = b""
        self._kept += part
        return bool(part)

    async def reply(self, deadline_s: float = DEADLINE_S) -> RawReply | None:
        """The next HTTP response, or None when the server closed instead."""
        while b"\r\n\r\n" not in self._kept:
            if not await self._more(deadline_s):
                return None
        head, self._kept = self._kept.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if status == 101:
            return RawReply(status, headers, b"")
        body = b""
        if "content-length" in headers:
            length = int(headers["content-length"])
            while len(self._kept) < length:
                if not await self._more(deadline_s):
                    break
            body, self._kept = self._kept[:length], self._kept[length:]
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = await self._chunks(deadline_s)
        return RawReply(status, headers, body)

    async def _chunks(self, deadline_s: float) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._kept:
                if not await self._more(deadline_s):
                    return body
            line, self._kept = self._kept.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            while len(self._kept) < size + 2:
                if not await self._more(deadline_s):
                    return body
            body, self._kept = body + self._kept[:size], self._kept[size + 2:]
            if size == 0:
                return body

    async def closed(self, deadline_s: float = DEADLINE_S) -> bool:
        """Reads to the end; True when the server closed in time."""
        try:
            while await self._more(deadline_s):
                pass
        except TimeoutError:
            return False
        return True

    # WebSocket

    async def upgrade(self, path: str = "/ws", extra: str = "") -> RawReply:
        key = base64.b64encode(os.urandom(16)).decode()
        await self.send((f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nUpgrade: websocket\r\n"
                         f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
                         ).encode())
        answer = await self.reply()
        assert answer is not None, "closed instead of an answer to the upgrade"
        return answer

    async def frame(self, deadline_s: float = DEADLINE_S) -> tuple[int, bytes] | None:
        """The next frame as (opcode, payload), or None when the server closed the TCP connection."""
        found = await self.frame_with_flags(deadline_s)
        return found and (found[0] & 0x0F, found[1])

    async def frame_with_flags(self, deadline_s: float = DEADLINE_S) -> tuple[int, bytes] | None:
        """The same with the whole first byte: FIN, the reserved bits (RSV1 = 0x40: compressed) and the opcode."""
        need = 2
        while True:
            while len(self._kept) < need:
                if not await self._more(deadline_s):
                    return None
            length = self._kept[1] & 0x7F
            assert not self._kept[1] & 0x80, "a server must not mask"
            start = 2
            if length == 126:
                start = 4
            elif length == 127:
                start = 10
            if len(self._kept) < start:
                need = start
                continue
            if length == 126:
                length = struct.unpack("!H", self._kept[2:4])[0]
            elif length == 127:
                length = struct.unpack("!Q", self._kept[2:10])[0]
            if len(self._kept) < start + length:
                need = start + length
                continue
            opcode, payload = self._kept[0], self._kept[start:start + length]
            self._kept = self._kept[start + length:]
            return opcode, payload

    async def close_code(self, deadline_s: float = DEADLINE_S) -> int | None:
        """Reads until a close frame: its code, 1005 for an empty one, 1006 for none."""
        while True:
            try:
                frame = await self.frame(deadline_s)
            except ConnectionError:
                return 1006
            if frame is None:
                return 1006
            if frame[0] == 8:
                return struct.unpack("!H", frame[1][:2])[0] if len(frame[1]) >= 2 else 1005


def a_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, rsv: int = 0,
            length: int | None = None, extended: int | None = None) -> bytes:
    """A frame by hand. `length` lies about the size; `extended` forces the 2- or 8-byte length form."""
    size = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | (rsv << 4) | opcode])
    mask_bit = 0x80 if masked else 0
    if extended == 8 or (extended is None and size > 0xFFFF):
        head += bytes([mask_bit | 127]) + struct.pack("!Q", size)
    elif extended == 2 or (extended is None and size > 125):
        head += bytes([mask_bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mask_bit | size])
    if not masked:
        return head + payload
    mask = os.urandom(4)
    stretched = mask * (len(payload) // 4 + 1)
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(stretched[:len(payload)], "big")).to_bytes(len(payload), "big")
    return head + mask + body


def text(value: object) -> bytes:
    return a_frame(1, json.dumps(value).encode())


async def exchange(url: str, request: bytes, deadline_s: float = DEADLINE_S) -> RawReply:
    """Sends bytes and returns the first response; status 0 when the server only closed."""
    async with RawConnection(url) as connection:
        try:
            await connection.send(request)
        except ConnectionError:
            pass
        answer = await connection.reply(deadline_s)
        return answer or RawReply(0, {}, b"")
