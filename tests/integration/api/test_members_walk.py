"""A walk over 200,000 members while 2,000 users a second enter and leave."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Self

from tests.integration.api.history import computed, group
from tests.support.evaluators import environment, evaluators, metric, wait_for
from tests.support.served_api import PARTITIONS, ServedApi
from tests.support.servers import Servers
from tests.support.stream import Stream

STAY = 200_000
COME_AND_GO = 20_000
TURNS_A_SECOND = 2_000
LIMIT = 500
PATIENCE_S = 120


class Turning:
    """Users who enter and leave in turn, as fast as wished, until they are told to end."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._end, self.turns = stream, threading.Event(), 0
        self._thread = threading.Thread(target=self._run, name="turning")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        began_s = time.monotonic()
        for plan in itertools.cycle(("pro", "free")):
            for number in range(COME_AND_GO):
                self._stream.send(f"turns-{number}", "context_identified", {"plan": plan})
                self.turns += 1
                if self.turns % 100 == 0 and self._end.wait(began_s + self.turns / TURNS_A_SECOND - time.monotonic()):
                    return


def test_whoever_stays_is_met_exactly_once_while_others_come_and_go(servers: Servers, api: ServedApi) -> None:
    told = environment(servers.kafka_bootstrap_servers, servers.redis_url, SHOAL_PARTITIONS=str(PARTITIONS))
    stream = Stream(servers.kafka_bootstrap_servers, servers.redis_url, PARTITIONS)
    with evaluators(told) as make:
        worker = make().await_ready()
        condition = {"type": "user_property", "property": "plan", "operator": "eq", "value": "pro"}
        segment_id = computed(api, group(condition))
        stream.tenant = api.get(f"/api/segments/{segment_id}/")["tenant"]
        for number in range(STAY):
            stream.send(f"stays-{number}", "context_identified", {"plan": "pro"})
        stream.producer.flush(PATIENCE_S)
        path = f"/api/segments/{segment_id}/members/"
        wait_for(lambda: api.get(path + "?limit=1")["count"] == STAY, PATIENCE_S, "all are in")
        with Turning(stream) as turning:
            wait_for(lambda: turning.turns >= COME_AND_GO, PATIENCE_S, "they come and go")
            before, began_s = metric(worker, "shoal_evaluator_membership_changes_total"), time.monotonic()
            met = list(walked(api, path))
            took_s = time.monotonic() - began_s
            turned = metric(worker, "shoal_evaluator_membership_changes_total") - before
    stream.close()
    times = Counter(met)
    stayed = [times[f"stays-{number}"] for number in range(STAY)]
    passing = [count for user, count in times.items() if user.startswith("turns-")]
    print(f"{len(met):,} met on {-(-len(met) // LIMIT)} pages in {took_s:.1f} s, {turned / took_s:,.0f} turns a second")
    assert stayed == [1] * STAY
    assert max(passing) == 1
    assert 0 < len(passing) < COME_AND_GO
    assert turned > TURNS_A_SECOND * took_s / 2


def walked(api: ServedApi, path: str) -> Iterator[str]:
    """The users on all pages, in their order."""
    cursor = ""
    while cursor is not None:
        page = api.get(f"{path}?limit={LIMIT}" + (f"&cursor={cursor}" if cursor else ""))
        yield from (one["user_id"] for one in page["results"])
        cursor = page["next_cursor"]
