"""Defects of single cells: codes, spellings, numbers and identifiers that are not what they seem."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from smstudy.survey.codebook import Variable, answer_range
from smstudy.survey.decoding import NUMBER, normalize
from smstudy.survey.detectors.evidence import Detection, Look, named, of_file, of_rows, write_rule
from smstudy.survey.drafts.wordings import MISSING_WORDS, missing_reason, split_title
from smstudy.survey.formats.columns import words_and_codes

NEGATIVE_CODES = frozenset({-1.0, -7.0, -8.0, -9.0, -66.0, -77.0, -88.0, -97.0, -98.0, -99.0, -999.0, -9999.0})
POSITIVE_CODES = frozenset({77.0, 88.0, 96.0, 97.0, 98.0, 99.0, 998.0, 999.0, 9998.0, 9999.0, 99999.0})
APART = 1.5
SAID = frozenset(phrase for phrases in MISSING_WORDS.values() for phrase in phrases)
LITERAL = frozenset({"None", "NA", "N/A", "null", "NULL", "nan", "NaN", "none"})
AMOUNT = re.compile(
    r"[<>~≈]?\s*(ca\.?|about|approx\.?|over|under|etwa)?\s*\d[\d.,' ]*\s*(-|–|to|bis)\s*\d[\d.,' ]*\s*[^\W\d]*"
    r"|([<>~≈+]|ca\.?|about|approx\.?|over|under|etwa)\s*\d[\d.,' ]*\s*[^\W\d]*"
    r"|\d[\d.,' ]*\s*([^\W\d][^\W\d.]*|[%€$+])\.?"
    r"|\d{1,3}([,.' ]\d{3})+",
    re.IGNORECASE,
)
SPREADSHEET_ID = r"^\s*(\d+\.0|\d+([.,]\d+)?[eE]\+?\d{1,3})\s*$"
CODED_OTHERWISE = (
    "coding shifted",
    "recoded",
    "answers not in the codebook",
    "codes mean other answers",
    "perhaps reversed",
)
NONE_OF_THESE = re.compile(r"\b(none|nothing|keine?[rs]?|nichts|aucune?|ninguno?a?|geen|nessuno?)\b", re.IGNORECASE)
OTHER = re.compile(r"^\s*(other|sonstige|andere|autre|otro|overig|altro)", re.IGNORECASE)


def _each(look: Look, kinds: tuple, rows: Callable[[Variable, str], np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Columns of some kinds in which any row is hit."""
    for variable, header in look.of_kind(*kinds):
        hit = rows(variable, header)
        if hit.any():
            yield header, hit


def _all(look: Look, found: Iterator[tuple[str, np.ndarray]]) -> tuple[np.ndarray, list[str]]:
    """Rows hit in any column, and the columns."""
    hit, columns = np.zeros(look.n, bool), []
    for header, rows in found:
        hit |= rows
        columns.append(header)
    return hit, columns


def _number(word: str) -> float | None:
    return float(word.replace(",", ".")) if NUMBER.fullmatch(word) else None


def missing_codes(look: Look, variable: Variable, header: str) -> Callable[[str], bool]:
    """Tell words of a column that look like "no answer" and are declared neither as that nor as an answer."""
    declared = {**look.codebook.missing, **variable.missing}
    own = {word for c in variable.categories for word in (c.value, c.label, *c.aliases)}
    known = {*declared, *own, *declared.values()}
    spoken = {normalize(word) for word in known}
    codes = {_number(word) for word in known} - {None}
    answers = {_number(word) for word in look.words(header)[0]} - {None} - codes - NEGATIVE_CODES - POSITIVE_CODES
    answers |= {number for word in own if (number := _number(word)) is not None}
    low, high = min(answers, default=0.0), max(answers, default=0.0)

    def looks_missing(word: str) -> bool:
        number = _number(word)
        if number is None:
            return bool(word) and normalize(word) not in spoken and bool(missing_reason(word))
        if number in codes:
            return False
        negative = number in NEGATIVE_CODES and low >= 0
        return negative or (number in POSITIVE_CODES and number > APART * high)

    return looks_missing


