"""Previews and estimates over HTTP, from a history beside a real Kafka."""

import asyncio
import socket
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from duckdb import InterruptException

from services.api.instants import text_of_us
from shared.domain.times import SECOND_US, parse_time
from shared.history.engine import fetch
from shared.history.schema import EVENTS
from shared.history.statement import Statement
from shared.runtime.metrics import API
from tests.integration.api.history import PREVIEW, count, event, group, preview, track
from tests.support.archived import archive_events
from tests.support.evaluators import NO_HISTORY, wait_for
from tests.support.served_api import KEY, PATIENCE_S, ServedApi, fresh_api, served_api
from tests.support.servers import Servers

ORDER = count("order")
SKEW_US = SECOND_US
"""What a clock that is set by another one may differ from it on a busy machine."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a history that begins empty."""
    return str(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def api(servers: Servers, history: str) -> Iterator[ServedApi]:
    """An api with a history; its tests share both."""
    with fresh_api(servers, history=history) as served:
        yield served


def now_us() -> int:
    return time.time_ns() // 1000


def us(text: str) -> int:
    instant = parse_time(text)
    assert instant is not None
    return instant


def test_before_anything_was_archived_nobody_matches_as_of_before_the_first_event(
    api: ServedApi, servers: Servers, history: str
) -> None:
    began = now_us()
    empty = preview(api, ORDER)
    assert (empty["matched_users"], empty["sample_user_ids"], empty["scanned_events"]) == (0, [], 0)
    assert began - SKEW_US <= us(empty["as_of"]) <= now_us() + SKEW_US
    track(api, event("a"))
    waiting = preview(api, ORDER)
    assert waiting["matched_users"] == 0
    received = now_us()
    archive_events(servers, history)
    archived = preview(api, ORDER)
    assert (archived["matched_users"], archived["sample_user_ids"]) == (1, ["a"])
    (past,) = api.get("/api/explorer/users/a/events/")["results"]
    assert us(waiting["as_of"]) == us(past["occurred_at"]) - 1
    assert us(archived["as_of"]) > received - SKEW_US


def test_a_preview_says_how_fresh_it_is(api: ServedApi, servers: Servers, history: str) -> None:
    track(api, event("fresh", "fresh"))
    archive_events(servers, history)
    (known,) = api.get("/api/explorer/users/fresh/events/")["results"]
    track(api, event("fresh", "fresh"))
    behind = preview(api, count("fresh", 2))
    assert behind["matched_users"] == 0
    assert us(known["occurred_at"]) <= us(behind["as_of"])
    archive_events(servers, history)
    (missing, _) = api.get("/api/explorer/users/fresh/events/")["results"]
    assert us(behind["as_of"]) == us(missing["occurred_at"]) - 1
    caught_up = preview(api, count("fresh", 2))
    assert caught_up["matched_users"] == 1
    assert us(caught_up["as_of"]) > us(known["occurred_at"])


def test_a_preview_of_an_earlier_instant(api: ServedApi, servers: Servers, history: str) -> None:
    track(api, *(event("past", "past", occurred_at=f"2026-01-0{day}T12:00:00Z") for day in (1, 2, 3)))
    archive_events(servers, history)
    asked = {text: preview(api, count("past", 2), as_of=text) for text in ("2026-01-02", "2026-01-02T12:00:00Z")}
    assert [answer["matched_users"] for answer in asked.values()] == [0, 1]
    assert [answer["as_of"] for answer in asked.values()] == ["2026-01-02T00:00:00Z", "2026-01-02T12:00:00Z"]


def test_an_instant_that_is_not_known_yet_is_answered_as_late_as_is_known(
    api: ServedApi, servers: Servers, history: str
) -> None:
    archive_events(servers, history)
    track(api, event("later", "later"))
    asked = now_us()
    answer = preview(api, count("later"), as_of=text_of_us(asked))
    assert answer["matched_users"] == 0
    assert us(answer["as_of"]) < asked


def test_the_statement_is_the_one_that_ran_with_its_values(api: ServedApi, servers: Servers, history: str) -> None:
    archive_events(servers, history)
    answer = preview(api, count("it's"), limit=3)
    assert "'it''s'" in answer["sql"]
    assert "$" not in answer["sql"]
    assert answer["sql"].startswith("WITH ")
    assert answer["elapsed_ms"] > 0


def test_the_sample_is_sorted_and_at_most_as_long_as_asked_for(api: ServedApi, servers: Servers, history: str) -> None:
    track(api, *(event(f"sample-{n:02}", "sample") for n in range(20)))
    archive_events(servers, history)
    answers = [preview(api, count("sample"), **limit) for limit in ({}, {"limit": 3}, {"limit": 1000})]
    assert [answer["matched_users"] for answer in answers] == [20, 20, 20]
    names = [f"sample-{n:02}" for n in range(20)]
    assert [answer["sample_user_ids"] for answer in answers] == [names[:10], names[:3], names]


def test_a_reference_is_followed_through_active_versions(api: ServedApi, servers: Servers, history: str) -> None:
    track(api, event("both", "r1"), event("both", "r2"), event("one", "r1"))
    archive_events(servers, history)
    inner = api.segment(group(count("r2")))["id"]
    outer = api.segment(group({"type": "segment_membership", "segment_id": inner, "operator": "in"}))["id"]
    asked = {"type": "segment_membership", "segment_id": outer, "operator": "in"}
    assert preview(api, count("r1"), asked)["sample_user_ids"] == []
    for segment_id in (inner, outer):
        activate(api, segment_id)
    assert preview(api, count("r1"), asked)["sample_user_ids"] == ["both"]
    # a newer version that is not active yet does not count
    assert api.client.patch(f"/api/segments/{inner}/", json={"definition": group(count("r1"))}).status_code == 200
    assert preview(api, count("r1"), asked)["sample_user_ids"] == ["both"]
    assert preview(api, count("r1"), {**asked, "operator": "not_in"})["sample_user_ids"] == ["one"]


def activate(api: ServedApi, segment_id: int) -> None:
    """Make the newest version the active one, as the evaluator's reports would."""

    async def done() -> None:
        async with api.wiring.database.begin_for_all() as work:
            await work.segments.change(segment_id, active_version=1, status="computed")

    api.do(done)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "definition", "this field is required"),
        ({"definition": None}, "definition", "$: must be an object"),
        ({"definition": {"logic": "AND", "conditions": []}}, "definition", "$.conditions: must hold 1 to 100"),
        ({"definition": group({**ORDER, "operator": "like"})}, "definition", "$.conditions[0].operator: "),
        ({"definition": group(ORDER), "limit": 0}, "limit", "input should be greater"),
        ({"definition": group(ORDER), "limit": 1001}, "limit", "input should be less"),
        ({"definition": group(ORDER), "limit": "3"}, "limit", "input should be a valid integer"),
        ({"definition": group(ORDER), "as_of": "yesterday"}, "as_of", "must be a time"),
        ({"definition": group(ORDER), "as_of": "1969-12-31"}, "as_of", "must be a time, not before 1970"),
        ({"definition": group(ORDER), "as_of": "2999-01-01"}, "as_of", "must not be in the future"),
        ({"definition": group(ORDER), "as_of": 5}, "as_of", "input should be a valid string"),
        (
            {"definition": group({"type": "segment_membership", "segment_id": 10**12, "operator": "in"})},
            "definition",
            "$.conditions[0].segment_id: must be the id of a segment of the tenant",
        ),
    ],
)
def test_what_is_wrong_is_named(api: ServedApi, body: dict[str, Any], field: str, message: str) -> None:
    answer = api.client.post(PREVIEW, json=body)
    assert (answer.status_code, list(answer.json())) == (400, [field]), answer.text
    assert answer.json()[field][0].startswith(message)


