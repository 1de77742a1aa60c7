"""A few requests to the API and the health pages, with the standard library."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from deploy.local.errors import LocalRunError

_TIMEOUT_S = 30


class Api:
    """The API of this installation, asked with its key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key

    def get(self, path: str) -> Any:
        """The JSON of a GET. Raises LocalRunError when it is refused or not answered."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: object = None) -> Any:
        """The JSON of a POST. Raises LocalRunError when it is refused or not answered."""
        return self._ask("POST", path, json.dumps(body).encode() if body is not None else b"")

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"Authorization": f"ApiKey {self._key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data=body, headers=headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the address is ours # nosec B310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(500).decode(errors="replace")
            raise LocalRunError(f"{method} {path} was answered with {error.code}: {said}") from error
        except (OSError, http.client.HTTPException) as error:
            raise LocalRunError(f"{method} {path} was not answered: {error}") from error


def is_ready(url: str) -> bool:
    """Whether a service says that it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310 - the address is ours # nosec B310
            return bool(answer.status == http.HTTPStatus.OK)
    except (OSError, http.client.HTTPException):
        return False


def why_not_ready(url: str) -> str:
    """What a service says is missing; empty when it says nothing."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 - the address is ours # nosec B310
            return ""
    except urllib.error.HTTPError as error:
        with error:
            parts = json.loads(error.read() or b"{}").get("parts", {})
        return "; ".join(f"{name}: {reason}" for name, reason in parts.items() if reason != "ok")
    except (OSError, ValueError, http.client.HTTPException):
        return ""
