"""Asking Redis within the time that a caller waits, with outages as answers."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TypeVar

from redis.exceptions import RedisError

from services.api.errors import Unavailable

_TIMEOUT_S = 0.9

_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)


async def answered(asking: Awaitable[_Answer]) -> _Answer:
    """The answer of the membership store. Raises Unavailable when there is none within a second."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await asking
    except (RedisError, OSError, TimeoutError) as error:
        _log.warning("the membership store does not answer: %s", str(error) or type(error).__name__)
        raise Unavailable("the membership store does not answer") from error
