"""The load harness end to end against a messenger in memory: a good one is judged clean, a bad one is not."""

from __future__ import annotations

import asyncio

import pytest

import rig.device
from in_memory_messenger import InMemoryMessenger
from rig.checker import Kind, assert_clean, check, summary
from rig.load import Load


async def a_run(messenger: InMemoryMessenger, monkeypatch: pytest.MonkeyPatch, drops: bool = False) -> Load:
    monkeypatch.setattr(rig.device, "GAP_PATIENCE_S", 0.2)
    async with messenger:
        load = Load([messenger.url], seed=5, users=10, chats=4, rate=300)

        async def meanwhile() -> None:
            for _ in range(10):
                await asyncio.sleep(0.1)
                if drops:
                    for device in load.chance.sample(load.devices, 2):
                        device.drop()

        async with load:
            load.start()
            await meanwhile()
            await load.settle(deadline_s=4)
            print(summary(load.history), load.report(), f"{messenger.planted} planted")
        return load


@pytest.mark.parametrize("drops", [False, True])
async def test_a_good_messenger_is_clean(monkeypatch: pytest.MonkeyPatch, drops: bool) -> None:
    load = await a_run(InMemoryMessenger(), monkeypatch, drops)
    assert_clean(load.history)
    assert sum(1 for each in load.history.operations.values() if each.acks) > 150
    assert sum(len(entries) for entries in load.history.applied.values()) > 700


@pytest.mark.parametrize("fault,kind", [("lose", Kind.LOST), ("double", Kind.DUP), ("phantom", Kind.PHANTOM),
                                        ("refuse_but_keep", Kind.PHANTOM), ("gap", Kind.GAP), ("leak", Kind.LEAK)])
async def test_a_bad_messenger_is_caught(monkeypatch: pytest.MonkeyPatch, fault: str, kind: Kind) -> None:
    messenger = InMemoryMessenger(fault, every=23)
    load = await a_run(messenger, monkeypatch)
    assert messenger.planted > 0
    assert kind in {each.kind for each in check(load.history)}


async def test_events_that_were_never_told_are_healed_by_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    messenger = InMemoryMessenger("forget_reader", every=50)
    load = await a_run(messenger, monkeypatch)
    assert messenger.planted > 0 and sum(device.gaps_filled for device in load.devices) > 0
    assert {each.kind for each in check(load.history)} <= {Kind.STALE}, "only an event forgotten at the very end is missed"
