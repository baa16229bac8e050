"""From an export to a survey: every cell is read by the codebook, and every row, column and code is accounted for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from smstudy.display.prose import join_words, plural
from smstudy.errors import CodebookError, DataError, did_you_mean
from smstudy.privacy import FLOOR_SCORES, Privacy
from smstudy.result import Finding
from smstudy.survey.codebook import Category, Codebook, Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.exports import Export
from smstudy.survey.formats.columns import words_and_codes

BLANK = "no answer"
UNKNOWN = "code not in the codebook"
PIECE = 1 << 16
SHORT_CODE = re.compile(r"-?\d{1,4}([.,]0+)?")
Values = np.ndarray | pd.api.extensions.ExtensionArray
NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d{1,3})?")


@dataclass(frozen=True)
class Decoded:
    """One variable after decoding.

    Attributes
    ----------
    columns : function
        Makes the answers of all rows: one column, or one for each choice of a multi-select.
    told : tuple of str
        Why cells are no answers.
    reason : ndarray of int, shape (k different cells,)
        For each the place of its reason; -1 where it is an answer.
    codes : ndarray of int, shape (n rows,), optional
        The cell of each row, as its place among the different ones; without it every row has its own.
    findings : tuple of Finding
        What a reader must know.
    """

    columns: Callable[[], dict[str, Values]]
    told: tuple[str, ...]
    reason: np.ndarray
    codes: np.ndarray | None = None
    findings: tuple[Finding, ...] = ()

    def reasons_of(self, rows: slice = slice(None)) -> np.ndarray:
        """For each row the place of the reason why the answer is missing; -1 where it is not."""
        return self.reason[rows] if self.codes is None else self.reason[self.codes[rows]]


def decode(export: Export, codebook: Codebook, *, privacy: Privacy | None = None, wave: str = "") -> Survey:
    """Read an export by its codebook.

    Parameters
    ----------
    export : Export
        Cells as text, as `read_export` gives them.
    codebook : Codebook
        What each column means.
    privacy : Privacy, optional
        The policy the survey carries from now on.
    wave : str
        Name of the round of the survey.

    Returns
    -------
    Survey
        All rows of the export; columns that the codebook does not name are left out and listed in a finding.

    Raises
    ------
    CodebookError
        If a column the codebook names is not in the export, or is there twice.
    DataError
        If a column holds codes or text the codebook does not know (unless the codebook says to keep or drop them).
    """
    values: dict[str, Values] = {}
    missing: list[tuple[str, tuple[str, ...], np.ndarray]] = []
    findings: list[Finding] = []
    for name, decoded in decode_each(export, codebook):
        values |= decoded.columns()
        missing.append((name, decoded.told, decoded.reasons_of()))
        findings += decoded.findings
    step = f"read {plural(len(export.cells), 'row')} and {plural(export.cells.shape[1], 'column')} ({export.form})"
    return Survey(
        answers=pd.DataFrame(values, index=export.cells.index, copy=False),
        codebook=codebook,
        missing=_missing(missing),
        log=(step,),
        findings=(*findings, *_accounting(export, codebook)),
        privacy=privacy or Privacy(),
        wave=wave,
    )


def decode_each(export: Export, codebook: Codebook) -> Iterator[tuple[str, Decoded]]:
    """Read an export by its codebook, one variable after the other, so that no more than one need be held.

    Raises as `decode` does.
    """
    headers = _headers(export, codebook)
    for variable in codebook.variables:
        yield variable.name, _decode(export, headers[variable.name], variable, codebook)


def normalize(text: str) -> str:
    """Fold case, spaces, dashes, quotes and final punctuation, so that spellings of one label meet.

    >>> normalize(" Strongly–Agree. ") == normalize("strongly agree")
    True
    """
    text = re.sub(r"[\u2010-\u2015\u2212_\-/\s\u00a0]+", " ", text).replace("\u2019", "'").replace("\u2018", "'")
    return text.strip(" .,:;!?\"'").casefold()


def doubled_headers(export: Export) -> set[str]:
    """Headers that are there more than once, with the names that reading gave to the later ones."""
    return {*export.duplicates, *(re.sub(r" \(\d+\)\Z", "", name) for name in export.duplicates)}


def is_another_file(export: Export, codebook: Codebook) -> bool:
    """Whether no column of the codebook is in a file, and not even half of them have a similar name there."""
    names = export.cells.columns
    if any(variable.column_in(names) for variable in codebook.variables):
        return False
    near = [did_you_mean(variable.column, names).startswith("Did you mean") for variable in codebook.variables]
    return len(near) > 1 and 2 * sum(near) < len(near)


def another_file(export: Export, codebook: Codebook) -> str:
    """What to say of such a file."""
    return (
        f"{export.source}: none of the {len(codebook.variables)} columns of the codebook is in this file. Is it the "
        'right file? If it is, map its columns in codebook.yml with "column:".'
    )


def _headers(export: Export, codebook: Codebook) -> dict[str, str]:
    """The column of each variable; CodebookError if there is none or more than one."""
    headers = {v.name: v.column_in(export.cells.columns) for v in codebook.variables}
    absent = [v for v in codebook.variables if headers[v.name] is None]
    if is_another_file(export, codebook):
        raise CodebookError(another_file(export, codebook))
    if absent:
        hints = "; ".join(f'"{v.column}" ({did_you_mean(v.column, export.cells.columns)})' for v in absent[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise CodebookError(
            f"{export.source}: the codebook names {plural(len(absent), 'column')} "
            f"the export does not have: {hints}{more}. "
            'Correct the codebook, or map the columns with "column:".'
        )
    taken_twice = doubled_headers(export)
    doubled = [header for header in headers.values() if header in taken_twice]
    if doubled:
        raise CodebookError(
            f"{export.source}: the header is there more than once: {join_words(doubled)}. "
            "Rename the columns in the export, so that each name is there once."
        )
    return headers


# ---- one column: what each different cell means, then the rows -----------------------------------------------------


def _decode(export: Export, header: str, variable: Variable, codebook: Codebook) -> Decoded:
    column = export.cells[header]
    codes = {**codebook.missing, **variable.missing}
    exact = {"": BLANK, **{code: "declared missing in the file" for code in export.missing.get(header, ())}, **codes}
    decoded = None
    if variable.kind in ("text", "id"):
        decoded = _decode_as_written(column, variable)
    elif variable.kind == "date" and not isinstance(column.dtype, pd.CategoricalDtype):
        decoded = _decode_moments(column, variable, exact)
    if decoded is None:
        decoded = _decode_words(column, variable, export.decimal, exact, codes)
    is_empty = len(column) and not any((decoded.reasons_of(rows) < 0).any() for rows in (slice(1000), slice(None)))
    text = f'"{variable.label}" has no answer at all.'
    empty = (Finding(name="all_missing", text=text, severity="serious"),) if is_empty else ()
    return replace(decoded, findings=(*decoded.findings, *empty))


def _decode_words(
    column: pd.Series, variable: Variable, decimal: str, exact: Mapping[str, str], codes: Mapping[str, str]
) -> Decoded:
    """Look up once what each different cell means."""
    cells, places = words_and_codes(column)
    words = [cell.strip() for cell in cells]
    reasons = _reasons(words, exact, codes)
    present = [None if reason else word for word, reason in zip(words, reasons, strict=True)]
    values, unknown = DECODERS[variable.kind](present, variable, decimal)
    findings: tuple[Finding, ...] = ()
    if unknown.any():
        counts = np.bincount(places, minlength=len(words))
        found = [(words[i], int(counts[i])) for i in np.flatnonzero(unknown & (counts > 0))]
        findings = (_unknown_codes(str(column.name), variable, found),) if found else ()
        if variable.unknown_codes == "keep":
            values = _kept(values, words, unknown, variable)
        else:
            reasons = [UNKNOWN if new else reason for reason, new in zip(reasons, unknown.tolist(), strict=True)]
    told = tuple(dict.fromkeys(filter(None, reasons)))
    numbers = {None: -1, **{reason: number for number, reason in enumerate(told)}}
    reason = np.array([numbers[reason] for reason in reasons], np.int8 if len(told) < 127 else np.int32)
    named = values if isinstance(values, Mapping) else {variable.name: values}
    return Decoded(
        lambda: {name: _spread(each, places) for name, each in named.items()}, told, reason, places, findings
    )


def _spread(values: Values, places: np.ndarray) -> Values:
    """The value of each row; in pieces, because an index of one byte a row grows eightfold inside numpy."""
    if not isinstance(values, np.ndarray):
        return values.take(places)
    spread = np.empty(len(places), values.dtype)
    for start in range(0, len(places), PIECE):
        piece = slice(start, start + PIECE)
        spread[piece] = values[places[piece]]
    return spread


def _reasons(words: Sequence[str], exact: Mapping[str, str], codes: Mapping[str, str]) -> list[str | None]:
    """Why each word is no answer: blank, a declared code, or the words of its reason; None if it is an answer."""
    spoken = {normalize(reason): reason for reason in codes.values()}
    numbers = {number: reason for code, reason in codes.items() if (number := _as_number(code, ".")) is not None}
    are_lettered = {_has_letters(reason) for reason in spoken}

    def reason(word: str) -> str | None:
        if word in exact:
            return exact[word]
        if NUMBER.fullmatch(word):
            return numbers.get(_as_number(word, ".")) if SHORT_CODE.fullmatch(word) else None
        return spoken.get(normalize(word)) if _has_letters(word) in are_lettered else None

    return [reason(word) for word in words]


def _has_letters(word: str) -> bool:
    return word.upper() != word.lower()


def _unknown_codes(header: str, variable: Variable, words: Sequence[tuple[str, int]]) -> Finding:
    """Say what the codebook does not know, each word with its rows; DataError unless it is to be kept or dropped."""
    what = _codes_in_words(words)
    if variable.unknown_codes == "error":
        raise DataError(
            f'Column "{header}" ({variable.kind}): {what} that the codebook does not know. '
            f"Allowed: {_allowed(variable)}. Add it to the codebook, declare it missing, or set unknown_codes: "
            "keep or missing."
        )
    outcome = "kept as they are" if variable.unknown_codes == "keep" else "set to missing"
    text = f'"{variable.label}": {what} that the codebook does not explain; {outcome}.'
    return Finding(name="unknown_codes", text=text, severity="warning")


def _codes_in_words(words: Sequence[tuple[str, int]]) -> str:
    """Say which codes, but quote only short numbers: anything longer could be somebody's words."""
    codes = sorted({word for word, _ in words if SHORT_CODE.fullmatch(word)}, key=float_or_zero)
    n = sum(rows for _, rows in words)
    rows = f"in {n} rows" if n >= FLOOR_SCORES else f"in fewer than {FLOOR_SCORES} rows"
    texts = [f"{'code' if len(codes) == 1 else 'codes'} {join_words(codes[:8])}"] if codes else []
    if any(not SHORT_CODE.fullmatch(word) for word, _ in words):
        texts.append("text (not shown here)")
    return f"{rows} there is {join_words(texts)}"


