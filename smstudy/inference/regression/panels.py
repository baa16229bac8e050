"""Differences in differences: units seen in several waves, some of which began something at a wave.

Respondents of one unit and wave share all that the models know, so that everything follows from the mean and the
number of respondents of each cell. Unit effects are taken out by centering within units, which leaves estimates, CR2
errors and their degrees of freedom as they are with a coefficient per unit (Pustejovsky & Tipton 2018, theorem 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.regression.least_squares import LeastSquares, least_squares
from smstudy.inference.regression.small_clusters import SmallClusters, resting_on_one, small_clusters
from smstudy.inference.regression.wild_bootstrap import WildTest, cluster_signs, wild_test

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
BLOCK = 2_000_000
NOTHING = 1e-10
EFFECT = "the pilot"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Units by waves.

    Attributes
    ----------
    means : array, shape (G, T)
        Mean of the outcome; anything where nobody answered.
    sizes : array, shape (G, T)
        Respondents.
    starts : integer array, shape (G,)
        Wave, from 0, from which a unit is in the pilot; T if never.
    """

    means: Array = field(repr=False)
    sizes: Array = field(repr=False)
    starts: Codes

    @property
    def treated(self) -> NDArray[np.bool_]:
        """Cells in the pilot, shape (G, T)."""
        return np.arange(self.sizes.shape[1]) >= self.starts[:, None]

    @property
    def piloted(self) -> NDArray[np.bool_]:
        """Units that are in the pilot at some time, shape (G,)."""
        return self.starts < self.sizes.shape[1]

    @property
    def cohorts(self) -> Codes:
        """Waves at which units began, in order."""
        return np.unique(self.starts[self.piloted])


def panel_of(units: Codes, waves: Codes, values: Array, sizes: Array, starts: Codes, n_waves: int) -> Panel:
    """Average rows by unit and wave.

    >>> panel_of(np.array([0, 0, 1]), np.array([0, 0, 0]), np.array([1.0, 3, 5]), np.ones(3), np.array([1, 1]), 1).means
    array([[2.],
           [5.]])
    """
    shape = (len(starts), n_waves)
    place = units * n_waves + waves
    counts = np.bincount(place, sizes, minlength=shape[0] * n_waves).reshape(shape)
    sums = np.bincount(place, sizes * values, minlength=shape[0] * n_waves).reshape(shape)
    means = np.divide(sums, counts, out=np.zeros(shape), where=counts > 0)
    return Panel(means=means, sizes=counts, starts=starts)


