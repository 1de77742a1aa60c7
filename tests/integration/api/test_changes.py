"""The change feed over HTTP: pages with a cursor, server-sent events, and their ends."""

import contextlib
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.api import change_feed, change_streams
from services.api.change_feed import Page
from tests.support.archived_changes import START_US, archive_changes, change
from tests.support.callers import KEYS, ask, new_key, new_tenant
from tests.support.evaluators import NO_HISTORY, wait_for
from tests.support.s3_server import S3Server
from tests.support.served_api import KEY, PATIENCE_S, ServedApi, fresh_api, served_api
from tests.support.servers import Servers
from tests.support.sse import MEDIA_TYPE, followed

USERS, TURNS = 20, 5
MANY = 20_000
OTHER = 9


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def api(servers: Servers, history: Path) -> Iterator[ServedApi]:
    """An api with two segments, of which the first has changes, between those of another tenant's."""
    with fresh_api(servers, history=str(history), feed_streams=2, feed_heartbeat_s=0.1) as served:
        assert [served.segment()["id"] for _ in range(2)] == [1, 2]
        ours = [change(f"u{n % USERS}", n // USERS + 1) for n in range(USERS * TURNS)]
        others = [change(f"u{n}", 1, segment_id=OTHER, tenant=2) for n in range(USERS * TURNS)]
        archive_changes(str(history), [each for pair in zip(ours, others, strict=True) for each in pair])
        yield served


PATH = "/api/segments/1/changes/"
ALL = USERS * TURNS


def pages(api: ServedApi, limit: int) -> Iterator[dict[str, Any]]:
    after = "0"
    while True:
        page = api.get(f"{PATH}?after={after}&limit={limit}")
        yield page
        if not page["has_more"]:
            return
        after = page["next_after"]


def test_a_change_tells_who_what_when_and_why(api: ServedApi) -> None:
    page = api.get(f"{PATH}?limit=1")
    assert page == {
        "results": [
            {
                "position": 1,
                "id": "1:u0:0:1",
                "user_id": "u0",
                "change": "entered",
                "at": "2026-09-21T14:13:20.000001Z",
                "reason": "event",
                "version": 1,
            }
        ],
        "next_after": "1",
        "has_more": True,
    }
    assert START_US == 1_790_000_000_000_000


@pytest.mark.parametrize("limit", [1, 7, ALL, 1000])
def test_pages_of_any_size_give_the_same(api: ServedApi, limit: int) -> None:
    found = [each["position"] for page in pages(api, limit) for each in page["results"]]
    assert found == list(range(1, 2 * ALL, 2))


def test_the_end_has_a_cursor_too_and_who_goes_on_there_gets_what_is_new(api: ServedApi, history: Path) -> None:
    *_, last = pages(api, 30)
    assert (last["has_more"], last["next_after"]) == (False, str(2 * ALL))
    beyond = api.get(f"{PATH}?after={2 * ALL}")
    assert beyond == {"results": [], "next_after": str(2 * ALL), "has_more": False}
    assert api.get("/api/segments/2/changes/?after=5") == beyond


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "٣", "", "1" * 19])
def test_what_is_no_cursor_is_refused(api: ServedApi, after: str) -> None:
    answer = api.client.get(PATH, params={"after": after})
    assert (answer.status_code, list(answer.json())) == (400, ["after"])


def test_a_limit_out_of_bounds_is_refused(api: ServedApi) -> None:
    for limit in ("0", "1001", "many"):
        answer = api.client.get(PATH, params={"limit": limit})
        assert (answer.status_code, list(answer.json())) == (400, ["limit"])


@pytest.mark.parametrize("accept", [MEDIA_TYPE, "application/json"])
def test_a_segment_of_another_tenant_is_unknown(api: ServedApi, accept: str) -> None:
    for segment_id in (OTHER, 77):
        answer = api.client.get(f"/api/segments/{segment_id}/changes/", headers={"Accept": accept})
        assert answer.status_code == 404


def test_a_stream_tells_what_pages_do_and_goes_on(api: ServedApi, history: Path) -> None:
    told = [each for page in pages(api, 50) for each in page["results"]]
    with followed(api.client, PATH) as events:
        assert list(itertools.islice((each for each in events if each), ALL)) == told
        assert next(events) is None  # a heartbeat
        archive_changes(str(history), [change("new", 1)], start=2 * ALL)
        new = next(each for each in events if each)
    assert (new["position"], new["user_id"]) == (2 * ALL + 1, "new")


def test_a_stream_goes_on_where_it_broke_off(api: ServedApi) -> None:
    with followed(api.client, PATH, after="101") as events:
        assert next(events)["position"] == 103
    # a browser repeats the address and adds what it saw last
    with followed(api.client, PATH, last_event_id="151", after="101") as events:
        assert next(events)["position"] == 153
    headers = {"Accept": MEDIA_TYPE, "Last-Event-ID": "x"}
    answer = api.client.get(PATH, headers=headers)
    assert (answer.status_code, list(answer.json())) == (400, ["Last-Event-ID"])


def streams(api: ServedApi) -> int:
    return api.wiring.streams._open


def test_who_comes_when_enough_follow_is_sent_away_until_one_leaves(api: ServedApi) -> None:
    with followed(api.client, PATH) as first, followed(api.client, PATH) as second:
        assert next(first) == next(second)
        answer = api.client.get(PATH, headers={"Accept": MEDIA_TYPE})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json() == {"detail": "2 clients follow changes here already"}
    wait_for(lambda: streams(api) == 0, PATIENCE_S, "those who left are forgotten")
    with followed(api.client, PATH) as events:
        assert next(events)["position"] == 1


