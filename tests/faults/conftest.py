"""What several fault tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest_asyncio

from rig.daemon import Daemon, shared_secret
from rig.nodes import through
from rig.postgres import PostgresCluster
from rig.redis import RedisServer
from rig.wire import Wire


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
