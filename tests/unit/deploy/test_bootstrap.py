"""The environment is made once, and whatever is missing for it is said in one line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import bootstrap
from deploy.local.bootstrap import BootstrapError

SCRIPT = Path(bootstrap.__file__).with_name("python.sh")


def fake_python(folder: Path, name: str, *, new_enough: bool) -> None:
    """A program that answers the two questions of python.sh."""
    answer = "exit 0" if new_enough else 'case "$2" in *exit*) exit 1;; *) echo "is Python 3.9.2";; esac'
    (folder / name).write_text(f"#!/bin/sh\n{answer}\n")
    (folder / name).chmod(0o755)


def choose(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run python.sh with nothing but this folder on the path."""
    shell = shutil.which("sh")
    assert shell
    environ = {"PATH": str(folder), **environment}
    return subprocess.run([shell, str(SCRIPT)], env=environ, capture_output=True, text=True, check=False)


def test_an_old_python_is_refused_in_one_line(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", new_enough=False)
    done = choose(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Shoal needs Python 3.11 or newer; python3 is Python 3.9.2.")
    assert done.stderr.count("\n") == 1


def test_no_python_at_all_is_said_in_one_line(tmp_path: Path) -> None:
    done = choose(tmp_path)
    assert done.returncode == 1
    assert "python3 cannot be run" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_newer_python_beside_an_old_one_is_found(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", new_enough=False)
    fake_python(tmp_path, "python3.12", new_enough=True)
    assert choose(tmp_path).stdout == "python3.12\n"
    fake_python(tmp_path, "mine", new_enough=True)
    assert choose(tmp_path, PYTHON="mine").stdout == "mine\n"


def test_the_python_asked_for_is_not_replaced_by_another(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", new_enough=True)
    done = choose(tmp_path, PYTHON="python3.9")
    assert done.returncode == 1
    assert "python3.9 cannot be run" in done.stderr


def test_an_environment_counts_as_installed_for_its_lock_and_while_its_python_runs(tmp_path: Path) -> None:
    wanted = bootstrap.stamp(b"one lock")
    assert not bootstrap.is_installed(tmp_path, wanted)
    (tmp_path / "shoal.stamp").write_text(wanted)
    assert not bootstrap.is_installed(tmp_path, wanted)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert bootstrap.is_installed(tmp_path, wanted)
    assert not bootstrap.is_installed(tmp_path, bootstrap.stamp(b"another lock"))
    (tmp_path / "bin" / "python").unlink()
    (tmp_path / "bin" / "python").symlink_to("/nowhere/python")
    assert not bootstrap.is_installed(tmp_path, wanted)


def test_a_python_without_venv_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = bootstrap.importlib.util.find_spec  # type: ignore[attr-defined]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else real(name))
    with pytest.raises(BootstrapError, match=r"lacks the module ensurepip: install it \(.*python3\.\d+-venv\)"):
        bootstrap.check_machine(tmp_path)


def test_a_full_disk_is_noticed_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=100 << 20))
    with pytest.raises(BootstrapError, match="nearly full: 100 MiB free, 1500 MiB needed"):
        bootstrap.check_machine(tmp_path)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            [
                "WARNING: Retrying (Retry(total=1, connect=None)) after connection broken by 'NewConnectionError'",
                "ERROR: Could not find a version that satisfies the requirement aiohttp==3 (from versions: none)",
            ],
            "The package registry is out of reach",
        ),
        (
            ["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"],
            "The disk is full",
        ),
        (["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"], "could not be installed: ERROR: THESE PACKAGES DO NOT"),
        ([], "pip said nothing"),
    ],
)
def test_what_pip_says_becomes_one_line(said: list[str], told: str) -> None:
    line = bootstrap.explain(said)
    assert told in line
    assert "\n" not in line


def test_a_linked_environment_is_never_cleared(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / ".venv").symlink_to(tmp_path / "other")
    with pytest.raises(BootstrapError, match="is a link"):
        bootstrap.create(tmp_path / ".venv")


def test_the_bootstrap_needs_the_standard_library_only() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({bootstrap.__file__!r}, run_name='x')"],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
