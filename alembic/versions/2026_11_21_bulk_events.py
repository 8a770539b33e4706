"""What comes by the thousand lets everything else go first"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "2026_11_21_bulk_events"
down_revision: str | Sequence[str] | None = "2026_11_21_imports_progress"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # The default is for the version before this one.
    op.add_column("outbox", sa.Column("is_bulk", sa.Boolean(), server_default="false", nullable=False))
    op.create_index("ix_outbox_is_bulk_next_attempt_at_event_id", "outbox", ["is_bulk", "next_attempt_at", "event_id"])
    op.drop_index("ix_outbox_next_attempt_at_event_id", table_name="outbox")


def downgrade() -> None:
    op.create_index("ix_outbox_next_attempt_at_event_id", "outbox", ["next_attempt_at", "event_id"])
    op.drop_index("ix_outbox_is_bulk_next_attempt_at_event_id", table_name="outbox")
    op.drop_column("outbox", "is_bulk")
