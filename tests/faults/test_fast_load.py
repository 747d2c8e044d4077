"""The load of rig.fast_load end to end against a messenger in memory, as tests/checker does it with that of rig.load: a good one
is judged clean, a bad one is not."""

from __future__ import annotations

import asyncio

import pytest

from in_memory_messenger import InMemoryMessenger
from rig.checker import Kind, assert_clean, check, summary
from rig.fast_load import FastLoad


async def a_fast_run(messenger: InMemoryMessenger, drops: bool = False) -> FastLoad:
    async with messenger:
        load = FastLoad([messenger.url], seed=5, users=10, chats=4, rate=300)

        async def meanwhile() -> None:
            for _ in range(10):
                await asyncio.sleep(0.1)
                if drops:
                    await load.lose_network(2)

        async with load:
            await load.run(0, meanwhile, settle_s=4)
            print(summary(load.history), load.report(), f"{messenger.planted} planted")
        return load


@pytest.mark.parametrize("drops", [False, True])
async def test_the_fast_load_finds_a_good_messenger_clean(drops: bool) -> None:
    load = await a_fast_run(InMemoryMessenger(), drops)
    assert_clean(load.history)
    assert sum(1 for each in load.history.operations.values() if each.acks) > 150
    assert sum(len(entries) for entries in load.history.applied.values()) > 700
    assert not drops or load.connections > 10


@pytest.mark.parametrize("fault,kind", [("lose", Kind.LOST), ("double", Kind.DUP), ("phantom", Kind.PHANTOM),
                                        ("refuse_but_keep", Kind.PHANTOM), ("gap", Kind.GAP), ("leak", Kind.LEAK)])
async def test_the_fast_load_catches_a_bad_messenger(fault: str, kind: Kind) -> None:
    messenger = InMemoryMessenger(fault, every=23)
    load = await a_fast_run(messenger)
    assert messenger.planted > 0
    assert kind in {each.kind for each in check(load.history)}


async def test_events_that_were_never_told_are_healed_by_a_resume() -> None:
    messenger = InMemoryMessenger("forget_reader", every=50)
    load = await a_fast_run(messenger)
    assert messenger.planted > 0 and load.healed > 0
    assert {each.kind for each in check(load.history)} <= {Kind.STALE}, "only an event forgotten at the very end is missed"
