"""Exchange rates"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "2026_11_21_exchange_rates"
down_revision: str | Sequence[str] | None = "2026_11_21_listing_truth"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

APPEND_ONLY = ("exchange_rate_sets", "exchange_rates")


def upgrade() -> None:
    op.create_table(
        "exchange_rate_sets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("char_length(source) BETWEEN 1 AND 200", name=op.f("ck_exchange_rate_sets_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_rate_sets")),
    )
    op.create_index("ix_exchange_rate_sets_as_of_id", "exchange_rate_sets", ["as_of", "id"], unique=False)
    op.create_table(
        "exchange_rates",
        sa.Column("rate_set_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("rate", sa.Numeric(precision=24, scale=12), nullable=False),
        sa.CheckConstraint(
            "rate BETWEEN 0.000000000001 AND 999999999999.999999999999", name=op.f("ck_exchange_rates_rate")
        ),
        sa.ForeignKeyConstraint(["rate_set_id"], ["exchange_rate_sets.id"], name=op.f("fk_exchange_rates_rate_set_id")),
        sa.PrimaryKeyConstraint("rate_set_id", "currency", name=op.f("pk_exchange_rates")),
    )
    for table in APPEND_ONLY:
        op.execute(f"""
            CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """)


def downgrade() -> None:
    op.drop_table("exchange_rates")
    op.drop_index("ix_exchange_rate_sets_as_of_id", table_name="exchange_rate_sets")
    op.drop_table("exchange_rate_sets")
