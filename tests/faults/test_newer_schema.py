"""The previous release on a newer schema, as in every switch: one that runs while the database is migrated serves on, one that
starts on it serves beside, and both do when it is taken back. A schema that says it is not for them is refused, with a word."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import Rest
from rig.daemon import REPOSITORY, Daemon, shared_secret
from rig.inhabited import inhabit
from rig.judge import judge
from rig.load import Load
from rig.nodes import alive, becomes, percentile, ready
from rig.postgres import PostgresCluster

LONG = os.environ.get("SUPD_LONG") == "1"
RATE = float(os.environ.get("SUPD_RATE", "600" if LONG else "300"))
STEPS = 10 if LONG else 1
SERVES_S = 10.0 if LONG else 1.0
ACK_P99_S = 1.0 if LONG else 3.0  # on a machine that does other work, too
READY_WITHIN_S = 10.0
UNAVAILABLE = 69
# A binary of an earlier release, from another schema on.
OLDER = os.environ.get("SUPD_OLDER")

# What a next release may add: columns of tables that are written all the time, one of them kept by a trigger, an index, a table.
EXPANSION_UP = """
alter table messages add column words int;
create function messages_count_words() returns trigger language plpgsql as $$
begin
    new.words := length(new.text);
    return new;
end
$$;
create trigger messages_count_words before insert or update of text on messages
    for each row execute function messages_count_words();
alter table users add column motto text not null default 'none';
alter table sessions add column seen_from text;
alter table chats add column topic text;
alter table chat_members add column nickname text;
alter table chat_heads add column weight int not null default 1;
create index users_motto on users (motto);
create table bookmarks (user_id uuid not null references users (id), message_id uuid not null, primary key (user_id, message_id));
"""
EXPANSION_DOWN = """
drop table bookmarks;
alter table chat_heads drop column weight;
alter table chat_members drop column nickname;
alter table chats drop column topic;
alter table sessions drop column seen_from;
drop index users_motto;
alter table users drop column motto;
drop trigger messages_count_words on messages;
drop function messages_count_words;
alter table messages drop column words;
"""

pytestmark = pytest.mark.faults


def next_release(folder: Path, closes_to_older: bool = False) -> Path:
    """The migrations of a release after this one: ours and one more."""
    shutil.copytree(REPOSITORY / "migrations", folder)
    newest = max(folder.glob("*.up.sql"))
    number = int(newest.name[:4]) + 1
    compat = f"-- compat: {number}\n" if closes_to_older else newest.read_text().split("\n", 1)[0] + "\n"
    assert compat.startswith("-- compat: ")
    (folder / f"{number:04}_expansion.up.sql").write_text(compat + EXPANSION_UP)
    (folder / f"{number:04}_expansion.down.sql").write_text(EXPANSION_DOWN)
    return folder


@pytest.fixture
def pair(spawn: Callable[..., Daemon], postgres: PostgresCluster) -> list[Daemon]:
    url, secret = postgres.new_database(), shared_secret()
    return [spawn(database_url=url, name=name, settings={"JWT_SECRET": secret}).start() for name in ("runs", "starts")]


async def migrated(daemon: Daemon, way: str, *arguments: str) -> None:
    done = await asyncio.to_thread(daemon.run, "migrate", way, *arguments)
    assert done.returncode == 0 and done.stdout.startswith({"up": "applied", "down": "took back"}[way]), done.stdout + done.stderr


def states(daemon: Daemon) -> list[tuple[int, str]]:
    listed = json.loads(daemon.run("migrate", "status", "--json").stdout)["migrations"]
    return [(each["version"], each["state"]) for each in listed]


def faults(daemon: Daemon) -> list[str]:
    return [line for line in daemon.log_text().splitlines() if '"level":"error"' in line]


async def well(daemon: Daemon) -> None:
    """Ready, healthy, and everything that the API offers works there."""
    assert await ready(daemon) and await alive(daemon)
    async with Rest(daemon.url) as rest, Rest(daemon.admin_url) as admin:
        (await admin.get("/health")).expect(200)
        people = await inhabit(rest)
        assert len(await people.seen(rest)) > 100


class UnderLoad:
    """Does something while messages are sent: nobody is refused or cut off by it, and nobody waits for long."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def _state(self) -> tuple[int, int]:
        load = self._load
        unknown = sum(each.unknown + each.failed for each in load.history.operations.values())
        return unknown, sum(len(device.closes) for device in load.devices)

    async def __call__(self, step: Callable, what: str) -> None:
        acks, before = [len(device.latencies) for device in self._load.devices], self._state()
        await step()
        await asyncio.sleep(SERVES_S)
        took = [each for device, count in zip(self._load.devices, acks) for each in device.latencies[count:]]
        print(f"{what}: {len(took)} acks, p99 {percentile(took, 0.99) * 1000:.0f} ms, longest {max(took) * 1000:.0f} ms")
        assert len(took) > RATE * SERVES_S / 4, "the load went on"
        assert percentile(took, 0.99) <= ACK_P99_S
        assert self._state() == before, "some were refused, or cut off"


