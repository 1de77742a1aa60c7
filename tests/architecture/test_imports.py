"""Who may import whom, and that importing does nothing."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import ALL, PRODUCT, ROOT, files, imports, name_of

_IMPORT_ALL = """
import importlib, os, sys, threading
import deltalake, pyarrow  # each brings an allocator with a thread that cleans up behind it

import duckdb, deltalake, pyarrow  # whose allocators and runtimes have threads of their own

# not socket.bind: urllib3 asks so whether the machine knows IPv6
LOUD = {"socket.connect", "socket.sendto", "socket.getaddrinfo"}

def refuse(event, args):
    if event in LOUD:
        raise SystemExit(f"importing {importing} does {event}")

sys.addaudithook(refuse)
for importing in sys.argv[1:]:
    threads = {thread.name for thread in threading.enumerate()}
    native = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
    importlib.import_module(importing)
    started = {thread.name for thread in threading.enumerate()} - threads
    if started:
        raise SystemExit(f"importing {importing} starts the threads {started}")
    if native and len(os.listdir("/proc/self/task")) > native:
        raise SystemExit(f"importing {importing} starts a thread")
"""


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_layers_hold() -> None:
    """The contracts stand in pyproject.toml: services > contracts | runtime > domain, services never each other."""
    ran = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 broken" in ran.stdout


@pytest.mark.parametrize("name", ["shared", "services"])
def test_our_names_are_shipped_by_no_installed_distribution(name: str) -> None:
    """The path is the import: a package of the same name would be found instead of ours, or beside it."""
    assert importlib.metadata.packages_distributions().get(name, []) == []


def test_importing_connects_to_nothing_and_starts_nothing() -> None:
    # migrations are scripts that Alembic runs, not modules that anyone imports
    modules = [_module(path) for path in files(*PRODUCT) if "migrations" not in path.parts]
    assert len(modules) > 30
    ran = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, *modules], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_product_code_imports_no_tests() -> None:
    faults = [name_of(path) for path in files(*PRODUCT) if "from tests" in path.read_text(encoding="utf-8")]
    assert faults == []


@pytest.mark.parametrize(
    ("folders", "groups"),
    [(("shared", "services"), ()), (("deploy",), ("local",)), (("tests",), ("local", "dev"))],
)
def test_what_is_imported_is_declared(folders: tuple[str, ...], groups: tuple[str, ...]) -> None:
    """A package that comes with another one today may not tomorrow."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needs = [
        *project["project"]["dependencies"],
        *(need for name in groups for need in project["dependency-groups"][name]),
    ]
    declared = {_normal(re.split(r"[^\w.-]", need)[0]) for need in needs}
    shipped = importlib.metadata.packages_distributions()
    missing = {
        f"{name_of(path)}:{line} imports {top} of {' or '.join(shipped.get(top, ['nothing installed']))}"
        for path in files(*folders)
        for line, name in imports(path)
        if (top := name.split(".")[0]) not in ALL and top not in sys.stdlib_module_names
        if not declared & {_normal(distribution) for distribution in shipped.get(top, [])}
    }
    assert missing == set()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
