"""What is stored of the audit, and which segments it finds settled."""

from typing import Literal

from services.api.repository.audits import KEPT_MISMATCHES, Counts, Mismatch, SegmentState
from shared.contracts.progress import Progress
from tests.support.evaluators import wait_for
from tests.support.served_api import PARTITIONS, PATIENCE_S, ServedApi, report
from tests.support.servers import Servers

AUDIT = "/api/analytics/audit/"
ONCE = {
    "logic": "AND",
    "conditions": [{"type": "event_count", "event_type": "order", "operator": "gte", "value": 1}],
}


def states(api: ServedApi, tenant: int) -> dict[int, SegmentState]:
    """What the audit finds of the tenant's segments."""

    async def found() -> dict[int, SegmentState]:
        async with api.wiring.database.begin_for_all() as work:
            return await work.audits.states(tenant, PARTITIONS)

    return api.do(found)


def add(api: ServedApi, tenant: int, counts: Counts, mismatches: list[Mismatch]) -> None:
    """Store a round."""

    async def added() -> None:
        async with api.wiring.database.begin_for_all() as work:
            await work.audits.add(tenant, counts, mismatches)

    api.do(added)


def test_before_the_first_round_there_is_nothing(api: ServedApi) -> None:
    assert api.get(AUDIT) == {
        "checked": 0,
        "mismatches": 0,
        "rate": 0.0,
        "since": None,
        "rounds": 0,
        "skipped": 0,
        "last_round_at": None,
        "latest": [],
    }


def test_rounds_add_up_and_the_latest_mismatches_are_kept(api: ServedApi) -> None:
    segment = api.segment(ONCE)
    count = KEPT_MISMATCHES - 10

    def mismatches(first: int) -> list[Mismatch]:
        ids = range(first, first + count)
        return [Mismatch(f"user-{n}", segment["id"], 1, True, False, 1_790_000_000_000_000, "log", 2, n) for n in ids]

    for first in (0, count):
        add(api, segment["tenant"], Counts(1_000, 3, count), mismatches(first))
    found = api.get(AUDIT)
    latest = found.pop("latest")
    assert found.pop("since") < found.pop("last_round_at")
    assert found == {"checked": 2_000, "mismatches": 2 * count, "rate": count / 1_000, "rounds": 2, "skipped": 6}
    assert [each["next_offset"] for each in latest] == [2 * count - 1 - n for n in range(KEPT_MISMATCHES)]
    assert latest[0].pop("found_at") > "2020"
    assert latest[0] == {
        "user_id": f"user-{2 * count - 1}",
        "segment_id": segment["id"],
        "version": 1,
        "live": True,
        "by_history": False,
        "as_of": "2026-09-21T14:13:20Z",
        "log_epoch": "log",
        "partition": 2,
        "next_offset": 2 * count - 1,
    }


def test_a_segment_is_settled_when_every_partition_has_followed_the_last_wish(servers: Servers, api: ServedApi) -> None:
    segment = api.segment(ONCE)
    tenant, segment_id = segment["tenant"], segment["id"]
    assert states(api, tenant)[segment_id] == SegmentState(None, None, is_settled=True)

    def follow(status: Literal["ready", "switched"], partitions: range) -> int:
        """Report on the last wish."""
        wish = states(api, tenant)[segment_id].wish_id
        assert wish is not None
        report(servers, *(Progress("segment", segment_id, wish, status, 1, partition) for partition in partitions))
        return wish

    def state(wanted: SegmentState) -> None:
        wait_for(lambda: states(api, tenant)[segment_id] == wanted, PATIENCE_S, f"the segment is {wanted}")

    assert api.client.post(f"/api/segments/{segment_id}/compute/").status_code == 202
    gather = follow("ready", range(PARTITIONS))
    wait_for(lambda: states(api, tenant)[segment_id].wish_id != gather, PATIENCE_S, "the switch is wished")
    switch = follow("switched", range(PARTITIONS - 1))
    state(SegmentState(1, switch, is_settled=False))
    follow("switched", range(PARTITIONS - 1, PARTITIONS))
    state(SegmentState(1, switch, is_settled=True))
    assert api.client.patch(f"/api/segments/{segment_id}/", json={"is_active": False}).status_code == 200
    end = follow("switched", range(1))
    assert states(api, tenant)[segment_id] == SegmentState(None, end, is_settled=False)
    follow("switched", range(1, PARTITIONS))
    state(SegmentState(None, end, is_settled=True))
    assert api.client.delete(f"/api/segments/{segment_id}/").status_code == 204
    assert segment_id not in states(api, tenant)
