"""What each guard is for: without it, the case named finds differences."""

from tests.fault.guard import Guard
from tests.fault.guards_of_api import GUARDS_OF_API

GUARDS = [
    Guard(
        "an event at or below a user's applied offset is skipped",
        1,
        "",
        """
from services.evaluator.step import Step
Step.applied_offset_guard = False
""",
    ),
    Guard(
        "the state is flushed before the offsets are committed",
        1,
        "",
        """
from services.evaluator.agents import EvaluatorApp
async def before_commit(self, offsets):
    pass
EvaluatorApp.before_commit = before_commit
""",
    ),
    Guard(
        "an event id counts once",
        21,
        "at once",
        """
from services.evaluator import step
step.is_repeat = lambda state, event: False
""",
    ),
    Guard(
        "a claim divides whose records count, for recovery and for the owner",
        27,
        "",
        """
from services.evaluator import changelog
changelog.written_late = lambda *arguments: []
take_other = changelog._Reading._take_other
def blind(self, message):
    take_other(self, message)
    self._epoch = -1
changelog._Reading._take_other = blind
""",
    ),
    Guard(
        "late records are written over",
        27,
        "",
        """
from services.evaluator import changelog
changelog.note_late = lambda table, keys: None
""",
    ),
    Guard(
        "a partition taken away is dropped whole",
        26,
        "",
        """
from services.evaluator import assignment
recovered, kept = assignment.recovered, {}
def remembering(consumer, partition, claim, *arguments, **options):
    recovery = recovered(consumer, partition, claim, *arguments, **options)
    table = kept.setdefault(partition, recovery.table)
    if table is not recovery.table:
        table.record.epoch = claim[0]
        table.record.flushed_through = recovery.table.record.flushed_through
    return recovery._replace(table=table)
assignment.recovered = remembering
""",
    ),
    Guard(
        "unsent changes are sent again",
        2,
        "after_redis",
        """
from services.evaluator.publisher import Publisher
async def forget(self, keys):
    self._table.record.published = self._table.pub
Publisher._republish = forget
""",
    ),
    Guard(
        "a worker that cannot reach Kafka says so",
        6,
        "the evaluator waits",
        """
from services.evaluator.sweep import Sweep
Sweep.fault = property(lambda self: None, lambda self, value: None)
""",
    ),
    Guard(
        "a worker is not ready before it knows all",
        8,
        "",
        """
from services.evaluator.app import Evaluator
parts = Evaluator._parts
Evaluator._parts = lambda self: parts(self) | {"recovery": None}
""",
    ),
    Guard(
        "an answer of Kafka is awaited for a limited time",
        9,
        "the only worker",
        """
from services.evaluator import batching
batching.limit_answers = lambda client, limit_s: None
""",
    ),
    Guard(
        "every script checks the head",
        10,
        "",
        """
from services.evaluator import membership_writer
script = membership_writer.SCRIPT
start, end = script.index("if not head"), script.index("local function members")
membership_writer.SCRIPT = script[:start] + script[end:]
""",
    ),
    Guard(
        "the partition's record knows the last script in Redis",
        11,
        "new owner",
        """
from services.evaluator.membership_writer import MembershipWriter
MembershipWriter._note_head = lambda self: None
""",
    ),
    Guard(
        "what Redis does not take is tried again",
        12,
        "memory is full",
        """
from services.evaluator import membership_writer
membership_writer.PASSING = ()
""",
    ),
    Guard(
        "a wall clock that disagrees with the brokers' is not used",
        19,
        "jumps 2 h ahead",
        """
from services.evaluator import sweep
horizon = sweep.Horizon
sweep.Horizon = lambda now_us, end_offset, is_trusted: horizon(now_us, end_offset)
""",
    ),
    Guard(
        "too many dead letters in a row stop a partition",
        20,
        "nothing but poison",
        """
from services.evaluator.dead_letter_ceiling import DeadLetterCeiling
DeadLetterCeiling.passed = lambda self, records, dead: None
""",
    ),
    Guard(
        "state and log of another topic are refused",
        23,
        "created anew",
        """
from services.evaluator import recovery
recovery._refuse_another_log = lambda table, log: None
""",
    ),
    Guard(
        "an answer about a user counts only with the present owner's epoch",
        30,
        "loses Kafka",
        """
from msgspec.structs import replace
from services.evaluator.answering import Answering
from shared.contracts.redis_keys import epoch_of, head_key
take, answer = Answering._take, Answering._answer
async def pretending(self, value):
    self._pretended = epoch_of(await self._redis.get(head_key(self._partition)))
    return await take(self, value)
Answering._take = pretending
Answering._answer = lambda self, question: replace(answer(self, question), epoch=self._pretended)
""",
    ),
    Guard(
        "what history gave to a user is noted in the user's record",
        24,
        "after_merge",
        """
from services.evaluator.step import Step
merge = Step.merge
def forgetful(self, tenant, user_id, found):
    from shared.contracts.keys import user_key
    user = self._table.user(user_key(tenant, user_id))
    if user is not None:
        user.state.merged = ()
    merge(self, tenant, user_id, found)
Step.merge = forgetful
""",
    ),
    Guard(
        "history is read when it has passed the cutover",
        24,
        "at random",
        """
from services.evaluator.backfill import Ask
Ask.is_within = lambda self, snapshot: True
""",
    ),
    Guard(
        "a delivery is done when the receiver has taken it",
        32,
        "at random",
        """
from services.api.webhooks.sender import WebhookSender
attempt = WebhookSender._attempt
async def noted_first(self, claimed):
    async with self._database.begin_for_all() as work:
        await work.deliveries.finish(claimed.id, "delivered", 200, None)
    await attempt(self, claimed)
WebhookSender._attempt = noted_first
""",
    ),
    Guard(
        "a webhook's place in the feed and its deliveries are stored together",
        32,
        "after_webhook_stored",
        """
from services.api.repository.webhooks import WebhookRepository
from services.api.webhooks import changes
async def place_first(self, follower, page):
    bodies, through = changes._bodies(follower, page)
    async with self._database.begin_for_all() as work:
        await work.webhooks.advance(follower.id, follower.position, through)
    if bodies:
        changes.crash_point("after_webhook_stored")
        async with self._database.begin_for_all() as work:
            await work.deliveries.add(follower.id, changes.payloads.CHANGED, bodies)
changes.WebhookChanges._store = place_first
""",
    ),
    Guard(
        "an archiver goes on from the table's own number",
        16,
        "after_delta_commit",
        """
from shared.history import writer
writer.position = lambda *_: None
""",
    ),
    Guard(
        "who changed while an export was made is as the log says",
        31,
        "kill -9",
        """
from services.exporter.exports import attempt
attempt.memberships_at = lambda changes, as_of: {}
""",
    ),
    *GUARDS_OF_API,
]
