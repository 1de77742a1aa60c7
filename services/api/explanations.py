"""Explanations as the public API writes them: what a definition says, beside what its owner found."""

from collections.abc import Mapping
from typing import Any

from services.api.instants import text_of_us
from shared.contracts.question import Explained
from shared.domain.condition import Definition
from shared.domain.evidence import Evidence, KeptEvents
from shared.domain.explanation import FoundCondition
from shared.domain.written import WrittenCondition, written


def rows_of(said: Explained, definition: Definition, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """One row a condition; `definition` is that of the version explained, `names` of the segments it refers to."""
    both = zip(written(definition, names), said.conditions, strict=True)
    return [_row(index, condition, found) for index, (condition, found) in enumerate(both)]


def verbose_of(said: Explained, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole explanation around its rows."""
    return {
        "member": said.member,
        "known": said.known,
        "version": said.version,
        "as_of": text_of_us(said.as_of),
        "next_change_at": _instant(said.next_change_at),
        "conditions": rows,
        "evidence": [_evidence(index, each) for index, each in enumerate(said.evidence)],
    }


def _row(index: int, condition: WrittenCondition, found: FoundCondition) -> dict[str, Any]:
    is_time = condition.type == "recency"
    return {
        "index": index,
        "type": condition.type,
        "label": condition.label,
        "actual_value": _instant(found.actual_value) if is_time else found.actual_value,
        "threshold": condition.threshold,
        "matches": found.matches,
        "path": condition.path,
        "next_change_at": _instant(found.next_change_at),
        "at_least": found.at_least,
    }


def _evidence(index: int, evidence: Evidence) -> dict[str, Any]:
    return {
        "index": index,
        "events": [_kept(each) for each in evidence.events],
        "kept": evidence.kept,
        "approximate": evidence.approximate is not None,
        "reason": evidence.approximate,
    }


def _kept(kept: KeptEvents) -> dict[str, Any]:
    return {
        "occurred_at": text_of_us(kept.occurred_at),
        "count": kept.count,
        "value": kept.value,
        "steps": kept.steps,
    }


def _instant(instant_us: int | None) -> str | None:
    return None if instant_us is None else text_of_us(instant_us)
