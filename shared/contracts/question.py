"""Questions that the api asks the owner of a user's partition, over Redis, and its answers. Nothing is changed by one.

A question is published on the partition's channel; the answers are pushed to a list of its own, which soon expires.
"""

import msgspec

from shared.domain.evidence import Evidence
from shared.domain.explanation import FoundCondition

SCHEMA_VERSION = 1

ANSWER_EXPIRES_S = 10
"""A list of answers is gone so long after the last one, whether anybody took them or not."""


class Explain(msgspec.Struct, frozen=True, tag="explain"):
    """Why is the user in the segment, or not? `evidence`: with what is kept of the user's events."""

    tenant: int
    user_id: str
    segment_id: int
    evidence: bool


class Try(msgspec.Struct, frozen=True, tag="try"):
    """Which memberships would this event turn now? `event`: as a value of the topic `events`."""

    event: bytes


class Question(msgspec.Struct, frozen=True):
    """One question; `id` names the list of its answers."""

    id: str
    ask: Explain | Try
    schema_version: int = SCHEMA_VERSION


class Explained(msgspec.Struct, frozen=True, tag="explained"):
    """The conditions of the serving version, in the order in which they are written; instants in microseconds.

    known: whether the user is; one that is not is in no segment. evidence: as many, or none when it was not asked for.
    """

    as_of: int
    version: int
    known: bool
    member: bool
    next_change_at: int | None
    conditions: list[FoundCondition]
    evidence: list[Evidence]


class Tried(msgspec.Struct, frozen=True, tag="tried"):
    """The ids of the segments that the user would enter and exit, and how many would stay as they are.

    counted: false when the event would be dropped, as a repeat of one with its id.
    """

    as_of: int
    counted: bool
    entered: list[int]
    exited: list[int]
    unchanged: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Retry: the owner cannot answer yet."""

    reason: str


class Answer(msgspec.Struct, frozen=True):
    """What an owner says; `epoch` tells whether it still is the owner."""

    epoch: int
    said: Explained | Tried | Refused
    schema_version: int = SCHEMA_VERSION


_encode = msgspec.msgpack.Encoder().encode
_decode_question = msgspec.msgpack.Decoder(Question).decode
_decode_answer = msgspec.msgpack.Decoder(Answer).decode


def encode_question(question: Question) -> bytes:
    """The msgpack of a question."""
    return _encode(question)


def decode_question(value: bytes) -> Question:
    """A question from its msgpack. Raises msgspec.MsgspecError when it is none of ours."""
    return _decode_question(value)


def encode_answer(answer: Answer) -> bytes:
    """The msgpack of an answer."""
    return _encode(answer)


def decode_answer(value: bytes) -> Answer:
    """An answer from its msgpack. Raises msgspec.MsgspecError when it is none of ours."""
    return _decode_answer(value)
