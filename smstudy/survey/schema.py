"""What changed in a questionnaire: an export against its codebook and against the export of the previous wave."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher, get_close_matches

import numpy as np
import pandas as pd

from smstudy.display.prose import join_words, plural
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.codebook import Category, Codebook, Variable
from smstudy.survey.decoding import NUMBER, SHORT_CODE, UNKNOWN, decode, float_or_zero, normalize
from smstudy.survey.drafts.wordings import agreement_places, split_title
from smstudy.survey.exports import Export
from smstudy.survey.quoting import SPELLING, may_quote

STOPS = (
    "not in the export", "renamed", "perhaps renamed", "coding shifted", "recoded", "other language",
    "spelled differently", "answers not in the codebook",
)  # fmt: skip
SILENT = ("in another column", "codes mean other answers", "perhaps another question", "perhaps reversed")
HARMLESS = (
    "wording edited", "type changed", "words instead of codes", "codes instead of words", "answers gone", "added",
    "dropped", "moved",
)  # fmt: skip
STATUSES = (*STOPS, *SILENT, *HARMLESS)
COLUMNS = ["term", "status", "old", "new", "n", "repair"]
ALIKE = 0.6
OTHER_QUESTION = 0.4
TIE = 0.05
LONG_HEADER = 25
MOST_SHOWN = 8
MOST_MOVED = 10
ENOUGH = 30
MOST = 1e300
LOOK_UP = "Look up in the survey platform that the codes are those of the codebook."
CHOSEN = ("item", "category", "unit", "multi-select")
NOT_COUNTED = ("text", "id")


@dataclass(frozen=True)
class _Column:
    """A column as one of the two sides knows it."""

    header: str
    wording: str


@dataclass(frozen=True)
class _Pair:
    """A column then and now; `variable` is None for a column that the codebook does not use."""

    term: str
    old: _Column | None
    new: _Column | None
    variable: Variable | None = None


@dataclass(frozen=True)
class _Change:
    term: str
    status: str
    old: str = ""
    new: str = ""
    n: float = float("nan")
    repair: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class SchemaDiff(Result):
    """Differences between an export, its codebook and the previous wave.

    Attributes
    ----------
    rows : DataFrame
        Ungated, as `tidy()` gives them.
    n_rows : int
        Rows of the export.
    """

    rows: pd.DataFrame = field(repr=False)
    n_rows: int

    def tidy(self) -> pd.DataFrame:
        """One row per difference: term (variable or column), status, old, new, n rows concerned, repair."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Rows of the export, and whether a run would stop."""
        stops = int(self.rows["status"].isin(STOPS).sum())
        silent = int(self.rows["status"].isin(SILENT).sum())
        verdict = f"{plural(stops, 'difference')} to repair, {plural(silent, 'doubt')}" if stops + silent else "fits"
        return {"n": self.n_rows, "verdict": verdict}


