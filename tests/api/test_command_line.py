"""The subcommands of supd: exit codes, output, and what they do beside a running daemon and without one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from rig.client import PASSWORD, Rest, a_name, a_user, log_in
from rig.daemon import REPOSITORY, Daemon

USAGE, DATA, UNAVAILABLE, CONFIGURATION = 64, 65, 69, 78
A_GOOD_SECRET = "pR0v8Qz2uLwXn5TfYk1JcH7dSgB4mEaV"


def supd(binary: str, *arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if key in os.environ}
    return subprocess.run([binary, *arguments], input=stdin, capture_output=True, text=True, timeout=60,
                          env=kept | environment)


@pytest.mark.parametrize("arguments", [(), ("bogus",), ("migrate",), ("serve", "--bogus"), ("user", "create"),
                                       ("jobs", "retry"), ("jobs", "drop", "x"), ("migrate", "up", "--to", "-1")])
def test_a_wrong_command_line_is_64(binary: str, arguments: tuple[str, ...]) -> None:
    done = supd(binary, *arguments)
    assert done.returncode == USAGE and done.stderr and not done.stdout


def test_version_and_help(binary: str) -> None:
    assert supd(binary, "version").stdout.startswith("supd ")
    assert supd(binary, "--version").stdout.startswith("supd ")
    for arguments in ((), ("migrate",), ("user", "create")):
        done = supd(binary, *arguments, "--help")
        assert done.returncode == 0 and done.stdout


def test_a_wrong_configuration_is_78_and_told_at_once(binary: str, tmp_path: Path) -> None:
    file = tmp_path / "supd.toml"
    file.write_text("[server]\nprot = 1\n[log]\nlevel = \"loud\"\n")
    done = supd(binary, "config", "check", "--config", str(file), PORT="99999", SUPD__AUTH__JWT_SECRETS="x")
    assert done.returncode == CONFIGURATION and not done.stdout
    for text in ("server.prot: unknown key; did you mean server.port?", "log.level must be one of",
                 "PORT: server.port must be", "did you mean SUPD__AUTH__JWT_SECRET?"):
        assert text in done.stderr
    serve = supd(binary, "serve", "--config", str(file), "--data-dir", str(tmp_path / "data"))
    assert serve.returncode == CONFIGURATION and not (tmp_path / "data").exists()


def test_production_refuses_what_is_weak(binary: str, tmp_path: Path) -> None:
    place = ("--data-dir", str(tmp_path / "data"))
    good = {"SUPD__MODE": "production", "JWT_SECRET": A_GOOD_SECRET, "SUPD__SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    assert supd(binary, "config", "check", *place, **good).returncode == 0
    for change in ({"JWT_SECRET": ""}, {"JWT_SECRET": "changeme" * 5}, {"JWT_SECRET": "short"},
                   {"SUPD__RATE_LIMIT__ENABLED": "false"}, {"SUPD__AUTH__PASSWORD_HASH": "minimal"},
                   {"SUPD__SERVER__TRUSTED_PROXIES": ""}):
        done = supd(binary, "serve", *place, **(good | change))
        assert done.returncode == CONFIGURATION, (change, done.stderr)
        assert A_GOOD_SECRET not in done.stderr


def test_print_hides_secrets(binary: str, tmp_path: Path) -> None:
    secret = tmp_path / "jwt"
    secret.write_text(A_GOOD_SECRET + "\n")
    done = supd(binary, "config", "print", JWT_SECRET_FILE=str(secret), REDIS_URL="redis://:hush@h:1")
    assert done.returncode == 0 and "JWT_SECRET_FILE" in done.stdout and 'port = 3000  # default' in done.stdout
    assert A_GOOD_SECRET not in done.stdout and "hush" not in done.stdout
    both = supd(binary, "config", "check", JWT_SECRET_FILE=str(secret), JWT_SECRET=A_GOOD_SECRET)
    assert both.returncode == CONFIGURATION and "both set" in both.stderr


def test_the_example_file_is_current(binary: str) -> None:
    assert supd(binary, "config", "example").stdout == (REPOSITORY / "config" / "supd.example.toml").read_text()


def test_migrations_go_up_down_and_up(binary: str, postgres, tmp_path: Path) -> None:
    url = {"DATABASE_URL": postgres.new_database(), "SUPD__MODE": "development"}

    def states() -> list[str]:
        listed = json.loads(supd(binary, "migrate", "status", "--json", **url).stdout)
        return [row["state"] for row in listed["migrations"]]

    assert set(states()) == {"pending"}
    assert supd(binary, "migrate", "up", "--to", "1", **url).stdout == "applied 1\n"
    assert supd(binary, "migrate", "up", **url).returncode == 0
    assert set(states()) == {"applied"}
    assert "nothing to apply" in supd(binary, "migrate", "up", **url).stdout
    assert supd(binary, "migrate", "down", **url).returncode == 0
    assert states().count("pending") == 1
    assert supd(binary, "migrate", "down", "--to", "0", **url).returncode == 0
    assert set(states()) == {"pending"}
    assert supd(binary, "migrate", "up", **url).returncode == 0

    # An older binary: one that knows only the first two.
    older = tmp_path / "older"
    older.mkdir()
    for file in (REPOSITORY / "migrations").glob("000[12]_*.sql"):
        shutil.copy(file, older)
    before = supd(binary, "migrate", "status", "--json", **url).stdout
    refused = supd(binary, "migrate", "up", "--dir", str(older), **url)
    assert refused.returncode == UNAVAILABLE and "Nothing was changed" in refused.stderr
    assert supd(binary, "migrate", "status", "--json", **url).stdout == before

    # A changed file, a number given twice, a gap.
    changed = tmp_path / "changed"
    shutil.copytree(REPOSITORY / "migrations", changed)
    first = next(changed.glob("0001_*.up.sql"))
    first.write_text(first.read_text() + "\n-- changed\n")
    assert "was changed" in supd(binary, "migrate", "up", "--dir", str(changed), **url).stderr
    shutil.copy(first, changed / "0001_twice.up.sql")
    twice = supd(binary, "migrate", "up", "--dir", str(changed), **url)
    assert twice.returncode == DATA and "the number is taken" in twice.stderr
    (changed / "0001_twice.up.sql").unlink()
    for file in changed.glob("0002_*"):
        file.unlink()
    assert "migration 2 is missing" in supd(binary, "migrate", "up", "--dir", str(changed), **url).stderr


def test_a_database_that_is_away_is_69(binary: str, tmp_path: Path) -> None:
    away = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SUPD__MODE": "development",
            "SUPD__DATABASE__CONNECT_PATIENCE_S": "0"}
    for arguments in (("serve",), ("migrate", "status"), ("user", "list"), ("jobs", "list")):
        done = supd(binary, *arguments, "--data-dir", str(tmp_path / "data"), **away)
        assert done.returncode == UNAVAILABLE and done.stderr, arguments


def test_dead_jobs_are_retried_and_dropped(binary: str, postgres) -> None:
    database = {"DATABASE_URL": postgres.new_database(), "SUPD__MODE": "development"}
    assert supd(binary, "migrate", "up", **database).returncode == 0
    planted = postgres.sql(
        "insert into jobs (kind, payload, state, attempts, max_attempts, died_at, last_error) "
        "select 'planted', '{\"secret\":\"of the payload\"}', 'dead', 5, 5, now(), 'smtp_550' from generate_series(1, 3) "
        "returning id", postgres.database_of(database["DATABASE_URL"]))
    first, second, third = (row[0] for row in planted)

    def listed(state: str) -> dict[str, dict]:
        done = supd(binary, "jobs", "list", "--state", state, "--json", **database)
        assert done.returncode == 0 and "of the payload" not in done.stdout + done.stderr
        return {str(row["id"]): row for row in json.loads(done.stdout)}

    assert set(listed("dead")) == {first, second, third} and listed("ready") == {}
    assert listed("dead")[first]["last_error"] == "smtp_550" and listed("dead")[first]["kind"] == "planted"
    assert supd(binary, "jobs", "retry", first, **database).returncode == 0
    assert set(listed("ready")) == {first} and listed("ready")[first]["attempts"] == 0
    again = supd(binary, "jobs", "retry", first, **database)
    assert again.returncode == 1 and again.stderr, "it is not dead any more"
    assert supd(binary, "jobs", "drop", second, **database).returncode == 0
    assert set(listed("dead")) == {third}
    gone = supd(binary, "jobs", "drop", second, **database)
    assert gone.returncode == 1 and gone.stderr
    assert supd(binary, "jobs", "retry", "--all", **database).returncode == 0
    assert listed("dead") == {} and set(listed("ready")) == {first, third}


async def test_users_beside_the_running_daemon(server: Daemon, rest: Rest) -> None:
    place = ("--data-dir", str(server.data_dir))
    name = a_name()
    made = server.run("user", "create", name, "--password-stdin", *place, stdin=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    assert PASSWORD not in made.stdout + made.stderr
    await log_in(rest, name)
    assert server.run("user", "create", name, "--password-stdin", *place, stdin=PASSWORD + "\n").returncode != 0
    listed = server.run("user", "list", "--json", *place)
    assert listed.returncode == 0 and name in listed.stdout
    assert server.run("user", "reset-password", name, "--password-stdin", *place, stdin="another-Pass-9\n").returncode == 0
    await log_in(rest, name, "another-Pass-9")
    assert server.run("user", "disable", name, *place).returncode == 0
    assert (await rest.post("auth/login", {"identifier": name, "password": "another-Pass-9"})).status in (401, 403)
    assert server.run("user", "enable", name, *place).returncode == 0
    assert server.run("user", "make-admin", name, *place).returncode == 0
    assert server.run("user", "disable", a_name(), *place).returncode != 0
    assert server.run("jobs", "list", "--json", *place).returncode == 0


def test_healthcheck(server: Daemon) -> None:
    place = ("--data-dir", str(server.data_dir))
    assert server.run("healthcheck", "--port", str(server.port), *place).returncode == 0
    assert server.run("healthcheck", "--ready", "--port", str(server.port), *place).returncode == 0
    assert server.run("healthcheck", "--port", "1", *place).returncode == 1


@pytest.mark.embedded
async def test_users_of_the_embedded_database(spawn) -> None:
    daemon = spawn(name="embedded-cli")
    name, place = a_name(), ("--data-dir", str(daemon.data_dir))
    # Not running yet: the command starts the database for itself, and leaves nothing behind.
    made = daemon.run("user", "create", name, "--admin", "--password-stdin", *place, stdin=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    assert daemon.embedded_pid_file() is None
    daemon.start()
    async with Rest(daemon.url) as rest:
        await log_in(rest, name)
        assert name in daemon.run("user", "list", *place).stdout
        await a_user(rest)
    # One data directory, one daemon.
    second = daemon.run("serve", "--port", "0", "--admin-port", "0", *place)
    assert second.returncode == UNAVAILABLE and "in use by another supd" in second.stderr


def test_routes_are_listed_without_a_database(binary: str, tmp_path: Path) -> None:
    done = subprocess.run([binary, "routes", "--json"], capture_output=True, text=True, timeout=60, cwd=tmp_path, env={})
    rows = json.loads(done.stdout)
    assert done.returncode == 0 and not list(tmp_path.iterdir())
    assert {"method", "path", "policy", "operation"} <= set(rows[0])
    keys = {f"{row['method']} {row['path']}" for row in rows}
    assert {"POST /api/v1/auth/register", "GET /api/v1/sync"} <= keys and len(keys) == len(rows)


def test_a_port_in_use_is_69_and_named(binary: str, postgres, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for ports in (("--port", port, "--admin-port", "0"), ("--port", "0", "--admin-port", port)):
            done = supd(binary, "serve", "--data-dir", str(tmp_path / "data"), *ports,
                        DATABASE_URL=postgres.new_database(), SUPD__MODE="development", SUPD__SERVER__HOST="127.0.0.1")
            assert done.returncode == UNAVAILABLE, done.stderr
            assert f"cannot listen on 127.0.0.1:{port}: " in done.stderr and not done.stdout


def test_a_certificate_that_cannot_be_used_is_78(binary: str, postgres, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    for certificate in (broken, tmp_path / "none.pem"):
        done = supd(binary, "serve", "--data-dir", str(tmp_path / "data"), "--port", "0", "--admin-port", "0",
                    DATABASE_URL=postgres.new_database(), SUPD__MODE="development", SUPD__TLS__CERTIFICATE=str(certificate),
                    SUPD__TLS__KEY=str(broken))
        assert done.returncode == CONFIGURATION, done.stderr
        assert str(certificate) in done.stderr and not done.stdout
