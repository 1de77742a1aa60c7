"""The published vectors of the segment language, read."""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

FOLDER = Path(__file__).parent.parent / "contract/vectors"
EVENT_TEXTS, REFUSED_DEFINITIONS = FOLDER / "event_texts.json", FOLDER / "refused_definitions.json"

Json = dict[str, Any]


class EventText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text that is an event, or is refused for a key."""

    rule: str
    text: str
    refused: str | None


class RefusedDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A definition that cannot be saved, and the places of its faults."""

    rule: str
    definition: Any
    faults: list[str]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A definition, a log, and the answer at an instant."""

    rule: str
    definition: Json
    events: list[msgspec.Raw]
    as_of: str
    member: bool
    recheck_at: str | None
    segments: dict[int, Json] = {}


Case = TypeVar("Case", EventText, RefusedDefinition, Question)


def read(kind: type[Case], *paths: Path) -> list[Case]:
    """The cases of some files."""
    of_kind = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type] # a type of run time
    return [case for path in paths for case in of_kind.decode(path.read_bytes())]


def of_rule(case: EventText | RefusedDefinition | Question) -> str:
    """What a case is called."""
    return case.rule


texts = read(EventText, EVENT_TEXTS)
refused_definitions = read(RefusedDefinition, REFUSED_DEFINITIONS)
questions = read(Question, *sorted({*FOLDER.glob("*.json")} - {EVENT_TEXTS, REFUSED_DEFINITIONS}))
