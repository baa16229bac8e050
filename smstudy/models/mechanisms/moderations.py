"""For whom a driver goes with an outcome: slopes at values of a moderator, and where they can be told from zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, figures, interactions, rules
from smstudy.display.prose import join_words
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError
from smstudy.inference.regression.covariance import Kind
from smstudy.inference.regression.design import INTERCEPT, Design, Levels, build_design
from smstudy.inference.regression.formula import Factor, Formula, Term, parse_formula, term_label
from smstudy.inference.regression.johnson_neyman import Line, Region, Slopes, regions
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.threads import one_thread
from smstudy.models.mechanisms.moderator_values import (
    end_words,
    quantile_of_several,
    told_apart,
    usual_values,
    without_numbers,
)
from smstudy.models.ranges import range_of_several
from smstudy.models.regressions.regression import Regression, regress
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, labels_of, privacy_of
from smstudy.survey.disclosure import pool_hidden
from smstudy.survey.suppression import hidden_rows

Array = NDArray[np.float64]
DIFFERS, CANNOT_TELL = "differs", "cannot tell"
SIGNS = {1: "positive", 0: CANNOT_TELL, -1: "negative"}
N_DRAWN = 101
N_BINS = 12
OVERLAP = 0.3
PICTURE_ROWS = 8
SHARE_STEP = 0.05  # finer ones, at many levels, would tell how many respondents are between two borders


@dataclass(frozen=True, kw_only=True, repr=False)
class SlopeRegions(Result):
    """Stretches of a moderator in which a driver goes with the outcome, or in which that cannot be told."""

    rows: pd.DataFrame = field(repr=False)
    n: int
    conf_level: float

    def tidy(self) -> pd.DataFrame:
        """One row per stretch: region_low, region_high, verdict, share, slopes at both ends, reading."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and level."""
        return {"n": self.n, "conf_level": self.conf_level}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Moderation(Result):
    """How the slope of a driver depends on a moderator.

    Attributes
    ----------
    slopes : DataFrame
        The tidy table.
    regions : SlopeRegions or None
        Where the slope can be told from zero; None with a moderator of levels or two values.
    model : Regression
        The regression all of it follows from.
    curve : DataFrame
        The slope over the moderator with its interval, as it is drawn; empty without regions.
    contrasts : array, shape (k, p)
        Rows of the table as combinations of the coefficients.
    summary : mapping
        What `glance()` gives.
    """

    slopes: pd.DataFrame = field(repr=False)
    regions: SlopeRegions | None = field(repr=False)
    model: Regression = field(repr=False)
    curve: pd.DataFrame = field(repr=False)
    contrasts: Array = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar[Callable[..., Axes]] = staticmethod(interactions.slope_curve)

    def tidy(self) -> pd.DataFrame:
        """One row per slope, then one per difference of slopes."""
        return self.slopes.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, fit, and whether slopes differ."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out what the title says, and degrees of freedom that the note tells."""
        own = ["df"] if shown["df"].nunique() > 1 else []
        columns = ["at", "estimate", "std_error", "conf_low", "conf_high", "std_estimate", *own, "p_value", "reading"]
        return shown[columns]

    def pooling(self) -> Poolable:
        """Slopes and their differences; places such as the mean may differ a little between imputations."""
        return Poolable(
            keys=self.slopes[["term", "other_term"]].assign(at=without_numbers(self.slopes["at"])),
            estimates=self.slopes["estimate"].to_numpy(),
            covariance=self.contrasts @ self.model.matrix @ self.contrasts.T,
            df_complete=self.slopes["df"].fillna(np.inf).to_numpy(float),
            n=int(self.summary["n"]),
            title=self.title,
            note=self.note.partition(". ")[0] + ".",
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the slope over the moderator, or the slopes of its levels."""
        if len(self.curve):
            return super().plot(ax or figures.new_axes(PICTURE_ROWS))
        drawn = self.drawn()
        return figures.estimates(ax or figures.new_axes(len(drawn)), drawn, labels=self.labels, title=self.title)

    def drawn(self) -> pd.DataFrame:
        """The curve, or the slopes of levels."""
        if len(self.curve) and self.privacy.allows(self.summary["n"]):
            return self.curve.copy()
        return super().drawn().assign(term=self.slopes["at"])

    def alt_text(self) -> str:
        """What the picture shows, in words."""
        rows = self.shown()
        parts = [f"{at} {apa.number(value)}" for at, value in zip(rows["at"], rows["estimate"], strict=True)]
        found = list(self.regions.shown()["reading"]) if self.regions else []
        return f"{self.title}. Slopes: {'; '.join(parts)}. {' '.join(found)}".strip()


class _Pair(NamedTuple):
    """The factors of the product, and the term it is."""

    driver: Factor
    moderator: Factor
    term: Term


class _Place(NamedTuple):
    """A value or level of the moderator at which the slope is looked at."""

    words: str
    value: float
    row: Array


class _Model(NamedTuple):
    """What was asked for, what it was fitted to, and what came out."""

    pair: _Pair
    formula: Formula
    design: Design
    fit: Regression
    labels: Mapping[str, str]
    conf_level: float
    min_n: int
    asked: tuple[float, ...]

    @property
    def driver(self) -> str:
        """The driver in words."""
        return self.labels.get(self.pair.driver.label, self.pair.driver.label)

    @property
    def moderator(self) -> str:
        """The moderator in words; levels by the name of their column."""
        factor = self.pair.moderator
        name = factor.column if factor.transform == "C" else factor.label
        return self.labels.get(name, name)

    @property
    def outcome(self) -> str:
        """The outcome in words."""
        return self.labels.get(self.formula.outcome.label, self.formula.outcome.label)

    def columns(self, label: str) -> list[int]:
        """Places of a term's coefficients."""
        return [place for place, term in enumerate(self.design.terms) if term == label]

    def row(self, product: int | None, value: float = 1.0) -> Array:
        """The slope as a combination of the coefficients."""
        row = np.zeros(len(self.design.terms))
        row[self.columns(self.pair.driver.label)] = 1.0
        if product is not None:
            row[product] = value
        return row


def moderate(
    formula: str,
    data: Data,
    *,
    at: Sequence[float] = (),
    covariance: Kind | None = None,
    cluster: str | None = None,
    false_discovery: bool = False,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> Moderation:
    """Ask for whom a driver goes with an outcome: whether its slope depends on a moderator, and where it is clear.

    Parameters
    ----------
    formula : str
        With one product, the driver first: `"adoption ~ leadership * readiness + C(unit)"`. The moderator may be a
        number, or have two values or several levels (`leadership * C(role)`).
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    at : sequence of float
        Values of a moderator that is a number at which slopes are wanted, instead of the usual ones.
    covariance, cluster
        As in `regress`; "wild" has no regions.
    false_discovery : bool
        Hold the rate of false discoveries over the whole range of the moderator, instead of the error at each value.
    conf_level : float
        Level of intervals and regions.
    min_n : int, optional
        Raises the threshold of people below which nothing is shown.

    Returns
    -------
    Moderation
        Slopes at the mean of the moderator and one standard deviation below and above (at the 16th, 50th and 84th
        percentile if nobody is that far), or at its levels; `std_estimate` in standard deviations (of the outcome only
        if the driver has two values). The last row is how much slopes differ: between the 90th and the 10th percentile,
        or from the reference level. Percentiles that fewer than `min_n` respondents have are means of so many around
        them. `.regions` are the Johnson-Neyman regions, looked for only where at least `min_n` respondents are on
        either side; shares are rounded. The note has the coefficient of the product and what it adds to R². Verdict:
        "differs" or "cannot tell".

    Raises
    ------
    StudyError
        If the formula has no product of a driver and a moderator, or several, or lacks one of the two by itself.
    DataError
        If the driver has several levels or stands second, the driver and moderator give the outcome exactly, `at` is
        beyond what respondents answered, or as in `regress`.
    DisclosureError, EstimationError
        As in `regress`.

    References
    ----------
    Aiken & West (1991), Multiple Regression; Bauer & Curran (2005), Multivariate Behavioral Research 40, 373-400;
    Esarey & Sumner (2018), Comparative Political Studies 51, 1144-1176. Model 1 of Hayes (2022). Agrees with R `lm`,
    `sandwich` and `clubSandwich` (tests/reference/moderation.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    >>> frame["y"] = frame["a"] * frame["b"] + rng.normal(size=300)
    >>> found = moderate("y ~ a * b", frame)
    >>> found.glance()["verdict"], found.regions.tidy()["verdict"].tolist()
    ('differs', ['negative', 'cannot tell', 'positive'])
    """
    if covariance == "wild":
        raise StudyError('covariance = "wild" gives no errors of slopes between coefficients. Use "CR2".')
    parsed = parse_formula(formula)
    pair = _pair(parsed)
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    also = [cluster] if cluster else []
    design = build_design(parsed, pool_hidden(data, parsed.columns), min_level_n=policy.min_n, also=also)
    if design.event:
        raise DataError(
            f'The outcome "{parsed.outcome.column}" is text; moderate() needs a number. Ask regress(..., '
            'family="logit") and look at the product.'
        )
    fit = regress(formula, data, covariance=covariance, cluster=cluster, conf_level=conf_level, min_n=min_n)
    labels = dict(labels_of(data))
    model = _Model(pair, parsed, design, fit, labels, float(conf_level), policy.min_n, tuple(float(x) for x in at))
    _check(model)
    with one_thread():
        return _result(model, false_discovery)


def _pair(formula: Formula) -> _Pair:
    """The product asked about; products of controls alone are controls."""
    products = [term for term in formula.terms if len(term) > 1 and any(factor.transform != "C" for factor in term)]
    if len(products) != 1 or len(products[0]) != 2:
        raise StudyError(
            f'The formula "{formula.text}" must have one product of a driver and a moderator, such as '
            '"adoption ~ leadership * readiness + C(unit)".'
        )
    driver, moderator = products[0]
    if driver.transform == "C":
        raise DataError(
            f'"{driver.label}" stands first and would be the driver, but C() makes it levels. Write the driver first: '
            f'"{moderator.label} * {driver.label}".'
        )
    for factor in (driver, moderator):
        if (factor,) not in formula.terms:
            raise StudyError(
                f"A product needs both of its parts: add {factor.label} to the formula, or write "
                f'"{driver.label} * {moderator.label}".'
            )
    if not formula.intercept:
        raise StudyError("A product needs the constant. Remove the 0 or -1 from the formula.")
    return _Pair(driver, moderator, products[0])


def _check(model: _Model) -> None:
    driver = model.columns(model.pair.driver.label)
    if len(driver) != 1:
        raise DataError(
            f'"{model.pair.driver.column}" stands first and is the driver, but it has more than two levels. Name a '
            "number or something with two values first, and what it depends on second."
        )
    table = model.fit.tidy()
    if any(finding.name == "perfect_fit" for finding in model.fit.findings):
        raise DataError("The terms give the outcome exactly, so there is nothing to test. Is it computed from them?")
    needed = [*driver, *model.columns(term_label(model.pair.term))]
    if table["std_error"].iloc[needed].isna().any():
        raise EstimationError(
            "No cluster-robust error exists for the driver or its product: they rest on a single cluster. "
            "Leave cluster= out, or name another moderator."
        )


def _result(model: _Model, false_discovery: bool) -> Moderation:
    places, differences = _places(model), _differences(model)
    rows = np.array([place.row for place in (*places, *differences)])
    table = _table(model, places, differences, _slopes(model, rows))
    found = _regions(model, false_discovery)
    joint = _joint(model, np.array([place.row for place in differences]))
    verdict = DIFFERS if joint["p_value"] < 1 - model.conf_level else CANNOT_TELL
    rowed = _region_rows(model, found) if found else None
    glance = model.fit.glance()
    kept = {key: glance[key] for key in ("n", "n_dropped", "n_groups", "r_squared") if key in glance}
    told = {"verdict": verdict, "covariance": glance["covariance"], "conf_level": model.conf_level}
    labels = {**model.fit.labels, model.pair.moderator.label: model.moderator}
    shared = {"labels": labels, "privacy": model.fit.privacy}
    return Moderation(
        title=f"How {model.driver} goes with {model.outcome}, by {model.moderator}",
        note=_note(model, joint),
        findings=tuple(_findings(model, found, verdict)),
        slopes=table,
        regions=None if rowed is None else SlopeRegions(
            title=f"Where {model.driver} goes with {model.outcome}, by {model.moderator}",
            note=_region_note(model, false_discovery),
            rows=rowed,
            n=int(glance["n"]),
            conf_level=model.conf_level,
            **shared,
        ),
        model=model.fit,
        curve=_curve(model, found),
        contrasts=rows,
        summary={**kept, "r_squared_change": _added(model), **joint, **told},
        **shared,
    )  # fmt: skip


def _slopes(model: _Model, rows: Array) -> Slopes:
    """Combinations of all coefficients with their errors."""
    estimate = rows @ model.fit.tidy()["estimate"].to_numpy()
    variance = np.einsum("ki,ij,kj->k", rows, model.fit.matrix, rows)
    return Slopes(estimate, np.sqrt(variance), model.fit.contrast_df(rows))


def _line(model: _Model) -> Line:
    """The slope along a moderator that is a number."""
    places = [*model.columns(model.pair.driver.label), *model.columns(term_label(model.pair.term))]

    def df(rows: Array) -> Array:
        wide = np.zeros((len(rows), len(model.design.terms)))
        wide[:, places] = rows
        return model.fit.contrast_df(wide)

    estimates = model.fit.tidy()["estimate"].to_numpy()[places]
    return Line(estimates, model.fit.matrix[np.ix_(places, places)], df)


def _values(model: _Model) -> Array | None:
    """The moderator as numbers, sorted; None if it has levels."""
    if isinstance(model.design.levels.get(model.pair.moderator.column), Levels):
        return None
    return np.sort(model.design.x[:, model.columns(model.pair.moderator.label)[0]])


def _range(model: _Model) -> tuple[float, float] | None:
    """Between which values at least `min_n` respondents are on either side; None with levels or two values."""
    values = _values(model)
    if values is None or len(np.unique(values)) < 3:
        return None
    low, high = range_of_several(values, model.min_n)
    return (low, high) if low < high else None


def _inner_range(model: _Model) -> tuple[float, float]:
    """The same range, refused where there is none: its ends would be values of single persons."""
    found = _range(model)
    if found is None:
        raise DisclosureError(
            f"All but fewer than {model.min_n} respondents have the same value of the moderator, so slopes cannot be "
            "held against each other without telling about few people. Choose another moderator."
        )
    return found


def _places(model: _Model) -> list[_Place]:
    """Where slopes are looked at."""
    values = _values(model)
    products = model.columns(term_label(model.pair.term))
    if values is None:
        levels = model.design.levels[model.pair.moderator.column]
        others = iter(products)
        return [
            _Place(name, float("nan"), model.row(None if place == levels.reference else next(others)))
            for place, name in enumerate(levels.names)
        ]
    low, high = _range(model) or (values[0], values[-1])
    points = _asked(model, low, high) or usual_values(values, low, high, model.min_n)
    return [_Place(words, value, model.row(products[0], value)) for words, value in points]


def _asked(model: _Model, low: float, high: float) -> list[tuple[str, float]]:
    """The values asked for, refused where next to nobody is."""
    beyond = [value for value in model.asked if not low <= value <= high]
    if beyond:
        ends = told_apart(low, high)
        raise DataError(
            f"at = {beyond[0]:g} is beyond what enough respondents answered. Name values from {ends[0]} to {ends[1]}."
        )
    return [(f"{value:g}", value) for value in model.asked]


def _differences(model: _Model) -> list[_Place]:
    """Differences of slopes: between far values, or from the reference level."""
    values = _values(model)
    products = model.columns(term_label(model.pair.term))
    unit = np.eye(len(model.design.terms))
    if values is None:
        levels = model.design.levels[model.pair.moderator.column]
        names = [name for place, name in enumerate(levels.names) if place != levels.reference]
        reference = levels.names[levels.reference]
        return [_Place(f"{name} less {reference}", np.nan, unit[p]) for name, p in zip(names, products, strict=True)]
    if len(np.unique(values)) == 2:
        return [_Place(f"{values[-1]:g} less {values[0]:g}", np.nan, unit[products[0]] * np.ptp(values))]
    low, high = (quantile_of_several(values, share, model.min_n) for share in (0.1, 0.9))
    words = "90th less 10th percentile"
    if low == high:
        (low, high), words = _inner_range(model), "high less low"
    row = unit[products[0]] * (high - low)
    return [_Place(f"{words} ({' less '.join(told_apart(high, low))})", np.nan, row)]


def _table(model: _Model, places: list[_Place], differences: list[_Place], slopes: Slopes) -> pd.DataFrame:
    low, high = slopes.interval(model.conf_level)
    every = [*places, *differences]
    table = pd.DataFrame(
        {
            "term": model.pair.driver.label,
            "other_term": model.pair.moderator.label,
            "at": [place.words for place in every],
            "moderator_value": [place.value for place in places] + [np.nan] * len(differences),
            "estimate": slopes.estimate,
            "std_error": slopes.std_error,
            "statistic": slopes.estimate / slopes.std_error,
            "df": np.where(np.isfinite(slopes.df), slopes.df, np.nan),
            "p_value": slopes.p_value(),
            "conf_low": low,
            "conf_high": high,
            "std_estimate": slopes.estimate * _unit(model),
        }
    )
    records = table.to_dict("records")
    size = rules.EFFECT if _two(model) else rules.STANDARDIZED
    readings = [_reading(row, size) for row in records[: len(places)]]
    words = _difference_words(model, differences)
    readings += [_difference_reading(*pair) for pair in zip(records[len(places) :], words, strict=True)]
    return table.assign(reading=readings)


def _unit(model: _Model) -> float:
    """What turns a slope into standard deviations of the outcome per standard deviation of the driver."""
    driver = model.design.x[:, model.columns(model.pair.driver.label)[0]]
    return float((np.ptp(driver) if _two(model) else driver.std(ddof=1)) / model.design.y.std(ddof=1))


def _two(model: _Model) -> bool:
    """Whether the driver has two values, so that its slope is a difference of means."""
    return len(np.unique(model.design.x[:, model.columns(model.pair.driver.label)[0]])) == 2


def _reading(row: Mapping[str, float], size: rules.Rule) -> str:
    if row["conf_low"] <= 0 <= row["conf_high"]:
        return "direction uncertain"
    return f"{size.read(abs(row['std_estimate']))}, {'positive' if row['estimate'] > 0 else 'negative'}"


def _difference_words(model: _Model, differences: list[_Place]) -> list[str]:
    """How the slope at the first place of a difference stands beside that at the second, if they differ."""
    values, where = _values(model), f"where {model.moderator} is high"
    if values is None:
        base, where = model.row(None), "for the first"
    else:
        low = values[0] if len(np.unique(values)) == 2 else quantile_of_several(values, 0.1, model.min_n)
        base = model.row(model.columns(term_label(model.pair.term))[0], low)
    ends = _slopes(model, np.array([base, *(base + place.row for place in differences)]))
    clear = ends.p_value() < 1 - model.conf_level
    start, *others = ((float(value), bool(known)) for value, known in zip(ends.estimate, clear, strict=True))
    words = [end_words(start, other) for other in others]
    return [f"slope {word} {where}" if word == "changes sign" else f"slope is {word} {where}" for word in words]


def _difference_reading(row: Mapping[str, float], words: str) -> str:
    return "cannot tell whether slopes differ" if row["conf_low"] <= 0 <= row["conf_high"] else words


def _joint(model: _Model, rows: Array) -> dict[str, float]:
    """Test that slopes do not differ at all: t squared for one difference, else F (HTZ with CR2) or chi-squared."""
    q = len(rows)
    slopes = _slopes(model, rows)
    if q == 1:
        statistic = float((slopes.estimate / slopes.std_error)[0])
        return {"statistic": statistic, "df": float(slopes.df[0]), "p_value": float(slopes.p_value()[0])}
    if model.fit.clusters is not None:
        estimates = model.fit.tidy()["estimate"].to_numpy()
        statistic, _, p_value = model.fit.clusters.joint_test(estimates, rows)
        return {"statistic": statistic, "df": q, "p_value": p_value}
    wald = float(slopes.estimate @ np.linalg.solve(rows @ model.fit.matrix @ rows.T, slopes.estimate)) / q
    return {"statistic": wald, "df": q, "p_value": float(stats.f.sf(wald, q, slopes.df[0]))}


def _regions(model: _Model, false_discovery: bool) -> tuple[Region, ...]:
    limits = _range(model)
    if limits is None:
        return ()
    return regions(_line(model), *limits, conf_level=model.conf_level, false_discovery=false_discovery)


def _region_rows(model: _Model, found: tuple[Region, ...]) -> pd.DataFrame:
    values = _values(model)
    borders = np.array([part.high for part in found[:-1]])
    counts = np.bincount(np.searchsorted(borders, values), minlength=len(found))
    hidden = hidden_rows(counts[:, None].astype(float), model.min_n, total_known=True)
    shares = np.where(hidden, np.nan, np.round(np.round(counts / len(values) / SHARE_STEP) * SHARE_STEP, 2))
    ends = [_line(model).at(np.array(part[:2])).estimate for part in found]
    return pd.DataFrame(
        {
            "term": model.pair.driver.label,
            "other_term": model.pair.moderator.label,
            "region_low": [part.low for part in found],
            "region_high": [part.high for part in found],
            "verdict": [SIGNS[part.sign] for part in found],
            "share": shares,
            "slope_low": [pair[0] for pair in ends],
            "slope_high": [pair[1] for pair in ends],
            "reading": [_region_reading(model, found, part, share) for part, share in zip(found, shares, strict=True)],
        }
    )


def _region_reading(model: _Model, found: tuple[Region, ...], part: Region, share: float) -> str:
    where = f"where {model.moderator} is {_stretch(found, part)}" if len(found) > 1 else "at all values looked at"
    people = "" if np.isnan(share) or len(found) == 1 else f" (about {apa.share(share)} of respondents)"
    if part.sign == 0:
        return f"Cannot tell {where}{people}."
    return f"{model.driver} goes with {'more' if part.sign > 0 else 'less'} {model.outcome} {where}{people}."


def _stretch(found: tuple[Region, ...], part: Region) -> str:
    borders = {end: words for end, words in zip(_ends(found), told_apart(*_ends(found)), strict=True)}
    low, high = borders[part.low], borders[part.high]
    if part is found[0]:
        return f"below {high}"
    return f"above {low}" if part is found[-1] else f"between {low} and {high}"


def _ends(found: tuple[Region, ...]) -> list[float]:
    """Ends of all stretches, each once."""
    return sorted({end for part in found for end in part[:2]})


def _curve(model: _Model, found: tuple[Region, ...]) -> pd.DataFrame:
    """The slope at equally spaced values, and how many respondents per unit of the moderator are around each."""
    if not found:
        return pd.DataFrame()
    values = np.linspace(found[0].low, found[-1].high, N_DRAWN)
    slopes = _line(model).at(values)
    low, high = slopes.interval(model.conf_level)
    signs = [SIGNS[part.sign] for part in found]
    place = np.searchsorted([part.high for part in found[:-1]], values)
    return pd.DataFrame(
        {
            "term": model.pair.driver.label,
            "other_term": model.pair.moderator.label,
            "moderator_value": values,
            "estimate": slopes.estimate,
            "conf_low": low,
            "conf_high": high,
            "verdict": [signs[each] for each in place],
            "region_low": [found[each].low for each in place],
            "density": _density(_values(model), values, model.min_n),
        }
    )


def _density(values: Array, drawn: Array, min_n: int) -> Array:
    """Share of respondents per unit of the moderator, in bins of at least `min_n`; the outer ones hold all beyond."""
    edges = np.linspace(drawn[0], drawn[-1], N_BINS + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], values), minlength=N_BINS)
    kept, total = [0], 0
    for place, count in enumerate(counts, 1):
        total += count
        if total >= min_n:
            kept.append(place)
            total = 0
    kept[-1] = N_BINS
    merged, starts = edges[kept], np.array(kept[:-1])
    heights = np.add.reduceat(counts, starts) / len(values) / np.diff(merged)
    return heights[np.clip(np.searchsorted(merged, drawn) - 1, 0, len(heights) - 1)]


