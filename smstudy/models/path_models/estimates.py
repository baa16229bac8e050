"""Path models by partial least squares: constructs measured by items, and what goes with what among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from smstudy.display import path_model as pictures
from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError, StudyError, did_you_mean
from smstudy.inference.partial_least_squares import (
    Inner,
    PathFit,
    construct_ratios,
    fit_paths,
    implied_correlations,
    item_correlations,
    resampled_moments,
    root_mean_residual,
)
from smstudy.inference.threads import one_thread
from smstudy.models.path_models.answers import PathAnswers, read_paths, refuse_improper
from smstudy.models.path_models.findings import estimate_findings, measurement_findings
from smstudy.models.path_models.forecasts import predictive_power
from smstudy.models.path_models.tables import (
    FittedPaths,
    PathDraws,
    PathTable,
    coefficient_rows,
    constructs_table,
    effects_table,
    items_table,
    pairs_table,
)
from smstudy.models.ranges import Ranges, checked_range
from smstudy.result import Poolable, Result, Rows
from smstudy.scales.arguments import check_level, check_resamples, check_seed
from smstudy.survey.dataset import Data, frame_of

Array = NDArray[np.float64]
MOST_FAILED = 0.05
SHOWN = ("term", "outcome", "estimate", "std_error", "conf_low", "conf_high", "p_value", "f_squared", "vif", "reading")
CANNOT_TELL = "cannot tell"
QUADRANTS = {
    (True, False): "look here first",
    (True, True): "keep it up",
    (False, False): "low priority",
    (False, True): "nothing urgent",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class PathPriorities(Result):
    """Constructs by how much they matter for one outcome and how much of them is there."""

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar = staticmethod(pictures.importance_performance)

    def tidy(self) -> pd.DataFrame:
        """One row per construct, in the order of the model."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample and level of the intervals."""
        return dict(self.summary)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the importance-performance map."""
        return super().plot(ax or pictures.map_axes())


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PathModel(Result):
    """A fitted path model.

    Attributes
    ----------
    specification : str
        The model line by line, with the items of every construct, always in the same form.
    coefficients : DataFrame
        The tidy table: one row per path.
    effects : PathTable
        Indirect and total effects of constructs with a way of two steps or more between them.
    items : PathTable
        Loadings and weights.
    constructs : PathTable
        Reliability, AVE and R² of each construct.
    pairs : PathTable
        Whether any two reflective constructs can be told apart.
    prediction : PathTable
        How well answers of respondents the model has not seen are predicted.
    summary : mapping
        What `glance()` gives.
    fitted : FittedPaths
        The numbers behind the tables.
    """

    specification: str
    coefficients: pd.DataFrame = field(repr=False)
    effects: PathTable = field(repr=False)
    items: PathTable = field(repr=False)
    constructs: PathTable = field(repr=False)
    pairs: PathTable = field(repr=False)
    prediction: PathTable = field(repr=False)
    summary: Mapping[str, int | float | str]
    fitted: FittedPaths = field(repr=False)

    picture: ClassVar = staticmethod(pictures.path_model)

    def tidy(self) -> pd.DataFrame:
        """One row per path."""
        return self.coefficients.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, fit and predictive power."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out columns without a value, and R², which the picture has."""
        return shown[[name for name in SHOWN if shown[name].notna().any()]]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw constructs as ovals with their R², paths as arrows with their coefficients."""
        return super().plot(ax or pictures.new_axes(self.drawn()))

    def alt_text(self) -> str:
        """What the picture shows, in words."""
        parts = [
            f"{self.labels.get(row['term'], row['term'])} to {self.labels.get(row['outcome'], row['outcome'])} "
            f"{row['estimate']:.2f}"
            for row in self.drawn().to_dict("records")
        ]
        return f"{self.title}. {'; '.join(parts)}."

    def pooling(self) -> Poolable:
        """Path coefficients with their covariance over resamples.

        Raises
        ------
        EstimationError
            If resamples gave no intervals.
        """
        if not self.fitted.draws.steady:
            raise EstimationError("A path model without intervals cannot be pooled. Say consistent=False.")
        drivers = self.fitted.found.structure.drivers
        return Poolable(
            keys=self.coefficients[["term", "outcome"]],
            estimates=self.coefficients["estimate"].to_numpy(),
            covariance=np.atleast_2d(np.cov(self.fitted.draws.fit.paths.mT[:, drivers.T], rowvar=False)),
            df_complete=np.inf,
            n=self.fitted.found.n,
            title=self.title,
            note=self.note.partition(" Intervals:")[0],
        )

    def augment(self, data: Data) -> Rows:
        """Give the data with the score of each construct as `.construct`, missing where a row was left out.

        Raises
        ------
        DataError
            If these are not the rows the model was fitted to.
        """
        frame, found = frame_of(data), self.fitted.found
        if not frame.index.equals(found.rows):
            raise DataError("augment() needs the data the model was fitted to; these have other rows.")
        answers = (found.answers - found.answers.mean(axis=0)) / found.answers.std(axis=0)
        scores = np.full((len(frame), len(found.constructs)), np.nan)
        scores[found.used] = answers @ (self.fitted.fit.weights[0][:, None] * found.structure.members)
        return Rows(frame.assign(**{f".{name}": score for name, score in zip(found.constructs, scores.T, strict=True)}))

    def priorities(self, outcome: str | None = None, *, ranges: Ranges | None = None) -> PathPriorities:
        """Put the constructs that go with an outcome on a map: how much they matter, and how much of them is there.

        Parameters
        ----------
        outcome : str, optional
            An explained construct; left out, the last one.
        ranges : mapping, optional
            Smallest and largest possible answer of items, where no codebook knows them.

        Returns
        -------
        PathPriorities
            `estimate` is the total effect in standard deviations; `performance` the mean score, the possible answers
            being 0 to 100. The quadrant is "cannot tell" where an interval crosses the mean of the constructs.

        Raises
        ------
        StudyError
            If nothing explains the outcome, or a range is none.
        DataError
            If possible answers of an item are not known, or somebody gave an answer outside of them.

        References
        ----------
        Ringle & Sarstedt (2016), Industrial Management & Data Systems 116, 1865-1886.
        """
        if ranges is not None and not isinstance(ranges, Mapping):
            raise StudyError('ranges must name items, such as ranges={"item_1": (1, 5)}.')
        return _priorities(self.fitted, outcome, ranges or {})


def paths(
    specification: str,
    data: Data,
    *,
    consistent: bool = True,
    inner: Inner = "path",
    n_boot: int = 2000,
    seed: int = 1,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> PathModel:
    """Estimate a path model by partial least squares (PLS-SEM).

    Parameters
    ----------
    specification : str
        One statement per line: `trust =~ t_1 + t_2` (reflective items), `use <~ u_1 + u_2` (formative items),
        `use ~ trust + worry` (paths). A scale of the survey's codebook needs no line for its items.
    data : Survey or DataFrame
        One row per respondent; whoever skipped an item is left out and counted. A survey's items are turned round as
        its codebook says.
    consistent : bool
        Correct reflective constructs of two items or more for unreliability (PLSc, rho_A), so that estimates are those
        of a factor model. Without it estimates are about scores with their measurement error: too small with one
        driver; with several too small or too large, since what one driver measures badly is put down to another.
    inner : {"path", "factorial", "centroid"}
        How neighbors of a construct are weighted while the weights of items are found.
    n_boot, seed : int
        Resamples of respondents for the intervals; what fixes them and the parts for prediction.
    conf_level : float
        Level of the percentile intervals, each for itself.
    min_n : int, optional
        Raises the threshold of people below which nothing is shown.

    Returns
    -------
    PathModel
        Standardized coefficients with f² and VIF. `.effects`, `.items`, `.constructs` (rho_A, CR, AVE, R²), `.pairs`
        (HTMT, HTMT2), `.prediction` (PLSpredict, CVPAT) and `.priorities()` (importance-performance map) have the rest.

    Raises
    ------
    StudyError
        If the model cannot be read: a construct without items or paths, an item in two constructs, a circle.
    DataError
        If an item is unknown, text or constant, or too few answered all items.
    DisclosureError
        If an item sets fewer respondents apart than the threshold.
    EstimationError
        If items repeat each other, respondents are fewer than weights and paths, weights do not settle, or the
        correction for unreliability gives correlations that cannot be.

    References
    ----------
    Lohmöller (1989), Latent Variable Path Modeling with Partial Least Squares; Dijkstra & Henseler (2015), MIS
    Quarterly 39, 297-316; Hair, Hult, Ringle & Sarstedt (2022), A Primer on PLS-SEM. Agrees with SmartPLS 2.0 and with
    an implementation in plain R that works on answers (tests/reference/paths.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> traits = rng.normal(size=(400, 2)) @ np.array([[1, 0.5], [0, 0.75**0.5]])
    >>> answers = np.repeat(traits, 3, axis=1) + 0.6 * rng.normal(size=(400, 6))
    >>> frame = pd.DataFrame(answers, columns=["t1", "t2", "t3", "u1", "u2", "u3"])
    >>> fit = paths("trust =~ t1 + t2 + t3; use =~ u1 + u2 + u3; use ~ trust", frame, n_boot=200)
    >>> fit.tidy()["estimate"].round(2).tolist()
    [0.44]
    """
    check_level(conf_level)
    check_resamples(n_boot)
    check_seed(seed)
    found = read_paths(specification, data, consistent=consistent, inner=inner, min_n=min_n)
    with one_thread():
        correlations = np.corrcoef(found.answers, rowvar=False)
        fit = fit_paths(correlations[None], found.structure)
        refuse_improper(fit, found)
        draws = _draw(found, fit, int(n_boot), seed)
        return _result(FittedPaths(found, correlations, fit, draws, conf_level), seed)


def _draw(found: PathAnswers, fit: PathFit, n_boot: int, seed: int) -> PathDraws:
    center = found.answers.mean(axis=0)
    blocks = []
    for moments in resampled_moments(found.answers - center, n_boot=n_boot, seed=seed):
        correlations, means, spreads = item_correlations(moments)
        ratios = np.stack(construct_ratios(correlations, found.structure)[0], axis=1)
        drawn = fit_paths(correlations, found.structure, like=fit.weights[0])
        blocks.append((*drawn, means + center, spreads, ratios))
    whole = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    size = len(PathFit._fields)
    worked = PathFit(*whole[:size]).usable
    kept = [part[worked] for part in whole]
    failed = int((~worked).sum())
    return PathDraws(PathFit(*kept[:size]), *kept[size:], failed, failed <= MOST_FAILED * n_boot)


def _result(fitted: FittedPaths, seed: int) -> PathModel:
    found = fitted.found
    coefficients, prediction = coefficient_rows(fitted), predictive_power(found, seed=seed)
    items, constructs, pairs = items_table(fitted), constructs_table(fitted), pairs_table(fitted)
    findings = (
        *estimate_findings(fitted, coefficients),
        *measurement_findings(found, items.rows, constructs.rows, pairs.rows),
        *prediction.findings,
    )
    last = [name for name, leads in zip(found.constructs, found.structure.drivers.any(axis=1)) if not leads]
    return PathModel(
        title=f"Path model for {join_words([found.say(name) for name in last])}",
        note=_note(fitted),
        findings=findings,
        labels=found.labels,
        privacy=found.privacy,
        specification=found.specification.text,
        coefficients=coefficients,
        effects=effects_table(fitted),
        items=items,
        constructs=constructs,
        pairs=pairs,
        prediction=prediction,
        summary=_summary(fitted, str(prediction.summary["verdict"])),
        fitted=fitted,
    )


def _summary(fitted: FittedPaths, power: str) -> dict[str, int | float | str]:
    found = fitted.found
    implied = implied_correlations(fitted.correlations, fitted.fit, found.structure)
    return {
        "n": found.n,
        "n_dropped": found.n_dropped,
        "n_items": len(found.items),
        "srmr": root_mean_residual(fitted.correlations, implied),
        "predictive_power": power,
        "n_boot": len(fitted.draws.means),
        "conf_level": fitted.conf_level,
        "estimator": "PLSc" if found.structure.factors.any() else "PLS",
    }


def _note(fitted: FittedPaths) -> str:
    found, structure = fitted.found, fitted.found.structure
    corrected = "; about scores with their measurement error: paths may be too small or, among several, too large"
    if structure.factors.any():
        corrected = "; reflective constructs corrected for unreliability (PLSc)"
    return (
        f"Partial least squares, {structure.inner} weighting{corrected}; respondents who answered all "
        f"{len(found.items)} items. Standardized coefficients: what goes with one standard deviation more, the other "
        "drivers held constant; not what leads to what. f²: .02 small, .15 medium, .35 large. Intervals: percentiles "
        f"of {len(fitted.draws.means):,} resamples."
    )


def _priorities(fitted: FittedPaths, outcome: str | None, ranges: Ranges) -> PathPriorities:
    found, structure = fitted.found, fitted.found.structure
    explained = [found.constructs[j] for j in structure.explained]
    outcome = explained[-1] if outcome is None else outcome
    if outcome not in explained:
        raise StudyError(f'Nothing explains "{outcome}" in this model. {did_you_mean(str(outcome), explained)}')
    place = found.constructs.index(outcome)
    shown = np.flatnonzero(np.abs(fitted.fit.total[0][:, place]) > 0)
    estimate, (low, high) = fitted.fit.total[0][shown, place], fitted.ends(fitted.draws.fit.total[:, shown, place])
    level, (level_low, level_high) = _levels(fitted, shown, _limits(found, shown, ranges))
    rows = pd.DataFrame(
        {
            "term": [found.constructs[i] for i in shown],
            "estimate": estimate,
            "conf_low": low,
            "conf_high": high,
            "performance": level,
            "performance_low": level_low,
            "performance_high": level_high,
        }
    )
    sides = zip(_sides(low, high, estimate.mean()), _sides(level_low, level_high, np.nanmean(level)), strict=True)
    rows["quadrant"] = [QUADRANTS.get(side, CANNOT_TELL) for side in sides]
    return PathPriorities(
        title=f"What matters for {found.say(outcome)}, and how much of it is there",
        note="Importance: total effect in standard deviations of the outcome per standard deviation. Level: mean "
        "score, the possible answers being 0 to 100; none where items count against their construct. Lines: means of "
        "the constructs; cannot tell: an interval crosses one. All of it is about what goes together.",
        labels=found.labels,
        privacy=found.privacy,
        rows=rows,
        summary={"n": found.n, "conf_level": fitted.conf_level},
    )


def _limits(found: PathAnswers, shown: NDArray[np.intp], ranges: Ranges) -> Array:
    """Smallest and largest possible answers of the items of some constructs, shape (p, 2); NaN for other items."""
    for name in ranges:
        if name not in found.items:
            raise StudyError(f'ranges names "{name}", which is no item of the model. {did_you_mean(name, found.items)}')
    known = {**found.ranges, **{name: checked_range(name, limits) for name, limits in ranges.items()}}
    needed = [found.items[item] for j in shown for item in found.structure.blocks[j]]
    unknown = [f'"{name}"' for name in needed if name not in known]
    if unknown:
        raise DataError(
            f"The possible answers of {join_words(unknown)} are not known. Give them, such as "
            f"ranges={{{unknown[0]}: (1, 5)}}, or use a survey with a codebook."
        )
    limits = np.array([known[name] if name in needed else (np.nan, np.nan) for name in found.items])
    low, high = found.answers.min(axis=0), found.answers.max(axis=0)
    outside = [f'"{name}"' for name in np.array(found.items)[(low < limits[:, 0]) | (high > limits[:, 1])]]
    if outside:
        raise DataError(
            f"Some answers to {join_words(outside)} lie outside the possible answers that are given for them, so "
            "levels would be no shares of what is possible. Correct ranges=, or the answers."
        )
    return limits


def _levels(fitted: FittedPaths, shown: NDArray[np.intp], limits: Array) -> tuple[Array, tuple[Array, Array]]:
    """Mean scores, the possible answers being 0 to 100, with their intervals; NaN where an item counts against."""
    found, draws = fitted.found, fitted.draws
    members = found.structure.members[:, shown]
    mine = members.any(axis=1)

    def levels(weights: Array, means: Array, spreads: Array) -> Array:
        raw = weights[:, mine] / spreads[:, mine]
        reached = 100 * (means[:, mine] - limits[mine, 0]) / (limits[mine, 1] - limits[mine, 0])
        spans = raw * (limits[mine, 1] - limits[mine, 0])
        return (spans * reached) @ members[mine] / (spans @ members[mine])

    answers = found.answers
    estimate = levels(fitted.fit.weights, answers.mean(axis=0)[None], answers.std(axis=0)[None])[0]
    against = ((fitted.fit.weights[0] < 0) @ members) > 0
    ends = fitted.ends(levels(draws.fit.weights, draws.means, draws.spreads))
    low, high = (np.where(against, np.nan, end) for end in ends)
    return np.where(against, np.nan, estimate), (low, high)


def _sides(low: Array, high: Array, line: float) -> list[bool | None]:
    """Whether each interval is above a line; None if it crosses it or does not exist."""
    return [None if not (a > line or b < line) else bool(a > line) for a, b in zip(low, high, strict=True)]
