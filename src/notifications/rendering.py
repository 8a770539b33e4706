"""Mails in words: the templates of `templates/emails/<locale>/`, three files to each mail."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from src.core import ethiopian_calendar
from src.core.templates import Templates

FALLBACK = "en"
_SUBJECT = ".subject.txt"
_LINK = re.compile(r"://|\w\.\w{2}")


class TemplateUnknown(KeyError):
    """There is no mail of this name."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a mail says."""

    subject: str
    text: str
    html: str


def render(template: str, locale: str, context: Mapping[str, Any]) -> Rendered:
    """The mail `template` in the language, or in English where the language has none.

    Raises:
        TemplateUnknown: there is no such mail.
    """
    if template not in templates():
        raise TemplateUnknown(template)
    language = locale if template in _names(locale) else FALLBACK
    path, fill = f"{language}/{template}", _templates(language).fill
    values = {"unsubscribe_url": None, **context, "language": language, "name": _greeted(context["name"])}
    subject = " ".join(fill(path + _SUBJECT, values).split())
    return Rendered(subject, fill(f"{path}.txt", values), fill(f"{path}.html", {**values, "subject": subject}))


def templates() -> list[str]:
    """The names of all mails."""
    return sorted(_names(FALLBACK))


def locales() -> list[str]:
    """The languages that there are mails in."""
    return sorted({name.partition("/")[0] for name in _files() if name.endswith(_SUBJECT)})


def _names(locale: str) -> set[str]:
    prefix = f"{locale}/"
    return {
        name.removeprefix(prefix).removesuffix(_SUBJECT)
        for name in _files()
        if name.startswith(prefix) and name.endswith(_SUBJECT)
    }


@cache
def _files() -> frozenset[str]:
    return frozenset(_templates(FALLBACK).names())


@cache
def _templates(language: str) -> Templates:
    """`when` is an instant in both calendars, in this language."""
    return Templates("emails", {"when": partial(ethiopian_calendar.in_words, language=language)})


def _greeted(name: str) -> str:
    """Empty if it looks like a link: who registers strangers would advertise in our name."""
    return "" if _LINK.search(name) else name


_PERSON = {"name": "Hana Tesfaye", "app_url": "https://key2key.example"}
_STOPPABLE = {**_PERSON, "unsubscribe_url": "https://key2key.example/api/v1/notifications/unsubscribe?token=sample"}
_LISTING = {
    **_STOPPABLE,
    "title": "Toyota Vitz 2012",
    "link": "https://key2key.example/listings/01a1fc10-b727-7426-8f5d-2d1f4a3c9e77",
}
_NOON = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_EVENING = datetime(2026, 11, 28, 17, 5, tzinfo=UTC)

# What each mail may look like, for previews.
SAMPLES: dict[str, dict[str, Any]] = {
    "verify_email": {**_PERSON, "link": "https://key2key.example/verify-email?token=sample", "expires_at": _NOON},
    "welcome": _STOPPABLE,
    "welcome_broker": _STOPPABLE,
    "password_reset": {**_PERSON, "link": "https://key2key.example/reset-password?token=sample", "expires_at": _NOON},
    "password_changed": {**_PERSON, "at": _NOON},
    "new_sign_in": {**_PERSON, "at": _NOON, "ip": "196.188.12.7", "device": "Chrome 142, Android"},
    "listing_approved": {**_LISTING, "expires_at": _EVENING},
    "listing_changes_requested": {
        **_LISTING,
        "reason": "Please say where the car is registered,\nand in which unit the mileage is.",
    },
    "listing_rejected": {**_LISTING, "reason": "This car is on sale already, in another listing of the same VIN."},
    "listing_expiring": {**_LISTING, "expires_at": _EVENING, "days": 7},
    "listing_expired": {**_LISTING, "expired_at": _EVENING},
}
