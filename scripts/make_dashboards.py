#!/usr/bin/env python3
"""Writes docker/monitoring/grafana/dashboards/*.json: every panel is one line of the tables below.

    scripts/make_dashboards.py           writes them
    scripts/make_dashboards.py --check   exit 1 when a file is not what would be written

Whoever wants a panel of their own copies a dashboard in Grafana; the provisioned ones are replaced by the next release.
"""
import argparse
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docker/monitoring/grafana/dashboards"
PROMETHEUS = {"type": "prometheus", "uid": "supd-prometheus"}
LOKI = {"type": "loki", "uid": "supd-loki"}
COLUMNS = 24
SELF = 'job="supd", instance=~"$instance"'
WINDOW = "[$__rate_interval]"
# Probes and scrapes are not what anybody asked for.
ASKED = SELF + ', operation!~"get_(livez|readyz|health|metrics)"'
ANSWERED = ASKED + ', operation!="websocket"'
UPGRADES = SELF + ', operation="websocket"'
FAILED = SELF + ', status=~"5.."'
LIMITED = SELF + ', status="429"'
REFUSED = SELF + ', status=~"401|403"'
UNDONE = SELF + ', outcome=~"retried|dead"'


def rate(metric, labels=SELF):
    return f"rate({metric}{{{labels}}}{WINDOW})"


def quantile(q, metric, labels=SELF, by="le"):
    return f"histogram_quantile({q}, sum by ({by}) ({rate(metric + '_bucket', labels)}))"


def share(part, whole):
    return f"sum({part}) / sum({whole})"


def quantiles(metric, labels=SELF):
    return [(quantile(q, metric, labels), name) for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))]


def graph(title, unit, *queries, width=8, about="", stack=False, datasource=PROMETHEUS):
    custom = {"drawStyle": "line", "fillOpacity": 30 if stack else 8, "lineWidth": 1, "showPoints": "never"}
    if stack:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    return panel("timeseries", title, unit, queries, width, 8, about, datasource, custom=custom, options={
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}})


def stat(title, unit, expr, about="", steps=(), width=4, legend="", text="auto"):
    """`steps`: (from, colour), green below the first."""
    return panel("stat", title, unit, [(expr, legend)], width, 4, about, PROMETHEUS, thresholds=steps, options={
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value",
        "graphMode": "area" if text == "auto" else "none", "textMode": text})


def table(title, unit, expr, width=12, about=""):
    made = panel("table", title, unit, [(expr, "")], width, 8, about, PROMETHEUS, options={"showHeader": True})
    made["targets"][0] |= {"format": "table", "instant": True}
    made["transformations"] = [{"id": "organize", "options": {"excludeByName": {"Time": True}}}]
    return made


def logs(title, expr, width=COLUMNS):
    return panel("logs", title, "none", [(expr, "")], width, 9, "", LOKI, options={
        "showTime": True, "wrapLogMessage": True, "sortOrder": "Descending", "dedupStrategy": "none", "enableLogDetails": True})


def alerts(title, width=12):
    return panel("alertlist", title, "none", [], width, 8, "What Prometheus holds for true now", PROMETHEUS, options={
        "alertInstanceLabelFilter": '{alertname!="SupdWatchdog"}', "viewMode": "list", "groupMode": "default", "maxItems": 20,
        "stateFilter": {"firing": True, "pending": True, "error": True, "noData": False, "normal": False}})


def panel(kind, title, unit, queries, width, height, about, datasource, options, custom=None, thresholds=()):
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}] + [
        {"color": color, "value": value} for value, color in thresholds]}}
    if custom:
        defaults["custom"] = custom
    return {
        "type": kind, "title": title, "description": about, "datasource": datasource,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
        "targets": [{"refId": chr(ord("A") + at), "datasource": datasource, "expr": expr, "legendFormat": legend}
                    for at, (expr, legend) in enumerate(queries)],
    }


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": COLUMNS, "h": 1}}


