"""Ceilings over a scatter of points: what level of a condition is needed for a level of an outcome.

A point in the upper left says that a high outcome was reached with little of the condition. Where the upper left is
empty, the condition may be needed: the share of the empty area is the effect size d of necessary condition analysis.
All functions are about high levels of both; turn a variable round (negative) to ask for low levels of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtri

from smstudy.inference.copula import Margin, match_correlations

Array = NDArray[np.float64]
Kind = Literal["ce_fdh", "cr_fdh"]
ROUNDING = 1e-9
CELLS = 2_000_000
SCORING_STEPS = 20
LONGEST_STEP = 0.5
NARROWEST = 1e-3


class Scope(NamedTuple):
    """The rectangle in which points could lie."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.x_high - self.x_low) * (self.y_high - self.y_low)


class Corners(NamedTuple):
    """Where the step ceiling rises: points with more of the outcome than all with as little of the condition.

    `counts` says how many respondents stand on each.
    """

    x: Array
    y: Array
    counts: NDArray[np.intp]


class Line(NamedTuple):
    """A straight ceiling; NaN where fewer than two different corners exist."""

    intercept: float
    slope: float


def observed_scope(x: Array, y: Array) -> Scope:
    """Smallest and largest values that occur."""
    return Scope(float(x.min()), float(x.max()), float(y.min()), float(y.max()))


def corners(x: Array, y: Array) -> Corners:
    """Find the corners of the step ceiling (free disposal hull), from left to right.

    Parameters
    ----------
    x, y : array, shape (n,)
        Condition and outcome.

    References
    ----------
    Deprins, Simar & Tulkens (1984). The peers of R NCA::nca_analysis, which counts respondents on the same point.

    Examples
    --------
    >>> corners(np.array([1.0, 2, 2, 3]), np.array([2.0, 4, 1, 3]))._asdict()["y"].tolist()
    [2.0, 4.0]
    """
    steps = _Steps.of(x)
    top = steps.heights(y[:, None])[:, 0]
    rises = np.flatnonzero(np.concatenate([[True], top[1:] > top[:-1]]))
    on = steps.counts_on(y[:, None], top[:, None])[:, 0]
    return Corners(steps.values[rises], top[rises], on[rises])


def corner_line(found: Corners) -> Line:
    """Lay the least-squares line through the corners, each counted as often as respondents stand on it (CR-FDH)."""
    if len(found.x) < 2:
        return Line(float("nan"), float("nan"))
    weights = found.counts / found.counts.sum()
    x_mean, y_mean = weights @ found.x, weights @ found.y
    slope = (weights * (found.x - x_mean)) @ found.y / (weights @ (found.x - x_mean) ** 2)
    return Line(float(y_mean - slope * x_mean), float(slope))


def n_above(x: Array, y: Array, line: Line) -> int:
    """Count the respondents above a straight ceiling; its accuracy is the share of the others."""
    if np.isnan(line.slope):
        return 0
    tolerance = ROUNDING * np.ptp(y)
    return int((y > line.intercept + line.slope * x + tolerance).sum())


def effect_sizes(x: Array, outcomes: Array, scope: Scope, kind: Kind = "ce_fdh") -> Array:
    """Compute the share of the scope above the ceiling, for many outcomes at once.

    Parameters
    ----------
    x : array, shape (n,)
        The condition.
    outcomes : array, shape (n, b)
        One column per outcome.
    scope : Scope
    kind : {"ce_fdh", "cr_fdh"}
        Step ceiling, or the straight line through its corners.

    Returns
    -------
    array, shape (b,)
        0 to 1; a straight ceiling needs two different corners, without them it is 0.

    References
    ----------
    Dul (2016), Organizational Research Methods 19, 10-52. Agrees with a plain R implementation
    (tests/reference/necessity.R) and the published 0.42 and 0.31 of the example of R NCA.

    Examples
    --------
    >>> x, y = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.5, 1.0])
    >>> effect_sizes(x, y[:, None], observed_scope(x, y)).round(3).tolist()
    [0.75]
    """
    steps = _Steps.of(x)
    area = _step_areas if kind == "ce_fdh" else _line_areas
    return area(steps, outcomes, scope) / scope.area


