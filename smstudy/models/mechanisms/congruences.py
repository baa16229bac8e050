"""Does the outcome depend on the agreement of two things? Quadratic regression and its response surface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, figures, rules
from smstudy.display.prose import lower_first
from smstudy.display.surfaces import contours
from smstudy.errors import ColumnError, DataError, StudyError, did_you_mean
from smstudy.inference.bootstrap import Bootstrap, bootstrap, moment_matrices
from smstudy.inference.linearization import Lonely
from smstudy.inference.multiplicity import holm
from smstudy.inference.regression.covariance import Kind
from smstudy.inference.regression.design import build_design
from smstudy.inference.regression.formula import parse_formula
from smstudy.inference.regression.surfaces import (
    AXES,
    CONTRASTS,
    LINES,
    Region,
    axes_slopes,
    data_region,
    drops,
    principal_axes,
    quadratic_terms,
)
from smstudy.inference.threads import one_thread
from smstudy.models.ranges import checked_range, possible_range
from smstudy.models.regressions.regression import Regression, regress
from smstudy.models.samplings import Population
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of
from smstudy.survey.disclosure import pool_hidden, pooled_column
from smstudy.survey.weights import Weights

Array = NDArray[np.float64]
CONGRUENCE, NOT_SHOWN, CANNOT_TELL = "congruence", "no congruence shown", "cannot tell"
MET, CONTRADICTED, OPEN = "met", "contradicted", "open"
TERMS = ("(first)", "(second)", "(first²)", "(first × second)", "(second²)")
CERTAIN = 0.05
USUAL = (0.10, 0.90)
FEWEST_RESAMPLES = 100
SLOPES = (0.5, 2.0)  # slopes of the ridge that count as that of agreement
SHIFT = 1 / 8  # of the answer scale: shifts that count as none
NOTE = (
    "Outcome on both, their squares and their product, both less {middle}. a1 and a2: slope "
    "and curvature where both agree; a3 and a4: where one is as far above the middle as the other is below; a5: 0 if "
    "the ridge runs parallel to agreement. {errors}. Corrected p: Holm, for a1 to a5. {axes}. Verdict: conditions of "
    "Humberg, Nestler and Back, met only if the interval lies inside a margin, and a lower outcome where one or both "
    "move away from agreement; see the checklist. One survey shows what goes together, not what leads to what."
)


@dataclass(frozen=True, kw_only=True, repr=False)
class CongruenceChecklist(Result):
    """The conditions of a congruence effect, each met, contradicted or open."""

    rows: pd.DataFrame = field(repr=False)
    n: int

    def tidy(self) -> pd.DataFrame:
        """One row per condition: check, verdict, reason."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Congruence(Result):
    """A response surface.

    Attributes
    ----------
    verdict : {"congruence", "no congruence shown", "cannot tell"}
        Whether the outcome is highest where both agree.
    checklist : CongruenceChecklist
        The conditions behind the verdict.
    regression : Regression
        The quadratic regression, both variables centered.
    grid : DataFrame
        first, second, fitted: the surface where enough respondents are near, else missing.
    rows : DataFrame
        The tidy table.
    summary : mapping
        What `glance()` gives.
    matrix : array
        Covariance of the rows.
    names : tuple of str
        First and second variable, and the outcome.
    ridge : (float, float) or None
        Intercept and slope of the first principal axis, on the scale of the answers, where the outcome falls off beside
        it.
    """

    verdict: str
    checklist: CongruenceChecklist
    regression: Regression
    grid: pd.DataFrame = field(repr=False)
    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    matrix: Array = field(repr=False)
    names: tuple[str, str, str]
    ridge: tuple[float, float] | None

    picture: ClassVar = staticmethod(contours)

    def tidy(self) -> pd.DataFrame:
        """One row per number of the surface: a1 to a5, stationary point and principal axes."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, fit and verdict."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out what only computations need."""
        left = ("statistic", "df", "p_value")
        return shown[[name for name in shown if name not in left and shown[name].notna().any()]]

    def pooling(self) -> Poolable:
        """All numbers of the surface with their covariance by the delta method."""
        return Poolable(
            keys=self.rows[["term"]],
            estimates=self.rows["estimate"].to_numpy(float),
            covariance=self.matrix,
            df_complete=self.rows["df"].fillna(np.inf).to_numpy(float),
            n=int(self.summary["n"]),
            title=self.title,
            note="Response surface; a1 to a5, stationary point and principal axes.",
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the surface as lines of equal height, only where enough respondents are near."""
        ax = ax or figures.new_axes(12)
        if self.shown().get("hidden", pd.Series([False])).any():
            return figures.nothing(ax, self.grid, labels=self.labels, title=self.title)
        draw = partial(contours, names=self.names, ridge=self.ridge)
        return draw(ax, self.grid, labels=self.labels, title=self.title)

    def alt_text(self) -> str:
        """What the picture shows, in words."""
        return f"{self.title}: lines of equal height over both. Verdict: {self.verdict}. {super().alt_text()}"


class _Surface(NamedTuple):
    """A fitted surface: coefficients b1 to b5 with covariance, both variables centered, the standard deviations."""

    fit: Regression
    places: Array
    x: Array
    y: Array
    middle: float
    spread: float
    outcome_spread: float
    conf_level: float

    @property
    def coefficients(self) -> Array:
        return self.fit.coefficients["estimate"].to_numpy()[self.places]

    @property
    def covariance(self) -> Array:
        return self.fit.matrix[np.ix_(self.places, self.places)]

    def tests(self, contrasts: Array) -> pd.DataFrame:
        """Estimates, errors and t tests of contrasts of b1 to b5, shape (m, 5)."""
        full = np.zeros((len(contrasts), len(self.fit.coefficients)))
        full[:, self.places] = contrasts
        df = self.fit.contrast_df(full)
        estimate = contrasts @ self.coefficients
        error = np.sqrt(np.einsum("ij,jk,ik->i", contrasts, self.covariance, contrasts))
        half = stats.t.isf((1 - self.conf_level) / 2, df) * error
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(error > 0, estimate / error, np.nan)
        return pd.DataFrame({
            "estimate": estimate, "std_error": error, "statistic": statistic, "df": df,
            "p_value": 2 * stats.t.sf(np.abs(statistic), df), "conf_low": estimate - half, "conf_high": estimate + half,
        })  # fmt: skip


def congruence(
    data: Data,
    outcome: str,
    first: str,
    second: str,
    *,
    answers: tuple[float, float] | None = None,
    midpoint: float | None = None,
    controls: Sequence[str] = (),
    covariance: Kind | None = None,
    cluster: str | None = None,
    weights: Weights | str | None = None,
    strata: str | None = None,
    population: Population = None,
    lonely: Lonely = "refuse",
    n_boot: int = 0,
    seed: int = 1,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> Congruence:
    """Test whether an outcome is highest where two things agree, such as values espoused and values enacted.

    Parameters
    ----------
    data : Survey or DataFrame
        One row per respondent.
    outcome : str
        A number.
    first, second : str
        Two numbers on the same answer scale; differences of unlike answers mean nothing and are refused.
    answers : (float, float), optional
        Smallest and largest possible answer of both; needed for a frame, a survey has them in its codebook.
    midpoint : float, optional
        Value both are centered at; left out: the middle of the answers.
    controls : sequence of str
        Further columns that are held constant.
    covariance, cluster, weights, strata, population, lonely
        As in `regress`, but no wild bootstrap.
    n_boot : int
        Resamples for percentile intervals of stationary point and axes; 0 for intervals by the delta method.
    seed : int
        Of the resamples.
    conf_level : float
        Level of the intervals.
    min_n : int, optional
        Raises the smallest number of respondents that is shown, also near each point of the picture.

    Returns
    -------
    Congruence
        `verdict` is "congruence" if all conditions are met: a4 is below zero; the outcome is best, in the middle, where
        both differ by less than an eighth of the answer scale; the intervals of the first principal axis lie inside
        margins around the line of agreement (intercept within an eighth of the answer scale, slope 0.5 to 2); for each
        level of one there is a best level of the other, and it rises with it; and the outcome is significantly lower
        than at agreement, at low and at high levels, on both sides of it, and where only one of both moves away from it
        towards the middle (apart from the slope of the level). "No congruence shown" if a condition is contradicted,
        else "cannot tell".

    Raises
    ------
    StudyError
        If options cannot be read, or one column is named twice.
    DataError
        If the answer scales differ or are not known, a column is no number, or there are too few respondents.
    DisclosureError, EstimationError
        As in `regress`.

    Notes
    -----
    Simulated shares called congruence with 150 / 500 respondents, answers 1 to 5 of both that are not related, errors
    of 1: -0.3 (x - y)² .60 / 1, also with a slope of the level (.60 / 1); -0.15 (x - y)² .02 / .64; the ridge shifted
    by 0.6 or of slope 0.5, a dome -0.3 (x² + y²), -0.3 x², 0.3 x y, a dome with half the product, and nothing: 0
    to .01. True congruence is called "no congruence shown" in .02 / 0.

    References
    ----------
    Edwards & Parry (1993), Academy of Management Journal 36, 1577-1613; Shanock et al. (2010), J. Business and
    Psychology 25, 543-554; Humberg, Nestler & Back (2019), Social Psychological and Personality Science 10, 409-419.
    Agrees with R `lm`, `sandwich::vcovHC` and `car::deltaMethod` (tests/reference/congruence.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame(rng.integers(1, 6, (500, 2)).astype(float), columns=["say", "do"])
    >>> frame["trust"] = 4 - 0.4 * (frame["say"] - frame["do"]) ** 2 + rng.normal(0, 0.7, 500)
    >>> congruence(frame, "trust", "say", "do", answers=(1, 5)).verdict
    'congruence'
    """
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    limits = _checked(data, outcome, first, second, answers, controls)
    middle = _middle(midpoint, limits)
    if covariance == "wild":
        raise StudyError('covariance = "wild" has no errors for a surface. Use "CR2", or leave covariance= out.')
    if n_boot and (
        not isinstance(n_boot, Integral) or n_boot < FEWEST_RESAMPLES or weights is not None or strata or population
    ):
        raise StudyError(f"n_boot = {n_boot} must be 0 or at least {FEWEST_RESAMPLES}, without weights or strata.")
    prepared, formula = _prepared(data, outcome, (first, second), controls, middle, limits)
    fit = regress(
        formula, prepared, covariance=covariance, cluster=cluster, weights=weights, strata=strata,
        population=population, lonely=lonely, conf_level=conf_level, min_n=min_n,
    )  # fmt: skip
    surface = _surface(fit, prepared, outcome, middle)
    with one_thread():
        drawn = _resampled(formula, prepared, cluster, policy, n_boot, seed) if n_boot else None
        return _result(data, (first, second, outcome), surface, limits, drawn, policy)


def _checked(
    data: Data, outcome: str, first: str, second: str, answers: tuple[float, float] | None, controls: Sequence[str]
) -> tuple[float, float]:
    """The answer scale both share."""
    names = [outcome, first, second, *([controls] if isinstance(controls, str) else controls)]
    if isinstance(controls, str):
        raise StudyError(f'Give controls as a list, such as ["{controls}"].')
    if len(set(names)) < len(names):
        raise StudyError("A column is named twice. Outcome, first, second and controls must be different columns.")
    frame = frame_of(data)
    for name in names:
        if name not in frame:
            raise ColumnError(f'There is no column "{name}". {did_you_mean(str(name), map(str, frame.columns))}')
    given = {} if answers is None else dict.fromkeys((first, second), checked_range("", answers, option="answers"))
    known = {name: possible_range(data, name, {}) for name in (first, second)}
    if None not in known.values() and known[first] != known[second]:
        raise DataError(
            f'"{first}" and "{second}" have different answer scales, so that the same number does not mean agreement. '
            "Compare questions with the same answers."
        )
    limits = [possible_range(data, name, given) for name in (first, second)]
    if None in limits:
        raise DataError(
            f'The possible answers of "{first}" and "{second}" are not known. Give them, such as answers=(1, 5), or '
            "use a survey with a codebook."
        )
    if limits[0] not in (known[first], None) and known[first] is not None:
        raise StudyError(f"answers = {answers} differs from the codebook. Leave it out.")
    return limits[0]


def _middle(midpoint: float | None, limits: tuple[float, float]) -> float:
    low, high = limits
    if midpoint is None:
        return (low + high) / 2
    if isinstance(midpoint, bool) or not isinstance(midpoint, (int, float)) or not low <= midpoint <= high:
        raise StudyError(f"midpoint = {midpoint!r} lies outside the answers, which go from {low:g} to {high:g}.")
    return float(midpoint)


def _prepared(
    data: Data,
    outcome: str,
    names: tuple[str, str],
    controls: Sequence[str],
    middle: float,
    limits: tuple[float, float],
) -> tuple[Data, str]:
    """The data with the terms of the surface, and the formula."""
    frame = frame_of(data)
    if not pd.api.types.is_numeric_dtype(frame[outcome]):
        raise DataError(f'The outcome "{outcome}" is text or categories. A surface needs a number; name one.')
    columns = [_numbers(frame, name, limits) - middle for name in names]
    if np.nanmax(np.abs(np.subtract(*columns)), initial=0.0) == 0:
        raise DataError(f'"{names[0]}" and "{names[1]}" never differ, so nothing follows from their agreement.')
    added = pd.DataFrame(quadratic_terms(*columns), index=frame.index, columns=list(TERMS))
    prepared = (
        data.with_columns(added, "terms of a response surface")
        if isinstance(data, Survey)
        else frame.assign(**{name: added[name].to_numpy() for name in added})
    )
    right = " + ".join(f"`{name}`" for name in (*TERMS, *controls))
    return prepared, f"`{outcome}` ~ {right}"


def _numbers(frame: pd.DataFrame, name: str, limits: tuple[float, float]) -> Array:
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column):
        raise DataError(f'"{name}" is no number. Name two questions or scales that are answered by numbers.')
    values = column.to_numpy(float, na_value=np.nan)
    if np.nanmin(values, initial=np.inf) < limits[0] or np.nanmax(values, initial=-np.inf) > limits[1]:
        raise DataError(f'"{name}" has values outside {limits[0]:g} to {limits[1]:g}. Correct the range, or the data.')
    if not np.isfinite(values).any() or np.nanmin(values) == np.nanmax(values):
        raise DataError(f'"{name}" has the same value in all rows. Name a question whose answers differ.')
    return values


def _surface(fit: Regression, prepared: Data, outcome: str, middle: float) -> _Surface:
    used = frame_of(prepared).loc[fit.used]
    x, y = (used[name].to_numpy(float) for name in TERMS[:2])
    places = [list(fit.coefficients["term"]).index(name) for name in TERMS]
    return _Surface(
        fit=fit, places=np.array(places), x=x, y=y, middle=middle, spread=float(np.sqrt((x.var() + y.var()) / 2)),
        outcome_spread=float(used[outcome].to_numpy(float).std()), conf_level=float(fit.summary["conf_level"]),
    )  # fmt: skip


def _resampled(formula: str, prepared: Data, cluster: str | None, policy: Privacy, n_boot: int, seed: int) -> Bootstrap:
    """Stationary point and axes of resamples of respondents, or of clusters."""
    parsed, also = parse_formula(formula), [cluster] if cluster else []
    design = build_design(parsed, pool_hidden(prepared, parsed.columns), min_level_n=policy.min_n, also=also)
    groups = pd.factorize(pooled_column(prepared, cluster)[design.used])[0] if cluster else None
    moments = moment_matrices(np.column_stack([design.x, design.y]))
    places = [design.names.index(name) for name in TERMS]

    def statistic(counts: Array) -> Array:
        products = moments(counts)
        solved = np.linalg.solve(products[:, :-1, :-1], products[:, :-1, -1:])[..., 0]
        return principal_axes(solved[:, places])

    return bootstrap(statistic, len(design.y), n_boot=n_boot, seed=seed, groups=groups)


def _result(
    data: Data, names: tuple[str, str, str], surface: _Surface, limits: tuple[float, float],
    drawn: Bootstrap | None, policy: Privacy,
) -> Congruence:  # fmt: skip
    fit, labels = surface.fit, dict(labels_of(data))
    rows = _rows(surface, drawn)
    checks = _checklist(surface, rows.set_index("term"), limits)
    verdict = _verdict(checks["verdict"])
    slopes = np.vstack([CONTRASTS, axes_slopes(surface.coefficients)])
    words = {name: lower_first(labels.get(name, name)) for name in names[:2]}
    title = f"Agreement of {words[names[0]]} and {words[names[1]]}: {labels.get(names[2], names[2])}"
    n = int(fit.summary["n"])
    kept = ("n", "n_dropped", "n_groups", "r_squared", "df_residual", "covariance", "conf_level")
    return Congruence(
        title=title,
        note=_note(surface, drawn),
        findings=tuple(_findings(surface, verdict, rows)),
        labels=labels | _row_labels(words, names),
        privacy=policy,
        verdict=verdict,
        checklist=CongruenceChecklist(
            title=f"Conditions of congruence: {labels.get(names[2], names[2])}", rows=checks, n=n, labels=labels,
            privacy=policy, note="Congruence needs all met; one contradicted is enough against it.",
        ),
        regression=fit,
        grid=_grid(surface, limits, policy),
        rows=rows,
        summary={key: fit.summary[key] for key in kept if key in fit.summary} | {"verdict": verdict},
        matrix=slopes @ surface.covariance @ slopes.T,
        names=names,
        ridge=_ridge(surface) if checks["verdict"][0] == MET else None,
    )  # fmt: skip


def _rows(surface: _Surface, drawn: Bootstrap | None) -> pd.DataFrame:
    """a1 to a5 with their tests; then stationary point and axes with intervals."""
    lines = surface.tests(CONTRASTS).assign(term=LINES)
    lines["p_adjusted"] = holm(lines["p_value"].to_numpy())
    unit = np.where(np.abs(CONTRASTS[:, 2:]).any(axis=1), surface.spread**2, surface.spread) / surface.outcome_spread
    lines["std_estimate"] = lines["estimate"] * unit
    lines["reading"] = [_reading(row) for row in lines.to_dict("records")]
    axes = surface.tests(axes_slopes(surface.coefficients)).assign(term=AXES)
    shift = principal_axes(surface.coefficients) - axes["estimate"]
    for name in ("estimate", "conf_low", "conf_high"):
        axes[name] += shift
    if drawn is not None:
        axes["conf_low"], axes["conf_high"] = drawn.interval(surface.conf_level)
        axes["df"] = np.nan
    axes = axes.drop(columns=["statistic", "p_value"])
    order = ["term", "estimate", "std_error", "statistic", "df", "p_value", "p_adjusted", "conf_low", "conf_high",
             "std_estimate", "reading"]  # fmt: skip
    return pd.concat([lines, axes], ignore_index=True).reindex(columns=order).assign(
        reading=lambda table: table["reading"].fillna("")
    )  # fmt: skip


def _reading(row: Mapping[str, float]) -> str:
    if not row["p_adjusted"] < CERTAIN:
        return "direction uncertain"
    up, down = {
        "a1": ("higher where both are higher", "lower where both are higher"),
        "a2": ("higher at both ends of agreement", "lower at both ends of agreement"),
        "a3": ("higher where the first exceeds the second", "lower where the first exceeds the second"),
        "a4": ("higher the more both differ", "lower the more both differ"),
        "a5": ("the ridge is turned away from agreement",) * 2,
    }[row["term"]]
    return f"{up if row['estimate'] > 0 else down} ({rules.STANDARDIZED.read(abs(row['std_estimate']))})"


def _usual(surface: _Surface) -> tuple[Array, Array]:
    """Low and high levels, and differences to either side, that are usual among the respondents."""
    return (np.quantile((surface.x + surface.y) / 2, USUAL), np.quantile((surface.x - surface.y) / 2, USUAL))


def _two_sided(surface: _Surface) -> bool:
    """Whether at least one in ten respondents is on either side of agreement."""
    low, high = _usual(surface)[1]
    return bool(low < 0 < high)


def _checklist(surface: _Surface, rows: pd.DataFrame, limits: tuple[float, float]) -> pd.DataFrame:
    a4, p10, p11 = (rows.loc[name] for name in ("a4", "p10", "p11"))
    far = SHIFT * (limits[1] - limits[0])
    turned, shifted = _not_zero(rows.loc["a5"]), _not_zero(rows.loc["a3"])
    checks = [
        ("The outcome is lower the more both differ (a4 below zero)", _falls(surface, a4), _interval(a4)),
        ("In the middle the outcome is best where both agree (a3 is near zero)", *_centered(surface, rows, far)),
        (f"The ridge has the slope of agreement (p11 is {SLOPES[0]:g} to {SLOPES[1]:g})", 
         _inside(p11, 1.0, *SLOPES, sure=turned), _interval(p11)),
        (f"The ridge is not shifted (p10 is within {far:g} of zero)", 
         _inside(p10, 0.0, -far, far, sure=turned or shifted), _interval(p10)),
        ("Each level of one has a best level of the other, which rises with it", *_best_rises(surface)),
        ("The outcome is lower on both sides of agreement, at low and high levels", *_lower_around(surface)),
        ("The outcome is lower if only one moves away from agreement", *_lower_alone(surface)),
    ]  # fmt: skip
    return pd.DataFrame(checks, columns=["check", "verdict", "reason"])


def _interval(row: pd.Series) -> str:
    if not np.isfinite([row["conf_low"], row["conf_high"]]).all():
        return "It does not exist for this surface."
    return f"{apa.number(row['estimate'])}, interval {apa.interval(row['conf_low'], row['conf_high'])}"


def _falls(surface: _Surface, a4: pd.Series) -> str:
    """Contradicted also where even the lower end of the interval is a negligible fall at a usual difference."""
    if a4["conf_high"] < 0:
        return MET
    far = float(np.abs(_usual(surface)[1]).max())
    most = -a4["conf_low"] * far**2 / surface.outcome_spread
    return CONTRADICTED if most < rules.EFFECT.cuts[0] else OPEN


def _not_zero(row: pd.Series) -> bool:
    return bool(row["conf_low"] > 0 or row["conf_high"] < 0)


def _inside(row: pd.Series, value: float, lowest: float, highest: float, *, sure: bool) -> str:
    """Met only if the interval lies inside the margin: a wide interval around the value tells nothing.

    The interval of a ratio errs where the ridge is flat, so it contradicts only if a3 or a5, being sums, do (`sure`).
    """
    low, high = row["conf_low"], row["conf_high"]
    if lowest <= low and high <= highest:
        return MET
    return CONTRADICTED if sure and (high < value or low > value) else OPEN


def _centered(surface: _Surface, rows: pd.DataFrame, far: float) -> tuple[str, str]:
    """Two one-sided tests that the best difference in the middle, -a3 / a4, is less than `far` from zero."""
    a3, reason = rows.loc["a3"], _interval(rows.loc["a3"])
    if _largest_p(surface, CONTRASTS[3] * far + np.outer([1, -1], CONTRASTS[2])) < CERTAIN:
        return MET, reason
    return (CONTRADICTED if _not_zero(a3) else OPEN), reason


def _best_rises(surface: _Surface) -> tuple[str, str]:
    """Intersection-union test that the surface bends down in either direction and that the product is positive.

    Each is as large as a4 if the outcome depends on the squared difference alone.
    """
    bends = np.array([[0.0, 0, 4, 0, 0], [0, 0, 0, 0, 4], [0, 0, 0, -2, 0]])
    tests = surface.tests(bends)
    largest = _largest_p(surface, bends)
    reason = f"largest p of the three tests {apa.write('p_value', largest)}"
    if largest < CERTAIN:
        return MET, reason
    falls = [_falls(surface, row) for _, row in tests.iterrows()]
    return (CONTRADICTED if CONTRADICTED in falls else OPEN), reason


def _lower_around(surface: _Surface) -> tuple[str, str]:
    """Both move away from agreement, in opposite directions, from two levels."""
    levels, gaps = _usual(surface)
    return _all_lower(surface, drops(np.repeat(levels, 2), np.tile(gaps, 2)))


def _lower_alone(surface: _Surface) -> tuple[str, str]:
    """One moves from a low or a high level, where both agree, towards the middle; less what both would lose by it."""
    (low, high), (below, above) = _usual(surface)
    start = np.array([low, low, high, high])
    first, second = np.array([above, 0, below, 0]), np.array([0, -below, 0, -above])
    moved = quadratic_terms(start + first, start + second) - quadratic_terms(start, start)
    return _all_lower(surface, moved - np.outer(first + second, CONTRASTS[0]) / 2)


def _all_lower(surface: _Surface, contrasts: Array) -> tuple[str, str]:
    """Intersection-union test, each contrast one-sided at 5 %."""
    if not _two_sided(surface):
        return OPEN, "Fewer than one in ten respondents are on one side of agreement."
    lower, higher = _largest_p(surface, contrasts), _smallest_p(surface, -contrasts)
    reason = f"largest p of the four tests {apa.write('p_value', lower)}"
    if lower < CERTAIN:
        return MET, reason
    return (CONTRADICTED if higher < CERTAIN / len(contrasts) else OPEN), reason


def _p_below_zero(surface: _Surface, contrasts: Array) -> Array:
    tests = surface.tests(contrasts)
    return np.nan_to_num(stats.t.cdf(tests["statistic"], tests["df"]), nan=1.0)


def _largest_p(surface: _Surface, contrasts: Array) -> float:
    return float(_p_below_zero(surface, contrasts).max())


def _smallest_p(surface: _Surface, contrasts: Array) -> float:
    return float(_p_below_zero(surface, contrasts).min())


def _verdict(checks: pd.Series) -> str:
    if (checks == CONTRADICTED).any():
        return NOT_SHOWN
    return CONGRUENCE if (checks == MET).all() else CANNOT_TELL


def _grid(surface: _Surface, limits: tuple[float, float], policy: Privacy) -> pd.DataFrame:
    """The surface, with controls at their means, where enough respondents are near."""
    region: Region = data_region(surface.x + surface.middle, surface.y + surface.middle, limits, min_n=policy.min_n)
    terms = quadratic_terms(region.x - surface.middle, region.y - surface.middle)
    own = quadratic_terms(surface.x, surface.y) @ surface.coefficients
    level = float(np.mean(surface.fit.fitted) - np.mean(own))
    fitted = np.where(region.inside, level + terms @ surface.coefficients, np.nan)
    return pd.DataFrame({"first": region.x.ravel(), "second": region.y.ravel(), "fitted": fitted.ravel()})


def _ridge(surface: _Surface) -> tuple[float, float] | None:
    """The first axis on the scale of the answers."""
    axes = dict(zip(AXES, principal_axes(surface.coefficients), strict=True))
    intercept, slope = axes["p10"], axes["p11"]
    if not np.isfinite([intercept, slope]).all():
        return None
    return float(intercept + surface.middle * (1 - slope)), float(slope)


def _findings(surface: _Surface, verdict: str, rows: pd.DataFrame) -> Iterator[Finding]:
    yield from (finding for finding in surface.fit.findings if finding.name != "collinearity")
    if not _two_sided(surface):
        text = "Fewer than one in ten respondents are on one side of agreement, so nothing can be said about that side."
        yield Finding(name="one_sided", text=text)
    along = rows.set_index("term").loc[["a1", "a2"]]
    if verdict == CONGRUENCE and ((along["conf_low"] <= 0) & (along["conf_high"] >= 0)).all():
        text = "Agreement goes with the same outcome at every level, as far as can be told (strict congruence)."
        yield Finding(name="strict_congruence", text=text, severity="info")


def _note(surface: _Surface, drawn: Bootstrap | None) -> str:
    fitted = surface.fit.note.partition(". ")[0].rstrip(".")
    axes = "Stationary point and axes by the delta method"
    if drawn is not None:
        axes = f"Stationary point and axes by {len(drawn.draws):,} resamples"
    return NOTE.format(middle=f"{surface.middle:g}", errors=fitted, axes=axes)


def _row_labels(words: Mapping[str, str], names: tuple[str, str, str]) -> dict[str, str]:
    first, second = (words[name] for name in names[:2])
    return {
        "a1": "a1: slope, both rise", "a2": "a2: curvature, both rise",
        "a3": f"a3: slope, {first} above {second}", "a4": "a4: curvature, both differ", "a5": "a5: ridge turned",
        "x0": f"Stationary point: {first}", "y0": f"Stationary point: {second}",
        "p10": "First axis: intercept", "p11": "First axis: slope",
        "p20": "Second axis: intercept", "p21": "Second axis: slope",
    }  # fmt: skip
