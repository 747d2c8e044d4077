"""The way of a log line: what supd writes, what Alloy takes from it, what Loki keeps, and what the page says of rotation.
Alloy and Loki themselves are not at hand, so their files are held against what is known of their languages."""

from __future__ import annotations

import configparser
import json
import re
from datetime import datetime
from pathlib import Path

import pytest
import yaml

import alloy
from monitored import MONITORING, REPOSITORY, dashboards, panels_of
from rig.client import Rest
from rig.daemon import Daemon

# Component -> its required arguments or blocks, and the others that we know (Alloy's reference).
COMPONENTS = {
    "local.file_match": ({"path_targets"}, {"sync_period"}),
    "loki.source.file": ({"targets", "forward_to"}, set()),
    "loki.source.journal": ({"forward_to"}, {"matches", "max_age", "labels", "path", "relabel_rules", "format_as_json"}),
    "loki.process": ({"forward_to"}, {"stage.json", "stage.timestamp", "stage.labels", "stage.output", "stage.static_labels", "stage.label_drop", "stage.match"}),
    "loki.write": ({"endpoint"}, {"external_labels"}),
}
STAGES = {
    "stage.json": ({"expressions"}, {"source", "drop_malformed"}), "stage.timestamp": ({"source", "format"}, {"fallback_formats", "location"}),
    "stage.labels": ({"values"}, set()), "stage.output": ({"source"}, set()), "stage.static_labels": ({"values"}, set()),
    "stage.label_drop": ({"values"}, set()), "stage.match": ({"selector"}, {"stage.json", "stage.timestamp", "stage.labels", "stage.static_labels", "action"}),
    "endpoint": ({"url"}, {"headers", "batch_wait"}),
}
EXPORTS = {"local.file_match": {"targets"}, "loki.process": {"receiver"}, "loki.write": {"receiver"}}
FUNCTIONS = {"coalesce", "sys.env"}
LOKI_KEYS = {
    "": {"auth_enabled", "server", "common", "schema_config", "limits_config", "compactor", "analytics"},
    "server": {"http_listen_port", "log_level"},
    "common": {"instance_addr", "path_prefix", "replication_factor", "ring", "storage"},
    "limits_config": {"retention_period", "reject_old_samples", "reject_old_samples_max_age", "max_query_lookback", "ingestion_rate_mb",
                      "ingestion_burst_size_mb", "max_line_size", "max_line_size_truncate"},
    "compactor": {"working_directory", "retention_enabled", "retention_delete_delay", "delete_request_store"},
    "analytics": {"reporting_enabled"},
}
LOGROTATE = {"daily", "weekly", "compress", "delaycompress", "missingok", "notifempty", "copytruncate"}
LOGROTATE_WITH_VALUE = {"maxsize": r"\d+[kMG]?", "rotate": r"\d+", "su": r"\w+ \w+"}


def blocks_of(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.S | re.M)


@pytest.mark.parametrize("name", ["alloy.alloy", "alloy-journal.alloy"])
def test_alloys_file_fits_together(name: str) -> None:
    root = alloy.parse((MONITORING / name).read_text())
    made = {f"{block.name}.{block.label}": block.name for block in root.blocks}
    assert len(made) == len(root.blocks) and not root.attributes
    for block in root.all()[1:]:
        needed, known = (COMPONENTS | STAGES)[block.name]
        given = set(block.attributes) | {inner.name for inner in block.blocks}
        assert needed <= given <= needed | known, f"{block.name}: {given}"
        for value in block.attributes.values():
            for reference in alloy.references(value):
                if reference.arguments is not None:
                    assert reference.name in FUNCTIONS
                else:
                    component, _, export = reference.name.rpartition(".")
                    assert component in made and export in EXPORTS[made[component]], f"{reference.name} does not exist"


def test_the_reader_of_alloys_language_refuses_what_is_wrong() -> None:
    for wrong in ('a "b" {', 'a "b" { c = }', 'a { c = [1 2] }', 'a { c = "x }', "a { c = 1\n c = 2 }", "a = ;"):
        with pytest.raises(SyntaxError):
            alloy.parse(wrong)