def permuted_effects(
    x: Array, y: Array, scope: Scope, *, kind: Kind = "ce_fdh", n_permutations: int, rng: np.random.Generator
) -> Array:
    """Effect sizes if condition and outcome had nothing to do with each other; shape (n_permutations,).

    References
    ----------
    Dul, Van der Laan & Kuik (2020), Organizational Research Methods 23, 385-395.
    """
    return _simulated(x, scope, kind, n_permutations, lambda size: rng.permuted(np.tile(y, (size, 1)), axis=1))


def matched_effects(
    x: Array, y: Array, scope: Scope, *, kind: Kind = "ce_fdh", n_permutations: int, rng: np.random.Generator
) -> Array:
    """Effect sizes if the two were only correlated as strongly as they are; shape (n_permutations,).

    A Gaussian copula has the observed answers of both and their rank correlation, but no ceiling of its own: high
    outcomes with little of the condition are rare in it, never ruled out. That a corner is emptier than in unrelated
    data follows from any correlation; that it is emptier than here does not.

    References
    ----------
    Own proposal; the law of a copula with fixed margins is in Nelsen (2006), An Introduction to Copulas, chapter 2.
    """
    order = np.argsort(x, kind="stable")
    rising, correlation = np.sort(y), latent_correlation(x, y)

    def draw(size: int) -> Array:
        first = np.sort(rng.standard_normal((size, len(x))), axis=1)
        second = correlation * first + np.sqrt(1 - correlation**2) * rng.standard_normal(first.shape)
        drawn = np.empty_like(second)
        np.put_along_axis(drawn, np.argsort(second, axis=1), rising[None, :], axis=1)
        return drawn

    return _simulated(x[order], scope, kind, n_permutations, draw)


def spread_effects(
    x: Array, y: Array, scope: Scope, *, kind: Kind = "ce_fdh", n_permutations: int, rng: np.random.Generator
) -> Array:
    """Effect sizes if the outcome only rises and spreads with the condition as it does; shape (n_permutations,).

    Normal scores of the outcome get a mean (a parabola) and a spread (log-linear) by those of the condition; normal
    deviates around them are turned back into the observed answers. An outcome that spreads more the more there is of
    the condition leaves the upper left empty without any ceiling; it has no edge, though, and a ceiling has.

    References
    ----------
    Own proposal; the spread is fitted by maximum likelihood: Harvey (1976), Econometrica 44, 461-465.
    """
    order = np.argsort(x, kind="stable")
    rising = np.sort(y)
    middle, spread = location_and_spread(normal_scores(x[order]), normal_scores(y[order]))

    def draw(size: int) -> Array:
        drawn = middle + spread * rng.standard_normal((size, len(x)))
        np.put_along_axis(drawn, np.argsort(drawn, axis=1), rising[None, :], axis=1)
        return drawn

    return _simulated(x[order], scope, kind, n_permutations, draw)


def normal_scores(values: Array) -> Array:
    """Where respondents would stand in a normal distribution; equal answers share their mean rank.

    >>> normal_scores(np.array([3.0, 1.0, 2.0])).round(2).tolist()
    [0.97, -0.97, 0.0]
    """
    return ndtri((stats.rankdata(values) - 0.5) / len(values))


def location_and_spread(x: Array, y: Array) -> tuple[Array, Array]:
    """Fit a parabola and a standard deviation that changes log-linearly with x; two arrays of shape (n,).

    References
    ----------
    Harvey (1976), Econometrica 44, 461-465. Agrees with R `nlme::gls(weights = varExp(form = ~ x), method = "ML")`
    (tests/reference/spread.R).
    """
    curve, line = np.column_stack([np.ones_like(x), x, x**2]), np.column_stack([np.ones_like(x), x])
    logs = np.array([np.log(max(y.std(), NARROWEST)), 0.0])
    for _ in range(SCORING_STEPS):
        spread = np.exp(np.clip(line @ logs, np.log(NARROWEST), -np.log(NARROWEST)))
        middle = curve @ np.linalg.lstsq(curve / spread[:, None], y / spread, rcond=None)[0]
        excess = ((y - middle) / spread) ** 2 - 1
        logs = logs + np.clip(np.linalg.lstsq(line, excess / 2, rcond=None)[0], -LONGEST_STEP, LONGEST_STEP)
    return middle, spread


def latent_correlation(x: Array, y: Array) -> float:
    """Correlation of two normal variables that, cut into these answers, have their rank correlation (ties included)."""
    ranks = stats.rankdata(x), stats.rankdata(y)
    margins = tuple(Margin(*_distribution(column)) for column in ranks)
    target = np.array([[1.0, np.corrcoef(*ranks)[0, 1]], [np.corrcoef(*ranks)[0, 1], 1.0]])
    return float(match_correlations(margins, target)[0, 1])


