"""Lookups all the time: members who never leave, asked for while something is broken, and every answer noted."""

import random
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import httpx

from tests.fault.world import World
from tests.support.evaluators import wait_for

LOOKUP_S = 1.0
"""A lookup is answered within so long, whatever is broken."""
NOISE_S = 1.0
"""What a busy machine may add."""
_BATCH = 50
_PAUSE_S = 0.02

JOINED: dict[str, Any] = {
    "logic": "AND",
    "conditions": [{"type": "event_count", "event_type": "joined", "operator": "gte", "value": 1}],
}
"""Who has joined is a member for ever; no load sends that event."""


class Lookup(NamedTuple):
    """One answer about one known member. `began_s`: of time.monotonic()."""

    began_s: float
    took_s: float
    user_id: str
    status: int | None
    body: dict[str, Any]
    retry_after: str | None

    def knows(self, segment_id: int) -> bool:
        """Whether it says that the user is a member, or that the answer may be out of date."""
        return segment_id in self.body.get("segment_ids", ()) or bool(self.body.get("stale"))


class LookupWatch:
    """Asks for known members, one at a time, in a thread of its own until `finish`."""

    def __init__(self, world: World, segment_id: int, members: Sequence[str]) -> None:
        self.segment_id = segment_id
        self.found: list[Lookup] = []
        self._members = members
        self._random = random.Random(world.seed)
        self._client = world.api.client()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookups", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Ask no more."""
        self._enough.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        self._client.close()

    def since(self, began_s: float) -> list[Lookup]:
        """The answers to questions asked from then on."""
        return [lookup for lookup in self.found if lookup.began_s >= began_s]

    def await_members(self, within_s: float) -> float:
        """Wait until lookups answer again, members as members; the seconds until then."""
        began_s = time.monotonic()

        def answered() -> bool:
            last = self.since(began_s)[-len(self._members) :]
            return len(last) >= _BATCH and all(
                one.status == 200 and one.knows(self.segment_id) for one in last[-_BATCH:]
            )

        wait_for(answered, within_s, "lookups answer for known members")
        return time.monotonic() - began_s

    def wrong(self) -> list[str]:
        """The answers that a client must never get: a member called none, an unclear error, a late answer."""
        return [fault for lookup in self.found if (fault := self._wrong(lookup))]

    def refused(self) -> list[Lookup]:
        """The answers 503."""
        return [lookup for lookup in self.found if lookup.status == 503]

    def _wrong(self, lookup: Lookup) -> str | None:
        text = f"lookup of {lookup.user_id}: {lookup.status} {lookup.body} after {lookup.took_s:.2f} s"
        if lookup.took_s > LOOKUP_S + NOISE_S:
            return f"{text} (limit {LOOKUP_S:g} s)"
        if lookup.status == 200:
            return None if lookup.knows(self.segment_id) else f"{text}: a member is called none"
        if lookup.status == 503 and (lookup.retry_after or "").isdigit() and isinstance(lookup.body.get("detail"), str):
            return None
        return f"{text}, Retry-After {lookup.retry_after}: not a documented answer"

    def _run(self) -> None:
        while not self._enough.wait(_PAUSE_S):
            self.found.append(self._ask(self._random.choice(self._members)))

    def _ask(self, user_id: str) -> Lookup:
        began_s = time.monotonic()
        try:
            answer = self._client.get("/api/segments/membership/", params={"user_id": user_id})
        except httpx.HTTPError as error:
            return Lookup(began_s, time.monotonic() - began_s, user_id, None, {"error": repr(error)}, None)
        took_s = time.monotonic() - began_s
        return Lookup(began_s, took_s, user_id, answer.status_code, answer.json(), answer.headers.get("Retry-After"))


def with_members(world: World, definitions: Sequence[dict[str, Any]], prefix: str = "member") -> LookupWatch:
    """Activate these and a segment of those who joined, let some join, and begin to ask for them."""
    world.activate([*definitions, JOINED])
    segment_id = max(world.segments)
    watch = LookupWatch(world, segment_id, join(world, prefix))
    watch.await_members(60)
    watch.found.clear()  # before they had joined they were no members
    return watch


def join(world: World, prefix: str, count: int = 100) -> list[str]:
    """So many users join; returns when all are acknowledged."""
    users = [f"{prefix}-{number}" for number in range(count)]
    tracker = world.tracker()
    answer = tracker.track([tracker.number({"user_id": user, "event_type": "joined"}) for user in users])
    tracker.close()
    assert answer.outcome == "acknowledged", answer
    return users
