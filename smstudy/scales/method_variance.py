"""Do answers go together because of the way they were asked for? Checks of common method variance, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.display import apa, rules
from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError, did_you_mean
from smstudy.inference.factor_models.fitted import Fitted
from smstudy.inference.factor_models.full_information import fit_fiml
from smstudy.inference.factor_models.method_factors import (
    Difference,
    Marker,
    MethodFactor,
    first_component,
    marker_models,
    method_factor,
    partial_correlation,
)
from smstudy.inference.factor_models.normal_theory import fit_mlr, n_counted
from smstudy.inference.factor_models.structures import Structure, measurement_model
from smstudy.inference.multiplicity import holm
from smstudy.inference.psychometrics.consistency import Floats, correlation_interval
from smstudy.inference.psychometrics.discriminant import pairs_of, pairwise_correlations
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_word
from smstudy.scales.measurement import Factors, Measured, measured, refuse_untestable
from smstudy.scales.scoring import scales_of
from smstudy.scales.validities import has_gaps, scales_to_compare
from smstudy.survey.dataset import Data, Survey, frame_of

LEVEL = 0.05
LEAST_TURNED = 3
SIGN, SLIGHT, UNKNOWN, UNTESTED = "a sign of it", "a slight sign", "cannot tell", "not tested"
NUMBERS = ("statistic", "df", "p_value", "p_adjusted", "method_share", "difference")
UNMEASURED = "Unmeasured method factor"
WORDING = "Method factor of items worded the other way"
EQUAL, UNEQUAL = "Marker: same effect on all items", "Marker: different effects on items"
RESTRICTED, PARTIAL = "Marker: bias of correlations of factors", "Marker: partial correlations of scores"
NO_MARKER = "No marker was asked: a scale or item that by its content has nothing to do with the others."
NO_SOLUTION = (
    "The model with this factor has no proper solution: the answers cannot tell it from what the scales share."
)
PROVES_NOTHING = "That proves nothing: method variance can hide in what the scales share."
NO_GAIN = "Fit gains no more than chance gives."
NO_BIAS = "Correlations of factors stay the same within chance."
NEGLIGIBLE = rules.STANDARDIZED.cuts[0]
MARKER = "(marker)"
Row = dict[str, object]
Chosen = Factors | Sequence[str] | None


@dataclass(frozen=True, kw_only=True, repr=False)
class CommonMethod(Result):
    """Checks of common method variance, one row per check.

    Attributes
    ----------
    n : int
        Respondents with any answer.
    verdict : str
        "a sign of it" if any check gives one, "a slight sign" if none gives more than that, else "cannot tell": no
        check can show that there is none.
    rows : DataFrame
        One row per check.
    """

    n: int
    verdict: str
    rows: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per check: difference is the largest change of a correlation of two scales."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and the verdict over all checks."""
        return {"n": self.n, "verdict": self.verdict}


def common_method(data: Data, scales: Chosen = None, *, marker: str | None = None) -> CommonMethod:
    """Look for signs that answers go together because they were all given in the same way.

    An unmeasured method factor with the same loading on all items, the same of the items worded the other way, and,
    with a marker, the models of the marker technique and correlations of scores without what they share with it.

    Parameters
    ----------
    data : DataFrame or Survey
        Answers; those of a survey are turned round as its codebook says.
    scales : mapping of str to sequence of str, or sequence of str
        Items of two scales or more. For a survey also names of scales; if left out, all scales of the codebook.
    marker : str, optional
        A scale or an item that by its content has nothing to do with the scales; it is left out of them.

    Returns
    -------
    CommonMethod
        Verdict of each check: a sign of it (p below .05 after Holm's correction for the tests there are), a slight sign
        (the same, but correlations change by less than .10), cannot tell, or not tested. None says that there is no
        method variance.

    Raises
    ------
    DataError, CodebookError
        As for `validity`, or if there is no such marker.
    EstimationError
        If the factor model of the scales alone cannot be estimated.

    References
    ----------
    Podsakoff, MacKenzie, Lee & Podsakoff (2003), J. Applied Psychology 88, 879-903; Williams, Hartman & Cavazotte
    (2010), Organizational Research Methods 13, 477-514; Lindell & Whitney (2001), J. Applied Psychology 86, 114-121.
    What an unmeasured factor cannot tell: Richardson, Simmering & Sturman (2009), Organizational Research Methods 12,
    762-800. Agrees with the same models in R lavaan (tests/reference/validity.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> traits = np.repeat(rng.normal(size=(400, 2)), 3, axis=1) * [0.9, 0.7, 0.5, 0.9, 0.7, 0.5]
    >>> answers = pd.DataFrame(traits + 0.7 * rng.normal(size=(400, 6)), columns=list("abcdef"))
    >>> common_method(answers, {"one": list("abc"), "two": list("def")}).verdict
    'cannot tell'
    """
    frame_of(data)
    if marker is not None:
        check_word("marker", marker, "weather")
    items = scales_to_compare(data, _without_marker(data, scales, marker))
    members = _marker_items(data, items, scales, marker)
    structure = measurement_model(items.names, items.factors)
    refuse_untestable(items, n_counted(structure), gaps=has_gaps(items))
    base = _fit(items)(structure)
    rows = _corrected(
        [
            _unmeasured(items, base, items.names, UNMEASURED),
            _worded(items, base),
            *_marker_rows(data, items, members),
        ]
    )
    verdict = next((word for word in (SIGN, SLIGHT) if (rows["verdict"] == word).any()), UNKNOWN)
    return CommonMethod(
        title="Did the way of asking make answers alike?",
        note=_note(has_gaps(items)),
        findings=(*items.findings, _harman(items), *_limits(verdict)),
        labels=items.labels,
        privacy=items.privacy,
        n=base.n,
        verdict=verdict,
        rows=rows,
    )


