"""Kafka's jars: listed with versions and hashes in `kafka-jars.lock`, fetched once into the Maven cache.

`python -m deploy.local.kafka_jars` resolves the list anew (`make lock-jars`).
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jgo
import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext, PythonResolver

from deploy.local.errors import LocalRunError

KAFKA_VERSION = "4.3.1"
LOCK = Path(__file__).with_name("kafka-jars.lock")

_ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.apache.kafka:kafka-tools:{KAFKA_VERSION}"
_THREADS = 16


class Jar(NamedTuple):
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """`group:artifact:version`."""
        return f"{self.group}:{self.artifact}:{self.version}"


def read_lock(text: str) -> list[Jar]:
    """The jars of a lock: `group:artifact:version sha256` a line. Raises ValueError for any other line."""
    jars = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, sha256 = line.split()
            group, artifact, version = name.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return jars


def class_path(lock: Path = LOCK) -> str:
    """The class path of Kafka; what is not in the cache yet is fetched and checked first.

    Raises:
        LocalRunError: a jar cannot be fetched, or is not the one that the lock names.
    """
    jars = read_lock(lock.read_text())
    settings = GlobalSettings.load()
    cache = Path(settings.repo_cache)
    cache.mkdir(parents=True, exist_ok=True)
    # fetched aside and moved: an interrupted run leaves nothing half written, two runs do not disturb each other
    with tempfile.TemporaryDirectory(dir=cache, prefix=".shoal-") as aside, ThreadPoolExecutor(_THREADS) as pool:
        fetched = _context(settings, Path(aside))
        return ":".join(str(path) for path in pool.map(lambda jar: _ensure(jar, cache, fetched), jars))


def missing(lock: Path = LOCK) -> int:
    """How many jars would have to be fetched."""
    context = _context(GlobalSettings.load(), None)
    return sum(not _artifact(context, jar).cached_path.exists() for jar in read_lock(lock.read_text()))


def _context(settings: Any, cache: Path | None) -> Any:
    # without repositories of the user's own settings the default one is meant
    repositories = dict(settings.repositories) or None
    return MavenContext(
        resolver=PythonResolver(), repo_cache=cache or settings.repo_cache, remote_repos=repositories, timeout=30
    )


def _artifact(context: Any, jar: Jar) -> Any:
    return context.project(jar.group, jar.artifact).at_version(jar.version).artifact()


def _ensure(jar: Jar, cache: Path, context: Any) -> Path:
    place: Path = cache / _artifact(context, jar).cached_path.relative_to(context.repo_cache)
    if place.exists() and _sha256(place) == jar.sha256:
        return place
    try:
        fetched: Path = _artifact(context, jar).resolve()
    except (RuntimeError, requests.RequestException) as error:
        raise LocalRunError(f"The Maven repository is out of reach or lacks {jar.name}: {_cause(error)}") from error
    if _sha256(fetched) != jar.sha256:
        raise LocalRunError(f"{jar.name} is not the jar that {LOCK.name} names: its sha256 differs.")
    place.parent.mkdir(parents=True, exist_ok=True)
    fetched.replace(place)
    return place


def _cause(error: BaseException) -> str:
    return type(error).__name__ if isinstance(error, requests.RequestException) else str(error).splitlines()[0]


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _resolved() -> Iterable[tuple[str, str, str, Path]]:
    artifacts = jgo.resolve(_ENDPOINT)
    log4j = next(a.version for a in artifacts if a.artifactId == "log4j-core")
    # The broker logs nothing without it. Added here and not to the resolution: there, its dependency management
    # pulls kafka-clients down to a version the broker does not start with.
    context = MavenContext(resolver=PythonResolver(), repo_cache=GlobalSettings.load().repo_cache)
    binding = context.project("org.apache.logging.log4j", "log4j-slf4j-impl").at_version(log4j).artifact()
    for artifact in (*artifacts, binding):
        yield artifact.groupId, artifact.artifactId, artifact.version, artifact.resolve()


def write_lock(lock: Path = LOCK) -> int:
    """Resolve the jars of `KAFKA_VERSION` and write the lock. Returns how many they are."""
    if shutil.disk_usage(lock.parent).free < 1 << 30:
        raise LocalRunError("Less than 1 GiB is free: the jars may not fit.")
    jars = sorted(Jar(group, artifact, version, _sha256(path)) for group, artifact, version, path in _resolved())
    lines = [f"{jar.name} {jar.sha256}" for jar in jars]
    lock.write_text("# Written by `make lock-jars`: group:artifact:version sha256\n" + "\n".join(lines) + "\n")
    return len(jars)


if __name__ == "__main__":
    print(f"{write_lock()} jars of Kafka {KAFKA_VERSION} in {LOCK.name}")
