"""The Debian package: what is in it, what installing, upgrading and removing it does to a root of its own, and an
upgrade under load. Nothing is installed on the machine that runs this."""

from __future__ import annotations

import asyncio
import grp
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.checker import assert_clean
from rig.daemon import REPOSITORY, Daemon, find_binary, shared_secret
from rig.load import Load
from rig.postgres import PostgresCluster

LONG = os.environ.get("SUPD_LONG") == "1"
TOOLS = ("cpack", "dpkg-deb", "dpkg-shlibdeps")

pytestmark = [
    pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason="missing: cpack or dpkg-dev"),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="dpkg --root needs root")


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300,
                          env=os.environ | environment)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def package(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by cpack of the build that the binary under test belongs to."""
    folder = tmp_path_factory.mktemp("package")
    build = Path(binary).parents[1]
    if not (build / "CPackConfig.cmake").is_file():
        pytest.skip(f"{build} is no build folder")
    run("cpack", "-G", "DEB", "--config", build / "CPackConfig.cmake", "-B", folder)
    (made,) = folder.glob("*.deb")
    return made


def field(package: Path, name: str) -> str:
    return run("dpkg-deb", "--field", package, name).strip()


def test_what_it_says(package: Path, binary: str) -> None:
    version = run(binary, "version").split()[1]
    machine = run("dpkg", "--print-architecture").strip()
    assert package.name == f"supd_{version}_{machine}.deb"
    assert field(package, "Package") == "supd" and field(package, "Version") == version
    needs = field(package, "Depends")
    for library in ("libc6", "libpq5", "libssl3", "libsodium23", "passwd"):
        assert library in needs, needs
    assert "postgresql" not in needs, "the database may be on another machine"


def test_what_is_in_it(package: Path) -> None:
    listed = {}
    for line in run("dpkg-deb", "--contents", package).splitlines():
        mode, owner, _, _, _, name = line.split(None, 5)
        listed[name.removeprefix(".")] = mode
        assert owner == "root/root" and "s" not in mode, line
    assert {"/usr/bin/supd", "/usr/lib/systemd/system/supd.service", "/etc/supd/supd.toml",
            "/usr/share/doc/supd/README.md", "/usr/share/doc/supd/copyright"} <= set(listed)
    assert listed["/usr/bin/supd"] == "-rwxr-xr-x"
    assert not [name for name in listed if name.startswith("/usr/local")]


class Root:
    """A folder that dpkg takes for the machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("etc", "var/lib/dpkg/info", "var/lib/dpkg/updates"):
            (folder / name).mkdir(parents=True)
        for name in ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "var/lib/dpkg/status",
                     "var/lib/dpkg/available"):
            (folder / name).touch()
        shutil.copy("/etc/login.defs", folder / "etc")

    def dpkg(self, *arguments: str | Path) -> str:
        # The dependencies are those of another machine; scripts run outside, told the root by DPKG_ROOT.
        return run("dpkg", f"--root={self.folder}", f"--log={self.folder}/dpkg.log", "--force-script-chrootless",
                   "--force-depends", "--force-confdef", "--force-confold", *arguments, DEBIAN_FRONTEND="noninteractive")

    def path(self, name: str) -> Path:
        return self.folder / name.lstrip("/")

    def user(self, name: str) -> list[str] | None:
        lines = [line.split(":") for line in self.path("/etc/passwd").read_text().splitlines()]
        return next((line for line in lines if line[0] == name), None)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    yield Root(tmp_path / "root")


def newer(package: Path, folder: Path) -> Path:
    """The same package as the next version, with another example file."""
    tree = folder / "tree"
    run("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace(f"Version: {field(package, 'Version')}", "Version: 9.0.0"))
    with open(tree / "etc/supd/supd.toml", "a", encoding="utf-8") as example:
        example.write("# of the next version\n")
    made = folder / "supd_9.0.0.deb"
    run("dpkg-deb", "--root-owner-group", "-b", tree, made)
    return made


@needs_root
def test_install_upgrade_remove_purge(package: Path, root: Root, tmp_path: Path) -> None:
    said = root.dpkg("-i", package)
    assert "systemctl enable --now supd" in said
    user = root.user("supd")
    assert user is not None and user[2] != "0" and int(user[2]) < 1000 and user[6] == "/usr/sbin/nologin"
    with pytest.raises(KeyError):
        grp.getgrnam("supd")  # of this machine
    config = root.path("/etc/supd/supd.toml")
    assert (config.stat().st_mode & 0o777, config.stat().st_uid, config.stat().st_gid) == (0o640, 0, int(user[3]))
    assert run(root.path("/usr/bin/supd"), "version").startswith("supd ")
    assert config.read_text() == (REPOSITORY / "config/supd.example.toml").read_text()
    assert run(root.path("/usr/bin/supd"), "config", "check", "--config", config)

    config.write_text('name = "chat.example.org"\n')
    assert "systemctl enable" not in root.dpkg("-i", newer(package, tmp_path))
    assert config.read_text() == 'name = "chat.example.org"\n', "an upgrade keeps what the operator wrote"
    assert "9.0.0" in run("dpkg-query", f"--admindir={root.folder}/var/lib/dpkg", "-W", "supd")

    state = root.path("/var/lib/supd")
    state.mkdir(parents=True)
    (state / "precious").touch()
    root.dpkg("-r", "supd")
    assert not root.path("/usr/bin/supd").exists() and config.exists()
    assert "are kept" in root.dpkg("-P", "supd")
    assert not config.exists() and (state / "precious").exists()


@needs_root
@pytest.mark.skipif(not LONG, reason="SUPD_LONG=1")
async def test_an_upgrade_under_load(package: Path, root: Root, tmp_path: Path, spawn, postgres: PostgresCluster,
                                     monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """dpkg puts the new files in place while the old daemon serves; then what systemd does: stop and start."""
    root.dpkg("-i", package)
    monkeypatch.setenv("SUPD_BINARY", str(root.path("/usr/bin/supd")))
    assert find_binary() == root.path("/usr/bin/supd")
    daemon: Daemon = spawn(database_url=postgres.new_database(), name="upgrade", settings={"JWT_SECRET": shared_secret()})
    daemon.start()
    upgraded = newer(package, tmp_path)

    async def upgrade() -> None:
        await asyncio.sleep(3)
        await asyncio.to_thread(root.dpkg, "-i", upgraded)
        await asyncio.sleep(1)
        await asyncio.to_thread(daemon.restart)
        await asyncio.sleep(3)

    load = Load([daemon.url], seed, rate=200)
    async with load:
        await load.run(2.0, upgrade)
        assert_clean(load.history)
        assert sum(1 for each in load.history.operations.values() if each.acks) > 0
    daemon.check()
