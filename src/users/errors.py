"""What can be wrong with a profile."""

from src.core.errors import Conflict, NotFound


class EmailTaken(Conflict):
    """Another account has this address."""

    code, title = "email_taken", "There is an account with this e-mail address"


class UserNotFound(NotFound):
    """No such person, or they have left."""

    code, title = "user_not_found", "There is no such user"
