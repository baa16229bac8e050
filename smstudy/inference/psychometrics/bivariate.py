"""The bivariate normal distribution, to about 15 digits for any correlation: numbers on arrays."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

FAR = 30.0
LASTING = 45.0
STEEP = 0.925
NODES = ((0.3, 6), (0.75, 12), (STEEP, 20))
TWO_PI = 2 * np.pi


def normal_density(h: Floats) -> Floats:
    """Standard normal density; zero at infinity.

    >>> normal_density(np.array([0.0, np.inf])).round(4).tolist()
    [0.3989, 0.0]
    """
    return np.exp(-0.5 * np.square(h)) / np.sqrt(TWO_PI)


def bivariate_density(h: ArrayLike, k: ArrayLike, rho: ArrayLike) -> Floats:
    """Density of two standard normal variables with correlation rho (below 1 in size); zero at infinity.

    It is the derivative of `bivariate_probability` by rho (Plackett 1954, Biometrika 41, 351-360).

    >>> round(float(bivariate_density(0.0, 0.0, 0.6)), 6)
    0.198944
    """
    h, k, rho = _within(h), _within(k), np.asarray(rho, dtype=float)
    rest = 1 - rho**2
    return np.exp(-0.5 * (h * h - 2 * rho * h * k + k * k) / rest) / (TWO_PI * np.sqrt(rest))


def bivariate_probability(h: ArrayLike, k: ArrayLike, rho: ArrayLike) -> Floats:
    """Probability that the first of two standard normal variables is at most h and the second at most k.

    Parameters
    ----------
    h, k : array
        Limits; they may be infinite.
    rho : array
        Correlations between -1 and 1, both included. The three are broadcast against each other.

    Returns
    -------
    ndarray
        Absolute error below 1e-14.

    References
    ----------
    Drezner & Wesolowsky (1990), Journal of Statistical Computation and Simulation 35, 101-107, as refined by Genz
    (2004), Statistics and Computing 14, 251-260. Agrees with R mvtnorm::pmvnorm(algorithm = TVPACK()).

    Examples
    --------
    >>> bivariate_probability([0.0, 0.0], [0.0, np.inf], [0.5, 0.5]).round(6).tolist()
    [0.333333, 0.5]
    """
    h, k, rho = np.broadcast_arrays(
        np.asarray(h, dtype=float), np.asarray(k, dtype=float), np.asarray(rho, dtype=float)
    )
    return probability_grid(h.reshape(-1, 1), k.reshape(-1, 1), rho.ravel()).reshape(rho.shape)


def probability_grid(h: Floats, k: Floats, rho: Floats) -> Floats:
    """`bivariate_probability` of all limits h and k of some pairs of variables.

    Parameters
    ----------
    h, k : ndarray, shapes (q, m) and (q, l)
        Limits of the first and of the second variable of each pair.
    rho : ndarray, shape (q,)
        Their correlations.

    Returns
    -------
    ndarray, shape (q, m, l)

    Examples
    --------
    >>> probability_grid(np.array([[0.0, np.inf]]), np.array([[0.0]]), np.array([0.5])).round(6).tolist()
    [[[0.333333], [0.5]]]
    """
    h, k, rho = _within(h)[:, :, None], _within(k)[:, None, :], np.asarray(rho, dtype=float)[:, None, None]
    size = np.abs(rho[:, 0, 0])
    found = np.empty(np.broadcast_shapes(h.shape, k.shape))
    below = 0.0
    for above, nodes in NODES:
        here = np.flatnonzero((size >= below) & (size < above))
        if len(here):
            found[here] = _flat(h[here], k[here], rho[here], nodes)
        below = above
    here = np.flatnonzero(size >= STEEP)
    if len(here):
        found[here] = _steep(h[here], k[here], rho[here])
    return np.clip(found, 0.0, 1.0)


def unlikely_rectangle(low: tuple[Floats, Floats], high: tuple[Floats, Floats], rho: Floats) -> Floats:
    """Probability of rectangles far off the ridge, such as a low first and a high second value if both go together.

    Differences of `bivariate_probability` have an absolute error of 1e-16; this has a relative one of
    about 1e-12.

    Parameters
    ----------
    low, high : tuple of two ndarray, shape (r,)
        Corners: first and second variable.
    rho : ndarray, shape (r,)
        Correlations, not 0, below 1 in size.

    Returns
    -------
    ndarray, shape (r,)
        Missing for a rectangle that the ridge crosses.

    Examples
    --------
    >>> bottom, top = np.array([-np.inf]), np.array([np.inf])
    >>> f"{unlikely_rectangle((bottom, np.array([2.0])), (np.array([-2.0]), top), np.array([0.9]))[0]:.4e}"
    '3.7387e-21'
    """
    negative = rho < 0
    bottom, top = np.where(negative, -high[1], low[1]), np.where(negative, -low[1], high[1])
    size = np.abs(rho)
    above = _within(bottom) > size * _within(high[0])
    left, right = np.where(above, low[0], -high[0]), np.where(above, high[0], -low[0])
    bottom, top = np.where(above, bottom, -top), np.where(above, top, -bottom)
    return _upper_left(_within(left), _within(right), _within(bottom), _within(top), size)


def _upper_left(left: Floats, right: Floats, bottom: Floats, top: Floats, rho: Floats) -> Floats:
    """Integrate over the first variable, from the corner next to the ridge as far as the density lasts."""
    spread = np.sqrt((1 - rho) * (1 + rho))
    away = (bottom - rho * right) / spread
    decay = np.maximum(rho * away / spread - right, 1.0)
    width = np.minimum(right - left, LASTING / decay)
    places, weights = np.array(_nodes(40)).T
    x = right - width * (1 - places[:, None]) / 2
    above = special.ndtr((rho * x - bottom) / spread) - special.ndtr((rho * x - top) / spread)
    return np.where(away > 0, weights @ (normal_density(x) * above) * width / 2, np.nan)


def _within(limits: ArrayLike) -> Floats:
    """Beyond 30 standard deviations nothing is left; finite limits keep products finite."""
    return np.clip(np.asarray(limits, dtype=float), -FAR, FAR)


@cache
def _nodes(n: int) -> tuple[tuple[float, float], ...]:
    """Places and weights of Gauss-Legendre quadrature from -1 to 1."""
    return tuple(zip(*(side.tolist() for side in np.polynomial.legendre.leggauss(n)), strict=True))


def _flat(h: Floats, k: Floats, rho: Floats, nodes: int) -> Floats:
    """Plackett's integral over the angle whose sine is the correlation, from 0 to rho."""
    half = np.arcsin(rho) / 2
    product, squares = h * k, (h * h + k * k) / 2
    total = np.zeros(product.shape)
    for place, weight in _nodes(nodes):
        sine = np.sin(half * (1 + place))
        total += weight * np.exp((sine * product - squares) / (1 - sine * sine))
    return special.ndtr(h) * special.ndtr(k) + total * (half / TWO_PI)


