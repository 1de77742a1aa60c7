"""Who is calling: the one seam between a request and a tenant. Credentials decide, nothing else does."""

import hmac
from datetime import timedelta
from typing import NamedTuple

from services.api.bodies import Headers, header
from services.api.database import Database
from services.api.errors import Forbidden, Unauthorized
from services.api.kept import Kept
from services.api.scopes import OF_KEY, OF_ROLE, OF_SESSION, Scope
from services.api.secret_texts import digest_of, looks_like_key
from services.api.tokens import AccessToken, Tokens
from shared.runtime.clock import Clock

MAX_AGE_S = 4.0
"""What is revoked, deactivated or given another role is so this much later at the latest, in every process."""
_LAST_USED_EVERY = timedelta(minutes=5)
_STAYS_S = 60.0
"""Known callers are let in for so long while PostgreSQL does not answer."""


class Caller(NamedTuple):
    """Who a request is made for: the tenant by id and slug, the name that versions are signed with, what it may do.

    only_user: of a session, the one user that it speaks for. key_id: the API key, if it came with one.
    """

    tenant: int
    slug: str
    name: str
    scopes: frozenset[Scope] = frozenset()
    only_user: str | None = None
    key_id: int | None = None

    def check(self, scope: Scope) -> None:
        """Raises Forbidden unless the caller may do this."""
        if scope not in self.scopes:
            may = ", ".join(sorted(self.scopes)) or "nothing"
            raise Forbidden(f"these credentials do not allow this: it needs {scope}, they allow {may}")


class _Known(NamedTuple):
    """Whom credentials belong to, as it was read: None for those that are none of ours, revoked or not active."""

    caller: Caller | None
    expires_at_s: float = float("inf")

    def at(self, now_us: int) -> Caller:
        if self.caller is None or self.expires_at_s <= now_us / 1_000_000:
            raise Unauthorized
        return self.caller


class BootstrapKey:
    """Knows one secret key, the one of the settings, and the tenant it belongs to.

    Only the key's SHA-256 is kept, and compared in constant time: neither a dump nor the time of an answer tells
    the key.
    """

    def __init__(self, key: str) -> None:
        self._digest = digest_of(key.encode())
        self._caller: Caller | None = None

    def belongs_to(self, tenant: int, slug: str) -> None:
        """Tell the key's tenant; until then it is refused."""
        self._caller = Caller(tenant, slug, "bootstrap key", OF_KEY["secret"])

    def caller(self, digest: bytes) -> Caller | None:
        """Its caller, if this is its digest."""
        return self._caller if hmac.compare_digest(digest, self._digest) else None


class Authenticator:
    """Turns the Authorization header of a request into its caller."""

    def __init__(self, bootstrap: BootstrapKey, tokens: Tokens, database: Database, clock: Clock) -> None:
        self._bootstrap, self._tokens, self._database, self._clock = bootstrap, tokens, database, clock
        self._keys: Kept[bytes | int, _Known] = Kept("the API keys", self._read_key, MAX_AGE_S, _STAYS_S)
        self._logins: Kept[int, _Known] = Kept("the logins", self._read_login, MAX_AGE_S, _STAYS_S)

    def belongs_to(self, tenant: int, slug: str) -> None:
        """Tell the tenant of the bootstrap key."""
        self._bootstrap.belongs_to(tenant, slug)

    async def admit(self, headers: Headers, scope: Scope) -> Caller:
        """The caller of a request that needs this scope. Raises Unauthorized, Forbidden, Unavailable."""
        caller = await self.authenticate(header(headers, b"authorization"))
        caller.check(scope)
        return caller

    async def authenticate(self, authorization: bytes | None) -> Caller:
        """The caller of `ApiKey <key>` or `Bearer <token>`.

        Raises:
            Unauthorized: no, malformed, unknown, revoked or expired credentials.
            Unavailable: PostgreSQL is down, and the caller not known from before.
        """
        if authorization is None:
            raise Unauthorized
        scheme, _, credential = authorization.partition(b" ")
        match scheme.lower():
            case b"apikey":
                return await self._of_key(credential.strip())
            case b"bearer":
                return await self._of_token(credential.strip())
        raise Unauthorized

    def forget_key(self, key_id: int, digest: bytes) -> None:
        """The key was revoked: in this process it is so at once."""
        self._keys.forget(key_id)
        self._keys.forget(digest)

    def forget_login(self, login_id: int) -> None:
        """The login was changed: in this process it is so at once."""
        self._logins.forget(login_id)

    async def _of_key(self, key: bytes) -> Caller:
        digest = digest_of(key)
        bootstrap = self._bootstrap.caller(digest)
        if bootstrap is not None:
            return bootstrap
        if not looks_like_key(key):
            raise Unauthorized
        return (await self._keys.of(digest)).at(self._clock.now_us())

    async def _of_token(self, text: bytes) -> Caller:
        token = self._tokens.read(text)
        now_us = self._clock.now_us()
        if isinstance(token, AccessToken):
            return (await self._logins.of(token.login_id)).at(now_us)
        # a session ends with the key that it was minted with
        key = (await self._keys.of(token.key_id)).at(now_us)
        return key._replace(name=f"session of {key.name}", scopes=OF_SESSION, only_user=token.user_id)

    async def _read_key(self, which: bytes | int) -> _Known:
        async with self._database.begin_for_all() as work:
            row = await (work.api_keys.get(which) if isinstance(which, int) else work.api_keys.of_digest(which))
            if row is None:
                return _Known(None)
            await work.api_keys.touch(row.id, _LAST_USED_EVERY)
        caller = Caller(row.tenant_id, row.slug, f"key {row.name}", OF_KEY[row.type], key_id=row.id)
        return _Known(caller) if row.expires_at is None else _Known(caller, row.expires_at.timestamp())

    async def _read_login(self, login_id: int) -> _Known:
        async with self._database.begin_for_all() as work:
            login = await work.logins.get(login_id)
        if login is None or not login.is_active:
            return _Known(None)
        return _Known(Caller(login.tenant_id, login.slug, login.email, OF_ROLE[login.role]))
