"""Default deny: a route that declares no scope cannot be made, and no kind of caller has more than it should."""

import pytest
from fastapi import APIRouter

from services.api.app import all_routes
from services.api.auth import Caller
from services.api.errors import Forbidden
from services.api.guarded_route import GuardedRoute
from services.api.scopes import OF_KEY, OF_ROLE, OF_SESSION, Scope, needed_scope, needs


def test_every_route_is_guarded_and_declares_its_scope() -> None:
    routes = all_routes()
    assert len(routes) > 30
    for route in routes:
        assert isinstance(route, GuardedRoute), route.path
        assert isinstance(needed_scope(route.endpoint), Scope)


def test_a_route_without_a_scope_cannot_be_made() -> None:
    router = APIRouter(route_class=GuardedRoute)

    async def endpoint() -> None:
        """Declares nothing."""

    with pytest.raises(LookupError, match="endpoint declares no scope"):
        router.get("/api/undeclared/")(endpoint)
    router.get("/api/declared/")(needs(Scope.READ)(endpoint))


def test_each_kind_of_caller_may_what_the_contract_says() -> None:
    member = {Scope.READ, Scope.WRITE, Scope.INGEST}
    assert OF_ROLE["viewer"] == {Scope.READ}
    assert OF_ROLE["member"] == OF_KEY["secret"] == member
    assert OF_ROLE["admin"] == member | {Scope.MANAGE}
    assert OF_ROLE["owner"] == member | {Scope.MANAGE, Scope.OWN}
    assert OF_KEY["public"] == {Scope.MINT}
    assert {Scope.INGEST} == OF_SESSION


def test_a_caller_may_nothing_that_is_not_said() -> None:
    caller = Caller(1, "one", "somebody")
    for scope in Scope:
        with pytest.raises(Forbidden):
            caller.check(scope)
    caller._replace(scopes=frozenset({Scope.READ})).check(Scope.READ)
