"""Filters on events, compiled."""

from collections.abc import Callable
from typing import Any

from shared.domain.condition import Filters
from shared.domain.property_path import property_reader
from shared.domain.value_test import compile_test


def event_filter(filters: Filters) -> Callable[[dict[str, Any]], bool] | None:
    """A function from a payload to whether it passes all filters; None when there are none."""
    if not filters:
        return None
    compiled = [(property_reader(each.property), compile_test(each.test)) for each in filters]

    def passes(payload: dict[str, Any]) -> bool:
        return all(holds(read(payload)) for read, holds in compiled)

    return passes
