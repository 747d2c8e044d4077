"""Jobs of a kind that nobody asks for but the test, and the daemon that has one."""

from __future__ import annotations

import asyncio
import time

from rig.daemon import Daemon
from rig.nodes import metric
from rig.postgres import PostgresCluster


class Jobs:
    """Of two daemons with one database."""

    def __init__(self, pair: list[Daemon], postgres: PostgresCluster, kind: str) -> None:
        self.pair, self.kind = pair, kind
        self.database = postgres.database_of(pair[0].database_url or "")
        self._postgres = postgres

    async def sql(self, statement: str) -> list[list[str]]:
        return await asyncio.to_thread(self._postgres.sql, statement, self.database)

    async def until(self, statement: str, deadline_s: float) -> list[list[str]]:
        """The rows of the statement, as soon as it has any."""
        begun = time.monotonic()
        while not (rows := await self.sql(statement)):
            assert time.monotonic() < begun + deadline_s, f"after {deadline_s} s still nothing: {statement}"
            await asyncio.sleep(0.02)
        return rows

    async def put_off(self) -> None:
        """The schedule's next run is beyond the test, and those that it has asked for are over."""
        await self.until(f"update job_schedules set next_run_at = now() + interval '1 hour' where name = '{self.kind}' and "
                         "runs > 0 returning name", 15)
        await self.until(f"select 1 where not exists (select from jobs where kind = '{self.kind}')", 15)

    async def ask(self) -> str:
        [[job]] = await self.sql(f"insert into jobs (kind, payload, max_attempts) values ('{self.kind}', '{{}}', 20) returning id")
        return job

    async def taken(self, job: str, when: str) -> tuple[Daemon, Daemon, str]:
        """Who has the job once `when` is true, who has not, and the fence."""
        [[leased_by, fence]] = await self.until(
            f"select leased_by, fence from jobs where id = {job} and state = 'running' and {when}", 15)
        [holder] = [each for each in self.pair if each.process and leased_by.endswith(f":{each.process.pid}")]
        return holder, self.pair[1 - self.pair.index(holder)], fence

    async def lease_ends_in(self, seconds: float, job: str, fence: str) -> None:
        await self.sql(f"update jobs set lease_until = now() + {seconds} * interval '1 second' where id = {job} and fence = {fence}")

    async def count(self, daemon: Daemon, outcome: str) -> float:
        return await metric(daemon, f'jobs_total{{kind="{self.kind}",outcome="{outcome}"}}', absent=0.0)
