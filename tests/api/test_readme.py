"""The README's five minutes, run as they are written: the shell blocks in order, in one bash, against the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rig.daemon import Daemon

README = Path(__file__).resolve().parents[2] / "README.md"


async def test_the_tour_works_as_written(server: Daemon) -> None:
    if not shutil.which("jq") or not shutil.which("curl"):
        pytest.skip("missing: curl and jq")
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.S)
    assert len(blocks) >= 3, "the tour is gone"
    script = "set -m\n" + "\n".join(blocks) + '\nwait 2>/dev/null\ncurl -sf $api/server >/dev/null && echo "server: ok"\n'
    authority = server.url.removeprefix("http://")
    assert "127.0.0.1:3000" in script
    script = script.replace("127.0.0.1:3000", authority)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = await asyncio.to_thread(subprocess.run, ["bash", "-c", script], capture_output=True, text=True, timeout=60,
                                   env=environment)
    output = done.stdout + done.stderr
    assert '"text": "hello"' in output, output
    assert "server: ok" in output, output
    frames = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"type"')]
    kinds = [frame["type"] for frame in frames]
    assert kinds[:3] == ["hello", "authenticated", "caught_up"], output
    assert any(frame["type"] == "message" and frame["data"]["text"] == "are you there?" for frame in frames), output
