"""Parameters of a factor model in standard deviations, with their sampling covariance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.factor_models.fitted import Fitted
from smstudy.inference.factor_models.structures import FIXED, SYMMETRIC, Matrix, Structure

Floats = NDArray[np.float64]

MATRICES: tuple[Matrix, ...] = ("loadings", "regressions", "factor_covariances", "residuals")
STEP = 1e-30  # of an imaginary step: no digits are lost, however small it is


@dataclass(frozen=True, kw_only=True)
class Standardized:
    """Free cells of a fitted model, one after the other.

    Attributes
    ----------
    matrices : tuple of str, length c
        In which matrix each cell is.
    cells : ndarray of int, shape (c, 3)
        Group, row and column; symmetric matrices on and below the diagonal.
    parameters : ndarray of int, shape (c,)
        Number of the parameter in it.
    estimates : ndarray, shape (c,)
        With factors and items of variance 1; covariances as correlations.
    sampling : ndarray, shape (c, c)
        Their covariance over samples, by the delta method.
    """

    matrices: tuple[Matrix, ...]
    cells: NDArray[np.int64]
    parameters: NDArray[np.int64]
    estimates: Floats
    sampling: Floats = field(repr=False)

    @property
    def std_errors(self) -> Floats:
        """Standard errors."""
        return np.sqrt(np.maximum(np.diag(self.sampling), 0))


def standardize_fit(fitted: Fitted) -> Standardized:
    """Bring all free loadings, effects, covariances and residuals to standard deviations.

    References
    ----------
    Agrees with R lavaan::standardizedSolution, std.all (tests/reference/confirmatory.R).
    """
    structure = fitted.structure
    found = {name: _free(structure, name) for name in MATRICES}
    estimates = _values(structure, found, fitted.parameters)
    q = structure.n_parameters
    steps = fitted.parameters + 1j * STEP * np.eye(q)
    slopes = np.array([_values(structure, found, step).imag / STEP for step in steps]).T
    return Standardized(
        matrices=tuple(name for name in MATRICES for _ in found[name]),
        cells=np.concatenate([found[name] for name in MATRICES]),
        parameters=np.concatenate([structure.places[name][tuple(found[name].T)] for name in MATRICES]),
        estimates=estimates,
        sampling=slopes @ fitted.sampling @ slopes.T,
    )


def _free(structure: Structure, name: Matrix) -> NDArray[np.int64]:
    free = structure.places[name] != FIXED
    return np.argwhere(np.tril(free) if name in SYMMETRIC else free)


def _values(structure: Structure, found: dict[Matrix, NDArray[np.int64]], at: NDArray) -> NDArray:
    cells = structure.at(at)
    effects = np.linalg.inv(np.eye(len(structure.factors)) - cells["regressions"])
    paths = cells["loadings"] @ effects
    disturbances = np.diagonal(cells["factor_covariances"], axis1=1, axis2=2)
    errors = np.diagonal(cells["residuals"], axis1=1, axis2=2)
    factors = ((effects @ cells["factor_covariances"]) * effects).sum(axis=2)
    items = ((paths @ cells["factor_covariances"]) * paths).sum(axis=2) + errors
    above = {"loadings": items, "regressions": factors, "factor_covariances": disturbances, "residuals": errors}
    values = []
    for name in MATRICES:
        group, row, column = found[name].T
        value = cells[name][group, row, column]
        if name in SYMMETRIC:
            whole = factors if name == "factor_covariances" else items
            apart = above[name][group, row] * above[name][group, column]
            values.append(np.where(row == column, value / whole[group, row], value / np.sqrt(apart)))
        else:
            values.append(value * np.sqrt(factors[group, column] / above[name][group, row]))
    return np.concatenate(values)
