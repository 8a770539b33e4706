"""`key2key mail preview` as it is called at a keyboard."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from typer.testing import CliRunner

from src import cli
from src.notifications import rendering


def preview(*arguments: str) -> tuple[int, str, str]:
    """The exit code and what was said."""
    ended = CliRunner().invoke(cli.app, ["mail", "preview", *arguments])
    return ended.exit_code, ended.stdout, ended.stderr


@pytest.mark.parametrize("locale", rendering.locales())
@pytest.mark.parametrize("event", rendering.templates())
def test_each_mail_is_shown(event: str, locale: str) -> None:
    made = rendering.render(event, locale, rendering.SAMPLES[event])
    assert preview(event, "--locale", locale) == (0, f"{made.subject}\n\n{made.text}", "")
    assert preview(event, "--locale", locale, "--html") == (0, made.html, "")


def test_english_and_text_unless_asked_otherwise() -> None:
    assert preview("welcome") == preview("welcome", "--locale", "en", "--text")


def test_a_whole_mail_is_written(tmp_path: Path) -> None:
    path = tmp_path / "welcome.eml"
    assert preview("welcome", "--locale", "am", "--eml", str(path)) == (0, "", "")
    message = message_from_bytes(path.read_bytes(), EmailMessage, policy=policy.default)
    assert message["Subject"] == "እንኳን ወደ Key2Key በደህና መጡ"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_what_there_is_is_listed_where_the_name_is_unknown(tmp_path: Path) -> None:
    code, said, complained = preview("nope")
    assert (code, said) == (2, "")
    assert all(name in complained for name in rendering.templates())
    assert preview("welcome", "--locale", "fr") == (2, "", "There are no mails in fr; there are some in am, en\n")
    assert preview("welcome", "--eml", str(tmp_path)) == (1, "", f"{tmp_path} cannot be written: Is a directory\n")
