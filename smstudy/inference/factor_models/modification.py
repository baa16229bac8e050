"""What would change if a factor model were given one more path: score tests of loadings and error covariances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.factor_models.admissible import inverse
from smstudy.inference.factor_models.fitted import Fitted
from smstudy.inference.factor_models.likelihood import Pieces, complete_pieces, information, slope
from smstudy.inference.factor_models.ordinal_structures import OrdinalFitted, slope_and_information
from smstudy.inference.factor_models.structures import FIXED, Matrix, Structure, freed
from smstudy.inference.threads import one_thread

Floats = NDArray[np.float64]

TOLD = 1e-6  # share of its information that the other parameters must leave to a path


@dataclass(frozen=True, kw_only=True)
class Modification:
    """One path that a model could be given.

    Attributes
    ----------
    matrix : {"loadings", "residuals"}
        A loading of an item on a further factor, or a covariance of the errors of two items.
    group, row, column : int
        Its cell.
    index : float
        By about how much chi-squared would fall (1 degree of freedom).
    change : float
        About what the parameter would be.
    std_change : float
        The same in standard deviations: of item and factor, or of the two errors.
    """

    matrix: Matrix
    group: int
    row: int
    column: int
    index: float
    change: float
    std_change: float


def modifications(fitted: Fitted, pieces: Pieces | None = None) -> list[Modification]:
    """Score tests of all loadings and error covariances that the model has fixed to 0, the largest first.

    Parameters
    ----------
    fitted : Fitted
        A model fitted by maximum likelihood or to ordinal answers.
    pieces : Pieces, optional
        Answers by what was answered, where there are gaps.

    References
    ----------
    Sorbom (1989), Psychometrika 54, 371-384; Saris, Satorra & Sorbom (1987), Sociological Methodology 17, 105-129.
    Agrees with R lavaan::modindices (tests/reference/confirmatory.R, ordinal_structures.R): expected information, no
    correction for nonnormal answers or for the weights.
    """
    paths = _paths(fitted.structure)
    wider = fitted.structure
    for matrix in ("loadings", "residuals"):
        wider = freed(wider, matrix, [cell for each, cell in paths if each == matrix])
    q = fitted.structure.n_parameters
    with one_thread():
        at = np.append(fitted.parameters, np.zeros(len(paths)))
        pulls, known = _pulls(fitted, wider, at, pieces)
        pulls = pulls[q:]
        taken = known[q:, :q] @ inverse(known[:q, :q], fitted.structure)
    own = np.diag(known)[q:]
    left = own - (taken * known[q:, :q]).sum(axis=1)
    left = np.where(left > TOLD * own, left, np.nan)
    found = [
        Modification(
            matrix=matrix,
            group=cell[0],
            row=cell[1],
            column=cell[2],
            index=index,
            change=change,
            std_change=change * unit,
        )
        for (matrix, cell), index, change, unit in zip(
            paths, (fitted.n * pulls**2 / left).tolist(), (pulls / left).tolist(), _units(fitted, paths), strict=True
        )
        if np.isfinite(index)
    ]
    return sorted(found, key=lambda each: -each.index)


def _pulls(fitted: Fitted, wider: Structure, at: Floats, pieces: Pieces | None) -> tuple[Floats, Floats]:
    """Slope of minus half the discrepancy of the wider model, and its expected information."""
    if isinstance(fitted, OrdinalFitted):
        return slope_and_information(wider, at, fitted.moments)
    pieces = complete_pieces(fitted.observed) if pieces is None else pieces
    return -slope(wider, pieces, at).by_parameter / 2, information(wider, pieces, at, "expected")


def _paths(structure: Structure) -> list[tuple[Matrix, tuple[int, int, int]]]:
    """Cells fixed to 0: loadings on factors that have items, and error covariances below the diagonal."""
    measuring = (structure.places["loadings"] != FIXED).any(axis=1, keepdims=True)
    loadings = (structure.places["loadings"] == FIXED) & (structure.values["loadings"] == 0) & measuring
    below = np.tril(np.ones(structure.places["residuals"].shape[1:], bool), -1)
    errors = (structure.places["residuals"] == FIXED) & (structure.values["residuals"] == 0) & below
    return [("loadings", tuple(map(int, cell))) for cell in np.argwhere(loadings)] + [
        ("residuals", tuple(map(int, cell))) for cell in np.argwhere(errors)
    ]


def _units(fitted: Fitted, paths: list[tuple[Matrix, tuple[int, int, int]]]) -> list[float]:
    """What a change is multiplied with to be in standard deviations."""
    cells, implied = fitted.structure.at(fitted.parameters), fitted.implied.covariances
    effects = np.linalg.inv(np.eye(len(fitted.structure.factors)) - cells["regressions"])
    factors = effects @ cells["factor_covariances"] @ effects.mT
    units = []
    for matrix, (group, row, column) in paths:
        if matrix == "loadings":
            units.append(float(np.sqrt(factors[group, column, column] / implied[group, row, row])))
        else:
            errors = cells["residuals"][group]
            units.append(float(1 / np.sqrt(errors[row, row] * errors[column, column])))
    return units
