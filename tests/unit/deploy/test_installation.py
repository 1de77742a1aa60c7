"""What the environment says about an installation, and what each service is told."""

import json
import stat
from pathlib import Path

import pytest

from deploy.local import unprivileged
from deploy.local.addresses import Addresses
from deploy.local.connection import connection_file, write_connection
from deploy.local.errors import LocalRunError
from deploy.local.installation import ROOT, SERVICES, Installation
from deploy.local.ports import OFFSETS
from deploy.local.secrets_file import Secrets, load_secrets
from deploy.local.servers import LocalServers, Plan
from deploy.local.summary import curl_lines

GIVEN = {
    "SHOAL_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "SHOAL_REDIS_URL": "redis://valkey/0",
    "SHOAL_DATABASE_URL": "postgresql://u:p@postgres/shoal",
}


def servers(installation: Installation, secrets: Secrets) -> LocalServers:
    return LocalServers(Plan(installation.folder, installation.ports, installation.given), secrets)


def test_the_defaults_are_a_folder_of_the_clone_and_fixed_ports() -> None:
    installation = Installation.of({})
    assert installation.folder == ROOT / ".data"
    assert installation.url("api") == "http://127.0.0.1:7400"
    assert sorted(installation.ports.values()) == list(range(7400, 7400 + len(OFFSETS)))


def test_folder_and_ports_can_be_set(tmp_path: Path) -> None:
    installation = Installation.of({"SHOAL_DATA": str(tmp_path), "SHOAL_PORT_BASE": "9100"})
    assert installation.folder == tmp_path
    assert installation.ports["postgres"] == 9106


@pytest.mark.parametrize("base", ["x", "80", "65530", "-1", "74.0", "²"])
def test_a_port_base_that_cannot_be_is_refused(base: str) -> None:
    with pytest.raises(LocalRunError, match=r"SHOAL_PORT_BASE is .* a number from 1024 to 65529"):
        Installation.of({"SHOAL_PORT_BASE": base})


def test_a_setting_that_nobody_knows_is_refused() -> None:
    with pytest.raises(LocalRunError, match=r"^SHOAL_PARTITION, SHOAL_X: no such setting"):
        Installation.of({"SHOAL_X": "1", "SHOAL_PARTITION": "3", "SHOAL_TEST_SERVERS": "local", "OTHER": "1"})


def test_given_servers_are_used_and_nothing_is_started(tmp_path: Path) -> None:
    installation = Installation.of({"SHOAL_DATA": str(tmp_path), **GIVEN})
    given = servers(installation, Secrets.new())
    assert given.units == []
    assert given.ports_needed == {}
    assert (given.kafka_bootstrap_servers, given.redis_url, given.database_url) == tuple(GIVEN.values())
    assert Addresses.given({}) == Addresses()


def test_each_service_gets_what_it_knows_and_starts_with_it(tmp_path: Path) -> None:
    environ = {"SHOAL_DATA": str(tmp_path), "SHOAL_PARTITIONS": "3", "SHOAL_API_HOST": "0.0.0.0", "PATH": "/bin"}
    installation = Installation.of(environ)
    secrets = Secrets.new()
    for name, settings in SERVICES.items():
        environment = installation.service_environment(name, servers(installation, secrets), secrets)
        loaded = settings.load(environment)  # refuses what is missing or unknown
        assert loaded.partitions == 3
        assert getattr(loaded, "port", None) == installation.ports[name]
        assert environment["PATH"] == "/bin"
        assert ("SHOAL_API_HOST" in environment) == (name == "api")
        assert secrets.api_key in environment.values() or name != "api"
    assert installation.topic_settings().partitions == 3


def test_topic_settings_at_fault_are_named() -> None:
    with pytest.raises(LocalRunError, match="SHOAL_PARTITIONS"):
        Installation.of({"SHOAL_PARTITIONS": "none"}).topic_settings()


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    made = load_secrets(tmp_path)
    assert load_secrets(tmp_path) == made
    assert made.api_key.startswith("sk_")
    assert len({made.api_key, made.database_password, made.redis_password, made.token_secret}) == 4
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert Secrets.new() != made


def test_secrets_of_an_earlier_release_stay_and_the_missing_are_made_once(tmp_path: Path) -> None:
    made = load_secrets(tmp_path)
    stored = json.loads((tmp_path / "secrets.json").read_text())
    del stored["token_secret"]
    (tmp_path / "secrets.json").write_text(json.dumps(stored))
    mended = load_secrets(tmp_path)
    assert mended == load_secrets(tmp_path)
    assert mended.token_secret not in (made.token_secret, "")
    assert (mended.api_key, mended.database_password) == (made.api_key, made.database_password)


def test_the_connection_file_is_private_and_complete(tmp_path: Path) -> None:
    installation = Installation.of({"SHOAL_DATA": str(tmp_path), **GIVEN})
    secrets = load_secrets(tmp_path)
    write_connection(installation, servers(installation, secrets), secrets, 1, {"api": 7})
    assert stat.S_IMODE(connection_file(tmp_path).stat().st_mode) == 0o600
    assert json.loads(connection_file(tmp_path).read_text()) == {
        "api_url": "http://127.0.0.1:7400",
        "api_key": secrets.api_key,
        "tenant_id": 1,
        "kafka_bootstrap_servers": "kafka:9092",
        "redis_url": "redis://valkey/0",
        "database_url": "postgresql://u:p@postgres/shoal",
        "pids": {"api": 7},
    }


def test_the_lines_to_paste_are_three_and_whole() -> None:
    lines = curl_lines("http://127.0.0.1:7400", "sk_x")
    assert len(lines) == 3
    assert all(line.startswith("curl -H 'Authorization: ApiKey sk_x' ") and "\n" not in line for line in lines)


def test_the_helper_that_drops_root_needs_the_standard_library_only() -> None:
    source = Path(unprivileged.__file__).read_text()
    assert "deploy" not in [line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith("from ")]
