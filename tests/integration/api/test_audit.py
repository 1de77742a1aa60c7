"""The standing audit over real servers and processes: nothing while all is right, and what is wrong within a turn."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from redis import Redis

from shared.contracts.keys import partition_of
from shared.contracts.keys import user_key as message_key
from shared.contracts.redis_keys import NEVER, MembershipRecord, pack_records, unpack_records, user_key
from shared.contracts.topics import CHANGELOG
from shared.domain.user_state import decode_state, encode_state
from tests.support.clean_servers import empty_kafka, empty_redis, fresh_database
from tests.support.evaluators import EvaluatorProcess, ServiceProcess, environment, evaluators, wait_for
from tests.support.served_api import PARTITIONS, ServedApi, api_settings, prepare, served_api
from tests.support.servers import Servers
from tests.support.stream import Stream

PATIENCE_S = 60
AUDIT = "/api/analytics/audit/"
USERS = 150
RATE = 200
"""Events a second of each tenant, at most."""
QUIET = "quiet@example.com/é"
"""Has events before everybody else, and then none any more."""


def condition(**keys: Any) -> dict[str, Any]:
    return {"logic": "AND", "conditions": [keys]}


DEFINITIONS = (
    condition(type="event_count", event_type="order_placed", operator="gte", value=3),
    condition(type="event_count", event_type="page_viewed", operator="lt", value=4, window_seconds=10),
    condition(type="event_count", event_type="page_viewed", operator="eq", value=1, window_seconds=2),
    condition(type="recency", event_type="cart_add", operator="gt", window_seconds=3),
    condition(
        type="monetary", event_type="order_placed", property="total", metric="avg", operator="gte", value=50,
        window_minutes=1,
    ),
    condition(type="event_property", event_type="signup", property="total", operator="lt", value=50),
    condition(type="event_sequence", events=["signup", "cart_add", "order_placed"], window_minutes=1, strict=True),
)  # fmt: skip


class Installation(NamedTuple):
    """A running system with two tenants, whose audit does not rest."""

    api: ServedApi
    other: ServedApi
    stream: Stream
    segments: list[int]
    new_evaluator: Callable[..., EvaluatorProcess]
    evaluator: list[EvaluatorProcess]
    redis: Any

    def audit(self) -> Any:
        """What the tenant is told."""
        return self.api.get(AUDIT)

    def await_turns(self, turns: int) -> Any:
        """The answer when every partition of every tenant has had so many more rounds."""
        before = self.audit()["rounds"]
        wanted = before + turns * PARTITIONS
        return wait_for(lambda: a if (a := self.audit())["rounds"] >= wanted else None, PATIENCE_S, "rounds")

    def key(self, user_id: str) -> bytes:
        """The user's key in Redis."""
        tenant = self.stream.tenant
        return user_key(partition_of(message_key(tenant, user_id), PARTITIONS), tenant, user_id)

    def settled(self, user_id: str) -> list[MembershipRecord]:
        """What Redis holds of the user, who is in the segment that nobody enters but by time."""

        def records() -> list[MembershipRecord] | None:
            found = list(unpack_records(self.redis.get(self.key(user_id)) or b""))
            return found if self.segments[3] in {each.segment_id for each in found if not each.flags} else None

        return wait_for(records, PATIENCE_S, "the user has the last answers")

    def restart(self, end: Callable[[], object]) -> None:
        """End the evaluator, and start another."""
        end()
        self.evaluator.append(self.new_evaluator().await_ready())


