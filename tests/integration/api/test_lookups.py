"""Lookups against a membership store written as the evaluator writes it."""

import threading
import time
from typing import Any

import pytest

from services.api.applied_offsets import WAIT_S
from services.api.instants import text_of_us
from shared.contracts.redis_keys import (
    COMING,
    NEVER,
    SOFT,
    MembershipRecord,
    applied_key,
    clock_key,
    head_key,
    members_key,
    rebuilding_key,
)
from shared.domain.times import parse_time
from tests.integration.api.store import Store
from tests.support.clean_servers import fresh_database
from tests.support.served_api import PARTITIONS, ServedApi, api_settings, prepare, served_api
from tests.support.servers import Servers

HOUR_US = 3_600_000_000
LOOKUP = "/api/segments/membership/"
BATCH = "/api/segments/membership/batch/"


def now_us() -> int:
    return time.time_ns() // 1000


def test_an_unknown_user_is_in_no_segment(api: ServedApi, store: Store) -> None:
    answer = api.get(LOOKUP + "?user_id=nobody")
    as_of = parse_time(answer.pop("as_of"))
    assert answer == {"user_id": "nobody", "segment_ids": [], "cached": True, "next_change_at": None}
    assert as_of is not None
    assert abs(as_of - now_us()) < 10_000_000


def test_membership_follows_the_records_and_the_clock(api: ServedApi, store: Store, live: list[int]) -> None:
    now, (a, b, c) = now_us(), live
    later = now + HOUR_US
    store.user(
        "a@b/ü",
        MembershipRecord(a, now, later, 0),
        MembershipRecord(b, now, now - 1, 0),
        MembershipRecord(c, 0, now - 1, COMING),
    )
    answer = api.get(LOOKUP + "?user_id=a%40b%2F%C3%BC")
    assert (answer["user_id"], answer["segment_ids"]) == ("a@b/ü", [a, c])
    assert answer["next_change_at"] == text_of_us(later)
    assert "stale" not in answer


def test_past_a_soft_turn_the_last_known_answer_stands_and_says_so(
    api: ServedApi, store: Store, live: list[int]
) -> None:
    now, (a, b, _) = now_us(), live
    store.user("u", MembershipRecord(a, 1, now - 1, SOFT), MembershipRecord(b, 0, now - 1, SOFT | COMING))
    answer = api.get(LOOKUP + "?user_id=u")
    assert (answer["segment_ids"], answer["stale"], answer["next_change_at"]) == ([a], True, None)
    batch = api.client.post(BATCH, json={"user_ids": ["u"]}).json()
    assert batch["results"] == [{"user_id": "u", "segment_ids": [a], "stale": True}]


def test_now_is_never_before_the_clock_of_the_partition(api: ServedApi, store: Store, live: list[int]) -> None:
    ahead = now_us() + HOUR_US
    store.redis.set(clock_key(store.partition("u")), str(ahead))
    store.user("u", MembershipRecord(live[0], 1, ahead, 0), MembershipRecord(live[1], 1, ahead + 1, 0))
    answer = api.get(LOOKUP + "?user_id=u")
    assert (answer["segment_ids"], answer["as_of"]) == ([live[1]], text_of_us(ahead))


def test_only_live_segments_are_answered_and_the_filter_narrows(api: ServedApi, store: Store, live: list[int]) -> None:
    a, b, c = live
    store.user("u", *(MembershipRecord(one, 1, NEVER, 0) for one in [*live, 10**9]))
    assert api.get(LOOKUP + "?user_id=u")["segment_ids"] == live
    assert api.get(f"{LOOKUP}?user_id=u&segment_id={c}&segment_id={a}")["segment_ids"] == [a, c]
    assert api.get(f"{LOOKUP}?user_id=u&segment_id={10**9}")["segment_ids"] == []
    assert api.client.delete(f"/api/segments/{b}/").status_code == 204
    assert api.get(LOOKUP + "?user_id=u")["segment_ids"] == [a, c]
    api.client.patch(f"/api/segments/{a}/", json={"is_active": False})
    assert api.get(LOOKUP + "?user_id=u")["segment_ids"] == [c]


def test_a_batch_answers_every_user_in_order(api: ServedApi, store: Store, live: list[int]) -> None:
    users = [f"user-{number}" for number in range(300)]
    for number, user in enumerate(users):
        store.user(user, MembershipRecord(live[number % 3], 1, NEVER, 0))
    answer = api.client.post(BATCH, json={"user_ids": [*users, users[0], "none"]}).json()
    expected = [{"user_id": user, "segment_ids": [live[n % 3]]} for n, user in enumerate(users)]
    assert answer["results"] == [*expected, expected[0], {"user_id": "none", "segment_ids": []}]
    narrowed = api.client.post(BATCH, json={"user_ids": users[:3], "segment_ids": [live[1]]}).json()
    assert [one["segment_ids"] for one in narrowed["results"]] == [[], [live[1]], []]


@pytest.mark.parametrize("fault", ["no head", "rebuilding"])
def test_a_partition_without_its_data_is_refused_never_empty(api: ServedApi, store: Store, fault: str) -> None:
    partition = store.partition("u")
    if fault == "no head":
        store.redis.delete(head_key(partition))
    else:
        store.redis.set(rebuilding_key(partition), "1")
    for answer in (
        api.client.get(LOOKUP, params={"user_id": "u"}),
        api.client.post(BATCH, json={"user_ids": ["u", *(f"x{n}" for n in range(50))]}),
    ):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {"detail": "memberships are being rebuilt"}
    elsewhere = next(f"v{n}" for n in range(100) if store.partition(f"v{n}") != partition)
    assert api.get(f"{LOOKUP}?user_id={elsewhere}")["segment_ids"] == []


