"""Ordinal regression: how the chance of a higher answer depends on other variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.special import expit, log_expit, log_ndtr, logit, ndtr, ndtri

from smstudy.display.prose import join_words
from smstudy.errors import EstimationError
from smstudy.inference.regression.least_squares import LeastSquares, least_squares
from smstudy.inference.regression.likelihoods import Likelihood, Slopes, distinct_rows, maximize
from smstudy.inference.regression.logistic import CONSTANT, separating_columns
from smstudy.inference.regression.small_clusters import (
    SmallClusters,
    cluster_grams,
    cluster_sums,
    likelihood_clusters,
)

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Link = Literal["logit", "probit"]
SUSPECT = 12.0
MANY_ROWS = 20_000
LEAST_SPREAD = 0.01
TESTABLE = 1e14
ROOT_TWO_PI = float(np.sqrt(2 * np.pi))


class _Edge(NamedTuple):
    """Log of a share F(u) - F(l) and its slopes in u and l: first, second, and the mixed one; each of shape (n,)."""

    log_share: Floats
    upper: Floats
    lower: Floats
    bend_upper: Floats
    bend_lower: Floats
    mixed: Floats


class _Curve(NamedTuple):
    """A symmetric distribution on the latent line.

    `tail` gives log F(u) with its first and second slope, `middle` an `_Edge` of u, l and u - l.
    """

    share: Callable[[Floats], Floats]
    place: Callable[[Floats], Floats]
    tail: Callable[[Floats], tuple[Floats, Floats, Floats]]
    middle: Callable[[Floats, Floats, Floats | float], _Edge]
    variance: float


def _tail_logit(upper: Floats) -> tuple[Floats, Floats, Floats]:
    rest = expit(-upper)
    return log_expit(upper), rest, rest * (rest - 1)


def _tail_probit(upper: Floats) -> tuple[Floats, Floats, Floats]:
    log_share = log_ndtr(upper)
    slope = np.exp(-(upper**2) / 2 - log_share) / ROOT_TWO_PI
    return log_share, slope, -slope * (upper + slope)


def _middle_logit(upper: Floats, lower: Floats, width: Floats | float) -> _Edge:
    """From F(u) - F(l) = F(u) F(-l) (1 - exp(l - u)), which loses no digits."""
    below, above, gap = expit(upper), expit(-lower), -np.expm1(-width)
    by_upper, by_lower = (1 - below) / (above * gap), (above - 1) / (below * gap)
    bend_upper, bend_lower = by_upper * (1 - 2 * below - by_upper), by_lower * (2 * above - 1 - by_lower)
    return _Edge(np.log(below * above * gap), by_upper, by_lower, bend_upper, bend_lower, -by_upper * by_lower)


def _middle_probit(upper: Floats, lower: Floats, _: Floats | float) -> _Edge:
    """From the tail in which both ends are small, which loses few digits."""
    turned = upper + lower > 0
    share = ndtr(np.where(turned, -lower, upper)) - ndtr(np.where(turned, -upper, lower))
    by_upper, by_lower = (np.exp(-(end**2) / 2) / (ROOT_TWO_PI * share) for end in (upper, lower))
    bend_upper, bend_lower = -by_upper * (upper + by_upper), by_lower * (lower - by_lower)
    return _Edge(np.log(share), by_upper, -by_lower, bend_upper, bend_lower, by_upper * by_lower)


CURVES: dict[Link, _Curve] = {
    "logit": _Curve(expit, logit, _tail_logit, _middle_logit, float(np.pi**2 / 3)),
    "probit": _Curve(ndtr, ndtri, _tail_probit, _middle_probit, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class OrdinalFit(Likelihood):
    """A cumulative fit: F⁻¹(P(y <= k)) = threshold k - x coefficients; coefficients first, then rising thresholds."""

    link: Link
    n_thresholds: int

    @property
    def coefficients(self) -> Floats:
        """Above 0: higher answers are more likely, shape (p,)."""
        return self.parameters[: -self.n_thresholds]

    @property
    def thresholds(self) -> Floats:
        """Where on the latent line an answer gives way to the next, as SPSS and R polr print them, shape (m,)."""
        return self.parameters[-self.n_thresholds :]

    @property
    def n(self) -> float:
        """Respondents, the sum of the weights."""
        return float(self.weights.sum())


def ordinal_fit(
    x: Floats, y: Codes, *, names: Sequence[str], weights: Floats | None = None, link: Link = "logit"
) -> OrdinalFit:
    """Fit a cumulative logit (proportional odds) or probit model by maximum likelihood with Newton steps.

    Equal rows are counted once, so that a million answers to a few questions take a second.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        One column per coefficient, without a constant; p may be 0.
    y : ndarray, shape (n,)
        0, 1 … m; every category chosen by somebody.
    names : sequence of str, length p
        What the columns are called in messages.
    weights : ndarray, shape (n,), optional
        How many respondents each row stands for.
    link : {"logit", "probit"}

    Returns
    -------
    OrdinalFit

    Raises
    ------
    EstimationError
        If columns repeat each other or the constant, or an estimate would be infinite because a column tells some
        answers from others without error.

    References
    ----------
    McCullagh (1980), J. Royal Statistical Society B 42, 109-142; the likelihood is concave: Pratt (1981), J. American
    Statistical Association 76, 103-106. Agrees with R MASS::polr and ordinal::clm (tests/reference/graded.R,
    categories.R).

    Examples
    --------
    >>> fit = ordinal_fit(np.zeros((4, 0)), np.array([0, 0, 1, 2]), names=[])
    >>> fit.thresholds.round(4).tolist()
    [0.0, 1.0986]
    """
    n = np.ones(len(y)) if weights is None else weights
    found = distinct_rows([y, *x.T], n)
    few = (x, y, n) if found is None else (x[found.first], y[found.first], found.counts)
    with_constant = np.column_stack([np.ones(len(few[1])), few[0]])
    linear = least_squares(with_constant, few[1].astype(float), names=["(intercept)", *names])
    sample = _sorted(*few)
    settled = _climb(sample, linear, link)
    if settled is None or np.abs(sample.x @ settled[0][: x.shape[1]]).max(initial=0) > SUSPECT:
        _refuse_separated(few[0], few[1], names)
    if settled is None:
        raise EstimationError(f"The ordinal regression on {join_words(names)} did not settle. Leave a term out.")
    at, here = settled
    back = _back(sample, len(at))
    scores = _scores(back @ at, few[0], few[1], link)
    return OrdinalFit(
        names=(*names, *(f"{k}|{k + 1}" for k in range(y.max()))),
        parameters=back @ at,
        covariance=back @ np.linalg.inv(here.information) @ back.T,
        scores=scores if found is None else scores[found.place],
        weights=n,
        log_likelihood=here.value,
        link=link,
        n_thresholds=int(y.max()),
    )


class _Sample(NamedTuple):
    """Centered and scaled columns and weights, sorted by answer, with the place where each answer begins."""

    x: Floats
    n: Floats
    starts: NDArray[np.intp]
    center: Floats
    scale: Floats


def _sorted(x: Floats, y: Codes, n: Floats) -> _Sample:
    center = np.average(x, axis=0, weights=n)
    order = np.argsort(y, kind="stable")
    centered = x[order] - center
    scale = np.sqrt((centered**2).mean(axis=0))
    return _Sample(centered / scale, n[order], np.searchsorted(y[order], np.arange(y.max() + 2)), center, scale)


def _climb(sample: _Sample, linear: LeastSquares, link: Link) -> tuple[Floats, Slopes] | None:
    """From a linear model; from no slopes at all where that is too far away."""
    start, total = _start(sample, linear, CURVES[link]), float(sample.n.sum())
    flat = np.append(np.zeros(len(sample.scale)), start[len(sample.scale) :])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        tries = (maximize(lambda at: _slopes(at, sample, link), at, n=total) for at in (start, flat))
        return next((found for found in tries if found is not None), None)


def _start(sample: _Sample, linear: LeastSquares, curve: _Curve) -> Floats:
    """Slopes of a linear model on the scale of the latent line, and thresholds as if nobody differed."""
    shares = np.add.reduceat(sample.n, sample.starts[:-1]).cumsum()[:-1] / sample.n.sum()
    spread = np.sqrt(curve.variance / max(linear.residuals.var(), LEAST_SPREAD))
    return np.append(linear.coefficients[1:] * sample.scale * spread, curve.place(shares))


def _back(sample: _Sample, q: int) -> Floats:
    """The matrix that turns parameters of centered and scaled columns into those of the columns themselves."""
    p = sample.x.shape[1]
    back = np.diag(np.append(1 / sample.scale, np.ones(q - p)))
    back[p:, :p] = sample.center / sample.scale
    return back


def _edge(line: Floats, cuts: Floats, k: int, curve: _Curve) -> _Edge:
    """For respondents with answer k, whose expectations on the latent line are given."""
    if 0 < k < len(cuts):
        return curve.middle(cuts[k] - line, cuts[k - 1] - line, cuts[k] - cuts[k - 1])
    none = np.zeros_like(line)
    if k == 0:
        log_share, slope, bend = curve.tail(cuts[0] - line)
        return _Edge(log_share, slope, none, bend, none, none)
    log_share, slope, bend = curve.tail(line - cuts[-1])
    return _Edge(log_share, none, -slope, none, bend, none)


def _slopes(at: Floats, sample: _Sample, link: Link) -> Slopes:
    """The log-likelihood with its gradient and observed information."""
    q = len(at)
    if (np.diff(at[sample.x.shape[1] :]) <= 0).any():
        return Slopes(-np.inf, np.zeros(q), np.zeros((q, q)))
    return _slopes_logit(at, sample) if link == "logit" else _slopes_probit(at, sample)


def _slopes_logit(at: Floats, sample: _Sample) -> Slopes:
    """From log(F(u) - F(l)) = log F(u) + log F(-l) + log(1 - exp(l - u)), whose last part is one number per answer."""
    p, starts = sample.x.shape[1], sample.starts
    ends, width = _ends(at[p:]), np.diff(at[p:])
    line, sizes = sample.x @ at[:p], np.diff(starts)
    below, above = expit(np.repeat(ends[1:], sizes) - line), expit(line - np.repeat(ends[:-1], sizes))
    by_upper, by_lower = sample.n * below * (1 - below), sample.n * above * (1 - above)
    total, upper, lower, bend_upper, bend_lower = np.add.reduceat(
        [sample.n, sample.n * (1 - below), sample.n * (1 - above), by_upper, by_lower], starts[:-1], axis=1
    )
    inner, bent = total[1:-1] / np.expm1(width), total[1:-1] / (2 * np.sinh(width / 2)) ** 2
    value = float(sample.n @ np.log(below * above) + total[1:-1] @ np.log(-np.expm1(-width)))
    by_cut = (upper[:-1] - lower[1:]) + np.append(0.0, inner) - np.append(inner, 0.0)
    weighted = sample.x * (by_upper + by_lower)[:, None]
    parts = [slice(start, end) for start, end in pairwise(starts)]
    crossed = [sample.x[one].T @ by_upper[one] + sample.x[two].T @ by_lower[two] for one, two in pairwise(parts)]
    own = bend_upper[:-1] + bend_lower[1:] + np.append(0.0, bent) + np.append(bent, 0.0)
    gradient, information = np.empty(len(at)), np.empty((len(at), len(at)))
    gradient[:p], gradient[p:] = sample.x.T @ (sample.n * (below - above)), by_cut
    information[:p, :p] = sample.x.T @ weighted
    information[p:, :p] = -np.array(crossed)
    information[:p, p:] = information[p:, :p].T
    information[p:, p:] = np.diag(own) - np.diag(bent, 1) - np.diag(bent, -1)
    return Slopes(value, gradient, information)


def _ends(cuts: Floats) -> Floats:
    """Where answers begin and end on the latent line."""
    return np.concatenate([[-np.inf], cuts, [np.inf]])


def _slopes_probit(at: Floats, sample: _Sample) -> Slopes:
    """Answer by answer."""
    p, curve = sample.x.shape[1], CURVES["probit"]
    cuts, q = at[p:], len(at)
    line, value = sample.x @ at[:p], 0.0
    first, second = np.empty_like(line), np.empty_like(line)
    gradient, information = np.zeros(q), np.zeros((q, q))
    for k in range(len(cuts) + 1):
        rows = slice(sample.starts[k], sample.starts[k + 1])
        n, edge = sample.n[rows], _edge(line[rows], cuts, k, curve)
        value += float(n @ edge.log_share)
        first[rows] = -n * (edge.upper + edge.lower)
        second[rows] = -n * (edge.bend_upper + edge.bend_lower + 2 * edge.mixed)
        ends = [(p + k, edge.upper, edge.bend_upper), (p + k - 1, edge.lower, edge.bend_lower)]
        for place, slope, bend in ends[k == len(cuts) : 2 if k else 1]:
            gradient[place] += n @ slope
            information[place, place] -= n @ bend
            information[place, :p] += sample.x[rows].T @ (n * (bend + edge.mixed))
        if 0 < k < len(cuts):
            information[p + k, p + k - 1] -= n @ edge.mixed
    gradient[:p] = sample.x.T @ first
    information[:p, :p] = sample.x.T @ (sample.x * second[:, None])
    lower = np.tril(information, -1)
    return Slopes(value, gradient, np.diag(np.diag(information)) + lower + lower.T)


def _scores(parameters: Floats, x: Floats, y: Codes, link: Link) -> Floats:
    """Slopes of each row's log-likelihood in coefficients and thresholds."""
    p = x.shape[1]
    cuts, line = parameters[p:], x @ parameters[:p]
    if link == "logit":
        return _scores_logit(cuts, line, x, y)
    curve, scores = CURVES[link], np.zeros((len(y), len(parameters)))
    for k in range(len(cuts) + 1):
        rows = np.flatnonzero(y == k)
        edge = _edge(line[rows], cuts, k, curve)
        scores[rows, :p] = -x[rows] * (edge.upper + edge.lower)[:, None]
        if k < len(cuts):
            scores[rows, p + k] = edge.upper
        if k:
            scores[rows, p + k - 1] = edge.lower
    return scores