AGE = ((26 * 3600, "red"),)
OVERVIEW = [
    stat("Processes up", "none", 'sum(up{job="supd"})', "supd processes that answer", ((0, "red"), (1, "green"))),
    stat("Version", "none", 'count by (version, commit) (supd_build_info{job="supd"})', "What runs; two of them during a switch",
         legend="{{version}} {{commit}}", text="name"),
    stat("Requests failed", "percentunit", share(rate("http_requests_total", ASKED + ', status=~"5.."'), rate("http_requests_total", ASKED)),
         "Share of 5xx, probes left out", ((0.01, "orange"), (0.1, "red"))),
    stat("Delivery p99", "s", quantile(0.99, "message_delivery_seconds"), "From a message's arrival to its hand-over", ((0.1, "orange"), (0.5, "red"))),
    stat("Connections", "short", f"sum(websocket_connections_active{{{SELF}}})", "Open WebSockets"),
    stat("Messages", "cps", f"sum({rate('messages_sent_total')})", "Stored a second"),
    stat("Age of W", "s", f"max(stream_w_age_seconds{{{SELF}}})", "Cursors cannot pass the oldest writing transaction", ((5, "orange"), (30, "red"))),
    stat("Dead jobs", "none", f'max(jobs_queue_depth{{{SELF}, state="dead"}})', "They wait for a decision", ((1, "red"),)),
    stat("Disk free", "percentunit", f"min(data_dir_free_bytes{{{SELF}}} / data_dir_size_bytes{{{SELF}}})", "File system of the data folder",
         ((0, "red"), (0.05, "orange"), (0.15, "green"))),
    stat("Last backup", "s", 'min(backup_age_seconds{job="supd"})', "Age of the newest backup", AGE),
    stat("Last proof", "s", 'min(backup_verified_age_seconds{job="supd"})', "Age of the last restore that proved a backup", ((8 * 86400, "red"),)),
    stat("Certificate ends in", "s",
         'min((tls_certificate_expiry_timestamp_seconds{job="supd"} or probe_ssl_earliest_cert_expiry{job="front"}) - time())',
         "The daemon's own, else that of the front", ((0, "red"), (3 * 86400, "orange"), (14 * 86400, "green"))),
    alerts("Alerts"),
    graph("Requests", "reqps", (f"sum by (status) ({rate('http_requests_total', ASKED)})", "{{status}}"), width=12, stack=True),
    row("Process"),
    graph("CPU", "none", (rate("process_cpu_seconds_total"), "{{instance}}"), about="Cores in use"),
    graph("Memory", "bytes", (f"process_resident_memory_bytes{{{SELF}}}", "resident {{instance}}"),
          (f"process_virtual_memory_bytes{{{SELF}}}", "virtual {{instance}}")),
    graph("File descriptors", "percentunit", (f"process_open_fds{{{SELF}}} / process_max_fds{{{SELF}}}", "{{instance}}"), about="Of what is allowed"),
    graph("Threads", "none", (f"process_threads{{{SELF}}}", "{{instance}}")),
    graph("Uptime", "s", (f"time() - process_start_time_seconds{{{SELF}}}", "{{instance}}")),
    graph("Disk free", "bytes", (f"data_dir_free_bytes{{{SELF}}}", "{{instance}}")),
    row("Logs"),
    graph("Lines by level", "cps", ('sum by (level) (rate({job="supd"}[$__auto]))', "{{level}}"), width=16, stack=True, datasource=LOKI),
    graph("Lines lost", "cps", (rate("log_lines_dropped_total"), "{{instance}}")),
    graph("Spans", "cps", (f"sum({rate('trace_spans_exported_total')})", "told"),
          (f"sum by (reason) ({rate('trace_spans_dropped_total')})", "lost: {{reason}}"), width=COLUMNS, about="With trace.otlp_endpoint"),
    logs("Warnings and errors", '{job="supd", level=~"warn|error"}'),
]
API = [
    graph("Requests by operation", "reqps", (f"topk(10, sum by (operation) ({rate('http_requests_total', ASKED)}))", "{{operation}}"), width=12, stack=True),
    graph("Answers by status", "reqps", (f"sum by (status) ({rate('http_requests_total', ASKED)})", "{{status}}"), width=12, stack=True),
    graph("Server errors by operation", "reqps", (f"sum by (operation, status) ({rate('http_requests_total', FAILED)})",
                                                "{{operation}} {{status}}")),
    graph("Refused by a rate limit", "reqps", (f"sum by (operation) ({rate('http_requests_total', LIMITED)})", "{{operation}}")),
    graph("Not authenticated or not allowed", "reqps", (f"sum by (operation, status) ({rate('http_requests_total', REFUSED)})",
                                                      "{{operation}} {{status}}")),
    graph("Duration", "s", *quantiles("http_request_duration_seconds", ANSWERED), about="The bounds are few: 1, 5, 25, 100, 500 ms, 2.5 s"),
    graph("p95 by operation", "s", (f"topk(10, {quantile(0.95, 'http_request_duration_seconds', ANSWERED, 'le, operation')})", "{{operation}}")),
    graph("Slower than 0.5 s", "percentunit",
          ("1 - " + share(rate("http_request_duration_seconds_bucket", ANSWERED + ', le="0.5"'),
                          rate("http_request_duration_seconds_count", ANSWERED)), "share"), about="What the alert SupdLatency looks at"),
    graph("Password hashes that wait", "none", (f"cpu_pool_queued{{{SELF}}}", "{{instance}}"), about="64 may wait, then sign-ins are refused"),
    graph("Time spent by operation", "percentunit", (f"topk(10, sum by (operation) ({rate('http_request_duration_seconds_sum', ANSWERED)}))", "{{operation}}"),
          about="Requests under way at once, on average"),
    graph("nginx: requests", "reqps", ("sum(rate(nginx_http_requests_total" + WINDOW + "))", "nginx"), (f"sum({rate('http_requests_total')})", "supd")),
    table("Operations of the last hour", "short", f"sort_desc(sum by (operation, status) (increase(http_requests_total{{{ASKED}}}[1h])) > 0)", width=COLUMNS),
]
WEBSOCKET = [
    stat("Connections", "short", f"sum(websocket_connections_active{{{SELF}}})"),
    stat("Authenticated", "short", f"sum(websocket_sessions_authenticated{{{SELF}}})"),
    stat("Against ten minutes ago", "percentunit", f"sum(websocket_connections_active{{{SELF}}}) / sum(websocket_connections_active{{{SELF}}} offset 10m)",
         "Below a half: SupdWebSocketDrop", ((0, "red"), (0.5, "orange"), (0.8, "green"))),
    stat("Delivery p50", "s", quantile(0.5, "message_delivery_seconds")),
    stat("Delivery p99", "s", quantile(0.99, "message_delivery_seconds"), steps=((0.1, "orange"), (0.5, "red"))),
    stat("Messages", "cps", f"sum({rate('messages_sent_total')})"),
    graph("Connections by process", "short", (f"websocket_connections_active{{{SELF}}}", "{{instance}}"), width=12, stack=True),
    graph("Not authenticated", "short", (f"websocket_connections_active{{{SELF}}} - websocket_sessions_authenticated{{{SELF}}}", "{{instance}}"), width=12,
          about="On their way in; each has authenticate_timeout_s"),
    graph("Delivery", "s", *quantiles("message_delivery_seconds"), about="From a message's arrival to its hand-over to the hub"),
    graph("Messages", "cps", (rate("messages_sent_total"), "{{instance}}"), stack=True),
    graph("Closed, by code", "cps", (f"sum by (code) ({rate('websocket_closes_total')})", "{{code}}"),
          about="1012: we stop; 4408: the reader was too slow; 4409: the same device again", stack=True),
    graph("Waiting for slow readers", "bytes", (f"websocket_queued_bytes{{{SELF}}}", "{{instance}}")),
    graph("Frames and marks that wait", "short", (f"websocket_queued_frames{{{SELF}}}", "frames {{instance}}"),
          (f"receipts_pending{{{SELF}}}", "marks {{instance}}")),
    graph("Upgrades", "reqps", (f"sum by (status) ({rate('http_requests_total', UPGRADES)})", "{{status}}"), about="101 is a new connection"),
    graph("Age of W", "s", (f"stream_w_age_seconds{{{SELF}}}", "{{instance}}"), about="How far behind a device that resumes may be put"),
    graph("Memory per connection", "bytes", (f"process_resident_memory_bytes{{{SELF}}} / (websocket_connections_active{{{SELF}}} > 100)", "{{instance}}")),
    graph("nginx: connections", "short", ("nginx_connections_active", "active"), ("nginx_connections_waiting", "idle")),
]
DATABASE = [
    graph("Connections in use", "none", (f"db_pool_busy{{{SELF}}}", "{{instance}}"), about="Of database.pool_size in each process"),
    graph("Transactions that wait", "none", (f"db_pool_queued{{{SELF}}}", "{{instance}}"), about="Never empty for minutes: SupdDatabasePoolSaturated"),
    graph("Messages that wait for their commit", "none", (f"writer_queued{{{SELF}}}", "{{instance}}")),
    graph("Commit", "s", *quantiles("commit_seconds"), about="One batch from sending to COMMIT"),
    graph("Messages per commit", "none", (f"sum({rate('commit_batch_size_sum')}) / sum({rate('commit_batch_size_count')})", "mean"),
          (quantile(0.99, "commit_batch_size"), "p99")),
    graph("Commits", "cps", (f"sum({rate('commit_seconds_count')})", "committed"), (f"sum({rate('commit_failures_total')})", "failed")),
    graph("Age of W", "s", (f"max(stream_w_age_seconds{{{SELF}}})", "age"), about="The oldest writing transaction of the whole server"),
    graph("Disk free", "percentunit", (f"data_dir_free_bytes{{{SELF}}} / data_dir_size_bytes{{{SELF}}}", "{{instance}}")),
    graph("Deliveries behind the commit", "s", (quantile(0.99, "message_delivery_seconds"), "delivery p99"), (quantile(0.99, "commit_seconds"), "commit p99")),
    row("Redis and replicas, as supd sees them"),
    graph("Redis connected", "none", (f"redis_connected{{{SELF}}}", "{{instance}}"), (f"redis_breaker_open{{{SELF}}}", "not asked {{instance}}")),
    graph("Commands to Redis", "cps", (f"sum({rate('redis_commands_total')})", "sent"), (f"sum({rate('redis_failures_total')})", "failed"),
          (f"sum({rate('redis_dropped_total')})", "not sent"), (f"sum({rate('redis_connects_total')})", "connections")),
    graph("Channels", "none", (f"redis_subscriptions{{{SELF}}}", "heard {{instance}}"), (f"redis_subscriptions_wanted{{{SELF}}}", "wanted {{instance}}")),
    graph("Hints between processes", "cps", (f"sum({rate('node_hints_published_total')})", "published"),
          (f"sum({rate('node_hints_received_total')})", "received"), (f"sum({rate('node_hints_untold_total')})", "left to the sweep"),
          (f"sum({rate('node_hints_unreadable_total')})", "unreadable")),
    graph("Reads from replicas", "cps", (f"sum({rate('replica_reads_total')})", "answered"), (f"sum({rate('replica_behind_total')})", "too old"),
          (f"sum({rate('replica_failures_total')})", "failed")),
    row("PostgreSQL (with the exporter)"),
    graph("Sessions", "none", ("sum by (state) (pg_stat_activity_count)", "{{state}}"), ("max(pg_settings_max_connections)", "limit")),
    graph("Transactions", "cps", (f"sum(rate(pg_stat_database_xact_commit{WINDOW}))", "committed"), (f"sum(rate(pg_stat_database_xact_rollback{WINDOW}))", "rolled back")),
    graph("Read from cache", "percentunit", (f"sum(rate(pg_stat_database_blks_hit{WINDOW})) / (sum(rate(pg_stat_database_blks_hit{WINDOW})) + sum(rate(pg_stat_database_blks_read{WINDOW})))", "share")),
    graph("Size", "bytes", ('pg_database_size_bytes{datname!~"template.*|postgres"}', "{{datname}}")),
    graph("Deadlocks", "cps", (f"sum(rate(pg_stat_database_deadlocks{WINDOW}))", "deadlocks")),
    graph("Replication lag", "s", ("pg_replication_lag", "{{instance}}")),
    row("Redis (with the exporter)"),
    graph("Memory", "bytes", ("redis_memory_used_bytes", "used"), ("redis_memory_max_bytes", "limit")),
    graph("Commands", "cps", (f"sum(rate(redis_commands_processed_total{WINDOW}))", "commands")),
    graph("Clients", "none", ("redis_connected_clients", "{{instance}}"), ("redis_up", "up {{instance}}")),
]
JOBS = [
    stat("Dead", "none", f'max(jobs_queue_depth{{{SELF}, state="dead"}})', "supd jobs list --state dead", ((1, "red"),), width=6),
    stat("Ready", "none", f'max(jobs_queue_depth{{{SELF}, state="ready"}})', width=6),
    stat("Running", "none", f'max(jobs_queue_depth{{{SELF}, state="running"}})', width=6),
    stat("Longest due", "s", f"max(jobs_oldest_age_seconds{{{SELF}}})", steps=((60, "orange"), (300, "red")), width=6),
    graph("Rows by state", "none", (f"max by (state) (jobs_queue_depth{{{SELF}}})", "{{state}}"), about="One table for all processes: the largest count"),
    graph("How long the oldest has been due", "s", (f"max(jobs_oldest_age_seconds{{{SELF}}})", "age")),
    graph("Attempts by outcome", "cps", (f"sum by (outcome) ({rate('jobs_total')})", "{{outcome}}"), stack=True),
    graph("Attempts by kind", "cps", (f"sum by (kind) ({rate('jobs_total')})", "{{kind}}"), stack=True),
    graph("Failed attempts by kind", "cps", (f"sum by (kind, outcome) ({rate('jobs_total', UNDONE)})", "{{kind}} {{outcome}}")),
    graph("Duration of an attempt", "s", *quantiles("jobs_duration_seconds")),
    logs("Lines of the job queue", '{job="supd"} | json | event=~"job.*|schedule.*"'),
]
DASHBOARDS = {
    "overview": ("supd: overview", OVERVIEW), "api": ("supd: API", API), "websocket": ("supd: WebSocket", WEBSOCKET),
    "database": ("supd: database", DATABASE), "jobs": ("supd: jobs", JOBS),
}


