"""TLS of the daemon itself: https and wss, what differs from plain HTTP, and a renewed certificate."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import time
from pathlib import Path

import aiohttp
import pytest

from rig.client import PASSWORD, a_name
from rig.daemon import Daemon

PATIENCE_S = 30.0


def issue(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("missing: openssl")
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
                   check=True, capture_output=True, timeout=60)
    return certificate, key


def trusting(certificate: Path) -> aiohttp.ClientSession:
    context = ssl.create_default_context(cafile=str(certificate))
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, force_close=True),
                                 timeout=aiohttp.ClientTimeout(total=20))


async def is_trusted(daemon: Daemon, certificate: Path) -> bool:
    async with trusting(certificate) as session:
        try:
            async with session.get(f"{daemon.url}/livez") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectorCertificateError:
            return False


async def test_https_wss_and_a_renewed_certificate(spawn, postgres, tmp_path: Path) -> None:
    first, second = issue(tmp_path, "first"), issue(tmp_path, "second")
    live = tmp_path / "live.pem", tmp_path / "live.key"

    def install(pair: tuple[Path, Path]) -> None:
        for source, target in zip(pair, live):
            fresh = target.with_suffix(".new")
            shutil.copyfile(source, fresh)
            os.replace(fresh, target)

    install(first)
    daemon = spawn(database_url=postgres.new_database(), name="tls", settings={
        "SUPD__TLS__CERTIFICATE": str(live[0]), "SUPD__TLS__KEY": str(live[1]), "SUPD__SERVER__HOST": "127.0.0.1"}).start()
    assert daemon.url.startswith("https://127.0.0.1:") and daemon.admin_url.startswith("http://")
    async with trusting(first[0]) as session:
        body = {"username": a_name(), "password": PASSWORD, "device": {"name": "first", "platform": "desktop"}}
        async with session.post(f"{daemon.url}/api/v1/auth/register", json=body) as answer:
            assert answer.status == 201
            assert "max-age=" in answer.headers["Strict-Transport-Security"]
            token = (await answer.json())["access_token"]
        async with session.ws_connect(daemon.url.replace("https", "wss") + "/ws") as socket:
            assert (await socket.receive_json(timeout=10))["type"] == "hello"
            await socket.send_json({"type": "authenticate", "ref": "1", "data": {"token": token}})
            assert (await socket.receive_json(timeout=10))["type"] == "authenticated"
    done = daemon.run("healthcheck", "--port", str(daemon.port), "--admin-port", str(daemon.admin_port))
    assert done.returncode == 0, done.stderr

    assert await is_trusted(daemon, first[0]) and not await is_trusted(daemon, second[0])
    install(second)
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE_S
    while not await is_trusted(daemon, second[0]):
        assert time.monotonic() < deadline, daemon.log_text()[-1000:]
        await asyncio.sleep(0.1)
    assert not await is_trusted(daemon, first[0])
