"""A first codebook from a stranger's export: types, labels, answer scales and missing codes, for a person to finish."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from pydantic import ValidationError

from smstudy.errors import DataError, SmstudyError
from smstudy.survey.codebook import Category, Codebook, Constraints, Variable
from smstudy.survey.decoding import decode, doubled_headers, normalize
from smstudy.survey.drafts.batteries import (
    ask_about_codes,
    ask_once,
    level,
    mark_rankings,
    mark_reverse,
    promote,
    share_missing,
)
from smstudy.survey.drafts.guesses import Draft, draft_column, names_unit, wording_of
from smstudy.survey.drafts.wordings import split_title
from smstudy.survey.exports import Export

TWICE = (
    "the heading of {} columns. Give each a heading of its own in the export, delete the new folder, type smstudy new "
    "again"
)
NO_ANSWER = "no answer in the column"


def draft_variables(export: Export) -> list[Draft]:
    """Guess what each column of an export is.

    Parameters
    ----------
    export : Export
        As `read_export` gives it.

    Returns
    -------
    list of Draft
        One per column, in order, without empty columns and headers that are there twice. What is drafted can be
        decoded: a column that does not fit the guess is drafted as text. Items that seem worded against their
        neighbors on the same answer scale carry a note in `confirm`; nothing is ever reversed by a guess.

    Raises
    ------
    DataError
        If no column holds an answer that can be used.
    """
    doubled = doubled_headers(export)
    used = [column for column in export.cells if column not in doubled and _filled(export, column)]
    if not used:
        raise DataError(
            f"{export.source}: no column holds an answer that can be used. Check that it is the right file."
        )
    stems = Counter(normalize(split_title(wording_of(export, column))[0]) for column in used)
    names: set[str] = set()
    drafts = [draft_column(export, column, names, stems) for column in used]
    drafts = mark_rankings(promote(level(drafts, export)), export)
    readable = share_missing([_decodable(draft, export) for draft in drafts])
    return mark_reverse(ask_about_codes(ask_once(readable)), export)


def left_out(export: Export) -> dict[str, str]:
    """Columns of an export that are not drafted, each under its heading in the file and with the reason.

    Headings that are there more than once come first, then columns without an answer, then those that reading dropped
    because they can point to a person.
    """
    times = Counter(re.sub(r" \(\d+\)\Z", "", name) for name in export.duplicates)
    twice = {name: TWICE.format(n + 1) for name, n in times.items()}
    doubled = doubled_headers(export)
    empty = {column: NO_ANSWER for column in export.cells if column not in doubled and not _filled(export, column)}
    return {**twice, **empty, **export.dropped}


def is_unit(draft: Draft) -> bool:
    """Say whether a column seems to hold the department, by its header and its wording.

    >>> [is_unit(Draft("q", "Q3", title, "category")) for title in ("Your department", "My community")]
    [True, False]
    """
    return draft.kind == "category" and names_unit(draft.column, draft.title)


def variable_of(draft: Draft) -> Variable:
    """The variable as the drafted codebook will have it; ValidationError if it cannot be one."""
    answers = tuple(
        Category(value=code, label=label, aliases=more[0] if more else ()) for code, label, *more in draft.categories
    )
    options: dict[str, object] = {"delimiter": draft.delimiter} if draft.delimiter else {}
    if draft.bounds:
        options["constraints"] = Constraints(minimum=draft.bounds[0], maximum=draft.bounds[1])
    return Variable(
        name=draft.name, column=draft.column, kind=draft.kind, categories=answers, missing=draft.missing, **options
    )


def _filled(export: Export, column: str) -> bool:
    return any(str(cell).strip() for cell in export.cells[column].unique())


def _decodable(draft: Draft, export: Export) -> Draft:
    """Draft a column as text if it cannot be read as what it was taken for."""
    try:
        codebook = Codebook(title="draft", variables=(variable_of(draft),))
        decode(replace(export, cells=export.cells[[draft.column]]), codebook)
    except (ValidationError, SmstudyError):
        return replace(draft, kind="text", categories=(), missing={}, confirm="", delimiter="", note="", bounds=None)
    return draft
