"""What one column of a stranger's export seems to be: type, wording, answers and codes that mean no answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import numpy as np
import pandas as pd

from smstudy.display.prose import join_words
from smstudy.survey.codebook import Kind
from smstudy.survey.decoding import NUMBER, SHORT_CODE, normalize
from smstudy.survey.drafts.wordings import leading_numbers, missing_reason, order_answers, size_order, split_title
from smstudy.survey.exports import Export
from smstudy.survey.scanning import scan_text

MAX_CATEGORIES = 25
MAX_UNITS = 100
MAX_LABEL = 60
MAX_REPEATED_LABEL = 250
MAX_REPEATED = 12
OFTEN = 5
HIGHEST_CODE = 10
HIGHEST_WITH_GAPS = 7
NAME_LENGTH = 40
SENTINELS = {"-77", "-88", "-99", "-9", "-8", "-7", "-1"}
MISSING_CODES = SENTINELS | {"77", "88", "99", "98", "97", "999", "998", "997"}
BESIDE_A_SCALE = {"8", "9"}
FEWEST_STEPS = 4
SENTENCE_WORDS = 5
SECONDS = {
    "duration (in seconds)",
    "duration (seconds)",
    "interviewtime",
    "total time",
    "gesamtzeit",
    "totaaltijd",
    "temps total",
}
TO_CONFIRM = "code to be confirmed"
PLATFORM: dict[Kind, set[str]] = {
    "date": {
        "startdate", "enddate", "recordeddate", "submitdate", "datestamp", "starttime", "completiontime", "timestamp",
        "datecreated", "datemodified", "lastmodifiedtime",
    },
    "id": {
        "responseid", "respondentid", "id", "token", "recordid", "sessionid", "externalreference", "collectorid",
        "panelcode", "caseid", "participantid", "studyid", "subjectid", "personid", "employeeid",
    },
    "number": {
        "progress", "durationinseconds", "durationseconds", "duration", "lastpage", "interviewtime", "qtotalduration",
        "seed", "qrecaptchascore",
    },
    "category": {
        "status", "finished", "distributionchannel", "userlanguage", "startlanguage", "language", "responsetype",
    },
}  # fmt: skip
UNIT = re.compile(
    r"\b(department|dept|business unit|org(anization(al)?)? unit|unit|team|division|directorate|branch|abteilung|"
    r"bereich|standort|département|departamento)\b",
    re.IGNORECASE,
)
OWN_WORDS = re.compile(
    r"_text$|comment|remark|feedback|other, please|please (describe|explain|specify)|kommentar|bemerkung", re.IGNORECASE
)
WEIGHT = re.compile(r"(.*_)?(weight|weights|wt|wgt|gewicht)", re.IGNORECASE)
DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?"
TIME = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
CHECKBOX = re.compile(r".+___\S+")
FORM_COMPLETE = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}
TICKS = {"y", "1", "x", "yes", "true", "checked", "selected", "chosen", "ja", "oui"}
ARRAY_CODES = re.compile(r"AO?(\d{1,2})")
NO_ROW = {"selected choice", "response", "open ended response"}
DELIMITERS = (";", ",")
UNLABELED = "labels of the answers are not in the export: write them in"
ONE_OF_SEVERAL = "one of several choices; empty: not chosen, or not asked"
RESERVED = {"null", "true", "false"}
Categories = tuple[tuple, ...]


@dataclass(frozen=True)
class Draft:
    """What the drafter thinks of one column.

    Attributes
    ----------
    title, description : str
        What a reader sees, and the whole wording where the title is a part of it.
    categories : tuple of tuple
        Code, label and, where there are some, a tuple of other spellings.
    confirm : str
        What a person must decide before the codebook can be trusted.
    note : str
        What helps to read the line; nothing to decide.
    bounds : tuple of float, optional
        Smallest and largest possible number.
    """

    name: str
    column: str
    title: str
    kind: Kind
    categories: Categories = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    confirm: str = ""
    delimiter: str = ""
    description: str = ""
    note: str = ""
    bounds: tuple[float, float] | None = None


def draft_column(export: Export, column: str, names: set[str], stems: Counter[str]) -> Draft:
    """Guess what a column is.

    Parameters
    ----------
    export : Export
        As `read_export` gives it.
    column : str
        One of its columns, with at least one answer.
    names : set of str
        Names that other variables have; that of the new one is added.
    stems : Counter
        How many columns share each beginning of a wording: only a shared one is a question asked in rows.
    """
    filled = answers_of(export, column)
    choices = {code: re.sub(r"\s+", " ", label).strip() for code, label in export.choices.get(column, {}).items()}
    missing = _missing_codes(filled, choices, export.missing.get(column, ()))
    answers = filled[~filled.isin([*missing, *export.missing.get(column, ())])]
    title, whole = _title(export, column, stems)
    guess = _guess(export, column, title, answers, {c: w for c, w in choices.items() if c not in missing})
    name = _name(column if len(column) <= NAME_LENGTH else title, names)
    codes = {} if guess.kind in ("text", "id") else missing
    return replace(guess, name=name, column=column, title=title, description=whole, missing=codes)


def answers_of(export: Export, column: str) -> pd.Series:
    """The cells of a column that hold something, without spaces around it."""
    cells = export.cells[column].astype(object).str.strip()
    return cells[cells != ""]


def wording_of(export: Export, column: str) -> str:
    """The words of the question in one line, or the header where there are none."""
    return re.sub(r"\s+", " ", export.labels.get(column, "") or column).strip()


def unlabeled(low: float, high: float) -> Categories:
    """Answers of which only the codes are known."""
    return tuple((str(code), f"answer {code}") for code in range(int(low), int(high) + 1))


def is_unlabeled(categories: Categories) -> bool:
    """Say whether an answer has a code and no words."""
    return any(label == f"answer {code}" for code, label, *_ in categories)


def words_of(draft: Draft) -> set[str]:
    """Every way an answer may be written."""
    return {word for code, label, *more in draft.categories for word in (code, label, *(more[0] if more else ()))}


def _title(export: Export, column: str, stems: Counter[str]) -> tuple[str, str]:
    """The words a reader sees, and the whole wording where they are a part of it."""
    whole = wording_of(export, column)
    stem, row = split_title(whole)
    if stem and normalize(row) in NO_ROW:
        return stem, whole
    return (row, whole) if stem and stems[normalize(stem)] > 1 else (whole, "")


def _plain(kind: Kind, categories: Categories = (), **more: object) -> Draft:
    asks = kind in ("item", "category") and is_unlabeled(categories)
    return Draft("", "", "", kind, categories, **{"confirm": UNLABELED if asks else "", **more})


def _guess(export: Export, column: str, title: str, answers: pd.Series, choices: Mapping[str, str]) -> Draft:
    unique = sorted(answers.unique())
    said = export.kinds.get(column)
    if said == "multi-select" or export.delimiters.get(column):
        return _several(answers, export.delimiters.get(column, ""), choices)
    if choices:
        return _declared(answers, choices)
    if ticked := _ticked(column, title, unique):
        return ticked
    if said in ("id", "date", "number", "text", "weight") and not WEIGHT.fullmatch(column):
        return _plain(said)
    platform = _platform(column) or ("id" if _platform(title) == "id" else None)
    if platform and platform != "category":
        return _plain(platform)
    if platform or _holds_units(column, title, unique):
        return _named(answers, unit=not platform)
    return _by_content(column, title, answers, unique)


def _by_content(column: str, title: str, answers: pd.Series, unique: Sequence[str]) -> Draft:
    """A column of which neither platform nor header say what it is."""
    ordered = order_answers(unique)
    if ordered:
        numbers = leading_numbers(ordered)
        return _plain("item", tuple((str(numbers.get(word, i)), word) for i, word in enumerate(ordered, 1)))
    if unique and all(ARRAY_CODES.fullmatch(word) for word in unique) and len(unique) >= 3:
        codes = {int(ARRAY_CODES.fullmatch(word)[1]): word for word in unique}
        prefix = re.sub(r"\d+", "", unique[0])
        steps = range(1, max(codes) + 1)
        return _plain("item", tuple((str(i), f"answer {i}", (codes.get(i, f"{prefix}{i}"),)) for i in steps))
    if unique and all(NUMBER.fullmatch(word) for word in unique):
        return _numeric(column, title, answers)
    if unique and all(re.fullmatch(DATE, word) for word in unique):
        return _plain("date")
    return _worded(column, title, answers, unique)


def _platform(header: str) -> Kind | None:
    folded = re.sub(r"[^a-z0-9]", "", header.casefold())
    return next((kind for kind, headers in PLATFORM.items() if folded in headers), None)


def of_platform(header: str) -> bool:
    """Say whether a column comes from the platform and asks nothing."""
    return _platform(header) is not None


def names_unit(column: str, title: str) -> bool:
    """Say whether header or wording speak of a department."""
    return any(UNIT.search(re.sub(r"[_\W]+", " ", text)) for text in (column, title) if len(text) <= 80)


def _holds_units(column: str, title: str, unique: Sequence[str]) -> bool:
    return names_unit(column, title) and 2 <= len(unique) <= MAX_UNITS and max(map(len, unique)) <= MAX_LABEL


def _ticked(column: str, title: str, unique: Sequence[str]) -> Draft | None:
    """A column that says only whether one choice of several was ticked."""
    if column.endswith("_complete") and set(unique) <= set(FORM_COMPLETE):
        return _plain("category", tuple(FORM_COMPLETE.items()), note="state of a form, by REDCap")
    if CHECKBOX.fullmatch(column) and set(unique) <= {"0", "1"}:
        return _plain("category", (("0", "not chosen"), ("1", "chosen")), note="one of several choices")
    if {word.casefold() for word in unique} == {"y", "n"}:
        return _plain("category", tuple((w, "Yes" if w.casefold() == "y" else "No") for w in reversed(unique)))
    if len(unique) == 1 and title != column and (_is_tick(unique[0]) or normalize(unique[0]) == normalize(title)):
        return _plain("category", ((unique[0], "chosen"),), note=ONE_OF_SEVERAL)
    if len(unique) == 1 and normalize(unique[0]) == normalize(split_title(column)[1]):
        return _plain("category", ((unique[0], "chosen"),), note=ONE_OF_SEVERAL)
    return None


def _is_tick(word: str) -> bool:
    return word.casefold() in TICKS


def _worded(column: str, title: str, answers: pd.Series, unique: Sequence[str]) -> Draft:
    """Tell choices from own words: choices come back, and nobody writes a comment into a column of choices."""
    own_words = OWN_WORDS.search(column) or OWN_WORDS.search(title)
    if not unique or all(re.fullmatch(TIME, word) for word in unique):
        return _plain("text")
    delimiter = "" if own_words else _delimiter(answers)
    if delimiter:
        return _several(answers, delimiter, {})
    if not own_words and _few(answers, unique) and not _somebodys_own(answers):
        return _named(answers)
    unique_ids = len(unique) == len(answers) > 1 and all(re.fullmatch(r"\S{4,64}", word) for word in unique)
    return _plain("id" if unique_ids and any(map(str.isdigit, "".join(unique))) else "text")


def _few(answers: pd.Series, unique: Sequence[str]) -> bool:
    """Few different answers for so many people, some given twice; long ones only if every one came often."""
    longest = max(map(len, unique))
    if len(unique) > MAX_CATEGORIES or len(unique) > max(2, len(answers) / 4) or len(unique) == len(answers):
        return False
    repeated = len(unique) <= MAX_REPEATED and answers.value_counts().min() >= OFTEN
    return longest <= (MAX_REPEATED_LABEL if repeated else MAX_LABEL)


def _somebodys_own(answers: pd.Series) -> bool:
    """Whether some answers look like own words: personal data in them, or a sentence that hardly anybody else gave."""
    times = answers.value_counts()
    sentences = [word for word, n in times.items() if n < OFTEN and len(word.split()) >= SENTENCE_WORDS]
    return bool(sentences) or any(scan_text(word) for word in times.index)


def _named(answers: pd.Series, *, unit: bool = False) -> Draft:
    """Choices by their words: spellings of one answer put together, ranges in order."""
    spellings: dict[str, list[str]] = {}
    for word in answers.value_counts().index:
        spellings.setdefault(normalize(word).replace("&", "and"), []).append(word)
    labels = {words[0]: tuple(words[1:]) for words in spellings.values()}
    order = size_order(list(labels)) or sorted(labels)
    categories = tuple(
        (word, f"answer {word}" if NUMBER.fullmatch(word) else word, *([labels[word]] if labels[word] else []))
        for word in order
    )
    near = _near(list(labels)) if unit else []
    confirm = f"perhaps spellings of one: {join_words(near)}" if near else ""
    plain = _plain("category", categories)
    return replace(plain, confirm=confirm or plain.confirm)


def _near(labels: Sequence[str]) -> list[str]:
    """Labels that differ so little that they could be one."""
    folded = {normalize(label): label for label in labels}
    pairs = {label: get_close_matches(key, set(folded) - {key}, n=1, cutoff=0.85) for key, label in folded.items()}
    return sorted(label for label, match in pairs.items() if match)[:6]


def _several(answers: pd.Series, delimiter: str, choices: Mapping[str, str]) -> Draft:
    """Choices of a multi-select, as the file declares them or as they occur."""
    delimiter = delimiter or _delimiter(answers) or (";" if answers.str.contains(";", regex=False).any() else ",")
    parts = sorted({part for cell in answers.unique() for part in _parts(cell, delimiter)})
    own = tuple((str(i), part) for i, part in enumerate(parts, 1))
    return _plain("multi-select", tuple(choices.items()) or own, delimiter=delimiter)


def _delimiter(answers: pd.Series) -> str:
    """What stands between the choices of a multi-select; empty if the column is none."""
    for delimiter in DELIMITERS:
        cells = {cell: _parts(cell, delimiter) for cell in answers.unique()}
        counts = Counter(part for cell, n in answers.value_counts().items() for part in cells[cell] * n)
        if not 3 <= len(counts) <= MAX_CATEGORIES or max(map(len, counts)) > MAX_LABEL or min(counts.values()) < 2:
            continue
        alone = any(len(parts) == 1 for parts in cells.values())
        joined = answers.map(lambda cell, cells=cells: len(cells[cell]) > 1).mean()
        if joined >= 0.1 and (alone or len(cells) > len(counts)):
            return delimiter
    return ""


def _parts(cell: str, delimiter: str) -> list[str]:
    return [part.strip() for part in cell.split(delimiter) if part.strip()]


def _declared(answers: pd.Series, labels: Mapping[str, str]) -> Draft:
    """Answers with the labels that the file itself declares, also where it declares some of them only."""
    known = {normalize(word) for pair in labels.items() for word in pair}
    others = [cell for cell in answers.unique() if normalize(cell) not in known]
    whole = all(SHORT_CODE.fullmatch(cell) for cell in others)
    if others and (not whole or len(others) + len(labels) > MAX_CATEGORIES):
        return _plain("number" if all(NUMBER.fullmatch(cell) for cell in answers.unique()) else "text")
    pairs = [*labels.items(), *((cell, f"answer {cell}") for cell in others)]
    ordered = bool(others) or order_answers(list(labels.values())) is not None
    numeric = all(NUMBER.fullmatch(code) for code, _ in pairs)
    if numeric:
        pairs.sort(key=lambda pair: float(pair[0].replace(",", ".")))
    letters = [re.fullmatch(r"([A-Za-z]+)(\d+)", code) for code, _ in pairs]
    if ordered and len(pairs) >= 3 and all(letters) and len({match[1] for match in letters}) == 1:
        return _plain("item", tuple((str(int(m[2])), w, (c,)) for m, (c, w) in zip(letters, pairs, strict=True)))
    return _plain("item" if numeric and ordered and len(pairs) >= 3 else "category", tuple(pairs))


def _numeric(column: str, title: str, answers: pd.Series) -> Draft:
    codes = np.unique(answers.str.replace(",", ".").astype(float))
    if WEIGHT.fullmatch(column) and codes.min() >= 0 and 0.2 <= answers.str.replace(",", ".").astype(float).mean() <= 5:
        return _plain("weight", confirm="weights made elsewhere: say how, or make them here with rake()")
    whole = bool(np.all(codes == np.round(codes)))
    if not whole or len(codes) == len(answers):
        return _plain("number")
    gaps = codes.max() - codes.min() != len(codes) - 1
    if codes.min() in (0, 1) and codes.max() == HIGHEST_CODE and not gaps:
        return _plain("item", unlabeled(codes.min(), codes.max()), confirm=_ends(codes.min(), title))
    if len(codes) >= 3 and codes.min() in (0, 1) and codes.max() <= (HIGHEST_WITH_GAPS if gaps else HIGHEST_CODE):
        return _plain("item", unlabeled(codes.min(), codes.max()))
    if len(codes) == 2 and codes.min() >= 0 and codes.max() <= HIGHEST_CODE:
        return _plain("category", tuple((f"{code:g}", f"answer {code:g}") for code in codes))
    return _plain("number")


def _ends(low: float, title: str) -> str:
    asks = "; as it asks for a recommendation, it may be meant as a net promoter score" if "recommend" in title else ""
    return f"a scale from {low:g} to {HIGHEST_CODE}: write in what its two ends are called{asks}"


def _missing_codes(filled: pd.Series, choices: Mapping[str, str], declared: Collection[str]) -> dict[str, str]:
    """Codes far outside the others, and words that say there is no answer, each with its reason."""
    unique = list(filled.unique())
    words = {cell: reason for cell in unique if (reason := missing_reason(cell))}
    labeled = {code: label for code, label in choices.items()
               if missing_reason(label) or code in declared}  # fmt: skip
    numbers = [float(cell.replace(",", ".")) for cell in unique if NUMBER.fullmatch(cell) and cell not in MISSING_CODES]
    positive, small = bool(numbers) and min(numbers) >= 0, bool(numbers) and max(numbers) <= HIGHEST_CODE + 1
    worded = not numbers and any(not NUMBER.fullmatch(cell) for cell in unique) and len(unique) <= MAX_CATEGORIES
    doubtful = (MISSING_CODES if small else SENTINELS) if positive else SENTINELS if worded else set()
    doubtful = doubtful | _beside_a_scale(numbers)
    codes = {cell: TO_CONFIRM for cell in unique if cell in doubtful and cell not in choices}
    return {**words, **codes, **labeled}


def _beside_a_scale(numbers: Collection[float]) -> set[str]:
    """Codes 8 and 9 where all other answers are the steps of a scale from 0 or 1, and at least one step lies between.

    >>> sorted(_beside_a_scale({1, 2, 3, 4, 5, 9})), sorted(_beside_a_scale({1, 2, 3, 4, 5, 6, 7, 8}))
    (['9'], [])
    """
    apart = {code for code in BESIDE_A_SCALE if float(code) in numbers}
    steps = sorted({*numbers} - {float(code) for code in apart})
    is_scale = len(steps) >= FEWEST_STEPS and steps[0] in (0, 1) and steps == [steps[0] + i for i in range(len(steps))]
    return apart if is_scale and all(float(code) > steps[-1] + 1 for code in apart) else set()


def _name(column: str, taken: set[str]) -> str:
    base = (
        "duration_seconds" if column.casefold() in SECONDS else re.sub(r"[^a-z0-9]+", "_", normalize(column)).strip("_")
    )
    cut = base[: NAME_LENGTH + 1].rpartition("_")[0] if len(base) > NAME_LENGTH else base
    base = (cut or base[:NAME_LENGTH]).rstrip("_") or "column"
    base = base if base[0].isalpha() and base not in RESERVED and not base.startswith("flag_") else f"q_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name
