"""Definitions at the edge: read once, with all that saving one needs to know of it."""

from typing import Any, NamedTuple

import msgspec

from services.api.errors import Invalid
from shared.domain.definition import fingerprint, parse_definition
from shared.domain.definition_warnings import DefinitionWarning, definition_warnings
from shared.domain.errors import Fault, InvalidDefinition
from shared.domain.formula import meaning
from shared.domain.references import Reference, references_in

MAX_DEFINITION_BYTES = 400 * 1024
"""Of its JSON text: a command carries two definitions and must fit a message of the topic `commands`."""


class GivenDefinition(NamedTuple):
    """A definition as a request gives it. With faults it cannot be saved, and only its references are known."""

    raw: Any
    references: list[Reference]
    faults: list[Fault]
    fingerprint: str = ""
    meaning: str = ""
    warnings: tuple[DefinitionWarning, ...] = ()


def read_definition(raw: Any) -> GivenDefinition:
    """What can be told of the definition without asking PostgreSQL."""
    references = references_in(raw)
    try:
        definition = parse_definition(raw)
    except InvalidDefinition as invalid:
        return GivenDefinition(raw, references, invalid.faults)
    if len(msgspec.json.encode(raw)) > MAX_DEFINITION_BYTES:
        return GivenDefinition(raw, references, [Fault("$", f"must be at most {MAX_DEFINITION_BYTES} bytes of JSON")])
    warnings = tuple(definition_warnings(definition))
    return GivenDefinition(raw, references, [], fingerprint(definition), meaning(definition), warnings)


def refuse(faults: list[Fault]) -> None:
    """Raises Invalid under `definition` when there are faults, each message starting with the path of its fault."""
    if faults:
        raise Invalid({"definition": [str(fault) for fault in faults]})
