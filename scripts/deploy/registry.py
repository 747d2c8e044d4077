#!/usr/bin/env python3
"""The service registry: what runs, made from the compose files. Prints JSON; docker/services.json is its output."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import yaml

DOCKER = Path(__file__).resolve().parents[2] / "docker"
DEFAULT = re.compile(r"\$\{[A-Z0-9_]+:-([^}]*)\}")


def plain(value: object) -> str:
    """A value as it is when no setting changes it."""
    return DEFAULT.sub(r"\1", str(value))


def entry(file: str, service: dict, published: list[str]) -> dict:
    networks = service.get("networks", [])
    check = service.get("healthcheck", {})
    return {
        "file": file,
        "image": plain(service["image"]),
        "profiles": service["profiles"],
        "networks": sorted(networks),
        "address": plain(networks["app"].get("ipv4_address", "")) or None
        if isinstance(networks, dict) and isinstance(networks.get("app"), dict) else None,
        "published": published,
        "after": sorted(service.get("depends_on", {})),
        "health": " ".join(plain(word) for word in check["test"][1:]) if "test" in check else None,
        "memory": plain(service["mem_limit"]),
        "cpus": plain(service["cpus"]),
        "secrets": sorted(each if isinstance(each, str) else each["source"] for each in service.get("secrets", [])),
        "volumes": sorted(plain(each).split(":")[0] for each in service.get("volumes", []) if not plain(each).startswith((".", "/"))),
    }


def main() -> int:
    files = {path.name: yaml.safe_load(path.read_text())["services"] for path in sorted(DOCKER.glob("compose*.yaml"))}
    publish = files["compose.publish.yaml"]
    # An overlay may bring services of its own; what has no image adds to one that is there.
    registry = {name: entry(file, service, [plain(port) for port in publish.get(name, {}).get("ports", [])])
                for file, services in files.items() for name, service in services.items() if "image" in service}
    registry = dict(sorted(registry.items()))
    print(json.dumps({"services": registry}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
