"""Logistic regression with a random intercept: maximum likelihood by adaptive Gauss-Hermite quadrature.

Group g adds σ z_g to the log odds, z_g standard normal. The integral over z_g is a sum over nodes around its mode; the
derivatives of the log likelihood are those of the complete data, averaged over the same nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logsumexp

from smstudy.errors import EstimationError
from smstudy.inference.regression.logistic import logistic
from smstudy.inference.regression.mixed import Slopes, descend, orthonormal

Array = NDArray[np.float64]
NODES = 25
CELLS_AT_ONCE = 2_000_000
MODE_STEPS = 50
MODE_SETTLED = 1e-12
START = 0.4
EDGE, BESIDE = 1e-3, 0.05
MOST = 10.0
ADVICE = 'Leave out a term, or use regress(family="logit") with cluster=.'


@dataclass(frozen=True, kw_only=True)
class RandomLogit:
    """A logit of n respondents in G groups with p coefficients and a random intercept.

    Attributes
    ----------
    coefficients : array, shape (p,)
        Log odds in an average group.
    covariance : array, shape (p, p)
        From the observed information, with the deviation's.
    deviation, deviation_error : float
        Standard deviation of the groups' log odds and its standard error, missing if there is none.
    modes, mode_errors : array, shape (G,)
        Conditional modes of the groups' log odds and their conditional standard deviations.
    log_likelihood, log_likelihood_without : float
        With and without the random intercept.
    singular : bool
        Whether groups do not differ at all.
    evaluations : int
        How often the likelihood was computed.
    """

    coefficients: Array
    covariance: Array
    deviation: float
    deviation_error: float
    modes: Array
    mode_errors: Array
    log_likelihood: float
    log_likelihood_without: float
    singular: bool
    evaluations: int


def random_logit(x: Array, y: Array, groups: NDArray[np.intp], *, names: Sequence[str]) -> RandomLogit:
    """Fit a logit with a random intercept.

    Parameters
    ----------
    x : array, shape (n, p)
        One column per coefficient, the constant included.
    y : array, shape (n,)
        0 or 1, both present.
    groups : integer array, shape (n,)
        Number of each respondent's group, from 0 without gaps.
    names : sequence of str, length p
        What the columns are called in messages.

    Returns
    -------
    RandomLogit

    Raises
    ------
    EstimationError
        If columns repeat each other, the outcome is separated, by columns or by groups, or the steps do not settle.

    References
    ----------
    Quadrature with 25 nodes: Liu & Pierce (1994), Biometrika 81, 624-629. Information: Louis (1982), J. Royal
    Statistical Society B 44, 226-233. Agrees with R `lme4::glmer(nAGQ = 25)` (tests/reference/multilevel.R).
    """
    plain = logistic(x, y, names=names)
    back, turned = orthonormal(x)
    back, turned = back * np.sqrt(len(y)), turned * np.sqrt(len(y))
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    data = _Sorted(turned[order], y[order], starts, np.diff(np.append(starts, len(y))))
    at, evaluations = _best(np.linalg.solve(back, plain.coefficients), data)
    if abs(at[-1]) > MOST:
        raise EstimationError(f"Groups tell the outcome almost without error, so how they differ has no size. {ADVICE}")
    return _finished(at, data, back, plain.log_likelihood, evaluations)


class _Sorted(NamedTuple):
    """Rows in the order of their groups, where each group starts, and its size."""

    x: Array
    y: Array
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]


def _best(coefficients: Array, data: _Sorted) -> tuple[Array, int]:
    """Search, and begin again beside zero where the search ended there although the likelihood rises away from it."""
    total = 0
    for start in (START, BESIDE):
        from_here = np.append(coefficients, start)
        at, count = descend(lambda at: _slopes(at, data), from_here, what="The logit with teams", advice=ADVICE)
        total += count
        if abs(at[-1]) > EDGE:
            return at, total
        edge, beside = np.append(at[:-1], 0.0), np.append(at[:-1], BESIDE)
        if _slopes(beside, data).value >= _slopes(edge, data).value:
            return edge, total
    raise EstimationError(f"The logit with teams did not settle. {ADVICE}")


def _finished(at: Array, data: _Sorted, back: Array, without: float, evaluations: int) -> RandomLogit:
    here, deviation = _slopes(at, data), float(abs(at[-1]))
    singular = deviation == 0.0
    curvature = here.curvature[:-1, :-1] if singular else here.curvature
    covariance = np.linalg.inv(curvature)
    p = len(at) - 1
    modes, widths = _modes(data.x @ at[:-1], deviation, data)
    return RandomLogit(
        coefficients=back @ at[:-1],
        covariance=back @ covariance[:p, :p] @ back.T,
        deviation=deviation,
        deviation_error=float("nan") if singular else float(np.sqrt(covariance[-1, -1])),
        modes=deviation * modes,
        mode_errors=deviation * widths,
        log_likelihood=-here.value,
        log_likelihood_without=without,
        singular=singular,
        evaluations=evaluations,
    )


def _modes(line: Array, deviation: float, data: _Sorted) -> tuple[Array, Array]:
    """Most likely z of each group and the standard deviation of z around it, shape (G,) each, by Newton steps."""
    modes = np.zeros(len(data.starts))
    for _ in range(MODE_STEPS):
        odds = line + deviation * np.repeat(modes, data.sizes)
        fitted = expit(odds)
        bend = 1 + deviation**2 * np.add.reduceat(fitted * expit(-odds), data.starts)
        slope = deviation * np.add.reduceat(data.y - fitted, data.starts) - modes
        step = np.clip(slope / bend, -2.0, 2.0)
        modes = modes + step
        if np.abs(step).max() < MODE_SETTLED:
            break
    return modes, 1 / np.sqrt(bend)


def _slopes(at: Array, data: _Sorted) -> Slopes:
    """−log likelihood and its derivatives by the coefficients and the deviation."""
    line = data.x @ at[:-1]
    modes, widths = _modes(line, at[-1], data)
    nodes, weights = np.polynomial.hermite.hermgauss(NODES)
    places = modes[:, None] + np.sqrt(2) * widths[:, None] * nodes
    log_weights = np.log(weights) + nodes**2 - places**2 / 2 + np.log(widths[:, None] / np.sqrt(np.pi))
    parts = [_part(block, at[-1], line, data, places, log_weights) for block in _blocks(data)]
    value, gradient, curvature = (sum(each) for each in zip(*parts, strict=True))
    return Slopes(float(value), gradient, curvature)


def _blocks(data: _Sorted) -> Iterator[slice]:
    """Runs of groups with not too many rows together, so that memory does not grow with them."""
    first, most = 0, max(1, CELLS_AT_ONCE // NODES)
    ends = data.starts + data.sizes
    while first < len(ends):
        last = max(first + 1, int(np.searchsorted(ends, data.starts[first] + most, side="right")))
        yield slice(first, last)
        first = last


def _part(
    block: slice, deviation: float, line: Array, data: _Sorted, places: Array, log_weights: Array
) -> tuple[float, Array, Array]:
    """What a run of groups adds: `places` and `log_weights` of the nodes have shape (G, nodes)."""
    starts, sizes, places = data.starts[block], data.sizes[block], places[block]
    rows = slice(starts[0], starts[-1] + sizes[-1])
    x, y, starts = data.x[rows], data.y[rows], starts - starts[0]
    odds = line[rows, None] + deviation * np.repeat(places, sizes, axis=0)
    likelihood = np.add.reduceat(log_expit(np.where(y[:, None] == 1, odds, -odds)), starts) + log_weights[block]
    whole = logsumexp(likelihood, axis=1)
    shares = np.exp(likelihood - whole[:, None])
    fitted = expit(odds)
    gaps = y[:, None] - fitted
    scores = np.stack([np.add.reduceat(gaps * column[:, None], starts) for column in x.T], axis=2)
    scores = np.concatenate([scores, (np.add.reduceat(gaps, starts) * places)[:, :, None]], axis=2)
    mean = np.einsum("gk,gkj->gj", shares, scores)
    flat = scores.reshape(-1, scores.shape[2])
    spread = (flat * shares.reshape(-1, 1)).T @ flat - mean.T @ mean
    information = _complete(x, fitted, np.repeat(shares, sizes, axis=0), places, sizes) - spread
    return -float(whole.sum()), -mean.sum(axis=0), information


def _complete(x: Array, fitted: Array, shares: Array, places: Array, sizes: NDArray[np.intp]) -> Array:
    """Information of the complete data, averaged over the nodes, shape (p + 1, p + 1)."""
    bends = fitted * (1 - fitted) * shares
    along = np.repeat(places, sizes, axis=0)
    mixed = x.T @ (bends * along).sum(axis=1)
    own = float((bends * along**2).sum())
    return np.block([[x.T @ (x * bends.sum(axis=1)[:, None]), mixed[:, None]], [mixed[None, :], np.array([[own]])]])
