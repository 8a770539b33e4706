"""What every request and response model has in common, and the few field types they share."""

import re
from datetime import date
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from src.core.strict import UNSAFE_TEXT

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Schema(BaseModel):
    """Unknown fields are refused, numbers are finite, and ORM rows are readable."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, from_attributes=True)


def _one_line(value: Any) -> Any:
    if isinstance(value, str) and any(character in value for character in "\t\n\r"):
        raise ValueError("must be one line")
    return value


def _storable(value: Any) -> Any:
    if isinstance(value, str) and UNSAFE_TEXT.search(value):
        raise ValueError("contains a character that cannot be stored")
    return value


# Looked at first, so that what is said of the length stays what pydantic says of strings.
Text = Annotated[str, BeforeValidator(_storable)]
Line = Annotated[Text, BeforeValidator(_one_line)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=40)]
Instant = AwareDatetime


def _written_as_date(value: Any) -> Any:
    """Pydantic would also read seconds since 1970 and instants at midnight."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        return value
    raise ValueError("must be a date, written as 2026-11-21")


Day = Annotated[date, BeforeValidator(_written_as_date), Field(ge=date(1900, 1, 1), le=date(2100, 12, 31))]


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


Trimmed = BeforeValidator(_stripped)


def left_out() -> Any:
    """The default of a field that a PATCH may leave out but not clear: null is refused, and no default is documented.

    Read the model with `model_dump(exclude_unset=True)`: what was left out is None here, whatever the annotation says.
    """
    return Field(default_factory=lambda: None)