def _without_marker(data: Data, scales: Chosen, marker: str | None) -> Chosen:
    """The scales that are studied: all but the marker."""
    if scales is None and isinstance(data, Survey):
        scales = [scale.name for scale in scales_of(data)]
    if scales is None or isinstance(scales, str):
        return scales
    if isinstance(scales, Mapping):
        return {name: members for name, members in scales.items() if name != marker}
    return [name for name in scales if name != marker]


def _marker_items(data: Data, items: Measured, scales: Chosen, marker: str | None) -> tuple[str, ...]:
    """The items of the marker; none if none is named.

    Raises
    ------
    DataError
        If there is no such scale or item, or it belongs to a scale that is studied.
    """
    if marker is None:
        return ()
    known = {name: tuple(members) for name, members in scales.items()} if isinstance(scales, Mapping) else {}
    if isinstance(data, Survey):
        known |= {scale.name: scale.items for scale in data.codebook.scales}
    members = known.get(marker, (marker,))
    columns = [str(name) for name in frame_of(data)]
    if marker not in known and marker not in columns:
        raise DataError(
            f'There is no scale or item "{marker}" to be a marker. {did_you_mean(marker, {*known, *columns})}'
        )
    shared = [item for item in members if item in items.names]
    if shared:
        raise DataError(
            f"{join_words(shared)} of the marker also belongs to a scale that is studied. Name the scales without it."
        )
    return members


def _fit(items: Measured) -> Callable[[Structure], Fitted]:
    """How models of these answers are fitted."""
    answers = items.answers.dropna(how="all").to_numpy(float)
    if has_gaps(items):
        return lambda structure: fit_fiml(structure, [answers])
    return lambda structure: fit_mlr(structure, [answers])


def _unmeasured(items: Measured, base: Fitted, members: Sequence[str], check: str) -> Row:
    answers = items.answers.dropna(how="all").to_numpy(float)
    try:
        found = method_factor(base, _fit(items), answers, members)
    except EstimationError:
        return _row(check, UNKNOWN, f"{NO_SOLUTION} {PROVES_NOTHING}")
    if found.test is None:
        return _row(check, UNKNOWN, f"Such a factor would take no variance at all. {PROVES_NOTHING}", method_share=0.0)
    return _row(check, _sign(found.shift), _told(found), method_share=found.share, **_numbers(found.test, found.shift))


def _sign(shift: float) -> str:
    """How much a check says if it is more than chance: by the largest change of a correlation."""
    return SLIGHT if shift < NEGLIGIBLE else SIGN


def _moved(shift: float) -> str:
    return f"correlations of factors change by up to {apa.bounded(shift)} ({rules.STANDARDIZED.read(shift)})"


def _told(found: MethodFactor | Marker) -> str:
    return (
        f"It takes {apa.share(found.share)} of the variance; {_moved(found.shift)}. It may be the method, or something "
        "the scales really share."
    )


def _corrected(rows: Sequence[Row]) -> pd.DataFrame:
    """Take back what is no more than chance once p is corrected for all tests there are."""
    table = pd.DataFrame(rows)
    table["p_adjusted"] = holm(table["p_value"].to_numpy(float))
    chance = table["p_adjusted"] >= LEVEL
    reasons = table["check"].map(lambda check: f"{NO_BIAS if check == RESTRICTED else NO_GAIN} {PROVES_NOTHING}")
    return table.assign(verdict=table["verdict"].mask(chance, UNKNOWN), reason=table["reason"].mask(chance, reasons))


def _worded(items: Measured, base: Fitted) -> Row:
    if len(items.turned) < LEAST_TURNED:
        there = "is one item" if len(items.turned) == 1 else f"are {len(items.turned) or 'no'} items"
        return _row(WORDING, UNTESTED, f"There {there} marked as worded the other way; it takes {LEAST_TURNED}.")
    return _unmeasured(items, base, items.turned, WORDING)


