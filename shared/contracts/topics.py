"""Every topic: its name, partitions and settings. Start-up creates the missing and refuses the different."""

import msgspec

DAY_MS = 86_400_000
MIB = 1_048_576

EVENTS = "events"
COMMANDS = "commands"
MEMBERSHIP_CHANGES = "membership-changes"
EXPORT_REQUESTS = "export-requests"
PROGRESS = "progress"
DEAD_LETTERS = "dead-letters"
CHANGELOG = "user-state-changelog"

EVENTS_MAX_BYTES = 3 * MIB
DEAD_LETTERS_MAX_BYTES = 4 * MIB
CHANGELOG_MAX_BYTES = 8 * MIB
"""Of one user's state: event ids alone can be 5 MiB."""

SIDE_PARTITIONS = 4
"""Partitions of the topics that are not numbered like `events`."""


class Topic(msgspec.Struct, frozen=True):
    """One declared topic; `config` holds exactly the settings that start-up compares."""

    name: str
    partitions: int
    config: dict[str, str]


def declare(partitions: int) -> tuple[Topic, ...]:
    """All topics of an installation whose `events` has that many partitions."""

    def deleted(name: str, count: int, days: int, max_bytes: int = MIB, **extra: str) -> Topic:
        config = {
            "cleanup.policy": "delete",
            "retention.ms": str(days * DAY_MS),
            "max.message.bytes": str(max_bytes),
        }
        return Topic(name, count, config | extra)

    def compacted(name: str, max_bytes: int = MIB, **extra: str) -> Topic:
        config = {"cleanup.policy": "compact", "max.message.bytes": str(max_bytes)}
        return Topic(name, partitions, config | extra)

    return (
        deleted(EVENTS, partitions, 7, EVENTS_MAX_BYTES, **{"message.timestamp.type": "LogAppendTime"}),
        compacted(COMMANDS),
        deleted(MEMBERSHIP_CHANGES, partitions, 7),
        deleted(EXPORT_REQUESTS, SIDE_PARTITIONS, 7),
        deleted(PROGRESS, SIDE_PARTITIONS, 7),
        deleted(DEAD_LETTERS, SIDE_PARTITIONS, 30, DEAD_LETTERS_MAX_BYTES),
        # A late record of a replaced owner must still be there when its successor repairs it, by the brokers' clock:
        # a worker's may be wrong, and its claims measure by how much.
        compacted(
            CHANGELOG,
            CHANGELOG_MAX_BYTES,
            **{"min.compaction.lag.ms": str(DAY_MS), "message.timestamp.type": "LogAppendTime"},
        ),
    )
