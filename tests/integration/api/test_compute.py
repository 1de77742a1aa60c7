"""A compute, as the topics and PostgreSQL see it: gather, switch, finish, and every way out of it."""

import time
from typing import Any

import pytest

from shared.contracts.command import decode_command
from shared.contracts.progress import Progress
from shared.contracts.topics import COMMANDS, MIB, PROGRESS
from shared.runtime.kafka import new_producer
from tests.support.computing import Follower, await_segment, compute, computed, count_at_least, followed
from tests.support.served_api import PARTITIONS, PATIENCE_S, ServedApi, next_messages, reading, report
from tests.support.servers import Servers


@pytest.fixture
def follower(servers: Servers, api: ServedApi) -> Any:
    with followed(servers) as follower:
        yield follower


def test_a_first_compute_gathers_then_switches_then_is_computed(api: ServedApi, follower: Follower) -> None:
    segment_id = api.segment(count_at_least(2))["id"]
    compute(api, segment_id)
    gather = follower.command(segment_id)
    assert gather.serving is None
    assert gather.computing is not None
    assert (gather.computing.version, gather.computing.definition) == (1, count_at_least(2))
    follower.report(gather, "ready", range(PARTITIONS - 1))
    follower.report(gather, "ready", range(1))  # a repeat is no further partition
    deadline = time.monotonic() + PATIENCE_S
    while api.get(f"/api/segments/{segment_id}/compute/")["partitions_done"] < PARTITIONS - 1:
        assert time.monotonic() < deadline
    assert api.get(f"/api/segments/{segment_id}/")["active_version"] is None
    follower.report(gather, "ready", range(PARTITIONS - 1, PARTITIONS))
    switch = follower.command(segment_id)
    assert switch.outbox_id > gather.outbox_id
    assert switch.computing is None
    assert switch.serving is not None
    assert switch.serving.version == 1
    segment = api.get(f"/api/segments/{segment_id}/")
    assert (segment["status"], segment["active_version"], segment["last_computed_at"]) == ("computing", 1, None)
    follower.report(switch, "switched")
    assert await_segment(api, segment_id, status="computed")["last_computed_at"]
    state = api.get(f"/api/segments/{segment_id}/compute/")
    assert (state["status"], state["partitions_done"], state["partitions"]) == ("computed", PARTITIONS, PARTITIONS)
    assert (state["version"], state["error"]) == (1, None)
    assert state["started_at"] < state["finished_at"]


def test_every_partition_of_commands_gets_the_same_copy(servers: Servers, api: ServedApi) -> None:
    segment_id = api.segment(count_at_least(1))["id"]
    compute(api, segment_id)
    for partition in range(PARTITIONS):
        with reading(servers, COMMANDS, [partition]) as consumer:
            found = None
            while found is None or decode_command(found.value() or b"").segment_id != segment_id:
                (found,) = next_messages(consumer, 1)
            assert found.key() == str(segment_id).encode()


def test_a_second_compute_while_one_runs_is_a_conflict(api: ServedApi) -> None:
    segment_id = api.segment(count_at_least(1))["id"]
    compute(api, segment_id)
    answer = api.client.post(f"/api/segments/{segment_id}/compute/")
    assert answer.status_code == 409
    assert answer.json() == {"detail": "the segment is being computed"}
    answer = api.client.patch(f"/api/segments/{segment_id}/", json={"segment_type": "ai"})
    assert answer.status_code == 409


def test_while_a_new_version_is_computed_the_old_one_serves(api: ServedApi, follower: Follower) -> None:
    segment_id = api.segment(count_at_least(1))["id"]
    computed(api, follower, segment_id)
    api.client.patch(f"/api/segments/{segment_id}/", json={"definition": count_at_least(5)})
    compute(api, segment_id)
    command = follower.command(segment_id)
    assert command.serving is not None
    assert command.computing is not None
    assert (command.serving.version, command.computing.version) == (1, 2)
    versions = api.get(f"/api/segments/{segment_id}/versions/")["results"]
    assert [(one["version"], one["active"]) for one in versions] == [(2, False), (1, True)]


def test_computing_the_active_version_again_is_a_switch_to_itself(api: ServedApi, follower: Follower) -> None:
    segment_id = api.segment(count_at_least(1))["id"]
    first = computed(api, follower, segment_id)
    compute(api, segment_id)
    again = follower.command(segment_id)
    assert again.outbox_id > first.outbox_id
    assert (again.serving, again.computing) == (first.serving, None)
    follower.report(again, "switched")
    await_segment(api, segment_id, status="computed", active_version=1)


