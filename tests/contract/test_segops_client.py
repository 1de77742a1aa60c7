"""The official clients `segops` and `segops_admin` 0.2.2 work unmodified."""

import importlib.metadata
import json
from typing import Any

import pytest
import segops
import segops_admin

from shared.contracts.topics import EVENTS
from tests.support.archived import archive_events
from tests.support.callers import new_key, new_tenant
from tests.support.served_api import KEY, PARTITIONS, ServedApi, next_messages, reading
from tests.support.servers import Servers


def stored_events(servers: Servers, count: int, *user_ids: str) -> list[dict[str, Any]]:
    """The first events of these users in Kafka, those of one user in their order."""
    found: list[dict[str, Any]] = []
    with reading(servers, EVENTS, range(PARTITIONS)) as consumer:
        while len(found) < count:
            event = json.loads(next_messages(consumer, 1)[0].value() or b"")
            if event["user_id"] in user_ids:
                found.append(event)
    return found


def test_the_clients_are_the_versions_of_the_contract() -> None:
    assert importlib.metadata.version("segops") == "0.2.2"
    assert importlib.metadata.version("segops-admin") == "0.2.2"


def test_a_thousand_events_in_batches_and_a_shutdown_without_error(servers: Servers, api: ServedApi) -> None:
    errors: list[BaseException] = []
    client = segops.SegOpsClient(api.url, KEY, batch=True, on_error=errors.append)
    users = [f"client-{n}" for n in range(7)]
    for n in range(1000):
        client.track(user_id=users[n % 7], event_type="page_viewed", payload={"n": n})
    client.shutdown()
    assert errors == []
    events = stored_events(servers, 1000, *users)
    assert sorted(event["payload"]["n"] for event in events) == list(range(1000))
    for user in users:
        numbers = [event["payload"]["n"] for event in events if event["user_id"] == user]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("batch", [True, False])
def test_identify_stores_the_traits(servers: Servers, api: ServedApi, batch: bool) -> None:
    errors: list[BaseException] = []
    user_id = f"identified-{batch}"
    with segops.SegOpsClient(api.url, KEY, batch=batch, on_error=errors.append) as client:
        client.identify(user_id=user_id, traits={"plan": "pro", "seats": 3})
    assert errors == []
    (event,) = stored_events(servers, 1, user_id)
    assert (event["event_type"], event["payload"]) == ("context_identified", {"plan": "pro", "seats": 3})


def test_a_wrong_key_reaches_the_client_as_an_error(api: ServedApi) -> None:
    errors: list[BaseException] = []
    with segops.SegOpsClient(api.url, "sk_wrong_0123456789abcdef", batch=False, on_error=errors.append) as client:
        client.track(user_id="u", event_type="a")
    assert ["HTTP 401" in str(error) for error in errors] == [True]


def test_the_admin_client_handles_segments(api: ServedApi) -> None:
    admin = segops_admin.SegOpsAdmin(KEY, base_url=f"{api.url}/api", max_retries=0)
    condition = {"type": "event_count", "event_type": "order", "operator": "gte", "value": 1}
    definition = {"logic": "AND", "conditions": [condition]}
    made = [admin.segments.create({"name": f"admin {n}", "definition": definition}) for n in range(3)]
    first = made[0]["id"]
    # three that say the same: all but the first are told of it, which a client may pass over
    assert [len(segment.pop("warnings")) for segment in made] == [0, 1, 1]
    assert admin.segments.get(first) == made[0]
    listed = [segment["id"] for segment in admin.segments.iterate({"page_size": 1, "q": "admin"})]
    assert listed == [segment["id"] for segment in made]
    changed = admin.segments.update(first, {"definition": {**definition, "logic": "OR"}})
    assert changed["version"] == 2
    assert admin.segments.versions(first)["count"] == 2
    assert admin.segments.recompute(first) == {"status": "queued"}
    export = admin.segments.export(first)
    assert (export["status"], export["id"]) == ("pending", export["export_id"])
    admin.segments.delete(first)
    with pytest.raises(segops_admin.SegOpsApiError, match="404"):
        admin.segments.get(first)


