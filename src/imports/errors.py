"""Why a file, or a row of it, is not imported."""

from collections.abc import Sequence
from dataclasses import dataclass

from src.core.errors import Conflict, Invalid, NotFound


class ImportRefusedError(Exception):
    """Nothing of the file is imported; the message is a sentence for whoever gave it."""


class DefaultRefusedError(ImportRefusedError):
    """It is a default that is at fault, and not the file."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row: the column it is in (`row` for the row as a whole) and a sentence."""

    field: str
    reason: str


class RowRefusedError(Exception):
    """A row does not land."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.reason}" for problem in problems))
        self.problems = tuple(problems)


class ImportNotFound(NotFound):
    """No such import of the caller's."""

    code, title = "import_not_found", "There is no such import"


class SheetRefused(Invalid):
    """The file is not UTF-8, is empty, has a header that will not do, or has too many rows."""

    code, title = "sheet_refused", "The file cannot be imported"


class UnknownDefault(Invalid):
    """`default` names a field that there is not."""

    code, title = "unknown_default", "There is no such field to give a default for"


class TooManyImports(Conflict):
    """The caller has as many imports under way as they may."""

    code, title = "too_many_imports", "Wait until one of your other imports has finished"
