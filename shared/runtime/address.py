"""Where files lie: a folder of this machine, or a bucket."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow.fs
from deltalake.fs import DeltaStorageHandler

_S3_OPTIONS = {
    "timeout": "20s",
    "connect_timeout": "5s",
    "max_retries": "2",
    "retry_timeout": "20s",
}
"""A store that is away is told of soon; whoever asks tries again."""
_SIGNS = re.compile(r"\x1b\[[0-9;]*m|↳")
_BACKTRACE = re.compile(r"\n\s*0: ")


@dataclass(frozen=True)
class Address:
    """The address of a place for files. Credentials and endpoint of S3 come from the usual `AWS_` variables."""

    uri: str

    @classmethod
    def of(cls, text: str) -> Self:
        """The address that a setting names: a folder, or `s3://bucket/prefix`."""
        return cls(text.rstrip("/") if text.startswith("s3://") else str(Path(text).expanduser().absolute()))

    @property
    def folder(self) -> Path | None:
        """The folder, or None if it is none of this machine's."""
        return None if self.uri.startswith("s3://") else Path(self.uri)

    @property
    def options(self) -> dict[str, str]:
        """What a client of the store must know beside the environment."""
        return {} if self.folder else _S3_OPTIONS

    def below(self, name: str) -> "Address":
        """The address of a folder in this place."""
        return Address(f"{self.uri}/{name}")

    def file_system(self) -> pyarrow.fs.FileSystem:
        """The files of this place, by their path in it. Connects to nothing yet."""
        if self.folder is None:
            return pyarrow.fs.PyFileSystem(DeltaStorageHandler(self.uri, self.options))
        return pyarrow.fs.SubTreeFileSystem(self.uri, pyarrow.fs.LocalFileSystem())

    def make_durable(self, path: str) -> None:
        """What was written under this path survives the power of its machine from here on. Raises OSError.

        A bucket has what it has acknowledged.
        """
        if self.folder is not None:
            for place in (self.folder / path, (self.folder / path).parent):
                handle = os.open(place, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)


def told(fault: Exception) -> str:
    """What the libraries say, in one line: without the signs that they draw, and without a backtrace."""
    text = _BACKTRACE.split(_SIGNS.sub(" ", str(fault)), maxsplit=1)[0]
    return " ".join(text.split())
