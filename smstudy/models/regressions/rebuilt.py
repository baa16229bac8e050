"""A fitted model as its average predictions need it: its designs, built again, and how predictions follow from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from smstudy.errors import DataError, StudyError
from smstudy.inference.regression.counterfactuals import Basis, basis_of
from smstudy.inference.regression.design import INTERCEPT, Design, build_design
from smstudy.inference.regression.effects import Chance, Events, Family, Identity, Unordered
from smstudy.inference.regression.formula import parse_formula
from smstudy.models.regressions.likelihood_models import LikelihoodModel
from smstudy.models.regressions.regression import Regression
from smstudy.survey.dataset import Data, frame_of
from smstudy.survey.disclosure import pool_hidden

Model = Regression | LikelihoodModel
SAME = 1e-6
OTHER = "These are not the data the model was fitted to: {}. Give the same survey or table as to the model."
UNITS = {
    "number": "in units of the outcome",
    "chance": "as shares: 0.09 are 9 points in 100",
    "events": "in events",
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
