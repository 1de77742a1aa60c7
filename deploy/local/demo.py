"""The demo: three segments, and half a year of a shop's clickstream replayed through the API, once."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.local.console import say, step
from deploy.local.demo_data import data_file, format_time, read_events
from deploy.local.errors import LocalRunError
from deploy.local.evaluated import await_evaluated
from deploy.local.installation import Installation
from deploy.local.rest import Api
from deploy.local.secrets_file import Secrets, write_private
from deploy.local.servers import LocalServers

BATCH = 500
_COMPUTE_TIMEOUT_S = 60
_BETWEEN_QUESTIONS_S = 0.1
_SAY_EVERY = 10_000


def _count(event_type: str, operator: str, value: int, days: int) -> dict[str, Any]:
    return {
        "type": "event_count",
        "event_type": event_type,
        "operator": operator,
        "value": value,
        "window_days": days,
    }


SEGMENTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "Bought in the last 30 days",
        "At least one purchase; whoever does not buy again leaves to the second 30 days later.",
        {"logic": "AND", "conditions": [_count("purchase", "gte", 1, 30)]},
    ),
    (
        "Left a cart behind this week",
        "Something in the cart in the last 7 days, and no purchase.",
        {
            "logic": "AND",
            "conditions": [_count("add_to_cart", "gte", 1, 7), _count("purchase", "gte", 1, 7) | {"negate": True}],
        },
    ),
    (
        "Buyers gone quiet",
        "Bought at least once, and has not looked at a product for 14 days: users enter by time alone.",
        {
            "logic": "AND",
            "conditions": [
                {"type": "event_count", "event_type": "purchase", "operator": "gte", "value": 1},
                {"type": "recency", "event_type": "product_view", "operator": "gt", "window_days": 14},
            ],
        },
    ),
)


def load(installation: Installation, servers: LocalServers, secrets: Secrets) -> None:
    """Make the segments and replay the events, unless this folder has them; an interrupted replay goes on.

    Raises:
        LocalRunError: the data cannot be fetched, or the API refuses something.
    """
    progress = Progress(installation.folder / "demo.json")
    if progress.done:
        return
    api = Api(installation.url("api"), installation.api_key(secrets))
    with step("Fetching the demo data, 1.2 MB, once"):
        file = data_file(installation.folder)
    with step(f"Creating and computing {len(SEGMENTS)} segments"):
        # first: a segment counts the events from its compute on
        make_segments(api)
    events = read_events(file.read_bytes(), progress.end)
    with step(f"Replaying {len(events):,} events of {len({e['user_id'] for e in events})} users through the API"):
        replay(api, events, progress)
        await_evaluated(servers.kafka_bootstrap_servers, installation.environ.get("SHOAL_EVALUATOR_GROUP"))
    progress.finish()


def make_segments(api: Api) -> list[int]:
    """Create the missing ones, compute those never computed, and return the ids when all are computed."""
    existing = {segment["name"]: segment for segment in api.get("/api/segments/?page_size=500")["results"]}
    ids = []
    for name, description, definition in SEGMENTS:
        segment = existing.get(name) or api.post(
            "/api/segments/", {"name": name, "description": description, "definition": definition}
        )
        ids.append(int(segment["id"]))
        if segment["status"] not in ("computing", "computed"):
            api.post(f"/api/segments/{segment['id']}/compute/")
    deadline = time.monotonic() + _COMPUTE_TIMEOUT_S
    for segment_id in ids:
        await_computed(api, segment_id, deadline)
    return ids


def await_computed(api: Api, segment_id: int, deadline: float) -> None:
    """Return when the segment is computed. Raises LocalRunError when it failed, or at `deadline` (monotonic)."""
    while True:
        answer = api.get(f"/api/segments/{segment_id}/compute/")
        if answer["status"] == "computed":
            return
        if answer["status"] == "failed" or time.monotonic() > deadline:
            done = f"{answer['partitions_done']} of {answer['partitions']} partitions"
            raise LocalRunError(
                f"Segment {segment_id} is {answer['status']} ({done}): {answer['error'] or 'no reason'}"
            )
        time.sleep(_BETWEEN_QUESTIONS_S)


def replay(api: Api, events: list[dict[str, Any]], progress: "Progress") -> None:
    """Send the events in batches, from where an earlier run got to. Raises LocalRunError when one is refused."""
    for start in range(progress.sent, len(events), BATCH):
        batch = events[start : start + BATCH]
        answer = api.post("/api/ingestion/track/batch/", {"events": batch})
        if answer["queued"] != len(batch):
            raise LocalRunError(f"{answer['skipped']} demo events were refused: {answer['errors'][0]}")
        progress.advance(start + len(batch))
        if progress.sent // _SAY_EVERY > start // _SAY_EVERY:
            say(f"    {progress.sent:,} of {len(events):,}")


class Progress:
    """How far the demo got in this folder, kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        stored = json.loads(file.read_text()) if file.exists() else {}
        self.done: bool = stored.get("done", False)
        self.sent: int = stored.get("sent", 0)
        # events sent again after an interruption must have the times they had
        self.end = datetime.fromisoformat(stored["end"]) if stored else datetime.now(UTC)

    def advance(self, sent: int) -> None:
        """So many events are stored by the API."""
        self.sent = sent
        self._write()

    def finish(self) -> None:
        """The demo is complete."""
        self.done = True
        self._write()

    def _write(self) -> None:
        content = {"end": format_time(self.end), "sent": self.sent, "done": self.done}
        write_private(self._file, json.dumps(content) + "\n")
