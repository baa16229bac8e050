"""Small pieces of English."""

from __future__ import annotations

from collections.abc import Sequence


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Join words as a sentence does.

    >>> join_words(["a", "b", "c"])
    'a, b and c'
    """
    return "".join(words) if len(words) < 2 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """Count things.

    >>> plural(1, "row"), plural(3, "row")
    ('1 row', '3 rows')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
