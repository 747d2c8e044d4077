"""A steady load of careful devices, with the history of all they did, and the final look by fresh ones."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from rig.client import Account, Rest, a_chat, a_user, log_in
from rig.device import Device
from rig.history import Entry, History, Read, digest

EDIT_SHARE = 0.02
REACTION_SHARE = 0.02
BACKLOG_PER_DEVICE = 400
TICK_S = 0.01
TOKENS_LAST_S = 600.0  # a third less than they do


@dataclass
class Load:
    """`rate` messages a second from `users` users, one device each, in `chats` groups of `members`."""

    nodes: list[str]
    seed: int
    users: int = 50
    chats: int = 20
    members: int = 5
    rate: float = 1000.0
    body: int = 100
    changes: bool = True  # some edits and reactions among the messages
    tls: ssl.SSLContext | None = None
    history: History = field(default_factory=History)
    devices: list[Device] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    chat_ids: list[str] = field(default_factory=list)
    held_back: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.rests = [Rest(node, connections=2 * self.users + 100, tls=self.tls) for node in self.nodes]
        self._members: dict[str, list[Account]] = {}
        self._of_chat: dict[str, list[Device]] = {}
        self._recent: dict[str, list[tuple[str, str]]] = {}
        self._pacer: asyncio.Task | None = None
        self._reader: asyncio.Task | None = None

    async def __aenter__(self) -> "Load":
        await self.set_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def set_up(self) -> None:
        self._began = time.monotonic()
        gate = asyncio.Semaphore(8)

        async def register(number: int) -> Account:
            async with gate:
                return await a_user(self.rests[number % len(self.rests)])

        people = await asyncio.gather(*(register(number) for number in range(self.users)))
        self.accounts = {each.id: each for each in people}
        groups: dict[str, list[Account]] = {}
        for number in range(self.chats):
            # Everybody is in some chat; the rest of each group is drawn.
            core = [people[(number * self.members + place) % self.users] for place in range(self.members)]
            group = list(dict.fromkeys(each.id for each in core))
            chat = await a_chat(self.accounts[group[0]], *(self.accounts[user] for user in group[1:]))
            groups[chat["id"]] = [self.accounts[user] for user in group]
            self.chat_ids.append(chat["id"])
        self._members = groups
        for chat_id, group in groups.items():
            for account in group:
                self.history.member(chat_id, account.id)
        await self._connect()

    async def _connect(self) -> None:
        for number, account in enumerate(self.accounts.values()):
            device = Device(account, self.history, f"device-{number}", self.nodes,
                            random.Random(self.chance.random()))
            self.devices.append(device)
        await asyncio.gather(*(device.start() for device in self.devices))
        by_user = {device.account.id: device for device in self.devices}
        for chat_id, group in self._members.items():
            self._of_chat[chat_id] = [by_user[account.id] for account in group]
            self._recent[chat_id] = []
            self.history.base[chat_id] = by_user[group[0].id].last[chat_id]
        await asyncio.wait_for(asyncio.gather(*(device.caught_up.wait() for device in self.devices)), 30)

    async def seat(self, place: Callable[[int], str], deadline_s: float = 10.0) -> float:
        """Each device, by its number, at that daemon from now on; whoever is elsewhere loses its connection. How long it took."""
        begun = time.monotonic()
        for number, device in enumerate(self.devices):
            device.nodes = [place(number)]
            if device.node not in device.nodes:
                device.drop()
        while not all(device.connected and device.node in device.nodes for device in self.devices):
            assert time.monotonic() < begun + deadline_s, "not all are connected where they belong"
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    def start(self) -> None:
        self._pacer = asyncio.create_task(self._pace())
        self._reader = asyncio.create_task(self._read())

    async def run(self, seconds: float, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        """Loads for a time, or for as long as `meanwhile` needs."""
        self.start()
        if meanwhile is not None:
            await meanwhile()
        await asyncio.sleep(seconds)
        await self.settle()

    async def _pace(self) -> None:
        begun, issued = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - begun) * self.rate) - issued
            for _ in range(min(due, int(self.rate))):
                self._one()
            issued += due
            await asyncio.sleep(TICK_S)

    def _one(self) -> None:
        chat_id = self.chance.choice(self.chat_ids)
        device = self.chance.choice(self._of_chat[chat_id])
        if len(device.pending) >= BACKLOG_PER_DEVICE:
            self.held_back += 1
            return
        draw, recent = self.chance.random(), self._recent[chat_id]
        if self.changes and draw < EDIT_SHARE + REACTION_SHARE and recent:
            sender, message_id = self.chance.choice(recent)
            if self.history.operations[message_id].acks:
                if draw < REACTION_SHARE:
                    device.react(chat_id, message_id, "\N{THUMBS UP SIGN}")
                else:
                    author = next(each for each in self._of_chat[chat_id] if each.account.id == sender)
                    author.edit(chat_id, message_id, f"edited {self.chance.random()}")
                return
        text = f"{self.chance.random()} ".ljust(self.body, "x")
        message_id = device.send(chat_id, text)
        recent.append((device.account.id, message_id))
        if len(recent) > 500:
            del recent[:250]

    async def _read(self) -> None:
        """Reads of heads while the load runs: none may be behind what was acknowledged before it."""
        while True:
            await asyncio.sleep(0.2)
            chat_id = self.chance.choice(self.chat_ids)
            account = self.chance.choice(self._members[chat_id])
            begun = time.monotonic()
            try:
                answer = await account.get(f"chats/{chat_id}")
            except (aiohttp.ClientError, OSError, TimeoutError):
                continue
            if answer.status == 200:
                self.history.reads.append(Read(account.id, chat_id, begun, answer["last_seq"]))

    async def settle(self, deadline_s: float = 60.0) -> None:
        """Stops sending, waits until every outcome is known and every device is level, then looks with fresh eyes."""
        await self._stop_tasks()
        deadline = time.monotonic() + deadline_s
        while any(device.pending for device in self.devices) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        left = [f"{each.kind} of {device.name}, last {each.refusal or 'not answered'}"
                for device in self.devices for each in device.pending.values()]
        assert not left, f"{len(left)} commands have no outcome after {deadline_s} s: {left[:5]}"
        await self._look()

        def level() -> bool:
            return all(device.last.get(chat_id, 0) >= self.history.heads.get((device.account.id, chat_id), 0)
                       for device in self.devices for chat_id in device.last)

        # A device that is behind has until the deadline to be told by the server; it does not ask by itself.
        while not level() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    async def _stop_tasks(self) -> None:
        for task in (self._pacer, self._reader):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _look(self) -> None:
        gate = asyncio.Semaphore(6)

        async def of_user(account: Account) -> None:
            async with gate:
                if time.monotonic() - self._began > TOKENS_LAST_S:
                    account = await log_in(account.rest, account.username, account.password)
                snapshot = await account.snapshot()
                for chat_id, chat in snapshot["chats"].items():
                    self.history.heads[account.id, chat_id] = chat["last_seq"]
                    items = await account.whole_history(chat_id, self.history.base.get(chat_id, 0))
                    self.history.final[account.id, chat_id] = [
                        Entry(item["seq"], item["id"], digest(item.get("text"))) for item in items]

        await asyncio.gather(*(of_user(account) for account in self.accounts.values()))

    async def close(self) -> None:
        await self._stop_tasks()
        await asyncio.gather(*(device.stop() for device in self.devices))
        await asyncio.gather(*(rest.close() for rest in self.rests))

    def report(self) -> str:
        latencies = sorted(each for device in self.devices for each in device.latencies)

        def at(share: float) -> float:
            return latencies[min(int(len(latencies) * share), len(latencies) - 1)] * 1000 if latencies else 0.0

        return (f"ack p50 {at(0.5):.1f} ms, p99 {at(0.99):.1f} ms; {self.held_back} held back; "
                f"{sum(device.connections for device in self.devices)} connections, "
                f"{sum(device.gaps_filled for device in self.devices)} gaps filled, "
                f"{sum(device.resyncs for device in self.devices)} resyncs")
