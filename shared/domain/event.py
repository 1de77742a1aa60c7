"""What one user did, as the kernel sees it."""

from typing import Any

import msgspec

CONTEXT_IDENTIFIED = "context_identified"
"""The event type whose newest payload is the user's properties."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One valid event at its place in the log.

    `occurred_at` and `received_at` are microseconds since 1970 (UTC); `occurred_at <= received_at`, already set
    by `occurred_at_of`. `offset` is the place in the partition and breaks ties of `occurred_at`.
    """

    user_id: str
    event_type: str
    occurred_at: int
    received_at: int
    offset: int
    payload: dict[str, Any]
    event_id: str | None = None
