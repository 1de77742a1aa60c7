"""Every metric: its name, kind, unit and meaning. Nowhere else is a metric declared.

A name is `shoal_<what>_<unit>`, counters end in `_total`. Each service shows its own section and the common ones, so
that a process never shows a zero for something that it does not do. Labels take few values: never a user, a key, a
segment or a text of a sender.
"""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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

API_REQUESTS = Counter(
    "shoal_api_requests_total",
    "Requests answered, by the route's pattern (`other`: no route), method and status",
    ["route", "method", "status"],
    registry=API,
)
API_REQUEST_SECONDS = Histogram(
    "shoal_api_request_seconds",
    "Time from a request to the end of its answer, by the route's pattern",
    ["route"],
    registry=API,
)
API_LOOKUP_PIPELINE_USERS = Histogram(
    "shoal_api_lookup_pipeline_users",
    "Users read from the membership store by one pipeline",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000),
    registry=API,
)
API_EVENTS = Counter(
    "shoal_api_events_total",
    "Events sent by clients, by outcome: stored, invalid, unknown (answered 503: they may be stored or not)",
    ["outcome"],
    registry=API,
)
API_KAFKA_REFUSED = Counter(
    "shoal_api_kafka_refused_total",
    "Writes to Kafka not known to be stored, by reason",
    ["reason"],
    registry=API,
)
API_OUTBOX_SENT = Counter(
    "shoal_api_outbox_sent_total",
    "Outbox rows acknowledged by the broker, repeats after a start included",
    registry=API,
)
API_OUTBOX_FAILURES = Counter(
    "shoal_api_outbox_failures_total", "Rounds of the relay that ended in an outage and are tried again", registry=API
)
API_OUTBOX_LEADER = Gauge(
    "shoal_api_outbox_leader", "1 while this process relays the outbox and reads progress, else 0", registry=API
)
API_PROGRESS_REPORTS = Counter(
    "shoal_api_progress_reports_total",
    "Progress reports read, by kind (`invalid`: not readable)",
    ["kind"],
    registry=API,
)
API_FEED_STREAMS = Gauge(
    "shoal_api_feed_streams", "Clients that follow membership changes by server-sent events", registry=API
)
API_AUDIT_CHECKED = Counter(
    "shoal_api_audit_checked_total", "Live answers (of one user on one segment) held against history", registry=API
)
API_AUDIT_MISMATCHES = Counter(
    "shoal_api_audit_mismatches_total", "Live answers that were not those of history; promised is 0", registry=API
)
API_AUDIT_SKIPPED = Counter(
    "shoal_api_audit_skipped_total",
    "Live answers of a round that were not held against history: passed (past a stored turn), changed (the segment was "
    "changed meanwhile), undecided (a difference that did not stay)",
    ["reason"],
    registry=API,
)
API_AUDIT_ROUNDS = Counter(
    "shoal_api_audit_rounds_total",
    "Rounds of the audit, by outcome: done, or why nothing was compared: nothing (nobody, or no segment, to compare), "
    "rebuilding, behind (the history is), busy, unavailable, failed",
    ["outcome"],
    registry=API,
)
API_AUDIT_SECONDS = Histogram(
    "shoal_api_audit_seconds", "Time of a round that was done, waiting for the history included", registry=API
)
API_WEBHOOK_ATTEMPTS = Counter(
    "shoal_api_webhook_attempts_total",
    "Attempts to send a webhook, by outcome: delivered, failed (made again later), given_up (it was the last one), "
    "disabled (as given_up, and the webhook was set inactive)",
    ["outcome"],
    registry=API,
)
API_WEBHOOK_PENDING = Gauge(
    "shoal_api_webhook_pending_deliveries",
    "Deliveries that wait to be sent to active webhooks, as the leading process counts them every few seconds",
    registry=API,
)
API_WEBHOOK_PENDING_SECONDS = Gauge(
    "shoal_api_webhook_oldest_pending_seconds", "Age of the oldest of them; 0 when there is none", registry=API
)

API_SIGN_INS = Counter(
    "shoal_api_sign_ins_total",
    "Attempts to sign in with a password, by outcome: done, refused, limited (too many with this e-mail)",
    ["outcome"],
    registry=API,
)
API_REFRESH_REUSES = Counter(
    "shoal_api_refresh_reuses_total",
    "Refresh tokens that came a second time, which ended their family: stolen, or an answer was lost",
    registry=API,
)

API_HISTORY_QUESTIONS = Counter(
    "shoal_api_history_questions_total",
    "Questions to the history, by kind and outcome: answered, refused (too many, too slow), left (the client went away "
    "first), failed",
    ["kind", "outcome"],
    registry=API,
)
API_HISTORY_SECONDS = Histogram(
    "shoal_api_history_seconds",
    "Time that a question to the history had a slot, by kind",
    ["kind"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60),
    registry=API,
)
API_HISTORY_RUNNING = Gauge(
    "shoal_api_history_running_questions",
    "Questions to the history that have a slot, those being ended included",
    registry=API,
)
API_HISTORY_WAITING = Gauge(
    "shoal_api_history_waiting_questions", "Questions to the history that wait for a slot", registry=API
)

