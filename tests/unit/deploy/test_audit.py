"""The audit of packages fails for a finding, and says so when nobody could be asked."""

import json

from deploy.audit import KNOWN, Report, report_of, verdict

KNOWN_FOUND = Report([KNOWN], [])
CLEAN = Report([], [])


def test_what_pip_audit_printed_is_read() -> None:
    packages = [
        {"name": "a", "version": "1", "vulns": [{"id": "V-1", "fix_versions": ["1.1", "2"], "aliases": []}]},
        {"name": "b", "version": "2", "vulns": []},
        {"name": "c", "skip_reason": "unknown"},
    ]
    assert report_of(json.dumps({"dependencies": packages})) == Report(["a 1: V-1, repaired in 1.1, 2"], ["c"])


def test_no_report_is_told_from_an_empty_one() -> None:
    assert report_of("") is None
    assert report_of("[]") is None
    assert report_of('{"dependencies": []}') == CLEAN


def test_a_finding_fails() -> None:
    code, lines = verdict(KNOWN_FOUND, Report(["a 1: V-1"], ["c"]))
    assert code == 1
    assert lines == ["audit: not known to the service: c", "audit: a 1: V-1"]


def test_a_service_that_does_not_know_what_everybody_knows_audits_nothing() -> None:
    for known, found in ((None, None), (CLEAN, CLEAN), (KNOWN_FOUND, None)):
        code, (line,) = verdict(known, found)
        assert code == 0
        assert "NOT DONE" in line


def test_no_finding_of_a_service_that_knows_is_a_clean_audit() -> None:
    code, (line,) = verdict(KNOWN_FOUND, CLEAN)
    assert code == 0
    assert "no known vulnerability" in line
