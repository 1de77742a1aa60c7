"""`python -m deploy.local` as a person uses it: what it prints, how it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.local.installation import ROOT
from deploy.local.ports import OFFSETS, free_ports, is_free

READY = "Ctrl-C stops everything; the data stays."


def free_port_base() -> int:
    """The first of enough neighbouring ports that are free now."""
    while True:
        base = free_ports(1)[0]
        if all(is_free(base + offset) for offset in OFFSETS.values()):
            return base


class LocalRunner:
    """One installation in a folder, started and ended as often as wanted."""

    def __init__(self, folder: Path, port_base: int, root: Path = ROOT, **settings: str) -> None:
        """`root`: the checkout whose code runs, by its own environment. `settings` of the services, by variable."""
        self._root, self._settings = root, settings
        self.folder = folder
        self.port_base = port_base
        self.lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        """The runner."""
        assert self._process is not None
        return self._process

    def up(self, *options: str) -> str:
        """Start it and return what it printed until it was ready. Fails when it ends before."""
        self._process = subprocess.Popen(
            self._command("up", *options),
            env=self._environment(),
            cwd=self._root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.read_until(READY)

    def read_until(self, text: str) -> str:
        """What it prints from now on up to the line with this text. Fails when it ends before."""
        said = []
        for line in self.process.stdout or ():
            said.append(line)
            if text in line:
                return "".join(said)
        raise AssertionError(f"it ended before it said {text!r}:\n{''.join(said)}")

    def run(self, command: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Another call beside the one that runs."""
        return subprocess.run(
            self._command(command, *options),
            env=self._environment() | environment,
            cwd=self._root,
            capture_output=True,
            text=True,
            check=False,
        )

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send the runner a signal; its exit code and what it still printed."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """Wait for the end; the exit code, and what was still printed."""
        said, _ = self.process.communicate()
        return self.process.returncode, said

    def connection(self) -> dict[str, Any]:
        """What connection.json says."""
        found: dict[str, Any] = json.loads((self.folder / "connection.json").read_text())
        return found

    def _command(self, *arguments: str) -> list[str]:
        python = sys.executable if self._root == ROOT else str(self._root / ".venv/bin/python")
        return [python, "-m", "deploy.local", *arguments]

    def _environment(self) -> dict[str, str]:
        ours = {"SHOAL_DATA": str(self.folder), "SHOAL_PORT_BASE": str(self.port_base)}
        return {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")} | self._settings | ours
