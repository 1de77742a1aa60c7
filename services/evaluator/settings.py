"""The evaluator's settings."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.runtime.crash_points import CRASH_AT_PATTERN
from shared.runtime.settings import CommonSettings, Port, RedisUrl, Seconds, Storage


class EvaluatorSettings(CommonSettings):
    """What an evaluator process needs; every field is an environment variable `SHOAL_EVALUATOR_...`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_EVALUATOR_", extra="forbid", frozen=True)

    redis_url: RedisUrl
    history: Storage
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
    unusable_in_a_row: int = Field(default=1000, ge=0)
    """So many messages of a partition in a row that cannot be used stop it; 0: all go to the dead letters."""
    clock_skew_limit_s: Seconds = 300
    """So far the clocks of this machine and of the brokers may be apart; beyond, time-driven work stops."""
    accept_lost_events: bool = False
    """Go on although events that the state lacks are no longer in the log: they count nowhere."""
    history_memory_mb: int = Field(default=500, ge=100)
    """Limit of what reading the history for new segments may use, in 10^6 bytes; beyond, it uses temporary files."""
    crash_at: str = Field(default="", pattern=CRASH_AT_PATTERN)
    """For tests only: the process kills itself at this place."""
    group: str = Field(default="shoal-evaluator", min_length=1)
    """Consumer group of the workers that share the partitions."""
