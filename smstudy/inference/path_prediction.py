"""How well a path model predicts answers of respondents it has not seen, against simple benchmarks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.inference.partial_least_squares import PathStructure, fit_paths, item_correlations

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class PredictionErrors(NamedTuple):
    """Errors for each of m items of explained constructs.

    Attributes
    ----------
    items : tuple of int
        Which items.
    root_mean_square : array, shape (3, m)
        Of the path model, of a linear model on the items that feed it, and of the mean of the others.
    mean_absolute : array, shape (3, m)
    skew : array, shape (m,)
        Skewness of the errors of the path model.
    losses : array, shape (n, 3, k + 1)
        Squared errors of each respondent, in variances of the item, averaged over the items of each of k explained
        constructs and, last, over all of them.
    """

    items: tuple[int, ...]
    root_mean_square: Array
    mean_absolute: Array
    skew: Array
    losses: Array

    @property
    def q_squared(self) -> Array:
        """Share of the squared errors of the mean that the path model avoids, shape (m,)."""
        return 1 - (self.root_mean_square[0] / self.root_mean_square[2]) ** 2


class Gain(NamedTuple):
    """By how much the losses of the path model are smaller than those of a benchmark; arrays of shape (k + 1,)."""

    estimate: Array
    conf_low: Array
    conf_high: Array
    p_value: Array


def mean_gain(losses: Array, benchmark: int, *, conf_level: float = 0.95) -> Gain:
    """Compare the losses of the path model with those of the linear model (1) or of the mean (2) by a paired t test.

    Parameters
    ----------
    losses : array, shape (n, 3, k + 1)
        As `PredictionErrors` has them.
    benchmark : {1, 2}
        Which benchmark.
    conf_level : float
        Level of the intervals.

    References
    ----------
    Liengaard, Sharma, Hult, Jensen, Sarstedt, Hair & Ringle (2021), Decision Sciences 52, 362-392 (CVPAT).

    Examples
    --------
    >>> losses = np.array([[[0.5], [1.0], [1.5]], [[0.6], [1.2], [1.0]], [[0.4], [0.8], [1.4]]])
    >>> mean_gain(losses, 1).estimate.round(2).tolist()
    [0.5]
    """
    gains = losses[:, benchmark] - losses[:, 0]
    n, mean = len(gains), gains.mean(axis=0)
    error = gains.std(axis=0, ddof=1) / np.sqrt(n)
    half = stats.t.isf((1 - conf_level) / 2, n - 1) * error
    return Gain(mean, mean - half, mean + half, 2 * stats.t.sf(np.abs(mean) / error, n - 1))


def draw_folds(n: int, *, folds: int, repeats: int, seed: int) -> Codes:
    """Split respondents at random into parts of nearly equal size, several times; shape (repeats, n).

    >>> sorted(draw_folds(5, folds=2, repeats=1, seed=1)[0].tolist())
    [0, 0, 0, 1, 1]
    """
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(np.arange(n) % folds) for _ in range(repeats)])


def cross_predict(answers: Array, structure: PathStructure, folds: Codes) -> PredictionErrors:
    """Predict each answer from the items of constructs that nothing explains, by models fitted without the respondent.

    Parameters
    ----------
    answers : array, shape (n, p)
        Complete answers to the items.
    structure : PathStructure
        The model. Predictions rest on scores, so correlations are not corrected for unreliability here.
    folds : int array, shape (repeats, n)
        Which part each respondent belongs to, from 0.

    References
    ----------
    Shmueli, Ray, Velasquez Estrada & Chatla (2016), J. Business Research 69, 4552-4564. Agrees with an implementation
    in plain R (tests/reference/paths.R); seminr calls it `predict_EA`.
    """
    fed, asked = _fed(structure), _asked(structure)
    sums, losses = np.zeros((4, 3, len(asked))), np.zeros((len(answers), 3, len(structure.explained) + 1))
    shares = _shares(structure, asked) / answers[:, asked].var(axis=0)[:, None]
    columns = np.column_stack([np.ones(len(answers)), answers - answers.mean(axis=0)])
    total = columns.T @ columns
    for codes in folds:
        parts = np.unique(codes)
        held_out = np.array([columns[codes == part].T @ columns[codes == part] for part in parts])
        correlations, means, spreads = item_correlations(total - held_out)
        maps = _maps(correlations, structure, fed, asked)
        for part, place, spread, routes in zip(parts, means + answers.mean(axis=0), spreads, maps, strict=True):
            rows = answers[codes == part]
            known = (rows[:, fed] - place[fed]) / spread[fed]
            errors = rows[:, asked] - place[asked] - (known @ routes) * spread[asked]
            squares = errors * errors
            losses[codes == part] += (squares @ shares).transpose(1, 0, 2) / len(folds)
            sums += np.array([each.sum(axis=1) for each in (errors, squares, squares * errors, np.abs(errors))])
    first, second, third, absolute = sums / folds.size
    variance = second[0] - first[0] ** 2
    skew = (third[0] - 3 * first[0] * variance - first[0] ** 3) / variance**1.5
    return PredictionErrors(tuple(asked), np.sqrt(second), absolute, skew, losses)


def _fed(structure: PathStructure) -> list[int]:
    """Items of constructs that nothing explains."""
    explained = set(structure.explained)
    return [item for j, block in enumerate(structure.blocks) if j not in explained for item in block]


def _asked(structure: PathStructure) -> list[int]:
    return [item for j in structure.explained for item in structure.blocks[j]]


def _shares(structure: PathStructure, asked: list[int]) -> Array:
    """What items count in the mean of each explained construct and, last, of all items, shape (m, k + 1)."""
    members = structure.members[asked][:, structure.explained]
    return np.column_stack([members / members.sum(axis=0), np.full(len(asked), 1 / len(asked))])


def _maps(correlations: Array, structure: PathStructure, fed: list[int], asked: list[int]) -> Array:
    """What standardized answers are multiplied with: path model, linear model, mean; shape (b, 3, fed, asked)."""
    members = structure.members
    plain = PathStructure(
        blocks=structure.blocks,
        drivers=structure.drivers,
        formative=structure.formative,
        factors=np.zeros_like(structure.factors),
        inner=structure.inner,
    )
    fit = fit_paths(correlations, plain)
    scored = (fit.weights[:, :, None] * members)[:, fed]
    told = (fit.loadings[:, :, None] * members)[:, asked]
    routes = scored @ fit.total @ told.mT
    routes[~fit.converged] = np.nan
    linear = np.linalg.solve(correlations[:, fed][:, :, fed], correlations[:, fed][:, :, asked])
    return np.stack([routes, linear, np.zeros_like(linear)], axis=1)
