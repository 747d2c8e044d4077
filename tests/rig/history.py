"""What happened in a run: every operation with its outcome, what every device applied, what a fresh member reads.

Times are of time.monotonic() of the one process that drives the load. A digest stands for the content."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


def digest(text: str | None) -> str:
    return hashlib.blake2b((text or "").encode(), digest_size=8).hexdigest()


class Entry(NamedTuple):
    """One entry of a chat's log as somebody saw it. `message_id` None = an entry that is no message."""

    seq: int
    message_id: str | None
    digest: str = ""


@dataclass(slots=True)
class Operation:
    """One message, with all the attempts to send it."""

    message_id: str
    chat_id: str
    user: str
    client: str
    digest: str
    invoked_at: float
    acks: list[tuple[int, float]] = field(default_factory=list)
    failed: int = 0
    unknown: int = 0
    attempts: int = 0

    @property
    def acked_seq(self) -> int | None:
        return self.acks[0][0] if self.acks else None

    @property
    def definitely_failed(self) -> bool:
        """Every attempt was answered by a refusal; a message that might have been stored is not."""
        return self.attempts > 0 and not self.acks and not self.unknown and self.failed >= self.attempts


@dataclass(slots=True)
class Edit:
    """One change of a message's text."""

    change_id: str
    message_id: str
    chat_id: str
    digest: str
    seq: int | None = None
    failed: bool = False


class Read(NamedTuple):
    """A read of a chat's head by a member, begun at `invoked_at`."""

    user: str
    chat_id: str
    invoked_at: float
    head: int


@dataclass
class History:
    operations: dict[str, Operation] = field(default_factory=dict)
    edits: dict[str, Edit] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    # (client, chat) -> entries in the order in which the client applied them, by the client rule
    applied: dict[tuple[str, str], list[Entry]] = field(default_factory=lambda: defaultdict(list))
    # client -> user
    clients: dict[str, str] = field(default_factory=dict)
    # (user, chat) -> the messages a fresh device of the user reads at the end, in the order of the answer
    final: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)
    heads: dict[tuple[str, str], int] = field(default_factory=dict)
    # chat -> user -> [first seq, last seq or None] he may see; chat -> the head when recording began
    members: dict[str, dict[str, list[tuple[int, int | None]]]] = field(default_factory=lambda: defaultdict(dict))
    base: dict[str, int] = field(default_factory=dict)
    # chat -> seqs that are known to be entries other than messages
    changes: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def intend(self, message_id: str, chat_id: str, user: str, client: str, text: str, at: float) -> Operation:
        """Notes a message that is to be sent; the first attempt may come later."""
        operation = self.operations.get(message_id)
        if operation is None:
            operation = Operation(message_id, chat_id, user, client, digest(text), at)
            self.operations[message_id] = operation
        return operation

    def invoke(self, message_id: str, chat_id: str, user: str, client: str, text: str, at: float) -> None:
        self.intend(message_id, chat_id, user, client, text, at).attempts += 1

    def ok(self, message_id: str, seq: int, at: float) -> None:
        self.operations[message_id].acks.append((seq, at))

    def fail(self, message_id: str) -> None:
        self.operations[message_id].failed += 1

    def unknown(self, message_id: str) -> None:
        self.operations[message_id].unknown += 1

    def member(self, chat_id: str, user: str, from_seq: int = 1, to_seq: int | None = None) -> None:
        self.members[chat_id].setdefault(user, []).append((from_seq, to_seq))

    def apply(self, client: str, chat_id: str, entry: Entry, inferred: bool = False) -> None:
        """`inferred`: the client only concludes that an entry of another kind is there; that proves nothing."""
        self.applied[client, chat_id].append(entry)
        if entry.message_id is None and not inferred:
            self.changes[chat_id].add(entry.seq)

    def may_see(self, user: str, chat_id: str, seq: int) -> bool:
        spans = self.members.get(chat_id, {}).get(user, [])
        return any(first <= seq and (last is None or seq <= last) for first, last in spans)

    def save(self, path: Path) -> None:
        """Writes the run as JSON lines, to be looked at after a failure."""
        with open(path, "w", encoding="utf-8") as out:
            for each in self.operations.values():
                out.write(json.dumps({
                    "kind": "operation", "id": each.message_id, "chat": each.chat_id, "user": each.user,
                    "client": each.client, "invoked_at": each.invoked_at, "acks": each.acks, "failed": each.failed,
                    "unknown": each.unknown, "attempts": each.attempts}) + "\n")
            for (client, chat), entries in self.applied.items():
                out.write(json.dumps({"kind": "applied", "client": client, "chat": chat, "entries": entries}) + "\n")
            for (user, chat), entries in self.final.items():
                out.write(json.dumps({"kind": "final", "user": user, "chat": chat, "head": self.heads.get((user, chat)),
                                      "entries": entries}) + "\n")
