"""docker-compose.yml starts the same system as the local runner, with settings that the services accept."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local import kafka, kafka_jars, valkey
from deploy.local.installation import SERVICES
from shared.runtime.settings import CommonSettings, field_key

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SECRETS = {
    "SHOAL_API_BOOTSTRAP_KEY": "sk_" + "x" * 20,
    "SHOAL_API_TOKEN_SECRET": "x" * 32,
    "POSTGRES_PASSWORD": "secret",
}
OURS = {"migrate": SERVICES["api"], **SERVICES}


def environment(service: str) -> dict[str, str]:
    """The environment of a service, with the secrets that .env would give."""
    given: dict[str, str] = COMPOSE[service]["environment"]
    return {key: re.sub(r"\$\{(\w+):\?[^}]*}", lambda m: SECRETS[m[1]], value) for key, value in given.items()}


def loaded(service: str) -> CommonSettings:
    """The settings that the service would start with."""
    return OURS[service].load(environment(service))


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_and_none_that_is_required_is_missing(service: str) -> None:
    known = {field_key(OURS[service], name) for name in OURS[service].model_fields}
    assert set(environment(service)) <= known
    loaded(service)  # raises InvalidSettings for a missing one


@pytest.mark.parametrize("service", SERVICES)
def test_ports_and_health_pages_agree(service: str) -> None:
    settings: Any = loaded(service)
    assert settings.host == "0.0.0.0"  # reachable from the other containers
    probe = COMPOSE[service]["healthcheck"]["test"][-1]
    assert re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", probe) == [(str(settings.port), "/readyz")]
    published = [port.split(":")[-1] for port in COMPOSE[service].get("ports", [])]
    assert published in ([], [str(settings.port)])


def test_addresses_name_containers_and_the_ports_they_listen_on() -> None:
    settings: Any = loaded("api")
    host, port = settings.kafka_bootstrap_servers.split(":")
    assert host in COMPOSE
    assert f"INSIDE://{host}:{port}" in COMPOSE["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INSIDE://:{port}" in COMPOSE["kafka"]["environment"]["KAFKA_LISTENERS"]
    assert settings.redis_url == "redis://valkey:6379/0"
    database = environment("postgres")
    user, password, name = (database[f"POSTGRES_{part}"] for part in ("USER", "PASSWORD", "DB"))
    assert settings.database_url == f"postgresql://{user}:{password}@postgres:5432/{name}"


def test_kafka_has_the_settings_of_the_local_one() -> None:
    containers: dict[str, str] = COMPOSE["kafka"]["environment"]
    local = kafka.node_settings(Path("/home"), 9092, 9093)
    addresses = {"listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs"}
    for key, value in local.items():
        if key not in addresses:
            assert containers["KAFKA_" + key.upper().replace(".", "_")] == value, key


def test_valkey_has_the_settings_of_the_local_one() -> None:
    command = COMPOSE["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    local = dict(line.split(" ", 1) for line in valkey.CONFIG.splitlines())
    assert options  # an empty list would agree with anything
    assert {key.removeprefix("--"): value or '""' for key, value in options.items()}.items() <= local.items()


def test_images_are_pinned_and_kafka_is_the_version_of_the_local_one() -> None:
    images = {name: service["image"] for name, service in COMPOSE.items()}
    assert images["kafka"] == f"apache/kafka:{kafka_jars.KAFKA_VERSION}"
    for name, image in images.items():
        assert re.fullmatch(r"[\w/]+:\d+\.\d+(\.\d+)?", image), name
    base = re.findall(r"^FROM (\S+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert len(base) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base[0])


def test_secrets_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in SECRETS:
        # `:?` ends with an error where it is missing
        assert set(re.findall(rf"\$\{{{name}(..)", text)) == {":?"}


def test_servers_keep_their_data_and_everything_waits_for_what_it_needs() -> None:
    for server in ("kafka", "valkey", "postgres"):
        assert COMPOSE[server]["volumes"]
        assert "healthcheck" in COMPOSE[server]
    assert COMPOSE["api"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    for service in SERVICES:
        assert COMPOSE[service]["depends_on"]["kafka"] == {"condition": "service_healthy"}


def test_the_image_holds_what_the_services_import() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\S+) ", dockerfile, re.MULTILINE))
    assert copied == {"requirements.lock", "shared", "services"}
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {f"!{name}" for name in copied} <= set(ignored)
