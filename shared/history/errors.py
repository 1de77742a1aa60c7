"""What can be wrong with the history, sorted by what the caller should do."""


class HistoryFault(Exception):  # noqa: N818 - it names the thing
    """Anything that keeps the history from answering; the text says what and where."""


class HistoryUnavailable(HistoryFault):
    """Retry: the place where it lies does not answer, or a file went away while it was read."""


class HistoryBroken(HistoryFault):
    """Reject: a file of it cannot be read; trying again changes nothing."""


class HistoryOverloaded(HistoryFault):
    """Reject: the answer needs more memory or temporary space than is allowed."""
