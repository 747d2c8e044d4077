"""Who may do what, declared: one row for each route of the daemon and each WebSocket command, those of the connection
itself included. test_authorization.py takes the routes from `supd routes --json`; a route without a row here fails it,
and so does a row without a route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rig.client import PASSWORD, Account, a_name, an_id

# Actors whose token proves nothing; none of them may do anything that needs a user.
UNPROVEN = ("no_token", "garbage", "expired", "wrong_signature", "revoked_session", "refresh_as_access", "disabled_user")
# Actors with a good token, by what they are to the chat of the scene.
# `removed` was put out by an admin, `left` went by himself.
PROVEN = ("stranger", "removed", "left", "member", "author", "admin", "owner")

OK = {200, 201, 204}
HIDDEN = {404}
DENIED = {403}


@dataclass
class Scene:
    """A chat with its people and one message of the author. `me` is the actor of the cell."""

    people: dict[str, Account]
    chat: dict
    message: dict
    me: Account
    extra: dict = field(default_factory=dict)


@dataclass
class Row:
    """`values` fill the path's `:names`; `expect` are the statuses of each proven actor, and of an unproven one that
    `open` does not speak for. `open` rows answer the unproven, too. `fresh`: the cell needs a scene of its own, because
    it changes it."""

    expect: dict[str, set[int]]
    values: Callable[[Scene], dict[str, str]] = lambda scene: {}
    body: Callable[[Scene], Any] = lambda scene: None
    query: Callable[[Scene], dict] = lambda scene: {}
    open: set[int] | None = None
    fresh: bool = False
    own_account: bool = False


def everybody(statuses: set[int] = OK) -> dict[str, set[int]]:
    return {actor: statuses for actor in PROVEN}


def members(statuses: set[int] = OK, **others: set[int]) -> dict[str, set[int]]:
    """Members may, outsiders cannot tell that it exists."""
    return {"stranger": HIDDEN, "removed": HIDDEN, "left": HIDDEN, "member": statuses, "author": statuses,
            "admin": statuses, "owner": statuses} | others


def of_chat(scene: Scene) -> dict[str, str]:
    return {"id": scene.chat["id"], "chat_id": scene.chat["id"]}


def of_message(scene: Scene) -> dict[str, str]:
    return {"id": scene.message["id"], "message_id": scene.message["id"]}


def of_target(scene: Scene) -> dict[str, str]:
    """An ordinary member who is nobody's actor."""
    return of_chat(scene) | {"user_id": scene.people["bystander"].id}


def a_message(scene: Scene) -> dict:
    return {"id": an_id(), "chat_id": scene.chat["id"], "type": "text", "text": "of the matrix"}


