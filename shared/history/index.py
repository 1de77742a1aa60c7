"""What must be known of a partition's earlier rows to mark the next ones."""

from collections.abc import Iterable, Sequence

from shared.domain.fold import MAX_EVENT_IDS, REPEAT_US
from shared.history.private_index import PrivateIndex
from shared.history.rows import Mark, Row

_TABLES = """
CREATE TABLE known (tenant INTEGER, user_id TEXT, occurred_at INTEGER, PRIMARY KEY (tenant, user_id)) WITHOUT ROWID;
CREATE TABLE ids (seen INTEGER PRIMARY KEY, received_at INTEGER, tenant INTEGER, user_id TEXT, event_id TEXT,
  UNIQUE (tenant, user_id, event_id));
CREATE TABLE found (received_at INTEGER, tenant INTEGER, user_id TEXT, event_id TEXT, offset INTEGER);
"""
"""seen: rises with the place in the log, for the limit of ids of a user. found: ids not in their order yet."""

KnownUser = tuple[int, str, int]
"""Tenant, user id, instant."""
SeenId = tuple[int, int, str, str, int]
"""received_at, tenant, user id, event id, offset."""


class PartitionIndex(PrivateIndex[Row, Mark]):
    """Since when the users of one partition are known, and their event ids of 24 h."""

    def __init__(self) -> None:
        super().__init__(_TABLES)
        self._seen = 0

    def load_known(self, users: Iterable[KnownUser]) -> None:
        """Take in rows that made their user known, in any order."""
        self._db.executemany(
            "INSERT INTO known VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET occurred_at = excluded.occurred_at "
            "WHERE excluded.occurred_at < occurred_at",
            users,
        )

    def load_ids(self, ids: Iterable[SeenId]) -> None:
        """Take in event ids of rows, in any order; `loaded` puts them into that of the log."""
        self._db.executemany("INSERT INTO found VALUES (?, ?, ?, ?, ?)", ids)

    def loaded(self) -> None:
        """All there is has been taken in."""
        self._db.execute(
            "INSERT OR REPLACE INTO ids (received_at, tenant, user_id, event_id) "
            "SELECT received_at, tenant, user_id, event_id FROM found ORDER BY received_at, offset"
        )
        self._db.execute("DELETE FROM found")
        (self._seen,) = self._db.execute("SELECT coalesce(max(seen), 0) FROM ids").fetchone()
        self.keep()

    def mark(self, rows: Sequence[Row]) -> list[Mark]:
        """What each of the next rows of the partition is; in the order of their offsets, each once."""
        known: dict[tuple[int, str], int | None] = {}
        marks = []
        for row in rows:
            user = row.tenant, row.user_id
            least = known[user] if user in known else self._known_since(*user)
            is_repeat = row.event_id is not None and self._is_repeat(row)
            # who is known only by an event that is dropped is not known
            makes_known = not is_repeat and (least is None or row.occurred_at < least)
            known[user] = row.occurred_at if makes_known else least
            marks.append(Mark(is_repeat, makes_known))
        self.load_known((*user, least) for user, least in known.items() if least is not None)
        if rows:
            self._forget(rows[-1].received_at - REPEAT_US)
        return marks

    def _known_since(self, tenant: int, user_id: str) -> int | None:
        found = self._db.execute("SELECT occurred_at FROM known WHERE tenant = ? AND user_id = ?", (tenant, user_id))
        row = found.fetchone()
        return None if row is None else int(row[0])

    def _is_repeat(self, row: Row) -> bool:
        """As `shared.domain.fold.is_repeat`, the limit of ids included."""
        key = row.tenant, row.user_id, row.event_id
        before = self._db.execute(
            "SELECT received_at, seen FROM ids WHERE tenant = ? AND user_id = ? AND event_id = ?", key
        ).fetchone()
        repeat = False
        if before is not None and row.received_at - before[0] < REPEAT_US:
            (newer,) = self._db.execute(
                "SELECT count(*) FROM (SELECT 1 FROM ids WHERE tenant = ? AND user_id = ? AND seen > ? LIMIT ?)",
                (*key[:2], before[1], MAX_EVENT_IDS),
            ).fetchone()
            repeat = newer < MAX_EVENT_IDS
        self._seen += 1
        self._db.execute("INSERT OR REPLACE INTO ids VALUES (?, ?, ?, ?, ?)", (self._seen, row.received_at, *key))
        return repeat

    def _forget(self, until: int) -> None:
        """Drop the ids at the front that are too old to make anything a repeat."""
        self._db.execute(
            "DELETE FROM ids WHERE seen < (SELECT seen FROM ids WHERE received_at > ? ORDER BY seen LIMIT 1)", (until,)
        )
