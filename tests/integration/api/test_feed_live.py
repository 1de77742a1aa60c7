"""The feed and the past over real Kafka, evaluators and exporters that die, under a load of events and of time."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import httpx
import pytest

from services.api.instants import text_of_us
from shared.contracts.topics import EVENTS
from shared.history.address import HistoryAddress
from shared.history.schema import CHANGES
from tests.support.changes_check import change_differences
from tests.support.evaluators import environment, evaluators, exporters, wait_for
from tests.support.history_check import is_complete, snapshot_of
from tests.support.served_api import KEY, PARTITIONS, PATIENCE_S, ServedApi, fresh_api
from tests.support.servers import Servers
from tests.support.sse import followed
from tests.support.stream import Stream
from tests.support.truth import Definitions, Truth, differences

USERS, RATE, SEED = 60, 250, 3
STEPS, EVENTS_OF_A_STEP = 4, 600
RECONNECTS = 50
AHEAD = 100
"""The slow client is so many changes behind."""
OVER_US = 4_000_000
"""The longest window, and the time that the sweep takes."""
WINDOWS = {"page_viewed": 1, "order_placed": 2}
Told = list[dict[str, Any]]


class Live(NamedTuple):
    """A system after its load, and what its clients heard meanwhile."""

    api: ServedApi
    stream: Stream
    history: HistoryAddress
    segments: Definitions
    heard: dict[str, Told]
    reconnects: int


@pytest.fixture(scope="module")
def live(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Clients follow one segment while events come and windows end, and while evaluators and exporters are killed."""
    history = str(tmp_path_factory.mktemp("history"))
    told = environment(
        servers.kafka_bootstrap_servers,
        servers.redis_url,
        SHOAL_PARTITIONS=str(PARTITIONS),
        SHOAL_HISTORY=history,
        SHOAL_EXPORTER_SESSION_TIMEOUT_S="2",
        SHOAL_EXPORTER_CHANGES_INTERVAL_S="0.1",
        SHOAL_EXPORTER_ARCHIVE_INTERVAL_S="0.3",
    )
    with (
        fresh_api(servers, history=history, feed_heartbeat_s=0.1) as api,
        exporters(told) as new_exporter,
        evaluators(told) as new_evaluator,
        ThreadPoolExecutor(4) as pool,
    ):
        working = [new_evaluator().await_ready(), new_exporter().await_ready()]
        segments = computed(api)
        tenant = int(api.get(f"/api/segments/{min(segments)}/")["tenant"])
        stream = Stream(servers.kafka_bootstrap_servers, servers.redis_url, PARTITIONS).of(tenant)
        clients = Clients(api, min(segments))
        following = clients.start(pool)
        for step in range(STEPS):
            stream.send_many(EVENTS_OF_A_STEP, USERS, SEED + step, RATE)
            working[step % 2].kill()
            working[step % 2] = new_exporter() if step % 2 else new_evaluator()
        settle(stream, HistoryAddress.of(history, CHANGES))
        clients.finish(following)
        yield Live(api, stream, HistoryAddress.of(history, CHANGES), segments, clients.heard, clients.reconnects)
        stream.close()


def computed(api: ServedApi) -> Definitions:
    """Segments that time alone ends, or begins."""
    found: Definitions = {}
    for event_type, seconds in WINDOWS.items():
        for operator, value in (("gte", 1), ("lt", 2)):
            window = {"event_type": event_type, "window_seconds": seconds}
            condition = {"type": "event_count", "operator": operator, "value": value, **window}
            definition = {"logic": "AND", "conditions": [condition]}
            found[int(api.segment(definition)["id"])] = definition
    for segment_id in found:
        path = f"/api/segments/{segment_id}/compute/"
        assert api.client.post(path).status_code == 202
        wait_for(lambda path=path: api.get(path)["status"] == "computed", PATIENCE_S, "it is computed")  # type: ignore[misc]
    return found


def settle(stream: Stream, history: HistoryAddress) -> None:
    """Wait until all windows are over, and all that came of it is archived."""
    stream.await_committed(120)
    newest_us = max(message.timestamp()[1] for message in stream.read(EVENTS, PARTITIONS)) * 1000
    wait_for(lambda: stream.clock() > newest_us + OVER_US, 60, "all windows are over and swept")
    wait_for(lambda: is_complete(stream, snapshot_of(stream, history), CHANGES), 60, "all changes are archived")


