"""Average marginal effects: what a model says in points of the outcome, not in log odds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import apa, figures
from smstudy.errors import StudyError, did_you_mean
from smstudy.inference.multiplicity import CORRECTED, CORRECTIONS, Correction
from smstudy.inference.regression.counterfactuals import Basis
from smstudy.inference.regression.effects import Average, average_effect
from smstudy.inference.threads import one_thread
from smstudy.models.regressions.likelihood_models import LikelihoodModel, Tests, respondents, told
from smstudy.models.regressions.rebuilt import (
    UNITS,
    Averages,
    Model,
    bases_of,
    coefficients_of,
    family_of,
    kind_of,
    summary_of,
)
from smstudy.models.regressions.regression_fits import weighted_spread
from smstudy.result import Result
from smstudy.survey.dataset import Data, labels_of

Array = NDArray[np.float64]
POINTS = 100
AXIS = "Average difference of the prediction, with interval"
PER_UNIT = "for one unit more"
SWITCHED = "for 1 instead of 0"
SEVERAL = " With {} tests, p is also {}."
NOTE = (
    "Average marginal effects, {}: how much the model's prediction differs for a changed driver, all else as it is, "
    "averaged over the respondents. They compare people, and do not say what a change would bring about. Errors by the "
    "delta method from {} ones of the model."
)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class MarginalEffects(Averages, Result):
    """Average marginal effects of a model, one row per driver (or level) and category of the outcome.

    `people` are the rows of the data the model was fitted to.
    """

    people: pd.Index = field(repr=False)

    picture: ClassVar = staticmethod(partial(figures.estimates, xlabel=AXIS))


def effects(
    fit: Model, data: Data, *, drivers: Sequence[str] | None = None, correction: Correction = "holm"
) -> MarginalEffects:
    """Say how much a model's prediction differs on average if one driver differs and all else stays as it is.

    For every respondent the model's prediction is compared with that for a changed driver; the mean of the differences
    is the effect: in the outcome's own unit in a linear model, as a share for binary and categorical outcomes, in
    events for counts.

    Parameters
    ----------
    fit : Regression, OrdinalRegression, MultinomialRegression or CountRegression
    data : Survey or DataFrame
        The data the model was fitted to.
    drivers : sequence of str, optional
        Variables of the formula; left out: all that are not only controlled for.
    correction : {"holm", "benjamini_hochberg"}
        How `p_adjusted` allows for all tests on the page: several drivers, levels and categories of the outcome.

    Returns
    -------
    MarginalEffects
        `estimate` is the slope per unit of a number, 1 against 0 where a number has no other value, and a level against
        the reference; interactions, powers and functions of a driver change with it. `per_sd` is the effect of one
        standard deviation. Errors by the delta method from the model's own covariance, given the respondents at hand.

    Raises
    ------
    StudyError
        If this is no such model, or a driver is not in its formula.
    DataError
        If these are not the data the model was fitted to.

    References
    ----------
    Bartus (2005), Stata Journal 5, 309-329. Agrees with a delta method by hand in R and with `emmeans`
    (tests/reference/effects.R).

    Examples
    --------
    >>> from smstudy.models.regressions.regression import regress
    >>> frame = pd.DataFrame({"x": range(40), "y": [2 * i + (-1) ** i for i in range(40)]})
    >>> float(effects(regress("y ~ x", frame), frame).tidy()["estimate"][0].round(2))
    2.0
    """
    if correction not in CORRECTIONS:
        raise StudyError(f'correction = "{correction}" is not known. {did_you_mean(str(correction), CORRECTIONS)}')
    with one_thread():
        bases = bases_of(fit, data)
        changes = list(_changes(fit, bases, _drivers(bases, drivers)))
        return _result(fit, data, bases, changes, correction)


class _Change(NamedTuple):
    """The effect of a driver, or of one of its levels against the reference."""

    variable: str
    term: str
    unit: str
    effect: Average
    spread: float


def _drivers(bases: Sequence[Basis], wanted: Sequence[str] | None) -> list[str]:
    known = list(dict.fromkeys(name for basis in bases for name in basis.variables))
    if wanted is None:
        controls = {term.removeprefix("C(").removesuffix(")") for basis in bases for term in basis.design.controls}
        return [name for name in known if name not in controls] or known
    if isinstance(wanted, str):
        raise StudyError(f'drivers= takes a list of variables, such as ["{wanted}"].')
    for name in wanted:
        if name not in known:
            raise StudyError(f'"{name}" is no variable of the formula. {did_you_mean(str(name), known)}')
    return list(dict.fromkeys(wanted))


def _changes(fit: Model, bases: Sequence[Basis], drivers: Sequence[str]) -> Iterator[_Change]:
    family, parameters = family_of(fit), fit.coefficients["estimate"].to_numpy()
    weights = fit.weights / fit.weights.sum()
    for name in drivers:
        levels = next((b.design.levels[name] for b in bases if name in b.design.levels), None)
        if levels is None:
            values = next(basis.numbers[name] for basis in bases if name in basis.numbers)
            spread = float(weighted_spread(values, weights))
            unit = SWITCHED if np.isin(values, (0.0, 1.0)).all() else PER_UNIT
            effect = average_effect(family, parameters, bases, name, weights)
            yield _Change(name, name, unit, effect, np.nan if unit == SWITCHED else spread)
            continue
        for level in range(len(levels.names)):
            if level != levels.reference:
                effect = average_effect(family, parameters, bases, name, weights, level=level)
                unit = f'than "{levels.names[levels.reference]}"'
                yield _Change(name, f"{name}[{levels.names[level]}]", unit, effect, np.nan)


def _tests(fit: Model, changes: Sequence[_Change], bases: Sequence[Basis]) -> Tests:
    """Delta method; degrees of freedom are the fewest of the driver's coefficients that have a part."""
    gradient = np.vstack([change.effect.slopes for change in changes])
    matrix, table = gradient @ fit.matrix @ gradient.T, fit.coefficients
    columns = {change.variable: coefficients_of(bases, change.variable) for change in changes}
    own = np.array([table["term"].isin(columns[c.variable]) for c in changes for _ in c.effect.values])
    df = np.where(own & (gradient != 0), table["df"].fillna(np.inf).to_numpy(float), np.inf).min(axis=1)
    unknown = (own & table["std_error"].isna().to_numpy()).any(axis=1)
    return Tests(matrix, df, 0, unknown)


