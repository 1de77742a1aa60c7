"""SQL made wrong on purpose, each in one place of its text: what the generated checks must find out."""

import re
from typing import NamedTuple


class Wrong(NamedTuple):
    """What stands in the text of a statement (a pattern), and what is put in its place."""

    pattern: str
    instead: str

    def alter(self, sql: str) -> str:
        """The text made wrong."""
        return re.sub(self.pattern, self.instead, sql)


WRONG_SQL: dict[str, dict[str, Wrong]] = {
    "numbers": {
        "an event on the edge of a window is inside": Wrong(r"occurred_at > \$", "occurred_at >= $"),
        "an event at the instant is not there yet": Wrong(r"occurred_at <= \$", "occurred_at < $"),
        "another tenant's events count": Wrong(r"tenant = \$p\d+", "true"),
        "users without such events are left out": Wrong("LEFT JOIN", "JOIN"),
        "a missing number is no answer": Wrong(" IS TRUE", ""),
        "an average is compared with the sum": Wrong(r" numbers_1 \* CAST", " CAST"),
        "numbers of 1e15 are numbers": Wrong(r"DECIMAL\(21,6\)", "DECIMAL(38,6)"),
        "digits are cut off": Wrong(r"AS DECIMAL\(21,6\)\) AS", "AS DECIMAL(21,5)) AS"),
        "texts that look like numbers are numbers": Wrong("TRY_CAST\\(property_1", "TRY_CAST(trim(property_1, '\"')"),
        "recency gte is gt": Wrong(r"newest_1 <= \$", "newest_1 < $"),
        "the oldest is the newest": Wrong(r"max\((.*?)\) AS newest_1", r"min(\1) AS newest_1"),
    },
    "values": {
        "newest is the last in the log": Wrong(r"\(occurred_at, log_offset\)", "(log_offset, occurred_at)"),
        "of a tie any is the newest": Wrong(r"\(occurred_at, log_offset\)", "(occurred_at, -log_offset)"),
        "a missing value leaves the one before": Wrong("arg_max_null", "arg_max"),
        "a path goes before the literal key": Wrong(
            r"coalesce\((json_extract\(payload, \$p\d+\)), (json_extract\(payload, \$p\d+\))\)", r"coalesce(\2, \1)"
        ),
        "null is set": Wrong("(?<!=) <> 'null'", " IS NOT NULL"),
        "times are compared by code point": Wrong(r"coalesce\(list_transform", "coalesce(NULL AND list_transform"),
        "neq is true of what is mistyped": Wrong("starts_with\\((\\w+), '\"'\\) AND \\1 <>", r"\1 <>"),
        "not in is true of what is mistyped": Wrong("starts_with\\((\\w+), '\"'\\) AND \\1 NOT", r"\1 NOT"),
        "a pattern must match the whole text": Wrong("regexp_matches", "regexp_full_match"),
        "between leaves its upper end out": Wrong(
            r"(TRY_CAST\(\w+ AS \S+) BETWEEN (\S+) AND ([^\s)]+)", r"(\1 >= \2 AND \1 < \3)"
        ),
        "an array contains nothing": Wrong(r"list_contains\(json_extract", "NOT list_contains(json_extract"),
        "filters are passed over": Wrong("CASE WHEN passes_1 THEN", "CASE WHEN true THEN"),
    },
    "sequences": {
        "the filters of steps are passed over": Wrong(r" AND TRY_CAST\([^\n]*\) AS step_", ") AS step_"),
        "a sequence is shorter by a microsecond": Wrong(r"epoch_us\(begun_at\) <=", "epoch_us(begun_at) <"),
        "one event takes two steps": Wrong("this.place > before.place", "this.place >= before.place"),
        "events of one instant have no order": Wrong(r"\(occurred_at, log_offset\) AS place", "occurred_at AS place"),
        "a sequence begins anew at each step": Wrong("before.begun_at", "before.occurred_at AS begun_at"),
    },
    "strict sequences": {
        "nothing interrupts a strict sequence": Wrong(" AND this.turn - this.interrupts = before.turn", ""),
        "context_identified interrupts": Wrong("THEN 0 ELSE 1 END AS interrupts", "THEN 1 ELSE 1 END AS interrupts"),
        "steps never interrupt": Wrong(r"sum\(interrupts\)", "sum(CASE WHEN step_1 OR step_2 THEN 0 ELSE 1 END)"),
    },
    "repeats": {"repeats count": Wrong("NOT is_repeat", "true")},
    "references": {
        "a reference is turned around": Wrong(r"\(segment_2\) AS is_member", "(NOT segment_2) AS is_member"),
        "not_in of a missing segment is false": Wrong(r"\(NOT false\)", "(false)"),
    },
    "any definition": {
        "nothing is turned around": Wrong(r"\(NOT \(", "(true = ("),
        "users of one pass only are left out": Wrong("FULL JOIN", "JOIN"),
    },
    "conditions that differ in little": {"OR is AND": Wrong(r"\) OR \(", ") AND (")},
}
"""By the name of the theme on which it is found."""
