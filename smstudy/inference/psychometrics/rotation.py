"""Factors turned towards simple structure: numbers on arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import EstimationError

Floats = NDArray[np.float64]
Method = Literal["oblimin", "varimax", "promax", "none"]

KAISER = frozenset({"varimax", "promax"})
RANDOM_STARTS = 8
APPROACHES = 12
FLAT = 1e-2
TINY = 1e-300
NEAR = 0.05
STEEPEST = 1e-9
STEEP = 1e-7
ROUNDS = 1000
HALVINGS = 0.5 ** np.arange(12)
FLATTEST = 1e-6
SMALLEST_TURN = 1e-10
POWER = 4
SAME_VALUE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Rotated factors.

    Attributes
    ----------
    loadings : ndarray, shape (p, m)
        Pattern loadings, by falling explained variance; the sum of each column is not negative.
    correlations : ndarray, shape (m, m)
        Of the factors.
    n_starts, n_agreed : int
        Starts tried, and how many of them ended at the value that is kept; both 1 where there is one road only.
    """

    loadings: Floats
    correlations: Floats
    n_starts: int = 1
    n_agreed: int = 1


def rotate(loadings: Floats, method: Method = "oblimin", *, kaiser: bool | None = None, seed: int = 1) -> Rotation:
    """Rotate factors; one factor stays as it is.

    Oblimin begins at the unrotated factors and at eight random turns, by gradient projection that Newton steps bring to
    the end, and keeps the lowest minimum. Varimax has one road: pairs of factors in turn.

    Parameters
    ----------
    loadings : ndarray, shape (p, m)
        Unrotated.
    method : {"oblimin", "varimax", "promax", "none"}
        Direct quartimin (oblimin with gamma 0, factors may correlate), varimax (they may not), or promax with power 4.
    kaiser : bool, optional
        Whether items count the same whatever their communality. Left out, as R has it: yes for varimax and promax, no
        for oblimin.
    seed : int
        Fixes the random starts of oblimin.

    Raises
    ------
    EstimationError
        If the search does not end, or an item without any loading is to be normalized.

    References
    ----------
    Kaiser (1958), Psychometrika 23, 187-200; Hendrickson & White (1964), Brit. J. Statistical Psychology 17, 65-70;
    Jennrich & Sampson (1966), Psychometrika 31, 313-323; gradient projection: Jennrich (2002), Psychometrika 67, 7-19.
    Agrees with R stats::varimax, stats::promax and GPArotation::oblimin (tests/reference/factors.R).
    """
    m = loadings.shape[1]
    if m == 1 or method == "none":
        return _arranged(loadings, np.eye(m))
    normalized = method in KAISER if kaiser is None else kaiser
    lengths = _lengths(loadings) if normalized else np.ones((len(loadings), 1))
    try:
        if method == "oblimin":
            return _oblimin(loadings / lengths, lengths, seed)
        turned = _varimax(loadings / lengths) * lengths
        return _arranged(turned, np.eye(m)) if method == "varimax" else _promax(turned)
    except np.linalg.LinAlgError:
        raise EstimationError(
            "Two factors fall together in the rotation. Ask for fewer factors, or use varimax."
        ) from None


def explained_variances(loadings: Floats, correlations: Floats) -> Floats:
    """Variance each factor explains, shape (m,); their sum is the sum of the communalities."""
    return np.diag(correlations @ loadings.T @ loadings)


def complexities(loadings: Floats) -> Floats:
    """Hofmann's number of factors that stand behind each item, shape (p,).

    >>> complexities(np.array([[0.7, 0.0], [0.5, 0.5]])).tolist()
    [1.0, 2.0]
    """
    squares = loadings**2
    return squares.sum(axis=1) ** 2 / (squares**2).sum(axis=1)


def _lengths(loadings: Floats) -> Floats:
    lengths = np.sqrt((loadings**2).sum(axis=1, keepdims=True))
    if (lengths == 0).any():
        raise EstimationError("An item loads on no factor at all, so it cannot be normalized. Leave it out.")
    return lengths


def _arranged(loadings: Floats, correlations: Floats, **starts: int) -> Rotation:
    signs = np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
    order = np.argsort(-explained_variances(loadings, correlations), kind="stable")
    turned = correlations * np.outer(signs, signs)
    return Rotation(loadings=(loadings * signs)[:, order], correlations=turned[np.ix_(order, order)], **starts)


def _varimax(loadings: Floats) -> Floats:
    """Kaiser's turns of one pair of factors after the other, each the best for its pair, until none turns any more."""
    turned, p = loadings.copy(), len(loadings)
    pairs = list(zip(*np.triu_indices(loadings.shape[1], 1), strict=True))
    for _ in range(ROUNDS):
        widest = 0.0
        for one, other in pairs:
            pair = turned[:, one] + 1j * turned[:, other]
            squares = pair**2
            quartic = (squares**2).sum() - squares.sum() ** 2 / p
            angle = np.angle(quartic) / 4 if quartic else 0.0
            pair = pair * np.exp(-1j * angle)
            turned[:, one], turned[:, other] = pair.real, pair.imag
            widest = max(widest, abs(angle))
        if widest < SMALLEST_TURN:
            return turned
    raise EstimationError("The varimax rotation did not end. Ask for fewer factors, or use oblimin.")


