"""Rival factor models of the same answers, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from smstudy.display import apa, figures, rules
from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError
from smstudy.inference.factor_models.fitted import Fitted, Sample, scaled_difference
from smstudy.inference.factor_models.likelihood import complete_pieces, minimize
from smstudy.inference.factor_models.normal_theory import saturated_discrepancy
from smstudy.inference.factor_models.ordinal_structures import OrdinalFitted, difference_test
from smstudy.inference.factor_models.starts import started
from smstudy.inference.threads import one_thread
from smstudy.result import Finding, Result
from smstudy.scales.confirmatory import FactorModel

LEVEL = 0.05
SAME = 1e-6  # of what models imply or were fitted to, in standard deviations; larger than any rounding
NESTED = 1e-7  # discrepancy at which one model reproduces what another implies


class _Difference(NamedTuple):
    """Test of a model against a less restricted one; missing numbers and a reason where there is none."""

    statistic: float
    df: int
    p_value: float
    reason: str


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelComparison(Result):
    """Rival models, from the least to the most restricted one; each but the first is held against the one before."""

    n: int
    verdict: str
    rows: pd.DataFrame = field(repr=False)

    picture = staticmethod(partial(figures.bars, value="cfi"))

    def tidy(self) -> pd.DataFrame:
        """One row per model: fit, and what its restrictions cost against the model above."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, and which model the comparison favors."""
        return {"n": self.n, "verdict": self.verdict}


def compare_models(models: Mapping[str, FactorModel], *unnamed: FactorModel) -> ModelComparison:
    """Hold rival factor models of the same answers against each other.

    Models are put in the order of their degrees of freedom, and each is compared with the one before. Where it is
    nested in that one, the difference of chi-squared is tested: plainly under ML, scaled by Satorra and Bentler under
    MLR and FIML, scaled and shifted under WLSMV. Where it is not, information criteria are compared, except under
    WLSMV, which has none. Whether it is nested is found out by fitting the less restricted model to what the other one
    implies. Of three models or more BIC favors one; under WLSMV the tests do, read from the least restricted model on
    up to the first that is rejected or cannot be tested.

    Parameters
    ----------
    models : mapping of str to FactorModel
        At least two, fitted to the same answers with the same estimator.
    *unnamed
        Not allowed: models without names are refused.

    Raises
    ------
    DataError
        If models have no names, there is only one, or they differ in estimator, items or respondents.

    References
    ----------
    Satorra & Bentler (2001), Psychometrika 66, 507-514; Bentler & Satorra (2010), Psychological Methods 15, 111-123,
    for nesting; Raftery (1995), Sociological Methodology 25, 111-163, for differences of BIC. Agrees with R
    lavaan::lavTestLRT (tests/reference/confirmatory.R).
    """
    _refuse_unnamed(models, unnamed)
    _refuse_different(models)
    order = sorted(models, key=lambda name: (models[name].indices.df, -models[name].indices.chi_square))
    differences = [_difference(models[one].fitted, models[two].fitted) for one, two in pairwise(order)]
    verdicts = [_verdict(models, one, two, each) for (one, two), each in zip(pairwise(order), differences, strict=True)]
    first = models[order[0]]
    return ModelComparison(
        title="Rival factor models",
        note=_note(first.fitted.estimator),
        findings=_findings(models),
        labels=first.labels,
        privacy=first.privacy,
        n=first.n,
        verdict=verdicts[0] if len(verdicts) == 1 else _overall(models, order, differences),
        rows=pd.DataFrame([_row(name, models[name]) for name in order]).assign(**_columns(differences, verdicts)),
    )


def _refuse_unnamed(models: object, unnamed: Sequence[object]) -> None:
    if unnamed or not isinstance(models, Mapping):
        raise DataError('Give every model a name: compare_models({"one factor": first, "three factors": second}).')


def _refuse_different(models: Mapping[str, FactorModel]) -> None:
    if len(models) < 2:
        raise DataError('Name two models or more, such as compare_models({"one": first, "three": second}).')
    wrong = [name for name, model in models.items() if not isinstance(model, FactorModel)]
    if wrong:
        raise DataError(f'"{wrong[0]}" is no factor model. Fit it with confirm().')
    (name, first), *others = models.items()
    for other, model in others:
        if model.fitted.estimator != first.fitted.estimator:
            raise DataError(
                f'"{name}" was fitted with {first.fitted.estimator} and "{other}" with {model.fitted.estimator}. '
                "Fit both with the same estimator."
            )
        if not _same_answers(first.fitted, model.fitted):
            raise DataError(
                f'"{name}" and "{other}" were fitted to different items or respondents, so they cannot be compared. '
                "Give every model the same items, and the same respondents."
            )


def _same_answers(one: Fitted, other: Fitted) -> bool:
    if set(one.structure.items) != set(other.structure.items) or one.n != other.n:
        return False
    order = _order(one, other)
    for mine, theirs in zip(one.observed, other.observed, strict=True):
        spread = np.sqrt(np.diag(mine.covariances))
        gaps = (theirs.covariances[np.ix_(order, order)] - mine.covariances) / np.outer(spread, spread)
        if np.abs(gaps).max() > SAME or np.abs((theirs.means[order] - mine.means) / spread).max() > SAME:
            return False
    return True


def _order(one: Fitted, other: Fitted) -> list[int]:
    """Where the items of one model stand in the other."""
    return [other.structure.items.index(item) for item in one.structure.items]


