"""Partial least squares path models from correlations of items, for one correlation matrix or a stack of them at once.

Shapes: b matrices, p items, q constructs. Everything a model needs follows from correlations, so that a bootstrap is
one stack of matrices and respondents are looked at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.bootstrap import resamples
from smstudy.inference.psychometrics.discriminant import Ratios, monotrait_ratios

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Inner = Literal["path", "factorial", "centroid"]
TOLERANCE = 1e-10  # of the largest change of a weight
MOST_STEPS = 300
POSITIVE = 1e-8  # smallest eigenvalue of correlations of constructs that still are correlations
MOST_PRODUCTS = 2**24


@dataclass(frozen=True, kw_only=True)
class PathStructure:
    """Which items belong to which construct, and which construct explains which.

    Attributes
    ----------
    blocks : tuple of q tuples of int
        Items of each construct; every item belongs to exactly one.
    drivers : bool array, shape (q, q)
        `drivers[i, j]`: construct i explains construct j. There is no circle.
    formative : bool array, shape (q,)
        Weights by regression of the construct on its items (mode B), else by correlations with them (mode A).
    factors : bool array, shape (q,)
        Constructs whose correlations are corrected for unreliability (PLSc); mode A with two items or more.
    inner : {"path", "factorial", "centroid"}
        How neighbors of a construct are weighted while the weights of items are found.
    """

    blocks: tuple[tuple[int, ...], ...]
    drivers: Flags = field(repr=False)
    formative: Flags = field(repr=False)
    factors: Flags = field(repr=False)
    inner: Inner = "path"

    @cached_property
    def members(self) -> Array:
        """1 where an item belongs to a construct, shape (p, q)."""
        members = np.zeros((sum(map(len, self.blocks)), len(self.blocks)))
        for column, block in zip(members.T, self.blocks, strict=True):
            column[list(block)] = 1
        return members

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Constructs so that each comes after those that explain it."""
        left, done = list(range(len(self.blocks))), []
        while left:
            ready = next(j for j in left if set(np.flatnonzero(self.drivers[:, j])) <= set(done))
            left.remove(ready)
            done.append(ready)
        return tuple(done)

    @property
    def explained(self) -> list[int]:
        """Constructs that something explains, in order."""
        return [j for j in self.order if self.drivers[:, j].any()]


class PathFit(NamedTuple):
    """Fitted models.

    Attributes
    ----------
    weights, loadings : array, shape (b, p)
        Of each item for its own construct; scores have variance 1. Loadings on factors are corrected.
    composites : array, shape (b, q, q)
        Correlations of scores.
    reliabilities : array, shape (b, q)
        rho_A of factors (Dijkstra & Henseler), 1 for other constructs; NaN where it does not exist.
    correlations : array, shape (b, q, q)
        Correlations of constructs, those of factors corrected for unreliability.
    paths : array, shape (b, q, q)
        `paths[i, j]`: standardized coefficient of construct i for construct j.
    r_squared : array, shape (b, q)
        0 where nothing explains a construct.
    converged, proper : bool array, shape (b,)
        Whether weights settled; whether the correlations of constructs could be those of real variables.
    """

    weights: Array
    loadings: Array
    composites: Array
    reliabilities: Array
    correlations: Array
    paths: Array
    r_squared: Array
    converged: Flags
    proper: Flags

    @property
    def usable(self) -> Flags:
        """Fits to draw conclusions from, shape (b,)."""
        return self.converged & self.proper

    @property
    def total(self) -> Array:
        """Total effects: along all ways from one construct to another, shape (b, q, q)."""
        identity = np.eye(self.paths.shape[-1])
        return np.linalg.inv(identity - self.paths) - identity


