"""What notifications refuse; no mail was sent when one of these is raised.

NotificationsError
└── PerhapsSent     a mail was tried before, and nobody knows what came of it
"""


class NotificationsError(Exception):
    """Root of what notifications refuse."""


class PerhapsSent(NotificationsError):
    def __init__(self, mail: int, tried: str) -> None:
        super().__init__(
            f"Mail {mail} was tried at {tried} UTC, and nobody wrote down what came of it: it may have been "
            "sent. It wasn't sent again. Skip this event to leave it at that; to send it once more, choose "
            'it in the admin\'s list of mails, take "Send once more", and skip this event.'
        )
