"""HTTP framing that proxies and servers read differently must be refused and the connection closed."""

from __future__ import annotations

import asyncio
import time

import pytest

from rig.client import Rest, a_user
from rig.daemon import Daemon
from rig.raw_http import RawConnection, exchange

pytestmark = pytest.mark.core

POST = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = b'{"identifier":"nobody_here","password":"wrong password"}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

AMBIGUOUS = {
    "length and chunked": POST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "chunked and length": POST + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + CHUNKED,
    "two lengths that differ": POST + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY,
    "a list of lengths": POST + b"Content-Length: %d, 3\r\n\r\n" % len(BODY) + BODY,
    "a length with a sign": POST + b"Content-Length: +%d\r\n\r\n" % len(BODY) + BODY,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + BODY,
    "a length in hex": POST + b"Content-Length: 0x10\r\n\r\n" + BODY,
    "a length beyond 64 bits": POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + BODY,
    "an empty length": POST + b"Content-Length: \r\n\r\n" + BODY,
    "TE of x then chunked": POST + b"Transfer-Encoding: x, chunked\r\n\r\n" + CHUNKED,
    "TE with a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKED,
    "TE xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "TE chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKED,
    "TE chunked then identity": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNKED,
    "TE with a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKED,
    "TE in 1.0": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "a folded header": POST + LENGTH + b"X-Folded: a\r\n b\r\n\r\n" + BODY,
    "a first header with leading space": b"GET /health HTTP/1.1\r\n Host: x\r\n\r\n",
    "a header without a colon": b"GET /health HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "a header with an empty name": b"GET /health HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    "a NUL in a header": b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "a bare CR in a header": b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n",
    "a space in the path": b"GET /heal th HTTP/1.1\r\nHost: x\r\n\r\n",
    "no version": b"GET /health\r\n\r\n",
    "a wrong version": b"GET /health HTTP/3.7\r\nHost: x\r\n\r\n",
    "a bad chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "an open quote in a chunk extension": POST + b"Transfer-Encoding: chunked\r\n\r\n5;x=\"y\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a huge chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + BODY,
    "a chunk without its CRLF": POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%sXX0\r\n\r\n" % (len(BODY), BODY),
    "two hosts": b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host in 1.1": b"GET /health HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_ambiguous_framing_is_400_and_close(server: Daemon, name: str) -> None:
    async with RawConnection(server.url) as connection:
        await connection.send(AMBIGUOUS[name] + SMUGGLED)
        answer = await connection.reply()
        assert answer is None or answer.status in (400, 411, 413, 501, 505), (name, answer)
        assert answer is None or answer.headers.get("connection", "").lower() == "close", (name, answer)
        assert await connection.reply() is None, "the bytes after it must not be read as a request"
        assert await connection.closed(5)


@pytest.mark.parametrize("request_bytes", [
    b"GET /health HTTP/1.1\nHost: x\n\n", b"GET /health HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n"])
async def test_bare_line_feeds_are_refused_or_read_alike(server: Daemon, request_bytes: bytes) -> None:
    answer = await exchange(server.url, request_bytes, deadline_s=14)
    assert answer.status in (0, 400, 408)


async def test_identical_lengths_and_plain_chunks_are_read(server: Daemon) -> None:
    same = await exchange(server.url, POST + LENGTH + LENGTH + b"\r\n" + BODY)
    assert same.status in (400, 401)
    chunked = await exchange(server.url, POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED)
    assert chunked.status == 401
    extended = await exchange(server.url, POST + b"Transfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\nX-T: 1\r\n\r\n" % (
        len(BODY), BODY))
    assert extended.status in (400, 401)


async def test_endless_chunk_extensions_and_trailers_are_refused(server: Daemon) -> None:
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    for rest in (b"1;" + b"a" * 200_000 + b"\r\nx\r\n0\r\n\r\n",
                 b"0\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\n"):
        answer = await exchange(server.url, head + rest)
        assert answer.status in (0, 400, 413, 431)


async def test_too_many_headers(server: Daemon) -> None:
    many = b"".join(b"X-%d: y\r\n" % number for number in range(5_000))
    assert (await exchange(server.url, b"GET /health HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")).status == 431


async def test_a_body_announced_too_large_is_refused_unread(server: Daemon) -> None:
    begun = time.monotonic()
    answer = await exchange(server.url, POST + b"Content-Length: 1000000000\r\n\r\n")
    assert answer.status == 413 and time.monotonic() - begun < 2


async def test_a_body_that_is_announced_needs_a_length(server: Daemon) -> None:
    logout = b"POST /api/v1/auth/logout HTTP/1.1\r\nHost: x\r\nX-Request-Id: of-the-client\r\n"
    assert (await exchange(server.url, logout + b"\r\n")).status == 401, "nothing to send needs no length"
    assert (await exchange(server.url, logout + b"Content-Length: 0\r\nContent-Type: application/json\r\n\r\n")).status == 401
    answer = await exchange(server.url, logout + b"Content-Type: application/json\r\n\r\n")
    assert answer.status == 411 and answer.json["code"] == "length_required"
    assert answer.headers["x-request-id"] == answer.json["request_id"] == "of-the-client"


async def test_expect_continue(server: Daemon) -> None:
    async with RawConnection(server.url) as connection:
        await connection.send(POST + LENGTH + b"Expect: 100-continue\r\n\r\n")
        first = await connection.reply(5)
        if first is not None and first.status == 100:
            await connection.send(BODY)
            first = await connection.reply()
        assert first is not None and first.status in (401, 417)


async def test_pipelined_requests_are_answered_in_order(server: Daemon) -> None:
    async with RawConnection(server.url) as connection:
        await connection.send(b"".join(
            b"GET %s HTTP/1.1\r\nHost: x\r\nX-Request-Id: pipe-%08d\r\n\r\n" % (path, number)
            for number, path in enumerate([b"/livez", b"/nothing", b"/health", b"/api/v1/users/me"] * 5)))
        for number in range(20):
            answer = await connection.reply()
            assert answer is not None and answer.headers["x-request-id"] == f"pipe-{number:08d}"


async def test_keep_alive_and_close(server: Daemon) -> None:
    async with RawConnection(server.url) as connection:
        for _ in range(3):
            await connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await connection.reply()).status == 200
        await connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await connection.reply()).status == 200
        assert await connection.closed(5)
    async with RawConnection(server.url) as connection:
        await connection.send(b"GET /livez HTTP/1.0\r\n\r\n")
        assert (await connection.reply()).status == 200
        assert await connection.closed(5)


