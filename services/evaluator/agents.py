"""The Faust agent: takes record batches from the stream and hands each to the owner of its partition."""

from typing import Any

from services.evaluator.assignment import Assignment
from services.evaluator.batching import BatchApp, NoTables
from services.evaluator.settings import EvaluatorSettings
from services.evaluator.standstill import CommitWatch
from shared.contracts.topics import DEAD_LETTERS_MAX_BYTES, EVENTS

QUEUED_BATCHES = 8
MAX_POLL_INTERVAL_S = 86_400
"""A worker without partitions polls nothing and must not drop out of the group."""


class EvaluatorApp(BatchApp):
    """The Faust app: group membership, delivery and commits; what is done with a batch is the assignment's business."""

    assignment: Assignment
    commits: CommitWatch

    async def before_commit(self, offsets: dict[int, int]) -> None:
        """State before offsets: what was folded is durable before Kafka hears that it is done."""
        await self.assignment.flush(list(offsets))

    def on_commit(self, *, begins: bool) -> None:
        self.commits.note(under_way=begins)

    async def before_revoke(self) -> None:
        await self.assignment.rest()

    async def after_revoke(self) -> None:
        await self.assignment.drop()

    async def after_assign(self, partitions: frozenset[int]) -> None:
        await self.assignment.take(partitions)


def new_faust_app(settings: EvaluatorSettings) -> EvaluatorApp:
    """The app with the settings that our guarantees need."""
    return EvaluatorApp(
        settings.group,
        broker=[f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(",")],
        TableManager=NoTables,
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        cython_optimizations=False,
        store="memory://",
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=DEAD_LETTERS_MAX_BYTES,
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_request_timeout=max(90.0, settings.session_timeout_s),
        broker_rebalance_timeout=60.0,
        broker_max_poll_interval=MAX_POLL_INTERVAL_S,
        stream_wait_empty=False,
        stream_buffer_maxsize=QUEUED_BATCHES,
        worker_redirect_stdouts=False,
    )


def add_agent(app: EvaluatorApp) -> None:
    """Register the agent on `events`."""
    topic = app.batch_topic(EVENTS, maxsize=QUEUED_BATCHES)

    async def evaluate(stream: Any) -> None:
        async for event in stream.noack().events():
            await app.assignment.deliver(event.value, event.ack)

    app.agent(topic, name="evaluate")(evaluate)
