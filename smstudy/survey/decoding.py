"""From an export to a survey: every cell is read by the codebook, and every row, column and code is accounted for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smstudy.display.prose import join_words, plural
from smstudy.errors import CodebookError, DataError, did_you_mean
from smstudy.privacy import FLOOR_SCORES, Privacy
from smstudy.result import Finding
from smstudy.survey.codebook import Category, Codebook, Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.exports import Export

BLANK = "no answer"
UNKNOWN = "code not in the codebook"
SHORT_CODE = re.compile(r"-?\d{1,4}([.,]0+)?")
NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d{1,3})?")


@dataclass(frozen=True)
class Decoded:
    """One column after decoding: values, why they are missing (text or None), and what a reader must know."""

    values: pd.DataFrame
    reasons: pd.Series
    findings: tuple[Finding, ...] = ()


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
    _check_columns(export, codebook)
    decoded = {variable.name: _decode(export, variable, codebook) for variable in codebook.variables}
    parts = [part.values for part in decoded.values()]
    missing = pd.concat([_reason_rows(name, part.reasons) for name, part in decoded.items()], ignore_index=True)
    findings = [finding for part in decoded.values() for finding in part.findings]
    step = f"read {plural(len(export.cells), 'row')} and {plural(export.cells.shape[1], 'column')} ({export.form})"
    return Survey(
        answers=pd.concat(parts, axis=1),
        codebook=codebook,
        missing=missing,
        log=(step,),
        findings=(*findings, *_accounting(export, codebook, decoded)),
        privacy=privacy or Privacy(),
        wave=wave,
    )


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


def _check_columns(export: Export, codebook: Codebook) -> None:
    absent = [v for v in codebook.variables if v.column not in export.cells]
    if absent:
        hints = "; ".join(f'"{v.column}" ({did_you_mean(v.column, export.cells.columns)})' for v in absent[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise CodebookError(
            f"{export.source}: the codebook names {plural(len(absent), 'column')} "
            f"the export does not have: {hints}{more}. "
            'Correct the codebook, or map the columns with "column:".'
        )
    doubled = [v.column for v in codebook.variables if v.column in doubled_headers(export)]
    if doubled:
        raise CodebookError(
            f"{export.source}: the header is there more than once: {join_words(doubled)}. "
            "Rename the columns in the export, so that each name is there once."
        )


def _decode(export: Export, variable: Variable, codebook: Codebook) -> Decoded:
    text = export.cells[variable.column].astype(object).str.strip()
    reasons = _missing_reasons(text, {**codebook.missing, **variable.missing}, export.missing.get(variable.column, ()))
    if variable.kind in ("text", "id"):
        reasons = reasons.where(text == "", None).astype(object)
    present = text.where(reasons.isna(), None)
    values, unknown = DECODERS[variable.kind](present, variable, export.decimal)
    findings: list[Finding] = []
    if unknown.any():
        reasons, findings = _handle_unknown(text, unknown, variable, reasons)
        if variable.unknown_codes == "keep":
            values = values.where(~unknown, _kept(text, variable))
    if len(text) and reasons.notna().all():
        findings.append(
            Finding(name="all_missing", text=f'"{variable.label}" has no answer at all.', severity="serious")
        )
    frame = values.to_frame(variable.name) if isinstance(values, pd.Series) else values
    return Decoded(frame, reasons, tuple(findings))


def _missing_reasons(text: pd.Series, codes: Mapping[str, str], declared: tuple[str, ...]) -> pd.Series:
    """Why each cell is missing: blank, a declared code, or the words of its reason; None where there is an answer."""
    exact = {"": BLANK, **{code: "declared missing in the file" for code in declared}, **codes}
    words = {normalize(reason): reason for reason in codes.values()}
    numbers = {number: reason for code, reason in codes.items() if (number := _as_number(code, ".")) is not None}

    def reason(cell: str) -> str | None:
        if cell in exact:
            return exact[cell]
        if NUMBER.fullmatch(cell):
            return numbers.get(_as_number(cell, ".")) if SHORT_CODE.fullmatch(cell) else None
        return words.get(normalize(cell))

    return _map_unique(text, reason)


def _map_unique(cells: pd.Series, function: Callable) -> pd.Series:
    """Apply a function once per different cell."""
    table = {cell: function(cell) for cell in cells.unique()}
    return pd.Series([table[cell] for cell in cells], index=cells.index, dtype=object)


def _handle_unknown(text: pd.Series, unknown: pd.Series, variable: Variable, reasons: pd.Series):
    what = _codes_in_words(text[unknown])
    if variable.unknown_codes == "error":
        raise DataError(
            f'Column "{variable.column}" ({variable.kind}): {what} that the codebook does not know. '
            f"Allowed: {_allowed(variable)}. Add it to the codebook, declare it missing, or set unknown_codes: "
            "keep or missing."
        )
    kept = variable.unknown_codes == "keep"
    outcome = "kept as they are" if kept else "set to missing"
    finding = Finding(
        name="unknown_codes",
        text=f'"{variable.label}": {what} that the codebook does not explain; {outcome}.',
        severity="warning",
    )
    return (reasons if kept else reasons.mask(unknown, UNKNOWN)), [finding]


def _codes_in_words(cells: pd.Series) -> str:
    """Say which codes, but quote only short numbers: anything longer could be somebody's words."""
    codes = sorted({cell for cell in cells if SHORT_CODE.fullmatch(cell)}, key=float_or_zero)
    rows = f"in {len(cells)} rows" if len(cells) >= FLOOR_SCORES else f"in fewer than {FLOOR_SCORES} rows"
    texts = [f"{'code' if len(codes) == 1 else 'codes'} {join_words(codes[:8])}"] if codes else []
    if any(not SHORT_CODE.fullmatch(cell) for cell in cells):
        texts.append("text (not shown here)")
    return f"{rows} there is {join_words(texts)}"


