"""scripts/init-letsencrypt.sh with certbot against Let's Encrypt's own test server, through the nginx that serves."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from operate.acme import PROGRAMS, AcmeServer, NameServer
from operate.machine import SCRIPTS, Machine, tool_path
from rig.postgres import PostgresCluster

SCRIPT = "init-letsencrypt.sh"
NAME = "chat.example.org"
DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    for tool in (*PROGRAMS, "certbot", "nginx"):
        if not shutil.which(tool, path=tool_path()):
            pytest.skip(f"missing: {tool}")
    server = NameServer(tmp_path_factory.mktemp("names"))
    server.answers(NAME, v4="127.0.0.1")
    yield server
    server.close()


@pytest.fixture(scope="module")
def here(binary: str, postgres: PostgresCluster, names: NameServer) -> Iterator[Machine]:
    machine = Machine(postgres.new_database(), SERVER_NAME=NAME)
    machine.deploy("--skip-migrations")
    yield machine
    machine.close()


@pytest.fixture(scope="module")
def acme(here: Machine, names: NameServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AcmeServer]:
    server = AcmeServer(tmp_path_factory.mktemp("acme"), names, http_port=here.ports["http"],
                        https_port=here.ports["https"])
    here.write_settings(ACME_SERVER=server.directory, ACME_CA=str(server.ca))
    yield server
    server.close()


@pytest.fixture(scope="module")
def said(here: Machine, acme: AcmeServer) -> str:
    """What the first run said, which gets the certificate."""
    return here.run(SCRIPT)


def served(here: Machine, context: ssl.SSLContext, path: str = "/livez") -> tuple[str, bytes]:
    """The status line of an answer and the certificate under which it came, on a connection of its own."""
    with (socket.create_connection(("127.0.0.1", here.ports["https"]), DEADLINE_S) as plain,
          context.wrap_socket(plain, server_hostname=NAME) as tls):
        tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := tls.recv(65536):
            answer += part
        return answer.split(b"\r\n", 1)[0].decode(), tls.getpeercert(binary_form=True)


def leaf(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text()[:path.read_text().index("-----END") + 25])


def shows(here: Machine, context: ssl.SSLContext, certificate: bytes) -> None:
    """Waits until nginx shows it alone: until they are gone, workers of before a reload still take connections."""
    until = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(ssl.SSLCertVerificationError):
            # In this order: the new ones are all there before the former ones are told to go.
            if served(here, context)[1] == certificate and len(workers(here)) == int(here.settings["NGINX_WORKERS"]):
                return
        assert time.monotonic() < until, "nginx shows another certificate"
        time.sleep(0.05)


def workers(here: Machine) -> set[str]:
    master = (here.home / "var/nginx/run/nginx.pid").read_text().strip()
    return set(Path(f"/proc/{master}/task/{master}/children").read_text().split())


def are_replaced(here: Machine, before: set[str]) -> None:
    until = time.monotonic() + DEADLINE_S
    while workers(here) & before:
        assert time.monotonic() < until, "workers of before are still there: nginx was not told"
        time.sleep(0.05)


def challenges(here: Machine) -> list[str]:
    log = (here.home / "var/nginx/run/access.log").read_text()
    return re.findall(r'"path":"/\.well-known/acme-challenge/[^"]+","status":(\d+)', log)


def at_a_terminal(here: Machine, *arguments: str, code: int | None = 0) -> str:
    """Where certbot does not wait for some minutes first."""
    ours, its = os.openpty()
    try:
        return here.run(SCRIPT, *arguments, code=code, stdin=its)
    finally:
        os.close(ours)
        os.close(its)


@contextlib.contextmanager
def due(here: Machine) -> Iterator[None]:
    """Pebble's certificates hold for five years: they are to be renewed ten years before."""
    conf = here.home / f"var/letsencrypt/renewal/{NAME}.conf"
    conf.write_text(f"renew_before_expiry = 10 years\n{conf.read_text()}")
    try:
        yield
    finally:
        conf.write_text(re.sub(r"^#? ?renew_before_expiry.*\n", "", conf.read_text(), flags=re.M))