async def test_what_supd_writes_is_what_alloy_takes(server: Daemon, rest: Rest) -> None:
    (await rest.get("/health")).expect(200)
    lines = [line for line in server.log_text().splitlines() if line]
    assert lines
    stages = [block for name in ("alloy.alloy", "alloy-journal.alloy") for block in alloy.parse((MONITORING / name).read_text()).all()]
    selectors = [block.attributes["selector"] for block in stages if block.name == "stage.match"]
    pattern, = (re.search(r'\|~ "(.*)"$', selector)[1] for selector in selectors)
    shape = re.compile(pattern.replace("\\\\", "\\").replace('\\"', '"'))  # a LogQL string within the raw one
    taken = {key for block in stages if block.name == "stage.json" for key in block.attributes["expressions"]} - {"line", "stream", "written", "service"}
    assert taken == {"time", "level"}
    assert all(block.attributes["format"] == "RFC3339Nano" for block in stages if block.name == "stage.timestamp")
    for line in lines:
        assert shape.match(line), line
        entry = json.loads(line)
        assert entry["level"] in ("debug", "info", "warn", "error") and entry["event"]
        assert datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).tzinfo is not None
    assert not shape.match('{"time":"2026-01-01T00:00:00+00:00","address":"192.0.2.1","method":"GET"}'), "nginx writes JSON, too"


def test_panels_ask_for_labels_that_alloy_sets() -> None:
    """`job`, `level`, `service` and `stream`; the rest is found in the line after `| json`."""
    queries = [target["expr"] for board in dashboards().values() for panel in panels_of(board) for target in panel.get("targets", ())
               if target["datasource"]["type"] == "loki"]
    assert queries
    for query in queries:
        selector, = re.findall(r"\{([^}]*)\}", query)
        assert set(re.findall(r"(\w+)\s*=", selector)) <= {"job", "level", "service", "stream"}, query
        assert 'job="supd"' in selector


def test_lokis_file_has_known_keys_and_deletes() -> None:
    loki = yaml.safe_load((MONITORING / "loki.yml").read_text())
    assert set(loki) == LOKI_KEYS[""]
    for section, keys in LOKI_KEYS.items():
        if section:
            assert set(loki[section]) <= keys, section
    schema, = loki["schema_config"]["configs"]
    assert (schema["store"], schema["object_store"], schema["schema"], schema["index"]["period"]) == ("tsdb", "filesystem", "v13", "24h")
    assert loki["compactor"]["retention_enabled"] and loki["compactor"]["delete_request_store"] == schema["object_store"]
    hours = int(loki["limits_config"]["retention_period"].removesuffix("h"))
    assert f"kept for {hours // 24} days" in (REPOSITORY / "docs/monitoring.md").read_text()
    assert loki["analytics"]["reporting_enabled"] is False


def test_the_ways_to_rotate_parse() -> None:
    page = REPOSITORY / "docs/monitoring.md"
    daemon, = (json.loads(text) for text in blocks_of(page, "json"))
    assert daemon["log-driver"] == "json-file" and all(isinstance(value, str) for value in daemon["log-opts"].values()), "Docker takes only texts"
    service = yaml.safe_load(next(text for text in blocks_of(page, "yaml") if "logging:" in text))["services"]["supd"]["logging"]
    assert service["options"] == daemon["log-opts"] and all(isinstance(value, str) for value in service["options"].values())
    journal = configparser.ConfigParser(strict=True)
    journal.optionxform = str
    journal.read_string(blocks_of(page, "ini")[0])
    assert set(journal["Journal"]) == {"SystemMaxUse", "SystemMaxFileSize", "MaxRetentionSec", "RateLimitIntervalSec"}
    head, body = re.fullmatch(r"(\S+) \{\n(.*)\}\n", blocks_of(page, "logrotate")[0], re.S).groups()
    assert head.startswith("/var/log/supd/")
    for line in body.splitlines():
        word, _, value = line.strip().partition(" ")
        assert word in LOGROTATE and not value or re.fullmatch(LOGROTATE_WITH_VALUE.get(word, "(?!)"), value), line
    assert "copytruncate" in body, "supd keeps its stderr open"
