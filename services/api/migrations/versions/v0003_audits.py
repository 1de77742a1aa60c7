"""What the audit finds: counts of each tenant, and the latest answers that differed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "audits",
        sa.Column("tenant_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rounds", sa.BigInteger(), nullable=False),
        sa.Column("checked", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("mismatches", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_round_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("audits_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("audits_pkey")),
    )
    op.create_table(
        "audit_mismatches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("by_history", sa.Boolean(), nullable=False),
        sa.Column("as_of_us", sa.BigInteger(), nullable=False),
        sa.Column("log_epoch", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("audit_mismatches_tenant_id_fkey")),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("audit_mismatches_segment_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_mismatches_pkey")),
    )
    op.create_index(op.f("audit_mismatches_tenant_id_index"), "audit_mismatches", ["tenant_id"], unique=False)


def downgrade() -> None:
    op.drop_table("audit_mismatches")
    op.drop_table("audits")