def _scores_logit(cuts: Floats, line: Floats, x: Floats, y: Codes) -> Floats:
    ends = _ends(cuts)
    below, above = expit(ends[y + 1] - line), expit(line - ends[y])
    inner = np.concatenate([[0.0], 1 / np.expm1(np.diff(cuts)), [0.0]])[y]
    at_cuts = np.zeros((len(y), len(cuts) + 2))
    rows = np.arange(len(y))
    at_cuts[rows, y + 1] = 1 - below + inner
    at_cuts[rows, y] = above - 1 - inner
    return np.column_stack([x * (below - above)[:, None], at_cuts[:, 1:-1]])


def _refuse_separated(x: Floats, y: Codes, names: Sequence[str]) -> None:
    """Refuse columns along which no respondent moves away from the answer given, and some move toward it."""
    cuts = np.eye(y.max() + 2)[:, 1:-1]
    below, above = y < y.max(), y > 0
    rows = np.vstack([np.column_stack([-x, cuts[y + 1]])[below], np.column_stack([-x, cuts[y]])[above]])
    toward = np.repeat([1.0, 0.0], [below.sum(), above.sum()])
    spelled = [*names, *(CONSTANT for _ in range(y.max()))]
    told = [f'"{name}"' for name in separating_columns(rows, toward, names=spelled)]
    if told:
        verb = "tells" if len(told) == 1 else "tell"
        raise EstimationError(
            f"The outcome is separated: {join_words(told)} {verb} some answers from others without error, so the "
            "estimate would be infinite. Leave out a term, or merge levels or answers by what they mean."
        )


