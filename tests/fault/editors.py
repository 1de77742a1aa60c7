"""Who makes, edits, computes, deactivates and deletes segments while something is broken; what was told must hold."""

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import httpx

from tests.fault.definitions import DEFINITIONS
from tests.fault.reads import Reading, Refused
from tests.fault.wishes import rows, stored_wishes
from tests.fault.world import World

ANSWERED_S = 6.0
"""A save is answered within so long, whatever is broken: it waits for a connection, then for a statement."""
_SEGMENTS = 4
_ACTIONS = {"create": 2, "edit": 4, "compute": 5, "deactivate": 1, "delete": 1}

Json = dict[str, Any]


class Editor:
    """Acts on segments of its own, one call at a time, and remembers what the answers said."""

    def __init__(self, world: World, name: str) -> None:
        self.saved: dict[tuple[int, int], Json] = {}
        """Definitions by segment and version."""
        self.computed: set[tuple[int, int]] = set()
        """Segment and version of each compute that was accepted."""
        self.deleted: set[int] = set()
        self.refused = 0
        self._random, self._name = random.Random(f"{world.seed} {name}"), name
        self._own: list[int] = []
        self.reading = Reading(world, self._turn, name)

    def _turn(self, client: httpx.Client) -> str | None:
        action = self._random.choices(list(_ACTIONS), list(_ACTIONS.values()))[0]
        try:
            if not self._own or (action == "create" and len(self._own) < _SEGMENTS):
                self._create(client)
            else:
                self._act(client, action, self._random.choice(self._own))
        except Refused:
            self.refused += 1
            raise
        except AssertionError as unclear:
            return str(unclear)
        return None

    def _create(self, client: httpx.Client) -> None:
        definition = self._random.choice(DEFINITIONS)
        made = _said(client, "POST", "/api/segments/", {"name": self._name, "definition": definition}, 201)
        self._own.append(made["id"])
        self.saved[made["id"], made["version"]] = definition

    def _act(self, client: httpx.Client, action: str, segment_id: int) -> None:
        path = f"/api/segments/{segment_id}/"
        if action == "delete":
            self._own.remove(segment_id)  # gone or not, if nobody says so
            _said(client, "DELETE", path, None, 204)
            self.deleted.add(segment_id)
        elif action == "compute":
            version = _said(client, "PATCH", path, {"is_active": True}, 200)["version"]
            if _said(client, "POST", f"{path}compute/", None, 202, 409).get("status") == "queued":
                self.computed.add((segment_id, version))
        elif action == "deactivate":
            _said(client, "PATCH", path, {"is_active": False}, 200)
        else:
            definition = self._random.choice(DEFINITIONS)
            version = _said(client, "PATCH", path, {"definition": definition}, 200)["version"]
            self.saved[segment_id, version] = definition


def _said(client: httpx.Client, method: str, path: str, body: Json | None, *statuses: int) -> Any:
    """The JSON of an answer with one of these statuses. Raises Refused for a clear 503, AssertionError otherwise."""
    began_s = time.monotonic()
    try:
        answer = client.request(method, path, json=body)
    except httpx.HTTPError as error:
        raise AssertionError(f"{method} {path}: {error!r}") from None
    took_s = time.monotonic() - began_s
    text = f"{method} {path}: {answer.status_code} {answer.text} after {took_s:.1f} s"
    assert took_s < ANSWERED_S, text
    if answer.status_code == 503 and answer.headers.get("Retry-After", "").isdigit() and "detail" in answer.json():
        raise Refused
    assert answer.status_code in statuses, text
    return answer.json() if answer.content else None


def broken_promises(world: World, editors: list[Editor]) -> Iterator[str]:
    """What an answer promised and PostgreSQL does not hold."""
    found = rows(world, "select segment_id, version, definition::text as text from segment_versions")
    versions = {(row["segment_id"], row["version"]): json.loads(row["text"]) for row in found}
    kept = {row["id"] for row in rows(world, "select id from segments where deleted_at is null")}
    wished = {
        (wish.segment_id, version.version)
        for wish in stored_wishes(world).values()
        for version in (wish.serving, wish.computing)
        if version is not None
    }
    for editor in editors:
        for place, definition in editor.saved.items():
            if versions.get(place) != definition:
                yield f"segment and version {place} were saved as {definition}, and are {versions.get(place)}"
        yield from (f"a compute of segment and version {place} was lost" for place in editor.computed - wished)
        yield from (f"segment {segment_id} was deleted, and is there" for segment_id in editor.deleted & kept)
