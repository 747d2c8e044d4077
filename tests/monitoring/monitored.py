"""What docker/monitoring holds, as the tests look at it: rules, dashboards, and the metrics that they name."""

from __future__ import annotations

import fnmatch
import functools
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
MONITORING = REPOSITORY / "docker/monitoring"
RULE_FILES = sorted((MONITORING / "rules").glob("*.yml"))
DASHBOARD_FILES = sorted((MONITORING / "grafana/dashboards").glob("*.json"))
INCIDENTS = REPOSITORY / "docs/runbooks/incidents.md"

WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
# Words of PromQL that are no metric. A function is known by its bracket.
KEYWORDS = frozenset(("and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "inf", "nan"))
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", re.I)


def tool(name: str) -> str:
    """A program of scripts/install-deps; without it the suite fails instead of passing unlooked."""
    found = shutil.which(name) or shutil.which(str(REPOSITORY / "build/tools/bin" / name))
    assert found, f"{name} is missing: scripts/install-deps test"
    return found


def metrics_of(expression: str) -> set[str]:
    """The names of the metrics in a PromQL expression."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = GROUPING.sub(" ", bare)
    bare = re.sub(r"(?<![\w:])\d[\w.]*", " ", bare)  # numbers and durations
    found = set()
    for match in WORD.finditer(bare):
        called = bare[match.end():].lstrip().startswith("(")
        if not called and match.group().lower() not in KEYWORDS:
            found.add(match.group())
    return found


@dataclass
class Alert:
    name: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    hold: str
    file: Path


@functools.cache
def alerts() -> list[Alert]:
    return [
        Alert(rule["alert"], rule["expr"], rule.get("labels", {}), rule.get("annotations", {}), rule.get("for", "0s"), path)
        for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
    ]


def dashboards() -> dict[str, dict]:
    return {path.name: json.loads(path.read_text()) for path in DASHBOARD_FILES}


def panels_of(dashboard: dict) -> list[dict]:
    return [panel for panel in dashboard["panels"]] + [inner for panel in dashboard["panels"] for inner in panel.get("panels", ())]


def prometheus_queries(dashboard: dict) -> list[str]:
    return [target["expr"] for panel in panels_of(dashboard) for target in panel.get("targets", ())
            if target["datasource"]["type"] == "prometheus"]


def without_suffix(name: str, families: set[str]) -> str:
    """The family of a histogram's series."""
    for suffix in ("_bucket", "_count", "_sum"):
        if name.endswith(suffix) and name.removesuffix(suffix) in families:
            return name.removesuffix(suffix)
    return name


def allowed_metrics() -> dict[str, str]:
    """Pattern -> why no scrape of the test's daemons shows it."""
    allowed = {}
    for line in (Path(__file__).parent / "allowed_metrics.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            pattern, _, reason = line.partition("  # ")
            assert reason, f"allowed_metrics.txt: {line!r} gives no reason"
            allowed[pattern.strip()] = reason
    return allowed


def is_allowed(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed_metrics())


def anchors_of(markdown: Path) -> set[str]:
    """The anchors of a page's headings, made as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", markdown.read_text(), flags=re.S | re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
            for title in re.findall(r"^#{1,6} +(.+?)\s*$", text, re.M)}


def exists(path: str) -> bool:
    return (REPOSITORY / path).exists()
