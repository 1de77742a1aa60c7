"""One evaluator worker: everything wired, started in order, stopped in order."""

import asyncio
import logging
import os
import socket
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.evaluator.agents import EvaluatorApp, add_agent, new_faust_app
from services.evaluator.assignment import Assignment
from services.evaluator.catalog import Catalog
from services.evaluator.clock_watch import ClockWatch
from services.evaluator.history import History
from services.evaluator.membership_writer import refuse_unfit
from services.evaluator.producer import LoopProducer
from services.evaluator.settings import EvaluatorSettings
from services.evaluator.standstill import CommitWatch, follow_worker, is_in_group
from services.evaluator.sweep import Sweep
from shared.contracts.topics import CHANGELOG_MAX_BYTES, EVENTS, declare
from shared.history.address import HistoryAddress
from shared.history.engine import Engine
from shared.history.snapshot import HistoryReader
from shared.runtime import metrics
from shared.runtime.clock import SystemClock
from shared.runtime.health import HealthServer
from shared.runtime.kafka import ensure_topics, new_producer, topic_id
from shared.runtime.process import Watchdog, end_now

log = logging.getLogger(__name__)

STOP_S = 20
HISTORY_THREADS = 2
"""Of a backfill: it must leave room for the events."""
REDIS_ANSWER_S = 5
"""A server that does not answer within this time is away, even when its connection stands."""


class Unfit(Exception):  # noqa: N818 - it names the thing
    """Stop: a server is set up so that our guarantees cannot hold. The text names it."""


class Evaluator:
    """A worker process."""

    def __init__(self, settings: EvaluatorSettings) -> None:
        self._settings = settings
        self._watchdog = Watchdog(settings.standstill_s, "evaluator")
        self._clock = ClockWatch(SystemClock(), round(settings.clock_skew_limit_s * 1_000_000))
        self._tasks: list[asyncio.Task[None]] = []
        self._health = HealthServer(settings.host, settings.port, self._parts, metrics.EVALUATOR)
        self._faust: EvaluatorApp
        self._assignment: Assignment
        self._engine: Engine
        self._history: History
        self._sweep: Sweep

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Raises Unfit, WrongTopic, KafkaUnavailable, CannotListen."""
        settings = self._settings
        servers, topics = settings.kafka_bootstrap_servers, declare(settings.partitions)
        await asyncio.to_thread(ensure_topics, servers, topics, settings.replication_factor)
        redis = _new_redis(settings.redis_url)
        await self._refuse_unfit(redis)
        log_epoch = await asyncio.to_thread(topic_id, AdminClient(self._client()), EVENTS)
        producer = LoopProducer(new_producer(servers, CHANGELOG_MAX_BYTES))
        self._watchdog.arm("the event loop")
        self._watchdog.arm("the reader of commands")
        self._watchdog.arm("joining the group")
        catalog = Catalog(self._new_consumer(), lambda: self._watchdog.beat("the reader of commands"))
        self._history = self._new_history(log_epoch)
        self._assignment = Assignment(
            producer,
            catalog,
            redis,
            self._new_consumer,
            self._watchdog,
            self._clock,
            self._history,
            settings,
            worker=f"{socket.gethostname()}:{os.getpid()}",
            log_epoch=log_epoch,
            end=lambda why, code: end_now(f"evaluator: {why}", traces=False, code=code),
        )
        self._show_metrics()
        self._sweep = Sweep(self._assignment, self._new_consumer(), self._clock, settings.sweep_interval_s)
        self._faust = new_faust_app(settings)
        self._faust.assignment, self._faust.commits = self._assignment, CommitWatch(self._watchdog)
        add_agent(self._faust)
        self._watchdog.start()
        await self._health.start()
        self._spawn(self._sweep.run(lambda: self._watchdog.beat("the event loop")))
        self._spawn(follow_worker(self._faust, self._watchdog))
        self._spawn(self._assignment.backfills.run())
        await self._faust.join()
        await stop.wait()
        await self._stop(catalog, producer, redis)

    async def _stop(self, catalog: Catalog, producer: LoopProducer, redis: Redis) -> None:
        log.info("stopping: what is under way is finished first")
        self._watchdog.arm("stopping", STOP_S * 3)
        await self._assignment.rest()
        await self._faust.commit_all()
        await self._faust.stop()
        await self._assignment.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._watchdog.disarm("the reader of commands")
        await asyncio.to_thread(catalog.stop)
        await asyncio.to_thread(producer.stop, STOP_S)
        self._history.close()
        self._assignment.close()
        self._engine.close()
        await redis.aclose()
        await self._health.stop()
        self._watchdog.stop()

    def _show_metrics(self) -> None:
        metrics.APPROXIMATE_USERS.set_function(lambda: self._assignment.at_bound)
        metrics.PARTITIONS_STOPPED.set_function(lambda: len(self._assignment.stopped))

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _refuse_unfit(self, redis: Redis) -> None:
        try:
            why = await refuse_unfit(redis)
        except RedisError as error:
            log.warning("Redis does not answer yet: %s", error)  # writing waits for it
            return
        if why is not None:
            raise Unfit(why)

    def _client(self) -> dict[str, str | int | float | bool]:
        return {
            "bootstrap.servers": self._settings.kafka_bootstrap_servers,
            "log_level": 3,
            "socket.timeout.ms": 10_000,  # a silent connection may be half open
        }

    def _new_history(self, log_epoch: str) -> History:
        settings = self._settings
        reader = HistoryReader(HistoryAddress.of(settings.history), settings.partitions)
        self._engine = Engine([reader.folder], Path(gettempdir()), settings.history_memory_mb, HISTORY_THREADS)
        return History(reader, self._engine, log_epoch)

    def _new_consumer(self) -> Consumer:
        """A consumer for explicit partitions that reports when it has read one; it joins no group."""
        return Consumer(
            self._client()
            | {
                "group.id": self._settings.group,  # whose committed offsets it may ask for
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "fetch.queue.backoff.ms": 5,  # else it rests for a second whenever its queue is full
            }
        )

    def _parts(self) -> dict[str, str | None]:
        """The parts of /readyz."""
        if not hasattr(self, "_faust"):
            return {"start": "not finished"}
        recovering = self._assignment.recovering
        trouble = next(iter(self._assignment.trouble.values()), None)
        rebuilding, stopped = self._assignment.rebuilding, self._assignment.stopped
        return {
            "kafka": self._sweep.fault or (None if is_in_group(self._faust) else "joining the group of workers"),
            "recovery": f"partitions {recovering} are being recovered" if recovering else None,
            "redis": trouble,
            "rebuild": f"partitions {rebuilding} are made anew" if rebuilding else None,
            "events": "; ".join(stopped) or None,
            "clock": self._clock.fault,
        }


def _new_redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=REDIS_ANSWER_S,
        socket_connect_timeout=REDIS_ANSWER_S,
        retry=Retry(NoBackoff(), 0),  # the writer tries again by itself, and says so
    )
