"""The checker itself: a clean run passes, and each of the seven faults is caught, planted in a clean run."""

from __future__ import annotations

import random

import pytest

from rig.checker import Kind, assert_clean, check
from rig.history import Edit, Entry, History, Read, digest

CHATS = ("c1", "c2")
USERS = ("u1", "u2", "u3")
MESSAGES = 60


def a_clean_run(seed: int = 7) -> History:
    """Three users with a device each in two chats; some sends are retried, refused, or never answered."""
    chance = random.Random(seed)
    history = History()
    logs: dict[str, list[Entry]] = {chat: [] for chat in CHATS}
    for chat in CHATS:
        history.base[chat] = 1
        for user in USERS:
            history.member(chat, user)
    for user in USERS:
        history.clients[f"{user}-phone"] = user
    now = 0.0
    for number in range(MESSAGES):
        now += 1.0
        chat, user, name = chance.choice(CHATS), chance.choice(USERS), f"m{number}"
        history.invoke(name, chat, user, f"{user}-phone", name, now)
        fate = chance.random()
        if fate < 0.1:
            history.fail(name)
            continue
        if fate < 0.2:
            history.unknown(name)
            if fate < 0.15:
                continue
        entry = Entry(len(logs[chat]) + 2, name, digest(name))
        logs[chat].append(entry)
        history.ok(name, entry.seq, now + 0.5)
        if fate > 0.9:
            history.invoke(name, chat, user, f"{user}-phone", name, now + 0.6)
            history.ok(name, entry.seq, now + 0.7)
        if fate > 0.95:
            change = Entry(len(logs[chat]) + 2, None)
            logs[chat].append(change)
    for chat in CHATS:
        for user in USERS:
            for entry in logs[chat]:
                history.apply(f"{user}-phone", chat, entry)
            history.final[user, chat] = [entry for entry in logs[chat] if entry.message_id]
            history.heads[user, chat] = logs[chat][-1].seq
            history.reads.append(Read(user, chat, now + 2, logs[chat][-1].seq))
    return history


def an_acked(history: History, chat: str = "c1"):
    return next(each for each in history.operations.values() if each.acks and each.chat_id == chat)


def kinds(history: History) -> set[Kind]:
    return {each.kind for each in check(history)}


@pytest.mark.parametrize("seed", range(20))
def test_a_clean_run_passes(seed: int) -> None:
    assert_clean(a_clean_run(seed))


def test_an_unknown_message_may_be_there() -> None:
    history = a_clean_run()
    history.invoke("maybe", "c1", "u1", "u1-phone", "maybe", 900.0)
    history.unknown("maybe")
    entry = Entry(history.heads["u1", "c1"] + 1, "maybe", digest("maybe"))
    for user in USERS:
        history.final[user, "c1"].append(entry)
        history.heads[user, "c1"] = entry.seq
        history.apply(f"{user}-phone", "c1", entry)
    assert_clean(history)


def test_lost_for_everybody() -> None:
    history = a_clean_run()
    gone = an_acked(history)
    for user in USERS:
        history.final[user, "c1"] = [each for each in history.final[user, "c1"] if each.message_id != gone.message_id]
    assert Kind.LOST in kinds(history)


def test_lost_for_one_member() -> None:
    history = a_clean_run()
    gone = an_acked(history)
    history.final["u2", "c1"] = [each for each in history.final["u2", "c1"] if each.message_id != gone.message_id]
    assert Kind.LOST in kinds(history)


def test_lost_edit() -> None:
    history = a_clean_run()
    target = an_acked(history)
    head = history.heads["u1", "c1"]
    history.edits["e1"] = Edit("e1", target.message_id, "c1", digest("new text"), seq=head + 1)
    for user in USERS:
        history.apply(f"{user}-phone", "c1", Entry(head + 1, None))
        history.heads[user, "c1"] = head + 1
    assert kinds(history) == {Kind.LOST}


def test_duplicate_in_the_log() -> None:
    history = a_clean_run()
    again = an_acked(history)
    for user in USERS:
        seq = history.heads[user, "c1"] + 1
        history.final[user, "c1"].append(Entry(seq, again.message_id, again.digest))
        history.heads[user, "c1"] = seq
    assert Kind.DUP in kinds(history)


def test_duplicate_acknowledgement_at_another_seq() -> None:
    history = a_clean_run()
    history.ok(an_acked(history).message_id, 9_000, 500.0)
    assert Kind.DUP in kinds(history)


