"""Measurement invariance as a sequence of models, each with more parameters equal over groups or waves.

Every step is written down as a `Structure`, fitted by the estimator that suits the answers, and held against the step
before it. Items may stay free from a step on (partial invariance).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.inference.factor_models.admissible import inverse
from smstudy.inference.factor_models.fitted import ChiSquare, Fitted, scaled_difference
from smstudy.inference.factor_models.likelihood import Pieces, information, slope
from smstudy.inference.factor_models.ordinal_structures import (
    OrdinalFitted,
    OrdinalMoments,
    difference_test,
    with_thresholds,
)
from smstudy.inference.factor_models.structures import FIXED, Matrix, Structure, equated, freed, measurement_model
from smstudy.inference.threads import one_thread

Floats = NDArray[np.float64]
Cell = tuple[int, int, int]
Step = Literal["configural", "threshold", "metric", "scalar", "strict"]

STEPS: tuple[Step, ...] = ("configural", "threshold", "metric", "scalar", "strict")
ORDER = {step: place for place, step in enumerate(STEPS)}
LEVEL, POWER = 0.05, 0.80
COMPARED: dict[Step, Matrix] = {
    "threshold": "thresholds",
    "metric": "loadings",
    "scalar": "intercepts",
    "strict": "residuals",
}


@dataclass(frozen=True)
class Repeated:
    """A factor model of the same items on several occasions: groups of respondents, or waves of the same people.

    Attributes
    ----------
    structure : Structure
        Nothing equal, factors of variance 1 and mean 0 on every occasion (the configural model).
    items, factors : tuple of str, lengths p and m
        Their names on every occasion.
    origins : tuple of (group, row, column)
        Where the items and factors of each occasion begin.
    thresholds : tuple of int, length p
        Of each item; 0 where answers are numbers.
    """

    structure: Structure
    items: tuple[str, ...]
    factors: tuple[str, ...]
    origins: tuple[Cell, ...]
    thresholds: tuple[int, ...]

    @property
    def ordinal(self) -> bool:
        """Whether answers are ordinal."""
        return any(self.thresholds)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that can be told apart.

        Thresholds alone say something about items with four answers or more, and loadings about items with three;
        with fewer answers that step fits as the one before it (Wu & Estabrook 2016).
        """
        if not self.ordinal:
            return ("configural", "metric", "scalar", "strict")
        most = max(self.thresholds)
        needed = {"threshold": 3, "metric": 2}
        return tuple(step for step in STEPS if most >= needed.get(step, 0))

    def over(self, matrix: str, row: int, column: int = 0) -> list[Cell]:
        """The same cell on every occasion, counted from its items and factors."""
        by_item, by_factor = {
            "loadings": (True, True),
            "factor_covariances": (False, True),
            "residuals": (True, None),
            "intercepts": (True, False),
            "factor_means": (False, False),
            "thresholds": (True, False),
        }[matrix]
        cells = []
        for group, first_item, first_factor in self.origins:
            across = first_item if by_factor is None else first_factor if by_factor else 0
            cells.append((group, row + (first_item if by_item else first_factor), column + across))
        return cells


class Release(NamedTuple):
    """What happens if one item is no longer held equal in a step.

    `statistic` is by about how much chi-squared would fall, with `df` degrees of freedom; `change` the difference of
    the parameter between two occasions, the largest one over their pairs and over factors, and `std_error` the largest
    standard error of one. Both are free of the unit of the answers: standard deviations of the item (of its latent
    response, if answers are ordinal), for loadings as many as one standard deviation of the factor moves, for residual
    variances shares of the variance of the item; of the two occasions the mean variance counts.
    """

    item: str
    statistic: float
    df: int
    p_value: float
    change: float
    std_error: float

    @property
    def detectable(self) -> float:
        """The difference that a test at 5 % finds with a probability of 80 %."""
        return float(stats.norm.isf(LEVEL / 2) + stats.norm.ppf(POWER)) * self.std_error


def over_groups(items: Sequence[str], factors: Mapping[str, Sequence[str]], n_groups: int) -> Repeated:
    """The same items in several groups of different people."""
    model = measurement_model(items, factors, n_groups=n_groups)
    return Repeated(
        model, tuple(items), tuple(factors), tuple((group, 0, 0) for group in range(n_groups)), (0,) * len(items)
    )


def over_ordinal_groups(
    items: Sequence[str], factors: Mapping[str, Sequence[str]], samples: Sequence[OrdinalMoments]
) -> Repeated:
    """The same ordinal items in several groups, in the theta parameterization; items in the order of the samples."""
    base = over_groups(items, factors, len(samples))
    model = with_thresholds(base.structure, samples)
    counts = tuple(int(count) for count in samples[0].found.n_thresholds)
    return Repeated(model, base.items, base.factors, base.origins, counts)


