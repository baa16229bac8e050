"""Direct and indirect effects in many resamples at once, from crossproducts: no regression is fitted twice.

All equations of a mediation are linear and share their controls, so that the crossproducts of outcome, driver,
mediators and products, less what the controls account for, hold all that is asked. Per resample they are a matrix of
few rows, and the paths are the solutions of still smaller ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.bootstrap import Bootstrap, Codes, bootstrap, moment_matrices

Array = NDArray[np.float64]
Stretch = Literal["first", "second", "direct"]
Kind = Literal["total", "direct", "indirect", "all indirect", "difference", "index"]
Slopes = Mapping[str, Mapping[str, Array]]
OUTCOME, DRIVER, MODERATOR, PRODUCT = "outcome", "driver", "moderator", "driver x moderator"
SINGULAR = 1e-12
NOTHING = 1e-10
MOST_NUMBERS = 4_000_000


class Effect(NamedTuple):
    """A quantity: what it is, which mediators it goes by, and the place of the moderator's value (-1: none)."""

    kind: Kind
    via: tuple[int, ...] = ()
    at: int = -1


@dataclass(frozen=True, kw_only=True)
class PathModel:
    """A model of mediation.

    Attributes
    ----------
    n_mediators : int
    serial : bool
        Whether mediators act one after the other, in their order; else side by side.
    moderated : set of {"first", "second", "direct"}
        Which paths depend on the moderator: driver to mediators, mediators to outcome, driver to outcome.
    values : tuple of float
        Values of the moderator, as distances from its mean.
    """

    n_mediators: int
    serial: bool = False
    moderated: frozenset[Stretch] = frozenset()
    values: tuple[float, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, the outcome first; mediators are "mediator 0" and so on."""
        return tuple(dict.fromkeys(name for outcome, names in self.equations.items() for name in (outcome, *names)))

    @property
    def equations(self) -> dict[str, tuple[str, ...]]:
        """What explains what, controls aside: the outcome first, then mediators in order."""
        mediators = [mediator(place) for place in range(self.n_mediators)]
        second, direct = "second" in self.moderated, "direct" in self.moderated
        explains = [DRIVER, *mediators] + [MODERATOR] * (second or direct) + [PRODUCT] * direct
        explains += [moderated_mediator(place) for place in range(self.n_mediators)] * second
        found = {OUTCOME: tuple(explains)}
        own = (DRIVER, MODERATOR, PRODUCT) if "first" in self.moderated else (DRIVER,)
        for place, name in enumerate(mediators):
            found[name] = (*own, *mediators[:place]) if self.serial else own
        return found

    @property
    def linear_index(self) -> bool:
        """Whether indirect effects change in a straight line along the moderator."""
        return len(self.moderated & {"first", "second"}) == 1

    @property
    def effects(self) -> tuple[Effect, ...]:
        """All quantities, in the order of their columns in estimates."""
        return tuple(_effects(self))


def mediator(place: int) -> str:
    """Name of a mediator's column."""
    return f"mediator {place}"


def moderated_mediator(place: int) -> str:
    """Name of the product of a mediator and the moderator."""
    return f"mediator {place} x moderator"


def path_effects(
    model: PathModel, columns: Array, *, n_controls: int, rho: Array | None = None
) -> Callable[[Array], Array]:
    """Prepare all effects of a model, so that those of many resamples come from one product of matrices.

    Parameters
    ----------
    model : PathModel
        What explains what.
    columns : array, shape (n, k + n_controls)
        Those of `model.columns`, then the controls, without a constant. Products are made of centered columns.
    n_controls : int
        Columns that are in all equations.
    rho : array, shape (r,), optional
        With mediators side by side: of each in turn also give the `confounded_effect` at each, and the
        `critical_correlation`.

    Returns
    -------
    callable
        From counts, shape (b, n), to estimates, shape (b, q) or (b, q + mediators · (r + 1)); NaN in resamples that do
        not tell the paths apart.
    """
    scaled, spread = _standardized(columns)
    moments = moment_matrices(np.column_stack([np.ones(len(scaled)), scaled]))
    return lambda counts: _effects_of(model, moments(counts), spread, n_controls, rho)


def bootstrap_paths(
    model: PathModel, columns: Array, *, n_controls: int, n_boot: int, seed: int, groups: Codes | None = None,
    leave_out: bool = False, rho: Array | None = None,
) -> Bootstrap:  # fmt: skip
    """Estimate all effects of a model in the data and in resamples of respondents or clusters.

    Parameters
    ----------
    model, columns, n_controls, rho
        As in `path_effects`.
    n_boot, seed, groups
        As in `bootstrap`.
    leave_out : bool
        Also without each respondent (cluster) in turn, for BCa intervals.

    References
    ----------
    Preacher & Hayes (2008), Behavior Research Methods 40, 879-891; equations: Hayes (2022), Introduction to Mediation,
    Moderation, and Conditional Process Analysis. Equals a loop of regressions over the same resamples, in R `lm` too
    (tests/reference/mediation.R).

    Examples
    --------
    >>> x, e = np.divmod(np.arange(60.0), 3)
    >>> columns = np.column_stack([x + 2 * (x + e), x, x + e])
    >>> found = bootstrap_paths(PathModel(n_mediators=1), columns, n_controls=0, n_boot=50, seed=1)
    >>> found.estimate.round(6).tolist()
    [3.0, 1.0, 2.0]
    """
    statistic = path_effects(model, columns, n_controls=n_controls, rho=rho)
    found = bootstrap(statistic, len(columns), n_boot=n_boot, seed=seed, groups=groups)
    if not leave_out:
        return found
    scaled, spread = _standardized(columns)
    rows = np.column_stack([np.ones(len(scaled)), scaled])
    whole = rows.T @ rows
    parts = [
        _effects_of(model, whole - own, spread, n_controls, rho)
        for own in _own_products(rows, groups, size=len(rows.T))
    ]
    return replace(found, left_out=np.concatenate(parts))


def part(found: Bootstrap, chosen: slice) -> Bootstrap:
    """Some of the estimates of a bootstrap."""
    left_out = None if found.left_out is None else found.left_out[:, chosen]
    return replace(found, estimate=found.estimate[chosen], draws=found.draws[:, chosen], left_out=left_out)


def residual_products(moments: Array, n_controls: int) -> Array:
    """Crossproducts of columns after the constant and the controls are taken out.

    Parameters
    ----------
    moments : array, shape (b, 1 + k + n_controls, 1 + k + n_controls)
        Crossproducts of a column of ones, k columns of about unit variance, and controls.

    Returns
    -------
    array, shape (b, k, k)
        NaN in the diagonal where nothing of a column is left.
    """
    n, sums = moments[:, 0, 0], moments[:, 0, 1:]
    left = moments[:, 1:, 1:] - sums[:, :, None] * sums[:, None, :] / n[:, None, None]
    k = left.shape[1] - n_controls
    if n_controls:
        across = left[:, k:, :k]
        left = left[:, :k, :k] - np.swapaxes(across, 1, 2) @ _solve_controls(left[:, k:, k:], across, n)
    diagonal = np.arange(k)
    sizes = left[:, diagonal, diagonal]
    left[:, diagonal, diagonal] = np.where(sizes > NOTHING * n[:, None], sizes, np.nan)
    return left


def slopes(products: Array, outcome: int, predictors: Sequence[int]) -> Array:
    """Slopes of a regression from crossproducts, shape (b, p); NaN where predictors determine each other."""
    chosen = list(predictors)
    inner, across = products[:, chosen][:, :, chosen], products[:, chosen, outcome]
    scale = np.sqrt(np.einsum("bii->bi", inner))
    correlation = inner / (scale[:, :, None] * scale[:, None, :])
    good = np.isfinite(correlation).all(axis=(1, 2))
    good[good] = np.linalg.det(correlation[good]) > SINGULAR
    found = np.full(across.shape, np.nan)
    found[good] = np.linalg.solve(correlation[good], (across / scale)[good][:, :, None])[:, :, 0] / scale[good]
    return found


def confounded_effect(products: Array, rho: Array, via: int = 0) -> Array:
    """Indirect effect by way of one mediator if an unmeasured confounder made the errors correlate by rho.

    Parameters
    ----------
    products : array, shape (b, k, k)
        Of outcome, driver and mediators side by side, the controls taken out.
    rho : array, shape (r,)
        Correlations of the errors of mediator and outcome, what goes with the other mediators taken out of both.
    via : int
        Which mediator. The confounder is taken to have nothing to do with the others, given the driver and controls.

    Returns
    -------
    array, shape (b, r)

    References
    ----------
    Imai, Keele & Yamamoto (2010), Statistical Science 25, 51-71, theorem 4. Zero where rho is the partial correlation
    of mediator and outcome, as R `mediation::medsens` finds by search. Several mediators: Imai & Yamamoto (2013),
    Political Analysis 21, 141-171, section 3, whose assumption is that none of them acts on another.
    """
    first = slopes(products, 2 + via, [1])[:, 0]
    spread_outcome, spread_mediator, observed = _left(products, via)
    left = observed[:, None] - rho * np.sqrt((1 - observed[:, None] ** 2) / (1 - rho**2))
    return (first * np.sqrt(spread_outcome / spread_mediator))[:, None] * left


def critical_correlation(products: Array, via: int = 0) -> Array:
    """Correlation of mediator and outcome given the driver, the other mediators and the controls, shape (b,)."""
    return _left(products, via)[2]


def _left(products: Array, via: int) -> tuple[Array, Array, Array]:
    """Squares of outcome and mediator that driver and other mediators leave, and the correlation of what they leave."""
    place = 2 + via
    others = [j for j in range(1, products.shape[1]) if j != place]
    on_outcome, on_mediator = (slopes(products, j, others) for j in (0, place))
    taken = products[:, others]
    outcome = products[:, 0, 0] - np.einsum("bk,bk->b", on_outcome, taken[:, :, 0])
    mediator = products[:, place, place] - np.einsum("bk,bk->b", on_mediator, taken[:, :, place])
    both = products[:, 0, place] - np.einsum("bk,bk->b", on_outcome, taken[:, :, place])
    good = (outcome > 0) & (mediator > 0)
    outcome, mediator = np.where(good, outcome, np.nan), np.where(good, mediator, np.nan)
    return outcome, mediator, np.clip(both / np.sqrt(outcome * mediator), -1.0, 1.0)


def _standardized(columns: Array) -> tuple[Array, Array]:
    centered = columns - columns.mean(axis=0)
    spread = centered.std(axis=0)
    return centered / spread, spread


def _effects_of(model: PathModel, moments: Array, spread: Array, n_controls: int, rho: Array | None) -> Array:
    """Estimates of shape (b, q) from crossproducts of ones and standardized columns."""
    products = residual_products(moments, n_controls)
    place = {name: number for number, name in enumerate(model.columns)}
    paths: dict[str, dict[str, Array]] = {}
    for outcome, names in model.equations.items():
        found = slopes(products, place[outcome], [place[name] for name in names])
        units = np.array([spread[place[outcome]] / spread[place[name]] for name in names])
        paths[outcome] = dict(zip(names, (found * units).T, strict=True))
    values = [_value(model, paths, effect) for effect in model.effects]
    if rho is None:
        return np.column_stack(values)
    unit = spread[place[OUTCOME]] / spread[place[DRIVER]]
    for via in range(model.n_mediators):
        values += [confounded_effect(products, rho, via) * unit, critical_correlation(products, via)]
    return np.column_stack(values)


def _effects(model: PathModel) -> Iterator[Effect]:
    places = range(len(model.values))
    single = [(place,) for place in range(model.n_mediators)]
    if not model.moderated:
        routes = single
        if model.serial:
            routes = [
                way for size in range(1, model.n_mediators + 1) for way in combinations(range(model.n_mediators), size)
            ]
        yield from (Effect("total"), Effect("direct"))
        yield from (Effect("indirect", way) for way in routes)
        if len(routes) > 1:
            yield Effect("all indirect")
        if not model.serial:
            yield from (Effect("difference", pair) for pair in combinations(range(model.n_mediators), 2))
        return
    yield from (Effect("direct", (), at) for at in (places if "direct" in model.moderated else (-1,)))
    yield from (Effect("indirect", way, at) for way in single for at in places)
    yield from (Effect("index", way) for way in single)


def _value(model: PathModel, paths: Slopes, effect: Effect) -> Array:
    """One quantity in all resamples, shape (b,)."""
    if effect.kind == "direct":
        return _direct(model, paths, effect.at)
    if effect.kind == "indirect":
        return _indirect(model, paths, effect.via, effect.at)
    if effect.kind == "difference":
        one, other = effect.via
        return _indirect(model, paths, (one,), -1) - _indirect(model, paths, (other,), -1)
    if effect.kind == "index":
        return _index(model, paths, effect.via[0])
    ways = [each.via for each in model.effects if each.kind == "indirect"]
    both = sum(_indirect(model, paths, way, -1) for way in ways)
    return both if effect.kind == "all indirect" else both + _direct(model, paths, -1)


def _direct(model: PathModel, paths: Slopes, at: int) -> Array:
    own = paths[OUTCOME][DRIVER]
    return own if at < 0 else own + paths[OUTCOME][PRODUCT] * model.values[at]


def _indirect(model: PathModel, paths: Slopes, via: tuple[int, ...], at: int) -> Array:
    """Product of the paths along a way, at a value of the moderator."""
    first, last = paths[mediator(via[0])][DRIVER], paths[OUTCOME][mediator(via[-1])]
    if "first" in model.moderated:
        first = first + paths[mediator(via[0])][PRODUCT] * model.values[at]
    if "second" in model.moderated:
        last = last + paths[OUTCOME][moderated_mediator(via[-1])] * model.values[at]
    for before, after in zip(via[:-1], via[1:], strict=True):
        first = first * paths[mediator(after)][mediator(before)]
    return first * last


def _index(model: PathModel, paths: Slopes, place: int) -> Array:
    """By how much the indirect effect changes per unit of the moderator, or between its outer values."""
    if not model.linear_index:
        return _indirect(model, paths, (place,), len(model.values) - 1) - _indirect(model, paths, (place,), 0)
    if "first" in model.moderated:
        return paths[mediator(place)][PRODUCT] * paths[OUTCOME][mediator(place)]
    return paths[mediator(place)][DRIVER] * paths[OUTCOME][moderated_mediator(place)]


def _solve_controls(inner: Array, across: Array, n: Array) -> Array:
    """What controls account for; a level that a resample has not drawn takes no part."""
    sizes = np.einsum("bii->bi", inner)
    drawn = sizes > NOTHING * n[:, None]
    scale = np.sqrt(np.where(drawn, sizes, 1.0))
    correlation = inner * (drawn[:, :, None] & drawn[:, None, :]) / (scale[:, :, None] * scale[:, None, :])
    across = across * drawn[:, :, None]
    good = np.linalg.det(correlation) > SINGULAR
    found = np.empty_like(across)
    found[good] = np.linalg.solve(correlation[good], across[good] / scale[good][:, :, None])
    if not good.all():
        inverse = np.linalg.pinv(correlation[~good], rcond=NOTHING, hermitian=True)
        found[~good] = inverse @ (across[~good] / scale[~good][:, :, None])
    return found / scale[:, :, None]


def _own_products(rows: Array, groups: Codes | None, *, size: int) -> Iterator[Array]:
    """Crossproducts of each respondent, or cluster, by itself, in blocks that fit into memory."""
    if groups is not None:
        order = np.argsort(groups, kind="stable")
        parts = np.split(rows[order], np.cumsum(np.bincount(groups))[:-1])
        yield np.array([part.T @ part for part in parts])
        return
    step = max(1, MOST_NUMBERS // size**2)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        yield part[:, :, None] * part[:, None, :]
