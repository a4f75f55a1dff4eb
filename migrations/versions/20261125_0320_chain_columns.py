"""Where the chain of facts will stand: columns beside each fact, and the head of each stream.

The release before writes facts without them; the next migration has the database fill them in.

Revises: 20261125_0310
Created: 2026-11-25 03:20:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261125_0320"
down_revision: str | None = "20261125_0310"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.add_column("facts", sa.Column("sequence", sa.BigInteger(), nullable=True))
    op.add_column("facts", sa.Column("link", sa.LargeBinary(), nullable=True))
    op.create_table(
        "chain_heads",
        sa.Column("stream", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("octet_length(link) = 32", name=op.f("ck_chain_heads_link")),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_chain_heads")),
    )


def downgrade() -> None:
    op.drop_table("chain_heads")
    op.drop_column("facts", "link")
    op.drop_column("facts", "sequence")
