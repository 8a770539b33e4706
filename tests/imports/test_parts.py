from src.imports.parts import PART_SIZE, cut
from src.imports.records import Record


def test_a_part_does_not_grow_with_cells_that_say_nothing() -> None:
    records = [Record(line, [""] * 50_000) for line in range(2, 22)]
    parts = list(cut(records))
    assert sum(part.rows for part in parts) == 20
    # Of an empty cell, the quotes and a comma.
    assert max(len(part.content) for part in parts) < 3 * (PART_SIZE + 50_000) + 1000
