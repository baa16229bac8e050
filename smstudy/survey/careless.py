"""Signs of careless answering as numbers on arrays: one row per respondent, one column per item in the order asked.

The definitions are those of R careless 1.2.2; what that package does with missing answers is done here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.errors import DataError
from smstudy.inference.psychometrics.consistency import pairwise_covariances

Floats = NDArray[np.float64]
MIN_PAIRS = 3
SMALLEST_PIVOT = 1e-10


def longstring(items: Floats) -> Floats:
    """Find the longest run of identical answers of each respondent.

    Parameters
    ----------
    items : array, shape (n, k)
        Answers in the order in which they were asked; a missing answer is a run of its own.

    Returns
    -------
    array, shape (n,)
        1 to k; 0 without items.

    References
    ----------
    Johnson (2005), J. Research in Personality 39, 103-129. Agrees with R careless::longstring.

    Examples
    --------
    >>> longstring(np.array([[1.0, 2, 2, 2, 5], [3, np.nan, 3, 4, 4]]))
    array([3., 2.])
    """
    longest = np.full(len(items), float(items.shape[1] > 0))
    run = np.ones(len(items))
    for starts in _starts(items)[:, 1:].T:
        run = np.where(starts, 1, run + 1)
        longest = np.maximum(longest, run)
    return longest


def average_string(items: Floats) -> Floats:
    """Compute the mean length of the runs of identical answers; a missing answer is a run of its own.

    References
    ----------
    Agrees with R careless::longstring(avg = TRUE).

    Examples
    --------
    >>> average_string(np.array([[4.0, 4, 4, 3, 3, 3, 3, 3, 4, 4]])).round(2)
    array([3.33])
    """
    return items.shape[1] / np.maximum(_starts(items).sum(axis=1), 1)


def response_variability(items: Floats) -> Floats:
    """Compute the standard deviation of each respondent's answers (n - 1), missing answers left out.

    References
    ----------
    Dunn, Heggestad, Shanock & Theilgard (2018), J. Business and Psychology 33, 105-121. Agrees with R careless::irv.

    Examples
    --------
    >>> response_variability(np.array([[1.0, 3, np.nan], [2, 2, 2]])).round(3)
    array([1.414, 0.   ])
    """
    answered = (~np.isnan(items)).sum(axis=1)
    mean = np.nansum(items, axis=1) / np.maximum(answered, 1)
    squares = np.nansum((items - mean[:, None]) ** 2, axis=1)
    return np.where(answered > 1, np.sqrt(squares / np.maximum(answered - 1, 1)), np.nan)


def zero_variance(items: Floats) -> Floats:
    """Say 1 where all answers of a respondent are the same, else 0; missing where less than half was answered."""
    answered = (~np.isnan(items)).sum(axis=1)
    low, high = _extremes(items)
    enough = answered >= max(2, items.shape[1] / 2)
    return np.where(enough, (low == high).astype(float), np.nan)


def straight_share(items: Floats, batteries: Sequence[Sequence[int]]) -> Floats:
    """Compute the share of batteries to which a respondent gave one and the same answer throughout.

    Parameters
    ----------
    items : array, shape (n, k)
        Answers as they were given, reversed items not turned round.
    batteries : sequence of sequences of int
        Columns of each battery: items of one answer scale that stand together.

    Returns
    -------
    array, shape (n,)
        0 to 1; a battery of which less than half was answered is left out, missing where none is left.

    References
    ----------
    Kim, Dykema, Stevenson, Black & Moberg (2019), Social Science Computer Review 37, 214-233 (simple
    nondifferentiation).

    Examples
    --------
    >>> straight_share(np.array([[2.0, 2, 2, 1, 5, 3]]), [[0, 1, 2], [3, 4, 5]])
    array([0.5])
    """
    straight = [zero_variance(items[:, list(battery)]) for battery in batteries]
    return _row_means(np.array(straight).reshape(len(batteries), len(items)).T)


def contradictions(items: Floats, batteries: Sequence[Sequence[int]], middles: Sequence[float]) -> Floats:
    """Count the batteries with reversed items to which a respondent gave one answer throughout, the middle one apart.

    Whoever agrees to a statement and to its opposite contradicts themselves; whoever ticks the middle does not.

    Parameters
    ----------
    items : array, shape (n, k)
        Answers as they were given, reversed items not turned round.
    batteries : sequence of sequences of int
        Columns of each battery with items of both directions.
    middles : sequence of float
        Middle of the answer scale of each battery.

    Returns
    -------
    array, shape (n,)

    References
    ----------
    Schonlau & Toepoel (2015), Survey Research Methods 9, 125-137; Reuning & Plutzer (2020), Political Analysis 28,
    439-459, on straight lines that cannot be meant.
    """
    count = np.zeros(len(items))
    for battery, middle in zip(batteries, middles, strict=True):
        answers = items[:, list(battery)]
        count += (zero_variance(answers) == 1) & (_extremes(answers)[0] != middle)
    return count


def even_odd(items: Floats, factors: Sequence[int]) -> Floats:
    """Compare the even and the odd items of every scale within each respondent; higher is more careless.

    Parameters
    ----------
    items : array, shape (n, k)
        Answers, the items of the first scale first; turn reversed items round before.
    factors : sequence of int
        Number of items of each scale; they sum to k.

    Returns
    -------
    array, shape (n,)
        Minus the correlation of the half-scale means over the scales, stepped up by Spearman-Brown: -1 (consistent) to
        1. A scale without an answer in one of its halves is left out; missing where fewer than two are left or one
        half does not vary.

    Raises
    ------
    DataError
        If there is only one scale, or the numbers of items do not sum to k.

    References
    ----------
    Johnson (2005), J. Research in Personality 39, 103-129. Agrees with R careless::evenodd from version 1.2.0 on, which
    turned the sign (tests/reference/careless.R).

    Examples
    --------
    >>> even_odd(np.array([[1.0, 1, 3, 4, 5, 4]]), [2, 2, 2]).round(3)
    array([-0.928])
    """
    if len(factors) < 2 or sum(factors) != items.shape[1]:
        raise DataError(
            f"Even-odd consistency needs at least 2 scales whose items sum to the columns. There are {len(factors)} "
            f"scales with {sum(factors)} items, and {items.shape[1]} columns. Correct the numbers of items."
        )
    means = _half_means(items, factors)
    r = _column_correlations(means[: len(factors)], means[len(factors) :])
    with np.errstate(divide="ignore"):
        return -np.maximum(2 * r / (1 + r), -1)


def synonym_pairs(items: Floats, *, critical: float = 0.60, antonyms: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Find the pairs of items that correlate above `critical`, or below minus it for antonyms.

    Returns
    -------
    tuple of arrays, shape (pairs,)
        Column of the later and of the earlier item of each pair; correlations are pairwise.

    Examples
    --------
    >>> synonym_pairs(np.array([[1.0, 1, 5], [2, 2, 1], [3, 4, 2], [4, 4, 3]]))
    (array([1]), array([0]))
    """
    correlations = _pairwise_correlations(items)
    wanted = correlations < -abs(critical) if antonyms else correlations > abs(critical)
    return np.nonzero(np.tril(wanted, -1))


