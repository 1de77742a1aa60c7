"""Topics as declared, and where a user's messages lie."""

import pytest

from shared.contracts.keys import partition_of, split_user_key, user_key
from shared.contracts.topics import declare


def test_the_topics_of_an_installation_are_frozen() -> None:
    declared = {topic.name: (topic.partitions, topic.config) for topic in declare(12)}
    assert {name: partitions for name, (partitions, _) in declared.items()} == {
        "events": 12,
        "commands": 12,
        "membership-changes": 12,
        "user-state-changelog": 12,
        "export-requests": 4,
        "progress": 4,
        "dead-letters": 4,
    }
    compacted = {name for name, (_, config) in declared.items() if config["cleanup.policy"] == "compact"}
    assert compacted == {"commands", "user-state-changelog"}


def test_events_and_the_changelog_are_stamped_by_the_broker() -> None:
    """`received_at` is the append time, whoever produced the message; a claim measures a worker's clock."""
    stamped = {t.name for t in declare(12) if t.config.get("message.timestamp.type") == "LogAppendTime"}
    assert stamped == {"events", "user-state-changelog"}


@pytest.mark.parametrize("user_id", ["ann", "ü@x/1", "a\tb", "0"])
def test_a_key_is_read_back(user_id: str) -> None:
    assert split_user_key(user_key(12, user_id)) == (12, user_id)


@pytest.mark.parametrize(
    "key", [b"", b"12", b"\0ann", b"x\0ann", b"-1\0ann", b"012\0ann", b"1\0\xff", "\u0661\0a".encode()]
)
def test_a_key_of_another_shape_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"tenant|utf-8"):
        split_user_key(key)


@pytest.mark.parametrize(
    ("key", "murmur2"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]
)
def test_the_partition_is_the_one_java_clients_choose(key: bytes, murmur2: int) -> None:
    """The hashes are those that Kafka's own tests pin."""
    assert partition_of(key, 12) == (murmur2 & 0x7FFFFFFF) % 12
