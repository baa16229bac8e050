"""Regressions of counts: Poisson, negative binomial, and both with people who never have an event."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import digamma, expit, gammaln, log_expit, polygamma

from smstudy.display.prose import join_words
from smstudy.errors import EstimationError
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likelihoods import Likelihood, Predictors, Rows, Slopes, distinct_rows, maximize
from smstudy.inference.regression.logistic import separating_columns
from smstudy.inference.regression.small_clusters import (
    SmallClusters,
    cluster_sums,
    likelihood_clusters,
    side_by_side,
    small_clusters,
)

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
CountFamily = Literal["poisson", "negative_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial"]
SUSPECT = 12.0
FLAT = 0.1
SMALLEST = 1e-14
LEVEL = re.compile(r"\[[^\]]*\]")
LARGEST_THETA = 1e6
DISPERSED = ("negative_binomial", "zero_inflated_negative_binomial")
INFLATED = ("zero_inflated_poisson", "zero_inflated_negative_binomial")


@dataclass(frozen=True, kw_only=True)
class CountFit(Likelihood):
    """Coefficients of the log rate, then of the log odds of never having an event, then the log of theta.

    Attributes
    ----------
    rate : array, shape (n,)
        Expected events of those who can have them.
    never : array, shape (n,)
        Chance of never having an event; 0 without a zero part.
    theta : float
        Of a negative binomial, whose variance is rate + rate² / theta; infinite for Poisson.
    """

    rate: Array
    never: Array
    theta: float


def count_fit(
    x: Array,
    y: Array,
    *,
    names: Sequence[str],
    family: CountFamily,
    offset: Array | None = None,
    zero: Array | None = None,
    zero_names: Sequence[str] = (),
    weights: Array | None = None,
) -> CountFit:
    """Fit a regression of counts by maximum likelihood with Newton steps.

    Parameters
    ----------
    x : array, shape (n, p)
        One column per coefficient of the log rate, the constant first.
    y : array, shape (n,)
        Whole numbers from 0 on.
    names, zero_names : sequence of str
        What the columns are called in messages.
    family : {"poisson", "negative_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial"}
    offset : array, shape (n,), optional
        Log of the exposure.
    zero : array, shape (n, z)
        Columns of the log odds of never having an event; needed where zeros are inflated.
    weights : array, shape (n,), optional
        How many respondents each row stands for.

    Returns
    -------
    CountFit

    Raises
    ------
    EstimationError
        If columns repeat each other, an estimate would be infinite, or counts vary too little for the family.

    References
    ----------
    Cameron & Trivedi (2013), Regression Analysis of Count Data, chapters 3 and 4; Lambert (1992), Technometrics 34,
    1-14. Agrees with R `glm(poisson)`, `MASS::glm.nb` (whose errors of coefficients are from the expected information)
    and `pscl::zeroinfl` (tests/reference/event_counts.R).

    Examples
    --------
    >>> fit = count_fit(np.ones((4, 1)), np.array([0.0, 1.0, 3.0, 4.0]), names=["(intercept)"], family="poisson")
    >>> np.exp(fit.parameters).round(6).tolist()
    [2.0]
    """
    n = np.ones(len(y)) if weights is None else weights
    known = np.zeros(len(y)) if offset is None else offset
    found = distinct_rows([y, known, *x.T, *(zero.T if zero is not None else [])], n)
    kept = slice(None) if found is None else found.first
    sample = _Sample(y[kept], known[kept], n if found is None else found.counts)
    designs = [(x[kept], list(names))] + ([(zero[kept], list(zero_names))] if family in INFLATED else [])
    for design, own in designs:
        least_squares(design, sample.y, names=own)
    scales = [np.sqrt((design**2).mean(axis=0)) for design, _ in designs]
    at, here, predictors = _climb(sample, [d / s for (d, _), s in zip(designs, scales, strict=True)], family, names)
    back = 1 / np.concatenate([*scales, np.ones(len(at) - sum(map(len, scales)))])
    scores = predictors.scores(_rows(predictors.at(at), sample.y, family)) / back
    every = scores if found is None else scores[found.place]
    information = _expected(predictors, at, sample) if family == "negative_binomial" else here.information
    parameters, p = at * back, x.shape[1]
    return CountFit(
        names=(*names, *(zero_names if family in INFLATED else ()), *(["log(theta)"] if family in DISPERSED else [])),
        parameters=parameters,
        covariance=np.linalg.inv(information) * np.outer(back, back),
        scores=every,
        weights=n,
        log_likelihood=here.value,
        rate=np.exp(x @ parameters[:p] + known),
        never=expit(zero @ parameters[p : p + zero.shape[1]]) if family in INFLATED else np.zeros(len(y)),
        theta=float(np.exp(at[-1])) if family in DISPERSED else np.inf,
    )


class _Sample(NamedTuple):
    y: Array
    offset: Array
    n: Array


def _climb(
    sample: _Sample, designs: Sequence[Array], family: CountFamily, names: Sequence[str]
) -> tuple[Array, Slopes, Predictors]:
    """First Poisson; from there on theta, then who never has an event."""
    plain = Predictors(designs=(designs[0],), offsets=(sample.offset,))
    rate = float(sample.n @ sample.y / (sample.n @ np.exp(sample.offset)))
    start = np.linalg.lstsq(designs[0], np.full(len(sample.y), np.log(rate)), rcond=None)[0]
    at, here = _settled(plain, start, sample, "poisson", names)
    if family == "poisson":
        return at, here, plain
    expected = np.exp(plain.at(at)[0])
    if family == "negative_binomial":
        excess = float(sample.n @ ((sample.y - expected) ** 2 - sample.y))
        if excess <= 0:
            raise EstimationError(
                'Counts vary no more than a Poisson model expects, so theta would be infinite. Use family="poisson".'
            )
        start = np.append(at, np.log(float(sample.n @ expected**2) / excess))
    else:
        chances = np.clip(sample.n @ (sample.y == 0) / sample.n.sum(), 0.05, 0.95) / 2
        never = np.linalg.lstsq(designs[1], np.full(len(sample.y), np.log(chances / (1 - chances))), rcond=None)[0]
        start = np.concatenate([at, never, np.zeros(int(family in DISPERSED))])
    dispersed = (np.ones((len(sample.y), 1)),) if family in DISPERSED else ()
    predictors = Predictors(
        designs=(*designs, *dispersed), offsets=(sample.offset, *(0.0 for _ in designs[1:]), *(0.0 for _ in dispersed))
    )
    return *_settled(predictors, start, sample, family, names), predictors


def _settled(
    predictors: Predictors, start: Array, sample: _Sample, family: CountFamily, names: Sequence[str]
) -> tuple[Array, Slopes]:
    def slopes(at: Array) -> Slopes:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return predictors.slopes(_rows(predictors.at(at), sample.y, family), sample.n)

    found = maximize(slopes, start, n=sample.n.sum())
    lines = predictors.at(found[0]) if found else None
    extreme = lines is None or (lines[0] - sample.offset).min() < -SUSPECT
    if extreme:
        _refuse_separated(predictors.designs[0], sample.y, names)
    if family in DISPERSED and lines is not None and np.exp(lines[-1, 0]) > LARGEST_THETA:
        found = None
    if family in INFLATED and found is not None and _endless(predictors, lines[1], found[1].information):
        found = None
    if found is None:
        raise EstimationError(ADVICE[family])
    return found


def _endless(predictors: Predictors, odds: Array, information: Array) -> bool:
    """Whether log odds of never grow without end: all of them large, or one so large that it could be twice as large.

    A driver with few high values makes log odds large and well known; where they have no end the likelihood is flat
    along them, and they are far smaller than their errors.
    """
    if np.abs(odds).max() <= SUSPECT:
        return False
    if odds.max() < -SUSPECT or odds.min() > SUSPECT:
        return True
    z, p = predictors.designs[1], predictors.designs[0].shape[1]
    scale = np.sqrt(np.abs(np.diag(information)))
    sizes, axes = np.linalg.eigh(information / np.outer(scale, scale))
    part = axes[p : p + z.shape[1]] / scale[p : p + z.shape[1], None] / np.sqrt(np.maximum(sizes, SMALLEST))
    far = np.abs(odds) > SUSPECT
    return bool((np.abs(odds[far]) < FLAT * np.linalg.norm(z[far] @ part, axis=1)).any())


ADVICE: dict[CountFamily, str] = {
    "poisson": "The Poisson regression did not settle. Leave a term out, or use another unit of exposure.",
    "negative_binomial": "The search for theta did not settle: counts vary hardly more than a Poisson model expects. "
    'Use family="poisson".',
    "zero_inflated_poisson": "The search for those who never have an event did not settle: an estimate grows without "
    'end, as when there are no more zeros than expected. Name fewer terms in zero=, or use family="poisson".',
    "zero_inflated_negative_binomial": "The search for those who never have an event did not settle: an estimate grows "
    "without end, as when there are no more zeros than expected. Name fewer terms in zero=, or use "
    'family="negative_binomial".',
}


def _rows(lines: Array, y: Array, family: CountFamily) -> Rows:
    """Per respondent; predictors are the log rate, the log odds of never, the log of theta, as far as there are any."""
    values, first, second = _poisson(lines[0], y) if family not in DISPERSED else _dispersed(lines[0], lines[-1], y)
    return _inflated(values, first, second, lines[1], y) if family in INFLATED else Rows(values, first, second)


def _poisson(line: Array, y: Array) -> tuple[Array, Array, Array]:
    rate = np.exp(line)
    return y * line - rate - gammaln(y + 1), (y - rate)[None], -rate[None, None]


def _dispersed(line: Array, log_theta: Array, y: Array) -> tuple[Array, Array, Array]:
    rate, theta = np.exp(line), np.exp(log_theta)
    both = rate + theta
    value = gammaln(y + theta) - gammaln(theta) - gammaln(y + 1) - theta * np.log1p(rate / theta)
    value += y * (line - np.log(both))
    by_rate = theta * (y - rate) / both
    by_theta = digamma(y + theta) - digamma(theta) - np.log1p(rate / theta) + 1 - (y + theta) / both
    bend = polygamma(1, y + theta) - polygamma(1, theta) + 1 / theta - 2 / both + (y + theta) / both**2
    mixed = theta * rate * (y - rate) / both**2
    second = np.array([
        [-(y + theta) * rate * theta / both**2, mixed],
        [mixed, theta**2 * bend + theta * by_theta],
    ])  # fmt: skip
    return value, np.array([by_rate, theta * by_theta]), second


def _inflated(values: Array, first: Array, second: Array, odds: Array, y: Array) -> Rows:
    """Mix a count with a chance of never having an event; a zero may come from either."""
    nothing = y == 0
    total = np.where(nothing, np.logaddexp(log_expit(odds), log_expit(-odds) + values), log_expit(-odds) + values)
    counted = np.where(nothing, np.exp(log_expit(-odds) + values - total), 1.0)
    never, spread = expit(odds), counted * (1 - counted)
    by_odds = 1 - counted - never
    slopes = np.vstack([first[:1] * counted, by_odds[None], first[1:] * counted])
    places = [0, *range(2, len(slopes))]
    bends = np.empty((len(slopes), len(slopes), len(y)))
    bends[np.ix_(places, places)] = counted * second + spread * first[:, None] * first[None]
    bends[1, places] = bends[places, 1] = -spread * first
    bends[1, 1] = spread - never * (1 - never)
    return Rows(total, slopes, bends)


def _expected(predictors: Predictors, at: Array, sample: _Sample) -> Array:
    """Expected information of the coefficients of a negative binomial, and observed of theta, as R glm.nb has it."""
    lines = predictors.at(at)
    rate, theta = np.exp(lines[0]), np.exp(lines[1])
    rows = _rows(lines, sample.y, "negative_binomial")
    rows.second[0, 0] = -rate * theta / (rate + theta)
    rows.second[0, 1] = rows.second[1, 0] = 0.0
    return predictors.slopes(rows, sample.n).information


def _refuse_separated(x: Array, y: Array, names: Sequence[str]) -> None:
    """Refuse columns that lower the rate of respondents without events for ever, and change nobody else's."""
    some = y > 0
    rows = np.vstack([x[some], -x[some], -x[~some]])
    told = separating_columns(rows, np.ones(len(rows)), names=names)
    if told:
        terms = dict.fromkeys(LEVEL.sub("", name) for name in told)
        quoted = join_words([f'"{name}"' for name in terms])
        raise EstimationError(
            f"{quoted} {'tells' if len(terms) == 1 else 'tell'} some respondents without any event apart from all "
            "others, so an estimate would be infinite. Leave out a term, or merge levels by what they mean."
        )


