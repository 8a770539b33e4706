from datetime import timedelta
from uuid import uuid4

import pytest

from src.core import clock, security
from src.core.security import Actor, Permission, Role, Standing, issue_access_token, read_access_token

OF_EVERYONE = {Permission.EDIT_PROFILE, Permission.DRAFT, Permission.PUBLISH, Permission.SAVE_FAVOURITES}


def allowed(role: Role, standing: Standing) -> set[Permission]:
    actor = Actor(uuid4(), role, uuid4(), standing, clock.now())
    return {permission for permission in Permission if actor.can(permission)}


@pytest.mark.parametrize(
    ("role", "more"),
    [
        (Role.USER, set()),
        (Role.BROKER, set()),
        (Role.MODERATOR, {Permission.MODERATE}),
        (Role.ADMIN, {Permission.MODERATE, Permission.ADMINISTER}),
    ],
)
def test_what_each_role_may_do(role: Role, more: set[Permission]) -> None:
    assert allowed(role, Standing.GOOD) == OF_EVERYONE | more
    assert allowed(role, Standing.UNVERIFIED) == (OF_EVERYONE | more) - {Permission.PUBLISH}
    assert allowed(role, Standing.SUSPENDED) == set()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("standing", Standing)
def test_a_token_says_who_is_calling(role: Role, standing: Standing) -> None:
    user_id, session_id = uuid4(), uuid4()
    before = clock.now()
    token, expires_in = issue_access_token(user_id, session_id, role, standing)
    actor = read_access_token(token)
    assert (actor.id, actor.role, actor.session_id, actor.standing) == (user_id, role, session_id, standing)
    assert before - timedelta(milliseconds=1) <= actor.issued_at <= clock.now()
    assert expires_in == 30 * 60


def test_no_two_tokens_are_the_same() -> None:
    user_id, session_id = uuid4(), uuid4()
    tokens = {issue_access_token(user_id, session_id, Role.USER, Standing.GOOD)[0] for _ in range(10)}
    assert len(tokens) == 10


def test_each_purpose_has_its_own_key() -> None:
    keys = [security.signing_key(purpose) for purpose in ("access", "refresh", "title", "")]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}


def test_a_keyed_hash_is_stable_and_differs_by_purpose() -> None:
    value = "AA 12345 ቦሌ"
    assert security.keyed_hash("title", value) == security.keyed_hash("title", value)
    assert security.keyed_hash("title", value) != security.keyed_hash("plate", value)
    assert security.keyed_hash("title", value) != security.keyed_hash("title", value + " ")
