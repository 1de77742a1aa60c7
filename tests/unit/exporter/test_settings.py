"""The exporter's settings: defaults, and that a fault is named by its key."""

import pytest

from services.exporter.settings import ExporterSettings
from shared.runtime.settings import InvalidSettings

NEEDED = {
    "SHOAL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "SHOAL_REDIS_URL": "redis://127.0.0.1:6379",
    "SHOAL_HISTORY": "/history",
    "SHOAL_EXPORTS": "/exports",
}


def test_only_the_servers_and_places_for_files_are_needed() -> None:
    settings = ExporterSettings.load(NEEDED)
    assert (settings.host, settings.port, settings.partitions) == ("127.0.0.1", 8002, 12)


def test_one_environment_may_serve_all_services() -> None:
    others = {"SHOAL_DATABASE_URL": "postgresql://x", "SHOAL_API_PORT": "1"}
    assert ExporterSettings.load(NEEDED | others | {"SHOAL_EXPORTER_PORT": "9002"}).port == 9002


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({}, "SHOAL_KAFKA_BOOTSTRAP_SERVERS"),
        (NEEDED | {"SHOAL_EXPORTER_PORT": "eighty"}, "SHOAL_EXPORTER_PORT"),
        (NEEDED | {"SHOAL_EXPORTER_STANDSTILL_S": "0"}, "SHOAL_EXPORTER_STANDSTILL_S"),
        (NEEDED | {"SHOAL_HISTORY": "gs://bucket/x"}, "SHOAL_HISTORY"),
        (NEEDED | {"SHOAL_HISTORY": "s3:///x"}, "SHOAL_HISTORY"),
        (NEEDED | {"SHOAL_HISTORY": ""}, "SHOAL_HISTORY"),
        (NEEDED | {"SHOAL_EXPORTS": "gs://bucket/x"}, "SHOAL_EXPORTS"),
        (NEEDED | {"SHOAL_REDIS_URL": "127.0.0.1:6379"}, "SHOAL_REDIS_URL"),
        (NEEDED | {"SHOAL_EXPORTER_PROT": "80"}, "SHOAL_EXPORTER_PROT: unknown"),
    ],
)
def test_a_wrong_missing_or_unknown_setting_is_named(environ: dict[str, str], key: str) -> None:
    with pytest.raises(InvalidSettings, match=key):
        ExporterSettings.load(environ)


@pytest.mark.parametrize("place", ["/var/lib/shoal", "history", "a:b", "s3://bucket", "s3://bucket/a/b"])
def test_the_history_lies_in_a_folder_or_a_bucket(place: str) -> None:
    assert ExporterSettings.load(NEEDED | {"SHOAL_HISTORY": place}).history == place
