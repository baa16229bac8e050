"""Discrete-time hazards: the chance that something happens in a period, if it has not happened before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError, StudyError, did_you_mean
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likelihoods import Likelihood, Slopes, maximize
from smstudy.inference.regression.logistic import separated_columns

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Link = Literal["cloglog", "logit"]
MOST_ROWS = 5_000_000
SUSPECT = 12.0
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


def discrete_hazard(
    x: Array, rows: Periods, *, baseline: Codes, names: Sequence[str], link: Link = "cloglog"
) -> tuple[Likelihood, float]:
    """Fit a discrete-time hazard model.

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
    tuple of Likelihood and float
        The p coefficients with the scores of persons, and the log-likelihood without any of them.

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
    p, k = x.shape[1], int(baseline.max()) + 1
    times = (baseline[:, None] == np.arange(k)).astype(float)
    centered = x - x.mean(axis=0)
    z, y = np.column_stack([centered[rows.person], times]), rows.happened
    called = [*names, *(f"period {place + 1}" for place in range(k))]
    least_squares(z, y, names=called)
    settled = _climb(z, y, link)
    if settled is None or np.abs(z @ settled[0]).max() > SUSPECT:
        _refuse_separated(z, y, called)
    if settled is None:
        raise EstimationError(f"The hazard model on {join_words(list(names))} did not settle. Leave a term out.")
    at, here = settled
    line = z @ at
    covariance = np.linalg.inv(z.T @ (z * _expected(line, link)[:, None]))
    pull = _slopes(line, y, link)[1]
    scores = np.column_stack([np.bincount(rows.person, column * pull, minlength=len(x)) for column in z.T])
    fit = Likelihood(
        names=tuple(names),
        parameters=at[:p],
        covariance=covariance[:p, :p],
        scores=(scores @ covariance)[:, :p] @ np.linalg.inv(covariance[:p, :p]),
        weights=np.ones(len(x)),
        log_likelihood=here.value,
    )
    null = _climb(times, y, link)
    return fit, float("nan") if null is None else null[1].value


def _climb(z: Array, y: Array, link: Link) -> tuple[Array, Slopes] | None:
    def slopes(at: Array) -> Slopes:
        value, first, second = _slopes(z @ at, y, link)
        return Slopes(float(value.sum()), z.T @ first, -z.T @ (z * second[:, None]))

    return maximize(slopes, np.zeros(z.shape[1]), n=len(y))


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


def _refuse_separated(z: Array, y: Array, names: Sequence[str]) -> None:
    told = [f'"{name}"' for name in separated_columns(z, y, names=names)]
    if told:
        raise EstimationError(
            f"An estimate would be infinite: {join_words(told)} tell without error when the event happens or that it "
            "does not. Leave out a term, or merge levels by what they mean."
        )
