"""Who was in a segment at an instant of the past, and what a user's memberships were: by the archived changes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from services.api import changes_known
from services.api.instants import text_of_us
from shared.contracts.redis_keys import published_key
from shared.history.address import HistoryAddress
from shared.history.schema import CHANGES, LOST_UNTIL
from shared.history.table import commit, create_table
from tests.support.archived import archive_sent_changes
from tests.support.archived_changes import START_US, change, send_changes
from tests.support.served_api import PARTITIONS, ServedApi, fresh_api
from tests.support.servers import Servers

SECOND_US = 1_000_000
SETTLED_US = START_US + 100 * SECOND_US
USERS = 23


@pytest.fixture
def api(servers: Servers, tmp_path: Path) -> Iterator[ServedApi]:
    """An api with a segment, of which everything is archived until SETTLED_US."""
    with fresh_api(servers, history=str(tmp_path)) as served:
        served.segment(name="first")
        settle(served)
        yield served


def settle(api: ServedApi, settled_us: int = SETTLED_US) -> None:
    """As the owners of all partitions do."""
    with Redis.from_url(api.wiring.settings.redis_url) as redis:
        for partition in range(PARTITIONS):
            redis.set(published_key(partition), b"1 1 %d" % settled_us)


def archive(api: ServedApi, servers: Servers, *turns: tuple[str, int, int]) -> None:
    """Changes (user, sequence, seconds), sent and archived."""
    sent = [change(user, number, at_us=START_US + second * SECOND_US) for user, number, second in turns]
    send_changes(servers.kafka_bootstrap_servers, sent)
    archive_sent_changes(servers, api.wiring.settings.history)


def ask(api: ServedApi, second: float, **params: Any) -> httpx.Response:
    at = text_of_us(START_US + round(second * SECOND_US))
    return api.client.get("/api/segments/1/members/", params={"at": at, **params})


def members(api: ServedApi, second: float) -> dict[str, str]:
    answer = ask(api, second)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["count"], found["next_cursor"]) == (len(found["results"]), None)
    return {each["user_id"]: each["computed_at"] for each in found["results"]}


def text(second: int) -> str:
    return text_of_us(START_US + second * SECOND_US)


def test_a_member_is_who_entered_last_until_then(api: ServedApi, servers: Servers) -> None:
    archive(api, servers, ("ada", 1, 10), ("bob", 1, 10), ("bob", 2, 20), ("ada", 2, 30), ("bob", 3, 40))
    assert members(api, 9.999999) == {}
    assert members(api, 10) == {"ada": text(10), "bob": text(10)}
    assert members(api, 20) == members(api, 29.999999) == {"ada": text(10)}
    assert members(api, 30) == {}
    assert members(api, 99) == {"bob": text(40)}


def test_pages_are_by_user_and_hold_everybody_once(api: ServedApi, servers: Servers) -> None:
    everybody = sorted(f"ü{number}@x/y" for number in range(USERS))
    archive(api, servers, *((user, 1, 10) for user in everybody))
    found: list[str] = []
    cursor = None
    for _ in range(6):
        page = ask(api, 50, limit=4, **({"cursor": cursor} if cursor else {})).json()
        assert page["count"] == USERS
        found += [each["user_id"] for each in page["results"]]
        cursor = page["next_cursor"]
    assert (found, cursor) == (everybody, None)


def test_a_cursor_of_something_else_is_refused(api: ServedApi, servers: Servers) -> None:
    archive(api, servers, *((f"u{number}", 1, 10) for number in range(3)))
    cursor = ask(api, 50, limit=1).json()["next_cursor"]
    for answer in (
        ask(api, 51, cursor=cursor),
        ask(api, 50, cursor="x"),
        ask(api, 50, cursor="é"),
        ask(api, 50, cursor=cursor[:-4]),
    ):
        assert (answer.status_code, list(answer.json())) == (400, ["cursor"])
    api.segment(name="second")
    answer = api.client.get("/api/segments/2/members/", params={"at": text(50), "cursor": cursor})
    assert answer.json() == {"cursor": ["is of another segment or another time"]}


def test_the_future_and_what_is_no_time_are_refused(api: ServedApi) -> None:
    for at in (text_of_us(time.time_ns() // 1000 + 60 * SECOND_US), "yesterday", ""):
        answer = api.client.get("/api/segments/1/members/", params={"at": at})
        assert (answer.status_code, list(answer.json())) == (400, ["at"])
    assert api.client.get("/api/segments/77/members/", params={"at": text(1)}).status_code == 404


def test_an_instant_that_the_evaluator_has_not_come_to_is_not_answered(api: ServedApi) -> None:
    assert ask(api, 99.999999).status_code == 200
    answer = ask(api, 100)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json() == {"detail": "the evaluator has not come to this instant yet"}
    with Redis.from_url(api.wiring.settings.redis_url) as redis:
        redis.delete(published_key(1))
    assert ask(api, 1).status_code == 503


def test_changes_that_are_sent_and_not_archived_are_waited_for(
    api: ServedApi, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_known, "PATIENCE_S", 0.3)
    archive(api, servers, ("ada", 1, 10))
    send_changes(servers.kafka_bootstrap_servers, [change("ada", 2, at_us=START_US + 20 * SECOND_US)])
    answer = ask(api, 50)
    assert answer.status_code == 503
    assert answer.json() == {"detail": "the exporter has not archived the changes until this instant yet"}
    archive_sent_changes(servers, api.wiring.settings.history)
    assert members(api, 50) == {}


def test_what_was_lost_is_told_but_to_segments_made_since(api: ServedApi, servers: Servers, tmp_path: Path) -> None:
    archive(api, servers, ("ada", 1, 10))
    lost_until_us = time.time_ns() // 1000
    commit(create_table(HistoryAddress.of(str(tmp_path), CHANGES)), [], {LOST_UNTIL: lost_until_us})
    answer = ask(api, 50)
    assert answer.status_code == 409
    assert text_of_us(lost_until_us) in answer.json()["detail"]
    api.segment(name="new")
    assert api.get(f"/api/segments/2/members/?at={text(50)}")["count"] == 0


def test_a_users_history_is_the_newest_change_first(api: ServedApi, servers: Servers) -> None:
    deleted = api.segment(name="deleted")["id"]
    archive(api, servers, ("ada", 1, 10), ("bob", 1, 15), ("ada", 2, 20))
    other = [
        change("ada", 1, segment_id=deleted, at_us=START_US + 30 * SECOND_US),
        change("ada", 1, segment_id=8, tenant=2),
    ]
    send_changes(servers.kafka_bootstrap_servers, other)
    archive_sent_changes(servers, api.wiring.settings.history)
    assert api.client.delete(f"/api/segments/{deleted}/").status_code == 204
    found = api.get("/api/explorer/users/ada/history/")
    assert found["count"] == 3
    assert found["results"] == [
        {
            "segment_id": segment_id,
            "segment_name": name,
            "change": kind,
            "at": text(second),
            "reason": reason,
            "version": 1,
        }
        for segment_id, name, kind, second, reason in (
            (deleted, None, "entered", 30, "event"),
            (1, "first", "exited", 20, "time"),
            (1, "first", "entered", 10, "event"),
        )
    ]
    assert [each["at"] for each in api.get("/api/explorer/users/ada/history/?limit=1")["results"]] == [text(30)]
    assert api.get("/api/explorer/users/nobody/history/") == {"count": 0, "results": []}
