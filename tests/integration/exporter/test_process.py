"""The exporter as a process on real Kafka: what it answers, how it ends, and when it refuses to start."""

import signal
import socket
import time
from pathlib import Path

import httpx
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from shared.contracts.dead_letter import read_dead_letter_headers
from shared.contracts.progress import Progress, decode_progress
from shared.contracts.topics import DEAD_LETTERS, EXPORT_REQUESTS, PROGRESS, declare
from shared.runtime.kafka import ensure_topics
from tests.integration.exporter.support import (
    PATIENCE_S,
    Process,
    await_messages,
    committed,
    exporter_process,
    free_port,
    headers_of,
    produce,
    request,
    topic_names,
)


def _await_ready(process: Process) -> dict[str, object]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"http://127.0.0.1:{process.port}/readyz")
        except httpx.TransportError:
            continue
        if answer.status_code == 200:
            return dict(answer.json())
    raise AssertionError("never ready")


SOON = {"SHOAL_EXPORTER_EXPORT_WAIT_S": "0.2"}
"""There is no evaluator in these tests: no export comes to its instant."""


def _finals(bootstrap_servers: str, count: int) -> list[Progress]:
    """The final reports, as soon as there are so many; each export is reported as running before."""
    reports = [decode_progress(m.value() or b"") for m in await_messages(bootstrap_servers, PROGRESS, 2 * count)]
    return sorted((one for one in reports if one.status != "running"), key=lambda one: one.id)


def test_every_request_is_answered_and_poison_is_set_aside(
    kafka_bootstrap_servers: str, redis_url: str, tmp_path: Path
) -> None:
    ensure_topics(kafka_bootstrap_servers, declare(12))
    poison = (b"3", b'{"export_id": 3, "out')
    produce(kafka_bootstrap_servers, [request(1), request(2), poison, request(4), (None, None)])
    with exporter_process(kafka_bootstrap_servers, redis_url, tmp_path, **SOON) as process:
        finals = _finals(kafka_bootstrap_servers, 3)
        dead = await_messages(kafka_bootstrap_servers, DEAD_LETTERS, 2)
        assert _await_ready(process) == {
            "status": "ready",
            "parts": {"kafka": "ok", "assignment": "ok", "delivery": "ok", "history": "ok", "changes": "ok"},
        }
        shown = httpx.get(f"http://127.0.0.1:{process.port}/metrics").text
        code, told = process.end(signal.SIGTERM)
    assert code == 0, told
    reason = "the memberships of partition 0 are not there, or are being rebuilt: given up after 0.2 s, ask again later"
    assert finals == [Progress("export", number, 100 + number, "failed", error=reason) for number in (1, 2, 4)]
    assert not (tmp_path / "exports").exists()
    assert {(m.key(), m.value()) for m in dead} == {poison, (None, None)}
    assert all(read_dead_letter_headers(headers_of(m)).source_topic == EXPORT_REQUESTS for m in dead)
    assert 'shoal_exporter_requests_total{status="failed"} 3.0' in shown
    assert 'shoal_dead_letters_total{source_topic="export-requests"} 2.0' in shown
    assert committed(kafka_bootstrap_servers, "shoal-exporter") == 5


def test_after_a_clean_end_nothing_is_answered_twice(
    kafka_bootstrap_servers: str, redis_url: str, tmp_path: Path
) -> None:
    ensure_topics(kafka_bootstrap_servers, declare(12))
    produce(kafka_bootstrap_servers, [request(number) for number in range(1, 6)])
    with exporter_process(kafka_bootstrap_servers, redis_url, tmp_path, **SOON) as first:
        _finals(kafka_bootstrap_servers, 5)
        assert first.end(signal.SIGINT)[0] == 0
    produce(kafka_bootstrap_servers, [request(6)])
    with exporter_process(kafka_bootstrap_servers, redis_url, tmp_path, **SOON) as second:
        _finals(kafka_bootstrap_servers, 6)
        assert second.end(signal.SIGTERM)[0] == 0
    assert [final.id for final in _finals(kafka_bootstrap_servers, 6)] == [1, 2, 3, 4, 5, 6]


def test_start_creates_the_missing_topics(kafka_bootstrap_servers: str, redis_url: str, tmp_path: Path) -> None:
    with exporter_process(kafka_bootstrap_servers, redis_url, tmp_path) as process:
        _await_ready(process)
        assert topic_names(kafka_bootstrap_servers) == {topic.name for topic in declare(12)}
        assert process.end(signal.SIGTERM)[0] == 0


def test_a_different_topic_is_refused_in_one_line(kafka_bootstrap_servers: str, redis_url: str, tmp_path: Path) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap_servers})
    admin.create_topics([NewTopic("events", 3, 1)])["events"].result()
    with exporter_process(kafka_bootstrap_servers, redis_url, tmp_path) as process:
        code, told = process.end()
    assert code == 2
    lines = [line for line in told.splitlines() if " INFO " not in line]
    assert len(lines) == 1, told
    assert lines[0].startswith("exporter: topic events: 12 partitions expected, 3 found")


def test_an_unknown_setting_is_refused_in_one_line(tmp_path: Path) -> None:
    with exporter_process("127.0.0.1:1", "redis://127.0.0.1:1", tmp_path, SHOAL_EXPORTER_PROT="1") as process:
        assert process.end() == (2, "exporter: SHOAL_EXPORTER_PROT: unknown setting\n")


def test_a_port_in_use_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with exporter_process("127.0.0.1:1", "redis://127.0.0.1:1", tmp_path, SHOAL_EXPORTER_PORT=str(port)) as process:
            assert process.end() == (2, f"exporter: cannot listen on 127.0.0.1:{port}: Address already in use\n")


def test_without_a_broker_it_asks_to_be_started_later(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with exporter_process(nowhere, "redis://127.0.0.1:1", tmp_path) as process:
        code, told = process.end()
    assert code == 75
    assert told.splitlines()[-1].startswith(f"exporter: Kafka at {nowhere}: ")
