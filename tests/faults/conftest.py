"""What several fault tests share."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Callable

import pytest_asyncio

from rig.daemon import Daemon, shared_secret
from rig.nodes import through
from rig.postgres import PostgresCluster
from rig.redis import RedisServer
from rig.wire import Wire

NODES = 3

# Some have thousands of connections; the usual soft limit is 1024.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


@pytest_asyncio.fixture
async def wire(postgres: PostgresCluster) -> AsyncIterator[Wire]:
    made = await Wire(postgres.port).start()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def wired_pair(spawn: Callable[..., Daemon], postgres: PostgresCluster, redis: RedisServer,
                     wire: Wire) -> AsyncIterator[list[Daemon]]:
    """Two daemons with one Redis; the first reaches PostgreSQL by the wire."""
    url, settings = postgres.new_database(), {"JWT_SECRET": shared_secret(), "REDIS_URL": redis.url}
    made = [spawn(database_url=through(wire, url), name="a", settings=settings),
            spawn(database_url=url, name="b", settings=settings)]
    yield [await asyncio.to_thread(each.start) for each in made]
    await asyncio.gather(*(asyncio.to_thread(each.close) for each in made))


@pytest_asyncio.fixture
async def wires(redis: RedisServer) -> AsyncIterator[list[Wire]]:
    """To Redis, one for each of `nodes`."""
    made = [await Wire(redis.port).start() for _ in range(NODES)]
    yield made
    for wire in made:
        await wire.close()


@pytest_asyncio.fixture
async def nodes(spawn: Callable[..., Daemon], postgres: PostgresCluster, wires: list[Wire]) -> list[Daemon]:
    url, secret = postgres.new_database(), shared_secret()
    made = [spawn(database_url=url, name=f"node-{number}", settings={
        "JWT_SECRET": secret, "REDIS_URL": f"redis://127.0.0.1:{wire.port}"}) for number, wire in enumerate(wires)]
    # Beside the loop, on which the wires are.
    return [await asyncio.to_thread(each.start) for each in made]
