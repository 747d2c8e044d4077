"""One io thread, which is what a machine of two cores has by default: the rig asks for more everywhere else."""

from __future__ import annotations

import asyncio
import random

import pytest

from rig.daemon import Daemon
from rig.judge import judge
from rig.load import Load
from rig.postgres import PostgresCluster

pytestmark = pytest.mark.faults

RUN_S = 5.0


async def test_it_serves_alone(spawn, postgres: PostgresCluster, seed: int, chance: random.Random) -> None:
    daemon: Daemon = spawn(database_url=postgres.new_database(), name="alone", settings={"SUPD__SERVER__IO_THREADS": "1"}).start()
    load = Load([daemon.url], seed, rate=300)

    async def drops() -> None:
        for _ in range(5):
            await asyncio.sleep(RUN_S / 5)
            for device in chance.sample(load.devices, len(load.devices) // 3):
                device.drop()

    await judge(load, [daemon], drops)
