"""Access tokens with the daemon's own secret: genuine in form, wrong in what they say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

# The key is derived from JWT_SECRET; see include/supd/crypto/access_token.hpp.
DERIVATION = b"supd access token HS256 v1"


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header_of(token: str) -> dict:
    return json.loads(decode(token.split(".")[0]))


def claims_of(token: str) -> dict:
    return json.loads(decode(token.split(".")[1]))


def compact(value: dict) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def signature(secret: str, signed: str) -> str:
    key = hmac.new(secret.encode(), DERIVATION, hashlib.sha256).digest()
    return encode(hmac.new(key, signed.encode(), hashlib.sha256).digest())


def signed(secret: str, header: dict | bytes, claims: dict | bytes) -> str:
    parts = [part if isinstance(part, bytes) else compact(part) for part in (header, claims)]
    text = ".".join(encode(part) for part in parts)
    return f"{text}.{signature(secret, text)}"


def altered(token: str, secret: str, **claims: object) -> str:
    """The same token with other claims, signed properly; None removes a claim."""
    found = claims_of(token) | claims
    return signed(secret, header_of(token), {name: value for name, value in found.items() if value is not None})


def expired(token: str, secret: str) -> str:
    old = claims_of(token)
    return altered(token, secret, iat=old["iat"] - 7200, exp=old["exp"] - 7200)