def _allowed(variable: Variable) -> str:
    if variable.categories:
        return ", ".join(f"{c.value} = {c.label}" for c in variable.categories[:12])
    low, high = variable.constraints.minimum, variable.constraints.maximum
    bounds = [f"{word} {value:g}" for word, value in (("at least", low), ("at most", high)) if value is not None]
    return f"a {variable.kind}" + (f", {join_words(bounds)}" if bounds else "")


def _kept(text: pd.Series, variable: Variable) -> pd.Series:
    if variable.kind in ("item", "number", "weight"):
        return text.map(lambda cell: _as_number(cell, ".")).astype(float)
    return text.map(lambda cell: f"code {cell}" if SHORT_CODE.fullmatch(cell) else "other text")


def float_or_zero(text: str) -> float:
    """A number to sort by; zero for what is none."""
    return _as_number(text, ".") or 0.0


def _as_number(cell: str, decimal: str) -> float | None:
    if not NUMBER.fullmatch(cell) or (decimal == "." and "," in cell):
        return None
    return float(cell.replace(",", "."))


def _match(present: pd.Series, categories: tuple[Category, ...], value: Callable[[Category], object]) -> pd.Series:
    """Find the category of each cell: as it is written, as a number, or as a spelling of a label; a sign counts."""
    exact = {word: value(c) for c in categories for word in (c.label, *c.aliases)} | {
        c.value: value(c) for c in categories
    }
    folded = {normalize(word): value(c) for c in categories for word in (c.label, *c.aliases)}
    numbers = {n: value(c) for c in categories if (n := _as_number(c.value, ".")) is not None}

    def find(cell: str | None) -> object:
        if cell is None or cell in exact:
            return exact.get(cell)
        return numbers.get(_as_number(cell, ",")) if NUMBER.fullmatch(cell) else folded.get(normalize(cell))

    return _map_unique(present, find)


def _decode_item(present: pd.Series, variable: Variable, decimal: str) -> tuple[pd.Series, pd.Series]:
    values = _match(present, variable.categories, lambda c: float(c.value)).astype(float)
    return values, present.notna() & values.isna()