def test_two_messages_at_one_seq() -> None:
    history = a_clean_run()
    first = an_acked(history)
    history.invoke("twin", "c1", "u1", "u1-phone", "twin", 800.0)
    history.ok("twin", first.acked_seq, 801.0)
    assert Kind.DUP in kinds(history)


def test_applied_twice_by_one_device() -> None:
    history = a_clean_run()
    log = history.applied["u1-phone", "c1"]
    log.append(log[-1])
    assert Kind.DUP in kinds(history)


def test_phantom_that_nobody_sent() -> None:
    history = a_clean_run()
    for user in USERS:
        seq = history.heads[user, "c2"] + 1
        history.final[user, "c2"].append(Entry(seq, "ghost", digest("boo")))
        history.apply(f"{user}-phone", "c2", Entry(seq, "ghost", digest("boo")))
        history.heads[user, "c2"] = seq
    assert kinds(history) == {Kind.PHANTOM}


def test_phantom_that_was_refused() -> None:
    history = a_clean_run()
    refused = next(each for each in history.operations.values() if each.definitely_failed)
    chat = refused.chat_id
    for user in USERS:
        seq = history.heads[user, chat] + 1
        entry = Entry(seq, refused.message_id, refused.digest)
        history.final[user, chat].append(entry)
        history.apply(f"{user}-phone", chat, entry)
        history.heads[user, chat] = seq
    assert kinds(history) == {Kind.PHANTOM}


def test_phantom_content() -> None:
    history = a_clean_run()
    log = history.final["u1", "c1"]
    log[3] = log[3]._replace(digest=digest("something else"))
    assert kinds(history) == {Kind.PHANTOM}


def test_gap_in_the_log() -> None:
    history = a_clean_run()
    for user in USERS:
        log = history.final[user, "c1"]
        seq = history.heads[user, "c1"] + 2
        history.invoke("far", "c1", "u1", "u1-phone", "far", 700.0)
        log.append(Entry(seq, "far", digest("far")))
        history.heads[user, "c1"] = seq
    assert Kind.GAP in kinds(history)


def test_gap_on_one_device() -> None:
    history = a_clean_run()
    del history.applied["u3-phone", "c1"][4]
    assert kinds(history) == {Kind.GAP}


def test_reordered_on_one_device() -> None:
    history = a_clean_run()
    log = history.applied["u3-phone", "c1"]
    log[4], log[5] = log[5], log[4]
    assert Kind.REORDER in kinds(history)


def test_reordered_against_real_time() -> None:
    history = a_clean_run()
    first, second = [each for each in history.operations.values() if each.chat_id == "c1" and len(each.acks) == 1][:2]
    first.acks, second.acks = [(second.acks[0][0], first.acks[0][1])], [(first.acks[0][0], second.acks[0][1])]
    for logs in (history.final, history.applied):
        for (_, chat), log in logs.items():
            if chat == "c1":
                places = {first.message_id: first, second.message_id: second}
                log[:] = sorted(
                    each._replace(seq=places[each.message_id].acked_seq) if each.message_id in places else each
                    for each in log)
    assert kinds(history) == {Kind.REORDER}


def test_members_who_disagree() -> None:
    history = a_clean_run()
    log = history.final["u2", "c1"]
    one, other = log[2], log[3]
    log[2], log[3] = one._replace(message_id=other.message_id), other._replace(message_id=one.message_id)
    assert Kind.REORDER in kinds(history)


def test_leak_to_a_stranger() -> None:
    history = a_clean_run()
    history.clients["spy-phone"] = "spy"
    history.apply("spy-phone", "c1", history.applied["u1-phone", "c1"][0])
    assert kinds(history) == {Kind.LEAK}


def test_leak_after_removal() -> None:
    history = a_clean_run()
    history.members["c1"]["u3"] = [(1, 10)]
    assert Kind.LEAK in kinds(history)


def test_leak_from_before_joining() -> None:
    history = a_clean_run()
    history.members["c1"]["u3"] = [(10, None)]
    assert Kind.LEAK in kinds(history)


def test_stale_read() -> None:
    history = a_clean_run()
    history.reads.append(Read("u1", "c1", 10_000.0, history.heads["u1", "c1"] - 1 - len(history.changes["c1"])))
    assert kinds(history) == {Kind.STALE}


def test_stale_device_at_the_end() -> None:
    history = a_clean_run()
    history.applied["u2-phone", "c2"].pop()
    assert kinds(history) == {Kind.STALE}


def test_a_device_that_got_nothing_is_stale() -> None:
    history = a_clean_run()
    del history.applied["u2-phone", "c2"]
    assert kinds(history) == {Kind.STALE}
