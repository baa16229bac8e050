"""Weights that make a sample add up to known totals, on arrays: raking, post-stratification and trimming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import plural
from smstudy.errors import DataError, EstimationError

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
SETTLED = 1e-12
MOST_ROUNDS = 2000
MOST_TRIMS = 500
AT_LIMIT = 1e-9
PROJECTIONS = 10
MOST_CELLS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How weights were made, for the variances of what is estimated with them.

    Attributes
    ----------
    margins : tuple of integer arrays, each of shape (n,)
        Category of each respondent, one array per margin; a single one means post-stratification.
    base : array, shape (n,)
        Weights before.
    weights : array, shape (n,)
        Weights after.
    rounds : int
        Rounds of raking it took.
    """

    margins: tuple[Codes, ...] = field(repr=False)
    base: Array = field(repr=False)
    weights: Array = field(repr=False)
    rounds: int = 1


def rake_weights(base: Array, margins: Sequence[Codes], targets: Sequence[Array]) -> Calibration:
    """Adjust weights until they add up to the targets of every margin (iterative proportional fitting).

    Respondents who agree in all margins share one factor, so the rounds run over the combinations that occur.

    Parameters
    ----------
    base : array, shape (n,)
        Weights to begin with, above 0.
    margins : sequence of integer arrays, each of shape (n,)
        Category of each respondent, from 0 to k - 1.
    targets : sequence of arrays, each of shape (k,)
        What the weights of each category shall add up to, above 0; the same total for every margin.

    Returns
    -------
    Calibration
        Weights whose margins miss no target by more than 1e-12 of the total.

    Raises
    ------
    DataError
        If a category has a target but no respondent, or the totals differ.
    EstimationError
        If the margins do not settle, which happens when they contradict each other within the combinations that occur.

    References
    ----------
    Deming & Stephan (1940), Annals of Mathematical Statistics 11, 427-444. Agrees with R survey::rake run until nothing
    changes, and with one margin with survey::postStratify, to 1e-10 (tests/reference/design.R).

    Examples
    --------
    >>> margin = np.array([0, 0, 0, 1])
    >>> rake_weights(np.ones(4), [margin], [np.array([30.0, 30.0])]).weights
    array([10., 10., 10., 30.])
    """
    base, margins = np.asarray(base, dtype=float), [np.asarray(codes, dtype=np.intp) for codes in margins]
    _refuse_unreachable(margins, targets)
    cell, cells = _cells(margins, [len(target) for target in targets])
    before = np.bincount(cell, weights=base)
    after, rounds = before.copy(), 0
    error = np.inf
    while error > SETTLED and rounds < MOST_ROUNDS:
        rounds, error = rounds + 1, 0.0
        for codes, target in zip(cells, targets, strict=True):
            sums = np.bincount(codes, weights=after, minlength=len(target))
            error = max(error, float(np.abs(sums - target).max() / target.sum()))
            after *= np.divide(target, sums, out=np.ones(len(sums)), where=sums > 0)[codes]
        if len(margins) == 1:
            break
    if len(margins) > 1 and error > SETTLED:
        raise EstimationError(
            f"Raking does not settle: after {plural(rounds, 'round')} a margin is still off by {error:.1g} of the "
            "total. Some combinations of the margins do not occur among the respondents, so the head counts contradict "
            "each other. Put categories together, or leave a margin out."
        )
    weights = base * (after / before)[cell]
    return Calibration(margins=tuple(margins), base=base, weights=weights, rounds=rounds)


def rake_trimmed(base: Array, margins: Sequence[Codes], targets: Sequence[Array], limit: float) -> Calibration:
    """Rake so that no weight exceeds `limit` times the mean weight, by trimming and raking in turns.

    Raises
    ------
    EstimationError
        If no such weights are found; others may exist, because trimming in turns does not try all.

    References
    ----------
    Potter (1990), Proceedings of the Survey Research Methods Section, ASA, 225-230. The steps are survey::trimWeights
    and survey::rake, repeated until neither changes anything.
    """
    found = rake_weights(base, margins, targets)
    upper = limit * float(np.mean(found.weights))
    rounds = found.rounds
    for _ in range(MOST_TRIMS):
        if found.weights.max() <= upper * (1 + AT_LIMIT):
            return Calibration(margins=found.margins, base=found.base, weights=found.weights, rounds=rounds)
        found = rake_weights(trim_weights(found.weights, upper), margins, targets)
        rounds += found.rounds
    raise EstimationError(
        f"Trimming and raking in turns found no weights of at most {limit:g} times their mean that meet the head "
        "counts. Try a larger limit, put categories together, or leave a margin out."
    )


