"""A wire between a daemon and a server: a TCP forwarder that can be slow, go silent or be cut."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

PIECE = 65536
READY_FOR_QUERY = b"Z\0\0\0\x05I"
COMMIT = b"COMMIT\0"
ERROR_RESPONSE = ord("E")


def holds_an_error(answer: bytes) -> bool:
    """Whether one of these whole messages of PostgreSQL is an ErrorResponse."""
    at = 0
    while at < len(answer):
        if answer[at] == ERROR_RESPONSE:
            return True
        at += 1 + int.from_bytes(answer[at + 1:at + 5])
    return False


@dataclass(eq=False)
class Link:
    """One connection through the wire."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def abort(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


class Wire:
    """Everything on the loop that started it."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.port = 0
        # Added to each direction of all that comes from now on.
        self.delay_s = 0.0
        self._server: asyncio.Server | None = None
        self._whole = asyncio.Event()
        self._whole.set()
        self._refuses = False
        self._links: set[Link] = set()
        self._pumps: set[asyncio.Task] = set()

    async def start(self) -> "Wire":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def hold(self) -> None:
        """Packets are dropped: connections stay open, nothing comes through and nothing is refused."""
        self._whole.clear()

    def cut(self) -> None:
        """Every connection ends, and a new one ends at once."""
        self._refuses = True
        for link in list(self._links):
            link.abort()

    def mend(self) -> None:
        self._refuses = False
        self._whole.set()

    def _passes(self, link: Link, part: bytes, upward: bool) -> bool:
        """Sees all that is about to be passed on; False: it is swallowed."""
        return True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, back_writer)
        self._links.add(link)
        for source, upward in ((reader, True), (back_reader, False)):
            pump = asyncio.ensure_future(self._pump(link, source, upward))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, link: Link, source: asyncio.StreamReader, upward: bool) -> None:
        loop = asyncio.get_running_loop()
        sink = link.server if upward else link.client
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

        async def arrive() -> None:
            while True:
                due, part = await under_way.get()
                if (left := due - loop.time()) > 0:
                    await asyncio.sleep(left)
                await self._whole.wait()
                if part == b"":
                    return
                if self._passes(link, part, upward):
                    sink.write(part)
                    await sink.drain()

        arriving = asyncio.ensure_future(arrive())
        try:
            while part := await source.read(PIECE):
                await under_way.put((loop.time() + self.delay_s, part))
            await under_way.put((loop.time() + self.delay_s, b""))
            await arriving
        except OSError:
            pass  # whoever went away is none of the test's business
        finally:
            arriving.cancel()
            await asyncio.gather(arriving, return_exceptions=True)
            self._links.discard(link)
            sink.transport.abort()


class CommitWire(Wire):
    """To PostgreSQL. Cuts a connection between a COMMIT and its answer, so that only the server knows what became of it."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.fired = asyncio.Event()
        self._mark: bytes | None = None
        self._in_transaction = False
        self._stays_cut = False
        self._before: dict[Link, bytes] = {}
        self._marked: Link | None = None
        self._committing: Link | None = None
        self._answer = b""

    def arm(self, mark: bytes, *, in_transaction: bool = False, stays_cut: bool = False) -> None:
        """For the next statement that carries `mark` and succeeds: the statement commits by itself, or the COMMIT after it
        does. One that is refused was not stored: its answer passes."""
        self.fired.clear()
        self._answer = b""
        self._mark, self._in_transaction, self._stays_cut = mark, in_transaction, stays_cut
        self._marked = self._committing = None

    def _passes(self, link: Link, part: bytes, upward: bool) -> bool:
        if upward and self._mark is not None:
            # A mark may lie across two pieces.
            seen = self._before.get(link, b"") + part
            self._before[link] = seen[-len(self._mark):]
            if self._marked is None and self._mark in seen:
                self._marked = link
                if not self._in_transaction:
                    self._committing = link
            if self._in_transaction and self._marked is link and COMMIT in seen:
                self._committing = link
        elif not upward and link is self._committing:
            self._answer += part
            if not self._answer.endswith(READY_FOR_QUERY):
                return False
            answer, self._answer = self._answer, b""
            if holds_an_error(answer):
                self._marked = self._committing = None
                link.client.write(answer)
            else:
                self._mark = self._marked = self._committing = None
                self._before.clear()
                link.abort()
                if self._stays_cut:
                    self.cut()
                self.fired.set()
            return False
        return True
