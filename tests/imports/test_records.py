import csv
import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.imports.errors import ImportRefusedError
from src.imports.records import LONGEST_RECORD, Records

HEADER = b"id,title\n"
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=8)


class Dribble(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(self.most, size or 0))


class Endless(io.BytesIO):
    """So many bytes of the same, made as they are read."""

    def __init__(self, head: bytes, filling: bytes, size: int) -> None:
        super().__init__(head)
        self.filling = filling
        self.left = size

    def read(self, size: int | None = -1, /) -> bytes:
        if head := super().read(size):
            return head
        most = min(size or 0, self.left)
        self.left -= most
        return (self.filling * (most // len(self.filling) + 1))[:most]


def told(content: bytes, most: int = 2**20) -> list[tuple[int, list[str] | str]]:
    """What the file says: by line, the cells or the fault."""
    return [(record.line, record.fault or record.cells) for record in Records(Dribble(content, most))]


@settings(deadline=None)
@given(ROWS, st.sampled_from(["\r\n", "\n", "\r"]), st.integers(1, 40))
def test_reads_what_a_spreadsheet_writes_however_the_bytes_arrive(
    rows: list[tuple[str, str]], end: str, most: int
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("id", "title"), *rows])
    filled = [list(row) for row in rows if any(cell.strip() for cell in row)]
    assert [cells for _, cells in told(file.getvalue().encode(), most)] == [["id", "title"], *filled]


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(1, 40))
def test_whatever_the_bytes_reading_ends_and_how_they_arrive_makes_no_difference(content: bytes, most: int) -> None:
    everything = told(HEADER + content)
    assert told(HEADER + content, most) == everything
    lines = [line for line, _ in everything]
    assert lines == sorted(set(lines))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_byte_order_mark_and_line_ends_do_not_matter(mark: bytes, end: bytes) -> None:
    assert told(mark + end.join([b"id,title", b"1,car", b"", b"2,home"])) == [
        (1, ["id", "title"]),
        (2, ["1", "car"]),
        (4, ["2", "home"]),
    ]


def test_a_record_is_named_by_the_line_on_which_it_starts() -> None:
    assert told(HEADER + b'1,"two\nlines, and\r\nthree"\n2,home\n') == [
        (1, ["id", "title"]),
        (2, ["1", "two\nlines, and\r\nthree"]),
        (5, ["2", "home"]),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        b'1,"never closed\n',
        b'"1,never closed\n',
        b'1,"closed" too early\n',
        b'1,"one " inside"\n',
        b"1\n",
        b"1,car,3\n",
        b'1,"two cells too many",,\n',
    ],
)
@pytest.mark.parametrize("rest", [b"2,home\n3,land\n", b'2,"home"\n3,"land, flat"\n', b'2,"ho\nme"\n'])
def test_a_broken_line_costs_only_itself(broken: bytes, rest: bytes) -> None:
    whole = told(HEADER + b"\n" + rest)
    found = told(HEADER + broken + rest)
    assert found[0] == whole[0]
    assert found[1][0] == 2
    assert isinstance(found[1][1], str)
    assert found[2:] == whole[1:]


def test_a_stray_quote_in_a_bare_cell_is_text() -> None:
    assert told(HEADER + b'1,32" wheels\n')[1] == (2, ["1", '32" wheels'])


@pytest.mark.parametrize("cell", [b"x" * 10_000_000, b'"' + b"x" * 10_000_000 + b'"', b'"' + b"x\n" * 200_000 + b'"'])
def test_a_cell_that_is_far_too_long_costs_only_its_record(cell: bytes) -> None:
    found = told(HEADER + b"1," + cell + b"\n2,home\n")
    assert found[1] == (2, f"is longer than {LONGEST_RECORD // 1024} KiB")
    assert found[2:] == [(3 + cell.count(b"\n"), ["2", "home"])]


def test_bytes_that_are_not_utf_8_stay_in_their_cell() -> None:
    assert told(HEADER + b"1,caf\xe9\n2,home\n")[1:] == [(2, ["1", "caf\udce9"]), (3, ["2", "home"])]


@pytest.mark.parametrize(
    ("filling", "size", "most"),
    [(b"1," + b"a car " * 60 + b"\n", 3_000_000, 1_000_000), (b"x", 90_000_000, 60_000_000)],
    ids=["many records", "one cell"],
)
def test_memory_stays_flat(filling: bytes, size: int, most: int) -> None:
    tracemalloc.start()
    try:
        count = sum(1 for _ in Records(Endless(HEADER, filling, size)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count >= 2
    assert peak < most


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_quote_that_the_file_never_closes_costs_only_its_line(ending: bytes) -> None:
    content = HEADER + b'q7,Good\nq8,"Bad\nq9,Good too' + ending
    found = told(content)
    assert [record for record in found if isinstance(record[1], list)] == [
        (1, ["id", "title"]), (2, ["q7", "Good"]), (4, ["q9", "Good too"]),
    ]  # fmt: skip
    assert [line for line, said in found if isinstance(said, str)] == [3]


@pytest.mark.parametrize("blank", [b"", b",", b" , \t", b'"",""', b'" ","\xe1\x9a\x80"'])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("most", [1, 7, 2**20])
def test_blank_records_are_passed_over_and_counted_as_lines(blank: bytes, end: bytes, most: int) -> None:
    content = b"id,title" + end + (blank + end) * 5 + b'""""' + b"," + end + (blank + end) * 3 + b"2,home"
    assert told(content, most) == [(1, ["id", "title"]), (7, ['"', ""]), (11, ["2", "home"])]


def test_blank_lines_by_the_million_take_no_time() -> None:
    assert told(HEADER + b"\n,\r\n" * 1_000_000 + b"2,home") == [(1, ["id", "title"]), (2_000_002, ["2", "home"])]


def test_other_blanks_by_the_million_are_refused() -> None:
    with pytest.raises(ImportRefusedError, match="blank rows"):
        told(HEADER + b'" ",\n' * 1_000_000)


@pytest.mark.parametrize(
    "lines",
    [b'x","\n' * 1_000_000, (b'x","\n' * 26_000 + b'",x\n') * 20, (b'x","\n' * 26_000 + b'"x\n') * 20],
    ids=["never closed", "closed far away", "out of order far away"],
)
def test_a_file_whose_every_line_is_looked_at_for_all_that_follow_is_refused(lines: bytes) -> None:
    with pytest.raises(ImportRefusedError, match="quotes that are not closed"):
        told(HEADER + lines)


def test_dozens_of_quotes_that_are_never_closed_cost_only_their_lines() -> None:
    rest = (b"2," + b"home " * 100 + b"\n") * 2500
    found = told(HEADER + b'1,"car\n""" x\n' * 25 + rest)
    assert [line for line, said in found if isinstance(said, str)] == list(range(2, 52))
    assert len(found) == 1 + 50 + 2500
