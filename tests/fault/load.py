"""A seeded load through the real API, and a note of what became of every event."""

import json
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, count
from typing import Any, NamedTuple

import httpx

from tests.fault.api import ApiProcess
from tests.support.stream import Stream

OTHER_TENANT = 999
"""Its events have our users' ids and must influence nothing."""

PATIENCE_S = 15
"""Of a call; the api answers within 5 s whatever happens behind it."""
BATCH = 25, 100
LATE = DUPLICATE = 0.01
_EVENT_TYPES = {"page_viewed": 45, "order_placed": 25, "cart_add": 20, "signup": 10}
_PRICES = [0.5, 1.99, 50, 99.5, *range(3, 100, 7)]
_ODD_PRICES = [None, "free", True]
_REPEATED_CALL = 0.05
_FOREIGN_A_CALL = 2
_OVERDUE_S = 1.0
"""A load that fell behind by more than this, because nobody answered, gives the rest up."""


class Answer(NamedTuple):
    """One call. `seqs`: the numbers of its events; `status` None: no answer came, the events may be stored or not."""

    seqs: tuple[int, ...]
    status: int | None
    body: bytes
    retry_after: str | None

    @property
    def outcome(self) -> str:
        """What the client knows of its events: `acknowledged`, `refused` (not stored) or `unknown`."""
        if self.status == 202:
            return "acknowledged"
        return "refused" if self.status is not None and 400 <= self.status < 500 else "unknown"


class Tracker:
    """Sends events and notes the answers. `seqs` are unique over all trackers that share `answers`."""

    def __init__(self, api: ApiProcess, answers: list[Answer], seqs: "count[int]", url: str = "") -> None:
        """`url`: of a proxy before the api."""
        self._answers, self._seqs = answers, seqs
        self._client = api.client(PATIENCE_S, url)

    def number(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event with the next `seq` in its payload."""
        return event | {"payload": event.get("payload", {}) | {"seq": next(self._seqs)}}

    def track(self, events: list[dict[str, Any]]) -> Answer:
        """Send events in one call: the batch, or the single event. Those without a number must be refused."""
        single = len(events) == 1
        path, body = ("track/", events[0]) if single else ("track/batch/", {"events": events})
        seqs = tuple(event["payload"]["seq"] for event in events if "payload" in event)
        try:
            said = self._client.post(f"/api/ingestion/{path}", json=body)
        except httpx.HTTPError as error:
            answer = Answer(seqs, None, repr(error).encode(), None)
        else:
            answer = Answer(seqs, said.status_code, said.content, said.headers.get("Retry-After"))
        self._answers.append(answer)
        return answer

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


class Load:
    """Sends in a thread of its own until `finish`, whatever the answers are."""

    def __init__(self, tracker: Tracker, stream: Stream, seed: int, rate: float, users: int) -> None:
        """`rate`: events a second; `users`: how many, some much busier than others."""
        self._tracker, self._stream, self._rate = tracker, stream, rate
        self._random = random.Random(seed)
        self._users = [f"user-{number}" for number in range(users)]
        self._weights = list(accumulate(1 / (rank + 20) for rank in range(users)))
        self._ids = (f"{seed}-{number}" for number in count())
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Send nothing more; returns when the last answer is there and the broker has what went around the API."""
        self.stop()
        assert not self._thread.is_alive(), "the load did not come to its end"
        assert self._failure is None, self._failure
        self._tracker.close()
        self._stream.flush()

    def stop(self) -> None:
        """Send nothing more, whatever became of the last call."""
        self._enough.set()
        self._thread.join(2 * PATIENCE_S)

    def _run(self) -> None:
        due_s = time.monotonic()
        try:
            while not self._enough.is_set():
                for events in self._calls():
                    self._tracker.track(events)
                    due_s = max(due_s + len(events) / self._rate, time.monotonic() - _OVERDUE_S)
                for _ in range(_FOREIGN_A_CALL):
                    self._send_foreign()
                self._enough.wait(max(0.0, due_s - time.monotonic()))
        except BaseException as failure:  # noqa: BLE001 - told by `finish`
            self._failure = failure

    def _calls(self) -> Iterator[list[dict[str, Any]]]:
        """A batch, or one event; sometimes a second time, as a client does that got no answer."""
        randomness = self._random
        if randomness.random() < _REPEATED_CALL:
            size = randomness.choice((1, BATCH[0]))
            events = [self._event() | {"event_id": next(self._ids)} for _ in range(size)]
            yield events
            yield events
        else:
            yield list(self._batch(randomness.randint(*BATCH)))

    def _batch(self, size: int) -> Iterator[dict[str, Any]]:
        for _ in range(size):
            event = self._event()
            if self._random.random() < DUPLICATE:
                event["event_id"] = next(self._ids)
                yield self._tracker.number(event)
            yield event

    def _event(self) -> dict[str, Any]:
        randomness = self._random
        event = {"user_id": self._user(), "event_type": self._event_type(), "payload": self._payload()}
        if randomness.random() < LATE:
            occurred_at = datetime.now(UTC) - timedelta(seconds=randomness.uniform(0, 3600))
            event["occurred_at"] = occurred_at.isoformat()
        return self._tracker.number(event)

    def _user(self) -> str:
        return self._random.choices(self._users, cum_weights=self._weights)[0]

    def _event_type(self) -> str:
        return self._random.choices(list(_EVENT_TYPES), weights=list(_EVENT_TYPES.values()))[0]

    def _payload(self) -> dict[str, Any]:
        prices = _ODD_PRICES if self._random.random() < 0.02 else _PRICES
        return {"basket": {"total": self._random.choice(prices)}}

    def _send_foreign(self) -> None:
        self._stream.send(self._user(), self._event_type(), self._payload(), tenant=OTHER_TENANT)


def said(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer; empty when it is none."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
