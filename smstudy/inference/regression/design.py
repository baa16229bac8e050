"""From a formula and a frame to numbers: the outcome, the design matrix, and groups too small to be told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import join_words, plural
from smstudy.errors import ColumnError, DataError, DisclosureError, did_you_mean
from smstudy.inference.regression.formula import Factor, Formula, Term, term_label
from smstudy.result import Finding

Array = NDArray[np.float64]
Part = tuple[str, str]
INTERCEPT = "(intercept)"
POOLED = "(small groups)"
ROUNDING = 1e-13
SMALLEST, LARGEST = 1e-50, 1e50
CONSTANT = "What does not vary explains nothing and cannot be explained: choose another column."
TRANSFORMS: dict[str, Callable[[Array], Array]] = {
    "": lambda values: values,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "square": lambda values: values**2,
    "cube": lambda values: values**3,
    "center": lambda values: values - values.mean(),
    "scale": lambda values: (values - values.mean()) / values.std(ddof=1),
}
LIMITS: dict[str, float] = {"log": np.nextafter(0.0, 1.0), "log1p": np.nextafter(-1.0, 0.0), "sqrt": 0.0}
BELOW: dict[str, str] = {"log": "above 0", "log1p": "above -1", "sqrt": "of at least 0"}


@dataclass(frozen=True, kw_only=True)
class Levels:
    """A column as categories.

    Attributes
    ----------
    names : tuple of str
        Levels in order, the reference among them; pooled levels are one, called "(small groups)", at the end.
    codes : integer array, shape (n,)
        Number of each respondent's level.
    reference : int
        Number of the level others are compared with.
    pooled : tuple of str
        Levels that were put together because they have too few respondents.
    """

    names: tuple[str, ...]
    codes: NDArray[np.intp] = field(repr=False)
    reference: int
    pooled: tuple[str, ...] = ()

    @property
    def counts(self) -> NDArray[np.intp]:
        """Respondents per level; for computing, never to be shown."""
        return np.bincount(self.codes, minlength=len(self.names))


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a model is fitted to.

    Attributes
    ----------
    y : array, shape (n,)
        Outcome after its transformation; 0 or 1 for an outcome of two categories.
    x : array, shape (n, p)
        Design matrix.
    names : tuple of str, length p
        Readable names of the columns: "leadership", "unit[Sales]", "a:b", "(intercept)".
    parts : tuple of tuple of (str, str), length p
        Per column its factors, each with the level it stands for or "".
    terms : tuple of str, length p
        Term of the formula each column belongs to.
    numeric : tuple of bool, length p
        Whether the column is one number per respondent, neither constant, level nor product.
    controls : frozenset of str
        Terms made of C() alone.
    used : bool array, shape (rows of the frame,)
        Rows in which nothing needed is missing.
    n_dropped : int
        Rows left out because something needed is missing.
    levels : mapping
        Name of each categorical column to its levels.
    event : str
        Level of a two-category outcome that counts as 1; empty otherwise.
    """

    y: Array = field(repr=False)
    x: Array = field(repr=False)
    names: tuple[str, ...]
    parts: tuple[tuple[Part, ...], ...]
    terms: tuple[str, ...]
    numeric: tuple[bool, ...]
    controls: frozenset[str]
    used: NDArray[np.bool_] = field(repr=False)
    n_dropped: int
    levels: Mapping[str, Levels]
    event: str = ""
    findings: tuple[Finding, ...] = ()


