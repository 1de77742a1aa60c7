"""The bodies of /api/auth/, as pydantic checks requests and OpenAPI shows answers."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from services.api.hot.lookups import MAX_USER_ID_CHARS
from services.api.schemas import Name, RequestBody
from services.api.scopes import KeyType, Role

Email = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
]
Password = Annotated[str, StringConstraints(min_length=12, max_length=256)]
Origin = Annotated[str, StringConstraints(max_length=255, pattern=r"^https?://[a-z0-9.\[\]:-]+$")]
_UserId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_USER_ID_CHARS)]


class SignInBody(RequestBody):
    """Who signs in."""

    email: Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=254)]
    password: Annotated[str, StringConstraints(max_length=256)]


class RefreshBody(RequestBody):
    """The token of the last answer; each works once."""

    refresh: Annotated[str, StringConstraints(max_length=256)]


class TokenPair(BaseModel):
    """`access` for the header `Authorization: Bearer`, 60 minutes; `refresh` for another pair, once, 14 days."""

    access: str
    refresh: str


class ApiKeyBody(RequestBody):
    """A new key. Origins and signed user ids are for public keys only."""

    name: Name
    type: KeyType
    tenant_slug: str | None = None
    """Must be the caller's."""
    allowed_origins: list[Origin] = Field(default=[], max_length=100)
    """Where sessions may be minted from, as browsers write the header `Origin`; none: from anywhere."""
    require_signed_user_id: bool = False
    expires_at: str | None = None


class ApiKey(BaseModel):
    """A key without its secrets. `last_used_at` is some minutes old."""

    id: int
    name: str
    type: KeyType
    tenant: int
    allowed_origins: list[str]
    require_signed_user_id: bool
    created_by: str
    created_at: str
    last_used_at: str | None
    expires_at: str | None


class NewApiKey(ApiKey):
    """A key that was just made: `key`, and `hmac_secret` (hex) of a public one, are shown this once."""

    key: str
    hmac_secret: str | None = None


class ApiKeyPage(BaseModel):
    """A page of keys."""

    count: int
    next: str | None
    previous: str | None
    results: list[ApiKey]


class SessionBody(RequestBody):
    """Whom the session is for. The signature is the hex HMAC-SHA256 of `<user_id>|<user_id_ts>` under the key's
    `hmac_secret`, hex-decoded; `user_id_ts` are seconds since 1970, within 5 minutes of now.
    """

    user_id: _UserId | None = None
    anonymous_id: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    user_id_sig: Annotated[str, StringConstraints(max_length=128)] | None = None
    user_id_ts: int | None = None


class Session(BaseModel):
    """A token that stores events of the user `uid`, until `expires_at`."""

    token: str
    expires_at: str
    uid: str


class LoginBody(RequestBody):
    """A new login."""

    email: Email
    password: Password
    role: Role


class LoginChangeBody(RequestBody):
    """What changes of a login. A new password and `is_active: false` end its refresh tokens."""

    role: Role | None = None
    is_active: bool | None = None
    password: Password | None = None


class Login(BaseModel):
    """Somebody of the tenant who may sign in."""

    id: int
    email: str
    tenant: int
    role: Role
    is_active: bool
    created_by: str
    created_at: str


class LoginPage(BaseModel):
    """A page of logins."""

    count: int
    next: str | None
    previous: str | None
    results: list[Login]
