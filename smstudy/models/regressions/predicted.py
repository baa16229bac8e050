"""Adjusted predictions: what a model says the outcome is on average, at chosen values of its drivers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import figures
from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.inference.regression.counterfactuals import Basis
from smstudy.inference.threads import one_thread
from smstudy.models.ranges import range_of_several
from smstudy.models.regressions.likelihood_models import LikelihoodModel
from smstudy.models.regressions.rebuilt import UNITS, Averages, Model, bases_of, family_of, kind_of, summary_of
from smstudy.result import Result
from smstudy.survey.dataset import Data, labels_of

Array = NDArray[np.float64]
Value = float | str
Values = Mapping[str, Value | Sequence[Value]]
MOST = 60
DIGITS = 3
HALF = 0.5 * 10.0**-DIGITS
NOTE = (
    "Average predictions, {}: the mean of what the model predicts if everybody had these values, all else as it is. "
    "Errors by the delta method from {} ones of the model, given the respondents at hand{}."
)
WITHIN = {
    "number": "",
    "chance": "; intervals on the scale of log odds, so that they stay between 0 and 1",
    "events": "; intervals on the scale of logarithms, so that they stay above 0",
}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Predictions(Averages, Result):
    """Average predictions of a model, one row per set of values (and category of the outcome)."""

    picture: ClassVar = staticmethod(partial(figures.estimates, xlabel="Average prediction, with interval", zero=False))


def predictions(fit: Model, data: Data, at: Values) -> Predictions:
    """Say what the outcome is on average, as the model sees it, if everybody had chosen values of some drivers.

    Parameters
    ----------
    fit : Regression, OrdinalRegression, MultinomialRegression or CountRegression
    data : Survey or DataFrame
        The data the model was fitted to.
    at : mapping
        Variable of the formula to the values looked at: numbers, or levels of a categorical one. Every combination is
        a row, up to 60.

    Returns
    -------
    Predictions
        `estimate` in the outcome's own unit in a linear model, as a share for binary and categorical outcomes (one row
        per category), in events for counts; interactions, powers and functions of a variable change with it. Errors by
        the delta method from the model's own covariance. Shares are told to three decimals and events to three digits,
        and only where enough respondents are, because exact sums over a bent curve would tell single answers.

    Raises
    ------
    StudyError
        If this is no such model, a variable is not in its formula, a level is not known, or there are too many rows.
    DataError
        If these are not the data the model was fitted to, or a value is further out than enough respondents are.

    References
    ----------
    Bartus (2005), Stata Journal 5, 309-329; Graubard & Korn (1999), Biometrics 55, 652-659. Agrees with a delta method
    by hand in R and with `emmeans` over counterfactuals (tests/reference/predictions.R).

    Examples
    --------
    >>> from smstudy.models.regressions.regression import regress
    >>> frame = pd.DataFrame({"x": range(40), "y": [2 * i + (-1) ** i for i in range(40)]})
    >>> predictions(regress("y ~ x", frame), frame, {"x": [10, 30]}).tidy()["estimate"].round(1).tolist()
    [20.0, 60.0]
    """
    with one_thread():
        bases = bases_of(fit, data)
        places = _places(bases, at)
        _refuse_beyond(bases, places, fit.privacy.min_n)
        return _result(fit, data, bases, places)


class _Place(NamedTuple):
    """Values of some variables, with their name."""

    name: str
    numbers: Mapping[str, float]
    levels: Mapping[str, int]


def _places(bases: Sequence[Basis], at: Values) -> list[_Place]:
    if not isinstance(at, Mapping) or not at:
        raise StudyError('at= takes variables with the values looked at, such as {"leadership": [2, 3, 4]}.')
    known = list(dict.fromkeys(name for basis in bases for name in basis.variables))
    for name in at:
        if name not in known:
            raise StudyError(f'"{name}" is no variable of the formula. {did_you_mean(str(name), known)}')
    choices = [list(_choices(bases, name, values)) for name, values in at.items()]
    n_rows = int(np.prod([len(each) for each in choices]))
    if not 0 < n_rows <= MOST:
        raise StudyError(f"at= asks for {n_rows} combinations of values. Ask for 1 to {MOST}.")
    return [
        _Place(
            "; ".join(f"{name} = {word}" for name, word, _ in chosen),
            {name: value for name, _, value in chosen if isinstance(value, float)},
            {name: value for name, _, value in chosen if isinstance(value, int)},
        )
        for chosen in product(*choices)
    ]


def _choices(
    bases: Sequence[Basis], name: str, values: Value | Sequence[Value]
) -> Iterator[tuple[str, str, float | int]]:
    """Name, word and value: a float for numbers, the place of a level for categories."""
    levels = next((b.design.levels[name].names for b in bases if name in b.design.levels), None)
    for value in [values] if isinstance(values, (str, int, float, np.number)) else values:
        if levels is None:
            yield name, f"{_number(name, value):g}", _number(name, value)
            continue
        word = f"{value:.15g}" if isinstance(value, float) else str(value)
        if word not in levels:
            raise StudyError(f'"{name}" has no level "{word}" in this model. {did_you_mean(word, levels)}')
        yield name, word, levels.index(word)


def _number(name: str, value: Value) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise StudyError(f'"{name}" is a number in this model: give numbers, such as at={{"{name}": [2, 4]}}.')
    return number


def _result(fit: Model, data: Data, bases: Sequence[Basis], places: Sequence[_Place]) -> Predictions:
    summary, kind, labels = fit.glance(), kind_of(fit), dict(labels_of(data))
    estimates, slopes = _averages(fit, bases, places)
    table = pd.DataFrame({"term": np.repeat([place.name for place in places], len(estimates) // len(places))})
    outcomes = fit.outcomes if isinstance(fit, LikelihoodModel) else ()
    if outcomes:
        table["category"] = list(outcomes) * len(places)
    matrix, level = slopes @ fit.matrix @ slopes.T, float(summary["conf_level"])
    df, exact = _degrees(fit, slopes), np.sqrt(np.diag(matrix))
    estimates, errors = _told(kind, estimates), _told(kind, exact)
    table = table.assign(estimate=estimates, std_error=errors, df=np.where(np.isfinite(df), df, np.nan))
    reach = stats.t.isf((1 - level) / 2, df) * errors
    table["conf_low"], table["conf_high"] = _interval(kind, estimates, reach)
    method = NOTE.format(UNITS[kind], summary["covariance"], WITHIN[kind])
    return Predictions(
        title=f"{fit.title}: average predictions",
        method=method,
        note=method,
        findings=fit.findings,
        labels=labels | {place.name: _label(place.name, labels) for place in places},
        privacy=fit.privacy,
        rows=table,
        summary=summary_of(fit),
        matrix=matrix * np.outer(errors / exact, errors / exact),
    )


def _told(kind: str, values: Array) -> Array:
    """Numbers as they are told: a sum over respondents of a bent curve, asked for often and exactly, tells each cell.

    Of shares three decimals, of events three digits; means of a linear model as they are.
    """
    if kind == "number":
        return values
    return np.round(values, DIGITS) if kind == "chance" else np.array([float(f"{v:.{DIGITS}g}") for v in values])


def _averages(fit: Model, bases: Sequence[Basis], places: Sequence[_Place]) -> tuple[Array, Array]:
    """Average predictions, shape (rows,), and their slopes in the parameters, shape (rows, q)."""
    family, parameters = family_of(fit), fit.coefficients["estimate"].to_numpy()
    weights = fit.weights / fit.weights.sum()
    designs = [[basis.placed(numbers=place.numbers, levels=place.levels) for basis in bases] for place in places]
    found = [family.average(parameters, parts, weights) for parts in designs]
    return np.concatenate([each.values for each in found]), np.vstack([each.slopes for each in found])


def _degrees(fit: Model, slopes: Array) -> Array:
    """The fewest degrees of freedom of the coefficients that have a part; infinite where the normal is used."""
    own = fit.coefficients["df"].fillna(np.inf).to_numpy(float)
    return np.where(slopes != 0, own, np.inf).min(axis=1)


def _interval(kind: str, estimates: Array, reach: Array) -> tuple[Array, Array]:
    if kind == "number":
        return estimates - reach, estimates + reach
    if kind == "events":
        factor = np.exp(reach / estimates)
        return estimates / factor, estimates * factor
    inside = np.clip(estimates, HALF, 1 - HALF)
    odds, factor = inside / (1 - inside), np.exp(reach / (inside * (1 - inside)))
    return odds / factor / (1 + odds / factor), odds * factor / (1 + odds * factor)


def _refuse_beyond(bases: Sequence[Basis], places: Sequence[_Place], min_n: int) -> None:
    """Refuse values so far out that the model would speak of few people, or of nobody."""
    numbers = {name: values for basis in bases for name, values in basis.numbers.items()}
    for name in dict.fromkeys(name for place in places for name in place.numbers):
        low, high = range_of_several(numbers[name], min_n)
        if not all(low <= place.numbers[name] <= high for place in places):
            raise DataError(
                f'A value of "{name}" lies so far out that the model would speak of fewer than {min_n} respondents. '
                f"Look at values from {low:.4g} to {high:.4g}."
            )


def _label(name: str, labels: Mapping[str, str]) -> str:
    parts = [part.split(" = ", 1) for part in name.split("; ")]
    return "; ".join(f"{labels.get(variable, variable)} = {word}" for variable, word in parts)
