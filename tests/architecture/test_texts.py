"""What no file of the project may hold: addresses of registries, paths of a machine, unfinished work."""

import re
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, name_of, tracked

# put together here, so that this file passes its own test
_HOSTS = [
    "pypi" + ".org", "python" + "hosted", "repo1" + ".maven", "repo" + ".maven", "search" + ".maven",
    "docker" + ".io", "ghcr" + ".io", "quay" + ".io", "npm" + "js", "rubygems" + ".org", "crates" + ".io",
]  # fmt: skip
_FORBIDDEN = {
    "the address of a registry": re.compile("|".join(map(re.escape, _HOSTS))),
    "a path of one machine": re.compile(r"(?<![\w.~-])/(?:root|work|Users|home/(?!shoal)\w+)/"),
    "unfinished work": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b"),
    "a marker of a merge": re.compile(r"^(?:<{7} |>{7} |={7}$)", re.MULTILINE),
}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("what", _FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    faults = [
        f"{name_of(path)}: {found.group()}" for path in tracked() for found in _FORBIDDEN[what].finditer(_text(path))
    ]
    assert faults == []


def test_a_lock_has_versions_and_hashes_and_no_address() -> None:
    locks = sorted(ROOT.glob("requirements*.lock"))
    assert locks, "there is no lock"
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, f"{lock.name} names an address"
        assert "--index" not in text, f"{lock.name} names an index"
        names = [line for line in text.splitlines() if re.match(r"^[A-Za-z0-9]", line)]
        assert names, f"{lock.name} is empty"
        assert [line for line in names if "==" not in line] == [], f"{lock.name}: not pinned"
        assert text.count("--hash=sha256:") >= len(names), f"{lock.name}: not every package has a hash"


def test_the_forbidden_is_found_where_it_stands() -> None:
    assert _FORBIDDEN["the address of a registry"].search("see " + "pypi" + ".org/simple")
    assert _FORBIDDEN["a path of one machine"].search("open('/ro" + "ot/.m2')")
    assert not _FORBIDDEN["a path of one machine"].search("the network/home of it")
    assert _FORBIDDEN["unfinished work"].search("# TO" + "DO: later")