def ordinal_clusters(fit: OrdinalFit, x: Floats, y: Codes, groups: Codes) -> SmallClusters:
    """Compute CR2 errors of a fit to respondents in clusters, from its scores and expected information.

    Parameters
    ----------
    fit : OrdinalFit
        Of these columns.
    x, y
        As for `ordinal_fit`.
    groups : integer array, shape (n,)
        Number of each respondent's cluster, from 0.
    """
    sample, q = _sorted(x, y, fit.weights), len(fit.parameters)
    back, p = _back(sample, q), x.shape[1]
    restricted = _free(p, fit.n_thresholds, ())
    common = np.column_stack([-restricted[:, fit.n_thresholds :], restricted[:, : fit.n_thresholds]])
    information = common.T @ _cluster_information(fit, x, sample, groups) @ common
    sums = cluster_sums(fit.weights[:, None] * fit.scores, groups) @ back
    return likelihood_clusters(sums, information, np.linalg.solve(back, fit.covariance.T).T)


def _cluster_information(fit: OrdinalFit, x: Floats, sample: _Sample, groups: Codes) -> Floats:
    """Expected information of the lines at the thresholds, each with a constant and slopes: shape (G, m s, m s)."""
    order, m, curve = np.argsort(groups, kind="stable"), fit.n_thresholds, CURVES[fit.link]
    x, groups, weights = x[order], groups[order], fit.weights[order]
    columns, line = np.column_stack([np.ones(len(x)), (x - sample.center) / sample.scale]), x @ fit.coefficients
    size = columns.shape[1]
    made = np.zeros((int(groups.max()) + 1, m * size, m * size))
    for k in range(m + 1):
        edge = _edge(line, fit.thresholds, k, curve)
        share = weights * np.exp(edge.log_share)
        own, before = slice(k * size, (k + 1) * size), slice((k - 1) * size, k * size)
        if k < m:
            made[:, own, own] += cluster_grams(columns, groups, share * edge.upper**2)
        if k:
            made[:, before, before] += cluster_grams(columns, groups, share * edge.lower**2)
        if 0 < k < m:
            mixed = cluster_grams(columns, groups, share * edge.upper * edge.lower)
            made[:, own, before] = made[:, before, own] = mixed
    return made


