"""Does the way of asking stand behind the answers? Factor models with a method factor, held against those without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.factor_models.fitted import Fitted, scaled_difference
from smstudy.inference.factor_models.likelihood import complete_pieces, pieces_of, slope
from smstudy.inference.factor_models.standardization import standardize_fit
from smstudy.inference.factor_models.structures import (
    FIXED,
    Matrix,
    Structure,
    fixed,
    freed,
    measurement_model,
    with_starts,
)

Floats = NDArray[np.float64]
Members = Mapping[str, Sequence[str]]
Fit = Callable[[Structure], Fitted]

METHOD = "method"
START = 0.05  # share of the mean variance of its items that a method factor begins with


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Test of a model against a narrower one.

    Attributes
    ----------
    statistic, df, p_value : float, int, float
        Difference of chi-squared, scaled by Satorra and Bentler where the tests are scaled.
    """

    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class MethodFactor:
    """A factor of its own behind some items of several scales, with one loading for all of them.

    Attributes
    ----------
    test : Difference or None
        Against the model without it; the variance cannot be negative, so p is half that of chi-squared with 1 df. None
        if the model fits best without any such variance.
    share, std_error : float
        Mean share of the variance of these items that it takes.
    shift : float
        Largest change of a correlation of two scales' factors.
    """

    test: Difference | None
    share: float
    std_error: float
    shift: float


@dataclass(frozen=True, kw_only=True)
class Marker:
    """The five models of the marker technique.

    Attributes
    ----------
    equal, unequal, restricted : Difference
        Equal method loadings against none, unequal against equal ones, and free correlations of the scales' factors
        against those of the model without method loadings.
    share : float
        Mean share of the variance of the items that the marker takes, of the model with unequal loadings if these fit
        better than equal ones.
    shift : float
        Largest change of a correlation of two scales' factors.
    """

    equal: Difference
    unequal: Difference
    restricted: Difference
    share: float
    shift: float


def difference(wide: Fitted, narrow: Fitted) -> Difference:
    """Test whether a model fits better than a narrower one that is nested in it.

    Raises
    ------
    EstimationError
        If the scaled difference does not exist, because its scale is not positive.

    References
    ----------
    Satorra & Bentler (2001), Psychometrika 66, 507-514. Agrees with R
    lavaan::lavTestLRT(method = "satorra.bentler.2001") (tests/reference/validity.R).
    """
    test = scaled_difference(narrow, wide)
    return Difference(statistic=test.corrected, df=test.df, p_value=test.p_value)


def method_factor(base: Fitted, fit: Fit, answers: Floats, items: Sequence[str]) -> MethodFactor:
    """Add a method factor with equal loadings on some items, uncorrelated with all others, to a fitted model.

    Parameters
    ----------
    base : Fitted
        The model of the scales: one group, factors of variance 1.
    fit : callable
        Fits a structure the way `base` was fitted.
    answers : ndarray, shape (n, p)
        What was fitted; NaN is a gap.
    items : sequence of str
        Items the method factor stands behind; three or more.

    Raises
    ------
    EstimationError
        If the wider model cannot be fitted.

    References
    ----------
    Podsakoff, MacKenzie, Lee & Podsakoff (2003), J. Applied Psychology 88, 879-903. Agrees with a lavaan model whose
    method loadings are all 1 (tests/reference/validity.R).
    """
    wide = _with_method(base, items)
    if not _wanted(base, wide, answers):
        return MethodFactor(test=None, share=0.0, std_error=float("nan"), shift=0.0)
    found = fit(wide)
    test = difference(found, base)
    share, error = _share(found, items)
    k = len(base.structure.factors)
    return MethodFactor(
        test=replace(test, p_value=test.p_value / 2),
        share=share,
        std_error=error,
        shift=_shift(base, found, k),
    )


