"""Do two groups have the same path model? Permutations of who belongs to which group."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.bootstrap import moment_matrices, resamples
from smstudy.inference.partial_least_squares import PathFit, PathStructure, fit_paths, item_correlations

Array = NDArray[np.float64]
MOST_NUMBERS = 4_000_000


class GroupContrast(NamedTuple):
    """Two groups compared.

    Attributes
    ----------
    fits : tuple of two PathFit
        Models of the groups, each a stack of one.
    likeness : array, shape (q,)
        Correlation of the scores that the weights of both groups give to everybody (MICOM, step 2).
    permuted : array, shape (permutations, q, q)
        Differences of path coefficients, first group minus second, if groups were drawn at random.
    permuted_likeness : array, shape (permutations, q)
        Likeness if groups were drawn at random.
    null_likeness : array, shape (resamples, q)
        Likeness if both groups had the weights of everybody, and each its own sampling error. Random groups lack that:
        where a path is strong in one group and weak in the other, the weights of the second are noisy, and random
        groups would call most such constructs unlike.
    resampled : array, shape (resamples, q, q)
        Differences in samples drawn with replacement within each group.
    n_failed : int
        Permutations and resamples without estimates in one of the groups.
    """

    fits: tuple[PathFit, PathFit]
    likeness: Array
    permuted: Array
    permuted_likeness: Array
    null_likeness: Array
    resampled: Array
    n_failed: int


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

    References
    ----------
    Chin & Dibbern (2010) in Handbook of Partial Least Squares, 171-193; MICOM: Henseler, Ringle & Sarstedt (2016),
    International Marketing Review 33, 405-431.
    """
    centered = answers - answers.mean(axis=0)
    moments = moment_matrices(np.column_stack([np.ones(len(answers)), centered]))
    pooled = np.corrcoef(centered, rowvar=False)
    like = fit_paths(pooled[None], structure).weights[0]
    rng = np.random.default_rng(seed)

    def fits(counts: Array, members: Array) -> tuple[PathFit, PathFit]:
        one, other = (item_correlations(moments(counts * part))[0] for part in (members, 1 - members))
        return fit_paths(one, structure, like=like), fit_paths(other, structure, like=like)

    group = first.astype(float)
    found = fits(np.ones((1, len(answers))), group)
    drawn = [fits(np.ones_like(part), part) for part in _shuffled(group, n_permutations, rng)]
    again = [fits(counts, group)
             for counts in resamples(len(answers), n_boot=n_boot, seed=seed, strata=first.astype(np.intp))]  # fmt: skip
    worked = np.concatenate([one.usable & other.usable for one, other in drawn])
    likeness = np.concatenate([_likeness(one.weights, other.weights, pooled, structure) for one, other in drawn])
    steady = np.concatenate([one.usable & other.usable for one, other in again])
    shifted = [
        _likeness(
            *(now.weights - then.weights + like for now, then in zip(pair, found, strict=True)), pooled, structure
        )
        for pair in again
    ]
    return GroupContrast(
        found,
        _likeness(found[0].weights, found[1].weights, pooled, structure)[0],
        _differences(drawn)[worked],
        likeness[worked],
        np.concatenate(shifted)[steady],
        _differences(again)[steady],
        int((~worked).sum() + (~steady).sum()),
    )


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
