"""Do items of a scale go together, and do scales differ? HTMT with its bootstrap, and what a factor model says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.factor_models.fitted import Fitted
from smstudy.inference.factor_models.structures import FIXED, Structure
from smstudy.inference.threads import one_thread

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

STEP = 1e-30  # of an imaginary step: no digits are lost, however small it is
CELLS = 2**22  # numbers held at once for resampling
FEWEST_UNITS = 1000
SAMPLES_AT_ONCE = 2**22


class Ratios(NamedTuple):
    """Heterotrait-monotrait ratios by pair of scales: arithmetic and geometric means, shapes (..., pairs)."""

    htmt: Floats
    htmt2: Floats


class Convergence(NamedTuple):
    """What a factor model says of k scales and of their pairs, with the covariance of it all over samples.

    Attributes
    ----------
    extracted : ndarray, shape (k,)
        Average variance extracted: the factor's share of the summed variances of its items.
    standardized : ndarray, shape (k,)
        The same with items of variance 1: the mean of the squared standardized loadings.
    composite : ndarray, shape (k,)
        Composite reliability: the factor's share of the variance of the sum of its items.
    correlations : ndarray, shape (pairs,)
        Correlations of factors.
    margins : ndarray, shape (pairs, 2)
        Average variance extracted of the two scales minus their squared correlation (Fornell and Larcker).
    sampling : ndarray, shape (3 k + 3 pairs, same)
        Covariance of all of them, one after the other, by the delta method.
    """

    extracted: Floats
    standardized: Floats
    composite: Floats
    correlations: Floats
    margins: Floats
    sampling: Floats

    @property
    def std_errors(self) -> Convergence:
        """Standard errors in the places of the estimates."""
        errors = np.sqrt(np.maximum(np.diag(self.sampling), 0))
        return Convergence(*_parted(errors, len(self.extracted)), self.sampling)


def pairs_of(k: int) -> tuple[Places, Places]:
    """First and second scale of each pair, in the order of all results: (0, 1), (0, 2), (1, 2) for three.

    >>> [each.tolist() for each in pairs_of(3)]
    [[0, 0, 1], [1, 2, 2]]
    """
    return np.triu_indices(k, 1)


def monotrait_ratios(correlations: Floats, scales: Sequence[Sequence[int]]) -> Ratios:
    """Heterotrait-monotrait ratios from correlations of items, all of them taken without their sign.

    The mean correlation of items of two scales is divided by the geometric mean of the mean correlations inside both;
    HTMT2 takes geometric means throughout. A ratio that does not exist, because correlations inside a scale or, for
    HTMT2, any correlation at all is 0, is NaN.

    Parameters
    ----------
    correlations : ndarray, shape (..., p, p)
        Correlations of items.
    scales : sequence of k sequences of int
        Rows of each scale, two or more of them; rows in no scale do not count.

    References
    ----------
    Henseler, Ringle & Sarstedt (2015), J. Academy of Marketing Science 43, 115-135; Roemer, Schuberth & Henseler
    (2021), Industrial Management & Data Systems 121, 2637-2650. Agrees with R semTools::htmt, whose default takes
    absolute values too (tests/reference/validity.R).

    Examples
    --------
    >>> r = np.full((4, 4), 0.3) + np.kron(np.eye(2), np.full((2, 2), 0.3)) + 0.4 * np.eye(4)
    >>> [each.round(3).tolist() for each in monotrait_ratios(r, [[0, 1], [2, 3]])]
    [[0.5], [0.5]]
    """
    members = np.zeros((len(scales), correlations.shape[-1]))
    for row, places in zip(members, scales, strict=True):
        row[list(places)] = 1
    sizes = np.abs(correlations) * (1 - np.eye(correlations.shape[-1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(sizes + np.eye(correlations.shape[-1]))
        arithmetic = np.log(_means(sizes, members))
        return Ratios(_ratios(arithmetic), _ratios(_means(logs, members)))


def resampled_ratios(answers: Floats, scales: Sequence[Sequence[int]], n_boot: int, seed: int) -> Ratios:
    """Ratios of samples drawn with replacement from respondents, shapes (n_boot, pairs).

    Correlations are pairwise: from all who answered both items. Among very many respondents, random groups of equal
    size, 1,000 of them or more, are drawn instead of single ones: the spread over samples stays the same.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    with one_thread():
        units = _units(answers, rng)
        for weights in _weights(len(units.sums), n_boot, rng):
            drawn.append(monotrait_ratios(units.correlations(weights), scales))
    return Ratios(*(np.concatenate(each) for each in zip(*drawn, strict=True)))


