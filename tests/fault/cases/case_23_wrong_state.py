"""Case 23: state and log that do not go together: nothing starts, the last line says what was found and what would
help, and that does help.
"""

from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from services.evaluator.recovery import ACCEPT_KEY
from shared.contracts.topics import CHANGELOG, EVENTS, declare
from shared.runtime.kafka import ensure_topics
from shared.runtime.process import EXIT_REFUSED
from tests.fault.check import Verdict, check
from tests.fault.registry import case_of
from tests.fault.world import World
from tests.support.clean_servers import alter_topic, delete_records, delete_topic

REFUSED_S = 60
VARIANTS = {
    "events has more partitions": "topic events: 12 partitions expected, 13 found",
    "events was created anew": f"delete topic {CHANGELOG} too to begin anew",
    "the changelog was trimmed": "expected 0: its older records were deleted",
    "the changelog is lost": "",
    "the changelog is lost and the log is shortened": "events from offset 0 on are needed",
    "unread events were deleted": f"start with {ACCEPT_KEY}=true",
}


@case_of(23, "state and log that do not go together", list(VARIANTS))
def wrong_state(world: World, variant: str) -> Verdict:
    worker = world.new_evaluator().await_ready()
    world.activate()
    load = world.load()
    world.await_progress(5_000)
    load.finish()
    world.stream.await_committed()
    assert worker.stop() == 0
    _damage(world, variant)
    found = _refusal(world, VARIANTS[variant])
    if found or variant == "events has more partitions":
        return Verdict(sum(world.stream.committed().values()), found)
    _repair(world, variant)
    environ = {ACCEPT_KEY: "true"} if "deleted" in variant or "shortened" in variant else {}
    world.new_evaluator(environ=environ).await_ready()
    if variant != "events was created anew":
        load = world.load()
        world.await_progress(5_000)
        load.finish()
    if variant in ("the changelog is lost", "the changelog was trimmed"):
        # made anew, a segment counts all that the log has
        return check(world)
    world.stream.await_committed()
    return Verdict(sum(world.stream.committed().values()), [])


def _damage(world: World, variant: str) -> None:
    bootstrap, partitions = world.stream.bootstrap, range(world.stream.partitions)
    if variant == "events has more partitions":
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        admin.create_partitions([NewPartitions(EVENTS, world.stream.partitions + 1)])[EVENTS].result()
    elif variant == "events was created anew":
        delete_topic(bootstrap, EVENTS)
        ensure_topics(bootstrap, declare(world.stream.partitions))
    elif variant == "the changelog was trimmed":
        alter_topic(bootstrap, CHANGELOG, {"cleanup.policy": "delete"})
        delete_records(bootstrap, CHANGELOG, dict.fromkeys(partitions, 5))
        alter_topic(bootstrap, CHANGELOG, {"cleanup.policy": "compact"})
    elif variant.startswith("the changelog is lost"):
        delete_topic(bootstrap, CHANGELOG)
        if "shortened" in variant:
            delete_records(bootstrap, EVENTS, dict.fromkeys(partitions, 5))
    else:
        load = world.load()
        world.at_random(1)
        load.finish()
        delete_records(bootstrap, EVENTS, world.stream.end_offsets())


def _repair(world: World, variant: str) -> None:
    """What the message said."""
    if variant in ("events was created anew", "the changelog was trimmed"):
        delete_topic(world.stream.bootstrap, CHANGELOG)


def _refusal(world: World, words: str) -> list[str]:
    if not words:
        return []
    worker = world.new_evaluator()
    code = worker.await_exit(REFUSED_S)
    said = worker.last_lines(1)
    if code != EXIT_REFUSED or words not in said:
        return [f"exit code {code}, {said!r} instead of {words!r}"]
    return []
