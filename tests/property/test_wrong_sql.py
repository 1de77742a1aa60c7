"""The comparison of SQL is worth something: each of these statements, wrong in one place, is found out by it."""

import re
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from shared.history import compile_sql
from shared.history.statement import Statement
from tests.support.sql_checks import Question, check_previews, questions
from tests.support.wrong_sql import WRONG_SQL, Wrong

no_shrinking = settings(
    derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False, max_examples=4_000
)
"""From the same seed each time: the fault must be found every time."""

FAULTS = [(what, name, wrong) for name, faults in WRONG_SQL.items() for what, wrong in faults.items()]


@pytest.mark.parametrize(("name", "wrong"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_wrong_statement_is_found_out(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Wrong) -> None:
    def altered(sql: str, parameters: dict[str, Any]) -> Statement:
        text = wrong.alter(sql)
        # DuckDB refuses a value for a parameter that is not in the text any more
        return Statement(text, {each: value for each, value in parameters.items() if re.search(rf"\${each}\b", text)})

    @no_shrinking
    @given(questions(name))
    def check(question: Question) -> None:
        check_previews(question)

    monkeypatch.setattr(compile_sql, "Statement", altered)
    with pytest.raises(AssertionError):
        check()
