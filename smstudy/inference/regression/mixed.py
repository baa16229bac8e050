"""Linear mixed models of one grouping by profiled REML or ML, from a few numbers per group that are computed once.

With y = Xβ + Z_g b_g + e, b_g ~ N(0, σ² ΛΛ'), the lower triangle of Λ is searched for by Newton steps on the exact
derivatives of the deviance; β and σ follow from Λ. Columns of X and Z enter the search orthonormal, so that it does not
depend on where a driver has its zero or in what units it is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from smstudy.errors import DataError, EstimationError

Array = NDArray[np.float64]
STEPS = 100
HALVINGS = 40
SETTLED = 1e-16
NEARLY = 1e-7
FLAT = 1e-8
SINGULAR = 1e-4
EMPTY = 1e-10
ROUNDING = 1e-13
START, LEAST_START = 0.5, 0.05
LONGEST, MOST = 0.3, 0.9
RESTARTS = 3
ADVICE = "Leave out a slope, or use regress() with cluster=."


class Slopes(NamedTuple):
    """Value, gradient and second derivatives of what is minimized."""

    value: float
    gradient: Array
    curvature: Array


@dataclass(frozen=True, kw_only=True)
class MixedFit:
    """A linear mixed model of n respondents in G groups, p coefficients and q random effects.

    Attributes
    ----------
    coefficients, df : array, shape (p,)
        Fixed effects and their Satterthwaite degrees of freedom.
    covariance : array, shape (p, p)
        Of the fixed effects.
    sigma : float
        Standard deviation within groups.
    random : array, shape (q, q)
        Covariance of the random effects.
    modes : array, shape (G, q)
        Conditional modes of the random effects (BLUPs).
    mode_covariances : array, shape (G, q, q)
        Their conditional covariances.
    random_variance : float
        Mean over respondents of the variance their random effects give.
    log_likelihood : float
        Restricted in REML.
    log_likelihood_without : float
        The same without random effects.
    singular : bool
        Whether the random effects have no variance in some direction.
    parameters_covariance : array, shape (m + 1, m + 1)
        Asymptotic covariance of the parameters: θ of the search, and σ².
    random_slopes : array, shape (m + 1, q, q)
        Derivatives of `random` by these parameters.
    evaluations : int
        How often the deviance was computed.
    """

    coefficients: Array
    covariance: Array
    df: Array
    sigma: float
    random: Array
    modes: Array
    mode_covariances: Array
    random_variance: float
    log_likelihood: float
    log_likelihood_without: float
    singular: bool
    parameters_covariance: Array
    random_slopes: Array
    evaluations: int


def mixed_model(x: Array, y: Array, z: Array, groups: NDArray[np.intp], *, reml: bool = True) -> MixedFit:
    """Fit a linear mixed model with correlated random effects of one grouping.

    Parameters
    ----------
    x : array, shape (n, p)
        Fixed effects, of full rank.
    y : array, shape (n,)
        What is explained.
    z : array, shape (n, q)
        Columns whose effect differs between groups, the constant first.
    groups : integer array, shape (n,)
        Number of each respondent's group, from 0 without gaps.
    reml : bool
        Whether the restricted likelihood is maximized, which counts the fixed effects; else the likelihood.

    Returns
    -------
    MixedFit

    Raises
    ------
    DataError
        If the outcome does not differ within groups, or the terms give it exactly.
    EstimationError
        If the steps do not settle.

    References
    ----------
    Profiled deviance: Bates, Mächler, Bolker & Walker (2015), J. Statistical Software 67(1). Degrees of freedom:
    Kuznetsova, Brockhoff & Christensen (2017), J. Statistical Software 82(13). Agrees with R `lme4::lmer` and
    `lmerTest` (tests/reference/multilevel.R).

    Examples
    --------
    >>> groups = np.repeat(np.arange(4), 3)
    >>> y = np.array([1.0, 2, 3, 3, 4, 5, 2, 3, 4, 6, 7, 8])
    >>> fit = mixed_model(np.ones((12, 1)), y, np.ones((12, 1)), groups)
    >>> fit.coefficients.round(6).tolist(), fit.df.round(6).tolist(), float(fit.random[0, 0].round(6))
    ([4.0], [3.0], 4.333333)
    """
    data = _summarized(x, y, z, groups)
    lower = np.tril_indices(z.shape[1])
    start = (_guess(data) * np.eye(z.shape[1]))[lower]
    theta, evaluations = _best(lambda at: _profile(at, data, reml=reml), start, lower)
    return _finished(theta, data, reml=reml, evaluations=evaluations)


def descend(slopes: Callable[[Array], Slopes], start: Array, *, what: str, advice: str) -> tuple[Array, int]:
    """Minimize by Newton steps that turn away from maxima and saddles; give the place and the evaluations needed.

    Parameters
    ----------
    slopes : callable
        Value, gradient and second derivatives at a place of shape (m,).
    start : array, shape (m,)
        Where to begin.
    what, advice : str
        For the message if the steps do not settle.

    Raises
    ------
    EstimationError
        If they do not settle.
    """
    at, here, count, before = start, slopes(start), 1, np.inf
    for _ in range(STEPS):
        step = _newton(here, at)
        decrement = -float(here.gradient @ step)
        only_rounding = before / 2 < decrement < NEARLY
        if only_rounding or decrement < SETTLED * max(1.0, abs(here.value)):
            return at + step, count
        for halving in range(HALVINGS):
            there = slopes(at + step * 0.5**halving)
            count += 1
            if there.value <= here.value or decrement < NEARLY:
                break
        else:
            break
        at, here, before = at + step * 0.5**halving, there, decrement
    raise EstimationError(f"{what} did not settle. {advice}")


def _newton(here: Slopes, at: Array) -> Array:
    """A Newton step downhill whatever the curvature, not longer than most of a parameter or LONGEST."""
    values, vectors = np.linalg.eigh(here.curvature)
    sizes = np.maximum(np.abs(values), FLAT * np.abs(values).max())
    step = -vectors @ ((vectors.T @ here.gradient) / sizes)
    return step / max(1.0, float((np.abs(step) / np.maximum(MOST * np.abs(at), LONGEST)).max()))


def _best(slopes: Callable[[Array], Slopes], start: Array, lower: tuple[Array, Array]) -> tuple[Array, int]:
    """Descend, and begin again inside where the search ended on an edge that is no minimum."""
    total = 0
    for _ in range(RESTARTS):
        theta, count = descend(slopes, start, what="The mixed model", advice=ADVICE)
        total += count
        edge = (lower[0] == lower[1]) & (np.abs(theta) < SINGULAR)
        inside = np.where(edge, 10 * SINGULAR, theta)
        if not edge.any() or slopes(inside).value >= slopes(theta).value:
            return np.where(edge, 0.0, theta), total
        start = np.where(edge, START, theta)
    raise EstimationError(f"The mixed model did not settle. {ADVICE}")


def _guess(data: _Summary) -> float:
    """Standard deviation of the random effects by σ that gives the squares between groups their expectation."""
    ranks = (np.abs(data.roots).max(axis=2) > 0).sum()
    inside = data.within[-1, -1] / max(data.n - ranks, 1)
    q = data.roots.shape[1]
    share = ((data.projected[:, :, -1] ** 2).sum() / inside - ranks) / (data.n * q)
    return float(np.sqrt(np.clip(share, LEAST_START**2, 1.0)))


class _Summary(NamedTuple):
    """What the deviance needs.

    `within` is the cross product of [X y] after projection on the Z of its group, shape (p + 1, p + 1); `roots`, shape
    (G, q, q), are R with R'R = Z'Z, and `projected`, shape (G, q, p + 1), R⁻¹'Z'[X y]. `x_back` and `z_back` turn
    coefficients and random effects back to the columns given; y is what ordinary least squares `left`, by its `scale`.
    """

    within: Array
    roots: Array
    projected: Array
    n: int
    x_back: Array
    z_back: Array
    ordinary: Array
    scale: float
    volume: float

    @property
    def p(self) -> int:
        return len(self.within) - 1

    def df(self, reml: bool) -> int:
        return self.n - self.p if reml else self.n


def _summarized(x: Array, y: Array, z: Array, groups: NDArray[np.intp]) -> _Summary:
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    x_back, x = orthonormal(x[order])
    z_back, z = orthonormal(z[order])
    z_back, z = z_back * np.sqrt(len(y)), z * np.sqrt(len(y))
    ordinary, left = np.zeros(x.shape[1]), y[order]
    for _ in range(2):  # once more for what rounding leaves of an outcome far from zero
        step = x.T @ left
        ordinary, left = ordinary + step, left - x @ step
    scale = float(np.sqrt(left @ left / len(y)))
    if scale <= max(EMPTY * y.std(), ROUNDING * np.abs(y).max()):
        raise DataError("The terms give the outcome exactly, so nothing is left to explain. Is it computed from them?")
    both = np.column_stack([x, left / scale])
    squares = np.stack([np.add.reduceat(z * column[:, None], starts, axis=0) for column in z.T], axis=1)
    products = np.stack([np.add.reduceat(both * column[:, None], starts, axis=0) for column in z.T], axis=1)
    roots, inverses = _roots(squares)
    projected = inverses @ products
    fitted = np.swapaxes(inverses, 1, 2) @ projected
    sizes = np.diff(np.append(starts, len(y)))
    for k, column in enumerate(z.T):
        both -= column[:, None] * np.repeat(fitted[:, k], sizes, axis=0)
    within = both.T @ both
    _refuse_nothing_left(within, len(y))
    volume = -2 * float(np.log(np.abs(np.diag(x_back))).sum())
    return _Summary(within, roots, projected, len(y), x_back, z_back, ordinary, scale, volume)


def _refuse_nothing_left(within: Array, n: int) -> None:
    """Refuse an outcome of which nothing is left within groups, so that the search would not end."""
    inner = within[:-1, :-1]
    left = within[-1, -1] - within[-1, :-1] @ np.linalg.pinv(inner, rcond=EMPTY) @ within[:-1, -1]
    if left <= EMPTY * n:
        raise DataError(
            "The outcome does not differ within groups, or the terms give it exactly there. Use one row per group, and "
            "regress(), or leave the term out."
        )


def orthonormal(columns: Array) -> tuple[Array, Array]:
    """Upper triangle that turns columns of full rank into orthonormal ones, and these."""
    lengths = np.linalg.norm(columns, axis=0)
    triangle = np.linalg.qr(columns / lengths, mode="r")
    back = solve_triangular(triangle, np.eye(len(lengths))) / lengths[:, None]
    return back, columns @ back


def _roots(squares: Array) -> tuple[Array, Array]:
    """R with R'R = Z'Z for each group, and R⁻¹' with zeros in directions a group does not have; shapes (G, q, q)."""
    values, vectors = np.linalg.eigh(squares)
    there = values > EMPTY * values[:, -1:]
    lengths = np.sqrt(np.where(there, values, 0.0))[:, :, None]
    turned = np.swapaxes(vectors, 1, 2)
    return lengths * turned, np.where(there[:, :, None], turned / np.where(there[:, :, None], lengths, 1.0), 0.0)


