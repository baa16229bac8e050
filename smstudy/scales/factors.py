"""How many factors stand behind items, and which item belongs to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from smstudy.display import apa, figures, rules, screes, tables
from smstudy.display.prose import join_words, plural
from smstudy.errors import DataError, EstimationError
from smstudy.inference.psychometrics.dimensions import (
    Adequacy,
    Floats,
    ParallelAnalysis,
    PartialCorrelations,
    Sphericity,
    acceleration_factor,
    average_partials,
    optimal_coordinates,
    parallel_analysis,
    polychoric_widening,
    sampling_adequacy,
    sphericity,
)
from smstudy.inference.psychometrics.extraction import (
    SMALLEST_EIGENVALUE,
    Extraction,
    FactorFit,
    HeywoodError,
    check_identified,
    extract,
    judge_fit,
)
from smstudy.inference.psychometrics.extraction import Method as Extracting
from smstudy.inference.psychometrics.polychoric import ordinal_codes, polychorics
from smstudy.inference.psychometrics.rotation import Method as Rotating
from smstudy.inference.psychometrics.rotation import Rotation, complexities, explained_variances, rotate
from smstudy.inference.threads import one_thread
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_choice, check_number_of_factors, check_seed
from smstudy.scales.batteries import Battery, battery_of, few_rows, refuse_scale_of_table, repeated_items
from smstudy.scales.scoring import items_of, scales_of
from smstudy.survey.dataset import Data, Survey, frame_of

Correlation = Literal["pearson", "polychoric"]

CORRELATIONS = {"pearson": "Pearson correlations", "polychoric": "polychoric correlations"}
EXTRACTIONS = {
    "minres": "minimum residual (unweighted least squares)",
    "ml": "maximum likelihood",
    "pa": "principal axes, repeated until they stay the same",
}
ROTATIONS = {
    "oblimin": "oblimin rotation (direct quartimin; factors may correlate)",
    "varimax": "varimax rotation (factors do not correlate)",
    "promax": "promax rotation (power 4; factors may correlate)",
    "none": "no rotation",
}
FEWEST_ITEMS = 3
FEW = 100
FEW_PER_ITEM = 5
POOR_ITEM = rules.SAMPLING.cuts[0]
WEAK = rules.PATTERN.cuts[0]
QUANTILE = 0.95
FEW_ANSWERS, SKEWED, NEARLY_ALL = 7, 2.0, 0.8
SPOKEN = 12
TRUSTED = ("factors", "components")
CRITERIA = {
    "factors": (
        "Parallel analysis, common factors (95th percentile)",
        "Counts what items share more of than unrelated items would by chance. It also counts small factors, the more "
        "so with many respondents.",
    ),
    "factors_mean": (
        "Parallel analysis, common factors (mean)",
        "The same against the average of chance: the more generous reading.",
    ),
    "components": (
        "Parallel analysis, components (95th percentile)",
        "Counts directions of all variance, shared or not, so a weak or small factor beside strong ones can be missed.",
    ),
    "components_mean": (
        "Parallel analysis, components (mean)",
        "The same against the average of chance: the more generous reading.",
    ),
    "map": (
        "Velicer's MAP (squares)",
        "Stops where what is left no longer goes together on average. It takes out whole components, so small factors "
        "and low loadings make it stop early.",
    ),
    "map_fourth": (
        "Velicer's MAP, revised (fourth powers)",
        "The same, with more weight on the largest correlations that are left.",
    ),
    "coordinates": (
        "Optimal coordinates",
        "Looks for the point of the scree that lies above the line through the points that follow.",
    ),
    "acceleration": (
        "Acceleration factor",
        "Looks for the sharpest bend of the scree, so one strong first factor hides the others. Only a remark.",
    ),
    "kaiser": (
        "Eigenvalues above 1 (Kaiser)",
        "Ignores chance and grows with the number of items, so it mostly suggests too many. Only a remark.",
    ),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class FactorChoice(Result):
    """How many factors each criterion suggests.

    Attributes
    ----------
    rows : DataFrame
        One row per criterion.
    scree : DataFrame
        Observed and simulated eigenvalues of components and of common factors.
    adequacy : Adequacy
        Kaiser's measure of sampling adequacy, with that of each item.
    fewest, most : int
        Range of what both parallel analyses (95th percentile) suggest. They err to opposite sides: components miss
        small factors, common factors count them.
    verdict : str
        "3 factors", "no common factor" or "cannot tell: 3 to 5 factors".
    n, n_dropped, n_items : int
        Respondents used and left out, items.
    """

    rows: pd.DataFrame = field(repr=False)
    scree: pd.DataFrame = field(repr=False)
    adequacy: Adequacy = field(repr=False)
    sphericity: Sphericity = field(repr=False)
    fewest: int
    most: int
    verdict: str
    n: int
    n_dropped: int
    n_items: int

    picture: ClassVar = staticmethod(screes.scree)

    def tidy(self) -> pd.DataFrame:
        """One row per criterion: how many factors it suggests, and what makes it differ."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, items, whether factoring makes sense (KMO, Bartlett's test), and the verdict."""
        test = self.sphericity
        return {
            "n": self.n,
            "n_dropped": self.n_dropped,
            "n_items": self.n_items,
            "kmo": self.adequacy.overall,
            "statistic": test.statistic,
            "df": test.df,
            "p_value": test.p_value,
            "verdict": self.verdict,
        }

    def drawn(self) -> pd.DataFrame:
        """The eigenvalues."""
        return self.scree.copy() if self.privacy.allows(self.n) else self.scree.iloc[:0].copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the eigenvalues with those that unrelated items reach by chance."""
        return super().plot(ax or figures.new_axes(SPOKEN))

    def alt_text(self) -> str:
        """Say the first eigenvalues and what chance reaches."""
        rows = self.drawn()
        parts = [
            f"{kind}: "
            + ", ".join(
                f"{apa.number(row.estimate)} (by chance {apa.number(row.threshold)})"
                for row in part.head(SPOKEN).itertuples()
            )
            for kind, part in rows.groupby("rule", sort=False)
        ]
        return f"{self.title} {self.verdict}. Eigenvalues of {'; of '.join(parts)}." if parts else self.title


@dataclass(frozen=True, kw_only=True, repr=False)
class FactorCorrelations(Result):
    """How factors go together, and how much each explains."""

    rows: pd.DataFrame = field(repr=False)
    n: int

    def tidy(self) -> pd.DataFrame:
        """One row per pair of factors."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}


