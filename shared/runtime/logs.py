"""Logging, configured once per process: one line a record to stderr."""

import logging
import sys
import time

_QUIET = ("aiokafka", "asyncio", "faust", "httpx", "mode", "sqlalchemy", "uvicorn", "alembic.runtime.plugins")
"""Libraries that tell of every join and every request; their warnings still appear."""


class OneLineFormatter(logging.Formatter):
    """`<UTC time> <level> <logger>: <message>`, and an exception's traceback on the same line after it.

    One record is one line whatever it quotes, so that a line of a log file is never somebody else's text.
    """

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line without its end."""
        return " | ".join(line for line in super().format(record).splitlines() if line.strip())


def configure_logs(level: str) -> None:
    """Send all records of at least `level` (DEBUG, INFO, WARNING, ERROR) to stderr; called once, by a `__main__`.

    Libraries log from WARNING on, unless `level` is DEBUG.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "DEBUG" else logging.WARNING)
