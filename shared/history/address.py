"""Where the history lies: a folder of this machine, or a bucket."""

from pathlib import Path
from typing import NamedTuple

import pyarrow.fs
from deltalake.fs import DeltaStorageHandler

from shared.history.schema import EVENTS, TableSchema

_S3_OPTIONS = {
    "timeout": "20s",
    "connect_timeout": "5s",
    "max_retries": "2",
    "retry_timeout": "20s",
}
"""A store that is away is told of soon; whoever asks tries again."""


class HistoryAddress(NamedTuple):
    """The address of a history, and one of its tables. Credentials and endpoint of S3 come from the usual `AWS_`
    variables.
    """

    uri: str
    schema: TableSchema = EVENTS

    @classmethod
    def of(cls, text: str, schema: TableSchema = EVENTS) -> "HistoryAddress":
        """The address that the setting `history` names: a folder, or `s3://bucket/prefix`."""
        return cls(text.rstrip("/") if text.startswith("s3://") else str(Path(text).expanduser().absolute()), schema)

    @property
    def folder(self) -> Path | None:
        """The folder, or None if it is none of this machine's."""
        return None if self.uri.startswith("s3://") else Path(self.uri)

    @property
    def table(self) -> str:
        """Address of the table."""
        return f"{self.uri}/{self.schema.name}"

    @property
    def options(self) -> dict[str, str]:
        """What deltalake must know beside the environment."""
        return {} if self.folder else _S3_OPTIONS

    def file_system(self) -> pyarrow.fs.FileSystem:
        """The files of the table, by their path in it. Connects to nothing yet."""
        if self.folder is None:
            return pyarrow.fs.PyFileSystem(DeltaStorageHandler(self.table, self.options))
        return pyarrow.fs.SubTreeFileSystem(self.table, pyarrow.fs.LocalFileSystem())
