"""Keys and refresh tokens: 256 bits by chance, of which only the SHA-256 is stored."""

import hashlib
import re
import secrets

_BYTES = 32
_KEY = re.compile(rb"(sk|pk)_[A-Za-z0-9_-]{43}")


def new_text(prefix: str) -> str:
    """A text that nobody guesses: `sk_...`, `pk_...`, `rt_...`."""
    return prefix + secrets.token_urlsafe(_BYTES)


def new_hmac_secret() -> bytes:
    """What a tenant's server signs user ids with."""
    return secrets.token_bytes(_BYTES)


def digest_of(text: bytes) -> bytes:
    """What is stored of it. Without a salt: of 256 bits by chance there is no table."""
    return hashlib.sha256(text).digest()


def looks_like_key(text: bytes) -> bool:
    """Whether it is worth a question to the database."""
    return _KEY.fullmatch(text) is not None
