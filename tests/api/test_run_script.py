"""scripts/run, as somebody who has just cloned the tree uses it: it says where the daemon is, and Ctrl-C ends both."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.client import Rest
from rig.daemon import REPOSITORY, Daemon

READY_S = 120.0  # a look at the packages and at the build is in it
STOP_S = 30.0


def read_until(process: subprocess.Popen[bytes], last: Callable[[str], bool]) -> list[str]:
    until, received = time.monotonic() + READY_S, b""
    while True:
        lines = received.decode(errors="replace").splitlines()
        if any(last(line) for line in lines):
            return lines
        left = until - time.monotonic()
        assert left > 0, f"not ready in {READY_S} s: {lines[-20:]}"
        if select.select([process.stdout], [], [], left)[0]:
            part = os.read(process.stdout.fileno(), 65536)
            assert part, f"ended with {process.wait()} before it was ready: {lines[-20:]}"
            received += part


@pytest.mark.embedded
async def test_it_ends_with_a_url_and_ctrl_c_stops_it(spawn, binary: str) -> None:
    if Path(binary) != REPOSITORY / "build/release/src/supd":
        pytest.skip("scripts/run builds and runs the release preset, which is not the daemon under test here")
    place: Daemon = spawn(name="run")  # its folder, and what cleans up after a failure
    with open(place.log_path, "wb") as log:
        process = subprocess.Popen(
            [str(REPOSITORY / "scripts/run"), "--port", "0", "--admin-port", "0", "--data-dir", str(place.data_dir)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=place.environment, cwd="/",
            start_new_session=True,
            # Ignored signals are inherited, and no shell can trap those: whoever started the tests may ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        lines = read_until(process, lambda line: "Ctrl-C" in line)
        ready = next(json.loads(line) for line in lines if line.startswith('{"event"'))
        assert f"supd is ready: {ready['url']}" in lines
        async with Rest(ready["url"]) as rest:
            assert (await rest.get("/readyz")).status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_S) == 0
        assert not Path(f"/proc/{ready['pid']}").exists(), "the daemon is still there"
        assert place.embedded_pid_file() is None, "its PostgreSQL is still there"
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_S)
        process.stdout.close()