def _allowed(variable: Variable) -> str:
    if variable.categories:
        return ", ".join(f"{c.value} = {c.label}" for c in variable.categories[:12])
    low, high = variable.constraints.minimum, variable.constraints.maximum
    bounds = [f"{word} {value:g}" for word, value in (("at least", low), ("at most", high)) if value is not None]
    return f"a {variable.kind}" + (f", {join_words(bounds)}" if bounds else "")


def _kept(values: Values, words: Sequence[str], unknown: np.ndarray, variable: Variable) -> Values:
    """The values with what the codebook does not know as it stands in the file, unless it is in somebody's words."""
    if isinstance(values, Mapping):
        return values
    kept = pd.Series(values, copy=True)
    for place in np.flatnonzero(unknown):
        kept.iloc[place] = _kept_value(words[place], variable)
    return kept.array if variable.kind in ("category", "unit") else kept.to_numpy()


def _kept_value(word: str, variable: Variable) -> float | str | None:
    if variable.kind in ("category", "unit"):
        return f"code {word}" if SHORT_CODE.fullmatch(word) else "other text"
    number = _as_number(word, ".") if variable.kind in ("item", "number", "weight") else None
    return np.nan if number is None else number


def float_or_zero(text: str) -> float:
    """A number to sort by; zero for what is none."""
    return _as_number(text, ".") or 0.0


