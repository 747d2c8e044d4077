#!/usr/bin/env python3
"""embed_docs.py VERSION OUT.cpp OPENAPI.yaml ASYNCAPI.yaml: writes both documents as JSON in C++ literals, with VERSION
as info.version."""

import json
import sys

import yaml

DELIMITER = "supd_json"


def literal(path: str, version: str) -> str:
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    document["info"]["version"] = version
    text = json.dumps(document, separators=(",", ":"))  # ASCII only
    assert f"){DELIMITER}" not in text
    return f'R"{DELIMITER}({text}){DELIMITER}"'


def main() -> None:
    version, out, openapi, asyncapi = sys.argv[1:]
    functions = "".join(
        f"std::string_view {name}() noexcept {{\n    static constexpr char kText[] =\n        {literal(path, version)};\n"
        f"    return {{kText, sizeof kText - 1}};\n}}\n\n"
        for name, path in (("openapi_json", openapi), ("asyncapi_json", asyncapi)))
    with open(out, "w", encoding="utf-8") as file:
        file.write(f"#include <supd/http/api_documents.hpp>\n\nnamespace supd::http {{\n\n{functions}}}  // namespace supd::http\n")


if __name__ == "__main__":
    main()