class Proportionality(NamedTuple):
    """A test whether slopes are alike at every threshold, for one term or all together; NaN where none exists."""

    statistic: float
    df: int
    p_value: float


def proportionality(
    fit: OrdinalFit,
    x: Floats,
    y: Codes,
    tested: Sequence[Sequence[int]],
    *,
    covariance_of: Callable[[Floats], Floats] | None = None,
    df_errors: float = np.inf,
    groups: Codes | None = None,
) -> list[Proportionality]:
    """Test whether columns work alike at every threshold, against a model in which their slopes are free at each.

    Parameters
    ----------
    fit : OrdinalFit
        Of these columns.
    x, y
        As for `ordinal_fit`.
    tested : sequence of sequence of int
        Columns that are tested together, per test.
    covariance_of : callable, contributions of shape (n, k) to covariance, optional
        For clustered respondents and the like: a Wald test. Left out: the likelihood ratio, for more than 20,000
        different rows the score test, which needs no further search and is the same in large samples.
    df_errors : float
        Degrees of freedom of that covariance.
    groups : integer array, shape (n,), optional
        Number of each respondent's cluster, from 0: the Wald test with CR2 errors (HTZ).

    References
    ----------
    Peterson & Harrell (1990), Applied Statistics 39, 205-217. Agrees with R `ordinal::nominal_test`; all columns
    together are the test of parallel lines of SPSS (tests/reference/categories.R).
    """
    found = distinct_rows([y, *x.T], fit.weights)
    few = (x, y, fit.weights) if found is None else (x[found.first], y[found.first], found.counts)
    sample = _sorted(*few)
    sample = sample._replace(x=np.column_stack([np.ones(len(few[1])), sample.x]))
    p, m = x.shape[1], fit.n_thresholds
    forward = np.linalg.inv(_back(sample._replace(x=sample.x[:, 1:]), p + m)) @ fit.parameters
    start = np.column_stack([forward[p:], np.tile(-forward[:p], (m, 1))]).ravel()
    base = _free_slopes(start, sample, CURVES[fit.link])
    tests = [(_free(p, m, columns), (m - 1) * len(columns)) for columns in tested]
    if covariance_of is None and groups is None:
        return [_ratio(start, base, free, sample, fit, df) for free, df in tests]
    scores = _free_scores(start, sample, fit, few[1])
    each = fit.weights[:, None] * (scores if found is None else scores[found.place])
    if groups is None:
        return [_wald(base, each, free, covariance_of, df_errors, df) for free, df in tests]
    information, sums = _cluster_information(fit, x, sample, groups), cluster_sums(each, groups)
    return [_few_clusters(base, sums, free, information, df) for free, df in tests]


