"""Discrete-time hazards: the chance that something happens in a period, if it has not happened before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, xlogy

from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError, StudyError, did_you_mean
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likelihoods import Likelihood, Slopes, maximize
from smstudy.inference.regression.logistic import separated_columns
from smstudy.inference.regression.small_clusters import (
    SmallClusters,
    cluster_sums,
    likelihood_clusters,
    small_clusters,
)

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Link = Literal["cloglog", "logit"]
MOST_ROWS = 5_000_000
MOST_NUMBERS = 50_000_000
SUSPECT = 12.0
NEVER = 1e-6
LARGEST = 700.0


class Periods(NamedTuple):
    """One row per person and period: whose it is, which period (from 1), and whether the event happened in it."""

    person: Codes
    period: Codes
    happened: Array


def person_periods(time: Array, event: Array) -> Periods:
    """Give each person a row for every period until the event or the end.

    Raises
    ------
    DataError
        If a time is not a whole number, or there would be more than 5 million rows.

    Examples
    --------
    >>> person_periods(np.array([2.0, 1.0]), np.array([1.0, 0.0])).happened.tolist()
    [0.0, 1.0, 0.0]
    """
    if (time % 1 != 0).any():
        raise DataError('Discrete time needs whole periods, such as weeks 1, 2, 3. Round up, or use model="cox".')
    if time.sum() > MOST_ROWS:
        raise DataError('These are too many periods for a discrete-time model. Use longer periods, or model="cox".')
    lengths = time.astype(np.intp)
    person = np.repeat(np.arange(len(time)), lengths)
    ends = np.cumsum(lengths)
    period = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths) + 1
    happened = np.zeros(ends[-1])
    happened[ends - 1] = event
    return Periods(person, period, happened)


def merged_periods(rows: Periods, least: int) -> Codes:
    """Put neighboring periods together, from the first on, until each has enough events; shape (rows,), from 0.

    >>> rows = person_periods(np.array([1.0, 2, 2, 3, 3]), np.ones(5))
    >>> merged_periods(rows, 2)[rows.happened == 1].tolist()
    [0, 0, 0, 1, 1]
    """
    events = np.bincount(rows.period, rows.happened)[1:]
    part, place, count = np.zeros(len(events), dtype=np.intp), 0, 0.0
    for period, here in enumerate(events):
        part[period] = place
        count += here
        if count >= least and events[period + 1 :].sum() >= least:
            place, count = place + 1, 0.0
    return part[rows.period - 1]


@dataclass(frozen=True, kw_only=True)
class DiscreteFit:
    """A discrete-time hazard model: the p coefficients with the scores of persons, and what clusters need.

    Attributes
    ----------
    likelihood : Likelihood
    null_log_likelihood : float
        Without any of the coefficients.
    line : array, shape (rows,)
        What the link makes a hazard of.
    baseline : integer array, shape (rows,)
        Which of the hazards over time each row has.
    """

    likelihood: Likelihood
    null_log_likelihood: float
    line: Array = field(repr=False)
    baseline: Codes = field(repr=False)


def discrete_hazard(
    x: Array, rows: Periods, *, baseline: Codes, names: Sequence[str], link: Link = "cloglog"
) -> DiscreteFit:
    """Fit a discrete-time hazard model.

    Time and memory grow with the rows times the p columns, however many hazards over time there are.

    Parameters
    ----------
    x : array, shape (n, p)
        One row per person, without a constant.
    rows : Periods
        From `person_periods`.
    baseline : integer array
        Which of the hazards over time each row has, from `merged_periods`.
    names : sequence of str, length p
        What the columns are called in messages.
    link : {"cloglog", "logit"}
        "cloglog" gives log hazard ratios as a Cox model does, "logit" log odds ratios.

    Returns
    -------
    DiscreteFit

    Raises
    ------
    EstimationError
        If terms determine each other, or an estimate would be infinite.

    References
    ----------
    Prentice & Gloeckler (1978), Biometrics 34, 57-67; Singer & Willett (1993), J. Educational Statistics 18, 155-195.
    Agrees with R `glm(binomial("cloglog"))` and `"logit"` on person-periods (tests/reference/survival.R).
    """
    if link not in get_args(Link):
        raise StudyError(f'link = "{link}" is not known. {did_you_mean(str(link), get_args(Link))}')
    p = x.shape[1]
    # everybody is at risk in the first period, so that terms determine each other there or nowhere
    least_squares(np.column_stack([np.ones(len(x)), x]), np.bincount(rows.person), names=["(intercept)", *names])
    blocks = _Blocks(x - x.mean(axis=0), rows.person, baseline, int(baseline.max()) + 1)
    settled = _climb(blocks, rows.happened, link)
    if settled is None or np.abs(blocks.line(settled[0])).max() > SUSPECT:
        _refuse_separated(blocks, rows.happened, names)
    if settled is None:
        raise EstimationError(f"The hazard model on {join_words(list(names))} did not settle. Leave a term out.")
    at, here = settled
    line = blocks.line(at)
    covariance = np.linalg.inv(blocks.information(_expected(line, link)))
    scores = blocks.scores(_slopes(line, rows.happened, link)[1])
    fit = Likelihood(
        names=tuple(names),
        parameters=at[:p],
        covariance=covariance[:p, :p],
        scores=(scores @ covariance)[:, :p] @ np.linalg.inv(covariance[:p, :p]),
        weights=np.ones(len(x)),
        log_likelihood=here.value,
    )
    happened, counts = np.bincount(baseline, rows.happened), np.bincount(baseline)
    null = xlogy(happened, happened / counts) + xlogy(counts - happened, 1 - happened / counts)
    return DiscreteFit(likelihood=fit, null_log_likelihood=float(null.sum()), line=line, baseline=baseline)


def discrete_clusters(
    fit: DiscreteFit, x: Array, rows: Periods, groups: Codes, *, link: Link = "cloglog"
) -> SmallClusters:
    """Compute CR2 errors of a fit to persons in clusters: those of the weighted linear model its last step solves.

    Parameters
    ----------
    fit : DiscreteFit
    x, rows, link
        As for `discrete_hazard`.
    groups : integer array, shape (n,)
        Number of each person's cluster, from 0.

    References
    ----------
    Pustejovsky & Tipton (2018), J. Business & Economic Statistics 36, 672-683; with more than 50 million numbers in the
    design from each cluster's scores and expected information, as in `likelihood_clusters`. Agrees with R
    `clubSandwich::vcovCR(type = "CR2")` of `glm(binomial)` on person-periods (tests/reference/survival.R).
    """
    p = x.shape[1]
    blocks = _Blocks(x - x.mean(axis=0), rows.person, fit.baseline, int(fit.baseline.max()) + 1)
    chance, slope = _hazards(fit.line, link)
    variance = chance * (1 - chance)
    if len(rows.person) * (p + blocks.k) > MOST_NUMBERS:
        return _scored_clusters(blocks, slope / variance * (rows.happened - chance), slope**2 / variance, groups)
    names = [*fit.likelihood.names, *(f"period {place + 1}" for place in range(blocks.k))]
    working = least_squares(blocks.dense() * (slope / np.sqrt(variance))[:, None], rows.happened, names=names)
    return small_clusters(
        working.basis, working.root[:p], rows.happened - chance, groups[rows.person], variance=variance
    )


def _scored_clusters(blocks: _Blocks, pull: Array, weights: Array, groups: Codes) -> SmallClusters:
    own = groups[blocks.person]
    parts = np.array([blocks.information(np.where(own == g, weights, 0.0)) for g in range(int(groups.max()) + 1)])
    bread = np.linalg.inv(parts.sum(axis=0))[: blocks.x.shape[1]]
    return likelihood_clusters(cluster_sums(blocks.scores(pull), groups), parts, bread)


class _Blocks(NamedTuple):
    """A design of persons' columns and one column per hazard over time, never made as a whole."""

    x: Array
    person: Codes
    baseline: Codes
    k: int

    def line(self, at: Array) -> Array:
        """The linear predictor of each row."""
        p = self.x.shape[1]
        return (self.x @ at[:p])[self.person] + at[p:][self.baseline]

    def gradient(self, first: Array) -> Array:
        """Slopes in the parameters from those in the predictor."""
        own = np.bincount(self.person, first, minlength=len(self.x))
        return np.concatenate([self.x.T @ own, np.bincount(self.baseline, first, minlength=self.k)])

    def information(self, weights: Array) -> Array:
        """Products of the columns, each row counting by its weight."""
        own = np.bincount(self.person, weights, minlength=len(self.x))
        crossed = [np.bincount(self.baseline, weights * column[self.person], minlength=self.k) for column in self.x.T]
        crossed = np.array(crossed).reshape(-1, self.k)
        among = np.bincount(self.baseline, weights, minlength=self.k)
        return np.block([[self.x.T @ (self.x * own[:, None]), crossed], [crossed.T, np.diag(among)]])

    def scores(self, first: Array) -> Array:
        """Slopes in the parameters of each person."""
        place = self.person * self.k + self.baseline
        times = np.bincount(place, first, minlength=len(self.x) * self.k).reshape(-1, self.k)
        return np.hstack([self.x * times.sum(axis=1)[:, None], times])

    def dense(self) -> Array:
        """The whole design, shape (rows, p + k)."""
        times = (self.baseline[:, None] == np.arange(self.k)).astype(float)
        return np.column_stack([self.x[self.person], times])