def fit_paths(correlations: Array, structure: PathStructure, *, like: Array | None = None) -> PathFit:
    """Fit a path model to each of a stack of correlation matrices.

    Parameters
    ----------
    correlations : array, shape (b, p, p)
        Correlations of items.
    structure : PathStructure
        The model.
    like : array, shape (p,), optional
        Weights that say which way up scores are, such as those of the whole sample in a resample. Left out: scores
        correlate positively with the plain sum of their items.

    References
    ----------
    Lohmöller (1989), Latent Variable Path Modeling with Partial Least Squares, chapter 2; PLSc: Dijkstra & Henseler
    (2015), MIS Quarterly 39, 297-316. Agrees with SmartPLS 2.0 and with an implementation in plain R on answers instead
    of correlations (tests/reference/paths.R).

    Examples
    --------
    >>> r = np.full((4, 4), 0.3) + np.kron(np.eye(2), np.full((2, 2), 0.3)) + 0.4 * np.eye(4)
    >>> drivers, none = np.array([[False, True], [False, False]]), np.zeros(2, bool)
    >>> model = PathStructure(blocks=((0, 1), (2, 3)), drivers=drivers, formative=none, factors=~none)
    >>> fit_paths(r[None], model).paths[0, 0, 1].round(6).item()
    0.5
    """
    members = structure.members
    weights, converged = _settled_weights(correlations, structure)
    composed = correlations @ (weights[:, :, None] * members)
    upward = members if like is None else like[:, None] * members
    signs = np.where((composed * upward).sum(axis=1) < 0, -1.0, 1.0)
    weights = weights * (signs @ members.T)
    composed = composed * signs[:, None, :]
    composites = (weights[:, :, None] * members).mT @ composed
    reliabilities = _reliabilities(weights, structure)
    loadings = _loadings(weights, (composed * members).sum(axis=2), reliabilities, structure)
    corrected = _corrected(composites, reliabilities)
    paths, r_squared = _regressions(corrected, structure)
    known = np.isfinite(corrected).all(axis=(1, 2))
    lowest = np.linalg.eigvalsh(np.where(known[:, None, None], corrected, np.eye(len(structure.blocks))))[:, 0]
    proper = known & (lowest > POSITIVE) & np.isfinite(paths).all(axis=(1, 2))
    return PathFit(weights, loadings, composites, reliabilities, corrected, paths, r_squared, converged, proper)


def item_correlations(moments: Array) -> tuple[Array, Array, Array]:
    """Correlations, means and standard deviations of items from crossproducts whose first column is ones.

    Parameters
    ----------
    moments : array, shape (b, p + 1, p + 1)
        Crossproducts of a constant and the items.

    Returns
    -------
    arrays, shapes (b, p, p), (b, p), (b, p)
        NaN where an item does not vary.
    """
    n = moments[:, :1, :1]
    means = moments[:, 0, 1:] / n[:, 0]
    covariances = moments[:, 1:, 1:] / n - means[:, :, None] * means[:, None, :]
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        spreads = np.sqrt(np.where(variances > np.finfo(float).eps, variances, np.nan))
        return covariances / (spreads[:, :, None] * spreads[:, None, :]), means, spreads