def _free(p: int, m: int, columns: Sequence[int]) -> Floats:
    """The matrix from free parameters to the constant and slopes at every threshold: shape (m (1 + p), free ones).

    First what is restricted (thresholds and common slopes), then by how much the tested slopes differ from the first's.
    """
    constants = np.kron(np.eye(m), np.eye(1 + p)[:, :1])
    common = np.kron(np.ones((m, 1)), np.eye(1 + p)[:, 1:])
    differences = np.kron(np.eye(m)[:, 1:], np.eye(1 + p)[:, [1 + j for j in columns]])
    return np.column_stack([constants, common, differences])


def _free_edges(at: Floats, sample: _Sample, curve: _Curve) -> list[_Edge]:
    """Per answer; thresholds are lines of their own."""
    cuts, starts = at.reshape(-1, sample.x.shape[1]), sample.starts
    parts = [sample.x[starts[k] : starts[k + 1]] for k in range(len(cuts) + 1)]
    none = [np.zeros(len(part)) for part in parts]
    log_share, slope, bend = curve.tail(parts[0] @ cuts[0])
    edges = [_Edge(log_share, slope, none[0], bend, none[0], none[0])]
    for k in range(1, len(cuts)):
        upper, lower = parts[k] @ cuts[k], parts[k] @ cuts[k - 1]
        edges.append(curve.middle(upper, lower, upper - lower))
    log_share, slope, bend = curve.tail(-parts[-1] @ cuts[-1])
    return [*edges, _Edge(log_share, none[-1], -slope, none[-1], bend, none[-1])]


