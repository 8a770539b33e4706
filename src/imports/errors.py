"""Why a file, or a row of it, is not imported."""

from collections.abc import Sequence
from dataclasses import dataclass


class ImportRefusedError(Exception):
    """Nothing of the file is imported; the message is a sentence for whoever gave it."""


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
