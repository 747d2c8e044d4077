"""PostgreSQL answers one of two daemons three seconds late: what waits is bounded, everything is answered, and all is as fast
as before soon after. The other daemon is not drawn in."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import Counter

import aiohttp
import pytest

from rig.client import Rest, a_chat, an_id, some_users
from rig.daemon import Daemon
from rig.fast_load import FastLoad
from rig.judge import judge
from rig.nodes import alive, becomes, linked, percentile, quick_again
from rig.wire import Wire

LONG = os.environ.get("SUPD_LONG") == "1"
RATE = float(os.environ.get("SUPD_RATE", "2000" if LONG else "300"))
# So many that none of them has more to send again than its socket may, 50 a second.
USERS, CHATS, MEMBERS = (500, 200, 3) if LONG else (50, 20, 5)
LATENCY_S = 3.0
SLOW_S = 60.0 if LONG else 7.0
BASELINE_S = 10.0 if LONG else 3.0
ANSWERED_WITHIN_S = 30.0  # the deadline of a request
GROWTH = 100 * 1024 * 1024
AGAIN_WITHIN_S = 10.0
# Twice the p99 of before, but no less than a busy machine's noise.
NOISE_S = 0.25 if LONG else 1.0
# Two lanes take 400 messages a commit at best: the last would wait 18 s.
BURST, BURST_COMMIT_S, LONGEST_WAIT_S = 2400, 3.0, 5.0

pytestmark = pytest.mark.faults


def resident(daemon: Daemon) -> int:
    assert daemon.process is not None
    with open(f"/proc/{daemon.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def acks_at(load: FastLoad, place: int, after: int = 0) -> list[tuple[float, float]]:
    """When each message was to be sent by those at that daemon, and how long its acknowledgement took; only of what was
    acknowledged after so many, and of what waits (FastLoad.tell_waiting)."""
    return ([(at, took) for device, at, took in load.acks[after:] if device % 2 == place]
            + [(at, math.inf) for device, at in load.waiting if device % 2 == place])


async def asking(load: FastLoad, daemon: Daemon, answers: list[tuple[str, float]]) -> None:
    """Requests all the time, many at once; what each was answered and when."""
    async def ask(number: int) -> None:
        chat = load.chat_ids[number % len(load.chat_ids)]
        account = load.accounts[next(iter(load.history.members[chat]))]
        begun = time.monotonic()
        try:
            reply = await rest.get(f"chats/{chat}", token=account.access_token)
            answers.append((str(reply.status), time.monotonic() - begun))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            answers.append((type(error).__name__, time.monotonic() - begun))

    async with Rest(daemon.url, connections=1000) as rest, asyncio.TaskGroup() as asked:
        for number in range(int(SLOW_S * 20)):
            asked.create_task(ask(number))
            await asyncio.sleep(0.05)


async def test_three_seconds_late(wired_pair: list[Daemon], wire: Wire, seed: int) -> None:
    slow, _ = wired_pair
    # Messages alone: one statement each. A change holds its chat's lock for as long as its round trips take, at both.
    load = FastLoad([daemon.url for daemon in wired_pair], seed, users=USERS, chats=CHATS, members=MEMBERS, rate=RATE,
                    tell_acks=True)

    async def fault() -> None:
        await linked(wired_pair)
        await load.seat(lambda number: wired_pair[number % 2].url)
        begun = time.monotonic()
        await asyncio.sleep(BASELINE_S)
        baseline = [percentile([took for at, took in acks_at(load, place) if begun <= at < begun + BASELINE_S - 1], 0.99)
                    for place in range(2)]
        before = resident(slow)
        wire.delay_s = LATENCY_S / 2
        since, highest, answers = time.monotonic(), before, []
        requests = asyncio.create_task(asking(load, slow, answers))
        while time.monotonic() < since + SLOW_S:
            assert await alive(slow)
            highest = max(highest, resident(slow))
            await asyncio.sleep(0.2)
        wire.delay_s = 0
        over, until_then = time.monotonic(), len(load.acks)
        await load.tell_waiting(over)
        again = await quick_again(lambda: acks_at(load, 0, until_then), over, max(2 * baseline[0], NOISE_S), AGAIN_WITHIN_S)
        await becomes(slow, True, AGAIN_WITHIN_S)
        await requests
        late = [took for at, took in acks_at(load, 0) if since <= at < over - LATENCY_S]
        beside = [took for at, took in acks_at(load, 1) if since <= at < over]
        print(f"p99 before {baseline[0] * 1000:.0f} and {baseline[1] * 1000:.0f} ms; with {LATENCY_S} s of latency "
              f"{percentile(late, 0.99):.1f} s and, at the other, {percentile(beside, 0.99) * 1000:.0f} ms, at most "
              f"{max(beside):.2f} s; "
              f"as before {again:.2f} s after; {(highest - before) / 2**20:.1f} MiB grown; {len(answers)} requests: "
              f"{dict(Counter(what for what, _ in answers))}, the last after {max(took for _, took in answers):.1f} s")
        assert percentile(late, 0.5) > LATENCY_S, "the latency was felt"
        assert highest - before <= GROWTH
        assert {what for what, _ in answers} <= {"200", "503"}
        assert max(took for _, took in answers) <= ANSWERED_WITHIN_S
        assert percentile(beside, 0.99) <= max(2 * baseline[1], NOISE_S)

    await judge(load, wired_pair, fault)


async def test_a_burst_is_taken_as_far_as_it_can_be_stored_soon(wired_pair: list[Daemon], wire: Wire) -> None:
    """Who would wait for long is refused at once, however short the queue has stood."""
    slow = wired_pair[0]
    async with Rest(slow.url, connections=BURST) as rest:
        people = await some_users(rest, 40)
        chats = [(await a_chat(one, another))["id"] for one, another in zip(people, people[1:] + people[:1])]

        async def send(number: int) -> tuple[int, float]:
            begun = time.monotonic()
            reply = await people[number % 40].post("messages", {
                "id": an_id(), "chat_id": chats[number % 40], "type": "text", "text": "one of many"})
            if reply.status != 201:
                reply.problem(503, "overloaded")
                assert int(reply.headers["Retry-After"]) > 0
            return reply.status, time.monotonic() - begun

        # Most likely both lanes have their statements prepared then.
        assert {status for status, _ in await asyncio.gather(*(send(number) for number in range(400)))} == {201}
        # All connections are there, and how long the client itself takes for so many is known.
        for _ in range(2):
            begun = time.monotonic()
            await asyncio.gather(*(rest.get("/livez") for _ in range(BURST)))
        sending_s = 2 * (time.monotonic() - begun)
        wire.delay_s = BURST_COMMIT_S / 2
        for _ in range(3):
            assert (await send(0))[0] == 201
        answers = await asyncio.gather(*(send(number) for number in range(BURST)))
        wire.delay_s = 0
        took = {status: [each for of, each in answers if of == status] for status in (201, 503)}
        print(", ".join(f"{len(each)} answered {status} within {max(each, default=0):.1f} s" for status, each in took.items()),
              f"of which the client may take {sending_s:.1f} s")
        assert took[201] and took[503] and len(took[201]) + len(took[503]) == BURST
        assert max(took[201]) <= LONGEST_WAIT_S + 2 * BURST_COMMIT_S + sending_s
        assert percentile(took[503], 0.5) < 1 + sending_s
        assert (await send(0))[0] == 201
