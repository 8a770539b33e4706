"""What is looked for to be forgotten: old deliveries and notifications"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "2026_11_21_old_notifications"
down_revision: str | Sequence[str] | None = "2026_11_21_imports"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(op.f("ix_deliveries_created_at"), "deliveries", ["created_at"])
    for name, condition in (("read", "read_at IS NOT NULL"), ("unread", "read_at IS NULL")):
        op.create_index(
            f"ix_notifications_created_at_{name}", "notifications", ["created_at"], postgresql_where=sa.text(condition)
        )


def downgrade() -> None:
    op.drop_index("ix_notifications_created_at_unread", table_name="notifications")
    op.drop_index("ix_notifications_created_at_read", table_name="notifications")
    op.drop_index(op.f("ix_deliveries_created_at"), table_name="deliveries")
