"""Traces as a collector gets them: continued, sampled, of requests, commands, jobs and the database, and without content."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from rig.client import Rest, Socket, a_chat, a_user, an_id
from rig.collector import Collector, attributes_of
from rig.daemon import Daemon
from rig.postgres import PostgresCluster

ERROR = {"code": 2}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def traced(spawn, postgres: PostgresCluster) -> Callable[..., Daemon]:
    """Starts a daemon that traces all of what nobody else has decided about, unless told otherwise."""

    def start(endpoint: str, **settings: str) -> Daemon:
        return spawn(database_url=postgres.new_database(), name="traced", settings={
            "JWT_SECRET": secrets.token_hex(24), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "SUPD__TRACE__SAMPLE_RATIO": "1"} | settings).start()

    return start


def a_trace() -> tuple[str, str]:
    return secrets.token_hex(16), secrets.token_hex(8)


def parent(trace: str, span: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{span}-{flags}"}


async def log_line(daemon: Daemon, request_id: str) -> dict:
    until = time.monotonic() + 10
    while True:
        for line in daemon.log_text().rpartition("\n")[0].splitlines():
            if f'"{request_id}"' in line and '"event":"request"' in line:
                return json.loads(line)
        assert time.monotonic() < until, "no log line"
        await asyncio.sleep(0.02)


async def test_a_request_continues_the_trace_it_comes_with(traced, collector: Collector) -> None:
    daemon = traced(collector.url + "/some/where/", OTEL_EXPORTER_OTLP_HEADERS="X-Scope=one%20two")
    trace, span = a_trace()
    async with Rest(daemon.url) as rest:
        ann = await a_user(rest)
        answer = (await ann.get(f"users/{ann.id}", headers=parent(trace, span))).expect(200)
        server = await collector.span("GET /api/v1/users/:id", traceId=trace)
        assert (server["parentSpanId"], server["kind"]) == (span, 2) and "status" not in server
        assert answer.headers["traceparent"] == f"00-{trace}-{server['spanId']}-01"
        assert attributes_of(server) == {"http.request.method": "GET", "http.route": "/api/v1/users/:id", "http.response.status_code": "200"}
        assert int(server["startTimeUnixNano"]) < int(server["endTimeUnixNano"])
        database = await collector.span("postgresql transaction", traceId=trace)
        assert (database["parentSpanId"], database["kind"]) == (server["spanId"], 3)
        assert attributes_of(database) == {"db.system.name": "postgresql"}
        line = await log_line(daemon, answer.headers["X-Request-Id"])
        assert line["trace_id"] == trace
    path, headers, _ = collector.requests[0]
    assert path == "/some/where/v1/traces" and headers["Content-Type"] == "application/json" and headers["X-Scope"] == "one two"
    resource = collector.resources[0]
    assert resource["service.name"] == "supd" and re.fullmatch(r"[\d.]+", resource["service.version"]) and resource["service.instance.id"]


async def test_who_is_not_sampled_leaves_nothing(traced, collector: Collector) -> None:
    daemon = traced(collector.url)
    quiet, loud = a_trace(), a_trace()
    async with Rest(daemon.url) as rest:
        ann = await a_user(rest)
        answer = (await ann.get("users/me", headers=parent(*quiet, flags="00"))).expect(200)
        (await ann.get("users/me", headers=parent(*loud))).expect(200)
        assert "trace_id" not in await log_line(daemon, answer.headers["X-Request-Id"])
    daemon.stop()
    assert [span for span in collector.spans if span["traceId"] == loud[0]]
    assert not [span for span in collector.spans if span["traceId"] == quiet[0]]


async def test_what_is_malformed_begins_a_new_trace(traced, collector: Collector) -> None:
    daemon = traced(collector.url)
    trace, span = a_trace()
    bad = [f"00-{trace}-{span}", f"00-{trace.upper()}-{span}-01", f"ff-{trace}-{span}-01", f"00-{'0' * 32}-{span}-01",
           f"00-{trace}-{'0' * 16}-01", "mark" + "x" * 4000, "00-" + "mark" * 8 + f"-{span}-01"]
    async with Rest(daemon.url) as rest:
        for each in bad:
            (await rest.get("server", headers={"traceparent": each})).expect(200)
    daemon.stop()
    servers = collector.find("GET /api/v1/server")
    assert len(servers) == len(bad) and len({each["traceId"] for each in servers}) == len(bad)
    assert all("parentSpanId" not in each and each["traceId"] != trace for each in servers)
    assert "mark" not in collector.text()


async def test_commands_of_a_socket_continue_its_upgrade(traced, collector: Collector) -> None:
    daemon = traced(collector.url)
    trace, span = a_trace()
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        async with ann.socket(headers=parent(trace, span)) as anns, bob.socket() as bobs:
            sent = await anns.message(chat)
            await anns.call("edit", {"message_id": sent["id"], "text": "changed"})
            await bobs.message(chat)
        upgrade = await collector.span("GET /ws", traceId=trace)
        assert attributes_of(upgrade)["http.response.status_code"] == "101" and upgrade["parentSpanId"] == span
        for command, below in (("ws message", "postgresql append_messages"), ("ws edit", "postgresql transaction")):
            server = await collector.span(command, traceId=trace)
            assert (server["parentSpanId"], server["kind"]) == (span, 2) and "status" not in server
            child = await collector.span(below, parentSpanId=server["spanId"])
            assert (child["traceId"], child["kind"]) == (trace, 3)
        refused = a_trace()
        (await rest.get("/ws", headers=parent(*refused) | {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "12"})).problem(426)
        assert attributes_of(await collector.span("GET /ws", traceId=refused[0]))["http.response.status_code"] == "426"
        bobs_own, = await collector.wait_for(lambda: [each for each in collector.find("ws message") if each["traceId"] != trace])
        assert "parentSpanId" not in bobs_own


async def test_the_socket_of_who_is_not_sampled_is_quiet(traced, collector: Collector) -> None:
    daemon = traced(collector.url)
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        async with ann.socket(headers=parent(*a_trace(), flags="00")) as anns:
            await anns.message(chat)
    daemon.stop()
    assert not collector.find("ws message") and collector.find("POST /api/v1/chats")


async def test_a_message_by_rest_shows_its_wait_for_the_commit(traced, collector: Collector) -> None:
    daemon = traced(collector.url)
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        await ann.send((await a_chat(ann, bob))["id"])
    server = await collector.span("POST /api/v1/messages")
    write = await collector.span("postgresql append_messages", parentSpanId=server["spanId"])
    assert attributes_of(write) == {"db.system.name": "postgresql", "db.operation.batch.size": "1"}


async def test_no_span_outlasts_the_one_above_it(traced, collector: Collector) -> None:
    """A commit ends on another thread than its request, and must not be seen to go on after the answer."""
    daemon = traced(collector.url)
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chats = [(await a_chat(ann, bob))["id"] for _ in range(8)]
        async with ann.socket() as anns:
            for _ in range(30):
                await asyncio.gather(*(ann.send(chat) for chat in chats), *(anns.message(chat) for chat in chats))
    daemon.stop()
    by_id = {span["spanId"]: span for span in collector.spans}
    pairs = [(span, by_id[span["parentSpanId"]]) for span in collector.spans if "parentSpanId" in span]
    assert len([below for below, _ in pairs if below["name"] == "postgresql append_messages"]) == 480
    for below, above in pairs:
        assert int(above["startTimeUnixNano"]) <= int(below["startTimeUnixNano"]), (below, above)
        assert int(below["endTimeUnixNano"]) <= int(above["endTimeUnixNano"]), (below, above)


async def test_a_job_is_a_trace(traced, collector: Collector) -> None:
    traced(collector.url)
    job, = (await collector.wait_for(lambda: [span for span in collector.spans if span["kind"] == 5]))[:1]
    name = attributes_of(job)["messaging.destination.name"]
    assert job["name"] == f"process {name}" and "parentSpanId" not in job and "status" not in job
    below = await collector.span("postgresql transaction", parentSpanId=job["spanId"])
    assert below["traceId"] == job["traceId"]


async def test_a_fault_is_marked(traced, collector: Collector, postgres: PostgresCluster) -> None:
    daemon = traced(collector.url)
    name = postgres.database_of(daemon.database_url)
    trace, span = a_trace()
    async with Rest(daemon.url) as rest:
        ann = await a_user(rest)
        (await ann.get(f"users/{an_id()}", headers=parent(*a_trace()))).problem(404)
        try:
            postgres.sql(f"alter database {name} allow_connections false")
            postgres.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
            (await ann.get(f"users/{ann.id}", headers=parent(trace, span))).problem(503)
        finally:
            postgres.sql(f"alter database {name} allow_connections true")
        failed = await collector.span("GET /api/v1/users/:id", traceId=trace)
        assert failed["status"] == ERROR and attributes_of(failed)["error.type"] == "503"
        below = await collector.span("postgresql transaction", traceId=trace)
        assert below["status"] == ERROR and attributes_of(below)["error.type"] == "database_unavailable"
        for refused in collector.find("GET /api/v1/users/:id"):
            if refused["traceId"] != trace:
                assert "status" not in refused, "404 is the client's"


async def test_no_content_is_in_it(traced, collector: Collector) -> None:
    key = "mark" + secrets.token_hex(16)
    daemon = traced(collector.url, OTEL_EXPORTER_OTLP_HEADERS=f"X-Key={key}", LOG_LEVEL="debug")
    marks: list[str] = []

    def mark() -> str:
        marks.append("mark" + secrets.token_hex(12))
        return marks[-1]

    async with Rest(daemon.url) as rest:
        ann = await a_user(rest, name=mark(), password=mark(), email=f"{mark()}@example.org", display_name=mark())
        bob = await a_user(rest)
        chat = (await a_chat(ann, bob, title=mark()))["id"]
        sent = await ann.send(chat, mark(), metadata={"k": mark()})
        await ann.patch(f"messages/{sent['id']}", {"text": mark()})
        await ann.get("users/me", params={"access_token": mark()})
        await rest.get(f"/nothing/{mark()}?q={mark()}", headers={"X-Request-Id": mark(), "User-Agent": mark()})
        await rest.post("auth/login", {"identifier": mark(), "password": mark()})
        await rest.get("users/me", token=mark())
        async with ann.socket() as anns:
            await anns.message(chat, mark())
            await anns.send_frame({"type": mark(), "ref": mark(), "data": {"x": mark()}})
            await anns.call("ping")
        bad = Socket(rest, None, token=mark(), authenticate=False)
        await bad.connect()
        await bad.close()
    ids = [ann.id, bob.id, chat, sent["id"], ann.access_token, ann.refresh_token]
    daemon.stop()
    assert len(collector.spans) > 20
    told = collector.text()
    assert not [each for each in marks + ids if each in told]
    assert key not in daemon.log_text() and key not in daemon.run("config", "print").stdout


async def test_an_outage_of_the_collector_loses_nothing_short(traced) -> None:
    collector = Collector(503, 503)
    try:
        daemon = traced(collector.url)
        async with Rest(daemon.url) as rest:
            (await rest.get("server")).expect(200)
        await collector.span("GET /api/v1/server")
        daemon.stop()
        assert daemon.log_text().count("trace_export_failed") == 1 == daemon.log_text().count("trace_export_resumed")
    finally:
        collector.close()


@pytest.mark.parametrize("listens", [False, True], ids=["refused", "silent"])
async def test_a_collector_that_is_away_is_nobodys_trouble(traced, listens: bool) -> None:
    """No request waits or fails; what does not fit is dropped and counted; one line of the log says it."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        if listens:
            hole.listen()
        daemon = traced(f"http://127.0.0.1:{hole.getsockname()[1]}")

        async def dropped() -> float:
            async with Rest(daemon.admin_url) as admin:
                text = (await admin.get("/metrics")).expect(200).body.decode()
            assert float(re.search(r"^trace_spans_exported_total (\S+)$", text, re.M)[1]) == 0
            return float(re.search(r'^trace_spans_dropped_total\{reason="queue_full"\} (\S+)$', text, re.M)[1])

        async with Rest(daemon.url) as rest:
            slowest = 0.0
            while await dropped() == 0:
                for _ in range(50):
                    begun = time.monotonic()
                    answers = await asyncio.gather(*(rest.get("server") for _ in range(10)))
                    slowest = max(slowest, time.monotonic() - begun)
                    assert {answer.status for answer in answers} == {200}
            assert slowest < 2, "a request to the collector takes three seconds"
        begun = time.monotonic()
        daemon.stop()
        assert time.monotonic() - begun < 12
        assert daemon.log_text().count("trace_export_failed") == 1


async def test_off_by_default(server: Daemon, rest: Rest) -> None:
    answer = (await rest.get("server", headers=parent(*a_trace()))).expect(200)
    assert "trace_id" not in await log_line(server, answer.headers["X-Request-Id"])
    async with Rest(server.admin_url) as admin:
        assert b"trace_spans" not in (await admin.get("/metrics")).body


def test_a_malformed_endpoint_is_refused(spawn) -> None:
    daemon = spawn(settings={"OTEL_EXPORTER_OTLP_ENDPOINT": "tempo:4317"})
    done = daemon.run("config", "check")
    assert done.returncode == 78 and "trace.otlp_endpoint must be http://host[:port][/path] or https://" in done.stderr
