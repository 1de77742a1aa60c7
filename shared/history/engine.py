"""The DuckDB instance of a process: locked in, bounded, and shared by all who read the history."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from duckdb import DuckDBPyConnection

from shared.history.errors import HistoryBroken, HistoryOverloaded, HistoryUnavailable
from shared.history.schema import EVENTS, TableSchema
from shared.history.statement import Statement

TEMP_MB = 4096
_PREFIX = "duckdb-"
_PATTERN = frozenset("*?[")
_SQL_TYPES = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
}

_Files = TypeVar("_Files")
_Answer = TypeVar("_Answer")


class Engine:
    """One DuckDB instance in memory. It reads below some folders only, and no statement can change that.

    Thread-safe: each thread has its session; their statements share the memory and the threads of the instance.
    """

    def __init__(
        self, readable: Sequence[Path], temp: Path, memory_mb: int, threads: int, temp_mb: int = TEMP_MB
    ) -> None:
        """Make the instance, in some 12 ms.

        Args:
            readable: the folders, which need not exist yet.
            temp: where what does not fit into memory goes, in a folder of this instance. What processes that
                were killed have left there is removed.
            memory_mb: of all statements together, in 10^6 bytes; the process has some more.
            threads: of all statements together.
            temp_mb: limit of the temporary files, in 10^6 bytes.
        """
        self._temp = _Folder(temp)
        self._connection = duckdb.connect(
            config={
                "memory_limit": f"{memory_mb}MB",
                "threads": threads,
                "temp_directory": str(self._temp.path),
                "max_temp_directory_size": f"{temp_mb}MB",
                # no statement needs an order that it does not ask for, and keeping one costs memory
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "allow_persistent_secrets": False,
            }
        )
        folders = ", ".join(_quoted(os.path.realpath(folder)) for folder in readable)
        for setting in (
            # GLOBAL: cursors do not inherit it otherwise, and have the zone of the machine
            "SET GLOBAL TimeZone = 'UTC'",
            f"SET allowed_directories = [{folders}]",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            self._connection.execute(setting)

    @contextlib.contextmanager
    def session(self, files: Sequence[str], schema: TableSchema = EVENTS) -> Iterator[DuckDBPyConnection]:
        """A cursor with a view over the files, named as their table: its columns, also when there are no files.

        `interrupt` of the cursor, called by another thread, ends the statement that runs, not one that comes later.

        Raises, whatever is done with the cursor:
            HistoryUnavailable: a file is not there any more.
            HistoryBroken: a file cannot be read; the text names it.
            HistoryOverloaded: memory or temporary space do not suffice.
            duckdb.InterruptException: it was interrupted.
        """
        with contextlib.closing(self._connection.cursor()) as cursor:
            try:
                cursor.execute(f"CREATE TEMP VIEW {schema.name} AS {_rows(files, schema)}")
                yield cursor
            except duckdb.InterruptException:
                raise
            except duckdb.OutOfMemoryException as error:
                raise HistoryOverloaded(_first_line(error)) from error
            except duckdb.Error as error:
                raise self._fault(error, files) from error

    def close(self) -> None:
        """Free memory and temporary files; sessions must have ended."""
        self._connection.close()
        self._temp.remove()

    def _fault(self, error: duckdb.Error, files: Sequence[str]) -> Exception:
        """What an error of DuckDB says about the history; the error itself when it is about the statement."""
        text = str(error)
        if isinstance(error, duckdb.IOException):
            overloaded = "No space left" in text or str(self._temp.path) in text
            return (HistoryOverloaded if overloaded else HistoryUnavailable)(_first_line(error))
        if any(file in text for file in files):
            return HistoryBroken(_first_line(error))
        # the text does not name the file when its footer cannot be read
        broken = self._unreadable(files)
        return error if broken is None else HistoryBroken(f"{broken}: {_first_line(error)}")

    def _unreadable(self, files: Sequence[str]) -> str | None:
        with contextlib.closing(self._connection.cursor()) as cursor:
            for file in files:
                try:
                    cursor.execute("SELECT count(*) FROM parquet_file_metadata($file)", {"file": file})
                except duckdb.Error:
                    return file
        return None


def fetch(cursor: DuckDBPyConnection, statement: Statement) -> list[Any]:
    """The rows of one SELECT. Raises ValueError for anything else, before any of it runs."""
    parsed = cursor.extract_statements(statement.sql)
    if [each.type for each in parsed] != [duckdb.StatementType.SELECT]:
        raise ValueError("the statement must be one SELECT")
    return cursor.execute(parsed[0], statement.parameters).fetchall()


def read_again(list_files: Callable[[], _Files], use: Callable[[_Files], _Answer]) -> _Answer:
    """Use the files that there are; once more, listed anew, if one of them went away meanwhile."""
    files = list_files()
    try:
        return use(files)
    except HistoryUnavailable:
        return use(list_files())


def _rows(files: Sequence[str], schema: TableSchema) -> str:
    types = {field.name: _SQL_TYPES[str(field.type)] for field in schema.columns}
    if not files:
        nothing = ", ".join(f"NULL::{sql_type} AS {name}" for name, sql_type in types.items())
        return f"SELECT {nothing} WHERE false"
    if any(_PATTERN.intersection(file) for file in files):
        raise ValueError("paths of the history may hold none of * ? [")
    listed = ", ".join(map(_quoted, files))
    # a view cannot be bound to parameters
    folders = ", ".join(f"{name}: {types[name]}" for name in schema.partition_by)
    found = f"read_parquet([{listed}], hive_partitioning = true, hive_types = {{{folders}}})"
    return f"SELECT {', '.join(types)} FROM {found}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


class _Folder:
    """A temporary folder, locked while this process lives; those that nobody has locked any more are removed."""

    def __init__(self, within: Path) -> None:
        within.mkdir(parents=True, exist_ok=True)
        # one after the other, so that none is seen between being made and being locked
        with _locked(within):
            for left in within.glob(f"{_PREFIX}*"):
                with contextlib.suppress(BlockingIOError), _locked(left, wait=False):
                    shutil.rmtree(left, ignore_errors=True)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=within))
            self._lock = contextlib.ExitStack()
            self._lock.enter_context(_locked(self.path))

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
