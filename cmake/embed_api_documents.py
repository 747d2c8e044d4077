#!/usr/bin/env python3
"""embed_api_documents.py OUT.cpp DOCS: writes the API documents of the folder DOCS as JSON into a C++ source."""
import json
import sys
from pathlib import Path

import yaml

PIECE = 8000  # compilers bound the length of one literal


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Times in examples stay text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in Loader.yaml_implicit_resolvers.items()
}


def literal(path: Path) -> str:
    if not path.is_file():
        return '"{}"'
    text = json.dumps(yaml.load(path.read_text(encoding="utf-8"), Loader), separators=(",", ":"))  # ASCII
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    return "\n    ".join(json.dumps(piece).replace("??", '?""?') for piece in pieces)


def main() -> None:
    out, docs = Path(sys.argv[1]), Path(sys.argv[2])
    source = "#include <supd/http/api_documents.hpp>\n\nnamespace supd::http {\n"
    for name in ("openapi", "asyncapi"):
        source += f"\nstd::string_view {name}_json() noexcept {{\n    return\n    {literal(docs / (name + '.yaml'))};\n}}\n"
    out.write_text(source + "\n}  // namespace supd::http\n", encoding="ascii")


main()
