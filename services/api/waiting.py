"""Waiting for a job to be woken, and no longer than until it looks by itself."""

import asyncio
import contextlib


async def woken(wake: asyncio.Event, within_s: float) -> None:
    """Returns when it is set, or after so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await wake.wait()
