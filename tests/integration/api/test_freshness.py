"""With the exporter at its defaults a preview counts events of some seconds ago, and says until when it does."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.domain.times import SECOND_US, parse_time
from tests.integration.api.history import count, event, preview, track
from tests.support.evaluators import environment, exporters, wait_for
from tests.support.served_api import PARTITIONS, PATIENCE_S, ServedApi, fresh_api
from tests.support.servers import Servers

FRESH_S = 5
NOISE_S = 3
"""What a busy machine may add."""


@pytest.fixture
def api(servers: Servers, tmp_path: Path) -> Iterator[ServedApi]:
    """An api beside an exporter that archives all."""
    history = str(tmp_path / "history")
    told = environment(servers.kafka_bootstrap_servers, servers.redis_url, SHOAL_PARTITIONS=str(PARTITIONS))
    with fresh_api(servers, history=history) as served, exporters(told | {"SHOAL_HISTORY": history}) as make:
        make().await_ready()
        yield served


def test_a_preview_is_fresh_to_within_some_seconds(api: ServedApi) -> None:
    for round_ in range(1, 4):
        track(api, event("fresh"))
        sent_s = time.monotonic()
        wait_for(lambda: preview(api, count("order", round_))["matched_users"] == 1, PATIENCE_S, "it counts")  # noqa: B023 - asked within the round
        assert time.monotonic() - sent_s < FRESH_S + NOISE_S


def test_the_instant_never_lags_further_while_events_flow(api: ServedApi) -> None:
    track(api, event("first"))
    wait_for(lambda: preview(api, count("order"))["matched_users"] == 1, PATIENCE_S, "it is archived")
    ends_s = time.monotonic() + 2 * FRESH_S
    instants = []
    while time.monotonic() < ends_s:
        track(api, *(event(f"user-{n}") for n in range(20)))
        as_of_us = parse_time(preview(api, count("order"))["as_of"])
        assert as_of_us is not None
        instants.append(as_of_us)
        assert time.time_ns() // 1000 - as_of_us < (FRESH_S + NOISE_S) * SECOND_US
    assert instants == sorted(instants)
    assert len(set(instants)) > 1
