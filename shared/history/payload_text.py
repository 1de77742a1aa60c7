"""The payload as history keeps it: JSON encoded anew, with every number as the kernel reads it."""

from typing import Any

import msgspec

from shared.domain.numbers import LIMIT, MICRO, to_micro_units

_encode = msgspec.json.encode
_EXACT = 1e15
"""Decimals of fewer digits map to different doubles."""
_PLAIN = 1e-4
"""Not written with an exponent."""


def payload_text(payload: dict[str, Any]) -> str:
    """The JSON text of a decoded payload, its numbers rounded half-even to 6 fraction digits and without exponent.

    Numbers of 1e15 or more are kept as they are: they count as mistyped.
    """
    return _encode(_rounded(payload)).decode()


def _rounded(value: Any) -> Any:
    """The value with its numbers rounded; itself if nothing is to be done. What decoding made is not altered."""
    kind = type(value)
    if kind is float:
        return _number(value)
    if kind is dict:
        changed = {}
        for key, child in value.items():
            if type(child) in _MAY_CHANGE and (new := _rounded(child)) is not child:
                changed[key] = new
        return value | changed if changed else value
    if kind is list:
        children = [_rounded(child) for child in value]
        return children if any(map(_is_other, children, value)) else value
    return value


def _number(value: float) -> float | msgspec.Raw:
    if not -LIMIT < value < LIMIT:
        return value
    nearest = round(value * MICRO)
    if -_EXACT < nearest < _EXACT and nearest / MICRO == value and (abs(value) >= _PLAIN or value == 0):
        return value  # its shortest form has no more digits
    micro = to_micro_units(value)
    assert micro is not None
    whole, fraction = divmod(abs(micro), MICRO)
    digits = f"{fraction:06d}".rstrip("0") or "0"
    return msgspec.Raw(f"{'-' if micro < 0 else ''}{whole}.{digits}".encode())


def _is_other(new: Any, old: Any) -> bool:
    return new is not old


_MAY_CHANGE = {float, dict, list}