def p_value(observed: float, simulated: Array) -> float:
    """Share of effect sizes, the observed one included, that are at least as large."""
    return float((1 + (simulated >= observed - ROUNDING).sum()) / (1 + len(simulated)))


def held_levels(x: Array, y: Array, *, x_levels: Array, y_levels: Array, min_n: int) -> Array:
    """Find what level of the condition nearly everybody has who reaches a level of the outcome.

    Parameters
    ----------
    x, y : array, shape (n,)
        Condition and outcome.
    x_levels, y_levels : array, shape (a,) and (b,)
        Rising levels that may be named; the answer is one of `x_levels`.
    min_n : int
        The largest level is given below which fewer than `min_n` of them are. A corner of the ceiling is one person's
        pair of answers; this statement is about `min_n` people at least, and stays the same whether nobody or
        `min_n` - 1 people are below.

    Returns
    -------
    array, shape (b,)
        NaN where fewer than `min_n` respondents reach the level of the outcome.

    References
    ----------
    A quantile frontier of given depth: Aragon, Daouia & Thomas-Agnan (2005), Econometric Theory 21, 358-389.

    Examples
    --------
    >>> x, y = np.arange(10.0), np.arange(10.0)
    >>> held_levels(x, y, x_levels=np.array([0.0, 4, 6]), y_levels=np.array([0.0, 2, 8]), min_n=3).tolist()
    [0.0, 4.0, nan]
    """
    slack = ROUNDING * max(np.ptp(x_levels), np.ptp(y_levels))
    held = np.full(len(y_levels), np.nan)
    for row, level in enumerate(y_levels):
        reached = x[y >= level - slack]
        if len(reached) >= min_n:
            limit = np.partition(reached, min_n - 1)[min_n - 1]
            held[row] = x_levels[max(0, np.searchsorted(x_levels, limit + slack, side="right") - 1)]
    return held


def effects_without(
    x: Array, y: Array, scope: Scope | None, *, kind: Kind = "ce_fdh", most: int
) -> tuple[float, float]:
    """Smallest and largest effect size found when up to `most` influential respondents are left out.

    Points are left out one after the other, each time the one that moves the effect size most per respondent on it;
    so are all respondents at an end of the scope together, which shrinks it if it is the observed one.

    Parameters
    ----------
    x, y : array, shape (n,)
    scope : Scope, optional
        Stays as it is; the observed one of those who remain if left out.
    kind : {"ce_fdh", "cr_fdh"}
    most : int
        Most respondents to leave out.

    References
    ----------
    The outlier analysis of R NCA::nca_outliers, which leaves out single respondents and combinations of them.
    """
    points, counts = np.unique(np.column_stack([x, y]), axis=0, return_counts=True)
    found = [_peeled(points, counts, scope, kind, most, sign)[0] for sign in (-1.0, 1.0)]
    return found[0], found[1]


