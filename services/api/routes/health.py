"""/livez, /readyz and /metrics: for whoever runs the api."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError

from services.api.database import DatabaseUnavailable
from services.api.guarded_route import GuardedRoute, JsonAnswer
from services.api.kafka_writer import NotStored
from services.api.scopes import Scope, needs
from services.api.wiring import Wiring, WiringOf
from shared.runtime.health import readiness
from shared.runtime.metrics import API, exposition

router = APIRouter(route_class=GuardedRoute, tags=["health"])

_TIMEOUT_S = 1.5


@router.get("/livez/", include_in_schema=False)
@needs(Scope.OPEN)
async def livez() -> Response:
    """The event loop answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz/", include_in_schema=False)
@needs(Scope.OPEN)
async def readyz(wiring: WiringOf) -> Response:
    """200 when every part is fine, else 503 that names the part and why."""
    postgres, kafka, redis = await asyncio.gather(
        _fault(wiring.database.ping()), _fault(wiring.writer.ping()), _fault(_ping_redis(wiring))
    )
    relay = wiring.leadership.fault or wiring.relay.fault or wiring.progress.fault
    status, body = readiness({"postgres": postgres, "kafka": kafka, "redis": redis, "relay": relay})
    return JsonAnswer(body, status, {"Retry-After": "1"} if status == 503 else None)


@router.get("/metrics/", include_in_schema=False)
@needs(Scope.OPEN)
async def metrics() -> Response:
    """Prometheus text."""
    return Response(exposition(API), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _ping_redis(wiring: Wiring) -> None:
    await wiring.redis.ping()


async def _fault(check: Awaitable[None]) -> str | None:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await check
    except TimeoutError:
        return "does not answer in time"
    except (DatabaseUnavailable, NotStored, RedisError, OSError) as error:
        return str(error) or type(error).__name__
    return None
