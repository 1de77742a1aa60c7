"""Making, showing and revoking API keys."""

from datetime import UTC, datetime
from typing import NamedTuple

from services.api.auth import Caller
from services.api.database import UnitOfWork
from services.api.errors import Invalid, NotFound
from services.api.repository.api_keys import ApiKeyRow, NewKey
from services.api.scopes import KeyType
from services.api.secret_texts import digest_of, new_hmac_secret, new_text

_PREFIXES: dict[KeyType, str] = {"secret": "sk_", "public": "pk_"}  # what keys begin with # nosec B105
_OF_PUBLIC_KEYS = "only public keys have this"


class WishedKey(NamedTuple):
    """What a key shall be. `expires_at_us`: microseconds since 1970."""

    name: str
    type: KeyType
    allowed_origins: list[str]
    require_signed_user_id: bool = False
    expires_at_us: int | None = None


class MadeKey(NamedTuple):
    """A new key with what nobody sees again; `hmac_secret` is of public keys."""

    row: ApiKeyRow
    key: str
    hmac_secret: bytes | None


async def create(work: UnitOfWork, caller: Caller, wished: WishedKey, now_us: int) -> MadeKey:
    """A new key of the caller's tenant. Raises Invalid."""
    if wished.type == "secret":
        given = {"allowed_origins": wished.allowed_origins, "require_signed_user_id": wished.require_signed_user_id}
        faults = {field: [_OF_PUBLIC_KEYS] for field, value in given.items() if value}
        if faults:
            raise Invalid(faults)
    if wished.expires_at_us is not None and wished.expires_at_us <= now_us:
        raise Invalid({"expires_at": ["must be in the future"]})
    key = new_text(_PREFIXES[wished.type])
    secret = new_hmac_secret() if wished.type == "public" else None
    expiry = None if wished.expires_at_us is None else datetime.fromtimestamp(wished.expires_at_us / 1_000_000, UTC)
    stored = NewKey(
        digest_of(key.encode()),
        wished.type,
        wished.name,
        wished.allowed_origins,
        wished.require_signed_user_id,
        secret,
        caller.name,
        expiry,
    )
    return MadeKey(await find(work, caller, await work.api_keys.create(caller.tenant, stored)), key, secret)


async def find(work: UnitOfWork, caller: Caller, key_id: int) -> ApiKeyRow:
    """The caller's key. Raises NotFound for an unknown, a revoked and another tenant's one."""
    row = await work.api_keys.get(key_id)
    if row is None or row.tenant_id != caller.tenant:
        raise NotFound
    return row


async def revoke(work: UnitOfWork, caller: Caller, key_id: int) -> bytes:
    """Revoke the caller's key for ever; returns its SHA-256. Raises NotFound."""
    await find(work, caller, key_id)
    digest = await work.api_keys.revoke(key_id)
    if digest is None:
        raise NotFound
    return digest
