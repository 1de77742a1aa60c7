"""Every example of docs/segments.md can be copied and saved, and every word of the language is on the page."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from shared.domain.condition import METRICS, Condition, Group
from shared.domain.definition import parse_definition
from shared.domain.value_test import OPERATORS
from shared.domain.window import UNITS_US

PAGE = (Path(__file__).parents[3] / "docs/segments.md").read_text(encoding="utf-8")
EXAMPLES: list[dict[str, Any]] = [
    json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
]
TYPES = [kind.__struct_config__.tag for kind in get_args(Condition)]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_can_be_saved(example: dict[str, Any]) -> None:
    whole = example if "logic" in example else {"logic": "AND", "conditions": [example]}
    assert isinstance(parse_definition(whole), Group)


def test_every_json_text_of_the_page_is_an_example() -> None:
    assert len(EXAMPLES) == PAGE.count("```json") == PAGE.count("```") / 2


def test_every_type_of_condition_has_an_example() -> None:
    shown = json.dumps(EXAMPLES)
    assert [kind for kind in TYPES if f'"type": "{kind}"' not in shown] == []


def test_every_word_of_the_language_is_on_the_page() -> None:
    words = [*TYPES, *OPERATORS, *METRICS, *UNITS_US, "AND", "OR", "negate", "filters", "strict"]
    assert [word for word in words if f"`{word}`" not in PAGE and f'"{word}"' not in PAGE] == []