def over_waves(items: Sequence[str], factors: Mapping[str, Sequence[str]], n_waves: int = 2) -> Repeated:
    """The same items asked of the same people again: the error of an item may covary with itself (one group).

    Item `x` is `x@0`, `x@1` … on the waves, and so are factors.
    """
    waves = range(n_waves)
    model = measurement_model(
        [f"{item}@{wave}" for wave in waves for item in items],
        {f"{name}@{wave}": [f"{item}@{wave}" for item in mine] for wave in waves for name, mine in factors.items()},
        correlated_errors=[(f"{item}@{b}", f"{item}@{a}") for item in items for b in waves for a in range(b)],
    )
    origins = tuple((0, wave * len(items), wave * len(factors)) for wave in waves)
    return Repeated(model, tuple(items), tuple(factors), origins, (0,) * len(items))


def invariant(base: Repeated, step: Step, free_from: Mapping[str, Step] | None = None) -> Structure:
    """The model of a step.

    Numbers as answers: loadings (metric), intercepts (scalar; factor means free on later occasions), residual variances
    (strict). Ordinal answers: thresholds (intercepts and residual variances of later occasions free), loadings (factor
    variances free), intercepts 0 again (factor means free), residual variances 1 again. Items with two answers have one
    threshold, which tells neither intercept nor scale: theirs stay as they are until the scalar step, which ties
    thresholds and loadings and frees residual variances at once.

    Parameters
    ----------
    base : Repeated
        The configural model.
    step : {"configural", "threshold", "metric", "scalar", "strict"}
        How far to go.
    free_from : mapping of str to step, optional
        Items that are not held equal from a step on, later steps included.

    References
    ----------
    Meredith (1993), Psychometrika 58, 525-543; Wu & Estabrook (2016), Psychometrika 81, 1014-1045. Agrees with R
    lavaan::cfa(group.equal) and semTools::measEq.syntax(ID.cat = "Wu.Estabrook.2016"), but for items with two answers
    among others with more in the metric step, where semTools depends on how residual variances are scaled
    (tests/reference/invariance.R).
    """
    reached = np.array([_reached(base, item, step, free_from or {}) for item in range(len(base.items))])
    model = base.structure
    for name, step_of_matrix in _tied_by(base):
        rows = [item for item in range(len(base.items)) if reached[item] >= ORDER[step_of_matrix]]
        model = equated(model, name, [cells for item in rows for cells in _cells_of(base, name, item)])
    if base.ordinal:
        model = _with_free_scales(model, base, reached)
    factors = range(len(base.factors))
    if ORDER[step] >= ORDER["metric"]:
        spreads = [cell for k in factors for cell in base.over("factor_covariances", k, k)[1:]]
        model = freed(model, "factor_covariances", spreads, 1.0)
    if ORDER[step] >= ORDER["scalar"]:
        model = freed(model, "factor_means", [cell for k in factors for cell in base.over("factor_means", k)[1:]])
    return model


def step_difference(restricted: Fitted, free: Fitted) -> ChiSquare:
    """Test a step against the one before it.

    Under "MLR" and "FIML" the difference is scaled; under "WLSMV" scaled and shifted.

    Raises
    ------
    EstimationError
        If the scale of the difference is not positive.

    References
    ----------
    Satorra & Bentler (2001), Psychometrika 66, 507-514. Agrees with R lavaan::lavTestLRT
    (tests/reference/invariance.R).
    """
    if isinstance(restricted, OrdinalFitted):
        return difference_test(restricted, free)
    return scaled_difference(restricted, free)


def releases(
    base: Repeated, fitted: Fitted, step: Step, free_from: Mapping[str, Step], pieces: Pieces
) -> list[Release]:
    """Score tests of the items that a step holds equal, the largest first; answers are numbers.

    References
    ----------
    Sorbom (1989), Psychometrika 54, 371-384. Agrees with R lavaan::lavTestScore for two groups
    (tests/reference/invariance.R): expected information, no correction for nonnormal answers.
    """
    found = [_release(base, fitted, item, step, free_from, pieces) for item in _held(base, step, free_from)]
    return sorted(found, key=lambda each: -each.statistic)


def released(base: Repeated, fitted: OrdinalFitted, wider: OrdinalFitted, item: str, step: Step) -> Release:
    """What the fit of an ordinal model gains if an item is not held equal: the scaled and shifted difference test."""
    test = difference_test(fitted, wider)
    at = wider.parameters
    change, std_error = _largest(base, wider.structure, at, at, wider.sampling, item, step)
    return Release(item, test.corrected, test.df, test.p_value, change, std_error)


def held(base: Repeated, step: Step, free_from: Mapping[str, Step]) -> list[str]:
    """Items that a step holds equal and the step before does not."""
    return _held(base, step, free_from)


def _reached(base: Repeated, item: int, step: Step, free_from: Mapping[str, Step]) -> int:
    """The last step that an item takes part in, as a number."""
    last = ORDER[step]
    if base.items[item] in free_from:
        last = min(last, ORDER[free_from[base.items[item]]] - 1)
    if base.thresholds[item] == 1 and last < ORDER["scalar"]:
        return ORDER["configural"]
    return last


