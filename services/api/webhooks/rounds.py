"""A job of the leader that goes on whatever happens: it stands beside the relay, which must not end with it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from services.api.database import DatabaseUnavailable
from services.api.errors import ApiError

_RETRY_S = 2.0

_log = logging.getLogger(__name__)


async def rounds(what: str, once: Callable[[], Awaitable[float]]) -> None:
    """Do it until cancelled; each time it says after how many seconds again. Outages are waited out."""
    while True:
        try:
            pause_s = await once()
        except DatabaseUnavailable as outage:
            pause_s = _RETRY_S
            _log.warning("%s: again in %g s: PostgreSQL: %s", what, pause_s, outage)
        except ApiError as outage:
            pause_s = _RETRY_S
            _log.warning("%s: again in %g s: %s", what, pause_s, outage)
        except Exception:  # noqa: BLE001 - it is logged; raised, it would end the relay, which leads beside it
            pause_s = _RETRY_S
            _log.exception("%s failed", what)
        await asyncio.sleep(pause_s)
