"""Access tokens: everything that is not exactly what the daemon signed is 401, quickly and alike."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest

from rig.client import Account, Rest, a_user
from rig.daemon import Daemon
from rig.tokens import altered, claims_of, compact, decode, encode, expired, header_of, signature, signed


@pytest.fixture(scope="module")
async def ann(rest: Rest) -> Account:
    return await a_user(rest)


@pytest.fixture(scope="module")
def secret(server: Daemon) -> str:
    return server.settings["JWT_SECRET"]


async def test_the_rig_signs_as_the_daemon_does(ann: Account, secret: str) -> None:
    same = altered(ann.access_token, secret)
    assert same == ann.access_token
    (await ann.get("users/me", token=same)).expect(200)


async def test_a_token_tells_who_and_when_and_no_more(ann: Account) -> None:
    claims = claims_of(ann.access_token)
    assert claims["exp"] - claims["iat"] == 900 and header_of(ann.access_token)["kid"]
    assert ann.username not in str(claims)


async def test_an_expired_token_says_so(ann: Account, secret: str) -> None:
    (await ann.get("users/me", token=expired(ann.access_token, secret))).problem(401, "token_expired")


def attacks(token: str, secret: str) -> dict[str, str]:
    header, claims = header_of(token), claims_of(token)
    head, body, mark = token.split(".")

    def by_hmac(key: bytes, new_header: dict) -> str:
        text = f"{encode(compact(new_header))}.{body}"
        return f"{text}.{encode(hmac.new(key, text.encode(), hashlib.sha256).digest())}"

    found = {
        f"alg {name}": f"{encode(compact(header | {'alg': name}))}.{body}.{tail}"
        for name in ("none", "None", "NONE", "nOnE", "", "HS512", "RS256", "ES256", "EdDSA") for tail in ("", mark)
    }
    found |= {f"signed with {key[:12]!r}": by_hmac(key, header)
              for key in (b"", b"secret", header["kid"].encode(), secret.encode(), decode(head), b"\0" * 32)}
    found |= {f"kid {kid[:20]!r}": signed(secret, header | {"kid": kid}, claims)
              for kid in ("", "../../dev/null", "' or 1=1 --", "x" * 4000, "/proc/self/environ", "\u0000")}
    found |= {name: signed(secret, header | {name: "http://127.0.0.1:9/k"}, claims) for name in ("jku", "x5u", "jwk", "x5c")}
    found["crit"] = signed(secret, header | {"crit": ["exp"]}, claims)
    found["no kid"] = signed(secret, {key: value for key, value in header.items() if key != "kid"}, claims)
    found["typ"] = signed(secret, header | {"typ": "at+jwt2"}, claims)
    for name, values in {"iss": ("evil", None, 5), "aud": ("evil", None, ["supd", "evil"]), "sub": (None, 5, "", "x"),
                         "exp": (None, "9999999999", -1, 1e300, True, 10**30, 99999999999), "sid": (None, "x"),
                         "did": (None,), "iat": (None, "now", 99999999999)}.items():
        found |= {f"{name} {value!r}": altered(token, secret, **{name: value}) for value in values}
    found["exp 1e400"] = signed(secret, header, compact(claims).replace(str(claims["exp"]).encode(), b"1e400"))
    found["two subs"] = signed(secret, header, compact(claims)[:-1] + b',"sub":"' + str(claims["sub"]).encode() + b'"}')
    found["an extra claim"] = altered(token, secret, admin=True)
    found["not JSON"] = signed(secret, header, b"claims")
    found["100 KiB"] = altered(token, secret, pad="x" * 6000)
    found["one dot"] = f"{head}.{body}"
    found["no signature"] = f"{head}.{body}."
    found["four dots"] = f"{token}.x.y"
    found["a trailing bit"] = token[:-1] + next(chr(ord(token[-1]) + step) for step in (1, -1)
                                                if chr(ord(token[-1]) + step).isalnum())
    found["padding"] = token + "="
    found["standard base64"] = f"{head}.{body}.{mark}".replace("-", "+").replace("_", "/") + "+"
    found["a flipped body"] = f"{head}.{encode(compact(claims | {'sub': claims['sid']}))}.{mark}"
    found["an empty one"] = ".."
    found["a tail after a space"] = f"{token} x"
    found["signed as text"] = f"{head}.{body}.{signature(secret, body)}"
    return found


async def test_every_attack_is_401_with_one_body(ann: Account, secret: str) -> None:
    (await ann.get("users/me")).expect(200)
    bodies, slow = {}, []
    for name, token in attacks(ann.access_token, secret).items():
        begun = time.monotonic()
        answer = await ann.rest.get("users/me", headers={"Authorization": f"Bearer {token}"})
        if time.monotonic() - begun > 0.25:
            slow.append(name)
        assert answer.status == 401, (name, answer.status)
        problem = answer.problem(401)
        problem.pop("request_id")
        bodies.setdefault(str(problem), []).append(name)
    assert not slow, slow
    assert len(bodies) == 1, bodies


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic dXNlcjpwdw==", "bearer", "Token x", "Bearer a b c", "\t"])
async def test_other_authorization_headers_are_401(rest: Rest, value: str) -> None:
    (await rest.get("users/me", headers={"Authorization": value})).problem(401, "unauthenticated")


async def test_a_refused_token_names_the_scheme(rest: Rest) -> None:
    answer = await rest.get("users/me")
    answer.problem(401, "unauthenticated")
    assert answer.headers.get("WWW-Authenticate", "").startswith("Bearer")


async def test_a_cookie_or_a_query_never_authenticates(ann: Account) -> None:
    for name in ("token", "access_token", "session", "jwt", "Authorization"):
        (await ann.rest.get("users/me", headers={"Cookie": f"{name}={ann.access_token}"})).problem(401)
    answer = await ann.rest.get("users/me", params={"access_token": ann.access_token})
    assert answer.status in (400, 401)


async def test_a_refresh_token_is_no_access_token_and_the_reverse(ann: Account) -> None:
    (await ann.get("users/me", token=ann.refresh_token)).problem(401)
    (await ann.rest.post("auth/refresh", {"refresh_token": ann.access_token})).problem(401)
    (await ann.rest.post("auth/refresh", {"refresh_token": "x" * 2048})).problem(401)
    (await ann.rest.post("auth/refresh", {"refresh_token": "x" * 2049})).problem(400)