def test_member_count_is_the_sum_over_the_partitions(api: ServedApi, store: Store, live: list[int]) -> None:
    for partition in range(PARTITIONS):
        key = members_key(partition, store.tenant, live[0])
        store.redis.zadd(key, {f"{partition}-{n}": 0 for n in range(partition + 1)})
    assert api.get(f"/api/segments/{live[0]}/")["member_count"] == 6
    assert api.get(f"/api/segments/{live[1]}/")["member_count"] == 0
    for spoil in (lambda: store.redis.set(rebuilding_key(1), "1"), lambda: store.redis.delete(head_key(2))):
        spoil()
        assert api.get(f"/api/segments/{live[0]}/")["member_count"] is None, "some may be missing"
        store.redis.delete(rebuilding_key(1))


def test_without_the_store_a_lookup_is_refused_within_a_second(servers: Servers) -> None:
    with fresh_database(servers.database_url) as database_url:
        settings = api_settings(servers, database_url, redis_url="redis://127.0.0.1:1")
        prepare(settings)
        with served_api(settings) as api:
            api.get("/api/segments/")  # the first request connects to PostgreSQL
            started_s = time.monotonic()
            answer = api.client.get(LOOKUP, params={"user_id": "u"})
            assert time.monotonic() - started_s < 1
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert api.segment()["member_count"] == 0
            assert api.client.get("/readyz").json()["parts"]["redis"] != "ok"


def test_a_lookup_waits_until_the_write_shows(api: ServedApi, store: Store, live: list[int]) -> None:
    partition, elsewhere = store.partition("u"), (store.partition("u") + 1) % PARTITIONS
    store.redis.set(applied_key(partition), "log 7")
    shows = threading.Timer(0.3, lambda: _show(store, partition, live[0]))
    shows.start()
    began_s = time.monotonic()
    answer = api.get(f"{LOOKUP}?user_id=u&after=log:{partition}-7,{elsewhere}-99")
    assert time.monotonic() - began_s >= 0.29
    assert (answer["fresh"], answer["segment_ids"]) == (True, [live[0]])
    shows.join()
    assert api.get(f"{LOOKUP}?user_id=u&after=log:{elsewhere}-99")["fresh"] is True, "nothing of it is about this user"
    batch = api.client.post(BATCH, json={"user_ids": ["u"], "after": f"log:{partition}-7"}).json()
    assert batch["fresh"] is True
    assert "fresh" not in api.get(f"{LOOKUP}?user_id=u")


def _show(store: Store, partition: int, segment_id: int) -> None:
    # the value first, then the offset, as the evaluator's script
    store.user("u", MembershipRecord(segment_id, 1, NEVER, 0))
    store.redis.set(applied_key(partition), "log 8")


@pytest.mark.parametrize("applied", [None, "log 7", "another 99"])
def test_a_write_that_does_not_show_in_time_is_said_not_to(api: ServedApi, store: Store, applied: str | None) -> None:
    partition = store.partition("u")
    store.redis.delete(applied_key(partition))
    if applied:
        store.redis.set(applied_key(partition), applied)
    began_s = time.monotonic()
    answer = api.get(f"{LOOKUP}?user_id=u&after=log:{partition}-7")
    assert WAIT_S - 0.01 <= time.monotonic() - began_s < WAIT_S + 0.5
    assert (answer["fresh"], answer["segment_ids"]) == (False, [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "user_id"),
        ("?user_id=", "user_id"),
        ("?user_id=a&user_id=b", "user_id"),
        ("?user_id=" + "a" * 257, "user_id"),
        ("?user_id=a%00b", "user_id"),
        ("?user_id=%ff", "user_id"),
        ("?user_id=u&segment_id=x", "segment_id"),
        ("?user_id=u&segment_id=0", "segment_id"),
        ("?user_id=u&segment_id=-1", "segment_id"),
        ("?user_id=u&segment_id=" + "9" * 30, "segment_id"),
        ("?user_id=u&after=", "after"),
        ("?user_id=u&after=3-17", "after"),
        ("?user_id=u&after=log:3-17;4-1", "after"),
        ("?user_id=u&after=log:3-" + "9" * 19, "after"),
        ("?user_id=u&after=log:3-1&after=log:3-2", "after"),
    ],
)
def test_a_bad_lookup_names_the_parameter(api: ServedApi, query: str, field: str) -> None:
    answer = api.client.get(LOOKUP + query)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_ids"),
        ({"user_ids": []}, "user_ids"),
        ({"user_ids": ["u"] * 1001}, "user_ids"),
        ({"user_ids": ["u", ""]}, "user_ids"),
        ({"user_ids": ["u", 1]}, "user_ids"),
        ({"user_ids": ["a\0"]}, "user_ids"),
        ({"user_ids": "u"}, "user_ids"),
        ({"user_ids": ["u"], "segment_ids": ["1"]}, "segment_ids"),
        ({"user_ids": ["u"], "segment_ids": [0]}, "segment_ids"),
        ({"user_ids": ["u"], "segment_ids": 5}, "segment_ids"),
        ({"user_ids": ["u"], "after": 5}, "after"),
        ({"user_ids": ["u"], "after": "5"}, "after"),
    ],
)
def test_a_bad_batch_names_the_field(api: ServedApi, body: dict[str, Any], field: str) -> None:
    answer = api.client.post(BATCH, json=body)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]