def test_a_failed_compute_says_why_and_leaves_the_old_version_serving(api: ServedApi, follower: Follower) -> None:
    segment_id = api.segment(count_at_least(1))["id"]
    computed(api, follower, segment_id)
    api.client.patch(f"/api/segments/{segment_id}/", json={"definition": count_at_least(2)})
    compute(api, segment_id)
    follower.report(follower.command(segment_id), "failed", range(1), error="out of memory")
    segment = await_segment(api, segment_id, status="failed", active_version=1)
    assert "out of memory" in segment["status_detail"]
    assert api.get(f"/api/segments/{segment_id}/compute/")["error"] == "out of memory"
    back = follower.command(segment_id)
    assert back.computing is None
    assert back.serving is not None
    assert back.serving.version == 1


def test_a_switch_that_fails_ends_the_compute_and_can_be_tried_again(api: ServedApi, follower: Follower) -> None:
    segment_id = api.segment(count_at_least(1))["id"]
    computed(api, follower, segment_id)
    compute(api, segment_id)
    follower.report(follower.command(segment_id), "failed", range(1), error="lost")
    segment = await_segment(api, segment_id, status="failed", active_version=1)
    assert "lost" in segment["status_detail"]
    compute(api, segment_id)
    follower.report(follower.command(segment_id), "switched")
    assert await_segment(api, segment_id, status="computed")["status_detail"] == ""


def test_an_edit_before_the_switch_drops_the_compute(api: ServedApi, follower: Follower) -> None:
    segment_id = api.segment(count_at_least(1))["id"]
    compute(api, segment_id)
    gather = follower.command(segment_id)
    api.client.patch(f"/api/segments/{segment_id}/", json={"definition": count_at_least(2)})
    dropped = follower.command(segment_id)
    assert (dropped.serving, dropped.computing, dropped.deleted) == (None, None, False)
    # the reports of a wish that is no longer ours change nothing
    follower.report(gather, "ready")
    compute(api, segment_id)
    new = follower.command(segment_id)
    assert new.computing is not None
    assert new.computing.version == 2
    follower.report(new, "ready")
    assert follower.command(segment_id).serving == new.computing


def test_deactivating_ends_everything_and_activating_asks_for_a_compute(api: ServedApi, follower: Follower) -> None:
    segment_id = api.segment(count_at_least(1))["id"]
    computed(api, follower, segment_id)
    segment = api.client.patch(f"/api/segments/{segment_id}/", json={"is_active": False}).json()
    assert (segment["is_active"], segment["active_version"], segment["status"]) == (False, None, "draft")
    off = follower.command(segment_id)
    assert (off.serving, off.computing, off.deleted) == (None, None, False)
    assert api.client.post(f"/api/segments/{segment_id}/compute/").status_code == 409
    segment = api.client.patch(f"/api/segments/{segment_id}/", json={"is_active": True}).json()
    assert (segment["is_active"], segment["active_version"], segment["status"]) == (True, None, "draft")
    computed(api, follower, segment_id)


def test_deleting_a_followed_segment_tells_so(api: ServedApi, follower: Follower) -> None:
    segment_id = api.segment(count_at_least(1))["id"]
    compute(api, segment_id)
    gather = follower.command(segment_id)
    assert api.client.delete(f"/api/segments/{segment_id}/").status_code == 204
    gone = follower.command(segment_id)
    assert (gone.serving, gone.computing, gone.deleted) == (None, None, True)
    follower.report(gather, "ready")
    assert api.client.get(f"/api/segments/{segment_id}/").status_code == 404


def test_a_report_nobody_can_read_stops_nothing(servers: Servers, api: ServedApi, follower: Follower) -> None:
    producer = new_producer(servers.kafka_bootstrap_servers, MIB)
    for value in (b"{", b'{"kind":"weather"}', None):
        producer.produce(PROGRESS, value, b"1")
    assert producer.flush(PATIENCE_S) == 0
    report(servers, Progress(kind="segment", id=999_999_999, outbox_id=1, status="ready", partition=0))
    computed(api, follower, api.segment(count_at_least(1))["id"])


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [({}, 400, "definition"), ({"segment_type": "ai"}, 400, "segment_type")],
)
def test_what_cannot_be_computed_is_refused(api: ServedApi, fields: dict[str, Any], status: int, field: str) -> None:
    segment_id = api.segment(**fields)["id"]
    answer = api.client.post(f"/api/segments/{segment_id}/compute/")
    assert answer.status_code == status
    assert list(answer.json()) == [field]
