"""The API documents as the tests read them: strict, so that a field which is answered and not described is a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).resolve().parents[2] / "docs"


def document(name: str) -> dict:
    return yaml.safe_load((DOCS / name).read_text(encoding="utf-8"))


def closed(node: Any) -> Any:
    """A copy in which every object with named properties has no others. The documents leave answers open, because clients
    must bear new fields; the tests must not."""
    if isinstance(node, list):
        return [closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    copy = {key: value if key in ("examples", "example") else closed(value) for key, value in node.items()}
    if node.get("type") == "object" and isinstance(node.get("properties"), dict):
        copy.setdefault("additionalProperties", False)
    return copy
