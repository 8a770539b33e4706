"""`/notifications`: the feed, what one wants to hear of, and the way out of a mail."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Form, Query
from fastapi.responses import HTMLResponse

from src.core.dependencies import CurrentActor, SessionDep
from src.core.errors import Unauthorized, raises
from src.core.pagination import BadCursor, capped
from src.core.strict import Router
from src.notifications import service, unsubscribe_page
from src.notifications.errors import NotificationNotFound
from src.notifications.schemas import (
    NotificationPage,
    NotificationQuery,
    NotificationRead,
    PreferenceList,
    PreferenceRead,
    PreferencesUpdate,
    UnsubscribeForm,
)
from src.notifications.service import Switch

router = Router(prefix="/notifications", tags=["notifications"])

PAGE: dict[int | str, Any] = {200: {"content": {"text/html": {"schema": {"type": "string", "maxLength": 2000}}}}}
# Not in the path, which is logged.
UnsubscribeToken = Annotated[str, Query(max_length=300, description="From the mail")]


@router.get("", summary="List my notifications", responses=raises(Unauthorized, BadCursor))
async def list_notifications(
    session: SessionDep, actor: CurrentActor, query: Annotated[NotificationQuery, Query()]
) -> NotificationPage:
    """What the caller was told, newest first, and how much of it they have not read."""
    feed = await service.feed(session, actor, unread=query.unread, limit=query.limit, cursor=query.cursor)
    return NotificationPage(
        unread=capped(feed.unread),
        items=[NotificationRead.model_validate(item) for item in feed.items],
        next_cursor=feed.next_cursor,
    )


@router.post("/read-all", status_code=204, summary="Mark all my notifications read", responses=raises(Unauthorized))
async def read_all_notifications(session: SessionDep, actor: CurrentActor) -> None:
    """Mark everything read that the caller has been told until now."""
    await service.mark_all_read(session, actor)


@router.post(
    "/{notification_id}/read",
    summary="Mark a notification read",
    responses=raises(Unauthorized, NotificationNotFound),
)
async def read_notification(session: SessionDep, actor: CurrentActor, notification_id: UUID) -> NotificationRead:
    """Mark one read; the time of the first reading stays."""
    return NotificationRead.model_validate(await service.mark_read(session, actor, notification_id))


@router.get("/preferences", summary="Read what I am told of", responses=raises(Unauthorized))
async def read_notification_preferences(session: SessionDep, actor: CurrentActor) -> PreferenceList:
    """Every kind of notification with each of its channels, on or off."""
    return _list(await service.switches(session, actor.id))


@router.put("/preferences", summary="Choose what I am told of", responses=raises(Unauthorized))
async def set_notification_preferences(
    session: SessionDep, actor: CurrentActor, wanted: PreferencesUpdate
) -> PreferenceList:
    """Switch kinds and channels on or off; those left out stay as they are. Security cannot be switched off."""
    return _list(await service.set_switches(session, actor.id, wanted.items))


def _list(switches: list[Switch]) -> PreferenceList:
    return PreferenceList(items=[PreferenceRead.model_validate(switch) for switch in switches])


@router.get("/unsubscribe", summary="Ask before unsubscribing", response_class=HTMLResponse, responses=PAGE)
async def ask_before_unsubscribing(token: UnsubscribeToken) -> str:  # noqa: ARG001 - read by whoever presses the button
    """A page with a button. It changes nothing by itself, since mail scanners follow links."""
    return unsubscribe_page.QUESTION


@router.post("/unsubscribe", summary="Unsubscribe with one click", response_class=HTMLResponse, responses=PAGE)
async def unsubscribe(
    session: SessionDep,
    token: UnsubscribeToken,
    form: Annotated[UnsubscribeForm, Form()],  # noqa: ARG001 - it says One-Click, or is refused
) -> str:
    """End one kind of mail to whom the token was sent (RFC 8058). Whether it was a good one is not told."""
    await service.unsubscribe(session, token)
    return unsubscribe_page.ANSWER
