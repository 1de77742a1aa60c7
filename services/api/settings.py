"""What the api needs to know before it starts."""

import re

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from shared.runtime.settings import CommonSettings, Port, RedisUrl, Seconds, Storage

SLUG = re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$")
"""How tenants are called."""


class ApiSettings(CommonSettings):
    """Settings of the api (`SHOAL_API_...`) beside those of every service."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_API_", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Port = 8000
    redis_url: RedisUrl
    database_url: str
    """`postgresql://user:password@host:port/database`."""
    history: Storage
    """Where the event history lies; only read."""
    exports: Storage
    """Where export files lie; only read."""
    bootstrap_key: str = Field(min_length=16, max_length=256, pattern=r"^sk_[\x21-\x7e]+$", repr=False)
    """The secret key (`sk_...`) of the bootstrap tenant."""
    bootstrap_tenant: str = Field(default="demo", pattern=SLUG.pattern)
    """The slug of the tenant that exists from the first start on."""
    token_secret: str = Field(min_length=32, max_length=256, repr=False)
    """Signs access and session tokens; the same for all api processes."""
    token_secret_before: str | None = Field(default=None, min_length=32, max_length=256, repr=False)
    """The secret until lately: what it signed is still believed. To be set for an hour when the other one is new."""
    audit_interval_s: float = Field(default=60.0, ge=0, le=86_400)
    """From one round of the audit to the next, in seconds; 0: there is no audit."""
    audit_users: int = Field(default=100, ge=1, le=1_000)
    """Users that a round checks, at most."""
    audit_segments: int = Field(default=50, ge=1, le=1_000)
    """Segments that a round checks them in, at most."""

    history_slots: int = Field(default=2, ge=1, le=32)
    """Previews, estimates and questions about users that run at once."""
    history_waiting: int = Field(default=8, ge=0, le=1000)
    """How many more wait for a slot; whoever comes then is sent away."""
    history_wait_s: Seconds = 30
    """The longest that one of them waits."""
    history_time_limit_s: Seconds = 30
    """The longest that one runs."""
    history_memory_mb: int = Field(default=600, ge=100)
    """Of all that run, in 10^6 bytes; beyond, they use temporary files. The process itself needs some 200 more."""
    history_threads: int = Field(default=2, ge=1, le=64)
    """Of all that run."""
    history_temp: str = ""
    """A folder for temporary files; empty: the system's."""
    history_temp_mb: int = Field(default=4096, ge=1)
    """Limit of the temporary files, in 10^6 bytes."""

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: str) -> str:
        if not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value
