"""A machine without containers, in a folder: .env, secrets/ and var/ as scripts/setup.sh leaves them, free ports, and the
scripts of the repository run on it. Whatever they start is ended by its pid."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from rig.daemon import REPOSITORY, find_binary, shared_secret
from rig.postgres import free_port, server_binaries

SCRIPTS = REPOSITORY / "scripts"
DEADLINE_S = 120.0
TOOLS = (REPOSITORY / "build" / "tools" / "bin", server_binaries(), Path("/usr/sbin"))


def tool_path() -> str:
    return ":".join([*(str(each) for each in TOOLS), os.environ["PATH"]])


class Machine:
    """`settings` are added to .env; SUPD__... among them reach the daemon."""

    def __init__(self, database_url: str, **settings: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="supd-machine-"))
        self.ports = {name: free_port() for name in ("blue", "green", "blue_admin", "green_admin", "http", "https", "status")}
        self.url = f"https://127.0.0.1:{self.ports['https']}"
        self.plain_url = f"http://127.0.0.1:{self.ports['http']}"
        for folder in ("secrets", "var/tls", "var/www/assets", "var/www/.well-known/acme-challenge"):
            (self.home / folder).mkdir(parents=True)
        (self.home / "secrets").chmod(0o700)
        self.secret("jwt_secret", shared_secret())
        self.secret("database_url", database_url)
        self.settings = {
            "SUPD_ENVIRONMENT": "development", "SUPD_DRIVER": "process", "SERVER_NAME": "localhost",
            "SUPD_BINARY_FROM": "prebuilt", "SUPD_BINARY": str(find_binary()),
            "HTTP_PORT": str(self.ports["http"]), "HTTPS_PORT": str(self.ports["https"]),
            "NGINX_STATUS_PORT": str(self.ports["status"]), "NGINX_WORKERS": "2",
            "SUPD_BLUE_PORT": str(self.ports["blue"]), "SUPD_BLUE_ADMIN_PORT": str(self.ports["blue_admin"]),
            "SUPD_GREEN_PORT": str(self.ports["green"]), "SUPD_GREEN_ADMIN_PORT": str(self.ports["green_admin"]),
            "SUPD_HEALTH_TRIES": "300", "SUPD_HEALTH_INTERVAL_S": "0.2", "SUPD_WATCH_S": "0",
            "NGINX_RATE": "2000r/s", "NGINX_BURST": "2000", "NGINX_CONNECTIONS": "2000",
            "SUPD__MODE": "development", "SUPD__AUTH__PASSWORD_HASH": "minimal", "SUPD__RATE_LIMIT__ENABLED": "false",
        } | settings
        self.write_settings()
        self.certificate = self.home / "var/tls/certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", self.home / "var/tls/key.pem", "-out", self.certificate], check=True, capture_output=True)

    def secret(self, name: str, text: str) -> None:
        path = self.home / "secrets" / name
        path.write_text(text + "\n")
        path.chmod(0o600)

    def write_settings(self, **changed: str) -> None:
        self.settings |= changed
        (self.home / ".env").write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        return kept | {"PATH": tool_path(), "SUPD_HOME": str(self.home)}

    def popen(self, script: str, *arguments: str, stdin: int = subprocess.DEVNULL, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen([SCRIPTS / script, *arguments], env=self.environment | environment, stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def run(self, script: str, *arguments: str, code: int | None = 0, stdin: int = subprocess.DEVNULL,
            **environment: str) -> str:
        """Runs one of the scripts and returns what it said; it ends with `code`, or any if that is None. `environment`
        goes before what is set in .env."""
        process = self.popen(script, *arguments, stdin=stdin, **environment)
        try:
            output, _ = process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise AssertionError(f"{script} {arguments} did not end in {DEADLINE_S} s:\n{output}") from None
        assert code in (None, process.returncode), f"{script} {arguments} ended with {process.returncode}, not {code}:\n{output}"
        return output

    def deploy(self, *arguments: str, code: int = 0) -> str:
        return self.run("deploy.sh", "development", *arguments, code=code)

    @property
    def state(self) -> dict:
        return json.loads((self.home / "var/deploy/state.json").read_text())

    @property
    def active(self) -> str:
        return self.state["active"]

    def serving(self) -> str:
        """The colour that nginx says it sends to."""
        done = subprocess.run(["curl", "-s", "-m", "3", f"http://127.0.0.1:{self.ports['status']}/colour"],
                              capture_output=True, text=True)
        return done.stdout.split()[0] if done.stdout else ""

    def pid(self, colour: str) -> int | None:
        try:
            pid = int((self.home / "var/process" / colour / "pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None
        return pid if Path(f"/proc/{pid}").exists() else None

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Every file below the folder with its time and content, for what must change nothing."""
        return {str(path.relative_to(self.home)): (path.lstat().st_mtime_ns, path.read_bytes())
                for path in sorted(self.home.rglob("*")) if path.is_file() and not path.name.endswith(".log")}

    def close(self) -> None:
        pids = [self.pid("blue"), self.pid("green")]
        nginx = self.home / "var/nginx/run/nginx.pid"
        if nginx.exists() and nginx.read_text().strip():
            pids.append(int(nginx.read_text()))
        for pid in [each for each in pids if each]:
            end(pid)
        if os.environ.get("SUPD_KEEP_FILES") != "1":
            shutil.rmtree(self.home, ignore_errors=True)


def end(pid: int, deadline_s: float = 20.0) -> None:
    """SIGTERM, and SIGKILL for what does not go. The process is no child of ours, so its end is seen in /proc."""
    for how, patience in ((signal.SIGTERM, deadline_s), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            return
        until = time.monotonic() + patience
        while gone_at(pid) is False and time.monotonic() < until:
            time.sleep(0.05)
        if gone_at(pid):
            return


def gone_at(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rsplit(") ", 1)[1].startswith("Z")