def test_the_first_certificate(here: Machine, acme: AcmeServer, said: str) -> None:
    assert f"new certificate of {NAME}" in said
    # Several places look, so that who is on the way to one of them gets nothing.
    assert challenges(here) and set(challenges(here)) == {"200"}
    shows(here, ssl.create_default_context(cadata=acme.root), leaf(here.certificate))
    assert served(here, ssl.create_default_context(cadata=acme.root))[0].startswith("HTTP/1.1 200")
    for key in (here.home / "var/tls/key.pem", (here.home / f"var/letsencrypt/live/{NAME}/privkey.pem").resolve()):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not list((here.home / "var/www/.well-known/acme-challenge").iterdir()), "proofs stay behind"
    assert not list((here.home / "var/tls").glob(".*"))


def test_again_it_stays(here: Machine, said: str) -> None:
    def pair() -> list:
        files = (here.certificate, here.home / "var/tls/key.pem")
        return [(path.stat().st_mtime_ns, path.read_bytes()) for path in files]

    in_use = pair()
    before, asked = workers(here), challenges(here)
    assert before
    # What a former SERVER_NAME left behind cannot be renewed, and is nobody's concern.
    former = here.home / "var/letsencrypt/renewal/former.example.org.conf"
    former.write_text("server = https://acme.example.org/directory\n")
    assert "newest" in here.run(SCRIPT)
    assert "newest" in here.run(SCRIPT, "--renew")
    former.unlink()
    assert pair() == in_use
    assert workers(here) == before and challenges(here) == asked


def test_a_renewal_that_nobody_notices(here: Machine, acme: AcmeServer, said: str) -> None:
    context = ssl.create_default_context(cadata=acme.root)
    former = leaf(here.certificate)
    shows(here, context, former)
    seen: list[tuple[str, bytes]] = []
    errors: list[Exception] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.01):
            try:
                seen.append(served(here, context, "/api/v1/server"))
            except OSError as error:
                errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        with due(here):
            assert f"new certificate of {NAME}" in at_a_terminal(here, "--renew")
        assert leaf(here.certificate) != former
        shows(here, context, leaf(here.certificate))
    finally:
        stop.set()
        asking.join()
    assert not errors
    assert {status for status, _ in seen} == {"HTTP/1.1 200 OK"}
    assert seen[0][1] == former and {certificate for _, certificate in seen} <= {former, leaf(here.certificate)}
    assert stat.S_IMODE((here.home / "var/tls/key.pem").stat().st_mode) == 0o600


@contextlib.contextmanager
def name_leads_where_nobody_listens(here: Machine, names: NameServer) -> Iterator[None]:
    names.answers(NAME, v6="::1")
    try:
        yield
    finally:
        names.answers(NAME, v4="127.0.0.1")


@contextlib.contextmanager
def no_place_for_proofs(here: Machine, names: NameServer) -> Iterator[None]:
    live = here.home / "var/nginx/live"
    former = {path: path.read_text() for path in (live / "redirect.conf", live / "proxied.conf")}
    for path, text in former.items():
        assert "/.well-known/acme-challenge/" in text
        path.write_text(text.replace("/.well-known/acme-challenge/", "/.well-known/elsewhere/"))
    reload(here)
    try:
        yield
    finally:
        for path, text in former.items():
            path.write_text(text)
        reload(here)


def reload(here: Machine) -> None:
    before = workers(here)
    run = here.home / "var/nginx/run"
    conf = here.home / "var/nginx/live/nginx.conf"
    subprocess.run(["nginx", "-p", run, "-e", run / "error.log", "-c", conf, "-s", "reload"],
                   check=True, env=here.environment)
    are_replaced(here, before)


@pytest.mark.parametrize("hindrance", [name_leads_where_nobody_listens, no_place_for_proofs])
def test_a_challenge_that_is_not_met(here: Machine, acme: AcmeServer, names: NameServer, said: str,
                                     hindrance: Callable) -> None:
    in_use = b""

    def attempt() -> str:
        nonlocal in_use
        in_use = here.certificate.read_bytes()
        return at_a_terminal(here, "--renew", code=None)

    with due(here), hindrance(here, names):
        told = acme.challenged(attempt)
    assert "could not renew; the certificate in use stays" in told and NAME in told
    assert here.certificate.read_bytes() == in_use
    shows(here, ssl.create_default_context(cadata=acme.root), leaf(here.certificate))


