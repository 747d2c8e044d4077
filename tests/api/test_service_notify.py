"""What systemd hears of the daemon (sd_notify), and the unit."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.daemon import REPOSITORY, find_binary
from rig.postgres import PostgresCluster

PATIENCE_S = 30.0
UNIT = REPOSITORY / "config" / "systemd" / "supd.service"


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder: Path, abstract: bool) -> None:
        self.name = f"@supd-{uuid.uuid4().hex}" if abstract else str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:] if abstract else self.name)

    def next(self, line: str) -> list[str]:
        """Reads on until a message has that line; the message's lines."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            lines = self.socket.recv(4096).decode().splitlines()
            if line in lines:
                return lines

    def silent_for(self, seconds: float) -> bool:
        """Forgets what has come, then listens."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(4096):
                pass
        except BlockingIOError:
            pass
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(4096)
            return False
        except TimeoutError:
            return True


@pytest.fixture(params=[False, True], ids=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(tmp_path, request.param)
    yield made
    made.socket.close()


@pytest.mark.core
def test_ready_watchdog_reload_and_stop(spawn, postgres: PostgresCluster, systemd: Systemd) -> None:
    daemon = spawn(name="notify", database_url=postgres.new_database(),
                   settings={"NOTIFY_SOCKET": systemd.name, "WATCHDOG_USEC": "300000"})
    daemon.start()
    systemd.next("READY=1")
    for _ in range(3):
        systemd.next("WATCHDOG=1")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.process.send_signal(signal.SIGHUP)
    told = systemd.next("RELOADING=1")
    at = int(next(line for line in told if line.startswith("MONOTONIC_USEC=")).split("=")[1])
    assert before <= at <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    systemd.next("READY=1")
    systemd.next("WATCHDOG=1")
    daemon.stop()
    systemd.next("STOPPING=1")
    assert systemd.silent_for(0.5)


def test_a_watchdog_for_another_process_is_not_fed(spawn, postgres: PostgresCluster, tmp_path: Path) -> None:
    systemd = Systemd(tmp_path, abstract=True)
    daemon = spawn(name="notify-other", database_url=postgres.new_database(),
                   settings={"NOTIFY_SOCKET": systemd.name, "WATCHDOG_USEC": "90000", "WATCHDOG_PID": "1"})
    daemon.start()
    systemd.next("READY=1")
    assert systemd.silent_for(1.0)
    daemon.stop()
    systemd.socket.close()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="missing: systemd-analyze (package systemd)")
def test_the_unit_is_valid_and_hardened(binary: str, tmp_path: Path) -> None:
    text = UNIT.read_text()
    copy = tmp_path / "supd.service"
    # What the unit starts is not installed here; everything else is as shipped.
    copy.write_text(text.replace("/usr/bin/supd", str(find_binary())).replace("Documentation=", "#Documentation="))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)],
                              capture_output=True, text=True, timeout=60)
    assert verified.returncode == 0 and "supd.service" not in verified.stderr, verified.stderr
    judged = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", str(copy)],
                            capture_output=True, text=True, timeout=60)
    exposure = re.search(r"Overall exposure level for supd.service: ([0-9.]+)", judged.stdout)
    assert exposure is not None and float(exposure[1]) <= 2.0, judged.stdout + judged.stderr
