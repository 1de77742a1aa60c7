"""`python -m tests.fault`: runs the cases, prints one table, writes fault.json; exit code 1 if any failed."""

import argparse
import json
import sys
from pathlib import Path

from tests.fault.guards import GUARDS
from tests.fault.registry import Case, all_cases
from tests.fault.servers import fault_servers
from tests.fault.suite import Row, run_case

RESULT = Path("fault.json")
SEEDS = [1, 2, 3]
_SHOWN = 10


def main() -> int:
    """What the command line asks for."""
    asked = _arguments()
    cases = [case for case in all_cases() if not asked.case or case.number in asked.case]
    if asked.list:
        for case in cases:
            print(f"{case.number:>4}  {case.title}")
        return 0
    if unknown := set(asked.case) - {case.number for case in cases}:
        print(f"no such case: {', '.join(map(str, sorted(unknown)))}", file=sys.stderr)
        return 2
    if asked.guards:
        return _run_without_guards([case.number for case in cases], asked.seed[0])
    rows = _run(cases, asked.seed)
    print(_table(rows))
    RESULT.write_text(json.dumps([row._asdict() for row in rows], indent=1, default=str))
    print(f"written to {RESULT}")
    return 0 if all(row.passed for row in rows) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fault", description=__doc__)
    parser.add_argument("--case", type=int, nargs="+", default=[], help="only these numbers")
    parser.add_argument("--seed", type=int, nargs="+", default=SEEDS, help=f"default: {SEEDS}")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--guards", action="store_true", help="take each guard away: its case must find differences")
    return parser.parse_args()


def _run_without_guards(numbers: list[int], seed: int) -> int:
    """The case of each guard of these cases without it; 1 if a case found nothing."""
    lines, useless = [], 0
    with fault_servers() as servers:
        for guard in (guard for guard in GUARDS if guard.case in numbers):
            row = run_case(servers, guard.needed_by(all_cases()), seed, brief=True, patch=guard.patch)
            useless += row.passed
            first = row.differences[0].strip().splitlines()[-1][:150] if row.differences else ""
            lines.append(f"{len(row.differences):>8}  case {row.case:>2}  without: {guard.name}  ({first})")
            print(lines[-1], flush=True)
    print("\n".join(["", "differences", *lines]))
    return 1 if useless else 0


def _run(cases: list[Case], seeds: list[int]) -> list[Row]:
    rows = []
    with fault_servers() as servers:
        for case in cases:
            for seed in seeds:
                print(f"case {case.number}, seed {seed}: {case.title} ...", flush=True)
                rows.append(run_case(servers, case, seed))
                print(report(rows[-1]), flush=True)
    return rows


def report(row: Row) -> str:
    """What became of one run."""
    lines = [f"    {'ok' if row.passed else 'FAILED'} after {row.took_s:.0f} s; {row.records} records; {row.note}"]
    lines += [f"    {line}" for line in row.differences[:_SHOWN]]
    if more := len(row.differences) - _SHOWN:
        lines += [f"    and {more} more"] if more > 0 else []
    if row.dump is not None:
        lines.append(f"    topics and logs: {row.dump}")
    return "\n".join(lines)


def _table(rows: list[Row]) -> str:
    width = max((len(row.title) for row in rows), default=0)
    head = (
        f"{'case':>4}  {'title':<{width}}  {'seed':>6}  {'records':>8}  {'differences':>11}  {'recovered':>9}  result"
    )
    lines = [
        f"{row.case:>4}  {row.title:<{width}}  {row.seed:>6}  {row.records:>8}  {len(row.differences):>11}"
        f"  {_seconds(row.recovered_s):>9}  {'ok' if row.passed else 'FAILED'}  {row.note}"
        for row in rows
    ]
    return "\n".join(["", head, *lines])


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


if __name__ == "__main__":
    raise SystemExit(main())