def _climb(blocks: _Blocks, y: Array, link: Link) -> tuple[Array, Slopes] | None:
    def slopes(at: Array) -> Slopes:
        value, first, second = _slopes(blocks.line(at), y, link)
        return Slopes(float(value.sum()), blocks.gradient(first), blocks.information(-second))

    hazards = np.clip(np.bincount(blocks.baseline, y) / np.bincount(blocks.baseline), NEVER, 1 - NEVER)
    alone = logit(hazards) if link == "logit" else np.log(-np.log1p(-hazards))
    return maximize(slopes, np.concatenate([np.zeros(blocks.x.shape[1]), alone]), n=len(y))


def _hazards(line: Array, link: Link) -> tuple[Array, Array]:
    """The chance of the event in each row, and how it changes with the predictor."""
    if link == "logit":
        chance = expit(line)
        return chance, chance * expit(-line)
    rate = np.exp(np.minimum(line, np.log(LARGEST)))
    return -np.expm1(-rate), rate * np.exp(-rate)


def _slopes(line: Array, y: Array, link: Link) -> tuple[Array, Array, Array]:
    """Log-likelihood of each row, its first and second slope in the line."""
    if link == "logit":
        chance = expit(line)
        return -np.logaddexp(0.0, np.where(y == 1, -line, line)), y - chance, -chance * (1 - chance)
    rate = np.exp(np.minimum(line, np.log(LARGEST)))
    pull = rate / np.expm1(rate)
    value = np.where(y == 1, np.log(-np.expm1(-rate)), -rate)
    return value, np.where(y == 1, pull, -rate), np.where(y == 1, pull * (1 - rate - pull), -rate)


def _expected(line: Array, link: Link) -> Array:
    """Expected information of each row."""
    if link == "logit":
        return expit(line) * expit(-line)
    rate = np.exp(np.minimum(line, np.log(LARGEST)))
    return rate**2 / np.expm1(rate)


def _refuse_separated(blocks: _Blocks, y: Array, names: Sequence[str]) -> None:
    z = blocks.dense()
    called = [*names, *(f"period {place + 1}" for place in range(z.shape[1] - len(names)))]
    found = separated_columns(z, y, names=called)
    told = [f'"{name}"' for name in found if name in names]
    if found:
        raise EstimationError(
            f"An estimate would be infinite: {join_words(told) or 'periods'} tell without error when the event happens "
            "or that it does not. Leave out a term, or merge levels by what they mean."
        )