def build_design(
    formula: Formula,
    frame: pd.DataFrame,
    *,
    min_level_n: int,
    also: Sequence[str] = (),
    by_answer: bool = False,
    by_event: bool = False,
) -> Design:
    """Turn a formula and a frame into numbers.

    Rows with a missing value in any column needed are left out. Text and categories get treatment coding as in R,
    with full coding where a margin is absent; the first level is the reference unless C(x, ref='...') names another.
    `center` and `scale` use the rows that remain. Levels with too few respondents are put together, because a
    coefficient plus the constant is the mean of a level. So are levels in which all have the same outcome, because
    their mean is the answer of each. Where the outcome has two values the mean is the share of one of them, from which
    the number of people follows; then levels need enough respondents with each value.

    Parameters
    ----------
    formula : Formula
        From `parse_formula`.
    frame : DataFrame
        One row per respondent.
    min_level_n : int
        Fewest respondents of a level, or of a combination of levels, that may have a coefficient of its own.
    also : sequence of str
        Further columns that must not be missing, such as the clusters.
    by_answer : bool
        Whether every value of the outcome is an answer of its own, so that levels need enough respondents with each.
    by_event : bool
        Whether the outcome counts events, so that levels need enough respondents with an event: a mean of few who have
        any tells how often. With `by_answer`, levels need enough without an event, too, unless nobody is without.

    Returns
    -------
    Design

    Raises
    ------
    DataError
        If a column is unknown, not a number or category, constant, or outside what its function allows, or if no
        complete row remains.
    DisclosureError
        If fewer than `min_level_n` complete rows remain, or if levels that must not be pooled (of a number with two
        values, or combined in an interaction) have too few respondents, in all or with one of the answers, or one
        outcome only.

    References
    ----------
    Chambers & Hastie (1992), Statistical Models in S, chapter 2. Agrees with R `model.matrix`.
    """
    needed = list(dict.fromkeys([*formula.columns, *also]))
    used = _complete(frame, needed, min_level_n)
    complete = frame.loc[used, needed].infer_objects()
    y, event = _outcome(formula.outcome, complete[formula.outcome.column])
    few = _few(y, min_level_n, by_answer=by_answer, by_event=by_event)
    coded = {factor: _code(factor, complete[factor.column], few) for factor in formula.factors}
    for term in formula.terms:
        _refuse_small_cells(term, coded, few)
    columns = list(_columns(formula, coded, len(complete)))
    levels = {factor.column: part for factor, part in coded.items() if isinstance(part, Levels)}
    return Design(
        y=y,
        x=np.column_stack([column.values for column in columns]) if columns else np.empty((len(y), 0)),
        names=tuple(column.name for column in columns),
        parts=tuple(column.parts for column in columns),
        terms=tuple(column.term for column in columns),
        numeric=tuple(column.numeric for column in columns),
        controls=frozenset(term_label(term) for term in formula.terms if all(f.transform == "C" for f in term)),
        used=used,
        n_dropped=int((~used).sum()),
        levels=levels,
        event=event,
        findings=tuple(_pooled_finding(name, part, few) for name, part in levels.items() if part.pooled),
    )


@dataclass(frozen=True)
class _Column:
    parts: tuple[Part, ...]
    term: str
    values: Array
    numeric: bool = False

    @property
    def name(self) -> str:
        return ":".join(f"{factor}[{level}]" if level else factor for factor, level in self.parts)


class _Few(NamedTuple):
    """Fewest respondents something may be said about, their outcomes, and the numbers of the answers that count.

    `answers` is below 0 for respondents whose answer does not count, and `having` says what those who count have.
    """

    min_n: int
    y: Array
    answers: NDArray[np.intp]
    having: str = ""

    def counts(self, codes: NDArray[np.intp], n_groups: int) -> NDArray[np.intp]:
        """Respondents of each group with each answer, shape (groups, answers)."""
        k, counted = int(self.answers.max()) + 1, self.answers >= 0
        cells = codes[counted] * k + self.answers[counted]
        return np.bincount(cells, minlength=n_groups * k).reshape(n_groups, k)

    def closes(self, codes: NDArray[np.intp], n_groups: int) -> NDArray[np.bool_]:
        """Groups with too few respondents or one outcome only."""
        low, high = np.full(n_groups, np.inf), np.full(n_groups, -np.inf)
        np.minimum.at(low, codes, self.y)
        np.maximum.at(high, codes, self.y)
        return (self.counts(codes, n_groups) < self.min_n).any(axis=1) | (low == high)

    @property
    def what(self) -> str:
        """Who must not be few, in words."""
        return f"{self.min_n} respondents" + (f" with {self.having}" if self.having else "")


def _few(y: Array, min_n: int, *, by_answer: bool, by_event: bool) -> _Few:
    """What must not be told of few; single answers count only where their number follows from an estimate."""
    two, nobody = _discrete(y), np.zeros(len(y), dtype=np.intp)
    if by_event and two is None:
        without = y == 0
        if not without.any():
            return _Few(min_n, y, nobody)
        return _Few(min_n, y, np.where(without, 1 if by_answer else -1, 0),
                    "and without an event" if by_answer else "an event")  # fmt: skip
    answers = np.unique(y, return_inverse=True)[1].astype(np.intp) if by_answer and not by_event else two
    if answers is None:
        return _Few(min_n, y, nobody)
    if np.bincount(answers).min() < min_n:
        which = "gave one of the answers" if by_answer and not by_event else "have the rarer outcome"
        raise DisclosureError(
            f"Fewer than {min_n} respondents {which}; estimates would describe single persons. Merge answers by what "
            "they mean, or choose another outcome."
        )
    return _Few(min_n, y, answers, "each answer")


