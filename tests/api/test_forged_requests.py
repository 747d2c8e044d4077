"""What a client may not say of itself, and ids of what belongs to others, in every body, query and frame: refused, and
no row of the database is another one afterwards."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from authorization_matrix import ROWS, Scene
from rig import daemon as daemons
from rig.client import Problem, Reply, Rest, a_chat, a_user, an_id
from rig.daemon import Daemon
from rig.documents import document
from rig.postgres import PostgresCluster

V1 = "/api/v1"
# Fields that say who somebody is, what he may do, or where an entry stands: the server's to give.
FORGED = {"role": "owner", "is_admin": True, "owner_id": None, "sender_id": None, "seq": 1,
          "created_at": "2020-01-01T00:00:00.000Z", "verified": True}
# Objects inside of bodies, which a body of the matrix does not carry.
INNER = {
    f"POST {V1}/auth/register": {"device": {"name": "first", "platform": "desktop"}},
    f"POST {V1}/auth/login": {"device": {"name": "first", "platform": "desktop"}},
    f"POST {V1}/chats": {"context": {"type": "booking", "id": "7"}},
}
# Commands that are not acknowledged.
UNANSWERED = ("typing", "read_receipt", "delivered")
# Written by the daemon's own work at any time.
BACKGROUND = ("jobs", "job_schedules", "stream_marks")
CHECKSUMS = """
select table_name, (xpath('//sum/text()', query_to_xml(format(
    'select md5(coalesce(string_agg(t::text, chr(10) order by t::text), '''')) as sum from %I t', table_name),
    false, true, '')))[1]::text
from information_schema.tables
where table_schema = 'public' and table_type = 'BASE TABLE' order by table_name"""


def resolved(whole: dict, schema: dict) -> dict:
    while "$ref" in schema:
        found: Any = whole
        for part in schema["$ref"].lstrip("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def bodies() -> dict[str, dict]:
    """The schema of what each route and each command takes, by the key of its row."""
    openapi, asyncapi = document("openapi.yaml"), document("asyncapi.yaml")
    found = {}
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                found[f"{method.upper()} " + re.sub(r"{(\w+)}", r":\1", path)] = resolved(openapi, schema)
    for operation in asyncapi["operations"].values():
        for reference in operation["messages"] if operation["action"] == "receive" else []:
            message = resolved(asyncapi, {"$ref": "#/components/messages/" + reference["$ref"].rsplit("/", 1)[-1]})
            found[f"WS {message['name']}"] = resolved(asyncapi, message["payload"]["properties"]["data"])
    return found


BODIES = bodies()
COMMANDS = sorted(key for key in BODIES if key.startswith("WS "))
REQUESTS = sorted(set(BODIES) - set(COMMANDS))


class World:
    """`mine` is a chat that the forger owns, with a message of his own: nothing would be refused him there. `theirs` is
    one of strangers."""

    def __init__(self, daemon: Daemon, database: str, postgres: PostgresCluster, rest: Rest) -> None:
        self.daemon, self.database, self.postgres, self.rest = daemon, database, postgres, rest

    async def people(self) -> "World":
        self.forger, self.bystander, self.newcomer = [await a_user(self.rest) for _ in range(3)]
        self.stranger, self.friend = await a_user(self.rest), await a_user(self.rest)
        self.mine = await a_chat(self.forger, self.bystander)
        self.theirs = await a_chat(self.stranger, self.friend)
        self.message = await self.forger.send(self.mine["id"], "of the forger")
        self.foreign = await self.stranger.send(self.theirs["id"], "of a stranger")
        session = (await self.bystander.get("auth/sessions"))["items"][0]["id"]
        self.scene = Scene({"bystander": self.bystander, "newcomer": self.newcomer}, self.mine, self.message, self.forger,
                           {"foreign_session": session})
        return self

    def state(self) -> dict[str, str]:
        rows = self.postgres.sql(CHECKSUMS, self.database)
        state = {name: checksum for name, checksum in rows if name not in BACKGROUND}
        assert {"users", "chats", "messages", "sessions", "chat_heads"} <= set(state)
        return state

    def forged(self, key: str) -> Iterator[tuple[str, Any]]:
        for name, value in FORGED.items():
            if name not in BODIES[key].get("properties", {}):
                yield name, self.stranger.id if value is None else value

    async def request(self, key: str, body: Any, values: dict[str, str], query: dict[str, str]) -> Reply:
        method, path = key.split(" ", 1)
        path = re.sub(r":(\w+)", lambda found: values[found.group(1)], path)
        return await self.forger.request(method, path, body, params=query)

    async def command(self, name: str, data: Any) -> str | None:
        """The code with which a frame of the forger is refused; None when it is not."""
        async with self.forger.socket() as socket:
            try:
                if name not in UNANSWERED:
                    await socket.call(name, data)
                    return None
                # The pong comes behind what a refusal would be.
                await socket.send_frame({"type": name, "ref": "forged", "data": data})
                await socket.call("ping")
                refusals = [frame for frame in socket.events if frame.get("ref") == "forged"]
                return refusals[0]["error"]["code"] if refusals else None
            except Problem as problem:
                return problem.code


@pytest.fixture(scope="module")
async def world(binary: str, postgres: PostgresCluster) -> AsyncIterator[World]:
    url = postgres.new_database()
    daemon = Daemon(database_url=url, name="forged", settings={"JWT_SECRET": daemons.shared_secret()}).start()
    async with Rest(daemon.url) as rest:
        yield await World(daemon, postgres.database_of(url), postgres, rest).people()
    daemon.close()


def test_the_rows_have_the_bodies_of_the_documents() -> None:
    """What the documents call required, the matrix sends; otherwise the tests below would be about less than they say."""
    openapi = document("openapi.yaml")
    for key in REQUESTS:
        method, path = key.split(" ", 1)
        operation = openapi["paths"][re.sub(r":(\w+)", r"{\1}", path)][method.lower()]
        assert key in ROWS and "properties" in BODIES[key]
        if operation["requestBody"].get("required"):
            assert ROWS[key].body is not ROWS["GET /"].body, key


@pytest.mark.parametrize("key", REQUESTS)
async def test_a_body_cannot_say_what_is_the_servers_to_say(world: World, key: str) -> None:
    row = ROWS[key]
    values = row.values(world.scene)
    if key.endswith("/users/:id"):
        values = {"id": "me"}
    before = world.state()
    for name, value in world.forged(key):
        bodies_of_it = [row.body(world.scene) or {}]
        bodies_of_it[0][name] = value
        for inner, fields in INNER.get(key, {}).items():
            bodies_of_it.append((row.body(world.scene) or {}) | {inner: fields | {name: value}})
        for body in bodies_of_it:
            answer = await world.request(key, body, values, {})
            problem = answer.problem(400, "unknown_field")
            assert any(name in error["field"] for error in problem["errors"]), problem
    assert world.state() == before


@pytest.mark.parametrize("key", COMMANDS)
async def test_a_frame_cannot_say_what_is_the_servers_to_say(world: World, key: str) -> None:
    name = key.removeprefix("WS ")
    data = {"authenticate": {"token": world.forger.access_token}, "ping": {},
            "resume": {"cursor": (await world.forger.get("sync"))["cursor"]}}.get(name) or ROWS[key].body(world.scene) or {}
    async with world.forger.socket(header_auth=name == "resume", authenticate=name != "authenticate") as socket:
        await socket.call("ping")
        before = world.state()
        for field, value in world.forged(key):
            # In the data and beside it.
            for place, frame in enumerate(({"data": data | {field: value}}, {"data": data, field: value})):
                ref = f"{field} {place}"
                await socket.send_frame({"type": name, "ref": ref} | frame)
                await socket.call("ping")
                answers = [event for event in socket.events if event.get("ref") == ref]
                assert [answer.get("error", {}).get("code") for answer in answers] == ["unknown_field"], (frame, answers)
        assert not socket.closed
        assert world.state() == before


def swapped(node: Any, foreign: dict[str, str]) -> Iterator[Any]:
    """Copies of a body, a query or a path's values in which one id is that of somebody else's."""
    if isinstance(node, str) and node in foreign:
        yield foreign[node]
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from (node | {name: other} for other in swapped(value, foreign))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from (node[:place] + [other] + node[place + 1:] for other in swapped(value, foreign))


# Anybody may read a profile and ask who is there; who is told is another matter (test_websocket.py).
HARMLESS = {f"GET {V1}/users/:id", "WS subscribe_presence"}


@pytest.mark.parametrize("key", sorted(set(ROWS) - HARMLESS))
async def test_ids_of_others_are_refused(world: World, key: str) -> None:
    row, scene = ROWS[key], world.scene
    foreign = {world.mine["id"]: world.theirs["id"], world.message["id"]: world.foreign["id"],
               world.bystander.id: world.friend.id}
    before = world.state()
    for query in swapped(row.query(scene), foreign):
        answer = await world.request(key, row.body(scene), row.values(scene), query)
        assert answer.status in (400, 403, 404), (query, answer.status, answer.body)
    for values in swapped({name: value for name, value in row.values(scene).items() if f":{name}" in key.split("/")}, foreign):
        answer = await world.request(key, row.body(scene), values, row.query(scene))
        assert answer.status in (403, 404), (values, answer.status, answer.body)
    for body in swapped(row.body(scene), foreign):
        if key.startswith("WS "):
            assert await world.command(key.removeprefix("WS "), body) in ("not_found", "forbidden"), body
        else:
            answer = await world.request(key, body, row.values(scene), row.query(scene))
            assert answer.status in (403, 404, 409, 422), (body, answer.status, answer.body)
    assert world.state() == before


async def test_ids_of_others_as_ones_own_are_refused(world: World) -> None:
    """The ids that clients make, and those that a message refers to."""
    forger, mine, theirs, foreign = world.forger, world.mine["id"], world.theirs["id"], world.foreign["id"]
    new = {"chat_id": mine, "type": "text", "text": "forged"}
    before = world.state()
    for method, path, body in (
            ("POST", "messages", new | {"id": foreign}),
            ("POST", "messages", new | {"id": an_id(), "reply_to": foreign}),
            ("POST", "messages", new | {"id": foreign, "chat_id": theirs}),
            ("PATCH", f"messages/{foreign}", {"text": "forged", "change_id": world.message["id"]}),
            ("POST", "chats", {"type": "group", "title": "forged", "id": theirs}),
            ("POST", f"chats/{mine}/transfer", {"user_id": world.stranger.id})):
        answer = await forger.request(method, path, body)
        assert answer.status in (400, 403, 404, 409, 422), (method, path, body, answer.status, answer.body)
    for name, data in (("message", new | {"id": foreign}), ("message", new | {"id": an_id(), "reply_to": foreign}),
                       ("edit", {"message_id": foreign, "id": an_id(), "text": "forged"}),
                       ("delete", {"message_id": foreign, "id": an_id(), "for": "me"}),
                       ("reaction", {"message_id": foreign, "id": an_id(), "emoji": "\N{SPARKLES}", "action": "remove"})):
        assert await world.command(name, data) is not None, (name, data)
    assert world.state() == before


@pytest.mark.parametrize("key", sorted(key for key in ROWS if key.startswith("GET ")))
async def test_a_query_does_not_choose_another_persons_things(world: World, key: str) -> None:
    asked = {"user_id": world.stranger.id, "owner_id": world.stranger.id, "sender_id": world.stranger.id,
             "chat_id": world.theirs["id"], "message_id": world.foreign["id"]}
    for name, value in asked.items():
        answer = await world.request(key, None, ROWS[key].values(world.scene), {name: value})
        assert answer.status in (200, 400), (name, answer.status)
        for secret in (world.theirs["id"], world.foreign["id"], world.theirs["title"]):
            assert secret not in answer.body.decode().replace(value, ""), (name, answer.body)


async def test_the_cursor_of_another_shows_what_is_ones_own(world: World) -> None:
    cursor = (await world.stranger.snapshot())["cursor"]
    await world.stranger.send(world.theirs["id"], "not for the forger")
    sent = await world.forger.send(world.mine["id"], "for the forger")
    events, _ = await world.forger.sync_from(cursor)
    assert [event["chat_id"] for event in events] == [world.mine["id"]] and events[0]["seq"] == sent["seq"]


def test_the_checksums_see_one_changed_row(world: World) -> None:
    before = world.state()
    world.postgres.sql(f"update users set bio = 'x' where id = '{world.newcomer.id}'", world.database)
    after = world.state()
    assert {name for name in before if before[name] != after[name]} == {"users"}
