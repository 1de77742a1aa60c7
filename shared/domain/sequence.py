"""The aggregate `sequence`: whether events of given steps came in their order, near enough to each other.

Partial: [found, lost, best, ..., time, offset, mask, ...]. `found` is 1 when there is such a chain. `lost` counts the
events given up because more than LIMIT were kept. The k - 1 `best` are, for each beginning of the steps, the latest
instant at which a chain of these steps began that may go on, or NONE. Then the events, by time and place in the log;
bit n of `mask` says that the event is one of step n, bit k that it never interrupts. Once true, a sequence that is not
strict keeps [1, lost] alone.

A chain that began later is never worse, so one instant for each length is enough to know of all chains (dynamic
programming over the events in their order), and an event that comes in order costs k steps.
"""

from collections.abc import Callable, Iterable
from itertools import chain

from shared.domain.aggregate import Verbs
from shared.domain.condition import PROPERTIES_EVENT, EventSequence
from shared.domain.event import Event
from shared.domain.event_filter import event_filter
from shared.domain.user_state import Partial

LIMIT = 4_096
"""Events kept of one user; beyond it the oldest are given up."""

NONE = -1
_COUNTS, _ENTRY = 2, 3


def sequence_verbs(condition: EventSequence) -> Verbs:
    """The verbs for one sequence."""
    verbs = _Verbs(condition)
    return Verbs(verbs.zero, verbs.add, verbs.merge, lambda partial, _as_of, _window: partial[0] == 1)


def sequence_partials(condition: EventSequence) -> Callable[[list[tuple[int, int, int]]], Partial]:
    """A function from events, each its time, place in the log and mask, to their partial; it puts them in order."""
    return _Verbs(condition).partial_of


def events_kept(condition: EventSequence, partial: Partial) -> list[tuple[int, int, int]]:
    """Time, place in the log and mask of the events in a partial, by time; none once it is true for ever."""
    return _entries(partial, _COUNTS + len(condition.steps) - 1)


def lost_events(partial: Partial) -> int:
    """How many events were given up."""
    lost: int = partial[1]
    return lost


class _Verbs:
    def __init__(self, condition: EventSequence) -> None:
        self._window, self._strict = condition.window_us, condition.strict
        self._mask_of = _mask_of(condition)
        steps = len(condition.steps)
        self._last, self._never_interrupts = 1 << steps - 1, 1 << steps
        self._nothing = [NONE] * (steps - 1)
        self._head = _COUNTS + len(self._nothing)
        self._lengths = [(at, 1 << at - _COUNTS) for at in range(self._head - 1, _COUNTS - 1, -1)]  # longest first

    def zero(self) -> Partial:
        return [0, 0, *self._nothing]

    def add(self, partial: Partial, event: Event) -> None:
        if partial[0] and not self._strict:
            return
        mask = self._mask_of(event)
        if not mask and (not self._strict or event.event_type == PROPERTIES_EVENT):
            return
        place, head = (event.occurred_at, event.offset), self._head
        if len(partial) == head or (partial[-3], partial[-2]) < place:
            partial += (*place, mask)
            self._take(partial, event.occurred_at, mask)
        else:
            at = _place(partial, head, place)
            if at == head and partial[1]:
                partial[1] += 1  # older than the oldest that is kept
                return
            partial[at:at] = (*place, mask)
            self._take_again(partial)
        self._give_up(partial)

    def merge(self, one: Partial, other: Partial) -> Partial:
        lost = one[1] + other[1]
        if not self._strict and (one[0] or other[0]):
            return [1, lost]
        both = {entry for partial in (one, other) for entry in _entries(partial, self._head)}
        return self.partial_of(both, lost)

    def partial_of(self, entries: Iterable[tuple[int, int, int]], lost: int = 0) -> Partial:
        ordered = sorted(entries)
        partial = [0, lost, *self._nothing]
        self._take_all(partial, ordered)
        partial += chain.from_iterable(ordered)
        self._give_up(partial)
        return partial

    def _take(self, partial: Partial, time: int, mask: int) -> None:
        """Let the chains go on by the event that follows those seen."""
        head = self._head
        if mask & self._last and partial[head - 1] != NONE and time - partial[head - 1] <= self._window:
            partial[0] = 1
            if not self._strict:
                return  # true for ever
        goes_on = not self._strict or mask & self._never_interrupts
        for at, step in self._lengths:
            if mask & step:
                begun = time if at == _COUNTS else partial[at - 1]
                if begun > partial[at] or not goes_on:
                    partial[at] = begun
            elif not goes_on:
                partial[at] = NONE

    def _take_again(self, partial: Partial) -> None:
        partial[0], partial[_COUNTS : self._head] = 0, self._nothing
        self._take_all(partial, _entries(partial, self._head))

    def _take_all(self, partial: Partial, entries: list[tuple[int, int, int]]) -> None:
        take, until_found = self._take, not self._strict
        for time, _, mask in entries:
            take(partial, time, mask)
            if until_found and partial[0]:
                return

    def _give_up(self, partial: Partial) -> None:
        """Drop what is no longer needed, and the oldest beyond LIMIT."""
        if partial[0] and not self._strict:
            del partial[_COUNTS:]  # true for ever
            return
        surplus = (len(partial) - self._head) // _ENTRY - LIMIT
        if surplus > 0:
            partial[1] += surplus
            del partial[self._head : self._head + surplus * _ENTRY]


def _mask_of(condition: EventSequence) -> Callable[[Event], int]:
    steps = [(1 << n, step.event_type, event_filter(step.filters)) for n, step in enumerate(condition.steps)]
    never_interrupts = 1 << len(steps)

    def mask_of(event: Event) -> int:
        mask = 0
        for bit, event_type, passes in steps:
            if event.event_type == event_type and (passes is None or passes(event.payload)):
                mask |= bit
        return mask | never_interrupts if mask and event.event_type == PROPERTIES_EVENT else mask

    return mask_of


def _entries(partial: Partial, head: int) -> list[tuple[int, int, int]]:
    return list(zip(partial[head::_ENTRY], partial[head + 1 :: _ENTRY], partial[head + 2 :: _ENTRY], strict=True))


def _place(partial: Partial, head: int, place: tuple[int, int]) -> int:
    """Where an event belongs; looked for from the end, near which most late ones do."""
    at = len(partial)
    while at > head and (partial[at - 3], partial[at - 2]) > place:
        at -= _ENTRY
    return at