def _as_number(cell: str, decimal: str) -> float | None:
    if not NUMBER.fullmatch(cell) or (decimal == "." and "," in cell):
        return None
    return float(cell.replace(",", "."))


# ---- one function a kind: the value of each different cell (None: no answer), and whether nobody knows it ----------

Words = Sequence[str | None]


def _match(words: Words, categories: tuple[Category, ...], value: Callable[[Category], object]) -> list[object]:
    """Find the category of each word: as it is written, as a number, or as a spelling of a label; a sign counts."""
    exact = {word: value(c) for c in categories for word in (c.label, *c.aliases)} | {
        c.value: value(c) for c in categories
    }
    folded = {normalize(word): value(c) for c in categories for word in (c.label, *c.aliases)}
    numbers = {n: value(c) for c in categories if (n := _as_number(c.value, ".")) is not None}

    def find(word: str | None) -> object:
        if word is None or word in exact:
            return exact.get(word)
        return numbers.get(_as_number(word, ",")) if NUMBER.fullmatch(word) else folded.get(normalize(word))

    return [find(word) for word in words]


def _unmatched(words: Words, values: Sequence[object]) -> np.ndarray:
    return np.array([word is not None and value is None for word, value in zip(words, values, strict=True)], bool)


def _decode_item(words: Words, variable: Variable, decimal: str) -> tuple[Values, np.ndarray]:
    values = _match(words, variable.categories, lambda category: float(category.value))
    return np.array(values, float), _unmatched(words, values)


