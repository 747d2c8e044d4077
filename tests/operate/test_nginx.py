"""What nginx does between the world and supd: headers, limits, addresses, and what it keeps from the world."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from operate.machine import DEADLINE_S, Machine, tool_path
from rig.client import PASSWORD, Rest, a_chat, a_name, a_user
from rig.daemon import REPOSITORY
from rig.postgres import PostgresCluster, free_port

FLOOD = 600  # would have to take 25 s to pass
ONCE = ("Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy",
        "Cache-Control")


@pytest.fixture(scope="module")
def here(binary: str, postgres: PostgresCluster) -> Iterator[Machine]:
    """supd's own limits are on, since they show which address it takes a client for."""
    machine = Machine(postgres.new_database(), SUPD__RATE_LIMIT__ENABLED="true", SUPD__RATE_LIMIT__API_PER_MINUTE="100000",
                      SUPD__RATE_LIMIT__API_BURST="100000", SUPD__RATE_LIMIT__AUTH_PER_MINUTE="5", SUPD__RATE_LIMIT__AUTH_BURST="10",
                      NGINX_RATE="20r/s", NGINX_BURST="100")
    machine.deploy("--skip-migrations")
    yield machine
    machine.close()


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-sk", "-m", "20", *arguments], capture_output=True, text=True, check=True).stdout


async def test_a_conversation_through_tls(here: Machine) -> None:
    async with Rest(here.url, tls=here.tls) as rest:
        ann, ben = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, ben))["id"]
        async with ann.socket() as anns, ben.socket() as bens:
            await bens.event("caught_up")
            ack = await anns.message(chat, "through nginx")
            assert (await bens.event("message"))["seq"] == ack["seq"]


async def test_headers_are_there_once(here: Machine) -> None:
    async with Rest(here.url, tls=here.tls) as rest:
        for path in ("/", "/api/v1/server", "/.well-known/supd", "/nowhere"):
            answer = await rest.get(path)
            for name in ONCE:
                assert len(answer.headers.getall(name, [])) == 1, (path, name, answer.headers)
            assert "nginx/" not in answer.headers.get("Server", "")
        assert (await rest.get("/.well-known/supd")).expect(200).json["websocket"] == "/ws"


async def test_the_public_port_shows_nothing_else(here: Machine) -> None:
    async with Rest(here.url, tls=here.tls) as rest:
        for path in ("/metrics", "/colour", "/nginx_status", "/admin", "/debug", "/debug/pprof", "/server-status", "/.env",
                     "/.git/config", "/assets/../../secrets/jwt_secret", "/assets/", "/grafana", "/status"):
            assert (await rest.get(path)).status in (400, 403, 404), path


async def test_bodies_are_limited_as_supd_limits_them(here: Machine) -> None:
    limit = 262144
    source = (REPOSITORY / "include/supd/http/router.hpp").read_text()
    assert eval(re.search(r"kDefaultBodyLimit = ([0-9 *]+);", source)[1]) == limit  # noqa: S307
    async with Rest(here.url, tls=here.tls) as rest:
        answer = await rest.post("auth/login", data=b"x" * (limit + 1))
        answer.problem(413, "too_large")
        for name in ONCE:
            assert len(answer.headers.getall(name, [])) == 1, name
        assert "detail" not in answer.json, "nginx refused it"
        assert "detail" in (await rest.post("auth/login", data=b"x" * limit)).json, "this one is for supd to judge"


async def test_the_sockets_time_is_longer_than_supds(here: Machine) -> None:
    settings = (REPOSITORY / "config/supd.example.toml").read_text()
    idle = int(re.search(r"^#idle_timeout_s = (\d+)", settings, re.M)[1])
    made = (here.home / "var/nginx/live/locations.conf").read_text()
    assert idle < int(re.search(r"proxy_read_timeout (\d+)s", made)[1]) <= idle + 30


async def test_a_client_cannot_choose_its_address(here: Machine) -> None:
    async with Rest(here.url, tls=here.tls) as rest:
        statuses = []
        for number in range(40):
            forged = {"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}"}
            answer = await rest.post("auth/login", {"identifier": a_name("nobody"), "password": PASSWORD}, headers=forged)
            statuses.append(answer.status if "detail" in answer.json else None)
        assert 429 in statuses, "each forged address had a limit of its own"


