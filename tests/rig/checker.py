"""Judges a history: LOST, DUP, PHANTOM, GAP, REORDER, LEAK, STALE.

An operation whose outcome is unknown may be there once or not at all; once acknowledged it is there exactly once,
at the sequence number of the acknowledgement."""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import StrEnum
from typing import NamedTuple

from rig.history import Entry, History


class Kind(StrEnum):
    LOST = "LOST"  # acknowledged, and absent for a member
    DUP = "DUP"  # one message at two places, or two messages at one
    PHANTOM = "PHANTOM"  # nobody sent it so, or it was refused, yet it is there
    GAP = "GAP"  # a sequence number is skipped
    REORDER = "REORDER"  # an order that contradicts real time, or two members disagree
    LEAK = "LEAK"  # seen by somebody who was no member then
    STALE = "STALE"  # a read or a device that is behind what was acknowledged before


class Anomaly(NamedTuple):
    kind: Kind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def check(history: History) -> list[Anomaly]:
    """Every anomaly of the run, each kind's rule on its own."""
    found: list[Anomaly] = []
    for rule in (_lost, _lost_edits, _duplicated, _phantoms, _gaps, _reordered, _leaks, _stale):
        found += rule(history)
    return found


def assert_clean(history: History) -> None:
    found = check(history)
    if found:
        counts = Counter(each.kind.value for each in found)
        raise AssertionError("\n".join([f"{dict(counts)}", *(str(each) for each in found[:25])]))


def summary(history: History) -> str:
    operations = history.operations.values()
    acked = sum(1 for each in operations if each.acks)
    retried = sum(1 for each in operations if each.attempts > 1)
    delivered = sum(len(entries) for entries in history.applied.values())
    return (f"{len(history.operations)} messages, {acked} acknowledged, {retried} retried, "
            f"{sum(1 for each in operations if each.definitely_failed)} refused, {delivered} applied by "
            f"{len(history.clients)} clients")


def _lost(history: History) -> list[Anomaly]:
    places: dict[str, list[tuple[str, dict]]] = defaultdict(list)
    for (user, chat), entries in history.final.items():
        places[chat].append((user, {entry.message_id: entry.seq for entry in entries}))
    found = []
    for operation in history.operations.values():
        if not operation.acks:
            continue
        seq = operation.acked_seq
        for user, ids in places[operation.chat_id]:
            there = ids.get(operation.message_id)
            if there != seq and history.may_see(user, operation.chat_id, seq):
                found.append(Anomaly(Kind.LOST, f"{operation.message_id} acknowledged at {operation.chat_id}/{seq}, "
                                                f"member {user} reads it at {there}"))
    return found


def _lost_edits(history: History) -> list[Anomaly]:
    found = []
    by_message = defaultdict(list)
    for edit in history.edits.values():
        by_message[edit.message_id].append(edit)
    for message_id, edits in by_message.items():
        if any(edit.seq is None and not edit.failed for edit in edits):
            continue  # an unknown one may have been the last
        acked = [edit for edit in edits if edit.seq is not None]
        if not acked:
            continue
        last = max(acked, key=lambda edit: edit.seq)
        for (user, chat), entries in history.final.items():
            if chat != last.chat_id:
                continue
            for entry in entries:
                if entry.message_id == message_id and entry.digest != last.digest:
                    found.append(Anomaly(Kind.LOST, f"edit {last.change_id} acknowledged at {chat}/{last.seq}, "
                                                    f"member {user} reads another text"))
    return found


def _duplicated(history: History) -> list[Anomaly]:
    found = []
    for operation in history.operations.values():
        if len({seq for seq, _ in operation.acks}) > 1:
            found.append(Anomaly(Kind.DUP, f"{operation.message_id} acknowledged at {operation.acks}"))
    owner: dict[tuple[str, int], str] = {}
    for operation in history.operations.values():
        for seq in {seq for seq, _ in operation.acks}:
            other = owner.setdefault((operation.chat_id, seq), operation.message_id)
            if other != operation.message_id:
                found.append(Anomaly(Kind.DUP, f"{operation.chat_id}/{seq} acknowledged to {other} "
                                               f"and {operation.message_id}"))
    for where, logs in (("final", history.final), ("applied", history.applied)):
        for (who, chat), entries in logs.items():
            for what, counts in (("message", Counter(entry.message_id for entry in entries if entry.message_id)),
                                 ("seq", Counter(entry.seq for entry in entries))):
                found += [Anomaly(Kind.DUP, f"{where} of {who} in {chat} has {what} {value} {count} times")
                          for value, count in counts.items() if count > 1]
    return found


