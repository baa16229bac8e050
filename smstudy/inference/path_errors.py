"""Errors of path coefficients without resampling: how paths follow correlations of items, and these follow people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.partial_least_squares import PathStructure, fit_paths

Array = NDArray[np.float64]
STEP = 1e-5  # of a correlation: far above where weights settle (1e-10), far below where slopes change


def path_influence(answers: Array, structure: PathStructure, like: Array | None = None) -> Array:
    """How much each respondent moves each path, shape (n, q, q); NaN where there is no path.

    The mean of it over a sample is about by how much the paths of the sample differ from those of everybody.

    Parameters
    ----------
    answers : array, shape (n, p)
        Items of mean 0 and standard deviation 1.
    structure : PathStructure
        The model.
    like : array, shape (p,), optional
        As in `fit_paths`.
    """
    correlations = np.corrcoef(answers, rowvar=False)
    influence = np.full((len(answers), *structure.drivers.shape), np.nan)
    for (i, j), form in _forms(correlations, structure, like).items():
        influence[:, i, j] = ((answers @ form) * answers).sum(axis=1)
    return influence


def normal_path_error(correlations: Array, structure: PathStructure, path: tuple[int, int]) -> float:
    """Standard error of one path times the root of n, if items are normal with these correlations.

    References
    ----------
    The delta method; the variance of a quadratic form z'Az of normal z with correlations R is 2 tr(ARAR).

    Examples
    --------
    >>> drivers, none = np.array([[False, True], [False, False]]), np.zeros(2, bool)
    >>> single = PathStructure(blocks=((0,), (1,)), drivers=drivers, formative=none, factors=none)
    >>> round(normal_path_error(np.array([[1, 0.5], [0.5, 1]]), single, (0, 1)), 4)
    0.75
    """
    product = _forms(correlations, structure, None)[path] @ correlations
    return float(np.sqrt(2 * np.trace(product @ product)))


def _forms(correlations: Array, structure: PathStructure, like: Array | None) -> dict[tuple[int, int], Array]:
    """For each path the matrix A whose quadratic form z'Az of a respondent's items is the influence on the path."""
    low, high = np.tril_indices(len(correlations), -1)
    stack = np.repeat(correlations[None], 2 * len(low), axis=0)
    for sign, places in ((1, np.arange(len(low))), (-1, len(low) + np.arange(len(low)))):
        stack[places, low, high] += sign * STEP
        stack[places, high, low] += sign * STEP
    paths = fit_paths(stack, structure, like=like).paths
    slopes = (paths[: len(low)] - paths[len(low) :]) / (2 * STEP)
    forms = {}
    for i, j in np.argwhere(structure.drivers):
        form = np.zeros_like(correlations)
        form[low, high] = form[high, low] = slopes[:, i, j] / 2
        forms[int(i), int(j)] = form - np.diag((form * correlations).sum(axis=1))
    return forms