async def test_a_schema_of_the_next_release(pair: list[Daemon], tmp_path: Path, seed: int) -> None:
    runs, starts = pair
    under_load = UnderLoad(load := Load([daemon.url for daemon in pair], seed, rate=RATE))
    additive = ("--dir", str(next_release(tmp_path / "additive")))
    closing = ("--dir", str(next_release(tmp_path / "closing", closes_to_older=True)))
    async def refused_beside() -> None:
        """Whoever runs serves those who are there, but a proxy sends nobody more; whoever starts is told why not, and changes
        nothing."""
        await migrated(runs, "up", *closing)
        before = await asyncio.to_thread(states, runs)
        place = ("--data-dir", str(starts.data_dir), "--port", "0", "--admin-port", "0")
        done = await asyncio.to_thread(starts.run, "serve", *place)
        assert done.returncode == UNAVAILABLE and not done.stdout, done
        assert f"needs a supd that knows version {before[-1][0]} or newer" in done.stderr, done.stderr
        assert "Nothing was changed" in done.stderr
        assert await asyncio.to_thread(states, runs) == before and before[-1][1] == "newer"
        await becomes(runs, False, READY_WITHIN_S)
        assert await alive(runs)
        await migrated(runs, "down", *closing)
        await becomes(runs, True, READY_WITHIN_S)

    async def fault() -> None:
        await load.seat(lambda _: runs.url)
        await asyncio.to_thread(starts.stop)
        for _ in range(STEPS):
            await under_load(lambda: migrated(runs, "up", *additive), "up")
            assert (await asyncio.to_thread(states, runs))[-1][1] == "newer"
            await asyncio.to_thread(starts.start)
            await load.seat(lambda number: pair[number % 2].url)
            await under_load(lambda: asyncio.gather(*(well(daemon) for daemon in pair)), "two on the newer schema")
            await under_load(lambda: migrated(runs, "down", *additive), "down")
            await asyncio.gather(*(well(daemon) for daemon in pair))
            await load.seat(lambda _: runs.url)
            await asyncio.to_thread(starts.stop)
        await under_load(refused_beside, "one that refuses to start")
        await asyncio.to_thread(starts.start)
        await load.seat(lambda number: pair[number % 2].url)

    await judge(load, pair, fault)
    assert not [line for daemon in pair for line in faults(daemon)]


@pytest.mark.skipif(OLDER is None, reason="SUPD_OLDER names no binary of an earlier release")
async def test_a_binary_of_an_earlier_release(spawn: Callable[..., Daemon], postgres: PostgresCluster, seed: int) -> None:
    """The switch, the way back, and the schema's way back; people are where the traffic is."""
    url, settings = postgres.new_database(), {"JWT_SECRET": shared_secret()}
    older = spawn(database_url=url, name="older", settings=settings, binary=Path(OLDER).resolve()).start()
    first = await asyncio.to_thread(states, older)
    newer = spawn(database_url=url, name="newer", settings=settings)
    load = Load([older.url], seed, rate=RATE)
    under_load = UnderLoad(load)

    async def fault() -> None:
        await load.seat(lambda _: older.url)
        await under_load(lambda: migrated(newer, "up"), "migrated while the older one runs")
        known = await asyncio.to_thread(states, newer)
        assert len(known) > len(first) and {state for _, state in known} == {"applied"}
        await asyncio.to_thread(newer.start)
        await load.seat(lambda number: (older.url, newer.url)[number % 2])
        await under_load(lambda: well(newer), "both at once")
        await load.seat(lambda _: newer.url)
        await asyncio.to_thread(older.stop)
        await under_load(lambda: well(newer), "the newer one alone")
        await asyncio.to_thread(older.start)
        await load.seat(lambda _: older.url)
        await asyncio.to_thread(newer.stop)
        await under_load(lambda: migrated(newer, "down", "--to", str(first[-1][0])), "the schema's way back")
        await under_load(lambda: migrated(newer, "up"), "and on again")

    await judge(load, [older], fault)
    assert not [line for daemon in (older, newer) for line in faults(daemon)]
