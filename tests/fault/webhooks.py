"""A receiver that fails at random, and what it must have taken in the end."""

import json
import random
import time
from collections import defaultdict
from typing import Any

from shared.domain.times import parse_time
from tests.fault.world import World
from tests.support.evaluators import wait_for
from tests.support.receiver import NETWORK, Received, Receiver

TIMEOUT_S = 1.0
PATIENCE_S = 60
ENVIRON = {
    "SHOAL_API_WEBHOOK_ALLOWED_NETWORKS": NETWORK,
    "SHOAL_API_WEBHOOK_RETRY_DELAYS_S": ",".join(["0.2"] * 20),
    "SHOAL_API_WEBHOOK_TIMEOUT_S": str(TIMEOUT_S),
}
EVENTS = ["segment.recomputed", "membership.changed"]


class Unsteady:
    """Takes most of what comes, answers some with an error, and some too late."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.taken: list[Received] = []

    def __call__(self, request: Received) -> int:
        """The status of an answer."""
        chance = self._random.random()
        if chance < 0.2:
            return 500
        if chance < 0.25:
            time.sleep(2 * TIMEOUT_S)
            return 200
        self.taken.append(request)
        return 200


class Subscription:
    """A webhook of a path of its own, and what it has taken."""

    def __init__(self, world: World, to: Receiver, path: str, segment_ids: list[int] | None) -> None:
        self._world, self._path, self.segment_ids = world, path, segment_ids
        body = {"url": to.url + path, "events": EVENTS, "segment_ids": segment_ids}
        with world.api.client() as client:
            answer = client.post("/api/webhooks/", json=body)
        assert answer.status_code == 201, answer.text
        self._secret: str = answer.json()["secret"]
        self._made_us = _instant(answer.json()["created_at"])

    def wants(self, segment_id: int) -> bool:
        """Whether it has asked for this segment."""
        return self.segment_ids is None or segment_id in self.segment_ids

    def of(self, requests: list[Received]) -> list[Received]:
        """Those that came on its path."""
        return [request for request in requests if request.path.endswith(self._path)]

    def differences(self, received: list[Received], taken: list[Received]) -> list[str]:
        """What is wrong with what came, and with what was taken; empty: nothing."""
        faults = [f"{self._path}: not signed: {each}" for each in received if not each.is_signed(self._secret)]
        bodies: dict[str, set[bytes]] = defaultdict(set)
        for each in received:
            bodies[each.message_id].add(each.body)
        faults += [f"{self._path}: {name} has two bodies" for name, found in bodies.items() if len(found) > 1]
        return faults + self._wrong_changes(changes_of(taken)) + self._wrong_computes(taken)

    def _wrong_changes(self, told: dict[str, dict[str, Any]]) -> list[str]:
        changes = self._world.stream.distinct_changes()
        wanted = {each["id"]: each for each in changes if self.wants(each["segment_id"])}
        faults = [f"{self._path}: {name} was not told" for name in sorted(wanted.keys() - told.keys())]
        faults += [f"{self._path}: {name} is not for it" for name in sorted(told.keys() - wanted.keys())]
        last: dict[tuple[int, str], str] = defaultdict(lambda: "exited")
        for each in sorted(told.values(), key=lambda change: change["position"]):
            place = each["segment_id"], each["user_id"]
            if each["change"] == last[place]:
                faults.append(f"{self._path}: {each['id']}: {each['change']} twice in a row")
            last[place] = each["change"]
        return faults

    def _wrong_computes(self, taken: list[Received]) -> list[str]:
        told = {(each["segment_id"], each["computed_at"]) for each in map(_said, taken) if each["event"] == EVENTS[0]}
        with self._world.api.client() as client:
            segments = client.get("/api/segments/?page_size=500").json()["results"]
        wanted = {
            (each["id"], each["last_computed_at"])
            for each in segments
            if self.wants(each["id"]) and _instant(each["last_computed_at"]) > self._made_us
        }
        return [f"{self._path}: the compute {each} was not told" for each in sorted(wanted - told)]


def changes_of(requests: list[Received]) -> dict[str, dict[str, Any]]:
    """All changes in these requests, by id."""
    bodies = [body for body in map(_said, requests) if body["event"] == EVENTS[1]]
    return {change["id"]: change for body in bodies for change in body["changes"]}


def await_told(world: World, subscription: Subscription, unsteady: Unsteady) -> None:
    """Wait until nothing is lacking; what lacks in the end is a difference."""

    def is_told() -> bool:
        return not subscription.differences([], subscription.of(unsteady.taken))

    try:
        wait_for(is_told, PATIENCE_S, "all is told")
    except AssertionError:
        return


def _instant(text: str) -> int:
    instant_us = parse_time(text)
    assert instant_us is not None
    return instant_us


def _said(request: Received) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.body)
    return body
