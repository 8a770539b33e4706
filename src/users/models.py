"""The users table."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from src.core.database import Base, new_id
from src.core.errors import on_constraint
from src.core.security import Role
from src.users.errors import EmailTaken


class UserStatus(StrEnum):
    """Whether the account may act."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class User(Base):
    """A person with an account."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('user', 'broker', 'moderator', 'admin')", name="role"),
        CheckConstraint("status IN ('active', 'suspended', 'deleted')", name="status"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    full_name: Mapped[str]
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    email_verified_at: Mapped[datetime | None]
    phone: Mapped[str | None]
    about: Mapped[str | None]
    language: Mapped[str] = mapped_column(default="en")
    role: Mapped[str] = mapped_column(default=Role.USER)
    status: Mapped[str] = mapped_column(default=UserStatus.ACTIVE)
    is_trusted: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


on_constraint("uq_users_email_key", EmailTaken, "/email")
