"""The parts that the relay writes at once."""

from services.api.kafka_writer import Record
from services.api.outbox_relay import _SLICE_BYTES, _slices


def test_slices_keep_the_order_and_hold_no_more_than_the_queue() -> None:
    sizes = [1, _SLICE_BYTES, 1, _SLICE_BYTES // 2, _SLICE_BYTES // 2, 2 * _SLICE_BYTES, 5]
    records = [Record("commands", b"%d" % number, b"x" * size) for number, size in enumerate(sizes)]
    parts = list(_slices(records))
    assert [record for part in parts for record in part] == records
    for part in parts:
        assert len(part) == 1 or sum(len(record.value) for record in part) <= _SLICE_BYTES
    assert len(parts) == 6
    assert list(_slices([])) == []
