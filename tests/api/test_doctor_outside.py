"""`supd doctor --url` through proxies that are right and wrong, `doctor` beside a Redis, and `doctor db`."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.client import Rest, a_user
from rig.daemon import Daemon, find_binary
from rig.postgres import PostgresCluster
from rig.proxy import OWN_ADDRESS, Certificates, Proxy, trusting

pytestmark = pytest.mark.usefixtures("binary")


@pytest.fixture(scope="module")
def served(postgres: PostgresCluster, binary: str) -> Iterator[Daemon]:
    daemon = Daemon(database_url=postgres.new_database(), name="behind-proxy",
                    settings={"SUPD__SERVER__TRUSTED_PROXIES": OWN_ADDRESS, "SUPD__WEBSOCKET__HEARTBEAT_S": "2",
                              "SUPD__WEBSOCKET__AUTHENTICATE_TIMEOUT_S": "2"}).start()
    yield daemon
    daemon.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def doctor(folder: Path, *arguments: str, **environment: str) -> dict[str, dict]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if key in os.environ}
    kept |= {"SUPD__MODE": "development", "PORT": "0", "SUPD__SERVER__ADMIN_PORT": "0"}
    done = subprocess.run([str(find_binary()), "doctor", "--json", "--data-dir", str(folder / "data"), *arguments],
                          capture_output=True, text=True, timeout=120, env=kept | environment, cwd=folder)
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    assert (done.returncode == 1) == any(one["verdict"] == "fail" for one in document["checks"])
    return {one["check"]: one for one in document["checks"]}


def at_fault(found: dict[str, dict]) -> set[str]:
    assert all(one["mend"] for one in found.values() if one["verdict"] in ("warn", "fail"))
    return {name for name, one in found.items() if one["verdict"] == "fail"} - {"host.disk"}


def through(folder: Path, proxy: Proxy, *arguments: str, **environment: str) -> dict[str, dict]:
    try:
        return doctor(folder, "--url", proxy.url, *arguments, **environment)
    finally:
        proxy.close()


def test_a_right_proxy(served: Daemon, certificates: Certificates, tmp_path: Path) -> None:
    proxy = Proxy(served.port, certificate=certificates.sign("right"))
    found = through(tmp_path, proxy, **trusting(certificates))
    assert at_fault(found) == set(), found
    for name in ("proxy.reachable", "proxy.certificate", "proxy.client_address", "proxy.scheme", "proxy.body_limit",
                 "proxy.metrics_hidden", "proxy.websocket", "clock.http"):
        assert found[name]["verdict"] == "ok", found[name]
    assert found["proxy.websocket_idle"]["verdict"] == "skip"


@pytest.mark.parametrize("wrong, check", [
    ({"forwarded": None}, "proxy.client_address"),
    ({"forwarded": "trusting"}, "proxy.client_address"),
    ({"proto": False}, "proxy.scheme"),
    ({"body_limit": 10_000}, "proxy.body_limit"),
    ({"upgrade": False}, "proxy.websocket"),
    ({"metrics": True}, "proxy.metrics_hidden"),
], ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_a_wrong_proxy_is_found_by_its_check(served: Daemon, certificates: Certificates, tmp_path: Path, wrong: dict,
                                             check: str) -> None:
    if wrong.pop("metrics", False):
        wrong["admin_port"] = served.admin_port
    proxy = Proxy(served.port, certificate=certificates.sign(f"wrong-{check}"), **wrong)
    assert at_fault(through(tmp_path, proxy, **trusting(certificates))) == {check}


@pytest.mark.parametrize("signed, said", [
    ({"end": "20240101000000Z"}, "expired"),
    ({"alternatives": "DNS:other.example"}, "mismatch"),
    ({}, "do not trust"),
], ids=["expired", "name", "authority"])
def test_a_wrong_certificate(served: Daemon, certificates: Certificates, tmp_path: Path, signed: dict, said: str) -> None:
    proxy = Proxy(served.port, certificate=certificates.sign(f"cert-{said[:2]}", **signed))
    trust = trusting(certificates) if signed else {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}
    found = through(tmp_path, proxy, **trust)
    assert at_fault(found) == {"proxy.certificate"} and said in found["proxy.certificate"]["found"], found


async def test_the_idle_time_out(served: Daemon, tmp_path: Path) -> None:
    async with Rest(served.url) as rest:
        account = await a_user(rest)
    token = tmp_path / "token"
    token.write_text(account.access_token + "\n")
    good = ("--slow", "--token-file", str(token))
    assert through(tmp_path, Proxy(served.port), "--slow")["proxy.websocket_idle"]["verdict"] == "ok"
    lives = through(tmp_path, Proxy(served.port), *good)["proxy.websocket_idle"]
    assert lives["verdict"] == "ok" and "ping" in lives["found"]
    cut = through(tmp_path, Proxy(served.port, cut_after_s=1.0), *good)
    assert at_fault(cut) == {"proxy.websocket_idle"}
    token.write_text("not a token\n")
    assert at_fault(through(tmp_path, Proxy(served.port), *good)) == {"proxy.websocket"}


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    assert at_fault(doctor(tmp_path, "--url", "http://127.0.0.1:1")) == {"proxy.reachable"}
    assert at_fault(doctor(tmp_path, "--url", "chat.example.org")) == {"proxy.reachable"}


class FakeRedis(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, policy: str, password: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.policy, self.password = policy, password
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answers(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        allowed = not self.server.password
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].decode())
            if words[0] == "AUTH":
                allowed = words[-1] == self.server.password
                self.wfile.write(b"+OK\r\n" if allowed else b"-WRONGPASS invalid username-password pair\r\n")
            elif not allowed:
                self.wfile.write(b"-NOAUTH Authentication required.\r\n")
            elif words[0] == "PING":
                self.wfile.write(b"+PONG\r\n")
            else:
                text = f"# Memory\r\nused_memory:1000\r\nmaxmemory:100000\r\nmaxmemory_policy:{self.server.policy}\r\n"
                self.wfile.write(f"${len(text)}\r\n{text}\r\n".encode())


@pytest.mark.parametrize("policy, user, expected", [
    ("noeviction", ":s3cret@", set()), ("allkeys-lru", ":s3cret@", {"redis.eviction"}),
    ("noeviction", "", {"redis.reachable"}), ("noeviction", ":wr0ng@", {"redis.reachable"})],
    ids=("right", "eviction", "no password", "wrong password"))
def test_redis(tmp_path: Path, policy: str, user: str, expected: set[str]) -> None:
    with FakeRedis(policy, "s3cret") as redis:
        found = doctor(tmp_path, REDIS_URL=f"redis://{user}127.0.0.1:{redis.server_address[1]}/0")
        redis.shutdown()
    assert at_fault(found) == expected and "s3cret" not in str(found) and "wr0ng" not in str(found)


def test_the_report_of_a_database(served: Daemon, postgres: PostgresCluster) -> None:
    place = ("--data-dir", str(served.data_dir))
    report = json.loads(served.run("doctor", "db", "--json", "--top", "50", *place).stdout)
    assert not report["statements_counted"] and "shared_preload_libraries" in report["mend"]
    assert {"messages", "users"} <= {table["name"] for table in report["tables"]}
    assert report["bytes"] > 0 and all(not index["name"].endswith("_pkey") for index in report["unused_indexes"])
    text = served.run("doctor", "db", "--top", "3", *place).stdout
    for heading in ("Database: ", "Oldest xmin: ", "Statements by total time", "Tables by size", "Indexes that no"):
        assert heading in text


def test_slow_statements_are_listed_when_they_are_counted(spawn) -> None:
    cluster = PostgresCluster()
    try:
        cluster.sql("alter system set shared_preload_libraries = 'pg_stat_statements'")
        cluster.restart_immediate()
        url = cluster.new_database()
        name = cluster.database_of(url)
        daemon = spawn(name="counted", database_url=url)
        place = ("--data-dir", str(daemon.data_dir))
        assert "CREATE EXTENSION" in daemon.run("doctor", "db", *place).stdout
        cluster.sql("create extension pg_stat_statements", database=name)
        cluster.sql("create role forgotten login password 'hushhush'", database=name)
        cluster.sql("select pg_sleep(0.2), 'a value'", database=name)
        report = json.loads(daemon.run("doctor", "db", "--json", *place).stdout)
        assert report["statements_counted"] and "hushhush" not in str(report)
        slept = next(one for one in report["statements"] if "pg_sleep" in one["statement"])
        assert slept["total_ms"] >= 200 and slept["calls"] == 1 and "a value" not in slept["statement"]
        assert "pg_sleep" in daemon.run("doctor", "db", *place).stdout
    finally:
        cluster.close()
