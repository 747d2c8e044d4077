"""An S3 service of the test's own: versitygw over a folder, built from its source on first use."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from rig.daemon import REPOSITORY
from rig.postgres import free_port

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.7.0"
BUILD_DEADLINE_S = 900.0
START_DEADLINE_S = 30.0
REGION = "us-east-1"


def find_versitygw() -> Path | None:
    """That of PATH or of build/tools; else it is built there, which takes minutes once. None without Go."""
    cached = REPOSITORY / "build/tools/bin/versitygw"
    if cached.exists():
        return cached
    if found := shutil.which("versitygw"):
        return Path(found)
    go = shutil.which("go") or next((path for path in ("/usr/local/go/bin/go",) if Path(path).exists()), None)
    if go is None:
        return None
    cached.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([go, "install", VERSITYGW], check=True, capture_output=True, timeout=BUILD_DEADLINE_S,
                   env=os.environ | {"GOBIN": str(cached.parent)})
    return cached


class S3:
    """One gateway with one bucket. With a certificate it speaks https."""

    access_key, secret_key, bucket = "supd-test", "a-secret-of-the-test", "backups-of-supd"

    def __init__(self, binary: Path, folder: Path, certificate: Path | None = None, key: Path | None = None) -> None:
        self.root = folder / "s3"
        (self.root / self.bucket).mkdir(parents=True)
        metadata = folder / "metadata"  # no name that begins like the root's: versitygw takes it for one inside
        metadata.mkdir()
        self.port = free_port()
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        tls = ["--cert", str(certificate), "--key", str(key)] if certificate else []
        self.process = subprocess.Popen(
            [binary, "--port", f"127.0.0.1:{self.port}", "--region", REGION, "--quiet", *tls,
             "posix", "--sidecar", metadata, self.root],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key})
        until = time.monotonic() + START_DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("versitygw did not start") from None
                time.sleep(0.05)

    @property
    def settings(self) -> dict[str, str]:
        return {"SUPD__S3__ENDPOINT": self.url, "SUPD__S3__REGION": REGION, "SUPD__S3__BUCKET": self.bucket,
                "SUPD__S3__ACCESS_KEY": self.access_key, "SUPD__S3__SECRET_KEY": self.secret_key}

    def files(self) -> dict[str, bytes]:
        base = self.root / self.bucket
        return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*")
                if path.is_file() and not str(path.relative_to(base)).startswith(".sgwtmp")}

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
