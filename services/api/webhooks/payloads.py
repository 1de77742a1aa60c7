"""What webhooks say: the bodies of the events. A body is text from the first attempt on, so that it can be signed."""

from collections.abc import Sequence
from typing import Any

import msgspec

RECOMPUTED = "segment.recomputed"
CHANGED = "membership.changed"
TEST = "webhook.test"


def recomputed(tenant_slug: str, segment_id: int, segment_name: str, computed_at: str | None) -> str:
    """`segment.recomputed`, but for the number of members, which is told when it is first sent (`with_count`)."""
    return _text(
        {
            "event": RECOMPUTED,
            "tenant_slug": tenant_slug,
            "segment_id": segment_id,
            "segment_name": segment_name,
            "member_count": None,
            "computed_at": computed_at,
        }
    )


def uncounted_segment(event: str, body: str) -> int | None:
    """The segment whose members are still to be counted in this body, or None."""
    if event != RECOMPUTED:
        return None
    said = msgspec.json.decode(body)
    return int(said["segment_id"]) if said["member_count"] is None else None


def with_count(body: str, member_count: int) -> str:
    """The body with the number of members."""
    return _text(msgspec.json.decode(body) | {"member_count": member_count})


def test(tenant_slug: str, webhook_id: int, sent_at: str) -> str:
    """`webhook.test`: says nothing but that webhooks arrive."""
    return _text({"event": TEST, "tenant_slug": tenant_slug, "webhook_id": webhook_id, "sent_at": sent_at})


def changed(tenant_slug: str, changes: Sequence[dict[str, Any]]) -> str:
    """`membership.changed`."""
    return _text({"event": CHANGED, "tenant_slug": tenant_slug, "changes": changes})


def _text(body: dict[str, Any]) -> str:
    return msgspec.json.encode(body).decode()
