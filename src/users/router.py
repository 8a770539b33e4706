"""`/users`: one's own profile, and the card of others."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from src.core.dependencies import AccountSuspended, CurrentActor, SessionDep, permitted
from src.core.errors import Unauthorized, raises
from src.core.security import Actor, Permission
from src.core.strict import Router
from src.users import service
from src.users.errors import UserNotFound
from src.users.models import User
from src.users.schemas import UserCard, UserRead, UserUpdate

router = Router(prefix="/users", tags=["users"])

ProfileEditor = Annotated[Actor, Depends(permitted(Permission.EDIT_PROFILE))]


def profile(user: User) -> UserRead:
    """The user's own view of the row."""
    fields = {name: getattr(user, name) for name in UserRead.model_fields if name != "email_verified"}
    return UserRead(**fields, email_verified=user.email_verified_at is not None)


@router.get("/me", summary="Read my profile", responses=raises(Unauthorized))
async def read_me(session: SessionDep, actor: CurrentActor) -> UserRead:
    """The signed-in user's own profile."""
    return profile(await service.get(session, actor.id))


@router.patch("/me", summary="Change my profile", responses=raises(Unauthorized, AccountSuspended))
async def edit_me(session: SessionDep, actor: ProfileEditor, changes: UserUpdate) -> UserRead:
    """Change any part of one's profile; what is left out stays."""
    return profile(await service.edit(session, actor.id, changes.model_dump(exclude_unset=True)))


@router.get("/{user_id}", summary="Read a user's public card", responses=raises(UserNotFound))
async def read_user(session: SessionDep, user_id: UUID) -> UserCard:
    """What everybody may see of a user: no address, no number."""
    return UserCard.model_validate(await service.get(session, user_id))