def test_a_try_changes_nothing(here: Machine, acme: AcmeServer, said: str) -> None:
    def files() -> dict:
        kept = ("var/tls/", "var/letsencrypt/live/", "var/letsencrypt/archive/", "var/letsencrypt/renewal/")
        return {path: what for path, what in here.files().items() if path.startswith(kept)}

    before, running, asked = files(), workers(here), len(challenges(here))
    assert "nothing was changed" in acme.challenged(lambda: here.run(SCRIPT, "--dry-run"))
    assert files() == before and workers(here) == running
    assert len(challenges(here)) > asked, "the challenge was not tried"


def test_another_server_that_knows_its_accounts(here: Machine, acme: AcmeServer, names: NameServer, said: str,
                                                tmp_path: Path) -> None:
    """A certificate that is not due is replaced, since it is of another server; and by a timer too."""
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    for folder in ("tls", "letsencrypt"):
        shutil.copytree(here.home / "var" / folder, tmp_path / folder, symlinks=True)
    other = AcmeServer(tmp_path / "other", names, http_port=here.ports["http"], https_port=here.ports["https"],
                       accounts={"kid-1": key})
    try:
        here.write_settings(ACME_SERVER=other.directory, ACME_CA=str(other.ca))
        here.secret("acme.ini", f"eab-kid = kid-1\neab-hmac-key = {key}")
        told = here.run(SCRIPT, "--renew", LETSENCRYPT_EMAIL="operator@example.org")
        assert f"getting one of {other.directory}" in told and f"new certificate of {NAME}" in told
        shows(here, ssl.create_default_context(cadata=other.root), leaf(here.certificate))
    finally:
        other.close()
        (here.home / "secrets/acme.ini").unlink(missing_ok=True)
        here.write_settings(ACME_SERVER=acme.directory, ACME_CA=str(acme.ca))
        for folder in ("tls", "letsencrypt"):
            shutil.rmtree(here.home / "var" / folder)
            (tmp_path / folder).rename(here.home / "var" / folder)
        reload(here)


def nothing_is_due(here: Machine, tmp_path: Path) -> dict[str, str]:
    """An environment with a certbot that does what the real one does then, in less time."""
    (tmp_path / "certbot").symlink_to("/bin/true")
    return {"PATH": f"{tmp_path}:{tool_path()}"}


def test_a_pair_that_is_none(here: Machine, acme: AcmeServer, said: str, tmp_path: Path) -> None:
    environment = nothing_is_due(here, tmp_path)
    key = (here.home / f"var/letsencrypt/live/{NAME}/privkey.pem").resolve()
    conf = here.home / "var/nginx/live/nginx.conf"
    in_use, right, text = here.certificate.read_bytes(), key.read_bytes(), conf.read_text()
    # Something is there to be taken over: a line more is another file and the same certificate.
    here.certificate.write_bytes(in_use + b"\n")
    try:
        subprocess.run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", key], check=True)
        assert "no pair" in here.run(SCRIPT, "--renew", code=1, **environment)
        assert here.certificate.read_bytes() == in_use + b"\n" and not list((here.home / "var/tls").glob(".*"))
        # And one that nginx is not able to take.
        key.write_bytes(right)
        conf.write_text(text + "nonsense;\n")
        assert "the former one is in use again" in here.run(SCRIPT, "--renew", code=1, **environment)
        assert here.certificate.read_bytes() == in_use + b"\n" and not list((here.home / "var/tls").glob(".*"))
        shows(here, ssl.create_default_context(cadata=acme.root), leaf(here.certificate))
    finally:
        key.write_bytes(right)
        conf.write_text(text)
        here.certificate.write_bytes(in_use)


def test_what_was_interrupted_is_ended_by_the_next(here: Machine, said: str, tmp_path: Path) -> None:
    """The pair is in its place and nginx was not told: `the newest` would be true of the file alone."""
    environment = nothing_is_due(here, tmp_path)
    in_use = here.certificate.read_bytes()
    here.certificate.write_bytes(in_use + b"\n")
    killer = tmp_path / "nginx"
    killer.write_text("#!/bin/sh\nkill -KILL $PPID\n")
    killer.chmod(0o755)
    here.run(SCRIPT, "--renew", code=-9, **environment)
    assert here.certificate.read_bytes() == in_use
    killer.unlink()
    before = workers(here)
    assert "new certificate" in here.run(SCRIPT, "--renew", **environment)
    are_replaced(here, before)
    assert "newest" in here.run(SCRIPT, "--renew", **environment)


