"""Tokens: only whole ones of ours, of the right kind, that have not expired."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest

from services.api.errors import Unauthorized
from services.api.tokens import AccessToken, SessionToken, Tokens
from shared.runtime.clock import SystemClock

SECRET = "a secret of 32 characters or more"
BEFORE = "the secret that was used until now"
NOW_S = SystemClock().now_us() // 1_000_000
CLAIMS = {"iss": "shoal", "aud": "shoal-access", "exp": NOW_S + 3600, "sub": "7"}


def tokens(*secrets: str) -> Tokens:
    return Tokens(secrets or (SECRET,), SystemClock())


def signed(claims: dict[str, Any], secret: str = SECRET, **header: Any) -> bytes:
    """A token as anybody with the secret may sign it."""
    parts = [{"alg": "HS256", "typ": "JWT", **header}, claims]
    text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    mac = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


def test_what_was_signed_is_read() -> None:
    made = tokens()
    assert made.read(made.access(7).encode()) == AccessToken(7)
    session, expires_at_us = made.session(3, "ada|é")
    assert made.read(session.encode()) == SessionToken(3, "ada|é")
    assert expires_at_us // 1_000_000 - NOW_S >= 15 * 60
    assert made.read(signed(CLAIMS)) == AccessToken(7)


def test_a_new_secret_signs_and_the_one_before_is_still_believed() -> None:
    old, both, new = tokens(BEFORE), tokens(SECRET, BEFORE), tokens(SECRET)
    assert both.read(old.access(7).encode()) == AccessToken(7)
    assert new.read(both.access(7).encode()) == AccessToken(7)
    with pytest.raises(Unauthorized):
        new.read(old.access(7).encode())


@pytest.mark.parametrize(
    "token",
    [
        signed(CLAIMS, "another secret of the same length"),
        signed(CLAIMS, ""),
        signed(CLAIMS, alg="none"),
        signed(CLAIMS, alg="none").rpartition(b".")[0] + b".",
        signed(CLAIMS, alg="HS512"),
        signed(CLAIMS, alg="RS256"),
        jwt.encode(CLAIMS, SECRET * 3, algorithm="HS512").encode(),
        jwt.encode(CLAIMS, SECRET * 3, algorithm="HS256").encode(),
        signed(CLAIMS | {"aud": "shoal"}),
        signed(CLAIMS | {"aud": "another-audience"}),
        signed(CLAIMS | {"iss": "another"}),
        signed(CLAIMS | {"exp": NOW_S - 1}),
        signed(CLAIMS | {"exp": "never"}),
        *(signed(without(name)) for name in CLAIMS),
        signed(CLAIMS)[:-1],
        signed(CLAIMS) + b"x" * 8,
        b"",
        b".",
        b"..",
        b"\xff\xfe.\xff.\xff",
        b"x.y.z",
        b"." * 10_000,
    ],
)
def test_whatever_is_none_of_ours_is_refused(token: bytes) -> None:
    with pytest.raises(Unauthorized):
        tokens().read(token)


def test_a_token_whose_claims_were_changed_is_refused() -> None:
    head, _, mac = signed(CLAIMS).split(b".")
    _, body, _ = signed(CLAIMS | {"sub": "8"}).split(b".")
    with pytest.raises(Unauthorized):
        tokens().read(b".".join((head, body, mac)))
