"""Every mail in every language: whole, with the same links in both bodies, and harmless whatever people are called."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError

from src.core import ethiopian_calendar
from src.core.templates import ROOT
from src.notifications import rendering
from src.notifications.rendering import SAMPLES, TemplateUnknown, render

SECURITY = {"verify_email", "password_reset", "password_changed", "new_sign_in"}
EVERY = [(template, locale) for locale in rendering.locales() for template in rendering.templates()]
ADDRESS = re.compile(r"https?://\S+")


class Page(HTMLParser):
    """What a mail program makes of HTML: its words, links and tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.links: set[str] = set()
        self.open: list[str] = []
        self.tables = 0
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tables += tag == "table"
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.links |= {value for name, value in attrs if name == "href" and value}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_mails_that_there_are() -> None:
    assert set(rendering.templates()) == set(SAMPLES)
    assert rendering.locales() == ["am", "en"]
    assert len(SAMPLES) == 11


def test_each_language_has_each_mail_whole() -> None:
    wanted = {f"{name}.{ending}" for name in SAMPLES for ending in ("subject.txt", "txt", "html")}
    wanted |= {"layout.txt", "layout.html"}
    for locale in rendering.locales():
        assert {path.name for path in (ROOT / "emails" / locale).iterdir()} == wanted


@pytest.mark.parametrize(("template", "locale"), EVERY)
def test_a_mail_says_the_same_in_text_and_in_html(template: str, locale: str) -> None:
    made = render(template, locale, SAMPLES[template])
    page = Page(made.html)
    assert page.open == []
    assert page.links == set(ADDRESS.findall(made.text))
    assert "Hana Tesfaye" in made.text
    assert "Hana Tesfaye" in page.text
    for value in SAMPLES[template].values():
        if isinstance(value, str) and not value.startswith("https://"):
            assert " ".join(value.split()) in " ".join(made.text.split())
            assert " ".join(value.split()) in " ".join(page.text.split())
    for leftover in ("{", "}", "None", "Undefined"):
        assert leftover not in made.subject + made.text + page.text
    assert made.subject == " ".join(made.subject.split())
    assert 0 < len(made.subject) < 100


@pytest.mark.parametrize(("template", "locale"), EVERY)
def test_html_can_be_read_by_everybody(template: str, locale: str) -> None:
    page = Page(render(template, locale, SAMPLES[template]).html)
    assert ("html", "lang", locale) in page.attributes
    assert page.attributes.count(("table", "role", "presentation")) == page.tables >= 2
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name == "src"]


@pytest.mark.parametrize("template", rendering.templates())
def test_amharic_is_amharic(template: str) -> None:
    text = render(template, "am", SAMPLES[template]).text
    latin = set(re.findall(r"[A-Za-z]+", ADDRESS.sub("", text)))
    sample = " ".join(str(value) for value in SAMPLES[template].values())
    assert latin <= {"Key", "IP", *re.findall(r"[A-Za-z]+", sample)}
    assert len(re.findall(r"[\u1200-\u137f]", text)) > 100


@pytest.mark.parametrize(("template", "locale"), EVERY)
def test_instants_are_told_in_both_calendars(template: str, locale: str) -> None:
    made = render(template, locale, SAMPLES[template])
    for key in SAMPLES[template].keys() & {"at", "expires_at", "expired_at"}:
        words = ethiopian_calendar.in_words(SAMPLES[template][key], locale)
        assert words in made.text
        assert words in Page(made.html).text


@pytest.mark.parametrize(("template", "locale"), EVERY)
def test_only_mails_about_security_cannot_be_stopped(template: str, locale: str) -> None:
    made = render(template, locale, SAMPLES[template])
    is_stoppable = "unsubscribe" in made.text
    assert is_stoppable == ("unsubscribe" in made.html) == (template not in SECURITY)
    without = {key: value for key, value in SAMPLES[template].items() if key != "unsubscribe_url"}
    assert "unsubscribe" not in render(template, locale, without).html


HOSTILE = "<img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}{% raw %}"


@pytest.mark.parametrize(("template", "locale"), EVERY)
def test_what_people_write_stays_what_they_wrote(template: str, locale: str) -> None:
    written = dict.fromkeys(SAMPLES[template].keys() & {"name", "title", "reason", "device", "ip"}, HOSTILE)
    made = render(template, locale, SAMPLES[template] | written)
    page = Page(made.html)
    assert "<img" not in made.html
    assert page.text.count(HOSTILE) >= len(written)
    assert made.text.count(HOSTILE) >= len(written)


@pytest.mark.parametrize(("template", "locale"), EVERY)
def test_a_subject_is_one_line(template: str, locale: str) -> None:
    context = SAMPLES[template] | {"title": "Vitz\r\nBcc: eve@example.org\u2028"}
    assert len(render(template, locale, context).subject.splitlines()) == 1


@pytest.mark.parametrize("name", ["Win at http://evil.example", "evil.example", "www.evil.example now"])
def test_who_is_called_like_a_link_is_greeted_without(name: str) -> None:
    made = render("verify_email", "en", SAMPLES["verify_email"] | {"name": name})
    assert made.text.startswith("Hello,\n")
    assert "evil" not in made.text + made.html


def test_other_languages_fall_back_to_english() -> None:
    for locale in ("so", "om", "", "../en", "en/../am"):
        assert render("welcome", locale, SAMPLES["welcome"]) == render("welcome", "en", SAMPLES["welcome"])


@pytest.mark.parametrize("name", ["", "layout", "nope", "../en/welcome", "welcome.html"])
def test_an_unknown_mail_is_an_error(name: str) -> None:
    with pytest.raises(TemplateUnknown):
        render(name, "en", SAMPLES["welcome"])


NEEDED = [(name, key) for name in SAMPLES for key in SAMPLES[name] if key != "unsubscribe_url"]


@pytest.mark.parametrize(("template", "missing"), NEEDED)
def test_a_mail_that_lacks_something_is_not_made(template: str, missing: str) -> None:
    context: dict[str, Any] = {key: value for key, value in SAMPLES[template].items() if key != missing}
    for locale in rendering.locales():
        with pytest.raises((UndefinedError, KeyError)):
            render(template, locale, context)


def test_the_last_day_is_one_day() -> None:
    last = SAMPLES["listing_expiring"] | {"days": 1}
    assert render("listing_expiring", "en", last).subject == "One day left: Toyota Vitz 2012"
    assert "አንድ ቀን" in render("listing_expiring", "am", last).text
