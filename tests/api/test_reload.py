"""What may change while supd serves (SIGHUP), and a database that is late."""

from __future__ import annotations

import json
import signal
import subprocess
import time

from rig.daemon import Daemon, find_binary
from rig.postgres import PostgresCluster

PATIENCE_S = 20.0


def events(daemon: Daemon, name: str) -> list[dict]:
    lines = [json.loads(line) for line in daemon.log_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def wait_for(daemon: Daemon, name: str, count: int = 1) -> list[dict]:
    deadline = time.monotonic() + PATIENCE_S
    while len(found := events(daemon, name)) < count:
        assert time.monotonic() < deadline and daemon.process is not None and daemon.process.poll() is None, daemon.log_text()[-2000:]
        time.sleep(0.02)
    return found


def reload(daemon: Daemon) -> None:
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)


def test_sighup_takes_the_level_and_names_what_needs_a_restart(spawn, postgres: PostgresCluster) -> None:
    daemon = spawn(name="reload", database_url=postgres.new_database())
    file = daemon.folder / "supd.toml"
    daemon.settings["SUPD_CONFIG"] = str(file)
    file.write_text('[log]\nlevel = "info"\n')
    daemon.start()
    file.write_text('[log]\nlevel = "error"\n[websocket]\nheartbeat_s = 7\n')
    reload(daemon)
    assert [line["name"] for line in wait_for(daemon, "restart_needed")] == ["websocket.heartbeat_s"]
    assert [line["level"] for line in wait_for(daemon, "reloaded")] == ["error"]
    daemon.stop()
    assert not events(daemon, "stopping"), "a line of level info at level error"


def test_sighup_with_a_broken_file_changes_nothing(spawn, postgres: PostgresCluster) -> None:
    daemon = spawn(name="broken", database_url=postgres.new_database())
    file = daemon.folder / "supd.toml"
    daemon.settings["SUPD_CONFIG"] = str(file)
    file.write_text('[log]\nlevel = "info"\n')
    daemon.start()
    file.write_text('[log]\nlevle = "error"\n')
    reload(daemon)
    assert "log.level" in wait_for(daemon, "reload_refused")[0]["error"]
    file.write_text('[log]\nlevel = "info"\n')
    reload(daemon)
    wait_for(daemon, "reloaded")
    daemon.stop()


def test_a_database_that_comes_up_late_is_waited_for(spawn) -> None:
    late = PostgresCluster()
    try:
        url = late.new_database()
        late._stop(signal.SIGINT)
        daemon = spawn(name="late", database_url=url)
        command = [str(find_binary()), "serve", "--data-dir", str(daemon.data_dir), "--port", "0", "--admin-port", "0"]
        with open(daemon.log_path, "ab") as log:
            daemon.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                              env=daemon.environment, cwd=daemon.folder, start_new_session=True)
        wait_for(daemon, "database_awaited")
        late.start()
        assert daemon.process.stdout is not None
        assert json.loads(daemon.process.stdout.readline())["event"] == "ready"
        daemon.stop()
    finally:
        late.close()


def test_sigterm_ends_the_wait_for_a_database(spawn) -> None:
    daemon = spawn(name="never", database_url="postgresql://nobody@127.0.0.1:1/none",
                   settings={"SUPD__DATABASE__CONNECT_PATIENCE_S": "600"})
    command = [str(find_binary()), "serve", "--data-dir", str(daemon.data_dir), "--port", "0", "--admin-port", "0"]
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                          env=daemon.environment, cwd=daemon.folder, start_new_session=True)
    wait_for(daemon, "database_awaited")
    assert daemon.stop() == 0
