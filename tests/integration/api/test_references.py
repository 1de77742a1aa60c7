"""References between segments over HTTP: what they may lead to, and that two changes at once do no more than one."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest

from shared.domain.references import MAX_CHAIN
from tests.support.served_api import PATIENCE_S, ServedApi, api_settings, served_api
from tests.support.servers import Servers

COUNT = {"type": "event_count", "event_type": "order", "operator": "gte", "value": 2}


def member_of(*segment_ids: Any, **keys: Any) -> dict[str, Any]:
    """A definition that refers to these segments, after a condition that does not."""
    items = [{"type": "segment_membership", "segment_id": each, "operator": "in"} for each in segment_ids]
    return {"logic": "AND", "conditions": [COUNT, *items]} | keys


def path(segment_id: int, below: str = "") -> str:
    return f"/api/segments/{segment_id}/{below}"


def save(api: ServedApi, segment_id: int, *refers_to: int) -> httpx.Response:
    return api.client.patch(path(segment_id), json={"definition": member_of(*refers_to)})


def restore(api: ServedApi, segment_id: int, version: int) -> httpx.Response:
    return api.client.post(path(segment_id, f"versions/{version}/restore/"))


def in_database(api: ServedApi, work: Callable[[Any], Awaitable[Any]]) -> Any:
    """What was done with a connection to the api's database."""

    async def done() -> Any:
        connection = await asyncpg.connect(api.wiring.settings.database_url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(done())


@pytest.fixture(scope="module")
def foreign(servers: Servers, api: ServedApi) -> Iterator[int]:
    """A segment of another tenant."""
    settings = api_settings(servers, api.wiring.settings.database_url, bootstrap_tenant="other")
    with served_api(settings) as other:
        yield other.segment(member_of())["id"]


def refused(answer: httpx.Response) -> list[str]:
    assert (answer.status_code, list(answer.json())) == (400, ["definition"]), answer.text
    messages: list[str] = answer.json()["definition"]
    return messages


def conflict(answer: httpx.Response) -> str:
    assert (answer.status_code, list(answer.json())) == (409, ["detail"]), answer.text
    detail: str = answer.json()["detail"]
    return detail


def test_all_faults_are_told_at_once_with_their_paths(api: ServedApi, foreign: int) -> None:
    kept, deleted = api.segment()["id"], api.segment()["id"]
    assert api.client.delete(path(deleted)).status_code == 204
    definition = member_of(kept, deleted, foreign, 10**17, "7", 1 << 63)
    definition["conditions"][0] = COUNT | {"value": -1}
    expected = "must be the id of a segment"
    messages = {
        "$.conditions[0].value: must be an integer >= 0",
        f"$.conditions[2].segment_id: {expected} of the tenant, {deleted} was deleted",
        f"$.conditions[3].segment_id: {expected} of the tenant, {foreign} is none",
        f"$.conditions[4].segment_id: {expected} of the tenant, {10**17} is none",
        "$.conditions[5].segment_id: must be the id of a segment",
        "$.conditions[6].segment_id: must be the id of a segment",
    }
    body = {"name": "n", "definition": definition}
    assert set(refused(api.client.post("/api/segments/", json=body))) == messages
    for method in ("PATCH", "PUT"):
        assert set(refused(api.client.request(method, path(kept), json=body))) == messages
    assert api.get(path(kept))["version"] == 0


def test_a_new_segment_cannot_guess_its_own_id(api: ServedApi) -> None:
    following = api.segment()["id"] + 1
    answer = api.client.post("/api/segments/", json={"name": "n", "definition": member_of(following)})
    assert refused(answer) == [
        f"$.conditions[1].segment_id: must be the id of a segment of the tenant, {following} is none"
    ]


def test_a_segment_never_refers_to_itself(api: ServedApi) -> None:
    segment_id = api.segment(member_of())["id"]
    assert conflict(save(api, segment_id, segment_id)).endswith(f"segment {segment_id} -> {segment_id}")


def test_a_circle_is_named(api: ServedApi) -> None:
    first = api.segment(member_of())["id"]
    second = api.segment(member_of(first))["id"]
    third = api.segment(member_of(second))["id"]
    assert conflict(save(api, first, third)).endswith(f"segment {first} -> {third} -> {second} -> {first}")
    assert api.get(path(first))["version"] == 1
    assert save(api, third, first).status_code == 200


def test_an_inactive_segment_counts_because_it_can_be_active_again(api: ServedApi) -> None:
    first = api.segment(member_of())["id"]
    second = api.segment(member_of(first), is_active=False)["id"]
    assert f"{first} -> {second} -> {first}" in conflict(save(api, first, second))


def test_a_restored_version_may_not_close_a_circle_either(api: ServedApi) -> None:
    first, second = api.segment(member_of())["id"], api.segment(member_of())["id"]
    assert save(api, first, second).json()["version"] == 2
    assert save(api, first).json()["version"] == 3
    assert save(api, second, first).json()["version"] == 2
    assert f"segment {first} -> {second} -> {first}" in conflict(restore(api, first, 2))
    assert restore(api, second, 1).json()["version"] == 3
    assert restore(api, first, 2).json()["definition"] == member_of(second)
    assert api.client.delete(path(second)).status_code == 409


@pytest.mark.parametrize("column", ["active_version", "computing_version"])
def test_what_is_active_or_computing_counts_as_well_as_the_newest(api: ServedApi, column: str) -> None:
    first, second = api.segment(member_of())["id"], api.segment(member_of())["id"]
    save(api, second, first)
    assert save(api, second).json()["version"] == 3
    in_database(api, lambda c: c.execute(f"update segments set {column} = 2 where id = $1", second))
    detail = conflict(save(api, first, second))
    assert f"segment {first} -> {second} -> {first}; {second} refers to {first} by version 2" in detail
    assert "(version 2)" in conflict(api.client.delete(path(first)))
    in_database(api, lambda c: c.execute(f"update segments set {column} = null where id = $1", second))
    assert save(api, first, second).status_code == 200


def test_a_compute_checks_again(api: ServedApi) -> None:
    first = api.segment(member_of())["id"]
    second = api.segment(member_of(first), is_active=False)["id"]
    assert api.client.delete(path(first)).status_code == 204
    assert api.client.patch(path(second), json={"name": "renamed", "is_active": True}).status_code == 200
    assert refused(api.client.post(path(second, "compute/"))) == [
        f"$.conditions[1].segment_id: must be the id of a segment of the tenant, {first} was deleted"
    ]
    assert api.client.patch(path(second), json={"definition": member_of(first)}).status_code == 200  # says nothing new
    assert refused(restore(api, save(api, second).json()["id"], 1))
    assert api.client.post(path(second, "compute/")).status_code == 202


def test_a_compute_finds_a_circle_that_nobody_should_have_been_able_to_save(api: ServedApi) -> None:
    first = api.segment(member_of())["id"]
    second = api.segment(member_of(first))["id"]
    save(api, first, api.segment()["id"])
    bent = "update segment_references set refers_to = $1 where segment_id = $2"
    in_database(api, lambda c: c.execute(bent, second, first))
    assert f"{second} -> {first} -> {second}" in conflict(api.client.post(path(second, "compute/")))


def test_a_chain_has_an_end(api: ServedApi) -> None:
    chain = [api.segment(member_of())["id"]]
    while len(chain) < MAX_CHAIN:
        chain.append(api.segment(member_of(chain[-1]))["id"])
    body = {"name": "n", "definition": member_of(chain[-1], chain[0])}
    message = f"at most {MAX_CHAIN} segments may refer to each other one after the other, here are more"
    assert refused(api.client.post("/api/segments/", json=body)) == [f"$.conditions[1].segment_id: {message}"]
    assert refused(save(api, chain[0], api.segment()["id"])) == [f"$.conditions[1].segment_id: {message}"]
    assert save(api, chain[1]).status_code == 200
    assert save(api, chain[0], api.segment()["id"]).status_code == 200


def test_a_segment_that_others_refer_to_stays(api: ServedApi) -> None:
    wanted = api.segment(member_of())["id"]
    referrers = [api.segment(member_of(wanted), name=f"follower {n}")["id"] for n in range(2)]
    detail = conflict(api.client.delete(path(wanted)))
    assert f'by segment {referrers[0]} "follower 0" (version 1), {referrers[1]} "follower 1" (version 1): ' in detail
    assert api.client.patch(path(wanted), json={"is_active": False}).status_code == 200
    assert api.client.patch(path(referrers[0]), json={"is_active": False}).status_code == 200
    assert referrers[0] not in map(int, re.findall(r"\d+", conflict(api.client.delete(path(wanted)))))
    assert save(api, referrers[1]).status_code == 200
    assert api.client.delete(path(wanted)).status_code == 204


def test_many_referrers_are_not_all_named(api: ServedApi) -> None:
    wanted = api.segment(member_of())["id"]
    for number in range(7):
        api.segment(member_of(wanted), name=f"n{number}")
    assert '"n4" (version 1) and 2 more: ' in conflict(api.client.delete(path(wanted)))


@pytest.mark.parametrize("version", [0, 2, 2**31, 10**17])
def test_what_was_never_saved_cannot_be_restored(api: ServedApi, version: int) -> None:
    segment_id = api.segment(member_of())["id"]
    assert restore(api, segment_id, version).status_code == 404
    assert restore(api, 10**17, 1).status_code == 404


def test_restoring_what_is_the_newest_already_saves_nothing(api: ServedApi) -> None:
    segment = api.segment(member_of())
    same = restore(api, segment["id"], 1)
    assert same.status_code == 200
    assert {**same.json(), "warnings": segment["warnings"]} == segment


# --- at once ---------------------------------------------------------------------------------------------------------


def at_once(requests: Sequence[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(requests)) as pool:
        return [future.result() for future in [pool.submit(request) for request in requests]]


def test_saves_at_once_never_close_a_circle(api: ServedApi) -> None:
    for size in (2, 2, 2, 2, 3, 4):
        ring = [api.segment(member_of())["id"] for _ in range(size)]
        steps = zip(ring, ring[1:] + ring[:1], strict=True)
        answers = at_once([partial(save, api, *step) for step in steps])
        assert sorted(answer.status_code for answer in answers) == [200] * (size - 1) + [409]


def test_a_deletion_and_a_reference_at_once_exclude_each_other(api: ServedApi) -> None:
    for _ in range(8):
        wanted, other = api.segment(member_of())["id"], api.segment(member_of())["id"]
        saved, deleted = at_once([partial(save, api, other, wanted), partial(api.client.delete, path(wanted))])
        assert (saved.status_code, deleted.status_code) in ((200, 409), (400, 204))


def test_whoever_changes_references_waits_for_the_lock_of_the_tenant(api: ServedApi) -> None:
    """Both see the graph only when the other is done, however their requests overlap."""
    first, second = api.segment(member_of())["id"], api.segment(member_of())["id"]
    requests = [lambda: save(api, first, second), lambda: save(api, second, first)]

    async def held(connection: Any) -> list[httpx.Response]:
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        with ThreadPoolExecutor(2) as pool:
            async with connection.transaction():
                await connection.execute("select 1 from tenants where slug = 'demo' for no key update")
                futures = [pool.submit(request) for request in requests]
                async with asyncio.timeout(PATIENCE_S):
                    while await connection.fetchval(waiting) < 2:
                        assert not any(future.done() for future in futures)
            return [future.result() for future in futures]

    answers = in_database(api, held)
    assert sorted(answer.status_code for answer in answers) == [200, 409]
