"""Who is a member at an instant: by packed values as lookups say it, and by changes as the log says it."""

from hypothesis import given
from hypothesis import strategies as st

from services.api.membership import entered_at, membership_at
from services.exporter.exports.later_changes import memberships_at
from services.exporter.exports.rows import members_at, rows_of, without
from shared.contracts.change import Change
from shared.contracts.redis_keys import COMING, NEVER, SOFT, MembershipRecord, pack_records

INSTANTS = st.integers(1, 60)
SEGMENT = 5


@st.composite
def _values(draw: st.DrawFn) -> bytes | None:
    records = []
    for segment_id in sorted(draw(st.sets(st.integers(3, 7), max_size=4))):
        flags = draw(st.sampled_from((0, SOFT, COMING)))
        entered = 0 if flags & COMING else draw(INSTANTS)
        records.append(MembershipRecord(segment_id, entered, draw(st.one_of(INSTANTS, st.just(NEVER))), flags))
    return draw(st.sampled_from((pack_records(records), None)))


@given(st.lists(_values(), min_size=1, max_size=8), INSTANTS)
def test_packed_values_are_read_as_lookups_read_them(values: list[bytes | None], as_of: int) -> None:
    """But for those who entered later: a lookup asks about now, when nobody has."""
    names = [f"user-{number}" for number in range(len(values))]
    rows = members_at([name.encode() for name in names], values, SEGMENT, as_of)
    expected = {
        name: began
        for name, value in zip(names, values, strict=True)
        if value is not None
        and membership_at(value, as_of, {SEGMENT}).segment_ids
        and (began := entered_at(value)[SEGMENT]) <= as_of
    }
    found = zip(rows["user_id"].to_pylist(), rows["computed_at"].cast("int64").to_pylist(), strict=True)
    assert dict(found) == expected


@given(st.lists(INSTANTS, unique=True, max_size=8).map(sorted), INSTANTS, st.data())
def test_changes_tell_the_membership_at_an_instant(instants: list[int], as_of: int, data: st.DataObject) -> None:
    """Of some of those up to it and all later ones, with repeats, in any order."""
    changes = []
    for sequence, at in enumerate(instants, 1):
        change, began = ("entered", at) if sequence % 2 else ("exited", instants[sequence - 2])
        changes.append(Change("", 1, SEGMENT, 1, "ann", change, at, "event", 1, sequence, began))  # type: ignore[arg-type]
    passed = [change for change in changes if change.at_us <= as_of]
    shown = changes[data.draw(st.integers(0, len(passed))) :]
    read = data.draw(st.permutations(shown + data.draw(st.lists(st.sampled_from(shown))) if shown else []))
    entered = passed[-1].at_us if passed and passed[-1].change == "entered" else None
    assert memberships_at(read, as_of) == ({"ann": entered} if shown else {})


def test_an_exit_that_does_not_say_when_it_began_was_there_at_the_instant() -> None:
    exit_ = Change("", 1, SEGMENT, 1, "ann", "exited", 70, "time", 1, 2)
    assert memberships_at([exit_], 50) == {"ann": 50}


def test_rows_of_some_users_are_taken_out() -> None:
    rows = rows_of({"ann": 1, "bob": 2, "cid": 3})
    left = without(rows, rows_of({"bob": 9, "eve": 9})["user_id"])
    assert left.to_pydict()["user_id"] == ["ann", "cid"]
