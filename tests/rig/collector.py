"""An OpenTelemetry collector of the test's own: takes OTLP over HTTP in JSON and keeps the spans."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEADLINE_S = 20.0


class Collector:
    """`statuses`: of the first answers; every later one is 200."""

    def __init__(self, *statuses: int) -> None:
        self.requests: list[tuple[str, dict[str, str], str]] = []
        self._spans: list[dict] = []
        self.resources: list[dict] = []
        self._statuses = list(statuses)
        self._lock = threading.Lock()
        collector = self

        class Taker(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status = collector._take(self.path, dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def _take(self, path: str, headers: dict[str, str], body: str) -> int:
        with self._lock:
            self.requests.append((path, headers, body))
            if self._statuses and (status := self._statuses.pop(0)) != 200:
                return status
            for resource in json.loads(body)["resourceSpans"]:
                self.resources.append(attributes_of(resource["resource"]))
                for scope in resource["scopeSpans"]:
                    self._spans += scope["spans"]
            return 200

    @property
    def spans(self) -> list[dict]:
        with self._lock:
            return list(self._spans)

    def find(self, name: str, **more: str) -> list[dict]:
        return [span for span in self.spans if span["name"] == name and all(span.get(key) == value for key, value in more.items())]

    async def wait_for(self, found: Callable[[], list[dict]], count: int = 1) -> list[dict]:
        until = time.monotonic() + DEADLINE_S
        while len(spans := found()) < count:
            assert time.monotonic() < until, f"of the spans came {sorted(span['name'] for span in self.spans)}"
            await asyncio.sleep(0.05)
        return spans

    async def span(self, name: str, **more: str) -> dict:
        return (await self.wait_for(lambda: self.find(name, **more)))[0]

    def text(self) -> str:
        with self._lock:
            return "".join(body for _, _, body in self.requests)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def attributes_of(holder: dict) -> dict[str, str]:
    """Attribute -> its value as text."""
    return {one["key"]: str(next(iter(one["value"].values()))) for one in holder["attributes"]}
