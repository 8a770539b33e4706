"""What can be wrong with signing in."""

from src.core.errors import Invalid, NotFound, Unauthorized


class BadCredentials(Unauthorized):
    """The same answer for an unknown address, a wrong password and a deleted account."""

    code, title = "bad_credentials", "The e-mail address or the password is wrong"


class InvalidRefreshToken(Unauthorized):
    """Malformed, forged, expired, used before, or of a session that has ended."""

    code, title = "invalid_refresh_token", "The refresh token is not valid; sign in again"


class InvalidOneTimeToken(Invalid):
    """Unknown, used, replaced, expired, of another purpose, or for an address that is no longer the account's."""

    code, title = "invalid_one_time_token", "This link is not valid any more; ask for another"


class WeakPassword(Invalid):
    """Too easy to guess."""

    code, title = "weak_password", "This password is one of the first that anyone would try"


class WrongCurrentPassword(Invalid):
    """Whoever changes a password must know the present one."""

    code, title = "wrong_current_password", "This is not your current password"


class PasswordUnchanged(Invalid):
    """The new password is the present one."""

    code, title = "password_unchanged", "The new password is the current one"


class SessionNotFound(NotFound):
    """No such session of the caller."""

    code, title = "session_not_found", "You have no such session"
