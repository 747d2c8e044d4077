"""What ends every fault test: a clean history, and daemons that did nothing which nobody asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from rig.checker import assert_clean, summary
from rig.daemon import Daemon
from rig.load import Load


async def judge(load: Load, daemons: Iterable[Daemon], fault: Callable[[], Awaitable[None]], after_s: float = 1.0) -> None:
    """Runs the load with the fault in it, and for a while after."""
    async with load:
        await load.run(after_s, fault)
        print(f"seed {load.seed}: {summary(load.history)}")
        print(load.report())
        assert_clean(load.history)
    for daemon in daemons:
        daemon.check()
