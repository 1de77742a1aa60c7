"""The stored form of a user's state, byte for byte."""

import msgspec
import pytest

from shared.domain.user_state import NEVER, Membership, UserState, decode_state, encode_state

STATE = UserState(
    wake_at=1_777_118_400_000_000,
    applied_offset=41,
    epoch=7,
    pub=3,
    as_of=1_777_118_399_000_000,
    slots={"5c1e@0": [0, 1_777_118_399_000_000], "77ab@12": [2, -1_500_000, 0, -2_000_000]},
    memberships={
        5: Membership(
            version=2,
            member=True,
            entered_at=1_777_118_399_000_000,
            turns_at=NEVER,
            flags=1,
            generation=0,
            sequence=9,
            recheck_at=1_777_118_400_000_000,
        )
    },
    event_ids={"e-1": 1_777_118_399_000_000},
    unsent=[(3, b"{}")],
    merged=("77ab@12.9",),
)


def test_the_stored_form_is_frozen() -> None:
    assert encode_state(STATE).hex() == (
        "9b01cf000650479ef4b000290703cf000650479ee56dc082a63563316540309200cf000650479ee56dc0a737376162403132"
        "9402d2ffe91ca000d2ffe17b8081059802c3cf000650479ee56dc0cf7fffffffffffffff010009cf000650479ef4b00081a3"
        "652d31cf000650479ee56dc0919203c4027b7d91a9373761624031322e39"
    )


def test_a_state_of_before_there_was_a_history_is_read() -> None:
    before = msgspec.msgpack.encode(msgspec.msgpack.decode(encode_state(STATE))[:10])
    assert decode_state(before) == msgspec.structs.replace(STATE, merged=())


def test_an_empty_state_is_small_and_its_defaults_are_its_own() -> None:
    assert encode_state(UserState()).hex() == "9b01cf7fffffffffffffffff0000008080809090"
    one, other = UserState(), UserState()
    one.slots["x"] = [1]
    one.event_ids["e"] = 1
    one.unsent.append((1, b""))
    assert other == UserState()


def test_a_state_is_read_back_as_it_was() -> None:
    assert decode_state(encode_state(STATE)) == STATE


@pytest.mark.parametrize(
    "number", [(1 << 63) - 1, 1 << 63, (1 << 64) + 5, 10**30, -(1 << 63), -(1 << 63) - 1, -(10**30)]
)
def test_numbers_of_any_size_are_stored(number: int) -> None:
    state = msgspec.structs.replace(STATE, slots={"77ab@12": [1, number, number, number], "5c1e@0": [3]})
    assert decode_state(encode_state(state)) == state
    assert state.slots["77ab@12"][1] == number


def test_ids_are_read_back_in_their_order() -> None:
    state = UserState(event_ids={str(number): number for number in (5, 3, 9, 1)})
    assert list(decode_state(encode_state(state)).event_ids) == ["5", "3", "9", "1"]


def test_fields_that_an_older_form_lacks_have_their_defaults() -> None:
    assert decode_state(msgspec.msgpack.encode([1, 5, 41])) == UserState(wake_at=5, applied_offset=41)


@pytest.mark.parametrize("value", [b"", b"\xc1", b"{}", b"\xc0", encode_state(STATE)[:-1]])
def test_other_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_state(value)
