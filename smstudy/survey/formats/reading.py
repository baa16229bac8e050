"""What a reader hands over about a table, and the words the readers of all platforms share."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from smstudy.survey.codebook import Kind
from smstudy.survey.formats.tabular import Table

Meaning = TypeVar("Meaning")
SAMPLE = 2_000

_CONTAINERS = {
    "xlsx": "an .xlsx workbook",
    "spss": "an SPSS file",
    "stata": "a Stata file",
    "parquet": "a Parquet file",
}
_INLINE = re.compile(r"</?(?:b|i|u|a|em|strong|span|font|small|sub|sup)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z/!][^<>]*>")
_ENDLESS = re.compile(r"&#[0-9]{100,};?")
_SLASHED = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4}|\d{2})\b.*")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a table is to be understood; columns go by position, from 0.

    Attributes
    ----------
    names : tuple of str, length k
        Name of each column as the platform gives it; doubled and blank names are put right later.
    header_rows : int
        Rows of headings, the first one included.
    labels, choices, missing : mapping
        Question wording; code -> label; codes declared missing.
    kinds, delimiters : mapping
        What the platform says a column is; what stands between the answers of a multi-select.
    dropped : mapping
        Columns that say who somebody is, and what they hold.
    notes : tuple of str
        What was found, in sentences without cells.
    """

    names: tuple[str, ...]
    header_rows: int = 1
    labels: Mapping[int, str] = field(default_factory=dict)
    choices: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    kinds: Mapping[int, Kind] = field(default_factory=dict)
    delimiters: Mapping[int, str] = field(default_factory=dict)
    dropped: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def unescaped(text: str) -> str:
    """Text with HTML entities written out; a number with hundreds of digits, which Python refuses, is no character.

    >>> unescaped("R&amp;D")
    'R&D'
    """
    return html.unescape(_ENDLESS.sub("\N{REPLACEMENT CHARACTER}", text))


def folded(name: str) -> str:
    """A heading without case, HTML entities and doubled or unbreakable spaces.

    >>> folded(" Start&nbsp;time ")
    'start time'
    """
    return " ".join(unescaped(name).split()).casefold()


def plain_text(text: str) -> str:
    """Wording without markup, entities and doubled spaces.

    >>> plain_text("How <b>useful</b>?<br>Say&nbsp;so.")
    'How useful? Say so.'
    """
    return " ".join(unescaped(_TAG.sub(" ", _INLINE.sub("", text))).split())


def origin(table: Table, platform: str, header_rows: int) -> str:
    """Say what was recognized, in one sentence."""
    rows = "1 header row" if header_rows == 1 else f"{header_rows} header rows"
    stored = _CONTAINERS.get(table.container)
    return f"{platform} export with {rows}{f', in {stored}' if stored else ''}."


def answers(table: Table, place: int, header_rows: int) -> list[str]:
    """The different answers of a column, without headings and empty cells."""
    column = table.column(place)
    body = column if header_rows == 1 else column.iloc[header_rows - 1 :]
    return [cell for cell in body.unique().tolist() if cell]


def places(names: Iterable[str], known: Mapping[str, Meaning]) -> dict[int, Meaning]:
    """What the known headings mean, under the position where each stands."""
    return {place: known[name] for place, name in enumerate(map(folded, names)) if name in known}


def by_name(what: Mapping[int, str]) -> dict[int, str]:
    """Why columns are dropped: what they hold, told by their headings."""
    return {place: f"{words}, by its name" for place, words in what.items()}


def grid_label(heading: str) -> str:
    """Write "stem [item]" like the other platforms do; anything else is left alone.

    >>> grid_label("How useful is it? [For my team]")
    'How useful is it? - For my team'
    """
    return in_brackets(heading, "[", "]") or heading


def in_brackets(heading: str, opening: str, closing: str) -> str:
    """The label of a heading that ends with an item in brackets; "" if it does not."""
    text = heading.rstrip()
    stem, _, item = text.removesuffix(closing).rpartition(opening)
    return f"{stem.rstrip()} - {item}" if text.endswith(closing) and stem.strip() and item.strip() else ""


def is_wording(heading: str) -> bool:
    """Whether a heading reads like a question put to a person, not like the name of a variable."""
    words = folded(heading).split()
    return len(words) > 3 or (len(words) > 1 and words[-1][-1] in "?:.]")


def date_note(heading: str, cells: Iterable[str]) -> list[str]:
    """Say in which order day and month stand, if the dates are written with slashes or points."""
    parts = [match for cell in islice(cells, SAMPLE) if (match := _SLASHED.fullmatch(cell.strip()))]
    if not parts:
        return []
    first, second = (max(int(match[part]) for match in parts) for part in (1, 2))
    if first <= 12 and second <= 12:
        return [f'Dates such as those of "{heading}" do not show which number is the day and which the month.']
    order = "the day before the month" if first > 12 else "the month before the day"
    return [f'Dates such as those of "{heading}" are written with {order}.']
