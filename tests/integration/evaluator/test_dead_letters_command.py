"""`dead-letters list` and `send` on real Kafka: what was set aside is shown, and what is mended counts."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from deploy.local.ports import free_ports
from shared.contracts.dead_letter import RESENT_FROM, dead_letter_headers
from shared.contracts.keys import user_key
from shared.contracts.topics import COMMANDS, DEAD_LETTERS, EVENTS, SIDE_PARTITIONS
from tests.integration.evaluator.conftest import PARTITIONS
from tests.integration.evaluator.test_worker import BOUGHT, is_in, partition
from tests.support.evaluators import ROOT, EvaluatorProcess
from tests.support.stream import TENANT, Stream

NewWorker = Callable[..., EvaluatorProcess]
Completed = subprocess.CompletedProcess[str]
PATIENCE_S = 60


def run(stream: Stream, *arguments: str, stdin: int = subprocess.DEVNULL) -> Completed:
    """The command beside the workers."""
    return subprocess.run(
        [sys.executable, "-m", "services.evaluator", DEAD_LETTERS, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SHOAL_KAFKA_BOOTSTRAP_SERVERS": stream.bootstrap},
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def listed(stream: Stream, *arguments: str) -> list[dict[str, Any]]:
    """What `list --json` says."""
    done = run(stream, "list", "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def buys(user_id: str) -> bytes:
    return json.dumps({"tenant": TENANT, "user_id": user_id, "event_type": "buy"}).encode()


def set_aside(stream: Stream, topic: str, value: bytes | None, reason: str = "no JSON") -> None:
    """A dead letter as a service writes it."""
    headers: Any = dead_letter_headers(topic, 0, 41, reason)
    stream.producer.produce(DEAD_LETTERS, value, b"key", 0, headers=headers)
    stream.flush()


def events(stream: Stream) -> list[Any]:
    return list(stream.read(EVENTS, PARTITIONS))


def test_poison_is_listed_with_its_place_and_the_reason(stream: Stream, new_worker: NewWorker) -> None:
    new_worker().await_ready()
    key = user_key(TENANT, "u")
    for value in (b'{"tenant":1,"user_id":"u\xff\x1b[2J"}', buys("somebody else"), None):
        stream.producer.produce(EVENTS, value, key, partition("u"))
    stream.await_committed()
    letters = listed(stream)
    assert [letter["place"].split(":")[1] for letter in letters] == ["0", "1", "2"]
    first = letters[0]
    assert (first["source_topic"], first["source_partition"], first["source_offset"]) == (EVENTS, partition("u"), 0)
    assert "UTF-8" in first["reason"]
    assert (first["key"], first["value_bytes"]) == ("1\0u", 31)
    assert first["value"].endswith('u\\xff\x1b[2J"}')
    assert [letter["obstacle"] for letter in letters] == [None, None, "it has no value"]

    done = run(stream, "list")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{first['place']}  events {partition('u')}:0  {first['at']}  ")
    assert "\\x1b[2J" in lines[0]  # nothing that was sent moves the cursor
    assert lines[3] == "3 letters"
    assert sorted(int(line.split()[0]) for line in lines[4:]) == [1, 1, 1]

    assert [letter["place"] for letter in listed(stream, "--reason", "utf-8")] == [first["place"]]
    assert [letter["place"] for letter in listed(stream, "--limit", "1")] == [letters[2]["place"]]
    assert letters[2] in listed(stream, "--since", letters[2]["at"])
    assert listed(stream, "--since", "2100-01-01") == []
    assert listed(stream, "--source-topic", "export-requests") == []
    assert listed(stream, first["place"], "--bytes", "2")[0]["value"] == '{"'


def test_what_lay_in_a_wrong_partition_is_sent_to_the_right_one_and_counts(
    stream: Stream, new_worker: NewWorker
) -> None:
    new_worker().await_ready()
    stream.activate({1: BOUGHT})
    users = ["ann", "ben", "cleo"]
    for user_id in users:
        wrong = (partition(user_id) + 1) % PARTITIONS
        stream.producer.produce(EVENTS, buys(user_id), user_key(TENANT, user_id), wrong)
    stream.await_committed()
    places = {letter["key"].split("\0")[1]: letter["place"] for letter in listed(stream)}
    assert not any(is_in(stream, user_id, 1) for user_id in users)

    dry = run(stream, "send", "--reason", "partitioner=murmur2", "--dry-run")
    assert (dry.returncode, dry.stdout.splitlines()[-1].split(".")[0]) == (0, "3 letters would be sent")
    assert len(events(stream)) == 3

    done = run(stream, "send", "--reason", "partitioner=murmur2", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "3 of 3 letters sent and acknowledged"
    stream.await_committed()
    assert all(is_in(stream, user_id, 1) for user_id in users)
    resent = {m.key(): m for m in events(stream) if m.headers()}
    for user_id in users:
        message = resent[user_key(TENANT, user_id)]
        assert (message.partition(), message.value()) == (partition(user_id), buys(user_id))
        assert message.headers() == [(RESENT_FROM, places[user_id].encode())]
        assert f"{places[user_id]} -> events {message.partition()}:{message.offset()}\n" in done.stdout
    assert len(listed(stream)) == 3  # a letter sent again stays where it is


def test_what_fails_again_says_which_it_was(stream: Stream, new_worker: NewWorker) -> None:
    new_worker().await_ready()
    stream.producer.produce(EVENTS, b"no JSON", user_key(TENANT, "u"), partition("u"))
    stream.await_committed()
    first = listed(stream)[0]
    assert run(stream, "send", "--yes").returncode == 0
    stream.await_committed()
    again = listed(stream)[1]
    assert (first["resent_from"], again["resent_from"]) == (None, first["place"])
    assert f"(resent from {first['place']})" in run(stream, "list").stdout


def test_what_cannot_be_sent_is_refused_and_the_others_are_sent(stream: Stream) -> None:
    set_aside(stream, EVENTS, None)
    set_aside(stream, COMMANDS, b"{}")
    stream.producer.produce(DEAD_LETTERS, b"foreign", None, 0)
    set_aside(stream, EVENTS, b"some bytes")
    done = run(stream, "send", "--yes")
    assert done.returncode == 1
    without_value, of_another_topic, foreign = done.stderr.splitlines()
    assert without_value == "dead-letters: 0:0 is not sent: it has no value"
    assert of_another_topic.startswith("dead-letters: 0:1 is not sent: it came from topic commands; only events and")
    assert foreign.startswith("dead-letters: 0:2 is not sent: not written by this system: ")
    assert [(m.key(), m.value()) for m in events(stream)] == [(b"key", b"some bytes")]


def test_nothing_is_sent_unasked_and_a_person_is_asked(stream: Stream) -> None:
    set_aside(stream, EVENTS, b"some bytes")
    done = run(stream, "send", "0:0")
    assert (done.returncode, events(stream)) == (2, [])
    assert "there is no terminal to ask at: --yes sends without asking" in done.stderr
    for answer, sent in ((b"\n", 0), (b"y\n", 1)):
        ours, theirs = pty.openpty()
        os.write(ours, answer)
        done = run(stream, "send", "0:0", stdin=theirs)
        os.close(ours)
        os.close(theirs)
        assert "counts twice, unless it carries an event_id" in done.stdout
        assert len(events(stream)) == sent


def test_a_place_without_a_letter_is_named(stream: Stream) -> None:
    set_aside(stream, EVENTS, b"some bytes")
    done = run(stream, "send", "0:0", "0:1", "9:0", "--dry-run")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"dead-letters: {place} holds no such letter" for place in ("0:1", "9:0")]
    assert done.stdout.splitlines()[-1].startswith("1 letters would be sent.")


@pytest.mark.parametrize("arguments", [("list", "--since", "yesterday"), ("send", "12"), ("list", "--limit", "0"), ()])
def test_a_command_that_cannot_be_is_refused(stream: Stream, arguments: tuple[str, ...]) -> None:
    done = run(stream, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""


def test_a_broker_that_does_not_answer_is_named_in_one_line(stream: Stream) -> None:
    stream.bootstrap = f"127.0.0.1:{free_ports(1)[0]}"
    done = run(stream, "list")
    assert done.returncode == 75
    assert done.stderr.startswith(f"dead-letters: Kafka at {stream.bootstrap}: ")
    assert len(done.stderr.splitlines()) == 1


def test_every_partition_is_read(stream: Stream) -> None:
    headers: Any = dead_letter_headers(EVENTS, 0, 41, "no JSON")
    for number in range(10 * SIDE_PARTITIONS):
        stream.producer.produce(DEAD_LETTERS, b"%d" % number, None, number % SIDE_PARTITIONS, headers=headers)
    stream.flush()
    assert {letter["value"] for letter in listed(stream)} == {str(n) for n in range(10 * SIDE_PARTITIONS)}
    assert len(listed(stream, "2:3", "0:9", "2:0")) == 3
