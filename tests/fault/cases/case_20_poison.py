"""Case 20: what nobody can read, between good events, into Kafka and through the API; and when nothing else comes."""

import json
from collections.abc import Iterator

from shared.contracts.dead_letter import read_dead_letter_headers
from shared.contracts.keys import partition_of, user_key
from shared.contracts.topics import DEAD_LETTERS, EVENTS, SIDE_PARTITIONS
from tests.fault.check import Verdict, check
from tests.fault.readiness import await_trouble
from tests.fault.registry import case
from tests.fault.world import World
from tests.support.evaluators import wait_for
from tests.support.poison import POISON
from tests.support.stream import TENANT

CEILING = 200
ALL_BAD = 1_000
PATIENCE_S = 30


@case(20, "poison between good events, into Kafka and through the API")
def poison(world: World) -> Verdict:
    world.new_evaluator().await_ready()
    world.activate()
    world.load()
    users = [f"user-{number}" for number in range(20)]
    sent = 0
    for _ in range(3):
        world.await_progress(2_000)
        for value, _hint in POISON.values():
            user = world.random.choice(users)
            place = partition_of(user_key(TENANT, user), world.stream.partitions)
            key = user_key(TENANT, user) if world.random.random() < 0.8 else None
            world.stream.producer.produce(EVENTS, value, key, place)
            sent += 1
    world.stream.flush()
    found = [*_through_the_api(world)]
    world.await_recovery()
    verdict = check(world)
    return verdict.besides(*found, *_wrong_letters(world, sent), note=f"{sent} dead letters")


@case(20, "nothing but poison: the partition stops instead of draining")
def all_bad(world: World) -> Verdict:
    limit = {"SHOAL_EVALUATOR_UNUSABLE_IN_A_ROW": str(CEILING)}
    worker = world.new_evaluator(environ=limit).await_ready()
    world.activate()
    load = world.load()
    world.await_progress(3_000)
    load.finish()
    victim = world.random.randrange(world.stream.partitions)
    for number in range(ALL_BAD):
        world.stream.producer.produce(EVENTS, b"poison %d" % number, b"1\0x", victim)
    world.stream.flush()
    reason = await_trouble(worker, "events", f"partition {victim} stopped")
    world.load()
    await_others(world, victim)
    committed, letters = world.stream.committed()[victim], len(_letters(world))
    found = []
    if letters >= ALL_BAD:
        found.append(f"{letters} of {ALL_BAD} unusable messages were drained in spite of the ceiling of {CEILING}")
    if committed >= world.stream.end_offsets()[victim]:
        found.append(f"partition {victim} was committed past what it stopped at")
    if worker.stop() != 0:
        found.append("a worker with a stopped partition does not end in order")
    world.new_evaluator(environ={"SHOAL_EVALUATOR_UNUSABLE_IN_A_ROW": "0"}).await_ready()
    world.await_recovery()
    verdict = check(world)
    distinct = len(set(_letters(world)))
    if distinct != ALL_BAD:
        found.append(f"{distinct} dead letters of {ALL_BAD} after the ceiling was lifted")
    return verdict.besides(*found, note=f"stopped after {letters} letters: {reason[:60]}")


def await_others(world: World, victim: int) -> None:
    """Wait until all other partitions have committed what they have now."""
    ends = {p: end for p, end in world.stream.end_offsets().items() if p != victim}
    wait_for(
        lambda: all(world.stream.committed()[p] >= end for p, end in ends.items()),
        PATIENCE_S,
        "the other partitions go on",
    )


def _through_the_api(world: World) -> Iterator[str]:
    """The same over HTTP is refused with a code that is documented, and a text that says where."""
    with world.api.client() as client:
        for name, (value, _hint) in POISON.items():
            for path, body in (("track/", value), ("track/batch/", b'{"events":[%s]}' % value)):
                answer = client.post(
                    f"/api/ingestion/{path}", content=body, headers={"Content-Type": "application/json"}
                )
                skipped = answer.status_code == 202 and answer.json()["skipped"] == 1 and answer.json()["errors"]
                if not skipped and answer.status_code not in (400, 413):
                    yield f"{path} with {name}: {answer.status_code} {answer.text[:200]}"
        large = client.post("/api/ingestion/track/", content=b'{"x":"%s"}' % (b"x" * 10_000_000))
        if large.status_code != 413:
            yield f"10 MB: {large.status_code}"


def _letters(world: World) -> list[bytes]:
    return [m.value() or b"" for m in world.stream.read(DEAD_LETTERS, SIDE_PARTITIONS)]


def _wrong_letters(world: World, sent: int) -> Iterator[str]:
    """Each poison is a dead letter with its bytes, its place and a reason that fits."""
    hints = dict(POISON.values())
    places = set()
    for message in world.stream.read(DEAD_LETTERS, SIDE_PARTITIONS):
        origin = read_dead_letter_headers(message.headers() or [])  # type: ignore[arg-type]
        hint = hints.get(message.value() or b"")
        places.add((origin.source_partition, origin.source_offset))
        if hint is None or (message.key() is not None and hint not in origin.reason):
            yield f"dead letter {json.dumps(origin.reason)}: {(message.value() or b'')[:80]!r}"
    if len(places) != sent:
        yield f"{len(places)} dead letters for {sent} poison messages"
