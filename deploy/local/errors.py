"""What ends a local run: always one line that says what to do."""

import errno


class LocalRunError(Exception):
    """The run cannot go on. The text is one complete line for the person at the terminal."""


def describe_os_error(error: OSError) -> str:
    """One line for an error of the operating system; a full disk is said plainly."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full ({error.filename or 'while writing'}): free some space and start again."
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}."
