"""Events on the wire: one strict reading for REST bodies and for the topic `events`."""

import json
import re
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from shared.domain.errors import InvalidEvent
from shared.domain.event import Event
from shared.domain.times import occurred_at_of, parse_time

MAX_BATCH = 500
MAX_PAYLOAD_BYTES = 32_768
MAX_PAYLOAD_DEPTH = 16

_UserId = Annotated[str, Meta(min_length=1, max_length=256)]
_EventType = Annotated[str, Meta(min_length=1, max_length=128)]
_EventId = Annotated[str, Meta(min_length=1, max_length=128)]
_Tenant = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class EventMessage(msgspec.Struct, gc=False, omit_defaults=True):
    """One event as it is sent. `tenant` is part of the topic's values only; 0 stands for none."""

    user_id: _UserId
    event_type: _EventType
    occurred_at: str | None = None
    payload: dict[str, Any] = {}
    event_id: _EventId | None = None
    anonymous_id: str | None = None
    tenant: _Tenant = 0


def decode_event(value: bytes) -> EventMessage:
    """The event of a value of the topic `events`. Raises InvalidEvent for whatever is none, and nothing else."""
    message = _decode(value)
    if message.tenant == 0:
        raise InvalidEvent("tenant", "is missing: the integer id of a tenant")
    return message


def decode_track(body: bytes) -> EventMessage:
    """The event of a REST body, without a tenant. Raises InvalidEvent for whatever is none, and nothing else."""
    try:
        message = _decode(body)
    except InvalidEvent as fault:
        if fault.field != "tenant":
            raise
        message = _without_tenant(body)
    # an unknown key here, to be ignored whatever its value
    message.tenant = 0
    return message


def decode_track_batch(body: bytes) -> list[EventMessage | InvalidEvent]:
    """The events of a REST body {"events": [...]}, each or what is wrong with it, in their order.

    Raises:
        InvalidEvent: the envelope is wrong: no list of 1 to 500.
    """
    try:
        raws = _batch_decoder.decode(body).events
    except msgspec.ValidationError:
        raise InvalidEvent("events", f"must be a list of 1 to {MAX_BATCH} events") from None
    except _UNREADABLE as error:
        return [_track_or_fault(text) for text in _split_leniently(body, error)]
    return [_track_or_fault(bytes(raw)) for raw in raws]


def encode_event(message: EventMessage, tenant: int) -> bytes:
    """The value of the topic `events`."""
    message.tenant = tenant
    return _encoder.encode(message)


def to_event(message: EventMessage, received_at_us: int, offset: int) -> Event:
    """The event at its place in the log.

    Args:
        message: as decoded.
        received_at_us: the broker's append time, in microseconds.
        offset: the place in the partition.

    Raises:
        InvalidEvent: it occurred more than an hour after it was received.
    """
    text = message.occurred_at
    return Event(
        message.user_id,
        message.event_type,
        received_at_us if text is None else occurred_at_of(parse_time(text), received_at_us),
        received_at_us,
        offset,
        message.payload,
        message.event_id,
    )


class _Batch(msgspec.Struct):
    events: Annotated[list[Raw], Meta(min_length=1, max_length=MAX_BATCH)]


class _PayloadText(msgspec.Struct):
    payload: Raw | UnsetType = UNSET


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(EventMessage)
_batch_decoder = msgspec.json.Decoder(_Batch)
_payload_decoder = msgspec.json.Decoder(_PayloadText)

_UNREADABLE = (msgspec.MsgspecError, RecursionError, OverflowError, UnicodeDecodeError)
"""What decoding may raise."""
_LONG_TEXT = 8_192
"""Below it a payload cannot pass its limit, not even when its numbers are written out (1e9 as 1000000000.0)."""
_LONG_NUMBER = 309
"""Digits of the shortest integer that no double holds."""
_BACKSLASH, _BRACE, _BRACKET = b"\\{["
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


_MAX_DOUBLE_BITS = 1_000

_RULES = {
    "user_id": "a string of 1 to 256 characters",
    "event_type": "a string of 1 to 128 characters",
    "occurred_at": "a time: YYYY-MM-DD, then optionally THH:MM[:SS[.ffffff]] and Z or +HH:MM",
    "payload": "an object",
    "event_id": "a string of 1 to 128 characters",
    "anonymous_id": "a string",
    "tenant": "the integer id of a tenant",
}
_AT = re.compile(r"at `\$\.([a-z_]+)(.*)`")
_MISSING = re.compile(r"missing required field `([a-z_]+)`")


def _decode(text: bytes) -> EventMessage:
    # An event without backslash, NUL and non-ASCII has no odd character; a short one without "[" and with few "{" has
    # no payload to measure. Asking for single bytes is nearly free.
    try:
        if _BACKSLASH in text or 0 in text or not text.isascii():
            _check_characters(text)
        message = _decoder.decode(text)
    except _UNREADABLE as error:
        message = _read_again(text, error)
    if len(text) >= _LONG_NUMBER or _BRACKET in text or text.count(_BRACE) > MAX_PAYLOAD_DEPTH + 1:
        _check_payload(message.payload, text)
    occurred_at = message.occurred_at
    if occurred_at is not None:
        instant = parse_time(occurred_at)
        if instant is None:
            raise InvalidEvent("occurred_at", f"must be {_RULES['occurred_at']}")
        if instant < 0:
            raise InvalidEvent("occurred_at", "must not be before 1970-01-01")
    return message


