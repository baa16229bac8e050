"""A first codebook from a stranger's export: types, labels, answer scales and missing codes, for a person to finish."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from smstudy.survey.codebook import Kind
from smstudy.survey.decoding import NUMBER, SHORT_CODE, normalize
from smstudy.survey.exports import Export

MAX_CATEGORIES = 25
MISSING_CODES = {"-77", "-88", "-99", "-9", "-8", "-7", "99", "98", "97", "999", "998", "997"}
MISSING_WORDS = {"na", "n/a", "prefer not to say", "no answer", "not applicable", "don't know", "refused", "?"}
AGREEMENT = (
    ("strongly disagree", "disagree strongly", "fully disagree", "completely disagree"),
    ("disagree", "tend to disagree"),
    ("somewhat disagree", "slightly disagree", "rather disagree"),
    ("neither agree nor disagree", "neither", "neutral", "undecided"),
    ("somewhat agree", "slightly agree", "rather agree"),
    ("agree", "tend to agree"),
    ("strongly agree", "agree strongly", "fully agree", "completely agree"),
)
ORDERED = (
    AGREEMENT,
    (("never",), ("rarely", "seldom"), ("sometimes",), ("often",), ("very often",), ("always",)),
    (("not at all",), ("a little", "slightly"), ("somewhat", "moderately"), ("much", "quite a bit"), ("very much", "extremely")),
    (("very dissatisfied",), ("dissatisfied",), ("neither satisfied nor dissatisfied", "neutral"), ("satisfied",), ("very satisfied",)),
)  # fmt: skip
PLATFORM = {
    "date": ("startdate", "enddate", "recordeddate", "submitdate", "datestamp", "start time", "completion time", "timestamp"),
    "id": ("responseid", "respondent id", "id", "token", "record_id", "session id", "externalreference"),
}
NEGATIONS = re.compile(r"\b(not|no|never|nobody|nothing|hardly|without|cannot|don't|doesn't|isn't|avoid|unclear)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Draft:
    """What the drafter thinks of one column."""

    name: str
    column: str
    title: str
    kind: Kind
    categories: tuple[tuple[str, str], ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    confirm: str = ""


def draft_variables(export: Export) -> list[Draft]:
    """Guess what each column of an export is.

    Parameters
    ----------
    export : Export
        As `read_export` gives it.

    Returns
    -------
    list of Draft
        One per column, in order. Items that share an answer scale and seem worded against their neighbors carry a
        note in `confirm`; nothing is ever reversed by a guess.
    """
    names: set[str] = set()
    drafts = [_draft(export, column, names) for column in export.cells if (export.cells[column].str.strip() != "").any()]
    return _mark_reverse(drafts, export)


def order_answers(words: Iterable[str]) -> tuple[str, ...] | None:
    """Put the words of an answer scale in order, if they are one that is known.

    >>> order_answers(["Agree", "Strongly disagree", "Disagree"])
    ('Strongly disagree', 'Disagree', 'Agree')
    """
    words = list(words)
    for known in ORDERED:
        places = {phrase: i for i, phrases in enumerate(known) for phrase in phrases}
        if len(words) >= 2 and all(normalize(word) in places for word in words):
            return tuple(sorted(words, key=lambda word: places[normalize(word)]))
    return None


def _draft(export: Export, column: str, names: set[str]) -> Draft:
    cells = export.cells[column].str.strip()
    filled = cells[cells != ""]
    missing = _missing_codes(filled, export.choices.get(column, {}))
    answers = filled[~filled.isin(list(missing))]
    title = re.sub(r"\s+", " ", export.labels.get(column, "") or column).strip()
    kind, categories = _kind(column, answers, export.choices.get(column, {}), len(cells))
    confirm = "" if kind != "item" or export.choices.get(column) or order_answers([label for _, label in categories]) else (
        "labels of the answers are not in the export: write them in"
    )  # fmt: skip
    return Draft(_name(column, names), column, title, kind, categories, missing, confirm)


def _kind(column: str, answers: pd.Series, choices: Mapping[str, str], rows: int) -> tuple[Kind, tuple]:
    folded = column.strip().casefold()
    for kind, headers in PLATFORM.items():
        if folded in headers:
            return kind, ()
    unique = sorted(answers.unique())
    if choices:
        coded = tuple((code, label) for code, label in choices.items())
        return ("item" if len(coded) >= 3 and all(SHORT_CODE.fullmatch(code) for code, _ in coded) else "category"), coded
    ordered = order_answers(unique)
    if ordered:
        return "item", tuple((str(i), word) for i, word in enumerate(ordered, 1))
    if len(answers) and answers.map(lambda cell: bool(NUMBER.fullmatch(cell))).all():
        return _numeric_kind(answers)
    if len(answers) and _looks_like_dates(answers):
        return "date", ()
    if 1 <= len(unique) <= MAX_CATEGORIES and len(unique) <= max(2, len(answers) / 4) and max(map(len, unique)) <= 60:
        return "category", tuple((word, word) for word in unique)
    unique_ids = len(unique) == len(answers) > 1 and answers.str.fullmatch(r"\S{6,40}").all()
    return ("id" if unique_ids else "text"), ()


def _numeric_kind(answers: pd.Series) -> tuple[Kind, tuple]:
    values = answers.str.replace(",", ".").astype(float)
    codes = np.unique(values)
    whole = np.all(codes == np.round(codes))
    if whole and 3 <= len(codes) <= 11 and codes.min() >= 0 and codes.max() <= 10 and codes.max() - codes.min() == len(codes) - 1:
        return "item", tuple((f"{code:g}", f"answer {code:g}") for code in codes)
    if whole and len(codes) == 2:
        return "category", tuple((f"{code:g}", f"answer {code:g}") for code in codes)
    return "number", ()


def _looks_like_dates(answers: pd.Series) -> bool:
    sample = answers.head(50)
    return bool(sample.str.fullmatch(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?").all())


def _missing_codes(filled: pd.Series, choices: Mapping[str, str]) -> dict[str, str]:
    """Codes far outside the others, and words that say there is no answer."""
    words = {cell: "no answer" for cell in filled.unique() if normalize(cell) in MISSING_WORDS or cell.strip() == "?"}
    labelled = {code: label for code, label in choices.items() if normalize(label) in MISSING_WORDS}
    numbers = [float(cell.replace(",", ".")) for cell in filled.unique() if NUMBER.fullmatch(cell) and cell not in MISSING_CODES]
    small = bool(numbers) and max(numbers) <= 11 and min(numbers) >= 0
    codes = {cell: "code to be confirmed" for cell in filled.unique() if small and cell in MISSING_CODES}
    return {**words, **codes, **labelled}


def _mark_reverse(drafts: Sequence[Draft], export: Export) -> list[Draft]:
    """Ask a person to confirm items that go against their neighbors on the same answer scale."""
    batteries: dict[tuple, list[Draft]] = {}
    for draft in drafts:
        if draft.kind == "item":
            batteries.setdefault(draft.categories, []).append(draft)
    notes = {d.name: note for battery in batteries.values() for d in battery if (note := _reverse_note(d, battery, export))}
    return [Draft(**{**vars(d), "confirm": notes.get(d.name, d.confirm)}) for d in drafts]


def _reverse_note(draft: Draft, battery: Sequence[Draft], export: Export) -> str:
    others = [other for other in battery if other is not draft]
    mine = _codes(draft, export)
    together = [mine.corr(_codes(other, export)) for other in others]
    known = [r for r in together if r == r]
    if len(known) >= 2 and np.median(known) < -0.1:
        return "goes against its neighbors: set reverse: true if it is worded against its scale"
    if NEGATIONS.search(draft.title) and draft.title != draft.column:
        return "worded with a negation: set reverse: true if it is worded against its scale"
    return ""


def _codes(draft: Draft, export: Export) -> pd.Series:
    table = {word: float(code) for code, label in draft.categories for word in (code, label)}
    return export.cells[draft.column].str.strip().map(table).astype(float)


def _name(column: str, taken: set[str]) -> str:
    base = re.sub(r"[^a-z0-9]+", "_", normalize(column)).strip("_")[:40] or "column"
    base = base if base[0].isalpha() else f"q_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name
