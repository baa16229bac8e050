"""Multinomial logistic regression: how the odds of each choice against a reference depend on other variables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from smstudy.display.prose import join_words
from smstudy.errors import EstimationError
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.likelihoods import Likelihood, Predictors, Rows, distinct_rows, maximize
from smstudy.inference.regression.logistic import separating_columns
from smstudy.inference.regression.small_clusters import (
    SmallClusters,
    cluster_grams,
    cluster_sums,
    likelihood_clusters,
)

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
SUSPECT = 12.0


def multinomial_fit(x: Array, y: Codes, *, names: Sequence[str], weights: Array | None = None) -> Likelihood:
    """Fit a multinomial logit by maximum likelihood with Newton steps.

    Parameters
    ----------
    x : array, shape (n, p)
        One column per coefficient, the constant first.
    y : array, shape (n,)
        0 for the reference, 1 … r for the other choices; every one made by somebody.
    names : sequence of str, length p
        What the columns are called in messages.
    weights : array, shape (n,), optional
        How many respondents each row stands for.

    Returns
    -------
    Likelihood
        Parameters in the order of the choices, p for each.

    Raises
    ------
    EstimationError
        If columns repeat each other, or tell some choices from others without error.

    References
    ----------
    McFadden (1974), in Frontiers in Econometrics, 105-142. Agrees with R `nnet::multinom`
    (tests/reference/categories.R).

    Examples
    --------
    >>> fit = multinomial_fit(np.ones((4, 1)), np.array([0, 0, 1, 2]), names=["(intercept)"])
    >>> fit.parameters.round(4).tolist()
    [-0.6931, -0.6931]
    """
    n = np.ones(len(y)) if weights is None else weights
    found = distinct_rows([y, *x.T], n)
    few = (x, y, n) if found is None else (x[found.first], y[found.first], found.counts)
    least_squares(few[0], few[1].astype(float), names=names)
    r, scale = int(y.max()), np.sqrt((few[0] ** 2).mean(axis=0))
    predictors = Predictors(designs=(few[0] / scale,) * r, offsets=(0.0,) * r)
    start = np.zeros((r, x.shape[1]))
    settled = maximize(lambda at: predictors.slopes(_rows(predictors.at(at), few[1]), few[2]), start.ravel(), n=n.sum())
    if settled is None or np.abs(predictors.at(settled[0])).max() > SUSPECT:
        _refuse_separated(few[0], few[1], names)
    if settled is None:
        raise EstimationError(f"The multinomial regression on {join_words(names)} did not settle. Leave a term out.")
    at, here = settled
    back = 1 / np.tile(scale, r)
    scores = predictors.scores(_rows(predictors.at(at), few[1])) / back
    return Likelihood(
        names=tuple(names) * r,
        parameters=at * back,
        covariance=np.linalg.inv(here.information) * np.outer(back, back),
        scores=scores if found is None else scores[found.place],
        weights=n,
        log_likelihood=here.value,
    )


def multinomial_clusters(fit: Likelihood, x: Array, groups: Codes) -> SmallClusters:
    """Compute CR2 errors of a fit to respondents in clusters, from its scores and information.

    Parameters
    ----------
    fit : Likelihood
        Of these columns.
    x
        As for `multinomial_fit`.
    groups : integer array, shape (n,)
        Number of each respondent's cluster, from 0.
    """
    lines = x @ fit.parameters.reshape(-1, x.shape[1]).T
    chances = softmax(np.column_stack([np.zeros(len(x)), lines]), axis=1)[:, 1:].T
    bends = [[own * ((a == b) - other) for b, other in enumerate(chances)] for a, own in enumerate(chances)]
    information = np.concatenate([
        np.concatenate([cluster_grams(x, groups, fit.weights * bend) for bend in row], axis=2) for row in bends
    ], axis=1)  # fmt: skip
    return likelihood_clusters(cluster_sums(fit.weights[:, None] * fit.scores, groups), information, fit.covariance)


def _rows(lines: Array, y: Codes) -> Rows:
    r, n = lines.shape
    every = np.vstack([np.zeros(n), lines])
    logs = every - logsumexp(every, axis=0)
    chances = np.exp(logs[1:])
    first = (y == np.arange(1, r + 1)[:, None]) - chances
    second = chances[:, None] * chances[None]
    second[np.arange(r), np.arange(r)] -= chances
    return Rows(logs[y, np.arange(n)], first, second)


def _refuse_separated(x: Array, y: Codes, names: Sequence[str]) -> None:
    """Refuse columns along which nobody moves away from the choice made, and some move toward it."""
    r, p = int(y.max()), x.shape[1]
    columns = np.zeros((len(y), r + 1, r, p))
    for other in range(1, r + 1):
        columns[:, other, other - 1] = -x
    own = np.zeros((len(y), r, p))
    own[y > 0, y[y > 0] - 1] = x[y > 0]
    rows = (columns + own[:, None]).reshape(len(y), r + 1, r * p)
    rivals = np.arange(r + 1) != y[:, None]
    told = separating_columns(rows[rivals], np.ones(rivals.sum()), names=[name for _ in range(r) for name in names])
    drivers = [f'"{name}"' for name in dict.fromkeys(told)]
    if drivers:
        verb = "tells" if len(drivers) == 1 else "tell"
        raise EstimationError(
            f"The outcome is separated: {join_words(drivers)} {verb} some choices from others without error, so an "
            "estimate would be infinite. Leave out a term, or merge levels or choices by what they mean."
        )
