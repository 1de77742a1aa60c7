"""Export requests: stored, sent to the exporter, and followed through `progress`."""

import time
from functools import partial
from typing import Any

import pytest

from shared.contracts.export_request import decode_export_request
from shared.contracts.progress import Progress
from shared.contracts.topics import EXPORT_REQUESTS, SIDE_PARTITIONS
from tests.support.served_api import PATIENCE_S, ServedApi, next_messages, reading, report
from tests.support.servers import Servers


def await_export(api: ServedApi, path: str, status: str, detail: str | None = None) -> dict[str, Any]:
    """The export once it has this status, and this detail."""
    deadline = time.monotonic() + PATIENCE_S
    while ((export := api.get(path))["status"], export["detail"]) != (status, detail):
        assert time.monotonic() < deadline, export
        time.sleep(0.02)  # the api has no way to wait for a status
    found: dict[str, Any] = export
    return found


def test_an_export_is_requested_once_and_follows_the_reports(servers: Servers, api: ServedApi) -> None:
    segment_id = api.segment()["id"]
    path = f"/api/segments/{segment_id}/export/"
    answer = api.client.post(path, json={"format": "parquet"})
    assert answer.status_code == 202
    export_id = answer.json()["export_id"]
    assert answer.json() == {"export_id": export_id, "id": export_id, "status": "pending"}
    with reading(servers, EXPORT_REQUESTS, range(SIDE_PARTITIONS)) as consumer:
        (message,) = next_messages(consumer, 1)
    request = decode_export_request(message.value() or b"")
    assert message.key() == str(export_id).encode()
    assert (request.export_id, request.segment_id, request.format) == (export_id, segment_id, "parquet")
    reported = partial(Progress, "export", export_id, request.outbox_id)
    one = f"{path}?export_id={export_id}"
    report(servers, reported("running", row_count=7), reported("running", row_count=3, detail="it waits"))
    running = await_export(api, one, "running", detail="it waits")
    assert running["row_count"] == 7, "another attempt begins anew, which is no step back"
    report(servers, reported("failed", error="not available"), reported("running"), reported("complete"))
    assert await_export(api, one, "failed") == {
        "id": export_id,
        "export_id": export_id,
        "status": "failed",
        "format": "parquet",
        "row_count": None,
        "download_url": None,
        "expires_at": None,
        "as_of": None,
        "size": None,
        "sha256": None,
        "error": "not available",
        "detail": None,
    }
    other = api.client.post(path).json()["id"]
    assert [export["id"] for export in api.get(path)["results"]] == [other, export_id]
    # reports are applied in order, so the ones after the end have been read by now and changed nothing
    report(servers, Progress(kind="export", id=other, outbox_id=request.outbox_id + 1, status="running"))
    await_export(api, f"{path}?export_id={other}", "running")
    assert api.get(one)["status"] == "failed"


def test_the_format_is_csv_unless_said_otherwise(api: ServedApi) -> None:
    path = f"/api/segments/{api.segment()['id']}/export/"
    bodies: list[dict[str, str] | None] = [None, {}]
    for body in bodies:
        export_id = api.client.post(path, json=body).json()["id"]
        assert api.get(f"{path}?export_id={export_id}")["format"] == "csv"


@pytest.mark.parametrize("export_id", ["x", "0", "-1", "9" * 30])
def test_a_bad_export_id_is_named(api: ServedApi, export_id: str) -> None:
    answer = api.client.get(f"/api/segments/{api.segment()['id']}/export/?export_id={export_id}")
    assert (answer.status_code, list(answer.json())) == (400, ["export_id"])


def test_an_export_is_known_under_its_own_segment_only(api: ServedApi) -> None:
    export_id = api.client.post(f"/api/segments/{api.segment()['id']}/export/").json()["id"]
    other = api.segment()["id"]
    assert api.client.get(f"/api/segments/{other}/export/?export_id={export_id}").status_code == 404
    assert api.client.get(f"/api/segments/{10**17}/export/").status_code == 404
    assert api.client.post(f"/api/segments/{10**17}/export/", json={"format": "csv"}).status_code == 404


def test_an_unknown_format_is_refused(api: ServedApi) -> None:
    answer = api.client.post(f"/api/segments/{api.segment()['id']}/export/", json={"format": "xlsx"})
    assert (answer.status_code, list(answer.json())) == (400, ["format"])
