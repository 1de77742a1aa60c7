"""Signed tokens: of who signed in, for an hour, and of a session, which speaks for one user."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jwt

from services.api.errors import Unauthorized
from shared.runtime.clock import Clock

ACCESS_S = 60 * 60
SESSION_S = 15 * 60

_ALGORITHM = "HS256"
_ISSUER = "shoal"
# each kind has an audience of its own, so that none passes for the other
_ACCESS = "shoal-access"
_SESSION = "shoal-session"
_KEY_CLAIM = "key"
_REQUIRED = ("iss", "aud", "exp", "sub")


class AccessToken(NamedTuple):
    """Who signed in."""

    login_id: int


class SessionToken(NamedTuple):
    """The public key that it was minted with, and the user it speaks for."""

    key_id: int
    user_id: str


class Tokens:
    """Signs with the first secret; believes what any of them has signed."""

    def __init__(self, secrets: Sequence[str], clock: Clock) -> None:
        self._secrets, self._clock = secrets, clock

    def access(self, login_id: int) -> str:
        """A token that tells who signed in."""
        return self._signed(_ACCESS, self._expiry_s(ACCESS_S), sub=str(login_id))

    def session(self, key_id: int, user_id: str) -> tuple[str, int]:
        """A token that lets a browser send events of one user, and when it expires (microseconds since 1970)."""
        expiry_s = self._expiry_s(SESSION_S)
        return self._signed(_SESSION, expiry_s, sub=user_id, **{_KEY_CLAIM: key_id}), expiry_s * 1_000_000

    def read(self, token: bytes) -> AccessToken | SessionToken:
        """What a token says. Raises Unauthorized for one that is not ours, not whole or expired."""
        for secret in self._secrets:
            try:
                claims = jwt.decode(
                    token,
                    secret,
                    algorithms=[_ALGORITHM],
                    issuer=_ISSUER,
                    audience=(_ACCESS, _SESSION),
                    options={"require": list(_REQUIRED)},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.PyJWTError:
                break
            return _read(claims)
        raise Unauthorized

    def _expiry_s(self, life_s: int) -> int:
        return self._clock.now_us() // 1_000_000 + life_s

    def _signed(self, audience: str, expiry_s: int, **claims: Any) -> str:
        claims |= {"iss": _ISSUER, "aud": audience, "exp": expiry_s}
        return jwt.encode(claims, self._secrets[0], algorithm=_ALGORITHM)


def _read(claims: dict[str, Any]) -> AccessToken | SessionToken:
    # only what we signed comes here
    if claims["aud"] == _ACCESS:
        return AccessToken(int(claims["sub"]))
    return SessionToken(claims[_KEY_CLAIM], claims["sub"])
