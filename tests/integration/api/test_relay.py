"""The outbox and its relay: nothing is lost, one process leads, a start repeats the last wishes."""

import asyncio
import time

import asyncpg

from shared.contracts.command import Command, decode_command
from shared.contracts.topics import COMMANDS
from tests.support.clean_servers import empty_kafka, fresh_database
from tests.support.served_api import PATIENCE_S, ServedApi, api_settings, next_messages, prepare, reading, served_api
from tests.support.servers import Servers

DEFINITION = {
    "logic": "AND",
    "conditions": [{"type": "event_count", "event_type": "order", "operator": "gte", "value": 2}],
}


def commands(servers: Servers, count: int, partition: int = 0) -> list[Command]:
    """The first commands of a partition."""
    with reading(servers, COMMANDS, [partition]) as consumer:
        return [decode_command(message.value() or b"") for message in next_messages(consumer, count)]


def await_command(servers: Servers, segment_id: int) -> None:
    with reading(servers, COMMANDS, [0]) as consumer:
        while decode_command(next_messages(consumer, 1)[0].value() or b"").segment_id != segment_id:
            pass  # commands of others


def compute(api: ServedApi) -> int:
    segment_id: int = api.segment(DEFINITION)["id"]
    assert api.client.post(f"/api/segments/{segment_id}/compute/").status_code == 202
    return segment_id


def await_relay(api: ServedApi, *, leading: bool) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while api.wiring.leadership.leading is not leading:
        assert time.monotonic() < deadline
        time.sleep(0.02)  # the api tells nobody who leads


def test_a_start_sends_the_last_wish_of_every_segment_again_with_its_id(servers: Servers) -> None:
    empty_kafka(servers.kafka_bootstrap_servers)
    with fresh_database(servers.database_url) as database_url:
        settings = api_settings(servers, database_url)
        prepare(settings)
        with served_api(settings) as api:
            kept, deleted, never = compute(api), compute(api), api.segment(DEFINITION)["id"]
            api.client.delete(f"/api/segments/{deleted}/")
            first = commands(servers, 3)
        assert [one.segment_id for one in first] == [kept, deleted, deleted]
        with served_api(settings):
            again = commands(servers, 5)[3:]
        assert again == [first[0], first[2]]
        assert never not in {one.segment_id for one in first + again}


def test_rows_wait_out_an_outage_of_kafka_and_are_sent_in_order(servers: Servers) -> None:
    empty_kafka(servers.kafka_bootstrap_servers)
    with fresh_database(servers.database_url) as database_url:
        settings = api_settings(servers, database_url)
        prepare(settings)
        cut_off = api_settings(servers, database_url, kafka_bootstrap_servers="127.0.0.1:1")
        with served_api(cut_off) as api:
            segments = [compute(api) for _ in range(3)]
            api.client.delete(f"/api/segments/{segments[1]}/")
            deadline = time.monotonic() + PATIENCE_S
            while api.wiring.relay.fault is None:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert api.client.get("/readyz").json()["parts"]["relay"] != "ok"
        with served_api(settings) as api:
            # what waits is sent once for the last wishes and once for the outbox
            found = commands(servers, 7)
            assert api.client.get("/readyz").status_code == 200
        last: dict[int, Command] = {one.segment_id: one for one in found}
        assert [last[one].deleted for one in segments] == [False, True, False]
        of_deleted = [one.outbox_id for one in found[3:] if one.segment_id == segments[1]]
        assert of_deleted == sorted(of_deleted)


def test_one_api_leads_and_the_other_takes_over(servers: Servers) -> None:
    empty_kafka(servers.kafka_bootstrap_servers)
    with fresh_database(servers.database_url) as database_url:
        settings = api_settings(servers, database_url)
        prepare(settings)
        with served_api(settings) as first:
            await_relay(first, leading=True)
            with served_api(settings) as second:
                assert second.client.get("/readyz").status_code == 200
                # the notification reaches the leader: nothing waits for its poll
                made = [compute(second) for _ in range(5)]
                assert [one.segment_id for one in commands(servers, 5)] == made
                assert not second.wiring.leadership.leading


def test_a_leader_that_loses_its_connection_is_replaced_and_stands_in_line_again(servers: Servers) -> None:
    empty_kafka(servers.kafka_bootstrap_servers)
    with fresh_database(servers.database_url) as database_url:
        settings = api_settings(servers, database_url)
        prepare(settings)
        with served_api(settings) as first, served_api(settings) as second:
            leader, other = (first, second) if _leads(first, second) else (second, first)
            asyncio.run(_cut_connection_of_leader(database_url))
            await_relay(other, leading=True)
            await_relay(leader, leading=False)
            await_command(servers, compute(leader))
            deadline = time.monotonic() + PATIENCE_S
            while leader.client.get("/readyz").status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.1)  # it asks for the lead again after a moment


def _leads(first: ServedApi, second: ServedApi) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not (first.wiring.leadership.leading or second.wiring.leadership.leading):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return first.wiring.leadership.leading


async def _cut_connection_of_leader(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    of_leader = "select pg_terminate_backend(pid) from pg_locks join pg_database on pg_database.oid = database where"
    cut = await connection.fetch(f"{of_leader} locktype = 'advisory' and granted and datname = current_database()")
    assert len(cut) == 1
    await connection.close()
