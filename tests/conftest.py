"""Fixtures of the black-box tests. Whatever is started here is ended here."""

from __future__ import annotations

import atexit
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from rig import daemon as daemons
from rig.client import Rest
from rig.daemon import Daemon, find_binary
from rig.postgres import PostgresCluster
from rig.redis import RedisServer

LONG = os.environ.get("SUPD_LONG") == "1"


@pytest.fixture(scope="session")
def seed() -> int:
    """The seed of everything random in this run; SUPD_SEED replays one."""
    return int(os.environ.get("SUPD_SEED", "0")) or int(time.time() * 1000) % 2**31


@pytest.fixture
def chance(seed: int, request: pytest.FixtureRequest) -> random.Random:
    print(f"seed {seed}")
    return random.Random(f"{seed}/{request.node.name}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    cluster = PostgresCluster()
    yield cluster
    cluster.close()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, which it may kill."""
    started = RedisServer().start()
    yield started
    started.close()


@pytest.fixture(scope="session")
def binary() -> str:
    found = find_binary()
    if found is None or not found.is_file():
        pytest.fail(f"no supd binary at {found or 'build/*/src/supd'}: build one or set SUPD_BINARY", pytrace=False)
    return str(found)


@pytest.fixture(scope="session")
def server(binary: str, postgres: PostgresCluster) -> Iterator[Daemon]:
    """The daemon that all API tests share."""
    shared = Daemon(database_url=postgres.new_database(), name="api",
                    settings={"JWT_SECRET": daemons.shared_secret(), "LOG_LEVEL": "debug"}).start()
    yield shared
    shared.close()


@pytest.fixture
def spawn(binary: str) -> Iterator[Callable[..., Daemon]]:
    """Makes daemons of one test; all are closed after it."""
    made: list[Daemon] = []

    def make(**arguments) -> Daemon:
        new = Daemon(**arguments)
        made.append(new)
        return new

    yield make
    for each in reversed(made):
        each.close()


@pytest_asyncio.fixture(scope="session")
async def rest(server: Daemon) -> AsyncIterator[Rest]:
    async with Rest(server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def no_incidents() -> Iterator[None]:
    """A daemon that ended by itself or wrote a sanitizer report fails the test in which it happened."""
    yield
    for each in list(daemons.running):
        each.check()
    seen, daemons.incidents[:] = list(daemons.incidents), []
    if seen:
        pytest.fail("\n".join(seen), pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    """A test run that is ended by SIGTERM leaves nothing behind either."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))
    atexit.register(daemons.kill_all)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if daemons.incidents:
        print("\n".join(["", "incidents at the end of the session:", *daemons.incidents]))
        session.exitstatus = 1
