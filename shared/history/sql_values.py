"""Values of payloads in SQL: properties, numbers, strict times, tests and filters, each with the kernel's meaning.

SQL of a test is true when the test holds, and false or NULL when it does not: its caller may not turn it around.
No function in it raises, whatever the payload holds.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from shared.domain.condition import Filters
from shared.domain.numbers import MICRO
from shared.domain.times import parse_time
from shared.domain.value_test import Operator, Scalar, ValueTest

NUMBER = "DECIMAL(21,6)"
"""Holds every number of a payload below 1e15 exactly, and none from there on; the sum of any history fits in the type
that DuckDB sums it in, DECIMAL(38,6)."""

_TIME = (
    r"\d{4}-\d\d-\d\d"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?)?"
)
_OFFSET = r"(Z|[+-]\d\d:\d\d)$"

_UNNAMED = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|\(\?<", re.DOTALL)
"""What DuckDB's RE2 does not know of patterns, `(?<`, and whatever may hold those characters as text."""


class Parameters:
    """The values that a statement is bound to, by the names that stand in it."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._names: dict[tuple[type, str], str] = {}

    def add(self, value: Any) -> str:
        """The name of a value in the statement, `$p1`; a value that was added before keeps its name."""
        identity = type(value), repr(value)
        if identity not in self._names:
            name = f"p{len(self._names) + 1}"
            self._names[identity], self.values[name] = name, value
        return f"${self._names[identity]}"


Operands = tuple[Scalar, ...]
_Test = Callable[[str, Operands, Parameters], str]


def property_sql(name: str, parameters: Parameters, payload: str = "payload") -> str:
    """The JSON text of a property of a payload; NULL when it is missing, `null` when it is null."""
    paths = [_path([name]), *([_path(name.split("."))] if "." in name else [])]
    found = [f"json_extract({payload}, {parameters.add(path)})" for path in paths]
    extracted = found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"
    return f"CAST({extracted} AS VARCHAR)"


def number_sql(value: str) -> str:
    """The number that a JSON text is, as NUMBER; NULL when it is none, or 1e15 or more."""
    return f"TRY_CAST({value} AS {NUMBER})"


def micro_units_sql(number: str) -> str:
    """A number in units of 1e-6, as a HUGEINT; also a sum of such numbers."""
    return f"CAST({number} * {MICRO} AS HUGEINT)"


def text_sql(value: str) -> str:
    """The string that a JSON text is; only where it is one."""
    return f"json_extract_string({value}, '$')"


def instant_sql(text: str) -> str:
    """The instant of a strict time in microseconds since 1970, as a BIGINT; NULL when the text is no time.

    DuckDB's own reader knows more forms, takes the year 0 and misreads large offsets.
    """
    offset = "60000000 * (60 * TRY_CAST(t[-5:-4] AS BIGINT) + TRY_CAST(t[-2:] AS BIGINT))"
    side = "CASE t[-6] || t[-3] WHEN '+:' THEN 1 WHEN '-:' THEN -1 ELSE 0 END"
    local = f"epoch_us(TRY_CAST(regexp_replace(t, '{_OFFSET}', '') AS TIMESTAMP))"
    read = f"{local} - {side} * coalesce({offset}, 0)"
    is_time = f"regexp_full_match(t, '{_TIME}') AND t >= '0001'"
    # a list of one, so that the text is extracted once
    return f"list_transform([{text}], lambda t: CASE WHEN {is_time} THEN {read} END)[1]"


def filters_sql(filters: Filters, parameters: Parameters) -> str:
    """Whether the row's `payload` passes all filters; there is one at least."""
    return " AND ".join(test_sql(property_sql(each.property, parameters), each.test, parameters) for each in filters)


def test_sql(value: str, test: ValueTest, parameters: Parameters) -> str:
    """Whether the test holds of a value, which `property_sql` gave; in brackets where it needs them."""
    return _TESTS[test.operator](value, test.operands, parameters)


def in_list(value: str, listed: Sequence[str], negation: str = "") -> str:
    """Whether the value is one of those listed, or with `NOT ` none of them."""
    if len(listed) == 1:
        return f"{value} {'<>' if negation else '='} {listed[0]}"
    return f"{value} {negation}IN ({', '.join(listed)})"


def decimal(micro: int) -> Decimal:
    """A number of micro-units, without needless digits."""
    whole, rest = divmod(micro, MICRO)
    return Decimal(micro).scaleb(-6).normalize() if rest else Decimal(whole)


def _path(parts: Sequence[str]) -> str:
    """The JSON path of keys one below the other. Keys are quoted: none is taken for an index or a wildcard."""
    quoted = (part.replace("\\", "\\\\").replace('"', '\\"') for part in parts)
    return "".join(["$", *(f'."{part}"' for part in quoted)])


def _named(part: re.Match[str]) -> str:
    return "(?P<" if part[0] == "(?<" else part[0]


