"""Who is calling: the one seam between a request and a tenant."""

import hashlib
import hmac
from typing import NamedTuple, Protocol

from services.api.errors import Unauthorized

_SCHEME = "apikey"


class Caller(NamedTuple):
    """Who a request is made for: the tenant by id and slug, and the name that versions are signed with."""

    tenant: int
    slug: str
    name: str


class Authenticator(Protocol):
    """Turns the Authorization header of a request into its caller."""

    def authenticate(self, authorization: bytes | None) -> Caller:
        """The caller. Raises Unauthorized for no, malformed or unknown credentials."""
        ...


class BootstrapKey:
    """Knows one secret key, the one of the settings, and the tenant it belongs to.

    Only the key's SHA-256 is kept, and compared in constant time: neither a dump nor the time of an answer tells
    the key.
    """

    def __init__(self, key: str) -> None:
        self._digest = hashlib.sha256(key.encode()).digest()
        self._caller: Caller | None = None

    def belongs_to(self, tenant: int, slug: str) -> None:
        """Tell the key's tenant; until then every request is refused."""
        self._caller = Caller(tenant, slug, "bootstrap key")

    def authenticate(self, authorization: bytes | None) -> Caller:
        """The caller of `Authorization: ApiKey sk_...`. Raises Unauthorized otherwise."""
        if authorization is None:
            raise Unauthorized
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != _SCHEME.encode():
            raise Unauthorized
        known = hmac.compare_digest(hashlib.sha256(key.strip()).digest(), self._digest)
        if not known or self._caller is None:
            raise Unauthorized
        return self._caller