def psychometric_synonyms(items: Floats, *, critical: float = 0.60, antonyms: bool = False) -> Floats:
    """Correlate, within each respondent, the answers to pairs of items that correlate highly among all.

    Parameters
    ----------
    items : array, shape (n, k)
        Answers as they were given, reversed items not turned round.
    critical : float
        Size of correlation above which two items are a pair.
    antonyms : bool
        Use the pairs that correlate below minus `critical`: then a value near 1 is the suspicious one.

    Returns
    -------
    array, shape (n,)
        -1 to 1; missing where fewer than 3 pairs were answered or one side of the pairs does not vary.

    Raises
    ------
    DataError
        If no two items correlate that highly.

    References
    ----------
    Meade & Craig (2012), Psychological Methods 17, 437-455; antonyms: Johnson (2005), J. Research in Personality 39,
    103-129. Agrees with R careless::psychsyn(resample_na = FALSE) and psychant. With its default, R swaps the two sides
    of pairs at random up to ten times where a side does not vary; a number that changes from run to run is not given
    here.
    """
    later, earlier = synonym_pairs(items, critical=critical, antonyms=antonyms)
    if not len(later):
        kind = f"below -{abs(critical):g}" if antonyms else f"above {abs(critical):g}"
        raise DataError(f"No two items correlate {kind}. Choose another critical value, or leave this index out.")
    answered = (~np.isnan(items[:, later]) & ~np.isnan(items[:, earlier])).sum(axis=1)
    return np.where(answered >= MIN_PAIRS, row_correlations(items[:, later], items[:, earlier]), np.nan)


def person_total(items: Floats) -> Floats:
    """Correlate each respondent's answers with the mean answers of all others.

    Parameters
    ----------
    items : array, shape (n, k)
        Answers as they were given, reversed items not turned round; missing answers are left out.

    Returns
    -------
    array, shape (n,)
        -1 to 1; missing where fewer than two answers are left or they do not vary.

    References
    ----------
    Donlon & Fischer (1968), Educational and Psychological Measurement 28, 105-113; Curran (2016), J. Experimental
    Social Psychology 66, 4-19. R careless has no such index; agrees with plain loops in tests/reference/careless.R.

    Examples
    --------
    >>> person_total(np.array([[1.0, 3, 5], [2, 3, 4], [5, 4, 1]])).round(3)
    array([-0.866,  0.   , -0.961])
    """
    others = (~np.isnan(items)).sum(axis=0) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (np.nansum(items, axis=0) - items) / others
    return row_correlations(items, means)


