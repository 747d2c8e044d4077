"""Fixtures of the deployment tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from operate.machine import Machine, tool_path
from rig.postgres import PostgresCluster


@pytest.fixture
def machine(binary: str, postgres: PostgresCluster) -> Iterator[Callable[..., Machine]]:
    """Makes machines of one test, each with a database of its own; what runs on them is ended after it."""
    for tool in ("nginx", "openssl", "jq", "curl", "pg_dump", "setsid", "flock"):
        if not shutil.which(tool, path=tool_path()):
            pytest.skip(f"missing: {tool}")
    made: list[Machine] = []

    def make(**settings: str) -> Machine:
        made.append(Machine(postgres.new_database(), **settings))
        return made[-1]

    yield make
    for each in reversed(made):
        each.close()


@pytest.fixture
def not_root() -> dict:
    """Arguments of subprocess for a user that may run setup.sh."""
    if os.geteuid() != 0:
        return {}
    return {"user": 65534, "group": 65534, "extra_groups": []}
