"""Where along a moderator the slope of a driver differs from zero (Johnson-Neyman), with any covariance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

Array = NDArray[np.float64]
Sign = Literal[-1, 0, 1]
N_POINTS = 1001
PRECISE = 1e-14


class Slopes(NamedTuple):
    """The slope of a driver at k values of a moderator."""

    estimate: Array
    std_error: Array
    df: Array

    def p_value(self) -> Array:
        """Two-sided p of each, shape (k,)."""
        return 2 * stats.t.sf(np.abs(self.estimate / self.std_error), self.df)

    def interval(self, conf_level: float) -> tuple[Array, Array]:
        """Ends of the intervals, each of shape (k,)."""
        reach = stats.t.isf((1 - conf_level) / 2, self.df) * self.std_error
        return self.estimate - reach, self.estimate + reach


class Line(NamedTuple):
    """How the slope of a driver changes along a moderator: own + product · value.

    `coefficients` has the driver's own coefficient and that of the product, `covariance` is theirs, shape (2, 2);
    `df` gives degrees of freedom of contrasts of the two, rows of shape (2,).
    """

    coefficients: Array
    covariance: Array
    df: Callable[[Array], Array]

    def at(self, values: Array) -> Slopes:
        """Slopes at values of the moderator."""
        return self.contrast(np.column_stack([np.ones(len(values)), values]))

    def contrast(self, rows: Array) -> Slopes:
        """Combinations of the two coefficients, rows of shape (2,)."""
        variance = np.einsum("ki,ij,kj->k", rows, self.covariance, rows)
        return Slopes(rows @ self.coefficients, np.sqrt(np.maximum(variance, 0.0)), self.df(rows))


class Region(NamedTuple):
    """A stretch of the moderator in which the slope is above zero (1), below (-1), or cannot be told from it (0)."""

    low: float
    high: float
    sign: Sign


def regions(
    line: Line, low: float, high: float, *, conf_level: float = 0.95, false_discovery: bool = False
) -> tuple[Region, ...]:
    """Split a range of the moderator by whether the slope can be told from zero.

    Parameters
    ----------
    line : Line
        The slope along the moderator.
    low, high : float
        Range looked at.
    conf_level : float
        Level of the test at each value.
    false_discovery : bool
        Hold the rate of false discoveries over the whole range, not the error at each value.

    Returns
    -------
    tuple of Region
        In rising order, together the whole range.

    References
    ----------
    Johnson & Neyman (1936); Bauer & Curran (2005), Multivariate Behavioral Research 40, 373-400; false discoveries:
    Esarey & Sumner (2018), Comparative Political Studies 51, 1144-1176. With one number of degrees of freedom the ends
    are the roots of a quadratic equation, as in R `interactions::johnson_neyman` (tests/reference/moderation.R).

    Examples
    --------
    >>> line = Line(np.array([0.0, 1.0]), np.diag([0.01, 0.0]), lambda rows: np.full(len(rows), np.inf))
    >>> [(round(part.low, 3), round(part.high, 3), part.sign) for part in regions(line, -1, 1)]
    [(-1.0, -0.196, -1), (-0.196, 0.196, 0), (0.196, 1.0, 1)]
    """
    values = np.linspace(low, high, N_POINTS)
    slopes = line.at(values)
    level = 1 - conf_level
    if false_discovery:
        level = false_discovery_level(slopes.p_value(), level)
    clear = _clear(slopes, level)
    borders = [_border(line, level, *values[i : i + 2]) for i in np.flatnonzero(clear[1:] != clear[:-1])]
    ends = [low, *borders, high]
    parts = []
    for start, end in zip(ends[:-1], ends[1:], strict=True):
        middle = line.at(np.array([(start + end) / 2]))
        sign = int(np.sign(middle.estimate[0])) if _clear(middle, level)[0] else 0
        parts.append(Region(float(start), float(end), sign))
    return tuple(parts)


def false_discovery_level(p_values: Array, level: float) -> float:
    """The level each of many tests is held to so that of those passing no more than `level` are false (Benjamini).

    >>> round(false_discovery_level(np.array([0.001, 0.02, 0.03, 0.9]), 0.05), 6)
    0.0375
    """
    ordered = np.sort(p_values)
    allowed = level * np.arange(1, len(ordered) + 1) / len(ordered)
    passing = np.flatnonzero(ordered <= allowed)
    return float(allowed[passing[-1]] if len(passing) else allowed[0])


def _clear(slopes: Slopes, level: float) -> NDArray[np.bool_]:
    return _margin(slopes, level) >= 0


def _margin(slopes: Slopes, level: float) -> Array:
    """How far the interval stays from zero; negative where it covers zero."""
    return np.abs(slopes.estimate) - stats.t.isf(level / 2, slopes.df) * slopes.std_error


def _border(line: Line, level: float, low: float, high: float) -> float:
    """Where between two values the interval begins to cover zero."""
    return float(
        brentq(lambda value: _margin(line.at(np.array([value])), level)[0], low, high, xtol=PRECISE, rtol=PRECISE)
    )
