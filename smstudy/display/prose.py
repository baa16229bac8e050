"""Small pieces of English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Join words as a sentence does.

    >>> join_words(["a", "b", "c"])
    'a, b and c'
    """
    return "".join(words) if len(words) < 2 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def lower_first(text: str) -> str:
    """Begin a text with a small letter, unless its first word is an abbreviation.

    >>> lower_first("People agree"), lower_first("IT people agree"), lower_first("I agree")
    ('people agree', 'IT people agree', 'I agree')
    """
    first = text.partition(" ")[0]
    return text if first == "I" or (len(first) > 1 and not first[1:].islower()) else text[:1].lower() + text[1:]


def plural(n: int, one: str, many: str | None = None) -> str:
    """Count things.

    >>> plural(1, "row"), plural(3, "row")
    ('1 row', '3 rows')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def slug(text: str) -> str:
    """A name for files and folders: small letters, digits and hyphens.

    >>> slug("Café & Söhne (GmbH)")
    'cafe-sohne-gmbh'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "unnamed"
