"""docs/openapi.yaml and docs/asyncapi.yaml against the daemon's own table of routes and commands, in both directions, and
against the rules that they promise."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCS = Path(__file__).resolve().parents[2] / "docs"
OPENAPI = yaml.safe_load((DOCS / "openapi.yaml").read_text(encoding="utf-8"))
ASYNCAPI = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def rows(binary: str) -> list[dict]:
    done = subprocess.run([binary, "routes", "--json"], capture_output=True, text=True, timeout=30, check=True)
    return [row for row in json.loads(done.stdout) if row.get("listener", "public") != "admin"]


def routed(rows: list[dict]) -> dict[tuple[str, str], dict]:
    def braced(path: str) -> str:
        return "/".join(f"{{{part[1:]}}}" if part.startswith(":") else part for part in path.split("/"))

    return {(row["method"].lower(), braced(row["path"])): row for row in rows if row["method"] != "WS"}


def documented() -> dict[tuple[str, str], dict]:
    return {(method, path): item[method] for path, item in OPENAPI["paths"].items() for method in METHODS if method in item}


def test_every_route_is_documented(rows: list[dict]) -> None:
    assert rows, "supd routes --json told nothing"
    assert sorted(set(routed(rows)) - set(documented())) == []


def test_every_documented_operation_is_a_route(rows: list[dict]) -> None:
    assert sorted(set(documented()) - set(routed(rows))) == []


def test_operations_have_the_same_name(rows: list[dict]) -> None:
    wrong = {key: (row["operation"], documented()[key]["operationId"]) for key, row in routed(rows).items()
             if key in documented() and row["operation"] != documented()[key]["operationId"]}
    assert wrong == {}


def test_operations_have_the_same_policy(rows: list[dict]) -> None:
    def is_open(operation: dict) -> bool:
        return operation.get("security") == []

    wrong = [key for key, row in routed(rows).items()
             if key in documented() and is_open(documented()[key]) != (row["policy"] in ("open", "public"))]
    assert wrong == []


def commands() -> set[str]:
    names = set()
    for operation in ASYNCAPI["operations"].values():
        if operation["action"] != "receive":
            continue
        for message in operation["messages"]:
            names.add(ASYNCAPI["components"]["messages"][message["$ref"].rsplit("/", 1)[-1]]["name"])
    return names


def test_the_commands_of_the_socket_are_documented(rows: list[dict]) -> None:
    registered = {row["path"].rsplit("/", 1)[-1] for row in rows if row["method"] == "WS"}
    assert registered, "supd routes --json told no commands"
    assert sorted(registered - commands()) == []
    assert sorted(commands() - registered) == []


# -- what both documents promise -----------------------------------------------------------------------------------


def schemas(document: Any, path: str = "") -> Iterator[tuple[str, dict]]:
    """Everything that looks like a schema, with its place. Examples are content, not schemas."""
    if isinstance(document, dict):
        kind = document.get("type")
        if isinstance(kind, str) and kind in ("string", "array", "integer", "number", "object", "boolean") or isinstance(kind, list):
            yield path, document
        for key, value in document.items():
            if key not in ("examples", "example"):
                yield from schemas(value, f"{path}/{key}")
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from schemas(value, f"{path}/{number}")


def kinds(schema: dict) -> set[str]:
    kind = schema["type"]
    return set(kind) if isinstance(kind, list) else {kind}


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_everything_has_a_maximum(document: dict) -> None:
    without = []
    for path, schema in schemas(document):
        kind = kinds(schema)
        if "string" in kind and "maxLength" not in schema or "array" in kind and "maxItems" not in schema:
            without.append(path)
        if kind & {"integer", "number"} and not {"maximum", "minimum"} <= set(schema):
            without.append(path)
        # A free-form object: what it may hold is bounded by number.
        if "object" in kind and not schema.get("properties") and "maxProperties" not in schema and path.count("/") > 1:
            without.append(path)
    assert without == []


def resolved(document: dict, schema: dict) -> dict:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].lstrip("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def test_requests_are_closed() -> None:
    open_ones = []
    for (method, path), operation in documented().items():
        if "requestBody" not in operation:
            continue
        schema = resolved(OPENAPI, operation["requestBody"]["content"]["application/json"]["schema"])
        if schema.get("additionalProperties") is not False:
            open_ones.append(f"{method} {path}")
        for name, value in schema["properties"].items():
            inner = resolved(OPENAPI, value)
            if inner.get("properties") and inner.get("additionalProperties") is not False:
                open_ones.append(f"{method} {path} {name}")
    assert open_ones == []


def test_every_operation_has_its_error_answers() -> None:
    missing = []
    for (method, path), operation in documented().items():
        wanted = {"400", "405", "406", "408", "414", "431", "500", "503"}
        if operation.get("security") != []:
            wanted |= {"401", "429"}
        if "requestBody" in operation:
            wanted |= {"413", "415"}
        if missing_here := wanted - set(operation["responses"]):
            missing.append((method, path, sorted(missing_here)))
        for status, response in operation["responses"].items():
            if int(status) >= 400 and "application/problem+json" not in resolved(OPENAPI, response)["content"]:
                missing.append((method, path, f"{status} is no problem"))
    assert missing == []


def test_shared_schemas_are_equal() -> None:
    ours, theirs = OPENAPI["components"]["schemas"], ASYNCAPI["components"]["schemas"]
    both = set(ours) & set(theirs)
    assert {"Message", "NewMessage", "Problem", "Seq"} <= both
    assert [name for name in sorted(both) if theirs[name] != ours[name]] == []


def test_the_examples_are_valid() -> None:
    jsonschema = pytest.importorskip("jsonschema_rs")  # comes with schemathesis

    def check(document: dict, schema: dict, instance: Any) -> list[str]:
        whole = {"components": document["components"], **schema}
        return [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(instance)]

    wrong = {}
    for name, schema in OPENAPI["components"]["schemas"].items():
        for example in schema.get("examples", []):
            if errors := check(OPENAPI, {"$ref": f"#/components/schemas/{name}"}, example):
                wrong[name] = errors
    for name, message in ASYNCAPI["components"]["messages"].items():
        for example in message.get("examples", []):
            if errors := check(ASYNCAPI, message["payload"], example["payload"]):
                wrong[name] = errors
    assert wrong == {}
