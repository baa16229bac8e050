"""Errors and degrees of freedom when respondents come in few clusters: CR2 with Satterthwaite's degrees of freedom.

The design of a working model is whitened and written as Q R with QᵀQ = I (`LeastSquares.basis`, `.root`), so that all
that is asked about a cluster g fits into p × p numbers; nothing of the size of a cluster squared is ever made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ellipj, ellipkm1

from smstudy.errors import DataError

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
NOTHING = 1e-12
DETERMINED = 1e-10
SHARE = 1e-6
DIGITS = 36.0
MOST_NUMBERS = 4_000_000
LARGEST_TEST = 3000


@dataclass(frozen=True, kw_only=True)
class SmallClusters:
    """Cluster-robust errors of p coefficients from G clusters that hold in small samples.

    Attributes
    ----------
    contributions : array, shape (G, p)
        Each cluster's part in the estimates after its residuals were adjusted.
    own, shared : array, shape (G, p, p)
        What the working model expects of a contribution: its covariance is own[g] less what the fit takes away,
        shared[g]' shared[h] for clusters g and h.
    """

    contributions: Array
    own: Array
    shared: Array

    @property
    def covariance(self) -> Array:
        """Covariance of the coefficients, shape (p, p)."""
        return self.contributions.T @ self.contributions

    def df(self, contrasts: Array | None = None) -> Array:
        """Satterthwaite's degrees of freedom.

        Parameters
        ----------
        contrasts : array, shape (k, p), optional
            Rows are what the coefficients are multiplied with and added up; each coefficient by itself if left out.

        Returns
        -------
        array, shape (k,)
            NaN where there is no spread at all.
        """
        wanted = np.eye(self.own.shape[1]) if contrasts is None else np.atleast_2d(contrasts)
        spread = np.einsum("kp,gpq,kq->kg", wanted, self.own, wanted, optimize=True)
        taken = np.einsum("gpq,kq->kgp", self.shared, wanted, optimize=True)
        gone = (taken**2).sum(axis=2)
        total = (spread - gone).sum(axis=1)
        between = np.swapaxes(taken, 1, 2) @ taken
        squares = (spread * (spread - 2 * gone)).sum(axis=1) + (between**2).sum(axis=(1, 2))
        known = squares > NOTHING**2 * (spread**2).sum(axis=1)
        return np.divide(total**2, squares, out=np.full(len(wanted), np.nan), where=known)

    def joint_test(self, estimates: Array, contrasts: Array) -> tuple[float, float, float]:
        """Test that several contrasts are all zero by an approximate Hotelling T² (HTZ).

        Parameters
        ----------
        estimates : array, shape (p,)
            Coefficients.
        contrasts : array, shape (q, p)
            Rows are what they are multiplied with and added up.

        Returns
        -------
        tuple of float
            F, its denominator degrees of freedom, and p; NaN where the clusters are too few for q contrasts.

        References
        ----------
        Tipton & Pustejovsky (2015), J. Educational and Behavioral Statistics 40, 604-634. Agrees with R
        `clubSandwich::Wald_test(test = "HTZ")`.
        """
        q, p = contrasts.shape
        if q >= len(self.own) or q * p > LARGEST_TEST:
            return float("nan"), float("nan"), float("nan")
        own = contrasts @ self.own @ contrasts.T
        shared = self.shared @ contrasts.T
        whiten = _inverse_root((own - np.swapaxes(shared, 1, 2) @ shared).sum(axis=0))
        nu = q * (q + 1) / _total_variance(whiten @ own @ whiten, shared @ whiten)
        gap = contrasts @ estimates
        wald = float(gap @ np.linalg.solve(contrasts @ self.covariance @ contrasts.T, gap))
        left = nu - q + 1
        if left <= 0:
            return float("nan"), float("nan"), float("nan")
        statistic = left / (nu * q) * wald
        return float(statistic), float(left), float(stats.f.sf(statistic, q, left))


def small_clusters(
    basis: Array, root: Array, residuals: Array, groups: Codes, *, variance: Array | None = None
) -> SmallClusters:
    """Compute CR2 errors: residuals of each cluster are adjusted so that the covariance is right if the model is.

    Parameters
    ----------
    basis, root : array, shape (n, p) and (p, p)
        From `least_squares` on the design of a linear model, or on the design of a generalized linear model with one
        index, each row times (slope of the mean by the index) / (square root of the variance).
    residuals : array, shape (n,)
        Observed minus fitted.
    groups : integer array, shape (n,)
        Number of each respondent's cluster, from 0.
    variance : array, shape (n,), optional
        Variance of the outcome given the mean; equal for everybody in a linear model.

    Returns
    -------
    SmallClusters

    Raises
    ------
    DataError
        If there are fewer than two clusters.

    References
    ----------
    Bell & McCaffrey (2002), Survey Methodology 28, 169-181; Pustejovsky & Tipton (2018), J. Business & Economic
    Statistics 36, 672-683. Agrees with R `clubSandwich::vcovCR(type = "CR2")` and `coef_test(test = "Satterthwaite")`
    (tests/reference/clusters.R). Where I - H of a cluster is singular, as with a coefficient per cluster, its
    generalized inverse is used, as there.

    Examples
    --------
    >>> basis = np.full((6, 1), 6**-0.5)
    >>> found = small_clusters(basis, basis[:1], np.array([1.0, 1, -1, -1, 0, 0]), np.array([0, 0, 1, 1, 2, 2]))
    >>> found.covariance.round(4).item(), found.df().round(4).item()
    (0.3333, 2.0)
    """
    grams = cluster_grams(basis, groups)
    _refuse_one(len(grams))
    if variance is None:
        return _alike(grams, cluster_sums(basis * residuals[:, None], groups), root)
    values, vectors = np.linalg.eigh(grams)
    adjusted = _adjusted_sums(basis, residuals, groups, variance, values, vectors)
    parts, own, crossed = (np.array(part) for part in zip(*adjusted, strict=True))
    return SmallClusters(contributions=parts @ root.T, own=root @ own @ root.T, shared=crossed @ root.T)


def likelihood_clusters(sums: Array, information: Array, bread: Array) -> SmallClusters:
    """Compute CR2 errors of a fit by maximum likelihood: sums of scores take the place of residuals.

    A cluster's sum of scores at the estimates varies less than at the truth, because the cluster had a part in them:
    by I_g − I_g I⁻¹ I_g instead of I_g, its part of the information I. Sums are multiplied with the symmetric root that
    gives this back; in a linear model this is CR2.

    Parameters
    ----------
    sums : array, shape (G, q)
        Scores added up by cluster.
    information : array, shape (G, q, q)
        Each cluster's part of the information; where a part is no covariance (an observed information can be bent), the
        nearest that is one is taken.
    bread : array, shape (q, q) or (k, q)
        Covariance of the estimates if the model is right; or what turns sums of scores into k estimates.

    Returns
    -------
    SmallClusters

    Raises
    ------
    DataError
        If there are fewer than two clusters.

    References
    ----------
    Bell & McCaffrey (2002), Survey Methodology 28, 169-181, with the scores of McCullagh & Nelder's weighted linear
    model; for generalized estimating equations: Mancl & DeRouen (2001), Biometrics 57, 126-134.

    Examples
    --------
    >>> sums = np.array([[2.0], [-2.0], [0.0]])
    >>> found = likelihood_clusters(sums, np.full((3, 1, 1), 2.0), np.array([[1 / 6]]))
    >>> found.covariance.round(4).item(), found.df().round(4).item()
    (0.3333, 2.0)
    """
    _refuse_one(len(sums))
    total = information.sum(axis=0)
    scale = np.sqrt(np.diag(total))
    sizes, axes = np.linalg.eigh(total / np.outer(scale, scale))
    whiten = axes / np.sqrt(sizes) / scale[:, None]
    grams = whiten.T @ information @ whiten
    return _alike(grams, sums @ whiten, bread @ (scale[:, None] * axes * np.sqrt(sizes)))


def side_by_side(one: SmallClusters, two: SmallClusters) -> SmallClusters:
    """Join the errors of two sets of estimates that the model takes as independent of each other."""
    return SmallClusters(
        contributions=np.hstack([one.contributions, two.contributions]),
        own=_diagonal(one.own, two.own),
        shared=_diagonal(one.shared, two.shared),
    )


def _diagonal(one: Array, two: Array) -> Array:
    """Per cluster two matrices as blocks of one."""
    (_, rows, columns), (_, more_rows, more_columns) = one.shape, two.shape
    made = np.zeros((len(one), rows + more_rows, columns + more_columns))
    made[:, :rows, :columns], made[:, rows:, columns:] = one, two
    return made


def _alike(grams: Array, sums: Array, root: Array) -> SmallClusters:
    """Where all that is asked about a cluster is its p × p part of the whitened information."""
    values, vectors = np.linalg.eigh(grams)
    left, part = 1 - np.clip(values, 0.0, 1.0), np.clip(values, 0.0, 1.0)
    inverse = np.where(left > NOTHING, np.maximum(left, NOTHING) ** -0.5, 0.0)
    turned = np.swapaxes(vectors, 1, 2)
    adjust, crossed = (vectors * inverse[:, None, :]) @ turned, (vectors * (part * inverse)[:, None, :]) @ turned
    own = (vectors * (part * inverse**2)[:, None, :]) @ turned
    return SmallClusters(
        contributions=np.einsum("gpq,gq->gp", adjust, sums) @ root.T,
        own=root @ own @ root.T,
        shared=crossed @ root.T,
    )


def _refuse_one(count: int) -> None:
    if count < 2:
        raise DataError("Cluster-robust errors need at least two clusters. Name another column, or leave cluster= out.")


def cluster_sums(values: Array, groups: Codes) -> Array:
    """Columns added up by cluster, shape (G, p)."""
    return np.column_stack([np.bincount(groups, weights=column) for column in values.T])


def cluster_grams(basis: Array, groups: Codes, weights: Array | None = None) -> Array:
    """Products QᵀQ of the rows of each cluster, each row counting by its weight, shape (G, p, p)."""
    if weights is None:
        return np.array([rows.T @ rows for rows in _by_cluster(basis, groups)])
    both = zip(_by_cluster(basis, groups), _by_cluster(weights, groups), strict=True)
    return np.array([rows.T @ (rows * own[:, None]) for rows, own in both])


def resting_on_one(basis: Array, root: Array, groups: Codes) -> NDArray[np.bool_]:
    """Say which coefficients rest, wholly or in part, on a single cluster, so that no spread tells their error.

    Parameters as for `small_clusters`.

    Examples
    --------
    >>> x = np.column_stack([np.ones(6), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    >>> q, r = np.linalg.qr(x)
    >>> resting_on_one(q, np.linalg.inv(r), np.array([0, 0, 1, 1, 2, 2])).tolist()
    [False, True]
    """
    values, vectors = np.linalg.eigh(cluster_grams(basis, groups))
    alone = np.swapaxes(vectors, 1, 2)[1 - values < DETERMINED]
    parts = np.abs(alone @ root.T)
    return (parts > SHARE * np.linalg.norm(root, axis=1)).any(axis=0)


def _by_cluster(values: Array, groups: Codes) -> Iterator[Array]:
    """The rows of each cluster in turn."""
    ends = np.cumsum(np.bincount(groups))
    ordered = values if (np.diff(groups) >= 0).all() else values[np.argsort(groups, kind="stable")]
    return iter(np.split(ordered, ends[:-1]))


def _inverse_root(matrix: Array) -> Array:
    """Symmetric inverse square root, 0 where there is nothing to invert."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > NOTHING * values.max()
    return (vectors * np.where(kept, np.where(kept, values, 1.0) ** -0.5, 0.0)) @ vectors.T


def _total_variance(own: Array, shared: Array) -> float:
    """Sum of the variances of all entries of the whitened covariance, under the working model."""
    flat = shared.reshape(len(shared), -1)
    sizes, products = np.trace(own, axis1=1, axis2=2), np.swapaxes(shared, 1, 2) @ shared
    diagonal = (sizes * (sizes - 2 * (flat**2).sum(axis=1))).sum() + ((flat.T @ flat) ** 2).sum()
    _, p, q = shared.shape
    moments = (flat.T @ flat).reshape(p, q, p, q)
    crossed = np.einsum("asbt,atbs->", moments, moments, optimize=True)
    return float(diagonal + (own * np.swapaxes(own - 2 * products, 1, 2)).sum() + crossed)


def _adjusted_sums(
    basis: Array, residuals: Array, groups: Codes, variance: Array, values: Array, vectors: Array
) -> Iterator[tuple[Array, Array, Array]]:
    """Per cluster the sums that follow from its adjusted design, when the variance differs between respondents."""
    whole = np.column_stack([basis, residuals, variance])
    for rows, value, vector in zip(_by_cluster(whole, groups), values, vectors, strict=True):
        q, residual, v = rows[:, :-2], rows[:, -2], rows[:, -1]
        half = _adjusted(q, v, value, vector)
        yield half.T @ (np.sqrt(v) * residual), half.T @ (v[:, None] ** 2 * half), q.T @ (v[:, None] * half)


def _adjusted(q: Array, v: Array, values: Array, vectors: Array) -> Array:
    """(V (I - QQᵀ) V)^(-1/2) Q with V = diag(v), as a generalized inverse where I - QQᵀ is singular.

    The root is the integral (2/π) ∫ (A + t²I)⁻¹ dt by a rule whose error falls exponentially; A is diagonal but for p
    columns, so that each of its points costs a p × p inverse.
    """
    low, high = v.min() ** 2, v.max() ** 2
    single = q @ vectors[:, 1 - values < NOTHING]
    null = np.linalg.qr(single / v[:, None])[0]
    gap = (1 - values[1 - values >= NOTHING]).min(initial=1.0)
    smallest = low * gap * (low / high if null.shape[1] else 1.0)
    columns = np.column_stack([v[:, None] * q, null * np.sqrt(high)])
    signs = np.concatenate([-np.ones(q.shape[1]), np.ones(null.shape[1])])
    half = np.zeros_like(q)
    for shifts, weights in _blocks(*_root_rule(smallest, high), columns.size):
        half += _shifted_solves(v**2, columns, signs, q, shifts, weights)
    return half - null @ (null.T @ q) / np.sqrt(high)


def _shifted_solves(
    diagonal: Array, columns: Array, signs: Array, right: Array, shifts: Array, weights: Array
) -> Array:
    """Weighted sum over shifts of (diag + columns signs columnsᵀ + shift)⁻¹ right."""
    scale = 1 / (diagonal + shifts[:, None])
    scaled = columns * scale[:, :, None]
    inner = np.diag(signs) + columns.T @ scaled
    fixed = np.linalg.solve(inner, np.swapaxes(scaled, 1, 2) @ right) * weights[:, None, None]
    return (weights @ scale)[:, None] * right - np.einsum("skp,spq->kq", scaled, fixed, optimize=True)


def _blocks(shifts: Array, weights: Array, size: int) -> Iterator[tuple[Array, Array]]:
    """Points of the rule, as many at once as memory allows."""
    step = max(1, MOST_NUMBERS // max(size, 1))
    return ((shifts[i : i + step], weights[i : i + step]) for i in range(0, len(shifts), step))


def _root_rule(low: float, high: float) -> tuple[Array, Array]:
    """Shifts s and weights w with x^(-1/2) = Σ w / (x + s) for x from low to high.

    References
    ----------
    Hale, Higham & Trefethen (2008), SIAM J. Numerical Analysis 46, 2505-2523, method 3.
    """
    ratio = min(low / high, 0.999)
    low = high * ratio
    half = int(np.ceil((np.log(1 / ratio) + 3) * DIGITS / (4 * np.pi**2)))
    quarter = float(ellipkm1(ratio))
    sn, cn, dn, _ = ellipj((np.arange(half) + 0.5) * quarter / (2 * half), 1 - ratio)
    squares = (sn / cn) ** 2
    shifts = np.concatenate([low * squares, high / squares])
    weights = np.concatenate([dn / cn**2, dn / (np.sqrt(ratio) * sn**2)])
    return shifts, weights * quarter * np.sqrt(low) / (np.pi * half)
