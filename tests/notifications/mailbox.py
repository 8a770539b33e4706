"""What a test's mail server received."""

from email.message import EmailMessage

from tests import smtp


class Mailbox:
    """The server's mails, the oldest first, and how it answers the next ones."""

    def __init__(self, server: smtp.Server) -> None:
        self.server = server

    @property
    def mails(self) -> list[EmailMessage]:
        """What it took."""
        return self.server.messages()

    @property
    def recipients(self) -> list[list[str]]:
        """To whom each of them went."""
        return [list(envelope.rcpt_tos) for envelope in self.server.envelopes]

    def last(self) -> EmailMessage:
        """The mail that came last."""
        return self.mails[-1]

    def refuse(self, answer: str) -> None:
        """Answer every mail so from now on."""
        self.server.answers["DATA"] = answer

    def accept(self) -> None:
        """Take every mail from now on."""
        self.server.answers.clear()


def text_of(mail: EmailMessage, subtype: str = "plain") -> str:
    """What it says, as `plain` text or as `html`."""
    part = mail.get_body((subtype,))
    assert part is not None
    return str(part.get_content())
