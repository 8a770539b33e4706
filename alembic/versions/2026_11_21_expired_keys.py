"""Expired answers are found, to be forgotten"""

from collections.abc import Sequence

from alembic import op

revision: str = "2026_11_21_expired_keys"
down_revision: str | Sequence[str] | None = "2026_11_21_prices"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_idempotency_keys_expires_at"), table_name="idempotency_keys")
