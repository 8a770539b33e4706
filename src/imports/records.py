"""Splits a CSV file into records, so that what is wrong with one of them costs only that one.

RFC 4180 in UTF-8, with or without a byte order mark, whatever ends its lines. A quote that is never closed would make
the rest of the file one cell; here it costs its own line, and reading goes on with the next. Memory stays flat: only a
window of the file is held. So does the time that a byte takes: what is looked at again and again is counted.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from src.imports.errors import ImportRefusedError

CHUNK = 2**16
# The longest record that is read, which is also the csv module's longest cell; a whole listing needs a third of it.
LONGEST_RECORD = 2**17
# How far ahead the end of a longer record is looked for, so that it can be passed over as one, whatever its lines.
LONGEST_WINDOW = 4 * LONGEST_RECORD
# How many bytes may be looked at for a record that then costs its first line alone; they are looked at again. Enough
# for more than 60 quotes that are never closed.
MOST_IN_VAIN = 2**26
# Records of other blanks, each looked at by itself: nobody writes them by the million but to keep us busy.
MOST_BLANK = 100_000

_QUOTED = rb'"[^"]*+(?:""[^"]*+)*+'
_CELL = rb"(?:" + _QUOTED + rb'"|[^",\r\n][^,\r\n]*+)?+'
_CELLS = _CELL + rb"(?:," + _CELL + rb")*+"
_LINE_END = re.compile(rb"\r\n?|\n")
# Matches everywhere, but without an end where quotes are not in order: as far as they are, or all if one is still open.
_RECORD = re.compile(_CELLS + rb"(?:(?P<end>\r\n?|\n|\Z)|" + _QUOTED + rb"\Z)?+")
# Lines with nothing in them, passed over at once; a return at the end of what was read may be half of a line's end.
_BLANK = re.compile(rb"(?:(?:[ \t,]|\"\"(?!\"))*+(?:\r\n|\n|\r(?=[^\n])))++")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of a record, or why it has none, and the line of the file on which it starts.

    A byte that is not UTF-8 is a lone surrogate in its cell.
    """

    line: int
    cells: list[str]
    fault: str | None = None


class Records:
    """The records of a file; the first tells how many cells each must have. Blank ones are passed over.

    Raises:
        ImportRefusedError: too many of them are blank, or too much was looked at in vain.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._window, self._at, self._is_all = b"", 0, False
        self._read, self._seen = 0, 0
        self._line = 1
        self._width: int | None = None

    @property
    def position(self) -> int:
        """How many bytes of the file have been dealt with."""
        return self._read - (len(self._window) - self._at)

    def __iter__(self) -> Iterator[Record]:
        while len(self._window) < len(_BYTE_ORDER_MARK) and self._widen():
            pass
        self._at = len(_BYTE_ORDER_MARK) if self._window.startswith(_BYTE_ORDER_MARK) else 0
        blank, in_vain = 0, 0
        while self._at < len(self._window) or self._widen():
            if nothing := _BLANK.match(self._window, self._at):
                self._advance(nothing.end())
                continue
            record = self._next()
            in_vain += max(0, self._seen - self.position)
            if in_vain > MOST_IN_VAIN:
                raise ImportRefusedError("The file has too many quotes that are not closed, or not doubled")
            if record.fault or _is_filled(record.cells):
                self._width = self._width or len(record.cells)
                yield record
            elif (blank := blank + 1) > MOST_BLANK:
                raise ImportRefusedError(f"The file has more than {MOST_BLANK:,} blank rows")

    def _next(self) -> Record:
        line, end = self._line, self._find_end()
        if end is None:
            return self._broken(line)
        if end - self._at > LONGEST_RECORD:
            self._advance(end)
            return _too_long(line)
        try:
            cells = _cells(self._window[self._at : end])
        except csv.Error:  # the file ends inside a quoted cell
            return self._broken(line)
        if self._width not in (None, len(cells)) and _is_filled(cells):
            self._skip_line()  # and not all of its lines: a quote too many may have joined them
            return Record(line, [], f"has {len(cells)} cells where the header has {self._width}")
        self._advance(end)
        return Record(line, cells)

    def _broken(self, line: int) -> Record:
        start = self.position
        self._skip_line()
        if self.position - start > LONGEST_RECORD:
            return _too_long(line)
        return Record(line, [], "has a quote that is not closed, or one inside a quoted cell that is not doubled")

    def _find_end(self) -> int | None:
        """Where in the window the record ends that starts here; None if its quotes are not in order."""
        while True:
            found = cast("re.Match[bytes]", _RECORD.match(self._window, self._at))
            end = found.end() if found["end"] is not None else None
            self._seen = self._read - (len(self._window) - found.end())
            if found.end() < len(self._window):
                return end
            if not self._widen():
                return end if self._is_all else None

    def _skip_line(self) -> None:
        found = _LINE_END.search(self._window, self._at)
        while found is None or found.end() == len(self._window):
            self._at = found.start() if found else len(self._window)
            if not self._widen():
                break
            found = _LINE_END.search(self._window)
        self._advance(found.end() if found else len(self._window))

    def _advance(self, end: int) -> None:
        self._line += len(_LINE_END.findall(self._window, self._at, end))
        self._at = end

    def _widen(self) -> bool:
        """Read on; False where the file ends or the window is as wide as it gets."""
        rest = len(self._window) - self._at
        if rest >= LONGEST_WINDOW:
            return False
        more = self._file.read(max(CHUNK, rest))
        self._is_all = not more
        if more:
            self._window, self._at = self._window[self._at :] + more, 0
            self._read += len(more)
        return bool(more)


def _too_long(line: int) -> Record:
    return Record(line, [], f"is longer than {LONGEST_RECORD // 1024} KiB")


def _is_filled(cells: list[str]) -> bool:
    return any(cell.strip() for cell in cells)


def _cells(record: bytes) -> list[str]:
    return next(csv.reader([record.decode("utf-8", "surrogateescape")], strict=True), [])