def compare_schemas(
    export: Export, codebook: Codebook, *, previous: Export | None = None, privacy: Privacy | None = None
) -> SchemaDiff:
    """Say how the questionnaire behind an export differs from its codebook and from the previous wave.

    Parameters
    ----------
    export : Export
        This wave, as `read_export` gives it.
    codebook : Codebook
        What each column means.
    previous : Export, optional
        The previous wave. With it, edited wordings, moved columns and answers that are gone can be seen, and a renamed
        column is recognized by its wording and its answers.
    privacy : Privacy, optional
        Nobody's own words are quoted: only short codes and, if at least `min_n` respondents gave them, spellings of
        declared answers and words that questionnaires use.

    Returns
    -------
    SchemaDiff
        First what would stop a run (`STOPS`), then what would be read without complaint and perhaps mean something else
        (`SILENT`), then what is only to be known. `repair` is a line for `codebook.yml` or a decision. What data cannot
        decide says "cannot tell": codes alone do not show which end of a scale is which.

    Examples
    --------
    >>> cells = pd.DataFrame({"Q4": ["0", "1", "2", "3", "4"] * 2}, dtype="str")
    >>> codebook = Codebook.model_validate({"title": "t", "variables": [{"name": "use", "column": "Q4", "kind": "item",
    ...     "categories": [{"value": i, "label": f"answer {i}"} for i in range(1, 6)]}]})
    >>> compare_schemas(Export(cells=cells, source="x.csv", form="table"), codebook).tidy().loc[0, "status"]
    'coding shifted'
    """
    privacy = privacy or Privacy()
    pairs, changes = _pair_columns(export, codebook, previous)
    wave = _Wave(export, codebook, privacy.min_n)
    before = _Wave(previous, codebook, privacy.min_n) if previous is not None else None
    for pair in pairs:
        changes += _compare(pair, wave, before)
    changes += _moved(pairs, export, previous) if previous is not None else []
    ordered = sorted(changes, key=lambda change: STATUSES.index(change.status))
    rows = pd.DataFrame([vars(change) for change in ordered], columns=COLUMNS).astype({"n": float})
    return SchemaDiff(
        title=f"What changed in the questionnaire of {export.source}",
        note=f"Compared with the codebook{f' and with {previous.source}' if previous is not None else ''}. "
        f"n = rows with the answers in question. Quoted are short codes and, if at "
        f"least {privacy.min_n} respondents gave them, spellings of declared answers; nobody's own words.",
        findings=_findings(rows),
        privacy=privacy,
        rows=rows,
        n_rows=len(export.cells),
    )


def _findings(rows: pd.DataFrame) -> tuple[Finding, ...]:
    doubts = rows.loc[rows["status"].isin(SILENT), "term"].drop_duplicates()
    if doubts.empty:
        return ()
    text = f"Read without complaint, but perhaps with another meaning: {join_words(list(doubts[:MOST_SHOWN]))}."
    return (Finding(name="schema_doubts", text=text, severity="serious"),)


# ---- which column is which -----------------------------------------------------------------------------------------


def _pair_columns(export: Export, codebook: Codebook, previous: Export | None) -> tuple[list[_Pair], list[_Change]]:
    """Put the columns of the codebook and of the previous wave beside those of this wave."""
    wanted = _wanted(export, codebook, previous)
    taken = {pair.new.header for pair in wanted if pair.new}
    free = [_column(export, name) for name in export.cells if name not in taken]
    found = _recognize(wanted, free, export, codebook, previous)
    pairs = [replace(pair, new=found[i][0]) if i in found else pair for i, pair in enumerate(wanted)]
    changes = [_renamed(pairs[i], sure=sure) for i, (_, sure) in found.items()]
    changes += [
        _absent(pair, was_there=previous is not None and pair.old is not None) for pair in pairs if not pair.new
    ]
    left = [column for column in free if column not in [new for new, _ in found.values()]]
    return pairs, [*changes, *(_added(column, export, codebook) for column in left)]


def _column(export: Export, header: str) -> _Column:
    return _Column(header, export.labels.get(header, ""))


def _wanted(export: Export, codebook: Codebook, previous: Export | None) -> list[_Pair]:
    """Every column this wave should have: those of the codebook, then the others of the previous wave."""
    pairs = []
    for variable in codebook.variables:
        then = variable.column_in(previous.cells.columns) if previous is not None else None
        now = variable.column_in(export.cells.columns)
        old = _column(previous, then) if then else None
        pairs.append(_Pair(variable.name, old, _column(export, now) if now else None, variable))
    used = {header for variable in codebook.variables for header in variable.headers}
    others = [name for name in previous.cells if name not in used] if previous is not None else []
    there = set(export.cells.columns)
    return pairs + [_Pair(n, _column(previous, n), _column(export, n) if n in there else None) for n in others]


