"""Every route and every WebSocket command, from the daemon's own table, for every kind of caller."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess

import aiohttp
import pytest

from authorization_matrix import PROVEN, ROWS, UNPROVEN, Row, Scene
from rig.client import Account, Closed, Problem, Rest, Socket, a_chat, a_user, an_id
from rig.daemon import Daemon, find_binary
from rig.tokens import expired


def routes() -> list[dict]:
    binary = find_binary()
    if binary is None:
        return []
    done = subprocess.run([str(binary), "routes", "--json"], capture_output=True, text=True, timeout=30)
    return json.loads(done.stdout) if done.returncode == 0 else []


def key_of(route: dict) -> str:
    return f"{route['method']} {route['path'].rsplit('/', 1)[-1] if route['method'] == 'WS' else route['path']}"


ROUTES = {key_of(route): route for route in routes() if route.get("listener", "public") != "admin"}


def test_every_route_has_a_row_and_every_row_a_route(binary: str) -> None:
    assert ROUTES, "supd routes --json told nothing"
    missing, stale = sorted(set(ROUTES) - set(ROWS)), sorted(set(ROWS) - set(ROUTES))
    assert not missing, f"routes without a row in authorization_matrix.py: {missing}"
    assert not stale, f"rows of authorization_matrix.py without a route: {stale}"


def test_the_policies_agree_with_the_rows(binary: str) -> None:
    wrong = [key for key, route in ROUTES.items() if key in ROWS and route["method"] != "WS"
             and (route["policy"] in ("public", "open")) != (ROWS[key].open is not None)]
    assert not wrong


class World:
    """The people; scenes are made from them."""

    def __init__(self, rest: Rest, people: dict[str, Account], tokens: dict[str, str | None]) -> None:
        self.rest, self.people, self.tokens = rest, people, tokens
        self._shared: Scene | None = None
        self.foreign_session = ""

    async def new_scene(self) -> Scene:
        owner, admin = self.people["owner"], self.people["admin"]
        inside = [self.people[name] for name in ("admin", "member", "author", "bystander", "removed", "left", "unproven")]
        chat = await a_chat(owner, *inside)
        path = f"chats/{chat['id']}/members"
        (await owner.patch(f"{path}/{admin.id}", {"role": "admin"})).expect(200, 204)
        message = await self.people["author"].send(chat["id"], "of the author")
        (await owner.delete(f"{path}/{self.people['removed'].id}")).expect(200, 204)
        (await self.people["left"].delete(f"{path}/{self.people['left'].id}")).expect(200, 204)
        return Scene(self.people, chat, message, owner, {"foreign_session": self.foreign_session})

    async def scene(self, row: Row, actor: str) -> Scene:
        if row.fresh and actor in PROVEN:
            return await self.new_scene()
        if self._shared is None:
            self._shared = await self.new_scene()
        return self._shared

    async def token(self, row: Row, actor: str) -> str | None:
        if actor in PROVEN:
            return (await a_user(self.rest)).access_token if row.own_account else self.people[actor].access_token
        return self.tokens[actor]


@pytest.fixture(scope="module")
async def world(rest: Rest, server: Daemon) -> World:
    names = (*PROVEN, "bystander", "newcomer", "unproven", "disabled")
    people = {name: await a_user(rest) for name in names}
    revoked = await people["unproven"].another_device()
    (await revoked.post("auth/logout")).expect(200, 204)
    done = await asyncio.to_thread(server.run, "user", "disable", people["disabled"].username,
                                   "--data-dir", str(server.data_dir))
    assert done.returncode == 0, done.stderr
    good = people["unproven"].access_token
    flipped = good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:]
    made = World(rest, people, {
        "no_token": None, "garbage": "garbage", "expired": expired(good, server.settings["JWT_SECRET"]),
        "wrong_signature": flipped, "revoked_session": revoked.access_token,
        "refresh_as_access": people["unproven"].refresh_token, "disabled_user": people["disabled"].access_token})
    made.foreign_session = (await people["bystander"].get("auth/sessions"))["items"][0]["id"]
    for _ in range(50):  # the daemon learns of `supd user disable` by its poll
        if (await people["disabled"].get("users/me")).status == 401:
            break
        await asyncio.sleep(0.1)
    return made


async def call(world: World, key: str, row: Row, actor: str) -> tuple[int, bytes]:
    method, path = key.split(" ", 1)
    scene = await world.scene(row, actor)
    token = await world.token(row, actor)
    if method == "WS":
        return await command(world, path, row, scene, token), b""
    values = row.values(scene)
    path = re.sub(r":(\w+)", lambda found: values[found.group(1)], path)
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    answer = await world.rest.request(method, path, row.body(scene), headers=headers, params=row.query(scene))
    return answer.status, answer.body


async def command(world: World, name: str, row: Row, scene: Scene, token: str | None) -> int:
    by_header = name == "resume" and token is not None  # it is for who came authenticated
    socket = Socket(world.rest, None, token=token or "", header_auth=by_header,
                    authenticate=token is not None and name != "authenticate")
    try:
        await socket.connect()
        if name == "authenticate":
            await socket.call("authenticate", {"token": token} if token is not None else {})
            return 200
        if name == "resume":
            cursor = "none" if token is None else (await world.rest.get("sync", token=token))["cursor"]
            await socket.send_frame({"type": "resume", "data": {"cursor": cursor}})
            frame = await socket.event(where=lambda each: each["type"] in ("caught_up", "error"))
            return 200 if frame["type"] == "caught_up" else frame["error"]["status"]
        data = row.body(scene)
        if name in ("typing", "read_receipt", "delivered"):
            # These are not acknowledged: a refusal is an error, silence before the pong is success.
            await socket.send_frame({"type": name, "ref": "c", "data": data})
            await socket.call("ping")
            errors = [frame for frame in socket.events if frame["type"] == "error"]
            return errors[0]["error"]["status"] if errors else 200
        await socket.call(name, data)
        return 200
    except Problem as problem:
        return problem.status
    except Closed as closed:
        return 401 if closed.code == 4401 else closed.code or 0
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    finally:
        await socket.close()


@pytest.mark.parametrize("key", sorted(ROWS))
async def test_cells(world: World, key: str) -> None:
    assert key in ROUTES, "a row without a route"
    row, wrong = ROWS[key], []
    for actor in (*UNPROVEN, *PROVEN):
        if actor in UNPROVEN:
            expected = row.open if row.open is not None else row.expect.get(actor, {401})
        else:
            expected = row.expect[actor]
        status, body = await call(world, key, row, actor)
        if status not in expected:
            wrong.append(f"{actor}: {status} instead of {sorted(expected)} {body[:200]!r}")
    assert not wrong, "\n".join([key, *wrong])


async def test_nothing_changed_in_the_shared_scene(world: World) -> None:
    """The unproven, strangers and removed people left no trace."""
    scene = await world.scene(ROWS["GET /"], "no_token")
    items = await world.people["owner"].whole_history(scene.chat["id"])
    insiders = {world.people[name].id for name in ("owner", "admin", "member", "author")}
    assert {item["sender_id"] for item in items} <= insiders
    members = (await world.people["owner"].get(f"chats/{scene.chat['id']}/members"))["items"]
    assert {item["user_id"] for item in members} == insiders | {world.people[name].id for name in ("bystander", "unproven")}


@pytest.mark.parametrize("key", sorted(key for key in ROUTES if ROUTES[key]["method"] != "WS" and ":" in key))
async def test_ids_of_nothing_and_malformed_ids_are_no_fault(world: World, key: str) -> None:
    method, path = key.split(" ", 1)
    token = world.people["stranger"].access_token
    row = ROWS.get(key)
    for value in (an_id(), "x", "0", "00000000-0000-0000-0000-000000000000", "%00", "..%2f..", "'", "a" * 300):
        body = row.body(await world.scene(row, "stranger")) if row else None
        answer = await world.rest.request(method, re.sub(r":\w+", value, path), body, token=token)
        assert answer.status in (400, 403, 404, 405, 409, 414, 422), (key, value, answer.status)


async def test_hidden_is_the_same_as_nothing(world: World) -> None:
    """For what the caller may not know of, the answer is that of what does not exist, to the byte."""
    for key in sorted(ROUTES):
        method, path = key.split(" ", 1)
        row = ROWS.get(key)
        if method == "WS" or row is None or row.expect["stranger"] != {404} or ":" not in path:
            continue
        scene = await world.scene(row, "no_token")
        answers = []
        for values in (row.values(scene), {name: an_id() for name in row.values(scene)}):
            real = re.sub(r":(\w+)", lambda found, values=values: values[found.group(1)], path)
            answer = await world.rest.request(method, real, row.body(scene), token=world.people["stranger"].access_token,
                                              params=row.query(scene), headers={"X-Request-Id": "the-same-request"})
            answers.append((answer.status, answer.body))
        assert answers[0] == answers[1], key
