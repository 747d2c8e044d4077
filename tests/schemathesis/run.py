#!/usr/bin/env python3
"""Runs schemathesis on docs/openapi.yaml against a daemon started for it: no 5xx, no undeclared status, content type
or shape, no answered field that is not described. SUPD_LONG=1 runs longer; the seed is printed, SUPD_SEED replays."""

from __future__ import annotations

import asyncio
import json
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
from rig.documents import closed, document  # noqa: E402
from rig.postgres import PostgresCluster  # noqa: E402

DOCUMENT = "openapi.yaml"
LONG = os.environ.get("SUPD_LONG") == "1"
EXAMPLES = "200" if LONG else "12"
SECONDS = 1200 if LONG else 75
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
          "response_headers_conformance")


# Most requests name something that exists and that the caller may touch; the rest show what strangers' ids answer.
LIKELY = 0.8
NAMED = {
    "path.id": {"^/api/v1/chats/": "chats", "^/api/v1/messages/": "messages", "^/api/v1/users/": "users"},
    "path.chat_id": {"^/api/v1/messages/chat/": "chats"},
    "path.user_id": {"/members/": "users"},
    "body.chat_id": {"^/api/v1/messages$": "chats"},
    "body.reply_to": {"^/api/v1/messages$": "messages"},
    "body.user_id": {"/transfer$": "users"},
}


async def a_world(url: str) -> tuple[str, dict[str, list[str]]]:
    """A token, and ids of things that its owner may use."""
    async with Rest(url) as rest:
        ann, bob, cat = await a_user(rest), await a_user(rest), await a_user(rest)
        chats = [(await a_chat(ann, bob, cat))["id"] for _ in range(12)]
        messages = [(await ann.send(chat, f"message {number}"))["id"] for chat in chats for number in range(4)]
        return ann.access_token, {"chats": chats, "messages": messages, "users": [bob.id, cat.id]}


def configuration(ids: dict[str, list[str]]) -> str:
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}\n" for name, values in ids.items()]
    for parameter, places in NAMED.items():
        for path, dictionary in places.items():
            lines.append(f"[[operations]]\ninclude-path-regex = {json.dumps(path)}\n[operations.parameters]\n"
                         f'"{parameter}" = {{ dictionary = "{dictionary}", probability = {LIKELY} }}\n')
    # Ids learned from answers would be used to end the session that all requests use.
    lines.insert(0, "".join(f"[phases.{phase}.extra-data-sources]\nresponses = false\n\n" for phase in ("coverage", "fuzzing")))
    # QUERY is no method of ours: 501, which would count as a fault of the server.
    lines.insert(0, '[phases.coverage]\nunexpected-methods = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE"]\n')
    return "\n".join(lines)


def main() -> int:
    seed = os.environ.get("SUPD_SEED") or str(int(time.time()) % 2**31)
    cluster = PostgresCluster()
    daemon = Daemon(database_url=cluster.new_database(), name="schemathesis")
    try:
        daemon.start()
        token, ids = asyncio.run(a_world(daemon.url))
        config = daemon.folder / "schemathesis.toml"
        config.write_text(configuration(ids), encoding="utf-8")
        strict = daemon.folder / "openapi.json"
        strict.write_text(json.dumps(closed(document(DOCUMENT))), encoding="utf-8")
        print(f"seed {seed}, docs/{DOCUMENT} against {daemon.url}", flush=True)
        command = [
            str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(config), "run", str(strict), "--origin", daemon.url,
            "-H", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing",
            "--max-examples", EXAMPLES, "--max-time", str(SECONDS), "--seed", seed, "--request-timeout", "10", "--workers", "1",
            # It ends the session that all other requests use.
            "--exclude-path", "/api/v1/auth/logout", "--no-color",
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
