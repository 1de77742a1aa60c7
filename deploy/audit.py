"""`python -m deploy.audit`: known vulnerabilities of the packages in the lock. Exit code 1 for a finding.

The service that knows them is on the network. Where it cannot be asked this says so, and does not fail: a check that
needs a network would stop whoever has none. So that silence is never taken for health, the first question is about a
version that is known to be vulnerable.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

LOCK = Path(__file__).parents[1] / "requirements-dev.lock"
KNOWN = "jinja2==2.10"
"""Vulnerable, and known to be so for years; never installed."""
ACCEPTED: dict[str, str] = {}
"""Vulnerabilities that do not touch us, by id, each with the reason."""

_TIMEOUT_S = 300
_TOOL = "pip_audit"
_OPTIONS = ("--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json")


class Report(NamedTuple):
    """What the service said: vulnerabilities, each as one line, and the packages that it does not know."""

    findings: list[str]
    unknown: list[str]


def report_of(text: str) -> Report | None:
    """The report in what pip-audit printed; None when it is none."""
    try:
        packages = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    findings = [
        f"{package['name']} {package['version']}: {found['id']}, repaired in {', '.join(found['fix_versions']) or '-'}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    return Report(findings, [package["name"] for package in packages if "skip_reason" in package])


def verdict(known: Report | None, found: Report | None) -> tuple[int, list[str]]:
    """Exit code and what to say, by the answers about the known version and about the lock."""
    if known is None or not known.findings or found is None:
        return 0, [f"audit: NOT DONE, no service that knows of {KNOWN} can be asked from here"]
    unknown = [f"audit: not known to the service: {', '.join(found.unknown)}"] if found.unknown else []
    if found.findings:
        return 1, [*unknown, *(f"audit: {line}" for line in found.findings)]
    return 0, [*unknown, f"audit: no known vulnerability in {LOCK.name}"]


def main() -> int:
    """Ask, say, and judge."""
    if importlib.util.find_spec(_TOOL) is None:
        print(f"audit: {_TOOL} is missing: make env")
        return 2
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as asked:
        asked.write(f"{KNOWN}\n")
        asked.flush()
        known = _ask(Path(asked.name))
    code, lines = verdict(known, _ask(LOCK) if known and known.findings else None)
    print("\n".join(lines))
    return code


def _ask(packages: Path) -> Report | None:
    ignored = [option for vulnerability in ACCEPTED for option in ("--ignore-vuln", vulnerability)]
    command = [sys.executable, "-m", _TOOL, *_OPTIONS, *ignored, "--requirement", str(packages)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return report_of(done.stdout)


if __name__ == "__main__":
    raise SystemExit(main())
