"""Text search: vocabulary, phrases, and queries that allow for typos"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision: str = "2026_11_21_text_search"
down_revision: str | Sequence[str] | None = "2026_11_21_vin_verdict"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# A word that no public listing has, be it as a beginning or by sound, also means the three that are nearest to it.
# In PL/pgSQL, which keeps its plans.
WORDS_QUERY = """
CREATE FUNCTION words_query(queries text[], words text[], sounds text[]) RETURNS tsquery
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
    whole text[] := '{}';
    part text;
BEGIN
    FOR n IN 1 .. cardinality(queries) LOOP
        part := queries[n];
        IF words[n] <> ''
            AND NOT EXISTS (
                SELECT FROM listing_words AS known WHERE known.word >= words[n] AND known.word <= words[n] || chr(1114111)
            )
            AND NOT EXISTS (SELECT FROM listing_words AS known WHERE known.word = sounds[n])
        THEN
            part := concat_ws(' | ', part, nearest_words(words[n], sounds[n]));
        END IF;
        whole := whole || ('(' || part || ')');
    END LOOP;
    RETURN CAST(array_to_string(whole, ' & ') AS tsquery);
END
$$
"""

# Trigrams find the candidates, edits decide: one in short words, two (as where two letters changed places) in others.
NEAREST_WORDS = """
CREATE FUNCTION nearest_words(wanted text, sound text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT string_agg('''' || word || '''', ' | ')
    FROM (
        SELECT word
        FROM listing_words
        CROSS JOIN LATERAL (SELECT CASE WHEN starts_with(word, '~') THEN sound ELSE wanted END AS meant) AS said
        WHERE (word % wanted OR word % sound)
            AND levenshtein_less_equal(word, meant, 2) <= CASE WHEN length(meant) < 6 THEN 1 ELSE 2 END
        ORDER BY levenshtein_less_equal(word, meant, 2), similarity(word, meant) DESC, word
        LIMIT 3
    ) AS nearest
$$
"""


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.execute("CREATE EXTENSION IF NOT EXISTS fuzzystrmatch")
    op.create_table(
        "listing_words",
        sa.Column("word", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_listing_words")),
    )
    op.create_index(
        "ix_listing_words_word",
        "listing_words",
        ["word"],
        postgresql_using="gin",
        postgresql_ops={"word": "gin_trgm_ops"},
    )
    op.create_table(
        "listing_phrases",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.CheckConstraint("kind IN ('make', 'model', 'place', 'type', 'word')", name=op.f("ck_listing_phrases_kind")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_listing_phrases")),
    )
    op.create_index("ix_listing_phrases_search", "listing_phrases", ["search"], postgresql_using="gin")
    op.add_column("listings", sa.Column("folding", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.create_index("ix_listings_folding", "listings", ["folding"])
    op.execute(NEAREST_WORDS)
    op.execute(WORDS_QUERY)


def downgrade() -> None:
    op.execute("DROP FUNCTION words_query(text[], text[], text[])")
    op.execute("DROP FUNCTION nearest_words(text, text)")
    op.drop_index("ix_listings_folding", table_name="listings")
    op.drop_column("listings", "folding")
    op.drop_table("listing_phrases")
    op.drop_table("listing_words")
    op.execute("DROP EXTENSION IF EXISTS fuzzystrmatch")
    op.execute("DROP EXTENSION IF EXISTS pg_trgm")
