"""What the compose files promise, read from the files: no container engine is needed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rig.daemon import REPOSITORY, find_binary

DOCKER = REPOSITORY / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict] = COMPOSE["services"]
PROFILES = {"core", "blue", "green", "s3", "calls", "monitoring", "mail", "letsencrypt", "cli"}
OVERLAYS = {path.name: yaml.safe_load(path.read_text()) for path in sorted(DOCKER.glob("compose.*.yaml"))}
NOT_KEPT_UP = {"certbot", "supd-cli"}
# Exceptions, each with its reason in compose.yaml: whose files it must read, and what its program's file asks for.
OF_ROOT = {"alloy"}
CAPABILITIES = {"coturn": ["NET_BIND_SERVICE"]}
SETTING = re.compile(r"\$\{([A-Z0-9_]+)")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    if name in OF_ROOT:
        assert service["user"] == "0:0" and all(str(volume).endswith(":ro") for volume in service["volumes"] if "/" in str(volume).split(":")[0])
    else:
        assert service["user"].startswith("${SUPD_UID:?") and "SUPD_GID" in service["user"], "not root"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and service.get("cap_add") == CAPABILITIES.get(name) and "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service, "only nginx is published, by compose.publish.yaml"
    assert service.get("network_mode") is None and service["networks"]
    assert service["profiles"] and set(service["profiles"]) <= PROFILES
    assert service["mem_limit"] and service["cpus"] and service["pids_limit"]
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))
    if name not in NOT_KEPT_UP:
        assert service["healthcheck"]["test"] and service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_and_can_be_pinned_closer(name: str) -> None:
    image = re.fullmatch(r"\$\{[A-Z_]+_IMAGE:-([^}]+)\}", SERVICES[name]["image"])
    assert image, "an image has a setting of its own, for a digest"
    repository, _, tag = image[1].rpartition(":")
    assert repository and re.match(r"v?\d+\.\d+", tag), f"{image[1]} is not pinned by a full version"


def test_only_nginx_is_published() -> None:
    published = {}
    for file in (COMPOSE, *OVERLAYS.values()):
        for name, service in file["services"].items():
            for port in service.get("ports", []):
                published.setdefault(name, []).append(str(port))
    loopback = {name: ports for name, ports in published.items() if all(port.startswith("127.0.0.1:") for port in ports)}
    assert set(published) - set(loopback) == {"nginx"}
    assert "ports" not in OVERLAYS["compose.external.yaml"]["services"]["nginx"]


def test_secrets_are_files_that_setup_makes() -> None:
    setup = (REPOSITORY / "scripts/setup.sh").read_text()
    files = [COMPOSE, *OVERLAYS.values()]
    declared = {name: secret for file in files for name, secret in file.get("secrets", {}).items()}
    services = [(name, service) for file in files for name, service in file["services"].items()]
    for name, secret in declared.items():
        file = secret["file"].rsplit("/", 1)[1]
        assert secret["file"].startswith("${SUPD_HOME:-..}/secrets/") and re.search(rf"^(?:optional_)?secret {re.escape(file)}\b", setup, re.M), name
    used = {each if isinstance(each, str) else each["source"] for _, service in services for each in service.get("secrets", [])}
    assert used == set(declared)
    for name, service in services:
        for key, value in service.get("environment", {}).items():
            if re.search("PASS|SECRET|KEY|TOKEN", key) and not key.endswith("ACCESS_KEY"):  # which is an id
                assert str(value).startswith("/run/secrets/"), f"{name}: {key} must be a file"


def test_health_orders_the_start() -> None:
    for colour in ("supd-blue", "supd-green"):
        waits = SERVICES[colour]["depends_on"]
        assert {name: what["condition"] for name, what in waits.items()} == {
            "postgres": "service_healthy", "redis": "service_healthy"}
        assert SERVICES[colour]["healthcheck"]["test"][-2:] == ["/usr/bin/supd", "healthcheck"]
    assert SERVICES["supd-blue"]["environment"] == SERVICES["supd-green"]["environment"]
    assert COMPOSE["networks"]["data"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == ["data"] and SERVICES["redis"]["networks"] == ["data"]


def test_no_secret_is_an_argument() -> None:
    """Every user of the machine can list the arguments of its processes; a secret's path may stand there, its content not."""
    for file in (COMPOSE, *OVERLAYS.values()):
        for name, service in file["services"].items():
            words = " ".join([*service.get("entrypoint", []), *service.get("command", [])])
            started = re.search(r"\bexec .*", words)
            assert not started or "/run/secrets" not in started[0] or "cat" not in started[0], f"{name}: {started[0]}"


def test_who_must_reach_the_outside_can() -> None:
    inside = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    for name in ("alertmanager", "livekit", "coturn"):
        assert set(SERVICES[name]["networks"]) - inside, f"{name} has no way out"
    others = {network for name, service in SERVICES.items() if name != "alertmanager" for network in service["networks"]}
    assert not set(SERVICES["alertmanager"]["networks"]) & (others - inside), "whoever reaches it may silence alerts"


def test_the_key_of_the_copies_is_not_where_the_net_is() -> None:
    backup = yaml.safe_load((DOCKER / "compose.backup.yaml").read_text())["services"]
    for colour in ("supd-blue", "supd-green"):
        assert backup[colour]["secrets"] == ["backup_key"] and not any("S3" in name for name in backup[colour]["environment"])
    assert backup["supd-cli"]["secrets"] == ["backup_key", "s3_secret_key"]


