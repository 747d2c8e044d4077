"""supd's traces in Jaeger itself: what its receiver takes, its store keeps and its page shows."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rig.client import Rest, a_chat, a_user, an_id
from rig.daemon import Daemon
from rig.jaeger import Jaeger, Seen, spans_of
from rig.postgres import PostgresCluster

DEADLINE_S = 30.0
# Five attempts with up to 15 s of pauses between them.
GIVES_UP_S = 40.0
SERVER, CLIENT = 2, 3  # of OTLP
ERROR = 2
# Jaeger's metrics.
ACCEPTED, STORED = "otelcol_receiver_accepted_spans", "otelcol_exporter_sent_spans"
LOST = ("otelcol_receiver_refused_spans", "otelcol_receiver_failed_spans", "otelcol_exporter_send_failed_spans")


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[Jaeger]:
    made = Jaeger(tmp_path)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def traced(spawn, postgres: PostgresCluster) -> Callable[..., Daemon]:
    def start(jaeger: Jaeger, ratio: float = 1, path: str = "") -> Daemon:
        return spawn(database_url=postgres.new_database(), name="traced", settings={
            "JWT_SECRET": secrets.token_hex(24), "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_url + path,
            "SUPD__TRACE__SAMPLE_RATIO": str(ratio)}).start()

    return start


def a_trace() -> tuple[str, str]:
    return secrets.token_hex(16), secrets.token_hex(8)


def parent(trace: str, span: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{span}-01"}


async def until(look: Callable[[], Awaitable[Any]], what: Callable[[], object], seconds: float = DEADLINE_S) -> Any:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while True:
        if found := await look():
            return found
        assert time.monotonic() < end, what()
        await asyncio.sleep(0.1)


class Page:
    """What Jaeger's page asks for."""

    def __init__(self, jaeger: Jaeger) -> None:
        self.jaeger = jaeger
        self.rest = Rest(jaeger.query_url)

    async def __aenter__(self) -> "Page":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rest.close()

    async def trace(self, trace: str) -> list[Seen]:
        answer = (await self.rest.get(f"/api/traces/{trace}")).expect(200, 404)
        return spans_of(answer["data"][0]) if answer.status == 200 else []

    async def search(self, **params: str | int) -> list[list[Seen]]:
        answer = await self.rest.get("/api/traces", params={"service": "supd", "limit": 20} | params)
        return [spans_of(trace) for trace in answer.expect(200)["data"]]

    async def whole(self, trace: str, *names: str) -> list[Seen]:
        """Its spans, when all of these names have come."""
        seen: list[Seen] = []

        async def look() -> bool:
            seen[:] = await self.trace(trace)
            return set(names) <= {span.name for span in seen}

        await until(look, lambda: f"of {names} came {[span.name for span in seen]}")
        return seen

    async def otlp(self, trace: str) -> tuple[dict[str, str], dict[str, dict]]:
        """The same by the other API, which has OTLP's own form: attributes of supd's resource, and its spans by id."""
        answer = (await self.rest.get(f"/api/v3/traces/{trace}")).expect(200)
        resource, spans = {}, {}
        for each in answer["result"]["resourceSpans"]:
            attributes = {one["key"]: one["value"].get("stringValue") for one in each["resource"]["attributes"]}
            if attributes["service.name"] == "supd":
                resource = attributes
                for scope in each["scopeSpans"]:
                    assert scope["scope"] == {"name": "supd", "version": attributes["service.version"]}
                    spans |= {span["spanId"]: span for span in scope["spans"]}
        return resource, spans


async def numbers_of(daemon: Daemon) -> dict[str, float]:
    """Spans that were exported, and those dropped by reason."""
    async with Rest(daemon.admin_url) as admin:
        text = (await admin.get("/metrics")).expect(200).body.decode()
    dropped = re.findall(r'^trace_spans_dropped_total\{reason="(\w+)"\} (\S+)$', text, re.M)
    found = {reason: float(value) for reason, value in dropped}
    assert set(found) == {"queue_full", "undelivered", "refused"}
    return found | {"exported": float(re.search(r"^trace_spans_exported_total (\S+)$", text, re.M)[1])}


async def settled(daemon: Daemon, jaeger: Jaeger, others: int = 0) -> float:
    """Waits until Jaeger has taken and stored what supd says it told, and `others` spans from elsewhere. How many those
    of supd are."""
    last: list[object] = []

    async def look() -> bool:
        before = await numbers_of(daemon)
        accepted, stored = jaeger.number(ACCEPTED) - others, jaeger.number(STORED) - others
        last[:] = [before, accepted, stored]
        return before == await numbers_of(daemon) and before["exported"] == accepted == stored > 0

    await until(look, lambda: f"supd, taken, stored: {last}")
    for name in LOST:
        found = jaeger.numbers(name)
        assert found and not any(found.values()), (name, found)
    return last[1]


def tree(spans: list[Seen], parent: str | None = None) -> list:
    """Names with those below them, in the order of their begin."""
    below = sorted((span for span in spans if span.parent == parent), key=lambda span: span.begin)
    return [(span.name, tree(spans, span.id)) for span in below]