async def test_head_has_no_body_and_odd_methods_are_refused(server: Daemon) -> None:
    async with RawConnection(server.url) as connection:
        await connection.send(b"HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await connection.closed(5)
        head, _, body = connection._kept.partition(b"\r\n\r\n")  # noqa: SLF001
        assert head.split(b" ")[1] in (b"200", b"405")
        assert body == b""
    for method in (b"TRACE", b"CONNECT", b"FOO", b"get", b"G E T", b"X" * 5000):
        answer = await exchange(server.url, method + b" /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.status in (0, 400, 404, 405, 414, 431, 501), method


@pytest.mark.parametrize("path", [b"/../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/api/v1/users/%00", b"/api/v1/users/%zz",
                                  b"//health", b"/api//v1/users/me", b"/api/v1/users/me%2f..", b"*", b"http://evil/health",
                                  b"/api/v1/users/%ff%fe", b"/health?" + b"a=b&" * 3000])
async def test_odd_paths_are_no_fault(server: Daemon, path: bytes) -> None:
    answer = await exchange(server.url, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.status < 500, (path, answer)
    assert b"root:" not in answer.body


async def test_a_slow_header_is_cut(server: Daemon) -> None:
    begun = time.monotonic()
    async with RawConnection(server.url) as connection:
        await connection.send(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")

        async def trickle() -> None:
            while True:
                await connection.send(b"a")
                await asyncio.sleep(1)

        slow = asyncio.create_task(trickle())
        answer = await connection.reply(20)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert answer is None or answer.status == 408
        assert 3 < time.monotonic() - begun < 20


async def test_a_body_that_never_comes_is_cut(server: Daemon) -> None:
    async with RawConnection(server.url) as connection:
        await connection.send(POST + LENGTH + b"\r\n{")
        answer = await connection.reply(45)
        assert answer is None or answer.status == 408
        assert await connection.closed(5)


async def test_the_server_is_as_before(server: Daemon, rest: Rest) -> None:
    ann = await a_user(rest)
    (await ann.get("users/me")).expect(200)
    server.check()
