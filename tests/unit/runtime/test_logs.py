"""Logs: one record is one line on stderr."""

import logging
import subprocess
import sys

from shared.runtime.logs import OneLineFormatter

_PROGRAM = """
import logging, warnings
from shared.runtime.logs import configure_logs
configure_logs("INFO")
configure_logs("INFO")
log = logging.getLogger("shoal.test")
log.debug("too fine")
log.info("user said: %s", "one\\ntwo")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("no such ratio")
logging.getLogger("aiokafka.consumer").info("noise")
logging.getLogger("aiokafka.consumer").warning("a rebalance")
warnings.warn("an old call", stacklevel=1)
"""


def test_each_record_is_one_line_and_noise_is_left_out() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    lines = ran.stderr.splitlines()
    assert ran.stdout == ""
    assert len(lines) == 4, ran.stderr
    assert lines[0].endswith("Z INFO shoal.test: user said: one | two")
    assert "ERROR shoal.test: no such ratio | Traceback" in lines[1]
    assert lines[1].endswith("| ZeroDivisionError: division by zero")
    assert lines[2].endswith("WARNING aiokafka.consumer: a rebalance")
    assert "WARNING py.warnings: " in lines[3]


def test_times_are_utc_with_milliseconds() -> None:
    record = logging.makeLogRecord({"msg": "x", "levelname": "INFO", "name": "n"})
    record.created, record.msecs = 0.25, 250.0
    assert OneLineFormatter().format(record) == "1970-01-01T00:00:00.250Z INFO n: x"
