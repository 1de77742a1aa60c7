"""Ingestion: POST /api/ingestion/track/ and /api/ingestion/track/batch/."""

from typing import Any

import msgspec

from services.api.auth import Caller
from services.api.errors import BadRequest, Invalid, Unavailable
from services.api.hot.handler import HotRequest
from services.api.kafka_writer import KafkaWriter, NotStored, Record
from services.api.log_epoch import LogEpoch
from services.api.positions import Position, plain_epoch, position_text
from shared.contracts.event import EventMessage, decode_track, decode_track_batch, encode_event
from shared.contracts.keys import user_key
from shared.contracts.topics import EVENTS, EVENTS_MAX_BYTES
from shared.domain.errors import InvalidEvent
from shared.domain.times import occurred_at_of, parse_time
from shared.runtime.clock import Clock
from shared.runtime.metrics import API_EVENTS

_OVERHEAD_BYTES = 4096
"""Of a record around its value: key, headers, the batch."""
_MAX_VALUE_BYTES = EVENTS_MAX_BYTES - _OVERHEAD_BYTES

_stored = API_EVENTS.labels(outcome="stored")
_invalid = API_EVENTS.labels(outcome="invalid")
_unknown = API_EVENTS.labels(outcome="unknown")


class Ingestion:
    """Takes events; whatever is answered 202 the broker has acknowledged."""

    def __init__(self, writer: KafkaWriter, log_epoch: LogEpoch, clock: Clock) -> None:
        self._writer, self._log_epoch, self._clock = writer, log_epoch, clock

    async def track(self, request: HotRequest) -> tuple[int, bytes]:
        """One event."""
        body = await request.body()
        try:
            record = _record(decode_track(body), request.caller, self._clock.now_us())
        except InvalidEvent as invalid:
            _invalid.inc()
            raise refusal(invalid) from None
        position = await self._store([record])
        return 202, msgspec.json.encode({"queued": True, "position": position})

    async def track_batch(self, request: HotRequest) -> tuple[int, bytes]:
        """Up to 500 events; a bad one never fails the good ones."""
        body = await request.body()
        try:
            events = decode_track_batch(body)
        except InvalidEvent as invalid:
            raise refusal(invalid) from None
        now = self._clock.now_us()
        records: list[Record] = []
        errors: list[dict[str, Any]] = []
        for index, event in enumerate(events):
            try:
                if isinstance(event, InvalidEvent):
                    raise event
                records.append(_record(event, request.caller, now))
            except InvalidEvent as invalid:
                errors.append({"index": index, "detail": f"{invalid.field}: {invalid.message}"})
        if errors:
            _invalid.inc(len(errors))
        position = await self._store(records) if records else None
        answer = {"queued": len(records), "skipped": len(errors), "errors": errors, "position": position}
        return 202, msgspec.json.encode(answer)

    async def _store(self, records: list[Record]) -> str | None:
        """Where they are stored, as lookups take it; None while nobody knows which log that is."""
        try:
            offsets = await self._writer.send(records)
        except NotStored as error:
            _unknown.inc(len(records))
            # nothing is known: some events may be stored. The same event_id makes trying again safe.
            raise Unavailable(f"not known to be stored: {error}") from error
        _stored.inc(len(records))
        log_epoch = await self._log_epoch.now()
        return None if log_epoch is None else position_text(Position(plain_epoch(log_epoch), offsets))


def _record(message: EventMessage, caller: Caller, now_us: int) -> Record:
    tenant = caller.tenant
    if caller.only_user is not None:
        message.user_id = caller.only_user
    return Record(EVENTS, user_key(tenant, message.user_id), event_value(message, tenant, now_us))


def event_value(message: EventMessage, tenant: int, now_us: int) -> bytes:
    """The value of the topic `events`. Raises InvalidEvent for what the evaluator would refuse."""
    if message.occurred_at is not None:
        # by our clock beforehand what the evaluator would refuse by the broker's; the text itself stays as it is
        occurred_at_of(parse_time(message.occurred_at), now_us)
    value = encode_event(message, tenant)
    if len(value) > _MAX_VALUE_BYTES:
        raise InvalidEvent("event", f"is larger than {_MAX_VALUE_BYTES} bytes")
    return value


def refusal(invalid: InvalidEvent) -> Invalid | BadRequest:
    """The answer to an event that is none."""
    if invalid.field == "event":
        return BadRequest(f"the event {invalid.message}")
    return Invalid({invalid.field: [invalid.message]})
