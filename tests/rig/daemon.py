"""Starts, kills and restarts `supd serve`, and holds it to never ending by itself."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from rig.postgres import run_sql

REPOSITORY = Path(__file__).resolve().parents[2]
READY_DEADLINE_S = float(os.environ.get("SUPD_READY_DEADLINE_S", "60"))
STOP_DEADLINE_S = 20.0
SANITIZER_REPORT = re.compile(
    r"(ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error: |"
    r"ERROR: MemorySanitizer|Assertion `.*' failed|terminate called|libc\+\+abi: terminating)"
)

# What went wrong outside of any test's own assertions; conftest.py fails the test or the session on it.
incidents: list[str] = []
running: list["Daemon"] = []


def find_binary() -> Path | None:
    """SUPD_BINARY, else the newest build of the usual presets."""
    if configured := os.environ.get("SUPD_BINARY"):
        return Path(configured).resolve()
    built = [path for preset in ("release", "debug") for path in (
        REPOSITORY / "build" / preset / "supd", REPOSITORY / "build" / preset / "src" / "supd") if path.is_file()]
    return max(built, key=lambda path: path.stat().st_mtime) if built else None


@dataclass
class Daemon:
    """One data directory and the process that serves it. `database_url` None = the embedded PostgreSQL."""

    database_url: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    name: str = "supd"
    mode: str = "development"
    stderr: int | None = None  # instead of a file that can be looked at
    binary: Path | None = None  # another than find_binary()'s
    folder: Path = field(init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    url: str = field(default="", init=False)
    admin_url: str = field(default="", init=False)
    ready: dict = field(default_factory=dict, init=False)
    start_took_s: float = field(default=0.0, init=False)
    port: int = field(default=0, init=False)
    admin_port: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"supd-{self.name}-"))
        self.folder.chmod(0o755)
        self.log_path = self.folder / "stderr.log"
        self.data_dir = self.folder / "data"
        self._log_checked = 0

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if key in os.environ}
        kept |= {key: value for key, value in os.environ.items() if key.endswith("SAN_OPTIONS")}
        kept |= {
            "SUPD__MODE": self.mode,
            "SUPD__RATE_LIMIT__ENABLED": "false",
            "SUPD__AUTH__PASSWORD_HASH": "minimal",
            "SUPD__SERVER__IO_THREADS": str(max(2, os.cpu_count() or 1)),  # on any machine, threads that meet
        }
        if self.database_url:
            kept["DATABASE_URL"] = self.database_url
        return kept | self.settings

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs another subcommand of the same binary with the same environment."""
        return subprocess.run(
            [str(self.binary or find_binary()), *arguments], input=stdin, capture_output=True, text=True, timeout=timeout,
            env=self.environment, cwd=self.folder,
        )

    def start(self) -> "Daemon":
        """Starts and waits for the ready line. After a first start the same ports are used again."""
        binary = self.binary or find_binary()
        if binary is None:
            raise RuntimeError("no supd binary: build one or set SUPD_BINARY")
        command = [str(binary), "serve", "--data-dir", str(self.data_dir),
                   "--port", str(self.port), "--admin-port", str(self.admin_port)]
        begun = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=log if self.stderr is None else self.stderr, env=self.environment, cwd=self.folder,
                start_new_session=True,
            )
        if self not in running:
            running.append(self)
        line = self._first_line(begun + READY_DEADLINE_S)
        self.start_took_s = time.monotonic() - begun
        self.ready = json.loads(line)
        assert self.ready.get("event") == "ready", f"the first line of stdout was {line!r}"
        self.url, self.admin_url = self.ready["url"], self.ready["admin_url"]
        self.port, self.admin_port = int(self.url.rsplit(":", 1)[1]), int(self.admin_url.rsplit(":", 1)[1])
        return self

    def _first_line(self, deadline: float) -> str:
        assert self.process is not None and self.process.stdout is not None
        received = b""
        while b"\n" not in received:
            left = deadline - time.monotonic()
            if left <= 0:
                self.kill()
                raise RuntimeError(f"{self.name} was not ready in {READY_DEADLINE_S} s:\n{self.log_text()[-3000:]}")
            if not select.select([self.process.stdout], [], [], left)[0]:
                continue
            part = os.read(self.process.stdout.fileno(), 4096)
            if not part:
                code = self.process.wait()
                raise RuntimeError(f"{self.name} ended with {code} before it was ready:\n{self.log_text()[-3000:]}")
            received += part
        return received.split(b"\n", 1)[0].decode()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL of the daemon alone; its children must notice by themselves."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        elif self.process.returncode not in (0, -signal.SIGKILL):
            incidents.append(f"{self.name} had already ended with {self.process.returncode}: {self.log_text()[-2000:]}")
        self.process.wait()
        self._forget()

    def stop(self, expected_code: int = 0) -> int:
        """SIGTERM; the exit must be graceful and in time."""
        if self.process is None:
            return expected_code
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(timeout=STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            incidents.append(f"{self.name} did not stop within {STOP_DEADLINE_S} s of SIGTERM")
            self.process.kill()
            code = self.process.wait()
        if code != expected_code:
            incidents.append(f"{self.name} ended with {code} instead of {expected_code}: {self.log_text()[-2000:]}")
        self._forget()
        return code

    def restart(self) -> "Daemon":
        self.stop()
        return self.start()

    def _forget(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        if self in running:
            running.remove(self)
        self.check_log()

    def check_log(self) -> None:
        """Notes sanitizer reports and aborts written since the last look."""
        text = self.log_text()
        if found := SANITIZER_REPORT.search(text, self._log_checked):
            incidents.append(f"{self.name}: {text[max(0, found.start() - 200):found.start() + 4000]}")
        self._log_checked = len(text)

    def check(self) -> None:
        """Notes an exit nobody asked for."""
        if self.process is not None and self.process.poll() is not None:
            incidents.append(f"{self.name} ended by itself with {self.process.returncode}: {self.log_text()[-3000:]}")
            self._forget()
        else:
            self.check_log()

    def close(self) -> None:
        if self.alive:
            self.stop()
        elif self.process is not None:
            self.check()
        self._stop_left_over_postgres()
        if os.environ.get("SUPD_KEEP_FILES") != "1":
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # The embedded PostgreSQL, found by the pid file in our own data directory.

    def embedded_pid_file(self) -> list[str] | None:
        for path in self.data_dir.glob("**/postmaster.pid"):
            lines = path.read_text().splitlines()
            if len(lines) >= 5:
                return lines
        return None

    def embedded_postmaster(self) -> int | None:
        lines = self.embedded_pid_file()
        return int(lines[0]) if lines else None

    def embedded_sql(self, statement: str) -> list[list[str]]:
        lines = self.embedded_pid_file()
        if lines is None:
            raise RuntimeError("the embedded PostgreSQL is not running")
        owner = (self.embedded_data()).owner()
        last = RuntimeError("no way in")
        for user in dict.fromkeys((owner, "supd", "postgres")):
            for database in ("supd", "postgres"):
                try:
                    return run_sql(statement, host=lines[4], port=int(lines[3]), user=user, database=database,
                                   as_user=owner if os.geteuid() == 0 else None)
                except RuntimeError as error:
                    last = error
        raise last

    def embedded_data(self) -> Path:
        return next(self.data_dir.glob("**/PG_VERSION")).parent

    def embedded_backends(self) -> list[int]:
        rows = self.embedded_sql(
            "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")
        return [int(row[0]) for row in rows]

    def embedded_crash_backend(self, chance: random.Random) -> int | None:
        pids = self.embedded_backends()
        if not pids:
            return None
        pid = chance.choice(pids)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return pid

    def embedded_restart_immediate(self) -> None:
        """SIGQUIT to the postmaster; the daemon's supervisor has to start it again."""
        pid = self.embedded_postmaster()
        if pid is not None:
            try:
                os.kill(pid, signal.SIGQUIT)
            except ProcessLookupError:
                pass

    def _stop_left_over_postgres(self) -> None:
        if self.database_url is not None or not self.data_dir.exists():
            return
        pid = self.embedded_postmaster()
        if pid is None or not Path(f"/proc/{pid}").exists():
            return
        executable = os.path.basename(os.path.realpath(f"/proc/{pid}/exe"))
        if executable != "postgres":
            return
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            try:
                os.kill(pid, signal.SIGQUIT)
            except ProcessLookupError:
                return
            time.sleep(0.1)


def kill_all() -> None:
    for each in list(running):
        each.kill()
        each.close()


def shared_secret() -> str:
    """A JWT secret for daemons that serve one database together."""
    return secrets.token_urlsafe(48)
