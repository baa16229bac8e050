"""Averages of a fitted model over its respondents: the result, and the designs built again that they follow from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from smstudy.errors import DataError, StudyError
from smstudy.inference.regression.counterfactuals import Basis, basis_of
from smstudy.inference.regression.design import INTERCEPT, Design, build_design
from smstudy.inference.regression.effects import Chance, Events, Family, Identity, Unordered
from smstudy.inference.regression.formula import parse_formula
from smstudy.models.regressions.likelihood_models import LikelihoodModel, named_by_category
from smstudy.models.regressions.regression import Regression
from smstudy.result import Poolable
from smstudy.survey.dataset import Data, frame_of
from smstudy.survey.disclosure import pool_hidden

Array = NDArray[np.float64]
Model = Regression | LikelihoodModel
SAME = 1e-6
OTHER = "These are not the data the model was fitted to: {}. Give the same survey or table as to the model."
UNITS = {
    "number": "in units of the outcome",
    "chance": "as shares: 0.09 are 9 points in 100",
    "events": "in events",
}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Averages:
    """Averages over the respondents of a model, with errors by the delta method; its classes are also a `Result`.

    Attributes
    ----------
    rows : DataFrame
        The tidy table.
    summary : mapping
        What `glance()` gives.
    method : str
        The note without what only one table has.
    matrix : array, shape (rows, rows)
        Covariance of the estimates.
    """

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    method: str
    matrix: Array = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per driver or set of values, and category of the outcome."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and how errors are computed."""
        return dict(self.summary)

    def pooling(self) -> Poolable:
        """Averages as they are, with the degrees of freedom of the model."""
        df = self.rows["df"].min()
        return Poolable(
            keys=self.rows[[name for name in ("term", "category") if name in self.rows]],
            estimates=self.rows["estimate"].to_numpy(),
            covariance=self.matrix,
            df_complete=float(self.summary["df_residual"] if np.isnan(df) else df),
            n=int(self.summary["n"]),
            title=self.title,
            note=self.method,
        )

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out degrees of freedom and columns without a value."""
        return shown[[name for name in shown if name != "df" and shown[name].notna().any()]]

    def drawn(self) -> pd.DataFrame:
        """The rows that are not hidden, each with the category it is about."""
        return named_by_category(super().drawn(), self.labels)


def summary_of(fit: Model) -> dict[str, int | float | str]:
    """What `glance()` of averages gives."""
    summary = fit.glance()
    return {
        "n": int(summary["n"]),
        "df_residual": int(summary["n"]) - len(fit.coefficients),
        "covariance": summary["covariance"],
        "conf_level": float(summary["conf_level"]),
    }


def bases_of(fit: Model, data: Data) -> list[Basis]:
    """The designs of a model, built again; of the outcome only matters who gave the same answer.

    Raises
    ------
    StudyError
        If this is no fitted regression.
    DataError
        If these are not the data it was fitted to.
    """
    if not isinstance(fit, (Regression, LikelihoodModel)):
        raise StudyError(
            f"This needs a fitted model, not a {type(fit).__name__}. Give what regress(), ordinal(), multinomial() or "
            "counts() gives, and then the data."
        )
    if not frame_of(data).index.equals(fit.rows):
        raise DataError(OTHER.format("they have other rows"))
    terms, bases = set(fit.coefficients["term"]), []
    for text in fit.formulas if isinstance(fit, LikelihoodModel) else (fit.formula,):
        parsed = parse_formula(text)
        absent = [name for name in parsed.columns if name not in frame_of(data)]
        if absent:
            raise DataError(OTHER.format(f'they have no column "{absent[0]}"'))
        frame = pool_hidden(data, parsed.columns).loc[fit.used]
        outcome, events = frame[parsed.outcome.column], isinstance(family_of(fit), Events)
        answers = outcome.astype(float) if events else 1.0 + pd.factorize(outcome)[0]
        numbered = frame.assign(**{parsed.outcome.column: answers})
        choice = isinstance(family_of(fit), Unordered) or (events and len(fit.formulas) > 1)
        design = build_design(
            parsed, numbered, min_level_n=fit.privacy.min_n, by_answer=choice, by_event=events
        )  # fmt: skip
        if design.n_dropped or not {name for name in design.names if name != INTERCEPT} <= terms:
            raise DataError(OTHER.format("they have other answers"))
        if isinstance(fit, Regression) and not _same_line(fit, design):
            raise DataError(OTHER.format("their drivers have other values"))
        bases.append(basis_of(parsed, design, numbered))
    return bases


def _same_line(fit: Regression, design: Design) -> bool:
    """Whether the design gives the fitted values again."""
    line = design.x @ fit.coefficients["estimate"].to_numpy()
    fitted = {"linear": line, "logit": expit(line), "probit": ndtr(line)}[fit.family]
    return bool(np.allclose(fitted, fit.fitted, rtol=SAME, atol=SAME * np.abs(fit.fitted).max()))


def family_of(fit: Model) -> Family:
    """How predictions follow from the parameters."""
    if isinstance(fit, LikelihoodModel):
        return fit.family
    return Identity() if fit.family == "linear" else Chance(fit.family)


def kind_of(fit: Model) -> str:
    """What a prediction is: a number, a chance, or a number of events."""
    family = family_of(fit)
    return "number" if isinstance(family, Identity) else "events" if isinstance(family, Events) else "chance"


def coefficients_of(bases: Sequence[Basis], variable: str) -> set[str]:
    """Names of the coefficients a variable takes part in."""
    labels = {factor.label for basis in bases for factor in basis.factors if factor.column == variable} | {variable}
    return {
        name
        for basis in bases
        for name, parts in zip(basis.design.names, basis.design.parts, strict=True)
        if any(part in labels for part, _ in parts)
    }
