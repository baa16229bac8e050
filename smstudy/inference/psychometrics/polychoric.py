"""Correlations of the normal variables behind ordinal answers, all pairs at once, and their sampling covariance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError
from smstudy.inference.psychometrics.bivariate import (
    FAR,
    bivariate_density,
    normal_density,
    probability_grid,
    unlikely_rectangle,
)
from smstudy.inference.threads import one_thread

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Missing = Literal["pairwise", "listwise"]

MOST_CATEGORIES = 12
LEAST_ANSWERS = 10
LIMIT = 0.999
AT_LIMIT = 1e-6
TINY = 1e-6
SMALLEST_PROBABILITY = 1e-300
NO_INFORMATION = 1e-9
SETTLED = 1e-7
NEWTON_STEPS = 20
MAX_STEPS = 100
START_TERMS = 8
START_STEPS = 4
START_LIMIT = 0.95
BLOCK = 4096
MANY_PRODUCTS = 5e10
ADDED = 0.5


@dataclass(frozen=True)
class OrdinalSample:
    """Ordinal answers as codes.

    Attributes
    ----------
    names : tuple of str, length p
        Items.
    codes : ndarray of int8, shape (n, p)
        0 for the lowest category, and so on; -1 where the answer is missing.
    n_categories : ndarray, shape (p,)
        Categories of each item, at least 2.
    """

    names: tuple[str, ...]
    codes: Codes = field(repr=False)
    n_categories: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Respondents."""
        return len(self.codes)

    def keep(self, rows: NDArray[np.bool_]) -> OrdinalSample:
        """The same items and categories for some respondents, such as one group."""
        return OrdinalSample(self.names, self.codes[rows], self.n_categories)


