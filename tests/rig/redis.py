"""A private redis-server for a test: loopback only, nothing on disk, ended by pid."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from rig.postgres import free_port

START_DEADLINE_S = 20.0


class RedisError(Exception):
    """An error that Redis answered with."""


def read_reply(stream) -> object:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("redis-server closed the connection")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest.decode()
    if kind == b"-":
        raise RedisError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
    if kind == b"*":
        return None if rest == b"-1" else [read_reply(stream) for _ in range(int(rest))]
    raise ConnectionError(f"not a reply: {line!r}")


class RedisServer:
    """One process. `options` are lines of its configuration; `arguments` go before them (--sentinel)."""

    def __init__(self, *options: str, port: int | None = None, password: str = "", sentinel: bool = False) -> None:
        if shutil.which("redis-server") is None:
            raise RuntimeError("no redis-server: install it (scripts/install-deps test)")
        self.folder = Path(tempfile.mkdtemp(prefix="supd-redis-"))
        self.port = port or free_port()
        self.password = password
        self.sentinel = sentinel
        self.process: subprocess.Popen[bytes] | None = None
        self.config = self.folder / "redis.conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}", *options]
        if not sentinel:
            lines += ["save \"\"", "appendonly no", "protected-mode no"]
        if password:
            lines += [f"requirepass {password}", f"masterauth {password}"]
        self.config.write_text("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}" if self.password else f"redis://127.0.0.1:{self.port}"

    def start(self) -> "RedisServer":
        command = ["redis-server", str(self.config)] + (["--sentinel"] if self.sentinel else [])
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + START_DEADLINE_S
        while True:
            try:
                self.command("PING")
                return self
            except (OSError, ConnectionError, RedisError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"redis-server did not start:\n{self.log_text()[-2000:]}") from None
                time.sleep(0.02)

    def command(self, *words: str, timeout: float = 5.0) -> object:
        """One command on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            stream = connection.makefile("rwb")
            if self.password and not self.sentinel:
                stream.write(self._encoded("AUTH", self.password))
                stream.flush()
                read_reply(stream)
            stream.write(self._encoded(*words))
            stream.flush()
            return read_reply(stream)

    @staticmethod
    def _encoded(*words: str) -> bytes:
        parts = [word.encode() for word in words]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Connections stay open and nothing answers: a network that drops packets."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""
