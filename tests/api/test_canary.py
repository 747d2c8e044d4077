"""Random marks in every secret and content field; none may appear in logs, metrics, error bodies or answers to others."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from pathlib import Path

from rig.client import Rest, Socket, a_chat, a_user, an_id, log_in
from rig.postgres import CLUSTER_USER, PostgresCluster, server_binaries


async def test_no_mark_leaves_its_place(spawn, postgres: PostgresCluster) -> None:
    url = postgres.new_database()
    daemon = spawn(database_url=url, name="canary", settings={
        "LOG_LEVEL": "debug", "JWT_SECRET": (secret := "mark" + secrets.token_hex(24))}).start()
    marks: dict[str, str] = {"jwt secret": secret}

    def mark(what: str) -> str:
        marks[what] = "mark" + secrets.token_hex(16)
        return marks[what]

    async with Rest(daemon.url) as rest:
        ann = await a_user(rest, password=mark("password"), email=f"{mark('mail')[:40]}@example.org",
                           display_name=mark("display name")[:36])
        marks["mail"] = marks["mail"][:40]
        marks["display name"] = marks["display name"][:36]
        bob = await a_user(rest)
        chat = (await a_chat(ann, bob, title=mark("title")))["id"]
        await ann.patch("users/me", {"bio": mark("bio")})
        marks["access token"], marks["refresh token"] = ann.access_token.split(".")[2], ann.refresh_token
        sent = await ann.send(chat, mark("text"), metadata={"k": mark("metadata")})
        await ann.patch(f"messages/{sent['id']}", {"text": mark("edited text")})
        async with ann.socket() as anns, bob.socket() as bobs:
            await anns.message(chat, mark("socket text"))
            await bobs.call("presence", {"status": "away", "status_text": mark("status")[:30]})
            marks["status"] = marks["status"][:30]
            await anns.send_frame('{"type": "message", "data": {"text": "%s"' % mark("broken frame"))
            await anns.send_frame('{"type": "message", "ref": "1", "data": {"text": "%s", "x": 1}}' % mark("odd frame"))
            await anns.call("ping")  # both were judged before this is answered
        errors = [
            await rest.post("auth/login", {"identifier": mark("identifier"), "password": mark("wrong password")}),
            await rest.post("auth/login", {"identifier": ann.username, "password": marks["password"], "totp": 5}),
            await rest.post("auth/refresh", {"refresh_token": mark("false refresh")}),
            await rest.post("auth/register", {"username": ann.username, "password": mark("second password")}),
            await rest.get("users/me", token="x." + mark("false token") + ".y"),
            await ann.post("messages", {"id": an_id(), "chat_id": an_id(), "type": "text", "text": mark("refused text")}),
            await ann.post("messages", {"id": an_id(), "chat_id": chat, "type": "odd", "text": mark("invalid text")}),
            await ann.request("POST", "messages", data=b'{"text": "' + mark("malformed body").encode()),
            await ann.get("sync", params={"cursor": mark("cursor")}),
            await rest.get("users/me", params={"access_token": mark("token in the query")}),
        ]
        bad = Socket(rest, None, token=mark("socket token"), authenticate=False)
        await bad.connect()
        await bad.send_frame({"type": "authenticate", "ref": "1", "data": {"token": marks["socket token"], "cursor": None}})
        await bad.closing()
        await bad.close()
        postgres.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{postgres.database_of(url)}'")
        during = [await ann.post("messages", {"id": an_id(), "chat_id": chat, "type": "text",
                                              "text": mark("text in a fault")}) for _ in range(3)]
        async with Rest(daemon.admin_url) as admin:
            metrics = (await admin.get("/metrics")).body.decode()
        fresh = await log_in(rest, ann.username, marks["password"])
        marks["second refresh token"] = fresh.refresh_token
        about_ann = (await bob.get(f"users/{ann.id}")).body.decode()
    daemon.kill()
    log = daemon.log_text()
    # A client's own broken words may not even be in the answer that refuses them.
    told = {"log": log, "metrics": metrics, "errors": "".join(each.body.decode() for each in errors),
            "faults": "".join(each.body.decode() for each in during if each.status >= 400)}
    found = [(what, where) for what, value in marks.items() for where, text in told.items() if value in text]
    assert not found, found
    assert marks["mail"] not in about_ann
    assert log.strip(), "the log is empty: nothing was checked"
    dump = await asyncio.to_thread(
        subprocess.run, [server_binaries() / "pg_dump", "-h", str(postgres.sockets), "-p", str(postgres.port), "-U",
                         CLUSTER_USER, postgres.database_of(url)], capture_output=True, text=True, timeout=120, cwd="/")
    assert marks["socket text"] in dump.stdout, "the dump is of another database"
    hashed = ("password", "refresh token", "second refresh token", "wrong password", "access token", "jwt secret",
              "second password", "false refresh", "token in the query")
    assert not [what for what in hashed if marks[what] in dump.stdout]
    assert not [path for path in Path(daemon.folder).rglob("core*") if path.is_file() and path.stat().st_size > 10_000_000]