def test_streams_end_with_the_api(api: ServedApi) -> None:
    with served_api(api.wiring.settings) as other:
        client = other.client.__class__(base_url=other.url, headers=other.client.headers, timeout=PATIENCE_S)
        following = followed(client, PATH, after=str(2 * ALL))
        events = following.__enter__()
        next(events)
    # the api has ended although somebody followed, and the stream is complete
    assert [each for each in events if each] == []
    following.__exit__(None, None, None)
    client.close()


def test_a_stream_tells_nothing_more_once_its_key_is_revoked(api: ServedApi) -> None:
    tenant = new_tenant(api, api.wiring.settings.bootstrap_tenant)
    key = new_key(api, tenant)
    with httpx.Client(base_url=api.url, headers={"Authorization": f"ApiKey {key['key']}"}, timeout=5) as client:
        with followed(client, PATH) as events:
            assert next(events)["position"] == 1
            revoked = ask(api, "DELETE", f"{KEYS}{key['id']}/", tenant.owner)
            assert revoked.status_code == 204
            list(events)  # comes to an end, while that of others goes on
        assert client.get(PATH).status_code == 401


@contextlib.contextmanager
def many_changes(servers: Servers, folder: Path) -> Iterator[ServedApi]:
    """An api with one segment, and so many changes that no buffer holds them."""
    with fresh_api(servers, history=str(folder)) as api:
        api.segment()
        archive_changes(str(folder), [change(f"{n}{'u' * 200}", 1) for n in range(MANY)])
        yield api


def stalled(api: ServedApi) -> socket.socket:
    """The connection of a client that follows, and does not read."""
    address = urlsplit(api.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    connection.connect((address.hostname, address.port))
    head = f"GET {PATH} HTTP/1.1\r\nHost: api\r\nAuthorization: ApiKey {KEY}\r\nAccept: {MEDIA_TYPE}\r\n\r\n"
    connection.sendall(head.encode())
    wait_for(lambda: streams(api), PATIENCE_S, "it is answered")
    return connection


def test_for_a_client_that_does_not_read_nothing_is_read_ahead(servers: Servers, tmp_path: Path) -> None:
    with many_changes(servers, tmp_path) as api:
        read: list[int] = []
        feed, page = api.wiring.feed, api.wiring.feed.page

        async def counted(position: int, *more: Any) -> Page:
            read.append(position)
            return await page(position, *more)

        feed.page = counted  # type: ignore[method-assign,assignment] # it counts, and does what it did
        with stalled(api), followed(api.client, PATH) as events:
            assert [next(events)["position"] for _ in range(MANY)] == list(range(1, MANY + 1))
            pages = MANY // 200
            assert pages <= len(read) < 1.5 * pages


def test_a_client_that_takes_nothing_for_long_makes_room(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_streams, "STALLED_S", 0.2)
    with many_changes(servers, tmp_path) as api, stalled(api):
        wait_for(lambda: streams(api) == 0, PATIENCE_S, "it is let go")


def test_a_feed_in_a_bucket(
    servers: Servers, bucket: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.environ.items():
        monkeypatch.setenv(name, value)
    history = f"s3://{bucket.bucket}/{tmp_path.name}"
    with fresh_api(servers, history=history) as api:
        api.segment()
        archive_changes(history, [change("ada", 1)])
        assert [each["user_id"] for each in api.get(PATH)["results"]] == ["ada"]
        with followed(api.client, PATH, after="1") as events:
            archive_changes(history, [change("bob", 1)], start=1)
            assert next(each for each in events if each)["user_id"] == "bob"
        assert len(api.get(PATH)["results"]) == 2


def test_what_is_kept_in_memory_is_what_is_in_the_files(
    api: ServedApi, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One api has looked all the time, and keeps the last few; the other one has never looked."""
    monkeypatch.setattr(change_feed, "KEPT", 30)
    settings = api.wiring.settings.model_copy(update={"history": f"{history}/kept"})
    with served_api(settings) as looking, served_api(settings) as reading:
        (history / "kept").mkdir()
        for start, count in ((0, 0), (0, 7), (7, 13), (20, 20), (40, 31), (71, 23)):
            archive_changes(settings.history, [change(f"u{n}", 1) for n in range(start, start + count)], start)
            looking.do(looking.wiring.feed.end)
            looking.do(lambda end=start + count: looking.wiring.feed.wait(end - 1))  # type: ignore[misc]
            found = [each["position"] for page in pages(looking, 3) for each in page["results"]]
            assert found == list(range(1, start + count + 1))
        for position in (0, 60, 80, 93):
            page = looking.do(lambda position=position: looking.wiring.feed.page(position, 1))  # type: ignore[misc]
            assert [page.changes[0].position, page.through] == [position + 1] * 2
        last = [list(pages(each, 4)) for each in (looking, reading)]
        assert last[0] == last[1]
        assert looking.wiring.feed._start > 0


def test_without_a_history_it_says_so(servers: Servers) -> None:
    with fresh_api(servers, history=NO_HISTORY) as api:
        api.segment()
        for accept in (MEDIA_TYPE, "application/json"):
            answer = api.client.get(PATH, headers={"Accept": accept})
            assert (answer.status_code, answer.json()) == (503, {"detail": "the history cannot be read now"})
