"""What the exporter can be told by its environment."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.runtime.crash_points import CRASH_AT_PATTERN
from shared.runtime.settings import CommonSettings, Port, RedisUrl, Seconds, Storage


class ExporterSettings(CommonSettings):
    """Settings of the exporter; its own begin with `SHOAL_EXPORTER_`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_EXPORTER_", extra="forbid", frozen=True)

    redis_url: RedisUrl
    history: Storage
    """Where the event history lies."""
    exports: Storage
    """Where export files are put."""
    host: str = "127.0.0.1"
    """Where /livez, /readyz and /metrics are served."""
    port: Port = 8002
    standstill_s: Seconds = 60
    """The process ends itself when its loop over requests, or an archiver, has not moved for so long."""
    archive_interval_s: Seconds = 2
    """An event is in the history at the latest so long after it was read; each time is a commit and up to two files."""
    archive_group: str = Field(default="shoal-archiver", min_length=1)
    """Consumer group of the exporters that share the partitions of `events`."""
    changes_interval_s: Seconds = 0.5
    """The same of a membership change: what the change feed is behind by."""
    changes_group: str = Field(default="shoal-change-archiver", min_length=1)
    """Consumer group of the exporters that share the partitions of `membership-changes`."""
    session_timeout_s: Seconds = 10
    """The broker gives the partitions of a silent exporter to another after so long; at least the broker's
    `group.min.session.timeout.ms` (6 s by default)."""
    exports_at_once: int = Field(default=1, ge=1, le=4)
    """Export files made at the same time; there are four partitions of requests."""
    export_wait_s: Seconds = 600
    """The longest that an export waits for the evaluator to come to its instant; then it has failed."""
    export_retention_s: Seconds = 7 * 86_400
    """Export files are removed after so long; all exporters of an installation should say the same."""
    accept_lost_events: bool = False
    """Go on although events or changes that are not archived are no longer in the log: the history will lack them."""
    crash_at: str = Field(default="", pattern=CRASH_AT_PATTERN)
    """For tests only: the process kills itself at this place."""
