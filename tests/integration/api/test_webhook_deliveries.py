"""What is sent to webhooks, again until it is taken, and what follows when it never is."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.computing import Follower, await_segment, compute, computed, count_at_least, followed
from tests.support.evaluators import wait_for
from tests.support.receiver import NETWORK, Received, Receiver, receiver
from tests.support.served_api import PATIENCE_S, ServedApi, fresh_api
from tests.support.servers import Servers

DELAYS_S = (0.05,) * 9
TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def api(servers: Servers) -> Iterator[ServedApi]:
    with fresh_api(
        servers,
        webhook_allowed_networks=NETWORK,
        webhook_retry_delays_s=DELAYS_S,
        webhook_timeout_s=TIMEOUT_S,
    ) as served:
        yield served


@pytest.fixture
def follower(servers: Servers, api: ServedApi) -> Iterator[Follower]:
    with followed(servers) as following:
        yield following


@pytest.fixture
def received(api: ServedApi) -> Iterator[Receiver]:
    """A receiver, and afterwards no webhook."""
    with receiver() as listening:
        yield listening
        for webhook in api.get("/api/webhooks/")["results"]:
            api.client.delete(f"/api/webhooks/{webhook['id']}/")


class Webhook:
    """A webhook of a receiver."""

    def __init__(self, api: ServedApi, to: Receiver, **fields: Any) -> None:
        answer = api.client.post("/api/webhooks/", json={"url": to.url, **fields})
        assert answer.status_code == 201, answer.text
        self._api = api
        self.secret: str = answer.json()["secret"]
        self.path = f"/api/webhooks/{answer.json()['id']}/"

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        """Oldest first."""
        found: list[dict[str, Any]] = self._api.get(f"{self.path}deliveries/")["results"]
        return found[::-1]

    @property
    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = self._api.get(self.path)
        return shown

    def await_statuses(self, *statuses: str) -> list[dict[str, Any]]:
        """The deliveries, oldest first, as soon as they are in this state."""
        wanted = list(statuses)
        wait_for(lambda: [each["status"] for each in self.deliveries] == wanted, PATIENCE_S, f"deliveries: {wanted}")
        return self.deliveries

    def await_disabled(self) -> dict[str, Any]:
        """The webhook, as soon as it is inactive."""
        return wait_for(lambda: None if (shown := self.shown)["is_active"] else shown, PATIENCE_S, "it is inactive")


def recompute(api: ServedApi, follower: Follower, **fields: Any) -> dict[str, Any]:
    """A segment that is computed."""
    segment_id = api.segment(count_at_least(1), **fields)["id"]
    computed(api, follower, segment_id)
    segment: dict[str, Any] = api.get(f"/api/segments/{segment_id}/")
    return segment


def said(request: Received) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.body)
    return body


def test_a_compute_is_told_once_with_the_documented_body(
    api: ServedApi, follower: Follower, received: Receiver
) -> None:
    webhook, second = Webhook(api, received), Webhook(api, received, secret="another-secret-of-theirs")
    segment = recompute(api, follower, name="High LTV Buyers")
    requests = received.await_received(2)
    webhook.await_statuses("delivered")
    second.await_statuses("delivered")
    assert [said(request) for request in requests] == 2 * [
        {
            "event": "segment.recomputed",
            "tenant_slug": "demo",
            "segment_id": segment["id"],
            "segment_name": "High LTV Buyers",
            "member_count": 0,
            "computed_at": segment["last_computed_at"],
        }
    ]
    ours = next(each for each in requests if each.is_signed(webhook.secret))
    theirs = next(each for each in requests if each.is_signed("another-secret-of-theirs"))
    assert ours.message_id != theirs.message_id
    assert ours.headers["content-type"] == "application/json"
    assert received.received == requests


def test_the_headers_are_those_of_standard_webhooks(api: ServedApi, follower: Follower, received: Receiver) -> None:
    webhook = Webhook(api, received)
    recompute(api, follower)
    (request,) = received.await_received(1)
    timestamp = request.headers["webhook-timestamp"]
    assert abs(int(timestamp) - time.time()) < 60
    key = base64.b64decode(webhook.secret.removeprefix("whsec_"))
    signed = f"{request.message_id}.{timestamp}.".encode() + request.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert webhook.await_statuses("delivered")[0]["message_id"] == request.message_id


def test_only_who_wants_it_is_told(api: ServedApi, follower: Follower, received: Receiver) -> None:
    other = recompute(api, follower)["id"]
    silent = [
        Webhook(api, received, segment_ids=[other]),
        Webhook(api, received, is_active=False),
    ]
    told = Webhook(api, received)
    segment_id = recompute(api, follower)["id"]
    told.await_statuses("delivered")
    assert [each.deliveries for each in silent] == [[], []]
    compute(api, other)
    follower.report(follower.command(other), "switched")
    await_segment(api, other, status="computed")
    told.await_statuses("delivered", "delivered")
    silent[0].await_statuses("delivered")
    assert sorted(said(request)["segment_id"] for request in received.received) == sorted([segment_id, other, other])


def test_a_compute_that_fails_is_not_told(api: ServedApi, follower: Follower, received: Receiver) -> None:
    webhook = Webhook(api, received)
    segment_id = api.segment(count_at_least(1))["id"]
    compute(api, segment_id)
    follower.report(follower.command(segment_id), "failed", range(1), error="lost")
    await_segment(api, segment_id, status="failed")
    recompute(api, follower)  # what is stored later is sent later
    webhook.await_statuses("delivered")
    assert segment_id not in [said(request)["segment_id"] for request in received.received]


def test_who_answers_500_nine_times_gets_the_tenth(api: ServedApi, follower: Follower, received: Receiver) -> None:
    received.answering = lambda _: 500 if len(received.received) < 10 else 200
    webhook = Webhook(api, received)
    recompute(api, follower)
    (delivery,) = webhook.await_statuses("delivered")
    assert (delivery["attempts"], delivery["last_status"], delivery["last_error"]) == (10, 200, None)
    assert delivery["finished_at"] > delivery["created_at"]
    assert len(received.received) == 10
    assert len({(request.message_id, request.body) for request in received.received}) == 1
    assert all(request.is_signed(webhook.secret) for request in received.received)
    assert webhook.shown["last_delivered_at"] is not None


def test_what_is_never_taken_while_others_are_is_given_up(
    api: ServedApi, follower: Follower, received: Receiver
) -> None:
    poison = recompute(api, follower)["id"]
    webhook = Webhook(api, received)

    def answer(request: Received) -> int:
        time.sleep(0.05)  # so that the others come in between
        return 500 if said(request)["segment_id"] == poison else 200

    received.answering = answer
    compute(api, poison)
    follower.report(follower.command(poison), "switched")
    await_segment(api, poison, status="computed")
    received.await_received(1)
    recompute(api, follower)
    given_up, _ = webhook.await_statuses("failed", "delivered")
    assert (given_up["attempts"], given_up["last_status"]) == (len(DELAYS_S) + 1, 500)
    assert (given_up["last_error"], given_up["next_attempt_at"]) == ("answered 500", None)
    assert webhook.shown["is_active"]


def test_who_takes_nothing_any_more_is_set_inactive_and_goes_on_later(
    api: ServedApi, follower: Follower, received: Receiver
) -> None:
    received.answering = lambda _: 503
    webhook = Webhook(api, received)
    recompute(api, follower)
    reason = webhook.await_disabled()["disabled_reason"]
    assert reason == f"a delivery failed {len(DELAYS_S) + 1} times, and no other was taken"
    assert [each["status"] for each in webhook.deliveries] == ["pending"]
    refused = received.received.copy()
    received.answering = lambda _: 200
    answer = api.client.patch(webhook.path, json={"is_active": True})
    assert (answer.json()["is_active"], answer.json()["disabled_reason"]) == (True, None)
    (delivery,) = webhook.await_statuses("delivered")
    assert {each.message_id for each in [*refused, received.received[-1]]} == {delivery["message_id"]}
    assert (len(received.received), delivery["attempts"]) == (len(refused) + 1, 1)


def test_who_is_gone_is_set_inactive_at_once(api: ServedApi, follower: Follower, received: Receiver) -> None:
    received.answering = lambda _: 410
    webhook = Webhook(api, received)
    recompute(api, follower)
    assert webhook.await_disabled()["disabled_reason"] == "the receiver answered 410 Gone"
    assert len(received.received) == 1
    assert [(each["status"], each["attempts"]) for each in webhook.deliveries] == [("pending", 1)]


def test_deliveries_come_in_their_order_while_all_are_taken(
    api: ServedApi, follower: Follower, received: Receiver
) -> None:
    Webhook(api, received)
    computed_ids = [recompute(api, follower)["id"] for _ in range(5)]
    assert [said(request)["segment_id"] for request in received.await_received(5)] == computed_ids


def test_one_that_does_not_answer_holds_up_no_other_webhook(
    api: ServedApi, follower: Follower, received: Receiver
) -> None:
    def late(_: Received) -> int:
        time.sleep(3 * TIMEOUT_S)
        return 200

    with receiver(late) as hanging:
        stuck = Webhook(api, hanging)
        webhook = Webhook(api, received)
        recompute(api, follower)
        hanging.await_received(1)
        webhook.await_statuses("delivered")
        wait_for(lambda: stuck.deliveries[0]["last_error"], PATIENCE_S, "the attempt is given up")
        assert stuck.deliveries[0]["last_error"] == "no answer in time"
        api.client.delete(stuck.path)


def test_a_webhook_that_is_removed_hears_nothing_more(api: ServedApi, follower: Follower, received: Receiver) -> None:
    received.answering = lambda _: 500
    webhook = Webhook(api, received)
    recompute(api, follower)
    received.await_received(2)
    assert api.client.delete(webhook.path).status_code == 204
    last = Webhook(api, received)
    received.answering = lambda _: 200
    before = len(received.received) + 1  # one may be under way
    recompute(api, follower)
    last.await_statuses("delivered")
    assert len(received.received) <= before + 1
