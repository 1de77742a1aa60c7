"""Who writes and reads what was written, and who walks over members, while something is broken."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from tests.fault.world import World
from tests.support.evaluators import wait_for

FRESH_S = 2.1 + 1.0
"""A lookup that waits for a write answers within so long, but for what Redis takes to be found away."""
NOISE_S = 1.0
"""What a busy machine may add."""
_PAUSE_S = 0.05


class Reading:
    """Does something over and over in a thread of its own until `finish`; `faults` has what must not be."""

    def __init__(self, world: World, turn: Callable[[httpx.Client], str | None], name: str) -> None:
        self.faults: list[str] = []
        self.rounds = 0
        self._turn, self._client = turn, world.api.client()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def await_rounds(self, count: int) -> None:
        """Wait until it has been done so often again, with an answer."""
        before = self.rounds
        wait_for(lambda: self.rounds >= before + count, 90, f"{count} rounds of {self._thread.name}")

    def finish(self) -> None:
        """Do it no more."""
        self._enough.set()
        self._thread.join(120)
        assert not self._thread.is_alive()
        self._client.close()

    def _run(self) -> None:
        while not self._enough.wait(_PAUSE_S):
            try:
                fault = self._turn(self._client)
            except Refused:
                continue
            self.rounds += 1
            if fault is not None:
                self.faults.append(fault)


class Refused(Exception):  # noqa: N818 - it names the thing
    """A clear 503, with when to come back."""


def writing_and_reading(world: World, segment_id: int) -> Reading:
    """New users join, each is looked up with the position of its event: a fresh answer has the segment."""
    tracker = world.tracker()
    users = iter(range(10**9))

    def turn(client: httpx.Client) -> str | None:
        user_id = f"reads-{next(users)}"
        stored = tracker.track([tracker.number({"user_id": user_id, "event_type": "joined"})])
        if stored.outcome != "acknowledged":
            raise Refused
        asked = {"user_id": user_id, "after": json.loads(stored.body)["position"]}
        began_s = time.monotonic()
        found = _answer(client, "/api/segments/membership/", asked)
        took_s = time.monotonic() - began_s
        if found["fresh"] and found["segment_ids"] != [segment_id]:
            return f"{found} is fresh and lacks what was written"
        return f"{found} after {took_s:.2f} s" if took_s > FRESH_S + NOISE_S else None

    return Reading(world, turn, "writing and reading")


def walking(world: World, segment_id: int, members: Sequence[str], limit: int) -> Reading:
    """Walks over the members, on whatever is refused from the same page: those who stay are met once, nobody twice."""
    path = f"/api/segments/{segment_id}/members/"

    def turn(client: httpx.Client) -> str | None:
        met: Counter[str] = Counter()
        cursor: str | None = ""
        while cursor is not None:
            try:
                page = _answer(client, path, {"limit": limit} | ({"cursor": cursor} if cursor else {}))
            except Refused:
                time.sleep(_PAUSE_S)  # as the answer asks
                continue
            met.update(one["user_id"] for one in page["results"])
            cursor = page["next_cursor"]
        wrong = [user for user in members if met[user] != 1] + [user for user, times in met.items() if times > 1]
        return f"a walk met {[(user, met[user]) for user in wrong[:5]]}, {len(wrong)} in all" if wrong else None

    return Reading(world, turn, "walking")


def _answer(client: httpx.Client, path: str, query: dict[str, Any]) -> Any:
    """The JSON of 200. Raises Refused for a clear 503."""
    answer = client.get(path, params=query)
    if answer.status_code == 503 and answer.headers.get("Retry-After", "").isdigit():
        raise Refused
    assert answer.status_code == 200, answer.text
    return answer.json()