def test_the_admin_client_previews_and_estimates(servers: Servers, api: ServedApi, history: str) -> None:
    admin = segops_admin.SegOpsAdmin(KEY, base_url=f"{api.url}/api", max_retries=0)
    with segops.SegOpsClient(api.url, KEY, batch=False) as client:
        for user_id in ("previewed-1", "previewed-2"):
            client.track(user_id=user_id, event_type="previewed")
    archive_events(servers, history)
    condition = {"type": "event_count", "event_type": "previewed", "operator": "gte", "value": 1}
    definition = {"logic": "AND", "conditions": [condition]}
    preview = admin.segments.preview(definition)
    assert (preview["matched_users"], preview["sample_user_ids"]) == (2, ["previewed-1", "previewed-2"])
    assert "'previewed'" in preview["sql"]
    segment_id = admin.segments.create({"name": "estimated", "definition": definition})["id"]
    assert admin.segments.estimate(segment_id)["estimated_users"] == 2
    with pytest.raises(segops_admin.SegOpsApiError, match="400"):
        admin.segments.preview({"logic": "AND", "conditions": []})


def test_the_admin_client_looks_into_users(servers: Servers, api: ServedApi, history: str) -> None:
    admin = segops_admin.SegOpsAdmin(KEY, base_url=f"{api.url}/api", max_retries=0)
    user_id = "looked@into/é"
    with segops.SegOpsClient(api.url, KEY, batch=False) as client:
        client.identify(user_id=user_id, traits={"plan": "pro"})
        client.track(user_id=user_id, event_type="looked", payload={"n": 1})
    archive_events(servers, history)
    assert [user["user_id"] for user in admin.users.search({"q": "looked@"})["results"]] == [user_id]
    profile = admin.users.get(user_id)
    assert (profile["event_count"], profile["properties"]) == (2, {"plan": "pro"})
    events = admin.users.events(user_id, {"limit": 1})
    assert (events["count"], events["results"][0]["payload"]) == (2, {"n": 1})
    with pytest.raises(segops_admin.SegOpsApiError, match="404"):
        admin.users.get("nobody")


def test_a_lookup_before_the_evaluator_ran_is_an_error_not_an_empty_answer(api: ServedApi) -> None:
    admin = segops_admin.SegOpsAdmin(KEY, base_url=f"{api.url}/api", max_retries=0)
    with pytest.raises(segops_admin.SegOpsApiError, match="503"):
        admin.segments.membership("a@b/c")


def test_the_clients_work_with_a_key_that_was_made(servers: Servers, api: ServedApi) -> None:
    tenant = new_tenant(api, "of-clients")
    key = new_key(api, tenant)["key"]
    errors: list[BaseException] = []
    with segops.SegOpsClient(api.url, key, batch=True, on_error=errors.append) as client:
        client.track(user_id="keyed", event_type="page_viewed")
    assert errors == []
    assert [event["tenant"] for event in stored_events(servers, 1, "keyed")] == [tenant.id]
    admin = segops_admin.SegOpsAdmin(key, base_url=f"{api.url}/api", max_retries=0)
    made = admin.segments.create({"name": "made with a key"})
    assert [each["id"] for each in admin.segments.iterate()] == [made["id"]]


@pytest.mark.parametrize("batch", [True, False])
def test_the_browsers_client_mints_a_session_and_speaks_for_its_user(
    servers: Servers, api: ServedApi, batch: bool
) -> None:
    tenant = new_tenant(api, f"of-browsers-{batch}".lower())
    key = new_key(api, tenant, "public", require_signed_user_id=True)
    signed: dict[str, Any] = segops.sign_user_id(key["hmac_secret"], f"signed-{batch}")
    errors: list[BaseException] = []
    with segops.SegOpsClient(
        api.url, key["key"], get_user=lambda: segops.UserContext(**signed), batch=batch, on_error=errors.append
    ) as client:
        client.track(user_id="whoever", event_type="page_viewed")
        client.reset_session()
        client.track(user_id="whoever", event_type="page_viewed")
    assert errors == []
    events = stored_events(servers, 2, f"signed-{batch}")
    assert {(event["user_id"], event["tenant"]) for event in events} == {(f"signed-{batch}", tenant.id)}


def test_a_browsers_client_that_signs_wrong_is_told(api: ServedApi) -> None:
    key = new_key(api, new_tenant(api, "of-forgers"), "public", require_signed_user_id=True)["key"]
    errors: list[BaseException] = []
    user = segops.UserContext(user_id="ada")
    with segops.SegOpsClient(api.url, key, get_user=lambda: user, batch=False, on_error=errors.append) as client:
        client.track(user_id="ada", event_type="page_viewed")
    assert len(errors) == 1
    assert "403" in str(errors[0])
