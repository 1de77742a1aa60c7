"""SQL against the oracle: many users in one table, made by the code that archives, at generated instants."""

import pytest
from hypothesis import given, settings

from tests.support.sql_checks import SQL_THEMES, Question, check_all_statements, check_previews, questions

EXAMPLES = 40
"""Of each theme; each asks at least six definitions of six users."""


@pytest.mark.parametrize("name", SQL_THEMES)
def test_a_preview_counts_and_names_the_members_that_the_oracle_knows(name: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(questions(name))
    def agrees(question: Question) -> None:
        check_previews(question)

    agrees()


@pytest.mark.parametrize("name", SQL_THEMES)
def test_every_statement_about_a_definition_says_the_same_and_so_does_the_text_that_is_shown(name: str) -> None:
    @settings(max_examples=EXAMPLES // 3)
    @given(questions(name))
    def agrees(question: Question) -> None:
        check_all_statements(question)

    agrees()
