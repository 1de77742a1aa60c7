"""What a caller may do: each route names the one scope it needs, and each kind of caller has a set of them."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Literal, TypeVar

Role = Literal["owner", "admin", "member", "viewer"]
KeyType = Literal["secret", "public"]


class Scope(StrEnum):
    """What a route lets its caller do."""

    OPEN = "open"
    """Nothing of a tenant: no credentials are asked for."""
    READ = "read"
    """See what is the tenant's."""
    WRITE = "write"
    """Change segments and what hangs on them."""
    INGEST = "ingest"
    """Store events."""
    MINT = "mint"
    """Mint sessions for browsers."""
    MANAGE = "manage"
    """Say who the tenant's callers are."""
    OWN = "own"
    """Say who its owners are."""


_MEMBER = frozenset({Scope.READ, Scope.WRITE, Scope.INGEST})

OF_ROLE: Mapping[Role, frozenset[Scope]] = {
    "viewer": frozenset({Scope.READ}),
    "member": _MEMBER,
    "admin": _MEMBER | {Scope.MANAGE},
    "owner": _MEMBER | {Scope.MANAGE, Scope.OWN},
}
OF_KEY: Mapping[KeyType, frozenset[Scope]] = {"secret": _MEMBER, "public": frozenset({Scope.MINT})}
OF_SESSION = frozenset({Scope.INGEST})

_ATTRIBUTE = "needed_scope"
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


def needs(scope: Scope) -> Callable[[_Endpoint], _Endpoint]:
    """Declare the scope of a route; stands between the route's decorator and its function."""

    def declared(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _ATTRIBUTE, scope)
        return endpoint

    return declared


def needed_scope(endpoint: Callable[..., Any]) -> Scope:
    """The scope that the function of a route declares. Raises LookupError for one that declares none."""
    scope: Scope | None = getattr(endpoint, _ATTRIBUTE, None)
    if scope is None:
        raise LookupError(f"the route {endpoint.__name__} declares no scope: @needs(Scope....)")
    return scope
