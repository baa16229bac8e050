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
RANDOM_STARTS = 15
APPROACHES = 20
SMALL = 0.03
WIDEST = 0.5
FLAT = 0.03
TINY = 1e-300
ROUNDING = 1e-14
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

    Oblimin begins at the unrotated factors and at fifteen random turns, all at once: first each pair of factors takes a
    Newton step of its own, then full Newton steps bring the search to the end. It keeps the lowest minimum. Varimax has
    one road: pairs of factors in turn.

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
    Jennrich & Sampson (1966), Psychometrika 31, 313-323.
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
    lengths = (turned**2).sum(axis=2)[:, :, None] + (best**2).sum(axis=1)
    near = lengths - 2 * np.abs(turned @ best.T) < NEAR**2
    return near.any(axis=1).all(axis=1) & near.any(axis=2).all(axis=1)


def _approached(loadings: Floats, turns: Floats) -> tuple[Floats, Floats]:
    """Rounds in which all pairs of factors turn at once, and the values reached.

    Moves are quartered until they lead downhill. It ends when no start is left with more than small ones.
    """
    turns, steps, size = turns.copy(), np.zeros_like(turns), 0.0
    here, left = np.full((len(turns), 1, 1), np.inf), np.full((len(turns), 1, 1), np.inf)
    for _ in range(APPROACHES):
        now = _normalized(turns + size * steps)
        there, moves = _pairwise_moves(_turned(loadings, now), now.swapaxes(1, 2) @ now)
        paid = there < here
        np.copyto(turns, now, where=paid)
        np.copyto(steps, now @ moves.swapaxes(1, 2), where=paid)
        np.copyto(here, there, where=paid)
        np.copyto(left, np.abs(moves).max(axis=(1, 2), keepdims=True), where=paid)
        if (left < SMALL).all():
            break
        size = np.where(paid, 1.0, size / 4)
    return turns, here[:, 0, 0]


def _pairwise_moves(turned: Floats, correlations: Floats) -> tuple[Floats, Floats]:
    """The criterion, shape (s, 1, 1), and moves z, shape (s, m, m): for each two factors the Newton step of only these.

    Each pair has a gradient of two places and a curvature of two by two, whose roots have closed forms. Roots count by
    their size, flat ones as a little curved.
    """
    squares = turned * turned
    pull, own = _pull(turned, squares)
    cubes, both = (turned * squares) @ turned.swapaxes(1, 2), squares @ squares.swapaxes(1, 2)
    gradient = correlations * own - pull
    curved = 2 * own + _diagonal(both) - both - 4 * correlations * cubes
    shared = 2 * (correlations * (correlations * both - pull - pull.swapaxes(1, 2)) + both) + own + own.swapaxes(1, 2)
    twice, uneven, shared = curved + curved.swapaxes(1, 2), curved - curved.swapaxes(1, 2), 2 * shared
    spread = np.hypot(uneven, shared) + TINY
    large, small = np.abs(twice + spread), np.abs(twice - spread)
    least = FLAT * large.max(axis=(1, 2), keepdims=True)
    one, other = 1 / np.maximum(large, least), 1 / np.maximum(small, least)
    mixing = (one - other) / spread
    moves = (one + other + mixing * uneven) * gradient + mixing * shared * gradient.swapaxes(1, 2)
    return own.sum(axis=1, keepdims=True) / 4, np.clip(-moves, -WIDEST, WIDEST)


def _descend(loadings: Floats, turns: Floats) -> tuple[Floats, Floats]:
    """Newton steps from some starts at once: where each ends and its value, infinite for one that did not end."""
    turns, values, ended = turns.copy(), np.full(len(turns), np.inf), np.zeros(len(turns), dtype=bool)
    running = np.arange(len(turns))
    for _ in range(ROUNDS):
        if not len(running):
            break
        now = turns[running]
        turned, correlations = _turned(loadings, now), now.swapaxes(1, 2) @ now
        values[running] = _criterion(turned)
        gradient = _gradient(turned, correlations)
        steepest = np.abs(gradient).max(axis=(1, 2))
        going = steepest >= STEEPEST
        ended[running] = ~going
        running = running[going]
        if not len(running):
            break
        moves = _newton_moves(gradient[going], _curvature(turned[going], correlations[going]))
        turns[running], moved = _moved(loadings, now[going], moves, values[running], steepest[going])
        ended[running] = ~moved & (steepest[going] < STEEP)
        running = running[moved]
    return turns, np.where(ended, values, np.inf)


def _turned(loadings: Floats, turns: Floats) -> Floats:
    """Loadings under each transformation, one row per factor, shape (s, m, p)."""
    return np.dot(np.linalg.inv(turns), loadings.T)


