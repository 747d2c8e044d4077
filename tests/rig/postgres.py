"""A private PostgreSQL cluster for a test session: durable, loopback only, thrown away at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

CLUSTER_USER = "postgres"
START_DEADLINE_S = 60.0


def server_binaries() -> Path:
    """The folder of initdb and postgres: PG_BINDIR, else the newest Debian one, else that of PATH."""
    if configured := os.environ.get("PG_BINDIR"):
        return Path(configured)
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    if found := shutil.which("initdb"):
        return Path(found).parent
    raise RuntimeError("no PostgreSQL server binaries: install the package postgresql or set PG_BINDIR")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_sql(sql: str, *, host: str, port: int, user: str, database: str, as_user: str | None = None) -> list[list[str]]:
    """Runs one statement through psql and returns its rows as text."""
    command = [
        str(server_binaries() / "psql"), "-X", "-A", "-t", "-q", "-F", "\x1f", "-v", "ON_ERROR_STOP=1",
        "-h", host, "-p", str(port), "-U", user, "-d", database, "-c", sql,
    ]
    identity = {"user": as_user, "group": pwd.getpwnam(as_user).pw_gid, "extra_groups": []} if as_user else {}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/", **identity)
    if done.returncode != 0:
        raise RuntimeError(f"psql failed: {done.stderr.strip()}")
    return [line.split("\x1f") for line in done.stdout.splitlines() if line]


class PostgresCluster:
    """One cluster. The postmaster is our own child, so nothing else can be signalled by mistake."""

    def __init__(self, parent: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="supd-pg-", dir=parent))
        self.data = self.folder / "data"
        self.sockets = self.folder / "s"
        self.log_path = Path(tempfile.mkdtemp(prefix="supd-pg-log-")) / "postgres.log"  # where there is room
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._identity: dict = {}
        self.sockets.mkdir()
        if os.geteuid() == 0:
            entry = pwd.getpwnam(CLUSTER_USER)
            self._identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            for path in (self.folder, self.sockets):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        subprocess.run(
            [server_binaries() / "initdb", "-D", self.data, "-U", CLUSTER_USER, "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-instructions", "--no-sync"],
            check=True, capture_output=True, cwd="/", **self._identity,
        )
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as settings:
            settings.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\n"
                f"unix_socket_directories = '{self.sockets}'\n"
                "fsync = on\nsynchronous_commit = on\nfull_page_writes = on\n"
                "max_connections = 200\nshared_buffers = 128MB\n"
                "log_min_messages = warning\nlog_min_error_statement = error\nlog_line_prefix = '%m [%p] %e '\n"
            )
        self.start()

    def start(self) -> None:
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [server_binaries() / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **self._identity,
            )
        self.wait_ready()

    def wait_ready(self, deadline_s: float = START_DEADLINE_S) -> None:
        deadline = time.monotonic() + deadline_s
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended at start:\n{self.log_path.read_text()[-2000:]}")
            try:
                self.sql("select 1")
                return
            except RuntimeError:
                time.sleep(0.05)
        raise RuntimeError("PostgreSQL was not ready in time")

    def _stop(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart_immediate(self) -> None:
        """What `pg_ctl restart -m immediate` does: SIGQUIT, no checkpoint, crash recovery at the start."""
        self._stop(signal.SIGQUIT)
        self.start()

    def stop_immediate(self) -> None:
        self._stop(signal.SIGQUIT)

    def close(self) -> None:
        self._stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.log_path.parent, ignore_errors=True)

    def sql(self, statement: str, database: str = "postgres") -> list[list[str]]:
        return run_sql(statement, host=str(self.sockets), port=self.port, user=CLUSTER_USER, database=database)

    def new_database(self, prefix: str = "supd") -> str:
        """Makes an empty database and returns its URL."""
        name = f"{prefix}_{uuid.uuid4().hex[:12]}"
        self.sql(f'create database "{name}"')
        return f"postgresql://{CLUSTER_USER}@127.0.0.1:{self.port}/{name}"

    def database_of(self, url: str) -> str:
        return url.rsplit("/", 1)[1].split("?", 1)[0]

    def backends(self, database: str) -> list[int]:
        rows = self.sql(
            "select pid from pg_stat_activity where backend_type = 'client backend' "
            f"and pid <> pg_backend_pid() and datname = '{database}'"
        )
        return [int(row[0]) for row in rows]

    def terminate_backend(self, database: str, chance: random.Random) -> int | None:
        """Ends one random session of the database politely; the server goes on."""
        pids = self.backends(database)
        if not pids:
            return None
        pid = chance.choice(pids)
        self.sql(f"select pg_terminate_backend({pid})")
        return pid

    def crash_backend(self, database: str, chance: random.Random) -> int | None:
        """SIGKILLs one random backend: PostgreSQL ends every session and recovers from its log."""
        pids = self.backends(database)
        if not pids:
            return None
        pid = chance.choice(pids)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return pid

    def log_text(self) -> str:
        return self.log_path.read_text(errors="replace")


@contextlib.asynccontextmanager
async def chat_locked(postgres: PostgresCluster, database: str, chat: str) -> AsyncIterator[None]:
    """Whoever wants to change the chat waits. By a session of psql, which says when it has the lock."""
    key = int.from_bytes(uuid.UUID(chat).bytes[8:], "little", signed=True)
    session = await asyncio.create_subprocess_exec(
        str(server_binaries() / "psql"), "-X", "-A", "-t", "-q", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", CLUSTER_USER,
        "-d", database, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert session.stdin is not None and session.stdout is not None
    try:
        # Nothing of the session's own ends it: it waits for more until its input is closed.
        session.stdin.write(f"begin;\nselect pg_advisory_xact_lock({key});\nselect 'locked';\n".encode())
        while (await asyncio.wait_for(session.stdout.readline(), 10)).strip() != b"locked":
            pass
        yield
    finally:
        session.stdin.close()
        await session.wait()