class Clients:
    """Who follows the changes of one segment, each in its own way."""

    def __init__(self, api: ServedApi, segment_id: int) -> None:
        self._api, self._path = api, f"/api/segments/{segment_id}/changes/"
        self._finished, self._given_up = threading.Event(), threading.Event()
        self._count = 0
        """How many changes there are, once that is finished."""
        self._random = random.Random(SEED)
        self.heard: dict[str, Told] = {"steady": [], "slow": [], "reconnecting": [], "pages": []}
        self.reconnects = 0

    def start(self, pool: ThreadPoolExecutor) -> list[Future[None]]:
        return [pool.submit(self._follow, name) for name in self.heard]

    def finish(self, following: list[Future[None]]) -> None:
        """Let each hear all there is."""
        everything = self._api.get(f"{self._path}?limit=1000")
        while everything["has_more"]:
            more = self._api.get(f"{self._path}?limit=1000&after={everything['next_after']}")
            everything = more | {"results": everything["results"] + more["results"]}
        self._count = count = len(everything["results"])
        self._finished.set()
        self.heard["afterwards"] = everything["results"]
        names = [name for name in self.heard if name != "afterwards"]
        wait(following, 4 * PATIENCE_S)
        self._given_up.set()
        for each in following:
            each.result(PATIENCE_S)
        assert {name: len(self.heard[name]) for name in names} == dict.fromkeys(names, count)

    def _follow(self, name: str) -> None:
        headers = {"Authorization": f"ApiKey {KEY}"}
        with httpx.Client(base_url=self._api.url, headers=headers, timeout=PATIENCE_S) as client:
            if name == "pages":
                self._read_pages(client, self.heard[name])
            elif name == "reconnecting":
                while not (self._finished.is_set() and self.reconnects >= RECONNECTS):
                    self._listen(client, self.heard[name], self._random.randint(1, 8))
                    self.reconnects += 1
                self._listen_on(client, self.heard[name])
            else:
                self._listen_on(client, self.heard[name], behind=AHEAD if name == "slow" else 0)

    def _listen_on(self, client: httpx.Client, heard: Told, behind: int = 0) -> None:
        """Hear all; a stream that the api ends, because it cannot read just now, is taken up again."""
        while not self._listen(client, heard, behind=behind):
            pass

    def _listen(self, client: httpx.Client, heard: Told, most: int = 1 << 30, behind: int = 0) -> bool:
        """Hear so many changes at most; or, once nothing more comes, all. False: the stream has ended before."""
        last = str(heard[-1]["position"]) if heard else ""
        with followed(client, self._path, last_event_id=last) as events:
            for event in events:
                if event is not None:
                    heard.append(event)
                    most -= 1
                if most == 0 or (event is None and (self._has_all(heard) or most < 1 << 20)):
                    return True
                if behind:
                    self._fall_behind(len(heard) + behind)
        return False

    def _has_all(self, heard: Told) -> bool:
        """A heartbeat by itself says nothing: it may have waited for a slow client, with more changes behind it."""
        return self._given_up.is_set() or (self._finished.is_set() and len(heard) >= self._count)

    def _fall_behind(self, count: int) -> None:
        steady = self.heard["steady"]
        wait_for(lambda: self._finished.is_set() or len(steady) >= count, PATIENCE_S, "others are ahead")

    def _read_pages(self, client: httpx.Client, heard: Told) -> None:
        after = "0"
        is_last = False
        while not is_last:
            finished = self._finished.is_set()
            answer = client.get(self._path, params={"after": after, "limit": self._random.randint(1, 40)})
            if answer.status_code == 503:
                continue
            assert answer.status_code == 200, answer.text
            page = answer.json()
            heard += page["results"]
            after = page["next_after"]
            is_last = finished and not page["has_more"]


def test_every_client_hears_the_same_and_nothing_twice(live: Live) -> None:
    everything = live.heard["afterwards"]
    positions = [each["position"] for each in everything]
    assert len(positions) > 4 * USERS
    assert positions == sorted(set(positions))
    assert live.reconnects >= RECONNECTS
    for name, heard in live.heard.items():
        assert [each["position"] for each in heard] == positions, name
        assert heard == everything, name


def test_users_enter_and_exit_by_turns_and_time_is_a_reason(live: Live) -> None:
    inside: set[str] = set()
    for each in live.heard["afterwards"]:
        assert (each["user_id"] in inside) == (each["change"] == "exited"), each
        inside ^= {each["user_id"]}
    assert {each["reason"] for each in live.heard["afterwards"]} == {"event", "time"}


def test_the_feed_is_the_topic_without_its_repeats(live: Live) -> None:
    assert change_differences(live.stream, snapshot_of(live.stream, live.history)) == []


def test_the_past_is_what_the_oracle_says_of_it(live: Live) -> None:
    """At instants of the load, just before and at turns: of the events until then, as of then."""
    truth = Truth(live.stream, live.segments)
    changes = live.stream.distinct_changes()
    turned = random.Random(SEED).sample(sorted({each["at_us"] for each in changes}), 12)
    for at_us in [instant for each in turned for instant in (each - 1, each)]:
        expected = truth.memberships(at_us, received_until(live.stream, at_us))
        found: dict[int, set[str]] = {}
        for segment_id in live.segments:
            page = live.api.get(f"/api/segments/{segment_id}/members/?limit=10000&at={text_of_us(at_us)}")
            if users := {each["user_id"] for each in page["results"]}:
                found[segment_id] = users
        assert differences(expected, found) == [], text_of_us(at_us)


def received_until(stream: Stream, at_us: int) -> dict[int, int]:
    """By partition the first offset that was received later."""
    ends = stream.end_offsets()
    for message in stream.read(EVENTS, PARTITIONS):
        if message.timestamp()[1] * 1000 > at_us:
            partition = message.partition() or 0
            ends[partition] = min(ends[partition], message.offset() or 0)
    return ends
