"""Market spells, the change feed and pending changes of listings"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op
from src.core.security import keyed_hash

revision: str = "2026_11_21_listing_truth"
down_revision: str | Sequence[str] | None = "2026_11_21_idempotency_keys"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "market_spells",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("asset_keys", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("is_continued", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_as", sa.Text(), nullable=True),
        sa.CheckConstraint("ended_at >= started_at", name=op.f("ck_market_spells_ends_after_start")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_market_spells")),
    )
    op.create_table(
        "listing_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("fields", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.CheckConstraint(
            "what IN ('published', 'price_changed', 'edited', 'reserved', 'released', 'paused', 'resumed', 'renewed', 'sold', 'rented', 'withdrawn', 'expired')",
            name=op.f("ck_listing_changes_what"),
        ),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_listing_changes_listing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_changes")),
    )
    op.create_table(
        "listing_pending_changes",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("shown", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_listing_pending_changes_listing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_listing_pending_changes")),
    )
    _begin_spells()
    op.create_index(
        "uq_market_spells_listing_id_open",
        "market_spells",
        ["listing_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_market_spells_listing_id_started_at", "market_spells", ["listing_id", "started_at"])
    op.create_index("ix_market_spells_asset_keys", "market_spells", ["asset_keys"], postgresql_using="gin")
    op.create_index("ix_listing_changes_listing_id_seen_at", "listing_changes", ["listing_id", "seen_at", "id"])


def _begin_spells() -> None:
    """What is public now has been so since it was published, at the prices it has had since; pauses were not kept."""
    op.execute("""
        INSERT INTO market_spells
            (id, listing_id, asset_keys, price_amount, currency, is_continued, started_at, ended_at)
        SELECT gen_random_uuid(), id, keys, amount, currency, since > published_at, greatest(since, published_at), until
        FROM (
            SELECT listing.id, listing.published_at, price.since, price.amount, price.currency,
                lead(price.since) OVER (PARTITION BY listing.id ORDER BY price.since, price.id) AS until,
                CASE WHEN title_number_hash IS NULL THEN '{}' ELSE ARRAY['title:' || title_number_hash] END AS keys
            FROM listings listing
            JOIN listing_prices price ON price.listing_id = listing.id
            LEFT JOIN properties ON properties.listing_id = listing.id
            WHERE listing.is_public
        ) asked
        WHERE until IS NULL OR until > published_at
    """)
    op.execute("""
        INSERT INTO listing_changes (id, listing_id, seen_at, what)
        SELECT gen_random_uuid(), id, published_at, 'published' FROM listings WHERE is_public
    """)
    connection = op.get_bind()
    vins = "SELECT listing_id, vin FROM vehicles JOIN listings ON id = listing_id WHERE is_public AND vin IS NOT NULL"
    keys = [
        {"id": row.listing_id, "key": f"vin:{keyed_hash('asset-vin', row.vin)}"}
        for row in connection.execute(sa.text(vins))
    ]
    if keys:
        named = "UPDATE market_spells SET asset_keys = ARRAY[CAST(:key AS text)] WHERE listing_id = :id"
        connection.execute(sa.text(named), keys)


def downgrade() -> None:
    op.drop_table("listing_pending_changes")
    op.drop_table("listing_changes")
    op.drop_table("market_spells")
