"""A client of server-sent events."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx

MEDIA_TYPE = "text/event-stream"


@contextlib.contextmanager
def followed(client: httpx.Client, path: str, last_event_id: str = "", **params: str) -> Iterator[Iterator[Any]]:
    """The data of the events of a stream, None for a heartbeat; the stream is left at the end of the block.

    One that is refused for now (503) has none: its client comes again.
    """
    headers = {"Accept": MEDIA_TYPE} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
    with client.stream("GET", path, params=params, headers=headers) as answer:
        if answer.status_code == 503:
            yield iter(())
            return
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith(MEDIA_TYPE)
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[Any]:
    event_id = ""
    for line in lines:
        name, _, value = line.partition(": ")
        if line == ":":
            yield None
        elif name == "id":
            event_id = value
        elif name == "data":
            data = json.loads(value)
            assert event_id == str(data["position"])
            yield data
