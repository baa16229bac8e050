"""The likelihood of factor models for normally distributed answers: its slope, its information, and its maximum.

Respondents of a group who answered the same items stand together as a piece: complete answers are one piece per group,
gaps make one piece per pattern. Everything is a sum over pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.factor_models.curvature import curvature
from smstudy.inference.factor_models.fitted import Sample
from smstudy.inference.factor_models.structures import Moments, Structure

Floats = NDArray[np.float64]

MAX_STEPS = 500
GOAL = 1e-20  # squared distance to the minimum, in standard errors of one respondent
NEAR = 1e-9  # so near that rounding decides whether the fit gets better
NEWTON = 1e-2  # so near that second derivatives lead faster than their expectation
DAMPING = 1e-6
TOLD = 0.03  # so much of a direction beside all others is far from being damped
PIECES_AT_ONCE = 256
ROWS_AT_ONCE = 4096


class Pieces(NamedTuple):
    """Respondents who answered the same items, by group.

    `groups`, shape (k,); `seen`, shape (k, p), which items they answered; `n`, shape (k,); `means`, shape (k, p), and
    `covariances` with divisor n, shape (k, p, p), of their answers, 0 where there are none.
    """

    groups: NDArray[np.int64]
    seen: NDArray[np.bool_]
    n: Floats
    means: Floats
    covariances: Floats

    def blocks(self) -> list[Pieces]:
        """The same pieces, a bounded number at a time."""
        starts = range(0, len(self.n), PIECES_AT_ONCE)
        return [Pieces(*(part[start : start + PIECES_AT_ONCE] for part in self)) for start in starts]


class Slope(NamedTuple):
    """Derivatives of the discrepancy: by covariances, (g, p, p), by means, (g, p), and by parameters, (q,)."""

    by_covariance: Floats
    by_mean: Floats
    by_parameter: Floats


class Minimum(NamedTuple):
    """Where the search ended: parameters, the discrepancy there, and how far the minimum still was."""

    parameters: Floats
    value: float
    distance: float


def minimize(structure: Structure, pieces: Pieces) -> Minimum:
    """Fisher scoring with halved steps from the start values of the model, and Newton's steps near the end."""
    at, distance = structure.start(), float("inf")
    value = discrepancy(structure, pieces, at)
    for _ in range(MAX_STEPS):
        here = slope(structure, pieces, at)
        direction, distance = _direction(structure, pieces, at, here, distance)
        if distance < GOAL:
            break
        moved = _along(structure, pieces, at, direction, value, distance)
        if moved is None:
            break
        at, value = moved
    return Minimum(at, discrepancy(structure, pieces, at), distance)


def discrepancy(structure: Structure, pieces: Pieces, at: Floats) -> float:
    """-2 log likelihood of a respondent on average, without the constant log(2 pi) for each answer.

    Infinite where the implied covariances are not positive definite.
    """
    moments, total = structure.moments(at), 0.0
    for part in pieces.blocks():
        covariances = _seen_covariances(part, moments)
        try:
            roots = np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError:
            return float("inf")
        log_determinants = 2 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        distances = (np.linalg.inv(covariances) * _products(part, moments)).sum(axis=(1, 2))
        total += float(part.n @ (log_determinants + distances))
    return total / float(pieces.n.sum())


def slope(structure: Structure, pieces: Pieces, at: Floats) -> Slope:
    """Derivatives of the discrepancy by the implied moments and by the parameters."""
    moments = structure.moments(at)
    by_covariance, by_mean = np.zeros_like(moments.covariances), np.zeros_like(moments.means)
    for part in pieces.blocks():
        weights = part.n / pieces.n.sum()
        precisions = _precisions(part, moments)
        towards = precisions - precisions @ _products(part, moments) @ precisions
        np.add.at(by_covariance, part.groups, weights[:, None, None] * towards)
        pulls = (precisions @ _gaps(part, moments)[:, :, None])[:, :, 0]
        np.add.at(by_mean, part.groups, -2 * weights[:, None] * pulls)
    slopes, by_parameter = structure.slopes(at), np.zeros(structure.n_parameters)
    for group, (towards, mean) in enumerate(zip(by_covariance, by_mean, strict=True)):
        here = slopes.groups == group
        moved = 2 * ((slopes.left[here] @ towards) * slopes.right[here]).sum(axis=1) + slopes.means[here] @ mean
        by_parameter += np.bincount(slopes.parameters[here], moved, structure.n_parameters)
    return Slope(by_covariance, by_mean, by_parameter)


