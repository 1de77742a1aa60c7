"""Reading a definition from JSON values, with every fault named, and its identity."""

import hashlib
import json
from typing import Any, cast

import msgspec

from shared.domain.comparison import COUNT_OPERATORS, RECENCY_OPERATORS, CountOperator, RecencyOperator
from shared.domain.condition import (
    LOGICS,
    MEMBERSHIP_OPERATORS,
    METRICS,
    Condition,
    Definition,
    EventCount,
    EventProperty,
    EventSequence,
    Filter,
    Filters,
    Group,
    Item,
    Logic,
    MembershipOperator,
    Metric,
    Monetary,
    Recency,
    SegmentMembership,
    Step,
    UserProperty,
)
from shared.domain.errors import Fault, InvalidDefinition
from shared.domain.numbers import MICRO
from shared.domain.reader import Reader
from shared.domain.value_reader import read_test
from shared.domain.window import UNITS_US

MAX_ITEMS = 100
MAX_DEPTH = 5
MAX_CONDITIONS = 200
MIN_STEPS, MAX_STEPS = 2, 10

__all__ = ["MAX_CONDITIONS", "MAX_DEPTH", "MAX_ITEMS", "Definition", "fingerprint", "parse_definition"]


def parse_definition(raw: object) -> Definition:
    """The tree of a definition.

    Args:
        raw: the decoded JSON of a definition.

    Raises:
        InvalidDefinition: with all faults, each with its JSON path and what would be right.
    """
    parser = _Parser()
    definition = parser.group(raw, "$", depth=1)
    if parser.conditions > MAX_CONDITIONS:
        message = f"at most {MAX_CONDITIONS} conditions in all, here are {parser.conditions}"
        parser.faults.insert(0, Fault("$", message))
    if parser.faults or definition is None:
        raise InvalidDefinition(parser.faults)
    return definition