def pairwise_correlations(answers: Floats) -> Floats:
    """Correlations from all who answered both items, shape (p, p), as R's cor(use = "pairwise.complete.obs").

    >>> pairwise_correlations(np.array([[1, 2], [2, 1], [3, 3], [4, np.nan]])).round(3).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    units = _units(answers, np.random.default_rng(0), most=1)
    return units.correlations(np.ones((1, 1)))[0]


def convergence(fitted: Fitted) -> Convergence:
    """Average variance extracted, composite reliability and correlations of the factors of one group.

    Every item must measure one factor only, and residuals must not covary.

    References
    ----------
    Fornell & Larcker (1981), J. Marketing Research 18, 39-50; Raykov (1997), Applied Psychological Measurement 21,
    173-184. Agrees with R semTools::AVE and compRelSEM(obs.var = FALSE), standard errors with lavaan parameters defined
    by `:=` (tests/reference/validity.R).
    """
    structure, at = fitted.structure, fitted.parameters
    estimates = _measures(structure, at)
    steps = at + 1j * STEP * np.eye(len(at))
    slopes = np.array([_measures(structure, step).imag / STEP for step in steps]).T
    k = len(structure.factors)
    return Convergence(*_parted(estimates, k), slopes @ fitted.sampling @ slopes.T)


def _means(values: Floats, members: Floats) -> Floats:
    """Means over pairs of items by pair of scales, shape (..., k, k); an item is not paired with itself."""
    counts = members.sum(axis=1)
    pairs = np.outer(counts, counts) - np.diag(counts)
    return members @ values @ members.T / pairs


def _ratios(log_means: Floats) -> Floats:
    one, other = pairs_of(log_means.shape[-1])
    inside = np.diagonal(log_means, axis1=-2, axis2=-1)
    ratios = np.exp(log_means[..., one, other] - (inside[..., one] + inside[..., other]) / 2)
    return np.where(np.isfinite(ratios), ratios, np.nan)


class _Units(NamedTuple):
    """Sums over the answers of respondents, or of groups of them, that are drawn together.

    `sums`, shape (u, c): products of items; then sums, sums of squares and counts of items over those who answered each
    pattern of items. `patterns`, shape (p,): the pattern of each item, `n_patterns` different ones.
    """

    sums: Floats
    patterns: Places
    n_patterns: int

    def correlations(self, weights: Floats) -> Floats:
        """Correlations of weighted samples, shape (b, p, p); weights, shape (b, u)."""
        p, q = len(self.patterns), self.n_patterns
        total = weights @ self.sums
        ends = np.cumsum([p * p, p * q, p * q])
        products, sums, squares, counts = np.split(total, ends, axis=1)
        by_item = [each.reshape(-1, p, q)[:, :, self.patterns] for each in (sums, squares)]
        n = counts.reshape(-1, q, q)[:, self.patterns][:, :, self.patterns]
        with np.errstate(divide="ignore", invalid="ignore"):
            means = by_item[0] / n
            spreads = np.sqrt(np.maximum(by_item[1] / n - means**2, 0))
            shared = products.reshape(-1, p, p) / n - means * means.mT
            return np.clip(shared / (spreads * spreads.mT), -1, 1)


def _units(answers: Floats, rng: np.random.Generator, most: int | None = None) -> _Units:
    """Respondents one by one, or in random groups if their sums would take too much room."""
    n, p = answers.shape
    answered = ~np.isnan(answers)
    patterns, place = _patterns(answered)
    q = patterns.shape[1]
    known = np.where(answered, (answers - np.nanmean(answers, axis=0)) / np.nanstd(answers, axis=0), 0.0)
    limit = max(CELLS // (p * p + 2 * p * q + q * q), FEWEST_UNITS) if most is None else most
    size = -(-n // min(n, limit))
    order = rng.permutation(n) if size > 1 else np.arange(n)
    blank = -n % size
    rows = np.pad(known[order], ((0, blank), (0, 0))).reshape(-1, size, p)
    seen = np.pad(patterns[order].astype(float), ((0, blank), (0, 0))).reshape(-1, size, q)
    parts = (rows.mT @ rows, rows.mT @ seen, (rows**2).mT @ seen, seen.mT @ seen)
    return _Units(np.concatenate([part.reshape(len(rows), -1) for part in parts], axis=1), place, q)


def _patterns(answered: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Places]:
    """Different columns, and which of them each column is."""
    keys = [column.tobytes() for column in np.packbits(answered, axis=0).T]
    different = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return answered[:, [keys.index(key) for key in different]], np.array([different[key] for key in keys])


def _weights(n: int, n_boot: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each of n units is drawn, a bounded number of samples at a time."""
    at_once = max(1, min(SAMPLES_AT_ONCE // n, 256))
    for start in range(0, n_boot, at_once):
        size = min(at_once, n_boot - start)
        drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(float)


def _measures(structure: Structure, at: NDArray) -> NDArray:
    """All estimates one after the other, in the order of `Convergence`."""
    cells = {name: cell[0] for name, cell in structure.at(at).items()}
    mine = structure.places["loadings"][0] != FIXED
    variances = np.diagonal(cells["factor_covariances"])
    errors = np.diagonal(cells["residuals"])
    common = cells["loadings"] ** 2 * variances
    total = (common.sum(axis=1) + errors)[:, None]
    left = (errors[:, None] * mine).sum(axis=0)
    sums = cells["loadings"].sum(axis=0) ** 2 * variances
    one, other = pairs_of(len(structure.factors))
    correlations = cells["factor_covariances"][one, other] / np.sqrt(variances[one] * variances[other])
    extracted = common.sum(axis=0) / (total * mine).sum(axis=0)
    margins = extracted[np.array([one, other])].T - correlations[:, None] ** 2
    standardized = (common / total).sum(axis=0) / mine.sum(axis=0)
    return np.concatenate([extracted, standardized, sums / (sums + left), correlations, margins.ravel()])


def _parted(values: Floats, k: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    n_pairs = k * (k - 1) // 2
    extracted, standardized, composite, correlations, margins = np.split(values, np.cumsum([k, k, k, n_pairs]))
    return extracted, standardized, composite, correlations, margins.reshape(-1, 2)