def information(structure: Structure, pieces: Pieces, at: Floats, kind: Literal["expected", "observed"]) -> Floats:
    """Second derivatives of half the discrepancy, shape (q, q), or their expectation: what one respondent tells."""
    moments, slopes = structure.moments(at), structure.slopes(at)
    total = np.zeros((structure.n_parameters, structure.n_parameters))
    for group in range(structure.n_groups):
        here = slopes.groups == group
        mine = Pieces(*(part[pieces.groups == group] for part in pieces))
        cells = _Cells.of(slopes.left[here], slopes.right[here], slopes.means[here])
        summed = np.zeros((here.sum(), here.sum()))
        for part in mine.blocks():
            bend = _expected if kind == "expected" else _observed
            summed += bend(cells, part, part.n / pieces.n.sum(), moments)
        numbers = slopes.parameters[here]
        np.add.at(total, (numbers[:, None], numbers[None, :]), summed)
    if kind == "expected":
        return total
    at_moments = slope(structure, pieces, at)
    return total + curvature(structure, at, at_moments.by_covariance, at_moments.by_mean) / 2


def first_order(structure: Structure, pieces: Pieces, rows: Sequence[Floats], at: Floats) -> Floats:
    """Mean products of the slopes of single respondents' log likelihoods, shape (q, q).

    `rows` are the answers behind each piece, 0 where there are none.
    """
    moments, slopes = structure.moments(at), structure.slopes(at)
    precisions = [each for part in pieces.blocks() for each in _precisions(part, moments)]
    total = np.zeros((structure.n_parameters, structure.n_parameters))
    for group in range(structure.n_groups):
        here = slopes.groups == group
        left, right, means = slopes.left[here], slopes.right[here], slopes.means[here]
        summed = np.zeros((here.sum(), here.sum()))
        for piece in np.flatnonzero(pieces.groups == group):
            precision, expected = precisions[piece], moments.means[group] * pieces.seen[piece]
            constant = ((left @ precision) * right).sum(axis=1)
            for start in range(0, len(rows[piece]), ROWS_AT_ONCE):
                pulls = (rows[piece][start : start + ROWS_AT_ONCE] - expected) @ precision
                scores = (pulls @ left.T) * (pulls @ right.T) - constant + pulls @ means.T
                summed += scores.T @ scores
        numbers = slopes.parameters[here]
        np.add.at(total, (numbers[:, None], numbers[None, :]), summed)
    return total / float(pieces.n.sum())


def complete_pieces(samples: Sequence[Sample]) -> Pieces:
    """One piece for each group."""
    return Pieces(
        np.arange(len(samples)),
        np.ones((len(samples), len(samples[0].means)), bool),
        np.array([float(sample.n) for sample in samples]),
        np.array([sample.means for sample in samples]),
        np.array([sample.covariances for sample in samples]),
    )


def pieces_of(answers: Sequence[Floats]) -> tuple[Pieces, list[Floats]]:
    """Group the answers of each group, shape (n, p), by who answered what; NaN is a gap, rows without answers drop out.

    Also the rows of each piece, 0 where there are no answers.
    """
    found: list[tuple[int, NDArray[np.bool_], Floats]] = []
    for group, each in enumerate(answers):
        known = each[(~np.isnan(each)).any(axis=1)]
        seen, place = np.unique(~np.isnan(known), axis=0, return_inverse=True)
        order = np.argsort(place.ravel(), kind="stable")
        blocks = np.split(np.nan_to_num(known[order]), np.cumsum(np.bincount(place.ravel()))[:-1])
        found += [(group, pattern, rows) for pattern, rows in zip(seen, blocks, strict=True)]
    means = [rows.mean(axis=0) for _, _, rows in found]
    spreads = [(rows - mean).T @ (rows - mean) / len(rows) for (_, _, rows), mean in zip(found, means, strict=True)]
    pieces = Pieces(
        np.array([group for group, _, _ in found]),
        np.array([seen for _, seen, _ in found]),
        np.array([float(len(rows)) for _, _, rows in found]),
        np.array(means),
        np.array(spreads),
    )
    return pieces, [rows for _, _, rows in found]


def _direction(structure: Structure, pieces: Pieces, at: Floats, here: Slope, before: float) -> tuple[Floats, float]:
    """The next step, and the squared distance to the minimum as the information at hand has it."""
    half = here.by_parameter / 2
    root = _root(information(structure, pieces, at, "observed"), least=0.0) if before < NEWTON else None
    if root is None:
        root = _root(information(structure, pieces, at, "expected"), least=-np.inf)
    direction = -root @ (root.T @ half)
    return direction, float(-direction @ half)


