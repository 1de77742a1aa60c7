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
    api_keys,
    audit,
    changes,
    compute,
    docs,
    downloads,
    explorer,
    exports,
    health,
    logins,
    members,
    previews,
    segments,
    sessions,
    tokens,
    webhooks,
)
from services.api.scopes import Scope
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
    tokens.router,
    sessions.router,
    api_keys.router,
    logins.router,
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
    routes = all_routes()
    app.openapi = _made_once(app, routes)  # type: ignore[method-assign] # FastAPI's way to extend the document
    error_handlers.install(app, routes)
    return Dispatcher(hot_paths(wired), wired.authenticator, app)


def all_routes() -> list[APIRoute]:
    """Every route but the hot paths."""
    return [route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def _made_once(app: FastAPI, routes: list[APIRoute]) -> Callable[[], dict[str, Any]]:
    def made() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.document(app, routes)
        return app.openapi_schema

    return made


def hot_paths(wired: Wiring) -> list[HotPath]:
    """The paths that bypass the framework."""
    lookups = Lookups(wired.reader, wired.applied, wired.live, wired.clock)
    ingestion = Ingestion(wired.writer, wired.log_epoch, wired.clock)
    return [
        HotPath("GET", "/api/segments/membership/", Scope.READ, lookups.one),
        HotPath("POST", "/api/segments/membership/batch/", Scope.READ, lookups.many),
        HotPath("POST", "/api/ingestion/track/", Scope.INGEST, ingestion.track),
        HotPath("POST", "/api/ingestion/track/batch/", Scope.INGEST, ingestion.track_batch),
    ]
