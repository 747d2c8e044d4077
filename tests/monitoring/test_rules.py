"""Prometheus and Alertmanager take the configuration, and every alert fires when it should and keeps still when it should."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from monitored import INCIDENTS, MONITORING, REPOSITORY, RULE_FILES, Alert, alerts, anchors_of, metrics_of, tool

# Everything a text here, because 0x10 is promtool's "ten times nothing" and YAML's sixteen.
CASES = yaml.load((Path(__file__).parent / "alert_cases.yml").read_text(), yaml.BaseLoader)
SEVERITIES = {"critical", "warning", "none"}


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, cwd=MONITORING)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_configuration() -> None:
    output = run(tool("promtool"), "check", "config", MONITORING / "prometheus.yml")
    for path in RULE_FILES:  # the rules are found by the configuration, not only by this test
        assert path.name in output, output
    run(tool("promtool"), "check", "rules", *RULE_FILES)


def test_exporters_are_where_prometheus_looks() -> None:
    prometheus = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    names = {name for job in prometheus["scrape_configs"] for found in job.get("dns_sd_configs", ()) for name in found["names"]}
    assert {"supd-blue", "supd-green"} <= names
    for name, service in yaml.safe_load((REPOSITORY / "docker/compose.exporters.yaml").read_text())["services"].items():
        assert name in names, f"Prometheus does not look for {name}"
        assert re.fullmatch(r"\$\{\w+_IMAGE:-[\w./-]+:v[\w.-]+\}", service["image"]), "an image with its version"
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and "ports" not in service


@pytest.mark.parametrize("name", ["alertmanager.yml", "alertmanager.mail.example.yml"])
def test_alertmanager_takes_the_configuration(name: str) -> None:
    run(tool("amtool"), "check-config", MONITORING / name)


@pytest.mark.parametrize(("labels", "receiver"), [
    ("alertname=SupdWatchdog severity=none", "dead-mans-switch"),
    ("alertname=SupdDown severity=critical", "page"),
    ("alertname=SupdJobsDead severity=warning", "seen-only"),
])
def test_alerts_reach_their_receiver(labels: str, receiver: str) -> None:
    for name in ("alertmanager.yml", "alertmanager.mail.example.yml"):
        out = run(tool("amtool"), "config", "routes", "test", f"--config.file={MONITORING / name}", *labels.split())
        assert out.strip() == receiver, name


def test_what_is_inhibited_exists() -> None:
    names = {alert.name for alert in alerts()}
    for rule in yaml.safe_load((MONITORING / "alertmanager.yml").read_text())["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            label, pattern = re.fullmatch(r'(\w+) =~? "?(.*?)"?', matcher).groups()
            if label == "alertname":
                for one in pattern.split("|"):
                    assert any(re.fullmatch(one, name) for name in names), f"no alert is called {one}"


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: f"{alert.name}-{alert.labels.get('severity')}")
def test_an_alert_says_what_it_is(alert: Alert) -> None:
    assert alert.labels.get("severity") in SEVERITIES
    assert alert.annotations["summary"]
    page, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert REPOSITORY / page == INCIDENTS and anchor == alert.name.lower()
    assert anchor in anchors_of(INCIDENTS), f"docs/runbooks/incidents.md has no heading {alert.name}"


def test_every_runbook_section_is_of_an_alert() -> None:
    sections = re.findall(r"^## (\S+)$", INCIDENTS.read_text(), re.M)
    assert sorted(sections) == sorted({alert.name for alert in alerts()})


def test_the_page_lists_every_alert_as_it_is() -> None:
    """docs/monitoring.md: | alert | severity | for | fires when |."""
    listed = re.findall(r"^\| \[(\w+)\]\([^)]*\) \| (\w+) \| ([^|]+?) \|", (REPOSITORY / "docs/monitoring.md").read_text(), re.M)
    assert sorted(listed) == sorted((alert.name, alert.labels["severity"], alert.hold) for alert in alerts())


def test_every_alert_has_cases() -> None:
    names = {alert.name for alert in alerts()}
    assert set(CASES) == names
    for name, cases in CASES.items():
        severities = {alert.labels["severity"] for alert in alerts() if alert.name == name}
        seen = {fired.get("severity", next(iter(severities))) for case in cases for fired in case["fires"]}
        assert seen == severities, f"{name}: no case in which {severities - seen} fires"
        if name != "SupdWatchdog":
            assert any(not case["fires"] for case in cases), f"{name}: no case in which it keeps still"


def file_of_tests(folder: Path, name: str, cases: list[dict]) -> Path:
    """For promtool, with the rules of this one alert: each test evaluates every rule at every minute."""
    own = [rule for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"] if rule["alert"] == name]
    rules = folder / f"{name}.rules.yml"
    rules.write_text(json.dumps({"groups": [{"name": name, "rules": own}]}))
    tests = []
    for case in cases:
        expected = []
        for fired in case["fires"]:
            rule = next(rule for rule in own if rule["labels"]["severity"] == fired.get("severity", rule["labels"]["severity"]))
            expected.append({"exp_labels": {**rule["labels"], **fired}, "exp_annotations": rule["annotations"]})
        tests.append({
            "name": f"{name}: {case['name']}", "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in case.get("series", {}).items()],
            "alert_rule_test": [{"alertname": name, "eval_time": f"{case['at']}m", "exp_alerts": expected}],
        })
    path = folder / f"{name}.test.yml"
    pace = "1m" if max(int(case["at"]) for case in cases) <= 200 else "5m"
    path.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": pace, "tests": tests}))
    return path


def test_every_case_holds(tmp_path: Path) -> None:
    run(tool("promtool"), "test", "rules", *[file_of_tests(tmp_path, name, cases) for name, cases in CASES.items()])


def test_a_case_that_does_not_hold_is_noticed(tmp_path: Path) -> None:
    """A tester that cannot fail proves nothing: what fires must not, and what keeps still must fire."""
    for name, case in (("SupdDown", CASES["SupdDown"][0] | {"fires": []}), ("SupdDown", CASES["SupdDown"][1] | {"fires": [{"job": "supd", "instance": "b"}]})):
        done = subprocess.run([tool("promtool"), "test", "rules", file_of_tests(tmp_path, name, [case])], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and case["name"] in done.stdout + done.stderr


def test_metric_names_are_found_in_expressions() -> None:
    assert metrics_of('sum by (le) (rate(a_bucket{job="x", b=~"c.*"}[5m])) / on (instance) group_left (v) d offset 10m > 0.5 * 24') == {"a_bucket", "d"}
    assert metrics_of('absent(e{f="g"}) and on () count(h == 1) > 14 * 86400 unless vector(1)') == {"e", "h"}