def _steep(h: Floats, k: Floats, rho: Floats) -> Floats:
    """The same integral from rho to 1 or -1: its singular part in closed form, the smooth rest by quadrature."""
    turned = np.where(rho < 0, -k, k)
    rest = _beyond(-h, -turned, rho)
    same = special.ndtr(np.minimum(h, turned)) - rest
    opposite = np.maximum(special.ndtr(h) - special.ndtr(turned), 0.0) + rest
    return np.where(rho < 0, opposite, same)


def _beyond(h: Floats, k: Floats, rho: Floats) -> Floats:
    """What the probability lacks from that of a correlation of 1, for limits turned so that rho is positive."""
    product, gap = h * k, np.square(h - k)
    variance = (1 - rho) * (1 + rho)
    spread = np.sqrt(variance)
    c, d = (4 - product) / 8, (12 - product) / 80
    with np.errstate(divide="ignore", invalid="ignore"):
        peak = spread * np.exp(-(gap / variance + product) / 2)
        peak *= 1 - c * (gap - variance) * (1 - d * gap) / 3 + c * d * variance**2
        ratio = np.sqrt(gap) / spread
        tail = np.exp(-product / 2 + special.log_ndtr(-ratio)) * np.sqrt(TWO_PI * gap)
        total = peak - tail * (1 - c * gap * (1 - d * gap) / 3)
        places, weights = np.array(_nodes(20)).T
        c, d, gap, product = (side[..., None] for side in (c, d, gap, product))
        squared = np.square(spread[..., None] / 2 * (1 + places))
        cosine = np.sqrt(1 - squared)
        exact = np.exp(-gap / (2 * squared) - product / (1 + cosine)) / cosine
        series = np.exp(-(gap / squared + product) / 2) * (1 + c * squared * (1 + 5 * d * squared))
        total += spread / 2 * ((exact - series) @ weights)
    return np.where(spread > 0, total, 0.0) / TWO_PI
