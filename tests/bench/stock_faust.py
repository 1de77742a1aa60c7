"""The peer, as a process: a stock Faust agent that counts events per user in one Table."""

import sys
from typing import Any

import faust

TOPIC = "bench-stock"
APP_ID = "bench-stock-faust"


def changelog_of(app_id: str) -> str:
    """The topic behind the app's Table."""
    return f"{app_id}-counts-changelog"


def stock_app(bootstrap_servers: str, partitions: int, app_id: str = APP_ID, topic: str = TOPIC) -> Any:
    """The app as its documentation writes it."""
    app = faust.App(
        app_id,
        broker=f"kafka://{bootstrap_servers}",
        store="memory://",
        topic_partitions=partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        worker_redirect_stdouts=False,
    )
    counts = app.Table("counts", default=int, partitions=partitions)

    async def count(events: Any) -> None:
        async for event in events:
            counts[event["user_id"]] += 1

    app.agent(app.topic(topic, value_serializer="json"))(count)
    return app


if __name__ == "__main__":
    servers, count_of_partitions, *names = sys.argv[1:]
    sys.argv[1:] = ["worker", "--without-web", "-l", "warn"]
    stock_app(servers, int(count_of_partitions), *names).main()