def _recognize(
    wanted: Sequence[_Pair], free: Sequence[_Column], export: Export, codebook: Codebook, previous: Export | None
) -> dict[int, tuple[_Column, bool]]:
    """Find absent columns among those that nobody asked for, best match first; False where another is as near."""
    scores = {
        (i, column): score
        for i, pair in enumerate(wanted) if not pair.new
        for column in free
        if (score := _likeness(pair, column)) >= ALIKE
    }  # fmt: skip
    wave = _Wave(export, codebook, Privacy().min_n)
    before = _Wave(previous, codebook, Privacy().min_n) if previous is not None else None
    found: dict[int, tuple[_Column, bool]] = {}
    for (i, column), score in sorted(scores.items(), key=lambda entry: -entry[1]):
        if (
            i in found
            or column in [new for new, _ in found.values()]
            or not _same_answers(wanted[i], column, wave, before)
        ):
            continue
        rivals = [s for (j, other), s in scores.items() if (j == i) != (other == column) and s > score - TIE]
        found[i] = (column, not rivals)
    return found


def _likeness(pair: _Pair, column: _Column) -> float:
    """How near two columns are by wording or header, from 0 to 1; headers that differ only in a number are not near."""
    headers = (pair.old.header,) if pair.old else pair.variable.headers
    wording = pair.old.wording if pair.old else pair.variable.title
    likeness = [_alike(wording, column.wording)] if wording and column.wording else []
    if likeness and not any(_is_wording(header) for header in (*headers, column.header)):
        return likeness[0]
    likeness += [_alike(header, column.header) for header in headers if _words(header) != _words(column.header)]
    likeness += [1.0 for header in headers if normalize(header) == normalize(column.header)]
    return max(likeness, default=0.0)


def _is_wording(header: str) -> bool:
    return len(header) > LONG_HEADER or " " in header


def _words(header: str) -> str:
    return re.sub(r"\d+", "#", normalize(header))


def _alike(one: str, other: str) -> float:
    """Similarity of two wordings; of two rows of one matrix question only the rows are compared."""
    one, other = _different_part(one, other)
    return SequenceMatcher(None, normalize(one), normalize(other), autojunk=False).ratio()


def _same_answers(pair: _Pair, column: _Column, wave: _Wave, before: _Wave | None) -> bool:
    """Say whether a column could hold the answers of an absent one: most are known, or were given before."""
    if pair.variable is not None and pair.variable.kind in NOT_COUNTED:
        return True
    now = wave.answers(column.header)
    if now.empty:
        return True
    known = pd.Series(False, index=now.index)
    if pair.variable is not None:
        known = ~now.index.isin(wave.unknown(pair.variable, column.header).index)
    elif pair.old is not None and before is not None:
        then = before.answers(pair.old.header)
        numeric = _form(then) == _form(now) != "words"
        known = np.array([numeric or fold(word) in {fold(old) for old in then.index} for word in now.index])
    return bool(now[known].sum() >= SPELLING * now.sum())


def _renamed(pair: _Pair, *, sure: bool) -> _Change:
    old = pair.old.header if pair.old else pair.variable.column
    former = list(dict.fromkeys([*pair.variable.former_columns, old])) if pair.old and pair.variable else []
    line = f"column: {_quoted(pair.new.header)}" + (f", former_columns: {_quoted(former)}" if former else "")
    if pair.variable is None:
        return _Change(pair.term, "dropped", old, pair.new.header, repair="Nothing: it seems renamed and is not used.")
    if sure:
        return _Change(pair.term, "renamed", old, pair.new.header, repair=f'Under "name: {pair.term}" write {line}')
    doubt = f'Cannot tell: another column is as near. If it is this one, write under "name: {pair.term}" {line}'
    return _Change(pair.term, "perhaps renamed", old, pair.new.header, repair=doubt)


def _absent(pair: _Pair, *, was_there: bool) -> _Change:
    if pair.variable is None:
        return _Change(pair.term, "dropped", pair.old.header, repair="Nothing: the codebook does not use it.")
    repair = (
        "The previous wave has it: export this wave again with the question, or take the variable out of codebook.yml."
        if was_there
        else 'Correct "column:", or take the variable out of codebook.yml.'
    )
    return _Change(pair.term, "not in the export", pair.old.header if pair.old else pair.variable.column, repair=repair)


