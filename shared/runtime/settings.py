"""Settings from the environment: one typed class per service, unknown keys refused.

Every name starts with `SHOAL_`; those of one service with `SHOAL_API_`, `SHOAL_EVALUATOR_` or `SHOAL_EXPORTER_`.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

SERVICE_PREFIXES = ("SHOAL_API_", "SHOAL_EVALUATOR_", "SHOAL_EXPORTER_")
RUNNER_PREFIXES = ("SHOAL_DATA", "SHOAL_PORT_BASE", "SHOAL_TEST_")
"""Read by the local runner and the tests, never by a service."""

ADDRESS_FIELDS = ("redis_url", "database_url", "history", "exports")
"""Addresses that several services share, each under one name; a service that needs none ignores them."""

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Storage = Annotated[str, Field(pattern=r"^(s3://[^/?#]+(/[^?#]*)?|([^:]|:[^/])+)$")]
"""Where files lie, the same for all services: a folder, or `s3://bucket/prefix`, with credentials and endpoint by the
usual `AWS_` variables."""
RedisUrl = Annotated[str, Field(pattern=r"^rediss?://")]
"""`redis://host:port/db`."""


class InvalidSettings(Exception):  # noqa: N818 - it names the thing
    """Stop: the service cannot start with this environment. The text names every key at fault."""


class CommonSettings(BaseSettings):
    """What every service needs."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_", extra="forbid", frozen=True)

    kafka_bootstrap_servers: str
    """`host:port`, several separated by commas."""
    replication_factor: int = Field(default=1, ge=1, le=10)
    """Copies of each topic that start-up creates."""
    partitions: int = Field(default=12, ge=1, le=1000)
    """Partitions of `events`; fixed for the life of an installation."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The settings of this process. Raises InvalidSettings naming each key at fault."""
        prefix = str(cls.model_config["env_prefix"])
        known = {field_key(cls, name) for name in (*cls.model_fields, *ADDRESS_FIELDS)}
        others = tuple(p for p in (*SERVICE_PREFIXES, *RUNNER_PREFIXES) if p != prefix)
        unknown = sorted(
            key for key in environ if key.startswith("SHOAL_") and key not in known and not key.startswith(others)
        )
        faults = [f"{key}: unknown setting" for key in unknown]
        values = {name: environ[field_key(cls, name)] for name in cls.model_fields if field_key(cls, name) in environ}
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            for fault in error.errors():
                name = str(fault["loc"][0]) if fault["loc"] else ""
                faults.append(f"{field_key(cls, name) if name else 'settings'}: {fault['msg']}")
        else:
            if not faults:
                return settings
        raise InvalidSettings("; ".join(faults))


def field_key(settings: type[CommonSettings], field: str) -> str:
    """The environment variable of a field: common fields and addresses are shared by all services."""
    shared = field in CommonSettings.model_fields or field in ADDRESS_FIELDS
    return ("SHOAL_" if shared else str(settings.model_config["env_prefix"])) + field.upper()