def _tied_by(base: Repeated) -> tuple[tuple[str, Step], ...]:
    if base.ordinal:
        return ("thresholds", "threshold"), ("loadings", "metric")
    return ("loadings", "metric"), ("intercepts", "scalar"), ("residuals", "strict")


def _cells_of(base: Repeated, matrix: str, item: int) -> list[list[Cell]]:
    """Sets of cells of an item that are equal if the matrix is."""
    if matrix == "residuals":
        return [base.over("residuals", item, item)]
    columns = {"loadings": len(base.factors), "intercepts": 1, "thresholds": base.thresholds[item]}[matrix]
    sets = [base.over(matrix, item, column) for column in range(columns)]
    return [cells for cells in sets if base.structure.places[matrix][cells[0]] != FIXED]


def _with_free_scales(model: Structure, base: Repeated, reached: NDArray[np.int64]) -> Structure:
    """Intercepts and residual variances of later occasions that equal thresholds identify, until they are equal too."""
    tied = [item for item, last in enumerate(reached) if last >= ORDER["threshold"]]
    spreads = [item for item in tied if reached[item] < ORDER["strict"]]
    levels = [item for item in tied if reached[item] < ORDER["scalar"]]
    model = freed(
        model, "residuals", [cell for item in spreads for cell in base.over("residuals", item, item)[1:]], 1.0
    )
    return freed(model, "intercepts", [cell for item in levels for cell in base.over("intercepts", item)[1:]])


def _held(base: Repeated, step: Step, free_from: Mapping[str, Step]) -> list[str]:
    return [
        name
        for item, name in enumerate(base.items)
        if _reached(base, item, step, free_from) >= ORDER[step]
        and (step != "threshold" or base.thresholds[item] >= 3)
        and (step != "metric" or base.thresholds[item] != 1)
    ]


def _release(
    base: Repeated, fitted: Fitted, item: str, step: Step, free_from: Mapping[str, Step], pieces: Pieces
) -> Release:
    """Score and information of the wider model at the estimates of the narrower one."""
    wider = invariant(base, step, {**free_from, item: step})
    at = _carried(wider, fitted)
    with one_thread():
        pull = -slope(wider, pieces, at).by_parameter / 2
        sampling = inverse(information(wider, pieces, at, "expected"), wider)
    move = sampling @ pull
    statistic, df = float(fitted.n * pull @ move), wider.n_parameters - fitted.structure.n_parameters
    change, std_error = _largest(base, wider, at + move, at, sampling / fitted.n, item, step)
    return Release(item, statistic, df, float(stats.chi2.sf(statistic, df)), change, std_error)


def _carried(wider: Structure, fitted: Fitted) -> Floats:
    """Estimates of a model as values of the parameters of a wider one."""
    cells, at = fitted.structure.at(fitted.parameters), np.zeros(wider.n_parameters)
    for name, places in wider.places.items():
        free = places != FIXED
        at[places[free]] = cells[name][free]
    return at


def _largest(
    base: Repeated, wider: Structure, at: Floats, usual: Floats, sampling: Floats, item: str, step: Step
) -> tuple[float, float]:
    """The largest difference of an item between two occasions, and the largest standard error of one.

    Units are those that the model implies at the `usual` parameters.
    """
    row = base.items.index(item)
    matrix = _compared(base, row, step)
    changes, errors = [0.0], [0.0]
    cells, units = wider.at(at)[matrix], _units(wider, usual, matrix)
    for places in _sets(base, matrix, row):
        for first, later in combinations(places, 2):
            contrast = np.zeros(len(at))
            for each, sign in ((later, 1.0), (first, -1.0)):
                if wider.places[matrix][each] != FIXED:
                    contrast[wider.places[matrix][each]] += sign
            unit = float(np.sqrt((units(first) ** 2 + units(later) ** 2) / 2))
            changes.append(float(cells[later] - cells[first]) / unit)
            errors.append(float(np.sqrt(contrast @ sampling @ contrast)) / unit)
    return max(changes, key=abs), max(errors)


def _compared(base: Repeated, row: int, step: Step) -> Matrix:
    """Where the difference stands that a step does not allow; two answers have a threshold and no intercept."""
    if step == "scalar" and base.thresholds[row] == 1:
        return "thresholds"
    return COMPARED[step]


def _units(wider: Structure, usual: Floats, matrix: Matrix) -> Callable[[Cell], float]:
    """In what a cell is told: standard deviations of its item, for loadings by one of the factor; its variance."""
    variances = np.diagonal(wider.moments(usual).covariances, axis1=1, axis2=2)
    factors = np.diagonal(wider.at(usual)["factor_covariances"], axis1=1, axis2=2)

    def unit(cell: Cell) -> float:
        group, row, column = cell
        if matrix == "residuals":
            return float(variances[group, row])
        return float(np.sqrt(variances[group, row] / (factors[group, column] if matrix == "loadings" else 1.0)))

    return unit


def _sets(base: Repeated, matrix: Matrix, row: int) -> list[list[Cell]]:
    if matrix == "intercepts":
        return [base.over("intercepts", row)]
    return _cells_of(base, matrix, row)