def _added(column: _Column, export: Export, codebook: Codebook) -> _Change:
    """A column that nobody asked for, with a line that takes it in."""
    answers = _Wave(export, codebook, Privacy().min_n).answers(column.header)
    words = {fold(word) for word in answers.index}
    scales = [
        key for key, categories in codebook.answer_scales.items()
        if words and words <= {fold(word) for category in categories for word in _spellings(category)}
    ]  # fmt: skip
    form = _form(answers)
    kind = f"item, categories: {scales[0]}" if scales else {"numbers": "number", "dates": "date"}.get(form, "text")
    name = re.sub(r"\W+", "_", normalize(column.header)).strip("_")[:40] or "column"
    title = f", title: {_quoted(column.wording)}" if column.wording else ""
    line = f"- {{name: {name}, column: {_quoted(column.header)}{title}, kind: {kind}}}"
    return _Change(column.header, "added", "", column.header, repair=f"To use it, write under variables: {line}")


# ---- what is in the columns ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Wave:
    """The different answers of each column of an export, with the number of rows that hold them."""

    export: Export
    codebook: Codebook
    min_n: int
    known: dict[str, pd.Series] = field(default_factory=dict)

    def answers(self, header: str) -> pd.Series:
        """Answer to number of rows, empty cells left out."""
        if header not in self.known:
            counts = self.export.cells[header].value_counts(sort=False)
            counts = counts[counts > 0]
            counts.index = counts.index.astype(object).str.strip() if len(counts) else counts.index.astype(object)
            counts = counts[counts.index != ""]
            self.known[header] = counts.groupby(level=0).sum() if counts.index.has_duplicates else counts
        return self.known[header]

    def read(self, variable: Variable, header: str) -> tuple[pd.Series, np.ndarray]:
        """The value of each different answer, and whether the codebook does not know it; as the decoder reads them."""
        answers = self.answers(header)
        lenient = variable.model_copy(update={"unknown_codes": "missing", "column": header, "former_columns": ()})
        cells = pd.DataFrame({header: answers.index}, dtype="str")
        single = Codebook(title="one", missing=self.codebook.missing, variables=(lenient,))
        survey = decode(replace(self.export, cells=cells, duplicates=()), single)
        rows = survey.missing.loc[survey.missing["reason"] == UNKNOWN, "row"]
        values = survey.answers.iloc[:, 0].set_axis(answers.index)
        return values, np.isin(np.arange(len(answers)), rows.to_numpy(int))

    def unknown(self, variable: Variable, header: str) -> pd.Series:
        """Answers the codebook does not know, with their rows."""
        answers = self.answers(header)
        if variable.kind in ("number", "weight") and self.export.decimal == ".":
            return self._no_numbers(variable, header, answers)
        return answers if answers.empty else answers[self.read(variable, header)[1]]

    def _no_numbers(self, variable: Variable, header: str, answers: pd.Series) -> pd.Series:
        """Of a column with very many different numbers only those that are not plain are read one by one."""
        numbers = pd.to_numeric(pd.Series(answers.index, dtype=object), errors="coerce").to_numpy(float)
        low, high = variable.constraints.minimum, variable.constraints.maximum
        plain = (numbers >= (-MOST if low is None else low)) & (numbers <= (MOST if high is None else high))
        doubtful = answers[~plain]
        if doubtful.empty:
            return doubtful
        return doubtful[_Wave(self.export, self.codebook, self.min_n, {header: doubtful}).read(variable, header)[1]]

    def may_quote(self, answer: str, n: int, variable: Variable) -> bool:
        """Say whether an answer can be nobody's own words and, if it is no short code, was given by many."""
        return may_quote(answer, variable) and (n >= self.min_n or bool(SHORT_CODE.fullmatch(answer)))

    def quote(self, answers: pd.Series, variable: Variable) -> str:
        """Name answers that may be quoted; the others are not shown."""
        shown = [word for word, n in answers.items() if self.may_quote(word, n, variable)]
        shown = sorted(shown, key=lambda word: (not SHORT_CODE.fullmatch(word), float_or_zero(word), word))
        texts = [f'"{word}"' for word in shown[:MOST_SHOWN]]
        more = [f"{len(shown) - MOST_SHOWN} more"] if len(shown) > MOST_SHOWN else []
        return join_words([*texts, *more, *(["text not shown"] if len(shown) < len(answers) else [])])