def _decode_category(present: pd.Series, variable: Variable, decimal: str) -> tuple[pd.Series, pd.Series]:
    if not variable.categories:
        return present.map(lambda cell: re.sub(r"\s+", " ", cell), na_action="ignore").astype(
            "str"
        ), present.isna() & False
    values = _match(present, variable.categories, lambda c: c.label)
    return values.astype("str"), present.notna() & values.isna()


def _decode_number(present: pd.Series, variable: Variable, decimal: str) -> tuple[pd.Series, pd.Series]:
    values = present.map(lambda cell: _as_number(cell, decimal), na_action="ignore").astype(float)
    low, high = variable.constraints.minimum, variable.constraints.maximum
    outside = (values < (-np.inf if low is None else low)) | (values > (np.inf if high is None else high))
    unknown = present.notna() & (values.isna() | outside)
    return values.mask(unknown), unknown


def _decode_date(present: pd.Series, variable: Variable, decimal: str) -> tuple[pd.Series, pd.Series]:
    values = pd.to_datetime(present, errors="coerce", format="ISO8601")
    values = values.fillna(pd.to_datetime(present.where(values.isna()), errors="coerce", format="mixed"))
    return values, present.notna() & values.isna()


def _decode_text(present: pd.Series, variable: Variable, decimal: str) -> tuple[pd.Series, pd.Series]:
    return present.astype("str"), present.isna() & False


def _decode_id(present: pd.Series, variable: Variable, decimal: str) -> tuple[pd.Series, pd.Series]:
    """Replace an identifier by a keyed hash: it still links rows and waves, and can no longer be read."""
    hashed = present.map(lambda cell: _pseudonym(variable.name, cell), na_action="ignore")
    return hashed.astype("str"), present.isna() & False


def _pseudonym(key: str, cell: str) -> str:
    folded = cell.strip().casefold().encode()
    return hashlib.blake2b(folded, key=hashlib.sha256(key.encode()).digest(), digest_size=10).hexdigest()


def _decode_choices(present: pd.Series, variable: Variable, decimal: str) -> tuple[pd.DataFrame, pd.Series]:
    """Spread a multi-select over one 0/1 column a choice; longer choices are looked for first."""
    words = _choice_words(variable)
    split = {cell: _split_choices(cell, words, variable.delimiter) for cell in present.dropna().unique()}
    chosen = present.map(lambda cell: split[cell][0], na_action="ignore")
    columns = {
        f"{variable.name}_{category.value}": chosen.map(
            lambda codes, v=category.value: float(v in codes), na_action="ignore"
        )
        for category in variable.categories
    }
    unknown = present.map(lambda cell: split[cell][1], na_action="ignore").astype(object).fillna(False).astype(bool)
    return pd.DataFrame(columns, index=present.index).astype(float), unknown


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


DECODERS: dict[str, Callable[[pd.Series, Variable, str], tuple]] = {
    "item": _decode_item,
    "category": _decode_category,
    "unit": _decode_category,
    "number": _decode_number,
    "weight": _decode_number,
    "date": _decode_date,
    "text": _decode_text,
    "id": _decode_id,
    "multi-select": _decode_choices,
}


def _reason_rows(name: str, reasons: pd.Series) -> pd.DataFrame:
    given = reasons.dropna()
    return pd.DataFrame({"row": given.index, "variable": name, "reason": given.to_numpy()})


def _accounting(export: Export, codebook: Codebook, decoded: Mapping[str, Decoded]) -> list[Finding]:
    """Say which columns were not used, and why."""
    used = {variable.column for variable in codebook.variables}
    unused = [name for name in export.cells if name not in used]
    findings = []
    if unused:
        shown = join_words([f'"{name}"' for name in unused[:12]]) + (" and more" if len(unused) > 12 else "")
        text = f"{plural(len(unused), 'column')} of {export.source} not in the codebook, left out: {shown}."
        findings.append(Finding(name="unused_columns", text=text, severity="info"))
    if export.dropped:
        text = f"Direct identifiers removed when reading: {join_words(sorted(export.dropped))}."
        findings.append(Finding(name="identifiers_removed", text=text, severity="info"))
    return findings