def mahalanobis(items: Floats) -> Floats:
    """Compute the squared Mahalanobis distance of each respondent from the means of all.

    Parameters
    ----------
    items : array, shape (n, k)
        Covariances are pairwise; a missing answer counts as the mean of its item.

    Returns
    -------
    array, shape (n,)
        Missing where nothing was answered. To be compared with the chi-squared distribution with k degrees of freedom.

    Raises
    ------
    DataError
        If the covariances cannot be inverted: too few respondents, an item that does not vary, or one that follows
        from others.

    References
    ----------
    Meade & Craig (2012), Psychological Methods 17, 437-455. Agrees with R careless::mahad and psych::outlier, which
    also invert covariances that no sample can have; those are refused here.
    """
    correlations = _pairwise_correlations(items)
    if not correlations.size or np.isnan(correlations).any() or np.linalg.eigvalsh(correlations)[0] < SMALLEST_PIVOT:
        raise DataError(
            f"The covariances of these {items.shape[1]} items cannot be inverted, so there is no Mahalanobis distance. "
            "Leave out items that do not vary or that follow from others; more respondents than items are needed."
        )
    centered = _centered(items)
    distances = np.einsum("ij,ij->i", centered @ np.linalg.inv(pairwise_covariances(items)[0]), centered)
    return np.where(np.isnan(items).all(axis=1), np.nan, distances)


def missing_share(items: Floats) -> Floats:
    """Compute the share of items each respondent left out; missing without items."""
    return _row_means(np.isnan(items).astype(float))


def seconds_per_item(items: Floats, seconds: Floats) -> Floats:
    """Divide the time taken by the number of items answered; missing where nothing was answered or no time is known."""
    answered = (~np.isnan(items)).sum(axis=1)
    return np.where(answered > 0, seconds / np.maximum(answered, 1), np.nan)


def relative_speed(items: Floats, seconds: Floats, *, median: float | None = None) -> Floats:
    """Say how many times faster than the median respondent somebody was, per item answered.

    `median` is the number of seconds per item to compare with; that of these respondents if left out.

    References
    ----------
    Leiner (2019), Survey Research Methods 13, 229-248, relative speed index, over all items at once.
    """
    own = seconds_per_item(items, seconds)
    known = own[np.isfinite(own)]
    if median is None and not len(known):
        return own
    return (np.median(known) if median is None else median) / np.where(own > 0, own, np.nan)


def failed_checks(failed: Floats) -> Floats:
    """Count the attention checks each respondent failed, of shape (n, checks): 1 failed, 0 passed, missing unanswered.

    >>> failed_checks(np.array([[1.0, 0], [np.nan, 1], [np.nan, np.nan]]))
    array([ 1.,  1., nan])
    """
    return np.where(np.isnan(failed).all(axis=1), np.nan, np.nansum(failed, axis=1))


class Area(NamedTuple):
    """Area under a ROC curve, its standard error and its interval, which are missing where they have no width."""

    estimate: float
    std_error: float
    conf_low: float
    conf_high: float


def area_under_curve(scores: Floats, failed: np.ndarray, *, conf_level: float = 0.95) -> Area:
    """Compute how well scores tell those who failed from those who did not.

    Parameters
    ----------
    scores : array, shape (n,)
        Higher is more suspicious; none missing.
    failed : array of bool, shape (n,)
        At least two are true and two false.

    Returns
    -------
    Area
        The probability that somebody who failed has the higher score, ties counted half, with DeLong's interval cut
        off at 0 and 1. Where one side lies wholly above the other, or all scores are the same, DeLong's variance is 0
        however few there are: standard error and interval are then missing.

    Raises
    ------
    DataError
        If fewer than two failed or fewer than two did not.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837-845. Agrees with R pROC::ci.auc(method = "delong"), which
    gives an interval without width at an area of 1, and warns.

    Examples
    --------
    >>> area_under_curve(np.array([1.0, 2, 3, 4]), np.array([False, True, False, True])).estimate
    0.75
    """
    bad, good = scores[failed], scores[~failed]
    if min(len(bad), len(good)) < 2:
        raise DataError("A ROC curve needs at least 2 who failed and 2 who did not. Use a label with more of both.")
    everybody = stats.rankdata(np.concatenate([bad, good]))
    of_bad = (everybody[: len(bad)] - stats.rankdata(bad)) / len(good)
    of_good = 1 - (everybody[len(bad) :] - stats.rankdata(good)) / len(bad)
    area = float(of_bad.mean())
    error = float(np.sqrt(of_bad.var(ddof=1) / len(bad) + of_good.var(ddof=1) / len(good)))
    if of_bad.min() == of_bad.max() and of_good.min() == of_good.max():
        return Area(area, *[float("nan")] * 3)
    width = float(stats.norm.isf((1 - conf_level) / 2)) * error
    return Area(area, error, max(0.0, area - width), min(1.0, area + width))