def fold(answer: str) -> str:
    """Fold spellings of one answer; numbers by their value.

    >>> fold("4.0"), fold(" Agree. ")
    ('4', 'agree')
    """
    return f"{float(answer.replace(',', '.')):g}" if NUMBER.fullmatch(answer) else normalize(answer)


def _spellings(category: Category) -> tuple[str, ...]:
    return (category.value, category.label, *category.aliases)


def _form(answers: pd.Series) -> str:
    """What the answers are made of: numbers, dates or words; empty if there is none."""
    words = answers.index
    if not len(words):
        return ""
    numbers = pd.to_numeric(pd.Series(words, dtype=object).str.replace(",", "."), errors="coerce")
    if np.isfinite(numbers.to_numpy(float)).all():
        return "numbers"
    return "dates" if all(re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", word) for word in words) else "words"


def _compare(pair: _Pair, wave: _Wave, before: _Wave | None) -> Iterator[_Change]:
    """All that differs in one column."""
    if pair.new is None:
        return
    if pair.old is not None:
        yield from _compare_wording(pair, wave, before)
    if pair.variable is None:
        yield from _compare_form(pair, wave, before) if pair.old is not None else ()
    elif pair.variable.kind not in NOT_COUNTED:
        yield from _compare_answers(pair, wave, before)


def _compare_wording(pair: _Pair, wave: _Wave, before: _Wave) -> Iterator[_Change]:
    old, new = pair.old, pair.new
    then, now = _different_part(old.wording, new.wording)
    if not old.wording or not new.wording or normalize(old.wording) == normalize(new.wording):
        return
    moved = [
        n for n, text in wave.export.labels.items() if n != new.header and normalize(text) == normalize(old.wording)
    ]
    line = f"column: {_quoted(moved[0])}" if moved else ""
    if len(moved) == 1 and pair.variable is not None and old.header == new.header:
        repair = f'Its wording now stands over {_quoted(moved[0])}. Under "name: {pair.term}" write {line}'
        yield _Change(pair.term, "in another column", then, now, repair=repair)
    elif _alike(old.wording, new.wording) < OTHER_QUESTION and pair.variable is not None:
        repair = "Cannot tell whether it still asks the same. If not, give the new question a variable of its own."
        yield _Change(pair.term, "perhaps another question", then, now, repair=repair)
    else:
        yield _Change(pair.term, "wording edited", then, now, repair="Decide whether it still asks the same.")


def _different_part(one: str, other: str) -> tuple[str, str]:
    """Two wordings; of rows of one question only the rows."""
    (stem, row), (other_stem, other_row) = split_title(one), split_title(other)
    return (row, other_row) if stem and normalize(stem) == normalize(other_stem) else (one, other)


def _compare_form(pair: _Pair, wave: _Wave, before: _Wave) -> Iterator[_Change]:
    then, now = (_form(side.answers(column.header)) for side, column in ((before, pair.old), (wave, pair.new)))
    if then and now and then != now:
        yield _Change(pair.term, "type changed", then, now, repair="Nothing: the codebook does not use it.")


def _compare_answers(pair: _Pair, wave: _Wave, before: _Wave | None) -> Iterator[_Change]:
    variable, header = pair.variable, pair.new.header
    now = wave.answers(header)
    unknown = wave.unknown(variable, header)
    yield from _declared_otherwise(variable, wave.export.choices.get(header, {}))
    if len(unknown):
        yield _explain(variable, header, unknown, wave)
    if before is None or pair.old is None:
        return
    then = before.answers(pair.old.header)
    forms = _form(then), _form(now)
    if not len(unknown) and set(forms) == {"numbers", "words"}:
        status = "words instead of codes" if forms[1] == "words" else "codes instead of words"
        yield _Change(pair.term, status, *forms, repair=LOOK_UP if forms[1] == "numbers" else "Nothing to write.")
    yield from _gone(pair, wave, before)
    if variable.kind == "item" and not len(unknown) and forms[1] == "numbers":
        yield from _perhaps_reversed(pair, wave, before)


def _declared_otherwise(variable: Variable, choices: Mapping[str, str]) -> Iterator[_Change]:
    """Codes to which the export itself gives the words of another answer than the codebook does."""
    means = {fold(word): category for category in variable.categories for word in (category.label, *category.aliases)}
    codes = {fold(category.value): category for category in variable.categories}
    wrong = [
        (codes[fold(code)], means[fold(label)]) for code, label in choices.items()
        if fold(code) in codes and means.get(fold(label), codes[fold(code)]) is not codes[fold(code)]
    ]  # fmt: skip
    if wrong:
        old = join_words([f"{category.value} = {category.label}" for category, _ in wrong[:MOST_SHOWN]])
        new = join_words([f"{category.value} = {other.label}" for category, other in wrong[:MOST_SHOWN]])
        repair = (
            "The export declares other words for these codes. Export it as choice text, or recode it before reading."
        )
        yield _Change(variable.name, "codes mean other answers", old, new, repair=repair)


def _explain(variable: Variable, header: str, unknown: pd.Series, wave: _Wave) -> _Change:
    """Say what unknown answers could be, and what to write."""
    n, name = float(unknown.sum()), variable.name
    for explain in (_shifted, _recoded, _other_language, _misspelled):
        found = explain(variable, header, unknown, wave) if variable.categories else None
        if found:
            status, old, new, repair = found
            return _Change(name, status, old, new, n, repair)
    codes = [word for word in unknown.index if SHORT_CODE.fullmatch(word)]
    shown = wave.quote(unknown, variable)
    old = join_words([category.value for category in variable.categories[:12]]) if codes else ""
    return _Change(name, "answers not in the codebook", old, shown, n, _new_answer_line(variable, unknown, wave))


def _new_answer_line(variable: Variable, unknown: pd.Series, wave: _Wave) -> str:
    under = f'Under "name: {variable.name}" write'
    known = [word for word, n in unknown.items() if wave.may_quote(word, n, variable)]
    words = known[:MOST_SHOWN]
    if variable.kind not in CHOSEN or not words:
        own = "kind: text if people wrote their own words there, else " if variable.kind in CHOSEN else ""
        return f"{under} {own}unknown_codes: missing, or add the answers to its categories."
    if len(words) > 2:
        line = f'Under "name: {variable.name}" add each to the aliases of an answer, or to missing: with its reason.'
    else:
        missing = ", ".join(f'{_quoted(word)}: "why"' for word in words)
        value = words[0] if variable.kind != "item" or NUMBER.fullmatch(words[0]) else "CODE"
        answer = f"{{value: {_quoted(value)}, label: {_quoted(words[0])}}}"
        line = f"{under} missing: {{{missing}}}, or add to its categories: - {answer}"
    return line if len(known) == len(unknown) else f"{line}. If people wrote their own words there, write kind: text."


Explanation = tuple[str, str, str, str]


def _numbers(words: Collection[str]) -> list[float] | None:
    """The answers as whole numbers in order; None if one is no short code."""
    if not len(words) or not all(SHORT_CODE.fullmatch(word) for word in words):
        return None
    numbers = sorted({float(word.replace(",", ".")) for word in words})
    return numbers if all(number.is_integer() for number in numbers) else None


def _codes_of(variable: Variable, header: str, unknown: pd.Series, wave: _Wave) -> tuple[list, list] | None:
    """Codes as declared and as observed (missing codes left out), if all are numbers and there are at least three."""
    declared = _numbers([category.value for category in variable.categories])
    values, _ = wave.read(variable, header)
    used = wave.answers(header)[[w in unknown.index or pd.notna(value) for w, value in values.items()]]
    coded = used[[bool(NUMBER.fullmatch(word)) for word in used.index]]
    strange = any(NUMBER.fullmatch(word) for word in unknown.index)
    observed = _numbers(coded.index) if strange and coded.sum() >= SPELLING * used.sum() else None
    return (declared, observed) if declared and observed and len(observed) >= 3 else None


def _shifted(variable: Variable, header: str, unknown: pd.Series, wave: _Wave) -> Explanation | None:
    """All codes stand the same number of steps beside the declared ones."""
    codes = _codes_of(variable, header, unknown, wave)
    if not codes:
        return None
    declared, observed = codes
    near = [d for d in (-1, 1) if {code - d for code in observed} <= set(declared)]
    if len(near) != 1 or len(declared) < 3:
        return None
    full = len(observed) == len(declared)
    doubt = "" if full else "Cannot tell for sure: not all codes occur. "
    repair = (
        f"{doubt}Export it as choice text or with the codes {_range(declared)}; do not change the codebook, "
        "or the same code would mean two answers in two waves."
    )
    return "coding shifted", _range(declared), _range(observed), repair


def _recoded(variable: Variable, header: str, unknown: pd.Series, wave: _Wave) -> Explanation | None:
    """As many codes as declared, with other numbers: which means which can only be taken from their order."""
    codes = _codes_of(variable, header, unknown, wave)
    if not codes or len(codes[0]) != len(codes[1]):
        return None
    declared, observed = codes
    by_value = {float_or_zero(category.value): category for category in variable.categories}
    clash = any(
        code in by_value and by_value[code] is not by_value[own] for own, code in zip(declared, observed, strict=True)
    )
    lines = ", ".join(
        f"{{value: {own:g}, label: {_quoted(by_value[own].label)}, aliases: [{_quoted(f'{code:g}')}]}}"
        for own, code in zip(declared, observed, strict=True)
    )
    repair = (
        f"Cannot tell the order. Export it as choice text or with the codes {_range(declared)}."
        if clash
        else f"Cannot tell the order; if it is the same, write categories: [{lines}]"
    )
    return "recoded", _range(declared), _range(observed), repair


def _other_language(variable: Variable, header: str, unknown: pd.Series, wave: _Wave) -> Explanation | None:
    """Words of a known answer scale that has as many steps as the codebook's."""
    words = [word for word in unknown.index if not NUMBER.fullmatch(word)]
    places = agreement_places(words) if len(words) == len(unknown) else None
    own = agreement_places([category.label for category in variable.categories])
    if places is None or own is None or set(places.values()) - set(own.values()):
        return None
    label_at = {own[category.label]: category.label for category in variable.categories}
    words = sorted(words, key=lambda word: places[word])
    lines = ", ".join(f"{_quoted(label_at[places[word]])}: aliases: [{_quoted(word)}]" for word in words)
    return "other language", join_words(list(own)), join_words(words), f"Add to its categories {lines}"


def _misspelled(variable: Variable, header: str, unknown: pd.Series, wave: _Wave) -> Explanation | None:
    """Every unknown answer is near to one label."""
    labels = {normalize(word): category for category in variable.categories for word in _spellings(category)[1:]}
    near = {word: get_close_matches(normalize(word), labels, n=1, cutoff=SPELLING) for word in unknown.index}
    if not all(near.values()) or variable.kind == "multi-select":
        return None
    shown = [word for word, n in unknown.items() if wave.may_quote(word, n, variable)]
    known = {labels[match[0]].label for match in near.values()}
    lines = ", ".join(f"{_quoted(labels[near[w][0]].label)}: aliases: [{_quoted(w)}]" for w in shown)
    repair = f"Add to its categories {lines}" if shown else "Add the spelling to the aliases of the answer."
    return "spelled differently", join_words(sorted(known)), wave.quote(unknown, variable), repair


def _gone(pair: _Pair, wave: _Wave, before: _Wave) -> Iterator[_Change]:
    """Answers that many gave before and nobody gives now; a change between codes and words is none."""
    if pair.variable.kind not in ("item", "category", "unit"):
        return
    now, then = wave.answers(pair.new.header), before.answers(pair.old.header)
    if now.empty or then.empty:
        return
    values, unknown = before.read(pair.variable, pair.old.header)
    current = set(wave.read(pair.variable, pair.new.header)[0].dropna())
    lost = then[values.notna().to_numpy() & ~unknown & ~values.isin(current).to_numpy()]
    lost = lost[lost >= max(before.min_n, 0.05 * then.sum())]
    if len(lost):
        yield _Change(
            pair.term,
            "answers gone",
            before.quote(lost, pair.variable),
            "",
            repair="Decide whether the answer was still offered.",
        )


def _perhaps_reversed(pair: _Pair, wave: _Wave, before: _Wave) -> Iterator[_Change]:
    """The same codes, but distributed as if the scale had been turned round."""
    shares = []
    for side, column in ((before, pair.old), (wave, pair.new)):
        values, counts = side.read(pair.variable, column.header)[0], side.answers(column.header)
        codes = sorted(float(category.value) for category in pair.variable.categories)
        table = counts.groupby(values.to_numpy()).sum().reindex(codes, fill_value=0).to_numpy(float)
        if table.sum() < ENOUGH:
            return
        shares.append(table / table.sum())
    then, now = shares
    apart, turned = np.abs(now - then).sum() / 2, np.abs(now - then[::-1]).sum() / 2
    if apart >= 0.3 and turned <= apart / 3:
        yield _Change(
            pair.term, "perhaps reversed", _range(codes), _range(codes[::-1]), repair=f"Cannot tell. {LOOK_UP}"
        )


def _moved(pairs: Sequence[_Pair], export: Export, previous: Export) -> list[_Change]:
    """Columns that stand in another order than before; reading finds them by name all the same."""
    both = {pair.new.header: pair for pair in pairs if pair.old and pair.new}
    places = {name: i for i, name in enumerate(previous.cells.columns)}
    order = [name for name in export.cells.columns if name in both]
    keep = _longest_rise([places[both[name].old.header] for name in order])
    moved = [name for i, name in enumerate(order) if i not in keep]
    if len(moved) > MOST_MOVED:
        return [
            _Change("(all columns)", "moved", "", f"{len(moved)} of {len(order)}", repair="Nothing: found by name.")
        ]
    return [
        _Change(both[n].term, "moved", f"after {_quoted(_neighbor(previous, both[n].old.header))}",
                f"after {_quoted(_neighbor(export, n))}", repair="Nothing: found by name.")
        for n in moved
    ]  # fmt: skip


def _neighbor(export: Export, header: str) -> str:
    place = list(export.cells.columns).index(header)
    return export.cells.columns[place - 1] if place else ""


def _longest_rise(numbers: Sequence[int]) -> set[int]:
    """Positions of a longest rising run within a sequence.

    >>> sorted(_longest_rise([0, 3, 1, 2]))
    [0, 2, 3]
    """
    tails: list[int] = []
    before: list[int] = []
    for i, number in enumerate(numbers):
        place = int(np.searchsorted([numbers[t] for t in tails], number))
        before.append(tails[place - 1] if place else -1)
        tails[place : place + 1] = [i]
    kept, at = set(), tails[-1] if tails else -1
    while at >= 0:
        kept.add(at)
        at = before[at]
    return kept


def _range(codes: Sequence[float]) -> str:
    steps = np.abs(np.diff(codes))
    whole = bool(len(codes) > 2 and np.all(steps == 1))
    return f"{codes[0]:g} to {codes[-1]:g}" if whole else join_words([f"{code:g}" for code in codes])


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
