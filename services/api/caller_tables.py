"""The tables of those who call; see services.api.tables."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from services.api.tables import Instant, id_column, metadata

# Who may sign in: people of the tenant, called users in paths. The e-mail is stored in lower case.
logins = Table(
    "logins",
    metadata,
    id_column(),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("email", Text, nullable=False, unique=True),
    # Argon2, with salt and costs in the text
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    CheckConstraint("role in ('owner', 'admin', 'member', 'viewer')", name="role"),
)

# Attempts to sign in that were not successful, by the SHA-256 of the e-mail, whether there is such a login or not.
sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("email_digest", LargeBinary, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("since", Instant, nullable=False, server_default=func.now(), index=True),
)

# Refresh tokens by SHA-256. All that came from one sign-in are a family; one that was used stays, to be recognised.
refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("login_id", BigInteger, ForeignKey("logins.id"), nullable=False, index=True),
    Column("family", Uuid, nullable=False, index=True),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
)

# Keys by SHA-256. A revoked one keeps its row, so that it stays known who made it.
api_keys = Table(
    "api_keys",
    metadata,
    id_column(),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    # of public keys
    Column("allowed_origins", ARRAY(Text), nullable=False),
    Column("require_signed_user_id", Boolean, nullable=False),
    Column("hmac_secret", LargeBinary),
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    # some minutes old
    Column("last_used_at", Instant),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    CheckConstraint("type in ('secret', 'public')", name="type"),
)
