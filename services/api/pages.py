"""Plain lists in pages: `page`, `page_size` -> `count`, `next`, `previous`, `results`."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request

from services.api.errors import NotFound

MAX_PAGE_SIZE = 500
_MAX_PAGE = 1_000_000_000


class Page:
    """The page that a request asks for."""

    def __init__(
        self,
        request: Request,
        page: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 1,
        page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = 50,
    ) -> None:
        self._url = request.url
        self._page = page
        self.limit = page_size
        self.offset = (page - 1) * page_size

    def answer(self, count: int, results: list[Any]) -> dict[str, Any]:
        """The body of the answer; `count` is the length of the whole list. Raises NotFound past its end."""
        if self._page > 1 and self.offset >= count:
            raise NotFound("there is no such page")
        more = self.offset + self.limit < count
        return {
            "count": count,
            "next": self._link(self._page + 1) if more else None,
            "previous": self._link(self._page - 1) if self._page > 1 else None,
            "results": results,
        }

    def _link(self, page: int) -> str:
        return str(self._url.include_query_params(page=page))


PageOf = Annotated[Page, Depends()]
