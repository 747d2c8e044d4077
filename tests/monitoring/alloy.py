"""Reads Alloy's configuration language as far as our files use it: blocks, attributes, and the values in them. What does not
parse raises SyntaxError with the line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

TOKEN = re.compile(r"""(?P<space>\s+|//[^\n]*)|(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)
                       |(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(?P<sign>[{}\[\](),=])""", re.X)


@dataclass
class Reference:
    """A name that is not quoted: what a component exports, a constant, or a function with its arguments."""

    name: str
    arguments: list[Any] | None = None


@dataclass
class Block:
    name: str
    label: str | None
    attributes: dict[str, Any] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def all(self) -> list[Block]:
        return [self] + [inner for block in self.blocks for inner in block.all()]


class Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        while at < len(text):
            match = TOKEN.match(text, at)
            line = text.count("\n", 0, at) + 1
            if match is None:
                raise SyntaxError(f"line {line}: {text[at:at + 20]!r}")
            if match.lastgroup != "space":
                self.tokens.append((match.lastgroup, match.group(), line))
            at = match.end()
        self.at = 0

    def peek(self) -> tuple[str, str, int]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "", self.tokens[-1][2] if self.tokens else 0)

    def take(self, kind: str, value: str | None = None) -> str:
        found, text, line = self.peek()
        if found != kind or (value is not None and text != value):
            raise SyntaxError(f"line {line}: {text!r} where {value or kind} belongs")
        self.at += 1
        return text

    def body(self, into: Block, end: str) -> Block:
        while self.peek()[1 if end == "}" else 0] != end:
            _, _, line = self.peek()
            name = self.take("name")
            if self.peek()[1] == "=":
                self.take("sign", "=")
                if name in into.attributes:
                    raise SyntaxError(f"line {line}: {name} for the second time")
                into.attributes[name] = self.value()
            else:
                label = self.take("text")[1:-1] if self.peek()[0] == "text" else None
                self.take("sign", "{")
                into.blocks.append(self.body(Block(name, label), "}"))
                self.take("sign", "}")
        return into

    def value(self) -> Any:
        kind, text, line = self.peek()
        if kind == "text":
            self.take("text")
            return text[1:-1] if text[0] == "`" else re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "number":
            return float(self.take("number"))
        if kind == "name":
            name = self.take("name")
            return Reference(name, self.items("(", ")")) if self.peek()[1] == "(" else Reference(name)
        if text == "[":
            return self.items("[", "]")
        if text == "{":
            return dict(self.items("{", "}", pairs=True))
        raise SyntaxError(f"line {line}: no value begins with {text!r}")

    def items(self, begin: str, end: str, pairs: bool = False) -> list[Any]:
        self.take("sign", begin)
        found = []
        while self.peek()[1] != end:
            if pairs:
                kind, text, _ = self.peek()
                key = self.take(kind if kind in ("text", "name") else "name").strip('"')
                self.take("sign", "=")
                found.append((key, self.value()))
            else:
                found.append(self.value())
            if self.peek()[1] != end:
                self.take("sign", ",")
        self.take("sign", end)
        return found


def parse(text: str) -> Block:
    reader = Reader(text)
    return reader.body(Block("", None), "end")


def references(value: Any) -> list[Reference]:
    if isinstance(value, Reference):
        return [value] + [inner for argument in value.arguments or () for inner in references(argument)]
    if isinstance(value, dict):
        value = list(value.values())
    return [inner for item in value for inner in references(item)] if isinstance(value, list) else []