def _free_slopes(at: Floats, sample: _Sample, curve: _Curve) -> Slopes:
    with np.errstate(invalid="ignore", divide="ignore"):
        edges = _free_edges(at, sample, curve)
    value, size = sum(float(n @ e.log_share) for n, e in _by_answer(sample, edges)), sample.x.shape[1]
    q = len(at)
    if not np.isfinite(value):
        return Slopes(-np.inf, np.zeros(q), np.zeros((q, q)))
    gradient, information = np.zeros(q), np.zeros((q, q))
    for k, (n, edge) in enumerate(_by_answer(sample, edges)):
        x = sample.x[sample.starts[k] : sample.starts[k + 1]]
        own, before = slice(k * size, (k + 1) * size), slice((k - 1) * size, k * size)
        if k < len(edges) - 1:
            gradient[own] += x.T @ (n * edge.upper)
            information[own, own] -= x.T @ (x * (n * edge.bend_upper)[:, None])
        if k:
            gradient[before] += x.T @ (n * edge.lower)
            information[before, before] -= x.T @ (x * (n * edge.bend_lower)[:, None])
        if 0 < k < len(edges) - 1:
            mixed = -(x.T @ (x * (n * edge.mixed)[:, None]))
            information[own, before], information[before, own] = mixed, mixed.T
    return Slopes(value, gradient, information)


def _by_answer(sample: _Sample, edges: list[_Edge]) -> list[tuple[Floats, _Edge]]:
    return [(sample.n[sample.starts[k] : sample.starts[k + 1]], edge) for k, edge in enumerate(edges)]


def _ratio(start: Floats, base: Slopes, free: Floats, sample: _Sample, fit: OrdinalFit, df: int) -> Proportionality:
    """Likelihood ratio of the freer model, or the score where rows are many; `base` are the slopes at the start."""

    def slopes(moved: Floats) -> Slopes:
        there = base if not moved.any() else _free_slopes(start + free @ moved, sample, CURVES[fit.link])
        return Slopes(there.value, free.T @ there.gradient, free.T @ there.information @ free)

    origin = np.zeros(free.shape[1])
    settled = (origin, slopes(origin)) if len(sample.n) > MANY_ROWS else maximize(slopes, origin, n=TESTABLE)
    if settled is None:
        return Proportionality(np.nan, df, np.nan)
    rest = settled[1].gradient @ np.linalg.solve(settled[1].information, settled[1].gradient)
    statistic = float(2 * (settled[1].value - fit.log_likelihood) + rest)
    return Proportionality(statistic, df, float(stats.chi2.sf(statistic, df)))


