"""Health, the metrics and what must not be on the public listener; the first lines of the process contract."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rig.client import Rest, a_chat, a_user, an_id
from rig.daemon import REPOSITORY, Daemon, find_binary
from rig.documents import document
from rig.postgres import PostgresCluster

REQUIRED = ("http_requests_total", "http_request_duration_seconds", "websocket_connections_active", "messages_sent_total")
REQUIRED_WORDS = (("deliver", "seconds"), ("commit", "batch"), ("queue",), ("pool",), ("xmin", "age"))
SERIES_CAP = 500


async def test_health(rest: Rest) -> None:
    health = (await rest.get("/health")).expect(200).json
    assert health["status"] in ("healthy", "degraded")
    assert health["version"] and health["uptime_s"] >= 0
    assert "database" in str(health)
    (await rest.get("/livez")).expect(200)
    (await rest.get("/readyz")).expect(200)


async def test_the_first_page(rest: Rest) -> None:
    page = (await rest.get("/")).expect(200)
    assert page.headers["Content-Type"].startswith("text/html") and b"supd" in page.body


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
async def test_the_documents_are_served(rest: Rest, name: str) -> None:
    answer = (await rest.get(f"{name}.json")).expect(200)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json == document(f"{name}.yaml")


async def test_the_log_names_the_request(server: Daemon, rest: Rest) -> None:
    """What a client is told as its request's id is what an operator finds in the log."""
    given = f"asked-{an_id()}"
    answers = [await rest.get("/health", headers={"X-Request-Id": given}), await rest.get("nothing"),
               await rest.get("users/me", token="none")]
    wanted = {answer.headers["X-Request-Id"]: answer.status for answer in answers}
    assert given in wanted and len(wanted) == 3
    until = time.monotonic() + 10
    while True:
        whole_lines = server.log_text().rpartition("\n")[0].splitlines()
        lines = [json.loads(line) for line in whole_lines if '"request_id"' in line and '"status"' in line]
        found = {line["request_id"]: line for line in lines if line["request_id"] in wanted}
        if len(found) == len(wanted) or time.monotonic() > until:
            break
        await asyncio.sleep(0.05)
    assert {each: line["status"] for each, line in found.items()} == wanted


async def scrape(server: Daemon) -> str:
    async with Rest(server.admin_url) as admin:
        answer = (await admin.get("/metrics")).expect(200)
        assert answer.headers["Content-Type"].startswith(("text/plain", "application/openmetrics-text"))
        return answer.body.decode()


async def test_metrics_have_the_required_names_and_move(server: Daemon, rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    chat = (await a_chat(ann, bob))["id"]
    before = await scrape(server)
    async with ann.socket() as anns, bob.socket() as bobs:
        await anns.message(chat)
        await bobs.event("message")
        during = await scrape(server)
    for name in REQUIRED:
        assert re.search(rf"^# TYPE (supd_)?{name} ", during, re.M), name
    names = re.findall(r"^# TYPE (\S+) ", during, re.M)
    for words in REQUIRED_WORDS:
        if words == ("xmin", "age"):
            assert any("age" in name and ("xmin" in name or "window" in name or "stream" in name or "snapshot" in name
                                          or "horizon" in name or "w_age" in name) for name in names), names
        else:
            assert any(all(word in name for word in words) for name in names), (words, names)

    def total(text: str, name: str) -> float:
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"(supd_)?{name}[ {{]", line))

    assert total(during, "messages_sent_total") == total(before, "messages_sent_total") + 1
    assert total(during, "websocket_connections_active") >= 2
    assert total(during, "http_requests_total") >= total(before, "http_requests_total")