def _note(model: _Model, joint: Mapping[str, float]) -> str:
    parts = [f"Slopes from one model. {model.fit.note.removesuffix('.')}", _product(model, joint)]
    asked = (INTERCEPT, model.pair.driver.label, model.pair.moderator.label, term_label(model.pair.term))
    other = [term for term in dict.fromkeys(model.design.terms) if term not in (*asked, *model.design.controls)]
    if other:
        parts.append(f"Held constant: {join_words([model.labels.get(name, name) for name in other])}")
    parts.append("It says what goes together for whom, not what a change would bring about")
    return ". ".join(parts) + "."


def _product(model: _Model, joint: Mapping[str, float]) -> str:
    """The coefficient of the product, its test, and what it adds to R²."""
    products = model.columns(term_label(model.pair.term))
    table = model.fit.tidy()
    told = ""
    if len(products) == 1:
        row = table.iloc[products[0]]
        told = f"b = {apa.change(row['estimate'])}, SE = {apa.change(row['std_error'])}, "
    statistic = joint["statistic"] ** 2 if len(products) == 1 else joint["statistic"]
    return (
        f"Product of {model.driver} and {model.moderator}: {told}p {_equals(apa.p_value(joint['p_value']))}; it adds "
        f"{apa.bounded(_added(model), 3)} to R² (F = {apa.number(statistic)}, df {len(products)}, by the errors above)"
    )


