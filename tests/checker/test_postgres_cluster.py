"""The rig's own PostgreSQL: durable settings, backends that can be ended, an immediate restart that recovers."""

from __future__ import annotations

import random

from rig.postgres import PostgresCluster


def test_it_is_durable_and_survives_an_immediate_restart(postgres: PostgresCluster) -> None:
    url = postgres.new_database("probe")
    database = postgres.database_of(url)
    assert postgres.sql("show fsync") == [["on"]]
    assert postgres.sql("show synchronous_commit") == [["on"]]
    postgres.sql("create table kept (n int)", database)
    postgres.sql("insert into kept values (7)", database)
    before = postgres.process.pid
    postgres.restart_immediate()
    assert postgres.process.pid != before
    assert postgres.sql("select n from kept", database) == [["7"]]
    assert postgres.backends(database) == []
    assert postgres.terminate_backend(database, random.Random(1)) is None
