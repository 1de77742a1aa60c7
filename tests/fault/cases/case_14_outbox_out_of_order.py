"""Case 14: wishes are committed out of the order of their numbers: both are sent, and those of one segment in order.

A transaction takes a number and waits; another one takes the next number, commits and is sent; a third wants the
segment of the first.
"""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from services.api.auth import Caller
from services.api.database import Database
from services.api.use_cases.segments import SegmentChange, change
from tests.fault.check import Verdict, check
from tests.fault.definitions import DEFINITIONS
from tests.fault.registry import case
from tests.fault.wishes import await_sent, rows, sent_wishes, stored_wishes, wrong_wishes
from tests.fault.world import World
from tests.support.evaluators import wait_for
from tests.support.stream import TENANT

ROUNDS, ROUNDS_IN_BRIEF = 4, 2
SEGMENTS = 6
COMPUTED_S = 90
_WAITING_S = 4
"""Less than the api lets a statement wait."""


@case(14, "wishes are committed out of the order of their numbers")
def commit_out_of_order(world: World) -> Verdict:
    world.new_evaluator().await_ready()
    world.new_exporter().await_ready()
    world.activate(DEFINITIONS[:SEGMENTS])
    world.load()
    overtaken: list[int] = []
    for _ in range(ROUNDS_IN_BRIEF if world.brief else ROUNDS):
        late, early = world.random.sample(list(world.segments), 2)
        overtaken.append(asyncio.run(_overtake(world, late, early)))
        _compute(world, (late, early))
    world.await_recovery()
    found = [*wrong_wishes(world), *_wrong_order(world, overtaken)]
    return check(world).besides(*found, note=f"{len(overtaken)} wishes overtaken")


async def _overtake(world: World, late: int, early: int) -> int:
    """Deactivate `late`, and meanwhile `early`; let a call for `late` wait for it. The number of the wish overtaken."""
    database, caller = Database(world.addresses.database_url), Caller(TENANT, "demo", "case 14")
    with ThreadPoolExecutor(1) as pool:
        async with database.begin_for_all() as work:
            await change(work, caller, late, SegmentChange(is_active=False))
            overtaken = (await work.segments.get(TENANT, late)).wish_id  # type: ignore[union-attr] # it is there
            await asyncio.to_thread(_patch, world, early, is_active=False)
            await asyncio.to_thread(await_sent, world)
            waiting = pool.submit(_patch, world, late, is_active=True)
            await asyncio.to_thread(_await_waiting, world)
        await asyncio.wrap_future(waiting)
    await database.close()
    assert overtaken is not None
    return overtaken


def _await_waiting(world: World) -> None:
    """Wait until a transaction waits for another one."""
    ask = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    wait_for(lambda: rows(world, ask), _WAITING_S, "a call waits for the segment")


def _patch(world: World, segment_id: int, *, is_active: bool) -> None:
    with world.api.client() as client:
        answer = client.patch(f"/api/segments/{segment_id}/", json={"is_active": is_active})
        assert answer.status_code == 200, answer.text


def _compute(world: World, segment_ids: Sequence[int]) -> None:
    """Let them be active again."""
    with world.api.client() as client:
        for segment_id in segment_ids:
            _patch(world, segment_id, is_active=True)
            assert client.post(f"/api/segments/{segment_id}/compute/").status_code == 202
        for segment_id in segment_ids:
            world.api.await_computed(client, segment_id, COMPUTED_S)


def _wrong_order(world: World, overtaken: Sequence[int]) -> Iterator[str]:
    """The log has the wishes of each segment in order, and those overtaken really were."""
    sent, _ = sent_wishes(world, stored_wishes(world))
    for partition, segments in sent.items():
        for segment_id, numbers in segments.items():
            if any(later < earlier for earlier, later in itertools.pairwise(dict.fromkeys(numbers))):
                yield f"segment {segment_id} in partition {partition}: wishes {numbers}"
    for number in overtaken:
        asked = f"select o.id from outbox o, outbox l where l.id = {number} and o.id > l.id and o.sent_at < l.sent_at"
        if not rows(world, asked):
            yield f"wish {number} was not overtaken: the case did nothing"