async def test_metrics_pass_promtool(server: Daemon) -> None:
    promtool = shutil.which("promtool") or shutil.which("promtool", path=str(REPOSITORY / "build/tools/bin"))
    assert promtool, "promtool is missing: scripts/install-deps test"
    text = await scrape(server)
    done = await asyncio.to_thread(subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True,
                                   text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_labels_name_no_user_and_are_few(server: Daemon, rest: Rest) -> None:
    ann = await a_user(rest)
    await ann.get("nothing/at/all"), await ann.get(f"users/{ann.id}")
    series: dict[str, int] = {}
    text = await scrape(server)
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series[name] = series.get(name := re.split(r"[ {]", line, maxsplit=1)[0], 0) + 1
    assert max(series.values()) <= SERIES_CAP, max(series.items(), key=lambda item: item[1])
    assert ann.id not in text and ann.username not in text and "nothing/at/all" not in text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-", text)


async def test_a_commit_that_fails_is_counted_and_made_good(spawn, postgres) -> None:
    daemon = spawn(database_url=(url := postgres.new_database()), name="failing").start()
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        await ann.send(chat, "opens the writer's connection")
        assert "commit_failures_total 0" in await scrape(daemon)
        ended = postgres.sql(f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{postgres.database_of(url)}' "
                             "and application_name like 'supd-writer-%'")
        assert ended and all(row == ["t"] for row in ended)
        await ann.send(chat, "meets a connection that is gone")
        assert re.search(r"^commit_failures_total [1-9]", await scrape(daemon), re.M)
        assert [entry["text"] for entry in await bob.whole_history(chat)][-1] == "meets a connection that is gone"


async def test_the_admin_side_is_not_public(rest: Rest) -> None:
    for path in ("/metrics", "/debug", "/debug/pprof", "/admin", "/profile", "/api/v1/metrics"):
        answer = await rest.get(path)
        assert answer.status in (401, 403, 404), (path, answer.status)
    detail = str((await rest.get("/health")).json)
    for secret in ("postgresql://", "127.0.0.1", "password", "/tmp"):
        assert secret not in detail


async def test_ready_line_and_graceful_stop(spawn, postgres) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="stopped").start()
    assert set(daemon.ready) >= {"event", "url", "admin_url", "version", "pid"}
    assert daemon.ready["pid"] == daemon.process.pid
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        async with ann.socket() as socket:
            await socket.event("caught_up")
            cursor = socket.events[-1]["data"]["cursor"]
            stopping = asyncio.create_task(asyncio.to_thread(daemon.stop))
            assert await socket.closing(15) == 1012
            assert re.search(r"retry_after_ms", socket.close_reason)
            assert await stopping == 0
        await asyncio.to_thread(daemon.start)
        sent = await bob.send(chat, "after the restart")
        async with ann.socket(cursor=cursor) as socket:
            assert (await socket.event("message"))["seq"] == sent["seq"]


async def test_two_daemons_side_by_side(spawn, postgres) -> None:
    first = spawn(database_url=postgres.new_database(), name="first").start()
    second = spawn(database_url=postgres.new_database(), name="second").start()
    assert first.port != second.port
    async with Rest(first.url) as one, Rest(second.url) as two:
        ann = await a_user(one)
        (await two.get("users/me", token=ann.access_token)).problem(401)


@pytest.mark.parametrize("arguments,code", [(["serve", "--nonsense"], 64), (["nonsense"], 64), ([], 64)])
def test_usage_errors(spawn, arguments: list[str], code: int) -> None:
    done = spawn(name="usage").run(*arguments)
    assert done.returncode == code, (done.returncode, done.stderr)


def test_an_unreachable_database_is_69_and_a_bad_setting_78(spawn) -> None:
    away = spawn(name="away", database_url="postgresql://nobody@127.0.0.1:1/none")
    done = away.run("serve", "--data-dir", str(away.data_dir), "--port", "0", "--admin-port", "0", timeout=90)
    assert done.returncode == 69, (done.returncode, done.stderr[-500:])
    wrong = spawn(name="wrong", settings={"SUPD__HTTP__NONSENSE": "1"})
    done = wrong.run("serve", "--data-dir", str(wrong.data_dir), "--port", "0", "--admin-port", "0")
    assert done.returncode == 78, (done.returncode, done.stderr[-500:])