def has_parents(spans: list[Seen]) -> bool:
    """Else the rest of it comes with a later batch."""
    return {span.parent for span in spans if span.parents} <= {span.id for span in spans}


def check(spans: list[Seen]) -> None:
    """Nothing is lost between a span and those below it, none outlasts its parent, and Jaeger has no complaint."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        assert not span.warnings, (span.name, span.warnings)
        assert span.begin <= span.end
        if span.parents:
            assert span.parents == [("CHILD_OF", span.trace, span.parent)]
            above = by_id[span.parent]
            assert above.begin <= span.begin and span.end <= above.end + 1, (span, above)  # rounded to microseconds


async def tell_of_client(jaeger: Jaeger, trace: str, span: str, begin_ns: int) -> None:
    """The span of the client, which makes the trace whole. It ends now."""
    told = {"traceId": trace, "spanId": span, "name": "press send", "kind": CLIENT, "startTimeUnixNano": str(begin_ns),
            "endTimeUnixNano": str(time.time_ns())}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "app"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [told]}]}]}
    async with Rest(jaeger.otlp_url) as rest:
        (await rest.post("/v1/traces", body)).expect(200)


async def test_messages_are_one_tree_under_the_clients_span(jaeger: Jaeger, traced) -> None:
    daemon = traced(jaeger)
    trace, span = a_trace()
    async with Rest(daemon.url) as rest, Page(jaeger) as page:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        begin_ns = time.time_ns()
        body = {"id": an_id(), "chat_id": chat, "type": "text", "text": "hello"}
        answer = (await ann.post("messages", body, headers=parent(trace, span))).expect(201)
        async with ann.socket(headers=parent(trace, span)) as anns:
            await anns.message(chat)
        async with bob.socket() as bobs:
            await bobs.message(chat)
        await page.whole(trace, "POST /api/v1/messages", "GET /ws", "ws message")
        await tell_of_client(jaeger, trace, span, begin_ns)
        spans = await page.whole(trace, "press send")
        check(spans)
        assert tree(spans) == [("press send", [
            ("POST /api/v1/messages", [("postgresql append_messages", [])]),
            ("GET /ws", []),
            ("ws message", [("postgresql append_messages", [])])])]
        of_rest, = (each for each in spans if each.name == "POST /api/v1/messages")
        write, = (each for each in spans if each.parent == of_rest.id)
        assert answer.headers["traceparent"] == f"00-{trace}-{of_rest.id}-01"
        assert of_rest.tags | {"span.kind": "server", "http.request.method": "POST", "http.route": "/api/v1/messages",
                               "http.response.status_code": 201} == of_rest.tags
        assert write.tags | {"span.kind": "client", "db.system.name": "postgresql",
                             "db.operation.batch.size": 1} == write.tags
        assert not any("error" in each.tags or "otel.status_code" in each.tags for each in spans)
        ours = [each for each in spans if each.name != "press send"]
        assert {each.service for each in ours} == {"supd"} and len({str(each.process) for each in ours}) == 1
        assert set(of_rest.process) == {"service.version", "service.instance.id"}
        assert of_rest.process["service.version"] in daemon.run("version").stdout

        resource, told = await page.otlp(trace)
        assert {resource[f"service.{key}"] for key in ("version", "instance.id")} == set(of_rest.process.values())
        assert set(told) == {each.id for each in ours}
        for each in told.values():
            assert each["kind"] == (CLIENT if each["name"].startswith("postgresql") else SERVER)
            assert each.get("status", {}) == {} and each["traceId"] == trace
            assert begin_ns < int(each["startTimeUnixNano"]) < int(each["endTimeUnixNano"]) < time.time_ns()

        found = await page.search(operation="ws message", tags='{"http.route":"/ws"}')
        assert not found, "a command has no route"

        async def look() -> list[list[Seen]]:
            found = await page.search(operation="ws message")
            return [each for each in found if each[0].trace != trace]

        bobs_own, = await until(look, lambda: "the other message did not come")
        check(bobs_own)
        assert tree(bobs_own) == [("ws message", [("postgresql append_messages", [])])]
        assert "supd" in (await page.rest.get("/api/services")).expect(200)["data"]
        named = (await page.rest.get("/api/v3/operations", params={"service": "supd"})).expect(200)["operations"]
        assert {"name": "POST /api/v1/messages", "spanKind": "server"} in named
        await settled(daemon, jaeger, others=1)


async def test_faults_are_found_as_errors(jaeger: Jaeger, traced, postgres: PostgresCluster) -> None:
    daemon = traced(jaeger)
    name = postgres.database_of(daemon.database_url)
    async with Rest(daemon.url) as rest, Page(jaeger) as page:
        ann = await a_user(rest)
        (await ann.get(f"users/{an_id()}")).problem(404)
        try:
            postgres.sql(f"alter database {name} allow_connections false")
            postgres.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
            (await ann.get(f"users/{ann.id}")).problem(503)
        finally:
            postgres.sql(f"alter database {name} allow_connections true")
        operation = "GET /api/v1/users/:id"

        async def look() -> list[list[Seen]]:
            found = await page.search(operation=operation)
            return found if len(found) == 2 else []

        both = await until(look, lambda: "the two requests did not come")
        # By error.type, as error=true finds nothing in this store: it takes the page's "true" for a no.
        found, = await page.search(operation=operation, tags='{"error.type":"503"}')
        check(found)
        assert tree(found) == [(operation, [("postgresql transaction", [])])]
        root, below = sorted(found, key=lambda span: span.parent is not None)
        for span, type_ in ((root, "503"), (below, "database_unavailable")):
            assert span.tags | {"error": True, "otel.status_code": "ERROR", "error.type": type_} == span.tags
        _, told = await page.otlp(root.trace)
        assert [each["status"]["code"] for each in told.values()] == [ERROR, ERROR]
        fine, = (trace for trace in both if trace[0].trace != root.trace)
        check(fine)
        assert not any("error" in span.tags for span in fine), "404 is the client's"
        await settled(daemon, jaeger)


async def test_every_span_of_a_busy_daemon_arrives_whole(jaeger: Jaeger, traced) -> None:
    daemon = traced(jaeger)
    async with Rest(daemon.url) as rest, Page(jaeger) as page:
        ann, bob = await a_user(rest), await a_user(rest)
        chats = [(await a_chat(ann, bob))["id"] for _ in range(8)]
        async with ann.socket() as anns:
            for _ in range(50):
                await asyncio.gather(*(ann.send(chat) for chat in chats), *(anns.message(chat) for chat in chats))
        for _ in range(40):
            answers = await asyncio.gather(*(rest.get("server") for _ in range(25)))
            assert {answer.status for answer in answers} == {200}
            await asyncio.sleep(0.05)  # the bound of the queue is not what is tried here
        traces: list[list[Seen]] = []
        counts: Counter[str] = Counter()

        async def look() -> bool:
            traces[:] = await page.search(limit=100000)
            counts.clear()
            counts.update(span.name for trace in traces for span in trace)
            asked = counts["POST /api/v1/messages"], counts["ws message"], counts["GET /api/v1/server"]
            return asked == (400, 400, 1000) and all(map(has_parents, traces))

        await until(look, lambda: counts)
        for trace in traces:
            check(trace)
        assert counts["postgresql append_messages"] == 800
        assert await settled(daemon, jaeger) >= counts.total(), "jobs go on"
        dropped = await numbers_of(daemon)
        dropped.pop("exported")
        assert set(dropped.values()) == {0}
    assert "trace_export_failed" not in daemon.log_text()
    assert not re.search(r"\b(error|warn)\b.*span", jaeger.log_text())


async def test_a_restart_of_jaeger_costs_what_is_counted(jaeger: Jaeger, traced) -> None:
    daemon = traced(jaeger, ratio=0)  # so that jobs tell nothing and each request is one span
    asked = 0
    async with Rest(daemon.url) as rest, Page(jaeger) as page:

        async def ask(count: int) -> list[str]:
            nonlocal asked
            traces = [a_trace() for _ in range(count)]
            for each in traces:
                (await rest.get("server", headers=parent(*each))).expect(200)
            asked += count
            return [trace for trace, _ in traces]

        first, = await ask(1)
        await page.whole(first, "GET /api/v1/server")
        assert await settled(daemon, jaeger) == 1
        jaeger.stop()
        await ask(50)

        async def gave_up() -> bool:
            return (await numbers_of(daemon))["undelivered"] > 0

        await until(gave_up, lambda: "no batch was given up", GIVES_UP_S)
        waiting = await ask(30)
        jaeger.start()
        later, = await ask(1)
        for trace in [*waiting, later]:
            await page.whole(trace, "GET /api/v1/server")
        assert not await page.trace(first), "Jaeger was started again"

        async def told() -> bool:
            now = await numbers_of(daemon)
            return now["exported"] + now["undelivered"] == asked

        await until(told, lambda: f"not all of {asked} spans are accounted for")
        now = await numbers_of(daemon)
        assert now["exported"] == 1 + jaeger.number(ACCEPTED) and now["refused"] == now["queue_full"] == 0
    lines = [line for line in daemon.log_text().splitlines() if "trace_export_" in line]
    assert ["failed" in line for line in lines] == [True, False], lines


async def test_an_endpoint_that_is_not_jaegers_is_refused_and_counted(jaeger: Jaeger, traced) -> None:
    daemon = traced(jaeger, path="/v1/traces")  # to which supd adds /v1/traces
    async with Rest(daemon.url) as rest:
        (await rest.get("server")).expect(200)

        async def refused() -> bool:
            return (await numbers_of(daemon))["refused"] > 0

        await until(refused, lambda: "nothing was refused")
    now = await numbers_of(daemon)
    assert now["exported"] == now["undelivered"] == 0 == jaeger.number(ACCEPTED)
    assert re.search(r'"event":"trace_export_failed","status":404', daemon.log_text())
