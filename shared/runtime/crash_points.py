"""Places in the code at which a test lets the process die, as if its power had been cut there.

Armed by a setting that only tests give; otherwise a passage costs one look into an empty mapping.
"""

import os
import signal
from typing import Literal, get_args

CrashPoint = Literal[
    "after_fold",
    "after_changelog_send",
    "after_changelog",
    "after_redis",
    "after_changes",
    "after_sweep_changes",
    "after_merge",
    "after_merges",
    "before_flush",
    "before_commit",
    "after_data_file",
    "after_delta_commit",
    "after_webhook_stored",
    "after_webhook_claim",
    "after_webhook_sent",
    "after_export_walk",
    "before_export_rename",
    "after_export_rename",
    "after_export_report",
]
CRASH_AT_PATTERN = rf"^(({'|'.join(get_args(CrashPoint))}):[1-9][0-9]{{0,6}})?$"
"""`<name>:<n>`: die at the n-th passage; empty: never."""

_left: dict[str, int] = {}


def arm(crash_at: str) -> None:
    """Let the process die as `crash_at` says, in the form of CRASH_AT_PATTERN."""
    if crash_at:
        name, passage = crash_at.split(":")
        _left[name] = int(passage)


def crash_point(name: CrashPoint) -> None:
    """Die here, when armed and the time has come: no clean-up, no last line."""
    if name in _left:
        _left[name] -= 1
        if _left[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
