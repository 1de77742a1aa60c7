"""Redis keys and values are frozen: readers and the writer, in Python and in Lua, agree on these bytes."""

import struct

import pytest

from shared.contracts.redis_keys import (
    COMING,
    NEVER,
    RECORD_BYTES,
    SOFT,
    MembershipRecord,
    Published,
    answer_key,
    applied_key,
    clock_key,
    epoch_of,
    head_key,
    members_key,
    members_prefix,
    pack_records,
    published_key,
    published_of,
    questions_channel,
    rebuilding_key,
    unpack_records,
    user_key,
    user_prefix,
)


def test_the_keys_are_frozen() -> None:
    assert [key(7) for key in (head_key, clock_key, applied_key, rebuilding_key, published_key)] == [
        b"{7}:head",
        b"{7}:clock",
        b"{7}:applied",
        b"{7}:rebuilding",
        b"{7}:published",
    ]
    assert user_key(7, 2, "ü/a:b") == b"{7}:user:2:\xc3\xbc/a:b"
    assert members_key(7, 2, 31) == b"{7}:members:2:31"
    assert questions_channel(7) == b"{7}:questions"
    assert answer_key(7, "0af3") == b"{7}:answer:0af3"


def test_the_epoch_is_the_first_number_of_a_head() -> None:
    assert epoch_of(b"12 345") == 12


def test_a_key_begins_with_its_prefix() -> None:
    assert user_key(7, 2, "ann") == user_prefix(7) + b"2:ann"
    assert members_key(7, 2, 31) == members_prefix(7) + b"2:31"


def test_the_packed_value_is_frozen() -> None:
    records = [MembershipRecord(5, 1_000, NEVER, 0), MembershipRecord(9, 0, 2_000, SOFT | COMING)]
    packed = pack_records(records)
    assert packed == bytes.fromhex(
        "0500000000000000e803000000000000ffffffffffffff7f00" + "09000000000000000000000000000000d00700000000000003"
    )
    assert len(packed) == 2 * RECORD_BYTES
    assert list(unpack_records(packed)) == records


def test_a_broken_value_is_refused() -> None:
    with pytest.raises(struct.error):
        list(unpack_records(b"\0" * (RECORD_BYTES + 1)))


def test_what_is_published_covers_a_head_of_this_owner_and_of_those_before() -> None:
    published = published_of(b"30 7 1000")
    assert published == Published(30, 7, 1000)
    assert [published.covers(head) for head in (b"30 7", b"30 6", b"20 99")] == [True] * 3
    assert [published.covers(head) for head in (b"30 8", b"31 0")] == [False] * 2
    assert not published_of(None).covers(b"0 0")
