"""Exports asked for through the API while faults happen, and what is wrong with what came of them."""

import hashlib
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import httpx

from services.api.instants import given_time
from shared.contracts.export_request import ExportFormat
from tests.fault.world import World
from tests.support.evaluators import wait_for
from tests.support.exported import rows_of, wrong_rows

FINAL_S = 180


class Exports:
    """Some exports of the segments of a world, in every format."""

    def __init__(self, world: World) -> None:
        self._world, self._client = world, world.api.client()
        self._segments, self._formats = cycle(world.segments), cycle(get_args(ExportFormat))
        self.asked: list[tuple[int, int]] = []
        """Segment and export, by id."""

    def ask(self, count: int = 1) -> None:
        """Ask for so many more."""
        for _ in range(count):
            segment_id = next(self._segments)
            answer = self._client.post(f"/api/segments/{segment_id}/export/", json={"format": next(self._formats)})
            assert answer.status_code == 202, answer.text
            self.asked.append((segment_id, answer.json()["id"]))

    def await_all(self) -> None:
        """Wait until all have ended."""

        def have_ended() -> bool:
            return all(self._status(*one)["status"] in ("complete", "failed") for one in self.asked)

        wait_for(have_ended, FINAL_S, "all exports have ended")

    def wrong(self) -> list[str]:
        """What is wrong, after the load has ended: each is complete, and has the members of its instant."""
        changes = [change for change in self._world.stream.distinct_changes() if change["tenant"] == 1]
        return [fault for segment_id, export_id in self.asked for fault in self._wrong(changes, segment_id, export_id)]

    def _wrong(self, changes: list[dict[str, Any]], segment_id: int, export_id: int) -> list[str]:
        export = self._status(segment_id, export_id)
        if export["status"] != "complete":
            return [f"export {export_id} is {export['status']}: {export['error']}"]
        content = httpx.get(export["download_url"]).content
        if hashlib.sha256(content).hexdigest() != export["sha256"]:
            return [f"export {export_id}: its link gives another file"]
        with TemporaryDirectory() as folder:
            path = Path(folder, f"fetched.{export['format']}")
            path.write_bytes(content)
            rows = rows_of(path)
        if len(rows) != export["row_count"]:
            return [f"export {export_id}: {len(rows)} rows, {export['row_count']} said"]
        return wrong_rows(rows, changes, segment_id, given_time("as_of", export["as_of"]))

    def _status(self, segment_id: int, export_id: int) -> dict[str, Any]:
        answer = self._client.get(f"/api/segments/{segment_id}/export/", params={"export_id": export_id})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found
