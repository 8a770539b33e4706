"""What can be wrong with notifications."""

from src.core.errors import NotFound


class NotificationNotFound(NotFound):
    """No such notification, or it is somebody else's."""

    code, title = "notification_not_found", "There is no such notification"
