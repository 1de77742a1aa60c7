"""The api, served on a port of its own by a thread of the test process."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from socket import socket
from typing import Any, Self, TypeVar

import httpx
from argon2 import PasswordHasher
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from services.api.app import create_app
from services.api.database import Database
from services.api.migrate import migrate
from services.api.server import Server
from services.api.settings import ApiSettings
from services.api.wiring import Wiring
from shared.contracts.progress import Progress, encode_progress, progress_key
from shared.contracts.topics import MIB, PROGRESS, declare
from shared.runtime.health import listen
from shared.runtime.kafka import ensure_topics, new_producer
from tests.support.clean_servers import empty_kafka, empty_redis, fresh_database
from tests.support.evaluators import NO_EXPORTS, NO_HISTORY
from tests.support.servers import Servers

T = TypeVar("T")

KEY = "sk_test_0123456789abcdef"
TOKEN_SECRET = "token-secret-of-tests-0123456789abcdef"
PARTITIONS = 3
PATIENCE_S = 30.0


def api_settings(servers: Servers, database_url: str, **changes: Any) -> ApiSettings:
    """Settings of an api of three partitions on the servers."""
    values = {
        "kafka_bootstrap_servers": servers.kafka_bootstrap_servers,
        "redis_url": servers.redis_url,
        "database_url": database_url,
        "history": NO_HISTORY,
        "exports": NO_EXPORTS,
        "partitions": PARTITIONS,
        "bootstrap_key": KEY,
        "token_secret": TOKEN_SECRET,
    }
    return ApiSettings.model_validate(values | changes)


def prepare(settings: ApiSettings) -> None:
    """The newest schema and all topics."""

    async def migrated() -> None:
        database = Database(settings.database_url)
        await migrate(database)
        await database.close()

    asyncio.run(migrated())
    ensure_topics(settings.kafka_bootstrap_servers, declare(settings.partitions))


class ServedApi:
    """A running api: its address, a client with the key, and its parts."""

    def __init__(self, wiring: Wiring, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.wiring, self.url, self._loop = wiring, url, loop
        self.client = httpx.Client(base_url=url, headers={"Authorization": f"ApiKey {KEY}"}, timeout=PATIENCE_S)
        self.without_key = httpx.Client(base_url=url, timeout=PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.without_key.close()

    def segment(self, definition: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """A new segment."""
        body = {"name": "segment", **fields} | ({"definition": definition} if definition else {})
        answer = self.client.post("/api/segments/", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def do(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of some work in the api's event loop."""
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE_S)

    def get(self, path: str) -> Any:
        """The JSON of a successful GET."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextlib.contextmanager
def served_api(settings: ApiSettings) -> Iterator[ServedApi]:
    """Serve until the end of the block, which waits for the clean shutdown."""
    with listen(settings.host, 0) as listening:
        serving = _Serving(settings, listening)
        serving.start()
        try:
            serving.await_start()
            url = f"http://{settings.host}:{listening.getsockname()[1]}"
            with ServedApi(serving.wiring, url, serving.loop) as api:
                yield api
        finally:
            serving.end()
    assert serving.failure is None, serving.failure


class _Serving:
    """Runs the server in an event loop of its own."""

    def __init__(self, settings: ApiSettings, listening: socket) -> None:
        self._settings, self._listening = settings, listening
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="api")
        self.failure: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.failure = error
        self._started.set()

    def await_start(self) -> None:
        self._started.wait()
        assert self.failure is None, self.failure

    def end(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.wiring = Wiring(self._settings)
        self.wiring.passwords.hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # they are many
        server = Server(create_app(self._settings, self.wiring), self.wiring.streams.end)
        serving = asyncio.create_task(server.serve_until(self._stop, self._listening))
        begun = asyncio.create_task(server.has_started.wait())
        await asyncio.wait((begun, serving), return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        self._started.set()
        await serving


@contextlib.contextmanager
def fresh_api(servers: Servers, **changes: Any) -> Iterator[ServedApi]:
    """A served api on a new database, an empty Kafka and an empty Redis; `changes` of its settings."""
    empty_kafka(servers.kafka_bootstrap_servers)
    empty_redis(servers.redis_url)
    with fresh_database(servers.database_url) as database_url:
        settings = api_settings(servers, database_url, **changes)
        prepare(settings)
        with served_api(settings) as served:
            yield served


def report(servers: Servers, *reports: Progress) -> None:
    """Send reports as evaluator and exporter do."""
    producer = new_producer(servers.kafka_bootstrap_servers, MIB)
    for one in reports:
        producer.produce(PROGRESS, encode_progress(one), progress_key(one))
    assert producer.flush(PATIENCE_S) == 0


@contextlib.contextmanager
def reading(servers: Servers, topic: str, partitions: Sequence[int]) -> Iterator[Consumer]:
    """A consumer of these partitions from their beginnings."""
    consumer = Consumer({"bootstrap.servers": servers.kafka_bootstrap_servers, "group.id": "test", "log_level": 2})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    try:
        yield consumer
    finally:
        consumer.close()


def next_messages(consumer: Consumer, count: int) -> list[Message]:
    """The next messages, as soon as there are `count`; fails after some seconds."""
    found: list[Message] = []
    while len(found) < count:
        batch = consumer.consume(count - len(found), timeout=PATIENCE_S)
        assert batch, f"{len(found)} of {count} messages after {PATIENCE_S} s"
        for message in batch:
            assert message.error() is None, message.error()
        found += batch
    return found
