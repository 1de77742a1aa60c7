"""Delivery over the whole system: who is in, what changed, the files and the webhooks say the same."""

import csv
import hashlib
import io
import json
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
import segops
import segops_admin

from deploy.local.process import end_left_over
from shared.domain.times import parse_time
from tests.support.evaluators import wait_for
from tests.support.local_runner import LocalRunner, free_port_base
from tests.support.receiver import NETWORK, Receiver, receiver

PATIENCE_S = 60
BUYERS = 300
LEAVE = 40
"""So many of them are banned, and leave."""
DEFINITION = {
    "logic": "AND",
    "conditions": [
        {"type": "event_count", "event_type": "bought", "operator": "gte", "value": 1},
        {"type": "event_count", "event_type": "banned", "operator": "eq", "value": 0},
    ],
}


class Installation:
    """A running installation, with a segment that people entered and left, told to a receiver of webhooks."""

    def __init__(self, connection: dict[str, Any], told: Receiver) -> None:
        self.url, self.key, self.told = connection["api_url"], connection["api_key"], told
        self.admin = segops_admin.SegOpsAdmin(self.key, base_url=f"{self.url}/api", max_retries=0)
        self.client = httpx.Client(base_url=self.url, headers={"Authorization": f"ApiKey {self.key}"}, timeout=30)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self) -> None:
        """The webhook, the segment, those who enter, and those of them who leave again."""
        self.webhook = self.client.post(
            "/api/webhooks/", json={"url": self.told.url, "events": ["segment.recomputed", "membership.changed"]}
        ).json()
        self.segment_id = self.admin.segments.create({"name": "Buyers", "definition": DEFINITION})["id"]
        self.admin.segments.recompute(self.segment_id)
        path = f"/api/segments/{self.segment_id}/"
        wait_for(lambda: self.get(path)["status"] == "computed", PATIENCE_S, "the segment is computed")
        client = segops.SegOpsClient(self.url, self.key)
        for number in range(BUYERS):
            client.track(user_id=f"buyer-{number}", event_type="bought")
        client.shutdown()
        wait_for(lambda: self.get(path)["member_count"] == BUYERS, PATIENCE_S, "all are in")
        with segops.SegOpsClient(self.url, self.key) as client:
            for number in range(LEAVE):
                client.track(user_id=f"buyer-{number}", event_type="banned")
        wait_for(lambda: self.get(path)["member_count"] == BUYERS - LEAVE, PATIENCE_S, "some have left")
        self.members = {one["user_id"]: one["computed_at"] for one in self.walk()}

    def walk(self, **query: Any) -> Iterator[dict[str, Any]]:
        """All members, by the official client."""
        page: dict[str, Any] = {"next_cursor": None}
        while True:
            cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
            page = self.admin.segments.members(self.segment_id, {"limit": 37, **query, **cursor})
            yield from page["results"]
            if page["next_cursor"] is None:
                return

    def changes(self) -> list[dict[str, Any]]:
        """The changes of the segment, as soon as there are all."""

        def found() -> list[dict[str, Any]] | None:
            results = self.get(f"/api/segments/{self.segment_id}/changes/", limit=1000)["results"]
            return results if len(results) == BUYERS + LEAVE else None

        return wait_for(found, PATIENCE_S, "all changes are in the feed")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    runner = LocalRunner(folder, free_port_base(), SHOAL_API_WEBHOOK_ALLOWED_NETWORKS=NETWORK)
    try:
        runner.up("--no-demo")
        with receiver() as told:
            made = Installation(runner.connection(), told)
            made.make()
            yield made
            made.client.close()
    finally:
        if runner.process.poll() is None:
            runner.end(signal.SIGTERM)
        end_left_over(folder)


def test_the_members_are_those_who_stayed(installation: Installation) -> None:
    assert installation.members.keys() == {f"buyer-{number}" for number in range(LEAVE, BUYERS)}


def test_the_feed_has_every_turn_and_the_past_follows_from_it(installation: Installation) -> None:
    changes = installation.changes()
    state: dict[str, str] = {}
    for change in changes:
        assert state.get(change["user_id"], "exited") != change["change"]
        state[change["user_id"]] = change["change"]
    assert {user for user, last in state.items() if last == "entered"} == installation.members.keys()
    assert [change["position"] for change in changes] == sorted(change["position"] for change in changes)
    last_entry = max((change for change in changes if change["change"] == "entered"), key=instant)
    left = {c["user_id"] for c in changes if c["change"] == "exited" and instant(c) <= instant(last_entry)}
    then = {one["user_id"] for one in installation.walk(at=last_entry["at"])}
    assert then == state.keys() - left
    history = installation.get("/api/explorer/users/buyer-0/history/")["results"]
    assert [change["change"] for change in history] == ["exited", "entered"]


def instant(change: dict[str, Any]) -> int:
    """When it was, in microseconds; as texts, instants have no order: a whole second has no fraction."""
    at_us = parse_time(change["at"])
    assert at_us is not None
    return at_us


@pytest.mark.parametrize("file_format", ["parquet", "csv", "jsonl"])
def test_a_file_has_the_members_and_its_link_needs_no_key(installation: Installation, file_format: str) -> None:
    queued = installation.admin.segments.export(installation.segment_id, format=file_format)

    def ended() -> Any:
        path = f"/api/segments/{installation.segment_id}/export/"
        export = installation.get(path, export_id=queued["export_id"])
        return export if export["status"] in ("complete", "failed") else None

    export = wait_for(ended, PATIENCE_S, "the export has ended")
    assert (export["status"], export["error"], export["row_count"]) == ("complete", None, BUYERS - LEAVE)
    with urllib.request.urlopen(export["download_url"], timeout=PATIENCE_S) as answer:
        content = answer.read()
    assert hashlib.sha256(content).hexdigest() == export["sha256"]
    found = rows_of(content, file_format)
    assert len(found) == BUYERS - LEAVE
    assert dict(found).keys() == installation.members.keys()


def rows_of(content: bytes, file_format: str) -> list[tuple[str, Any]]:
    """The rows of a file."""
    if file_format == "parquet":
        return [(row["user_id"], row["computed_at"]) for row in pq.read_table(io.BytesIO(content)).to_pylist()]
    if file_format == "csv":
        return [(row["user_id"], row["computed_at"]) for row in csv.DictReader(io.StringIO(content.decode()))]
    return [(row["user_id"], row["computed_at"]) for row in map(json.loads, content.splitlines())]


def test_the_webhook_was_told_all_of_it(installation: Installation) -> None:
    secret = installation.webhook["secret"]

    def told() -> list[dict[str, Any]]:
        bodies = [json.loads(one.body) for one in installation.told.received]
        return [change for body in bodies if body["event"] == "membership.changed" for change in body["changes"]]

    wait_for(lambda: len(told()) >= BUYERS + LEAVE, PATIENCE_S, "all changes were sent")
    assert {change["id"] for change in told()} == {change["id"] for change in installation.changes()}
    assert all(one.is_signed(secret) for one in installation.told.received)
    recomputed = [json.loads(one.body) for one in installation.told.received if b"segment.recomputed" in one.body]
    assert [body["segment_id"] for body in recomputed] == [installation.segment_id]
    deliveries = installation.get(f"/api/webhooks/{installation.webhook['id']}/deliveries/")["results"]
    assert {delivery["status"] for delivery in deliveries} == {"delivered"}
