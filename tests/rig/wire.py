"""A wire between a daemon and a server: a TCP forwarder that can go silent or be cut."""

from __future__ import annotations

import asyncio


class Wire:
    """Everything on the loop that started it."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.port = 0
        self._server: asyncio.Server | None = None
        self._whole = asyncio.Event()
        self._whole.set()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
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
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        self._refuses = False
        self._whole.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.transport.abort()
            return
        for one in (writer, back_writer):
            self._writers.add(one)
        for source, sink in ((reader, back_writer), (back_reader, writer)):
            pump = asyncio.ensure_future(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while part := await source.read(65536):
                await self._whole.wait()
                sink.write(part)
                await sink.drain()
        except OSError:
            pass  # whoever went away is none of the test's business
        finally:
            self._writers.discard(sink)
            sink.transport.abort()
