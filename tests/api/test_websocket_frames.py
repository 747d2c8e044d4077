"""WebSocket frames that no honest client writes: the right close code, and the daemon goes on."""

from __future__ import annotations

import asyncio
import json
import struct
import time
import zlib

import pytest

from rig.client import Account, Problem, Rest, a_chat, a_user, an_id
from rig.daemon import Daemon
from rig.postgres import PostgresCluster
from rig.raw_http import RawConnection, a_frame, text

pytestmark = pytest.mark.core

PROTOCOL_ERROR, BAD_DATA, TOO_BIG = 1002, 1007, 1009


@pytest.fixture(scope="session")
async def ann(rest: Rest) -> Account:
    return await a_user(rest)


async def authenticated(connection: RawConnection, account: Account, extra: str = "") -> None:
    answer = await connection.upgrade(extra=extra)
    assert answer.status == 101
    await until(connection, "hello")
    await connection.send(text({"type": "authenticate", "ref": "1", "data": {"token": account.access_token,
                                                                            "cursor": None}}))
    await until(connection, "caught_up")


async def until(connection: RawConnection, kind: str) -> dict:
    while True:
        frame = await connection.frame()
        assert frame is not None and frame[0] in (1, 9, 10), frame
        if frame[0] == 1 and (found := json.loads(frame[1]))["type"] == kind:
            return found