class _State(NamedTuple):
    """The model at one θ: parts of the deviance and what its derivatives are made of.

    With H = V / σ²: `blocks` are Z'H⁻¹Z of each group, shape (G, q, q), `products` Z'H⁻¹[X y], shape (G, q, p + 1).
    """

    factor: Array
    log_determinant: float
    inverse: Array
    coefficients: Array
    residual: float
    blocks: Array
    products: Array


def _state(theta: Array, data: _Summary) -> _State:
    q = data.roots.shape[1]
    factor = np.zeros((q, q))
    factor[np.tril_indices(q)] = theta
    half = data.roots @ factor
    inverses = np.linalg.inv(half @ np.swapaxes(half, 1, 2) + np.eye(q))
    solved = inverses @ data.projected
    p = data.p
    total = data.within + data.projected.reshape(-1, p + 1).T @ solved.reshape(-1, p + 1)
    inverse = np.linalg.inv(total[:p, :p])
    coefficients = inverse @ total[:p, p]
    line = np.append(-coefficients, 1.0)
    between = (data.projected @ line) * (solved @ line)
    turned = np.swapaxes(data.roots, 1, 2)
    return _State(
        factor=factor,
        log_determinant=-float(np.log(np.linalg.det(inverses)).sum()),
        inverse=(inverse + inverse.T) / 2,
        coefficients=coefficients,
        residual=float(line @ data.within @ line + between.sum()),
        blocks=turned @ inverses @ data.roots,
        products=turned @ solved,
    )


