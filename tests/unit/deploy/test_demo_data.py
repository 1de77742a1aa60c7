"""The demo's events: every row becomes one event, moved in time so that the last one is now."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.local import demo
from deploy.local.demo_data import read_events
from shared.contracts.event import decode_track
from shared.domain.definition import parse_definition

NOW = datetime(2026, 4, 25, 12, 0, 0, 999, tzinfo=UTC)
CSV = """\
user_id,session_id,event,timestamp,platform,acquisition_channel,user_cohort,user_lifecycle
b,s2,purchase,2024-03-14 10:00:00,mobile,email,2024-01,new
a,s1,home,2024-03-13 10:00:00,desktop,email,2024-01,loyal
"""


def test_times_are_moved_together_and_the_last_event_is_now() -> None:
    events = read_events(gzip.compress(CSV.encode()), NOW)
    assert [(event["user_id"], event["event_type"]) for event in events] == [("a", "home"), ("b", "purchase")]
    assert [event["occurred_at"] for event in events] == ["2026-04-24T12:00:00Z", "2026-04-25T12:00:00Z"]
    assert events[0]["payload"]["user_lifecycle"] == "loyal"


def test_an_event_is_the_same_however_often_it_is_read() -> None:
    data = gzip.compress(CSV.encode())
    assert read_events(data, NOW) == read_events(data, NOW)
    later = read_events(data, NOW + timedelta(hours=1))
    assert [event["event_id"] for event in later] == ["ecom-1", "ecom-0"]


def test_only_the_newest_can_be_asked_for() -> None:
    assert [event["user_id"] for event in read_events(gzip.compress(CSV.encode()), NOW, limit=1)] == ["b"]


def test_the_api_takes_the_events_and_the_segments() -> None:
    for event in read_events(gzip.compress(CSV.encode()), NOW):
        assert decode_track(json.dumps(event).encode()).event_id == event["event_id"]
    for _, _, definition in demo.SEGMENTS:
        parse_definition(definition)


def test_an_interrupted_demo_goes_on_with_the_times_it_had(tmp_path: Path) -> None:
    first = demo.Progress(tmp_path / "demo.json")
    first.advance(1500)
    second = demo.Progress(tmp_path / "demo.json")
    assert (second.sent, second.done) == (1500, False)
    assert second.end == first.end.replace(microsecond=0)
    second.finish()
    assert demo.Progress(tmp_path / "demo.json").done
