"""Users over HTTP, from the history."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.api.history import event, track
from tests.support.archived import archive_events
from tests.support.served_api import ServedApi, fresh_api
from tests.support.servers import Servers

USERS = "/api/explorer/users/"
ANN = "Ann@example.com/é 1%"
PAST = "2026-01-0{}T12:00:00Z"


@pytest.fixture(scope="module")
def api(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    """An api with a history of three users."""
    history = str(tmp_path_factory.mktemp("history"))
    with fresh_api(servers, history=history) as served:
        track(
            served,
            event(ANN, "seen", occurred_at=PAST.format(3), payload={"n": 3, "deep": {"list": [1, "ü", None]}}),
            event(ANN, "seen", occurred_at=PAST.format(1), payload={"n": 1}),
            event(ANN, "order", occurred_at=PAST.format(2), event_id="once"),
            event(ANN, "order", occurred_at=PAST.format(4), event_id="once"),
            event(ANN, "context_identified", occurred_at=PAST.format(2), payload={"plan": "pro"}),
            event(ANN, "context_identified", occurred_at=PAST.format(2), payload={"plan": "team"}),
            event(ANN, "context_identified", occurred_at=PAST.format(1), payload={"plan": "free"}),
            event("bob_1", "seen", occurred_at=PAST.format(5)),
            event("annabel", "seen", occurred_at=PAST.format(2)),
        )
        archive_events(servers, history)
        yield served


def path(user_id: str, below: str = "") -> str:
    return f"{USERS}{quote(user_id, safe='')}/{below}"


def found(api: ServedApi, query: str = "") -> tuple[int, list[str]]:
    answer = api.get(f"{USERS}?{query}")
    return answer["count"], [user["user_id"] for user in answer["results"]]


def test_users_are_found_by_a_part_of_their_id_those_seen_last_first(api: ServedApi) -> None:
    assert found(api) == (3, ["bob_1", ANN, "annabel"])
    assert found(api, "q=aNN") == (2, [ANN, "annabel"])
    assert found(api, "q=ann&limit=1") == (2, [ANN])
    assert found(api, f"q={quote('/é 1%')}") == (1, [ANN])
    assert found(api, "q=b_1") == (1, ["bob_1"])
    assert found(api, "q=%25_") == found(api, "q=nobody") == (0, [])


def test_a_user_in_a_list_has_the_events_that_count(api: ServedApi) -> None:
    (user,) = api.get(f"{USERS}?q=ann@")["results"]
    assert user == {
        "user_id": ANN,
        "event_count": 6,
        "first_seen": "2026-01-01T12:00:00Z",
        "last_seen": "2026-01-03T12:00:00Z",
    }


def test_a_profile_has_the_properties_of_the_newest_identify(api: ServedApi) -> None:
    assert api.get(path(ANN)) == {
        "user_id": ANN,
        "event_count": 6,
        "event_type_count": 3,
        "first_seen": "2026-01-01T12:00:00Z",
        "last_seen": "2026-01-03T12:00:00Z",
        "properties": {"plan": "team"},
    }
    assert api.get(path("bob_1"))["properties"] == {}


def events(api: ServedApi, query: str = "") -> tuple[int, list[Any]]:
    answer = api.get(path(ANN, f"events/?{query}"))
    return answer["count"], [(each["event_type"], each["payload"]) for each in answer["results"]]


def test_events_come_newest_first_and_repeats_never(api: ServedApi) -> None:
    count, listed = events(api)
    assert count == 6
    assert listed == [
        ("seen", {"n": 3, "deep": {"list": [1, "ü", None]}}),
        ("context_identified", {"plan": "team"}),
        ("context_identified", {"plan": "pro"}),
        ("order", {}),
        ("context_identified", {"plan": "free"}),
        ("seen", {"n": 1}),
    ]


def test_events_of_a_type_and_since_an_instant(api: ServedApi) -> None:
    assert events(api, "event_type=seen&limit=1") == (2, [("seen", {"n": 3, "deep": {"list": [1, "ü", None]}})])
    assert [count for count, _ in (events(api, f"since={PAST.format(day)}") for day in (1, 2, 3, 4))] == [6, 4, 1, 0]
    assert events(api, "since=2026-01-02&event_type=order") == (1, [("order", {})])
    assert events(api, "event_type=nothing") == (0, [])
    assert events(api, "since=9999-12-31T23:59:59-01:00") == (0, [])


@pytest.mark.parametrize("below", ["", "events/"])
def test_a_user_without_events_is_not_found(api: ServedApi, below: str) -> None:
    answer = api.client.get(path("nobody", below))
    assert (answer.status_code, answer.json()) == (404, {"detail": "no event of such a user is archived"})


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (f"{USERS}?q=%00", "q"),
        (f"{USERS}?q={'q' * 257}", "q"),
        (f"{USERS}?limit=0", "limit"),
        (f"{USERS}?limit=1001", "limit"),
        (path(ANN, "events/?limit=x"), "limit"),
        (path(ANN, "events/?since=today"), "since"),
        (path(ANN, "events/?event_type="), "event_type"),
        (path(ANN, f"events/?event_type={'t' * 129}"), "event_type"),
        (f"{USERS}%ff/", "user_id"),
        (f"{USERS}%00/events/", "user_id"),
        (path("u" * 257), "user_id"),
    ],
)
def test_what_is_wrong_is_named(api: ServedApi, asked: str, field: str) -> None:
    answer = api.client.get(asked)
    assert (answer.status_code, list(answer.json())) == (400, [field]), answer.text


@pytest.mark.parametrize("text", ["' OR true --", "$tenant", "\\", '"', "'; DROP VIEW events; --", "*", "%", "_"])
def test_texts_are_only_looked_for(api: ServedApi, text: str) -> None:
    known = [user for user in ("bob_1", ANN, "annabel") if text in user]
    assert found(api, f"q={quote(text, safe='')}") == (len(known), known)
    assert api.client.get(path(text)).status_code == 404
    assert events(api, f"event_type={quote(text, safe='')}") == (0, [])
