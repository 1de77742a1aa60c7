"""Lookups: GET /api/segments/membership/ and POST /api/segments/membership/batch/."""

from collections.abc import Container
from typing import Annotated, Any

import msgspec

from services.api.applied_offsets import AppliedOffsets
from services.api.errors import BadRequest, Invalid
from services.api.hot.handler import HotRequest
from services.api.hot.query import parse_query
from services.api.instants import text_of_us
from services.api.live_segments import LiveSegments
from services.api.membership import membership_at
from services.api.membership_reader import MembershipReader
from services.api.positions import parse_position
from shared.runtime.clock import Clock

MAX_USER_ID_CHARS = 256
MAX_USERS = 1000
MAX_SEGMENTS = 1000
_MAX_ID = (1 << 63) - 1

_UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_USER_ID_CHARS)]
_SegmentId = Annotated[int, msgspec.Meta(ge=1, le=_MAX_ID)]


class LookupBatch(msgspec.Struct):
    """Whose memberships are asked for, in which segments (none: in all), and after which events."""

    user_ids: Annotated[list[_UserId], msgspec.Meta(min_length=1, max_length=MAX_USERS)]
    segment_ids: Annotated[list[_SegmentId], msgspec.Meta(max_length=MAX_SEGMENTS)] | None = None
    after: str | None = None


_decode_batch = msgspec.json.Decoder(LookupBatch).decode


class Lookups:
    """Answers which segments users are in, now."""

    def __init__(self, reader: MembershipReader, applied: AppliedOffsets, live: LiveSegments, clock: Clock) -> None:
        self._reader, self._applied, self._live, self._clock = reader, applied, live, clock

    async def one(self, request: HotRequest) -> tuple[int, bytes]:
        """One user's segments."""
        query = parse_query(request.scope["query_string"], ("user_id", "segment_id", "after"))
        user_id, after = _one_user(query["user_id"]), _one_position(query["after"])
        segment_ids = [_segment_id(text) for text in query["segment_id"]]
        tenant = request.caller.tenant
        # the position first, then the value, or else the value could be older than it
        fresh = None if after is None else await self._is_fresh(tenant, after, [user_id])
        live = self._live.cached(tenant)
        if live is None:
            live = await self._live.of(tenant)
        clock, (value,) = await self._reader.one(tenant, user_id)
        now = max(self._clock.now_us(), clock)
        found = membership_at(value, now, _asked(live, segment_ids))
        answer: dict[str, Any] = {
            "user_id": user_id,
            "segment_ids": found.segment_ids,
            "cached": True,
            "as_of": text_of_us(now),
            "next_change_at": None if found.next_change_at is None else text_of_us(found.next_change_at),
        }
        if found.stale:
            answer["stale"] = True
        if fresh is not None:
            answer["fresh"] = fresh
        return 200, msgspec.json.encode(answer)

    async def many(self, request: HotRequest) -> tuple[int, bytes]:
        """Up to a thousand users' segments, all at one instant."""
        asked = _batch(await request.body())
        tenant = request.caller.tenant
        fresh = None if asked.after is None else await self._is_fresh(tenant, asked.after, asked.user_ids)
        live = await self._live.of(tenant)
        clock, values = await self._reader.many(tenant, asked.user_ids)
        now = max(self._clock.now_us(), clock)
        segments = _asked(live, asked.segment_ids or [])
        results = []
        for user_id, value in zip(asked.user_ids, values, strict=True):
            found = membership_at(value, now, segments)
            result: dict[str, Any] = {"user_id": user_id, "segment_ids": found.segment_ids}
            if found.stale:
                result["stale"] = True
            results.append(result)
        answer: dict[str, Any] = {"results": results, "as_of": text_of_us(now)}
        if fresh is not None:
            answer["fresh"] = fresh
        return 200, msgspec.json.encode(answer)

    async def _is_fresh(self, tenant: int, after: str, user_ids: list[str]) -> bool:
        """Whether the store shows what was stored at a position and is about one of these users, after a wait."""
        position = parse_position("after", after)
        return await self._applied.reached(position, {self._reader.partition(tenant, user) for user in user_ids})


def _asked(live: frozenset[int], segment_ids: list[int]) -> Container[int]:
    return live.intersection(segment_ids) if segment_ids else live


def _one_user(given: list[str]) -> str:
    if not given or not given[0]:
        raise Invalid({"user_id": ["this parameter is missing"]})
    if len(given) > 1:
        raise Invalid({"user_id": ["give this parameter once only"]})
    if len(given[0]) > MAX_USER_ID_CHARS or "\0" in given[0]:
        raise Invalid({"user_id": [f"must have 1 to {MAX_USER_ID_CHARS} characters, none of them U+0000"]})
    return given[0]


def _one_position(given: list[str]) -> str | None:
    if len(given) > 1:
        raise Invalid({"after": ["give this parameter once only"]})
    return given[0] if given else None


def _segment_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_ID)) and 1 <= int(text) <= _MAX_ID):
        raise Invalid({"segment_id": ["must be the integer id of a segment"]})
    return int(text)


def _batch(body: bytes) -> LookupBatch:
    try:
        asked = _decode_batch(body)
    except msgspec.ValidationError as error:
        message = str(error)
        field = next((name for name in ("segment_ids", "after") if f"$.{name}" in message), "user_ids")
        raise Invalid({field: [message]}) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    if any("\0" in user_id for user_id in asked.user_ids):
        raise Invalid({"user_ids": ["no user id contains U+0000"]})
    return asked
