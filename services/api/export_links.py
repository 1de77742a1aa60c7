"""Links that fetch an export file without a key, for a while."""

import hashlib
import hmac
from typing import NamedTuple

from services.api.instants import MICROSECONDS
from services.api.repository.exports import ExportRow

DOWNLOAD = "/api/segments/exports/{export_id}/download/"


class Link(NamedTuple):
    """A link, and the instant it ends at, in microseconds since 1970."""

    path: str
    query: str
    expires_at_us: int


def link_to(export: ExportRow, now_us: int, lasts_s: int) -> Link | None:
    """A link to the file of a complete export; None when there is no file, or no longer."""
    if export.link_secret is None or export.expires_at_us is None or export.expires_at_us <= now_us:
        return None
    expires = min(now_us // MICROSECONDS + lasts_s, export.expires_at_us // MICROSECONDS)
    path = DOWNLOAD.format(export_id=export.id) + file_name(export)
    query = f"expires={expires}&signature={_signature(export.link_secret, export.id, expires)}"
    return Link(path, query, expires * MICROSECONDS)


def is_signed(export: ExportRow, expires: int, signature: str) -> bool:
    """Whether this is the signature of a link of ours that ends at `expires`, in seconds since 1970."""
    if export.link_secret is None:
        return False
    return hmac.compare_digest(_signature(export.link_secret, export.id, expires).encode(), signature.encode())


def file_name(export: ExportRow) -> str:
    """What the file is called where it is saved."""
    return f"segment-{export.segment_id}-export-{export.id}.{export.format}"


def _signature(secret: bytes, export_id: int, expires: int) -> str:
    return hmac.new(secret, f"{export_id}:{expires}".encode(), hashlib.sha256).hexdigest()