def count_clusters(
    fit: CountFit, x: Array, y: Array, groups: Codes, *, offset: Array | None = None, zero: Array | None = None
) -> SmallClusters:
    """Compute CR2 errors of a fit to respondents in clusters.

    Without a zero part those of the weighted linear model that the last step solves, theta taken as known; with one
    from scores and observed information.

    Parameters
    ----------
    fit : CountFit
        Of these columns.
    x, y, offset, zero
        As for `count_fit`.
    groups : integer array, shape (n,)
        Number of each respondent's cluster, from 0.

    References
    ----------
    Agrees with R `clubSandwich::vcovCR(type = "CR2")` of `glm(poisson)` and `glm(negative.binomial(theta))`
    (tests/reference/few_clusters.R).
    """
    known = np.zeros(len(y)) if offset is None else offset
    sums = cluster_sums(fit.weights[:, None] * fit.scores, groups)
    if zero is not None:
        return likelihood_clusters(sums, _cluster_information(fit, x, y, groups, known, zero), fit.covariance)
    variance = fit.rate * (1 + fit.rate / fit.theta)
    working = least_squares(x * (fit.rate / np.sqrt(variance))[:, None], y, names=fit.names[: x.shape[1]])
    mean = small_clusters(working.basis, working.root, y - fit.rate, groups, variance=variance)
    if np.isinf(fit.theta):
        return mean
    own = _cluster_information(fit, x, y, groups, known, None)[:, -1:, -1:]
    return side_by_side(mean, likelihood_clusters(sums[:, -1:], own, fit.covariance[-1:, -1:]))


