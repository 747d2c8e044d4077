"""The README's five minutes, run as they are written: the shell blocks in order, in one bash, against the daemon, with
what `scripts/install-deps run` installs and nothing from the virtual environment of the tests."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path

from rig.daemon import Daemon

README = Path(__file__).resolve().parents[2] / "README.md"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def test_the_tour_works_as_written(server: Daemon) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.S)
    assert len(blocks) >= 3, "the tour is gone"
    script = "\n".join(blocks) + '\ncurl -sf $api/server >/dev/null && echo "server: ok"\n'
    authority = server.url.removeprefix("http://")
    assert "127.0.0.1:3000" in script
    script = script.replace("127.0.0.1:3000", authority)
    environment = {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR") if key in os.environ} | {"PATH": SYSTEM_PATH}
    done = await asyncio.to_thread(subprocess.run, ["bash", "-c", script], capture_output=True, text=True, timeout=120,
                                   env=environment)
    output = done.stdout + done.stderr
    assert '"text": "hello"' in output, output
    assert "server: ok" in output, output
    assert not done.stderr, output
    frames = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"type"')]
    assert [frame["type"] for frame in frames][:2] == ["hello", "authenticated"], output
    assert frames[-1]["type"] == "message" and frames[-1]["data"]["text"] == "are you there?", output
