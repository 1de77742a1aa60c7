"""Events that come back from the history are those that were in the log, at their places in it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.contracts.event import decode_event, to_event
from shared.contracts.keys import user_key
from shared.domain.event import Event
from shared.history.payload_text import payload_text
from shared.history.replay import replayed
from tests.support.archived import LOG_EPOCH
from tests.support.partials import TENANT, opened
from tests.support.strategies import logs


def _in_whole_ms(event: Event) -> Event:
    """The event received when a broker says so."""
    received_at = event.received_at // 1_000 * 1_000
    return replace(event, received_at=received_at, occurred_at=min(event.occurred_at, received_at))


@settings(max_examples=200)
@given(logs().map(lambda log: [_in_whole_ms(event) for event in log]), st.integers(0, 8), st.integers(0, 40))
def test_what_is_replayed_decodes_to_the_same_events(log: list[Event], start: int, length: int) -> None:
    end = start + length
    with opened((TENANT, event) for event in log) as connection:
        found = [each for batch in replayed(connection, LOG_EPOCH, 0, start, end) for each in batch]
        assert list(replayed(connection, LOG_EPOCH, 1, start, end)) == []
        assert list(replayed(connection, "another log", 0, start, end)) == []
    assert [_as_kept(_event(*each)) for each in found] == [_as_kept(e) for e in log if start <= e.offset < end]


def _event(offset: int, received_ms: int, key: bytes, value: bytes) -> Event:
    message = decode_event(value)
    assert (message.tenant, key) == (TENANT, user_key(TENANT, message.user_id))
    return to_event(message, received_ms * 1_000, offset)


def _as_kept(event: Event) -> tuple[Event, str]:
    """The event, and of its payload what the history keeps."""
    return replace(event, payload={}), payload_text(event.payload)
