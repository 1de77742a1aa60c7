"""The api as an ASGI application."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.api import error_handlers, openapi
from services.api.hot.dispatcher import Dispatcher
from services.api.hot.handler import HotPath
from services.api.hot.ingestion import Ingestion
from services.api.hot.lookups import Lookups
from services.api.routes import (
    audit,
    changes,
    compute,
    docs,
    downloads,
    explorer,
    exports,
    health,
    members,
    previews,
    segments,
    webhooks,
)
from services.api.settings import ApiSettings
from services.api.wiring import Wiring

_ROUTERS = (
    segments.router,
    previews.router,
    compute.router,
    members.router,
    exports.router,
    changes.router,
    downloads.router,
    explorer.router,
    audit.router,
    webhooks.router,
    docs.router,
    health.router,
)


def create_app(settings: ApiSettings, wiring: Wiring | None = None) -> Dispatcher:
    """The application; nothing is connected before its lifespan starts.

    Args:
        settings: of this process.
        wiring: parts made beforehand, by tests.
    """
    wired = wiring or Wiring(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await wired.start()
            yield
        finally:
            await wired.stop()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.wiring = wired
    app.state.docs_page = docs.docs_page()
    for router in _ROUTERS:
        app.include_router(router)
    app.openapi = _made_once(app)  # type: ignore[method-assign] # FastAPI's way to extend the document
    routes = [route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    error_handlers.install(app, routes)
    return Dispatcher(_hot_paths(wired), wired.authenticator, app)


def _made_once(app: FastAPI) -> Callable[[], dict[str, Any]]:
    def made() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.document(app)
        return app.openapi_schema

    return made


def _hot_paths(wired: Wiring) -> list[HotPath]:
    lookups = Lookups(wired.reader, wired.applied, wired.live, wired.clock)
    ingestion = Ingestion(wired.writer, wired.log_epoch, wired.clock)
    return [
        HotPath("GET", "/api/segments/membership/", lookups.one),
        HotPath("POST", "/api/segments/membership/batch/", lookups.many),
        HotPath("POST", "/api/ingestion/track/", ingestion.track),
        HotPath("POST", "/api/ingestion/track/batch/", ingestion.track_batch),
    ]
