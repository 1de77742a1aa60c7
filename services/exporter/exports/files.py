"""The place for export files: a file has its name when all of it is there, and goes when its time is over."""

import contextlib
import hashlib
import io
import re
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSelector

from shared.contracts.export_request import ExportRequest
from shared.runtime.address import Address
from shared.runtime.crash_points import crash_point

_PARTIAL = ".partial"
_OURS = re.compile(r"[0-9]+-[0-9a-f]{16}\.(parquet|csv|jsonl)(\.partial)?")
PARTIAL_S = 3_600
"""A partial file that nobody has written to for so long is nobody's."""
GRACE_S = 3_600
"""A file stays so long after its time: somebody may be fetching it."""


_BUFFER_BYTES = 1 << 20
"""Without one, pyarrow hands a bucket's stream what that refuses."""


class Written(NamedTuple):
    """A file that is there: its name in the place, its bytes."""

    name: str
    size: int
    sha256: str


class ExportFiles:
    """The files of one place."""

    def __init__(self, place: Address) -> None:
        """Connects to nothing yet."""
        self._place, self._files = place, place.file_system()

    @contextlib.contextmanager
    def new(self, request: ExportRequest) -> Iterator["NewFile"]:
        """A file to be written; at the end of the block it has its name and is there. Raises OSError.

        An exception leaves nothing of it; a crash may leave a partial file, or a whole one that nobody knows.
        """
        name = f"{request.export_id}-{secrets.token_hex(8)}.{request.format}"
        partial = name + _PARTIAL
        if self._place.folder is not None:
            self._place.folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._files.open_output_stream(partial, buffer_size=_BUFFER_BYTES) as stream:
                file = NewFile(name, stream)
                yield file
            self._place.make_durable(partial)
            crash_point("before_export_rename")
            self._files.move(partial, name)
            self._place.make_durable(name)
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.delete_file(partial)
            raise
        crash_point("after_export_rename")

    def remove_old(self, now_s: float, retention_s: float) -> int:
        """Remove what is older than `retention_s` and what died attempts left; how many files. Raises OSError."""
        removed = 0
        for info in self._files.get_file_info(FileSelector("", allow_not_found=True)):
            if self._is_old(info, now_s, retention_s):
                # another exporter may be quicker
                with contextlib.suppress(FileNotFoundError):
                    self._files.delete_file(info.path)
                    removed += 1
        return removed

    @staticmethod
    def _is_old(info: FileInfo, now_s: float, retention_s: float) -> bool:
        name = info.base_name
        if not _OURS.fullmatch(name) or info.mtime is None:
            return False
        limit_s = PARTIAL_S if name.endswith(_PARTIAL) else retention_s + GRACE_S
        return bool(now_s - info.mtime.timestamp() > limit_s)


class NewFile(io.RawIOBase):
    """A file being written, that knows what it holds."""

    def __init__(self, name: str, stream: pa.NativeFile) -> None:
        super().__init__()
        self._name, self._stream = name, stream
        self._size, self._sha256 = 0, hashlib.sha256()

    @property
    def written(self) -> Written:
        """What it is, when all is written."""
        return Written(self._name, self._size, self._sha256.hexdigest())

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, some: Any) -> int:
        """Write all of it. Raises OSError."""
        self._stream.write(some)
        self._sha256.update(some)
        count = memoryview(some).nbytes
        self._size += count
        return count
