"""Dead letters as a person handles them: what one says, which are chosen, whether one can be sent again. No I/O."""

import heapq
import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, Self

import msgspec

from shared.contracts.dead_letter import DeadLetterOrigin, read_dead_letter_headers
from shared.contracts.topics import EVENTS, EXPORT_REQUESTS

TARGETS = (EVENTS, EXPORT_REQUESTS)
"""The topics that others write and we read with dead letters: only to these is anything sent again."""

_PLACE = re.compile(r"(\d+):(\d+)", re.ASCII)
_NUMBER = re.compile(r"\d+")


class Place(NamedTuple):
    """Where a dead letter lies in its topic."""

    partition: int
    offset: int

    @classmethod
    def read(cls, text: str) -> Self:
        """The place that `str` wrote. Raises ValueError for any other text."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no <partition>:<offset>")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        """`<partition>:<offset>`."""
        return f"{self.partition}:{self.offset}"


class Letter(msgspec.Struct, frozen=True):
    """One dead letter; of its value only the first bytes, and how many it has (both None when there is none).

    `origin` is the text of what is wrong when the headers are not ours. `at_ms`: when it was set aside.
    """

    place: Place
    at_ms: int
    origin: DeadLetterOrigin | str
    key: bytes | None
    head: bytes | None
    value_bytes: int | None

    @property
    def reason(self) -> str:
        """Why it was set aside, as far as it says."""
        return self.origin if isinstance(self.origin, str) else self.origin.reason

    @property
    def source_topic(self) -> str:
        """The topic it came from; empty when it does not say."""
        return "" if isinstance(self.origin, str) else self.origin.source_topic

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be sent again; None when it can."""
        if isinstance(self.origin, str):
            return self.origin
        if self.source_topic not in TARGETS:
            return f"it came from topic {self.source_topic}; only {' and '.join(TARGETS)} take letters again"
        return "it has no value" if self.value_bytes is None else None


def origin_of(headers: Iterable[tuple[str, object]]) -> DeadLetterOrigin | str:
    """What the headers of a message say; the text of what is wrong when they are not those of a dead letter."""
    try:
        return read_dead_letter_headers([(name, value) for name, value in headers if isinstance(value, bytes)])
    except ValueError as fault:
        return f"not written by this system: {fault}"


class Choice(msgspec.Struct, frozen=True):
    """Which dead letters are meant; what is not given does not narrow. `limit`: only so many of the newest.

    `reason` is a part of the text, in any case. `since_ms` is inclusive.
    """

    places: frozenset[Place] = frozenset()
    reason: str = ""
    source_topic: str | None = None
    since_ms: int = 0
    limit: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether it is one of them, the limit aside."""
        return (
            (not self.places or letter.place in self.places)
            and self.reason.casefold() in letter.reason.casefold()
            and self.source_topic in (None, letter.source_topic)
            and letter.at_ms >= self.since_ms
        )


class Chosen:
    """Gathers the letters of a choice: the newest up to its limit, and how many there are by reason."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._newest: list[tuple[int, Place, Letter]] = []
        self._places: set[Place] = set()
        self.by_reason: Counter[str] = Counter()
        """Reasons that differ only in numbers count as one, with N in their place."""

    def add(self, letter: Letter) -> None:
        """Take it, if it is one of them."""
        if not self._choice.takes(letter):
            return
        if self._choice.places:
            self._places.add(letter.place)
        self.by_reason[_NUMBER.sub("N", letter.reason)] += 1
        entry = (letter.at_ms, letter.place, letter)
        if self._choice.limit is None or len(self._newest) < self._choice.limit:
            heapq.heappush(self._newest, entry)
        else:
            heapq.heappushpop(self._newest, entry)

    @property
    def letters(self) -> list[Letter]:
        """The chosen, newest last."""
        return [letter for _, _, letter in sorted(self._newest, key=lambda entry: entry[:2])]

    @property
    def missing(self) -> list[Place]:
        """Places asked for at which no such letter lies."""
        return sorted(self._choice.places - self._places)
