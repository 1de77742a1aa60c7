"""The key of a user's messages, and the partition that follows from it."""

from typing import cast

from aiokafka.partitioner import murmur2

from shared.domain.errors import InvalidEvent

PARTITIONER = "murmur2_random"
"""What librdkafka calls the default partitioner of the Java and aiokafka clients."""


def user_key(tenant: int, user_id: str) -> bytes:
    """The message key of one user: tenant id in ASCII decimal, NUL, user id in UTF-8."""
    return b"%d\0%s" % (tenant, user_id.encode())


def split_user_key(key: bytes) -> tuple[int, str]:
    """Tenant and user id of a key made by `user_key`. Raises ValueError for any other bytes."""
    tenant, separator, user = key.partition(b"\0")
    # isdigit on bytes is ASCII only; a leading zero would be a second spelling of the same tenant
    if not separator or not tenant.isdigit() or (tenant.startswith(b"0") and tenant != b"0"):
        raise ValueError("the key is not <tenant id> NUL <user id>")
    return int(tenant), user.decode()


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner (murmur2) chooses it."""
    return cast(int, murmur2(key) & 0x7FFFFFFF) % partitions


def checked_key(key: bytes | None, tenant: int, user_id: str, partition: int, partitions: int) -> bytes:
    """The key of an event's message, if it is its user's and in the right one of so many partitions.

    Raises:
        InvalidEvent: it is not; whoever looked for the user's events would not find this one.
    """
    expected = user_key(tenant, user_id)
    if key != expected:
        raise wrong_key(key, tenant)
    home = partition_of(expected, partitions)
    if home != partition:
        raise InvalidEvent(
            "key",
            f"the key belongs to partition {home}, not {partition}: "
            "the producer must partition as Java clients do (librdkafka: partitioner=murmur2_random)",
        )
    return expected


def wrong_key(key: bytes | None, tenant: int) -> InvalidEvent:
    """What is wrong with a key that is not the user's."""
    if key is None:
        return InvalidEvent("key", "missing; it must be <tenant id> NUL <user id>")
    return InvalidEvent("key", f"not that of tenant {tenant} and the event's user_id")
