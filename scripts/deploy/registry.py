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


def entry(service: dict, published: list[str]) -> dict:
    networks = service.get("networks", [])
    check = service.get("healthcheck", {})
    return {
        "image": plain(service["image"]),
        "profiles": service["profiles"],
        "networks": sorted(networks),
        "address": plain(networks["app"].get("ipv4_address", "")) or None
        if isinstance(networks, dict) and isinstance(networks.get("app"), dict) else None,
        "published": published,
        "after": sorted(service.get("depends_on", {})),
        "health": None if check.get("disable") else " ".join(plain(word) for word in check["test"][1:]),
        "memory": plain(service["mem_limit"]),
        "cpus": plain(service["cpus"]),
        "secrets": sorted(each if isinstance(each, str) else each["source"] for each in service.get("secrets", [])),
        "volumes": sorted(plain(each).split(":")[0] for each in service.get("volumes", []) if not plain(each).startswith((".", "/"))),
    }


def main() -> int:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    publish = yaml.safe_load((DOCKER / "compose.publish.yaml").read_text())["services"]
    registry = {name: entry(service, [plain(port) for port in publish.get(name, {}).get("ports", [])])
                for name, service in sorted(services.items())}
    print(json.dumps({"services": registry}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
