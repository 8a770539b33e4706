"""Vehicles keep the verdict on their VIN"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision: str = "2026_11_21_vin_verdict"
down_revision: str | Sequence[str] | None = "2026_11_21_exchange_rates"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # Rows there are have none until their next save: the verdict is the program's to make.
    op.add_column("vehicles", sa.Column("vin_verdict", postgresql.JSONB(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("vehicles", "vin_verdict")
