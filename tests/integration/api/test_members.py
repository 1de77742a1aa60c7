"""Pages of members from a membership store written as the evaluator writes it."""

import time
from typing import Any

import httpx
import pytest

from services.api import member_pages
from services.api.instants import text_of_us
from shared.contracts.redis_keys import COMING, NEVER, SOFT, MembershipRecord, head_key, rebuilding_key
from tests.integration.api.store import Store
from tests.support.served_api import ServedApi

ENTERED_US = 1_700_000_000_000_000
HOUR_US = 3_600_000_000


def path(segment_id: int) -> str:
    return f"/api/segments/{segment_id}/members/"


def walk(api: ServedApi, segment_id: int, limit: int) -> list[dict[str, Any]]:
    """The answers of a whole walk."""
    pages = [api.get(f"{path(segment_id)}?limit={limit}")]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(api.get(f"{path(segment_id)}?limit={limit}&cursor={cursor}"))
    return pages


def member(segment_id: int, turns_at: int = NEVER, flags: int = 0) -> MembershipRecord:
    return MembershipRecord(segment_id, ENTERED_US, turns_at, flags)


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_a_walk_meets_every_member_once_whatever_the_pages(
    api: ServedApi, store: Store, live: list[int], limit: int
) -> None:
    users = [f"user-{number}" for number in range(97)] + ["a/b@ü", "\U0001f600", " ", "u" * 256]
    for number, user in enumerate(users):
        store.user(user, member(live[0]), *([member(live[1])] if number % 2 else []))
    pages = walk(api, live[0], limit)
    found = [one["user_id"] for page in pages for one in page["results"]]
    assert sorted(found) == sorted(users)
    assert {page["count"] for page in pages} == {len(users)}
    assert {one["computed_at"] for page in pages for one in page["results"]} == {text_of_us(ENTERED_US)}
    assert all(len(page["results"]) <= limit for page in pages)


def test_only_those_who_are_members_now_are_there(api: ServedApi, store: Store, live: list[int]) -> None:
    now_us, segment_id = time.time_ns() // 1000, live[0]
    store.user("stays", member(segment_id, now_us + HOUR_US))
    store.user("soft", member(segment_id, now_us - 1, SOFT))
    store.user("turned by time, the sweep is late", member(segment_id, now_us - 1))
    store.user("not yet", MembershipRecord(segment_id, 0, now_us + HOUR_US, COMING))
    answer = api.get(path(segment_id))
    assert sorted(one["user_id"] for one in answer["results"]) == ["soft", "stays"]
    assert answer["next_cursor"] is None


def test_a_page_of_people_who_have_left_is_short_and_not_the_last(
    api: ServedApi, store: Store, live: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_pages, "_MAX_LOOKED_AT", 20)
    for number in range(200):
        store.user(f"gone-{number}", member(live[0], 1))
    store.user("zoe", member(live[0]))
    pages = walk(api, live[0], 10)
    assert [one["user_id"] for page in pages for one in page["results"]] == ["zoe"]
    assert len(pages) > 5


def test_a_segment_that_is_not_computed_or_not_active_has_no_members(
    api: ServedApi, store: Store, live: list[int]
) -> None:
    draft = api.segment()["id"]
    for segment_id in (draft, live[0]):
        store.user(f"of-{segment_id}", member(segment_id))
    empty: dict[str, Any] = {"results": [], "next_cursor": None, "count": 0}
    assert api.get(path(draft)) == empty
    assert len(api.get(path(live[0]))["results"]) == 1
    api.client.patch(f"/api/segments/{live[0]}/", json={"is_active": False})
    assert api.get(path(live[0])) == empty
    api.client.delete(f"/api/segments/{live[0]}/")
    assert api.client.get(path(live[0])).status_code == 404


@pytest.mark.parametrize("fault", ["no head", "rebuilding"])
def test_a_partition_without_its_data_is_refused_never_left_out(
    api: ServedApi, store: Store, live: list[int], fault: str
) -> None:
    if fault == "no head":
        store.redis.delete(head_key(1))
    else:
        store.redis.set(rebuilding_key(1), "1")
    answer = api.client.get(path(live[0]))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"detail": "memberships are being rebuilt"}


def test_a_bad_question_names_the_parameter(api: ServedApi, store: Store, live: list[int]) -> None:
    for number in range(3):
        store.user(f"user-{number}", member(live[0]))
    cursor = api.get(f"{path(live[0])}?limit=1")["next_cursor"]

    def asked(segment_id: int, **query: Any) -> httpx.Response:
        return api.client.get(path(segment_id), params=query)

    for query in ({"limit": 0}, {"limit": 10_001}, {"limit": "all"}):
        assert list(asked(live[0], **query).json()) == ["limit"]
    for text in ("", "x", "%%%", cursor[:-3], "A" * 5000):
        answer = asked(live[0], cursor=text)
        assert (answer.status_code, list(answer.json())) == (400, ["cursor"])
    assert asked(live[1], cursor=cursor).json() == {"cursor": ["is of another list"]}
    assert asked(10**9).status_code == 404