@pytest.mark.parametrize(
    "text",
    ["'; DROP VIEW events; --", "$p1", "$.a'); SELECT * FROM read_text('/etc/passwd'", '"%', "\\", "*", "a.b[0]"],
)
def test_texts_of_a_definition_are_only_values(api: ServedApi, servers: Servers, history: str, text: str) -> None:
    user = f"user of {text}"
    track(api, event(user, text, payload={text: text}))
    archive_events(servers, history)
    found = {"type": "event_property", "event_type": text, "property": text, "operator": "eq", "value": text}
    assert preview(api, found, count(text))["sample_user_ids"] == [user]
    assert preview(api, {**found, "operator": "contains"})["sample_user_ids"] == [user]
    assert preview(api, {**found, "operator": "neq"})["sample_user_ids"] == []


def test_an_estimate_of_few_users_is_exact(api: ServedApi, servers: Servers, history: str) -> None:
    track(api, *(event(f"few-{n}", "few") for n in range(7)))
    archive_events(servers, history)
    segment_id = api.segment(group(count("few")))["id"]
    answer = api.client.post(f"/api/segments/{segment_id}/estimate/").json()
    assert us(answer.pop("as_of")) > 0
    assert answer == {"estimated_users": 7, "low": 7, "high": 7, "sample_rate": 1.0}


