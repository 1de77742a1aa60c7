"""What versions refer to, and what they say. None of the versions that exist can refer to anything."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("segment_versions", sa.Column("meaning", sa.Text(), nullable=True))
    op.create_index("segment_versions_meaning_index", "segment_versions", ["meaning"], unique=False)
    op.create_table(
        "segment_references",
        sa.Column("segment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("refers_to", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["segment_id", "version"],
            ["segment_versions.segment_id", "segment_versions.version"],
            name=op.f("segment_references_segment_id_fkey"),
        ),
        sa.ForeignKeyConstraint(["refers_to"], ["segments.id"], name=op.f("segment_references_refers_to_fkey")),
        sa.PrimaryKeyConstraint("segment_id", "version", "refers_to", name=op.f("segment_references_pkey")),
    )
    op.create_index(op.f("segment_references_refers_to_index"), "segment_references", ["refers_to"], unique=False)


def downgrade() -> None:
    op.drop_table("segment_references")
    op.drop_index("segment_versions_meaning_index", "segment_versions")
    op.drop_column("segment_versions", "meaning")