def trim_weights(weights: Array, upper: float) -> Array:
    """Cut weights at a limit and give what was cut to the others in equal parts, until none exceeds the limit.

    References
    ----------
    Agrees with R survey::trimWeights(strict = TRUE).

    Examples
    --------
    >>> trim_weights(np.array([1.0, 1.0, 4.0]), 3.0)
    array([1.5, 1.5, 3. ])
    """
    if np.mean(weights) > upper:
        raise EstimationError("The limit for trimming lies below the mean weight. Use a limit above 1 times the mean.")
    trimmed = np.asarray(weights, dtype=float)
    while (trimmed > upper * (1 + AT_LIMIT / 10)).any():
        cut = np.minimum(trimmed, upper)
        room = cut < upper
        trimmed = np.where(room, cut + (trimmed - cut).sum() / room.sum(), cut) if room.any() else cut
    return trimmed


def kish_design_effect(weights: Array) -> float:
    """Compute how many times larger unequal weights alone make a variance: 1 + cv².

    References
    ----------
    Kish (1965), Survey Sampling, section 11.7.

    Examples
    --------
    >>> kish_design_effect(np.array([1.0, 1.0, 2.0, 2.0])).__round__(4)
    1.1111
    """
    weights = np.asarray(weights, dtype=float)
    return float(len(weights) * np.sum(weights**2) / np.sum(weights) ** 2)


def calibration_residuals(scores: Array, calibration: Calibration) -> Array:
    """Take out of weighted scores what the known totals already fix.

    Parameters
    ----------
    scores : array, shape (n, p)
        Each respondent's part in the estimates, final weight included.
    calibration : Calibration

    Returns
    -------
    array, shape (n, p)
        Scores less their mean per category: with one margin the mean weighted with the base weights; with several,
        plain means of one margin after the other, ten times.

    References
    ----------
    Deville & Särndal (1992), JASA 87, 376-382. The steps are those of R survey 4.1, svyrecvar, so that standard errors
    agree to all digits.
    """
    weights = calibration.weights[:, None]
    scores = scores / weights
    if len(calibration.margins) == 1:
        return (scores - _means(scores, calibration.margins[0], calibration.base)) * weights
    for _ in range(PROJECTIONS):
        for codes in calibration.margins:
            scores = scores - _means(scores, codes, np.ones(len(scores)))
    return scores * weights


def sums_by(codes: Codes, values: Array, n_codes: int) -> Array:
    """Add up rows by their code, shape (n_codes, p)."""
    columns = [np.bincount(codes, weights=column, minlength=n_codes) for column in values.T]
    return np.column_stack(columns) if columns else np.empty((n_codes, 0))


def _means(values: Array, codes: Codes, weights: Array) -> Array:
    n = int(codes.max()) + 1
    sizes = np.bincount(codes, weights=weights, minlength=n)
    sums = sums_by(codes, values * weights[:, None], n)
    return (sums / np.where(sizes > 0, sizes, 1)[:, None])[codes]


def _cells(margins: Sequence[Codes], sizes: Sequence[int]) -> tuple[Codes, list[Codes]]:
    """Number the combinations that occur: of each respondent, and the category of each combination per margin."""
    cell, found = margins[0], np.arange(sizes[0])
    for codes, size in zip(margins[1:], sizes[1:], strict=True):
        cell = cell * size + codes
        if len(found) * size > MOST_CELLS:
            cell, found = pd.factorize(cell)
        else:
            found = np.arange(len(found) * size)
    return _occurring(cell, len(found), margins)


def _occurring(cell: Codes, n_cells: int, margins: Sequence[Codes]) -> tuple[Codes, list[Codes]]:
    first = np.full(n_cells, -1, dtype=np.intp)
    first[cell] = np.arange(len(cell))
    occurs = first >= 0
    number = np.cumsum(occurs) - 1
    return number[cell], [codes[first[occurs]] for codes in margins]


def _refuse_unreachable(margins: Sequence[Codes], targets: Sequence[Array]) -> None:
    totals = [float(np.sum(target)) for target in targets]
    if max(totals) - min(totals) > AT_LIMIT * max(totals):
        raise DataError("The head counts of the margins add up to different totals. Give every margin the same total.")
    for codes, target in zip(margins, targets, strict=True):
        occurs = np.bincount(codes, minlength=len(target)) > 0
        if len(occurs) > len(target) or not np.array_equal(occurs, np.asarray(target) > 0):
            raise DataError(
                "A category has respondents but no head count, or a head count but no respondents. Put it together "
                "with another category."
            )
