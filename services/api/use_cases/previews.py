"""Counting a definition's members in the history: exactly (preview) or by a sample of the users (estimate)."""

import time
from collections.abc import Mapping
from math import sqrt
from typing import Any, NamedTuple

from services.api.auth import Caller
from services.api.database import UnitOfWork
from services.api.definitions import GivenDefinition
from services.api.errors import Invalid
from services.api.history import Opened
from services.api.use_cases import references
from services.api.use_cases.segments import find
from shared.domain.condition import Definition
from shared.domain.condition import references as references_of
from shared.domain.definition import parse_definition
from shared.history.compile_sql import estimate_statement, preview_statement, readable
from shared.history.engine import fetch
from shared.history.explorer_sql import known_users_statement, newest_statement

SAMPLED_USERS = 20_000
_QUANTILE = 1.959963984540054
"""Of the normal distribution: 95 % lie within so many deviations."""


class Question(NamedTuple):
    """A definition of a tenant, with the active ones of the segments that it asks about, directly or by others."""

    tenant: int
    definition: Definition
    referenced: Mapping[int, Definition]


class Preview(NamedTuple):
    """The members at `as_of_us`, counted; `sql` is the statement that did."""

    matched_users: int
    sample_user_ids: list[str]
    sql: str
    as_of_us: int
    scanned_events: int
    elapsed_ms: float


class Estimate(NamedTuple):
    """The members at `as_of_us`, between `low` and `high` with 95 %. sample_rate: part of the users looked at."""

    estimated_users: int
    low: int
    high: int
    sample_rate: float
    as_of_us: int


async def of_given(work: UnitOfWork, caller: Caller, given: GivenDefinition) -> Question:
    """The question about a definition that a request gives. Raises Invalid with all its faults."""
    await references.check(work, caller.tenant, None, given.references, given.faults)
    return await _question(work, caller, given.raw)


async def of_segment(work: UnitOfWork, caller: Caller, segment_id: int) -> Question:
    """The question about the newest version of a segment. Raises NotFound, Invalid."""
    segment = await find(work, caller, segment_id)
    if segment.definition is None:
        raise Invalid({"definition": ["the segment has no definition"]})
    return await _question(work, caller, segment.definition)


async def _question(work: UnitOfWork, caller: Caller, raw: dict[str, Any]) -> Question:
    definition = parse_definition(raw)
    referenced: dict[int, Definition] = {}
    wanted = references_of(definition)
    while wanted:
        found = await work.segments.active_definitions(caller.tenant, wanted)
        new = {segment_id: parse_definition(each) for segment_id, each in found.items()}
        referenced |= new
        wanted = {other for each in new.values() for other in references_of(each)} - referenced.keys()
    return Question(caller.tenant, definition, referenced)


def preview(question: Question, opened: Opened, limit: int, asked_us: int | None) -> Preview:
    """Count the members, at the instant asked for or as late as is known. Raises Invalid for one in the future."""
    as_of_us = _as_of(opened, question.tenant, asked_us)
    statement = preview_statement(question.definition, question.tenant, as_of_us, question.referenced, limit)
    started_s = time.perf_counter()
    ((matched, sample, scanned),) = fetch(opened.cursor, statement)
    elapsed_ms = round((time.perf_counter() - started_s) * 1000, 1)
    return Preview(matched, sample, readable(statement), as_of_us, scanned, elapsed_ms)


def estimate(question: Question, opened: Opened) -> Estimate:
    """Count the members among some 20,000 users, or among all if there are not many more."""
    as_of_us = _as_of(opened, question.tenant, None)
    ((users,),) = fetch(opened.cursor, known_users_statement(question.tenant, as_of_us))
    one_in = max(1, users // SAMPLED_USERS)
    statement = estimate_statement(question.definition, question.tenant, as_of_us, question.referenced, one_in)
    ((matched, sampled),) = fetch(opened.cursor, statement)
    low, high = between(matched, sampled, users)
    estimated = round(users * matched / sampled) if sampled else 0
    return Estimate(estimated, low, high, round(sampled / users, 6) if users else 1.0, as_of_us)


def between(matched: int, sampled: int, users: int) -> tuple[int, int]:
    """How many of all users match, with 95 %, when `matched` of `sampled` do: the interval of Wilson.

    Exact when all were looked at. Never fewer than were found to match, nor more than were not found not to.
    """
    least, most = matched, users - (sampled - matched)
    if not 0 < sampled < users:
        return least, most
    share, square = matched / sampled, _QUANTILE**2 / sampled
    middle = share + square / 2
    half = _QUANTILE * sqrt(share * (1 - share) / sampled + square / sampled / 4)
    low, high = ((middle + side * half) / (1 + square) * users for side in (-1, 1))
    return max(least, int(low)), min(most, int(-(-high // 1)))


def _as_of(opened: Opened, tenant: int, asked_us: int | None) -> int:
    known = _known_until(opened, tenant)
    if asked_us is None:
        return known
    if asked_us > max(known, opened.now_us):
        raise Invalid({"as_of": ["must not be in the future"]})
    return min(asked_us, known)


def _known_until(opened: Opened, tenant: int) -> int:
    if opened.known_until_us is not None:
        return opened.known_until_us
    # without Kafka's word nothing is known after the tenant's newest event
    ((newest,),) = fetch(opened.cursor, newest_statement(tenant))
    return newest or 0
