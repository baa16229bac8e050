"""Response surfaces: what a quadratic regression on two numbers says about their agreement.

Coefficients are b1 to b5 in z = b0 + b1 x + b2 y + b3 x² + b4 xy + b5 y², with x and y centered at the same value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

Array = NDArray[np.float64]
LINES = ("a1", "a2", "a3", "a4", "a5")
AXES = ("x0", "y0", "p10", "p11", "p20", "p21")
TINY = 1e-20
CONTRASTS = np.array([
    [1.0, 1, 0, 0, 0],  # a1: slope where x = y
    [0, 0, 1, 1, 1],  # a2: curvature where x = y
    [1, -1, 0, 0, 0],  # a3: slope where x = -y
    [0, 0, 1, -1, 1],  # a4: curvature where x = -y
    [0, 0, 1, 0, -1],  # a5: 0 if the ridge is parallel to x = y
])  # fmt: skip


def quadratic_terms(x: Array, y: Array) -> Array:
    """The five columns of the regression, shape (n, 5).

    >>> quadratic_terms(np.array([2.0]), np.array([3.0])).tolist()
    [[2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    return np.stack([x, y, x**2, x * y, y**2], axis=-1)


def principal_axes(coefficients: Array) -> Array:
    """Stationary point and principal axes of a surface.

    Parameters
    ----------
    coefficients : array, shape (..., 5)
        b1 to b5; complex ones give slopes by complex steps.

    Returns
    -------
    array, shape (..., 6)
        Coordinates x0 and y0 of the stationary point; intercept and slope of the first axis (p10, p11), along which
        the surface is highest or bends downward least, and of the second (p20, p21). Not finite for a plane.

    References
    ----------
    Edwards & Parry (1993), Academy of Management Journal 36, 1577-1613; Edwards (2002), in Drasgow & Schmitt, Measuring
    and Analyzing Behavior in Organizations, 350-400. Agrees with R `car::deltaMethod` (tests/reference/congruence.R).

    Examples
    --------
    >>> principal_axes(np.array([0.0, 0.0, -1.0, 1.0, -1.0])).round(3).tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0, -1.0]
    """
    b1, b2, b3, b4, b5 = np.moveaxis(np.asarray(coefficients), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = 4 * b3 * b5 - b4**2
        x0 = (b2 * b4 - 2 * b1 * b5) / bend + 0.0
        y0 = (b1 * b4 - 2 * b2 * b3) / bend + 0.0
        root = np.sqrt((b3 - b5) ** 2 + b4**2)
        first, second = (b5 - b3 + root) / b4, (b5 - b3 - root) / b4
        return np.stack([x0, y0, y0 - first * x0, first, y0 - second * x0, second], axis=-1)


def axes_slopes(coefficients: Array) -> Array:
    """How stationary point and axes move with each coefficient, shape (6, 5), exact by complex steps."""
    steps = np.asarray(coefficients, dtype=float) + 1j * TINY * np.eye(5)
    return principal_axes(steps).imag.T / TINY


def drops(levels: Array, gaps: Array) -> Array:
    """Contrasts of coefficients: the surface where x and y differ less the surface where both are at their mean.

    Parameters
    ----------
    levels, gaps : arrays, shape (m,)
        (x + y) / 2 and (x - y) / 2, of centered x and y.

    Returns
    -------
    array, shape (m, 5)

    Examples
    --------
    >>> drops(np.array([0.0]), np.array([1.0])).tolist()
    [[1.0, -1.0, 1.0, -1.0, 1.0]]
    """
    return quadratic_terms(levels + gaps, levels - gaps) - quadratic_terms(levels, levels)


class Region(NamedTuple):
    """A grid over the possible values, and which points have enough respondents near them.

    Attributes
    ----------
    x, y : arrays, shape (m, m)
        Values, not centered.
    inside : bool array, shape (m, m)
    """

    x: Array
    y: Array
    inside: NDArray[np.bool_]


def data_region(x: Array, y: Array, limits: tuple[float, float], *, min_n: int, steps: int = 40) -> Region:
    """Find where a surface may be drawn: points with at least `min_n` respondents within an eighth of the scale.

    Unlike the hull of the data its border follows crowds, never a single person.

    Examples
    --------
    >>> region = data_region(np.full(6, 3.0), np.full(6, 3.0), (1, 5), min_n=5, steps=8)
    >>> int(region.inside.sum()), int(data_region(np.ones(4), np.ones(4), (1, 5), min_n=5).inside.sum())
    (9, 0)
    """
    low, high = limits
    at = np.linspace(low, high, steps + 1)
    edges = np.append(at - (high - low) / steps / 2, high + (high - low) / steps / 2)
    counts = np.histogram2d(x, y, bins=(edges, edges))[0]
    width = 2 * (steps // 8) + 1
    near = np.rint(uniform_filter(counts, width, mode="constant") * width**2)
    across, up = np.meshgrid(at, at, indexing="ij")
    return Region(across, up, near >= min_n)
