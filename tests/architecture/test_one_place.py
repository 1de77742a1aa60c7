"""What is declared in one file is declared nowhere else: metrics, topics, Redis keys, clock, environment."""

import ast
import re
from pathlib import Path

import prometheus_client
from prometheus_client import metrics as prometheus_metrics
from prometheus_client.metrics import MetricWrapperBase

from shared.contracts.topics import declare
from shared.runtime import metrics
from tests.architecture.sources import PRODUCT, ROOT, called_name, calls, files, imports, literals, name_of

METRICS = ROOT / "shared/runtime/metrics.py"
TOPICS = ROOT / "shared/contracts/topics.py"
REDIS_KEYS = ROOT / "shared/contracts/redis_keys.py"
CLOCK = ROOT / "shared/runtime/clock.py"

_KINDS = {
    name
    for module in (prometheus_client, prometheus_metrics)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, MetricWrapperBase)
}
_TAKES_A_TOPIC = {"produce", "send", "send_and_wait", "subscribe", "topic", "TopicPartition", "NewTopic", "Topic"}
_REDIS_KEY = re.compile(r":(head|clock|applied|rebuilding|questions)\b|:(user|members|answer):")
_WALL_CLOCK = {"time", "time_ns", "now", "utcnow", "today"}


def _elsewhere(place: Path, *folders: str) -> list[Path]:
    return [path for path in files(*(folders or PRODUCT)) if path != place]


def test_metrics_are_declared_in_one_file() -> None:
    """Elsewhere the kinds serve as types only."""
    assert {"Counter", "Gauge", "Histogram"} <= _KINDS
    faults = [
        f"{name_of(path)}:{call.lineno} {ast.unparse(call.func)}"
        for path in _elsewhere(METRICS)
        if any(name.split(".")[0] == "prometheus_client" for _, name in imports(path))
        for call in calls(path)
        if called_name(call) in _KINDS
    ]
    assert faults == []


def test_every_metric_is_used() -> None:
    declared = {name for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}
    texts = [path.read_text(encoding="utf-8") for path in _elsewhere(METRICS)]
    assert {name for name in declared if not any(re.search(rf"\b{name}\b", text) for text in texts)} == set()


def test_topics_are_named_in_one_file() -> None:
    """`events`, `commands` and `progress` are words too; the others are nothing but topics."""
    names = {topic.name for topic in declare(12) if "-" in topic.name}
    faults = [
        f"{name_of(path)}:{line} {text!r}"
        for path in _elsewhere(TOPICS)
        for line, text in literals(path)
        if text in names
    ]
    assert faults == []


def test_no_topic_is_a_text_where_it_is_used() -> None:
    names = {topic.name for topic in declare(12)}
    faults = [
        f"{name_of(path)}:{call.lineno} {word.value!r}"
        for path in _elsewhere(TOPICS)
        for call in calls(path)
        if called_name(call) in _TAKES_A_TOPIC
        for argument in call.args[:1]
        for word in ast.walk(argument)
        if isinstance(word, ast.Constant) and word.value in names
    ]
    assert faults == []


def test_redis_keys_are_spelled_in_one_file() -> None:
    faults = [
        f"{name_of(path)}:{line} {text!r}"
        for path in _elsewhere(REDIS_KEYS)
        for line, text in literals(path)
        if _REDIS_KEY.search(text)
    ]
    scripts = [
        name_of(path) for path in files(*PRODUCT, suffix=".lua") if _REDIS_KEY.search(path.read_text(encoding="utf-8"))
    ]
    assert faults + scripts == []


def test_the_wall_clock_is_read_in_one_file() -> None:
    """Durations come from time.monotonic, instants from a Clock, so that a test can say what time it is."""
    faults = [
        f"{name_of(path)}:{call.lineno} {ast.unparse(call.func)}"
        for path in _elsewhere(CLOCK, "shared", "services")
        for call in calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in _WALL_CLOCK
        and ast.unparse(call.func.value) in {"time", "datetime", "date", "datetime.datetime", "datetime.date"}
    ]
    assert faults == []


def test_the_environment_is_read_by_settings_only() -> None:
    faults = [
        f"{name_of(path)}:{line}"
        for path in _elsewhere(ROOT / "shared/runtime/settings.py", "shared", "services")
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "os.environ" in text or "os.getenv" in text
    ]
    assert faults == []