FRAMES = {
    "unmasked": (a_frame(1, b'{"type":"ping"}', masked=False), {PROTOCOL_ERROR}),
    "reserved bit 1 without deflate": (a_frame(1, b"{}", rsv=4), {PROTOCOL_ERROR}),
    "reserved bit 2": (a_frame(1, b"{}", rsv=2), {PROTOCOL_ERROR}),
    "reserved bit 3": (a_frame(1, b"{}", rsv=1), {PROTOCOL_ERROR}),
    "opcode 3": (a_frame(3, b"{}"), {PROTOCOL_ERROR}),
    "opcode 7": (a_frame(7), {PROTOCOL_ERROR}),
    "opcode 11": (a_frame(11), {PROTOCOL_ERROR}),
    "opcode 15": (a_frame(15), {PROTOCOL_ERROR}),
    "a ping in fragments": (a_frame(9, b"x", fin=False), {PROTOCOL_ERROR}),
    "a close in fragments": (a_frame(8, b"", fin=False), {PROTOCOL_ERROR}),
    "a ping of 126 bytes": (a_frame(9, b"x" * 126), {PROTOCOL_ERROR}),
    "a continuation of nothing": (a_frame(0, b"{}"), {PROTOCOL_ERROR}),
    "a text inside a text": (a_frame(1, b'{"a', fin=False) + a_frame(1, b"{}"), {PROTOCOL_ERROR}),
    "bad UTF-8": (a_frame(1, b'{"type":"\xc3\x28"}'), {BAD_DATA}),
    "an overlong encoding": (a_frame(1, b"\xc0\xaf"), {BAD_DATA}),
    "a surrogate in UTF-8": (a_frame(1, b"\xed\xa0\x80"), {BAD_DATA}),
    "UTF-8 cut at the end": (a_frame(1, b"\xe2\x82"), {BAD_DATA}),
    "a close of one byte": (a_frame(8, b"\x03"), {PROTOCOL_ERROR}),
    "a close with code 999": (a_frame(8, struct.pack("!H", 999)), {PROTOCOL_ERROR}),
    "a close with code 1005": (a_frame(8, struct.pack("!H", 1005)), {PROTOCOL_ERROR}),
    "a close with code 1006": (a_frame(8, struct.pack("!H", 1006)), {PROTOCOL_ERROR}),
    "a close with a bad reason": (a_frame(8, struct.pack("!H", 1000) + b"\xff"), {PROTOCOL_ERROR, BAD_DATA}),
    "a length not minimal": (a_frame(1, b'{"type":"ping"}', extended=8), {PROTOCOL_ERROR, None}),
    "a length beyond 63 bits": (b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0", {PROTOCOL_ERROR, TOO_BIG}),
    "a frame announced as 1 GiB": (a_frame(1, b"x", length=2**30), {TOO_BIG}),
    "a frame above the cap": (a_frame(1, b"x" * (1024 * 1024 + 1)), {TOO_BIG}),
    "a binary frame": (a_frame(2, b"\x00\x01"), {1003, PROTOCOL_ERROR, BAD_DATA, None}),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_a_bad_frame_closes_with_its_code(server: Daemon, ann: Account, name: str) -> None:
    data, codes = FRAMES[name]
    async with RawConnection(server.url) as connection:
        await authenticated(connection, ann)
        try:
            await connection.send(data)
        except ConnectionError:
            pass
        if None in codes:
            await connection.send(text({"type": "ping", "ref": "1"}))
            frame = await connection.frame()
            while frame is not None and frame[0] in (9, 10):
                frame = await connection.frame()
            assert frame is not None
            if frame[0] == 1:
                return
            assert struct.unpack("!H", frame[1][:2])[0] in codes
        else:
            code = await connection.close_code()
            # A peer that is still sending may lose the close frame to a reset.
            assert code in codes | ({1006} if len(data) > 65536 else set()), (name, code)


@pytest.mark.parametrize("name", ["unmasked", "opcode 3", "a frame announced as 1 GiB", "bad UTF-8"])
async def test_the_same_before_authentication(server: Daemon, name: str) -> None:
    data, codes = FRAMES[name]
    async with RawConnection(server.url) as connection:
        assert (await connection.upgrade()).status == 101
        await connection.send(data)
        assert await connection.close_code() in codes | {4401}


async def test_a_message_above_the_cap_in_fragments(server: Daemon, ann: Account) -> None:
    async with RawConnection(server.url) as connection:
        await authenticated(connection, ann)
        try:
            await connection.send(a_frame(1, b'"' + b"x" * 60_000, fin=False))
            for _ in range(40):
                await connection.send(a_frame(0, b"x" * 60_000, fin=False))
        except ConnectionError:
            pass
        assert await connection.close_code() in (TOO_BIG, 1006)


async def test_the_number_of_fragments_is_bounded(server: Daemon, ann: Account) -> None:
    async with RawConnection(server.url) as connection:
        await authenticated(connection, ann)
        try:
            await connection.send(a_frame(1, b'"', fin=False) + a_frame(0, b"x", fin=False) * 5_000)
        except ConnectionError:
            pass
        assert await connection.close_code() in (1002, 1008, TOO_BIG, 1006)


async def test_a_message_in_a_few_fragments_with_pings_between(server: Daemon, ann: Account) -> None:
    async with RawConnection(server.url) as connection:
        await authenticated(connection, ann)
        await connection.send(a_frame(1, b'{"type":"pi', fin=False) + a_frame(9, b"between") +
                              a_frame(0, b"", fin=False) + a_frame(0, b'ng","ref":"7"}'))
        seen = []
        while len(seen) < 2:
            frame = await connection.frame()
            assert frame is not None
            seen.append(frame)
        assert (10, b"between") in seen
        assert any(opcode == 1 and json.loads(payload)["type"] == "pong" for opcode, payload in seen)


async def test_split_at_every_byte(server: Daemon, ann: Account) -> None:
    async with RawConnection(server.url) as connection:
        await authenticated(connection, ann)
        for byte in text({"type": "ping", "ref": "slow"}):
            await connection.send(bytes([byte]))
            await asyncio.sleep(0.001)
        assert (await until(connection, "pong"))["ref"] == "slow"


async def test_many_frames_in_one_write(server: Daemon, ann: Account) -> None:
    async with RawConnection(server.url) as connection:
        await authenticated(connection, ann)
        await connection.send(b"".join(text({"type": "ping", "ref": str(number)}) for number in range(50)))
        assert [(await until(connection, "pong"))["ref"] for _ in range(50)] == [str(number) for number in range(50)]


async def test_a_ping_flood_is_answered_or_cut_but_never_hurts(server: Daemon, ann: Account, rest: Rest) -> None:
    async with RawConnection(server.url) as connection:
        await authenticated(connection, ann)
        flood = a_frame(9, b"x" * 125) * 1000
        try:
            for _ in range(100):
                connection.writer.write(flood)
                await asyncio.wait_for(connection.writer.drain(), 1)
        except (ConnectionError, TimeoutError):
            pass
        begun = time.monotonic()
        (await rest.get("/livez")).expect(200)
        assert time.monotonic() - begun < 2


async def test_a_clean_close_is_answered(server: Daemon, ann: Account) -> None:
    for payload, expected in ((struct.pack("!H", 1000), {1000}), (struct.pack("!H", 4000) + b"bye", {4000, 1000}),
                              (b"", {1000, 1005})):
        async with RawConnection(server.url) as connection:
            await authenticated(connection, ann)
            await connection.send(a_frame(8, payload))
            assert await connection.close_code() in expected
            assert await connection.closed(5)


async def test_frames_after_a_close_are_not_read(server: Daemon, ann: Account) -> None:
    chat = (await a_chat(ann))["id"]
    async with RawConnection(server.url) as connection:
        await authenticated(connection, ann)
        await connection.send(a_frame(8, struct.pack("!H", 1000)) + text({"type": "message", "ref": "2", "data": {
            "id": an_id(), "chat_id": chat, "type": "text", "text": "too late"}}))
        assert await connection.close_code() == 1000
    assert await ann.whole_history(chat) == []


async def test_a_deflate_bomb_is_refused(server: Daemon, ann: Account) -> None:
    async with RawConnection(server.url) as connection:
        answer = await connection.upgrade(extra="Sec-WebSocket-Extensions: permessage-deflate\r\n")
        assert "permessage-deflate" in answer.headers["sec-websocket-extensions"]
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = squeeze.compress(b"x" * (64 * 1024 * 1024)) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        await connection.send(a_frame(1, bomb[:-4], rsv=4))
        assert await connection.close_code() in (TOO_BIG, 1006)


async def test_deflate_is_negotiated_and_used_for_what_is_large(server: Daemon, ann: Account) -> None:
    chat = (await a_chat(ann))["id"]
    async with RawConnection(server.url) as connection:
        answer = await connection.upgrade(extra="Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
        offer = answer.headers["sec-websocket-extensions"]
        assert "permessage-deflate" in offer and "server_no_context_takeover" in offer
        await connection.send(text({"type": "authenticate", "ref": "1", "data": {"token": ann.access_token, "cursor": None}}))

        async def until_compressed_or_not(kind: str) -> tuple[bool, dict]:
            while True:
                flags, payload = await connection.frame_with_flags()
                compressed = bool(flags & 0x40)
                if compressed:
                    payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
                if flags & 0x0F == 1 and (found := json.loads(payload))["type"] == kind:
                    return compressed, found

        assert not (await until_compressed_or_not("caught_up"))[0], "small frames stay as they are"
        sent = await ann.send(chat, "compress me " * 400)
        compressed, event = await until_compressed_or_not("message")
        assert compressed and event["data"]["text"] == sent["text"]


async def test_replies_that_come_in_one_write_with_what_they_reply_to(server: Daemon, ann: Account) -> None:
    chat = (await a_chat(ann))["id"]
    async with RawConnection(server.url) as connection:
        await authenticated(connection, ann)
        ids = [an_id() for _ in range(20)]
        frames = b"".join(text({"type": "message", "ref": name, "data": {
            "id": name, "chat_id": chat, "type": "text", "text": "x", "reply_to": before}})
            for before, name in zip([None, *ids], ids))
        await connection.send(frames)
        seqs = [(await until(connection, "ack"))["data"]["seq"] for _ in ids]
        assert seqs == list(range(seqs[0], seqs[0] + len(ids)))
    found = await ann.whole_history(chat)
    assert [item["reply_to"] for item in found] == [None, *ids[:-1]]


async def test_a_silent_peer_is_asked_and_then_cut(spawn, postgres: PostgresCluster) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="silent", settings={
        "SUPD__WEBSOCKET__HEARTBEAT_S": "1", "SUPD__WEBSOCKET__IDLE_TIMEOUT_S": "3"}).start()
    async with Rest(daemon.url) as rest, RawConnection(daemon.url) as silent, RawConnection(daemon.url) as answering:
        one, two = await a_user(rest), await a_user(rest)
        await authenticated(silent, one)
        await authenticated(answering, two)
        begun, pings = time.monotonic(), 0

        async def answer() -> None:
            nonlocal pings
            while pings < 5:
                frame = await answering.frame()
                assert frame is not None, "who answers stays"
                if frame[0] == 9:
                    pings += 1
                    await answering.send(a_frame(10, frame[1]))

        async def say_nothing() -> float:
            frames = []
            while (frame := await silent.frame(30)) is not None:
                frames.append(frame[0])
            assert 9 in frames
            return time.monotonic() - begun

        _, cut_after = await asyncio.gather(answer(), say_nothing())
        assert cut_after > 2.5
        await answering.send(text({"type": "ping", "ref": "still"}))
        await until(answering, "pong")


async def test_too_many_frames_close_with_4429_and_another_socket_is_no_other_budget(
        spawn, postgres: PostgresCluster) -> None:
    daemon = spawn(database_url=postgres.new_database(), name="limits", settings={
        "SUPD__RATE_LIMIT__ENABLED": "true", "SUPD__RATE_LIMIT__MESSAGE_PER_MINUTE": "1",
        "SUPD__RATE_LIMIT__MESSAGE_BURST": "20"}).start()
    async with Rest(daemon.url) as rest:
        account = await a_user(rest)
        chat = (await a_chat(account))["id"]
        async with account.socket() as first:
            for _ in range(18):
                await first.message(chat)
        async with account.socket() as second:
            with pytest.raises(Problem) as refusal:
                for _ in range(10):
                    await second.message(chat)
            assert refusal.value.status == 429 and refusal.value.code == "rate_limited"
            assert (await second.call("ping"))["type"] == "pong", "what writes nothing is not counted with it"
        async with RawConnection(daemon.url) as connection:
            await authenticated(connection, account)
            await connection.send(text({"type": "ping"}) * 300)
            assert await connection.close_code() == 4429


@pytest.mark.parametrize("head", [
    "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nConnection: Upgrade\r\n", ""])
async def test_a_bad_handshake_is_refused(server: Daemon, head: str) -> None:
    async with RawConnection(server.url) as connection:
        await connection.send(f"GET /ws HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
        answer = await connection.reply()
        assert answer is not None and 400 <= answer.status < 500


async def test_the_upgrade_is_refused_elsewhere_and_by_post(server: Daemon) -> None:
    async with RawConnection(server.url) as connection:
        assert (await connection.upgrade("/api/v1/users/me")).status in (400, 401, 404, 426)
    async with RawConnection(server.url) as connection:
        await connection.send(b"POST /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n"
                              b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        answer = await connection.reply()
        assert answer is not None and 400 <= answer.status < 500
