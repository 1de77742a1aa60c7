"""The second wall: a query that forgets its tenant finds nothing of another one, and writes nothing there."""

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from services.api.repository.segments import SegmentRepository
from services.api.tables import metadata
from tests.support.callers import Tenant, ask, new_key, new_tenant, pair
from tests.support.served_api import ServedApi

OF_NO_TENANT = {"sign_in_attempts"}
DEFINITION = {
    "logic": "AND",
    "conditions": [{"type": "event_count", "event_type": "a", "operator": "gte", "value": 1}],
}


WRITTEN_BY_JOBS = (
    "insert into audits (tenant_id, rounds, checked, skipped, mismatches) values (:tenant, 1, 1, 0, 0)",
    (
        "insert into audit_mismatches (tenant_id, user_id, segment_id, version, live, by_history, as_of_us,"
        " log_epoch, partition, next_offset) values (:tenant, 'u', :segment, 1, true, false, 0, 'e', 0, 0)"
    ),
    (
        "insert into progress_reports (kind, id, outbox_id, partition, status)"
        " values ('segment', :segment, 1, 0, 'ready')"
    ),
    (
        "with hook as (insert into webhooks (tenant_id, url, secret, description, is_active, events)"
        " values (:tenant, 'https://one.example', 'secret of one', '', true, '{}') returning id)"
        " insert into webhook_deliveries (webhook_id, message_id, event, body)"
        " select id, 'm', 'e', 'of one' from hook"
    ),
)
"""Rows that no request makes, or none without the network."""


@pytest.fixture(scope="module")
def one(api: ServedApi) -> Tenant:
    """A tenant with rows in every table."""
    tenant = new_tenant(api, "one")

    def post(path: str, body: Any = None) -> Any:
        answer = ask(api, "POST", path, tenant.owner, body)
        assert answer.status_code in (201, 202), answer.text
        return answer.json()

    segment_id = post("/api/segments/", {"name": "first", "definition": DEFINITION})["id"]
    refers = {"type": "segment_membership", "segment_id": segment_id, "operator": "in"}
    post("/api/segments/", {"name": "second", "definition": {"logic": "AND", "conditions": [refers]}})
    post(f"/api/segments/{segment_id}/compute/")
    post(f"/api/segments/{segment_id}/export/")
    new_key(api, tenant)
    pair(api, tenant.email("owner"))

    async def rest() -> None:
        async with api.wiring.database.connect() as connection:
            for statement in WRITTEN_BY_JOBS:
                bound = {"tenant": tenant.id, "segment": segment_id}
                wanted = {name: value for name, value in bound.items() if f":{name}" in statement}
                await connection.execute(text(statement), wanted)

    api.do(rest)
    return tenant


@pytest.fixture(scope="module")
def two(api: ServedApi) -> Tenant:
    return new_tenant(api, "two")


def seen(api: ServedApi, tenant: Tenant, table: str) -> list[Any]:
    """The rows that a request of the tenant finds when it asks for all."""

    async def found() -> list[Any]:
        async with api.wiring.database.begin(tenant.id) as work:
            return list(await work.segments._connection.execute(select(metadata.tables[table])))

    return api.do(found)


@pytest.mark.parametrize("table", sorted(set(metadata.tables) - OF_NO_TENANT))
def test_a_query_without_a_tenant_shows_only_rows_of_the_callers(
    api: ServedApi, one: Tenant, two: Tenant, table: str
) -> None:
    of_one, of_two = seen(api, one, table), seen(api, two, table)
    assert of_one, "there is something to be seen"
    assert not set(map(str, of_one)) & set(map(str, of_two))
    # what a new tenant has: itself, its owner and the token of its sign-in
    assert len(of_two) == (1 if table in ("tenants", "logins", "refresh_tokens") else 0)


@pytest.mark.parametrize("table", sorted(OF_NO_TENANT))
def test_what_belongs_to_no_tenant_is_not_for_requests(api: ServedApi, two: Tenant, table: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        seen(api, two, table)


def test_every_table_has_its_rows_guarded(api: ServedApi) -> None:
    async def guarded() -> set[str]:
        query = text("select relname from pg_class where relrowsecurity and relkind = 'r'")
        async with api.wiring.database.connect() as connection:
            return set((await connection.execute(query)).scalars())

    assert api.do(guarded) == set(metadata.tables)


def test_a_change_without_a_tenant_changes_only_rows_of_the_callers(api: ServedApi, one: Tenant, two: Tenant) -> None:
    async def renamed() -> int:
        async with api.wiring.database.begin(two.id) as work:
            changed = await work.segments._connection.execute(text("update segments set name = 'taken over'"))
            return changed.rowcount

    assert api.do(renamed) == 0
    listed = ask(api, "GET", "/api/segments/", one.owner).json()["results"]
    assert {segment["name"] for segment in listed} == {"first", "second"}


@pytest.mark.parametrize(
    "statement",
    [
        "insert into segments (tenant_id, name, description, segment_type) values (:one, 'x', '', 'rule')",
        "insert into outbox (topic, key, message) select 'commands', 1, json_build_object('tenant', cast(:one as int))",
        "insert into logins (tenant_id, email, password_hash, role, created_by) values (:one, 'e', 'h', 'owner', 'x')",
        "insert into tenants (slug) values (cast(:one as int)::text)",
    ],
)
def test_nothing_can_be_written_for_another_tenant(api: ServedApi, one: Tenant, two: Tenant, statement: str) -> None:
    async def written() -> None:
        async with api.wiring.database.begin(two.id) as work:
            await work.segments._connection.execute(text(statement), {"one": one.id})

    with pytest.raises(DBAPIError, match=r"row-level security|permission denied"):
        api.do(written)


def test_a_request_that_forgets_its_filter_answers_without_the_others(
    api: ServedApi, one: Tenant, two: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask(api, "GET", "/api/segments/", one.owner).json()["results"]
    path = f"/api/segments/{found[0]['id']}/"

    async def forgetful(work: SegmentRepository, _: int, segment_id: int, *, lock: bool = False) -> Any:
        return await work.locked(segment_id)

    monkeypatch.setattr(SegmentRepository, "get", forgetful)
    assert ask(api, "GET", path, one.owner).status_code == 200
    for method, body in (("GET", None), ("PATCH", {"name": "mine now"}), ("DELETE", None)):
        assert ask(api, method, path, two.owner, body).status_code == 404


def test_the_role_ends_with_the_transaction(api: ServedApi, one: Tenant) -> None:
    async def roles() -> tuple[str, str]:
        async with api.wiring.database.begin(one.id) as work:
            inside = (await work.segments._connection.execute(text("select current_user"))).scalar_one()
        async with api.wiring.database.connect() as connection:
            return inside, (await connection.execute(text("select current_user"))).scalar_one()

    inside, after = api.do(roles)
    assert inside == "shoal_tenant"
    assert after != inside
