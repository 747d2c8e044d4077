"""scripts/setup.sh: what it makes, and that a second run changes nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from operate.machine import SCRIPTS, tool_path

SECRETS = {"jwt_secret", "postgres_password", "supd_db_password", "database_url", "redis_password", "redis_url", "redis.conf",
           "s3_access_key", "s3_secret_key", "backup_key", "livekit_keys", "turn_secret", "grafana_password"}
EMPTY_AT_FIRST = {"jwt_previous_secrets", "replica_urls"}


@pytest.fixture
def home(not_root: dict) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="supd-setup-"))
    if not_root:
        os.chown(folder, not_root["user"], not_root["group"])
    yield folder
    shutil.rmtree(folder)


def setup(home: Path, who: dict, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": tool_path(), "SUPD_HOME": str(home), "HOME": str(home)}
    return subprocess.run([SCRIPTS / "setup.sh", *arguments], env=environment, capture_output=True, text=True, timeout=60, **who)


def content(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_setup_twice(home: Path, not_root: dict) -> None:
    first = setup(home, not_root, "--environment", "staging", "--server-name", "chat.example.org")
    assert first.returncode == 0, first.stderr
    made = {path.name for path in (home / "secrets").iterdir()}
    assert made == SECRETS | EMPTY_AT_FIRST
    assert all(((home / "secrets" / name).stat().st_size == 0) == (name in EMPTY_AT_FIRST) for name in made)
    assert (home / "secrets").stat().st_mode & 0o777 == 0o700
    for path in [*(home / "secrets").iterdir(), home / ".env", home / "supd.env", home / "var/tls/key.pem"]:
        assert path.stat().st_mode & 0o777 == 0o600, path
    texts = [(home / "secrets" / name).read_text() for name in ("jwt_secret", "postgres_password", "turn_secret", "redis_password")]
    assert len(set(texts)) == len(texts) and all(len(text) >= 32 for text in texts)
    assert texts[1].strip() not in (home / "secrets/database_url").read_text()
    env = (home / ".env").read_text().splitlines()
    uid = not_root.get("user", os.geteuid())
    assert f"S3_ACCESS_KEY={(home / 'secrets/s3_access_key').read_text().strip()}" in env
    assert f"SUPD_UID={uid}" in env and "SUPD_ENVIRONMENT=staging" in env and "SERVER_NAME=chat.example.org" in env
    values = dict(line.split("=", 1) for line in env if re.match("[A-Z]", line))
    assert re.fullmatch(r"\d+\.\d+\.\d+", values["SUPD_VERSION"]) and re.fullmatch(r"unknown|[0-9a-f]{12}(-dirty)?", values["SUPD_COMMIT"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", values["SUPD_CREATED"])
    assert all(not line or line.startswith("#") for line in (home / "supd.env").read_text().splitlines()), "keys are the operator's"
    with (home / "supd.env").open("a") as file:
        file.write("SUPD__DATABASE__POOL_SIZE=16\n")
    (home / "secrets/jwt_previous_secrets").write_text("a former one\n")
    certificate = subprocess.run(["openssl", "x509", "-in", home / "var/tls/certificate.pem", "-noout", "-ext", "subjectAltName"],
                                 capture_output=True, text=True, check=True).stdout
    assert "DNS:chat.example.org" in certificate and "DNS:localhost" in certificate
    before = content(home)

    again = setup(home, not_root)
    assert again.returncode == 0 and "nothing was changed" in again.stdout
    assert content(home) == before

    (home / "secrets/turn_secret").unlink()
    third = setup(home, not_root)
    assert third.returncode == 0 and "secrets/turn_secret" in third.stdout
    after = content(home)
    assert {name for name in before if before[name] != after[name]} == {"secrets/turn_secret"}


def test_setup_refuses_root(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("missing: a root to refuse")
    done = setup(tmp_path, {})
    assert done.returncode == 77 and "not as root" in done.stderr
    assert list(tmp_path.iterdir()) == []
