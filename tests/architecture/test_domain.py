"""The domain takes values and returns values: no I/O, no clock, no log, no chance."""

import pytest

from tests.architecture.sources import called_name, calls, files, imports, name_of

ALLOWED = {
    "abc", "array", "bisect", "calendar", "collections", "copy", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "re", "string", "struct",
    "types", "typing", "unicodedata",
    "msgspec", "re2",
}  # fmt: skip
"""Parts of the standard library that neither act nor ask; msgspec for values, re2 for patterns in linear time."""

ASKS_OR_ACTS = {"now", "utcnow", "today", "open", "print", "input", "eval", "exec"}


def test_the_domain_imports_only_what_neither_acts_nor_asks() -> None:
    faults = [
        f"{name_of(path)}:{line} imports {name}"
        for path in files("shared/domain")
        for line, name in imports(path)
        if name.split(".")[0] not in ALLOWED and not name.startswith("shared.domain.")
    ]
    assert faults == []


@pytest.mark.parametrize("word", sorted(ASKS_OR_ACTS))
def test_the_domain_calls_nothing_that_acts_or_asks(word: str) -> None:
    faults = [
        f"{name_of(path)}:{call.lineno}"
        for path in files("shared/domain")
        for call in calls(path)
        if called_name(call) == word
    ]
    assert faults == []


def test_there_is_a_domain() -> None:
    assert len(files("shared/domain")) >= 10
