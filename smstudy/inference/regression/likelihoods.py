"""Fits by maximum likelihood: what every one hands on, and the search for the maximum they share.

A model has one linear predictor or several (the log of a rate, the log odds of each answer against the first), each
with its own design. A family says per respondent how the log-likelihood changes with the predictors; the rest is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pandas import factorize
from scipy.linalg import solve_triangular

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
STEPS = 60
HALVINGS = 40
SETTLED = 1e-20
ROUNDING = 1e-12
NEAR = 1e-8
STEEPEST = 1e-8
NO_ROUNDING = 2.0**62


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """A fit of q parameters to n respondents by maximum likelihood.

    Attributes
    ----------
    names : tuple of str, length q
    parameters : array, shape (q,)
    covariance : array, shape (q, q)
        Classical: the inverse information.
    scores : array, shape (n, q)
        Slopes of each respondent's log-likelihood, without weight.
    weights : array, shape (n,)
        How many respondents each stands for.
    log_likelihood : float
        Of all respondents, weighted.
    """

    names: tuple[str, ...]
    parameters: Array
    covariance: Array = field(repr=False)
    scores: Array = field(repr=False)
    weights: Array = field(repr=False)
    log_likelihood: float

    @property
    def contributions(self) -> Array:
        """Each respondent's part in the estimates, shape (n, q): estimate − truth is near the sum of them."""
        return self.weights[:, None] * (self.scores @ self.covariance)


class Slopes(NamedTuple):
    """A log-likelihood at some parameters, its gradient and its information (minus the second slopes)."""

    value: float
    gradient: Array
    information: Array


NOWHERE = Slopes(-np.inf, np.zeros(0), np.zeros(0))


def maximize(slopes: Callable[[Array], Slopes], start: Array, *, n: float) -> tuple[Array, Slopes] | None:
    """Climb to the maximum by Newton steps, halved where they do not rise, bent where the surface is not a hill.

    Near the top, where a rise drowns in the rounding of large sums, steps are trusted.

    Parameters
    ----------
    slopes : callable, parameters to Slopes
        A value of minus infinity marks parameters that are not allowed.
    start : array, shape (q,)
    n : float
        Respondents, the sum of the weights; the search ends where a step would raise the log-likelihood by less than
        1e-20 of it.

    Returns
    -------
    tuple of array and Slopes, or None
        The maximum; None if the search did not settle, as when an estimate grows without end.
    """
    at, here = start, slopes(start)
    for _ in range(STEPS):
        step, hill = _step(here)
        if step is None or not np.isfinite(here.value):
            return None
        rise = here.gradient @ step
        if hill and rise < SETTLED * n:
            return at, here
        least = -np.inf if hill and rise < NEAR else here.value - ROUNDING * abs(here.value)
        tries = ((tried, slopes(tried)) for tried in (at + step * 0.5**halving for halving in range(HALVINGS)))
        at, here = next(((tried, there) for tried, there in tries if there.value >= least), (at, NOWHERE))
    return None


def _step(here: Slopes) -> tuple[Array | None, bool]:
    """The Newton step on columns of like size, and whether the information is that of a hill."""
    if not np.isfinite(here.value) or not (np.isfinite(here.information).all() and np.isfinite(here.gradient).all()):
        return None, False
    scale = np.sqrt(np.abs(np.diag(here.information)))
    if not scale.all():
        return None, False
    scaled, gradient = here.information / np.outer(scale, scale), here.gradient / scale
    try:
        np.linalg.cholesky(scaled)
        return np.linalg.solve(scaled, gradient) / scale, True
    except np.linalg.LinAlgError:
        sizes, axes = np.linalg.eigh(scaled)
        bent = np.maximum(np.abs(sizes), STEEPEST)
        return axes @ (axes.T @ gradient / bent) / scale, False


class Rows(NamedTuple):
    """Per respondent: the log-likelihood (n,), its slopes (r, n) and second slopes (r, r, n) in the r predictors."""

    values: Array
    first: Array
    second: Array