def undeclared_missing(look: Look) -> Detection:
    """22: codes and words that mean "no answer" and are not declared with their reason."""

    def rows(variable: Variable, header: str) -> np.ndarray:
        return look.rows_where(header, missing_codes(look, variable, header))

    hit, columns = _all(look, _each(look, ("item", "category", "unit", "number"), rows))
    words = {w for h in columns for w in look.words(h)[0] if missing_codes(look, look.variable_at[h], h)(w)}
    quoted = sorted(word for word in words if _number(word) is not None or normalize(word) in SAID)
    lines = ", ".join(f'"{word}": "{missing_reason(word) or "why"}"' for word in quoted[:8]) or '"CODE": "why"'
    names = [look.variable_at[header].name for header in columns]
    repair = f"In codebook.yml write missing: {{{lines}}}, for all or under {named(names)}."
    clear = "What means no answer is declared, or does not occur."
    return of_rows(
        hit, f'Codes or words for "no answer" that are not declared, in {named(columns)}.', repair, clear=clear
    )


def spellings(look: Look) -> Detection:
    """24: spellings of one answer that differ in case, spaces or dashes."""
    hit, columns = _all(look, _each(look, ("item", "category"), lambda v, h: spelled_otherwise(look, v, h)))
    bare = [look.variable_at[header].name for header in columns if not look.variable_at[header].categories]
    repair = f"Declare the answers of {named(bare)}." if bare else "Nothing: they are read as the same answer."
    return of_rows(hit, f"Answers spelled in several ways in {named(columns)}.", repair, clear="One spelling each.")


def spelled_otherwise(look: Look, variable: Variable, header: str) -> np.ndarray:
    """Rows with an answer that is only after folding case, spaces and dashes one of the codebook, or of the others."""
    cells = look.export.cells[header]
    raw, _ = words_and_codes(cells)
    known = [word for c in variable.categories for word in (c.value, c.label, *c.aliases)]
    if known:
        folded = {normalize(word) for word in known}
        odd = {
            w
            for w in raw
            if w.strip() and w.strip() not in known and normalize(w) in folded and _number(w.strip()) is None
        }
        return cells.isin(odd).to_numpy()
    counts = cells.value_counts()
    usual: dict[str, str] = {}
    for word in sorted(counts.index, key=lambda word: (-counts[word], word)) if len(raw) > 1 else ():
        usual.setdefault(normalize(word), word)
    odd = {word for word in raw if word.strip() and usual.get(normalize(word), word) != word}
    return cells.isin(odd).to_numpy()


def out_of_range(look: Look) -> Detection:
    """25: codes outside the answers, another coding, reversed anchors, mixed lengths in one battery."""

    def rows(variable: Variable, header: str) -> np.ndarray:
        odd = look.unknown_rows(variable)
        if not odd.any():
            return odd
        looks_missing = missing_codes(look, variable, header)
        return odd & ~look.rows_where(header, lambda w: looks_missing(w) or bool(AMOUNT.fullmatch(w)))

    hit, columns = _all(look, _each(look, ("item", "category", "number", "weight"), rows))
    told = [f"Answers outside the codebook in {named(columns)}."] if columns else []
    changed = look.diff.rows[look.diff.rows["status"].isin(CODED_OTHERWISE)]
    told += [f"{term}: {status}." for term, status in zip(changed["term"], changed["status"], strict=True)][:6]
    mixed = _mixed_lengths(look)
    told += [f"One battery, answer scales of different length: {named(mixed)}."] if mixed else []
    coded = changed.loc[~changed["status"].eq("answers not in the codebook"), "repair"]
    first = " ".join(coded[:1]) or "See compare_schemas(): it gives a line for codebook.yml, or unknown_codes: missing."
    if told and not hit.any():
        return of_file(told, first, clear="")
    return of_rows(hit, " ".join(told), first, clear="Every answer is one of the codebook.")


