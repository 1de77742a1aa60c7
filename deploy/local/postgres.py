"""PostgreSQL on the loopback interface, its data in one folder."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.local import unprivileged
from deploy.local.errors import LocalRunError
from deploy.local.packages import postgres_programs
from deploy.local.ports import HOST
from deploy.local.process import ManagedProcess

USER = "shoal"
DATABASE = "shoal"
READY_TIMEOUT_S = 60


class Postgres:
    """One server with the database `shoal`, owned by the user `shoal`."""

    name = "postgres"

    def __init__(self, folder: Path, port: int, password: str, options: Sequence[str] = ()) -> None:
        self._folder = folder
        self._port = port
        self._password = password
        self._data = folder / "postgres"
        programs = postgres_programs()
        self._programs = programs
        settings = [f"port={port}", f"listen_addresses={HOST}", "unix_socket_directories=", *options]
        arguments = [part for setting in settings for part in ("-c", setting)]
        self.process = ManagedProcess(
            "postgres",
            _as_allowed([str(programs / "postgres"), "-D", str(self._data), *arguments]),
            folder,
            title="PostgreSQL",
            stop_signal=signal.SIGINT,  # ends now and in order; SIGTERM waits for the clients
            cwd=folder,
        )

    @property
    def url(self) -> str:
        """The address of the database."""
        return f"postgresql://{USER}:{self._password}@{HOST}:{self._port}/{DATABASE}"

    def start(self) -> None:
        """Create the data folder if there is none, start, and return when the database answers.

        Raises:
            LocalRunError: one line that says why not.
        """
        if not self._data.exists():
            self._create_data()
        self.process.start()
        self.process.await_ready(lambda: self._psql("select 1", "postgres") is not None, READY_TIMEOUT_S)
        if self._psql("select 1") is None and self._psql(f"create database {DATABASE}", "postgres") is None:
            raise LocalRunError(f"PostgreSQL could not create its database: {self.process.last_line()}")

    def stop(self) -> None:
        """End it in order."""
        self.process.stop()

    def _create_data(self) -> None:
        # under another name first: a run that is killed half way must not leave what looks complete
        half_made = self._data.with_suffix(".new")
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(mode=0o700, parents=True)
        password_file = half_made.with_suffix(".password")
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("nobody")
            for path in (half_made, password_file):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        try:
            self._initdb(half_made, password_file)
        finally:
            password_file.unlink()
        half_made.rename(self._data)

    def _initdb(self, data: Path, password_file: Path) -> None:
        command = [
            str(self._programs / "initdb"),
            *("-D", str(data), "-U", USER, f"--pwfile={password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
        ]
        done = subprocess.run(_as_allowed(command), capture_output=True, text=True, check=False, cwd=self._folder)
        if done.returncode != 0:
            said = done.stderr + done.stdout
            if "No space left on device" in said:
                raise LocalRunError(f"The disk is full ({data}): free some space and start again.")
            if os.geteuid() == 0 and "Permission denied" in said:
                raise LocalRunError(
                    f"PostgreSQL refuses root and runs as nobody, who may not enter the folders of {data} or of the"
                    " environment: start as another user, or lay both where everybody may enter."
                )
            faults = [line for line in said.splitlines() if "error" in line.lower()] or said.splitlines()
            raise LocalRunError(f"PostgreSQL could not set up its data: {faults[0].strip()}")

    def _psql(self, statement: str, database: str = DATABASE) -> str | None:
        """The answer to a statement, None when there is none."""
        command = [str(self._programs / "psql"), "-X", "-w", "-q", "-A", "-t", "-h", HOST, "-p", str(self._port)]
        done = subprocess.run(
            [*command, "-U", USER, "-d", database, "-c", statement],
            env={"PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "2"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else None


def _as_allowed(command: list[str]) -> list[str]:
    """The command, run as another user if we are root."""
    if os.geteuid() != 0:
        return command
    return [sys.executable, "-I", "-S", str(unprivileged.__file__), *command]