def _free_scores(start: Floats, sample: _Sample, fit: OrdinalFit, y: Codes) -> Floats:
    """Slopes of each row's log-likelihood in the free parameters, rows in the order of the data."""
    size, scores = sample.x.shape[1], np.zeros((len(y), len(start)))
    for k, edge in enumerate(_free_edges(start, sample, CURVES[fit.link])):
        rows = slice(sample.starts[k], sample.starts[k + 1])
        if k < fit.n_thresholds:
            scores[rows, k * size : (k + 1) * size] += sample.x[rows] * edge.upper[:, None]
        if k:
            scores[rows, (k - 1) * size : k * size] += sample.x[rows] * edge.lower[:, None]
    in_order = np.empty_like(scores)
    in_order[np.argsort(y, kind="stable")] = scores
    return in_order


def _wald(
    base: Slopes, scores: Floats, free: Floats, covariance_of: Callable[[Floats], Floats], df_errors: float, df: int
) -> Proportionality:
    """One Newton step from the restricted model to the freer one, tested."""
    if df >= df_errors:
        return Proportionality(np.nan, df, np.nan)
    bread = np.linalg.inv(free.T @ base.information @ free)
    apart = (bread @ (free.T @ base.gradient))[-df:]
    covariance = covariance_of(scores @ (free @ bread))[-df:, -df:]
    statistic = float(apart @ np.linalg.solve(covariance, apart))
    if np.isinf(df_errors):
        return Proportionality(statistic, df, float(stats.chi2.sf(statistic, df)))
    return Proportionality(statistic, df, float(stats.f.sf(statistic / df, df, df_errors)))


def _few_clusters(base: Slopes, sums: Floats, free: Floats, information: Floats, df: int) -> Proportionality:
    """The same with CR2 errors; what the step explains is taken out of each cluster's scores."""
    bread, parts = np.linalg.inv(free.T @ base.information @ free), free.T @ information @ free
    step = bread @ (free.T @ base.gradient)
    clusters = likelihood_clusters(sums @ free - parts @ step, parts, bread)
    statistic, _, p_value = clusters.joint_test(step, np.eye(len(step))[-df:])
    return Proportionality(statistic, df, p_value)


def nagelkerke_change(
    log_likelihoods: tuple[float, float, float], n: float, df: int, conf_level: float
) -> tuple[float, float, float]:
    """By how much Nagelkerke's R-squared rises from a model to a larger one, and the interval of the rise.

    The rise is a function of the likelihood-ratio statistic; its interval comes from the noncentral chi-squared
    distributions under which a statistic as large or as small has a probability of half of what the level leaves.

    Parameters
    ----------
    log_likelihoods : tuple of float
        Of the model without predictors, the smaller and the larger one.
    n : float
        Respondents.
    df : int
        Parameters the larger model has more.
    conf_level : float
        Level of the interval.

    References
    ----------
    Nagelkerke (1991), Biometrika 78, 691-692; interval: Steiger & Fouladi (1997), in What If There Were No Significance
    Tests, chapter 9.
    """
    empty, small, large = log_likelihoods
    statistic, tail = max(2 * (large - small), 0.0), (1 - conf_level) / 2
    ends = (_noncentrality(statistic, df, probability) for probability in (1 - tail, tail))

    def rise(distance: float) -> float:
        return float(np.exp(2 * (empty - small) / n) * -np.expm1(-distance / n) / -np.expm1(2 * empty / n))

    return rise(statistic), *(rise(end) for end in ends)


def _noncentrality(statistic: float, df: int, probability: float) -> float:
    """The noncentrality at which a smaller statistic has a probability; 0 if it is less likely even without any."""
    if stats.chi2.cdf(statistic, df) <= probability:
        return 0.0
    end = 2 * statistic + 50
    return float(optimize.brentq(lambda shift: stats.ncx2.cdf(statistic, df, shift) - probability, 0.0, end))