def _mixed_lengths(look: Look) -> list[str]:
    """Neighboring items of one question with different answer scales."""
    items = [v for v, _ in look.of_kind("item")]
    return [
        other.name
        for one, other in zip(items, items[1:], strict=False)
        if (stem := split_title(one.label)[0])
        and stem == split_title(other.label)[0]
        and answer_range(one) != answer_range(other)
    ]


def reversed_items(look: Look) -> Detection:
    """26: items that run against their scale, declared or not."""
    against: dict[bool, list[str]] = {True: [], False: []}
    known = set(look.survey.answers)
    for scale in look.codebook.scales:
        if known.issuperset(scale.items):
            for name in _negative(look, scale.items):
                against[look.codebook.variable(name).reverse].append(name)
    told, repairs = [], []
    if against[False]:
        told.append(f"Correlates negatively with the rest of its scale: {named(against[False])}.")
        repairs.append(f'If the wording is reversed, under "name: {against[False][0]}" write reverse: true.')
    if against[True]:
        told.append(f"Declared as reversed, but seems turned round already: {named(against[True])}.")
        repairs.append(f'If the export has turned it, under "name: {against[True][0]}" leave out reverse: true.')
    if not look.codebook.scales:
        return Detection(verdict="cannot tell", reason="The codebook has no scales.")
    return of_file(told, " ".join(repairs), clear="Every item goes with its scale.")


def _negative(look: Look, names: tuple[str, ...]) -> list[str]:
    """Items whose correlation with the rest lies below 0 with its whole interval of 95 % (Fisher's z)."""
    variables = [look.codebook.variable(name) for name in names]
    answers = look.survey.answers[list(names)].to_numpy(float)
    answers = answers[~np.isnan(answers).any(axis=1)]
    if len(answers) < 10 or len(names) < 3:
        return []
    turned = answers * np.where([v.reverse for v in variables], -1.0, 1.0)
    covariance = np.cov(turned, rowvar=False)
    variance, total = np.diag(covariance), covariance.sum()
    rest = total - 2 * covariance.sum(axis=1) + variance
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (covariance.sum(axis=1) - variance) / np.sqrt(variance * rest)
        highest = np.arctanh(np.clip(r, -0.999999, 0.999999)) + 1.96 / np.sqrt(len(answers) - 3)
    return [name for name, bound in zip(names, highest, strict=True) if bound < 0]


def several_answers(look: Look) -> Detection:
    """27: "none of these" beside others, "other" without words, a delimiter inside an answer."""
    hit, told, repairs = np.zeros(look.n, bool), [], []
    for variable, header in look.of_kind("multi-select"):
        for reason, repair, rows in (*_none_and_others(look, variable), *_other_without_words(look, variable, header)):
            hit |= rows
            told.append(reason)
            repairs.append(repair)
    inside = [
        v.name for v, _ in look.of_kind("multi-select") if any(v.delimiter.strip() in c.label for c in v.categories)
    ]
    told += [f"An answer holds the delimiter itself: {named(inside)} (read all the same)."] if inside else []
    if not [*look.of_kind("multi-select")]:
        return Detection(verdict="not found", n=0, reason="No question takes several answers in one cell.")
    if told and not hit.any():
        return of_file(told, "Nothing.", clear="")
    return of_rows(hit, " ".join(told), " ".join(repairs), clear="No answer excludes another that is given.")


