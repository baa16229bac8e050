"""A first codebook from a stranger's export: types, labels, answer scales and missing codes, for a person to finish."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
import pandas as pd
from pydantic import ValidationError

from smstudy.errors import DataError, SmstudyError
from smstudy.survey.codebook import Category, Codebook, Kind, Variable
from smstudy.survey.decoding import NUMBER, SHORT_CODE, decode, doubled_headers, normalize
from smstudy.survey.exports import Export

MAX_CATEGORIES = 25
MAX_UNITS = 100
MAX_LABEL = 60
HIGHEST_CODE = 10
HIGHEST_WITH_GAPS = 7
SENTINELS = {"-77", "-88", "-99", "-9", "-8", "-7", "-1"}
MISSING_CODES = SENTINELS | {"99", "98", "97", "999", "998", "997"}
MISSING_WORDS = {
    "na", "n/a", "n a", "prefer not to say", "prefer not to answer", "i prefer not to say", "no answer", "no response",
    "not applicable", "don't know", "i don't know", "do not know", "refused", "not answered", "skipped", "?",
    "keine angabe", "weiß nicht", "sans réponse", "ne sait pas", "sin respuesta", "no sabe",
}  # fmt: skip
AGREEMENT = (
    ("strongly disagree", "disagree strongly", "fully disagree", "completely disagree", "totally disagree"),
    ("disagree", "tend to disagree"),
    ("somewhat disagree", "slightly disagree", "rather disagree"),
    ("neither agree nor disagree", "neither", "neutral", "undecided", "neither disagree nor agree"),
    ("somewhat agree", "slightly agree", "rather agree"),
    ("agree", "tend to agree"),
    ("strongly agree", "agree strongly", "fully agree", "completely agree", "totally agree"),
)
ORDERED = (
    AGREEMENT,
    (("never",), ("rarely", "seldom"), ("sometimes",), ("often",), ("very often",), ("always",)),
    (
        ("never",),
        ("less than monthly", "less than once a month"),
        ("monthly", "once a month"),
        ("weekly", "once a week"),
        ("several times a week",),
        ("daily", "every day"),
        ("several times a day",),
    ),
    (
        ("not at all",),
        ("a little", "slightly"),
        ("somewhat", "moderately"),
        ("much", "quite a bit", "very"),
        ("very much", "extremely"),
    ),
    (
        ("very dissatisfied",),
        ("dissatisfied",),
        ("neither satisfied nor dissatisfied", "neutral"),
        ("satisfied",),
        ("very satisfied",),
    ),
    (("very unlikely",), ("unlikely",), ("neither likely nor unlikely", "neutral"), ("likely",), ("very likely",)),
    (("very poor",), ("poor",), ("fair", "acceptable"), ("good",), ("very good",), ("excellent",)),
    (
        ("not important", "not at all important"),
        ("slightly important",),
        ("moderately important",),
        ("important",),
        ("very important",),
    ),
    (
        ("stimme gar nicht zu", "stimme überhaupt nicht zu"),
        ("stimme nicht zu", "stimme eher nicht zu"),
        ("teils teils", "weder noch"),
        ("stimme zu", "stimme eher zu"),
        ("stimme voll zu", "stimme voll und ganz zu"),
    ),
)
PLATFORM: dict[Kind, tuple[str, ...]] = {
    "date": (
        "startdate", "enddate", "recordeddate", "submitdate", "datestamp", "start time", "completion time", "timestamp",
        "start date", "end date", "date created", "date modified", "last modified time",
    ),
    "id": (
        "responseid", "respondent id", "respondent_id", "id", "token", "record_id", "session id", "externalreference",
        "collector id", "panel code", "caseid",
    ),
    "number": (
        "progress", "duration (in seconds)", "duration", "lastpage", "interviewtime", "q_totalduration", "seed",
        "q_recaptchascore",
    ),
    "category": ("status", "finished", "distributionchannel", "userlanguage", "startlanguage", "response type"),
}  # fmt: skip
UNIT = re.compile(
    r"\b(department|dept|business unit|org(anization(al)?)? unit|unit|team|division|directorate|branch|abteilung|"
    r"bereich|standort|département|departamento)\b",
    re.IGNORECASE,
)
OWN_WORDS = re.compile(
    r"_text$|comment|remark|feedback|other, please|please (describe|explain|specify)|kommentar|bemerkung", re.IGNORECASE
)
NEGATIONS = re.compile(
    r"\b(not|no|never|nobody|nothing|hardly|without|cannot|don't|doesn't|isn't|avoid|unclear)\b", re.IGNORECASE
)
NUMBERED = re.compile(r"(\d{1,2})\b.*", re.DOTALL)
DELIMITERS = (";", ",")
UNLABELED = "labels of the answers are not in the export: write them in"
RESERVED = {"null", "true", "false"}
Categories = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Draft:
    """What the drafter thinks of one column."""

    name: str
    column: str
    title: str
    kind: Kind
    categories: Categories = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    confirm: str = ""
    delimiter: str = ""


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
    names: set[str] = set()
    filled = [column for column in export.cells if (export.cells[column].str.strip() != "").any()]
    doubled = doubled_headers(export)
    drafts = [_draft(export, column, names) for column in filled if column not in doubled]
    if not drafts:
        raise DataError(
            f"{export.source}: no column holds an answer that can be used. Check that it is the right file."
        )
    decodable = [_decodable(draft, export) for draft in _level(drafts, export)]
    return _mark_reverse(_share_missing(decodable), export)


def is_unit(draft: Draft) -> bool:
    """Say whether a column seems to hold the department, by its header and its wording.

    >>> [is_unit(Draft("q", "Q3", title, "category")) for title in ("Your department", "My community")]
    [True, False]
    """
    return draft.kind == "category" and _names_unit(draft.column, draft.title)


def order_answers(words: Iterable[str]) -> tuple[str, ...] | None:
    """Put the words of an answer scale in order, if they are one that is known or begin with their number.

    >>> order_answers(["Agree", "Strongly disagree", "Disagree"])
    ('Strongly disagree', 'Disagree', 'Agree')
    >>> order_answers(["5 (fully)", "1 (not at all)", "3"])
    ('1 (not at all)', '3', '5 (fully)')
    """
    words = list(words)
    if len(words) < 2:
        return None
    for known in ORDERED:
        places = {phrase: i for i, phrases in enumerate(known) for phrase in phrases}
        if all(normalize(word) in places for word in words):
            return tuple(sorted(words, key=lambda word: places[normalize(word)]))
    numbers = _leading_numbers(words)
    return tuple(sorted(words, key=numbers.__getitem__)) if numbers and not all(map(NUMBER.fullmatch, words)) else None


def _leading_numbers(words: Sequence[str]) -> dict[str, int]:
    """Word to the number it begins with; empty unless each has one of its own from 0 to 10."""
    found = {word: int(match[1]) for word in words if (match := NUMBERED.fullmatch(word))}
    different = len(set(found.values())) == len(words) >= 3
    return found if different and max(found.values()) <= HIGHEST_CODE else {}


def _draft(export: Export, column: str, names: set[str]) -> Draft:
    cells = export.cells[column].str.strip()
    filled = cells[cells != ""]
    choices = export.choices.get(column, {})
    missing = _missing_codes(filled, choices)
    answers = filled[~filled.isin([*missing, *export.missing.get(column, ())])]
    title = re.sub(r"\s+", " ", export.labels.get(column, "") or column).strip()
    kind, categories, delimiter = _guess(column, title, answers, choices)
    codes = {} if kind in ("text", "id") else missing
    return Draft(_name(column, names), column, title, kind, categories, codes, _confirm(kind, categories), delimiter)


def _confirm(kind: Kind, categories: Categories) -> str:
    return (
        UNLABELED
        if kind in ("item", "category") and any(label == f"answer {code}" for code, label in categories)
        else ""
    )


def _guess(column: str, title: str, answers: pd.Series, choices: Mapping[str, str]) -> tuple[Kind, Categories, str]:
    """Kind, answers and delimiter of a column."""
    platform = _platform(column) or ("id" if _platform(title) == "id" else None)
    unique = sorted(answers.unique())
    labels = {code: label for code, label in choices.items() if normalize(label) not in MISSING_WORDS}
    if labels:
        return (*_declared(answers, labels), "")
    if platform and platform != "category":
        return platform, (), ""
    if platform or (
        _names_unit(column, title) and 2 <= len(unique) <= MAX_UNITS and max(map(len, unique)) <= MAX_LABEL
    ):
        return "category", tuple((word, f"answer {word}" if NUMBER.fullmatch(word) else word) for word in unique), ""
    ordered = order_answers(unique)
    if ordered:
        numbers = _leading_numbers(ordered)
        return "item", tuple((str(numbers.get(word, i)), word) for i, word in enumerate(ordered, 1)), ""
    if len(answers) and answers.map(lambda cell: bool(NUMBER.fullmatch(cell))).all():
        return (*_numeric_kind(answers), "")
    if len(answers) and _looks_like_dates(answers):
        return "date", (), ""
    return _worded(column, title, answers, unique)


def _platform(column: str) -> Kind | None:
    folded = " ".join(column.casefold().split())
    return next((kind for kind, headers in PLATFORM.items() if folded in headers), None)


def _names_unit(column: str, title: str) -> bool:
    return any(UNIT.search(re.sub(r"[_\W]+", " ", text)) for text in (column, title) if len(text) <= 80)


def _worded(column: str, title: str, answers: pd.Series, unique: Sequence[str]) -> tuple[Kind, Categories, str]:
    """Tell choices from own words: choices come back, and nobody writes a comment into a column of choices."""
    if not unique:
        return "text", (), ""
    own_words = OWN_WORDS.search(column) or OWN_WORDS.search(title)
    delimiter = "" if own_words else _delimiter(answers)
    if delimiter:
        parts = sorted({part for cell in unique for part in _parts(cell, delimiter)})
        return "multi-select", tuple((str(i), part) for i, part in enumerate(parts, 1)), delimiter
    few = (
        len(unique) <= MAX_CATEGORIES and len(unique) <= max(2, len(answers) / 4) and max(map(len, unique)) <= MAX_LABEL
    )
    if few and not own_words:
        return "category", tuple((word, word) for word in unique), ""
    unique_ids = len(unique) == len(answers) > 1 and answers.str.fullmatch(r"\S{4,64}").all()
    return ("id" if unique_ids and answers.str.contains(r"\d").any() else "text"), (), ""


def _delimiter(answers: pd.Series) -> str:
    """What stands between the choices of a multi-select; empty if the column is none."""
    for delimiter in DELIMITERS:
        joined = answers.str.strip(delimiter).str.contains(delimiter, regex=False).mean()
        counts = pd.Series([part for cell in answers for part in _parts(cell, delimiter)], dtype=object).value_counts()
        if (
            joined >= 0.1
            and 3 <= len(counts) <= MAX_CATEGORIES
            and counts.min() >= 2
            and max(map(len, counts.index)) <= MAX_LABEL
        ):
            return delimiter
    return ""


def _parts(cell: str, delimiter: str) -> list[str]:
    return [part.strip() for part in cell.split(delimiter) if part.strip()]


def _declared(answers: pd.Series, labels: Mapping[str, str]) -> tuple[Kind, Categories]:
    """Answers with the labels that the file itself declares, also where it declares some of them only."""
    known = {normalize(word) for pair in labels.items() for word in pair}
    others = [cell for cell in answers.unique() if normalize(cell) not in known]
    whole = all(SHORT_CODE.fullmatch(cell) for cell in others)
    if others and (not whole or len(others) + len(labels) > MAX_CATEGORIES):
        return ("number" if all(NUMBER.fullmatch(cell) for cell in answers.unique()) else "text"), ()
    pairs = [*labels.items(), *((cell, f"answer {cell}") for cell in others)]
    if len(pairs) >= 3 and all(NUMBER.fullmatch(code) for code, _ in pairs):
        return "item", tuple(sorted(pairs, key=lambda pair: float(pair[0].replace(",", "."))))
    return "category", tuple(pairs)


def _numeric_kind(answers: pd.Series) -> tuple[Kind, Categories]:
    codes = np.unique(answers.str.replace(",", ".").astype(float))
    if not np.all(codes == np.round(codes)) or len(codes) == len(answers):
        return "number", ()
    gaps = codes.max() - codes.min() != len(codes) - 1
    if len(codes) >= 3 and codes.min() in (0, 1) and codes.max() <= (HIGHEST_WITH_GAPS if gaps else HIGHEST_CODE):
        return "item", _unlabeled(codes.min(), codes.max())
    if len(codes) == 2 and codes.min() >= 0 and codes.max() <= HIGHEST_CODE:
        return "category", tuple((f"{code:g}", f"answer {code:g}") for code in codes)
    return "number", ()


def _unlabeled(low: float, high: float) -> Categories:
    return tuple((str(code), f"answer {code}") for code in range(int(low), int(high) + 1))


def _looks_like_dates(answers: pd.Series) -> bool:
    return bool(answers.str.fullmatch(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?").all())


def _missing_codes(filled: pd.Series, choices: Mapping[str, str]) -> dict[str, str]:
    """Codes far outside the others, and words that say there is no answer."""
    words = {cell: "no answer" for cell in filled.unique() if normalize(cell) in MISSING_WORDS or cell.strip() == "?"}
    labeled = {code: label for code, label in choices.items() if normalize(label) in MISSING_WORDS}
    numbers = [
        float(cell.replace(",", "."))
        for cell in filled.unique()
        if NUMBER.fullmatch(cell) and cell not in MISSING_CODES
    ]
    positive, small = bool(numbers) and min(numbers) >= 0, bool(numbers) and max(numbers) <= HIGHEST_CODE + 1
    doubtful = (MISSING_CODES if small else SENTINELS) if positive else set()
    codes = {cell: "code to be confirmed" for cell in filled.unique() if cell in doubtful and cell not in choices}
    return {**words, **codes, **labeled}


def _level(drafts: Sequence[Draft], export: Export) -> list[Draft]:
    """Give neighboring items of one battery the same answers: what nobody ticked in one of them was still offered."""
    leveled: list[Draft] = []
    for _, run in groupby(drafts, key=stem):
        battery = list(run)
        items = [draft for draft in battery if draft.kind == "item"]
        shared = _shared_answers(items) if items and len(battery) > 1 else None
        leveled += [_as_item(draft, shared, export) for draft in battery] if shared else battery
    return leveled


def _as_item(draft: Draft, shared: Categories, export: Export) -> Draft:
    """The draft with the answers of its battery, if its own are among them."""
    cells = export.cells[draft.column].str.strip()
    words = {word for pair in shared for word in pair}
    if draft.kind not in ("item", "number", "category") or not set(cells) - {"", *draft.missing} <= words:
        return draft
    return replace(draft, kind="item", categories=shared, confirm=_confirm("item", shared))


def _share_missing(drafts: Sequence[Draft]) -> list[Draft]:
    """Give items with the same answers the same missing codes: those of one may come in another in the next wave."""
    shared: dict[Categories, dict[str, str]] = {}
    for draft in drafts:
        if draft.kind == "item":
            shared.setdefault(draft.categories, {}).update(draft.missing)
    return [replace(d, missing=dict(sorted(shared[d.categories].items()))) if d.kind == "item" else d for d in drafts]


def _shared_answers(battery: Sequence[Draft]) -> Categories | None:
    """One answer scale for all, if the answers of all fit on one."""
    labels = list(dict.fromkeys(label for draft in battery for _, label in draft.categories))
    if all(label == f"answer {code}" for draft in battery for code, label in draft.categories):
        codes = [int(code) for draft in battery for code, _ in draft.categories]
        return _unlabeled(min(codes), max(codes))
    ordered = order_answers(labels)
    declared = any(code != str(i) for draft in battery for i, (code, _) in enumerate(draft.categories, 1))
    return tuple((str(i), word) for i, word in enumerate(ordered, 1)) if ordered and not declared else None


def stem(draft: Draft) -> str:
    """The name of an item without its number: the same for all items of a battery.

    >>> stem(Draft("q6_12", "Q6_12", "", "item"))
    'q6'
    """
    return re.sub(r"[_\W]*\d+[a-z]?$", "", draft.name)


def _decodable(draft: Draft, export: Export) -> Draft:
    """Draft a column as text if it cannot be read as what it was taken for."""
    answers = tuple(Category(value=code, label=label) for code, label in draft.categories)
    options = {"delimiter": draft.delimiter} if draft.delimiter else {}
    try:
        variable = Variable(
            name=draft.name, column=draft.column, kind=draft.kind, categories=answers, missing=draft.missing, **options
        )
        decode(replace(export, cells=export.cells[[draft.column]]), Codebook(title="draft", variables=(variable,)))
    except (ValidationError, SmstudyError):
        return replace(draft, kind="text", categories=(), missing={}, confirm="", delimiter="")
    return draft


def _mark_reverse(drafts: Sequence[Draft], export: Export) -> list[Draft]:
    """Ask a person to confirm items that go against their neighbors on the same answer scale."""
    batteries: dict[tuple, list[Draft]] = {}
    for draft in drafts:
        if draft.kind == "item":
            batteries.setdefault(draft.categories, []).append(draft)
    notes = {name: note for battery in batteries.values() for name, note in _reverse_notes(battery, export).items()}
    return [replace(d, confirm="; ".join(filter(None, (notes.get(d.name), d.confirm)))) for d in drafts]


def _reverse_notes(battery: Sequence[Draft], export: Export) -> dict[str, str]:
    codes = pd.DataFrame({draft.name: _codes(draft, export) for draft in battery})
    together = codes.corr().to_numpy(copy=True)
    np.fill_diagonal(together, np.nan)
    notes = {draft.name: _reverse_note(draft, row) for draft, row in zip(battery, together, strict=True)}
    return {name: note for name, note in notes.items() if note}


def _reverse_note(draft: Draft, with_others: np.ndarray) -> str:
    known = with_others[~np.isnan(with_others)]
    if len(known) >= 2 and np.median(known) < -0.1:
        return "goes against its neighbors: set reverse: true if it is worded against its scale"
    if NEGATIONS.search(draft.title) and draft.title != draft.column:
        return "worded with a negation: set reverse: true if it is worded against its scale"
    return ""


def _codes(draft: Draft, export: Export) -> pd.Series:
    table = {word: float(code) for code, label in draft.categories for word in (code, label)}
    return export.cells[draft.column].str.strip().map(table).astype(float)


def _name(column: str, taken: set[str]) -> str:
    base = re.sub(r"[^a-z0-9]+", "_", normalize(column)).strip("_")[:40].rstrip("_") or "column"
    base = base if base[0].isalpha() and base not in RESERVED and not base.startswith("flag_") else f"q_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name
