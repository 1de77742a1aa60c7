"""Dead letters (topic `dead-letters`): messages nobody can use, with the key and value bytes as they were found.

The message's key and value are the source's bytes, untouched (both may be absent); where they lay and why they were
refused stands in the headers. To try one again, produce key and value to `source_topic`, with the header
`RESENT_FROM` that tells which dead letter it was.
"""

from collections.abc import Iterable

import msgspec

SCHEMA_VERSION = 1

RESENT_FROM = "resent_from"
"""Header of a message sent again, and of the dead letter that it becomes if it fails again: `partition:offset` of
the dead letter that was sent."""

MAX_REASON_CHARS = 1000
"""A longer reason is cut: it may quote what the sender wrote, and the message must fit into the topic."""


class DeadLetterOrigin(msgspec.Struct, frozen=True):
    """Where a dead letter lay and why it was refused; `resent_from` when it had been a dead letter before."""

    source_topic: str
    source_partition: int
    source_offset: int
    reason: str
    schema_version: int = SCHEMA_VERSION
    resent_from: str | None = None


def dead_letter_headers(
    source_topic: str,
    source_partition: int,
    source_offset: int,
    reason: str,
    of_message: Iterable[tuple[str, bytes | None]] = (),
) -> list[tuple[str, bytes]]:
    """The headers of a dead letter, in the form that aiokafka and confluent-kafka both take.

    `reason` is one line for a person; what UTF-8 cannot hold (lone surrogates) is replaced. `of_message`: the headers
    of the message itself, of which `RESENT_FROM` is passed on.
    """
    return [
        ("source_topic", source_topic.encode()),
        ("source_partition", b"%d" % source_partition),
        ("source_offset", b"%d" % source_offset),
        ("reason", " ".join(reason[:MAX_REASON_CHARS].split()).encode(errors="replace")),
        ("schema_version", b"%d" % SCHEMA_VERSION),
        *((name, value) for name, value in of_message if name == RESENT_FROM and value is not None),
    ]


def read_dead_letter_headers(headers: Iterable[tuple[str, bytes]]) -> DeadLetterOrigin:
    """The origin from a dead letter's headers. Raises ValueError when they are none of ours."""
    texts = {name: value.decode() for name, value in headers}
    try:
        return DeadLetterOrigin(
            source_topic=texts["source_topic"],
            source_partition=int(texts["source_partition"]),
            source_offset=int(texts["source_offset"]),
            reason=texts["reason"],
            schema_version=int(texts["schema_version"]),
            resent_from=texts.get(RESENT_FROM),
        )
    except KeyError as missing:
        raise ValueError(f"a dead letter without the header {missing}") from missing
