"""Every metric: its name, kind, unit and meaning. Nowhere else is a metric declared.

A name is `shoal_<what>_<unit>`, counters end in `_total`. Each service shows its own section and the common ones, so
that a process never shows a zero for something that it does not do. Labels take few values: never a user, a key, a
segment or a text of a sender.
"""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest

API = CollectorRegistry()
EVALUATOR = CollectorRegistry()
EXPORTER = CollectorRegistry()


def exposition(section: CollectorRegistry) -> bytes:
    """The Prometheus text (UTF-8) of a service's section and of the common metrics."""
    return generate_latest(section) + generate_latest(REGISTRY)


# --- common: shown by every service, beside Python's and the process's own -----------------------------------------

DEAD_LETTERS = Counter(
    "shoal_dead_letters_total",
    "Messages that could not be used and were written to dead-letters, by the topic they came from",
    ["source_topic"],
)

# --- kafka ---------------------------------------------------------------------------------------------------------

# --- api -----------------------------------------------------------------------------------------------------------

# --- evaluator -----------------------------------------------------------------------------------------------------

# --- exporter ------------------------------------------------------------------------------------------------------

EXPORT_REQUESTS = Counter(
    "shoal_exporter_requests_total",
    "Export requests answered by a report on progress, by the status reported",
    ["status"],
    registry=EXPORTER,
)
