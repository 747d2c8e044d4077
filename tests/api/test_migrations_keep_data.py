"""Each migration is taken back and applied again over tables full of rows, the newest first, then the newest two, and so on:
what it did not add is untouched, and a daemon serves the same as before."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable

import pytest

from rig.client import Rest
from rig.daemon import Daemon, shared_secret
from rig.inhabited import inhabit
from rig.postgres import CLUSTER_USER, PostgresCluster, server_binaries

# By its nature lost when the migration with that number is taken back: rows of the tables it makes go with them, and of
# columns that it adds these cannot be made from anything else.
LOST_COLUMNS = {8: {("chat_changes", "digest")}, 11: {("stream_state", "origin")}}
# The oldest that may be taken back with the histories still there: the one before it makes the table of messages.
KEEPS_MESSAGES = 7
FILLED = {"users", "user_devices", "sessions", "refresh_tokens", "idempotency_keys", "jobs", "job_schedules", "chats", "chat_heads",
          "chat_members", "messages", "chat_changes", "message_edits", "message_reactions", "message_hidden", "mark_heads",
          "backup_runs", "deletion_ledger", "stream_state"}
OWN = "schema_migrations"  # says when each was applied


class Schema:
    def __init__(self, daemon: Daemon, postgres: PostgresCluster) -> None:
        self.daemon = daemon
        self.postgres = postgres
        self.database = postgres.database_of(daemon.database_url or "")

    def sql(self, statement: str) -> list[list[str]]:
        return self.postgres.sql(statement, self.database)

    def migrate(self, *arguments: str) -> None:
        done = self.daemon.run("migrate", *arguments)
        assert done.returncode == 0, done.stderr

    def versions(self) -> list[int]:
        listed = json.loads(self.daemon.run("migrate", "status", "--json").stdout)["migrations"]
        assert {each["state"] for each in listed} == {"applied"}
        return [each["version"] for each in listed]

    def columns(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for table, column in self.sql("select table_name, column_name from information_schema.columns where table_schema = "
                                      f"'public' and table_name <> '{OWN}' order by table_name, ordinal_position"):
            found.setdefault(table, []).append(column)
        return found

    def checksums(self, columns: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
        """Of each table: how many rows, and a digest of those columns of all of them."""
        if not columns:
            return {}
        rows = self.sql(" union all ".join(
            f"select '{table}', count(*), md5(string_agg(t::text, chr(10) order by t::text)) "
            f"from (select {', '.join(names)} from {table}) t" for table, names in columns.items()))
        return {table: tuple(rest) for table, *rest in rows}

    def dump(self) -> str:
        """What the schema is, by pg_dump."""
        done = subprocess.run(
            [server_binaries() / "pg_dump", "--schema-only", "-h", self.postgres.sockets, "-p", str(self.postgres.port), "-U",
             CLUSTER_USER, self.database], check=True, capture_output=True, text=True)
        return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.M)


@pytest.fixture
def daemon(spawn: Callable[..., Daemon], postgres: PostgresCluster) -> Daemon:
    return spawn(database_url=postgres.new_database(), name="inhabited", settings={"JWT_SECRET": shared_secret()}).start()


def dumps_of_an_empty_one(spawn: Callable[..., Daemon], postgres: PostgresCluster, versions: list[int]) -> dict[int, str]:
    """The schema at each version as it is when nothing was ever taken back."""
    schema = Schema(spawn(database_url=postgres.new_database(), name="empty"), postgres)
    found = {}
    for version in versions:
        schema.migrate("up", "--to", str(version))
        found[version] = schema.dump()
    return found


async def test_down_and_up_again_keeps_every_row(daemon: Daemon, spawn: Callable[..., Daemon], postgres: PostgresCluster) -> None:
    schema = Schema(daemon, postgres)
    async with Rest(daemon.url) as rest:
        inhabited = await inhabit(rest)
        seen = await inhabited.seen(rest)
    daemon.stop()
    # What no client can ask for.
    schema.sql("insert into jobs (kind, payload, state, attempts, max_attempts, died_at, last_error) "
               "select 'planted', '{}', 'dead', 5, 5, now(), 'smtp_550' from generate_series(1, 3)")
    schema.sql("insert into backup_runs (kind, name) values ('created', 'one'), ('verified', 'one')")
    assert not FILLED - {table for table, (rows, _) in schema.checksums(schema.columns()).items() if rows != "0"}
    versions = schema.versions()
    dumps = dumps_of_an_empty_one(spawn, postgres, versions)
    for version in reversed(versions):
        lost = {column for number, columns in LOST_COLUMNS.items() if number >= version for column in columns}
        before = schema.columns()
        kept = {table: [name for name in names if (table, name) not in lost] for table, names in before.items()}
        filled = schema.checksums(kept)
        schema.migrate("down", "--to", str(version - 1))
        left = schema.columns()
        below = schema.checksums(left)
        assert version == versions[0] or schema.dump() == dumps[version - 1], f"{version} leaves something behind"
        schema.migrate("up")
        assert schema.columns() == before and schema.dump() == dumps[versions[-1]]
        again = schema.checksums(kept)
        assert {table: again[table] for table in left} == {table: filled[table] for table in left}, f"down to below {version}"
        assert schema.checksums(left) == below, f"up from below {version}"
        if version == KEEPS_MESSAGES:
            daemon.start()
            async with Rest(daemon.url) as rest:
                assert await inhabited.seen(rest) == seen
                await inhabit(rest)
            daemon.stop()
    daemon.start()
    async with Rest(daemon.url) as rest:
        await inhabit(rest)