def _added(model: _Model) -> float:
    """R² with the product less R² without it."""
    products = model.columns(term_label(model.pair.term))
    kept = [place for place in range(len(model.design.terms)) if place not in products]
    names = [model.design.names[place] for place in kept]
    less = least_squares(model.design.x[:, kept], model.design.y, names=names)
    left = np.sum(less.residuals**2) - np.sum(model.fit.residuals**2)
    return float(left / np.sum((model.design.y - model.design.y.mean()) ** 2))


def _equals(written: str) -> str:
    return written if written.startswith("<") else f"= {written}"


def _region_note(model: _Model, false_discovery: bool) -> str:
    tested = (
        "of the stretches found clear, few are so by chance (false discoveries are held down over the whole range)"
        if false_discovery
        else "each value is tested by itself"
    )
    return (
        f"Johnson-Neyman regions at {model.conf_level:.0%}: {tested}. Looked at are values with at least "
        f"{model.min_n} respondents on either side; shares are rounded to {SHARE_STEP:.0%} and count everybody beyond "
        "to the outer stretches. That a slope is clear in one stretch and not in the next does not say that the two "
        "differ: the difference of slopes does."
    )


def _findings(model: _Model, found: tuple[Region, ...], verdict: str) -> Iterator[Finding]:
    yield from (finding for finding in model.fit.findings if finding.name != "collinearity")
    if len(found) > 1 and verdict == CANNOT_TELL:
        text = "The slope is clear for some and not for others, but whether slopes differ at all cannot be told."
        yield Finding(name="regions_without_difference", text=text)
    values = _values(model)
    if values is not None and len(np.unique(values)) > 2 and not found:
        same = len(values) - np.unique(values, return_counts=True)[1].max() < model.min_n
        why = "Nearly everybody has the same value" if same else "Too few respondents are on either side of the values"
        yield Finding(name="no_regions", text=f"{why} of the moderator, so no regions are looked for.")
    yield from _two_valued_outcome(model)
    if verdict == DIFFERS and values is not None and abs(_overlap(model)) >= OVERLAP:
        text = (
            f"{model.driver} and {model.moderator} go together, so that a curved link of one of them would look like "
            "slopes that differ. Look at the raw data before believing it."
        )
        yield Finding(name="product_or_curve", text=text)


def _two_valued_outcome(model: _Model) -> Iterator[Finding]:
    """Say what slopes of an outcome of 0 and 1 are."""
    if np.isin(model.design.y, (0.0, 1.0)).all():
        slope = model.fit.tidy()["estimate"][model.columns(term_label(model.pair.term))[0]]
        points = apa.number(100 * slope, 1)
        text = (
            f"{model.outcome} is 0 or 1, so slopes are differences of a share: 0.10 are 10 points; the (first) product "
            f"is {points} points per unit of both. Straight lines may leave 0 to 1 and then differ where odds do not: "
            'ask regress(..., family="logit") too.'
        )
        yield Finding(name="two_valued_outcome", text=text)


def _overlap(model: _Model) -> float:
    both = [model.columns(factor.label)[0] for factor in (model.pair.driver, model.pair.moderator)]
    return float(np.corrcoef(model.design.x[:, both].T)[0, 1])
