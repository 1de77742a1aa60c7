"""Definitions at the edge: what the kernel refuses becomes a 400 that names the JSON path."""

from typing import Any, NamedTuple

import msgspec

from services.api.errors import Invalid
from shared.domain.definition import fingerprint, parse_definition
from shared.domain.errors import InvalidDefinition

MAX_DEFINITION_BYTES = 400 * 1024
"""Of its JSON text: a command carries two definitions and must fit a message of the topic `commands`."""


class CheckedDefinition(NamedTuple):
    """A definition that can be saved: its JSON as the user wrote it, and its content identity."""

    raw: dict[str, Any]
    fingerprint: str


def check_definition(raw: Any) -> CheckedDefinition:
    """The definition. Raises Invalid under `definition`, each message starting with the path of the fault."""
    try:
        definition = parse_definition(raw)
    except InvalidDefinition as invalid:
        raise Invalid({"definition": [str(fault) for fault in invalid.faults]}) from invalid
    if len(msgspec.json.encode(raw)) > MAX_DEFINITION_BYTES:
        raise Invalid({"definition": [f"$: must be at most {MAX_DEFINITION_BYTES} bytes of JSON"]})
    return CheckedDefinition(raw, fingerprint(definition))
