"""Do two groups have the same path model? Permutations of who belongs to which group."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.bootstrap import moment_matrices, resamples
from smstudy.inference.partial_least_squares import PathFit, PathStructure, fit_paths, item_correlations
from smstudy.inference.path_errors import path_influence

Array = NDArray[np.float64]
MOST_NUMBERS = 4_000_000
ROUNDING = 1e-9


class GroupContrast(NamedTuple):
    """Two groups compared.

    Attributes
    ----------
    fits : tuple of two PathFit
        Models of the groups, each a stack of one.
    statistic : array, shape (q, q)
        Differences of path coefficients, first group minus second, divided by their standard errors; NaN without path.
    permuted : array, shape (permutations, q, q)
        The same if groups were drawn at random from items that have mean 0 and standard deviation 1 in each group.
    likeness : array, shape (q,)
        Correlation of the scores that the weights of both groups give to everybody (MICOM, step 2).
    null_likeness : array, shape (resamples, q)
        Likeness if both groups had the weights of everybody, and each its own sampling error. Random groups lack that:
        where a path is strong in one group and weak in the other, the weights of the second are noisy, and random
        groups would call most such constructs unlike.
    resampled : array, shape (resamples, q, q)
        Differences of path coefficients in samples drawn with replacement within each group.
    scores : ScoreContrast
        Means and variances of scores compared (MICOM, step 3).
    n_failed : int
        Permutations and resamples without estimates in one of the groups.
    """

    fits: tuple[PathFit, PathFit]
    statistic: Array
    permuted: Array
    likeness: Array
    null_likeness: Array
    resampled: Array
    scores: ScoreContrast
    n_failed: int


class ScoreContrast(NamedTuple):
    """Scores of two groups by the weights of everybody, those of everybody having mean 0 and variance 1.

    Attributes
    ----------
    means, variances : array, shape (q,)
        Mean of the first group minus that of the second; variance of the first by that of the second.
    p_means, p_variances : array, shape (q,)
        Share of random groups in which Welch's t, or the ratio of variances, is as far from equality. For variances
        scores have mean 0 in each group first, since a mix of two groups spreads more than either.
    """

    means: Array
    variances: Array
    p_means: Array
    p_variances: Array


def compare_groups(
    answers: Array, first: NDArray[np.bool_], structure: PathStructure, *, n_permutations: int, n_boot: int, seed: int
) -> GroupContrast:
    """Compare the path model of two groups with what groups drawn at random give.

    Parameters
    ----------
    answers : array, shape (n, p)
        Complete answers of both groups.
    first : bool array, shape (n,)
        Who belongs to the first group; the others belong to the second.
    structure : PathStructure
        The model.
    n_permutations, n_boot, seed : int
        Random groups, resamples within groups, and the seed of both.

    Notes
    -----
    Random groups of plain answers mix two groups whose means differ, so that all items go together in the mix, and
    random groups then differ by less than two real groups of equal paths do. Paths follow from correlations, which stay
    what they are when items get mean 0 and standard deviation 1 in each group; that is permuted. Errors are those of
    the influence of each respondent on the paths of everybody, so that groups of different size may spread differently.

    References
    ----------
    Chin & Dibbern (2010) in Handbook of Partial Least Squares, 171-193; tests divided by their errors: Chung & Romano
    (2013), Annals of Statistics 41, 484-507; MICOM: Henseler, Ringle & Sarstedt (2016), International Marketing Review
    33, 405-431.
    """
    alike = _standardized(answers, first)
    moments = moment_matrices(np.column_stack([np.ones(len(answers)), alike]))
    shared = np.corrcoef(alike, rowvar=False)
    like = fit_paths(shared[None], structure).weights[0]
    influence = path_influence(alike, structure, like)[:, structure.drivers]
    rng = np.random.default_rng(seed)

    def fits(counts: Array, members: Array) -> tuple[PathFit, PathFit]:
        one, other = (item_correlations(moments(counts * part))[0] for part in (members, 1 - members))
        return fit_paths(one, structure, like=like), fit_paths(other, structure, like=like)

    group = first.astype(float)
    found = fits(np.ones((1, len(answers))), group)
    parts = _shuffled(group, n_permutations, rng)
    drawn = [fits(np.ones_like(part), part) for part in parts]
    again = [fits(counts, group)
             for counts in resamples(len(answers), n_boot=n_boot, seed=seed, strata=first.astype(np.intp))]  # fmt: skip
    worked = np.concatenate([one.usable & other.usable for one, other in drawn])
    steady = np.concatenate([one.usable & other.usable for one, other in again])
    errors = np.concatenate([_errors(part, influence, structure) for part in parts])
    plain = answers - answers.mean(axis=0)
    pooled = np.corrcoef(plain, rowvar=False)
    shifted = [
        _likeness(
            *(now.weights - then.weights + like for now, then in zip(pair, found, strict=True)), pooled, structure
        )
        for pair in again
    ]
    return GroupContrast(
        fits=found,
        statistic=(_differences([found]) / _errors(group[None], influence, structure))[0],
        permuted=(_differences(drawn) / errors)[worked],
        likeness=_likeness(found[0].weights, found[1].weights, pooled, structure)[0],
        null_likeness=np.concatenate(shifted)[steady],
        resampled=_differences(again)[steady],
        scores=_score_contrast(plain / plain.std(axis=0), first, parts, structure),
        n_failed=int((~worked).sum() + (~steady).sum()),
    )


def _errors(parts: Array, influence: Array, structure: PathStructure) -> Array:
    """Standard errors of differences of paths between those in each part and the others, shape (b, q, q)."""
    variance = sum(_variance(members, influence) for members in (parts, 1 - parts))
    errors = np.full((len(parts), *structure.drivers.shape), np.nan)
    errors[:, structure.drivers] = np.sqrt(variance)
    return errors


def _variance(members: Array, influence: Array) -> Array:
    """Variances of means of the influence of members, shape (b, paths)."""
    n = members.sum(axis=1)[:, None]
    return (members @ influence**2 - (members @ influence) ** 2 / n) / (n - 1) / n


def _standardized(answers: Array, first: NDArray[np.bool_]) -> Array:
    """Items with mean 0 and standard deviation 1 in each group."""
    alike = np.empty_like(answers)
    for rows in (first, ~first):
        alike[rows] = (answers[rows] - answers[rows].mean(axis=0)) / answers[rows].std(axis=0)
    return alike


def _score_contrast(
    answers: Array, first: NDArray[np.bool_], parts: list[Array], structure: PathStructure
) -> ScoreContrast:
    """Compare scores by the weights of everybody; `answers` with mean 0 and standard deviation 1 in all."""
    weights = fit_paths(np.corrcoef(answers, rowvar=False)[None], structure).weights[0]
    scores = answers @ (weights[:, None] * structure.members)
    group = first[None].astype(float)
    difference, variances = _group_moments(group, scores)
    centered = scores - np.where(first[:, None], scores[first].mean(axis=0), scores[~first].mean(axis=0))
    welch, spread = _welch(group, scores), np.log(variances[0] / variances[1])
    drawn = np.concatenate([_welch(part, scores) for part in parts])
    spreads = np.concatenate([-np.diff(np.log(_group_moments(part, centered)[1]), axis=0)[0] for part in parts])
    return ScoreContrast(
        means=difference[0],
        variances=(variances[0] / variances[1])[0],
        p_means=permutation_p(np.abs(drawn) >= np.abs(welch) - ROUNDING),
        p_variances=permutation_p(np.abs(spreads) >= np.abs(spread) - ROUNDING),
    )


def permutation_p(as_extreme: NDArray[np.bool_]) -> Array:
    """Share of permutations as extreme, the data themselves counted; one column per test."""
    return (1 + as_extreme.sum(axis=0)) / (1 + len(as_extreme))


def _welch(parts: Array, scores: Array) -> Array:
    """Welch's t of members against others, shape (b, q)."""
    difference, (one, other) = _group_moments(parts, scores)
    n = parts.sum(axis=1)[:, None]
    return difference / np.sqrt(one / n + other / (parts.shape[1] - n))