def _promax(turned: Floats) -> Rotation:
    """Least squares towards the fourth powers of the varimax loadings, signs kept."""
    target = turned * np.abs(turned) ** (POWER - 1)
    towards = np.linalg.lstsq(turned, target, rcond=None)[0]
    towards = towards * np.sqrt(np.diag(np.linalg.inv(towards.T @ towards)))
    back = np.linalg.inv(towards)
    return _arranged(turned @ towards, back @ back.T)


def _oblimin(loadings: Floats, lengths: Floats, seed: int) -> Rotation:
    m = loadings.shape[1]
    draws = np.random.default_rng(seed).standard_normal((RANDOM_STARTS, m, m))
    starts = np.concatenate([np.eye(m)[None], np.linalg.qr(draws)[0]])
    near, values = _approached(loadings, starts)
    first = int(np.argmin(values))
    turn, least = _descend(loadings, near[[first]])
    alike = _alike(_turned(loadings, near), _turned(loadings, turn)[0])
    others, reached = _descend(loadings, near[~alike])
    turns, values = np.concatenate([turn, others]), np.concatenate([least, reached])
    best = turns[np.argmin(values)]
    if not np.isfinite(values.min()):
        raise EstimationError("The oblimin rotation did not end. Ask for fewer factors, or use varimax.")
    same = values <= values.min() + SAME_VALUE * max(float(values.min()), SAME_VALUE)
    return _arranged(
        loadings @ np.linalg.inv(best).T * lengths,
        best.T @ best,
        n_starts=len(starts),
        n_agreed=int(same[1:].sum() + same[0] * alike.sum()),
    )


def _alike(turned: Floats, best: Floats) -> NDArray[np.bool_]:
    """Which of a stack of loadings are those of the best start but for order, signs and a last small step."""
    apart = np.minimum(
        np.abs(turned[:, :, None] - best).max(axis=3), np.abs(turned[:, :, None] + best).max(axis=3)
    )
    return (apart.min(axis=1) < NEAR).all(axis=1) & (apart.min(axis=2) < NEAR).all(axis=1)


def _approached(loadings: Floats, turns: Floats) -> tuple[Floats, Floats]:
    """Rounds of steps that turn all pairs of factors at once, and the values reached.

    A step is quartered until it leads downhill.
    """
    turns, here, size = turns.copy(), np.full((len(turns), 1, 1), np.inf), np.zeros((len(turns), 1, 1))
    step = np.zeros_like(turns)
    for _ in range(APPROACHES):
        now = _normalized(turns + size * step)
        there, onward = _pairwise_step(_turned(loadings, now), now.swapaxes(1, 2) @ now)
        paid = there < here
        np.copyto(turns, now, where=paid)
        np.copyto(step, now @ onward, where=paid)
        np.copyto(here, there, where=paid)
        size = np.where(paid, 1.0, size / 4)
    return turns, here[:, 0, 0]


def _pairwise_step(turned: Floats, correlations: Floats) -> tuple[Floats, Floats]:
    """The criterion, shape (s, 1, 1), and for each two factors the Newton step that moves only these, (s, m, m).

    Entry (r, q) moves factor q towards r. Where the criterion is not convex, curvatures count by their size, flat ones
    as a little curved.
    """
    squares = turned * turned
    pull, own = _pull(turned, squares)
    cubes, both = (turned * squares) @ turned.swapaxes(1, 2), squares @ squares.swapaxes(1, 2)
    across = own.swapaxes(1, 2)
    slope = correlations * own - pull
    curved = 2 * own + _diagonal(both) - both - 4 * correlations * cubes
    shared = 2 * correlations * (correlations * both - pull - pull.swapaxes(1, 2)) + 2 * both + own + across
    mean, half = (curved + curved.swapaxes(1, 2)) / 2, (curved - curved.swapaxes(1, 2)) / 2
    spread = np.hypot(half, shared)
    bends = np.abs(mean + spread), np.abs(mean - spread)
    least = FLAT * bends[0].max(axis=(1, 2), keepdims=True) + TINY
    one, other = (0.5 / np.maximum(bend, least) for bend in bends)
    turning = (one - other) / np.maximum(spread, TINY)
    step = (one + other + turning * half) * slope + turning * shared * slope.swapaxes(1, 2)
    return own.sum(axis=1, keepdims=True) / 4, -step.swapaxes(1, 2)


