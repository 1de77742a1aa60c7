"""Errors of the public API: each knows its status, its body and its headers, the same on every path."""

from collections.abc import Mapping, Sequence
from typing import Any

RETRY_AFTER_S = 1
_NO_CREDENTIALS = (
    "no valid credentials: send the header Authorization: ApiKey sk_..., or Authorization: Bearer <access>"
)


class ApiError(Exception):
    """An answer other than success: `{"detail": ...}` or `{field: [messages]}` with a status and headers."""

    def __init__(self, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class Invalid(ApiError):  # noqa: N818 - it names the thing
    """400 that names the fields at fault: `{field: [messages]}`."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__(400, {field: list(messages) for field, messages in fields.items()})


class BadRequest(ApiError):  # noqa: N818
    """400 about the request as a whole."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, {"detail": detail})


class Unauthorized(ApiError):  # noqa: N818
    """401: no credentials, or none that we know."""

    def __init__(self, detail: str = _NO_CREDENTIALS) -> None:
        super().__init__(401, {"detail": detail}, {"WWW-Authenticate": 'ApiKey realm="shoal", Bearer realm="shoal"'})


class Forbidden(ApiError):  # noqa: N818
    """403: the caller is known, and may not do this."""

    def __init__(self, detail: str) -> None:
        super().__init__(403, {"detail": detail})


class NotFound(ApiError):  # noqa: N818
    """404: unknown, or another tenant's."""

    def __init__(self, detail: str = "not found") -> None:
        super().__init__(404, {"detail": detail})


class MethodNotAllowed(ApiError):  # noqa: N818
    """405 with the methods that the path knows."""

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(405, {"detail": f"method {method} is not allowed here"}, {"Allow": ", ".join(sorted(allowed))})


class Conflict(ApiError):  # noqa: N818
    """409: the thing is in a state that does not allow this."""

    def __init__(self, detail: str) -> None:
        super().__init__(409, {"detail": detail})


class Gone(ApiError):  # noqa: N818
    """410: it was here, and will not come back."""

    def __init__(self, detail: str) -> None:
        super().__init__(410, {"detail": detail})


class TooLarge(ApiError):  # noqa: N818
    """413: the body passes the limit."""

    def __init__(self, limit_bytes: int) -> None:
        # the rest of the body is never read, so the connection cannot carry another request
        super().__init__(413, {"detail": f"the body is larger than {limit_bytes} bytes"}, {"Connection": "close"})


class WrongMediaType(ApiError):  # noqa: N818
    """415: the body is not declared as JSON."""

    def __init__(self) -> None:
        super().__init__(415, {"detail": "the body must be JSON, with Content-Type: application/json"})


class TooMany(ApiError):  # noqa: N818
    """429: the caller asks too often."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(429, {"detail": detail}, {"Retry-After": str(retry_after_s)})


class Unavailable(ApiError):  # noqa: N818
    """503: a part we need is down or catching up; the caller tries again."""

    def __init__(self, detail: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(503, {"detail": detail}, {"Retry-After": str(retry_after_s)})


class InternalError(ApiError):
    """500: a fault of ours; the log has the trace, the answer has not."""

    def __init__(self) -> None:
        super().__init__(500, {"detail": "internal error"})