def _group_moments(parts: Array, scores: Array) -> tuple[Array, Array]:
    """Means of members minus those of others, shape (b, q), and variances of both, shape (2, b, q)."""
    sides = (parts, 1 - parts)
    sizes = [members.sum(axis=1)[:, None] for members in sides]
    means = [members @ scores / n for members, n in zip(sides, sizes, strict=True)]
    squares = [members @ scores**2 for members in sides]
    told = [(square - n * mean**2) / (n - 1) for square, n, mean in zip(squares, sizes, means, strict=True)]
    return means[0] - means[1], np.array(told)


def _shuffled(group: Array, total: int, rng: np.random.Generator) -> list[Array]:
    step = max(1, MOST_NUMBERS // len(group))
    return [rng.permuted(np.tile(group, (min(step, total - done), 1)), axis=1) for done in range(0, total, step)]


def _differences(fits: list[tuple[PathFit, PathFit]]) -> Array:
    return np.concatenate([one.paths - other.paths for one, other in fits])


def _likeness(one: Array, other: Array, pooled: Array, structure: PathStructure) -> Array:
    """Correlations of the scores everybody has by the weights of one group and of the other, shape (b, q)."""
    a, b = (weights[:, :, None] * structure.members for weights in (one, other))
    shared = (a * (pooled @ b)).sum(axis=1)
    return shared / np.sqrt((a * (pooled @ a)).sum(axis=1) * (b * (pooled @ b)).sum(axis=1))
