"""What the api needs to know before it starts."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from shared.runtime.crash_points import CRASH_AT_PATTERN
from shared.runtime.settings import CommonSettings, Port, RedisUrl, Seconds, Storage

SLUG = re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$")
"""How tenants are called."""

MINUTE_S, HOUR_S = 60.0, 3600.0


def _separated(value: Any) -> Any:
    """The items of a text that is separated by commas."""
    if not isinstance(value, str):
        return value
    return [item.strip() for item in value.split(",") if item.strip()]


Listed = (NoDecode, BeforeValidator(_separated))


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
    export_link_s: int = Field(default=3_600, ge=1, le=7 * 86_400)
    """A link to an export file works for so long, and at most as long as there is the file."""
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

    feed_streams: int = Field(default=100, ge=0, le=10_000)
    """Clients that follow changes by server-sent events at once; whoever comes then is sent away."""
    feed_heartbeat_s: Seconds = 15
    """A stream that has nothing to tell says so after so long."""

    webhook_allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], *Listed] = ()
    """Networks (`10.1.0.0/16,fd00::/8`) to which webhooks may lead although they are not public, over http too."""
    webhook_retry_delays_s: Annotated[tuple[Seconds, ...], *Listed, Field(max_length=50)] = (
        5, 30, 2 * MINUTE_S, 10 * MINUTE_S, 30 * MINUTE_S, HOUR_S, 2 * HOUR_S, 4 * HOUR_S, 7 * HOUR_S, 9 * HOUR_S,
    )  # fmt: skip
    """Seconds from each failed attempt to send a webhook to the next, separated by commas; up to a fifth more is added
    by chance."""
    webhook_timeout_s: float = Field(default=10, gt=0, le=60)
    """The longest that an attempt takes."""
    webhook_kept_days: float = Field(default=7, gt=0, le=3650)
    """So long deliveries can be looked at after their end."""
    crash_at: str = Field(default="", pattern=CRASH_AT_PATTERN)
    """For tests only: the process kills itself at this place."""

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: str) -> str:
        if not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value