def _of_text(value: str, holds: str) -> str:
    return f"""(starts_with({value}, '"') AND {holds})"""


def _scalar(operand: Scalar, parameters: Parameters) -> str:
    """The operand, to compare a number with or a text."""
    return parameters.add(decimal(int(operand.value)) if operand.type == "number" else operand.value)


def _json(operand: Scalar, parameters: Parameters) -> str:
    """The JSON text of a string or a boolean, as DuckDB writes it."""
    if operand.type == "boolean":
        return f"'{str(operand.value).lower()}'"
    return f"CAST(to_json({parameters.add(operand.value)}) AS VARCHAR)"


def _split(operands: Operands, parameters: Parameters) -> tuple[list[str], list[str], list[str]]:
    """The operands that are numbers, strings and booleans; each once."""
    each = list(dict.fromkeys(operands))
    numbers = [_scalar(one, parameters) for one in each if one.type == "number"]
    strings, booleans = ([_json(one, parameters) for one in each if one.type == kind] for kind in ("string", "boolean"))
    return numbers, strings, booleans


def _one_of(value: str, operands: Operands, parameters: Parameters) -> str:
    numbers, strings, booleans = _split(operands, parameters)
    found = [in_list(number_sql(value), numbers)] if numbers else []
    found += [in_list(value, strings + booleans)] if strings or booleans else []
    return _any(found)


def _none_of(value: str, operands: Operands, parameters: Parameters) -> str:
    numbers, strings, booleans = _split(operands, parameters)
    found = [in_list(number_sql(value), numbers, "NOT ")] if numbers else []
    found += [_of_text(value, in_list(value, strings, "NOT "))] if strings else []
    found += [f"({value} IN ('true', 'false') AND {in_list(value, booleans, 'NOT ')})"] if booleans else []
    return _any(found)


def _any(found: list[str]) -> str:
    return found[0] if len(found) == 1 else f"({' OR '.join(found)})"


def _ordered(form: str) -> _Test:
    """Compared as numbers, or as strings: as instants if all are times, otherwise by code point, which is by byte."""

    def test(value: str, operands: Operands, parameters: Parameters) -> str:
        given = [_scalar(operand, parameters) for operand in operands]
        if operands[0].type == "number":
            return form.format(number_sql(value), *given)
        text = text_sql(value)
        by_text = form.format(text, *given)
        instants = [parse_time(str(operand.value)) for operand in operands]
        if None in instants:
            return _of_text(value, by_text)
        by_time = form.format(instant_sql(text), *map(parameters.add, instants))
        return _of_text(value, f"coalesce({by_time}, {by_text})")

    return test


def _contains(negation: str = "") -> _Test:
    def test(value: str, operands: Operands, parameters: Parameters) -> str:
        operand, elements = operands[0], f"json_extract({value}, '$[*]')"
        if operand.type == "number":
            elements = f"list_transform({elements}, lambda e: {number_sql('CAST(e AS VARCHAR)')})"
        listed = _scalar(operand, parameters) if operand.type == "number" else _json(operand, parameters)
        of_list = f"(starts_with({value}, '[') AND {negation}list_contains({elements}, {listed}))"
        if operand.type != "string":
            return of_list
        part = f"{negation}contains({text_sql(value)}, {parameters.add(operand.value)})"
        return f"({_of_text(value, part)} OR {of_list})"

    return test


def _text_function(function: str) -> _Test:
    def test(value: str, operands: Operands, parameters: Parameters) -> str:
        return _of_text(value, f"{function}({text_sql(value)}, {parameters.add(operands[0].value)})")

    return test


def _matches(value: str, operands: Operands, parameters: Parameters) -> str:
    pattern = parameters.add(_UNNAMED.sub(_named, str(operands[0].value)))
    return _of_text(value, f"regexp_matches({text_sql(value)}, {pattern})")


_TESTS: dict[Operator, _Test] = {
    "eq": _one_of,
    "neq": _none_of,
    "gt": _ordered("{} > {}"),
    "gte": _ordered("{} >= {}"),
    "lt": _ordered("{} < {}"),
    "lte": _ordered("{} <= {}"),
    "between": _ordered("{} BETWEEN {} AND {}"),
    "not_between": _ordered("{} NOT BETWEEN {} AND {}"),
    "in": _one_of,
    "not_in": _none_of,
    "contains": _contains(),
    "does_not_contain": _contains("NOT "),
    "starts_with": _text_function("starts_with"),
    "ends_with": _text_function("ends_with"),
    "matches_regex": _matches,
    "is_set": lambda value, _operands, _parameters: f"{value} <> 'null'",
    "is_not_set": lambda value, _operands, _parameters: f"coalesce({value} = 'null', true)",
    "is_true": lambda value, _operands, _parameters: f"{value} = 'true'",
    "is_false": lambda value, _operands, _parameters: f"{value} = 'false'",
}
