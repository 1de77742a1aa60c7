"""Kernels made wrong on purpose, each in one place: what the generated checks must find out."""

from collections.abc import Callable
from operator import gt
from typing import Any, NamedTuple

from shared.domain import (
    aggregate,
    compiled_segment,
    condition_verdict,
    crossing,
    evaluate,
    fold,
    newest_times,
    newest_value,
    plan,
    requirement,
    sequence,
    value_test,
)
from shared.domain.comparison import COMPARE
from shared.domain.user_state import NEVER, Partial
from tests.support import kernel
from tests.support import wrong_parts as parts


class Wrong(NamedTuple):
    """What is put in the place of `module.name`."""

    module: Any
    name: str
    wrong: Any


_WRONG_OPERATORS: dict[str, tuple[value_test.Operator, Callable[..., value_test.Predicate]]] = {
    "neq is true of what is mistyped": ("neq", parts.not_equal),
    "not_in is true of types that are not listed": ("not_in", parts.equal_to_none_of_any_type),
    "not_between is true of what is mistyped": ("not_between", parts.not_inside),
    "does_not_contain is true of what is missing": ("does_not_contain", parts.lacks),
    "between leaves its ends out": ("between", parts.between_the_ends),
    "a pattern must match the whole text": ("matches_regex", parts.matches_the_whole),
    "null is set": ("is_set", parts.set_unless_missing),
}

ON_A_THEME: dict[str, dict[str, Wrong]] = {
    "numbers": {
        "an event on the edge of a window is inside": Wrong(condition_verdict, "_at_least", parts.edge_inside),
        "recency gt turns a microsecond early": Wrong(condition_verdict, "_recency", parts.turn_of_gt_too_early),
        "recency gte is gt": Wrong(condition_verdict, "_recency", parts.gte_of_an_age_is_gt),
        "a number gte is gt": Wrong(condition_verdict, "COMPARE", COMPARE | {"gte": gt}),
        "entries of one instant leave one by one": Wrong(
            condition_verdict, "first_turn", parts.entries_of_one_instant_leave_one_by_one
        ),
        "digits are cut off": Wrong(aggregate, "to_micro_units", parts.cut_off_digits),
        "booleans are summed": Wrong(aggregate, "number_reader", parts.booleans_are_summed),
        "late times are not inserted": Wrong(newest_times, "insort", lambda *_: None),
    },
    "values": {
        "filters are passed over": Wrong(plan, "event_filter", lambda _filters: None),
        "newest is the last in the log": Wrong(plan, "value_verbs", parts.newest_by_the_log),
        "of a tie the first is the newest": Wrong(plan, "value_verbs", parts.first_of_a_tie),
        "a missing value leaves the one before": Wrong(plan, "value_verbs", parts.value_lost_where_it_is_missing),
        "a path goes before the literal key": Wrong(newest_value, "property_reader", parts.path_before_the_literal_key),
        "times are compared by code point": Wrong(value_test, "parse_time", lambda _text: None),
        "booleans equal numbers": Wrong(value_test, "scalar_of", parts.booleans_equal_numbers),
        "numbers of 1e15 are numbers": Wrong(value_test, "scalar_of", parts.large_numbers_are_numbers),
        **{
            what: Wrong(value_test, "_COMPILERS", value_test._COMPILERS | {operator: test})
            for what, (operator, test) in _WRONG_OPERATORS.items()
        },
    },
    "sequences": {
        "the filters of steps are passed over": Wrong(sequence, "event_filter", lambda _filters: None),
        "a sequence is shorter by a microsecond": Wrong(sequence, "_Verbs", parts.ShorterByAMicrosecond),
        "a sequence goes on from its first beginning": Wrong(sequence, "_Verbs", parts.FirstBeginning),
        "one event takes two steps": Wrong(sequence, "_Verbs", parts.OneEventForTwoSteps),
        "a late step is put at the end": Wrong(sequence, "_place", lambda kept, _head, _place: len(kept)),
    },
    "strict sequences": {
        "nothing interrupts a strict sequence": Wrong(plan, "sequence_verbs", parts.strict_is_not_interrupted),
        "context_identified interrupts": Wrong(sequence, "PROPERTIES_EVENT", "nothing"),
    },
    "repeats": {
        "24 hours after is a repeat": Wrong(fold, "REPEAT_US", fold.REPEAT_US + 1),
        "a dropped repeat is not the previous": Wrong(
            kernel, "is_repeat", parts.dropped_repeats_do_not_count_as_previous
        ),
    },
    "references": {
        "not_in of a missing segment is false": Wrong(evaluate, "_membership", parts.none_are_not_in_a_missing_segment),
        "a reference keeps its old answer": Wrong(
            compiled_segment, "_forgetting", parts.answers_of_a_reference_are_kept
        ),
    },
}
"""Found on one condition and events made for it, by the name of the theme."""

IN_A_GROUP = {
    "a group turns with any of its members": Wrong(evaluate, "_group_verdict", parts.any_child_turns_the_group),
    "negate goes before the group": Wrong(evaluate, "_group_verdict", parts.negate_before_the_group),
}
"""Found on any definition."""

WHERE_CONDITIONS_SHARE = {
    "pairs are dropped that a longer window reaches": Wrong(plan, "pairs_verbs", parts.pairs_of_the_shortest_window),
    # of those that decide, beside the one to spare
    "one time too few": Wrong(plan, "newest_needed", lambda _operator, value: value - 1),
}
"""Found on conditions that differ in little more than numbers and windows."""


WHAT_IS_NOT_ASKED = {
    "an age that is passed is not named": Wrong(crossing, "ages_of", lambda _condition: (1 << 60, NEVER)),
    "sums only grow": Wrong(crossing, "_OF_VALUES", crossing._OF_VALUES | {"sum": lambda values: 2 * sum(values)}),
    "exactly so many is one threshold": Wrong(evaluate, "in_thresholds", lambda condition: condition),
    "what users have come to is forgotten": Wrong(plan.Plan, "awake", lambda *_: set()),
    "nothing is required": Wrong(requirement, "_is_false_of_nothing", lambda _condition: True),
}
"""Found where thresholds are passed all the time."""


def _merge(name: str, wrong: Callable[[Partial, Partial], Partial]) -> Wrong:
    right = getattr(plan, name)
    return Wrong(plan, name, lambda *of: right(*of)._replace(merge=wrong))


IN_A_MERGE = {
    "a merge of counts takes the larger": _merge("count_verbs", max),
    "a merge of newest times takes the older": _merge("newest_verbs", min),
    "a merge of values takes the one": _merge("value_verbs", lambda one, _other: list(one)),
    "a merge of times loses the other's": _merge("times_verbs", lambda one, _other: list(one)),
    "a merge of pairs loses the one's": _merge("pairs_verbs", lambda _one, other: list(other)),
    "a merge of sequences loses the other's": Wrong(sequence, "_Verbs", parts.MergeOfOne),
}
"""Found by merging two users."""
