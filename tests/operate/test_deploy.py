"""What a deployment does when something goes wrong, and that it changes nothing that it should not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from operate.machine import DEADLINE_S, SCRIPTS, Machine, gone_at
from rig.daemon import REPOSITORY, find_binary

FAST_GATE = {"SUPD_HEALTH_TRIES": "3", "SUPD_HEALTH_INTERVAL_S": "1"}


def fake_binary(here: Machine, serve: str) -> str:
    """A supd that can migrate and check like the real one, and serves as the test wants."""
    path = here.home / "fake-supd"
    path.write_text(f"#!/bin/sh\nif [ \"$1\" = serve ]; then\n{serve}\nfi\nexec {find_binary()} \"$@\"\n")
    path.chmod(0o755)
    return str(path)


def wait_for(condition, what: str, deadline_s: float = DEADLINE_S) -> None:
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until, f"not in {deadline_s} s: {what}"
        time.sleep(0.05)


def test_a_colour_that_fails_its_gate_gets_no_traffic_and_rollback_goes_back(machine) -> None:
    here: Machine = machine()
    said = here.deploy()
    assert "blue is ready" in said and here.serving() == here.active == "blue"
    blue = here.pid("blue")
    configuration = (here.home / "var/nginx/live/nginx.conf").read_bytes()

    here.write_settings(SUPD_BINARY=fake_binary(here, "exec sleep 600"), **FAST_GATE)
    said = here.deploy("--skip-migrations", code=1)
    assert "did not pass the health gate; it got no traffic" in said, said
    assert here.serving() == here.active == "blue" and here.pid("blue") == blue and here.pid("green") is None
    assert (here.home / "var/nginx/live/nginx.conf").read_bytes() == configuration, "nginx was touched"

    here.write_settings(SUPD_BINARY=fake_binary(here, "echo broken beyond repair >&2; exit 3"))
    said = here.deploy("--skip-migrations", code=1)
    assert "has ended by itself" in said and "broken beyond repair" in said, said
    assert here.serving() == "blue" and here.pid("blue") == blue

    here.write_settings(SUPD_BINARY=str(find_binary()), SUPD_HEALTH_TRIES="300", SUPD_HEALTH_INTERVAL_S="0.2")
    here.deploy("--skip-migrations")
    assert here.serving() == here.active == "green"
    said = here.run("rollback.sh", "development")
    assert "rolled back" in said and here.serving() == here.active == "blue" and here.pid("green") is None
    history = here.state["history"]
    assert [each["result"] for each in history] == ["deployed", "failed", "failed", "deployed", "deployed"]
    assert history[-1]["verb"] == "rollback" and history[-1]["previous"] == "green"
    assert {"id", "version", "commit", "by", "colour", "previous", "environment"} <= set(history[-1]) | {"previous"}


@pytest.mark.parametrize("when", ["while the old one still runs", "after the old one has gone"])
def test_a_colour_that_dies_after_the_switch_is_switched_back(machine, when: str) -> None:
    here: Machine = machine()
    here.deploy()
    here.write_settings(SUPD_WATCH_S="30" if when.startswith("while") else "4")
    process = here.popen("deploy.sh", "development", "--skip-migrations")
    try:
        if when.startswith("while"):
            wait_for(lambda: here.serving() == "green", "the switch")
        else:
            wait_for(lambda: here.pid("green") is not None and here.pid("blue") is None, "the end of the old colour")
        os.kill(here.pid("green"), signal.SIGKILL)
        said, _ = process.communicate(timeout=DEADLINE_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 1, said
    assert "green has ended after the switch" in said and "switch-back" in said, said
    assert here.serving() == here.active == "blue" and here.pid("blue") is not None
    assert here.state["history"][-1]["result"] == "switched back"


def test_a_dry_run_changes_nothing(machine) -> None:
    here: Machine = machine()
    before = here.files()
    said = here.deploy("--dry-run")
    for phase in ("validate", "build", "check", "snapshot", "migrate", "start", "gate", "switch", "watch"):
        assert f"== {phase}:" in said, said
    assert "would be deployed" in said
    assert here.files() == before
    here.deploy()
    before = {name: seen for name, seen in here.files().items() if not name.startswith("var/nginx/run")}
    here.deploy("--dry-run")
    here.run("rollback.sh", "development", "--dry-run", code=1)
    after = {name: seen for name, seen in here.files().items() if not name.startswith("var/nginx/run")}
    assert after == before
    assert here.serving() == here.active == "blue"


def test_settings_reach_the_daemon_and_are_checked_first(machine) -> None:
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20eA"}
    here: Machine = machine(TRACE_SAMPLE_RATIO="0.25", **traces)
    here.deploy()
    blue = here.pid("blue")
    told = set(Path(f"/proc/{blue}/environ").read_text().split("\0"))
    assert {f"{name}={value}" for name, value in traces.items()} | {"SUPD__TRACE__SAMPLE_RATIO=0.25"} <= told

    here.write_settings(TRACE_SAMPLE_RATIO="all of them")
    for arguments in ((), ("--skip-migrations",), ("restart",)):
        said = here.deploy(*arguments, code=1)
        assert "FAILED: the settings" in said and "SAMPLE_RATIO must be a number" in said, said
        assert "== snapshot" not in said and "== start" not in said, said
        assert here.serving() == here.active == "blue" and here.pid("blue") == blue and here.pid("green") is None


def test_snapshots_are_named_read_back_and_kept_to_their_number(machine) -> None:
    here: Machine = machine(SUPD_SNAPSHOTS="1")
    here.deploy()
    first = here.state["history"][-1]
    assert first["snapshot"].endswith(f"{first['id']}.dump") and Path(first["snapshot"]).stat().st_mode & 0o077 == 0
    here.deploy("--dry-run")
    here.deploy()
    listed = here.deploy("backup", "--list").splitlines()
    assert len(listed) == 1 and first["snapshot"] not in "".join(listed), listed


def test_secrets_stay_out_of_the_log(machine) -> None:
    here: Machine = machine()
    secret = (here.home / "secrets/jwt_secret").read_text().strip()
    url = "postgresql://somebody:a-very-secret-password@127.0.0.1:1/supd"
    here.write_settings(SUPD_BINARY=fake_binary(here, f"echo token={secret} url={url} >&2; exit 1"))
    said = here.deploy("--skip-migrations", code=1)
    logs = list((here.home / "var/deploy/log").glob("*.log"))
    assert len(logs) == 1 and logs[0].stat().st_mode & 0o077 == 0
    text = logs[0].read_text()
    assert "token=[redacted]" in text and "somebody:[redacted]@" in text, text
    for place in (text, said):
        assert secret not in place and "a-very-secret-password" not in place
    assert here.state["history"][-1]["id"] == logs[0].stem
    assert "token=[redacted]" in here.deploy("logs", logs[0].stem)


def test_validation(machine, tmp_path: Path) -> None:
    here: Machine = machine()
    assert "not production" in here.run("deploy.sh", "production", code=78)
    assert "unknown environment" in here.run("deploy.sh", "moon", code=64)
    assert "unknown verb" in here.deploy("fly", code=64)
    assert "unknown flag" in here.deploy("--now", code=64)
    assert "supd " in here.run("deploy.sh", "--version") and "deploy.sh" in here.run("deploy.sh", "--help")
    here.write_settings(SUPD_WATCH_S="soon")
    assert "SUPD_WATCH_S is 'soon'" in here.deploy(code=78)
    here.write_settings(SUPD_WATCH_S="0")
    (here.home / "secrets/jwt_secret").chmod(0o644)
    assert "others can read" in here.deploy(code=78)
    (here.home / "secrets/jwt_secret").chmod(0o600)
    assert not (here.home / "var/deploy").exists()

    # What is not committed goes to development only.
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", REPOSITORY, clone], check=True)
    for name in ("scripts", "docker"):
        subprocess.run(["cp", "-r", REPOSITORY / name, clone], check=True)
    (clone / "README.md").write_text("changed")
    here.write_settings(SUPD_ENVIRONMENT="staging")
    done = subprocess.run([clone / "scripts/deploy.sh", "staging", "--dry-run"], env=here.environment, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 78 and "not committed" in done.stderr, done.stdout + done.stderr


def test_one_deployment_at_a_time(machine) -> None:
    here: Machine = machine()
    here.write_settings(SUPD_BINARY=fake_binary(here, "exec sleep 600"), SUPD_HEALTH_TRIES="600", SUPD_HEALTH_INTERVAL_S="1")
    lock = here.home / "var/deploy/lock"
    holder = here.popen("deploy.sh", "development", "--skip-migrations")
    try:
        wait_for(lambda: here.pid("blue") is not None, "the holder's colour")
        held = json.loads(lock.read_text())
        assert held["pid"] == str(holder.pid) and held["host"] == socket.gethostname() and held["id"] and held["owner"]
        assert f"process {holder.pid} on" in here.deploy(code=75)
        assert "alive, so --force does not" in here.deploy("--force", code=75)
        assert json.loads(lock.read_text()) == held
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()
    wait_for(lambda: gone_at(holder.pid), "the holder's end")
    assert lock.exists()
    assert "--force takes over" in here.deploy(code=75)
    assert "(dead)" in here.run("status.sh")

    # The number of the dead holder may belong to somebody else by now: its start tells.
    lock.write_text(json.dumps(held | {"pid": str(os.getpid())}))
    here.write_settings(SUPD_BINARY=str(find_binary()), SUPD_HEALTH_TRIES="300")
    said = here.deploy("--force")
    assert "taking over from a dead holder" in said and here.serving() == "blue" and not lock.exists()

    lock.write_text(json.dumps(held | {"host": "elsewhere"}))
    assert "another host" in here.deploy("--force", code=75)
    lock.unlink()


def test_verbs(machine) -> None:
    here: Machine = machine()
    here.deploy()
    here.deploy("restart")
    assert here.serving() == here.active == "green", "a restart goes to the other colour, with the same binary"
    here.deploy("stop")
    assert here.pid("green") is None and here.serving() == ""
    here.deploy("start")
    assert here.serving() == here.active == "green" and here.pid("green") is not None
    status = here.run("status.sh")
    assert "active: green, version" in status and "lock: free" in status and "supd-blue  not running" in status
    assert json.loads(here.run("status.sh", "--json"))["active"] == "green"
    assert "compat" in here.run("migrate.sh", "development", "status", "--json")
    assert "nothing to apply" in here.run("migrate.sh", "development", "up")
    here.write_settings(SUPD_KEEP_S="0")
    here.deploy("build")
    here.deploy("clean")
    assert '"event":"ready"' in here.deploy("logs").replace(" ", "")
