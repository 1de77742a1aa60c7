"""Fetching the file of an export: with the key, by a signed link, in parts; and who does not get it."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.contracts.progress import ExportedFile, Progress
from shared.domain.times import SECOND_US
from shared.runtime.clock import SystemClock
from tests.integration.api.test_exports import await_export
from tests.support.s3_server import S3Server
from tests.support.served_api import ServedApi, fresh_api, report
from tests.support.servers import Servers

CONTENT = b"user_id,computed_at\n" + b"ann,2026-04-25T12:00:00.000000Z\n" * 100_000
AS_OF_US = 1_777_118_400 * SECOND_US
HOUR_US = 3_600 * SECOND_US


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def api(servers: Servers, folder: Path) -> Iterator[ServedApi]:
    with fresh_api(servers, exports=str(folder)) as served:
        yield served


def complete(servers: Servers, api: ServedApi, kept_us: int = HOUR_US, **changes: Any) -> dict[str, Any]:
    """An export whose file was made; its status answer."""
    path = f"/api/segments/{api.segment()['id']}/export/"
    export_id = api.client.post(path, json={"format": "csv"}).json()["id"]
    values = {"name": "1-0af3.csv", "size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    expires = SystemClock().now_us() + kept_us
    file = ExportedFile(**values | changes, as_of_us=AS_OF_US, expires_at_us=expires)  # type: ignore[arg-type]
    report(servers, Progress("export", export_id, 1, "complete", row_count=100_000, file=file))
    return await_export(api, f"{path}?export_id={export_id}", "complete")


def of(export: dict[str, Any]) -> str:
    return f"/api/segments/exports/{export['id']}/download/"


def anonymously(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers)


def test_the_file_comes_by_key_and_by_link(servers: Servers, api: ServedApi, folder: Path) -> None:
    (folder / "1-0af3.csv").write_bytes(CONTENT)
    export = complete(servers, api)
    assert (export["row_count"], export["size"], export["as_of"]) == (100_000, len(CONTENT), "2026-04-25T12:00:00Z")
    for answer in (api.client.get(of(export)), anonymously(export["download_url"])):
        assert (answer.status_code, answer.content) == (200, CONTENT)
        assert answer.headers["content-disposition"] == (
            f'attachment; filename="segment-{export_segment(api)}-export-{export["id"]}.csv"'
        )
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-length"] == str(len(CONTENT))
        assert answer.headers["etag"] == f'"{export["sha256"]}"'
        assert answer.headers["x-export-as-of"] == export["as_of"]
    known = httpx.head(export["download_url"])
    assert (known.status_code, known.headers["content-length"], known.content) == (200, str(len(CONTENT)), b"")


def export_segment(api: ServedApi) -> int:
    """The only segment."""
    return int(api.get("/api/segments/")["results"][0]["id"])


def test_a_plain_curl_saves_it_under_a_sensible_name(
    servers: Servers, api: ServedApi, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (folder / "1-0af3.csv").write_bytes(CONTENT)
    export = complete(servers, api)
    here = tmp_path_factory.mktemp("saved")
    subprocess.run(["curl", "-sSfO", export["download_url"]], cwd=here, check=True)
    (saved,) = here.iterdir()
    assert saved.name == f"segment-{export_segment(api)}-export-{export['id']}.csv"
    assert saved.read_bytes() == CONTENT


def test_a_part_comes_by_range(servers: Servers, api: ServedApi, folder: Path) -> None:
    (folder / "1-0af3.csv").write_bytes(CONTENT)
    url = complete(servers, api)["download_url"]
    for asked, part in {
        "bytes=0-0": CONTENT[:1],
        "bytes=5-": CONTENT[5:],
        "bytes=-7": CONTENT[-7:],
        "bytes=10-9999999999": CONTENT[10:],
    }.items():
        answer = anonymously(url, Range=asked)
        assert (answer.status_code, answer.content) == (206, part)
        first = CONTENT.rindex(part) if asked != "bytes=0-0" else 0
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{len(CONTENT)}"
        assert anonymously(url, Range=asked, **{"If-Range": '"another"'}).content == CONTENT
    assert anonymously(url, Range=f"bytes={len(CONTENT)}-").status_code == 416
    assert anonymously(url, Range="bytes=0-1,5-6").status_code == 200


def test_it_comes_from_a_bucket(
    servers: Servers, bucket: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.environ.items():
        monkeypatch.setenv(name, value)
    httpx.put(f"{bucket.url}/{bucket.bucket}/{tmp_path.name}/1-0af3.csv", content=CONTENT).raise_for_status()
    with fresh_api(servers, exports=f"s3://{bucket.bucket}/{tmp_path.name}") as api:
        url = complete(servers, api)["download_url"]
        assert anonymously(url).content == CONTENT
        assert anonymously(url, Range="bytes=-7").content == CONTENT[-7:]


def test_a_link_that_was_changed_gets_nothing(servers: Servers, api: ServedApi, folder: Path) -> None:
    (folder / "1-0af3.csv").write_bytes(CONTENT)
    one, other = complete(servers, api), complete(servers, api)
    url = one["download_url"]
    for old, new, status, said in (
        ("signature=", "signature=0", 404, "whole link"),
        ("expires=", "expires=1", 404, "whole link"),
        (of(one), of(other), 404, "whole link"),
        ("exports/", "exports/9", 404, "whole link"),
        ("&signature=", "&s=", 400, "cut at its &"),
        ("?expires=", "?e=", 400, "expires"),
    ):
        assert old in url
        answer = anonymously(url.replace(old, new))
        assert answer.status_code == status, new
        assert said in answer.text


def test_without_a_key_or_with_a_wrong_one_there_is_no_file(servers: Servers, api: ServedApi, folder: Path) -> None:
    (folder / "1-0af3.csv").write_bytes(CONTENT)
    export = complete(servers, api)
    assert anonymously(api.url + of(export)).status_code == 401
    assert anonymously(api.url + of(export), Authorization="ApiKey sk_wrong_0123456789").status_code == 401


def test_an_export_that_is_not_complete_conflicts(servers: Servers, api: ServedApi) -> None:
    path = f"/api/segments/{api.segment()['id']}/export/"
    export = api.client.post(path).json()
    pending = api.client.get(of(export))
    assert (pending.status_code, pending.json()) == (409, {"detail": "the export is pending"})
    report(servers, Progress("export", export["id"], 1, "failed", error="no evaluator"))
    await_export(api, f"{path}?export_id={export['id']}", "failed")
    assert api.client.get(of(export)).json() == {"detail": "the export is failed: no evaluator"}


def test_what_is_unknown_deleted_or_another_tenants_is_not_found(
    servers: Servers, api: ServedApi, folder: Path
) -> None:
    (folder / "1-0af3.csv").write_bytes(CONTENT)
    export = complete(servers, api)
    assert api.client.get(of({"id": 10**17})).status_code == 404
    api.client.delete(f"/api/segments/{export_segment(api)}/").raise_for_status()
    assert api.client.get(of(export)).status_code == 404
    assert anonymously(export["download_url"]).status_code == 404


def test_another_tenant_does_not_find_it(servers: Servers, api: ServedApi, folder: Path) -> None:
    (folder / "1-0af3.csv").write_bytes(CONTENT)
    export = complete(servers, api)

    async def other() -> int:
        async with api.wiring.database.begin_for_all() as work:
            return await work.tenants.ensure("other")

    api.wiring.authenticator.belongs_to(api.do(other), "other")
    assert api.client.get(of(export)).status_code == 404


def test_what_is_over_is_gone(servers: Servers, folder: Path) -> None:
    (folder / "1-0af3.csv").write_bytes(CONTENT)
    with fresh_api(servers, exports=str(folder), export_link_s=1) as api:
        kept, over = complete(servers, api), complete(servers, api, kept_us=-1)
        assert (over["download_url"], over["expires_at"] is None) == (None, False)
        assert api.client.get(of(over)).status_code == 410
        while (answer := anonymously(kept["download_url"])).status_code == 200:
            pass
        assert answer.status_code == 410
        assert "expired" in answer.json()["detail"]
        assert api.client.get(of(kept)).content == CONTENT
        (folder / "1-0af3.csv").unlink()
        assert api.client.get(of(kept)).status_code == 410


def test_a_file_that_is_not_the_reported_one_is_not_given(servers: Servers, api: ServedApi, folder: Path) -> None:
    (folder / "1-0af3.csv").write_bytes(CONTENT[:-1])
    assert api.client.get(of(complete(servers, api))).status_code == 503