class Effect(NamedTuple):
    """One estimate; what cannot be had is NaN."""

    estimate: float
    std_error: float
    df: float
    p_value: float
    conf_low: float
    conf_high: float


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model of a panel: the fit on centered cells, its clusters, and where the effects stand among its columns."""

    fit: LeastSquares
    clusters: SmallClusters
    groups: Codes
    places: Codes
    alone: NDArray[np.bool_]

    def effects(self, conf_level: float) -> list[Effect]:
        """The effects with CR2 errors; no error where an effect rests on a single unit."""
        estimates, errors = self.fit.coefficients, np.sqrt(np.diag(self.clusters.covariance))
        df = self.clusters.df()
        told = [_told(estimates[j], np.nan if self.alone[j] else errors[j], df[j], conf_level) for j in self.places]
        return told

    def joint_p(self, chosen: NDArray[np.bool_]) -> float:
        """p of the hypothesis that the chosen effects are all zero (HTZ); NaN where there is no test."""
        places = self.places[chosen]
        if not len(places) or self.alone[places].any():
            return float("nan")
        contrasts = np.eye(len(self.fit.coefficients))[places]
        return self.clusters.joint_test(self.fit.coefficients, contrasts)[2]

    def combined(self, weights: Array, conf_level: float) -> Effect:
        """A sum of the effects with weights; no error where one of them rests on a single unit."""
        contrast = np.zeros(len(self.fit.coefficients))
        contrast[self.places] = weights
        error = np.nan if self.alone[self.places].any() else np.sqrt(contrast @ self.clusters.covariance @ contrast)
        return _told(float(contrast @ self.fit.coefficients), float(error), self.clusters.df(contrast)[0], conf_level)

    def wild(self, conf_level: float, seed: int) -> WildTest:
        """Wild cluster bootstrap of the first effect; NaN where it rests on a single unit."""
        place = int(self.places[0])
        if self.alone[place]:
            return WildTest(float("nan"), float("nan"), float("nan"))
        return wild_test(
            self.fit.basis, self.fit.root, self.fit.residuals, self.groups, place,
            estimate=float(self.fit.coefficients[place]),
            signs=cluster_signs(int(self.groups.max()) + 1, seed=seed), conf_level=conf_level,
        )  # fmt: skip


def fit_effect(panel: Panel) -> Fitted:
    """Estimate the effect of the pilot on those in it, given unit and wave effects.

    If all units begin at one wave: the coefficient of being in the pilot in a two-way fixed effects model. If they
    begin at different waves that coefficient would compare units in the pilot with others that are already in it; so
    each cohort and wave has an effect of its own, and their mean is estimated, each by its respondents.

    References
    ----------
    Wooldridge (2021), SSRN 3906345; Goodman-Bacon (2021), J. Econometrics 225, 254-277. Agrees with R `lm` and
    `clubSandwich` (tests/reference/pilots.R).
    """
    if len(panel.cohorts) == 1:
        return _fit(panel, panel.treated[..., None].astype(float), [EFFECT])
    cells = [_cell(panel, cohort, wave) for cohort in panel.cohorts for wave in range(cohort, panel.sizes.shape[1])]
    columns, names = _averaged(cells, panel.sizes, EFFECT)
    return _fit(panel, columns, names, places=[0])


def fit_event_study(panel: Panel) -> tuple[Codes, Fitted]:
    """Estimate the difference at every wave before and after the start, against the last wave before it.

    Each cohort has effects of its own, averaged by respondents: with units that never begin these are the group-time
    averages of Callaway & Sant'Anna.

    Returns
    -------
    tuple of integer array, shape (k,), and Fitted
        Waves since the start, without -1, and the effects.

    References
    ----------
    Sun & Abraham (2021), J. Econometrics 225, 175-199; Callaway & Sant'Anna (2021), ibid. 200-230.
    """
    n_waves = panel.sizes.shape[1]
    moments = [moment for moment in range(-n_waves, n_waves) if moment != -1]
    parts, names, places, told = [], [], [], []
    for moment in moments:
        cells = [_cell(panel, c, c + moment) for c in panel.cohorts if 0 <= c + moment < n_waves]
        cells = [cell for cell in cells if (panel.sizes * cell).any()]
        if cells:
            columns, called = _averaged(cells, panel.sizes, f"wave {moment:+d} since the start")
            places.append(len(names))
            parts.append(columns)
            names += called
            told.append(moment)
    return np.array(told), _fit(panel, np.concatenate(parts, axis=2), names, places=places)


def _cell(panel: Panel, cohort: int, wave: int) -> NDArray[np.bool_]:
    return (panel.starts == cohort)[:, None] & (np.arange(panel.sizes.shape[1]) == wave)


def _averaged(cells: list[NDArray[np.bool_]], sizes: Array, name: str) -> tuple[Array, list[str]]:
    """Columns for effects that differ by cell, so arranged that the coefficient of the first is their mean."""
    shares = np.array([(sizes * cell).sum() for cell in cells])
    first = np.any(cells, axis=0).astype(float)
    others = [cell - share / shares[0] * cells[0] for cell, share in zip(cells[1:], shares[1:], strict=True)]
    return np.stack([first, *others], axis=2), [name, *(f"{name}, part {k + 2}" for k in range(len(others)))]


def _fit(panel: Panel, columns: Array, names: list[str], *, places: list[int] | None = None) -> Fitted:
    some = panel.sizes > 0
    n_waves = panel.sizes.shape[1]
    waves = np.broadcast_to(np.eye(n_waves)[:, 1:], (*panel.sizes.shape, n_waves - 1))
    x = _centered(panel, np.concatenate([waves, columns], axis=2))[some]
    y = _centered(panel, panel.means[..., None])[some][:, 0]
    called = [*(f"wave {k + 1}" for k in range(1, n_waves)), *names]
    fit = least_squares(x, y, names=called)
    if np.linalg.norm(fit.residuals) <= NOTHING * np.linalg.norm(y):
        raise EstimationError(
            "Units and waves give the outcome exactly, so nothing is left to tell chance from an effect. Add units or "
            "waves."
        )
    groups = np.nonzero(some)[0]
    return Fitted(
        fit=fit,
        clusters=small_clusters(fit.basis, fit.root, fit.residuals, groups),
        groups=groups,
        places=np.arange(n_waves - 1, len(called)) if places is None else n_waves - 1 + np.array(places),
        alone=resting_on_one(fit.basis, fit.root, groups),
    )


def _centered(panel: Panel, values: Array) -> Array:
    """Values less their mean in the unit, times the root of the respondents, shape (G, T, k)."""
    weights = panel.sizes[..., None]
    means = (weights * values).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    return np.sqrt(weights) * (values - means)


def slope_weights(moments: Codes) -> Array:
    """What to multiply the effects of an event study with to get the slope per wave of those before the start.

    Parameters
    ----------
    moments : integer array, shape (k,)
        From `fit_event_study`; the reference -1 counts with an effect of 0.

    Examples
    --------
    >>> slope_weights(np.array([-3, -2, 0, 1])).tolist()
    [-0.5, 0.0, 0.0, 0.0]
    """
    before = np.append(moments[moments < 0], -1)
    centered = before - before.mean()
    weights = np.zeros(len(moments))
    weights[moments < 0] = centered[:-1] / (centered**2).sum()
    return weights


def _told(estimate: float, error: float, df: float, conf_level: float) -> Effect:
    reach = stats.t.isf((1 - conf_level) / 2, df) * error
    p_value = 2 * stats.t.sf(abs(estimate) / error, df) if error > 0 else np.nan
    return Effect(float(estimate), float(error), float(df) if error > 0 else np.nan, float(p_value),
                  float(estimate - reach), float(estimate + reach))  # fmt: skip


def jackknifed(
    panel: Panel, conf_level: float, moments: Codes | None = None, weights: Array | None = None
) -> list[Effect]:
    """Give the effect, or those of an event study at some moments, errors from leaving out each unit in turn.

    With `weights`, shape (k, moments), sums of the effects of the event study.

    For starts at which one unit alone began: its own effect takes up all it shows, so that CR2 has no error for it. t
    with G - 1 degrees of freedom; NaN where all rests on one unit. With 3 units that began one by one and 5 others,
    and without any effect, 4 % of 300 simulated tests rejected at 5 %.

    References
    ----------
    MacKinnon, Nielsen & Webb (2023), J. Applied Econometrics 38, 671-694 (CV3).
    """
    n_units = len(panel.starts)
    some = [_estimates(only_units(panel, np.arange(n_units) != g), moments) for g in range(n_units)]
    whole, without = _estimates(panel, moments), np.array(some)
    if weights is not None:
        whole, without = weights @ whole, without @ weights.T
    errors = np.sqrt((n_units - 1) / n_units * ((without - whole) ** 2).sum(axis=0))
    return [_told(one, error, n_units - 1, conf_level) for one, error in zip(whole, errors, strict=True)]


def _estimates(panel: Panel, moments: Codes | None) -> Array:
    """Estimates only; NaN where there is none."""
    try:
        if moments is None:
            fitted = fit_effect(panel)
            return fitted.fit.coefficients[fitted.places]
        found, fitted = fit_event_study(panel)
    except (EstimationError, ValueError):
        return np.full(1 if moments is None else len(moments), np.nan)
    known = dict(zip(found.tolist(), fitted.fit.coefficients[fitted.places], strict=True))
    return np.array([known.get(moment, np.nan) for moment in moments.tolist()])


def placebo_effects(panel: Panel, starts: Codes) -> Array:
    """Estimate what the pilot shows as if other units had been in it, by its error where that can be had.

    Parameters
    ----------
    panel : Panel
        As it happened; every unit seen in every wave if units begin at different waves.
    starts : integer array, shape (m, G)
        From `assignments(panel.starts)`.

    Returns
    -------
    array, shape (m,)
        With one start and several units in the pilot the coefficient of a two-way fixed effects model by its jackknife
        error, unit and wave effects taken as known: noisy and small units in the pilot then show less by chance. With
        one unit, which has no error, the coefficient itself. With several starts the mean gap between what the cells in
        the pilot show and what unit and wave effects of the others let expect (Borusyak, Jaravel & Spiess 2024, Review
        of Economic Studies 91, 3253-3285), without error.

    References
    ----------
    MacKinnon & Webb (2020), J. Econometrics 218, 435-450. Agrees with plain R (tests/reference/pilots.R).
    """
    step = max(1, BLOCK // panel.sizes.size)
    effect = _statistics if len(panel.cohorts) == 1 else _imputed
    return np.concatenate([effect(panel, starts[i : i + step]) for i in range(0, len(starts), step)])


def _statistics(panel: Panel, starts: Codes) -> Array:
    some = panel.sizes > 0
    n_waves = panel.sizes.shape[1]
    waves = np.broadcast_to(np.eye(n_waves)[:, 1:], (*panel.sizes.shape, n_waves - 1))
    basis = np.linalg.qr(_centered(panel, waves)[some])[0]
    treated = (np.arange(n_waves) >= starts[:, :, None]).astype(float)
    d = _centered(panel, np.moveaxis(treated, 0, 2))[some]
    y = _centered(panel, panel.means[..., None])[some][:, 0]
    left, y = d - basis @ (basis.T @ d), y - basis @ (basis.T @ y)
    size = (left**2).sum(axis=0)
    known = size > NOTHING * (d**2).sum(axis=0)
    effects = np.divide(left.T @ y, size, out=np.full(len(starts), np.nan), where=known)
    if panel.piloted.sum() == 1:
        return effects
    of_unit = (np.nonzero(some)[0] == np.arange(len(panel.starts))[:, None]).astype(float)
    own, total = of_unit @ left**2, np.where(known, size, np.nan)
    pull = of_unit @ (left * (y[:, None] - left * effects))
    apart = total - own
    parts = np.divide(pull, apart, out=np.full_like(pull, np.nan), where=apart > NOTHING * total)
    return effects / np.sqrt((parts**2).sum(axis=0))


def _imputed(panel: Panel, starts: Codes) -> Array:
    treated = np.arange(panel.sizes.shape[1]) >= starts[:, :, None]
    free = np.where(treated, 0.0, panel.sizes)
    totals = free.sum(axis=2, keepdims=True)
    means = (free * panel.means).sum(axis=2, keepdims=True) / totals
    right = (free * (panel.means - means)).sum(axis=1)[:, 1:]
    left = np.einsum("mg,mgs,mgt->mst", 1 / totals[..., 0], free, free, optimize=True)
    left = free.sum(axis=1)[:, :, None] * np.eye(free.shape[2]) - left
    waves = np.zeros((len(starts), free.shape[2]))
    waves[:, 1:] = np.linalg.solve(left[:, 1:, 1:], right[..., None])[..., 0]
    units = (free * (panel.means - waves[:, None, :])).sum(axis=2, keepdims=True) / totals
    gaps = np.where(treated, panel.sizes * (panel.means - units - waves[:, None, :]), 0.0)
    return gaps.sum(axis=(1, 2)) / np.where(treated, panel.sizes, 0.0).sum(axis=(1, 2))


def only_units(panel: Panel, keep: NDArray[np.bool_]) -> Panel:
    """The panel with some of its units."""
    return replace(panel, means=panel.means[keep], sizes=panel.sizes[keep], starts=panel.starts[keep])
