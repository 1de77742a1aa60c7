"""Case 13: PostgreSQL is killed while segments are made, edited, computed, deactivated and deleted.

What an answer promised holds; a definition and its wish are both there, in PostgreSQL and in Kafka, or neither is;
everything goes on by itself when PostgreSQL is back. Lookups and ingestion need it for nothing.
"""

import json

from tests.fault.check import Verdict, check
from tests.fault.definitions import DEFINITIONS
from tests.fault.editors import Editor, broken_promises
from tests.fault.lookups import with_members
from tests.fault.readiness import await_no_trouble
from tests.fault.registry import case
from tests.fault.wishes import rows, wrong_wishes
from tests.fault.world import World
from tests.support.evaluators import wait_for

KILLS, KILLS_IN_BRIEF = 4, 2
AWAY_S = 3.0
"""At most."""
RATE = 300
COMPUTED_S = 120
_ACTIVE = (
    "select s.id, v.definition::text as text from segments s join segment_versions v"
    " on v.segment_id = s.id and v.version = s.active_version where s.is_active and s.deleted_at is null"
)


@case(13, "kill -9 of PostgreSQL while segments are made, edited, computed, deactivated and deleted")
def kill_postgres(world: World) -> Verdict:
    world.new_evaluator().await_ready()
    world.new_exporter().await_ready()
    watch = with_members(world, DEFINITIONS[:2])
    world.load(RATE)
    editors = [Editor(world, f"editor {number}") for number in range(3)]
    for _ in range(KILLS_IN_BRIEF if world.brief else KILLS):
        for editor in editors:
            editor.reading.await_rounds(5)
        world.at_random(1)
        world.servers.postgres.kill()
        world.at_random(AWAY_S)
        world.servers.postgres.start()
        world.await_recovery()
    for editor in editors:
        editor.reading.await_rounds(1)
        editor.reading.finish()
    watch.finish()
    found = [fault for editor in editors for fault in editor.reading.faults]
    found += [f"PostgreSQL was killed, and a lookup was refused: {lookup}" for lookup in watch.refused()]
    found += [*_await_computed(world), *broken_promises(world, editors), *wrong_wishes(world)]
    await_no_trouble(world.api, "relay")
    saves, refused = sum(len(editor.saved) for editor in editors), sum(editor.refused for editor in editors)
    note = f"{saves} definitions saved, {refused} calls refused, {len(watch.found)} lookups"
    return check(world).besides(*watch.wrong(), *found, note=note)


def _await_computed(world: World) -> list[str]:
    """Wait until every compute has come to its end and who was deleted has no members; `check` looks at the rest."""
    wait_for(
        lambda: not rows(world, "select 1 from segments where computing_version is not null and deleted_at is null"),
        COMPUTED_S,
        "every compute comes to its end",
    )
    world.segments = {row["id"]: json.loads(row["text"]) for row in rows(world, _ACTIVE)}
    wait_for(
        lambda: world.stream.member_sets().keys() <= world.segments.keys(), COMPUTED_S, "nobody is in what is gone"
    )
    failed = rows(world, "select id, status_detail from segments where status = 'failed'")
    return [f"segment {row['id']}: {row['status_detail']}" for row in failed]