def _deviance(state: _State, data: _Summary, *, reml: bool) -> float:
    """−2 log likelihood, restricted in REML, with σ at its best."""
    df = data.df(reml)
    value = state.log_determinant + df * (1 + np.log(2 * np.pi * state.residual / df) + 2 * np.log(data.scale))
    return float(value - np.linalg.slogdet(state.inverse)[1] + data.volume if reml else value)


class _Derivatives(NamedTuple):
    """First and second derivatives of −2 log likelihood by θ and σ², before σ² is put at its best.

    `by_theta` shape (m,), `second` (m + 1, m + 1), σ² last; `spread` (m, p, p) derivatives of −X'H⁻¹X by θ.
    """

    by_theta: Array
    second: Array
    spread: Array


def _derivatives(state: _State, data: _Summary, *, reml: bool) -> _Derivatives:
    df, p, q = data.df(reml), data.p, state.factor.shape[0]
    variance = state.residual / df
    units = _units(q)
    changes = units @ state.factor.T
    changes = changes + np.swapaxes(changes, 1, 2)
    left = state.products[:, :, p] - state.products[:, :, :p] @ state.coefficients
    squares = left[:, :, None] * left[:, None, :]
    design = state.products[:, :, :p]
    used = design @ state.inverse @ np.swapaxes(design, 1, 2) if reml else np.zeros_like(squares)
    first = (state.blocks - used - squares / variance).sum(axis=0)
    pairs = (2 * used + 2 * squares / variance - state.blocks).reshape(-1, q * q).T @ state.blocks.reshape(-1, q * q)
    second = np.einsum("abcd,ibc,jda->ij", pairs.reshape(q, q, q, q), changes, changes, optimize=True)
    second += np.einsum("ab,iac,jbc->ij", first, units, units) * 2
    flat = design.reshape(len(design), -1)
    crossed = (flat.T @ flat).reshape(q, p, q, p)
    spread = np.einsum("iab,akbl->ikl", changes, crossed)
    pulled = np.einsum("iab,akb->ik", changes, (flat.T @ left).reshape(q, p, q))
    second -= 2 / variance * pulled @ state.inverse @ pulled.T
    if reml:
        turned = spread @ state.inverse
        second -= np.einsum("ikl,jlk->ij", turned, turned)
    along = np.einsum("iab,ab->i", changes, squares.sum(axis=0)) / variance**2
    whole = np.block([[(second + second.T) / 2, along[:, None]], [along[None, :], np.array([[df / variance**2]])]])
    return _Derivatives(np.einsum("iab,ab->i", changes, first), whole, spread)


