"""Pebble, Let's Encrypt's own test server, and a name server that says where it goes to look at a challenge."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from operate.machine import end
from rig.postgres import free_port

PROGRAMS = ("pebble", "pebble-challtestsrv")
DEADLINE_S = 20.0


class NameServer:
    """Knows no name until it is told one."""

    def __init__(self, folder: Path) -> None:
        self.port, self.management = free_port(), free_port()
        self.process = started(folder / "names.log", [
            "pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.port}", "-management", f"127.0.0.1:{self.management}",
            "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "", "-defaultIPv6", ""])
        try:
            awaited(self.process, lambda: self._say("clear-a", host="nobody.example.org."))
        except BaseException:
            self.close()
            raise

    def answers(self, host: str, *, v4: str | None = None, v6: str | None = None) -> None:
        for kind, address in (("a", v4), ("aaaa", v6)):
            self._say(f"clear-{kind}", host=f"{host}.")
            if address:
                self._say(f"add-{kind}", host=f"{host}.", addresses=[address])

    def _say(self, path: str, **what: object) -> None:
        url = f"http://127.0.0.1:{self.management}/{path}"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(what).encode()), timeout=5).close()

    def close(self) -> None:
        end(self.process.pid)
        self.process.wait()


class AcmeServer:
    """`accounts` are the ids and keys of which a new account must bring one; without any, it takes everybody."""

    def __init__(self, folder: Path, names: NameServer, *, http_port: int, https_port: int,
                 accounts: dict[str, str] | None = None) -> None:
        port, management = free_port(), free_port()
        self.directory = f"https://127.0.0.1:{port}/dir"
        folder.mkdir(exist_ok=True)
        self.ca = folder / "ca.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=acme", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", folder / "key.pem", "-out", self.ca],
            check=True, capture_output=True)
        settings = {
            "listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(self.ca), "privateKey": str(folder / "key.pem"),
            # Where it looks at challenges.
            "httpPort": http_port, "tlsPort": https_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(accounts), "externalAccountMACKeys": accounts or {},
        }
        self.log = folder / "pebble.log"
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        # Almost each certificate is asked a challenge for (see `challenged`): by itself it would take every second name
        # for proven once it was. And it would refuse every twentieth request to see that it is repeated, a repeated one too.
        command = ["pebble", "-config", folder / "pebble.json", "-dnsserver", f"127.0.0.1:{names.port}"]
        self.process = started(self.log, command,
                               PEBBLE_AUTHZREUSE="0", PEBBLE_WFE_NONCEREJECT="0", PEBBLE_VA_NOSLEEP="1")
        try:
            awaited(self.process, lambda: self._get(self.directory))
            self.root = self._get(f"https://127.0.0.1:{management}/roots/0").decode()
        except BaseException:
            self.close()
            raise

    def challenged(self, attempt: Callable[[], str]) -> str:
        """What the attempt says for which a challenge was looked at. One in a hundred is given what it wants for the
        sake of an earlier one: Pebble reuses that if a number from 0 to 99 is not above PEBBLE_AUTHZREUSE, 0 too."""
        for _ in range(4):
            before = self._validations()
            said = attempt()
            if self._validations() > before:
                return said
        raise AssertionError(f"no challenge was looked at, four times:\n{said}")

    def _validations(self) -> int:
        return len(re.findall(r"Starting \d+ validations", self.log.read_text()))

    def _get(self, url: str) -> bytes:
        with urllib.request.urlopen(url, timeout=5, context=ssl.create_default_context(cafile=str(self.ca))) as answer:
            return answer.read()

    def close(self) -> None:
        end(self.process.pid)
        self.process.wait()


def started(log: Path, command: list, **environment: str) -> subprocess.Popen:
    with log.open("wb") as output:
        return subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT)


def awaited(process: subprocess.Popen, ready: Callable[[], object]) -> None:
    until = time.monotonic() + DEADLINE_S
    while True:
        try:
            ready()
            return
        except OSError as error:
            assert process.poll() is None, f"{process.args[0]} ended with {process.returncode}"
            assert time.monotonic() < until, f"{process.args[0]}: {error}"
        time.sleep(0.05)
