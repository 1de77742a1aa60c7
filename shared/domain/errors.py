"""Errors of the kernel, sorted by what the caller should do."""

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with a definition: where (a JSON path such as `$.conditions[0].operator`) and what is right."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidDefinition(ValueError):  # noqa: N818 - it names the thing, as the api says it
    """Reject: the definition cannot be saved. `faults` lists every fault found, never none."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


class InvalidEvent(ValueError):  # noqa: N818 - it names the thing, as the api says it
    """Reject (HTTP) or dead-letter (Kafka): the message is no event. `field` is the key at fault, or `event`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
