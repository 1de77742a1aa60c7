"""Sessions: whom the browser of a public key may speak for."""

import hashlib
import hmac
from typing import NamedTuple

from services.api.errors import Forbidden, Invalid
from services.api.repository.api_keys import ApiKeyRow

_SIGNATURE_S = 5 * 60
_ANONYMOUS = "anonymous:"


class Wished(NamedTuple):
    """What a request says of its user. `user_id_ts`: seconds since 1970."""

    user_id: str | None
    anonymous_id: str | None
    user_id_sig: str | None
    user_id_ts: int | None


def user_of(key: ApiKeyRow, wished: Wished, origin: str | None, now_us: int) -> str:
    """The user that the session is for.

    Raises:
        Forbidden: the origin is none of the key's, or the signature is missing, wrong or too old.
        Invalid: no user is named.
    """
    if key.allowed_origins and origin not in key.allowed_origins:
        raise Forbidden("sessions of this key are not minted from this origin")
    if wished.user_id is None:
        if wished.anonymous_id is None:
            raise Invalid({"user_id": ["this field or anonymous_id is required"]})
        # where user ids are signed, nobody may get one unsigned by calling it anonymous
        return _ANONYMOUS + wished.anonymous_id if key.require_signed_user_id else wished.anonymous_id
    if (key.require_signed_user_id or wished.user_id_sig is not None) and not _is_signed(key, wished, now_us):
        raise Forbidden("user_id_sig is missing, wrong or not within 5 minutes")
    return wished.user_id


def _is_signed(key: ApiKeyRow, wished: Wished, now_us: int) -> bool:
    if wished.user_id_sig is None or wished.user_id_ts is None or key.hmac_secret is None:
        return False
    if abs(now_us // 1_000_000 - wished.user_id_ts) > _SIGNATURE_S:
        return False
    message = f"{wished.user_id}|{wished.user_id_ts}".encode()
    expected = hmac.new(key.hmac_secret, message, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), wished.user_id_sig.lower().encode())
