"""The locks name versions and hashes, no addresses, and hold what the project asks for."""

import re
import tomllib
from pathlib import Path

import pytest

from deploy.local.kafka_jars import KAFKA_VERSION, read_lock

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ["requirements.lock", "requirements-dev.lock", "deploy/local/demo-data.lock", "tests/support/s3-server.lock"]


def locked(name: str) -> dict[str, str]:
    """Package and version of each entry; fails for an entry without a hash."""
    entries = re.split(r"\n(?=\w)", (ROOT / name).read_text())
    found = {}
    for entry in entries:
        if match := re.match(r"([\w.-]+)==([\w.]+)", entry):
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
            found[match[1]] = match[2]
    return found


def wanted(requirements: list[str]) -> set[str]:
    """The names in a list of requirements."""
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}


@pytest.mark.parametrize("name", [*LOCKS, "deploy/local/kafka-jars.lock"])
def test_no_address_is_in_a_lock(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()
    assert "--index" not in (ROOT / name).read_text()


def test_the_locks_hold_what_the_project_asks_for() -> None:
    services, everything = locked("requirements.lock"), locked("requirements-dev.lock")
    groups = PROJECT["dependency-groups"]
    assert wanted(PROJECT["project"]["dependencies"]) <= set(services)
    assert wanted(groups["local"] + groups["dev"]) <= set(everything)


def test_tests_run_with_the_versions_that_services_run_with() -> None:
    services, everything = locked("requirements.lock"), locked("requirements-dev.lock")
    assert services.items() <= everything.items()
    assert len(services) > 20


def test_the_jars_hold_kafka_and_what_makes_it_log() -> None:
    jars = read_lock((ROOT / "deploy/local/kafka-jars.lock").read_text())
    versions = {f"{jar.group}:{jar.artifact}": jar.version for jar in jars}
    assert len(versions) == len(jars)
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
    for artifact in ("kafka_2.13", "kafka-tools", "kafka-clients", "kafka-server"):
        assert versions[f"org.apache.kafka:{artifact}"] == KAFKA_VERSION
    log4j = "org.apache.logging.log4j:"
    assert versions[log4j + "log4j-slf4j-impl"] == versions[log4j + "log4j-core"]


def test_a_line_that_is_no_jar_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        read_lock("org.example:thing 00\n")
