"""Everything the api is made of, put together once; making it connects to nothing, `start` does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.api.applied_offsets import AppliedOffsets
from services.api.audit.auditor import Auditor
from services.api.audit.round import Round, Scope
from services.api.audit.sampled_history import SampledHistory
from services.api.auth import Authenticator, BootstrapKey
from services.api.calibrated_clock import CalibratedClock
from services.api.change_feed import ChangeFeed
from services.api.change_streams import ChangeStreams
from services.api.changes_known import ChangesKnown
from services.api.database import Database
from services.api.history import History
from services.api.kafka_writer import DELIVERY_TIMEOUT_MS, KafkaWriter
from services.api.leadership import Leadership
from services.api.live_segments import LiveSegments
from services.api.log_epoch import LogEpoch
from services.api.member_pages import MemberPages
from services.api.members import count_members
from services.api.membership_reader import MembershipReader
from services.api.outbox_relay import OutboxRelay
from services.api.passwords import Passwords
from services.api.progress_reader import ProgressReader
from services.api.questions import Questions
from services.api.settings import ApiSettings
from services.api.sign_in import SignIn
from services.api.tokens import Tokens
from services.api.webhooks.changes import WebhookChanges
from services.api.webhooks.client import WebhookClient
from services.api.webhooks.destinations import Destinations
from services.api.webhooks.sender import WebhookSender
from services.api.webhooks.upkeep import WebhookUpkeep
from shared.contracts.topics import EVENTS_MAX_BYTES
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.kafka import new_producer

_REDIS_TIMEOUT_S = 0.8
_PRODUCER_HEADROOM_BYTES = 64 * 1024


class Wiring:
    """The parts of one api process."""

    def __init__(self, settings: ApiSettings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.redis = _redis(settings.redis_url)
        self._calibrated = CalibratedClock(self.redis, SystemClock())
        self.clock: Clock = clock or self._calibrated
        self.tokens = Tokens(
            [secret for secret in (settings.token_secret, settings.token_secret_before) if secret], self.clock
        )
        self.passwords = Passwords()
        self.sign_in = SignIn(self.database, self.passwords, self.tokens)
        self.authenticator = Authenticator(BootstrapKey(settings.bootstrap_key), self.tokens, self.database, self.clock)
        self.writer = KafkaWriter(
            lambda: new_producer(
                settings.kafka_bootstrap_servers, EVENTS_MAX_BYTES + _PRODUCER_HEADROOM_BYTES, DELIVERY_TIMEOUT_MS
            )
        )
        self.live = LiveSegments(self._live_ids)
        self.reader = MembershipReader(self.redis, settings.partitions)
        self.members = MemberPages(self.redis, settings.partitions, self.clock)
        self.applied = AppliedOffsets(self.redis)
        self.log_epoch = LogEpoch(settings.kafka_bootstrap_servers)
        self.history = History(settings, self.clock)
        self.feed = ChangeFeed(self.history)
        self.streams = ChangeStreams(self.feed, settings.feed_streams, settings.feed_heartbeat_s)
        self.changes_known = ChangesKnown(
            self.redis, self.history, settings.kafka_bootstrap_servers, settings.partitions
        )
        self.questions = Questions(settings.redis_url, settings.partitions)
        self.relay = OutboxRelay(self.database, self.writer, settings.partitions)
        self.progress = ProgressReader(
            self.database, settings.kafka_bootstrap_servers, settings.partitions, self._segments_changed
        )
        self.destinations = Destinations(settings.webhook_allowed_networks)
        self.webhook_client = WebhookClient(self.destinations, self.clock, settings.webhook_timeout_s)
        audits = (self._auditor().run,) if settings.audit_interval_s else ()
        jobs = (self.relay.run, self.progress.run, *self._webhook_jobs(), *audits)
        self.leadership = Leadership(settings.database_url, self.relay.wake, jobs)
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect, find or make the bootstrap tenant, and begin the background work. Raises DatabaseUnavailable."""
        slug = self.settings.bootstrap_tenant
        async with self.database.begin_for_all() as work:
            self.authenticator.belongs_to(await work.tenants.ensure(slug), slug)
        self.history.start()
        await self.writer.start()
        self._background = [
            asyncio.create_task(self.leadership.run(), name="leadership"),
            asyncio.create_task(self._calibrated.run(), name="clock"),
        ]

    async def stop(self) -> None:
        """End the background work, write what is under way, close all connections."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.feed.close()
        await self.history.stop()
        await self.writer.stop()
        await self.redis.aclose()
        await self.questions.close()
        await self.database.close()

    def wake_relay(self) -> None:
        """Rows may wait in the outbox; heard when this process relays it."""
        self.relay.wake()

    def _webhook_jobs(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        settings = self.settings
        sender = WebhookSender(
            self.database,
            self.webhook_client,
            self._count_members,
            settings.webhook_retry_delays_s,
            settings.webhook_timeout_s,
        )
        changes = WebhookChanges(self.database, self.feed, sender.wake)
        return sender.run, changes.run, WebhookUpkeep(self.database, settings.webhook_kept_days).run

    async def _count_members(self, tenant: int, segment_id: int) -> int | None:
        counts = await count_members(self.redis, self.settings.partitions, tenant, [segment_id])
        return counts[segment_id]

    def _auditor(self) -> Auditor:
        settings = self.settings
        scope = Scope(settings.partitions, settings.audit_users, settings.audit_segments)
        rounds = Round(self.database, self.redis, self.clock, SampledHistory(self.history), scope)
        return Auditor(self.database, rounds, settings.partitions, settings.audit_interval_s)

    async def _live_ids(self, tenant: int) -> frozenset[int]:
        async with self.database.begin(tenant) as work:
            return await work.segments.live_ids(tenant)

    def _segments_changed(self, tenant: int) -> None:
        self.live.forget(tenant)
        self.relay.wake()


def _redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=_REDIS_TIMEOUT_S,
        socket_connect_timeout=_REDIS_TIMEOUT_S,
        # once more at once: the connection of a restarted server is found dead by the first command on it
        retry=Retry(NoBackoff(), 1),
    )


def _wiring(request: Request) -> Wiring:
    wiring: Wiring = request.app.state.wiring
    return wiring


WiringOf = Annotated[Wiring, Depends(_wiring)]
