"""Case 32: `kill -9` of the api while computes and membership changes are sent to a receiver that fails at random.

Everything is taken at least once, with the same id and the same bytes; another tenant's webhook hears nothing.
"""

import asyncio
import signal

from services.api.database import Database
from tests.fault.check import Verdict, check
from tests.fault.registry import case_of
from tests.fault.webhooks import ENVIRON, EVENTS, Subscription, Unsteady, await_told
from tests.fault.world import RATE, World
from tests.support.evaluators import wait_for
from tests.support.receiver import Receiver, receiver

KILLS, KILLS_IN_BRIEF = 6, 2
PASSAGES = 4
PATIENCE_S = 120
AT_RANDOM = "at random"


@case_of(
    32,
    "kill -9 of the api that sends webhooks",
    [AT_RANDOM, "after_webhook_stored", "after_webhook_claim", "after_webhook_sent"],
)
def webhooks(world: World, variant: str) -> Verdict:
    unsteady = Unsteady(world.seed)
    with receiver(unsteady) as to:
        world.api = world.new_api(ENVIRON)
        world.new_exporter().await_ready()
        world.new_evaluator().await_ready()
        everything = Subscription(world, to, "/all", None)
        world.activate()
        some = Subscription(world, to, "/some", sorted(world.segments)[::3])
        asyncio.run(_foreign(world.addresses.database_url, to))
        kills, faults = (_kill_at_random if variant == AT_RANDOM else _crash)(world, variant)
        _ask_for_computes(world)
        world.await_progress(RATE)
        _await_computes(world)
        verdict = check(world)
        for each in (everything, some):
            await_told(world, each, unsteady)
            faults += each.differences(each.of(to.received), each.of(unsteady.taken))
        faults += [f"a foreign webhook has heard {each}" for each in to.received if each.path.endswith("/foreign")]
        ids = {each.message_id for each in to.received}
        note = f"{kills} kills, {len(ids)} deliveries in {len(to.received)} attempts"
        return verdict.besides(*faults, note=note)


def _kill_at_random(world: World, _: str) -> tuple[int, list[str]]:
    kills = KILLS_IN_BRIEF if world.brief else KILLS
    world.load()
    for _number in range(kills):
        world.await_progress(RATE)
        _ask_for_computes(world)
        world.at_random(3)
        world.api.kill()
        world.api.start().await_ready()
    return kills, []


def _crash(world: World, point: str) -> tuple[int, list[str]]:
    """Let the api die there again and again; another one goes on in the end."""
    kills = KILLS_IN_BRIEF if world.brief else KILLS
    _ask_for_computes(world)
    world.api.stop()
    passage = world.random.randint(1, PASSAGES)
    world.api = crashing = world.new_supervised_api({**ENVIRON, "SHOAL_API_CRASH_AT": f"{point}:{passage}"})
    load = world.load()
    wait_for(lambda: crashing.restarts >= kills, PATIENCE_S, f"{kills} crashes at {point}:{passage}")
    load.finish()
    crashing.end()
    world.api = world.new_api(ENVIRON)
    world.load()
    otherwise = [life.last_line for life in crashing.lives if life.exit_code != -signal.SIGKILL]
    return crashing.restarts, otherwise


def _ask_for_computes(world: World) -> None:
    """Of some segments; one that is under way goes on."""
    with world.api.client() as client:
        for segment_id in world.random.sample(sorted(world.segments), 3):
            assert client.post(f"/api/segments/{segment_id}/compute/").status_code in (202, 409)


def _await_computes(world: World) -> None:
    with world.api.client() as client:
        for segment_id in world.segments:
            world.api.await_computed(client, segment_id, PATIENCE_S)


async def _foreign(database_url: str, to: Receiver) -> None:
    """A webhook of another tenant, which has no segment."""
    database = Database(database_url)
    async with database.begin_for_all() as work:
        tenant = await work.tenants.ensure("another")
        values = {"url": f"{to.url}/foreign", "secret": "0123456789abcdef", "description": "", "is_active": True}
        await work.webhooks.create(tenant, **values, events=EVENTS, position=0)
    await database.close()
