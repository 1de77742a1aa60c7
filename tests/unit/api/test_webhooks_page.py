"""docs/webhooks.md: the code for receivers does what it says, and the table of attempts is the default."""

import re
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from services.api.settings import ApiSettings
from services.api.webhooks.signatures import new_secret, signed_headers

PAGE = (Path(__file__).parents[3] / "docs/webhooks.md").read_text(encoding="utf-8")
BODY = b'{"event":"webhook.test"}'
UNITS = {"s": 1, "min": 60, "h": 3600}


@pytest.fixture(scope="module")
def functions() -> dict[str, Any]:
    """What the code of the page defines."""
    found: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, found)
    return found


@pytest.mark.parametrize("secret", [new_secret(), "a-secret-of-their-own"], ids=["made", "theirs"])
def test_receivers_can_copy_the_code(functions: dict[str, Any], secret: str) -> None:
    now_s = int(time.time())
    headers = signed_headers(secret, "msg_1", now_s, BODY)
    for name in ("is_from_shoal", "is_from_shoal_and_new"):
        assert functions[name](BODY, headers, secret)
        assert not functions[name](BODY + b" ", headers, secret)
        assert not functions[name](BODY, headers, new_secret())
    old = signed_headers(secret, "msg_1", now_s - 600, BODY)
    assert not functions["is_from_shoal_and_new"](BODY, old, secret)


def test_the_table_of_attempts_is_the_default() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    delays_s = ApiSettings.model_fields["webhook_retry_delays_s"].default
    assert [int(attempt) for attempt, _, _ in rows] == list(range(2, len(delays_s) + 2))
    assert [seconds(delay) for _, delay, _ in rows] == list(delays_s)
    for (_, _, told), due_s in zip(rows, accumulate(delays_s), strict=True):
        assert 0 <= due_s - seconds(told) < 60


def seconds(text: str) -> int:
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", text))
