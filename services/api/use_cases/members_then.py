"""The members of a segment at an instant of the past, by the changes that are archived."""

from typing import NamedTuple

import msgspec

from services.api.auth import Caller
from services.api.bodies import Receive
from services.api.cursors import cursor_of, read_cursor
from services.api.errors import Conflict, Invalid
from services.api.history import Opened
from services.api.instants import text_of_us, us_of
from services.api.member_pages import Member
from services.api.repository.segments import SegmentRow
from services.api.use_cases.segments import find
from services.api.wiring import Wiring
from shared.history.changes_sql import members_then_statement
from shared.history.engine import fetch
from shared.history.schema import CHANGES, LOST_UNTIL


class MembersThen(NamedTuple):
    """How many members there are in all; some of them, by their ids; and where the next begin, None at the end."""

    total: int
    members: list[Member]
    next_cursor: str | None


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    segment_id: int
    at_us: int
    user_id: str
    """The last one that was told."""


async def members_then(
    wiring: Wiring, caller: Caller, receive: Receive, segment_id: int, at_us: int, limit: int, cursor: str | None
) -> MembersThen:
    """Who was in the segment at an instant, exactly.

    `at_us`: microseconds since 1970; `cursor`: `next_cursor` of the answer before, or None. The question ends when the
    client leaves, which `receive` of the request tells.

    Raises:
        NotFound: there is no such segment of the caller.
        Invalid: the instant is in the future, or the cursor of something else.
        Conflict: changes of before were never archived, so that nobody knows.
        Unavailable: not all changes until then are archived yet.
    """
    async with wiring.database.begin(caller.tenant) as work:
        segment = await find(work, caller, segment_id)
    if at_us > wiring.clock.now_us():
        raise Invalid({"at": ["must not be in the future"]})
    after = None if cursor is None else _after(cursor, segment_id, at_us)
    _refuse_if_lost(segment, (await wiring.changes_known.until(at_us)).numbers.get(LOST_UNTIL, 0))
    statement = members_then_statement(caller.tenant, segment_id, at_us, after, limit + 1)

    def asked(opened: Opened) -> tuple[int, list[Member]]:
        ((total, found),) = fetch(opened.cursor, statement)
        return total, [Member(each["user_id"], each["since"]) for each in found]

    total, found = await wiring.history.ask("members", receive, asked, of=CHANGES)
    members = found[:limit]
    next_cursor = cursor_of(_Cursor(segment_id, at_us, members[-1].user_id)) if len(found) > limit else None
    return MembersThen(total, members, next_cursor)


def _refuse_if_lost(segment: SegmentRow, lost_until_us: int) -> None:
    if us_of(segment.created_at) <= lost_until_us:
        raise Conflict(
            f"not all changes of before {text_of_us(lost_until_us)} are archived: who was in a segment that is older "
            "than that is not known"
        )


def _after(text: str, segment_id: int, at_us: int) -> str:
    cursor = read_cursor(text, _Cursor)
    if (cursor.segment_id, cursor.at_us) != (segment_id, at_us):
        raise Invalid({"cursor": ["is of another segment or another time"]})
    return cursor.user_id
