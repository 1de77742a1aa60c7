"""Columns of Arrow as lists of Python, by whole buffers: a value at a time costs ten times as much."""

from typing import Any, Literal

import pyarrow as pa

Column = Any
"""An Arrow array of a record batch."""

Lists = tuple[list[int], Column]
"""The borders of the lists of a column, one more than there are, and all their elements in one column."""


def integers(column: Column) -> list[int]:
    """A column of int32 or int64; what is null reads as some number."""
    return _read(column, "i" if column.type.bit_width == 32 else "q", 1)


def micro_units(column: Column) -> list[int]:
    """A column of DECIMAL(_, 6) in units of 1e-6, which is how it lies in memory; none may be null."""
    units = pa.Array.from_buffers(pa.decimal128(38, 0), len(column), column.buffers(), offset=column.offset)
    try:
        return integers(units.cast(pa.int64()))
    except pa.ArrowInvalid:  # one is longer than 64 bits
        return [int(number) for number in units.to_pylist()]


def wide(column: Column) -> list[tuple[int, int]]:
    """A column of HUGEINT as (upper, lower) halves of 64 bits; the lower below 2^63, none null."""
    halves = _read(column, "q", 2)
    return list(zip(halves[1::2], halves[::2], strict=True))


def texts(column: Column) -> list[Any]:
    """A column of texts; None for null."""
    found: list[Any] = column.to_pylist()
    return found


def lists(column: Column) -> Lists:
    """A column of lists; what is null reads as empty."""
    return integers(column.offsets), column.values


def _read(column: Column, code: Literal["i", "q"], width: int) -> list[int]:
    """So many integers for each value."""
    if not len(column):
        return []
    start = width * column.offset
    return memoryview(column.buffers()[1]).cast(code)[start : start + width * len(column)].tolist()
