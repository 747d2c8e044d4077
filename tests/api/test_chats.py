"""Direct and group chats, their members, lists with unread counts, read marks."""

from __future__ import annotations

import asyncio

import pytest

from rig.client import Reply, Rest, a_chat, a_user, an_id

pytestmark = pytest.mark.core

CHAT_FIELDS = {"id", "type", "title", "status", "encryption", "last_seq", "last_message", "unread_count", "read_seq",
               "my_role", "permissions", "member_count", "settings", "created_at", "last_message_at"}


async def test_a_group_has_an_owner_and_all_fields(rest: Rest) -> None:
    ann, bob, eve = await a_user(rest), await a_user(rest), await a_user(rest)
    chat = (await ann.post("chats", {"type": "group", "title": "Trip", "member_ids": [bob.id, eve.id]})).expect(201).json
    assert CHAT_FIELDS <= chat.keys(), CHAT_FIELDS - chat.keys()
    assert chat["type"] == "group" and chat["title"] == "Trip" and chat["my_role"] == "owner"
    assert chat["member_count"] == 3 and chat["encryption"] == "none" and chat["status"] == "active"
    seen = (await bob.get(f"chats/{chat['id']}")).expect(200).json
    assert seen["my_role"] == "member"


async def test_a_direct_chat_is_one_per_pair(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    first = (await ann.post("chats", {"type": "direct", "member_ids": [bob.id]})).expect(201).json
    again = (await ann.post("chats", {"type": "direct", "member_ids": [bob.id]})).expect(200).json
    back = (await bob.post("chats", {"type": "direct", "member_ids": [ann.id]})).expect(200).json
    assert first["id"] == again["id"] == back["id"]


async def test_direct_chats_made_at_once_are_one(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    answers = await asyncio.gather(*(
        who.post("chats", {"type": "direct", "member_ids": [other.id]})
        for who, other in [(ann, bob), (bob, ann)] * 8))
    assert {answer.status for answer in answers} <= {200, 201}
    assert len({answer["id"] for answer in answers}) == 1


@pytest.mark.parametrize("body", [
    {"type": "direct", "member_ids": []}, {"type": "nonsense"}, {"type": "group", "member_ids": "me"},
    {"type": "group", "member_ids": ["not-an-id"]}, {"type": "group", "title": 5}, {"title": "no type"},
    {"type": "group", "title": "x" * 10_000},
])
async def test_malformed_chats_are_refused(rest: Rest, body: dict) -> None:
    ann = await a_user(rest)
    answer = await ann.post("chats", body)
    assert answer.status in (400, 422), answer.body
    answer.problem(answer.status)
    assert (await ann.get("chats"))["items"] == []


async def test_a_chat_with_an_unknown_member_is_not_made(rest: Rest) -> None:
    ann = await a_user(rest)
    answer = await ann.post("chats", {"type": "group", "title": "t", "member_ids": [an_id()]})
    assert answer.status in (404, 422)
    assert (await ann.get("chats"))["items"] == []


async def test_the_list_has_unread_counts_and_last_messages(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    quiet, busy = await a_chat(ann, bob), await a_chat(ann, bob)
    for number in range(3):
        await ann.send(busy["id"], f"m{number}")
    items = {item["id"]: item for item in (await bob.get("chats"))["items"]}
    assert items[busy["id"]]["unread_count"] == 3
    assert items[busy["id"]]["last_message"]["text"] == "m2"
    assert items[quiet["id"]]["unread_count"] == 0 and items[quiet["id"]]["last_message"] is None
    assert next(iter(items)) == busy["id"], "the chat with the newest message comes first"
    own = {item["id"]: item for item in (await ann.get("chats"))["items"]}
    assert own[busy["id"]]["unread_count"] == 0, "own messages are not unread"


async def test_the_list_pages_by_cursor(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    made = [(await a_chat(ann, bob))["id"] for _ in range(7)]
    found, cursor = [], None
    for _ in range(10):
        page = (await ann.get("chats", params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).expect(200).json
        assert len(page["items"]) <= 3
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(found) == sorted(made)
    (await ann.get("chats", params={"cursor": "garbage"})).problem(400)


async def test_read_marks_move_forward_only(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    chat = await a_chat(ann, bob)
    seqs = [(await ann.send(chat["id"], str(number)))["seq"] for number in range(4)]
    (await bob.post(f"chats/{chat['id']}/read", {"seq": seqs[2]})).expect(200, 204)
    assert (await bob.get(f"chats/{chat['id']}"))["unread_count"] == 1
    (await bob.post(f"chats/{chat['id']}/read", {"seq": seqs[0]})).expect(200, 204)
    seen = (await bob.get(f"chats/{chat['id']}")).json
    assert seen["unread_count"] == 1 and seen["read_seq"] == seqs[2]
    reads = (await ann.get(f"chats/{chat['id']}/reads")).expect(200)["items"]
    assert next(item for item in reads if item["user_id"] == bob.id)["read_seq"] == seqs[2]


async def test_a_read_mark_beyond_the_head_is_no_more_than_the_head(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    chat = await a_chat(ann, bob)
    seq = (await ann.send(chat["id"]))["seq"]
    answer = await bob.post(f"chats/{chat['id']}/read", {"seq": seq + 1000})
    assert answer.status in (200, 204, 400, 422)
    await ann.send(chat["id"])
    assert (await bob.get(f"chats/{chat['id']}"))["unread_count"] >= 1
    for wrong in (-1, "5", 1.5, None, 2**63):
        assert (await bob.post(f"chats/{chat['id']}/read", {"seq": wrong})).status in (400, 422)


async def test_members_are_added_and_removed(rest: Rest) -> None:
    ann, bob, eve = await a_user(rest), await a_user(rest), await a_user(rest)
    chat = await a_chat(ann, bob)
    (await ann.post(f"chats/{chat['id']}/members", {"user_ids": [eve.id]})).expect(200, 201)
    items = (await eve.get(f"chats/{chat['id']}/members")).expect(200)["items"]
    assert {item["user_id"]: item["role"] for item in items} == {
        ann.id: "owner", bob.id: "member", eve.id: "member"}
    (await ann.delete(f"chats/{chat['id']}/members/{eve.id}")).expect(200, 204)
    (await eve.get(f"chats/{chat['id']}")).problem(404)
    (await eve.get(f"messages/chat/{chat['id']}")).problem(404)
    assert chat["id"] not in {item["id"] for item in (await eve.get("chats"))["items"]}


async def test_a_new_member_sees_from_the_join_on(rest: Rest) -> None:
    ann, bob, eve = await a_user(rest), await a_user(rest), await a_user(rest)
    chat = await a_chat(ann, bob)
    before = await ann.send(chat["id"], "before")
    (await ann.post(f"chats/{chat['id']}/members", {"user_ids": [eve.id]})).expect(200, 201)
    after = await ann.send(chat["id"], "after")
    ids = [item["id"] for item in (await eve.history(chat["id"]))["items"]]
    assert ids == [after["id"]]
    (await eve.get(f"messages/{before['id']}")).problem(404)
    (await eve.get(f"messages/{after['id']}")).expect(200)
    listed = next(item for item in (await eve.get("chats"))["items"] if item["id"] == chat["id"])
    assert listed["unread_count"] == 1


async def test_leaving_and_what_an_owner_leaves_behind(rest: Rest) -> None:
    ann, bob, eve = await a_user(rest), await a_user(rest), await a_user(rest)
    chat = await a_chat(ann, bob, eve)
    (await bob.delete(f"chats/{chat['id']}/members/me")).expect(200, 204)
    (await bob.get(f"chats/{chat['id']}")).problem(404)
    gone = await ann.delete(f"chats/{chat['id']}/members/me")
    if gone.status in (200, 204):
        roles = [item["role"] for item in (await eve.get(f"chats/{chat['id']}/members"))["items"]]
        assert "owner" in roles, "a chat with members has an owner"
    else:
        gone.problem(409)


async def test_roles_and_what_they_allow(rest: Rest) -> None:
    ann, bob, eve, tom = [await a_user(rest) for _ in range(4)]
    chat = await a_chat(ann, bob, eve)
    path = f"chats/{chat['id']}/members"
    (await bob.delete(f"{path}/{eve.id}")).problem(403)
    (await bob.patch(f"{path}/{bob.id}", {"role": "owner"})).problem(403)
    (await ann.patch(f"{path}/{bob.id}", {"role": "admin"})).expect(200, 204)
    (await bob.post(path, {"user_ids": [tom.id]})).expect(200, 201)
    (await bob.delete(f"{path}/{tom.id}")).expect(200, 204)
    (await bob.delete(f"{path}/{ann.id}")).problem(403)
    (await bob.patch(f"{path}/{ann.id}", {"role": "member"})).problem(403)
    (await ann.patch(f"{path}/{bob.id}", {"role": "member"})).expect(200, 204)
    (await bob.delete(f"{path}/{eve.id}")).problem(403)
    (await ann.patch(f"{path}/{eve.id}", {"role": "emperor"})).problem(400, "invalid_request")


async def test_the_last_owner_is_never_demoted_even_in_a_race(rest: Rest) -> None:
    for _ in range(5):
        ann, bob = await a_user(rest), await a_user(rest)
        chat = await a_chat(ann, bob)
        path = f"chats/{chat['id']}/members"
        (await ann.patch(f"{path}/{bob.id}", {"role": "owner"})).expect(200)
        await asyncio.gather(ann.patch(f"{path}/{bob.id}", {"role": "member"}),
                             bob.patch(f"{path}/{ann.id}", {"role": "member"}))
        roles = [item["role"] for item in (await ann.get(path))["items"]]
        assert roles.count("owner") >= 1, roles


async def test_the_title_is_edited_by_those_who_may(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    chat = await a_chat(ann, bob)
    (await bob.patch(f"chats/{chat['id']}", {"title": "mine"})).problem(403)
    changed = (await ann.patch(f"chats/{chat['id']}", {"title": "ours"})).expect(200).json
    assert changed["title"] == "ours" and changed["last_seq"] > chat["last_seq"]
    (await ann.patch(f"chats/{chat['id']}", {"owner_id": bob.id})).problem(400, "unknown_field")


async def test_a_former_member_who_repeats_a_change_sees_nothing(rest: Rest) -> None:
    ann, bob, eve = await a_user(rest), await a_user(rest), await a_user(rest)
    chat = await a_chat(ann, bob)
    path = f"chats/{chat['id']}/members"
    promotion, addition = {"role": "admin", "change_id": an_id()}, {"user_ids": [eve.id], "change_id": an_id()}
    (await ann.patch(f"{path}/{bob.id}", promotion)).expect(200)
    (await bob.post(path, addition)).expect(200)
    (await bob.post(path, addition)).expect(200)
    (await ann.delete(f"{path}/{bob.id}")).expect(204)
    (await bob.post(path, addition)).problem(404)
    (await ann.post(f"chats/{chat['id']}/transfer", {"user_id": eve.id})).expect(200)
    leaving = {"change_id": an_id()}
    (await ann.delete(f"{path}/me", params=leaving)).expect(204)
    (await ann.delete(f"{path}/me", params=leaving)).expect(204)
    (await ann.patch(f"{path}/{eve.id}", {"role": "admin"} | promotion)).problem(404)


@pytest.mark.parametrize("method, tail, first, other", [
    ("PATCH", "", {"title": "A"}, {"title": "B"}),
    ("PATCH", "", {"title": "A"}, {"title": None}),
    ("POST", "/archive", {}, ("POST", "/close", {})),
    ("POST", "/archive", {}, ("PATCH", "", {"title": "A"})),
    ("PATCH", "", {"title": "A"}, ("POST", "/reopen", {})),
    ("POST", "/members", {"user_ids": ["tom"]}, {"user_ids": ["tom", "zoe"]}),
    ("POST", "/members", {"user_ids": ["tom", "bob"]}, {"user_ids": ["tom"]}),
    ("PATCH", "/members/{bob}", {"role": "admin"}, ("PATCH", "/members/{eve}", {"role": "admin"})),
    ("PATCH", "/members/{bob}", {"role": "admin"}, ("POST", "/transfer", {"user_id": "bob"})),
    ("DELETE", "/members/{bob}", {}, ("DELETE", "/members/{eve}", {})),
])
async def test_a_change_id_with_other_content_is_refused(rest: Rest, method: str, tail: str, first: dict,
                                                         other: dict | tuple) -> None:
    ann = await a_user(rest)
    people = {name: (await a_user(rest)).id for name in ("bob", "eve", "tom", "zoe")}
    chat = (await ann.post("chats", {"type": "group", "title": "T", "member_ids": [people["bob"], people["eve"]]}))["id"]
    change = an_id()

    async def ask(method: str, tail: str, body: dict) -> Reply:
        body = {name: [people[each] for each in value] if name == "user_ids" else people[value] if name == "user_id" else value
                for name, value in body.items()}
        path = f"chats/{chat}{tail.format(**people)}"
        if method == "DELETE":
            return await ann.delete(path, params={"change_id": change})
        return await ann.request(method, path, body | {"change_id": change})

    done = (await ask(method, tail, first)).expect(200, 204)
    again = (await ask(method, tail, first)).expect(done.status)
    assert again.body == done.body
    before = (await ann.get(f"chats/{chat}")).json, (await ann.get(f"chats/{chat}/members")).json
    (await ask(*(other if isinstance(other, tuple) else (method, tail, other)))).problem(409, "id_reused")
    assert before == ((await ann.get(f"chats/{chat}")).json, (await ann.get(f"chats/{chat}/members")).json)


@pytest.mark.parametrize("state", ["archive", "close"])
async def test_a_chat_that_is_not_open_refuses_with_one_code(rest: Rest, state: str) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    chat = (await a_chat(ann))["id"]
    message = f"messages/{(await ann.send(chat))['id']}"
    (await ann.post(f"chats/{chat}/{state}", {})).expect(200)
    for method, path, body in [("POST", "messages", {"id": an_id(), "chat_id": chat, "type": "text", "text": "x"}),
                               ("PATCH", message, {"text": "x"}), ("POST", f"{message}/reactions", {"emoji": "\U0001F44D"}),
                               ("PATCH", f"chats/{chat}", {"title": "x"}),
                               ("POST", f"chats/{chat}/members", {"user_ids": [bob.id]})]:
        (await ann.request(method, path, body)).problem(403, "forbidden")


async def test_a_change_id_at_once_in_many_chats_is_one_change(rest: Rest) -> None:
    ann = await a_user(rest)
    chats = [(await a_chat(ann))["id"] for _ in range(6)]
    for _ in range(5):
        body = {"title": an_id(), "change_id": an_id()}
        answers = await asyncio.gather(*(ann.patch(f"chats/{chat}", body) for chat in chats))
        assert sorted(answer.status for answer in answers) == [200] + [409] * 5


async def test_direct_chats_reopened_at_once_leave_one_open(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    pair = []
    for _ in range(2):
        pair.append((await a_chat(ann, bob, type="direct"))["id"])
        (await ann.post(f"chats/{pair[-1]}/close", {})).expect(200)
    for _ in range(20):
        answers = await asyncio.gather(*(ann.post(f"chats/{chat}/reopen", {}) for chat in pair))
        assert sorted(answer.status for answer in answers) == [200, 409]
        next(answer for answer in answers if answer.status == 409).problem(409, "direct_chat_open")
        for chat in pair:
            (await ann.post(f"chats/{chat}/close", {})).expect(200)


async def test_strangers_cannot_tell_a_chat_from_nothing(rest: Rest) -> None:
    ann, bob, eve = await a_user(rest), await a_user(rest), await a_user(rest)
    chat = await a_chat(ann, bob)
    for method, tail, body in [("GET", "", None), ("PATCH", "", {"title": "x"}), ("GET", "/members", None),
                               ("POST", "/members", {"user_ids": [eve.id]}), ("POST", "/read", {"seq": 1}),
                               ("GET", "/reads", None), ("DELETE", "/members/me", None)]:
        real = await eve.request(method, f"chats/{chat['id']}{tail}", body)
        none = await eve.request(method, f"chats/{an_id()}{tail}", body)
        one, other = real.problem(404), none.problem(404)
        for each in (one, other):
            each.pop("request_id"), each.pop("instance", None)
        assert one == other, (method, tail)