def _complete(frame: pd.DataFrame, needed: Sequence[str], min_n: int) -> NDArray[np.bool_]:
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"The data must be a Survey or a DataFrame, not {type(frame).__name__}.")
    for name in needed:
        if name == INTERCEPT:
            raise DataError(f'No column may be called "{INTERCEPT}": this is the constant of the model. Rename it.')
        if name not in frame:
            raise ColumnError(f'There is no column "{name}". {did_you_mean(name, map(str, frame.columns))}')
        if isinstance(frame[name], pd.DataFrame):
            raise DataError(f'Two columns are called "{name}". Rename one of them.')
    words = join_words([f'"{name}"' for name in needed])
    used = frame[list(needed)].notna().all(axis=1).to_numpy()
    if not used.any():
        raise DataError(f"No row has an answer in all of {words}. Name columns that were answered together.")
    if used.sum() < min_n:
        raise DisclosureError(
            f"Fewer than {min_n} respondents have an answer in all of {words}. A model of so few would describe single "
            "persons: name fewer columns, or wait for more answers."
        )
    return used


def _outcome(factor: Factor, column: pd.Series) -> tuple[Array, str]:
    if _is_number(column):
        y = _numbers(factor, column)
        if _constant(y):
            raise DataError(f'The outcome "{factor.column}" has the same value in all complete rows. {CONSTANT}')
        return y, ""
    _refuse_unusable(column)
    names, codes = _observed(column)
    if len(names) != 2 or factor.transform:
        raise DataError(
            f'The outcome "{factor.column}" is text with {plural(len(names), "level")}. '
            "An outcome must be a number or have exactly two levels."
        )
    return codes.astype(float), names[1]


def _code(factor: Factor, column: pd.Series, few: _Few) -> Array | Levels:
    if factor.transform != "C" and _is_number(column):
        values = _numbers(factor, column)
        if _constant(values):
            raise DataError(f'"{factor.column}" has the same value in all complete rows. {CONSTANT}')
        return values
    _refuse_unusable(column)
    if factor.transform not in ("", "C"):
        raise DataError(f'{factor.label} needs numbers, but "{factor.column}" is text. Use the column itself or C().')
    names, codes = _observed(column)
    if len(names) < 2:
        raise DataError(f'"{factor.column}" has one level only in all complete rows. {CONSTANT}')
    return _pool(factor, names, codes, few)


def _constant(values: Array) -> bool:
    """Whether numbers differ by rounding at most."""
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype)


def _refuse_unusable(column: pd.Series) -> None:
    if column.dtype.kind in "mM" or isinstance(column.dtype, pd.PeriodDtype):
        raise DataError(f'"{column.name}" is a date or time. Turn it into a number, such as years, first.')
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    if not _is_number(pd.Series(values)) and not all(isinstance(value, (str, int, float, bool)) for value in values):
        raise DataError(f'"{column.name}" holds values that are neither numbers nor text. Recode it first.')


def _numbers(factor: Factor, column: pd.Series) -> Array:
    if column.dtype.kind == "c":
        raise DataError(f'"{factor.column}" holds complex numbers. Give real ones.')
    values = column.to_numpy(dtype=float)
    if not np.isfinite(values).all():
        raise DataError(f'"{factor.column}" holds infinite values. Correct them or set them missing.')
    if values.any() and not SMALLEST < np.abs(values).max() < LARGEST:
        raise DataError(f'"{factor.column}" holds numbers beyond computing. Use another unit, or set errors missing.')
    if factor.transform in LIMITS and (values < LIMITS[factor.transform]).any():
        needs = BELOW[factor.transform]
        raise DataError(f"{factor.label} needs values {needs}, and some are not. Use another function.")
    if factor.transform == "scale" and _constant(values):
        return np.zeros_like(values)
    return TRANSFORMS[factor.transform](values)