@pytest.fixture(scope="module")
def installation(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Both tenants have the same segments and the same events, which never stop."""
    empty_kafka(servers.kafka_bootstrap_servers)
    empty_redis(servers.redis_url)
    history = str(tmp_path_factory.mktemp("history"))
    told = environment(
        servers.kafka_bootstrap_servers,
        servers.redis_url,
        SHOAL_PARTITIONS=str(PARTITIONS),
        SHOAL_HISTORY=history,
        SHOAL_EXPORTER_ARCHIVE_INTERVAL_S="0.3",
    )
    with fresh_database(servers.database_url) as database_url:
        settings = api_settings(servers, database_url, history=history, audit_interval_s=0.05)
        prepare(settings)
        other = settings.model_copy(update={"bootstrap_tenant": "other"})
        exporter = ServiceProcess("exporter", told).start()
        try:
            with evaluators(told) as make, served_api(settings) as api, served_api(other) as other_api:
                exporter.await_ready()
                yield from _at_work(servers, make, api, other_api)
        finally:
            exporter.end()
            print(exporter.last_lines())
            exporter.log.unlink()


def _at_work(
    servers: Servers, make: Callable[..., EvaluatorProcess], api: ServedApi, other: ServedApi
) -> Iterator[Installation]:
    evaluator = make().await_ready()
    segments, _ = [_computed(each) for each in (api, other)]
    stream = Stream(servers.kafka_bootstrap_servers, servers.redis_url, PARTITIONS)
    tenant = int(api.get(f"/api/segments/{segments[0]}/")["tenant"])
    streams = [stream.of(each) for each in (tenant, tenant + 1)]
    assert other.get("/api/segments/")["results"][0]["tenant"] == tenant + 1
    for each in streams:
        for event_type in ("order_placed", "order_placed", "order_placed", "cart_add", "signup"):
            each.send(QUIET, event_type, {"total": 20})
    end = threading.Event()
    sending = threading.Thread(target=_send, args=(streams, end))
    sending.start()
    try:
        with Redis.from_url(servers.redis_url) as redis:
            yield Installation(api, other, streams[0], segments, make, [evaluator], redis)
    finally:
        end.set()
        sending.join()
        stream.close()


def _send(streams: list[Stream], end: threading.Event) -> None:
    for seed in range(1_000_000):
        for stream in streams:
            stream.send_many(RATE // 10, USERS, seed)
        if end.wait(0.1):
            return


def _computed(api: ServedApi) -> list[int]:
    ids = [int(api.segment(definition)["id"]) for definition in DEFINITIONS]
    refers = [
        {"type": "segment_membership", "segment_id": ids[1], "operator": "in"},
        {"type": "segment_membership", "segment_id": ids[3], "operator": "not_in"},
    ]
    ids.append(int(api.segment({"logic": "OR", "conditions": refers})["id"]))
    compute(api, ids)
    return ids


def compute(api: ServedApi, segment_ids: list[int]) -> None:
    """Compute the newest versions; returns when all partitions have switched."""
    paths = [f"/api/segments/{segment_id}/compute/" for segment_id in segment_ids]
    for path in paths:
        assert api.client.post(path).status_code == 202
    wait_for(lambda: all(api.get(path)["status"] == "computed" for path in paths), PATIENCE_S, "all are computed")


def test_live_answers_are_those_of_history_while_events_flow(installation: Installation) -> None:
    found = installation.await_turns(3)
    assert found["latest"] == []
    assert (found["mismatches"], found["rate"]) == (0, 0)
    assert found["checked"] > 10 * len(installation.segments)
    assert found["since"] <= found["last_round_at"]


def test_nothing_is_said_of_what_only_changes(installation: Installation) -> None:
    """Takeovers, a Redis that was emptied, and segments that come, change and go under those that refer to them."""
    before, api = installation.audit()["mismatches"], installation.api
    installation.restart(installation.evaluator[-1].kill)
    installation.await_turns(1)
    installation.redis.flushall()
    installation.await_turns(1)
    wanted, refers = installation.segments[1], installation.segments[-1]
    changed = condition(type="event_count", event_type="page_viewed", operator="lt", value=3, window_seconds=5)
    assert api.client.patch(f"/api/segments/{wanted}/", json={"definition": changed}).status_code == 200
    compute(api, [wanted])
    installation.await_turns(1)
    assert api.client.patch(f"/api/segments/{wanted}/", json={"is_active": False}).status_code == 200
    installation.await_turns(1)
    assert api.client.patch(f"/api/segments/{refers}/", json={"is_active": False}).status_code == 200
    assert api.client.delete(f"/api/segments/{wanted}/").status_code == 204
    found = installation.await_turns(1)
    assert (found["mismatches"], found["latest"]) == (before, [])


def test_falsified_memberships_are_found_when_their_partition_is_next(installation: Installation) -> None:
    missing, false = installation.segments[0], installation.segments[2]
    records = installation.settled(QUIET)
    right, before = installation.redis.get(installation.key(QUIET)), installation.audit()
    falsified = [record for record in records if record.segment_id != missing]
    falsified.append(MembershipRecord(false, 1, NEVER, 0))
    installation.redis.set(installation.key(QUIET), pack_records(falsified))
    try:
        found = wait_for(lambda: a if (a := installation.audit())["latest"] else None, PATIENCE_S, "it is found")
    finally:
        installation.redis.set(installation.key(QUIET), right)
    # the round that ran, and one of each partition
    assert found["rounds"] - before["rounds"] <= 1 + PARTITIONS
    answers = {
        (each["user_id"], each["segment_id"], each["version"], each["live"], each["by_history"])
        for each in found["latest"]
    }
    assert answers == {(QUIET, missing, 1, False, True), (QUIET, false, 1, True, False)}
    assert found["mismatches"] == before["mismatches"] + 2
    assert found["rate"] == found["mismatches"] / found["checked"]
    assert all(each["next_offset"] > 5 for each in found["latest"])
    assert installation.await_turns(1)["mismatches"] == found["mismatches"]
    assert (installation.other.get(AUDIT)["mismatches"], installation.other.get(AUDIT)["latest"]) == (0, [])


def test_a_state_that_lost_what_it_had_counted_is_found(installation: Installation) -> None:
    installation.settled(QUIET)
    before = installation.audit()["mismatches"]
    installation.restart(lambda: _forget(installation, QUIET))
    found = wait_for(
        lambda: a if (a := installation.audit())["mismatches"] > before else None, PATIENCE_S, "it is found"
    )
    new = found["latest"][: found["mismatches"] - before]
    # all that the user was in, but for the two segments that nobody is in any more
    assert {each["segment_id"] for each in new} == {installation.segments[each] for each in (0, 3, 5)}
    assert {(each["user_id"], each["live"], each["by_history"]) for each in new} == {(QUIET, False, True)}


def _forget(installation: Installation, user_id: str) -> None:
    """Write a state of the user without memory, and lose Redis, so that memberships are made of it anew."""
    assert installation.evaluator[-1].stop() == 0
    stream, key = installation.stream, message_key(installation.stream.tenant, user_id)
    states = [m for m in stream.read(CHANGELOG, PARTITIONS) if m.key() == key and m.value()]
    state = decode_state(states[-1].value() or b"")
    state.slots, state.memberships = {}, {}
    stream.producer.produce(CHANGELOG, encode_state(state), key, partition_of(key, PARTITIONS))
    stream.flush()
    installation.redis.flushall()