def place(panels):
    """Left to right in rows; ids in order."""
    x = y = height = 0
    for number, one in enumerate(panels, 1):
        box = one["gridPos"]
        if x + box["w"] > COLUMNS:
            x, y, height = 0, y + height, 0
        one["id"] = number
        one["gridPos"] = {"x": x, "y": y, "w": box["w"], "h": box["h"]}
        x, height = x + box["w"], max(height, box["h"])
    return panels


def dashboard(name, title, panels):
    return {
        "uid": f"supd-{name}", "title": title, "tags": ["supd"], "schemaVersion": 39, "version": 1, "editable": True,
        "timezone": "browser", "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "graphTooltip": 1,
        "annotations": {"list": []},
        "links": [{"type": "dashboards", "tags": ["supd"], "title": "supd", "asDropdown": True, "includeVars": True, "keepTime": True}],
        "templating": {"list": [{
            "name": "instance", "label": "Process", "type": "query", "datasource": PROMETHEUS, "refresh": 2, "includeAll": True,
            "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
            "query": {"query": 'label_values(up{job="supd"}, instance)', "refId": "instance"},
        }]},
        "panels": place(panels),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, (title, panels) in DASHBOARDS.items():
        path = FOLDER / f"{name}.json"
        text = json.dumps(dashboard(name, title, panels), indent=1) + "\n"
        if check:
            stale += [path.name] if not path.is_file() or path.read_text() != text else []
        else:
            path.write_text(text)
    if stale:
        print(f"not what scripts/make_dashboards.py writes: {', '.join(stale)}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
