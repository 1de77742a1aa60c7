"""A stored file as an answer: streamed, whole or a part of it."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import pyarrow as pa
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from services.api.errors import ApiError, Gone, Unavailable
from shared.runtime.address import Address

_PART_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class StoredFile(NamedTuple):
    """A file in a place; `etag` changes with its bytes."""

    path: str
    size: int
    etag: str


async def file_answer(place: Address, file: StoredFile, request: Request, headers: Mapping[str, str]) -> Response:
    """200 with the file, or 206 with the part that `Range` asks for. Raises Gone, Unavailable, ApiError (416)."""
    stream = await run_in_threadpool(_opened, place, file)
    try:
        start, end = _asked(file, request)
    except ApiError:
        stream.close()
        raise
    known = {"Accept-Ranges": "bytes", "ETag": f'"{file.etag}"', "Content-Length": str(end - start), **headers}
    status = 200 if end - start == file.size else 206
    if status == 206:
        known["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    if request.method == "HEAD":
        stream.close()
        return Response(None, status, known)
    return StreamingResponse(_parts(stream, start, end), status, known)


def _opened(place: Address, file: StoredFile) -> pa.NativeFile:
    try:
        stream = place.file_system().open_input_file(file.path)
        if stream.size() == file.size:
            return stream
    except FileNotFoundError as missing:
        raise Gone("the file is no longer there; ask for a new export") from missing
    except OSError as fault:
        raise Unavailable("the place of the export files does not answer") from fault
    stream.close()
    raise Unavailable("the export file is not whole")


def _asked(file: StoredFile, request: Request) -> tuple[int, int]:
    """The bytes [start, end) that the request asks for: all, unless it names one range that is known to be of it."""
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or asked[0] == "bytes=-" or request.headers.get("if-range", f'"{file.etag}"') != f'"{file.etag}"':
        return 0, file.size
    first, last = asked.groups()
    if not first:
        start, end = max(0, file.size - int(last)), file.size
    else:
        start, end = int(first), min(file.size, int(last) + 1 if last else file.size)
    if start >= end:
        detail = {"detail": f"the file has {file.size} bytes, the range {asked[0]} has none of them"}
        raise ApiError(416, detail, {"Content-Range": f"bytes */{file.size}"})
    return start, end


async def _parts(stream: pa.NativeFile, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        while start < end:
            part = await run_in_threadpool(stream.read_at, min(_PART_BYTES, end - start), start)
            start += len(part)
            yield part
    finally:
        stream.close()
