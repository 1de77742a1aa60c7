"""Many previews at once of a real api process over a million events; `python -m tests.bench previews` asks of 10 M."""

from pathlib import Path

from tests.bench import previews
from tests.bench.history_data import QUICK
from tests.support.servers import Servers

MAX_RSS_MIB = 1024


def test_those_that_fit_are_answered_right_the_others_are_told_when_to_come_again(
    servers: Servers, tmp_path: Path
) -> None:
    found = previews.measure(servers, tmp_path, QUICK, at_once=25)
    assert found.wrong == 0
    assert found.right >= len(previews.asked()) + 10
    assert set(found.refused) == {(503, "5")}
    assert found.peak_rss_mib < MAX_RSS_MIB
