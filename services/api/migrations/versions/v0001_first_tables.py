"""The first tables: tenants, segments and their versions, exports, the outbox, progress reports."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _outbox()
    _progress_reports()
    _tenants()
    _segments()
    _exports()
    _segment_versions()


def downgrade() -> None:
    for table in ("segment_versions", "exports", "segments", "tenants", "progress_reports", "outbox"):
        op.drop_table(table)


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pkey")),
    )
    op.create_index("outbox_unsent_index", "outbox", ["id"], unique=False, postgresql_where=sa.text("sent_at is null"))


def _progress_reports() -> None:
    op.create_table(
        "progress_reports",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("cutover", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "outbox_id", "partition", "status", name=op.f("progress_reports_pkey")),
    )


def _tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("tenants_pkey")),
        sa.UniqueConstraint("slug", name=op.f("tenants_slug_key")),
    )


def _segments() -> None:
    op.create_table(
        "segments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("segment_type", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("status_detail", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("active_version", sa.Integer(), nullable=True),
        sa.Column("computing_version", sa.Integer(), nullable=True),
        sa.Column("wish_id", sa.BigInteger(), nullable=True),
        sa.Column("compute_wish_id", sa.BigInteger(), nullable=True),
        sa.Column("switch_wish_id", sa.BigInteger(), nullable=True),
        sa.Column("compute_version", sa.Integer(), nullable=True),
        sa.Column("compute_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compute_finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compute_error", sa.Text(), nullable=True),
        sa.Column("last_computed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("segment_type in ('rule', 'ai', 'lookalike')", name=op.f("segments_segment_type_check")),
        sa.CheckConstraint(
            "status in ('draft', 'computing', 'computed', 'failed')", name=op.f("segments_status_check")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("segments_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("segments_pkey")),
    )
    op.create_index(
        "segments_tenant_id_id_index",
        "segments",
        ["tenant_id", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at is null"),
    )


def _exports() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("format in ('parquet', 'csv', 'jsonl')", name=op.f("exports_format_check")),
        sa.CheckConstraint("status in ('pending', 'running', 'complete', 'failed')", name=op.f("exports_status_check")),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("exports_segment_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("exports_pkey")),
    )
    op.create_index(op.f("exports_segment_id_index"), "exports", ["segment_id"], unique=False)


def _segment_versions() -> None:
    op.create_table(
        "segment_versions",
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("segment_versions_segment_id_fkey")),
        sa.PrimaryKeyConstraint("segment_id", "version", name=op.f("segment_versions_pkey")),
    )