def _result(
    fit: Model, data: Data, bases: Sequence[Basis], changes: Sequence[_Change], correction: Correction
) -> MarginalEffects:
    tests = _tests(fit, changes, bases)
    summary = fit.glance()
    level, labels = float(summary["conf_level"]), dict(labels_of(data))
    outcomes = fit.outcomes if isinstance(fit, LikelihoodModel) else ()
    repeated = [change for change in changes for _ in change.effect.values]
    estimates = np.concatenate([change.effect.values for change in changes])
    table = pd.DataFrame({"term": [change.term for change in repeated]})
    if len(outcomes) > 2 or (outcomes and len(changes[0].effect.values) > 1):
        table["category"] = [word for _ in changes for word in outcomes]
    table["estimate"] = estimates
    table["per_sd"] = estimates * np.array([change.spread for change in repeated])
    table = table.assign(**told(estimates, tests, level))
    kind, several = kind_of(fit), len(table) > 1
    if several:
        table.insert(table.columns.get_loc("p_value") + 1, "p_adjusted", CORRECTIONS[correction](table["p_value"]))
    table["reading"] = [
        _reading(row, change.unit, kind, level) for row, change in zip(table.to_dict("records"), repeated, strict=True)
    ]
    method = NOTE.format(UNITS[kind], summary["covariance"])
    return MarginalEffects(
        title=f"{fit.title}: average effects",
        method=method,
        note=method + (SEVERAL.format(len(table), CORRECTED[correction]) if several else ""),
        findings=fit.findings,
        labels=labels | {c.term: _label(c, labels) for c in changes},
        privacy=fit.privacy,
        rows=table,
        summary=summary_of(fit),
        matrix=np.where(tests.unknown[:, None] | tests.unknown, np.nan, tests.covariance),
        people=respondents(fit.rows, fit.used),
    )


def _label(change: _Change, labels: Mapping[str, str]) -> str:
    word = labels.get(change.variable, change.variable)
    level = change.term.removeprefix(change.variable)
    return f"{word}: {level[1:-1]}" if level else word


def _reading(row: Mapping[str, object], unit: str, kind: str, level: float) -> str:
    """An effect in words, such as '+9 points more likely to be "agree", for one unit more'."""
    low, high, value = row["conf_low"], row["conf_high"], row["estimate"]
    if not np.isfinite([low, high]).all():
        return "cannot tell"
    if low <= 0 <= high:
        return "direction uncertain"
    if row.get("p_adjusted", 0.0) >= 1 - level:
        return "direction uncertain after correction"
    if kind == "chance":
        size = apa.change(abs(value) * POINTS, 0)
        points = f"{size} {'point' if size == '1' else 'points'}"
        more = f"+{points} more likely" if value > 0 else f"{points} less likely"
        return " ".join([more, *([f'to be "{row["category"]}"'] if "category" in row else []), unit])
    amount = apa.change(abs(value))
    noun = "events " if kind == "events" else ""
    return (
        f"{amount} {noun}{('more' if value > 0 else 'fewer') if noun else ('higher' if value > 0 else 'lower')} {unit}"
    )