def less_influential(
    x: Array, y: Array, scope: Scope | None, *, kind: Kind = "ce_fdh", most: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say who is left where `effects_without` finds the smallest and the largest effect size; each of shape (n,)."""
    points, which, counts = np.unique(np.column_stack([x, y]), axis=0, return_inverse=True, return_counts=True)
    found = [_peeled(points, counts, scope, kind, most, sign)[1][which.ravel()] for sign in (-1.0, 1.0)]
    return found[0], found[1]


class _Steps(NamedTuple):
    """A condition prepared once for many outcomes: its different values and who has which."""

    values: Array
    order: NDArray[np.intp]
    last: NDArray[np.intp]
    first: NDArray[np.intp]

    @classmethod
    def of(cls, x: Array) -> _Steps:
        order = np.argsort(x, kind="stable")
        values, first, counts = np.unique(x[order], return_index=True, return_counts=True)
        return cls(values, order, first + counts - 1, first)

    def heights(self, outcomes: Array) -> Array:
        """Largest outcome of everybody with at most each value, shape (values, b)."""
        return np.maximum.accumulate(outcomes[self.order], axis=0)[self.last]

    def counts_on(self, outcomes: Array, top: Array) -> NDArray[np.intp]:
        """How many respondents with each value have the height there, shape (values, b)."""
        group = np.repeat(np.arange(len(self.values)), self.last - self.first + 1)
        return np.add.reduceat((outcomes[self.order] == top[group]).astype(np.intp), self.first, axis=0)


def _step_areas(steps: _Steps, outcomes: Array, scope: Scope) -> Array:
    top = steps.heights(outcomes)
    widths = np.diff(np.append(steps.values, scope.x_high))
    left = (steps.values[0] - scope.x_low) * (scope.y_high - scope.y_low)
    return left + widths @ (scope.y_high - top)


def _line_areas(steps: _Steps, outcomes: Array, scope: Scope) -> Array:
    top = steps.heights(outcomes)
    rises = np.concatenate([np.ones((1, top.shape[1]), dtype=bool), top[1:] > top[:-1]])
    weights = np.where(rises, steps.counts_on(outcomes, top), 0).astype(float)
    total = weights.sum(axis=0)
    x_mean, y_mean = steps.values @ weights / total, (weights * top).sum(axis=0) / total
    away = steps.values[:, None] - x_mean
    spread = (weights * away**2).sum(axis=0)
    several = rises.sum(axis=0) > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (weights * away * top).sum(axis=0) / spread
        return np.where(several, _above_line(y_mean - slope * x_mean, slope, scope), 0.0)


def _above_line(intercept: Array, slope: Array, scope: Scope) -> Array:
    """Area of the scope above rising lines."""
    enters = np.clip((scope.y_low - intercept) / slope, scope.x_low, scope.x_high)
    leaves = np.clip((scope.y_high - intercept) / slope, scope.x_low, scope.x_high)
    middle = intercept + slope * (enters + leaves) / 2
    return (enters - scope.x_low) * (scope.y_high - scope.y_low) + (leaves - enters) * (scope.y_high - middle)


def _simulated(x: Array, scope: Scope, kind: Kind, total: int, draw: Callable[[int], Array]) -> Array:
    """Effect sizes of drawn outcomes, shape (size, n) each, a part at a time so that memory stays small."""
    parts = [effect_sizes(x, np.ascontiguousarray(draw(size).T), scope, kind) for size in _parts(total, len(x))]
    return np.concatenate(parts)


def _parts(total: int, n: int) -> Iterator[int]:
    step = max(1, CELLS // n)
    yield from (min(step, total - start) for start in range(0, total, step))


def _distribution(column: Array) -> tuple[Array, Array]:
    values, counts = np.unique(column, return_counts=True)
    return values, counts / counts.sum()


def _peeled(
    points: Array, counts: NDArray[np.intp], scope: Scope | None, kind: Kind, most: int, sign: float
) -> tuple[float, NDArray[np.bool_]]:
    """Most extreme effect size in one direction (-1 lower, 1 higher) while points leave greedily, and who stays."""
    stays = np.ones(len(points), dtype=bool)
    best, left = _effect(points, counts, scope, kind), most
    while left > 0:
        options = []
        for leaves in _candidates(points, stays):
            cost = int(counts[leaves].sum())
            if cost <= left and stays.sum() - leaves.sum() >= 2:
                kept = stays & ~leaves
                effect = _effect(points[kept], counts[kept], scope, kind)
                options.append((sign * (effect - best) / cost, cost, effect, kept))
        if not options or max(option[0] for option in options) <= ROUNDING:
            break
        _, cost, best, stays = max(options, key=lambda option: option[0])
        left -= cost
    return best, stays


def _candidates(points: Array, stays: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Points on the ceiling one by one, and all points at each end of the scope."""
    x, y = points.T
    found = corners(x[stays], y[stays])
    for corner in zip(found.x, found.y, strict=True):
        yield stays & (x == corner[0]) & (y == corner[1])
    for column in (x, y):
        for end in (column[stays].min(), column[stays].max()):
            yield stays & (column == end)


def _effect(points: Array, counts: NDArray[np.intp], scope: Scope | None, kind: Kind) -> float:
    x, y = points.T
    scope = scope or observed_scope(x, y)
    if scope.area <= 0:
        return 0.0
    if kind == "ce_fdh":
        return float(effect_sizes(x, y[:, None], scope)[0])
    found = corners(x, y)
    on = [int(counts[(x == a) & (y == b)].sum()) for a, b in zip(found.x, found.y, strict=True)]
    line = corner_line(found._replace(counts=np.array(on)))
    area = _above_line(np.array([line.intercept]), np.array([line.slope]), scope)
    return float(area[0] / scope.area) if len(found.x) > 1 else 0.0
