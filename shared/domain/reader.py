"""Reading one JSON object of a definition: each key once, with its type, and every fault noted."""

from typing import Any

from shared.domain.errors import Fault
from shared.domain.numbers import to_micro_units
from shared.domain.window import UNITS_US, window_us

MAX_EVENT_TYPE = 128

EVENT_TYPE = f"a string of 1 to {MAX_EVENT_TYPE} characters"

_ABSENT = object()


def is_storable(text: str) -> bool:
    """Whether every store can hold the text: no U+0000, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


class Reader:
    """The keys of one object. A value at fault reads as None (text: as ""), and `failed` turns true."""

    def __init__(self, raw: dict[Any, Any], path: str, faults: list[Fault], parent: "Reader | None" = None) -> None:
        self.raw = raw
        self.path = path
        self.failed = False
        self._faults, self._parent = faults, parent
        self._known: set[str] = set()

    def fault(self, key: str, message: str) -> None:
        """Note a fault of a key."""
        self._fail()
        self._faults.append(Fault(f"{self.path}.{key}", message))

    def _fail(self) -> None:
        self.failed = True
        if self._parent is not None:
            self._parent._fail()  # noqa: SLF001 - one of us

    def take(self, key: str, expected: str, *, required: bool = True) -> Any:
        """The value of a key; None with a fault when it is null, or missing though required."""
        self._known.add(key)
        value = self.raw.get(key, _ABSENT)
        if value is _ABSENT:
            if required:
                self.fault(key, f"is missing: {expected}")
            return None
        if value is None:
            self.fault(key, f"must not be null: {expected}")
        return value

    def choice(self, key: str, accepted: tuple[str, ...]) -> str | None:
        """One of a closed list of words."""
        expected = f"one of {', '.join(accepted)}"
        value = self.take(key, expected)
        if value is None:
            return None
        if not isinstance(value, str) or value not in accepted:
            self.fault(key, f"must be {expected}")
            return None
        return value

    def text(self, key: str, expected: str) -> str:
        """A string that every store can hold: not empty, no U+0000, no lone surrogate."""
        value = self.take(key, expected)
        return "" if value is None else self.checked_text(key, value, expected)

    def checked_text(self, key: str, value: object, expected: str) -> str:
        """The value of `key` as such a string."""
        if not isinstance(value, str) or not value:
            self.fault(key, f"must be {expected}")
            return ""
        if not is_storable(value):
            self.fault(key, "must not hold U+0000 or a lone surrogate")
            return ""
        return value

    def event_type(self) -> str:
        """The required `event_type`."""
        value = self.take("event_type", EVENT_TYPE)
        return "" if value is None else self.checked_event_type("event_type", value)

    def checked_event_type(self, key: str, value: object) -> str:
        """The value of `key` as an event type."""
        text = self.checked_text(key, value, EVENT_TYPE)
        if len(text) > MAX_EVENT_TYPE:
            self.fault(key, f"must be {EVENT_TYPE}")
        return text

    def property(self) -> str:
        """The required `property`: a name or a dotted path."""
        value = self.text("property", "the name of a property, or a path such as address.city")
        if value and not all(value.split(".")):
            self.fault("property", "no part of a dotted path may be empty")
        return value

    def number(self, key: str, expected: str, *, required: bool = True) -> int | None:
        """A JSON number below 1e15, in micro-units. A boolean is no number."""
        value = self.take(key, expected, required=required)
        if value is None:
            return None
        if type(value) not in (int, float):
            self.fault(key, f"must be {expected}")
            return None
        micro = to_micro_units(value)
        if micro is None:
            self.fault(key, f"must be {expected} below 1e15")
        return micro

    def items(self, key: str, least: int, most: int, of: str) -> list[Any]:
        """A required list of so many items; empty with a fault."""
        expected = f"a list of {least} to {most} {of}"
        value = self.take(key, expected)
        if value is None:
            return []
        if not isinstance(value, list):
            self.fault(key, f"must be {expected}")
            return []
        if not least <= len(value) <= most:
            self.fault(key, f"must hold {least} to {most} {of}, here are {len(value)}")
        return value[:most]

    def child(self, raw: object, key: str, expected: str) -> "Reader | None":
        """A reader of an object within this one, at `key`; its faults count as this one's."""
        if not isinstance(raw, dict):
            self.fault(key, f"must be {expected}")
            return None
        return Reader(raw, f"{self.path}.{key}", self._faults, self)

    def flag(self, key: str) -> bool:
        """An optional boolean, false when absent."""
        value = self.take(key, "true or false", required=False)
        if value is None:
            return False
        if not isinstance(value, bool):
            self.fault(key, "must be true or false")
            return False
        return value

    def window(self, *, required: bool) -> tuple[int, int] | None:
        """The window in microseconds and its unit, of the one window key given."""
        given = [key for key in UNITS_US if key in self.raw]
        self._known.update(UNITS_US)
        if not given:
            if required:
                self.fault("window_days", f"is missing: a window, one of {', '.join(UNITS_US)}")
            return None
        for extra in given[1:]:
            self.fault(extra, f"only one window may be given, and {given[0]} is")
        windows = [self._window_of(key) for key in given]
        return windows[0]

    def _window_of(self, key: str) -> tuple[int, int] | None:
        expected = "a number > 0, at most 3650 days"
        if self.number(key, expected) is None:
            return None
        length = window_us(self.raw[key], UNITS_US[key])
        if length is None:
            self.fault(key, f"must be {expected}")
            return None
        return length, UNITS_US[key]

    def refuse_unknown(self, accepted: str) -> None:
        """Note a fault for every key that nothing has asked for."""
        for key in self.raw:
            if key not in self._known:
                self.fault(str(key), f"unknown key: {accepted}")