def _read_again(text: bytes, error: Exception) -> EventMessage:
    """An event that a first reading refuses; raises InvalidEvent with the reason if the second does too."""
    if isinstance(error, msgspec.ValidationError):
        # of duplicate keys the last wins: one before it may be of any type
        try:
            return msgspec.convert(msgspec.json.decode(text), EventMessage)
        except msgspec.ValidationError:
            raise _fault(str(error)) from None
        except _UNREADABLE as worse:
            error = worse
    raise _unreadable(error) from None


def _unreadable(error: Exception) -> InvalidEvent:
    """Our words for a text that is no JSON."""
    if isinstance(error, RecursionError):
        return InvalidEvent("event", "is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return InvalidEvent("event", "is not valid UTF-8")
    return InvalidEvent("event", f"is not valid JSON: {error}")


def _without_tenant(body: bytes) -> EventMessage:
    """A body that is a JSON object but for its `tenant`."""
    try:
        keys = msgspec.json.decode(body, type=dict[str, Raw])
    except _UNREADABLE as error:
        # the fault of the tenant came before this one
        raise _unreadable(error) from None
    return _decode(msgspec.json.encode({key: text for key, text in keys.items() if key != "tenant"}))


def _track_or_fault(body: bytes) -> EventMessage | InvalidEvent:
    try:
        return decode_track(body)
    except InvalidEvent as fault:
        return fault


def _fault(error: str) -> InvalidEvent:
    """Our words for a wrong type, length or absence."""
    missing = _MISSING.search(error)
    if missing:
        return InvalidEvent(missing[1], f"is missing: {_RULES[missing[1]]}")
    at = _AT.search(error)
    if at is None:
        return InvalidEvent("event", "must be a JSON object")
    if at[2]:
        return InvalidEvent(at[1], "holds a number that is not finite as a double")
    return InvalidEvent(at[1], f"must be {_RULES[at[1]]}")


def _split_leniently(body: bytes, error: Exception) -> list[bytes]:
    """The texts of the events of a body that the first reading refuses: a lone surrogate is the fault of one event.

    Raises:
        InvalidEvent: it is no JSON text for other reasons, told by `error`.
    """
    try:
        envelope = json.loads(body.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        raise InvalidEvent("events", f"the body cannot be read: {error}") from None
    events = envelope.get("events") if isinstance(envelope, dict) else None
    if not isinstance(events, list) or not 1 <= len(events) <= MAX_BATCH:
        raise InvalidEvent("events", f"must be a list of 1 to {MAX_BATCH} events")
    try:
        return [json.dumps(event).encode() for event in events]
    except RecursionError:
        raise InvalidEvent("events", "nested too deeply") from None


def _check_characters(text: bytes) -> None:
    """Refuse U+0000 and lone surrogates, wherever and however written. Raises UnicodeDecodeError for other bytes."""
    if 0 in text:
        raise InvalidEvent("event", "holds U+0000")
    text.decode()
    if b"\\u" not in text:
        return
    end_of_high = -1
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else -1
        if code == 0:
            raise InvalidEvent("event", "holds U+0000")
        is_low = 0xDC00 <= code <= 0xDFFF
        if is_low != (end_of_high == escape.start()):
            raise InvalidEvent("event", "holds a lone surrogate")
        end_of_high = escape.end() if 0xD800 <= code <= 0xDBFF else -1
    if end_of_high >= 0:
        raise InvalidEvent("event", "holds a lone surrogate")


def _check_payload(payload: dict[str, Any], text: bytes) -> None:
    """Refuse what is too deep or too long, and integers that no double holds."""
    _check_value(payload, 1)
    if len(text) < _LONG_TEXT:
        return
    sent = _payload_decoder.decode(text).payload
    # as sent, and as it is written again: the next reader measures that
    if sent is not UNSET and max(len(bytes(sent)), len(_encoder.encode(payload))) > MAX_PAYLOAD_BYTES:
        raise InvalidEvent("payload", f"must be at most {MAX_PAYLOAD_BYTES} bytes of JSON text")


def _check_value(value: Any, depth: int) -> None:
    if type(value) is int:
        if value.bit_length() > _MAX_DOUBLE_BITS:
            _check_finite(value)
    elif type(value) is dict or type(value) is list:
        if depth > MAX_PAYLOAD_DEPTH:
            raise InvalidEvent("payload", f"must be nested at most {MAX_PAYLOAD_DEPTH} deep")
        for child in value.values() if type(value) is dict else value:
            _check_value(child, depth + 1)


def _check_finite(number: int) -> None:
    try:
        float(number)
    except OverflowError:
        raise InvalidEvent("payload", "holds a number that is not finite as a double") from None
