"""The outbox wakes the relay"""

from collections.abc import Sequence

from alembic import op

revision: str = "2026_11_21_outbox_wakes"
down_revision: str | Sequence[str] | None = "2026_11_21_jobs"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute(
        "CREATE FUNCTION wake_relay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NOTIFY outbox; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER outbox_wakes_relay AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION wake_relay()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER outbox_wakes_relay ON outbox")
    op.execute("DROP FUNCTION wake_relay()")
