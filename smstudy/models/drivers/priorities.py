"""Must-have and nice-to-have: on one page what is important on average, what is necessary, and how much is there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from smstudy.display import priorities as pictures
from smstudy.display.prose import join_words
from smstudy.errors import StudyError, did_you_mean
from smstudy.inference.ceilings import Kind
from smstudy.inference.linearization import Sampling, linearized_means, t_interval
from smstudy.inference.regression.formula import Formula, parse_formula
from smstudy.models.drivers.contributions import Importance, importance
from smstudy.models.drivers.necessities import NECESSARY, TOO_FEW, Necessity, goes_with_less, necessity, plain_terms
from smstudy.models.ranges import Ranges, need_ranges, possible_range
from smstudy.models.samplings import sampling_of
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, frame_of
from smstudy.survey.weights import Weights

Array = NDArray[np.float64]
CANNOT_TELL = "cannot tell"
MUST = "must-have"
BOTH = "must-have and important"
NICE = "nice-to-have"
NEITHER = "neither shown"
QUADRANTS = {
    (True, False): "look here first",
    (True, True): "keep it up",
    (False, False): "low priority",
    (False, True): "nothing urgent",
}
PICTURE_ROWS = 10
SILENT = {"nothing_to_share", "too_little_data"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Priorities(Result):
    """Drivers by importance, level and necessity.

    Attributes
    ----------
    drivers : DataFrame
        The tidy table.
    importance : Importance
        What the importance rests on.
    necessity : Necessity
        What the necessity rests on, with the bottleneck table.
    summary : mapping
        What `glance()` gives.
    """

    drivers: pd.DataFrame = field(repr=False)
    importance: Importance = field(repr=False)
    necessity: Necessity = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar[Callable[..., Axes]] = staticmethod(pictures.importance_performance)

    def tidy(self) -> pd.DataFrame:
        """One row per driver, in the order of the formula."""
        return self.drivers.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample and R²."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """The most important first."""
        rows = shown.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
        columns = ["term", "verdict", "importance", "importance_low", "importance_high", "necessity"]
        return rows[[*columns, "performance", "performance_low", "performance_high", "quadrant", "reading"]]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the importance-performance map; must-haves have a mark of their own."""
        return super().plot(ax or pictures.figures.new_axes(PICTURE_ROWS))

    def alt_text(self) -> str:
        """The map in words."""
        rows = self.layout(self.shown())
        names = [self.labels.get(name, name) for name in rows["term"]]
        parts = [
            f"{name}: importance {share:.0%}, level {level:.0f} of 100, {verdict}"
            for name, share, level, verdict in zip(names, rows["importance"], rows["performance"], rows["verdict"])
        ]
        return f"{self.title}. {'; '.join(parts)}."


class _Asked(NamedTuple):
    """What was asked for, checked."""

    formula: Formula
    drivers: tuple[str, ...]
    low: frozenset[str]
    ranges: Mapping[str, tuple[float, float]]


