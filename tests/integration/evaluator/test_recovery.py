"""State and log must go together: what a worker refuses at start, and what it makes anew from the log."""

from collections.abc import Callable

from services.evaluator.recovery import ACCEPT_KEY
from shared.contracts.topics import CHANGELOG, EVENTS
from shared.runtime.process import EXIT_REFUSED
from tests.integration.evaluator.conftest import PARTITIONS
from tests.support.clean_servers import alter_topic, delete_records, delete_topic
from tests.support.evaluators import EvaluatorProcess, wait_for
from tests.support.stream import Stream

NewWorker = Callable[..., EvaluatorProcess]

ONCE = {"logic": "AND", "conditions": [{"type": "event_count", "event_type": "buy", "operator": "gte", "value": 1}]}
THRICE = {"logic": "AND", "conditions": [{"type": "event_count", "event_type": "buy", "operator": "eq", "value": 3}]}
USERS = [f"user-{n}" for n in range(40)]


def buy(stream: Stream, times: int = 1) -> None:
    for _ in range(times):
        for user_id in USERS:
            stream.send(user_id, "buy")
    stream.flush()


def refused(worker: EvaluatorProcess) -> str:
    """The last line of a worker that must not start."""
    wait_for(lambda: worker.exit_code() is not None, 60, f"the worker refuses:\n{worker.last_lines()}")
    assert worker.exit_code() == EXIT_REFUSED, worker.last_lines()
    return worker.last_lines(1)


def worked(stream: Stream, new_worker: NewWorker) -> None:
    """A worker has folded two purchases of everybody, and ended in order."""
    worker = new_worker().await_ready()
    stream.activate({1: ONCE, 2: THRICE})
    buy(stream, 2)
    stream.await_committed()
    assert worker.stop() == 0


def test_events_that_are_gone_before_they_were_folded(stream: Stream, new_worker: NewWorker) -> None:
    worked(stream, new_worker)
    buy(stream)
    delete_records(stream.bootstrap, EVENTS, stream.end_offsets())
    said = refused(new_worker())
    assert "the log begins at" in said
    assert f"{ACCEPT_KEY}=true" in said
    worker = new_worker(environ={ACCEPT_KEY: "true"}).await_ready()
    buy(stream)
    stream.await_committed()
    assert stream.member_sets() == {1: set(USERS), 2: set(USERS)}, "two before, one after the loss"
    assert worker.stop() == 0


def test_a_log_that_began_anew(stream: Stream, new_worker: NewWorker) -> None:
    worked(stream, new_worker)
    delete_topic(stream.bootstrap, EVENTS)
    said = refused(new_worker())
    assert "was created anew" in said
    assert f"delete topic {CHANGELOG}" in said


def test_a_changelog_whose_older_records_were_deleted(stream: Stream, new_worker: NewWorker) -> None:
    worked(stream, new_worker)
    alter_topic(stream.bootstrap, CHANGELOG, {"cleanup.policy": "delete"})
    delete_records(stream.bootstrap, CHANGELOG, dict.fromkeys(range(PARTITIONS), 1))
    alter_topic(stream.bootstrap, CHANGELOG, {"cleanup.policy": "compact"})
    said = refused(new_worker())
    assert "begins at offset 1, expected 0" in said
    assert f"delete topic {CHANGELOG}" in said


def test_a_lost_changelog_is_made_anew_from_the_log(stream: Stream, new_worker: NewWorker) -> None:
    """What it advises is tried: the topic is deleted, the state comes from the log, and work goes on."""
    worked(stream, new_worker)
    before = {change["id"] for change in stream.changes()}
    delete_topic(stream.bootstrap, CHANGELOG)
    worker = new_worker().await_ready()
    assert stream.member_sets() == {1: set(USERS)}
    buy(stream)
    stream.await_committed()
    wait_for(lambda: stream.member_sets().get(2) == set(USERS), 10, "the third purchase counts on top of two")
    again = [change for change in stream.changes() if change["id"] not in before]
    assert {change["generation"] for change in again} != {0}, "no id is used for two changes"
    assert worker.stop() == 0


def test_a_lost_changelog_and_a_shortened_log_are_refused(stream: Stream, new_worker: NewWorker) -> None:
    worked(stream, new_worker)
    delete_topic(stream.bootstrap, CHANGELOG)
    delete_records(stream.bootstrap, EVENTS, dict.fromkeys(range(PARTITIONS), 1))
    said = refused(new_worker())
    assert "events from offset 0 on are needed, the log begins at 1" in said


def test_another_number_of_partitions(stream: Stream, new_worker: NewWorker) -> None:
    worked(stream, new_worker)
    said = refused(new_worker(environ={"SHOAL_PARTITIONS": "6"}))
    assert "topic events: 6 partitions expected, 4 found" in said