V1 = "/api/v1"
ROWS: dict[str, Row] = {
    # Open to anybody. What is refused here is refused for its content, not for who asks.
    "GET /": Row(everybody({200}), open={200}),
    "GET /health": Row(everybody({200}), open={200}),
    "GET /livez": Row(everybody({200}), open={200}),
    "GET /readyz": Row(everybody({200}), open={200}),
    "GET /.well-known/supd": Row(everybody({200}), open={200}),
    f"GET {V1}/server": Row(everybody({200}), open={200}),
    f"GET {V1}/client": Row(everybody({200}), open={200}),
    f"GET {V1}/openapi.json": Row(everybody({200}), open={200}),
    f"GET {V1}/asyncapi.json": Row(everybody({200}), open={200}),
    f"POST {V1}/auth/register": Row(everybody({201}), open={201},
                                    body=lambda scene: {"username": a_name(), "password": PASSWORD}),
    f"POST {V1}/auth/login": Row(everybody({200}), open={200}, body=lambda scene: {
        "identifier": scene.people["bystander"].username, "password": PASSWORD}),
    f"POST {V1}/auth/refresh": Row(everybody({401}), open={401}, body=lambda scene: {"refresh_token": "not one of ours"}),
    # The caller's own account.
    f"POST {V1}/auth/logout": Row(everybody(), own_account=True),
    f"GET {V1}/auth/sessions": Row(everybody()),
    f"DELETE {V1}/auth/sessions/:id": Row(everybody(HIDDEN), values=lambda scene: {"id": scene.extra["foreign_session"]}),
    f"POST {V1}/auth/password/change": Row(everybody({401, 403, 422}), body=lambda scene: {
        "current_password": "not the password", "new_password": "another good password 7"}),
    f"GET {V1}/users/me/devices": Row(everybody({200})),
    f"DELETE {V1}/users/me/devices/:id": Row(everybody(HIDDEN), values=lambda scene: {
        "id": scene.people["bystander"].device["id"]}),
    f"GET {V1}/users/:id": Row(everybody({200}), values=lambda scene: {"id": scene.people["bystander"].id}),
    f"PATCH {V1}/users/:id": Row(everybody({403, 404}), values=lambda scene: {"id": scene.people["bystander"].id},
                                 body=lambda scene: {"display_name": "taken over"}),
    f"GET {V1}/sync": Row(everybody({200})),
    # Chats.
    f"GET {V1}/chats": Row(everybody({200})),
    f"POST {V1}/chats": Row(everybody({201}), body=lambda scene: {"type": "group", "title": "of the matrix"}),
    f"GET {V1}/chats/:id": Row(members({200}), values=of_chat),
    f"PATCH {V1}/chats/:id": Row(members(member=DENIED, author=DENIED), values=of_chat, fresh=True,
                                 body=lambda scene: {"title": "renamed"}),
    f"DELETE {V1}/chats/:id": Row(members(member=DENIED, author=DENIED, admin=DENIED), values=of_chat, fresh=True),
    f"GET {V1}/chats/:id/members": Row(members({200}), values=of_chat),
    f"POST {V1}/chats/:id/members": Row(members(member=DENIED, author=DENIED), values=of_chat, fresh=True,
                                        body=lambda scene: {"user_ids": [scene.people["newcomer"].id]}),
    f"PATCH {V1}/chats/:id/members/:user_id": Row(members(member=DENIED, author=DENIED, admin=OK | DENIED),
                                                  values=of_target, fresh=True, body=lambda scene: {"role": "admin"}),
    f"DELETE {V1}/chats/:id/members/:user_id": Row(members(member=DENIED, author=DENIED), values=of_target, fresh=True),
    f"GET {V1}/chats/:id/settings": Row(members({200}), values=of_chat),
    f"PATCH {V1}/chats/:id/settings": Row(members(), values=of_chat, body=lambda scene: {"archive": False}),
    f"POST {V1}/chats/:id/read": Row(members(), values=of_chat, body=lambda scene: {"seq": scene.message["seq"]}),
    f"GET {V1}/chats/:id/reads": Row(members({200}), values=of_chat),
    f"POST {V1}/chats/:id/archive": Row(members(member=DENIED, author=DENIED), values=of_chat, fresh=True),
    f"POST {V1}/chats/:id/close": Row(members(member=DENIED, author=DENIED), values=of_chat, fresh=True),
    f"POST {V1}/chats/:id/reopen": Row(members(member=DENIED, author=DENIED), values=of_chat, fresh=True),
    f"POST {V1}/chats/:id/transfer": Row(members(member=DENIED, author=DENIED, admin=DENIED), values=of_chat, fresh=True,
                                         body=lambda scene: {"user_id": scene.people["bystander"].id}),
    # Messages.
    f"GET {V1}/messages/chat/:chat_id": Row(members({200}), values=of_chat),
    f"POST {V1}/messages": Row(members({201}), body=a_message),
    f"GET {V1}/messages/:id": Row(members({200}), values=of_message),
    f"PATCH {V1}/messages/:id": Row(members(DENIED, author=OK), values=of_message, fresh=True,
                                    body=lambda scene: {"text": "changed"}),
    f"DELETE {V1}/messages/:id": Row(members(OK, member=DENIED), values=of_message, fresh=True,
                                     query=lambda scene: {"for": "everyone"}),
    f"GET {V1}/messages/:id/edits": Row(members({200}), values=of_message),
    f"GET {V1}/messages/:id/reactions": Row(members({200}), values=of_message),
    f"POST {V1}/messages/:id/reactions": Row(members(), values=of_message, body=lambda scene: {"emoji": "\N{SPARKLES}"}),
    f"DELETE {V1}/messages/:id/reactions": Row(members(OK | {404}), values=of_message,
                                               query=lambda scene: {"emoji": "\N{SPARKLES}"}),
    f"GET {V1}/messages/:id/thread": Row(members({200}), values=of_message),
    # WebSocket commands; an ack is 200, an error has the status of its problem.
    # Without a token at all, `authenticate` is malformed, and `ping` is all that a socket answers.
    "WS authenticate": Row(everybody({200}) | {"no_token": {400}}),
    "WS resume": Row(everybody({200})),
    "WS ping": Row(everybody({200}) | {"no_token": {200}}),
    "WS message": Row(members({200}), body=a_message),
    "WS edit": Row(members(DENIED, author={200}), fresh=True, body=lambda scene: {
        "message_id": scene.message["id"], "text": "changed", "id": an_id()}),
    "WS delete": Row(members({200}, member=DENIED), fresh=True, body=lambda scene: {
        "message_id": scene.message["id"], "for": "everyone", "id": an_id()}),
    "WS reaction": Row(members({200}), body=lambda scene: {
        "message_id": scene.message["id"], "emoji": "\N{SPARKLES}", "action": "add", "id": an_id()}),
    "WS typing": Row(members({200}), body=lambda scene: {"chat_id": scene.chat["id"], "state": "typing"}),
    "WS read_receipt": Row(members({200}), body=lambda scene: {"chat_id": scene.chat["id"], "seq": scene.message["seq"]}),
    "WS delivered": Row(members({200}), body=lambda scene: {"chat_id": scene.chat["id"], "seq": scene.message["seq"]}),
    "WS presence": Row(everybody({200}), body=lambda scene: {"status": "online"}),
    "WS subscribe_presence": Row(everybody({200}), body=lambda scene: {"user_ids": [scene.people["bystander"].id]}),
}
