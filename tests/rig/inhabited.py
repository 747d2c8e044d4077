"""A database in which every table has rows, made by using a daemon's API, and what of it anybody can read back."""

from __future__ import annotations

from dataclasses import dataclass

from rig.client import PASSWORD, Account, Rest, a_chat, a_user, an_id

THUMB = "\N{THUMBS UP SIGN}"
MESSAGES = 30


@dataclass
class Inhabited:
    """`rest` of each account may be exchanged: the same people at another daemon, or at the same one later."""

    people: list[Account]

    async def seen(self, rest: Rest) -> dict[str, object]:
        """All that each of them can read: chats, histories, edits, reactions, marks."""
        found: dict[str, object] = {}
        for account in self.people:
            account.rest = rest
            chats = (await account.snapshot())["chats"]
            for chat_id, chat in chats.items():
                key = f"{account.username} {chat_id}"
                found[key] = chat
                found[f"{key} history"] = history = await account.whole_history(chat_id)
                for tail in ("members", "reads", "settings"):
                    found[f"{key} {tail}"] = (await account.get(f"chats/{chat_id}/{tail}")).json
                for item in history:
                    for tail in ("edits", "reactions", "thread"):
                        answer = await account.get(f"messages/{item['id']}/{tail}")
                        found[f"{key} {item['id']} {tail}"] = (answer.status, answer.status == 200 and answer.json)
        return found


async def inhabit(rest: Rest) -> Inhabited:
    """Users with devices and sessions, revoked ones too; chats of every kind and state; messages with all that happens to
    them; marks, settings and an idempotency key."""
    ann, bob, eve = [await a_user(rest, display_name=name) for name in ("Ann", "Bob", "Eve")]
    (await ann.patch(f"users/{ann.id}", {"bio": "of the first"})).expect(200)
    second = await bob.another_device()
    (await (await eve.another_device()).post("auth/logout")).expect(200, 204)
    fresh = (await rest.post("auth/refresh", {"refresh_token": eve.refresh_token})).expect(200).json
    eve.access_token, eve.refresh_token = fresh["access_token"], fresh["refresh_token"]
    (await eve.post("auth/password/change", {"current_password": PASSWORD, "new_password": PASSWORD + "9"})).expect(200, 204)

    pair = (await a_chat(ann, bob, type="direct"))["id"]
    key = {"Idempotency-Key": an_id()}
    group = (await ann.post("chats", {"type": "group", "title": "all", "member_ids": [bob.id, eve.id]},
                            headers=key)).expect(201).json["id"]
    for verb in ("archive", "close"):
        (await ann.post(f"chats/{(await a_chat(ann, bob))['id']}/{verb}", {})).expect(200)
    (await ann.delete(f"chats/{(await a_chat(ann, bob))['id']}")).expect(200, 204)
    former = (await a_chat(ann, bob, eve))["id"]
    (await ann.patch(f"chats/{former}/members/{bob.id}", {"role": "admin"})).expect(200)
    (await bob.delete(f"chats/{former}/members/{eve.id}")).expect(200, 204)
    (await ann.post(f"chats/{former}/transfer", {"user_id": bob.id})).expect(200)
    (await ann.patch(f"chats/{group}", {"title": "all of us"})).expect(200)
    (await bob.patch(f"chats/{group}/settings", {"archive": True})).expect(200, 204)

    sent = [await (ann, bob, second)[number % 3].send((pair, group)[number % 2], f"message {number}")
            for number in range(MESSAGES)]
    by_ann = [each for each in sent if each["sender_id"] == ann.id]
    await ann.send(group, "a reply", reply_to=by_ann[1]["id"], metadata={"k": [1, None]}, mentions=[bob.id])
    await ann.send(group, "soon gone", expires_in_s=86400)
    for number in range(3):
        (await ann.patch(f"messages/{by_ann[0]['id']}", {"text": f"edited {number}"})).expect(200)
    (await ann.delete(f"messages/{by_ann[2]['id']}", params={"for": "everyone"})).expect(200, 204)
    (await bob.delete(f"messages/{by_ann[3]['id']}", params={"for": "me"})).expect(200, 204)
    (await bob.post(f"messages/{by_ann[4]['id']}/reactions", {"emoji": THUMB})).expect(200, 201)
    (await ann.post(f"messages/{by_ann[4]['id']}/reactions", {"emoji": THUMB})).expect(200, 201)
    (await ann.delete(f"messages/{by_ann[4]['id']}/reactions", params={"emoji": THUMB})).expect(200, 204)
    async with ann.socket() as anns, bob.socket() as bobs:
        for chat, seq in {each["chat_id"]: each["seq"] for each in sent}.items():
            await bobs.send_frame({"type": "delivered", "data": {"chat_id": chat, "seq": seq}})
            await anns.event("delivered", lambda frame: frame["data"]["seq"] == seq)
            (await bob.post(f"chats/{chat}/read", {"seq": seq - 1})).expect(200, 204)
    return Inhabited([ann, bob])
