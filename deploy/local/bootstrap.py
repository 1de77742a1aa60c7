"""Makes the environment `.venv` from the lock, or does nothing if it is there. Only the standard library.

`python deploy/local/bootstrap.py`, called by every target of the Makefile that needs it. A stamp inside `.venv`
says which lock is installed; a changed lock is installed over it.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-dev.lock"
VENV = ROOT / ".venv"

_NEEDED_BYTES = 1500 << 20
_SAY_EVERY = 20
_OUT_OF_REACH = ("Retrying (Retry(", "Could not fetch URL", "Connection to ", "Max retries exceeded")


class BootstrapError(Exception):
    """The environment cannot be made. The text is the one line that says why."""


def stamp(lock: bytes) -> str:
    """What tells the environment of one lock from that of another."""
    return f"{hashlib.sha256(lock).hexdigest()}\n"


def is_installed(venv: Path, wanted: str) -> bool:
    """Whether the environment is complete and its Python still runs."""
    file = venv / "shoal.stamp"
    return file.exists() and file.read_text() == wanted and runs(venv, "-c", "")


def runs(venv: Path, *arguments: str) -> bool:
    """Whether the environment's Python does this without a fault."""
    try:
        done = subprocess.run([str(venv / "bin" / "python"), *arguments], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def check_machine(folder: Path) -> None:
    """Raises BootstrapError if Python's own modules or the disk are not enough."""
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise BootstrapError(
            f"{sys.executable} lacks the module {missing[0]}: install it (Debian, Ubuntu: apt install"
            f" python{version}-venv), or name another Python: make PYTHON=..."
        )
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise BootstrapError(f"The disk of {folder} is nearly full: {free >> 20} MiB free, 1500 MiB needed.")


def create(venv: Path) -> None:
    """Make an empty environment, unless there is a usable one. Raises BootstrapError."""
    if runs(venv, "-m", "pip", "--version"):
        return
    if venv.is_symlink():
        raise BootstrapError(f"{venv} is a link to an environment without pip: remove the link and start again.")
    # --clear: half an environment, or one whose Python is gone, cannot be repaired
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BootstrapError(f"{venv} could not be made: {_last(done.stdout + done.stderr)}")


def install(venv: Path, lock: Path) -> None:
    """Install exactly what the lock names. Raises BootstrapError."""
    options = ["--require-hashes", "--no-deps", "--retries", "2", "--progress-bar", "off", "--no-input"]
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", *options, "-r", str(lock)]
    packages = sum(1 for line in lock.read_text().splitlines() if "==" in line)
    seen, said = 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            said.append(line.strip())
            if line.startswith(("Collecting", "Requirement already satisfied")):
                seen += 1
                if seen % _SAY_EVERY == 0:
                    print(f"    {seen} of {packages}", flush=True)
            elif line.startswith("Installing collected"):
                print("    all fetched, unpacking", flush=True)
    if pip.returncode != 0:
        raise BootstrapError(explain(said))


def explain(said: list[str]) -> str:
    """One line for what pip said when it failed."""
    text = "\n".join(said)
    errors = [line for line in said if line.startswith("ERROR")] or said[-1:] or ["pip said nothing"]
    if "No space left on device" in text:
        return "The disk is full: free some space and start again."
    if any(mark in text for mark in _OUT_OF_REACH):
        return f"The package registry is out of reach: check the network or pip's settings ({errors[0]})"
    return f"The packages could not be installed: {errors[0]}"


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing was said"


def main() -> int:
    """Make the environment if it is needed; 1 and one line on stderr if that fails."""
    wanted = stamp(LOCK.read_bytes())
    if is_installed(VENV, wanted):
        return 0
    try:
        check_machine(ROOT)
        print(
            f"Making .venv with Python {sys.version.split()[0]} and the packages of {LOCK.name} (once) ...", flush=True
        )
        create(VENV)
        install(VENV, LOCK)
        (VENV / "shoal.stamp").write_text(wanted)
    except BootstrapError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or VENV}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next call goes on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
