"""Refusals of factor models that cannot be estimated, with the reason: nothing that only looks like a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.structures import FIXED, Structure

Floats = NDArray[np.float64]

LIMIT = 1e-11
SINGULAR = 1e-9
ROUNDING = 1e-8
WORDS = {
    "loadings": "the loading of {row} on {column}",
    "regressions": "the loading of {row} on {column}",
    "factor_covariances": "the covariance of {row} and {column}",
    "residuals": "the residual covariance of {row} and {column}",
    "intercepts": "the intercept of {row}",
    "factor_means": "the mean of {row}",
}
ALONE = {"factor_covariances": "the variance of {row}", "residuals": "the residual variance of {row}"}


class SearchError(EstimationError):
    """The search for the parameters did not end in a minimum."""


class ImproperError(EstimationError):
    """A model ends in a variance below zero or a correlation beyond 1; `groups` says in which of its groups."""

    def __init__(self, message: str, groups: Sequence[int]) -> None:
        super().__init__(message)
        self.groups = tuple(sorted(set(map(int, groups))))


def inverse(information: Floats, structure: Structure) -> Floats:
    """Inverse of an information matrix, computed on a scale where its diagonal is 1.

    Raises
    ------
    EstimationError
        If it has none: the model is not identified; the message names parameters that cannot be told apart.
    """
    scale = 1 / np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    roots, vectors = np.linalg.eigh(information * np.outer(scale, scale))
    if roots[0] < SINGULAR:
        raise EstimationError(
            f"The model is not identified: the answers cannot tell {_undetermined(structure, vectors[:, 0])}. "
            "A factor needs three items, or two and a clear correlation with another factor; give it more items, or "
            "leave out a path."
        )
    return (vectors / roots) @ vectors.T * np.outer(scale, scale)


def refuse_improper(structure: Structure, parameters: Floats, distance: float = 0.0) -> None:
    """Refuse a search that ended at a distance from the minimum, negative variances, and correlations beyond 1."""
    if not distance < LIMIT:
        raise SearchError(
            "The search for the best parameters did not end, so there are no estimates. The model may not fit these "
            "answers at all: try fewer factors, or look at the items one scale at a time."
        )
    cells = structure.at(parameters)
    free = structure.places["residuals"] != FIXED
    variances = np.diagonal(np.where(free, cells["residuals"], 1.0), axis1=1, axis2=2)
    if (variances <= 0).any():
        bad = sorted({structure.items[i] for i in np.nonzero(variances <= 0)[1]})
        raise ImproperError(
            f"The model ends in a residual variance of zero or less for {', '.join(bad)} (a Heywood case), so its "
            "numbers mean nothing. Leave that item out or look where it belongs, use fewer factors, or collect more "
            "answers.",
            np.nonzero(variances <= 0)[0],
        )
    _refuse_indefinite(cells["residuals"], structure.items, "errors of")
    _refuse_indefinite(cells["factor_covariances"], structure.factors, "factors")


def _refuse_indefinite(matrices: Floats, names: Sequence[str], what: str) -> None:
    for group, matrix in enumerate(matrices):
        spread = np.sqrt(np.maximum(np.diag(matrix), 0))
        used = spread > 0
        scaled = matrix[np.ix_(used, used)] / np.outer(spread[used], spread[used])
        broken = bool((np.diag(matrix) < 0).any())
        if broken or (used.any() and np.linalg.eigvalsh(scaled)[0] < -ROUNDING):
            worst = _worst(matrix, names)
            raise ImproperError(
                f"The {what} {worst} would have a correlation beyond 1 or a negative variance (their covariances are "
                "not positive definite), so the numbers mean nothing. What they stand for cannot be told apart: merge "
                "them, or leave one out.",
                [group],
            )


def _worst(matrix: Floats, names: Sequence[str]) -> str:
    spread = np.sqrt(np.maximum(np.abs(np.diag(matrix)), np.finfo(float).tiny))
    scaled = np.abs(np.tril(matrix / np.outer(spread, spread), -1))
    row, column = np.unravel_index(int(scaled.argmax()), scaled.shape)
    return f"{names[column]} and {names[row]}"


def _undetermined(structure: Structure, direction: Floats) -> str:
    """Name the parameters that can move without any effect, the ones that move most first."""
    moving = np.argsort(-np.abs(direction))[:3]
    moving = [number for number in moving if abs(direction[number]) > 0.1]
    return ", ".join(_words(structure, int(number)) for number in moving) or "some parameters"


def _words(structure: Structure, number: int) -> str:
    for name, words in WORDS.items():
        cells = np.argwhere(structure.places[name] == number)
        if len(cells):
            rows = structure.items if name in ("loadings", "residuals", "intercepts") else structure.factors
            columns = structure.items if name == "residuals" else structure.factors
            row, column = rows[cells[0][1]], columns[min(cells[0][2], len(columns) - 1)]
            return (
                ALONE[name].format(row=row) if name in ALONE and row == column else words.format(row=row, column=column)
            )
    return "a parameter"