def _marker_rows(data: Data, items: Measured, marker: tuple[str, ...]) -> list[Row]:
    if not marker:
        return [_row("Marker", UNTESTED, NO_MARKER)]
    with_marker = {**items.factors, MARKER: (*marker, items.names[0]) if len(marker) == 1 else marker}
    every = measured(data, with_marker)
    marker = tuple(item for item in marker if item in every.names)
    try:
        found = marker_models(every.names, items.factors, marker, _fit(every), LEVEL)
    except EstimationError as error:
        return [_row("Marker", UNKNOWN, f"Its models cannot be estimated. {error}"), _partial_row(every, items, marker)]
    sign = _sign(found.shift)
    shows = (
        "What the marker measures shows in the items of the scales: the method, unless it is its content. With it "
        f"{_moved(found.shift)}."
    )
    restricted = _numbers(found.restricted, found.shift)
    return [
        _row(EQUAL, sign, shows, **_numbers(found.equal)),
        _row(UNEQUAL, sign, shows, **_numbers(found.unequal)),
        _row(RESTRICTED, sign, _told(found), method_share=found.share, **restricted),
        _partial_row(every, items, marker),
    ]


def _partial_row(every: Measured, items: Measured, marker: Sequence[str]) -> Row:
    """Correlations of scores without what they share with the marker (Lindell and Whitney)."""
    scores = {name: every.answers[list(members)].mean(axis=1) for name, members in items.factors.items()}
    table = pd.DataFrame({**scores, " marker": every.answers[list(marker)].mean(axis=1)}).dropna()
    if len(table) < every.privacy.min_n:
        return _row(PARTIAL, UNTESTED, every.privacy.too_few("have the score of every scale and of the marker"))
    correlations = pairwise_correlations(table.to_numpy(float))
    with_marker, between = correlations[:-1, -1], correlations[:-1, :-1][pairs_of(len(scores))]
    least = float(with_marker[np.abs(with_marker).argmin()])
    low, high = correlation_interval(np.array([least]), np.array([len(table)]), 1 - LEVEL)
    if not low[0] > 0:
        text = (
            f"The marker's smallest correlation with a scale is {apa.bounded(least)} "
            f"{apa.interval(float(low[0]), float(high[0]))}: nothing clearly above 0 to take out. {PROVES_NOTHING}"
        )
        return _row(PARTIAL, UNKNOWN, text)
    adjusted = partial_correlation(between, least)
    lost = int((_clear(between, len(table) - 2) & ~_clear(adjusted, len(table) - 3)).sum())
    text = (
        f"All scales share at least {apa.bounded(least)} with the marker. Without it {lost} of "
        f"{int(_clear(between, len(table) - 2).sum())} clear correlations of scores are no longer clear."
    )
    shift = float(np.abs(adjusted - between).max())
    return _row(PARTIAL, _sign(shift), text, difference=shift)


def _clear(correlations: Floats, df: int) -> np.ndarray:
    """Whether correlations differ from 0 by a t test."""
    with np.errstate(divide="ignore"):
        t = np.abs(correlations) * np.sqrt(df / np.maximum(1 - correlations**2, 0))
    return 2 * stats.t.sf(t, df) < LEVEL


def _row(check: str, verdict: str, reason: str, **numbers: float) -> Row:
    return {"check": check, **dict.fromkeys(NUMBERS, np.nan), **numbers, "verdict": verdict, "reason": reason}


def _numbers(test: Difference, shift: float = np.nan) -> dict[str, float]:
    return {"statistic": test.statistic, "df": test.df, "p_value": test.p_value, "difference": shift}


def _harman(items: Measured) -> Finding:
    share = first_component(pairwise_correlations(items.answers.dropna(how="all").to_numpy(float)))
    text = (
        f"Harman's single-factor test is not used here. The first component takes {apa.share(share)} of the variance, "
        "which proves nothing, whether it is above one half or below: it finds neither the presence nor the absence of "
        "method variance (Podsakoff et al., 2003)."
    )
    return Finding(name="harman", text=text, severity="info")


def _limits(verdict: str) -> tuple[Finding, ...]:
    if verdict == SIGN:
        return ()
    text = (
        f"No check gives {'more than a slight' if verdict == SLIGHT else 'a'} sign of method variance. None can show "
        "that there is none: plan for it, with answers from different sources or at different times."
    )
    return (Finding(name="not_ruled_out", text=text, severity="info"),)


def _note(gaps: bool) -> str:
    handled = "FIML: all answers there are" if gaps else "MLR"
    return (
        f"Factor models ({handled}); statistic: scaled difference of chi-squared (Satorra & Bentler, 2001) "
        "to the model without the effect, p of a single variance halved because it cannot be negative. Method factors "
        "have the same unstandardized loading on all their items, reversed ones turned round, and correlate with no "
        "other factor. Change: largest change of a correlation. A sign needs p below .05, corrected for all tests here "
        f"(Holm 1979), and may still be something else; slight: no correlation changes by {apa.bounded(NEGLIGIBLE)} or "
        "more. Marker: Williams, Hartman & Cavazotte (2010); Lindell & Whitney (2001)."
    )
