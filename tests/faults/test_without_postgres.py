"""One of two daemons loses PostgreSQL: it is not ready, acknowledges nothing, and its clients go on at the other."""

from __future__ import annotations

import asyncio
import os
import random
import time

import pytest

from rig.attempts import Answer, Hand
from rig.client import an_id
from rig.daemon import Daemon
from rig.judge import judge
from rig.load import Load
from rig.nodes import alive, becomes, linked
from rig.tasks import meanwhile
from rig.wire import Wire

LONG = os.environ.get("SUPD_LONG") == "1"
OUTAGE_S = 30.0 if LONG else 5.0
ROUNDS = 5 if LONG else 1
RATE = float(os.environ.get("SUPD_RATE", "600" if LONG else "300"))
UNREADY_WITHIN_S = 5.0 if LONG else 10.0  # on a machine that does other work, too
RESUMED_WITHIN_S = 10.0
READY_AGAIN_S = 10.0

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("how", ["cut", "silent"])
async def test_unready_and_mute(wired_pair: list[Daemon], wire: Wire, seed: int, chance: random.Random, how: str) -> None:
    load = Load([daemon.url for daemon in wired_pair], seed, rate=RATE)

    async def outage(hand: Hand) -> None:
        (wire.cut if how == "cut" else wire.hold)()
        begun = time.monotonic()
        tried: dict[str, str] = {}
        answers: list[asyncio.Task[Answer]] = []

        async def keep_trying() -> None:
            while True:
                message, chat = an_id(), chance.choice(hand.chats())
                tried[message] = chat
                answers.append(asyncio.create_task(hand.send(wired_pair[0].url, chat, message, "is anybody there?",
                                                             by_rest=len(tried) % 2 == 0)))
                await asyncio.sleep(0.2)

        # What was sent before the fault and is under way may still be acknowledged; nothing sent after it.
        async with meanwhile(keep_trying()):
            await becomes(wired_pair[0], False, UNREADY_WITHIN_S)
            print(f"not ready {time.monotonic() - begun:.2f} s after it lost PostgreSQL")
            # As a proxy does that takes it out: its connections end, and new ones go to the other.
            took = await load.seat(lambda _: wired_pair[1].url, RESUMED_WITHIN_S)
            print(f"all resumed at the other in {took:.2f} s")
            assert await alive(wired_pair[0]), "the process itself is well"
            while time.monotonic() < begun + OUTAGE_S:
                assert not [each.result() for each in answers if each.done() and each.result().body is not None]
                await asyncio.sleep(0.1)
        # Their sender asks the other, which neither waits for the first nor knows of it.
        for message, chat in tried.items():
            answer = await hand.send(wired_pair[1].url, chat, message, "is anybody there?", by_rest=False)
            assert answer.body is not None, answer
        early = [each.result() for each in answers if each.done()]
        assert not [each for each in early if each.body is not None], "nothing was acknowledged"
        wire.mend()
        took = await becomes(wired_pair[0], True, READY_AGAIN_S)
        print(f"{len(tried)} tried in vain, {len(early)} answered meanwhile: {sorted({each.code for each in early})}; "
              f"ready {took:.2f} s after PostgreSQL was back")
        # Whatever it still held it may acknowledge now, at the seq that the other has given.
        await asyncio.wait_for(asyncio.gather(*answers), 30)
        for device in load.devices:
            device.nodes = [daemon.url for daemon in wired_pair]

    async def fault() -> None:
        await linked(wired_pair)
        async with Hand(load, load.devices[0].account.id) as hand:
            for _ in range(ROUNDS):
                await outage(hand)
                for device in chance.sample(load.devices, len(load.devices) // 2):
                    device.drop()
        await linked(wired_pair)

    await judge(load, wired_pair, fault)
