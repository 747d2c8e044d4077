"""scripts/demo, which the README invites to, works against the daemon as it is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from rig.daemon import Daemon

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo"


async def test_two_users_talk_in_the_demo(server: Daemon) -> None:
    done = await asyncio.to_thread(subprocess.run, [sys.executable, DEMO, "--self-test", "--url", server.url],
                                   capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "two users talked" in done.stdout
