"""Where the search for the parameters of a factor model begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.factor_models.fitted import Sample
from smstudy.inference.factor_models.structures import FIXED, Structure, with_starts

Floats = NDArray[np.float64]


def started(structure: Structure, samples: Sequence[Sample]) -> Structure:
    """The model with start values from the data, where the free cells of a matrix are all zero.

    Loadings begin on the first principal axis of the items of each factor, correlations of factors at those of sums.
    """
    axes = np.array([_axes(structure, sample, group) for group, sample in enumerate(samples)])
    variances = np.array([np.diag(sample.covariances) for sample in samples])
    below = np.tril(np.ones((len(structure.factors),) * 2, bool), -1)
    values = {
        "loadings": axes,
        "regressions": np.full_like(structure.values["regressions"], 0.7),
        "residuals": variances[:, :, None] / 2 * np.eye(len(structure.items)),
        "intercepts": np.array([sample.means for sample in samples])[:, :, None],
    }
    unknown = {name: value for name, value in values.items() if not _known(structure, name)}
    model = with_starts(structure, **unknown)
    if "loadings" in unknown and not (structure.values["factor_covariances"] * below).any():
        return with_starts(model, factor_covariances=_start_of_factors(model, axes, samples))
    return model


def oriented(structure: Structure, parameters: Floats) -> Floats:
    """The same fit with factors turned so that their loadings do not sum to less than 0.

    Factors that something fixed holds, such as a marker, stay.
    """
    cells = structure.at(parameters)
    towards = cells["loadings"].sum(axis=(0, 1)) + cells["regressions"].sum(axis=(0, 1))
    signs = np.where((towards < 0) & ~_held(structure, cells), -1.0, 1.0)
    return _turned(structure, parameters, signs)


def _held(structure: Structure, cells: Mapping[str, Floats]) -> NDArray[np.bool_]:
    """Factors whose direction a fixed value other than 0 gives."""
    fixed = {name: (places == FIXED) & (cells[name] != 0) for name, places in structure.places.items()}
    held = fixed["loadings"].any(axis=(0, 1)) | fixed["factor_means"].any(axis=(0, 2))
    for name in ("factor_covariances", "regressions"):
        links = fixed[name] & ~np.eye(len(structure.factors), dtype=bool)
        held |= links.any(axis=(0, 1)) | links.any(axis=(0, 2))
    return held


def _turned(structure: Structure, parameters: Floats, signs: Floats) -> Floats:
    turned = parameters.copy()
    sides = {
        "loadings": np.broadcast_to(signs, structure.places["loadings"].shape),
        "regressions": np.broadcast_to(np.outer(signs, signs), structure.places["regressions"].shape),
        "factor_covariances": np.broadcast_to(np.outer(signs, signs), structure.places["factor_covariances"].shape),
        "factor_means": np.broadcast_to(signs[:, None], structure.places["factor_means"].shape),
    }
    for name, side in sides.items():
        free = structure.places[name] != FIXED
        turned[structure.places[name][free]] = parameters[structure.places[name][free]] * side[free]
    return turned


def _known(structure: Structure, name: str) -> bool:
    free = structure.places[name] != FIXED
    return bool(structure.values[name][free].any())


def _axes(structure: Structure, sample: Sample, group: int) -> Floats:
    """Loadings on the first principal axis of the items of each factor, shape (p, m)."""
    spread = np.sqrt(np.diag(sample.covariances))
    correlations = sample.covariances / np.outer(spread, spread)
    values, free = structure.values["loadings"][group], structure.places["loadings"][group] != FIXED
    mine = free | (values != 0)
    shared = np.sqrt(np.maximum(mine.sum(axis=1), 1))
    loadings = np.zeros_like(values)
    for column in range(values.shape[1]):
        rows = np.flatnonzero(mine[:, column])
        if len(rows) == 0:
            continue
        roots, vectors = np.linalg.eigh(correlations[np.ix_(rows, rows)])
        vector = vectors[:, -1] * (1 if vectors[:, -1].sum() >= 0 else -1)
        explained = max((roots[-1] - 1) / max(len(rows) - 1, 1), 0.1)
        axis = vector * np.sqrt(len(rows) * explained) * spread[rows] / shared[rows]
        loadings[rows, column] = axis
    return loadings


def _start_of_factors(structure: Structure, axes: Floats, samples: Sequence[Sample]) -> Floats:
    """Covariances of factors as those of weighted sums, drawn towards 0, on the scale of the variances at hand."""
    starts = structure.values["factor_covariances"].copy()
    for group, sample in enumerate(samples):
        weights = axes[group] / np.diag(sample.covariances)[:, None]
        sums = weights.T @ sample.covariances @ weights
        spread = np.sqrt(np.maximum(np.diag(sums), np.finfo(float).tiny))
        variances = np.sqrt(np.abs(np.diag(starts[group])))
        shrunk = np.clip(sums / np.outer(spread, spread), -0.8, 0.8) * np.outer(variances, variances)
        np.fill_diagonal(shrunk, np.diag(starts[group]))
        starts[group] = shrunk
    return starts
