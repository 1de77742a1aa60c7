"""Two tenants with equal user ids and event types: nothing that one may ask tells anything of the other's events."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.integration.api.history import PREVIEW, computed, count, event, group, track
from tests.support.archived import archive_events
from tests.support.evaluators import environment, evaluators
from tests.support.served_api import PARTITIONS, ServedApi, fresh_api, served_api
from tests.support.servers import Servers

SAME = "same@example.com"


class Tenants(NamedTuple):
    """Two apis with one database and one history, each of its own tenant, and the segments of both."""

    one: ServedApi
    two: ServedApi
    segments: dict[str, int]


@pytest.fixture(scope="module")
def tenants(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """The same events for both, but for a word in every payload and for one user more each."""
    history = str(tmp_path_factory.mktemp("history"))
    told = environment(servers.kafka_bootstrap_servers, servers.redis_url, SHOAL_PARTITIONS=str(PARTITIONS))
    with fresh_api(servers, history=history) as one, evaluators(told | {"SHOAL_HISTORY": history}) as make:
        settings = one.wiring.settings.model_copy(update={"bootstrap_tenant": "other"})
        with served_api(settings) as two:
            make().await_ready()
            ordered = group(count("order"))
            segments = {
                name: computed(api, ordered, name=f"segment-of-{name}") for name, api in (("one", one), ("two", two))
            }
            for name, api in (("one", one), ("two", two)):
                for user in (SAME, f"only-{name}"):
                    payload = {"word": f"word-of-{name}"}
                    track(api, event(user, payload=payload), event(user, "context_identified", payload=payload))
            archive_events(servers, history)
            yield Tenants(one, two, segments)


def word_of(name: str) -> dict[str, Any]:
    test = {"operator": "eq", "value": f"word-of-{name}"}
    return {"type": "event_property", "event_type": "order", "property": "word", **test}


def foreign(answer: str, name: str) -> list[str]:
    """What an answer says of a tenant: its words, users and segments."""
    return re.findall(rf"(?:word-of|only|segment-of)-{name}", answer)


QUESTIONS: dict[str, Callable[[str], list[tuple[str, str, Any]]]] = {
    "/api/explorer/users/": lambda other: [("GET", "/api/explorer/users/?limit=1000", None)],
    "/api/explorer/users/{user_id}/": lambda other: [
        ("GET", f"/api/explorer/users/{user}/", None) for user in (SAME, f"only-{other}")
    ],
    "/api/explorer/users/{user_id}/events/": lambda other: [
        ("GET", f"/api/explorer/users/{user}/events/", None) for user in (SAME, f"only-{other}")
    ],
    "/api/explorer/users/{user_id}/history/": lambda other: [
        ("GET", f"/api/explorer/users/{user}/history/", None) for user in (SAME, f"only-{other}")
    ],
    "/api/explorer/users/{user_id}/segments/": lambda other: [
        ("GET", f"/api/explorer/users/{user}/segments/", None) for user in (SAME, f"only-{other}")
    ],
    "/api/explorer/users/{user_id}/segments/{segment_id}/explain/": lambda other: [
        ("GET", f"/api/explorer/users/{SAME}/segments/{{own}}/explain/?verbose=1", None),
        ("GET", f"/api/explorer/users/{SAME}/segments/{{others}}/explain/?verbose=1", None),
    ],
    "/api/explorer/sandbox/publish/": lambda other: [
        ("POST", "/api/explorer/sandbox/publish/", {"user_id": f"only-{other}", "event_type": "order"}),
    ],
    "/api/analytics/audit/": lambda other: [("GET", "/api/analytics/audit/", None)],
    PREVIEW: lambda other: [
        ("POST", PREVIEW, {"definition": group(count("order", 0)), "limit": 1000}),
        ("POST", PREVIEW, {"definition": group({**count("order"), "operator": "lte"}), "limit": 1000}),
        ("POST", PREVIEW, {"definition": group({"type": "segment_membership", "segment_id": "{others}"})}),
    ],
    "/api/segments/{segment_id}/estimate/": lambda other: [
        ("POST", "/api/segments/{own}/estimate/", None),
        ("POST", "/api/segments/{others}/estimate/", None),
    ],
}
"""By path of the OpenAPI document: what one tenant asks to learn of the other."""


def test_every_such_endpoint_is_asked(tenants: Tenants) -> None:
    paths = tenants.one.get("/api/openapi.json")["paths"]
    past = re.compile(r"/api/(explorer|analytics)/|/(preview|estimate)/$")
    assert {path for path in paths if past.search(path)} == set(QUESTIONS)


@pytest.mark.parametrize("path", sorted(QUESTIONS))
@pytest.mark.parametrize(("name", "other"), [("one", "two"), ("two", "one")])
def test_no_answer_tells_anything_of_the_other_tenant(tenants: Tenants, path: str, name: str, other: str) -> None:
    api: ServedApi = getattr(tenants, name)
    segments = {"own": tenants.segments[name], "others": tenants.segments[other]}
    for method, asked, body in QUESTIONS[path](other):
        answer = api.client.request(method, asked.format_map(segments), json=body)
        assert answer.status_code in (200, 400, 404), answer.text
        assert foreign(answer.text.replace(str(body and body.get("user_id")), ""), other) == []


@pytest.mark.parametrize("name", ["one", "two"])
def test_each_tenant_sees_its_own_events_only_and_all_of_them(tenants: Tenants, name: str) -> None:
    api: ServedApi = getattr(tenants, name)
    other = "two" if name == "one" else "one"
    assert {user["user_id"] for user in api.get("/api/explorer/users/")["results"]} == {SAME, f"only-{name}"}
    assert api.get(f"/api/explorer/users/{SAME}/")["event_count"] == 2
    assert api.get(f"/api/explorer/users/{SAME}/")["properties"] == {"word": f"word-of-{name}"}
    estimated = api.client.post(f"/api/segments/{tenants.segments[name]}/estimate/").json()
    assert estimated["estimated_users"] == 2
    for of, users in ((name, [f"only-{name}", SAME]), (other, [])):
        answer = api.client.post(PREVIEW, json={"definition": group(word_of(of))}).json()
        assert answer["sample_user_ids"] == users
        assert answer["scanned_events"] == 2


@pytest.mark.parametrize(("name", "other"), [("one", "two"), ("two", "one")])
def test_what_is_the_others_is_as_if_it_were_not(tenants: Tenants, name: str, other: str) -> None:
    api: ServedApi = getattr(tenants, name)
    others = tenants.segments[other]
    refers = {"type": "segment_membership", "segment_id": others, "operator": "in"}
    assert api.client.post(PREVIEW, json={"definition": group(refers)}).status_code == 400
    for path in (
        f"/api/explorer/users/only-{other}/",
        f"/api/explorer/users/only-{other}/events/",
        f"/api/explorer/users/{SAME}/segments/{others}/explain/",
    ):
        assert api.client.get(path).status_code == 404
    assert api.client.post(f"/api/segments/{others}/estimate/").status_code == 404