def _observed(column: pd.Series) -> tuple[list[str], NDArray[np.intp]]:
    """Levels that occur, in their declared or sorted order, and the number of each respondent's level."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return [_word(value) for value in column.cat.categories], column.cat.codes.to_numpy().astype(np.intp)
    values = column if _is_number(column) else column.map(_word)
    found, codes = np.unique(values.to_numpy(dtype=float if _is_number(column) else str), return_inverse=True)
    return [_word(value) for value in found.tolist()], codes.astype(np.intp)


def _word(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _pool(factor: Factor, names: list[str], codes: NDArray[np.intp], few: _Few) -> Levels:
    """Put levels of which too much would be told together, and the next smallest until the pool tells little.

    What tables hide together is in the pool as a whole, so that the two do not tell it apart.
    """
    closed = few.closes(codes, len(names))
    closed |= closed.any() & np.array([name == POOLED for name in names])
    rising = np.lexsort((few.counts(codes, len(names)).min(axis=1), ~closed))
    size = int(closed.sum())
    while 0 < size < len(names) and few.closes(np.isin(codes, rising[:size]).astype(np.intp), 2)[1]:
        size += 1
    if size >= len(names):
        raise DisclosureError(
            f'"{factor.column}" has no two levels of at least {few.what} and more than one outcome each, so none may '
            "have a coefficient. Merge levels by what they mean, or leave the column out."
        )
    pool = set(rising[:size].tolist())
    kept = [place for place in range(len(names)) if place not in pool]
    place_of = {old: new for new, old in enumerate(kept)}
    new_names = tuple([names[place] for place in kept] + ([POOLED] if pool else []))
    recoded = np.array([place_of.get(place, len(kept)) for place in range(len(names))], dtype=np.intp)[codes]
    pooled = tuple(names[place] for place in sorted(pool))
    return Levels(names=new_names, codes=recoded, reference=_reference(factor, new_names), pooled=pooled)


def _reference(factor: Factor, names: tuple[str, ...]) -> int:
    if factor.reference is None:
        return 0
    if factor.reference not in names:
        raise DataError(
            f'"{factor.column}" has no level "{factor.reference}" that may be shown on its own. '
            f"{did_you_mean(factor.reference, names)}"
        )
    return names.index(factor.reference)


def _pooled_finding(name: str, levels: Levels, few: _Few) -> Finding:
    return Finding(
        name="levels_pooled",
        text=f'{plural(len(levels.pooled), "level")} of "{name}" were put together as "{POOLED}", because at least one '
        f"of them does not have {few.what}, or all of its respondents have the same outcome.",
        severity="info",
    )


def _refuse_small_cells(term: Term, coded: Mapping[Factor, Array | Levels], few: _Few) -> None:
    """Refuse a term from which the mean of too few respondents could be computed."""
    coded_term = [coded[factor] for factor in term]
    codes = [_discrete(part) for part in coded_term]
    discrete = [found for found in codes if found is not None]
    continuous = [part for part, found in zip(coded_term, codes, strict=True) if found is None]
    cell = _cells(discrete, len(codes[0] if codes[0] is not None else continuous[0]))
    checked = [*continuous, np.prod(continuous, axis=0)] if len(continuous) > 1 else continuous
    parts = [values[cell == place] for values in checked for place in range(cell.max() + 1)]
    told = bool(discrete) and few.closes(cell, cell.max() + 1).any()
    if told or len(cell) < few.min_n or any(_singles_out(part, few.min_n) for part in parts):
        which = " with one of the answers" if few.having == "each answer" else f" with {few.having}" * bool(few.having)
        raise DisclosureError(
            f'The coefficient of "{term_label(term)}" would describe fewer than {few.min_n} respondents or give the '
            f"outcome of each: too few have one of its values or combinations{which}, or all of them have the same "
            "outcome. Merge values by what they mean, or leave the term out."
        )


def _cells(discrete: Sequence[NDArray[np.intp]], n: int) -> NDArray[np.intp]:
    """Number of each respondent's combination of levels."""
    if not discrete:
        return np.zeros(n, dtype=np.intp)
    return np.unique(np.column_stack(discrete), axis=0, return_inverse=True)[1].ravel()


def _discrete(part: Array | Levels) -> NDArray[np.intp] | None:
    """Codes of levels, also of a number that has two values only; None for other numbers."""
    if isinstance(part, Levels):
        return part.codes
    return (part == part.max()).astype(np.intp) if np.isin(part, (part.min(), part.max())).all() else None


def _singles_out(values: Array, min_n: int) -> bool:
    """Whether all but a few respondents share one value."""
    others = len(values) - np.unique(values, return_counts=True)[1].max()
    return 0 < others < min_n


def _columns(formula: Formula, coded: Mapping[Factor, Array | Levels], n: int) -> Iterator[_Column]:
    if formula.intercept:
        yield _Column(((INTERCEPT, ""),), INTERCEPT, np.ones(n))
    full = _full_coding(formula, coded)
    for term in formula.terms:
        label = term_label(term)
        parts = [_parts(factor, coded[factor], full=(term, factor) in full) for factor in term]
        numeric = len(term) == 1 and not isinstance(coded[term[0]], Levels)
        for choice in product(*reversed(parts)):
            names, values = zip(*reversed(choice), strict=True)
            yield _Column(names, label, np.prod(values, axis=0), numeric)


def _parts(factor: Factor, part: Array | Levels, *, full: bool) -> list[tuple[Part, Array]]:
    if not isinstance(part, Levels):
        return [((factor.label, ""), part)]
    shown = [place for place in range(len(part.names)) if full or place != part.reference]
    return [((factor.column, part.names[place]), (part.codes == place).astype(float)) for place in shown]


def _full_coding(formula: Formula, coded: Mapping[Factor, Array | Levels]) -> set[tuple[Term, Factor]]:
    """Which factors get one column per level: those whose margin is absent, and the first if there is no constant."""
    known = {frozenset(term) for term in formula.terms}
    categorical = [(t, f) for t in formula.terms for f in t if isinstance(coded[f], Levels)]
    full = {(t, f) for t, f in categorical if len(t) > 1 and frozenset(t) - {f} not in known}
    return full | set(categorical[:1]) if not formula.intercept else full