def _none_and_others(look: Look, variable: Variable) -> Iterator[tuple[str, str, np.ndarray]]:
    exclusive = [c for c in variable.categories if NONE_OF_THESE.search(c.label)]
    others = [f"{variable.name}_{c.value}" for c in variable.categories if c not in exclusive]
    chosen = look.survey.answers
    for category in exclusive[:1]:
        name = f"{variable.name}_{category.value}"
        rows = (chosen[name].to_numpy(float) == 1) & (chosen[others].to_numpy(float) == 1).any(axis=1)
        if rows.any():
            repair = write_rule(
                id="none-and-others", stage="analysis", column=name, op="chosen",
                where={"column": others, "op": "chosen"}, action="flag",
                reason="None of these is chosen beside others",
            )  # fmt: skip
            yield f'{variable.name}: "{category.label}" is chosen beside others.', repair, rows


def _other_without_words(look: Look, variable: Variable, header: str) -> Iterator[tuple[str, str, np.ndarray]]:
    for category in (c for c in variable.categories if OTHER.search(c.label)):
        text = {f"{header}_TEXT", f"{header}_{category.value}_TEXT", f"{header}[other]", f"{header}_other"}
        column = next((name for name in look.headers if name in text), None)
        if column is not None:
            chosen = look.survey.answers[f"{variable.name}_{category.value}"].to_numpy(float) == 1
            rows = chosen & ~look.filled(column)
            if rows.any():
                reason = f'{variable.name}: "{category.label}" is chosen without words.'
                yield reason, "Keep it: the choice is an answer.", rows


def numbers_as_text(look: Look) -> Detection:
    """28: numbers with units, separators of thousands or as a range."""
    hit, columns = _all(
        look, _each(look, ("number", "weight"), lambda v, h: look.rows_where(h, lambda w: bool(AMOUNT.fullmatch(w))))
    )
    names = [look.variable_at[header].name for header in columns]
    repair = f"Correct them in the platform; until then under {named(names)} write unknown_codes: missing."
    return of_rows(
        hit, f"Numbers written as text in {named(columns)}.", repair, clear="Numbers are written as numbers."
    )


def spoiled_ids(look: Look) -> Detection:
    """29: identifiers that a spreadsheet turned into numbers: zeros lost, decimals or powers of ten."""
    hit, columns = np.zeros(look.n, bool), []
    for variable, header in look.of_kind("id"):
        rows = look.rows_matching(header, SPREADSHEET_ID) | _lost_zeros(look, variable, header)
        if rows.any():
            hit, columns = hit | rows, [*columns, header]
    repair = "Export again, and do not open the file in a spreadsheet: what is lost cannot be put back."
    clear = "Identifiers are kept as text; none looks like a number of a spreadsheet."
    return of_rows(hit, f"Turned into numbers by a spreadsheet: {named(columns)}.", repair, clear=clear)


def _lost_zeros(look: Look, variable: Variable, header: str) -> np.ndarray:
    """Rows whose identifier the previous wave has with zeros before it."""
    before = variable.column_in(look.previous.cells.columns) if look.previous is not None else None
    if before is None:
        return np.zeros(look.n, bool)
    old = {str(word).strip() for word in look.previous.cells[before].unique()}
    bare = {word.lstrip("0") for word in old if word.startswith("0") and word.isdigit()} - old
    return look.export.cells[header].isin(bare).to_numpy() if bare else np.zeros(look.n, bool)


def literal_answers(look: Look) -> Detection:
    """30: the words None, NA and null as answers, which other readers turn into gaps."""
    kept = ("category", "unit", "item", "text", "multi-select")
    hit, columns = _all(
        look,
        _each(look, kept, lambda v, h: look.rows_matching(h, "^\\s*(?:None|NA|N/A|null|NULL|nan|NaN|none)\\s*$")),
    )
    told = f"Kept as written in {named(columns)}."
    declared = LITERAL & {*look.codebook.missing, *(code for v in look.codebook.variables for code in v.missing)}
    if declared:
        told += f" Declared missing: {named(sorted(declared))}."
    repair = 'If it means no answer, declare it: missing: {"NA": "not applicable"}.'
    return of_rows(hit, told, repair, clear='Nobody wrote "None", "NA" or "null"; they would be kept.')
