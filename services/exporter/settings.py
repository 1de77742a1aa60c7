"""What the exporter can be told by its environment."""

from pydantic_settings import SettingsConfigDict

from shared.runtime.settings import CommonSettings, Port, Seconds


class ExporterSettings(CommonSettings):
    """Settings of the exporter; its own begin with `SHOAL_EXPORTER_`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_EXPORTER_", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Where /livez, /readyz and /metrics are served."""
    port: Port = 8002
    standstill_s: Seconds = 60
    """The process ends itself when its loop over requests has not moved for so long."""