def fingerprint(definition: Definition) -> str:
    """Content identity: equal for definitions that say the same, however their JSON is written. 32 hex digits."""
    # json, not msgspec: it writes integers of any size
    canonical = json.dumps(_without_no_filters(msgspec.to_builtins(definition)), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def _without_no_filters(item: Any) -> Any:
    """What said the same before there were filters is written as it was."""
    if isinstance(item, dict):
        return {key: _without_no_filters(part) for key, part in item.items() if (key, part) != ("filters", ())}
    return [_without_no_filters(part) for part in item] if isinstance(item, list | tuple) else item


class _Parser:
    """Walks the JSON once and gathers faults; a part with a fault yields None and the walk goes on."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.conditions = 0

    def item(self, raw: object, path: str, depth: int) -> Item | None:
        if isinstance(raw, dict) and "type" not in raw and ("logic" in raw or "conditions" in raw):
            return self.group(raw, path, depth)
        self.conditions += 1
        return self.condition(raw, path)

    def group(self, raw: object, path: str, depth: int) -> Group | None:
        if not isinstance(raw, dict):
            self.faults.append(Fault(path, 'must be an object {"logic": "AND" | "OR", "conditions": [...]}'))
            return None
        if depth > MAX_DEPTH:
            self.faults.append(Fault(path, f"groups nest to depth {MAX_DEPTH} at most"))
            return None
        reader = Reader(raw, path, self.faults)
        logic = reader.choice("logic", LOGICS)
        items = self._items(reader, depth)
        negate = reader.flag("negate")
        reader.refuse_unknown("a group has logic, conditions, negate")
        if reader.failed or any(item is None for item in items):
            return None
        return Group(cast(Logic, logic), cast("tuple[Item, ...]", items), negate)

    def _items(self, reader: Reader, depth: int) -> tuple[Item | None, ...]:
        raw, path = reader.items("conditions", 1, MAX_ITEMS, "conditions or groups"), f"{reader.path}.conditions"
        return tuple(self.item(child, f"{path}[{index}]", depth + 1) for index, child in enumerate(raw))

    def condition(self, raw: object, path: str) -> Condition | None:
        if not isinstance(raw, dict):
            self.faults.append(Fault(path, "must be an object: a condition with a type, or a group with a logic"))
            return None
        reader = Reader(raw, path, self.faults)
        kind = reader.choice("type", tuple(_CONDITIONS))
        if kind is None:
            return None
        read, keys = _CONDITIONS[kind]
        condition = read(reader)
        reader.refuse_unknown(f"{kind} has {keys}")
        return None if reader.failed else condition


def _event_count(reader: Reader) -> Condition | None:
    event_type = reader.event_type()
    operator = reader.choice("operator", COUNT_OPERATORS)
    micro = reader.number("value", "an integer >= 0")
    if micro is not None and (micro < 0 or micro % MICRO):
        reader.fault("value", "must be an integer >= 0")
    window = reader.window(required=False)
    negate, filters = reader.flag("negate"), _filters(reader)
    if reader.failed:
        return None
    length = None if window is None else window[0]
    return EventCount(event_type, cast(CountOperator, operator), cast(int, micro) // MICRO, length, negate, filters)


def _recency(reader: Reader) -> Condition | None:
    event_type = reader.event_type()
    operator = reader.choice("operator", RECENCY_OPERATORS)
    window = reader.window(required=True)
    negate, filters = reader.flag("negate"), _filters(reader)
    if reader.failed or window is None:
        return None
    return Recency(event_type, cast(RecencyOperator, operator), *window, negate, filters)


def _monetary(reader: Reader) -> Condition | None:
    event_type = reader.event_type()
    name = reader.property()
    metric = reader.choice("metric", METRICS)
    operator = reader.choice("operator", COUNT_OPERATORS)
    micro = reader.number("value", "a number")
    window = reader.window(required=False)
    negate, filters = reader.flag("negate"), _filters(reader)
    if reader.failed:
        return None
    length = None if window is None else window[0]
    return Monetary(
        event_type, name, cast(Metric, metric), cast(CountOperator, operator), cast(int, micro), length, negate, filters
    )


def _event_property(reader: Reader) -> Condition | None:
    event_type = reader.event_type()
    name = reader.property()
    test = read_test(reader)
    negate = reader.flag("negate")
    return None if test is None or reader.failed else EventProperty(event_type, name, test, negate)


def _user_property(reader: Reader) -> Condition | None:
    name = reader.property()
    test = read_test(reader)
    negate = reader.flag("negate")
    return None if test is None or reader.failed else UserProperty(name, test, negate)


def _event_sequence(reader: Reader) -> Condition | None:
    raw = reader.items("events", MIN_STEPS, MAX_STEPS, "events")
    steps = [_step(reader, item, f"events[{index}]") for index, item in enumerate(raw)]
    window = reader.window(required=True)
    strict, negate = reader.flag("strict"), reader.flag("negate")
    if reader.failed or window is None:
        return None
    return EventSequence(tuple(cast("list[Step]", steps)), window[0], strict, negate)


def _step(sequence: Reader, raw: object, key: str) -> Step | None:
    if isinstance(raw, str):
        return Step(sequence.checked_event_type(key, raw))
    reader = sequence.child(raw, key, 'an event type or {"event_type": ..., "filters": [...]}')
    if reader is None:
        return None
    step = Step(reader.event_type(), _filters(reader))
    reader.refuse_unknown("a step has event_type, filters")
    return step


def _filters(reader: Reader) -> Filters:
    if "filters" not in reader.raw:
        return ()
    raw = reader.items("filters", 1, MAX_ITEMS, "filters")
    return tuple(filter(None, (_filter(reader, item, f"filters[{index}]") for index, item in enumerate(raw))))


def _filter(condition: Reader, raw: object, key: str) -> Filter | None:
    reader = condition.child(raw, key, 'an object {"property": ..., "operator": ..., "value": ...}')
    if reader is None:
        return None
    name, test = reader.property(), read_test(reader)
    reader.refuse_unknown("a filter has property, operator, value")
    return None if test is None else Filter(name, test)


def _segment_membership(reader: Reader) -> Condition | None:
    expected = "the id of a segment"
    segment_id = reader.take("segment_id", expected)
    if segment_id is not None and (type(segment_id) is not int or not 0 < segment_id < 1 << 63):
        reader.fault("segment_id", f"must be {expected}")
    operator = reader.choice("operator", MEMBERSHIP_OPERATORS)
    negate = reader.flag("negate")
    if reader.failed:
        return None
    return SegmentMembership(segment_id, cast(MembershipOperator, operator), negate)


_WINDOWS = f"one of {', '.join(UNITS_US)}"
_CONDITIONS: dict[str, tuple[Any, str]] = {
    "event_count": (_event_count, f"type, event_type, operator, value, {_WINDOWS}, filters, negate"),
    "recency": (_recency, f"type, event_type, operator, {_WINDOWS}, filters, negate"),
    "monetary": (_monetary, f"type, event_type, property, metric, operator, value, {_WINDOWS}, filters, negate"),
    "event_property": (_event_property, "type, event_type, property, operator, value, negate"),
    "user_property": (_user_property, "type, property, operator, value, negate"),
    "event_sequence": (_event_sequence, f"type, events, {_WINDOWS}, strict, negate"),
    "segment_membership": (_segment_membership, "type, segment_id, operator, negate"),
}
