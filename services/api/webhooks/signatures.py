"""The headers by which a receiver knows that a webhook is ours: those of SegOps and those of Standard Webhooks.

Both sign with HMAC-SHA256. SegOps keys it with the secret as it is written; Standard Webhooks with the bytes that a
secret `whsec_<base64>` stands for. A secret of another form is its own bytes for both.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

_PREFIX = "whsec_"
_MADE_BYTES = 32
_KEY_BYTES = range(24, 65)


def new_secret() -> str:
    """A secret of 32 random bytes, as Standard Webhooks writes them."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_MADE_BYTES)).decode()


def fault_of_secret(secret: str) -> str | None:
    """What is wrong with a secret that claims to be of Standard Webhooks, or None."""
    if not secret.startswith(_PREFIX):
        return None
    try:
        is_key = len(_key(secret)) in _KEY_BYTES
    except (binascii.Error, ValueError):
        is_key = False
    return None if is_key else f"after {_PREFIX} there must be 24 to 64 bytes as base64"


def signed_headers(secret: str, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt. `timestamp_s`: when it is made, in seconds since 1970."""
    by_segops = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp_s, body)
    by_standard = base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()
    return {
        "X-SegOps-Signature": f"sha256={by_segops}",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{by_standard}",
    }


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
