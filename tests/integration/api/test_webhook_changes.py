"""`membership.changed`: what the feed has becomes deliveries, each change once for each webhook that wants it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.api.webhooks import changes as webhook_changes
from services.api.webhooks.changes import WebhookChanges
from shared.contracts.change import Change
from tests.support.archived_changes import START_US, archive_changes, change
from tests.support.evaluators import wait_for
from tests.support.receiver import NETWORK, Receiver, receiver
from tests.support.served_api import PATIENCE_S, ServedApi, fresh_api
from tests.support.servers import Servers

OTHER_TENANT = 99
EVENT = "membership.changed"


@pytest.fixture
def history(tmp_path: Path) -> str:
    (tmp_path / "history").mkdir()
    return str(tmp_path / "history")


@pytest.fixture
def api(servers: Servers, history: str) -> Iterator[ServedApi]:
    with fresh_api(
        servers, history=history, webhook_allowed_networks=NETWORK, webhook_retry_delays_s=(0.2,) * 40
    ) as served:
        yield served


@pytest.fixture
def received() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


class Archive:
    """Changes as the exporter archives them, of users that nobody had before."""

    def __init__(self, history: str) -> None:
        self._history, self._count = history, 0

    def __call__(self, count: int, **fields: Any) -> list[Change]:
        """Archive so many entries, of one user each."""
        users = range(self._count, self._count + count)
        made = [change(f"user-{n}", 1, **fields) for n in users]
        archive_changes(self._history, made, self._count)
        self._count += count
        return made


@pytest.fixture
def archive(history: str) -> Archive:
    return Archive(history)


def follow(api: ServedApi, to: Receiver, **fields: Any) -> str:
    """A webhook that follows changes; its path."""
    answer = api.client.post("/api/webhooks/", json={"url": to.url, "events": [EVENT], **fields})
    assert answer.status_code == 201, answer.text
    return f"/api/webhooks/{answer.json()['id']}/"


def told(to: Receiver) -> list[str]:
    """The ids of all changes received, in order."""
    return [each["id"] for request in to.received for each in json.loads(request.body)["changes"]]


def await_told(to: Receiver, wanted: list[Change]) -> None:
    """Wait until exactly these changes have come, in this order."""
    wait_for(lambda: len(told(to)) >= len(wanted), PATIENCE_S, f"{len(wanted)} changes at the receiver")
    assert told(to) == [each.id for each in wanted]


def await_feed(api: ServedApi, count: int) -> None:
    """Wait until the api knows so many changes."""
    wait_for(lambda: api.do(api.wiring.feed.end) == count, PATIENCE_S, f"{count} changes in the feed")


def test_changes_since_the_webhook_was_made_are_told_to_its_tenant(
    api: ServedApi, archive: Archive, received: Receiver
) -> None:
    archive(3)
    await_feed(api, 3)
    path = follow(api, received)
    archive(2, tenant=OTHER_TENANT)
    wanted = archive(2)
    await_told(received, wanted)
    (request,) = received.received
    assert json.loads(request.body) == {
        "event": EVENT,
        "tenant_slug": "demo",
        "changes": [
            {
                "position": 6 + n,
                "id": f"1:user-{5 + n}:0:1",
                "segment_id": 1,
                "user_id": f"user-{5 + n}",
                "change": "entered",
                "at": "2026-09-21T14:13:20.000001Z",
                "reason": "event",
                "version": 1,
            }
            for n in range(2)
        ],
    }
    assert wanted[0].at_us == START_US + 1
    (delivery,) = api.get(f"{path}deliveries/")["results"]
    assert (delivery["event"], delivery["message_id"]) == (EVENT, request.message_id)


def test_many_changes_come_in_order_in_deliveries_of_500(api: ServedApi, archive: Archive, received: Receiver) -> None:
    follow(api, received)
    wanted = archive(1_300)
    await_told(received, wanted)
    sizes = [len(json.loads(request.body)["changes"]) for request in received.received]
    assert sizes == [500, 500, 300]


def test_each_webhook_hears_of_its_segments(api: ServedApi, archive: Archive, received: Receiver) -> None:
    segment_id = api.segment()["id"]
    with receiver() as another:
        follow(api, another, segment_ids=[segment_id])
        follow(api, received)
        first, second = archive(2, segment_id=segment_id), archive(3, segment_id=segment_id + 1)
        await_told(received, first + second)
        third = archive(1, segment_id=segment_id)
        await_told(received, first + second + third)
        await_told(another, first + third)


def test_after_a_pause_it_goes_on_where_it_stood(api: ServedApi, archive: Archive, received: Receiver) -> None:
    path = follow(api, received)
    api.client.patch(path, json={"is_active": False})
    with receiver() as another:
        follow(api, another)
        wanted = archive(2)
        await_told(another, wanted)  # so it would have been told, too
    assert received.received == []
    api.client.patch(path, json={"is_active": True})
    await_told(received, wanted)


def test_who_wants_changes_again_begins_anew(api: ServedApi, archive: Archive, received: Receiver) -> None:
    path = follow(api, received)
    api.client.patch(path, json={"events": ["segment.recomputed"]})
    archive(2)
    await_feed(api, 2)
    api.client.patch(path, json={"events": [EVENT]})
    await_told(received, archive(1))


def test_what_waits_is_bounded_and_nothing_is_lost(
    api: ServedApi, archive: Archive, received: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_changes, "MAX_PENDING", 3)
    monkeypatch.setattr(webhook_changes, "MAX_CHANGES", 10)
    received.answering = lambda _: 500
    path = follow(api, received)
    wanted = archive(65)
    received.await_received(8)
    assert api.get(f"{path}deliveries/")["count"] == 3
    before = len(received.received)
    received.answering = lambda _: 200
    wait_for(lambda: len({*told(received)}) == len(wanted), PATIENCE_S, "all are told")
    # those that failed are late; what has not been stored while they waited comes in order
    taken = [each["id"] for request in received.received[before:] for each in json.loads(request.body)["changes"]]
    ids = [each.id for each in wanted]
    assert sorted(set(taken), key=ids.index) == ids
    assert [each for each in taken if ids.index(each) >= 30] == ids[30:]


def test_two_who_believe_to_lead_store_each_change_once(api: ServedApi, archive: Archive, received: Receiver) -> None:
    paths = [follow(api, received) for _ in range(3)]
    archive(40)

    async def both() -> None:
        jobs = [WebhookChanges(api.wiring.database, api.wiring.feed, lambda: None) for _ in range(4)]
        await asyncio.gather(*(job._once() for job in jobs * 5))

    await_feed(api, 40)
    api.do(both)
    wait_for(lambda: len(told(received)) >= 120, PATIENCE_S, "all are told")
    for path in paths:
        assert len(api.get(f"{path}deliveries/")["results"]) == 1
    assert len(told(received)) == 120
