"""Cuts a file into parts that land one at a time, so that neither memory nor a transaction grows with the file."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import orjson

from src.imports.errors import ImportRefusedError
from src.imports.records import CHUNK, Record

PART_ROWS = 250
# Closed as soon as it has so many characters, each cell counting as one more: an empty one takes room, too. With the
# record that fills it, it has not many more.
PART_SIZE = 2**18


@dataclass(frozen=True, slots=True)
class Part:
    """How many records it holds, and what `unpack` makes them of."""

    rows: int
    content: bytes


def require_utf8(file: BinaryIO) -> None:
    """Read the file to its end, and go back to its beginning.

    Raises:
        ImportRefusedError: it is not UTF-8; with the line.
    """
    decoder, line, is_all = codecs.getincrementaldecoder("utf-8")(), 1, False
    while not is_all:
        piece = file.read(CHUNK)
        is_all = not piece
        try:
            decoder.decode(piece, final=is_all)
        except UnicodeDecodeError as fault:
            line += fault.object[: fault.start].count(b"\n")
            raise ImportRefusedError(f"The file is not UTF-8: line {line} is the first that is not") from None
        line += piece.count(b"\n")
    file.seek(0)


def cut(records: Iterable[Record]) -> Iterator[Part]:
    """The records in parts, in order."""
    packed: list[tuple[int, list[str], str | None]] = []
    size = 0
    for record in records:
        packed.append((record.line, record.cells, record.fault))
        size += len(record.cells) + sum(map(len, record.cells))
        if len(packed) == PART_ROWS or size >= PART_SIZE:
            yield Part(len(packed), orjson.dumps(packed))
            packed, size = [], 0
    if packed:
        yield Part(len(packed), orjson.dumps(packed))


def unpack(content: bytes) -> list[Record]:
    """The records of a part."""
    return [Record(*values) for values in orjson.loads(content)]
