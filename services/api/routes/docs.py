"""/api/docs/ and /api/openapi.json: the page needs nothing from another host."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api.guarded_route import GuardedRoute, JsonAnswer
from services.api.scopes import Scope, needs

router = APIRouter(route_class=GuardedRoute, tags=["docs"])

_PAGE = Path(__file__).with_name("docs.html")


@router.get("/api/docs/", include_in_schema=False)
@needs(Scope.OPEN)
async def docs(request: Request) -> Response:
    """The OpenAPI document as a page."""
    page: str = request.app.state.docs_page
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
    return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})


@router.get("/api/openapi.json/", include_in_schema=False)
@needs(Scope.OPEN)
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return JsonAnswer(request.app.openapi())


def docs_page() -> str:
    """The page's HTML."""
    return _PAGE.read_text(encoding="utf-8")
