"""A statement for DuckDB, with the values it is bound to."""

from typing import Any, NamedTuple


class Statement(NamedTuple):
    """One SQL statement over the relation `events`; parameters by the names that stand in it as `$name`."""

    sql: str
    parameters: dict[str, Any]
