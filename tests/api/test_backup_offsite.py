"""Archives in a second place: a folder, and an S3 service that checks every signature."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.postgres import PostgresCluster
from rig.s3 import S3, find_versitygw
from test_backup import Backed

UNAVAILABLE = 69


@pytest.fixture(scope="session")
def versitygw() -> Path:
    found = find_versitygw()
    if found is None:
        pytest.skip("missing: no versitygw and no Go to build it")
    return found


@pytest.fixture
def s3(versitygw: Path, tmp_path: Path) -> Iterator[S3]:
    gateway = S3(versitygw, tmp_path)
    yield gateway
    gateway.close()


@pytest.fixture
def backed(spawn: Callable[..., Daemon], postgres: PostgresCluster, tmp_path: Path) -> Backed:
    """A database with rows that do not compress to less than 5 MiB, so that an archive is sent in parts."""
    made = Backed(spawn, postgres, "external", tmp_path, SUPD__BACKUP__KEEP="2", SUPD__S3__PART_MIB="5")
    made.run("migrate", "up")
    made.sql("create table ballast as select encode(sha256(n::text::bytea), 'hex') from generate_series(1, 320000) n")
    return made


def lost_and_fetched(backed: Backed, archive: Path) -> None:
    content = archive.read_bytes()
    for each in backed.folder.iterdir():
        each.unlink()
    assert archive.name in backed.run("backup", "fetch", archive.name).stdout
    assert archive.read_bytes() == content
    assert "in order" in backed.run("backup", "verify", archive.name).stdout


def test_a_folder(backed: Backed, tmp_path: Path) -> None:
    backed.daemon.settings |= {"SUPD__BACKUP__OFFSITE": "folder", "SUPD__BACKUP__OFFSITE_FOLDER": str(tmp_path / "mounted")}
    made = [backed.create() for _ in range(3)]
    there = sorted((tmp_path / "mounted/backups").glob("backup-*"))
    assert [each.name for each in there] == [each.name for each in made[-2:]]
    lost_and_fetched(backed, made[-1])


def test_s3_round_trip(backed: Backed, s3: S3) -> None:
    backed.daemon.settings |= s3.settings | {"SUPD__BACKUP__OFFSITE": "s3"}
    made = [backed.create() for _ in range(3)]
    assert made[-1].stat().st_size > 2 * 5 * 2**20, "one archive needs several parts"
    there = {name: content for name, content in s3.files().items() if "/backup-" in name}
    assert there == {f"backups/{each.name}": each.read_bytes() for each in made[-2:]}
    assert not any((s3.root / s3.bucket / ".sgwtmp/multipart").glob("*/*")), "no upload is left unfinished"
    listed = backed.run("backup", "list", "--offsite").stdout
    assert made[-1].name in listed and made[0].name not in listed
    assert "copied backup-" not in backed.run("backup", "push").stdout, "what is there is not sent again"
    lost_and_fetched(backed, made[-1])
    assert "no such archive" in backed.run("backup", "fetch", made[0].name, code=65).stderr


def test_a_wrong_secret_is_refused(backed: Backed, s3: S3) -> None:
    backed.daemon.settings |= s3.settings | {"SUPD__BACKUP__OFFSITE": "s3", "SUPD__S3__SECRET_KEY": "a-secret-of-another"}
    done = backed.run("backup", "create", code=UNAVAILABLE)
    assert "403" in done.stderr and "a-secret" not in done.stderr
    assert Path(done.stdout.splitlines()[0]).exists(), "the archive itself is made"
    assert s3.files() == {}


def test_a_bucket_that_is_not_there(backed: Backed, s3: S3) -> None:
    backed.daemon.settings |= s3.settings | {"SUPD__BACKUP__OFFSITE": "s3", "SUPD__S3__BUCKET": "not-there"}
    assert "404" in backed.run("backup", "create", code=UNAVAILABLE).stderr


def test_https_is_verified(backed: Backed, versitygw: Path, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "certificate-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    gateway = S3(versitygw, tmp_path, certificate, key)
    try:
        backed.daemon.settings |= gateway.settings | {"SUPD__BACKUP__OFFSITE": "s3"}
        assert "certificate verify failed" in backed.run("backup", "create", code=UNAVAILABLE).stderr
        assert gateway.files() == {}
        backed.daemon.settings["SUPD__S3__CA_FILE"] = str(certificate)
        assert "copied backup-" in backed.run("backup", "push").stdout
        assert any("backup-" in name for name in gateway.files())
    finally:
        gateway.close()
