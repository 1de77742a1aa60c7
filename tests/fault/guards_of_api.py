"""The guards of the api."""

from tests.fault.guard import Guard

GUARDS_OF_API = [
    Guard(
        "a PostgreSQL that is starting is an outage",
        13,
        "",
        """
from services.api import database
database._OUTAGES = ()
""",
    ),
    Guard(
        "a wish is committed with what it tells of",
        13,
        "",
        """
from services.api.repository.outbox import OutboxRepository
from services.api.wiring import Wiring
add, wire, known = OutboxRepository.add, Wiring.__init__, []
def wired(self, *arguments):
    wire(self, *arguments)
    known.append(self.database)
async def apart(self, topic, key, message):
    async with known[0].begin_for_all() as work:
        return await add(work.outbox, topic, key, message)
Wiring.__init__, OutboxRepository.add = wired, apart
""",
    ),
    Guard(
        "the relay looks for what is not sent, not behind what it sent last",
        14,
        "",
        """
from services.api.repository.outbox import OutboxRepository
unsent, mark_sent, last = OutboxRepository.unsent, OutboxRepository.mark_sent, [0]
async def behind(self, limit):
    return [row for row in await unsent(self, limit) if row.id > last[0]]
async def noting(self, ids):
    await mark_sent(self, ids)
    last[0] = max(ids)
OutboxRepository.unsent, OutboxRepository.mark_sent = behind, noting
""",
    ),
    Guard(
        "Kafka's answer to an ingestion is awaited for a limited time",
        18,
        "api and Kafka",
        """
from services.api import kafka_writer, wiring
kafka_writer.TIME_LIMIT_S, wiring.DELIVERY_TIMEOUT_MS = 3600, 3_600_000
""",
    ),
    Guard(
        "past an uncertain end an answer is stale",
        18,
        "evaluator and Redis",
        """
from services.api.hot import lookups
membership_at = lookups.membership_at
lookups.membership_at = lambda *arguments: membership_at(*arguments)._replace(stale=False)
""",
    ),
    Guard(
        "a bad event of a batch keeps no other out",
        21,
        "at once",
        """
from services.api.hot import ingestion
decoded = ingestion.decode_track_batch
def strictly(body):
    events = decoded(body)
    for event in events:
        if isinstance(event, ingestion.InvalidEvent):
            raise event
    return events
ingestion.decode_track_batch = strictly
""",
    ),
]
