"""Why a round of the audit comes to nothing."""

from typing import Literal

Reason = Literal["nothing", "rebuilding", "behind", "busy", "unavailable", "failed"]
"""nothing: there is nobody, or no segment, to compare. rebuilding: lookups are refused. behind: the history has not
come as far as the live answers in time. busy: others need the history. unavailable: something does not answer. failed:
the history cannot be read, or is too large for the memory allowed; or there is a defect.
"""


class Skipped(Exception):  # noqa: N818 - it names the thing
    """Wait for the next round: this one compares nothing. The text says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