def _difference(free: Fitted, restricted: Fitted) -> _Difference:
    missing = float("nan")
    df = restricted.test.df - free.test.df
    if df == 0:
        return _Difference(missing, 0, missing, "as many parameters: no test")
    try:
        if isinstance(free, OrdinalFitted) and isinstance(restricted, OrdinalFitted):
            test = difference_test(restricted, free)
            return _Difference(test.corrected, df, test.p_value, "")
        if not _nested(free, restricted):
            return _Difference(missing, df, missing, "not nested: no test")
    except EstimationError:
        return _Difference(missing, df, missing, "not nested: no test")
    try:
        test = scaled_difference(restricted, free)
    except EstimationError:
        return _Difference(missing, df, missing, "the scale of the difference is not positive: no test")
    return _Difference(test.corrected, df, test.p_value, "")


def _nested(free: Fitted, restricted: Fitted) -> bool:
    """Whether the less restricted model can reproduce all that the other one implies."""
    order, implied = _order(free, restricted), restricted.implied
    samples = [
        Sample(covariances[np.ix_(order, order)], means[order], sample.n)
        for covariances, means, sample in zip(implied.covariances, implied.means, free.observed, strict=True)
    ]
    with one_thread():
        found = minimize(started(free.structure, samples), complete_pieces(samples))
    return found.value - saturated_discrepancy(samples) < NESTED


def _verdict(models: Mapping[str, FactorModel], one: str, two: str, difference: _Difference) -> str:
    """What the data say about two neighbors; `two` is the more restricted one."""
    if difference.p_value == difference.p_value:
        if difference.p_value < LEVEL:
            return f"{one} fits better than {two}"
        return f"cannot tell {two} from {one}: take {two}, it needs fewer parameters"
    if models[one].fitted.estimator == "WLSMV":
        return f"cannot tell {two} from {one}: there is no test"
    low, high = sorted((one, two), key=lambda name: models[name].indices.bic)
    gap = models[high].indices.bic - models[low].indices.bic
    if gap >= rules.INFORMATION.cuts[1]:
        return f"{low} is favored over {high}: BIC {apa.number(gap, 1)} lower, {rules.INFORMATION.read(gap)}"
    return f"cannot tell {two} from {one}"


def _overall(models: Mapping[str, FactorModel], order: list[str], differences: list[_Difference]) -> str:
    """The model with the lowest BIC, if it leads clearly; without BIC the one that the tests lead to."""
    if models[order[0]].fitted.estimator == "WLSMV":
        return _tested(order, differences)
    by_bic = sorted(order, key=lambda name: models[name].indices.bic)
    gap = models[by_bic[1]].indices.bic - models[by_bic[0]].indices.bic
    if not gap >= rules.INFORMATION.cuts[1]:
        return "cannot tell: no model leads clearly"
    return f"{by_bic[0]} is favored: BIC {apa.number(gap, 1)} lower than of {by_bic[1]}, {rules.INFORMATION.read(gap)}"


def _tested(order: list[str], differences: list[_Difference]) -> str:
    """The most restricted model that is not rejected against the one above; what has no test is named."""
    p_values = np.array([each.p_value for each in differences])
    kept = int(np.cumprod(p_values >= LEVEL).sum())
    untested = [f"{two} against {one}" for (one, two), p in zip(pairwise(order), p_values, strict=True) if np.isnan(p)]
    missing = f"there is no test of {join_words(untested)}"
    if np.isnan(p_values[0]):
        return f"cannot tell: {missing}"
    favored = f"{order[kept]} is favored: the most restricted model that no test rejects"
    return f"{favored}; {missing}" if untested else favored


def _row(name: str, model: FactorModel) -> dict[str, object]:
    indices = model.indices
    return {
        "term": name,
        "statistic": indices.chi_square,
        "df": indices.df,
        "p_value": indices.p_value,
        "cfi": indices.cfi,
        "rmsea": indices.rmsea,
        "srmr": indices.srmr,
        "aic": indices.aic,
        "bic": indices.bic,
    }


def _columns(differences: list[_Difference], verdicts: list[str]) -> dict[str, list[object]]:
    missing = float("nan")
    return {
        "statistic_change": [missing, *(each.statistic for each in differences)],
        "df_change": [missing, *(float(each.df) for each in differences)],
        "p_change": [missing, *(each.p_value for each in differences)],
        "reason": ["", *(each.reason for each in differences)],
        "verdict": ["", *verdicts],
    }


def _note(estimator: str) -> str:
    robust = "the difference of chi-squared scaled by Satorra and Bentler, which is not that of the scaled values"
    plain, ordinal = "the difference of chi-squared", "the scaled and shifted difference of chi-squared"
    tests = {"ML": plain, "MLR": robust, "FIML": robust, "WLSMV": ordinal}
    criteria = f" Lower AIC and BIC are better. {rules.INFORMATION.source} reads differences of BIC."
    return (
        "From the least to the most restricted model; each is tested against the one above, where it is nested in it: "
        f"{tests[estimator]}.{'' if estimator == 'WLSMV' else criteria}"
    )


def _findings(models: Mapping[str, FactorModel]) -> tuple[Finding, ...]:
    """The best of bad models is still bad."""
    poor = [any(finding.name == "poor_fit" for finding in model.findings) for model in models.values()]
    if not all(poor):
        return ()
    text = "None of the models reproduces the answers well, so the better one is not yet a good one."
    return (Finding(name="none_fits", text=text),)