def _cluster_information(fit: CountFit, x: Array, y: Array, groups: Codes, known: Array, zero: Array | None) -> Array:
    """Observed information of each cluster, shape (G, q, q)."""
    theta = "poisson" if np.isinf(fit.theta) else "negative_binomial"
    family = theta if zero is None else f"zero_inflated_{theta}"
    designs = [x, *([zero] if zero is not None else []), *([] if np.isinf(fit.theta) else [np.ones((len(y), 1))])]
    made = []
    for own in np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1]):
        offsets = (known[own], *(0.0 for _ in designs[1:]))
        here = Predictors(designs=tuple(design[own] for design in designs), offsets=offsets)
        made.append(here.slopes(_rows(here.at(fit.parameters), y[own], family), fit.weights[own]).information)
    return np.array(made)


class Excess(NamedTuple):
    """What is found against what a model expects, with a test."""

    found: float
    expected: float
    statistic: float
    p_value: float


def overdispersion(fit: CountFit, y: Array, n_parameters: int) -> Excess:
    """Test whether counts vary more or less than a Poisson model expects, against a variance of rate + c rate².

    The test has two sides: `statistic` is above 0 where counts vary more. `found` is Pearson's chi-squared over its
    degrees of freedom, 1 as expected.

    References
    ----------
    Dean (1992), J. American Statistical Association 87, 451-457, statistic P_B.
    """
    gap, n = (y - fit.rate) ** 2, fit.weights
    statistic = float(n @ (gap - y) / np.sqrt(2 * (n @ fit.rate**2)))
    found = float(n @ (gap / fit.rate) / (n.sum() - n_parameters))
    return Excess(found, 1.0, statistic, float(2 * stats.norm.sf(abs(statistic))))


def excess_zeros(fit: CountFit, x: Array, y: Array) -> Excess:
    """Test whether there are more zeros than a Poisson or negative binomial model expects, as shares; one-sided.

    References
    ----------
    Score test of van den Broek (1995), Biometrics 51, 738-743, in the form of Newey (1985), Econometrica 53,
    1047-1070, which allows for estimated parameters.
    """
    theta, n = fit.theta, fit.weights
    if np.isinf(theta):
        chance, slopes = np.exp(-fit.rate), -(np.exp(-fit.rate) * fit.rate)[:, None] * x
    else:
        log_chance = -theta * np.log1p(fit.rate / theta)
        chance = np.exp(log_chance)
        by_rate = -theta * fit.rate / (theta + fit.rate)
        by_theta = log_chance + theta * fit.rate / (theta + fit.rate)
        slopes = chance[:, None] * np.column_stack([by_rate[:, None] * x, by_theta])
    gap = (y == 0) - chance
    parts = n * gap - fit.contributions @ (n @ slopes)
    statistic = float(n @ gap / np.sqrt(parts @ parts))
    return Excess(
        float(n @ (y == 0) / n.sum()), float(n @ chance / n.sum()), statistic, float(stats.norm.sf(statistic))
    )
