"""Who hands back the position of a write sees it in the next answer, or is told that it does not show yet."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.api.history import computed, count, group
from tests.support.evaluators import EvaluatorProcess, environment, evaluators
from tests.support.served_api import PARTITIONS, ServedApi, fresh_api
from tests.support.servers import Servers

LOOKUP = "/api/segments/membership/"
TRACK = "/api/ingestion/track/"
WRITES = 1_000
AT_ONCE = 8


@pytest.fixture
def evaluator(servers: Servers, api: ServedApi) -> Iterator[EvaluatorProcess]:
    told = environment(servers.kafka_bootstrap_servers, servers.redis_url, SHOAL_PARTITIONS=str(PARTITIONS))
    with evaluators(told) as make:
        yield make().await_ready()


@pytest.fixture
def api(servers: Servers) -> Iterator[ServedApi]:
    with fresh_api(servers) as served:
        yield served


def test_a_thousand_writes_show_in_the_lookup_that_waits_for_them(api: ServedApi, evaluator: EvaluatorProcess) -> None:
    segment_id = computed(api, group(count("signup")))

    def written_and_seen(number: int) -> bool:
        user = f"user-{number}"
        stored = api.client.post(TRACK, json={"user_id": user, "event_type": "signup"})
        assert stored.status_code == 202, stored.text
        asked = {"user_id": user, "after": stored.json()["position"]}
        found = api.client.get(LOOKUP, params=asked)
        while found.status_code == 503:  # a machine that is busy for a second: ask again, as the answer says
            found = api.client.get(LOOKUP, params=asked)
        return bool(found.json()["fresh"]) and found.json()["segment_ids"] == [segment_id]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = sum(pool.map(written_and_seen, range(WRITES)))
    assert seen == WRITES
    events = [{"user_id": f"batch-{number}", "event_type": "signup"} for number in range(100)]
    position = api.client.post("/api/ingestion/track/batch/", json={"events": events}).json()["position"]
    asked = {"user_ids": [event["user_id"] for event in events], "after": position}
    answer = api.client.post(LOOKUP + "batch/", json=asked).json()
    assert answer["fresh"] is True
    assert {tuple(result["segment_ids"]) for result in answer["results"]} == {(segment_id,)}


def test_without_the_evaluator_a_lookup_says_in_time_that_the_write_does_not_show(
    api: ServedApi, evaluator: EvaluatorProcess
) -> None:
    computed(api, group(count("signup")))
    evaluator.kill()
    position = api.client.post(TRACK, json={"user_id": "late", "event_type": "signup"}).json()["position"]
    began_s = time.monotonic()
    answer = api.client.get(LOOKUP, params={"user_id": "late", "after": position})
    assert time.monotonic() - began_s < 2.1
    assert (answer.status_code, answer.json()["fresh"], answer.json()["segment_ids"]) == (200, False, [])
