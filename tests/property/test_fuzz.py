"""Whatever is read as a definition or an event, nothing but the documented refusal comes out: a short look."""

from collections import Counter

import pytest

from tests.property.fuzz import FUZZED, fuzz


@pytest.mark.parametrize("name", FUZZED)
def test_only_documented_refusals_come_out(name: str) -> None:
    told: Counter[str] = Counter()
    fuzz(name, 150, told)
    assert told.total() >= 100
