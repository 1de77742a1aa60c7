"""`python -m tests.bench [names]`: prints tables, writes bench.json; without names all of them."""

import argparse
import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deploy.local.installation import ROOT
from tests.bench import (
    backfill,
    beside,
    evaluator,
    export,
    feed,
    history_data,
    latency,
    preview,
    previews,
    recovery,
    segments,
    webhooks,
)
from tests.support.servers import running_servers

RESULT = Path("bench.json")


def main() -> None:
    """Each benchmark on servers of its own, one after the other."""
    options = _options()
    found: dict[str, Any] = {}
    for name in options.names or list(_BENCHMARKS):
        found[name] = _BENCHMARKS[name](options)
    RESULT.write_text(json.dumps(found, indent=1))
    print(f"written to {RESULT}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=["", *_BENCHMARKS], default="", metavar="name", help="default: all")
    parser.add_argument("--rate", type=int, default=latency.RATE, help="latency: events a second")
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="latency: measured in turn with another one")
    parser.add_argument(
        "--rounds", type=int, default=beside.ROUNDS, help="segments, preview, export, and with --beside"
    )
    parser.add_argument("--events", type=int, default=segments.EVENTS, help="segments: of each size in a round")
    parser.add_argument("--sizes", type=int, nargs="+", default=segments.SIZES, help="segments: so many of them")
    parser.add_argument("--quick", action="store_true", help="backfill, preview: over 1 M events, not 10 M")
    return parser.parse_args()


def _evaluator(_: argparse.Namespace) -> Any:
    with running_servers() as servers:
        found = evaluator.measure(servers.kafka_bootstrap_servers, servers.redis_url)
    print(evaluator.table(found), flush=True)
    return found


def _segments(options: argparse.Namespace) -> Any:
    with running_servers() as servers:
        found = segments.measure(*servers[:2], options.rounds, options.events, options.sizes)
    print(segments.table(found), flush=True)
    return found


def _recovery(_: argparse.Namespace) -> Any:
    with running_servers() as servers:
        found = recovery.measure(servers.kafka_bootstrap_servers, servers.redis_url)
    print(recovery.table(found), flush=True)
    return found


def _latency(options: argparse.Namespace) -> Any:
    if options.beside:
        figures = beside.compare({"before": options.beside.resolve(), "now": ROOT}, options.rate, options.rounds)
        print(beside.table(figures, options.rate), flush=True)
        return figures
    with beside.installed() as connection:
        found = asyncio.run(latency.measured(connection, options.rate))
    print(latency.table(found, options.rate), flush=True)
    return found


def _feed(_: argparse.Namespace) -> Any:
    with beside.installed() as connection:
        found = asyncio.run(feed.measured(connection))
    print(feed.table(found), flush=True)
    return found


def _backfill(options: argparse.Namespace) -> Any:
    found = backfill.measure(history_data.QUICK if options.quick else history_data.EVENTS)
    print(backfill.table(found), flush=True)
    return found


def _preview(options: argparse.Namespace) -> Any:
    found = preview.measure(preview.SIZES[:1] if options.quick else preview.SIZES, options.rounds)
    print(preview.table(found), flush=True)
    return found


def _previews(_: argparse.Namespace) -> Any:
    with running_servers() as servers, TemporaryDirectory() as folder:
        found = previews.measure(servers, Path(folder))
    print(previews.table(found), flush=True)
    return found._asdict()


def _export(options: argparse.Namespace) -> Any:
    with running_servers() as servers:
        found = export.measure(servers, options.rounds)
    print(export.table(found), flush=True)
    return found


def _webhooks(_: argparse.Namespace) -> Any:
    found = webhooks.measure()
    print(webhooks.table(found), flush=True)
    return found


_BENCHMARKS = {
    "evaluator": _evaluator,
    "segments": _segments,
    "recovery": _recovery,
    "latency": _latency,
    "feed": _feed,
    "backfill": _backfill,
    "preview": _preview,
    "previews": _previews,
    "export": _export,
    "webhooks": _webhooks,
}


if __name__ == "__main__":
    main()
