"""Export files: which file an export is, and the secret of its links. Exports from before have none."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("exports", sa.Column("detail", sa.Text(), nullable=True))
    op.add_column("exports", sa.Column("file_name", sa.Text(), nullable=True))
    op.add_column("exports", sa.Column("size", sa.BigInteger(), nullable=True))
    op.add_column("exports", sa.Column("sha256", sa.Text(), nullable=True))
    op.add_column("exports", sa.Column("as_of_us", sa.BigInteger(), nullable=True))
    op.add_column("exports", sa.Column("expires_at_us", sa.BigInteger(), nullable=True))
    op.add_column("exports", sa.Column("link_secret", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    for column in ("link_secret", "expires_at_us", "as_of_us", "sha256", "size", "file_name", "detail"):
        op.drop_column("exports", column)