def marker_models(items: Sequence[str], scales: Members, marker: Sequence[str], fit: Fit, level: float) -> Marker:
    """Fit the models of the marker technique of confirmatory factor analysis.

    Loadings and residuals of the marker stay what they are in the model of all scales. A marker of one item counts as
    free of error.

    Parameters
    ----------
    items : sequence of str
        All items in the order of the answers, those of the marker too.
    scales : mapping of str to sequence of str
        Items of the scales that are studied.
    marker : sequence of str
        Items of a scale that by its content has nothing to do with the others.
    fit : callable
        Fits a structure.
    level : float
        Significance at which unequal loadings are kept.

    Raises
    ------
    EstimationError
        If a model cannot be fitted.

    References
    ----------
    Williams, Hartman & Cavazotte (2010), Organizational Research Methods 13, 477-514. Agrees with the same models in
    lavaan (tests/reference/validity.R).
    """
    rows = [(0, row, len(scales)) for row, item in enumerate(items) if item not in marker]
    base = fit(_held(_all_scales(items, scales, marker, fit)))
    loose = _freed_from(base)
    equal = fit(_same_loading(loose, rows))
    unequal = fit(freed(loose, "loadings", rows, 0.01))
    steps = difference(equal, base), difference(unequal, equal)
    kept = unequal if steps[1].p_value < level else equal
    narrow = fit(_with_correlations_of(kept.structure, base))
    loadings = _standardized(kept)[[row for _, row, _ in rows], len(scales)]
    return Marker(
        equal=steps[0],
        unequal=steps[1],
        restricted=difference(kept, narrow),
        share=float((loadings**2).mean()),
        shift=_shift(base, kept, len(scales)),
    )


def partial_correlation(correlations: Floats, shared: float) -> Floats:
    """Correlations from which what all answers share with a marker is taken out.

    References
    ----------
    Lindell & Whitney (2001), J. Applied Psychology 86, 114-121, formula 4.

    Examples
    --------
    >>> partial_correlation(np.array([0.5, 0.2]), 0.2).round(3).tolist()
    [0.375, 0.0]
    """
    return (correlations - shared) / (1 - shared)


def first_component(correlations: Floats) -> float:
    """Share of the variance of the items that their first principal component takes.

    >>> round(first_component(np.ones((4, 4))), 6)
    1.0
    """
    return float(np.linalg.eigvalsh(correlations)[-1] / len(correlations))


def _with_method(base: Fitted, items: Sequence[str]) -> Structure:
    """The model with one more factor: loadings 1 on some items, a free variance, no covariances."""
    narrow = base.structure
    rows = [narrow.items.index(item) for item in items]
    members = {
        factor: [item for item, place in zip(narrow.items, column, strict=True) if place != FIXED]
        for factor, column in zip(narrow.factors, narrow.places["loadings"][0].T, strict=True)
    }
    name = METHOD + "_" * max(len(factor) for factor in narrow.factors)
    wide = measurement_model(narrow.items, {**members, name: list(items)}, uncorrelated=[name])
    place = len(members)
    wide = fixed(wide, "loadings", [(0, row, place) for row in rows], 1.0)
    start = START * float(np.diag(base.observed[0].covariances)[rows].mean())
    return freed(_started(wide, base), "factor_covariances", [(0, place, place)], start)


def _started(wide: Structure, base: Fitted) -> Structure:
    """A model that begins where a narrower one with fewer factors ended."""
    cells = base.structure.at(base.parameters)
    starts = {name: cells[name] for name in ("residuals", "intercepts")}
    for name in ("loadings", "factor_covariances"):
        padded = wide.values[name].copy()
        padded[tuple(slice(size) for size in cells[name].shape)] = cells[name]
        starts[name] = padded
    return with_starts(wide, **starts)


def _wanted(base: Fitted, wide: Structure, answers: Floats) -> bool:
    """Whether the fit gets better if the variance of the method factor rises from 0."""
    at = np.append(base.parameters, 0.0)
    order = _order(base.structure, wide)
    pieces = pieces_of([answers])[0] if np.isnan(answers).any() else complete_pieces(base.observed)
    pulls = slope(wide, pieces, at[order]).by_parameter
    return bool(pulls[wide.places["factor_covariances"][0, -1, -1]] < 0)


def _order(narrow: Structure, wide: Structure) -> NDArray[np.int64]:
    """Which parameter of the narrow model each parameter of the wide one is; the last stands for the new variance."""
    order = np.full(wide.n_parameters, narrow.n_parameters)
    for name, places in narrow.places.items():
        there = wide.places[name][tuple(slice(size) for size in places.shape)]
        order[there[places != FIXED]] = places[places != FIXED]
    return order


