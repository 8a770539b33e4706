"""What every request and response model has in common, and the few field types they share."""

from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from src.core.strict import UNSAFE_TEXT


class Schema(BaseModel):
    """Unknown fields are refused, numbers are finite, and ORM rows are readable."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, from_attributes=True)


def _one_line(value: str) -> str:
    if any(character in value for character in "\t\n\r"):
        raise ValueError("must be one line")
    return value


def _storable(value: str) -> str:
    if UNSAFE_TEXT.search(value):
        raise ValueError("contains a character that cannot be stored")
    return value


Text = Annotated[str, AfterValidator(_storable)]
Line = Annotated[Text, AfterValidator(_one_line)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=40)]
Instant = AwareDatetime


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


Trimmed = BeforeValidator(_stripped)

PlainNumber = PlainSerializer(float, return_type=float)