def _decode_category(words: Words, variable: Variable, decimal: str) -> tuple[Values, np.ndarray]:
    if not variable.categories:
        tidy = [word and re.sub(r"\s+", " ", word) for word in words]
        return pd.array(tidy, dtype="str"), np.zeros(len(words), bool)
    values = _match(words, variable.categories, lambda category: category.label)
    return pd.array(values, dtype="str"), _unmatched(words, values)


def _decode_number(words: Words, variable: Variable, decimal: str) -> tuple[Values, np.ndarray]:
    values = np.array([word and _as_number(word, decimal) for word in words], float)
    low, high = variable.constraints.minimum, variable.constraints.maximum
    with np.errstate(invalid="ignore"):
        possible = (values >= (-np.inf if low is None else low)) & (values <= (np.inf if high is None else high))
    unknown = ~possible & np.array([word is not None for word in words], bool)
    return np.where(unknown, np.nan, values), unknown


def _decode_date(words: Words, variable: Variable, decimal: str) -> tuple[Values, np.ndarray]:
    cells = pd.Series(words, dtype=object)
    values = _as_dates(cells, "ISO8601")
    others = _as_dates(cells.where(values.isna()), "mixed")
    if others.dt.tz != values.dt.tz:
        values, others = (_without_zone(times) for times in (values, others))
    values = values.fillna(others)
    return values.array, (cells.notna() & values.isna()).to_numpy()


def _as_dates(cells: pd.Series, form: str) -> pd.Series:
    """Dates and times where a cell is one; where some have a time zone and others none, all are taken as UTC."""
    try:
        return pd.to_datetime(cells, errors="coerce", format=form).dt.as_unit("us")
    except ValueError:
        return _without_zone(pd.to_datetime(cells, errors="coerce", format=form, utc=True).dt.as_unit("us"))


def _without_zone(times: pd.Series) -> pd.Series:
    return times if times.dt.tz is None else times.dt.tz_convert("UTC").dt.tz_localize(None)


def _decode_choices(words: Words, variable: Variable, decimal: str) -> tuple[dict[str, Values], np.ndarray]:
    """Spread a multi-select over one 0/1 column a choice; longer choices are looked for first."""
    known = _choice_words(variable)
    split = [(None, False) if word is None else _split_choices(word, known, variable.delimiter) for word in words]
    columns = {
        f"{variable.name}_{category.value}": np.array(
            [np.nan if codes is None else category.value in codes for codes, _ in split], float
        )
        for category in variable.categories
    }
    return columns, np.array([unknown for _, unknown in split], bool)


def _choice_words(variable: Variable) -> list[tuple[re.Pattern[str], str]]:
    """Every way a choice may be written between two delimiters, longest first, with its code."""
    words = [(word, c.value) for c in variable.categories for word in (c.label, *c.aliases, c.value)]
    between = [
        (_tidy(f"{variable.delimiter}{word}{variable.delimiter}", variable.delimiter), code) for word, code in words
    ]
    return [
        (re.compile(re.escape(word), re.IGNORECASE), code) for word, code in sorted(between, key=lambda p: -len(p[0]))
    ]


def _tidy(text: str, delimiter: str) -> str:
    return re.sub(rf"\s*{re.escape(delimiter)}\s*", lambda _: delimiter, text)


def _split_choices(cell: str, words: list[tuple[re.Pattern[str], str]], delimiter: str) -> tuple[frozenset, bool]:
    """Codes of the choices in a cell, and whether anything else is in it."""
    rest, codes = _tidy(f"{delimiter}{cell.strip().strip(delimiter)}{delimiter}", delimiter), set()
    for word, code in words:
        while found := word.search(rest):
            rest = rest[: found.start()] + delimiter + rest[found.end() :]
            codes.add(code)
    return frozenset(codes), bool(rest.strip(delimiter + " "))


