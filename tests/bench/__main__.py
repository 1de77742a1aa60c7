"""`make bench`: prints the tables and writes the figures to bench.json."""

import asyncio
import json
import signal
import tempfile
from pathlib import Path

from tests.bench import evaluator, latency
from tests.support.local_runner import LocalRunner, free_port_base
from tests.support.servers import running_servers

RESULT = Path("bench.json")


def main() -> None:
    """Each benchmark on servers of its own, one after the other."""
    with running_servers() as servers:
        events = evaluator.measure(servers.kafka_bootstrap_servers, servers.redis_url)
    print(evaluator.table(events), flush=True)
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder:
        runner = LocalRunner(Path(folder), free_port_base())
        runner.up("--no-demo")
        try:
            found = asyncio.run(latency.measured(runner.connection()))
        finally:
            runner.end(signal.SIGTERM)
    print(latency.table(found))
    RESULT.write_text(json.dumps({"evaluator": events, "latency_s": found}, indent=1))
    print(f"written to {RESULT}")


if __name__ == "__main__":
    main()