@dataclass(frozen=True, kw_only=True, repr=False)
class FactorAnalysis(Result):
    """Which item belongs to which factor.

    Attributes
    ----------
    rows : DataFrame
        One row per item and factor; communality, uniqueness and complexity belong to the item.
    loadings : DataFrame, shape (p items, m factors)
        Pattern loadings for further computing.
    correlations : FactorCorrelations
        Of the factors.
    fit : FactorFit
        How well the factors reproduce the correlations.
    explained : tuple of float
        Share of the items' variance each factor explains.
    n, n_dropped : int
        Respondents used and left out.
    """

    rows: pd.DataFrame = field(repr=False)
    loadings: pd.DataFrame = field(repr=False)
    correlations: FactorCorrelations = field(repr=False)
    fit: FactorFit = field(repr=False)
    explained: tuple[float, ...]
    n: int
    n_dropped: int

    picture: ClassVar = staticmethod(screes.loadings)

    def tidy(self) -> pd.DataFrame:
        """One row per item and factor."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, items, factors, fit and the share of variance explained; what is not known is left out."""
        names = ("statistic", "df", "p_value", "rmsea", "rmsea_low", "rmsea_high", "tli", "rmsr", "bic")
        line = {
            "n": self.n,
            "n_dropped": self.n_dropped,
            "n_items": len(self.loadings),
            "n_factors": self.loadings.shape[1],
            "explained": float(sum(self.explained)),
            **{name: getattr(self.fit, name) for name in names},
        }
        return {name: value for name, value in line.items() if value == value}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the loadings as colored cells."""
        return super().plot(ax or figures.new_axes(len(self.loadings)))

    def table(self) -> tables.Table:
        """One row per item, one column per factor."""
        shown = self.shown()
        items = shown.drop_duplicates("term").set_index("term")[["communality", "uniqueness", "complexity"]]
        wide = shown.pivot(index="term", columns="factor", values="loading").loc[items.index, list(self.loadings)]
        rows = [
            (
                self.labels.get(name, name),
                *(apa.write("loading", value) for value in wide.loc[name]),
                *(apa.write(column, value) for column, value in items.loc[name].items()),
            )
            for name in items.index
        ]
        headings = ("Item", *wide, *(apa.column(name).heading for name in items))
        return tables.Table(
            title=self.title,
            headings=headings,
            rows=tuple(rows),
            numeric=(False, *[True] * (len(headings) - 1)),
            note=self.note,
        )

    def alt_text(self) -> str:
        """Say for each factor which items load on it."""
        parts = []
        for name, column in self.loadings.items():
            strong = column[column.abs() >= WEAK].sort_values(key=np.abs, ascending=False)
            words = [f"{self.labels.get(item, item)} {apa.bounded(value)}" for item, value in strong.items()]
            parts.append(f"{name}: {', '.join(words) or 'no item'}")
        return f"{self.title}. {'; '.join(parts)}."


@dataclass(frozen=True, kw_only=True)
class _Correlated:
    """Items with their correlations."""

    battery: Battery
    matrix: Floats
    widening: Floats | None
    n_dropped: int


def choose_factors(
    items: Data, scales: Sequence[str] | str | None = None, *, correlation: Correlation = "pearson", seed: int = 1
) -> FactorChoice:
    """Find out how many factors stand behind items, by several criteria side by side.

    Parameters
    ----------
    items : DataFrame, shape (n respondents, p items), or Survey
        Answers; or a survey, whose codebook says what to turn round.
    scales : str or sequence of str, optional
        Scales of the survey whose items are taken together; all of them if left out.
    correlation : {"pearson", "polychoric"}
        Correlations of the answers, or of the attitudes behind ordinal answers.
    seed : int
        Fixes the simulated eigenvalues.

    Returns
    -------
    FactorChoice
        One row per criterion. The verdict is a range when both parallel analyses differ.

    Raises
    ------
    DataError
        If there are fewer than 3 items, one is constant, text or without answers, or stands in two scales.
    EstimationError
        If the correlations are not positive definite, or there are no more respondents than items.

    Notes
    -----
    Chance is 500 times the correlations of unrelated normal items. With polychoric correlations they are widened per
    item to the spread such correlations have. Common factors: squared multiple correlations on the diagonal.

    References
    ----------
    Horn (1965); Humphreys & Ilgen (1969); Velicer (1976); Raiche et al. (2013); Kaiser & Rice (1974); Bartlett (1951).
    Agrees with R psych (fa.parallel with SMC = TRUE, vss, KMO, cortest.bartlett) and nFactors
    (tests/reference/factors.R).
    How criteria differ: Auerswald & Moshagen (2019), Psychological Methods 24, 468-491.
    """
    check_seed(seed)
    with one_thread():
        correlated = _correlated(items, scales, correlation)
        parallel = parallel_analysis(
            correlated.matrix, correlated.battery.n, quantile=QUANTILE, widening=correlated.widening, seed=seed
        )
        partials = average_partials(correlated.matrix)
        adequacy, test = sampling_adequacy(correlated.matrix), sphericity(correlated.matrix, correlated.battery.n)
    suggested = _suggestions(parallel, partials)
    counting = [suggested[name] for name in TRUSTED]
    battery = correlated.battery
    return FactorChoice(
        title="How many factors?",
        note=(
            f"{CORRELATIONS[correlation].capitalize()} of {plural(battery.k, 'item')}, only respondents who answered "
            "all. The verdict is where both parallel analyses (95th percentile) agree, since they err to opposite "
            "sides; the others are remarks. "
            "Common factors: squared multiple correlations on the diagonal. Bartlett's test: chi-squared."
        ),
        findings=(
            *_choice_findings(battery, adequacy, test),
            *_disagreement(counting),
            *_few(battery),
            *_alike(battery, correlation),
        ),
        labels=battery.labels,
        privacy=battery.privacy,
        rows=pd.DataFrame(
            [{"rule": words, "n_factors": suggested[name], "reason": why} for name, (words, why) in CRITERIA.items()]
        ),
        scree=_scree(parallel),
        adequacy=adequacy,
        sphericity=test,
        fewest=min(counting),
        most=max(counting),
        verdict=_verdict(min(counting), max(counting)),
        n=battery.n,
        n_dropped=correlated.n_dropped,
        n_items=battery.k,
    )


def factor_analysis(
    items: Data,
    n_factors: int,
    *,
    scales: Sequence[str] | str | None = None,
    method: Extracting = "minres",
    rotation: Rotating = "oblimin",
    kaiser: bool | None = None,
    correlation: Correlation = "pearson",
    seed: int = 1,
) -> FactorAnalysis:
    """Find out which item belongs to which factor.

    Parameters
    ----------
    items : DataFrame, shape (n respondents, p items), or Survey
        Answers; or a survey, whose codebook says what to turn round.
    n_factors : int
        Number of factors; see `choose_factors`.
    scales : str or sequence of str, optional
        Scales of the survey whose items are taken together; all of them if left out.
    method : {"minres", "ml", "pa"}
        How factors are extracted: minimum residual, maximum likelihood or principal axes.
    rotation : {"oblimin", "varimax", "promax", "none"}
        How they are turned to simple structure.
    kaiser : bool, optional
        Whether items count the same in the rotation whatever their communality. Left out, as R has it: yes for varimax
        and promax, no for oblimin.
    correlation : {"pearson", "polychoric"}
        Correlations of the answers, or of the attitudes behind ordinal answers.
    seed : int
        Fixes the random starts of oblimin.

    Returns
    -------
    FactorAnalysis
        One row per item and factor; `correlations` says how factors go together. Factors are ordered by the variance
        they explain, and the sum of each one's loadings is not negative.

    Raises
    ------
    DataError
        If there are fewer than 3 items, one is constant, text or without answers, or stands in two scales.
    EstimationError
        If there are more factors than the degrees of freedom allow, the correlations are not positive definite, there
        are no more respondents than items, the search does not end, or a factor explains an item fully (Heywood case).

    References
    ----------
    Agrees with R psych::fa, stats::factanal, stats::varimax, stats::promax and GPArotation::oblimin
    (tests/reference/factors.R). Fit as psych::fa prints it. Complexity: Hofmann (1978), Multivariate Behavioral
    Research 13, 247-250.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> two = rng.standard_normal((500, 2)).repeat(3, axis=1) * 0.8
    >>> answers = pd.DataFrame(two + rng.standard_normal((500, 6)) * 0.6, columns=list("abcdef"))
    >>> factor_analysis(answers, 2).loadings.abs().idxmax(axis=1).tolist()
    ['F2', 'F2', 'F2', 'F1', 'F1', 'F1']
    """
    check_number_of_factors(n_factors)
    check_choice("method", method, EXTRACTIONS)
    check_choice("rotation", rotation, ROTATIONS)
    check_seed(seed)
    correlated = _correlated(items, scales, correlation)
    battery = correlated.battery
    check_identified(battery.k, n_factors)
    extraction = _extracted(correlated, n_factors, method)
    turned = rotate(extraction.loadings, rotation, kaiser=kaiser, seed=seed)
    fit = judge_fit(correlated.matrix, extraction, battery.n)
    loadings = pd.DataFrame(turned.loadings, index=list(battery.names), columns=[f"F{i + 1}" for i in range(n_factors)])
    note = (
        f"{CORRELATIONS[correlation].capitalize()}, only respondents who answered all items; {EXTRACTIONS[method]}; "
        f"{ROTATIONS[rotation]}. Loadings are pattern coefficients. Fit: likelihood ratio with Bartlett's correction"
        + (", only indicative for polychoric correlations." if correlation == "polychoric" else ".")
    )
    return FactorAnalysis(
        title=f"Factor analysis: {plural(n_factors, 'factor')} of {battery.title}",
        note=note,
        findings=(
            *_loading_findings(loadings),
            *_rotation_findings(turned),
            *_few(battery),
            *_alike(battery, correlation),
        ),
        labels=battery.labels,
        privacy=battery.privacy,
        rows=_rows(loadings, extraction),
        loadings=loadings,
        correlations=_between(turned, loadings, battery),
        fit=fit,
        explained=tuple((explained_variances(turned.loadings, turned.correlations) / battery.k).tolist()),
        n=battery.n,
        n_dropped=correlated.n_dropped,
    )


def _correlated(items: Data, scales: Sequence[str] | str | None, correlation: Correlation) -> _Correlated:
    check_choice("correlation", correlation, CORRELATIONS)
    n_rows = len(frame_of(items))
    battery = _battery(items, scales)
    if battery.n <= battery.k:
        raise EstimationError(few_rows(battery.n, battery.k, battery.k + 1, "more than items", battery.privacy))
    widening = None
    if correlation == "pearson":
        matrix = np.corrcoef(battery.answers, rowvar=False)
    else:
        sample = ordinal_codes(pd.DataFrame(battery.answers, columns=list(battery.names)), missing="listwise")
        matrix = polychorics(sample).correlations
        widening = polychoric_widening([np.bincount(codes[codes >= 0]) for codes in sample.codes.T])
    if np.linalg.eigvalsh(matrix)[0] < SMALLEST_EIGENVALUE:
        raise EstimationError(_singular(battery, correlation))
    return _Correlated(battery=battery, matrix=matrix, widening=widening, n_dropped=n_rows - battery.n)


def _singular(battery: Battery, correlation: Correlation) -> str:
    same = repeated_items(battery.answers, battery.names)
    problem = (
        f"{battery.title}: the {CORRELATIONS[correlation]} are not positive definite, so no factor can be computed."
    )
    if same:
        return f"{problem} {same}"
    if correlation == "polychoric":
        return f"{problem} Join rarely used answers, or leave items out that repeat others."
    return f"{problem} An item follows from the others, such as a sum of them. Leave it out."


def _battery(items: Data, scales: Sequence[str] | str | None) -> Battery:
    refuse_scale_of_table(items, scales)
    if not isinstance(items, Survey):
        _check_enough(items, "The items")
        return battery_of(items, None, 0.95, "listwise")
    chosen = scales_of(items, scales)
    names = [name for scale in chosen for name in scale.items]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"Items in two of the scales: {join_words(twice)}. Name scales that have no item in common, or correct "
            "`scales:` in the codebook."
        )
    answers = pd.concat([items_of(items, scale.name) for scale in chosen], axis=1)
    title = join_words([scale.label for scale in chosen])
    _check_enough(answers, title)
    turned = {v.name: f"{v.label} (turned round)" for v in items.codebook.variables if v.reverse}
    return replace(
        battery_of(answers, None, 0.95, "listwise", privacy=items.privacy),
        title=title,
        labels={**items.codebook.labels, **turned},
    )


def _check_enough(frame: pd.DataFrame, title: str) -> None:
    if frame.shape[1] < FEWEST_ITEMS:
        raise DataError(f"{title}: a factor needs {FEWEST_ITEMS} items or more in a frame. Add items.")


def _suggestions(parallel: ParallelAnalysis, partials: PartialCorrelations) -> dict[str, int]:
    roots = parallel.components.observed
    by_chance = parallel.components.simulated_quantile
    return {
        "factors": parallel.factors.n_above_quantile,
        "factors_mean": parallel.factors.n_above_mean,
        "components": parallel.components.n_above_quantile,
        "components_mean": parallel.components.n_above_mean,
        "map": int(np.argmin(partials.squared)),
        "map_fourth": int(np.argmin(partials.fourth)),
        "coordinates": optimal_coordinates(roots, by_chance),
        "acceleration": acceleration_factor(roots, by_chance),
        "kaiser": int((roots > 1).sum()),
    }


def _verdict(fewest: int, most: int) -> str:
    if most == 0:
        return "no common factor"
    return plural(most, "factor") if fewest == most else f"cannot tell: {fewest} to {plural(most, 'factor')}"


def _scree(parallel: ParallelAnalysis) -> pd.DataFrame:
    kinds = {"components": parallel.components, "common factors": parallel.factors}
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "rule": kind,
                    "n_factors": np.arange(len(one.observed)) + 1,
                    "estimate": one.observed,
                    "threshold": one.simulated_quantile,
                }
            )
            for kind, one in kinds.items()
        ],
        ignore_index=True,
    )


def _choice_findings(battery: Battery, adequacy: Adequacy, test: Sphericity) -> list[Finding]:
    found = []
    if adequacy.overall < rules.SAMPLING.cuts[1]:
        text = (
            f"The items share little with each other (KMO {apa.bounded(adequacy.overall)}, "
            f"{rules.SAMPLING.read(adequacy.overall)}): factors would say little about them."
        )
        severity = "serious" if adequacy.overall < POOR_ITEM else "warning"
        found.append(Finding(name="low_adequacy", text=text, severity=severity))
    low = [name for name, value in zip(battery.names, adequacy.items, strict=True) if value < POOR_ITEM]
    if low:
        text = f"Items that share too little with the others (MSA below {apa.bounded(POOR_ITEM)}): {join_words(low)}."
        found.append(Finding(name="inadequate_items", text=text))
    if test.p_value >= 0.05:
        text = "Bartlett's test does not reject that the items have nothing in common: there may be no factor to find."
        found.append(Finding(name="no_common_variance", text=text, severity="serious"))
    return found


def _disagreement(counting: Sequence[int]) -> list[Finding]:
    fewest, most = min(counting), max(counting)
    if fewest == most:
        return []
    text = (
        f"The two parallel analyses differ: {fewest} to {plural(most, 'factor')}. Compare these solutions by what the "
        "items say, prefer the one you can name, and confirm it in other answers."
    )
    return [Finding(name="criteria_differ", text=text)]


def _few(battery: Battery) -> list[Finding]:
    if battery.n >= max(FEW, FEW_PER_ITEM * battery.k):
        return []
    text = (
        f"Only {plural(battery.n, 'respondent')} for {battery.k} items: factors may look different in other answers. "
        f"{FEW} respondents and {FEW_PER_ITEM} per item are a common minimum."
    )
    return [Finding(name="few_respondents", text=text)]


def _alike(battery: Battery, correlation: Correlation) -> list[Finding]:
    """Name items of few answers that nearly everybody answered alike: their Pearson correlations follow their shape."""
    if correlation != "pearson":
        return []
    counts = [np.unique(column, return_counts=True)[1] for column in battery.answers.T]
    skewness = np.abs(stats.skew(battery.answers, axis=0))
    alike = [
        name
        for name, count, skew in zip(battery.names, counts, skewness, strict=True)
        if len(count) <= FEW_ANSWERS and (skew > SKEWED or count.max() > NEARLY_ALL * battery.n)
    ]
    if not alike:
        return []
    text = (
        f"{join_words(alike)}: items answered almost alike by nearly everybody can form factors of their own. Compare "
        'with correlation="polychoric".'
    )
    return [Finding(name="skewed_items", text=text)]


def _extracted(correlated: _Correlated, n_factors: int, method: Extracting) -> Extraction:
    try:
        return extract(correlated.matrix, n_factors, method=method)
    except HeywoodError as error:
        labels, codes = correlated.battery.labels, correlated.battery.names
        names = tuple(f'"{labels[codes[i]]}"' if codes[i] in labels else codes[i] for i in error.places)
        raise HeywoodError(np.array(error.places), names) from None


def _rows(loadings: pd.DataFrame, extraction: Extraction) -> pd.DataFrame:
    p, m = loadings.shape
    return pd.DataFrame(
        {
            "term": np.repeat(loadings.index.to_numpy(), m),
            "factor": np.tile(loadings.columns.to_numpy(), p),
            "loading": loadings.to_numpy().ravel(),
            "communality": np.repeat(1 - extraction.uniquenesses, m),
            "uniqueness": np.repeat(extraction.uniquenesses, m),
            "complexity": np.repeat(complexities(loadings.to_numpy()), m),
        }
    )


def _between(turned: Rotation, loadings: pd.DataFrame, battery: Battery) -> FactorCorrelations:
    one, other = np.triu_indices(loadings.shape[1], 1)
    names = loadings.columns.to_numpy()
    return FactorCorrelations(
        title="Correlations of the factors",
        note="Factors of variance 1." if len(one) else "There is one factor only.",
        labels=battery.labels,
        privacy=battery.privacy,
        rows=pd.DataFrame(
            {"term": names[one], "other_term": names[other], "correlation": turned.correlations[one, other]}
        ),
        n=battery.n,
    )


def _loading_findings(loadings: pd.DataFrame) -> list[Finding]:
    strong = np.abs(loadings.to_numpy()) >= WEAK
    nowhere, several = (list(loadings.index[places]) for places in (~strong.any(axis=1), strong.sum(axis=1) > 1))
    thin = list(loadings.columns[strong.sum(axis=0) < FEWEST_ITEMS])
    found = []
    if nowhere:
        text = f"On no factor load (all below {apa.bounded(WEAK)}): {join_words(nowhere)}. Read their wording."
        found.append(Finding(name="no_loading", text=text))
    if several:
        text = (
            f"On two factors or more load ({apa.bounded(WEAK)} and above): {join_words(several)}. "
            "They cannot tell these factors apart."
        )
        found.append(Finding(name="cross_loading", text=text))
    if thin:
        text = f"Fewer than {FEWEST_ITEMS} items load on {join_words(thin)}: there may be a factor too many."
        found.append(Finding(name="thin_factor", text=text))
    return found


def _rotation_findings(turned: Rotation) -> list[Finding]:
    if turned.n_agreed == turned.n_starts:
        return []
    text = (
        f"The rotation has several solutions: {turned.n_agreed} of {turned.n_starts} starts ended in the best one, "
        "which is shown. Ask for fewer factors, or look at a second rotation before you name the factors."
    )
    return [Finding(name="local_minima", text=text)]
