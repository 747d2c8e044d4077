#!/usr/bin/env python3
"""Runs schemathesis on docs/openapi.yaml against a daemon started for it: no 5xx, no undeclared status, content type
or shape. SUPD_LONG=1 runs longer; the seed is printed, SUPD_SEED replays."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from rig import daemon as daemons  # noqa: E402
from rig.client import Rest, a_chat, a_user  # noqa: E402
from rig.daemon import Daemon  # noqa: E402
from rig.postgres import PostgresCluster  # noqa: E402

DOCUMENT = TESTS.parent / "docs" / "openapi.yaml"
LONG = os.environ.get("SUPD_LONG") == "1"
EXAMPLES = "200" if LONG else "12"
SECONDS = 1200 if LONG else 75
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
          "response_headers_conformance")


async def a_token(url: str) -> str:
    async with Rest(url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        for number in range(3):
            await ann.send(chat, f"message {number}")
        return ann.access_token


def main() -> int:
    seed = os.environ.get("SUPD_SEED") or str(int(time.time()) % 2**31)
    cluster = PostgresCluster()
    daemon = Daemon(database_url=cluster.new_database(), name="schemathesis")
    try:
        daemon.start()
        token = asyncio.run(a_token(daemon.url))
        print(f"seed {seed}, {DOCUMENT.name} against {daemon.url}", flush=True)
        command = [
            str(Path(sys.executable).parent / "schemathesis"), "run", str(DOCUMENT), "--origin", daemon.url,
            "-H", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing",
            "--max-examples", EXAMPLES, "--max-time", str(SECONDS), "--seed", seed, "--request-timeout", "10", "--workers", "1",
            # These end the session that all other requests use.
            "--exclude-path", "/api/v1/auth/logout", "--exclude-path", "/ws", "--no-color",
        ]
        done = subprocess.run(command, timeout=SECONDS * 3 + 120, cwd=daemon.folder,
                              env=os.environ | {"PYTHONPATH": "", "HYPOTHESIS_STORAGE_DIRECTORY": str(daemon.folder / "hypothesis")})
        daemon.check()
        errors = [line for line in daemon.log_text().splitlines() if '"level":"critical"' in line]
        for line in (*daemons.incidents, *errors[:20]):
            print(line)
        return 1 if daemons.incidents or errors else done.returncode
    finally:
        daemon.close()
        cluster.close()


if __name__ == "__main__":
    sys.exit(main())
