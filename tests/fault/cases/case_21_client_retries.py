"""Case 21: clients try again: the same batch five times at once, and after connections that broke before the answer.

With `event_id` each event counts once, whatever was sent; without, once for each time it was stored. A bad event in a
batch is told by its place each time, and never keeps the others out.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from deploy.local.ports import HOST
from tests.fault.check import Verdict, check
from tests.fault.load import Answer, Tracker, said
from tests.fault.registry import case_of
from tests.fault.world import World
from tests.support.tcp_proxy import TcpProxy

AT_ONCE, BROKEN = "the same batch five times at once", "connections break after the acknowledgement"
COPIES = 5
ROUNDS, ROUNDS_IN_BRIEF = 30, 5
GOOD = 20
BAD: list[tuple[dict[str, Any], str]] = [
    ({"user_id": "", "event_type": "signup"}, "user_id"),
    ({"user_id": "user-1"}, "event_type"),
    ({"user_id": "user-1", "event_type": "signup", "occurred_at": "yesterday"}, "occurred_at"),
]
"""What ingestion refuses, and the field it must name."""
_EVENT_TYPES = ("page_viewed", "order_placed", "cart_add", "signup")

Batch = list[dict[str, Any]]


@case_of(21, "clients try again", [AT_ONCE, BROKEN])
def try_again(world: World, variant: str) -> Verdict:
    world.new_evaluator().await_ready()
    world.activate()
    world.load()
    world.await_progress(1_000)
    send = _at_once if variant == AT_ONCE else _broken
    ids, found = count(), list[str]()
    for number in range(ROUNDS_IN_BRIEF if world.brief else ROUNDS):
        batch = _batch(world, ids if number % 2 else None)
        for answer in send(world, batch):
            found += _wrong_errors(batch, answer)
    world.await_recovery()
    verdict = check(world)
    again = _sent_again(world)
    return verdict.besides(*found, note=f"{len(again)} events were sent up to {max(again.values())} times")


def _at_once(world: World, batch: Batch) -> Iterator[Answer]:
    trackers = [world.tracker() for _ in range(COPIES)]
    with ThreadPoolExecutor(COPIES) as pool:
        yield from pool.map(lambda tracker: tracker.track(batch), trackers)
    for tracker in trackers:
        tracker.close()


def _broken(world: World, batch: Batch) -> Iterator[Answer]:
    """A client that hears nothing tries again until it is answered."""
    with TcpProxy(HOST, world.api.port) as proxy:
        tracker = world.tracker(f"http://{HOST}:{proxy.port}")
        proxy.set_break_answers()
        for _ in range(world.random.randint(1, COPIES - 1)):
            answer = tracker.track(batch)
            assert answer.status is None, answer
        proxy.set_pass()
        yield _until_acknowledged(tracker, batch)
        tracker.close()


def _until_acknowledged(tracker: Tracker, batch: Batch) -> Answer:
    while (answer := tracker.track(batch)).outcome == "unknown":
        pass  # the connection of the last attempt broke
    return answer


def _batch(world: World, ids: "count[int] | None") -> Batch:
    """Numbered events, with an id or without, and bad ones among them."""
    tracker = world.tracker()
    batch = [tracker.number(_event(world)) | ({"event_id": f"again-{next(ids)}"} if ids else {}) for _ in range(GOOD)]
    for bad, _ in BAD:
        batch.insert(world.random.randint(0, len(batch)), bad)
    tracker.close()
    return batch


def _event(world: World) -> dict[str, Any]:
    user, event_type = f"user-{world.random.randrange(50)}", world.random.choice(_EVENT_TYPES)
    return {"user_id": user, "event_type": event_type, "payload": {"basket": {"total": world.random.randint(1, 99)}}}


def _wrong_errors(batch: Batch, answer: Answer) -> Iterator[str]:
    """Every bad event is told by its index and its field, and no other."""
    fields = {id(bad): field for bad, field in BAD}
    wanted = {index: fields[id(event)] for index, event in enumerate(batch) if id(event) in fields}
    told = {error["index"]: error["detail"].split(":")[0] for error in said(answer).get("errors", ())}
    if answer.status != 202 or told != wanted:
        yield f"bad events {wanted}, told {told} by {answer.status} {answer.body!r}"


def _sent_again(world: World) -> Counter[int]:
    """How often each event was sent that was sent more than once."""
    sent = Counter(seq for answer in world.answers for seq in answer.seqs)
    return Counter({seq: times for seq, times in sent.items() if times > 1})
