"""The pool of hot reads."""

from src.core.reads import Reader, Statement


async def test_a_connection_keeps_no_more_statements_than_the_server_has_memory_for(pool: Reader) -> None:
    """Each kept search takes a tenth of a megabyte, and anybody can ask for thousands of shapes."""
    for is_selective in (False, True):
        for number in range(150):
            await pool.fetch(Statement(f"SELECT {number} AS number", (), {}, is_selective), {})
        counting = Statement("SELECT count(*) AS kept FROM pg_prepared_statements", (), {}, is_selective)
        [row] = await pool.fetch(counting, {})
        assert 1 <= row["kept"] <= 100