DECODERS: dict[str, Callable[[Words, Variable, str], tuple[Values | dict[str, Values], np.ndarray]]] = {
    "item": _decode_item,
    "category": _decode_category,
    "unit": _decode_category,
    "number": _decode_number,
    "weight": _decode_number,
    "date": _decode_date,
    "multi-select": _decode_choices,
}


# ---- columns in which hardly any cell comes twice ------------------------------------------------------------------


def _decode_as_written(column: pd.Series, variable: Variable) -> Decoded:
    """Own words and identifiers are taken as they are, identifiers hashed: only a blank is no answer."""
    texts = column.astype("str").str.strip()
    blank = (texts == "").to_numpy()

    def columns() -> dict[str, Values]:
        answers = texts.mask(blank) if blank.any() else texts
        return {variable.name: _pseudonyms(answers, variable.name) if variable.kind == "id" else answers.array}

    return Decoded(columns, (BLANK,), np.where(blank, np.int8(0), np.int8(-1)))


def _pseudonyms(texts: pd.Series, name: str) -> Values:
    """Replace identifiers by a keyed hash: it still links rows and waves, and can no longer be read."""
    key = hashlib.sha256(name.encode()).digest()
    hashed = [None if text is None else _pseudonym(key, text) for text in pa.array(texts).to_pylist()]
    return pd.array(pa.array(hashed, pa.large_string()), dtype="str")


def _pseudonym(key: bytes, text: str) -> str:
    return hashlib.blake2b(text.casefold().encode(), key=key, digest_size=10).hexdigest()


def _decode_moments(column: pd.Series, variable: Variable, exact: Mapping[str, str]) -> Decoded | None:
    """Read times in the ISO form at once; None if anything else but blanks is among them."""
    texts = pc.utf8_trim_whitespace(pa.array(column))
    blank = pc.equal(texts, "")
    try:
        moments = pc.if_else(blank, None, texts).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return None
    if pc.any(pc.is_in(texts, pa.array([code for code in exact if code], texts.type))).as_py():
        return None
    values = moments.to_pandas().array
    reason = np.where(blank.to_numpy(zero_copy_only=False), np.int8(0), np.int8(-1))
    return Decoded(lambda: {variable.name: values}, (BLANK,), reason)


# ---- all columns ---------------------------------------------------------------------------------------------------


def _missing(parts: Sequence[tuple[str, tuple[str, ...], np.ndarray]]) -> pd.DataFrame:
    """One line for every missing answer: row, variable and reason, the last two as categories."""
    reasons = list(dict.fromkeys(reason for _, told, _ in parts for reason in told))
    rows = [np.flatnonzero(reason >= 0).astype(np.int32) for _, _, reason in parts]
    why = [
        np.array([reasons.index(word) for word in told] or [0], np.int16)[reason[at]]
        for (_, told, reason), at in zip(parts, rows, strict=True)
    ]
    names = np.repeat(np.arange(len(parts), dtype=np.int32), list(map(len, rows)))
    columns = {
        "row": np.concatenate(rows),
        "variable": _coded(names, [name for name, _, _ in parts]),
        "reason": _coded(np.concatenate(why), reasons),
    }
    return pd.DataFrame(columns, copy=False)


def _coded(codes: np.ndarray, words: Sequence[str]) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, categories=pd.Index(words, dtype="str"))


def _accounting(export: Export, codebook: Codebook) -> list[Finding]:
    """Say which columns were not used or are read under another header, and why."""
    headers = _headers(export, codebook)
    used = set(headers.values())
    unused = [name for name in export.cells if name not in used]
    former = [f'"{headers[v.name]}" for "{v.column}"' for v in codebook.variables if headers[v.name] != v.column]
    findings = []
    if former:
        text = f"{plural(len(former), 'column')} of {export.source} read under a former header: {_some(former)}."
        findings.append(Finding(name="former_columns", text=text, severity="info"))
    if unused:
        shown = _some([f'"{name}"' for name in unused])
        text = f"{plural(len(unused), 'column')} of {export.source} not in the codebook, left out: {shown}."
        findings.append(Finding(name="unused_columns", text=text, severity="info"))
    if export.dropped:
        text = f"Direct identifiers removed when reading: {join_words(sorted(export.dropped))}."
        findings.append(Finding(name="identifiers_removed", text=text, severity="info"))
    return findings


def _some(names: Sequence[str]) -> str:
    return join_words(names[:12]) + (" and more" if len(names) > 12 else "")
