"""The pages are true of the code where a test can tell: tests and paths they name exist, and none lacks a part."""

import functools
import re
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, name_of

DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PARTS = ("Must hold.", "Why.", "Kept by.", "Breaks.", "Test.")

_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_PATH = re.compile(r"`((?:shared|services|deploy|tests|docs|\.ci)/[\w./-]*\w/?)`")
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")


@functools.cache
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _invariants() -> list[str]:
    """The numbered sections of docs/invariants.md, each with its heading."""
    return re.split(r"^## ", _read(ROOT / "docs/invariants.md"), flags=re.MULTILINE)[1:]


def test_invariants_are_numbered_in_order() -> None:
    numbers = [int(section.split(".")[0]) for section in _invariants()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 10


@pytest.mark.parametrize("section", _invariants(), ids=lambda section: section.split(".")[0])
def test_an_invariant_says_all_five_parts_and_names_tests_that_exist(section: str) -> None:
    assert [part for part in PARTS if f"**{part}**" not in section] == []
    named = _TEST.findall(section.split("**Test.**")[1])
    assert named, "no test is named"
    for path, function in named:
        assert (ROOT / path).is_file(), f"{path} does not exist"
        assert re.search(rf"def {function}\(", _read(ROOT / path)), f"{path} has no {function}"


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_is_one_page_with_context_choice_and_price(page: Path) -> None:
    text = _read(page)
    assert re.match(r"^\d{4}-[a-z0-9-]+$", page.stem)
    assert text.startswith(f"# {int(page.stem[:4])}. ")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Context", "Choice", "Price"]
    assert len(text.splitlines()) <= 60


def test_decisions_are_numbered_in_order() -> None:
    assert [int(page.stem[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert len(DECISIONS) >= 5


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_and_link_of_a_page_exists(page: Path) -> None:
    text = _read(page)
    paths = [named for named in _PATH.findall(text) if not (ROOT / named).exists()]
    links = [link for link in _LINK.findall(text) if not (page.parent / link).exists()]
    assert paths + links == []


def test_the_licence_is_apache_2() -> None:
    text = _read(ROOT / "LICENSE")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
