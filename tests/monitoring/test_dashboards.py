"""The dashboards are what Grafana takes, and speak of metrics that exist: held against the scrape of running daemons."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from monitored import (DASHBOARD_FILES, MONITORING, REPOSITORY, alerts, allowed_metrics, dashboards, is_allowed, metrics_of, panels_of,
                       prometheus_queries, tool, without_suffix)
from rig import daemon as daemons
from rig.client import Rest, a_chat, a_user
from rig.daemon import Daemon
from rig.postgres import PostgresCluster

WIDTH = 24
KINDS = {"timeseries", "stat", "table", "logs", "alertlist", "row"}
NEEDED = ("uid", "title", "tags", "schemaVersion", "version", "time", "refresh", "templating", "annotations", "panels")


def provisioned(name: str) -> dict:
    return yaml.safe_load((MONITORING / "grafana" / name).read_text())


def test_there_are_the_five() -> None:
    assert {path.stem for path in DASHBOARD_FILES} == {"overview", "api", "websocket", "database", "jobs"}


def test_they_are_written_by_the_script() -> None:
    done = subprocess.run([sys.executable, REPOSITORY / "scripts/make_dashboards.py", "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_grafana_finds_them_and_their_sources() -> None:
    sources = provisioned("datasources/supd.yml")
    assert sources["apiVersion"] == 1
    assert {(source["type"], source["uid"]) for source in sources["datasources"]} == {
        ("prometheus", "supd-prometheus"), ("loki", "supd-loki"), ("alertmanager", "supd-alertmanager")}
    assert all(source["access"] == "proxy" and source["url"].startswith("http://") for source in sources["datasources"])
    provider, = provisioned("dashboards/supd.yml")["providers"]
    assert provider["type"] == "file" and provider["options"]["path"] and provider["allowUiUpdates"] is False


@pytest.mark.parametrize("name", [path.name for path in DASHBOARD_FILES])
def test_a_dashboard_has_what_grafana_needs(name: str) -> None:
    dashboard = dashboards()[name]
    assert not [field for field in NEEDED if field not in dashboard]
    assert dashboard["uid"] == "supd-" + name.removesuffix(".json") and len(dashboard["uid"]) <= 40
    assert dashboard["schemaVersion"] >= 36 and "id" not in dashboard, "an id belongs to one installation"
    known = {(source["type"], source["uid"]) for source in provisioned("datasources/supd.yml")["datasources"]}
    panels = panels_of(dashboard)
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["type"] in KINDS and panel["title"]
        box = panel["gridPos"]
        cells = {(x, y) for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])}
        assert box["w"] > 0 and box["x"] + box["w"] <= WIDTH and not cells & taken, f"{panel['title']} lies on another"
        taken |= cells
        if panel["type"] == "row":
            continue
        assert (panel["datasource"]["type"], panel["datasource"]["uid"]) in known
        assert panel["fieldConfig"]["defaults"]["unit"] and "options" in panel
        if panel["type"] == "alertlist":
            continue
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["expr"] and (target["datasource"]["type"], target["datasource"]["uid"]) in known


def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    """As recording rules, so that promtool judges the syntax; Grafana's variables get values."""
    rules = []
    for name, dashboard in dashboards().items():
        for number, query in enumerate(prometheus_queries(dashboard)):
            filled = query.replace("$__rate_interval", "1m").replace("$instance", ".*")
            assert "$" not in filled, f"{name}: unknown variable in {query}"
            rules.append({"record": f"query:{name.removesuffix('.json')}:{number}", "expr": filled})
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run([tool("promtool"), "check", "rules", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def certificate(folder: Path) -> dict[str, str]:
    key, chain = folder / "key.pem", folder / "chain.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", chain], check=True, capture_output=True, timeout=60)
    return {"SUPD__TLS__CERTIFICATE": str(chain), "SUPD__TLS__KEY": str(key)}


async def scrape(server: Daemon) -> str:
    async with Rest(server.admin_url) as admin:
        return (await admin.get("/metrics")).expect(200).body.decode()


@pytest.fixture(scope="session")
async def scraped(server: Daemon, postgres: PostgresCluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The scrape of a daemon that has served all kinds of traffic, and of one that speaks TLS."""
    async with Rest(server.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        async with ann.socket() as anns, bob.socket() as bobs:
            await anns.message(chat)
            await bobs.event("message")

        async def jobs_have_run() -> str:
            while "jobs_total{" not in (text := await scrape(server)):
                await asyncio.sleep(0.1)
            return text

        first = await asyncio.wait_for(jobs_have_run(), 60)
    speaks_tls = Daemon(database_url=postgres.new_database(), name="tls", settings={
        "JWT_SECRET": daemons.shared_secret(), **certificate(tmp_path_factory.mktemp("tls"))})
    speaks_tls.data_dir.mkdir()  # with a database of its own a daemon needs none, and then there is no disk to tell of
    try:
        return first + await scrape(speaks_tls.start())
    finally:
        speaks_tls.close()


def families_of(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+) ", text, re.M))


def named() -> dict[str, set[str]]:
    """Metric -> the dashboards and alerts that name it."""
    found: dict[str, set[str]] = {}
    for name, dashboard in dashboards().items():
        for query in prometheus_queries(dashboard):
            for metric in metrics_of(query):
                found.setdefault(metric, set()).add(name)
    for alert in alerts():
        for metric in metrics_of(alert.expr):
            found.setdefault(metric, set()).add(alert.name)
    return found


async def test_every_metric_that_is_named_exists(scraped: str) -> None:
    families = families_of(scraped)
    unknown = {metric: users for metric, users in named().items() if without_suffix(metric, families) not in families and not is_allowed(metric)}
    assert not unknown, "named, but not in the scrape"


async def test_every_metric_that_exists_is_named(scraped: str) -> None:
    families = families_of(scraped)
    used = {without_suffix(metric, families) for metric in named()}
    assert not sorted(families - used), "in the scrape, but in no dashboard and no rule"


async def test_every_label_that_is_asked_for_exists(scraped: str) -> None:
    """`status=~"5.."` of a metric without that label would be silent for ever."""
    families = families_of(scraped)
    labels: dict[str, set[str]] = {}
    for line in scraped.splitlines():
        if series := re.match(r"([\w:]+)\{(.*)\} ", line):
            labels.setdefault(without_suffix(series[1], families), set()).update(re.findall(r'(\w+)="', series[2]))
    of_prometheus = {"job", "instance"}
    for query in [alert.expr for alert in alerts()] + [query for board in dashboards().values() for query in prometheus_queries(board)]:
        for metric, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", query):
            family = without_suffix(metric, families)
            if family in families:
                asked = set(re.findall(r'(\w+)\s*[=!]', re.sub(r'"[^"]*"', '""', matchers)))
                assert asked <= labels.get(family, set()) | of_prometheus, query


async def test_what_runs_and_when_its_certificate_ends(scraped: str) -> None:
    assert re.search(r'^supd_build_info\{commit="(?:[0-9a-f]{12}(?:-dirty)?|unknown)",version="\d+\.\d+\.\d+"\} 1$', scraped, re.M)
    ends = float(re.search(r"^tls_certificate_expiry_timestamp_seconds (\S+)$", scraped, re.M)[1])
    now = float(re.search(r"^process_start_time_seconds (\S+)$", scraped, re.M)[1])
    assert 29 < (ends - now) / 86400 < 31


def test_the_allowances_are_needed() -> None:
    names = set(named())
    for pattern in allowed_metrics():
        assert any(re.fullmatch(pattern.replace("*", ".*"), name) for name in names), f"allowed_metrics.txt: nothing names {pattern}"