@dataclass(frozen=True, kw_only=True)
class Predictors:
    """The designs of a model's linear predictors, with a fixed part each.

    Attributes
    ----------
    designs : tuple of array, each of shape (n, p of this predictor)
    offsets : tuple of (array of shape (n,) or 0.0)
        Parts of the predictors that are known.
    """

    designs: tuple[Array, ...]
    offsets: tuple[Array | float, ...]

    def split(self, parameters: Array) -> list[Array]:
        """The parameters of each predictor."""
        return np.split(parameters, np.cumsum([design.shape[1] for design in self.designs])[:-1])

    def at(self, parameters: Array) -> Array:
        """The predictors, shape (r, n)."""
        parts = zip(self.designs, self.split(parameters), self.offsets, strict=True)
        return np.array([design @ part + offset for design, part, offset in parts])

    def slopes(self, rows: Rows, weights: Array) -> Slopes:
        """Sum over respondents and turn slopes in the predictors into slopes in the parameters."""
        gradient = np.concatenate(
            [x.T @ (weights * d) for x, d in zip(self.designs, rows.first, strict=True)], dtype=float
        )
        blocks = [
            [-(x.T @ (z * (weights * rows.second[a, b])[:, None])) for b, z in enumerate(self.designs)]
            for a, x in enumerate(self.designs)
        ]
        return Slopes(float(weights @ rows.values), gradient, np.block(blocks))

    def scores(self, rows: Rows) -> Array:
        """Slopes of each respondent's log-likelihood in the parameters, shape (n, q)."""
        return np.hstack([x * d[:, None] for x, d in zip(self.designs, rows.first, strict=True)])


class Distinct(NamedTuple):
    """Rows that differ: the place of one of each, the number of each original row, and how often they occur."""

    first: Codes
    place: Codes
    counts: Array


def distinct_rows(columns: Sequence[Array], weights: Array) -> Distinct | None:
    """Find rows that are alike, so that a likelihood is computed once for each; None where it saves less than half.

    Examples
    --------
    >>> found = distinct_rows([np.array([1.0, 2.0, 1.0, 1.0])], np.ones(4))
    >>> found.counts.tolist(), found.place.tolist()
    ([3.0, 1.0], [0, 1, 0, 0])
    """
    n = len(weights)
    code, size = np.zeros(n, dtype=np.int64), 1.0
    for column in columns:
        own, found = factorize(column)
        if size * len(found) > NO_ROUNDING:
            code, seen = factorize(code)
            size = float(len(seen))
        code, size = code * len(found) + own, size * len(found)
        if len(found) > n / 2:
            return None
    place, found = factorize(code)
    if len(found) > n / 2:
        return None
    first = np.empty(len(found), dtype=np.intp)
    first[place[::-1]] = np.arange(n)[::-1]
    return Distinct(first, place, np.bincount(place, weights, minlength=len(found)))


def leverages(x: Array) -> Array:
    """How far each row of a design of full rank lies from the rest, shape (n,); 1 for a row that alone has a say.

    Examples
    --------
    >>> leverages(np.column_stack([np.ones(4), [0.0, 0.0, 0.0, 1.0]])).round(6).tolist()
    [0.333333, 0.333333, 0.333333, 1.0]
    """
    scaled = x / np.linalg.norm(x, axis=0)
    root = np.linalg.cholesky(scaled.T @ scaled)
    return np.clip((solve_triangular(root, scaled.T, lower=True) ** 2).sum(axis=0), 0.0, 1.0)


def null_log_likelihood(y: Array, weights: Array) -> float:
    """The log-likelihood of a categorical outcome if nobody differed."""
    shares = np.bincount(np.unique(y, return_inverse=True)[1], weights)
    return float(shares @ np.log(shares / shares.sum()))


def pseudo_r_squared(log_likelihood: float, y: Array, weights: Array) -> dict[str, float]:
    """How much a model of a categorical outcome explains, by McFadden (1974) and Nagelkerke (1991, Biometrika 78)."""
    null, n = null_log_likelihood(y, weights), len(y)
    return {
        "r2_mcfadden": 1 - log_likelihood / null,
        "r2_nagelkerke": float(np.expm1(2 * (null - log_likelihood) / n) / np.expm1(2 * null / n)),
    }
