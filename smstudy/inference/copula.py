"""One group of respondents with the correlations and answer categories of a given sample.

A Gaussian copula: correlated normal variables, each cut into the observed answer categories. Nobody in it belongs to a
group, so it is what a claim about groups must beat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.isotonic import IsotonicRegression

Array = NDArray[np.float64]

TERMS = 60
LATENT_LIMIT = 0.995
MANY_VALUES = 25


@dataclass(frozen=True)
class Margin:
    """How the answers to one variable are distributed in one group: a value and a chance per category."""

    values: Array
    chances: Array

    @property
    def cuts(self) -> Array:
        """Where a standard normal variable is cut, shape (categories - 1,)."""
        return ndtri(np.clip(self.chances.cumsum()[:-1], 1e-12, 1 - 1e-12))

    def hermite(self) -> Array:
        """Hermite coefficients 1 to TERMS of the step function, scaled to a variance of 1; shape (TERMS,)."""
        cuts, steps = self.cuts, np.diff(self.values)
        density = np.exp(-0.5 * cuts**2) / np.sqrt(2 * np.pi)
        before, polynomial = np.zeros_like(cuts), np.ones_like(cuts)
        coefficients = np.empty(TERMS)
        for order in range(1, TERMS + 1):
            coefficients[order - 1] = (steps * density * polynomial).sum() / np.sqrt(order)
            before, polynomial = polynomial, (cuts * polynomial - np.sqrt(order - 1) * before) / np.sqrt(order)
        mean = self.chances @ self.values
        return coefficients / np.sqrt(self.chances @ (self.values - mean) ** 2)


@dataclass(frozen=True)
class Copula:
    """One group: margins and the correlations of the normal variables behind them.

    Attributes
    ----------
    margins : tuple of Margin
    latent : array, shape (p, p)
        Correlations before cutting, chosen so that the cut variables correlate as observed.
    """

    margins: tuple[Margin, ...]
    latent: Array

    def draw(self, size: int, n: int, rng: np.random.Generator) -> Array:
        """Draw samples of n respondents, shape (size, n, p)."""
        root = np.linalg.cholesky(self.latent)
        normal = rng.standard_normal((size, n, len(root))) @ root.T
        columns = [margin.values[np.searchsorted(margin.cuts, normal[..., j])] for j, margin in enumerate(self.margins)]
        return np.stack(columns, axis=-1)


def observed_margin(column: Array) -> Margin:
    """Take the distribution of answers as it was observed."""
    values, counts = np.unique(column, return_counts=True)
    return Margin(values, counts / counts.sum())


def one_peak_margin(column: Array) -> Margin:
    """Take the one-peaked distribution over the observed categories that is nearest to the observed one.

    Several peaks in one variable may themselves come from several groups, so a null of one group must not copy them.
    Two things are copied: which answers exist, and heaps at both ends of the scale, since one group can pile up there.
    More than MANY_VALUES different values are first collected into as many classes.
    """
    values, counts = _classes(column)
    chances = counts / counts.sum()
    if len(values) > 3:
        inner = chances[1:-1]
        chances = np.concatenate([chances[:1], _one_peak(inner), chances[-1:]])
    return Margin(values, chances)


def fit_copula(sample: Array, margin: Callable[[Array], Margin] = one_peak_margin) -> Copula:
    """Fit one group to a sample.

    Parameters
    ----------
    sample : array, shape (n, p)
        Complete rows; no column constant.
    margin : callable
        How a column becomes a margin.
    """
    margins = tuple(margin(column) for column in sample.T)
    target = np.corrcoef(sample, rowvar=False)
    return Copula(margins, nearest_correlation(match_correlations(margins, target)))


def match_correlations(margins: tuple[Margin, ...], target: Array) -> Array:
    """Find the latent correlation of each pair that gives the target Pearson correlation after cutting.

    The correlation of two cut variables is a power series of the latent one, with the products of their Hermite
    coefficients as weights (Mehler's formula); it is solved by bisection for all pairs at once.

    Parameters
    ----------
    margins : tuple of Margin, length p
    target : array, shape (p, p)

    Returns
    -------
    array, shape (p, p)
        Within plus or minus LATENT_LIMIT; a target beyond what the margins can reach gets the limit.
    """
    coefficients = np.stack([margin.hermite() for margin in margins])
    low, high = np.full(target.shape, -LATENT_LIMIT), np.full(target.shape, LATENT_LIMIT)
    for _ in range(40):
        middle = (low + high) / 2
        above = _series(coefficients, middle) > target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    latent = (low + high) / 2
    np.fill_diagonal(latent, 1.0)
    return (latent + latent.T) / 2


def nearest_correlation(matrix: Array, floor: float = 1e-6) -> Array:
    """Lift eigenvalues below a floor and rescale to a unit diagonal, which gives a proper correlation matrix."""
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= floor:
        return matrix
    lifted = (vectors * np.maximum(values, floor)) @ vectors.T
    scale = np.sqrt(np.diag(lifted))
    return lifted / np.outer(scale, scale)


def _series(coefficients: Array, latent: Array) -> Array:
    total = np.zeros_like(latent)
    for row in coefficients.T[::-1]:
        total = (total + np.outer(row, row)) * latent
    return total


def _classes(column: Array) -> tuple[Array, Array]:
    values, counts = np.unique(column, return_counts=True)
    if len(values) <= MANY_VALUES:
        return values, counts
    edges = np.linspace(values[0], values[-1], MANY_VALUES + 1)
    place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, MANY_VALUES - 1)
    counts = np.bincount(place, minlength=MANY_VALUES)
    return (edges[:-1] + edges[1:]) / 2, counts


def _one_peak(chances: Array) -> Array:
    """Least-squares one-peaked sequence: rising, then falling, for the best place of the peak."""
    place = np.arange(len(chances))
    best, best_loss = chances, np.inf
    for peak in place:
        rising = IsotonicRegression().fit_transform(place[: peak + 1], chances[: peak + 1])
        falling = IsotonicRegression(increasing=False).fit_transform(place[peak:], chances[peak:])
        fitted = np.concatenate([rising[:-1], [max(rising[-1], falling[0])], falling[1:]])
        loss = ((fitted - chances) ** 2).sum()
        if loss < best_loss:
            best, best_loss = fitted, loss
    return best * (chances.sum() / best.sum())
