"""Corrections for having tested more than once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smstudy.errors import DataError

Correction = Literal["holm", "benjamini_hochberg"]


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p values so that the chance of any false alarm stays at the level.

    Parameters
    ----------
    p_values : array, shape (m,)
        Values in [0, 1]; missing ones stay missing and are not counted as tests.

    Returns
    -------
    array, shape (m,)
        In the order given.

    Raises
    ------
    DataError
        If a value lies outside [0, 1].

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70. Agrees with R `p.adjust(p, "holm")`.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    return _step(p_values, lambda rising: np.maximum.accumulate(rising * np.arange(len(rising), 0, -1)))


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p values so that the expected share of false alarms among the findings stays at the level.

    Parameters and returned array as for `holm`.

    Raises
    ------
    DataError
        If a value lies outside [0, 1].

    References
    ----------
    Benjamini & Hochberg (1995), J. Royal Statistical Society B 57, 289-300. Agrees with R `p.adjust(p, "BH")`.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.04, 0.04]
    """
    return _step(p_values, _step_up)


def _step_up(rising: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = rising * len(rising) / np.arange(1, len(rising) + 1)
    return np.minimum.accumulate(scaled[::-1])[::-1]


def _step(p_values: ArrayLike, correct: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    p = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(p))
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise DataError("A p value lies outside 0 to 1. Give probabilities, not percentages or statistics.")
    order = tested[np.argsort(p[tested], kind="stable")]
    corrected = np.full_like(p, np.nan)
    corrected[order] = np.minimum(correct(p[order]), 1.0)
    return corrected


CORRECTIONS: dict[Correction, Callable[[ArrayLike], NDArray[np.float64]]] = {
    "holm": holm,
    "benjamini_hochberg": benjamini_hochberg,
}
CORRECTED: dict[Correction, str] = {
    "holm": "corrected by Holm, so that the chance of any false alarm on the page stays at the level",
    "benjamini_hochberg": "corrected by Benjamini and Hochberg, so that the expected share of false alarms among the "
    "findings stays at the level",
}
