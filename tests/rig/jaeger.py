"""Jaeger, the product itself, as a process of the test's own: OTLP over HTTP in, traces in memory, its query API out.
scripts/test builds it (suite jaeger)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from rig.daemon import REPOSITORY
from rig.postgres import free_port

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 30.0


def find_jaeger() -> Path:
    """That of build/tools, else of PATH; without it a test fails instead of passing unlooked."""
    cached = REPOSITORY / "build/tools/bin/jaeger"
    found = cached if cached.exists() else shutil.which("jaeger")
    assert found, "jaeger is missing: scripts/test --suite jaeger builds it"
    return Path(found)


@dataclass
class Seen:
    """A span as Jaeger's page gets it. Times in microseconds."""

    name: str
    trace: str
    id: str
    parents: list[tuple[str, str, str]]
    """Kind of reference, trace, span."""
    begin: int
    end: int
    tags: dict[str, object]
    service: str
    process: dict[str, object]
    warnings: list[str]

    @property
    def parent(self) -> str | None:
        return self.parents[0][2] if self.parents else None


def spans_of(trace: dict) -> list[Seen]:
    """Of one trace of /api/traces."""
    found = []
    for span in trace["spans"]:
        process = trace["processes"][span["processID"]]
        found.append(Seen(
            span["operationName"], span["traceID"], span["spanID"],
            [(each["refType"], each["traceID"], each["spanID"]) for each in span["references"]],
            span["startTime"], span["startTime"] + span["duration"], values_of(span["tags"]),
            process["serviceName"], values_of(process["tags"]), (span["warnings"] or []) + (trace["warnings"] or [])))
    return found


def values_of(tags: list[dict]) -> dict[str, object]:
    return {tag["key"]: tag["value"] for tag in tags}


@dataclass
class Jaeger:
    """Forgets its traces with each start and keeps its ports."""

    folder: Path
    otlp: int = field(default_factory=free_port)
    query: int = field(default_factory=free_port)
    query_grpc: int = field(default_factory=free_port)
    telemetry: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def otlp_url(self) -> str:
        return f"http://127.0.0.1:{self.otlp}"

    @property
    def query_url(self) -> str:
        return f"http://127.0.0.1:{self.query}"

    def configuration(self) -> dict:
        """The pipeline of the one that Jaeger has built in, without what else that listens for."""
        reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": self.telemetry}}}}
        return {
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "pipelines": {"traces": {
                    "receivers": ["otlp"], "processors": ["batch"], "exporters": ["jaeger_storage_exporter"]}},
                "telemetry": {"metrics": {"level": "detailed", "readers": [reader]}},
            },
            "extensions": {
                "jaeger_storage": {"backends": {"kept": {"memory": {"max_traces": 100000}}}},
                "jaeger_query": {
                    "storage": {"traces": "kept"}, "http": {"endpoint": f"127.0.0.1:{self.query}"},
                    "grpc": {"endpoint": f"127.0.0.1:{self.query_grpc}"}},
            },
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.otlp}"}}}},
            "processors": {"batch": {}},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "kept"}},
        }

    def start(self) -> "Jaeger":
        config, log = self.folder / "jaeger.json", self.folder / "jaeger.log"
        config.write_text(json.dumps(self.configuration()))
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
        with log.open("ab") as out:
            self.process = subprocess.Popen(  # without traces of its own, which go to the usual port
                [find_jaeger(), "--config", f"file:{config}"], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.folder, env=kept | {"OTEL_TRACES_SAMPLER": "always_off"})
        until = time.monotonic() + START_DEADLINE_S
        # An export without spans is one, so this is no trace in its numbers.
        while not (self._answers(f"{self.query_url}/api/services") and self._answers(
                f"{self.otlp_url}/v1/traces", b'{"resourceSpans":[]}')):
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"jaeger did not start: {log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        return self

    @staticmethod
    def _answers(url: str, body: bytes | None = None) -> bool:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def numbers(self, name: str) -> dict[str, float]:
        """Of its own metrics: labels -> value."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.telemetry}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        found = re.findall(rf"^{name}(?:_total)?\{{(.*)\}} (\S+)$", text, re.M)
        return {labels: float(value) for labels, value in found}

    def number(self, name: str) -> float:
        return sum(self.numbers(name).values())

    def log_text(self) -> str:
        return (self.folder / "jaeger.log").read_text(errors="replace")