def test_production_refuses_weak_secrets(spawn, postgres) -> None:
    for settings in ({}, {"JWT_SECRET": "hunter2"}, {"JWT_SECRET": "changeme" * 5}):
        daemon = spawn(name="production", database_url=postgres.new_database(), settings=settings, mode="production")
        done = daemon.run("serve", "--data-dir", str(daemon.data_dir), "--port", "0", "--admin-port", "0")
        assert done.returncode == 78, (settings, done.returncode, done.stderr[-500:])
        # As a word of its own: the keys of the configuration have names like auth.jwt_secret.
        assert settings.get("JWT_SECRET", "no such") not in re.split(r"[\s'\"=:;,]+", done.stderr)


async def until(url: str, path: str, field: str, value: object) -> tuple[int, dict]:
    """Asks until the answer says so: probes are kept for a second, jobs counted every fifteen."""
    deadline = time.monotonic() + 30
    async with Rest(url) as rest:
        while (answer := await rest.get(path)).json.get(field) != value:
            assert time.monotonic() < deadline, answer.body
            await asyncio.sleep(0.1)
        return answer.status, answer.json


async def test_health_tells_a_database_that_is_away(spawn) -> None:
    own = PostgresCluster()
    try:
        daemon = spawn(database_url=own.new_database(), name="away").start()
        assert (await until(daemon.url, "/health", "status", "healthy"))[0] == 200
        assert await until(daemon.url, "/readyz", "ready", True) == (200, {"ready": True})
        own._stop(signal.SIGINT)
        status, health = await until(daemon.url, "/health", "status", "unhealthy")
        assert status == 503 and health["database"] == "unreachable" and health["migrations"] == "unknown"
        assert await until(daemon.url, "/readyz", "ready", False) == (503, {"ready": False, "reason": "database"})
        async with Rest(daemon.url) as rest:
            (await rest.get("/livez")).expect(200)
        own.start()
        assert (await until(daemon.url, "/health", "status", "healthy"))[0] == 200
        assert (await until(daemon.url, "/readyz", "ready", True))[0] == 200
    finally:
        own.close()


async def test_health_tells_dead_jobs_and_other_schemas(spawn, postgres: PostgresCluster) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="unwell")
    database = postgres.database_of(daemon.database_url)
    assert daemon.run("migrate", "up").returncode == 0
    postgres.sql("insert into jobs (kind, payload, state, attempts, max_attempts, died_at) "
                 "values ('test.dead', '{}', 'dead', 1, 1, now())", database)
    daemon.start()
    status, health = await until(daemon.url, "/health", "status", "degraded")
    assert status == 200 and health["jobs"] == "dead_letters" and health["migrations"] == "current"
    assert (await until(daemon.url, "/readyz", "ready", True))[0] == 200, "dead letters do not keep it from serving"
    postgres.sql("insert into schema_migrations (version, name, checksum, compat) values (9999, 'later', 'x', 1)", database)
    assert (await until(daemon.url, "/health", "migrations", "newer"))[0] == 200
    postgres.sql("update schema_migrations set compat = 9999 where version = 9999", database)
    status, health = await until(daemon.url, "/health", "migrations", "incompatible")
    assert status == 503 and health["status"] == "unhealthy"
    assert await until(daemon.url, "/readyz", "ready", False) == (503, {"ready": False, "reason": "schema"})


async def test_detail_is_for_the_admin_listener(server: Daemon, rest: Rest) -> None:
    async with Rest(server.admin_url) as admin:
        detail = (await admin.get("/health")).expect(200)["detail"]
    assert {"db_pool_queued", "db_pool_busy", "cpu_pool_queued", "writer_queued", "websocket_connections_active", "jobs_ready",
            "jobs_dead", "stream_w_age_seconds", "schema_version"} <= detail.keys()
    assert detail["schema_version"] == detail["schema_needed"] > 0 and detail["stream_w_age_seconds"] >= 0
    assert "detail" not in (await rest.get("/health")).json
