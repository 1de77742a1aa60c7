"""The evaluator's settings."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.runtime.settings import CommonSettings, Port, Seconds


class EvaluatorSettings(CommonSettings):
    """What an evaluator process needs; every field is an environment variable `SHOAL_EVALUATOR_...`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_EVALUATOR_", extra="forbid", frozen=True)

    redis_url: str
    host: str = "127.0.0.1"
    port: Port = 8001
    """Of /livez, /readyz and /metrics."""
    session_timeout_s: Seconds = 10
    """The broker gives the partitions of a silent worker to another after so long; at least the broker's
    `group.min.session.timeout.ms` (6 s by default)."""
    commit_interval_s: Seconds = 3
    sweep_interval_s: float = Field(default=0.25, gt=0, le=1)
    """How often users whose memberships turn by time are looked for."""
    standstill_s: Seconds = 60
    """A part of the worker that stands still so long ends the process, to be started again."""
    group: str = Field(default="shoal-evaluator", min_length=1)
    """Consumer group of the workers that share the partitions."""
