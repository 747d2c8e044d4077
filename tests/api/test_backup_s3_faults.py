"""The second place for archives has faults: what passes is tried three times and costs time only, what stays is said, and nothing
that is not whole is ever taken for an archive."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rig.daemon import Daemon, shared_secret
from rig.faulty_s3 import Fault, FaultyS3
from rig.postgres import PostgresCluster
from test_backup import Backed

LONG = os.environ.get("SUPD_LONG") == "1"
REFUSED, UNAVAILABLE = 65, 69
NAME = "backup-20260101T000000000Z.supd"
KEY = f"backups/{NAME}"
PART = 5 << 20
SLOW_S = 30.0  # half of the patience with a service that says nothing

# Of a small archive, and of one in three parts.
PASSES = {
    "busy twice": (1000, [Fault("put", "busy", 2)]),
    "busy before the body, then cut in the middle of it": (1000000, [Fault("put", "abrupt"), Fault("put", "cut")]),
    "stored and not answered": (1000, [Fault("put", "mute", 2)]),
    "busy when asked for a list": (1000, [Fault("list", "busy", 2)]),
    "parts": (2 * PART + 7, [Fault("begin", "busy"), Fault("part", "cut"), Fault("part", "abrupt"), Fault("finish", "busy")]),
} | ({"slow": (1000, [Fault("put", "late", 1, SLOW_S)])} if LONG else {})
STAYS = {
    "busy three times": (1000, [Fault("put", "busy", 3)], "503"),
    "never answers": (1000, [Fault("list", "mute", 3)], ""),
    "a part is never taken": (2 * PART, [Fault("part", "busy", 3)], "503"),
}


class Pushed:
    """A folder with one archive, of random bytes: whoever copies it does not open it."""

    def __init__(self, spawn: Callable[..., Daemon], folder: Path, size: int, faults: list[Fault]) -> None:
        self.s3 = FaultyS3(*faults)
        self.folder = folder
        folder.mkdir()
        self.content = random.Random(size).randbytes(size)
        (folder / NAME).write_bytes(self.content)
        self.daemon = spawn(name="pushed", database_url="postgresql://nobody@127.0.0.1:1/none", settings={
            "SUPD__BACKUP__FOLDER": str(folder), "SUPD__BACKUP__KEY_FILE": str(folder / "key"), "SUPD__BACKUP__OFFSITE": "s3",
            "SUPD__S3__PART_MIB": "5"} | self.s3.settings)
        self.daemon.run("backup", "key", str(folder / "key"))

    def push(self) -> subprocess.CompletedProcess[str]:
        return self.daemon.run("backup", "push", "--data-dir", str(self.daemon.data_dir), timeout=120)


@pytest.fixture
def pushed(spawn: Callable[..., Daemon], tmp_path: Path) -> Iterator[Callable[[int, list[Fault]], Pushed]]:
    made: list[Pushed] = []

    def make(size: int, faults: list[Fault]) -> Pushed:
        made.append(Pushed(spawn, tmp_path / str(len(made)), size, faults))
        return made[-1]

    yield make
    for each in made:
        each.s3.close()


def at_once(those: list[Pushed]) -> list[subprocess.CompletedProcess[str]]:
    """Most of their time they wait between two tries."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(Pushed.push, those))


def test_what_passes_is_tried_again(pushed: Callable[[int, list[Fault]], Pushed]) -> None:
    those = [pushed(*each) for each in PASSES.values()]
    for what, one, done in zip(PASSES, those, at_once(those)):
        assert done.returncode == 0 and f"copied {NAME}" in done.stdout, (what, done)
        assert one.s3.objects == {KEY: one.content}, what
        assert all(fault.times == 0 for fault in one.s3.faults) and not one.s3.uploads, what
    assert those[0].s3.asked["put"] == 3


def test_what_stays_is_said_and_leaves_nothing_half(pushed: Callable[[int, list[Fault]], Pushed]) -> None:
    those = [pushed(size, faults) for size, faults, _ in STAYS.values()]
    for (what, (_, _, told)), one, done in zip(STAYS.items(), those, at_once(those)):
        assert done.returncode == UNAVAILABLE and told in done.stderr and done.stderr and not done.stdout, (what, done)
        assert "a-secret" not in done.stderr
        assert one.s3.objects == {} and one.s3.uploads == {}, "parts of what is never finished are taken away"
        assert (one.folder / NAME).read_bytes() == one.content
    # By itself well again, and so is the copy.
    for one, done in zip(those, at_once(those)):
        assert done.returncode == 0 and one.s3.objects == {KEY: one.content}, done


def test_nothing_half_or_wrong_comes_back(spawn: Callable[..., Daemon], postgres: PostgresCluster, tmp_path: Path) -> None:
    s3 = FaultyS3()
    try:
        backed = Backed(spawn, postgres, "external", tmp_path, SUPD__BACKUP__OFFSITE="s3", **s3.settings)
        backed.run("migrate", "up")
        archive = backed.create()
        content = archive.read_bytes()
        assert s3.objects == {f"backups/{archive.name}": content}

        def fetched(*faults: Fault, code: int = 0) -> subprocess.CompletedProcess[str]:
            archive.unlink(missing_ok=True)
            s3.faults = list(faults)
            done = backed.run("backup", "fetch", archive.name, code=code)
            assert all(fault.times == 0 for fault in faults)
            return done

        assert archive.name in fetched(Fault("get", "short"), Fault("get", "busy")).stdout
        assert archive.read_bytes() == content
        fetched(Fault("get", "short", 3), code=UNAVAILABLE)
        assert not archive.exists()
        # As many other bytes: nothing on the way can tell, the archive itself can.
        fetched(Fault("get", "wrong"))
        assert [each for each in backed.folder.iterdir() if each.suffix == ".partial"] == []
        for command in (("backup", "verify", archive.name), ("restore", archive.name)):
            backed.run(*command, code=REFUSED)
        # It is in the list and gone when it is asked for.
        gone = fetched(Fault("get", "gone"), code=REFUSED)
        assert "no such archive" in gone.stderr and not archive.exists()
    finally:
        s3.close()
