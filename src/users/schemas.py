"""Profiles as clients see and change them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from pydantic_extra_types.phone_numbers import PhoneNumberValidator

from src.core.schemas import Instant, Line, Schema, Text, Trimmed, left_out
from src.core.security import Role
from src.users.models import UserStatus

Language = Literal["en", "am", "om", "ti", "so"]
FullName = Annotated[
    Line, Trimmed, Field(min_length=1, max_length=120, description="Full name", examples=["Hana Tesfaye"])
]
Phone = Annotated[
    str,
    PhoneNumberValidator(default_region="ET", number_format="E164"),
    Field(max_length=32, description="E.164; national numbers are read as Ethiopian", examples=["+251911234567"]),
]
About = Annotated[Text, Field(max_length=2000, examples=["Selling my own cars since 2015."])]


class UserCard(Schema):
    """What everybody may see of a user."""

    id: UUID
    full_name: FullName
    role: Role
    about: About | None
    member_since: Instant = Field(validation_alias="created_at")


class UserRead(Schema):
    """A user's own profile."""

    id: UUID
    full_name: FullName
    email: str = Field(max_length=254, examples=["hana@example.com"])
    email_verified: bool = Field(description="Whether the address was confirmed")
    phone: Phone | None
    about: About | None
    language: Language
    role: Role
    status: UserStatus
    created_at: Instant
    updated_at: Instant


class UserUpdate(Schema):
    """Any part of one's profile; what is left out stays."""

    full_name: FullName = left_out()
    phone: Phone | None = None
    about: About | None = None
    language: Language = left_out()