def test_no_estimate_without_a_definition_or_a_segment(api: ServedApi) -> None:
    draft = api.segment()["id"]
    refused = api.client.post(f"/api/segments/{draft}/estimate/")
    assert (refused.status_code, list(refused.json())) == (400, ["definition"])
    assert api.client.post("/api/segments/999999/estimate/").status_code == 404


def test_without_kafka_the_answer_is_as_of_the_newest_event(api: ServedApi, servers: Servers, history: str) -> None:
    track(api, event("newest", "newest"))
    archive_events(servers, history)
    (newest,) = api.get("/api/explorer/users/newest/events/")["results"]
    settings = api.wiring.settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with served_api(settings) as cut_off:
        answer = preview(cut_off, count("newest"))
    assert (answer["matched_users"], answer["as_of"]) == (1, newest["occurred_at"])


def test_a_history_that_is_not_there_is_unavailable(api: ServedApi, servers: Servers) -> None:
    settings = api.wiring.settings.model_copy(update={"history": NO_HISTORY})
    with served_api(settings) as without:
        answers = [
            without.client.post(PREVIEW, json={"definition": group(ORDER)}),
            without.client.get("/api/explorer/users/"),
        ]
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in answers] == [(503, "1")] * 2
    assert [answer.json() for answer in answers] == [{"detail": "the history cannot be read now"}] * 2


def metric(name: str, **labels: str) -> float:
    return API.get_sample_value(f"shoal_api_history_{name}", labels) or 0


def test_a_client_that_goes_away_frees_its_slot(api: ServedApi) -> None:
    asked = {"kind": "preview", "outcome": "left"}
    before = metric("questions_total", **asked)
    body = msgspec.json.encode({"definition": group(ORDER)})
    head = f"POST {PREVIEW} HTTP/1.1\r\nHost: api\r\nAuthorization: ApiKey {KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    address = urlsplit(api.url)
    with api.wiring.history._readers[EVENTS.name]._lock:
        # which the question needs: it is still there when the client leaves
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(head.encode() + body)
            wait_for(lambda: metric("running_questions") == 1, PATIENCE_S, "the question runs")
        wait_for(lambda: metric("questions_total", **asked) == before + 1, PATIENCE_S, "it is given up")
        assert metric("running_questions") == 1
    wait_for(lambda: metric("running_questions") == 0, PATIENCE_S, "its slot is free")
    preview(api, ORDER)


def test_a_question_that_runs_does_not_hold_up_the_end_of_the_api(api: ServedApi) -> None:
    forever = Statement("SELECT count(*) FROM range(1000000) a(i), range(1000000) b(j) WHERE hash(i, j) = 1", {})

    async def stay() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def ask() -> "asyncio.Task[Any]":
        return asyncio.create_task(other.wiring.history.ask("test", stay, lambda opened: fetch(opened.cursor, forever)))

    with served_api(api.wiring.settings) as other:
        asked = other.do(ask)
        wait_for(lambda: metric("running_questions") == 1, PATIENCE_S, "it runs")
    assert isinstance(asked.exception(), InterruptException)


def test_an_answer_that_takes_too_long_is_unavailable(api: ServedApi) -> None:
    settings = api.wiring.settings.model_copy(update={"history_time_limit_s": 0.05})
    with served_api(settings) as hasty, hasty.wiring.history._readers[EVENTS.name]._lock:
        answer = hasty.client.get("/api/explorer/users/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json() == {"detail": "the answer takes longer than 0.05 s"}


def test_a_broken_file_is_a_clear_error(servers: Servers, api: ServedApi, history: str) -> None:
    archive_events(servers, history)
    before = preview(api, ORDER)["matched_users"]
    files = sorted(Path(history).glob("**/*.parquet"))
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: len(whole) // 2])
    try:
        answer = api.client.post(PREVIEW, json={"definition": group(ORDER)})
    finally:
        files[0].write_bytes(whole)
    assert answer.status_code == 500
    assert answer.json() == {"detail": "a file of the history is broken: the log of the api names it"}
    assert preview(api, ORDER)["matched_users"] == before