def test_settings_are_explained() -> None:
    """.env.example has every setting that the compose files or the scripts read, and no other."""
    example = (REPOSITORY / ".env.example").read_text()
    offered = set(re.findall(r"^([A-Z0-9_]+)=", example, re.M))
    compose = "".join(path.read_text() for path in DOCKER.glob("compose*.yaml"))
    scripts = "".join(path.read_text() for path in [*(REPOSITORY / "scripts").glob("*.sh"), *(REPOSITORY / "scripts/deploy").glob("*.sh")])
    unused = {name for name in offered if name not in compose + scripts and not name.startswith("COMPOSE_")}
    assert not unused
    read = set(re.findall(r"(?<!\$)\$\{([A-Z][A-Z0-9_]+)", compose)) | set(re.findall(r"\$\{([A-Z][A-Z0-9_]+):[-?+]", scripts))
    assert {"SUPD_UID", "FOREIGN_NGINX_TEST", "NGINX_WORKERS", "GRAFANA_PORT", "EXTERNAL_NETWORK"} <= read
    explained = {name for name in read if name.endswith("_IMAGE") or name.startswith("SUPD__")}  # each service's; supd's own
    of_the_caller = {"SUPD_HOME", "SUPD"}  # where .env is; which program scripts/backup.sh runs
    assert read - offered - explained - of_the_caller == set()


def test_every_key_of_supd_can_be_set() -> None:
    """supd.env has what compose.yaml does not name; setup.sh makes it."""
    named = set(re.findall(r"^#(\w+_FILE=/run/secrets/\w+)$", (REPOSITORY / "scripts/setup.sh").read_text(), re.M))
    assert named == {"SUPD__AUTH__JWT_PREVIOUS_SECRETS_FILE=/run/secrets/jwt_previous_secrets", "DATABASE_REPLICA_URLS_FILE=/run/secrets/replica_urls"}
    for name in ("supd-blue", "supd-green", "supd-cli"):
        assert SERVICES[name]["env_file"] == ["${SUPD_HOME:-..}/supd.env"]
        assert not {"SUPD__DATABASE__POOL_SIZE", "SUPD__SERVER__MAX_CONNECTIONS", "DATABASE_REPLICA_URLS_FILE"} & set(SERVICES[name]["environment"]), "it would win"
        assert {"jwt_previous_secrets", "replica_urls"} <= set(SERVICES[name]["secrets"])


def test_an_image_says_what_it_is_made_of() -> None:
    arguments = SERVICES["supd-blue"]["build"]["args"]
    for name in ("VERSION", "COMMIT", "CREATED"):
        assert arguments[name].startswith(f"${{SUPD_{name}:-")
    build, runtime = re.search(r"AS build\n(.*?)\nFROM .*AS runtime\n(.*)", (DOCKER / "Dockerfile").read_text(), re.S).groups()
    assert re.search(r"^ARG COMMIT=unknown\n(?:.*\n)*?.*-DSUPD_COMMIT=\$COMMIT", build, re.M), "a binary that is built here knows its commit"
    assert build.index("ARG COMMIT") > build.index("install-deps run"), "a new commit would install everything anew"
    assert all(f"ARG {name}=" in runtime for name in ("VERSION", "COMMIT", "CREATED"))


def test_the_image_has_the_libraries_of_the_binary_and_no_other() -> None:
    if not shutil.which("dpkg") or not shutil.which("ldd"):
        pytest.skip("no Debian")
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", subprocess.run(["readelf", "-d", find_binary()], capture_output=True, text=True, check=True).stdout)
    paths = dict(re.findall(r"(\S+) => (/\S+)", subprocess.run(["ldd", find_binary()], capture_output=True, text=True, check=True).stdout))
    packages = set()
    for library in needed:
        # A file of /usr/lib may be known as one of /lib.
        found = subprocess.run(["dpkg", "-S", f"*{paths[library].removeprefix('/usr')}"], capture_output=True, text=True, check=True).stdout
        packages |= {line.split(":")[0] for line in found.splitlines()}
    of_every_image = {"libc6", "libgcc-s1", "libstdc++6"}
    installed = re.search(r"apt-get install -y -q --no-install-recommends (ca-certificates .*?);", (DOCKER / "Dockerfile").read_text(), re.S)[1]
    assert set(installed.replace("\\", " ").split()) == packages - of_every_image | {"ca-certificates"}


def test_the_service_registry_is_current() -> None:
    made = subprocess.run([sys.executable, REPOSITORY / "scripts/deploy/registry.py"], capture_output=True, text=True, check=True)
    exporters = set(OVERLAYS["compose.exporters.yaml"]["services"])
    assert set(json.loads(made.stdout)["services"]) == set(SERVICES) | exporters and len(exporters) == 3
    assert json.loads(made.stdout) == json.loads((DOCKER / "services.json").read_text()), \
        "run scripts/deploy/registry.py >docker/services.json"


def test_the_dockerfile() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    runtime = text[text.index("AS runtime"):]
    assert "USER 10001:10001" in runtime and 'CMD ["/usr/bin/supd", "healthcheck"]' in runtime
    for label in ("version", "revision", "created"):
        assert f"org.opencontainers.image.{label}" in runtime
    assert "sbom.cdx.json" in runtime and "ENV JWT" not in text
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*" and not any(line.startswith(("!secrets", "!.env", "!var", "!.git")) for line in ignored)