def _along(
    structure: Structure, pieces: Pieces, at: Floats, direction: Floats, value: float, distance: float
) -> tuple[Floats, float] | None:
    """The first of the halved steps that fits better; near the minimum, where rounding decides, the full step."""
    for size in 0.5 ** np.arange(25):
        tried = at + size * direction
        new = discrepancy(structure, pieces, tried)
        if new < value - 1e-4 * size * distance or (distance < NEAR and new < value + NEAR):
            return tried, new
    return None


def _root(matrix: Floats, *, least: float) -> Floats | None:
    """A root R of the inverse, RR', from a scale with diagonal 1; directions that are hardly told are damped.

    None if an eigenvalue is not above the least one allowed.
    """
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    scaled = matrix * np.outer(scale, scale)
    with suppress(np.linalg.LinAlgError):
        lower = np.linalg.cholesky(scaled)
        if np.diag(lower).min() > TOLD:
            return scale[:, None] * np.linalg.inv(lower).T
    roots, vectors = np.linalg.eigh(scaled)
    if roots[0] <= least:
        return None
    return scale[:, None] * vectors / np.sqrt(np.maximum(roots, DAMPING))


def _seen_covariances(part: Pieces, moments: Moments) -> Floats:
    """Implied covariances of each piece; items that were not answered stand apart with variance 1."""
    both = part.seen[:, :, None] & part.seen[:, None, :]
    return np.where(both, moments.covariances[part.groups], np.eye(part.seen.shape[1]))


def _precisions(part: Pieces, moments: Moments) -> Floats:
    both = part.seen[:, :, None] & part.seen[:, None, :]
    return np.linalg.inv(_seen_covariances(part, moments)) * both


def _gaps(part: Pieces, moments: Moments) -> Floats:
    return (part.means - moments.means[part.groups]) * part.seen


def _products(part: Pieces, moments: Moments) -> Floats:
    """Mean products of the answers around the implied means, 0 where there are none, shape (k, p, p)."""
    gaps = _gaps(part, moments)
    return part.covariances + gaps[:, :, None] * gaps[:, None, :]


class _Cells(NamedTuple):
    """Derivatives of the moments of a group by its free cells; only the `moving` ones move covariances."""

    moving: NDArray[np.int64]
    left: Floats
    right: Floats
    means: Floats

    @classmethod
    def of(cls, left: Floats, right: Floats, means: Floats) -> _Cells:
        moving = np.flatnonzero(right.any(axis=1))
        return cls(moving, left[moving], right[moving], means)

    def forms(self, matrix: Floats) -> tuple[Floats, Floats, Floats]:
        """Products of left with left, right with right, and left with right sides through a symmetric matrix."""
        from_left = self.left @ matrix
        return from_left @ self.left.T, self.right @ matrix @ self.right.T, from_left @ self.right.T


def _expected(cells: _Cells, part: Pieces, weights: Floats, moments: Moments) -> Floats:
    total = np.zeros((len(cells.means),) * 2)
    inner = np.ix_(cells.moving, cells.moving)
    for weight, precision in zip(weights, _precisions(part, moments), strict=True):
        left, right, crossed = cells.forms(precision)
        total[inner] += weight * (left * right + crossed * crossed.T)
        total += weight * (cells.means @ precision @ cells.means.T)
    return total


def _observed(cells: _Cells, part: Pieces, weights: Floats, moments: Moments) -> Floats:
    """Second derivatives as if moments were straight lines in the parameters."""
    total = np.zeros((len(cells.means),) * 2)
    inner = np.ix_(cells.moving, cells.moving)
    precisions = _precisions(part, moments)
    pulls = (precisions @ _gaps(part, moments)[:, :, None])[:, :, 0]
    data = precisions @ _products(part, moments) @ precisions
    for weight, precision, product, pull in zip(weights, precisions, data, pulls, strict=True):
        left, right, crossed = cells.forms(precision)
        left_data, right_data, crossed_data = cells.forms(product)
        twice = crossed.T * crossed_data
        bent = twice + twice.T + right * left_data + left * right_data - left * right - crossed * crossed.T
        total[inner] += weight * bent
        by_mean = cells.means @ precision
        total += weight * (by_mean @ cells.means.T)
        mixed = (by_mean @ cells.left.T) * (cells.right @ pull) + (by_mean @ cells.right.T) * (cells.left @ pull)
        total[:, cells.moving] += weight * mixed
        total[cells.moving, :] += weight * mixed.T
    return total
