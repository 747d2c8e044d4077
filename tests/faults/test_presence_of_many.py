"""Many people are connected to a daemon that is killed: who stays away goes offline everywhere, who comes back elsewhere never
does, and neither an emptied Redis nor one that a daemon cannot reach changes what is known."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable

import pytest

from rig.client import Socket, a_user
from rig.daemon import Daemon
from rig.fast_load import FastLoad
from rig.nodes import cut_off, linked
from rig.redis import RedisServer
from rig.wire import Wire

LONG = os.environ.get("SUPD_LONG") == "1"
PEOPLE = 2000 if LONG else 100
GROUPS = 4  # 500 people each: as many as one socket may watch
OFFLINE_WITHIN_S = 45.0
REBUILT_WITHIN_S = 30.0
UNREACHABLE_S = 10.0 if LONG else 1.0

pytestmark = pytest.mark.faults


class Watch:
    """What the watchers were last told of each person, and who was ever said to be gone."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.gone: set[str] = set()

    def hear(self, event: dict) -> None:
        if event["type"] == "presence":
            user, status = event["data"]["user_id"], event["data"]["status"]
            self.status[user] = status
            if status == "offline":
                self.gone.add(user)

    def online(self) -> set[str]:
        return {user for user, status in self.status.items() if status == "online"}


async def comes_true(what: Callable[[], bool], within_s: float, otherwise: Callable[[], str]) -> float:
    begun = time.monotonic()
    while not what():
        assert time.monotonic() < begun + within_s, otherwise()
        await asyncio.sleep(0.1)
    return time.monotonic() - begun


async def leases(redis: RedisServer, people: set[str]) -> int:
    keys = [f"supd:p:{each}" for each in people]
    return await asyncio.to_thread(redis.command, "EXISTS", *keys)


async def test_a_daemon_of_many_people_is_killed(nodes: list[Daemon], wires: list[Wire], redis: RedisServer, seed: int) -> None:
    dies, second, third = nodes
    watch = Watch()
    load = FastLoad([each.url for each in nodes], seed, users=PEOPLE, chats=GROUPS, members=PEOPLE // GROUPS)
    async with load, contextlib.AsyncExitStack() as stack:
        await linked(nodes)
        people = list(load.accounts)
        sockets: list[Socket] = []
        for number, chat in enumerate(load.chat_ids):
            watcher = await a_user(load.rests[1 + number % 2])
            owner = load.accounts[people[number * load.members]]
            (await owner.post(f"chats/{chat}/members", {"user_ids": [watcher.id]})).expect(200, 201)
            sockets.append(await stack.enter_async_context(watcher.socket(on_event=watch.hear)))
            await sockets[-1].event("caught_up")
        await load.seat(lambda _: dies.url, deadline_s=30)

        async def asked() -> dict[str, str]:
            found: dict[str, str] = {}
            for number, socket in enumerate(sockets):
                group = people[number * load.members:(number + 1) * load.members]
                answer = await socket.call("subscribe_presence", {"user_ids": group})
                found |= {each["user_id"]: each["status"] for each in answer["data"]["presence"]}
            return found

        watch.status |= await asked()
        await comes_true(lambda: len(watch.online()) == PEOPLE, 10, lambda: f"{len(watch.online())} of {PEOPLE} are online")
        watch.gone.clear()

        moved, away = set(people[::2]), set(people[1::2])
        await asyncio.to_thread(dies.kill)
        began = time.monotonic()
        # Of those who come back half at each of the others.
        await load.seat(lambda number: None if number % 2 else (second, third)[number // 2 % 2].url, deadline_s=30)
        took = await comes_true(lambda: watch.gone >= away, OFFLINE_WITHIN_S, lambda: f"{len(away - watch.gone)} count as online")
        print(f"{len(moved)} are back, and {len(away)} offline {time.monotonic() - began:.1f} s after the kill ({took:.1f} s of waiting)")
        assert watch.gone == away, "who moved never went"
        assert await asked() == dict.fromkeys(moved, "online") | dict.fromkeys(away, "offline")

        await asyncio.to_thread(redis.command, "FLUSHALL")
        began = time.monotonic()
        while (there := await leases(redis, moved)) < len(moved):
            assert time.monotonic() < began + REBUILT_WITHIN_S, f"{there} of {len(moved)} are there again"
            await asyncio.sleep(0.1)
        print(f"all there again {time.monotonic() - began:.1f} s after Redis was emptied")

        wires[1].hold()
        await cut_off(second)
        await asyncio.sleep(UNREACHABLE_S)
        wires[1].mend()
        await linked([second, third])
        assert watch.gone == away, "nobody went while one daemon could not reach Redis"
        assert await asked() == dict.fromkeys(moved, "online") | dict.fromkeys(away, "offline")

        await asyncio.to_thread(dies.start)
        await load.seat(lambda number: dies.url if number % 2 else (second, third)[number // 2 % 2].url, deadline_s=30)
        await comes_true(lambda: len(watch.online()) == PEOPLE, 10, lambda: f"{len(watch.online())} of {PEOPLE} are online again")
    for daemon in nodes:
        daemon.check()