# --- evaluator -----------------------------------------------------------------------------------------------------

EVENTS = Counter("shoal_evaluator_events_total", "Messages of events taken in, usable or not", registry=EVALUATOR)
MEMBERSHIP_CHANGES = Counter(
    "shoal_evaluator_membership_changes_total", "Membership changes sent, repeats included", registry=EVALUATOR
)
PARTITIONS = Gauge("shoal_evaluator_partitions", "Partitions of events owned by this worker", registry=EVALUATOR)

FORGOTTEN_EVENT_IDS = Counter(
    "shoal_evaluator_forgotten_event_ids_total",
    "Event ids of users with too many of them, forgotten before their 24 h were over: repeats may count twice",
    registry=EVALUATOR,
)
APPROXIMATE_USERS = Gauge(
    "shoal_evaluator_approximate_users",
    "Users of this worker with more events than are kept one by one, as far as it came across them since it took their "
    "partition: a window may end late for them by 1/1024 of it, a sequence may not be found",
    registry=EVALUATOR,
)
LATE_RECORDS = Counter(
    "shoal_evaluator_late_records_total",
    "Records that a replaced owner wrote into a changelog after it was replaced, and that were written over",
    registry=EVALUATOR,
)
REBUILDS = Counter(
    "shoal_evaluator_redis_rebuilds_total",
    "Partitions whose memberships were written to Redis anew, because it had lost some or all",
    registry=EVALUATOR,
)
CLOCK_SKEW = Gauge(
    "shoal_evaluator_clock_skew_seconds",
    "Least difference between this machine's clock and the brokers' that explains what was seen; > 0: ahead",
    registry=EVALUATOR,
)
PARTITIONS_STOPPED = Gauge(
    "shoal_evaluator_stopped_partitions",
    "Partitions of this worker that stopped because too many messages in a row could not be used",
    registry=EVALUATOR,
)
QUESTIONS = Counter(
    "shoal_evaluator_questions_total",
    "Questions about users, by outcome: answered, refused (the partition is not ready), dropped (unreadable, or Redis "
    "did not take the answer)",
    ["outcome"],
    registry=EVALUATOR,
)

BACKFILLS = Counter(
    "shoal_evaluator_backfills_total",
    "Versions for which history was asked in one partition, by outcome: done, failed",
    ["outcome"],
    registry=EVALUATOR,
)
BACKFILLED_USERS = Counter(
    "shoal_evaluator_backfilled_users_total",
    "Users of whom history knew something for a version, counted in each scan",
    registry=EVALUATOR,
)
BACKFILLS_WAITING = Gauge(
    "shoal_evaluator_backfill_waiting_partitions",
    "Partitions, counted for each version, that wait for history to pass their cutover or for the scan under way",
    registry=EVALUATOR,
)

# --- exporter ------------------------------------------------------------------------------------------------------

EXPORT_REQUESTS = Counter(
    "shoal_exporter_requests_total",
    "Export requests answered by a final report on progress, by its status",
    ["status"],
    registry=EXPORTER,
)
EXPORTED_ROWS = Counter("shoal_exporter_exported_rows_total", "Members written to complete files", registry=EXPORTER)
EXPORT_SECONDS = Histogram(
    "shoal_exporter_export_seconds",
    "Time from the beginning of a complete export to its file, waiting for the evaluator included",
    buckets=(1, 3, 5, 10, 30, 60, 120, 300, 600, 1800),
    registry=EXPORTER,
)
ARCHIVED_ROWS = Counter(
    "shoal_exporter_archived_rows_total",
    "Rows that this process added, by table of the history",
    ["table"],
    registry=EXPORTER,
)
ARCHIVE_PASSED_OVER = Counter(
    "shoal_exporter_archive_passed_over_total",
    "Messages of membership-changes that are no changes and are not archived; the log has their places",
    registry=EXPORTER,
)
ARCHIVE_LAG = Gauge(
    "shoal_exporter_archive_lag_messages",
    "Messages, of the partitions of this process, that are not in the history yet, by table",
    ["table"],
    registry=EXPORTER,
)
ARCHIVE_COMMIT_SECONDS = Histogram(
    "shoal_exporter_archive_commit_seconds",
    "Time to mark, write and commit what was read since the last time, by table",
    ["table"],
    registry=EXPORTER,
)
ARCHIVE_FAILURES = Counter(
    "shoal_exporter_archive_failures_total",
    "Attempts to archive that failed and are made again, by table: storage or Kafka away, a full disk, lost events",
    ["table"],
    registry=EXPORTER,
)
