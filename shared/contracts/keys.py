"""The key of a user's messages, and the partition that follows from it."""

from typing import cast

from aiokafka.partitioner import murmur2

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
