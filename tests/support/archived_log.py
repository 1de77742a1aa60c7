"""Archives the topic `events` as it is now, by the code of the archiver but for its process."""

from services.api.events_log import EventsLog
from shared.contracts.event import decode_event, to_event
from shared.contracts.topics import EVENTS
from shared.history.address import HistoryAddress
from shared.history.index import PartitionIndex
from shared.history.rows import Row, row_of
from shared.history.table import Position
from shared.history.writer import HistoryWriter, Stretch
from tests.support.served_api import PARTITIONS, next_messages, reading
from tests.support.servers import Servers


def archive(servers: Servers, history: str) -> None:
    """Make history of all messages up to now, all of which must be events."""
    log = EventsLog(servers.kafka_bootstrap_servers, PARTITIONS).read()
    assert log is not None
    ends = {p: end for p, end in log.end_offsets.items() if end}
    rows: dict[int, list[Row]] = {p: [] for p in ends}
    with reading(servers, EVENTS, list(ends)) as consumer:
        for message in next_messages(consumer, sum(ends.values())):
            decoded = decode_event(message.value() or b"")
            event = to_event(decoded, message.timestamp()[1] * 1000, message.offset() or 0)
            rows[message.partition() or 0].append(row_of(decoded.tenant, event, message.partition() or 0))
    stretches = {}
    for partition, found in rows.items():
        end = Position(ends[partition], found[-1].received_at)
        with PartitionIndex() as index:
            stretches[partition] = Stretch(0, end, found, index.mark(found))
    HistoryWriter(HistoryAddress.of(history), log.epoch).append(stretches)