def _phantoms(history: History) -> list[Anomaly]:
    texts: dict[str, set[str]] = defaultdict(set)
    for edit in history.edits.values():
        if not edit.failed:
            texts[edit.message_id].add(edit.digest)
    found: dict[tuple[str, str], Anomaly] = {}

    def look(where: str, chat: str, entry: Entry) -> None:
        if entry.message_id is None or entry.seq <= history.base.get(chat, 0):
            return
        operation = history.operations.get(entry.message_id)
        if operation is None:
            why = "was never sent"
        elif operation.definitely_failed:
            why = "was refused"
        elif operation.chat_id != chat:
            why = f"was sent to {operation.chat_id}"
        elif entry.digest and entry.digest != operation.digest and entry.digest not in texts[entry.message_id]:
            why = "has a content nobody sent"
        else:
            return
        found[entry.message_id, why] = Anomaly(Kind.PHANTOM, f"{entry.message_id} at {chat}/{entry.seq} {why} ({where})")

    for where, logs in (("final", history.final), ("applied", history.applied)):
        for (who, chat), entries in logs.items():
            for entry in entries:
                look(f"{where} of {who}", chat, entry)
    return list(found.values())


def _gaps(history: History) -> list[Anomaly]:
    found = []
    for (client, chat), entries in history.applied.items():
        highest = None
        for entry in entries:
            if highest is not None and entry.seq > highest + 1:
                found.append(Anomaly(Kind.GAP, f"{client} went from {chat}/{highest} to {entry.seq}"))
            highest = entry.seq if highest is None else max(highest, entry.seq)
    for (user, chat), entries in history.final.items():
        there = {entry.seq for entry in entries} | history.changes.get(chat, set())
        head = max([history.heads.get((user, chat), 0), *(entry.seq for entry in entries)])
        missing = [seq for seq in range(history.base.get(chat, 0) + 1, head + 1)
                   if seq not in there and history.may_see(user, chat, seq)]
        if missing:
            found.append(Anomaly(Kind.GAP, f"the log of {chat} as {user} reads it has no {missing[:10]} "
                                           f"({len(missing)} in all, head {head})"))
    return found


def _reordered(history: History) -> list[Anomaly]:
    found = []
    for where, logs in (("applied", history.applied), ("final", history.final)):
        for (who, chat), entries in logs.items():
            for before, after in zip(entries, entries[1:]):
                if after.seq < before.seq:
                    found.append(Anomaly(Kind.REORDER, f"{where} of {who} in {chat}: {after.seq} after {before.seq}"))
    at: dict[tuple[str, int], str] = {}
    for (user, chat), entries in history.final.items():
        for entry in entries:
            other = at.setdefault((chat, entry.seq), entry.message_id or "")
            if other != (entry.message_id or ""):
                found.append(Anomaly(Kind.REORDER, f"{chat}/{entry.seq} is {other} and, for {user}, {entry.message_id}"))
    by_chat = defaultdict(list)
    for operation in history.operations.values():
        if operation.acks:
            by_chat[operation.chat_id].append(operation)
    for chat, operations in by_chat.items():
        acked = sorted((min(at for _, at in each.acks), each.acked_seq, each.message_id) for each in operations)
        position, highest, holder = 0, 0, ""
        for each in sorted(operations, key=lambda each: each.invoked_at):
            while position < len(acked) and acked[position][0] < each.invoked_at:
                if acked[position][1] > highest:
                    highest, holder = acked[position][1], acked[position][2]
                position += 1
            if each.acked_seq < highest:
                found.append(Anomaly(Kind.REORDER, f"{each.message_id} sent after {holder} was acknowledged at "
                                                   f"{chat}/{highest} and got {each.acked_seq}"))
    return found


def _leaks(history: History) -> list[Anomaly]:
    found = []
    for (client, chat), entries in history.applied.items():
        user = history.clients.get(client, client)
        found += [Anomaly(Kind.LEAK, f"{client} of {user} was given {chat}/{entry.seq}")
                  for entry in entries if not history.may_see(user, chat, entry.seq)]
    for (user, chat), entries in history.final.items():
        found += [Anomaly(Kind.LEAK, f"{user} reads {chat}/{entry.seq}")
                  for entry in entries if not history.may_see(user, chat, entry.seq)]
    return found


def _stale(history: History) -> list[Anomaly]:
    found = []
    acked = defaultdict(list)
    for operation in history.operations.values():
        for seq, at in operation.acks:
            acked[operation.chat_id].append((at, seq))
    for entries in acked.values():
        entries.sort()
    for read in history.reads:
        known = max((seq for at, seq in acked[read.chat_id] if at < read.invoked_at
                     and history.may_see(read.user, read.chat_id, seq)), default=0)
        if read.head < known:
            found.append(Anomaly(Kind.STALE, f"{read.user} read {read.chat_id} up to {read.head} "
                                             f"after {known} was acknowledged"))
    for client, user in history.clients.items():
        for (member, chat), head in history.heads.items():
            if member != user:
                continue
            held = history.applied.get((client, chat), [])
            last = max([entry.seq for entry in held], default=history.base.get(chat, 0))
            if last < head:
                found.append(Anomaly(Kind.STALE, f"{client} ended at {chat}/{last}, a fresh snapshot is at {head}"))
            texts = {entry.message_id: entry for entry in history.final.get((user, chat), [])}
            for entry in held:
                fresh = texts.get(entry.message_id) if entry.message_id else None
                if fresh is not None and fresh.seq != entry.seq:
                    found.append(Anomaly(Kind.STALE, f"{client} holds {entry.message_id} at {entry.seq}, "
                                                     f"a fresh snapshot has it at {fresh.seq}"))
    return found