def _pull(turned: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Products of the factors with the criterion's slopes in the loadings, and the diagonal, (s, m, m), (s, m, 1)."""
    pull = turned @ (turned * (squares.sum(axis=1, keepdims=True) - squares)).swapaxes(1, 2)
    return pull, _diagonal(pull)


def _diagonal(stack: Floats) -> Floats:
    return stack.diagonal(axis1=1, axis2=2)[:, :, None]


def _descend(loadings: Floats, turns: Floats) -> tuple[Floats, Floats]:
    """Newton steps from some starts at once: where each ends and its value, infinite for one that did not end."""
    turns, values, ended = turns.copy(), np.full(len(turns), np.inf), np.zeros(len(turns), dtype=bool)
    running = np.arange(len(turns))
    turned = _turned(loadings, turns)
    for _ in range(ROUNDS):
        if not len(running):
            break
        now = turns[running]
        turned = _turned(loadings, now)
        values[running] = _criterion(turned)
        gradient, curvature = _slopes(turned, now.swapaxes(1, 2) @ now)
        ended[running] = np.abs(gradient).max(axis=1) < STEEPEST
        going = ~ended[running]
        running = running[going]
        if not len(running):
            break
        steps = _newton_steps(gradient[going], curvature[going])
        turns[running], values[running], moved = _moved(loadings, now[going], steps, values[running])
        ended[running] = ~moved & (np.abs(gradient[going]).max(axis=1) < STEEP)
        running = running[moved]
    return turns, np.where(ended, values, np.inf)


def _turned(loadings: Floats, turns: Floats) -> Floats:
    """Loadings under each transformation, one row per factor, shape (s, m, p)."""
    return np.dot(np.linalg.inv(turns), loadings.T)


def _criterion(turned: Floats) -> Floats:
    """Direct quartimin: sum of products of squared loadings of different factors on the same item, shape (s,)."""
    squares = turned * turned
    return (squares * (squares.sum(axis=1, keepdims=True) - squares)).sum(axis=(1, 2)) / 4


def _slopes(turned: Floats, correlations: Floats) -> tuple[Floats, Floats]:
    """Derivatives of the criterion in z, shapes (s, d) and (s, d, d), d = m(m - 1).

    Factor q moves towards each other factor r by z[q, r] and is brought back to variance 1. To second order that makes
    the loadings L(I - Z + ZZ)(I + D + E/2 - D^2/2), with the diagonals D of Phi Z' and E of Z Phi Z'.
    """
    s, m, p = turned.shape
    pull, own = _pull(turned, turned * turned)
    pairs = (turned[:, :, None] * turned[:, None]).reshape(s, m * m, p)
    fourth = (pairs @ pairs.swapaxes(1, 2)).reshape(s, m, m, m, m)
    curvature = 2 * fourth
    thrice = 3 * np.einsum("sqpaa->sqpa", fourth)
    both = np.einsum("sqpaa->sqp", fourth)
    np.einsum("sqapa->sqpa", curvature)[...] += both[..., None] - thrice
    side = correlations[:, :, :, None, None]
    curvature = side * np.einsum("sqqpt->sqpt", curvature)[:, :, None] - curvature
    side = correlations[:, None, None]
    curvature = side * np.einsum("sqrpp->sqrp", curvature)[..., None] - curvature
    mixed = pull[:, :, None] - correlations[:, None] * pull[..., None]
    np.einsum("sqrrt->sqrt", curvature)[...] += mixed
    np.einsum("sqrpq->spqr", curvature)[...] += mixed
    alone = correlations[:, None] - correlations[..., None] * correlations[:, :, None]
    np.einsum("sqrqt->sqrt", curvature)[...] += own[..., None] * alone
    apart = np.flatnonzero(~np.eye(m, dtype=bool))
    gradient = (correlations * own - pull).reshape(s, -1)[:, apart]
    return gradient, curvature.reshape(s, m * m, m * m)[:, apart[:, None], apart]


def _newton_steps(gradient: Floats, curvature: Floats) -> Floats:
    """Newton steps; where the criterion is not convex, curvatures count by their size, flat ones as a little curved."""
    try:
        np.linalg.cholesky(curvature)
        return -np.linalg.solve(curvature, gradient[..., None])[..., 0]
    except np.linalg.LinAlgError:
        pass
    roots, axes = np.linalg.eigh(curvature)
    size = np.abs(roots)
    curved = np.maximum(size, FLATTEST * size.max(axis=1, keepdims=True))
    return -(axes @ ((np.swapaxes(axes, 1, 2) @ gradient[..., None]) / curved[..., None]))[..., 0]


def _moved(loadings: Floats, turns: Floats, steps: Floats, values: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Transformations after the step, halved until it leads downhill; their values; and which found a way."""
    m = turns.shape[1]
    moves = np.zeros_like(turns)
    moves.swapaxes(1, 2)[:, ~np.eye(m, dtype=bool)] = steps
    best, reached, open_ = turns.copy(), values.copy(), np.arange(len(turns))
    for size in HALVINGS:
        tried = _normalized(turns[open_] + size * turns[open_] @ moves[open_])
        there = _criterion(_turned(loadings, tried))
        lower = there < values[open_]
        best[open_[lower]], reached[open_[lower]] = tried[lower], there[lower]
        open_ = open_[~lower]
        if not len(open_):
            break
    return best, reached, reached < values


def _normalized(turns: Floats) -> Floats:
    return turns / np.sqrt((turns**2).sum(axis=1, keepdims=True))
