"""Each class of refusal is a proper problem; each limit holds at the limit and refuses one above it."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from rig.client import PASSWORD, Account, Reply, Rest, a_chat, a_name, a_user, an_id, some_users
from rig.daemon import Daemon
from rig.documents import document
from rig.raw_http import exchange


async def test_404_of_a_route_and_405_with_allow(rest: Rest) -> None:
    ann = await a_user(rest)
    (await ann.get("nothing/here")).problem(404, "not_found")
    answer = await ann.request("PUT", "users/me", {})
    answer.problem(405)
    assert {"GET", "PATCH"} <= {each.strip() for each in answer.headers["Allow"].split(",")}


async def test_415_and_malformed_bodies(rest: Rest) -> None:
    ann = await a_user(rest)
    answer = await ann.request("PATCH", "users/me", data=b"display_name=x",
                               headers={"Content-Type": "application/x-www-form-urlencoded"})
    answer.problem(415)
    for body in (b"{", b"[]", b"5", b'"x"', b"nul", b"{\"a\":1}x", b"\xff\xfe", b"{\"display_name\":\"\xc3\x28\"}",
                 b'{"display_name":"a","display_name":"b"}', b'{"display_name": "\\ud800"}',
                 b"[" * 100_000, b'{"a":' * 5_000, b'{"display_name": 1e400}', b"\xef\xbb\xbf{}x", b"{'display_name': 'x'}"):
        answer = await ann.request("PATCH", "users/me", data=body)
        assert answer.status in (400, 413, 422), (body[:40], answer.status)
        answer.problem(answer.status)


async def test_413_and_the_body_limit(rest: Rest) -> None:
    ann = await a_user(rest)
    answer = await ann.request("PATCH", "users/me", data=b'{"display_name": "' + b"x" * 2_000_000 + b'"}')
    answer.problem(413, "too_large")


async def test_406(rest: Rest) -> None:
    ann = await a_user(rest)
    for refused in ("image/png", "text/html, application/xml;q=0.9", "application/json;q=0"):
        (await ann.get("users/me", headers={"Accept": refused})).problem(406, "not_acceptable")
    (await ann.get("users/me", headers={"Accept": "*/*"})).expect(200)


async def test_validation_errors_name_the_field(rest: Rest) -> None:
    answer = await rest.post("auth/register", {"username": 5, "password": "long enough password"})
    problem = answer.problem(answer.status)
    assert answer.status in (400, 422)
    assert any("username" in error["field"] for error in problem["errors"]), problem
    answer = await rest.post("auth/register", {"username": "someone_new", "password": "long enough", "surprise": 1})
    problem = answer.problem(400, "unknown_field")
    assert "surprise" in json.dumps(problem)


async def test_request_ids_are_made_kept_and_cleaned(rest: Rest) -> None:
    made = (await rest.get("nothing")).headers["X-Request-Id"]
    assert 8 <= len(made) <= 64
    kept = await rest.get("nothing", headers={"X-Request-Id": "abc-123.DEF"})
    assert kept.headers["X-Request-Id"] == "abc-123.DEF" and kept["request_id"] == "abc-123.DEF"
    assert (await rest.get("nothing", headers={"X-Correlation-Id": "corr-7-abcdef"})).headers["X-Request-Id"] == "corr-7-abcdef"
    for wild in ("x" * 500, "a b", '"}{"', "<script>"):
        assert (await rest.get("nothing", headers={"X-Request-Id": wild})).headers["X-Request-Id"] != wild


async def test_security_headers_on_all(rest: Rest) -> None:
    ann = await a_user(rest)
    for answer in (await ann.get("users/me"), await rest.get("nothing"), await rest.get("/"), await rest.get("/health")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Security-Policy" in answer.headers
        assert "Referrer-Policy" in answer.headers
        assert "X-Powered-By" not in answer.headers
    assert (await ann.get("users/me")).headers["Cache-Control"].startswith("no-store")


async def limits(rest: Rest) -> dict:
    return (await rest.get("server")).expect(200)["limits"]


async def test_the_server_tells_its_limits_like_the_hello(rest: Rest) -> None:
    about = (await rest.get("server")).expect(200).json
    assert about["name"] and about["version"] and isinstance(about["features"], (list, dict))
    ann = await a_user(rest)
    async with ann.socket() as socket:
        assert socket.hello["data"]["limits"].items() <= about["limits"].items()


def a_limit(table: dict, *words: str) -> int:
    """The limit whose name has all the words."""
    found = [value for name, value in flatten(table).items() if all(word in name for word in words)]
    assert found, f"no limit named {words} in {sorted(flatten(table))}"
    return int(found[0])


def flatten(table: dict, prefix: str = "") -> dict:
    flat = {}
    for name, value in table.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


async def a_lonely_chat(rest: Rest) -> tuple[Account, str]:
    ann = await a_user(rest)
    return ann, (await a_chat(ann))["id"]


async def test_text_limit(rest: Rest) -> None:
    ann, chat = await a_lonely_chat(rest)
    limit = a_limit(await limits(rest), "text")
    body = {"id": an_id(), "chat_id": chat, "type": "text"}
    (await ann.post("messages", body | {"text": "x" * limit})).expect(201)
    for size in (limit + 1, limit * 10):
        answer = await ann.post("messages", body | {"id": an_id(), "text": "x" * size})
        assert answer.status in (400, 413, 422), (size, answer.status)
    async with ann.socket() as socket:
        await socket.message(chat, "y" * limit)
        await socket.send_frame(json.dumps({"type": "message", "ref": "9", "data": body | {
            "id": an_id(), "text": "y" * (limit + 1)}}))
        event = await socket.event("error")
        assert event["error"]["status"] in (400, 413, 422)
        assert (await socket.call("ping"))["type"] == "pong"


async def test_title_limit(rest: Rest) -> None:
    ann = await a_user(rest)
    limit = a_limit(await limits(rest), "title")
    (await ann.post("chats", {"type": "group", "title": "x" * limit})).expect(201)
    assert (await ann.post("chats", {"type": "group", "title": "x" * (limit + 1)})).status in (400, 422)


async def test_member_list_limit(rest: Rest) -> None:
    ann = await a_user(rest)
    answer = await ann.post("chats", {"type": "group", "title": "t", "member_ids": [an_id() for _ in range(6000)]})
    assert answer.status in (400, 413, 422)


async def test_mentions_attachments_and_metadata_are_bounded(rest: Rest) -> None:
    ann, chat = await a_lonely_chat(rest)
    base = {"chat_id": chat, "type": "text", "text": "x"}
    for change in ({"mentions": [an_id() for _ in range(4000)]}, {"metadata": {"k": "x" * 200_000}},
                   {"metadata": {str(number): 1 for number in range(20_000)}}):
        answer = await ann.post("messages", base | {"id": an_id()} | change)
        assert answer.status in (400, 413, 422), (list(change), answer.status)


async def test_distinct_reactions_are_bounded(rest: Rest) -> None:
    ann, chat = await a_lonely_chat(rest)
    sent = await ann.send(chat)
    statuses = set()
    for number in range(150):
        statuses.add((await ann.post(f"messages/{sent['id']}/reactions", {"emoji": chr(0x1F400 + number)})).status)
    assert statuses - {200, 201} and statuses <= {200, 201, 409, 422, 429}


async def test_list_limits(rest: Rest) -> None:
    ann, chat = await a_lonely_chat(rest)
    for path in ("chats", f"messages/chat/{chat}", "sync", f"chats/{chat}/members"):
        for limit in ("1", "200"):
            (await ann.get(path, params={"limit": limit})).expect(200)
        for limit in ("0", "1001" if path == "sync" else "201", "-1", "x", "1.5", "99999999999999999999"):
            assert (await ann.get(path, params={"limit": limit})).status in (400, 422), (path, limit)
        assert (await ann.get(path, params={"surprise": "1"})).status == 400, path


async def test_long_paths_and_headers(server: Daemon) -> None:
    long_path = await exchange(server.url, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert long_path.status in (400, 414, 431)
    long_header = await exchange(server.url, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 100_000 + b"\r\n\r\n")
    assert long_header.status == 431


async def test_one_slash_at_the_end_is_the_same_route(rest: Rest) -> None:
    ann, chat = await a_lonely_chat(rest)
    plain, slashed = await ann.get("chats"), await ann.get("chats/")
    assert slashed.expect(200).body == plain.body
    assert (await ann.get(f"chats/{chat}/")).expect(200)["id"] == chat
    (await ann.post("chats/", {"type": "group", "title": "t"})).expect(201)
    for path in ("chats//", f"chats//{chat}", f"chats/{chat}//members"):
        (await ann.get(path)).problem(404)
    answer = await ann.request("PUT", "chats/", {})
    answer.problem(405)
    assert "POST" in answer.headers["Allow"]


async def test_profile_fields_are_bounded(rest: Rest) -> None:
    ann = await a_user(rest)
    for field in ("display_name", "bio"):
        assert (await ann.patch("users/me", {field: "x" * 20_000})).status in (400, 413, 422), field


async def test_idempotency_keys(rest: Rest) -> None:
    ann = await a_user(rest)
    headers = {"Idempotency-Key": an_id()}
    body = {"type": "group", "title": "once"}
    first = (await ann.post("chats", body, headers=headers)).expect(201).json
    again = (await ann.post("chats", body, headers=headers)).expect(200, 201).json
    assert again["id"] == first["id"]
    (await ann.post("chats", {"type": "group", "title": "other"}, headers=headers)).problem(422, "idempotency_mismatch")
    assert len((await ann.get("chats"))["items"]) == 1


async def test_an_idempotency_key_keeps_no_passwords(rest: Rest) -> None:
    ann = await a_user(rest)
    headers = {"Idempotency-Key": an_id()}
    body = {"current_password": PASSWORD, "new_password": "another-Pass-9"}
    (await ann.post("auth/password/change", body, headers=headers)).expect(200, 204)
    (await ann.post("auth/password/change", body, headers=headers)).problem(401, "invalid_credentials")


async def test_an_idempotency_key_brings_no_deleted_message_back(rest: Rest) -> None:
    ann, bob = await a_user(rest), await a_user(rest)
    chat = (await a_chat(ann, bob, type="direct"))["id"]
    requests = [("messages", {"id": an_id(), "chat_id": chat, "type": "text", "text": "canary"}),
                ("chats", {"type": "direct", "member_ids": [bob.id]}), (f"chats/{chat}/reopen", {})]
    keys = [{"Idempotency-Key": an_id()} for _ in requests]
    for (path, body), key in zip(requests, keys):
        assert b"canary" in (await ann.post(path, body, headers=key)).expect(200, 201).body
    (await ann.delete(f"messages/{requests[0][1]['id']}")).expect(204)
    for (path, body), key in zip(requests, keys):
        assert b"canary" not in (await ann.post(path, body, headers=key)).expect(200).body


async def test_an_idempotency_key_stays_with_its_request_though_the_answer_is_not_kept(rest: Rest) -> None:
    ann, chat = await a_lonely_chat(rest)
    headers = {"Idempotency-Key": an_id()}
    body = {"id": an_id(), "chat_id": chat, "type": "text", "text": "once"}
    first = (await ann.post("messages", body, headers=headers)).expect(201).json
    (await ann.post("messages", body | {"text": "other"}, headers=headers)).problem(422, "idempotency_mismatch")
    (await ann.post("chats", {"type": "group", "title": "t"}, headers=headers)).problem(422, "idempotency_mismatch")
    for _ in range(2):
        again = (await ann.post("messages", body, headers=headers)).expect(200)
        assert again["seq"] == first["seq"] and "Idempotent-Replayed" not in again.headers
    assert len((await ann.history(chat))["items"]) == 1


LIMITS = set("""
    text_bytes attachments attachments_bytes mentions metadata_bytes expires_in_s_min expires_in_s_max edits emoji_bytes
    reactions_per_user reactions_per_message
    receipts_told_members
    chat_members chats_per_user chats_created people_added_at_once people_added_per_minute title_bytes context_type_bytes
    context_id_bytes unread_look_back
    username_min username_max password_min password_max password_bytes display_name_max bio_max email_bytes phone_bytes devices
    device_name_bytes identifier_bytes refresh_token_bytes
    page sync_page page_bytes account_body_bytes chat_body_bytes message_body_bytes body_bytes target_bytes header_bytes
    header_fields query_values json_depth json_values idempotency_key_bytes connections_per_address
    requests_per_connection connection_idle_s header_deadline_s body_deadline_s body_bytes_per_second request_deadline_s
    answer_deadline_s
    rates_enforced api_per_minute api_burst auth_per_minute auth_burst message_per_minute message_burst address_factor
    sign_in_factor authenticate_timeout_s idle_timeout_s refused_frames ref_bytes type_bytes token_bytes cursor_bytes
    frame_bytes first_frame_bytes frame_fragments send_queue_frames send_queue_bytes presence_watched presence_per_second
    presence_burst status_text_bytes typing_per_second typing_burst subscribes_per_second subscribes_burst""".split())


async def test_every_limit_is_told(rest: Rest) -> None:
    about = await limits(rest)
    assert set(about) == LIMITS
    assert all(value > 0 for name, value in about.items() if name != "rates_enforced")
    async with (await a_user(rest)).socket() as socket:
        assert socket.hello["data"]["limits"] == about


async def test_the_told_limits_are_those_that_hold(rest: Rest) -> None:
    about, (ann, chat) = await limits(rest), await a_lonely_chat(rest)

    async def send(**change: object) -> Reply:
        return await ann.post("messages", {"id": an_id(), "chat_id": chat, "type": "text", "text": "x"} | change)

    def padded(size: int) -> bytes:
        return b"{" + b" " * (size - 2) + b"}"

    for path, name in (("users/me", "account_body_bytes"), (f"chats/{chat}", "chat_body_bytes"),
                       (f"messages/{an_id()}", "message_body_bytes")):
        assert (await ann.request("PATCH", path, data=padded(about[name]))).status != 413, name
        (await ann.request("PATCH", path, data=padded(about[name] + 1))).problem(413, "too_large")
    for name in ("expires_in_s_min", "expires_in_s_max"):
        (await send(expires_in_s=about[name])).expect(201)
    for wrong in (about["expires_in_s_min"] - 1, about["expires_in_s_max"] + 1):
        (await send(expires_in_s=wrong)).problem(400)
    attachment = {"a": "x" * (about["attachments_bytes"] - len('[{"a":""}]'))}
    (await send(attachments=[attachment])).expect(201)
    (await send(attachments=[{"a": attachment["a"] + "x"}])).problem(400)
    (await ann.get("sync", params={"limit": about["sync_page"]})).expect(200)
    (await ann.get("sync", params={"limit": about["sync_page"] + 1})).problem(400)
    title = {"type": "group", "title": "t"}
    key = {"Idempotency-Key": "k" * about["idempotency_key_bytes"]}
    (await ann.post("chats", title, headers=key)).expect(201)
    (await ann.post("chats", title, headers={"Idempotency-Key": key["Idempotency-Key"] + "k"})).problem(400)
    for kind, field in (("context_type_bytes", "type"), ("context_id_bytes", "id")):
        context = {"type": "t", "id": "1"}
        (await ann.post("chats", title | {"context": context | {field: "x" * about[kind]}})).expect(201)
        (await ann.post("chats", title | {"context": context | {field: "x" * (about[kind] + 1)}})).problem(400)
    sent = await ann.send(chat)
    for number in range(about["reactions_per_user"] + 1):
        answer = await ann.post(f"messages/{sent['id']}/reactions", {"emoji": chr(0x1F400 + number)})
        assert answer.status == (200 if number < about["reactions_per_user"] else 409)


async def test_receipts_are_told_to_all_in_chats_up_to_their_limit(rest: Rest) -> None:
    limit = (await limits(rest))["receipts_told_members"]
    ann, bob, one_more = [await a_user(rest) for _ in range(3)]
    desk = await bob.another_device()
    others = await some_users(rest, limit - 2)
    chat = (await a_chat(ann, bob, *others))["id"]
    async with ann.socket() as anns, bob.socket() as bobs, desk.socket() as desks:
        for told in (True, False):
            sent = await ann.send(chat)
            await bobs.send_frame({"type": "read_receipt", "data": {"chat_id": chat, "seq": sent["seq"]}})
            for socket in (desks, anns) if told else (desks,):
                event = await socket.event("read_receipt", lambda frame: frame["data"]["seq"] == sent["seq"])
                assert event["data"]["user_id"] == bob.id
            if told:
                (await ann.post(f"chats/{chat}/members", {"user_ids": [one_more.id]})).expect(200)
        await anns.no_event("read_receipt")
    reads = (await ann.get(f"chats/{chat}/reads", params={"limit": "200"}))["items"]
    assert [each["read_seq"] for each in reads if each["user_id"] == bob.id] == [sent["seq"]]


async def test_a_bad_cursor_has_one_code(rest: Rest) -> None:
    ann, chat = await a_lonely_chat(rest)
    sent = await ann.send(chat)
    for path in ("chats", f"chats/{chat}/members", f"chats/{chat}/reads", f"messages/{sent['id']}/reactions",
                 f"messages/{sent['id']}/edits", "auth/sessions", "users/me/devices", "sync"):
        (await ann.get(path, params={"cursor": "nonsense"})).problem(400, "invalid_cursor")


async def test_a_wrong_query_names_the_parameter(rest: Rest) -> None:
    ann, chat = await a_lonely_chat(rest)
    message = f"messages/{(await ann.send(chat))['id']}"
    for method, path, params, field, code in (
            ("GET", f"messages/chat/{chat}", {"before_seq": 1, "after_seq": 1}, "after_seq", "not_together"),
            ("DELETE", message, {"for": "nobody"}, "for", "bad_format"),
            ("DELETE", message, {"change_id": "x"}, "change_id", "bad_format"),
            ("DELETE", f"chats/{chat}", {"change_id": "x"}, "change_id", "bad_format"),
            ("DELETE", f"{message}/reactions", {}, "emoji", "required"),
            ("GET", "sync", {"limit": "x"}, "limit", "wrong_type"),
            ("GET", "chats", {"cursor": "x"}, "cursor", "bad_format"),
            ("GET", "sync", {"cursor": "x"}, "cursor", "bad_format")):
        problem = (await ann.request(method, path, params=params)).problem(400)
        assert [(each["field"], each["code"]) for each in problem["errors"]] == [(f"query.{field}", code)], (path, problem)


async def test_an_unknown_parameter_is_refused_everywhere(rest: Rest) -> None:
    ann = await a_user(rest)
    tried = 0
    for path, item in document("openapi.yaml")["paths"].items():
        for method in {"get", "post", "patch", "delete"} & item.keys():
            if not path.startswith("/api/"):
                continue  # asked by people and probes
            body = {} if "requestBody" in item[method] else None
            answer = await ann.request(method.upper(), re.sub(r"{\w+}", ann.id, path), body, params={"surprise": "1"})
            problem = answer.problem(400, "unknown_field")
            assert [each["field"] for each in problem["errors"]] == ["query.surprise"], (method, path)
            tried += 1
    assert tried > 30
    (await ann.get("users/me")).expect(200)


async def test_fields_without_a_use_yet_are_known(rest: Rest) -> None:
    ann = await a_user(rest, invite=None)
    login = {"identifier": ann.username, "password": PASSWORD}
    (await rest.post("auth/login", login | {"totp": None})).expect(200)
    for answer, field in ((await rest.post("auth/login", login | {"totp": "123456"}), "totp"),
                          (await rest.post("auth/register", {"username": a_name(), "password": PASSWORD, "invite": "x"}), "invite")):
        refusal = answer.problem(422)
        assert [error["field"] for error in refusal["errors"]] == [field]