def row_correlations(x: Floats, y: Floats) -> Floats:
    """Correlate two matrices of shape (n, m) row by row, over the pairs of which nothing is missing.

    >>> row_correlations(np.array([[1.0, 2, np.nan, 3]]), np.array([[2.0, 4, 9, 6]]))
    array([1.])
    """
    return _column_correlations(x.T, y.T)


def _column_correlations(x: Floats, y: Floats) -> Floats:
    """Correlate two matrices of shape (m, n) column by column; fast where they lie row by row in memory."""
    gaps = np.isnan(x) | np.isnan(y)
    pairs = len(x) - gaps.sum(axis=0)
    varies = pairs > 1
    for side in (x, y):
        varies &= np.min(side, axis=0, where=~gaps, initial=np.inf) < np.max(side, axis=0, where=~gaps, initial=-np.inf)
    dx, dy = (_deviations(side, gaps, pairs) for side in (x, y))
    size = np.sqrt(np.einsum("ij,ij->j", dx, dx) * np.einsum("ij,ij->j", dy, dy))
    return np.where(varies, np.clip(np.einsum("ij,ij->j", dx, dy) / np.where(varies, size, 1), -1, 1), np.nan)


def _deviations(side: Floats, gaps: np.ndarray, pairs: np.ndarray) -> Floats:
    """Distances from the means of the columns; 0 in the gaps."""
    if not gaps.any():
        return side - side.sum(axis=0) / max(len(side), 1)
    filled = np.where(gaps, 0.0, side)
    return np.where(gaps, 0.0, filled - filled.sum(axis=0) / np.maximum(pairs, 1))


def _starts(items: Floats) -> np.ndarray:
    """Whether an answer begins a run, shape (n, k)."""
    starts = np.ones(items.shape, dtype=bool)
    starts[:, 1:] = items[:, 1:] != items[:, :-1]
    return starts


def _extremes(items: Floats) -> tuple[Floats, Floats]:
    """Smallest and largest answer of each respondent; inf and -inf where there is none."""
    return np.fmin.reduce(items, axis=1, initial=np.inf), np.fmax.reduce(items, axis=1, initial=-np.inf)


def _row_means(items: Floats) -> Floats:
    answered = (~np.isnan(items)).sum(axis=1)
    return np.where(answered > 0, np.nansum(items, axis=1) / np.maximum(answered, 1), np.nan)


def _half_means(items: Floats, factors: Sequence[int]) -> Floats:
    """Means of the even items of every scale, then of the odd ones, shape (2 scales, n)."""
    scale = np.repeat(np.arange(len(factors)), factors)
    place = np.arange(len(scale)) - np.repeat(np.cumsum(factors) - factors, factors)
    half = np.zeros((2 * len(factors), len(scale)))
    half[scale + len(factors) * (place % 2 == 0), np.arange(len(scale))] = 1
    gaps = np.isnan(items)
    if gaps.any():
        sums, answered = half @ np.where(gaps, 0.0, items).T, half @ (~gaps).T.astype(float)
    else:
        sums, answered = half @ items.T, half.sum(axis=1, keepdims=True)
    return np.where(answered > 0, sums / np.maximum(answered, 1), np.nan)


def _pairwise_correlations(items: Floats) -> Floats:
    """Correlations over the respondents who answered both items, shape (k, k); missing where an item is constant."""
    gaps = np.isnan(items)
    centered = _centered(items)
    shared = centered.T @ centered
    squares = np.broadcast_to(np.diag(shared)[:, None], shared.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        if gaps.any():
            known = (~gaps).astype(float)
            together, sums = known.T @ known, centered.T @ known
            shared = shared - sums * sums.T / together
            squares = (centered**2).T @ known - sums**2 / together
        size = np.sqrt(squares * squares.T)
        return np.where(size > 0, shared / size, np.nan)


def _centered(items: Floats) -> Floats:
    """Distances from the mean of each item; 0 where an answer is missing."""
    gaps = np.isnan(items)
    return _deviations(items, gaps, len(items) - gaps.sum(axis=0))
