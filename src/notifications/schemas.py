"""Notifications and preferences as clients see and set them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from src.core.pagination import PageQuery, Total
from src.core.schemas import Instant, Schema, Slug
from src.notifications.kinds import Category
from src.notifications.models import Channel

KindName = Annotated[
    Slug, Field(description="What somebody is told; more kinds may come", examples=["listing_expiring"])
]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class NotificationQuery(PageQuery):
    """Which of one's notifications."""

    unread: bool | None = Field(None, description="true: only those not read; false: only those read")


class NotificationRead(Schema):
    """Something that the user was told."""

    id: UUID
    kind: KindName
    data: dict[Annotated[str, Field(max_length=40)], UUID | Count] = Field(
        max_length=10,
        description="Ids of what it is about, and numbers, by name",
        examples=[{"listing_id": "01a1fc10-b727-7426-85ce-320caeac1522", "days": 7}],
    )
    created_at: Instant
    read_at: Instant | None


class NotificationPage(Schema):
    """One page of the feed. The cursor is last, where `core.links` looks for it."""

    unread: Total = Field(description="How many of the whole feed are not read")
    items: list[NotificationRead] = Field(max_length=100)
    next_cursor: str | None = Field(max_length=1000)


class PreferenceRead(Schema):
    """Whether notifications of a kind go through a channel."""

    kind: KindName
    category: Category
    channel: Channel
    is_on: bool
    is_switchable: bool = Field(description="False: it is about security, and always on")


class PreferenceList(Schema):
    """Every kind with each of its channels."""

    items: list[PreferenceRead] = Field(max_length=200)


class PreferenceUpdate(Schema):
    """What the user wants of a kind and a channel."""

    kind: KindName
    channel: Channel
    is_on: bool


class PreferencesUpdate(Schema):
    """Those to set; the others stay as they are."""

    items: list[PreferenceUpdate] = Field(max_length=200)


class UnsubscribeForm(Schema):
    """What a mail program sends for its user, and nothing else (RFC 8058)."""

    list_unsubscribe: Literal["One-Click"] = Field(alias="List-Unsubscribe")