def _units(q: int) -> Array:
    """Derivatives of Λ by its lower triangle, shape (m, q, q)."""
    rows, columns = np.tril_indices(q)
    units = np.zeros((len(rows), q, q))
    units[np.arange(len(rows)), rows, columns] = 1.0
    return units


def _profile(theta: Array, data: _Summary, *, reml: bool) -> Slopes:
    state = _state(theta, data)
    found = _derivatives(state, data, reml=reml)
    along = found.second[:-1, -1]
    curvature = found.second[:-1, :-1] - np.outer(along, along) / found.second[-1, -1]
    return Slopes(_deviance(state, data, reml=reml), found.by_theta, curvature)


def _finished(theta: Array, data: _Summary, *, reml: bool, evaluations: int) -> MixedFit:
    state = _state(theta, data)
    found = _derivatives(state, data, reml=reml)
    variance = state.residual / data.df(reml)
    parameters = _pseudo_inverse(found.second) * 2
    units = np.append(np.ones(len(theta)), data.scale**2)
    back, scale = data.z_back, data.scale
    relative = back @ state.factor @ state.factor.T @ back.T
    changes = _units(len(back)) @ state.factor.T
    slopes = variance * (back @ (changes + np.swapaxes(changes, 1, 2)) @ back.T)
    left = state.products[:, :, -1] - state.products[:, :, :-1] @ state.coefficients
    return MixedFit(
        coefficients=data.x_back @ (data.ordinary + scale * state.coefficients),
        covariance=variance * scale**2 * (data.x_back @ state.inverse @ data.x_back.T),
        df=_satterthwaite(state, found, parameters, data.x_back, variance),
        sigma=float(np.sqrt(variance)) * scale,
        random=variance * scale**2 * relative,
        modes=scale * (left @ (back @ state.factor @ state.factor.T).T),
        mode_covariances=variance * scale**2 * _conditional(state.factor, data.roots, back),
        random_variance=float(variance * scale**2 * np.trace(state.factor @ state.factor.T)),
        log_likelihood=-_deviance(state, data, reml=reml) / 2,
        log_likelihood_without=-_deviance(_state(np.zeros_like(theta), data), data, reml=reml) / 2,
        singular=bool(np.linalg.svd(state.factor)[1].min() < SINGULAR),
        parameters_covariance=parameters * np.outer(units, units),
        random_slopes=np.concatenate([scale**2 * slopes, relative[None]]),
        evaluations=evaluations,
    )