def resampled_moments(answers: Array, *, n_boot: int, seed: int) -> Iterator[Array]:
    """Crossproducts of a constant and the items in samples drawn with replacement, blocks of shape (b, p + 1, p + 1).

    Among very many respondents random groups of equal size are drawn instead of single ones: sums over samples spread
    the same, and memory does not grow.
    """
    n, width = len(answers), answers.shape[1] + 1
    size = -(-n * width**2 // MOST_PRODUCTS)
    order = np.random.default_rng(seed).permutation(n) if size > 1 else np.arange(n)
    rows = np.pad(np.column_stack([np.ones(n), answers])[order], ((0, -n % size), (0, 0))).reshape(-1, size, width)
    products = (rows.mT @ rows).reshape(len(rows), -1)
    for counts in resamples(len(rows), n_boot=n_boot, seed=seed):
        yield (counts @ products).reshape(-1, width, width)


class Effects(NamedTuple):
    """What each driver adds to each construct it explains, shapes (q, q): f² and variance inflation, NaN elsewhere."""

    f_squared: Array
    vif: Array


def driver_effects(correlations: Array, paths: Array, r_squared: Array, drivers: Flags) -> Effects:
    """Give f² (Cohen) and the variance inflation of drivers, from correlations of constructs of one model."""
    q = len(drivers)
    f_squared, vif = np.full((q, q), np.nan), np.full((q, q), np.nan)
    for j in np.flatnonzero(drivers.any(axis=0)):
        rows = np.flatnonzero(drivers[:, j])
        inflation = np.diag(np.linalg.inv(correlations[np.ix_(rows, rows)]))
        vif[rows, j] = inflation
        f_squared[rows, j] = paths[rows, j] ** 2 / inflation / (1 - r_squared[j])
    return Effects(f_squared, vif)


def item_inflation(correlations: Array, structure: PathStructure) -> Array:
    """Variance inflation of each item among the items of its construct, shape (p,); 1 for single items."""
    inflation = np.ones(len(correlations))
    for block in structure.blocks:
        rows = list(block)
        inflation[rows] = np.diag(np.linalg.inv(correlations[np.ix_(rows, rows)]))
    return inflation


def construct_quality(loadings: Array, structure: PathStructure) -> tuple[Array, Array]:
    """Composite reliability and average variance extracted, shapes (..., q); NaN for formative and single items."""
    members = structure.members
    squares = loadings**2 @ members
    sums = (loadings @ members) ** 2
    sizes = members.sum(axis=0)
    known = ~structure.formative & (sizes > 1)
    return np.where(known, sums / (sums + sizes - squares), np.nan), np.where(known, squares / sizes, np.nan)


def score_reliabilities(weights: Array, members: Array) -> Array:
    """rho_A of each construct, shape (..., q); correlations of items enter by the variance of its score, which is 1."""
    squares, fourth = weights**2 @ members, weights**4 @ members
    with np.errstate(divide="ignore", invalid="ignore"):
        return squares**2 * (1 - squares) / (squares**2 - fourth)


def implied_correlations(correlations: Array, fit: PathFit, structure: PathStructure) -> Array:
    """Correlations of items that one model implies, shape (p, p).

    Items of a factor correlate only by it; those of other constructs among each other as they do. Disturbances of
    constructs correlate with nothing.
    """
    between = np.eye(len(structure.blocks))
    outer = [j for j in structure.order if not structure.drivers[:, j].any()]
    between[np.ix_(outer, outer)] = fit.correlations[0][np.ix_(outer, outer)]
    done = list(outer)
    for j in structure.explained:
        between[done, j] = between[j, done] = between[np.ix_(done, range(len(between)))] @ fit.paths[0][:, j]
        done.append(j)
    loadings = fit.loadings[0][:, None] * structure.members
    implied = loadings @ between @ loadings.T
    for block, factor in zip(structure.blocks, structure.factors, strict=True):
        rows = np.ix_(list(block), list(block))
        implied[rows] = implied[rows] if factor else correlations[rows]
    np.fill_diagonal(implied, 1)
    return implied


def root_mean_residual(correlations: Array, implied: Array) -> float:
    """SRMR: root of the mean squared difference of correlations, the diagonal included."""
    lower = np.tril_indices(len(correlations))
    return float(np.sqrt(np.mean((correlations - implied)[lower] ** 2)))


def construct_ratios(correlations: Array, structure: PathStructure) -> tuple[Ratios, list[tuple[int, int]]]:
    """HTMT and HTMT2 of pairs of reflective constructs with two items or more, shapes (..., pairs), and the pairs."""
    reflective = [j for j, block in enumerate(structure.blocks) if len(block) > 1 and not structure.formative[j]]
    if len(reflective) < 2:
        return Ratios(*(np.empty((*correlations.shape[:-2], 0)),) * 2), []
    ratios = monotrait_ratios(correlations, [structure.blocks[j] for j in reflective])
    one, other = np.triu_indices(len(reflective), 1)
    return ratios, [(reflective[i], reflective[j]) for i, j in zip(one, other, strict=True)]


def _settled_weights(correlations: Array, structure: PathStructure) -> tuple[Array, Flags]:
    """Weights after as many steps as it takes; models that have settled drop out."""
    members = structure.members
    weights = _unit_variance(np.ones(correlations.shape[:2]), correlations, members)
    moving = np.arange(len(correlations))
    for _ in range(MOST_STEPS):
        stack = correlations[moving]
        after = _step(weights[moving], stack, structure)
        gaps = np.abs(np.abs(after) - np.abs(weights[moving])).max(axis=1)
        weights[moving] = after
        moving = moving[gaps > TOLERANCE]
        if not len(moving):
            break
    converged = np.isfinite(weights).all(axis=1)
    converged[moving] = False
    return weights, converged


def _step(weights: Array, correlations: Array, structure: PathStructure) -> Array:
    """One round: scores from weights, each score from its neighbors, weights from that."""
    outer = weights[:, :, None] * structure.members
    composed = correlations @ outer
    proxies = composed @ _inner_weights(outer.mT @ composed, structure)
    own = (proxies * structure.members).sum(axis=2)
    for block, formative in zip(structure.blocks, structure.formative, strict=True):
        if formative and len(block) > 1:
            rows = list(block)
            own[:, rows] = _solve(correlations[:, rows][:, :, rows], own[:, rows])
    return _unit_variance(own, correlations, structure.members)


def _inner_weights(scores: Array, structure: PathStructure) -> Array:
    """How much each construct counts in what stands for its neighbors, shape (b, q, q): row counts in column."""
    linked = structure.drivers | structure.drivers.T
    if structure.inner == "centroid":
        return np.where(linked, np.sign(scores), 0.0)
    inner = np.where(linked, scores, 0.0)
    if structure.inner == "path":
        for j in structure.explained:
            rows = np.flatnonzero(structure.drivers[:, j])
            inner[:, rows, j] = _solve(scores[:, rows][:, :, rows], scores[:, rows, j])
    return inner


def _unit_variance(weights: Array, correlations: Array, members: Array) -> Array:
    """Scale weights so that the score of each construct has variance 1."""
    outer = weights[:, :, None] * members
    variances = (outer * (correlations @ outer)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return weights * ((1 / np.sqrt(np.where(variances > 0, variances, np.nan))) @ members.T)


def _solve(matrices: Array, sides: Array) -> Array:
    """Solutions of a stack of equations, shape (b, k); NaN where a matrix is singular."""
    try:
        return np.linalg.solve(matrices, sides[..., None])[..., 0]
    except np.linalg.LinAlgError:
        regular = np.linalg.matrix_rank(np.nan_to_num(matrices)) == matrices.shape[-1]
        solved = np.full(sides.shape, np.nan)
        solved[regular] = np.linalg.solve(matrices[regular], sides[regular][..., None])[..., 0]
        return solved


def _reliabilities(weights: Array, structure: PathStructure) -> Array:
    rho = score_reliabilities(weights, structure.members)
    return np.where(structure.factors, np.where(rho > 0, rho, np.nan), 1.0)


def _loadings(weights: Array, plain: Array, reliabilities: Array, structure: PathStructure) -> Array:
    """Correlations of items with their score; for factors as consistent with rho_A."""
    members = structure.members
    scales = np.sqrt(reliabilities) / (weights**2 @ members)
    return np.where(structure.factors @ members.T > 0, weights * (scales @ members.T), plain)


def _corrected(composites: Array, reliabilities: Array) -> Array:
    roots = np.sqrt(reliabilities)
    corrected = composites / (roots[:, :, None] * roots[:, None, :])
    places = np.arange(corrected.shape[-1])
    corrected[:, places, places] = 1.0
    return corrected


def _regressions(correlations: Array, structure: PathStructure) -> tuple[Array, Array]:
    paths = np.zeros(correlations.shape)
    r_squared = np.zeros(correlations.shape[:2])
    for j in structure.explained:
        rows = np.flatnonzero(structure.drivers[:, j])
        paths[:, rows, j] = _solve(correlations[:, rows][:, :, rows], correlations[:, rows, j])
        r_squared[:, j] = (paths[:, rows, j] * correlations[:, rows, j]).sum(axis=1)
    return paths, r_squared
