"""Prices of many currencies are sorted by one index"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "2026_11_21_prices"
down_revision: str | Sequence[str] | None = "2026_11_21_text_search"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.drop_index("ix_listings_price_mixed", table_name="listings")
    op.create_index(
        "ix_listings_price_currency",
        "listings",
        ["currency", "price_amount", "id"],
        postgresql_where=sa.text("is_public"),
    )


def downgrade() -> None:
    op.drop_index("ix_listings_price_currency", table_name="listings")
    op.create_index(
        "ix_listings_price_mixed",
        "listings",
        ["price_amount", "id", "kind", "currency"],
        postgresql_where=sa.text("is_public"),
    )