def _criterion(turned: Floats) -> Floats:
    """Direct quartimin: sum of products of squared loadings of different factors on the same item, shape (s,)."""
    squares = turned * turned
    return (squares * (squares.sum(axis=1, keepdims=True) - squares)).sum(axis=(1, 2)) / 4


def _pull(turned: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Each factor times the criterion's slopes in the loadings, shape (s, m, m), and the diagonal, shape (s, m, 1)."""
    pull = turned @ (turned * (squares.sum(axis=1, keepdims=True) - squares)).swapaxes(1, 2)
    return pull, _diagonal(pull)


def _diagonal(stack: Floats) -> Floats:
    return stack.diagonal(axis1=1, axis2=2)[:, :, None]


def _gradient(turned: Floats, correlations: Floats) -> Floats:
    """Slopes of the criterion in moves z, shape (s, m, m).

    Factor q moves towards each other factor r by z[q, r] and is brought back to variance 1. To second order that makes
    the loadings L(I - Z + ZZ)(I + D + E/2 - D^2/2), with the diagonals D of Z Phi and E of Z Phi Z'.
    """
    pull, own = _pull(turned, turned * turned)
    return correlations * own - pull


def _curvature(turned: Floats, correlations: Floats) -> Floats:
    """Second derivatives in moves, shape (s, m, m, m, m); a factor's move towards itself changes nothing."""
    pull, own = _pull(turned, turned * turned)
    bend = _bend(turned)
    bend = correlations[:, :, :, None, None] * np.einsum("sqqpt->sqpt", bend)[:, :, None] - bend
    bend = correlations[:, None, None] * np.einsum("sqrpp->sqrp", bend)[..., None] - bend
    mixed = pull[:, :, None] - correlations[:, None] * pull[..., None]
    np.einsum("sqrrt->sqrt", bend)[...] += mixed
    np.einsum("sqrpq->spqr", bend)[...] += mixed
    alone = correlations[:, None] - correlations[..., None] * correlations[:, :, None]
    np.einsum("sqrqt->sqrt", bend)[...] += own[..., None] * alone
    return bend


def _bend(turned: Floats) -> Floats:
    """Second derivatives when factor r gains factor q, and factor t factor p, shape (s, m, m, m, m)."""
    s, m, p = turned.shape
    products = (turned[:, :, None] * turned[:, None]).reshape(s, m * m, p)
    fourth = (products @ products.swapaxes(1, 2)).reshape(s, m, m, m, m)
    same = np.einsum("sqpaa->sqpa", fourth)
    bend = 2 * fourth
    np.einsum("sqapa->sqpa", bend)[...] += same.sum(axis=3, keepdims=True) - 3 * same
    return bend


def _newton_moves(gradient: Floats, curvature: Floats) -> Floats:
    """Newton steps; where the criterion is not convex, curvatures count by their size, flat ones as a little curved."""
    m = gradient.shape[1]
    slope, curved = gradient.reshape(-1, m * m, 1), curvature.reshape(-1, m * m, m * m)
    towards_itself = np.arange(0, m * m, m + 1)
    curved[:, towards_itself, towards_itself] = 1.0
    try:
        np.linalg.cholesky(curved)
        return -np.linalg.solve(curved, slope).reshape(gradient.shape)
    except np.linalg.LinAlgError:
        pass
    roots, axes = np.linalg.eigh(curved)
    size = np.abs(roots)
    size = np.maximum(size, FLATTEST * size.max(axis=1, keepdims=True))
    return -(axes @ ((axes.swapaxes(1, 2) @ slope) / size[..., None])).reshape(gradient.shape)


def _moved(
    loadings: Floats, turns: Floats, moves: Floats, values: Floats, steepest: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Transformations after the moves, halved until they lead downhill; and which found a way."""
    steps = turns @ moves.swapaxes(1, 2)
    best, moved = turns.copy(), np.zeros(len(turns), dtype=bool)
    for size in HALVINGS:
        open_ = np.flatnonzero(~moved)
        tried = _normalized(turns[open_] + size * steps[open_])
        lower = _lower(loadings, tried, values[open_], steepest[open_])
        best[open_[lower]], moved[open_[lower]] = tried[lower], True
        if moved.all():
            break
    return best, moved


def _lower(loadings: Floats, tried: Floats, values: Floats, steepest: Floats) -> NDArray[np.bool_]:
    """Which transformations are lower; or much flatter, where values differ by their rounding only."""
    turned = _turned(loadings, tried)
    there = _criterion(turned)
    lower = there < values
    level = ~lower & (there <= values * (1 + ROUNDING))
    if level.any():
        gradient = _gradient(turned[level], tried[level].swapaxes(1, 2) @ tried[level])
        lower[level] = np.abs(gradient).max(axis=(1, 2)) < steepest[level] / 2
    return lower


def _normalized(turns: Floats) -> Floats:
    return turns / np.sqrt((turns**2).sum(axis=1, keepdims=True))
