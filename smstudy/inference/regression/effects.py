"""Average marginal effects: how much the expected outcome changes with a variable, with errors by the delta method.

A family gives the average prediction over respondents and its slopes in the parameters. The effect of a variable is
the difference of two such averages, or their slope along the design's change per unit; so is its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, softmax

from smstudy.inference.regression.counterfactuals import Basis
from smstudy.inference.regression.ordinal import Link

Array = NDArray[np.float64]
Designs = Sequence[Array]
STEP = 1e-5
ROOT_TWO_PI = float(np.sqrt(2 * np.pi))


class Average(NamedTuple):
    """Average predictions of k outcomes, shape (k,), and their slopes in q parameters, shape (k, q)."""

    values: Array
    slopes: Array

    def minus(self, other: Average, over: float = 1.0) -> Average:
        """The difference, divided by a number."""
        return Average((self.values - other.values) / over, (self.slopes - other.slopes) / over)


class Family(Protocol):
    """What a model must tell about its predictions."""

    def average(self, parameters: Array, designs: Designs, weights: Array) -> Average:
        """Average predictions at these designs; weights add up to 1."""


@dataclass(frozen=True)
class Identity:
    """A linear model."""

    def average(self, parameters: Array, designs: Designs, weights: Array) -> Average:
        """The mean outcome."""
        slopes = weights @ designs[0]
        return Average(np.array([slopes @ parameters]), slopes[None])


@dataclass(frozen=True)
class Chance:
    """A binary model: the share with the outcome."""

    link: Link = "logit"

    def average(self, parameters: Array, designs: Designs, weights: Array) -> Average:
        """The mean probability."""
        share, density = _curve(designs[0] @ parameters, self.link)
        return Average(np.array([weights @ share]), (designs[0].T @ (weights * density))[None])


@dataclass(frozen=True)
class Ordered:
    """A cumulative model of m + 1 answers; the first column of the design is a constant that thresholds replace."""

    n_thresholds: int
    link: Link = "logit"

    def average(self, parameters: Array, designs: Designs, weights: Array) -> Average:
        """The mean probability of each answer."""
        x, m = designs[0][:, 1:], self.n_thresholds
        p = x.shape[1]
        line, at_most = x @ parameters[:p], np.zeros(m + 2)
        slopes = np.zeros((m + 2, p + m))
        at_most[-1] = 1.0
        for k in range(m):
            share, density = _curve(parameters[p + k] - line, self.link)
            at_most[k + 1] = weights @ share
            slopes[k + 1, :p] = -x.T @ (weights * density)
            slopes[k + 1, p + k] = weights @ density
        return Average(np.diff(at_most), np.diff(slopes, axis=0))


@dataclass(frozen=True)
class Unordered:
    """A multinomial model of r + 1 answers: the reference first, then one set of coefficients per answer."""

    def average(self, parameters: Array, designs: Designs, weights: Array) -> Average:
        """The mean probability of each answer."""
        x = designs[0]
        coefficients = parameters.reshape(-1, x.shape[1])
        lines = np.column_stack([np.zeros(len(x)), x @ coefficients.T])
        chances = softmax(lines, axis=1)
        weighted, k = chances * weights[:, None], chances.shape[1]
        slopes = np.array(
            [[x.T @ (weighted[:, a] * ((a == b) - chances[:, b])) for b in range(1, k)] for a in range(k)]
        )
        return Average(weighted.sum(axis=0), slopes.reshape(k, -1))


@dataclass(frozen=True, eq=False)
class Events:
    """A count model: the expected number of events, at each respondent's exposure.

    The design of the zero part comes second where there is one; a dispersion may follow in the parameters.
    """

    log_exposure: Array

    def average(self, parameters: Array, designs: Designs, weights: Array) -> Average:
        """The mean number of events."""
        x, p = designs[0], designs[0].shape[1]
        rate = np.exp(x @ parameters[:p] + self.log_exposure)
        slopes = np.zeros((1, len(parameters)))
        if len(designs) > 1:
            never = expit(designs[1] @ parameters[p : p + designs[1].shape[1]])
            rate = rate * (1 - never)
            slopes[0, p : p + designs[1].shape[1]] = -designs[1].T @ (weights * rate * never)
        slopes[0, :p] = x.T @ (weights * rate)
        return Average(np.array([weights @ rate]), slopes)


def average_effect(
    family: Family,
    parameters: Array,
    bases: Sequence[Basis],
    variable: str,
    weights: Array,
    *,
    level: int | None = None,
) -> Average:
    """How much the average prediction changes with a variable, and the gradient of that change.

    Parameters
    ----------
    family : Family
    parameters : array, shape (q,)
    bases : sequence of Basis
        One per design of the model.
    variable : str
        A number: slope per unit, or 1 against 0 where it has no other value. A categorical one: `level` against the
        reference.
    weights : array, shape (n,)
        Add up to 1.
    level : int, optional
        Number of the level.

    References
    ----------
    Bartus (2005), Stata Journal 5, 309-329. Agrees with a delta method by hand in R (tests/reference/effects.R).
    """
    if level is not None:
        reference = next(b.design.levels[variable].reference for b in bases if variable in b.design.levels)
        high, low = ([b.placed(levels={variable: to}) for b in bases] for to in (level, reference))
        return family.average(parameters, high, weights).minus(family.average(parameters, low, weights))
    values = next(basis.numbers[variable] for basis in bases if variable in basis.numbers)
    if np.isin(values, (0.0, 1.0)).all():
        high, low = ([b.placed(numbers={variable: to}) for b in bases] for to in (1.0, 0.0))
        return family.average(parameters, high, weights).minus(family.average(parameters, low, weights))
    step, pairs = STEP * values.std(), [(basis.design.x, _slope(basis, variable)) for basis in bases]
    high, low = ([x + sign * step * slope for x, slope in pairs] for sign in (1, -1))
    return family.average(parameters, high, weights).minus(family.average(parameters, low, weights), 2 * step)


def _slope(basis: Basis, variable: str) -> Array:
    return basis.slope(variable) if variable in basis.numbers else np.zeros_like(basis.design.x)


def _curve(line: Array, link: Link) -> tuple[Array, Array]:
    """Share and density."""
    if link == "probit":
        return ndtr(line), np.exp(-(line**2) / 2) / ROOT_TWO_PI
    share = expit(line)
    return share, share * expit(-line)