def priorities(
    formula: str,
    data: Data,
    *,
    low: Collection[str] = (),
    cluster: str | None = None,
    weights: Weights | str | None = None,
    ranges: Ranges | None = None,
    ceiling: Kind = "ce_fdh",
    n_boot: int = 1000,
    n_permutations: int = 1000,
    seed: int = 1,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> Priorities:
    """Put on one page which drivers are important on average, which are necessary, and how much of each is there.

    Parameters
    ----------
    formula : str
        Such as `"adoption ~ leadership + readiness + C(unit)"`, with 2 to 15 drivers that are plain columns. Controls
        in `C()` are held constant for importance; necessity looks at each driver by itself.
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    low : collection of str
        Drivers of which less is better, such as concerns: a low level is asked for and counts as a high one on the map.
    cluster : str, optional
        Column with teams whose members may resemble each other, for the intervals of importance and levels.
    weights : Weights or str, optional
        For importance and levels; a ceiling has no weights.
    ranges : mapping, optional
        Smallest and largest possible value of drivers, where no codebook knows them; also of the outcome, if the page
        shall say what level a level of it needs.
    ceiling : {"ce_fdh", "cr_fdh"}
        As in `necessity`.
    n_boot, n_permutations : int
        Resamples for importance, random data sets for necessity.
    seed : int
        Seed of both.
    conf_level : float
        Level of the intervals.
    min_n : int, optional
        Raises the threshold of people below which nothing is shown.

    Returns
    -------
    Priorities
        Per driver its share of importance, its mean as `performance` (0 to 100 of the possible answers), both with
        intervals, and its `quadrant` by the means over drivers: "cannot tell" where an interval crosses a line, and
        where a driver that `low` does not name goes with a lower outcome: then more of it is no advice. The
        verdict: "must-have" if `necessity` says necessary ("and important" if the share is above the mean as well);
        "nice-to-have" if only the share is and more of it goes with more of the outcome; "neither shown" if the share
        is below the mean; else "cannot tell".

    Raises
    ------
    StudyError
        If the formula has products or functions, or not 2 to 15 drivers.
    DataError
        If a range is not known, or as in `importance` and `necessity`.
    DisclosureError, EstimationError
        As in `importance`.

    References
    ----------
    Martilla & James (1977), J. Marketing 41, 77-79; Ringle & Sarstedt (2016), Industrial Management & Data Systems
    116, 1865-1886; with necessity: Hauff, Richter, Sarstedt & Ringle (2024), J. Retailing and Consumer Services 78.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> a, b = rng.random((2, 300))
    >>> frame = pd.DataFrame({"a": a, "b": b, "y": (0.2 * rng.random(300) + b) * np.minimum(1, 0.2 + a)})
    >>> priorities("y ~ a + b", frame, ranges={"a": (0, 1), "b": (0, 1)}, n_boot=200).tidy()["necessity"].tolist()
    ['necessary', 'necessary']
    """
    asked = _asked(formula, data, low, ranges)
    shared = {"seed": seed, "min_n": min_n}
    drawn = {"cluster": cluster, "weights": weights, "n_boot": n_boot, "conf_level": conf_level}
    important = importance(formula, data, **drawn, **shared)
    plain = f"`{asked.formula.outcome.column}` ~ " + " + ".join(f"`{name}`" for name in asked.drivers)
    needs = list(asked.formula.columns) + ([cluster] if cluster else [])
    answered = frame_of(data)[needs].notna().all(axis=1)
    units = {"levels": "actual", "ranges": asked.ranges} if asked.formula.outcome.column in asked.ranges else {}
    options = {"low": low, "ceiling": ceiling, "n_permutations": n_permutations}
    needed = necessity(plain, _only(data, answered), **options, **units, **shared)
    sampling = sampling_of(data, weights, clusters=cluster or "")
    levels = _levels(data, answered.to_numpy(), asked, sampling, conf_level)
    return _result(asked, important, needed, levels)


def _asked(formula: str, data: Data, low: Collection[str], ranges: Ranges | None) -> _Asked:
    parsed = parse_formula(formula)
    terms = tuple(term for term in parsed.terms if len(term) > 1 or term[0].transform != "C")
    drivers = plain_terms(Formula(parsed.text, parsed.outcome, terms, parsed.intercept), "A driver on the page")
    for name in low:
        if name not in drivers:
            raise StudyError(f'low names "{name}", which is no driver. {did_you_mean(name, drivers)}')
    frame = frame_of(data)
    known, outcome = [name for name in drivers if name in frame], parsed.outcome.column
    if outcome in frame and possible_range(data, outcome, ranges or {}) is not None:
        known.append(outcome)
    return _Asked(parsed, drivers, frozenset(low), need_ranges(data, known, ranges))


def _only(data: Data, answered: pd.Series) -> Data:
    """The respondents importance looks at, so that both parts are about the same people."""
    if isinstance(data, pd.DataFrame):
        return data[answered]
    return data.keep_rows(answered, "kept who answered everything on the page")


def _levels(
    data: Data, answered: NDArray[np.bool_], asked: _Asked, sampling: Sampling, conf_level: float
) -> tuple[Array, Array, Array]:
    """Means of the drivers, the possible answers being 0 to 100, with their intervals."""
    values = frame_of(data)[list(asked.drivers)].to_numpy(float)
    lowest, highest = np.array([asked.ranges[name] for name in asked.drivers]).T
    scaled = 100 * (values - lowest) / (highest - lowest)
    turned = [name in asked.low for name in asked.drivers]
    scaled = np.where(turned, 100 - scaled, scaled)
    found = linearized_means(scaled, sampling, answered)
    return found.estimate, *t_interval(found, conf_level=conf_level)


def _result(asked: _Asked, important: Importance, needed: Necessity, levels: tuple[Array, Array, Array]) -> Priorities:
    labels = dict(important.labels)
    table = important.tidy()[["term", "importance", "importance_low", "importance_high"]]
    performance, low, high = levels
    table = table.assign(performance=performance, performance_low=low, performance_high=high)
    table["effect_size"] = needed.shown()["effect_size"].to_numpy()
    table["necessity"] = needed.tidy()["verdict"].to_numpy()
    table["rank_correlation"] = needed.shown()["rank_correlation"].to_numpy()
    telling = not SILENT & {finding.name for finding in important.findings}
    falls = goes_with_less(needed.tidy(), int(needed.glance()["n"]), asked.low).to_numpy()
    rows = table.to_dict("records")
    line = float(np.mean(performance))
    table["quadrant"] = [_quadrant(row, len(rows), line, telling and not less) for row, less in zip(rows, falls)]
    table["verdict"] = [_verdict(row, len(rows), telling) for row in rows]
    outcome = labels.get(asked.formula.outcome.column, asked.formula.outcome.column)
    table["reading"] = [_reading(row, needed, asked, outcome) for row in table.to_dict("records")]
    glance = important.glance()
    return Priorities(
        title=f"Must-have and nice-to-have for {outcome}",
        note=_note(asked, labels),
        findings=tuple(_findings(important, needed)),
        labels=labels,
        privacy=important.privacy,
        drivers=table,
        importance=important,
        necessity=needed,
        summary={key: glance[key] for key in ("n", "n_dropped", "r_squared", "conf_level")},
    )


def _side(low: float, high: float, line: float) -> bool | None:
    """Whether an interval is above a line; None if it crosses it."""
    return None if not (low > line or high < line) else low > line


def _quadrant(row: Mapping[str, float], drivers: int, line: float, telling: bool) -> str:
    important = _side(row["importance_low"], row["importance_high"], 1 / drivers) if telling else None
    much = _side(row["performance_low"], row["performance_high"], line)
    return CANNOT_TELL if important is None or much is None else QUADRANTS[important, much]


def _verdict(row: Mapping[str, object], drivers: int, telling: bool) -> str:
    important = _side(row["importance_low"], row["importance_high"], 1 / drivers) if telling else None
    if row["necessity"] == NECESSARY:
        return BOTH if important else MUST
    if row["necessity"] == TOO_FEW or important is None or (important and row["rank_correlation"] <= 0):
        return CANNOT_TELL
    return NICE if important else NEITHER


def _reading(row: Mapping[str, object], needed: Necessity, asked: _Asked, outcome: str) -> str:
    if row["necessity"] == NECESSARY:
        return _level_in_words(needed, str(row["term"]), asked, outcome)
    if row["rank_correlation"] < 0 and row["verdict"] == CANNOT_TELL:
        return f"{CANNOT_TELL}: goes with a lower outcome; should little of it be there, name it in low"
    said = {
        NICE: "goes with a higher outcome on average; that it cannot be done without is not shown",
        NEITHER: "a small part on average, and not shown to be necessary",
    }
    return said.get(str(row["verdict"]), CANNOT_TELL)


def _level_in_words(needed: Necessity, term: str, asked: _Asked, outcome: str) -> str:
    """The highest level of the outcome of which it can be said what is needed for it, on the scale of the map."""
    rows = needed.bottleneck.shown()
    rows = rows[(rows["term"] == term) & (rows["reading"] == "needed")]
    if rows.empty or asked.formula.outcome.column not in asked.ranges:
        return f"a high {outcome} hardly occurs without it"
    last = rows.iloc[-1]
    level = _of_a_hundred(last["outcome_level"], asked.ranges[asked.formula.outcome.column])
    own = _of_a_hundred(last["needed_level"], asked.ranges[term])
    own = 100 - own if term in asked.low else own
    return f"a {outcome} of {level:.0f} or more, of 100, hardly occurs with a level below {own:.0f}"


def _of_a_hundred(value: float, limits: tuple[float, float]) -> float:
    """Where a value lies between the smallest and the largest possible one."""
    return 100 * (value - limits[0]) / (limits[1] - limits[0])


def _note(asked: _Asked, labels: Mapping[str, str]) -> str:
    parts = [
        "Importance: share of what the drivers account for together; the line is the mean, an equal share. Level: "
        "mean, the possible answers being 0 to 100; the line is the mean of the drivers. Cannot tell: an interval "
        "crosses a line",
        "Must-have: without it a high outcome hardly occurs. Nice-to-have: it goes with more of the outcome on "
        "average, and others can make up for it as far as is known. All of it is about what occurs together",
    ]
    if asked.low:
        names = join_words([labels.get(name, name) for name in sorted(asked.low)])
        parts.append(f"Less is better, so that few of it count as a high level: {names}")
    return ". ".join(parts) + "."


def _findings(important: Importance, needed: Necessity) -> Iterator[Finding]:
    """Findings of both parts, each once."""
    known = {finding.name: finding for finding in (*needed.findings, *important.findings)}
    yield from known.values()
