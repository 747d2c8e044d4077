"""`supd doctor` beside planted faults: each is found, by its check, with a mend and exit code 1."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.daemon import Daemon, find_binary
from rig.postgres import PostgresCluster, free_port

A_GOOD_SECRET = "pR0v8Qz2uLwXn5TfYk1JcH7dSgB4mEaV"


class Report:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode in (0, 1), done.stderr
        self.code, self.text = done.returncode, done.stdout
        document = json.loads(done.stdout)
        self.verdict = document["verdict"]
        self.checks = {one["check"]: one for one in document["checks"]}
        assert (self.code == 1) == (self.verdict == "fail")
        for one in document["checks"]:
            assert set(one) == {"check", "verdict", "found", "mend"} and one["found"]
            assert bool(one["mend"]) == (one["verdict"] in ("warn", "fail")), one

    def __getitem__(self, check: str) -> str:
        return self.checks[check]["verdict"]

    def at_fault(self) -> set[str]:
        """How full the disk is, is this machine's own affair."""
        return {name for name, one in self.checks.items() if one["verdict"] == "fail"} - {"host.disk"}


def doctor(folder: Path, *arguments: str, limits=None, **environment: str) -> Report:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if key in os.environ}
    kept |= {"PORT": str(free_port()), "SUPD__SERVER__ADMIN_PORT": str(free_port()), "SUPD__MODE": "development"}
    return Report(subprocess.run(
        [str(find_binary()), "doctor", "--json", "--data-dir", str(folder / "data"), *arguments], capture_output=True,
        text=True, timeout=120, env=kept | environment, cwd=folder, preexec_fn=limits))


@pytest.fixture(scope="module")
def careless() -> Iterator[PostgresCluster]:
    """A cluster of somebody who wanted it fast."""
    cluster = PostgresCluster()
    cluster.sql("alter system set fsync = off")
    cluster.sql("alter system set full_page_writes = off")
    cluster.sql("alter system set synchronous_commit = off")
    cluster.sql("alter system set autovacuum = off")
    cluster.sql("select pg_reload_conf()")
    yield cluster
    cluster.close()


def an_owned_database(cluster: PostgresCluster, role: str) -> str:
    url = cluster.new_database()
    cluster.sql(f"create role {role} login")
    cluster.sql(f'alter database "{cluster.database_of(url)}" owner to {role}')
    cluster.sql(f"alter schema public owner to {role}", database=cluster.database_of(url))
    return url.replace("postgres@", f"{role}@")


@pytest.mark.usefixtures("binary")
def test_a_careless_database(careless: PostgresCluster, tmp_path: Path) -> None:
    found = doctor(tmp_path, DATABASE_URL=careless.new_database())
    assert found.code == 1
    assert {"database.fsync", "database.full_page_writes", "database.synchronous_commit", "database.autovacuum",
            "database.role"} <= found.at_fault()
    assert found["database.version"] == "ok" and found["database.migrations"] == "warn"


def test_a_served_database_is_healthy(spawn, postgres: PostgresCluster) -> None:
    daemon: Daemon = spawn(name="doctor", database_url=an_owned_database(postgres, "doctor_owner"))
    daemon.start()
    done = daemon.run("doctor", "--json", "--data-dir", str(daemon.data_dir), timeout=120)
    # The ports of the running daemon are not those of the configuration here.
    found = Report(done)
    assert {name for name in found.at_fault() if name.startswith("database.")} == set(), found.text
    for name in ("database.reachable", "database.role", "database.privileges", "database.migrations", "clock.database",
                 "database.age_of_w", "host.data_dir", "secrets.files"):
        assert found[name] == "ok", found.checks[name]
    text = daemon.run("doctor", "--data-dir", str(daemon.data_dir), timeout=120).stdout
    assert "ok\tdatabase.fsync\tfsync = on\n" in text and text.splitlines()[-1].split()[1] == "checks:"


def test_tables_out_of_reach(postgres: PostgresCluster, tmp_path: Path) -> None:
    url = an_owned_database(postgres, "doctor_reader")
    name = postgres.database_of(url)
    postgres.sql("create table foreign_table (x int)", database=name)
    found = doctor(tmp_path, DATABASE_URL=url)
    assert "database.privileges" in found.at_fault() and "1 of" in found.checks["database.privileges"]["found"]


@pytest.mark.usefixtures("binary")
def test_a_database_that_is_away(tmp_path: Path) -> None:
    found = doctor(tmp_path, DATABASE_URL="postgresql://nobody:hush@127.0.0.1:1/none")
    assert found.at_fault() == {"database.reachable"} and "hush" not in found.text
    assert "refused" in found.checks["database.reachable"]["found"]


@pytest.mark.usefixtures("binary")
def test_a_private_database_is_not_started_for_a_look(tmp_path: Path) -> None:
    found = doctor(tmp_path)
    assert found["database.reachable"] == "skip" and not (tmp_path / "data").exists()


@pytest.mark.usefixtures("binary")
def test_secrets_and_files(tmp_path: Path) -> None:
    (tmp_path / "data" / "secrets").mkdir(parents=True)
    (tmp_path / "data" / "secrets" / "jwt_secret").write_text("x" * 60)
    (tmp_path / "data" / "secrets" / "jwt_secret").chmod(0o644)
    (tmp_path / "data").chmod(0o777)
    found = doctor(tmp_path, JWT_SECRET="a" * 40)
    assert {"secrets.files", "secrets.strength", "host.data_dir"} <= found.at_fault()

    (tmp_path / "data" / "secrets").chmod(0o700)
    (tmp_path / "data" / "secrets" / "jwt_secret").chmod(0o600)
    (tmp_path / "data").chmod(0o700)
    file = tmp_path / "supd.toml"
    file.write_text(f'[auth]\njwt_secret = "{A_GOOD_SECRET}"\n')
    file.chmod(0o644)
    found = doctor(tmp_path, "--config", str(file))
    assert "secrets.files" in found.at_fault() and found["secrets.strength"] == "ok"
    assert A_GOOD_SECRET not in found.text
    file.chmod(0o640)
    assert doctor(tmp_path, "--config", str(file)).at_fault() == set()


@pytest.mark.usefixtures("binary")
def test_limits_ports_and_a_refused_configuration(tmp_path: Path) -> None:
    def few_descriptors() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))

    found = doctor(tmp_path, limits=few_descriptors)
    assert "host.descriptors" in found.at_fault() and "512" in found.checks["host.descriptors"]["found"]

    refused = doctor(tmp_path, SUPD__MODE="production", JWT_SECRET="short")
    assert refused.at_fault() == {"config"}


def test_a_port_of_somebody_else(postgres: PostgresCluster, tmp_path: Path) -> None:
    found = doctor(tmp_path, PORT=str(postgres.port))
    assert "host.port" in found.at_fault()
