"""Timers of listings, the clock of development, and what clean-up jobs look for"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "2026_11_21_timers"
down_revision: str | Sequence[str] | None = "2026_11_21_one_time_tokens"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# When each came to its state, as nearly as is known. Warnings whose time has passed are not given any more.
BACKFILL = """
    UPDATE listings SET moved_at = known.moved_at, warning_days = known.warning_days, timer_at = CASE
        WHEN status IN ('sold', 'rented', 'withdrawn', 'expired', 'rejected') THEN known.moved_at + interval '90 days'
        WHEN status IN ('published', 'on_hold') AND held_at IS NULL
            THEN expires_at - known.warning_days * interval '1 day'
    END
    FROM (
        SELECT id,
            CASE
                WHEN status IN ('sold', 'rented') THEN coalesce(closed_at, updated_at)
                WHEN status = 'published' THEN published_at
                WHEN status = 'expired' THEN least(expires_at, updated_at)
                ELSE updated_at
            END AS moved_at,
            CASE
                WHEN expires_at > now() + interval '7 days' THEN 7
                WHEN expires_at > now() + interval '1 day' THEN 1
                ELSE 0
            END AS warning_days
        FROM listings
    ) AS known
    WHERE known.id = listings.id
"""


def upgrade() -> None:
    op.create_table(
        "clock_offset",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_clock_offset_one_row")),
        sa.CheckConstraint("seconds > 0", name=op.f("ck_clock_offset_is_ahead")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_offset")),
    )
    # The defaults are for the version before this one, which goes on inserting; a later revision takes them away.
    now = {"server_default": sa.text("now()"), "nullable": False}
    op.add_column("listings", sa.Column("moved_at", sa.DateTime(timezone=True), **now))
    op.add_column("listings", sa.Column("warning_days", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("listings", sa.Column("timer_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(BACKFILL)
    op.create_index(
        "ix_listings_timer_at", "listings", ["timer_at", "id"], postgresql_where=sa.text("timer_at IS NOT NULL")
    )
    op.drop_index("ix_listings_status_expires_at", table_name="listings")
    op.create_index("ix_handled_events_handled_at", "handled_events", ["handled_at"])


def downgrade() -> None:
    op.drop_index("ix_handled_events_handled_at", table_name="handled_events")
    op.create_index("ix_listings_status_expires_at", "listings", ["status", "expires_at"])
    op.drop_index("ix_listings_timer_at", table_name="listings")
    for column in ("timer_at", "warning_days", "moved_at"):
        op.drop_column("listings", column)
    op.drop_table("clock_offset")
