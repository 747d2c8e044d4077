"""The load of rig.load at rates that a Python process does not carry: its devices live in a program (tests/load), which writes
down what it did and saw. It sends messages only, no edits and reactions."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from rig.daemon import REPOSITORY
from rig.history import Entry, Operation
from rig.load import Load

LINE_LIMIT = 1 << 24
READY_DEADLINE_S = 60.0


def find_program() -> Path:
    """SUPD_FLEET, else that of the release build: the daemon under test may be a sanitizer's, the load need not."""
    return Path(os.environ.get("SUPD_FLEET", REPOSITORY / "build" / "release" / "tests" / "load" / "supd_fleet")).resolve()


@dataclass
class FastLoad(Load):
    tell_acks: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        # Of each message that was acknowledged: the number of its device, when it was meant to be sent, how long it took;
        # of each that waits and was meant to be sent since tell_waiting(): the first two.
        self.acks: list[tuple[int, float, float]] = []
        self.waiting: list[tuple[int, float]] = []
        self._fleet: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task | None = None
        self._state: dict = {}
        self._report: dict | None = None
        self._told = asyncio.Event()

    @property
    def connections(self) -> int:
        return self._report["connections"]

    @property
    def healed(self) -> int:
        return self._report["healed"]

    @property
    def acked(self) -> int:
        return self._state["acked"]

    async def _connect(self) -> None:
        gate = asyncio.Semaphore(8)

        async def device(number: int, account) -> dict:
            async with gate:
                snapshot = await account.snapshot()
            last = {chat_id: chat["last_seq"] for chat_id, chat in snapshot["chats"].items()}
            for chat_id, seq in last.items():
                self.history.base.setdefault(chat_id, seq)
            return {"name": f"device-{number}", "user": account.id, "token": account.access_token,
                    "cursor": snapshot["cursor"], "chats": last}

        devices = await asyncio.gather(*(device(*each) for each in enumerate(self.accounts.values())))
        self.history.clients = {each["name"]: each["user"] for each in devices}
        self._fleet = await asyncio.create_subprocess_exec(
            find_program(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT)
        self._listener = asyncio.create_task(self._listen())
        await self._say({"ports": [urlsplit(node).port for node in self.nodes], "rate": self.rate, "body": self.body,
                         "seed": self.seed, "tell_acks": self.tell_acks, "chats": self.chat_ids, "devices": devices})
        await self._until(lambda state: state["live"] == len(devices), READY_DEADLINE_S, "not everybody is live")

    async def _say(self, what: dict) -> None:
        self._fleet.stdin.write(orjson.dumps(what) + b"\n")
        await self._fleet.stdin.drain()

    async def _listen(self) -> None:
        try:
            while line := await self._fleet.stdout.readline():
                told = orjson.loads(line)
                if "report" in told:
                    self._report = told["report"]
                else:
                    self.acks += told.pop("acks", [])
                    self.waiting = told.pop("waiting", [])
                    self._state = told
                self._told.set()
        finally:
            self._state = {}
            self._told.set()

    async def _until(self, wanted: Callable[[dict], bool], deadline_s: float, otherwise: str) -> None:
        """Waits for a state that was told after this began."""
        deadline = time.monotonic() + deadline_s
        while True:
            self._told.clear()
            try:
                await asyncio.wait_for(self._told.wait(), deadline - time.monotonic())
            except TimeoutError:
                raise AssertionError(f"{otherwise} after {deadline_s} s: {self._state}") from None
            assert self._state, f"the load ended: {(await self._fleet.stderr.read()).decode()}"
            if wanted(self._state):
                return

    async def seat(self, place: Callable[[int], str | None], deadline_s: float = 10.0) -> float:
        """None: that device stays away."""
        begun = time.monotonic()
        places = [place(number) for number in range(len(self.accounts))]
        at = [None if node is None else self.nodes.index(node) for node in places]
        here = len(at) - at.count(None)
        await self._say({"do": "seat", "at": at})
        # The first state that is told may be of before.
        await self._until(lambda _: True, deadline_s, "no state")
        await self._until(lambda state: state["live"] == here, deadline_s, "not all are connected where they belong")
        return time.monotonic() - begun

    async def tell_waiting(self, since: float) -> None:
        await self._say({"do": "tell_waiting", "since": since})

    async def lose_network(self, count: int) -> None:
        """As many devices, drawn at random, lose their connection."""
        await self._say({"do": "lose", "count": count})

    async def run(self, seconds: float, meanwhile: Callable[[], Awaitable[None]] | None = None,
                  settle_s: float = 60.0) -> None:
        await self._say({"do": "run"})
        self._reader = asyncio.create_task(self._read())
        if meanwhile is not None:
            await meanwhile()
        await asyncio.sleep(seconds)
        await self.settle(settle_s)

    async def settle(self, deadline_s: float = 60.0) -> None:
        await self._stop_tasks()
        await self._say({"do": "stop"})
        await self._until(lambda state: state["settled"], deadline_s, "some messages have no outcome")
        await self._look()
        heads: dict[str, int] = {}
        for (_, chat_id), head in self.history.heads.items():
            heads[chat_id] = max(head, heads.get(chat_id, 0))
        await self._say({"do": "level", "heads": heads})
        try:
            await self._until(lambda state: state["level"], deadline_s, "")
        except AssertionError:
            if not self._state:
                raise
            # Whoever is behind is for the checker to name.
        self.held_back = self._state["held_back"]
        with tempfile.TemporaryDirectory(prefix="supd-load-") as folder:
            to = Path(folder) / "history.jsonl"
            await self._say({"do": "write", "to": str(to)})
            while self._report is None:
                await self._until(lambda _: True, READY_DEADLINE_S * 10, "the history is not written")
            self._learn(to)

    def _learn(self, written: Path) -> None:
        with open(written, "rb") as lines:
            for line in lines:
                told = orjson.loads(line)
                if "operation" in told:
                    message_id, chat, user, client, digest, invoked_at, acks, failed, unknown, attempts = told["operation"]
                    self.history.operations[message_id] = Operation(
                        message_id, chat, user, client, digest, invoked_at, [(seq, at) for seq, at in acks], failed, unknown,
                        attempts)
                else:
                    client, chat, entries = told["applied"]
                    for seq, message_id, digest in entries:
                        self.history.apply(client, chat, Entry(seq, message_id, digest))

    async def close(self) -> None:
        await self._stop_tasks()
        if self._fleet is not None:
            if self._fleet.returncode is None:
                self._fleet.kill()
            await self._fleet.wait()
            await asyncio.gather(self._listener, return_exceptions=True)
        await asyncio.gather(*(rest.close() for rest in self.rests))

    def report(self) -> str:
        report = self._report
        return (f"ack p50 {report['ack_p50_ms']:.1f} ms, p99 {report['ack_p99_ms']:.1f} ms; {report['held_back']} held back; "
                f"{report['connections']} connections, {report['healed']} made anew for a gap")
