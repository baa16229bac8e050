"""Confirmatory factor analysis: does each question measure what it was written to measure, and nothing else?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from smstudy.display import apa, paths, rules
from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError, did_you_mean
from smstudy.inference.factor_models.admissible import SearchError
from smstudy.inference.factor_models.fit_indices import FitIndices, fit_indices
from smstudy.inference.factor_models.fitted import Fitted
from smstudy.inference.factor_models.full_information import fit_fiml
from smstudy.inference.factor_models.likelihood import pieces_of
from smstudy.inference.factor_models.modification import Modification, modifications
from smstudy.inference.factor_models.normal_theory import fit_ml, fit_mlr, n_counted, sample_of
from smstudy.inference.factor_models.ordinal_structures import OrdinalFitted, fit_wlsmv, ordinal_moments
from smstudy.inference.factor_models.standardization import Standardized, standardize_fit
from smstudy.inference.factor_models.structures import Structure, measurement_model
from smstudy.inference.psychometrics.polychoric import ordinal_codes
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_choice, check_level
from smstudy.scales.measurement import Factors, Measured, measured, refuse_untestable
from smstudy.survey.dataset import Data, Survey

Estimator = Literal["MLR", "ML", "FIML", "WLSMV"]

ESTIMATORS: dict[str, str] = {
    "MLR": "maximum likelihood with robust standard errors and the Yuan-Bentler test (MLR)",
    "ML": "maximum likelihood for normal answers (ML)",
    "FIML": "full-information maximum likelihood with robust standard errors and the Yuan-Bentler test (FIML, MLR)",
    "WLSMV": "diagonally weighted least squares on polychoric correlations, scaled and shifted test (WLSMV)",
}
HANDLING = {
    "MLR": "listwise: only respondents who answered every item",
    "ML": "listwise: only respondents who answered every item",
    "FIML": "full information: everybody with the items they answered",
    "WLSMV": "listwise: only respondents who answered every item",
}
INDICES = {
    "MLR": "CFI, TLI and RMSEA are the robust versions: what they would be for normal answers",
    "ML": "CFI, TLI and RMSEA assume normal answers",
    "FIML": "CFI, TLI and RMSEA are the robust versions: what they would be for normal answers without gaps",
    "WLSMV": "CFI, TLI and RMSEA come from the scaled and shifted statistic: do not compare them with those of ML",
}
LOADING, SECOND, FACTORS, ERRORS = "loading", "second-order loading", "factor correlation", "error correlation"
METHOD = "method_factor"
CONVENTIONS = "These limits are conventions, not tests"
LARGE = 10.83  # chi-squared with one degree of freedom at p = .001: hundreds of paths are tried
PER_PARAMETER = 5
MOST = 3
MUCH_LOST = 0.1
LEAST_METHOD = 3


@dataclass(frozen=True, kw_only=True, repr=False)
class FactorModel(Result):
    """A fitted factor model, one row per parameter.

    Attributes
    ----------
    fitted : Fitted
        Estimates on the scale of the items, for further computing.
    standardized : Standardized
        The same in standard deviations, with their covariance.
    indices : FitIndices
        How well it fits.
    changes : tuple of Modification
        Paths the model could be given, largest first.
    factors : mapping of str to tuple of str
        Items of each factor.
    n, n_dropped : int
        Respondents used and left out.
    conf_level : float
        Level of the intervals of parameters.
    rows : DataFrame
        One row per parameter.
    """

    fitted: Fitted = field(repr=False)
    standardized: Standardized = field(repr=False)
    indices: FitIndices
    changes: tuple[Modification, ...] = field(repr=False)
    factors: Mapping[str, tuple[str, ...]]
    n: int
    n_dropped: int
    conf_level: float
    rows: pd.DataFrame = field(repr=False)

    picture = staticmethod(paths.factor_model)

    def tidy(self) -> pd.DataFrame:
        """One row per loading and correlation: estimate, error and interval in standard deviations, then unscaled."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """The test of exact fit and the indices of fit; RMSEA with its 90 % interval."""
        line: dict[str, int | float | str] = {"n": self.n, "n_dropped": self.n_dropped}
        line |= {"n_items": len(self.fitted.structure.items), "estimator": self.fitted.estimator}
        indices = self.indices
        line |= {"statistic": indices.chi_square, "df": indices.df, "p_value": indices.p_value}
        for name in ("cfi", "tli", "rmsea", "rmsea_low", "rmsea_high", "srmr", "aic", "bic"):
            line[name] = getattr(indices, name)
        line["conf_level"] = self.conf_level
        return {name: value for name, value in line.items() if value == value}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw factors, items, loadings and correlations as a path diagram."""
        return super().plot(ax or paths.new_axes(self.drawn()))

    def modification(self) -> Modifications:
        """What would change if the model were given one more path."""
        return Modifications(
            title="What one more path would change",
            note=(
                "Score tests with expected information, not corrected for answers that are not normal: by about how "
                "much chi-squared would fall (1 df), and about what the loading or error correlation would be. "
                "A path that is added because of this table capitalizes on chance; confirm it on other respondents."
            ),
            labels=self.labels,
            privacy=self.privacy,
            n=self.n,
            rows=_change_rows(self.fitted.structure, self.changes),
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Modifications(Result):
    """Paths that a factor model could be given, the largest first."""

    n: int
    rows: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per path: statistic is the modification index, estimate the expected standardized change."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}


def confirm(
    items: Data,
    factors: Factors | Sequence[str] | None = None,
    *,
    estimator: Estimator = "MLR",
    correlated_errors: Sequence[tuple[str, str]] = (),
    higher: Factors | None = None,
    method_factor: bool | Sequence[str] | None = None,
    conf_level: float = 0.95,
) -> FactorModel:
    """Fit a factor model that was decided on beforehand, and say how well it reproduces the answers.

    Factors have variance 1; every item has one loading on each of its factors; factors correlate freely.

    Parameters
    ----------
    items : DataFrame or Survey
        Answers; those of a survey are turned round as its codebook says.
    factors : mapping of str to sequence of str, or sequence of str
        Items of each factor; an item may belong to two. For a survey also names of scales, which then share no item;
        if left out, all scales of the codebook.
    estimator : {"MLR", "ML", "FIML", "WLSMV"}
        Robust or plain maximum likelihood on complete answers, robust maximum likelihood on all answers there are, or
        ordinal answers by weighted least squares (for few categories or skewed answers).
    correlated_errors : sequence of pairs of str
        Items that share something besides their factor, decided on beforehand, such as the same wording.
    higher : mapping of str to sequence of str, optional
        Factors of each factor of second order.
    method_factor : bool or sequence of str, optional
        True adds a factor of all items that are worded the other way, uncorrelated with the rest; or name the items.
    conf_level : float
        Level of the intervals, between 0 and 1.

    Raises
    ------
    DataError, CodebookError
        If a name is not there or is "method_factor", an item stands in two scales of the codebook and `factors` does
        not put it there, nobody answered two items together, or answers cannot be used.
    EstimationError
        If the model cannot be estimated: more parameters than moments or respondents, not identified, no convergence,
        a residual variance of 0 or less, a correlation beyond 1, covariances without an inverse.

    References
    ----------
    Joreskog (1969), Psychometrika 34, 183-202; Yuan & Bentler (2000), Sociological Methodology 30, 165-200. Estimates,
    errors, test and fit agree with R lavaan: cfa, standardizedSolution and fitMeasures
    (tests/reference/confirmatory.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> trait = rng.normal(size=(300, 1))
    >>> answers = pd.DataFrame(0.7 * trait + 0.7 * rng.normal(size=(300, 4)), columns=list("abcd"))
    >>> model = confirm(answers, {"f": list("abcd")})
    >>> model.glance()["df"], model.tidy()["estimate"].round(1).tolist()
    (2, [0.7, 0.7, 0.6, 0.7])
    """
    check_level(conf_level)
    check_choice("estimator", estimator, ESTIMATORS)
    data = measured(items, factors)
    structure = _model(data, correlated_errors, higher, method_factor)
    fitted, changes = _fit_or_explain(structure, data, estimator)
    standardized, indices = standardize_fit(fitted), fit_indices(fitted)
    rows = _rows(fitted, standardized, conf_level)
    labels = {METHOD: "Wording (method factor)", **data.labels}
    coded = isinstance(items, Survey)
    return FactorModel(
        title=f"Factor model: {join_words([labels.get(name, name) for name in data.factors])}",
        note=_note(estimator, indices, method=METHOD in structure.factors),
        findings=(
            *data.findings,
            *_fit_findings(fitted, indices),
            *_loss_findings(fitted, data),
            *_shared_findings(data),
            *_against_findings(rows, labels, data.turned, coded=coded),
            *_weak_findings(rows, labels),
            *_change_findings(structure, changes, labels),
        ),
        labels=labels,
        privacy=data.privacy,
        fitted=fitted,
        standardized=standardized,
        indices=indices,
        changes=tuple(changes),
        factors=data.factors,
        n=fitted.n,
        n_dropped=len(data.answers) - fitted.n,
        conf_level=conf_level,
        rows=rows,
    )


def _model(
    data: Measured,
    correlated_errors: Sequence[tuple[str, str]],
    higher: Factors | None,
    method_factor: bool | Sequence[str] | None,
) -> Structure:
    if METHOD in (*data.factors, *data.names, *(higher or {})):
        raise DataError(f'"{METHOD}" is kept for the factor of wording. Name your factor or item otherwise.')
    factors = dict(data.factors)
    method = _method_items(data, method_factor)
    if method:
        factors[METHOD] = method
    if len(factors) == 1 and len(data.names) == 2:
        raise DataError(
            "One factor with two items cannot be fitted: three numbers cannot tell four parameters. Add an item, or "
            "use omega_total(), which gives the Spearman-Brown reliability of two items."
        )
    return measurement_model(
        data.names,
        factors,
        higher=_checked_higher(data, higher),
        uncorrelated=[METHOD] if method else [],
        correlated_errors=_checked_pairs(data, correlated_errors),
    )


def _method_items(data: Measured, wanted: bool | Sequence[str] | None) -> tuple[str, ...]:
    if wanted is None or wanted is False:
        return ()
    if isinstance(wanted, str):
        raise DataError(f'method_factor needs True or a list of items, such as ["{wanted}", ...].')
    if wanted is True and not data.turned:
        raise DataError(
            "The codebook marks no item of these scales as worded the other way, so there is nothing for a method "
            "factor. Mark them with `reverse: true`, or name the items: method_factor=[...]."
        )
    chosen = data.turned if wanted is True else tuple(dict.fromkeys(wanted))
    _refuse_unknown(chosen, data.names, "item")
    if len(chosen) < LEAST_METHOD:
        raise DataError(
            f"A method factor that correlates with nothing needs {LEAST_METHOD} items or more; there "
            f"{'is' if len(chosen) == 1 else 'are'} {len(chosen)}. Let their errors correlate instead: "
            "correlated_errors=[...]."
        )
    return chosen


def _checked_higher(data: Measured, higher: Factors | None) -> dict[str, tuple[str, ...]]:
    if not isinstance(higher or {}, Mapping) or any(isinstance(members, str) for members in (higher or {}).values()):
        raise DataError('higher needs a list of factors for each name, such as {"general": ["trust", "worry"]}.')
    chosen = {name: tuple(members) for name, members in (higher or {}).items()}
    for name, members in chosen.items():
        _refuse_unknown(members, data.factors, "factor")
        if len(set(members)) < max(len(members), 2):
            raise DataError(f'higher: "{name}" needs two factors or more, and each of them once.')
        if name in data.factors or name in data.names:
            raise DataError(
                f'"{name}" is already the name of a factor or an item. Name the second-order factor otherwise.'
            )
    return chosen


def _checked_pairs(data: Measured, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    chosen: list[tuple[str, str]] = []
    for pair in pairs if isinstance(pairs, Iterable) else [pairs]:
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
            raise DataError('correlated_errors needs pairs of different items, such as [("q1", "q2")].')
        _refuse_unknown(pair, data.names, "item")
        if set(pair) in [set(other) for other in chosen]:
            raise DataError(f"correlated_errors names {pair[0]} and {pair[1]} twice. Name the pair once.")
        chosen.append((pair[0], pair[1]))
    return chosen


def _refuse_unknown(names: Sequence[str], known: Sequence[str] | Mapping[str, object], what: str) -> None:
    for name in names:
        if name not in known:
            raise DataError(f'The model has no {what} "{name}". {did_you_mean(name, known)}')


def _fit_or_explain(structure: Structure, data: Measured, estimator: Estimator) -> tuple[Fitted, list[Modification]]:
    try:
        return _fit(structure, data, estimator)
    except SearchError:
        if METHOD not in structure.factors:
            raise
        raise EstimationError(
            "The search for the best parameters did not end, so there are no estimates. Leave the method factor out: "
            "statements worded the other way seem to share nothing of their own here."
        ) from None


def _fit(structure: Structure, data: Measured, estimator: Estimator) -> tuple[Fitted, list[Modification]]:
    if estimator != "FIML":
        data.complete()
    refuse_untestable(data, n_counted(structure), gaps=estimator == "FIML")
    if estimator == "FIML":
        answers = [data.answers.to_numpy(float)]
        fitted = fit_fiml(structure, answers)
        return fitted, modifications(fitted, pieces_of(answers)[0])
    if estimator == "WLSMV":
        fitted = fit_wlsmv(structure, [ordinal_moments(ordinal_codes(data.answers, missing="listwise"))])
        return fitted, modifications(fitted)
    complete = data.complete()
    fitted = fit_mlr(structure, [complete]) if estimator == "MLR" else fit_ml(structure, [sample_of(complete)])
    return fitted, modifications(fitted)


def _rows(fitted: Fitted, standardized: Standardized, conf_level: float) -> pd.DataFrame:
    """One row per loading and correlation; variances are not listed."""
    structure, errors = fitted.structure, standardized.std_errors
    raw_errors = np.sqrt(np.maximum(np.diag(fitted.sampling), 0))
    z = stats.norm.ppf((1 + conf_level) / 2)
    rows = []
    for matrix, cell, number, estimate, error in zip(
        standardized.matrices, standardized.cells, standardized.parameters, standardized.estimates, errors, strict=True
    ):
        kind, term, other = _named(structure, matrix, cell)
        if term == other:
            continue
        rows.append(
            {
                "parameter": kind,
                "term": term,
                "other_term": other,
                "estimate": estimate,
                "std_error": error,
                "conf_low": estimate - z * error,
                "conf_high": estimate + z * error,
                "raw_estimate": fitted.parameters[number],
                "raw_error": raw_errors[number],
            }
        )
    return _ordered(pd.DataFrame(rows), structure)


def _named(structure: Structure, matrix: str, cell: Sequence[int]) -> tuple[str, str, str]:
    """What a parameter is, and between whom: the item or the lower factor first."""
    _, row, column = cell
    if matrix == "loadings":
        return LOADING, structure.items[row], structure.factors[column]
    if matrix == "regressions":
        return SECOND, structure.factors[row], structure.factors[column]
    names, kind = (structure.items, ERRORS) if matrix == "residuals" else (structure.factors, FACTORS)
    return kind, names[column], names[row]


def _ordered(rows: pd.DataFrame, structure: Structure) -> pd.DataFrame:
    """Loadings factor by factor, then second order, then correlations."""
    kinds = {kind: place for place, kind in enumerate((LOADING, SECOND, FACTORS, ERRORS))}
    places = {name: place for place, name in enumerate((*structure.factors, *structure.items))}
    loading = rows["parameter"].isin([LOADING, SECOND])
    first = rows["other_term"].where(loading, rows["term"]).map(places)
    then = rows["term"].where(loading, rows["other_term"]).map(places)
    order = np.lexsort([then, first, rows["parameter"].map(kinds)])
    return rows.iloc[order].reset_index(drop=True)


def _change_rows(structure: Structure, changes: Sequence[Modification]) -> pd.DataFrame:
    named = [_named(structure, each.matrix, (each.group, each.row, each.column)) for each in changes]
    return pd.DataFrame(
        {
            "parameter": [kind for kind, _, _ in named],
            "term": [term for _, term, _ in named],
            "other_term": [other for _, _, other in named],
            "statistic": [each.index for each in changes],
            "estimate": [each.std_change for each in changes],
            "raw_estimate": [each.change for each in changes],
        }
    )


def _note(estimator: Estimator, indices: FitIndices, *, method: bool) -> str:
    parts = [
        f"{ESTIMATORS[estimator][0].upper()}{ESTIMATORS[estimator][1:]}; missing answers {HANDLING[estimator]}.",
        "Estimates are standardized: loadings and correlations, intervals by the delta method; unstandardized ones "
        "have factors of variance 1.",
        f"{INDICES[estimator]}; the interval of RMSEA is one of 90 %.",
    ]
    if estimator in ("MLR", "FIML") and indices.df:
        parts.insert(2, f"Chi-squared is divided by its scale, {apa.number(indices.scale)}.")
    if method:
        parts.append("The method factor of items worded the other way correlates with no other factor.")
    return " ".join(parts)


def _fit_findings(fitted: Fitted, indices: FitIndices) -> list[Finding]:
    found = []
    if indices.df == 0:
        text = "The model has as many parameters as there are moments, so it fits always: fit cannot be judged."
        found.append(Finding(name="saturated", text=text, severity="info"))
    else:
        found += _poor_fit(indices)
    counted = fitted.n_counted if isinstance(fitted, OrdinalFitted) else indices.n_parameters
    if fitted.n < PER_PARAMETER * counted:
        text = (
            f"{fitted.n} respondents for {counted} parameters: fewer than {PER_PARAMETER} for each (Bentler & Chou "
            "1987). Standard errors may be too small, and the test rejects right models too often."
        )
        found.append(Finding(name="small_sample", text=text))
    return found


def _loss_findings(fitted: Fitted, data: Measured) -> list[Finding]:
    """Say so where leaving out incomplete respondents costs many of them; few of them are not counted out."""
    n_lost = len(data.answers) - fitted.n
    lost = n_lost / len(data.answers)
    if fitted.estimator == "FIML" or lost < MUCH_LOST or not data.privacy.allows(n_lost):
        return []
    text = (
        f"{lost:.0%} of the respondents are left out because an answer is missing. ".replace("%", " %")
        + 'estimator="FIML" uses what they answered, and is unbiased under weaker assumptions.'
    )
    return [Finding(name="many_left_out", text=text)]


def _poor_fit(indices: FitIndices) -> list[Finding]:
    read = [
        ("CFI", indices.cfi, rules.COMPARATIVE_FIT),
        ("RMSEA", indices.rmsea, rules.ONE_FACTOR),
        ("SRMR", indices.srmr, rules.RESIDUAL_FIT),
    ]
    poor = [
        (name, value, rule)
        for name, value, rule in read
        if "poor" in rule.read(value) or "mediocre" in rule.read(value)
    ]
    if not poor:
        return []
    told = join_words([f"{name} {apa.bounded(value)} ({rule.read(value)})" for name, value, rule in poor])
    sources = "; ".join(dict.fromkeys(rule.source for _, _, rule in poor))
    unsure = indices.rmsea_low < rules.ONE_FACTOR.cuts[1] < indices.rmsea_high
    doubt = (
        f" The interval of RMSEA, {apa.bounded(indices.rmsea_low)} to {apa.bounded(indices.rmsea_high)}, includes "
        f"{apa.bounded(rules.ONE_FACTOR.cuts[1])}: by RMSEA one cannot tell."
        if unsure
        else ""
    )
    text = f"The model does not reproduce the answers well: {told}.{doubt} {CONVENTIONS} ({sources})."
    return [Finding(name="poor_fit", text=text)]


def _shared_findings(data: Measured) -> list[Finding]:
    """Items that the user put into more than one factor."""
    found = []
    for item in data.names:
        homes = [data.labels.get(name, name) for name, members in data.factors.items() if item in members]
        if len(homes) > 1:
            count = "two" if len(homes) == 2 else str(len(homes))
            text = f"{data.labels.get(item, item)} belongs to {count} factors, as you said: {join_words(homes)}."
            found.append(Finding(name="shared_item", text=text, severity="info"))
    return found


def _against_findings(
    rows: pd.DataFrame, labels: Mapping[str, str], turned: Sequence[str], *, coded: bool
) -> list[Finding]:
    """Items whose loading is surely below 0; `coded` if a codebook says what is turned round."""
    against = _own_loadings(rows)
    against = against[against["conf_high"] < 0]
    if not len(against):
        return []
    alone = len(against) == 1
    runs = "runs against its factor" if alone else "run against their factor"
    worded = f"{_list(against, labels)} {runs}. If {'it is' if alone else 'they are'} worded the other way, "
    it = "it" if alone else "them"
    if coded:
        text = f"{worded}mark {it} with `reverse: true` in the codebook"
        text += "; where that is there already, take it away." if set(against["term"]) & set(turned) else "."
    else:
        text = (
            f"{worded}turn {it} round first: subtract the answers from the sum of the lowest and the highest answer "
            "that the question offers."
        )
    return [Finding(name="against_factor", text=text, severity="serious")]


def _weak_findings(rows: pd.DataFrame, labels: Mapping[str, str]) -> list[Finding]:
    loadings = _own_loadings(rows)
    weak = loadings[(loadings["estimate"].abs() < rules.LOADING.cuts[0]) & ~(loadings["conf_high"] < 0)]
    if not len(weak):
        return []
    text = (
        f"Weak loadings, below {apa.bounded(rules.LOADING.cuts[0])}: {_list(weak, labels)}. The factor explains "
        f"little of these answers. {CONVENTIONS} ({rules.LOADING.source})."
    )
    return [Finding(name="weak_loadings", text=text)]


def _own_loadings(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["parameter"] == LOADING) & (rows["other_term"] != METHOD)]


def _list(rows: pd.DataFrame, labels: Mapping[str, str]) -> str:
    return join_words(
        [f"{labels.get(term, term)} ({apa.bounded(value)})" for term, value in zip(rows["term"], rows["estimate"])]
    )


def _change_findings(structure: Structure, changes: Sequence[Modification], labels: Mapping[str, str]) -> list[Finding]:
    found = []
    for change in [each for each in changes if each.index > LARGE][:MOST]:
        kind, term, other = _named(structure, change.matrix, (change.group, change.row, change.column))
        one, two = labels.get(term, term), labels.get(other, other)
        about = f", about {apa.bounded(change.std_change)}" if abs(change.std_change) < 1 else ""
        size = f"(modification index {apa.number(change.index, 1)}{about})"
        if kind == ERRORS and change.change > 0:
            words = f"These two questions share more than their factor explains: {one}; {two} {size}."
        elif kind == ERRORS:
            words = f"These two questions share less than their factors imply: {one}; {two} {size}."
        else:
            words = f"This question also goes with another factor than its own: {one}, with {two} {size}."
        text = f"{words} Read the wording; change the model only with a reason and check it on other respondents."
        found.append(Finding(name="unexplained", text=text, severity="info"))
    return found