def _satterthwaite(state: _State, found: _Derivatives, parameters: Array, x_back: Array, variance: float) -> Array:
    """2 v² / var(v) for the variance v of each coefficient, var(v) by the delta method; shape (p,)."""
    rows = x_back @ state.inverse
    own = np.einsum("ki,ki->k", rows, x_back)
    by_theta = variance * np.einsum("ki,mij,kj->mk", rows, found.spread, rows, optimize=True)
    slopes = np.vstack([by_theta, own])
    return 2 * (variance * own) ** 2 / np.einsum("mk,ml,lk->k", slopes, parameters, slopes)


def _pseudo_inverse(curvature: Array) -> Array:
    """Inverse in the directions in which a minimum curves upward."""
    sizes = np.sqrt(np.abs(np.diag(curvature)))
    sizes = np.where(sizes > 0, sizes, 1.0)
    values, vectors = np.linalg.eigh(curvature / np.outer(sizes, sizes))
    inverse = np.where(values > FLAT, 1 / np.where(values > FLAT, values, 1.0), 0.0)
    return (vectors * inverse) @ vectors.T / np.outer(sizes, sizes)


def _conditional(factor: Array, roots: Array, back: Array) -> Array:
    """Covariances of the random effects given the answers, by σ², shape (G, q, q)."""
    half = roots @ factor
    inner = np.linalg.inv(np.swapaxes(half, 1, 2) @ half + np.eye(len(factor)))
    turned = back @ factor
    return turned @ inner @ turned.T
