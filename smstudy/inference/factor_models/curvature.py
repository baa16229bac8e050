"""Second derivatives of the moments that a factor model implies, weighted and summed: the curved part of a Hessian."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.factor_models.structures import FIXED, SYMMETRIC, Structure

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
MATRICES = ("loadings", "regressions", "factor_covariances", "factor_means")


class _Cells(NamedTuple):
    """Free cells of a matrix in one group: parameter numbers, rows, columns, 1/2 on the diagonal of a symmetric one."""

    numbers: Places
    rows: Places
    columns: Places
    half: Floats


class _Parts(NamedTuple):
    """What second derivatives are made of, in one group, with the names of the LISREL model.

    `effects` A, shape (m, m); `paths` K = Lambda A, shape (p, m); `spread` E = A Psi A'; `means` A alpha; and with the
    weights W and w: `inner` K'WK, `outer` WK, `mixed` K'W Lambda E, `by_item` W Lambda E, and `by_factor` K'w.
    """

    weights: Floats
    by_mean: Floats
    effects: Floats
    spread: Floats
    means: Floats
    inner: Floats
    outer: Floats
    mixed: Floats
    by_item: Floats
    by_factor: Floats


def curvature(structure: Structure, at: Floats, by_covariance: Floats, by_mean: Floats) -> Floats:
    """Second derivatives by the parameters of the weighted sum of the implied moments, shape (q, q).

    Parameters
    ----------
    structure : Structure
        The model.
    at : ndarray, shape (q,)
        Values of its parameters.
    by_covariance, by_mean : ndarray, shapes (g, p, p), symmetric, and (g, p)
        Weights of the covariances and of the means.
    """
    cells, q = structure.at(at), structure.n_parameters
    total = np.zeros((q, q))
    for group in range(structure.n_groups):
        here = {name: value[group] for name, value in cells.items()}
        parts = _parts(here, by_covariance[group], by_mean[group])
        free = {name: _free(structure, name, group) for name in MATRICES}
        for (one, other), block in BLOCKS.items():
            a, b = free[one], free[other]
            if len(a.numbers) == 0 or len(b.numbers) == 0:
                continue
            bends = block(parts, a, b)
            np.add.at(total, (a.numbers[:, None], b.numbers[None, :]), bends)
            if one != other:
                np.add.at(total, (b.numbers[:, None], a.numbers[None, :]), bends.T)
    return total


def _free(structure: Structure, name: str, group: int) -> _Cells:
    places = structure.places[name][group]
    wanted = np.tril(places != FIXED) if name in SYMMETRIC else places != FIXED
    rows, columns = np.nonzero(wanted)
    half = np.where(rows == columns, 0.5, 1.0) if name in SYMMETRIC else np.ones(len(rows))
    return _Cells(places[rows, columns], rows, columns, half)


def _parts(cells: dict[str, Floats], weights: Floats, by_mean: Floats) -> _Parts:
    loadings, effects = cells["loadings"], np.linalg.inv(np.eye(len(cells["regressions"])) - cells["regressions"])
    paths, spread = loadings @ effects, effects @ cells["factor_covariances"] @ effects.T
    outer = weights @ paths
    by_item = weights @ loadings @ spread
    means = (effects @ cells["factor_means"])[:, 0]
    return _Parts(
        weights, by_mean, effects, spread, means, paths.T @ outer, outer, paths.T @ by_item, by_item, paths.T @ by_mean
    )


def _loadings_loadings(parts: _Parts, a: _Cells, b: _Cells) -> Floats:
    return 2 * parts.weights[np.ix_(a.rows, b.rows)] * parts.spread[np.ix_(a.columns, b.columns)]


def _loadings_regressions(parts: _Parts, a: _Cells, b: _Cells) -> Floats:
    from_effect = parts.effects[np.ix_(a.columns, b.rows)]
    first = parts.outer[np.ix_(a.rows, b.rows)] * parts.spread[np.ix_(a.columns, b.columns)]
    second = parts.by_item[np.ix_(a.rows, b.columns)] * from_effect
    return 2 * (first + second) + parts.by_mean[a.rows][:, None] * from_effect * parts.means[b.columns]


def _loadings_covariances(parts: _Parts, a: _Cells, b: _Cells) -> Floats:
    first = parts.effects[np.ix_(a.columns, b.rows)] * parts.outer[np.ix_(a.rows, b.columns)]
    second = parts.effects[np.ix_(a.columns, b.columns)] * parts.outer[np.ix_(a.rows, b.rows)]
    return 2 * (first + second) * b.half


def _loadings_means(parts: _Parts, a: _Cells, b: _Cells) -> Floats:
    return parts.by_mean[a.rows][:, None] * parts.effects[np.ix_(a.columns, b.rows)]


def _regressions_regressions(parts: _Parts, a: _Cells, b: _Cells) -> Floats:
    back = parts.effects[np.ix_(b.columns, a.rows)].T
    forth = parts.effects[np.ix_(a.columns, b.rows)]
    straight = parts.inner[np.ix_(a.rows, b.rows)] * parts.spread[np.ix_(a.columns, b.columns)]
    bent = back * parts.mixed[np.ix_(b.rows, a.columns)].T + parts.mixed[np.ix_(a.rows, b.columns)] * forth
    by_factor, means = parts.by_factor, parts.means
    moved = by_factor[a.rows][:, None] * forth * means[b.columns] + by_factor[b.rows] * back * means[a.columns][:, None]
    return 2 * (straight + bent) + moved


def _regressions_covariances(parts: _Parts, a: _Cells, b: _Cells) -> Floats:
    first = parts.inner[np.ix_(a.rows, b.rows)] * parts.effects[np.ix_(a.columns, b.columns)]
    second = parts.inner[np.ix_(a.rows, b.columns)] * parts.effects[np.ix_(a.columns, b.rows)]
    return 2 * (first + second) * b.half


def _regressions_means(parts: _Parts, a: _Cells, b: _Cells) -> Floats:
    return parts.by_factor[a.rows][:, None] * parts.effects[np.ix_(a.columns, b.rows)]


BLOCKS = {
    ("loadings", "loadings"): _loadings_loadings,
    ("loadings", "regressions"): _loadings_regressions,
    ("loadings", "factor_covariances"): _loadings_covariances,
    ("loadings", "factor_means"): _loadings_means,
    ("regressions", "regressions"): _regressions_regressions,
    ("regressions", "factor_covariances"): _regressions_covariances,
    ("regressions", "factor_means"): _regressions_means,
}
