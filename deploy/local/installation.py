"""Where an installation on this machine lives: its folder, its ports, and what the environment says about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.addresses import DATABASE_KEY, EXPORTS_KEY, HISTORY_KEY, KAFKA_KEY, REDIS_KEY, Addresses
from deploy.local.errors import LocalRunError
from deploy.local.ports import DEFAULT_BASE, HOST, OFFSETS
from deploy.local.secrets_file import Secrets
from deploy.local.servers import LocalServers
from services.api.settings import ApiSettings
from services.evaluator.settings import EvaluatorSettings
from services.exporter.settings import ExporterSettings
from shared.runtime.settings import RUNNER_PREFIXES, CommonSettings, InvalidSettings, field_key

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, type[CommonSettings]] = {
    "api": ApiSettings,
    "evaluator": EvaluatorSettings,
    "exporter": ExporterSettings,
}
"""In the order of their start."""

_LOWEST_BASE = 1024
_HIGHEST_BASE = 65_535 - max(OFFSETS.values())


@dataclass(frozen=True)
class Installation:
    """One copy of Shoal on this machine. `environ` is the environment that `make up` was called with."""

    folder: Path
    port_base: int
    environ: Mapping[str, str]

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Installation":
        """The installation that SHOAL_DATA and SHOAL_PORT_BASE name.

        Raises:
            LocalRunError: the port base is no usable number, or a SHOAL_ variable is known to nobody.
        """
        text = environ.get("SHOAL_PORT_BASE") or str(DEFAULT_BASE)
        if not text.isdecimal() or not _LOWEST_BASE <= int(text) <= _HIGHEST_BASE:
            raise LocalRunError(f"SHOAL_PORT_BASE is {text!r}: a number from {_LOWEST_BASE} to {_HIGHEST_BASE} please.")
        known = {key for settings in SERVICES.values() for key in _keys(settings)} | {
            KAFKA_KEY,
            REDIS_KEY,
            DATABASE_KEY,
        }
        unknown = sorted(
            key
            for key in environ
            if key.startswith("SHOAL_") and key not in known and not key.startswith(RUNNER_PREFIXES)
        )
        if unknown:
            raise LocalRunError(f"{', '.join(unknown)}: no such setting.")
        folder = Path(environ.get("SHOAL_DATA") or ROOT / ".data").expanduser().resolve()
        return cls(folder, int(text), environ)

    @property
    def ports(self) -> dict[str, int]:
        """The port of each process."""
        return {name: self.port_base + offset for name, offset in OFFSETS.items()}

    @property
    def given(self) -> Addresses:
        """Servers that are used and not started."""
        return Addresses.given(self.environ)

    def url(self, service: str) -> str:
        """The address of a service on this machine."""
        return f"http://{HOST}:{self.ports[service]}"

    def api_key(self, secrets: Secrets) -> str:
        """The key of the first tenant."""
        return self.environ.get("SHOAL_API_BOOTSTRAP_KEY") or secrets.api_key

    def service_environment(self, service: str, servers: LocalServers, secrets: Secrets) -> dict[str, str]:
        """The environment of one service: what it knows of ours, and everything that is not ours."""
        ours = {key: value for key, value in self.environ.items() if key.startswith("SHOAL_")} | {
            KAFKA_KEY: servers.kafka_bootstrap_servers,
            REDIS_KEY: servers.redis_url,
            DATABASE_KEY: servers.database_url,
            HISTORY_KEY: self.environ.get(HISTORY_KEY) or str(self.folder / "history"),
            EXPORTS_KEY: self.environ.get(EXPORTS_KEY) or str(self.folder / "exports"),
            "SHOAL_API_BOOTSTRAP_KEY": self.api_key(secrets),
            "SHOAL_API_TOKEN_SECRET": self.environ.get("SHOAL_API_TOKEN_SECRET") or secrets.token_secret,
            f"SHOAL_{service.upper()}_PORT": str(self.ports[service]),
        }
        known = _keys(SERVICES[service])
        others = {key: value for key, value in self.environ.items() if not key.startswith("SHOAL_")}
        return others | {key: value for key, value in ours.items() if key in known} | _PYTHON

    def topic_settings(self) -> CommonSettings:
        """Partitions and copies of the topics. Raises LocalRunError naming each key at fault."""
        known = {field_key(CommonSettings, name) for name in CommonSettings.model_fields}
        values = {key: value for key, value in self.environ.items() if key in known}
        try:
            return CommonSettings.load({KAFKA_KEY: "unused", **values})
        except InvalidSettings as error:
            raise LocalRunError(str(error)) from error


_PYTHON = {
    "PYTHONPATH": str(ROOT),
    # nothing is written beside the sources
    "PYTHONDONTWRITEBYTECODE": "1",
}


def _keys(settings: type[CommonSettings]) -> set[str]:
    return {field_key(settings, name) for name in settings.model_fields}