async def test_floods_are_refused_in_supds_words(here: Machine) -> None:
    # From an address of its own: what is left of its burst is not the other tests' affair.
    async with Rest(here.url, tls=here.tls, source="127.0.0.2") as rest:
        answers = await asyncio.gather(*(rest.get("/livez") for _ in range(FLOOD)))
    assert {answer.status for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.json["code"] == "rate_limited" and refused.headers["Retry-After"]
    async with Rest(here.url, tls=here.tls) as other:
        assert (await other.get("/livez")).status == 200, "one address's flood is paid for by another"


def test_plain_http_leads_to_https(here: Machine) -> None:
    answer = curl("-i", f"{here.plain_url}/api/v1/server?x=1")
    assert answer.startswith("HTTP/1.1 308") and f"Location: {here.url}/api/v1/server?x=1" in answer.replace("\r", "")
    (here.home / "var/www/.well-known/acme-challenge/token").write_text("the answer")
    assert curl(f"{here.plain_url}/.well-known/acme-challenge/token") == "the answer"
    (here.home / "var/www/assets/app.0a1b.js").write_text("// a file\n")
    kept = curl("-i", f"{here.url}/assets/app.0a1b.js").lower()
    assert "immutable" in kept and kept.count("cache-control") == 1 and "text/javascript" in kept


def test_http_2_and_no_old_tls(here: Machine) -> None:
    assert curl("-o", "/dev/null", "-w", "%{http_version}", "--http2", f"{here.url}/livez") == "2"
    old = subprocess.run(["curl", "-sk", "-m", "10", "--tls-max", "1.1", f"{here.url}/livez"], capture_output=True)
    assert old.returncode != 0


def test_logs_have_no_queries(here: Machine) -> None:
    curl(f"{here.url}/api/v1/server?token=do-not-write-this")
    log = (here.home / "var/nginx/run/access.log").read_text()
    assert "/api/v1/server" in log and "do-not-write-this" not in log


FOREIGN = """daemon off;
events {}
http {
    access_log off; client_body_temp_path RUN; proxy_temp_path RUN; fastcgi_temp_path RUN; uwsgi_temp_path RUN; scgi_temp_path RUN;
    # server { a comment }
    server {
        listen 80;
        server_name chat.example.org;
        return 301 https://$host$request_uri;
    }
    server {
        listen 443 ssl;
        server_name other.example.org "quoted { name";
        location / { return 204; }
    }
    server {
        listen 443 ssl;
        server_name www.example.org chat.example.org;
        location / {
            root /srv/www;
        }
    }
}
"""


def test_locations_go_into_a_foreign_nginx_once_and_come_out_again(here: Machine, tmp_path: Path) -> None:
    file = tmp_path / "gateway.conf"
    # Listening is replaced by ports of nobody and no certificate, so that nginx -t can judge the rest.
    text = FOREIGN.replace("listen 80;", "listen 127.0.0.1:65011;").replace("listen 443 ssl;", "listen 127.0.0.1:65443;")
    text = text.replace("RUN", str(tmp_path))
    file.write_text(text)
    nginx = f"PATH={tool_path()} nginx -p {tmp_path} -e {tmp_path}/error.log -c {file} -t -q -g 'pid {tmp_path}/pid;'"
    here.write_settings(FOREIGN_NGINX_TEST=nginx, FOREIGN_NGINX_RELOAD=f"touch {tmp_path}/reloaded")
    arguments = (str(file), "--server-name", "chat.example.org")
    assert "NGINX_PLAIN must be proxied" in here.run("post-deploy-nginx.sh", *arguments, code=78)
    here.write_settings(NGINX_PLAIN="proxied")
    assert "NGINX_TRUSTED_PROXIES must name" in here.run("post-deploy-nginx.sh", *arguments, code=78)
    here.write_settings(NGINX_TRUSTED_PROXIES="127.0.0.1")
    assert file.read_text() == text
    assert "locations of supd" in here.run("post-deploy-nginx.sh", *arguments)
    first = file.read_text()
    assert (tmp_path / "reloaded").exists()
    inside = first[first.index("www.example.org chat"):]
    assert inside.count("location = /ws") == first.count("location = /ws") == 1
    assert f"proxy_pass http://127.0.0.1:{here.ports['http']};" in first and "@" not in inside and "include" not in inside
    (tmp_path / "reloaded").unlink()
    assert "as it should be" in here.run("post-deploy-nginx.sh", *arguments)
    assert file.read_text() == first and not (tmp_path / "reloaded").exists()
    here.run("post-deploy-nginx.sh", *arguments, "--to", "127.0.0.1:4000")
    assert file.read_text() == first.replace(str(here.ports["http"]), "4000")
    # Where the port is published on one address only.
    here.run("post-deploy-nginx.sh", *arguments, HTTP_PORT="127.0.0.1:4001")
    assert file.read_text() == first.replace(str(here.ports["http"]), "4001")

    here.write_settings(FOREIGN_NGINX_TEST="false")
    before = file.read_text()
    assert "it is as it was" in here.run("post-deploy-nginx.sh", *arguments, code=1)
    assert file.read_text() == before
    here.write_settings(FOREIGN_NGINX_TEST=nginx, FOREIGN_NGINX_RELOAD="false")
    assert "it is as it was" in here.run("post-deploy-nginx.sh", *arguments, code=1)
    assert file.read_text() == before
    here.write_settings(FOREIGN_NGINX_RELOAD="true")
    here.run("post-deploy-nginx.sh", *arguments, "--remove")
    assert file.read_text() == text
    assert "no server block" in here.run("post-deploy-nginx.sh", str(file), "--server-name", "nobody.example.org", code=65)


GATEWAY = """USER daemon off;
pid RUN/pid;
events {}
http {
    access_log off; client_body_temp_path RUN; proxy_temp_path RUN; fastcgi_temp_path RUN; uwsgi_temp_path RUN; scgi_temp_path RUN;
    server {
        listen 127.0.0.1:PORT;
        server_name localhost;
    }
}
"""


def test_a_foreign_nginx_follows_each_switch(machine, tmp_path: Path) -> None:
    file, port = tmp_path / "gateway.conf", free_port()
    text = GATEWAY.replace("USER", "user root;" if os.geteuid() == 0 else "").replace("RUN", str(tmp_path))
    file.write_text(text.replace("PORT", str(port)))
    nginx = f"nginx -p {tmp_path} -e {tmp_path}/error.log -c {file}"
    here: Machine = machine(
        NGINX_PLAIN="proxied", NGINX_TRUSTED_PROXIES="127.0.0.1", FOREIGN_NGINX_CONF=str(file),
        FOREIGN_NGINX_TEST=f"{nginx} -t -q", FOREIGN_NGINX_RELOAD=f"{nginx} -s reload")
    url = f"http://127.0.0.1:{port}/api/v1/client"

    def status() -> str:
        return subprocess.run(["curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", url], capture_output=True,
                              text=True).stdout

    with subprocess.Popen(nginx.split(), env=here.environment) as foreign:
        try:
            assert "locations of supd by 127.0.0.1" in here.deploy("--skip-migrations")
            made = file.read_text()
            answers: list[str] = []
            done = threading.Event()

            def ask() -> None:
                while not done.wait(0.01):
                    answers.append(status())

            until = time.monotonic() + DEADLINE_S
            while status() != "200":
                assert time.monotonic() < until, "it was not told"
                time.sleep(0.05)
            assert '"127.0.0.2"' in curl("--interface", "127.0.0.2", url), "the proxy is taken for the client"
            asking = threading.Thread(target=ask)
            asking.start()
            try:
                here.deploy("--skip-migrations")
                assert here.serving() == "green"
                here.run("rollback.sh", "development")
                assert here.serving() == "blue"
            finally:
                done.set()
                asking.join()
            assert set(answers) == {"200"}
            assert file.read_text() == made
        finally:
            foreign.terminate()

    here.write_settings(NGINX_PLAIN="redirect")
    assert "NGINX_PLAIN must be proxied" in here.deploy("--dry-run", code=78)