def test_what_is_not_in_order(here: Machine, acme: AcmeServer) -> None:
    assert "no certificate to renew" in here.run(SCRIPT, "--renew", code=1, SERVER_NAME="other.example.org")
    assert "public host name" in here.run(SCRIPT, code=78, SERVER_NAME="localhost")
    assert "cannot be read" in here.run(SCRIPT, code=78, ACME_CA="nowhere.pem")
    assert "--renew" in here.run(SCRIPT, "--soon", code=64)


DOCKER = """#!/usr/bin/env python3
import os, subprocess, sys
words = sys.argv[1:]
if words[0] == "ps":
    print("nginx-1")
elif words[0] == "inspect":
    print("true")
elif words[0] == "run":
    # No openssl but that of an image, which sees what it is given and nothing else.
    shown = words[words.index("-v") + 1].split(":")[0]
    arguments = words[words.index("an-image") + 1:]
    for word in arguments:
        if word.startswith("/") and not word.startswith(shown + "/"):
            sys.exit(f"{word}: no such file in the container")
    sys.exit(subprocess.run([os.environ["OPENSSL"], *arguments]).returncode)
elif words[:2] == ["compose", "run"]:
    with open(os.environ["ASKED"], "a") as asked:
        print("\\t".join(words[2:]), file=asked)
elif words[:4] == ["compose", "exec", "-T", "nginx"]:
    if words[4] == "nginx":
        assert words[4:] == "nginx -t -q -c /etc/nginx/supd/live/nginx.conf".split()
    else:
        assert words[4:] == ["/bin/sh", "-c", "kill -HUP 1"]
        open(os.environ["ASKED"] + ".reload", "x")
"""


def test_with_containers(here: Machine, acme: AcmeServer, said: str, tmp_path: Path) -> None:
    """What the container engine is told, with a stand-in of it, on a machine that has nothing else."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in ("/usr/bin", "/bin", *tool_path().split(":")):
        for each in os.scandir(folder) if os.path.isdir(folder) else ():
            if each.name not in ("openssl", "certbot", "docker", "nginx") and not os.path.lexists(tools / each.name):
                (tools / each.name).symlink_to(each.path)
    (tools / "docker").write_text(DOCKER)
    (tools / "docker").chmod(0o755)
    home = tmp_path / "home"
    shutil.copytree(here.home / "var/letsencrypt", home / "var/letsencrypt", symlinks=True)
    (home / "var/tls").mkdir()
    for name in ("certificate.pem", "key.pem"):
        (home / "var/tls" / name).write_text("the former one\n")
    (home / "secrets").mkdir()
    (home / "secrets/acme.ini").write_text("eab-kid = kid-1\n")
    (home / "ca.pem").write_text("a CA\n")
    (home / ".env").write_text(f"SERVER_NAME={NAME}\nACME_SERVER={acme.directory}\nACME_CA=ca.pem\n"
                               "POSTGRES_IMAGE=an-image\n")
    environment = {"PATH": str(tools), "SUPD_HOME": str(home), "ASKED": str(tmp_path / "asked"),
                   "OPENSSL": shutil.which("openssl")}
    for arguments in ((), ("--renew",)):
        done = subprocess.run([SCRIPTS / SCRIPT, *arguments], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("new certificate" if not arguments else "newest") in done.stdout
        words = (tmp_path / "asked").read_text().splitlines()[-1].split("\t")
        before, after = words[:words.index("certbot")], words[words.index("certbot") + 1:]
        for volume in (f"{home}/ca.pem:/run/acme/ca.pem:ro", f"{home}/secrets/acme.ini:/run/acme/acme.ini:ro"):
            assert before[before.index(volume) - 1] == "-v"
        assert before[before.index("REQUESTS_CA_BUNDLE=/run/acme/ca.pem") - 1] == "-e"
        for option, value in (("--server", acme.directory), ("--config", "/run/acme/acme.ini"), ("--cert-name", NAME),
                              ("--webroot-path", "/var/www"), ("--config-dir", "/etc/letsencrypt")):
            assert after[after.index(option) + 1] == value
    assert (tmp_path / "asked.reload").exists(), "nginx was not told"
    fresh = home / f"var/letsencrypt/live/{NAME}"
    for name, source in (("certificate.pem", "fullchain.pem"), ("key.pem", "privkey.pem")):
        assert (home / "var/tls" / name).read_bytes() == (fresh / source).read_bytes()
