"""The tables of the api, as SQLAlchemy sees them; `migrations/` makes them."""

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_index",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

Instant = DateTime(timezone=True)


def id_column() -> Column[int]:
    """A key that PostgreSQL counts up."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


tenants = Table(
    "tenants",
    metadata,
    id_column(),
    Column("slug", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
)

# A deleted segment keeps its row: ids are never used again, and its last wish is sent again with the others.
segments = Table(
    "segments",
    metadata,
    id_column(),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("segment_type", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("status", Text, nullable=False, server_default="draft"),
    Column("status_detail", Text, nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("active_version", Integer),
    # the version of the compute that runs, from the request to the last partition's switch
    Column("computing_version", Integer),
    # the last command about the segment; that of the running compute; that of its switch
    Column("wish_id", BigInteger),
    Column("compute_wish_id", BigInteger),
    Column("switch_wish_id", BigInteger),
    # the last compute, running or not
    Column("compute_version", Integer),
    Column("compute_started_at", Instant),
    Column("compute_finished_at", Instant),
    Column("compute_error", Text),
    Column("last_computed_at", Instant),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("updated_at", Instant, nullable=False, server_default=func.now()),
    Column("deleted_at", Instant),
    CheckConstraint("segment_type in ('rule', 'ai', 'lookalike')", name="segment_type"),
    CheckConstraint("status in ('draft', 'computing', 'computed', 'failed')", name="status"),
    Index("segments_tenant_id_id_index", "tenant_id", "id", postgresql_where=text("deleted_at is null")),
)

segment_versions = Table(
    "segment_versions",
    metadata,
    Column("segment_id", BigInteger, ForeignKey("segments.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    # json, not jsonb: the definition as it was saved, its keys in their order
    Column("definition", JSON, nullable=False),
    Column("fingerprint", Text, nullable=False),
    # what the definition says, whatever its spelling; null in versions saved before this was told
    Column("meaning", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Index("segment_versions_meaning_index", "meaning"),
)

# Which segments a version's definition refers to. Rows of a version never change, as it does not.
segment_references = Table(
    "segment_references",
    metadata,
    Column("segment_id", BigInteger, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("refers_to", BigInteger, ForeignKey("segments.id"), primary_key=True, index=True),
    ForeignKeyConstraint(("segment_id", "version"), ("segment_versions.segment_id", "segment_versions.version")),
)

exports = Table(
    "exports",
    metadata,
    id_column(),
    Column("segment_id", BigInteger, ForeignKey("segments.id"), nullable=False, index=True),
    Column("format", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("row_count", BigInteger),
    Column("error", Text),
    # what a running export waits for
    Column("detail", Text),
    # of a complete export: its file in the place for exports, the instant of its members, when it may be removed
    # (microseconds since 1970)
    Column("file_name", Text),
    Column("size", BigInteger),
    Column("sha256", Text),
    Column("as_of_us", BigInteger),
    Column("expires_at_us", BigInteger),
    # signs the links to the file; nobody but this database has it
    Column("link_secret", LargeBinary),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("finished_at", Instant),
    CheckConstraint("format in ('parquet', 'csv', 'jsonl')", name="format"),
    CheckConstraint("status in ('pending', 'running', 'complete', 'failed')", name="status"),
)

# Rows waiting to be sent to Kafka, written with the change they tell of. `key` is the segment's or export's id.
outbox = Table(
    "outbox",
    metadata,
    id_column(),
    Column("topic", Text, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("message", JSON, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("sent_at", Instant),
    Index("outbox_unsent_index", "id", postgresql_where=text("sent_at is null")),
)

# Every report read from the topic `progress`, once: the primary key drops repeats.
progress_reports = Table(
    "progress_reports",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("outbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, primary_key=True),
    Column("version", Integer),
    Column("cutover", BigInteger),
    Column("error", Text),
    Column("reported_at", Instant, nullable=False, server_default=func.now()),
)

# What the audit has found of each tenant, since its first round.
audits = Table(
    "audits",
    metadata,
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), primary_key=True),
    Column("rounds", BigInteger, nullable=False),
    Column("checked", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("mismatches", BigInteger, nullable=False),
    Column("since", Instant, nullable=False, server_default=func.now()),
    Column("last_round_at", Instant, nullable=False, server_default=func.now()),
)

# The latest answers that differed from history, with the place up to which both had counted.
audit_mismatches = Table(
    "audit_mismatches",
    metadata,
    id_column(),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("user_id", Text, nullable=False),
    Column("segment_id", BigInteger, ForeignKey("segments.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("by_history", Boolean, nullable=False),
    # microseconds since 1970, as the answers were compared
    Column("as_of_us", BigInteger, nullable=False),
    Column("log_epoch", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("found_at", Instant, nullable=False, server_default=func.now()),
)

# Who is told over HTTP. The secret is kept as it is: signatures are made with it.
webhooks = Table(
    "webhooks",
    metadata,
    id_column(),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    # why we have set it inactive; null when its tenant has, or when it is active
    Column("disabled_reason", Text),
    Column("events", ARRAY(Text), nullable=False),
    # null: of all segments
    Column("segment_ids", ARRAY(BigInteger)),
    # changes of the feed up to here are stored as deliveries; null when it does not want them
    Column("position", BigInteger),
    Column("last_delivered_at", Instant),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("updated_at", Instant, nullable=False, server_default=func.now()),
    # since then nobody sees it, and its deliveries are removed some at a time
    Column("deleted_at", Instant),
)

# One message for one webhook, and what came of it. A pending one has an instant of its next attempt; while an attempt
# is made, that is when the attempt counts as lost.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    id_column(),
    Column("webhook_id", BigInteger, ForeignKey("webhooks.id"), nullable=False),
    # what the receiver knows it by, the same at every attempt
    Column("message_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    # text, not json: the bytes are signed; empty when it has come to its end
    Column("body", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Instant, server_default=func.now()),
    Column("first_attempt_at", Instant),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("finished_at", Instant),
    CheckConstraint("status in ('pending', 'delivered', 'failed')", name="status"),
    Index("webhook_deliveries_webhook_id_id_index", "webhook_id", "id"),
    Index("webhook_deliveries_pending_index", "webhook_id", "id", postgresql_where=text("status = 'pending'")),
    Index("webhook_deliveries_finished_at_index", "finished_at"),
)