@dataclass(frozen=True, kw_only=True)
class Polychorics:
    """Thresholds and polychoric correlations of p items.

    Pairs stand in the order (1, 2), (1, 3) … (1, p), (2, 3) …, as `np.triu_indices(p, 1)` and lavaan have it.

    Attributes
    ----------
    names : tuple of str, length p
        Items.
    n : int
        Respondents.
    thresholds : ndarray, shape (p, m)
        Cut points of each item on its normal variable, m of the item with the most; the others are padded with +inf.
    correlations : ndarray, shape (p, p)
        Ones in the diagonal.
    n_pairs : ndarray, shape (p, p)
        Respondents who answered both items; in the diagonal those who answered the item.
    tables : ndarray, shape (p(p - 1)/2, m + 1, m + 1)
        How often each combination of answers was given, by pair.
    n_empty : ndarray, shape (p(p - 1)/2,)
        Combinations of categories that nobody chose, by pair.
    boundary : ndarray of bool, shape (p(p - 1)/2,)
        Whether the likelihood still grows where the estimate stops, at 0.999 or -0.999.
    """

    names: tuple[str, ...]
    n: int
    thresholds: Floats = field(repr=False)
    correlations: Floats = field(repr=False)
    n_pairs: NDArray[np.int64] = field(repr=False)
    tables: Floats = field(repr=False)
    n_empty: NDArray[np.int64] = field(repr=False)
    boundary: NDArray[np.bool_] = field(repr=False)

    @property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and second item of each pair."""
        return np.triu_indices(len(self.names), 1)

    @property
    def n_thresholds(self) -> NDArray[np.int64]:
        """Thresholds of each item, shape (p,)."""
        return np.isfinite(self.thresholds).sum(axis=1)

    @property
    def statistics(self) -> Floats:
        """Thresholds item by item, then the correlations of all pairs: the order of `asymptotic_covariance`."""
        return np.concatenate([self.thresholds[np.isfinite(self.thresholds)], self.correlations[self.pairs]])

    @property
    def least_expected(self) -> Floats:
        """Respondents expected in the least likely cell that holds any, by pair; near 0 few carry the estimate."""
        one, other = self.pairs
        cells = _cells(self.tables, self.thresholds[one], self.thresholds[other], self.correlations[one, other])
        least = np.where(self.tables > 0, cells.probability, 1.0).min(axis=(1, 2))
        return self.tables.sum(axis=(1, 2)) * least


class _Cells(NamedTuple):
    """Probability of each cell of some tables, and its first two derivatives by the correlation; (pairs, K, K)."""

    probability: Floats
    slope: Floats
    bend: Floats


def ordinal_codes(frame: pd.DataFrame, *, missing: Missing = "pairwise") -> OrdinalSample:
    """Read answers as ordinal codes: the observed values of each item in their order are its categories.

    Parameters
    ----------
    frame : DataFrame, shape (n respondents, p items)
        Whole numbers; items may have different categories; answers may be missing.
    missing : {"pairwise", "listwise"}
        Keep all who answered an item, or only those who answered all.

    Returns
    -------
    OrdinalSample
        Rows without any answer are left out.

    Raises
    ------
    DataError
        If there are fewer than two items; an item has text, numbers with decimals, no answer, one category only or more
        than 12; or, listwise, fewer than 10 respondents answered all items.

    Examples
    --------
    >>> ordinal_codes(pd.DataFrame({"a": [1, 2, 5], "b": [0, None, 1]})).codes.tolist()
    [[0, 0], [1, -1], [2, 1]]
    """
    values = _whole_numbers(frame)
    answered = ~np.isnan(values)
    kept = answered.all(axis=1) if missing == "listwise" else answered.any(axis=1)
    if missing == "listwise":
        _refuse_incomplete(int(kept.sum()))
    names = tuple(map(str, frame.columns))
    found = [pd.factorize(column, sort=True) for column in values[kept].T]
    n_categories = np.array([len(categories) for _, categories in found])
    _refuse_categories(names, n_categories, answered[kept].sum(axis=0))
    return OrdinalSample(names, np.column_stack([codes for codes, _ in found]).astype(np.int8), n_categories)


def polychorics(sample: OrdinalSample) -> Polychorics:
    """Estimate thresholds and polychoric correlations in two steps.

    Thresholds come from the cumulative shares of each item (all who answered it), each correlation by maximum
    likelihood from the table of its pair (all who answered both) with the thresholds held, by Newton steps kept between
    -0.999 and 0.999 as in lavaan.

    Empty cells: one of a 2 x 2 table makes the likelihood grow without end; as lavaan does by default
    (`zero.add = c(0.5, 0)`, `zero.keep.margins`), half a respondent is moved there, margins kept. Those of larger
    tables stay empty, as in lavaan. Two of a 2 x 2 table give 0.999 or -0.999, where lavaan gives 1 or -1.

    Improbable answers: lavaan takes every probability below 1.5e-8 as 1.5e-8 and leaves such respondents out of the
    covariance. Here they count as they are, as in polycor. The two differ only for pairs that somebody answered against
    a high correlation; `least_expected` is near 0 there.

    Raises
    ------
    DataError
        If a category was chosen by nobody, fewer than 10 answered both items of a pair, or these all gave the same
        answer to one of the two.
    EstimationError
        If the search does not settle.

    References
    ----------
    Olsson (1979), Psychometrika 44, 443-460. Agrees with R lavaan::lavCor, polycor::polychor(ML = FALSE) and
    psych::polychoric(correct = 0) (tests/reference/polychoric.R).

    Examples
    --------
    >>> answers = pd.DataFrame({"a": [0] * 50 + [1] * 50, "b": [0] * 35 + [1] * 30 + [0] * 15 + [1] * 20})
    >>> polychorics(ordinal_codes(answers)).correlations.shape
    (2, 2)
    """
    tables, counts = _contingency(sample)
    one, other = np.triu_indices(len(sample.names), 1)
    _refuse_tables(sample, tables, counts)
    thresholds = special.ndtri(counts.cumsum(axis=1)[:, :-1] / counts.sum(axis=1, keepdims=True))
    n_cells = sample.n_categories[one] * sample.n_categories[other]
    rho = _maximize(_filled(tables, n_cells == 4), thresholds)
    correlations, n_pairs = np.eye(len(counts)), np.diag(counts.sum(axis=1))
    correlations[one, other] = correlations[other, one] = rho
    n_pairs[one, other] = n_pairs[other, one] = tables.sum(axis=(1, 2))
    return Polychorics(
        names=sample.names,
        n=sample.n,
        thresholds=thresholds,
        correlations=correlations,
        n_pairs=n_pairs.astype(int),
        tables=tables,
        n_empty=n_cells - (tables > 0).sum(axis=(1, 2)),
        boundary=np.abs(rho) == LIMIT,
    )


def asymptotic_covariance(sample: OrdinalSample, found: Polychorics) -> Floats:
    """Covariance of thresholds and correlations over samples, times the respondents (lavaan's NACOV or Gamma).

    Each respondent adds the outer product of his or her influence on all estimates. A missing answer counts as one more
    category without influence. Large problems (100,000 respondents with 60 items, not 2,000 with 25) are multiplied in
    single precision and added up in double: variances keep seven digits, covariances have an absolute error below 1e-5
    of the standard deviations.

    Parameters
    ----------
    sample : OrdinalSample
        The answers.
    found : Polychorics
        What `polychorics` estimated from them.

    Returns
    -------
    ndarray, shape (q, q)
        In the order of `found.statistics`: thresholds item by item, then correlations of the pairs (1, 2), (1, 3) …;
        divided by `sample.n` it is the sampling covariance. It means nothing for pairs at the boundary, and is missing
        for those whose answers tell nothing about their correlation.

    References
    ----------
    Muthen (1984), Psychometrika 49, 115-132. Agrees with lavInspect(fit, "gamma") of R lavaan
    (tests/reference/polychoric.R).
    """
    levels, of_pairs = _influences(found)
    size = len(levels.owner) + len(of_pairs)
    precision = np.float32 if float(sample.n) * size**2 > MANY_PRODUCTS else np.float64
    total, squares = np.zeros((size, size)), np.zeros(size)
    with one_thread():
        for block in _blocks(sample.codes, found.tables.shape[1]):
            influence = _influence(block, levels, of_pairs, precision)
            total += influence.T @ influence
            squares += np.einsum("nq,nq->q", influence, influence, dtype=float)
    mend = np.sqrt(squares / np.diag(total))
    return total * np.outer(mend, mend) * sample.n


def _whole_numbers(frame: pd.DataFrame) -> Floats:
    if not isinstance(frame, pd.DataFrame) or frame.shape[1] < 2:
        raise DataError("Polychoric correlations need two items or more in a frame. Add items.")
    if not frame.columns.is_unique:
        raise DataError("Two items have the same name. Give every item its own.")
    text = [str(name) for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    if text:
        hold = "holds" if len(text) == 1 else "hold"
        raise DataError(f"{join_words(text)} {hold} no numbers. Recode the answers into whole numbers first.")
    values = frame.to_numpy(dtype=float, na_value=np.nan)
    broken = (np.isinf(values) | ((np.rint(values) != values) & ~np.isnan(values))).any(axis=0)
    if broken.any():
        names = join_words([str(name) for name, wrong in zip(frame, broken, strict=True) if wrong])
        raise DataError(f"{names}: an answer is no whole number, so the item looks continuous. Use correlate().")
    return values


def _refuse_incomplete(n: int) -> None:
    if n == 0:
        raise DataError('Nobody answered all items. Use missing="pairwise", or leave out an item that few answered.')
    if n < LEAST_ANSWERS:
        raise DataError(
            f"Fewer than {LEAST_ANSWERS} respondents answered all items, so correlations cannot be estimated. Use "
            'missing="pairwise", or leave out an item that few answered.'
        )


def _refuse_categories(names: Sequence[str], n_categories: NDArray[np.int64], n: NDArray[np.int64]) -> None:
    empty = [name for name, k in zip(names, n_categories, strict=True) if k == 0]
    if empty:
        raise DataError(f"Nobody answered {join_words(empty)}. Check the export, or leave it out.")
    constant = [name for name, k in zip(names, n_categories, strict=True) if k == 1]
    _refuse_answers([name for name, each in zip(names, n, strict=True) if each < LEAST_ANSWERS and name in constant])
    if constant:
        raise DataError(f"Everybody gave the same answer to {join_words(constant)}. Leave it out.")
    many = [name for name, k in zip(names, n_categories, strict=True) if k > MOST_CATEGORIES]
    if many:
        raise DataError(
            f"{join_words(many)} has more than {MOST_CATEGORIES} different answers, so it looks continuous. "
            "Use correlate(), or join categories."
        )


def _refuse_answers(few: Sequence[str]) -> None:
    """Refuse items in the same words whether the few who answered them agree or not."""
    if few:
        raise DataError(
            f"{join_words(few)}: fewer than {LEAST_ANSWERS} respondents gave an answer, so correlations cannot be "
            "estimated. Leave it out, or collect more answers."
        )


def _refuse_tables(sample: OrdinalSample, tables: Floats, counts: Floats) -> None:
    _refuse_answers([name for name, n in zip(sample.names, counts.sum(axis=1), strict=True) if n < LEAST_ANSWERS])
    there = np.arange(counts.shape[1]) < sample.n_categories[:, None]
    unused = ((counts == 0) & there).any(axis=1)
    if unused.any():
        names = join_words(np.array(sample.names)[unused].tolist())
        raise DataError(f"{names}: a category was chosen by nobody here. Join categories, or join groups.")
    few = tables.sum(axis=(1, 2)) < LEAST_ANSWERS
    alike = ((tables.sum(axis=2) > 0).sum(axis=1) < 2) | ((tables.sum(axis=1) > 0).sum(axis=1) < 2)
    for wrong, problem in (
        (few, f"fewer than {LEAST_ANSWERS} respondents answered both"),
        (alike, "all who answered both gave the same answer to one of them"),
    ):
        if wrong.any():
            one, other = (index[wrong][0] for index in np.triu_indices(len(sample.names), 1))
            raise DataError(
                f"{sample.names[one]} and {sample.names[other]}: {problem}, so their correlation cannot be estimated. "
                "Leave one of them out, or collect more answers."
            )


def _blocks(codes: Codes, missing: int) -> Iterator[NDArray[np.int64]]:
    """Some respondents at a time, a missing answer coded as one more category."""
    for start in range(0, len(codes), BLOCK):
        block = codes[start : start + BLOCK].astype(np.int64)
        yield np.where(block < 0, missing, block)


def _contingency(sample: OrdinalSample) -> tuple[Floats, Floats]:
    """Tables of all pairs, shape (pairs, K, K), and counts of all items, shape (p, K)."""
    p, k = len(sample.names), int(sample.n_categories.max())
    together = np.zeros((p * k, p * k))
    for start in range(0, sample.n, BLOCK):
        block = sample.codes[start : start + BLOCK]
        chosen = (block[:, :, None] == np.arange(k, dtype=np.int8)).reshape(len(block), -1).astype(np.float32)
        together += chosen.T @ chosen
    tables = together.reshape(p, k, p, k).transpose(0, 2, 1, 3)
    return tables[np.triu_indices(p, 1)], np.diag(together).reshape(p, k).copy()


def _filled(tables: Floats, two_by_two: NDArray[np.bool_]) -> Floats:
    """Move half a respondent into the empty cell of a 2 x 2 table that has one, margins kept."""
    filled = tables.copy()
    corner = filled[:, :2, :2]
    empty = corner == 0
    moved = np.where(two_by_two & (empty.sum(axis=(1, 2)) == 1), ADDED, 0.0)
    sign = np.where(empty[:, 0, 0] | empty[:, 1, 1], 1.0, -1.0)
    corner += (moved * sign)[:, None, None] * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return filled


def _maximize(tables: Floats, thresholds: Floats) -> Floats:
    """Correlation of each pair where its likelihood is highest, by Newton steps inside a shrinking bracket."""
    one, other = np.triu_indices(len(thresholds), 1)
    rho = _start(tables, thresholds)
    low, high = np.full(len(rho), -LIMIT), np.full(len(rho), LIMIT)
    left = np.arange(len(rho))
    for step in range(MAX_STEPS):
        cells = _cells(tables[left], thresholds[one[left]], thresholds[other[left]], rho[left])
        score, curvature = _likelihood_slopes(tables[left], cells)
        score = np.where((score == 0) & (curvature >= 0), np.sign(rho[left]), score)  # flat: look further out
        low[left] = np.where(score > 0, rho[left], low[left])
        high[left] = np.where(score < 0, rho[left], high[left])
        with np.errstate(divide="ignore", invalid="ignore"):
            new = rho[left] - score / curvature
        usable = (curvature < 0) & (new >= low[left]) & (new <= high[left]) & (step < NEWTON_STEPS)
        new = np.where(usable, new, (low[left] + high[left]) / 2)
        moving = (np.abs(new - rho[left]) > SETTLED) & (score != 0)
        rho[left] = np.where(score == 0, rho[left], new)
        left = left[moving]
        if not len(left):
            return np.where(np.abs(rho) > LIMIT - AT_LIMIT, np.sign(rho) * LIMIT, rho)
    raise EstimationError("A polychoric correlation did not settle. Look for an item with nearly empty categories.")


def _start(tables: Floats, thresholds: Floats) -> Floats:
    """The correlation that the covariance of the codes of each pair points to."""
    one, other = np.triu_indices(len(thresholds), 1)
    codes, n = np.arange(tables.shape[1]), tables.sum(axis=(1, 2))
    first, second = tables.sum(axis=2) @ codes / n, tables.sum(axis=1) @ codes / n
    covariance = tables @ codes @ codes / n - first * second
    terms = _series(thresholds)
    terms = terms[:, one] * terms[:, other]
    rho = np.clip(covariance / terms[0], -START_LIMIT, START_LIMIT)
    order = np.arange(1, len(terms) + 1)[:, None]
    for _ in range(START_STEPS):
        powers = np.cumprod(np.vstack([np.ones_like(rho), *[rho] * len(terms)]), axis=0)
        excess = (terms * powers[1:]).sum(axis=0) - covariance
        slope = (order * terms * powers[:-1]).sum(axis=0)
        rho = np.clip(rho - excess / np.where(slope > 0, slope, terms[0]), -START_LIMIT, START_LIMIT)
    return rho


def _series(thresholds: Floats) -> Floats:
    """Terms of Mehler's series of each item, shape (terms, p): to multiply by those of another and powers of rho.

    Their sum over the powers is the covariance of the codes.
    """
    at = np.clip(thresholds, -FAR, FAR)
    density = normal_density(at)
    hermite = [np.ones_like(at), at]
    for order in range(1, START_TERMS - 1):
        hermite.append(at * hermite[-1] - order * hermite[-2])
    root = np.sqrt(special.factorial(np.arange(1, START_TERMS + 1)))
    return np.array([(density * each).sum(axis=1) for each in hermite]) / root[:, None]


def _cells(tables: Floats, first: Floats, second: Floats, rho: Floats) -> _Cells:
    h = np.clip(first, -FAR, FAR)[:, :, None]
    k = np.clip(second, -FAR, FAR)[:, None, :]
    r = rho[:, None, None]
    size = first.shape[1]
    below = np.zeros((len(rho), size + 2, size + 2))
    below[:, 1:-1, 1:-1] = probability_grid(first, second, rho)
    below[:, 1:-1, -1] = special.ndtr(first)
    below[:, -1, 1:-1] = special.ndtr(second)
    below[:, -1, -1] = 1.0
    density = bivariate_density(h, k, r)
    rest = 1 - r * r
    bend = density * (r + h * k - r * (h * h - 2 * r * h * k + k * k) / rest) / rest
    probability = np.diff(np.diff(below, axis=1), axis=2)
    _sharpen(probability, tables, first, second, rho)
    return _Cells(probability, _corners(density), _corners(bend))


def _sharpen(probability: Floats, tables: Floats, first: Floats, second: Floats, rho: Floats) -> None:
    """Put digits into tiny probabilities of answers that were given: differences of larger ones have lost them."""
    pair, row, column = np.nonzero((tables > 0) & (probability < TINY))
    h = np.pad(first, ((0, 0), (1, 1)), constant_values=((0, 0), (-np.inf, np.inf)))
    k = np.pad(second, ((0, 0), (1, 1)), constant_values=((0, 0), (-np.inf, np.inf)))
    sharp = unlikely_rectangle((h[pair, row], k[pair, column]), (h[pair, row + 1], k[pair, column + 1]), rho[pair])
    probability[pair, row, column] = np.where(np.isnan(sharp), probability[pair, row, column], sharp)


def _corners(inner: Floats) -> Floats:
    """Differences over the corners of each cell of what is zero at the outer edges."""
    padded = np.zeros((len(inner), inner.shape[1] + 2, inner.shape[2] + 2))
    padded[:, 1:-1, 1:-1] = inner
    return np.diff(np.diff(padded, axis=1), axis=2)


def _given(tables: Floats, cells: _Cells) -> Floats:
    """Probabilities to divide by: 1 where there is nobody."""
    return np.where(tables > 0, np.maximum(cells.probability, SMALLEST_PROBABILITY), 1.0)


def _likelihood_slopes(tables: Floats, cells: _Cells) -> tuple[Floats, Floats]:
    """First and second derivative of the log likelihood of each table by its correlation."""
    probability = _given(tables, cells)
    relative = cells.slope / probability
    curvature = tables * (cells.bend / probability - relative**2)
    return (tables * relative).sum(axis=(1, 2)), curvature.sum(axis=(1, 2))


class _Levels(NamedTuple):
    """Influence of each answer on the thresholds of its item.

    `table` has shape (thresholds, K + 1), the last column for missing answers; `owner` is the item of each threshold.
    """

    owner: NDArray[np.int64]
    table: Floats


def _influences(found: Polychorics) -> tuple[_Levels, Floats]:
    """Influence of answers on thresholds, and of pairs of answers on correlations, shape (pairs, K + 1, K + 1)."""
    one, other = found.pairs
    cells = _cells(found.tables, found.thresholds[one], found.thresholds[other], found.correlations[one, other])
    probability = _given(found.tables, cells)
    score = np.where(found.tables > 0, cells.slope / probability, 0.0)
    information = (found.tables * score**2).sum(axis=(1, 2))
    weight = found.tables * score / probability
    of_levels = _threshold_influences(found)
    influence = np.pad(score, ((0, 0), (0, 1), (0, 1)))
    first = _threshold_slopes(weight, found, one, other)
    second = _threshold_slopes(weight.transpose(0, 2, 1), found, other, one)
    influence -= np.einsum("qct,qt->qc", of_levels[one], first)[:, :, None]
    influence -= np.einsum("qct,qt->qc", of_levels[other], second)[:, None, :]
    owner, level = np.nonzero(np.isfinite(found.thresholds))
    informative = np.where(information > NO_INFORMATION * found.n, information, np.nan)
    return _Levels(owner, of_levels[owner, :, level]), influence / informative[:, None, None]


def _threshold_influences(found: Polychorics) -> Floats:
    """Influence of each answer on each threshold of its item, shape (p, K + 1, m); the last answer is a missing one."""
    p, m = found.thresholds.shape
    shares = np.diff(special.ndtr(found.thresholds), axis=1, prepend=0.0, append=1.0)
    level = np.arange(m)
    density = normal_density(found.thresholds)
    score = np.zeros((p, m + 1, m))
    with np.errstate(divide="ignore", invalid="ignore"):
        score[:, level, level] = density / shares[:, :-1]
        score[:, level + 1, level] = -density / shares[:, 1:]
    score = np.nan_to_num(score, posinf=0.0, neginf=0.0)
    counts = shares * np.diag(found.n_pairs)[:, None]
    information = np.einsum("pct,pc,pcu->ptu", score, counts, score)
    information[:, level, level] += ~np.isfinite(found.thresholds)
    return np.pad(score @ np.linalg.inv(information), ((0, 0), (0, 1), (0, 0)))


def _threshold_slopes(weight: Floats, found: Polychorics, own: NDArray[np.int64], partner: NDArray[np.int64]) -> Floats:
    """How the score of each pair goes with that of the thresholds of its own item, shape (pairs, m)."""
    r = found.correlations[own, partner][:, None, None]
    h = np.clip(found.thresholds[own], -FAR, FAR)[:, :, None]
    k = np.clip(found.thresholds[partner], -FAR, FAR)[:, None, :]
    below = special.ndtr((k - r * h) / np.sqrt(1 - r * r))
    slope = normal_density(h) * np.diff(below, axis=2, prepend=0.0, append=1.0)
    return ((weight[:, :-1] - weight[:, 1:]) * slope).sum(axis=2)


def _influence(block: NDArray[np.int64], levels: _Levels, of_pairs: Floats, precision: type[np.floating]) -> Floats:
    """Influence of some respondents on all estimates, shape (respondents, q)."""
    p, width, start = block.shape[1], of_pairs.shape[1], len(levels.owner)
    influence = np.empty((len(block), start + len(of_pairs)), dtype=precision)
    influence[:, :start] = levels.table[np.arange(start), block[:, levels.owner]]
    flat = of_pairs.astype(precision).ravel()
    place = 0
    for item in range(p - 1):
        partners = p - 1 - item
        cell = width**2 * np.arange(place, place + partners) + width * block[:, item, None] + block[:, item + 1 :]
        influence[:, start + place : start + place + partners] = flat[cell]
        place += partners
    return influence