def _share(found: Fitted, items: Sequence[str]) -> tuple[float, float]:
    """Mean squared standardized method loading with its standard error."""
    rows = [found.structure.items.index(item) for item in items]
    place = found.structure.places["factor_covariances"][0, -1, -1]

    def share(at: Floats) -> float:
        variances = np.diag(found.structure.moments(at).covariances[0])[rows]
        return float(at[place] * (1 / variances).mean())

    steps = np.eye(len(found.parameters)) * 1e-6
    slopes = np.array([share(found.parameters + h) - share(found.parameters - h) for h in steps]) / 2e-6
    return share(found.parameters), float(np.sqrt(slopes @ found.sampling @ slopes))


def _shift(base: Fitted, found: Fitted, k: int) -> float:
    """Largest change of a correlation of the first k factors."""
    one, other = np.triu_indices(k, 1)
    before, after = (_correlations(each)[one, other] for each in (base, found))
    return float(np.abs(after - before).max())


def _correlations(fitted: Fitted) -> Floats:
    covariances = fitted.structure.at(fitted.parameters)["factor_covariances"][0]
    spread = np.sqrt(np.diag(covariances))
    return covariances / np.outer(spread, spread)


def _standardized(fitted: Fitted) -> Floats:
    """Standardized loadings, shape (p, m), 0 where none is free."""
    standard = standardize_fit(fitted)
    loadings = np.zeros(fitted.structure.values["loadings"].shape[1:])
    for matrix, (_, row, column), estimate in zip(standard.matrices, standard.cells, standard.estimates, strict=True):
        if matrix == "loadings":
            loadings[row, column] = estimate
    return loadings


def _all_scales(items: Sequence[str], scales: Members, marker: Sequence[str], fit: Fit) -> Fitted:
    """The model of all scales and the marker; a single item gets its variance and no residual."""
    name = METHOD + "_" * max(len(scale) for scale in scales)
    structure = measurement_model(items, {**scales, name: list(marker)})
    if len(marker) == 1:
        place = items.index(marker[0])
        structure = fixed(structure, "residuals", [(0, place, place)], 0.0)
    return fit(structure)


def _held(whole: Fitted) -> Structure:
    """The model in which the marker keeps its loadings and residuals and covaries with nothing."""
    structure, cells = whole.structure, whole.structure.at(whole.parameters)
    place = len(structure.factors) - 1
    rows = np.flatnonzero(structure.places["loadings"][0, :, place] != FIXED).tolist()
    for row in rows:
        structure = fixed(structure, "loadings", [(0, row, place)], cells["loadings"][0, row, place])
        structure = fixed(structure, "residuals", [(0, row, row)], cells["residuals"][0, row, row])
    return fixed(structure, "factor_covariances", [(0, place, other) for other in range(place)], 0.0)


def _freed_from(base: Fitted) -> Structure:
    """The model, searched from its own estimates."""
    cells: Mapping[Matrix, Floats] = base.structure.at(base.parameters)
    return with_starts(base.structure, **cells)


def _same_loading(structure: Structure, cells: Sequence[tuple[int, int, int]]) -> Structure:
    """The model with one parameter in several cells of the loadings."""
    one = freed(structure, "loadings", cells[:1], 0.01)
    places, values = one.places["loadings"].copy(), one.values["loadings"].copy()
    for cell in cells:
        places[cell], values[cell] = one.n_parameters - 1, 0.01
    return replace(one, places={**one.places, "loadings": places}, values={**one.values, "loadings": values})


def _with_correlations_of(structure: Structure, base: Fitted) -> Structure:
    """The model with the covariances of the scales' factors held at those of another one."""
    covariances = base.structure.at(base.parameters)["factor_covariances"][0]
    for row, column in zip(*np.tril_indices(len(covariances) - 1, -1), strict=True):
        cell = (0, int(row), int(column))
        structure = fixed(structure, "factor_covariances", [cell], float(covariances[row, column]))
    return structure
