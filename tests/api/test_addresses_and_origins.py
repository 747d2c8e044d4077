"""Rate limits cannot be dodged or turned on others by headers; browsers of other origins get nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from rig.client import PASSWORD, Closed, Problem, Rest, a_chat, a_name, a_user, an_id
from rig.daemon import Daemon

SPOOFS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP")
ALLOWED = "https://chat.example.com"


@pytest.fixture(scope="module")
def limited(postgres, binary):
    daemon = Daemon(database_url=postgres.new_database(), name="limited",
                    settings={"SUPD__RATE_LIMIT__ENABLED": "true", "CORS_ORIGIN": ALLOWED}).start()
    yield daemon
    daemon.close()


async def tries_until_limited(rest: Rest, headers: Callable[[], dict], most: int = 60) -> int:
    for number in range(most):
        answer = await rest.post("auth/login", {"identifier": a_name("nobody"), "password": PASSWORD}, headers=headers())
        if answer.status == 429:
            answer.problem(429, "rate_limited")
            assert int(answer.headers["Retry-After"]) >= 1
            assert any(name.lower().startswith("ratelimit") for name in answer.headers)
            return number
        assert answer.status == 401, answer.body
    return most


async def test_forged_addresses_do_not_move_the_limit(limited: Daemon, chance: random.Random) -> None:
    def address() -> str:
        return ".".join(str(chance.randrange(1, 250)) for _ in range(4))

    async with Rest(limited.url) as rest:
        assert await tries_until_limited(rest, dict) <= 30
        for name in SPOOFS:
            for value in (lambda: address(), lambda: f"{address()}, {address()}", lambda: f'for="[2001:db8::{chance.randrange(9999):x}]"'):
                answer = await rest.post("auth/login", {"identifier": a_name("nobody"), "password": PASSWORD},
                                         headers={name: value()})
                assert answer.status == 429, (name, answer.status)


async def test_the_api_limit_is_per_user(limited: Daemon, spawn, postgres) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="peruser",
                   settings={"SUPD__RATE_LIMIT__ENABLED": "true"}).start()
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        statuses = [(await ann.get("users/me")).status for _ in range(400)]
        assert 429 in statuses and statuses[:50] == [200] * 50
        (await bob.get("users/me")).expect(200)


async def test_reconnecting_is_limited_by_user(spawn, postgres) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="reconnects", settings={
        "SUPD__RATE_LIMIT__ENABLED": "true", "SUPD__RATE_LIMIT__API_BURST": "30"}).start()
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        with pytest.raises((Problem, Closed)) as refusal:
            for _ in range(60):
                async with ann.socket():
                    pass
        assert getattr(refusal.value, "status", None) == 429 or getattr(refusal.value, "code", None) == 4429
        async with bob.socket():
            pass


async def test_a_refused_command_is_told_by_its_ref(spawn, postgres) -> None:
    """A large one, too: its sender waits for the answer."""
    daemon = spawn(database_url=postgres.new_database(), name="refused", settings={
        "SUPD__RATE_LIMIT__ENABLED": "true", "SUPD__RATE_LIMIT__MESSAGE_BURST": "20"}).start()
    async with Rest(daemon.url) as rest:
        ann, bob = await a_user(rest), await a_user(rest)
        chat = (await a_chat(ann, bob))["id"]
        async with ann.socket() as socket:
            answers = await asyncio.gather(*(socket.message(chat, "x" * 3000) for _ in range(80)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert 40 <= len(refused) < 80
    assert all(isinstance(answer, Problem) and answer.status == 429 for answer in refused), refused[:3]


async def test_strangers_do_not_use_up_what_users_of_their_address_may_do(spawn, postgres) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="strangers", settings={"SUPD__RATE_LIMIT__ENABLED": "true"}).start()
    async with Rest(daemon.url) as rest:
        ann = await a_user(rest)
        assert 429 in [(await rest.get("no/such/route")).status for _ in range(300)]
        (await ann.get("users/me")).expect(200)


async def test_people_are_put_into_chats_at_a_pace(spawn, postgres) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="crowd", settings={"SUPD__RATE_LIMIT__ENABLED": "true"}).start()
    async with Rest(daemon.url) as rest:
        limits = (await rest.get("server")).json["limits"]
        burst, pace = limits["people_added_at_once"], limits["people_added_per_minute"]
        assert burst == limits["chat_members"] and 0 < limits["chats_created"] < limits["chats_per_user"]
        ann, bob = await a_user(rest), await a_user(rest)
        crowd = [row[0] for row in postgres.sql(
            "insert into users (id, username, username_key, username_skeleton, display_name) "
            "select gen_random_uuid(), n, n, n, n from (select 'crowd' || i from generate_series(1, 2000) i) x (n) "
            "returning id", postgres.database_of(daemon.database_url))]
        first = {"type": "group", "title": "t", "member_ids": crowd[:1000], "id": an_id()}
        second = {"type": "group", "title": "t", "member_ids": crowd[:burst - 1100], "id": an_id()}
        (await ann.post("chats", first)).expect(201)
        (await ann.post("chats", first)).expect(200)
        (await ann.post(f"chats/{first['id']}/members", {"user_ids": crowd[:1000]})).expect(200)
        (await ann.post("chats", second)).expect(201)
        refused = await ann.post(f"chats/{second['id']}/members", {"user_ids": crowd[-200:]})
        refused.problem(429, "rate_limited")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60 * 100 / pace
        (await ann.post("chats", second | {"id": an_id(), "member_ids": crowd[:200]})).problem(429, "rate_limited")
        seen = {chat["id"]: chat["member_count"] for chat in (await ann.get("chats"))["items"]}
        assert seen == {first["id"]: 1001, second["id"]: burst - 1099}, "a refusal adds nobody"
        (await ann.post(f"chats/{second['id']}/members", {"user_ids": [bob.id]})).expect(200)
        (await bob.post("chats", second | {"id": an_id(), "member_ids": crowd[:200]})).expect(201)


async def test_a_trusted_proxy_is_believed_from_the_right(spawn, postgres) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="proxied", settings={
        "SUPD__RATE_LIMIT__ENABLED": "true", "SUPD__SERVER__TRUSTED_PROXIES": "127.0.0.0/8"}).start()
    async with Rest(daemon.url) as rest:
        tries = await tries_until_limited(rest, lambda: {"X-Forwarded-For": "6.6.6.6, 198.51.100.7"})
        assert tries <= 30
        answer = await rest.post("auth/login", {"identifier": "nobody_x", "password": PASSWORD},
                                 headers={"X-Forwarded-For": "198.51.100.7, 198.51.100.8"})
        assert answer.status == 401, "another client of the proxy is not limited"
        answer = await rest.post("auth/login", {"identifier": "nobody_x", "password": PASSWORD},
                                 headers={"X-Forwarded-For": "203.0.113.1, 198.51.100.7"})
        assert answer.status == 429, "what stands left of the last untrusted address is not believed"
        assert await tries_until_limited(rest, lambda: {"X-Forwarded-For": "2001:db8:1:1::1"}) <= 30
        answer = await rest.post("auth/login", {"identifier": "nobody_x", "password": PASSWORD},
                                 headers={"X-Forwarded-For": "2001:db8:1:1:ffff::2"})
        assert answer.status == 429, "a /64 is one client"


EVIL = ["http://evil.example", "null", "https://chat.example.com.evil", "https://evil-chat.example.com",
        "http://chat.example.com", "https://chat.example.com:8443", "https://chat.example.com/", "HTTPS://CHAT.EXAMPLE.COM.",
        "https://chat.example.com@evil.example", ""]


async def test_cors_answers_exactly_the_listed_origin(spawn, postgres) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="cors", settings={"CORS_ORIGIN": ALLOWED}).start()
    preflight = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,content-type"}
    async with Rest(daemon.url) as rest:
        ann = await a_user(rest)
        for origin in EVIL:
            for answer in (await ann.get("users/me", headers={"Origin": origin}),
                           await rest.request("OPTIONS", "users/me", headers={"Origin": origin} | preflight)):
                assert "Access-Control-Allow-Origin" not in answer.headers, origin
        good = await ann.get("users/me", headers={"Origin": ALLOWED})
        assert good.expect(200).headers["Access-Control-Allow-Origin"] == ALLOWED
        assert good.headers.get("Access-Control-Allow-Credentials") != "true"
        assert "Origin" in good.headers.get("Vary", "")
        answer = await rest.request("OPTIONS", "users/me", headers={"Origin": ALLOWED} | preflight)
        assert answer.expect(200, 204).headers["Access-Control-Allow-Origin"] == ALLOWED
        assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
        for origin in EVIL:
            async with rest.session.get(f"{rest.url}/ws", headers={
                    "Origin": origin, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}) as upgrade:
                assert upgrade.status == 403, origin
        async with ann.socket(headers={"Origin": ALLOWED}) as socket:
            assert (await socket.call("ping"))["type"] == "pong"
