"""An S3 service in memory that has the faults a test plans for it. It checks the hash of every body, no signature: versitygw does
that (rig/s3.py)."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

BUCKET = "backups-of-supd"
PIECE = 65536


@dataclass
class Fault:
    """What becomes of the next `times` requests of that kind. busy: 503, after the body; abrupt: 503 without reading it; cut: the
    connection ends in the middle of the body; mute: all is done and never answered; late: it is answered after `after_s`;
    short: half of the object that was announced; wrong: as many other bytes; gone: 404."""

    request: str  # list, put, get, remove, begin, part, finish, abandon
    how: str
    times: int = 1
    after_s: float = 0.0


class FaultyS3:
    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.asked: Counter[str] = Counter()
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            store = self

            def log_message(self, *_: object) -> None:
                pass

            def handle_one(self) -> None:
                self.close_connection = True
                self.store.answer(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def settings(self) -> dict[str, str]:
        return {"SUPD__S3__ENDPOINT": self.url, "SUPD__S3__REGION": "us-east-1", "SUPD__S3__BUCKET": BUCKET,
                "SUPD__S3__ACCESS_KEY": "supd-test", "SUPD__S3__SECRET_KEY": "a-secret-of-the-test"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _kind(self, method: str, key: str, query: dict[str, list[str]]) -> str:
        if method == "GET":
            return "get" if key else "list"
        if method == "POST":
            return "begin" if "uploads" in query else "finish"
        upload = "uploadId" in query
        return {"PUT": "part" if upload else "put", "DELETE": "abandon" if upload else "remove", "HEAD": "look"}[method]

    def _fault(self, kind: str) -> Fault | None:
        with self._lock:
            self.asked[kind] += 1
            for fault in self.faults:
                if fault.request == kind and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        url = urlsplit(to.path)
        query = parse_qs(url.query, keep_blank_values=True)
        key = url.path.removeprefix(f"/{BUCKET}").removeprefix("/")
        kind = self._kind(to.command, key, query)
        fault = self._fault(kind)
        how = fault.how if fault else ""
        length = int(to.headers.get("content-length") or 0)
        if how == "abrupt":
            return self._say(to, 503, b"<Error><Code>SlowDown</Code></Error>")
        if how == "cut":
            to.rfile.read(length // 2)
            return to.connection.close()
        body = to.rfile.read(length)
        if how == "busy":
            return self._say(to, 503, b"<Error><Code>SlowDown</Code></Error>")
        if how == "gone":
            return self._say(to, 404, b"<Error><Code>NoSuchKey</Code></Error>")
        if hashlib.sha256(body).hexdigest() != to.headers["x-amz-content-sha256"]:
            return self._say(to, 400, b"<Error><Code>XAmzContentSHA256Mismatch</Code></Error>")
        status, found, headers = self._do(kind, key, query, body)
        if how == "late":
            time.sleep(fault.after_s)
        if how == "mute":
            return to.connection.close()
        if how == "wrong":
            found = bytes(each ^ 1 for each in found)
        self._say(to, status, found, headers, cut=how == "short")

    def _do(self, kind: str, key: str, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        with self._lock:
            upload = query.get("uploadId", [""])[0]
            if kind == "put":
                self.objects[key] = body
            elif kind == "get":
                return (200, self.objects[key], {}) if key in self.objects else (404, b"", {})
            elif kind == "remove":
                self.objects.pop(key, None)
            elif kind == "begin":
                upload = f"upload-{next(self._ids)}"
                self.uploads[upload] = {}
                return 200, f"<Result><UploadId>{upload}</UploadId></Result>".encode(), {}
            elif kind == "part":
                self.uploads[upload][int(query["partNumber"][0])] = body
                return 200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}
            elif kind == "finish":
                parts = self.uploads.pop(upload)
                self.objects[key] = b"".join(parts[number] for number in sorted(parts))
            elif kind == "abandon":
                self.uploads.pop(upload, None)
            elif kind == "list":
                entries = "".join(f"<Contents><Key>{escape(each)}</Key><Size>{len(content)}</Size></Contents>"
                                  for each, content in sorted(self.objects.items()) if each.startswith(query["prefix"][0]))
                return 200, f"<ListBucketResult>{entries}</ListBucketResult>".encode(), {}
        return 200, b"", {}

    @staticmethod
    def _say(to: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None,
             cut: bool = False) -> None:
        to.send_response(status)
        for name, value in ((headers or {}) | {"Content-Length": str(len(body)), "Connection": "close"}).items():
            to.send_header(name, value)
        to.end_headers()
        if to.command != "HEAD":
            to.wfile.write(body[:len(body) // 2] if cut else body)
