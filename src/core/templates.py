"""Jinja templates, found whatever the working directory."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

ROOT = Path(__file__).resolve().parents[2] / "templates"


class Templates:
    """The templates of one folder: HTML is escaped, and what is missing when one is filled fails."""

    def __init__(self, folder: str, filters: Mapping[str, Callable[..., Any]] = {}) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(ROOT / folder),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters.update(filters)

    def names(self) -> list[str]:
        """The files, by their path in the folder."""
        return self._environment.list_templates()

    def fill(self, name: str, values: Mapping[str, Any]) -> str:
        """One template with these values."""
        return self._environment.get_template(name).render(values)
