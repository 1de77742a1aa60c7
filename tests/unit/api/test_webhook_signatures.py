"""Signatures: as the official client checks them, and as Standard Webhooks says."""

import base64
import hashlib
import hmac

import pytest
from segops_admin.webhook import verify_webhook

from services.api.webhooks.signatures import fault_of_secret, new_secret, signed_headers

BODY = b'{"event":"segment.recomputed"}'
PLAIN = "a plain secret!!".replace(" ", "-")


@pytest.mark.parametrize(
    "secret", [PLAIN, new_secret(), "sha256=0123456789abcdef"], ids=["plain", "made", "like a signature"]
)
def test_the_official_client_accepts_what_we_sign_and_nothing_else(secret: str) -> None:
    signature = signed_headers(secret, "msg_1", 1_674_087_231, BODY)["X-SegOps-Signature"]
    assert verify_webhook(BODY, signature, secret)
    assert not verify_webhook(BODY + b" ", signature, secret)
    assert not verify_webhook(BODY, signature, secret + "x")


@pytest.mark.parametrize(
    ("secret", "key"),
    [(PLAIN, PLAIN.encode()), ("whsec_" + base64.b64encode(b"k" * 32).decode(), b"k" * 32)],
)
def test_standard_webhooks_accepts_it(secret: str, key: bytes) -> None:
    headers = signed_headers(secret, "msg_1", 1_674_087_231, BODY)
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_1", "1674087231")
    expected = hmac.new(key, b"msg_1.1674087231." + BODY, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


def test_the_signature_is_that_of_a_published_example() -> None:
    """The values of the reference implementation's own tests."""
    headers = signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secrets_of_our_own_are_long_and_never_the_same() -> None:
    made = {new_secret() for _ in range(10)}
    assert len(made) == 10
    assert all(fault_of_secret(secret) is None and len(secret) == 50 for secret in made)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64!", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_secret_that_only_looks_like_one_of_standard_webhooks_is_named(secret: str) -> None:
    assert "24 to 64 bytes as base64" in (fault_of_secret(secret) or "")
