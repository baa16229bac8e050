"""Pilots: what changed in units that began something, beyond what changed in units that did not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from smstudy.display import apa, event_study, figures, rules
from smstudy.display.prose import plural
from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.inference.randomization import (
    MOST_ENUMERATED,
    N_DRAWS,
    assignments,
    count_assignments,
    randomization_p,
)
from smstudy.inference.regression.covariance import ENOUGH_CLUSTERS, FEWEST_CLUSTERS, NAMES
from smstudy.inference.regression.panels import (
    Effect,
    Fitted,
    Panel,
    fit_effect,
    fit_event_study,
    jackknifed,
    panel_of,
    placebo_effects,
    slope_weights,
)
from smstudy.inference.regression.wild_bootstrap import WildTest
from smstudy.inference.threads import one_thread
from smstudy.models.timelines.pilot_rows import Rows, Units, moments_told, pooled, refuse_few, refuse_small
from smstudy.models.timelines.waves import (
    Stack,
    answers,
    column_of,
    named,
    named_codes,
    numbers_of,
    sizes_of,
    stacked,
    wave_place,
    waves_of,
)
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, Survey
from smstudy.survey.disclosure import NO_GROUP

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Treated = str | Collection[str] | Mapping[str, object]
EFFECT, NONE_SHOWN, CANNOT_TELL = "effect", "no effect shown", "cannot tell"
EFFECT_IF = f"{EFFECT}, if trends were parallel"
DIFFERS, PARALLEL = "differs before the start", "parallel as far as can be seen"
LEVEL = 0.05
MATTERS = 0.5  # standard deviations: Cohen's medium
ENOUGH_DF = 4
STUDY_ROWS = 9
ASSUMED = (
    "The estimate is the effect of the pilot if, without it, both groups of units had changed alike (parallel trends), "
    "nobody changed before the start because of it (no anticipation), and it did not reach the other units"
)


@dataclass(frozen=True, kw_only=True, repr=False)
class EventStudy(Result):
    """Units in the pilot against the others at each wave before and after the start.

    Attributes
    ----------
    rows : DataFrame
        What `tidy()` gives.
    summary : mapping
        What `glance()` gives; `verdict` reads the waves before the start.
    """

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar = staticmethod(event_study.leads_and_lags)

    def tidy(self) -> pd.DataFrame:
        """One row per wave since the start; -1, the last wave before it, is the reference."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, the joint test of the waves before the start and what it says."""
        return dict(self.summary)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the waves from left to right."""
        return super().plot(ax or figures.new_axes(STUDY_ROWS))

    def alt_text(self) -> str:
        """The differences in words."""
        rows = self.drawn()
        parts = [f"{moment:+.0f}: {apa.number(value)}" for moment, value in zip(rows["event_time"], rows["estimate"])]
        return f"{self.title}. Difference by wave since the start: {'; '.join(parts)}."


@dataclass(frozen=True, kw_only=True, repr=False)
class Pilot(Result):
    """What a pilot changed, by difference-in-differences.

    Attributes
    ----------
    rows : DataFrame
        What `tidy()` gives.
    summary : mapping
        What `glance()` gives.
    event_study : EventStudy
        The same wave by wave, with the test of the waves before the start.
    """

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    event_study: EventStudy

    picture: ClassVar = staticmethod(
        partial(figures.estimates, xlabel="Change beyond the other units, on the scale of the outcome")
    )

    def tidy(self) -> pd.DataFrame:
        """One row: the effect, three tests of it, and the verdict."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, units and errors."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out what has no value, and the reason, which the note gives."""
        return shown[[name for name in shown if name != "reason" and shown[name].notna().any()]]

    def pooling(self) -> Poolable:
        """The effect, with its CR2 error and degrees of freedom."""
        return Poolable(
            keys=self.rows[["term"]],
            estimates=self.rows["estimate"].to_numpy(float),
            covariance=self.rows[["std_error"]].to_numpy(float) ** 2,
            df_complete=self.rows["df"].to_numpy(float),
            n=int(self.summary["n"]),
            title=self.title,
            note=f"Difference-in-differences, errors: {self.summary['covariance']}. {ASSUMED}.",
        )


class _Tests(NamedTuple):
    effect: Effect
    wild: WildTest
    p_random: float
    n_assignments: int


class _Trend(NamedTuple):
    """The waves before the start: p of the joint test, the fastest drift per wave they leave room for, what they say.

    `apart` is over how many waves a drift would have gone on, from the mean wave before the start to that after it.
    """

    p_value: float
    room: float
    apart: float
    verdict: str

    @property
    def ahead(self) -> float:
        """By how much the effect could be off if the fastest drift had gone on."""
        return self.room * self.apart

    def against(self, effect: float) -> str:
        """The fastest drift they leave room for beside the one that would be as large as an effect."""
        if not np.isfinite(self.room):
            return "the waves before the start tell nothing about a drift apart"
        return (
            f"the waves before the start leave room for a drift apart of {self.room:.2f} per wave; "
            f"{abs(effect) / self.apart:.2f} per wave would be as large as this"
        )


UNSEEN = _Trend(float("nan"), float("nan"), float("nan"), "cannot be looked at")
UNTOLD = UNSEEN._replace(verdict="not told")
UNKNOWN = {
    UNSEEN.verdict: "with one wave before the start nothing shows whether they were",
    UNTOLD.verdict: "whether they were is not told, because that would tell what few people answered",
}


class _Asked(NamedTuple):
    """What was asked for, read and counted."""

    stack: Stack
    outcome: str
    panel: Panel
    rows: Rows
    n_dropped: int
    n_left_out: int
    any_pooled: bool
    spread: float
    matters: float
    conf_level: float
    seed: int


def pilot(
    data: Data | Sequence[Survey],
    outcome: str,
    *,
    unit: str,
    treated: Treated,
    since: object = None,
    wave: str | None = None,
    waves: Sequence[object] | None = None,
    comparison: Collection[str] | None = None,
    size: str | None = None,
    matters: float | None = None,
    conf_level: float = 0.95,
    seed: int = 1,
    min_n: int | None = None,
) -> Pilot:
    """Estimate what a pilot changed: the change in its units beyond the change in the others.

    Parameters
    ----------
    data : Survey, DataFrame or list of Survey
        Respondents of several waves in long form, or one survey per wave in their order. The same people need not
        answer twice.
    outcome : str
        Score or number.
    unit : str
        Column of the units, such as departments, that were in the pilot or not as a whole. Those that tables of a
        survey hide in one of the waves count as one unit.
    treated : list of str, mapping or str
        The units in the pilot (then `since` is needed); a mapping from each to its first wave in it; or a column of 0
        and 1: with `since` whether the unit is in the pilot, without it whether it is at that wave.
    since : optional
        First wave with the pilot, if all units began at once.
    wave : str, optional
        Column of the waves, in a frame that has several.
    waves : list, optional
        Order of the waves, where it does not follow from numbers, dates or an ordered Categorical.
    comparison : list of str, optional
        Units to compare with, such as `match_units` gives; all others if left out.
    size : str, optional
        Column with the number of people each row stands for, where rows are means.
    matters : float, optional
        Smallest effect worth acting on; half a standard deviation of the outcome if left out.
    conf_level : float
        Level of the intervals.
    seed : int
        Of what is drawn where there are too many units to try every way.
    min_n : int, optional
        Raises the threshold of people below which nothing is shown.

    Returns
    -------
    Pilot
        "effect": the interval and randomization inference both speak against none, and the fastest drift apart that the
        waves before the start leave room for, going on, would be smaller; "effect, if trends were parallel" where one
        wave before the start shows nothing about it. "No effect shown": an effect that matters is ruled out, and a
        drift as large (which could hide it) by the waves before, if there are several. Else "cannot tell", as with one
        unit in the pilot, or fewer than 20 ways to choose the units.

    Raises
    ------
    StudyError
        If a unit or wave is not there, or options do not fit.
    DataError
        If fewer than 6 units remain, all or none are in the pilot, no wave came before it, a unit leaves the pilot or
        is in it for some respondents only, or the order of the waves is not clear.
    DisclosureError
        If fewer than the threshold answered in a wave in the units in the pilot, or in the others; gave one of two
        answers before or after the start; or if units that tables hide would be told apart.

    Notes
    -----
    Two-way fixed effects with CR2 errors by unit and Satterthwaite's degrees of freedom; every respondent counts the
    same, without survey weights or strata. With different starts each cohort and wave has an effect of its own,
    averaged by respondents (with jackknife errors if one unit began alone), because the usual coefficient would compare
    with units in the pilot. `p_wild`: wild cluster bootstrap. `p_random`: share of all ways to choose as many units
    that show as much for its error (without errors where starts differ or one unit is in the pilot).

    Simulated without effect at 5 %, 8 or 10 units: CR2 rejects in 2 to 7 %, the bootstrap in 5 %, randomization in 3 %
    where units vary alike; where those in the pilot vary 3 times as much, in 3 to 7, 7 to 11 and 6 to 10 % (2 to 4
    units in it); where they have a tenth as many people, in 2, 0 and 4 %.

    The drift apart is the slope of the differences before the start, with its interval. It says nothing of drifts that
    began later.

    References
    ----------
    MacKinnon & Webb (2020), J. Econometrics 218, 435-450; Wooldridge (2021), SSRN 3906345; tests before the start:
    Roth (2022), AER: Insights 4, 305-322; drifts that go on: Rambachan & Roth (2023), Review of Economic Studies 90,
    2555-2591. Agrees with R `lm`, `clubSandwich` and plain R (tests/reference/pilots.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"team": np.tile(list("abcdefgh"), 100), "wave": np.repeat([1, 2], 400)})
    >>> frame["use"] = rng.normal(size=800) + 0.9 * (frame["team"].isin(["a", "b", "c", "d"]) & frame["wave"].eq(2))
    >>> found = pilot(frame, "use", unit="team", wave="wave", treated=["a", "b", "c", "d"], since=2)
    >>> found.tidy()["verdict"].item()
    'effect, if trends were parallel'
    """
    if not isinstance(conf_level, (int, float)) or not 0.5 <= conf_level < 1:
        raise StudyError(f"conf_level = {conf_level} is no level. Give a share from 0.5 to below 1, such as 0.95.")
    if matters is not None and not (isinstance(matters, Real) and 0 < matters < np.inf):
        raise StudyError(f"matters = {matters} is no size of an effect. Give a number above 0.")
    stack = stacked(data, wave, min_n)
    asked = _asked(stack, outcome, unit, treated, since, waves, comparison, size, matters, conf_level, seed)
    with one_thread():
        tests = _tests(asked)
        moments, fitted = fit_event_study(asked.panel)
        effects = jackknifed(asked.panel, conf_level, moments) if _lonely(asked.panel) else fitted.effects(conf_level)
        told = moments_told(asked.rows, asked.panel, moments, stack.policy.min_n)
        joint_p = fitted.joint_p(moments < 0)
        drift = _drift(fitted, moments, effects, asked) if told[moments < 0].all() else None
        trend = UNTOLD if drift is None else _trend(moments, effects, drift, joint_p, tests.effect, asked)
    return _result(asked, tests, trend, _study(moments, effects, told, trend, asked))


def _asked(
    stack: Stack, outcome: str, unit: str, treated: Treated, since: object, waves: Sequence[object] | None,
    comparison: Collection[str] | None, size: str | None, matters: float | None, conf_level: float, seed: int,
) -> _Asked:  # fmt: skip
    values, sizes = numbers_of(stack, outcome), sizes_of(stack, size)
    places, order = waves_of(stack, waves)
    if len(order) < 2:
        raise DataError("There is one wave only. A pilot needs a wave before its start and one from the start on.")
    hidden = stack.hidden(unit, outcome=outcome)
    units = column_of(stack, unit).astype(object)
    units = units.fillna(NO_GROUP) if NO_GROUP in hidden else units
    known = np.isfinite(values) & (places >= 0) & units.notna().to_numpy()
    if not known.any():
        raise DataError(f'No row has "{outcome}", "{unit}" and the wave. Check the names.')
    codes, names = named_codes(units[known])
    starts = _starts(stack, treated, since, known, codes, names, places[known], order)
    keep = _compared(starts < len(order), names, comparison)
    shut = np.isin(names, list(hidden))
    part = pooled(Units(codes, starts, keep), shut, unit)
    starts = part.starts[part.codes]
    full = panel_of(part.codes, places[known], values[known], sizes[known], part.starts, len(order))
    used = part.keep & _seen(full, part.keep)
    panel = _kept(full, used)
    _check(panel, unit)
    refuse_small(panel, stack.policy.min_n)
    inside = used[part.codes]
    if np.ptp(values[known][inside]) == 0:
        raise DataError(f'Everybody has the same "{outcome}". What does not vary cannot be explained.')
    rows = Rows(answers(values[known][inside], sizes[known][inside]), starts[inside], places[known][inside])
    refuse_few(rows, panel, stack.policy.min_n)
    spread = _spread(rows) if size is None else float("nan")
    left_out = int(part.keep.sum() - used.sum())
    matters = MATTERS * spread if matters is None else float(matters)
    one = bool((shut & keep).any())
    dropped = int(sizes[~known].sum() + sizes[known][(part.keep & ~used)[part.codes]].sum())
    return _Asked(stack, outcome, panel, rows, dropped, left_out, one, spread, matters, conf_level, seed)


def _starts(
    stack: Stack, treated: Treated, since: object, known: NDArray[np.bool_], codes: Codes, names: tuple[str, ...],
    places: Codes, order: tuple[object, ...],
) -> Codes:  # fmt: skip
    """First wave in the pilot of each unit, the number of waves if never."""
    never = len(order)
    if isinstance(treated, Mapping):
        if since is not None:
            raise StudyError("treated= already tells when each unit began. Leave since= out.")
        begun = {_unit_name(each, names): wave_place(order, start) for each, start in treated.items()}
        return np.array([begun.get(name, never) for name in names], dtype=np.intp)
    first = None if since is None else wave_place(order, since)
    if not isinstance(treated, str):
        if first is None:
            raise StudyError("since= is needed: the first wave with the pilot. Or give treated={unit: wave, ...}.")
        chosen = {_unit_name(each, names) for each in treated}
        return np.array([first if name in chosen else never for name in names], dtype=np.intp)
    flags = _flags(stack, treated, known)
    return (
        _flagged(flags, codes, names, first, never) if first is not None else _begun(flags, codes, names, places, never)
    )


def _unit_name(each: object, names: Collection[str]) -> str:
    if named(each) not in names:
        raise StudyError(f'There is no unit "{each}" with answers. {did_you_mean(named(each), names)}')
    return named(each)


def _flags(stack: Stack, name: str, known: NDArray[np.bool_]) -> Array:
    flags = numbers_of(stack, name)[known]
    if not np.isin(flags, (0.0, 1.0)).all():
        raise DataError(f'"{name}" must be 0 or 1 in every row that counts, never missing. Recode it.')
    return flags


def _flagged(flags: Array, codes: Codes, names: tuple[str, ...], first: int, never: int) -> Codes:
    share = np.bincount(codes, flags) / np.bincount(codes)
    mixed = (share > 0) & (share < 1)
    if mixed.any():
        raise DataError(
            f'"{names[int(np.argmax(mixed))]}" is in the pilot in some rows and not in others. With since=, the column '
            "says whether the unit is in the pilot at all; leave since= out if it says when."
        )
    return np.where(share == 1, first, never).astype(np.intp)


def _begun(flags: Array, codes: Codes, names: tuple[str, ...], places: Codes, never: int) -> Codes:
    cell = codes * never + places
    counts = np.bincount(cell, minlength=len(names) * never).reshape(-1, never)
    sums = np.bincount(cell, flags, minlength=len(names) * never).reshape(-1, never)
    mixed = ((sums > 0) & (sums < counts)).any(axis=1)
    if mixed.any():
        raise DataError(
            f'"{names[int(np.argmax(mixed))]}" is in the pilot for some respondents of a wave and not for others. A '
            "pilot is for whole units: name smaller units, or correct the column."
        )
    on, off = sums > 0, (counts > 0) & (sums == 0)
    starts = np.where(on.any(axis=1), on.argmax(axis=1), never)
    ended = (off & (np.arange(never) > starts[:, None])).any(axis=1)
    if ended.any():
        raise DataError(
            f'"{names[int(np.argmax(ended))]}" is in the pilot at one wave and no longer at a later one. Effects of '
            "pilots that end are not estimated here: leave out the waves after the end, or the unit."
        )
    return starts.astype(np.intp)


def _compared(
    piloted: NDArray[np.bool_], names: tuple[str, ...], comparison: Collection[str] | None
) -> NDArray[np.bool_]:
    """Units in the pilot, and those to compare with."""
    if piloted.all():
        raise DataError(
            "All units are in the pilot, so there is nothing to compare with. Name units that are not, or follow one "
            "series with interrupted_series()."
        )
    if not piloted.any():
        raise DataError("No unit is in the pilot. Check treated= and since=.")
    if comparison is None:
        return np.ones(len(names), dtype=bool)
    if isinstance(comparison, str):
        raise StudyError(f'comparison = "{comparison}" must be a list of units, such as ["{comparison}"].')
    chosen = {_unit_name(each, names) for each in comparison}
    both = chosen & set(np.array(names)[piloted])
    if both:
        raise StudyError(f'"{min(both)}" is in the pilot and cannot be compared with. Take it out of comparison=.')
    return piloted | np.isin(names, list(chosen))


def _seen(panel: Panel, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Units with answers before and after the start; in every wave if units began at different ones."""
    some = panel.sizes > 0
    if panel.cohorts.min() == 0:
        raise DataError(
            "A unit is in the pilot from the first wave on, so nothing tells how it was before. Add an earlier wave, "
            "or leave the unit out."
        )
    if len(panel.cohorts) > 1:
        return some.all(axis=1) & keep
    start = panel.cohorts[0]
    return some[:, :start].any(axis=1) & some[:, start:].any(axis=1) & keep


def _kept(panel: Panel, used: NDArray[np.bool_]) -> Panel:
    return Panel(means=panel.means[used], sizes=panel.sizes[used], starts=panel.starts[used])


def _check(panel: Panel, unit: str) -> None:
    some = panel.sizes > 0
    if not panel.piloted.any() or panel.piloted.all():
        group = "in the pilot" if not panel.piloted.any() else "to compare with"
        raise DataError(f"No unit {group} has answers both before and after the start. Add waves, or other units.")
    if len(panel.starts) < FEWEST_CLUSTERS:
        raise DataError(
            f'Only {plural(len(panel.starts), "unit")} of "{unit}" can be compared; at least {FEWEST_CLUSTERS} are '
            "needed to tell an effect from luck. Use smaller units, such as teams, or describe the changes."
        )
    if not some.any(axis=0).all():
        raise DataError("In one of the waves no unit that can be compared has answers. Leave the wave out.")


def _spread(rows: Rows) -> float:
    """Standard deviation of respondents before the pilot began anywhere, within waves."""
    before = rows.places < rows.starts.min()
    waves, values = rows.places[before], rows.answers.values[before]
    counts = np.bincount(waves)
    means = np.bincount(waves, values) / np.maximum(counts, 1)
    df = len(values) - np.count_nonzero(counts)
    return float(np.sqrt(((values - means[waves]) ** 2).sum() / df)) if df > 0 else float("nan")


def _lonely(panel: Panel) -> bool:
    """Whether units began at different waves, and one of them when no other did."""
    return len(panel.cohorts) > 1 and bool((np.bincount(panel.starts[panel.piloted]) == 1).any())


def _errors(panel: Panel) -> str:
    return "jackknife (leaving out each unit in turn)" if _lonely(panel) else NAMES["CR2"]


def _tests(asked: _Asked) -> _Tests:
    panel = asked.panel
    fitted = fit_effect(panel)
    effect = jackknifed(panel, asked.conf_level)[0] if _lonely(panel) else fitted.effects(asked.conf_level)[0]
    observed = float(placebo_effects(panel, panel.starts[None, :])[0])
    placebo = placebo_effects(panel, assignments(panel.starts, seed=asked.seed))
    known = int(np.isfinite(placebo).sum())
    return _Tests(effect, fitted.wild(asked.conf_level, asked.seed), randomization_p(placebo, observed), known)


def _drift(fitted: Fitted, moments: Codes, effects: Sequence[Effect], asked: _Asked) -> Effect:
    """Slope per wave of the differences before the start, of the waves whose difference has an error."""
    known = np.isfinite([each.std_error for each in effects])
    weights = slope_weights(moments[known])
    if not weights.any():
        return Effect(*[float("nan")] * 6)
    if _lonely(asked.panel):
        return jackknifed(asked.panel, asked.conf_level, moments[known], weights[None, :])[0]
    spread = np.zeros(len(moments))
    spread[known] = weights
    return fitted.combined(spread, asked.conf_level)


def _trend(
    moments: Codes, effects: Sequence[Effect], drift: Effect, p_value: float, effect: Effect, asked: _Asked
) -> _Trend:
    """Read the waves before the start by the drift apart that they do not rule out.

    Where they differ, it is that of any single wave to the last before the start, if this is faster than their slope.
    """
    before = moments < 0
    if not before.any():
        return UNSEEN
    apart = float(moments[~before].mean() - np.append(moments[before], -1).mean())
    found = _Trend(p_value, _farthest(drift), apart, CANNOT_TELL)
    if p_value < LEVEL:
        single = [_farthest(each) / (-1 - m) for each, m in zip(effects, moments, strict=True) if m < 0]
        return found._replace(room=float(np.nanmax([found.room, *single])), verdict=DIFFERS)
    bound = abs(effect.estimate) if effect.p_value < LEVEL or np.isnan(asked.matters) else asked.matters
    return found._replace(verdict=PARALLEL) if found.ahead < bound else found


def _farthest(effect: Effect) -> float:
    """The end of its interval that is farther from zero."""
    return max(abs(effect.conf_low), abs(effect.conf_high))


def _study(
    moments: Codes, effects: Sequence[Effect], told: NDArray[np.bool_], trend: _Trend, asked: _Asked
) -> EventStudy:
    rows = pd.DataFrame([effect._asdict() for effect in effects]).assign(event_time=moments)[told]
    reference = pd.DataFrame({"event_time": [-1], "estimate": [0.0]})
    rows = pd.concat([rows, reference], ignore_index=True).sort_values("event_time", ignore_index=True)
    order = ["event_time", "estimate", "std_error", "conf_low", "conf_high", "df", "p_value"]
    label = asked.stack.labels.get(asked.outcome, asked.outcome)
    return EventStudy(
        title=f"Before and after the start of the pilot: {label}",
        note="Difference between units in the pilot and the others, against the last wave before the start (-1), with "
        f"{_errors(asked.panel)} errors by unit. If the groups changed alike, differences before the start are near 0.",
        findings=(*_hidden_moments(told, asked.stack.policy.min_n), *_trend_findings(trend)),
        labels=asked.stack.labels,
        privacy=asked.stack.policy,
        rows=rows[order],
        summary=_counts(asked) | {"p_value": trend.p_value, "verdict": trend.verdict},
    )


def _hidden_moments(told: NDArray[np.bool_], min_n: int) -> Iterator[Finding]:
    if not told.all():
        text = (
            f"{plural(int((~told).sum()), 'wave')} left out of the picture: fewer than {min_n} respondents of a group "
            "gave one of two answers, or all gave the same, or a further wave was needed so that this does not follow. "
            "Use longer waves, or an outcome with more answers."
        )
        yield Finding(name="waves_hidden", text=text)


def _trend_findings(trend: _Trend) -> Iterator[Finding]:
    if trend.verdict == DIFFERS:
        text = "The groups drifted apart before the start already, so that the others do not show what would have been."
        yield Finding(name="trends_differ", text=text, severity="serious")
    elif trend.verdict == CANNOT_TELL:
        text = (
            "The waves before the start cannot tell whether the groups changed alike: they leave room for a drift "
            f"apart of {trend.room:.2f} per wave, {trend.ahead:.2f} by the waves after it."
            if np.isfinite(trend.room)
            else "The waves before the start cannot tell whether the groups changed alike."
        )
        yield Finding(name="trends_not_known", text=text)
    elif trend.verdict == UNTOLD.verdict:
        text = (
            "Whether the groups changed alike before the start is not told: that would tell what few people answered."
        )
        yield Finding(name="trends_not_told", text=text)
    elif trend.verdict != PARALLEL:
        text = "There is one wave before the start only, so nothing shows whether the groups changed alike before."
        yield Finding(name="one_wave_before", text=text)


def _counts(asked: _Asked) -> dict[str, int | float | str]:
    panel = asked.panel
    return {
        "n": int(panel.sizes.sum()),
        "n_dropped": asked.n_dropped,
        "n_groups": len(panel.starts),
        "n_piloted": int(panel.piloted.sum()),
    }


def _verdict(tests: _Tests, trend: _Trend, asked: _Asked) -> tuple[str, str]:
    """What may be said, and why."""
    effect = tests.effect
    if np.isnan(effect.p_value):
        return CANNOT_TELL, "One unit in the pilot cannot tell its own luck from an effect."
    if tests.n_assignments * LEVEL < 1:
        return CANNOT_TELL, f"{tests.n_assignments} ways to choose the units are too few for a test at 5 %."
    if trend.verdict == DIFFERS and not trend.ahead < _surely(effect):
        return CANNOT_TELL, f"The groups drifted apart before the start already: {trend.against(_surely(effect))}."
    if effect.p_value < LEVEL and tests.p_random < LEVEL:
        return _effect(tests, trend)
    if _farthest(effect) < asked.matters:
        return _none_shown(trend, asked.matters)
    if effect.p_value < LEVEL:
        return CANNOT_TELL, f"{tests.p_random:.0%} of the ways to choose the units by chance show as much."
    if np.isnan(asked.matters):
        return CANNOT_TELL, "The interval holds no effect; what would matter is not known (say it in matters=)."
    return CANNOT_TELL, "The interval holds both no effect and one that would matter."


def _effect(tests: _Tests, trend: _Trend) -> tuple[str, str]:
    """What may be said where both tests speak against no effect."""
    said = f"Both tests speak against no effect ({tests.p_random:.1%} of other choices show as much)"
    drift = trend.against(tests.effect.estimate)
    if trend.verdict == CANNOT_TELL:
        return CANNOT_TELL, f"{said}, but {drift}."
    if trend.verdict in (DIFFERS, PARALLEL):
        return EFFECT, f"{said}, and {drift}."
    return EFFECT_IF, f"{said}, if trends were parallel; {UNKNOWN[trend.verdict]}."


def _none_shown(trend: _Trend, matters: float) -> tuple[str, str]:
    """What may be said where the interval holds no effect that matters."""
    said = f"An effect of {matters:.2f}, which would matter, is ruled out"
    drift = trend.against(matters)
    if trend.verdict in UNKNOWN:
        return NONE_SHOWN, f"{said} if trends were parallel; {UNKNOWN[trend.verdict]}."
    if trend.ahead < matters:
        return NONE_SHOWN, f"{said}, and {drift}."
    return CANNOT_TELL, f"{said} if trends were parallel, but a drift apart could hide one: {drift}."


def _surely(effect: Effect) -> float:
    """How far from zero the effect is at least, by its interval."""
    return max(effect.conf_low, -effect.conf_high, 0.0)


def _result(asked: _Asked, tests: _Tests, trend: _Trend, study: EventStudy) -> Pilot:
    verdict, reason = _verdict(tests, trend, asked)
    effect, size = tests.effect, round(tests.effect.estimate / asked.spread, 2)  # exactly it would tell the spread
    row = {
        "term": asked.outcome, "estimate": effect.estimate, "std_error": effect.std_error, "conf_low": effect.conf_low,
        "conf_high": effect.conf_high, "df": effect.df, "p_value": effect.p_value, "p_wild": tests.wild.p_value,
        "p_random": tests.p_random, "effect_size": size, "reading": _reading(effect, size),
        "verdict": verdict, "reason": reason,
    }  # fmt: skip
    return Pilot(
        title=f"Change beyond the other units: {asked.stack.labels.get(asked.outcome, asked.outcome)}",
        note=_note(asked, tests, reason),
        findings=tuple(_findings(asked, tests, trend)),
        labels=asked.stack.labels,
        privacy=asked.stack.policy,
        rows=pd.DataFrame([row]),
        summary=_counts(asked) | {"conf_level": float(asked.conf_level), "covariance": _errors(asked.panel)},
        event_study=study,
    )


def _reading(effect: Effect, size: float) -> str:
    if np.isnan(effect.p_value):
        return f"{_higher(effect.estimate)} than if it had changed as elsewhere"
    if effect.conf_low <= 0 <= effect.conf_high:
        return f"between {_higher(effect.conf_low)} and {_higher(effect.conf_high)} than if it had changed as elsewhere"
    word = "" if np.isnan(size) else f" ({rules.EFFECT.read(abs(size))})"
    return f"{_higher(effect.estimate)} than if it had changed as elsewhere{word}"


def _higher(value: float) -> str:
    return f"{apa.number(abs(value))} {'higher' if value > 0 else 'lower'}"


def _note(asked: _Asked, tests: _Tests, reason: str) -> str:
    panel = asked.panel
    several = len(panel.cohorts) > 1
    first = "Difference-in-differences with unit and wave effects"
    if several:
        first += "; each group of units that began together has effects of its own, averaged by respondents"
    drawn = count_assignments(panel.starts) > MOST_ENUMERATED
    ways = f"{N_DRAWS:,} drawn" if drawn else f"all {tests.n_assignments:,}"
    parts = [
        f"{reason} {first}; {_errors(panel)} standard errors by unit",
        ASSUMED,
        f"p (chance): share of {ways} ways to choose the units that show as much{_studied(panel)}; it supposes that "
        "any could have been chosen",
    ]
    if np.isfinite(asked.spread):
        parts.append("Effect: in standard deviations of respondents before the start")
    if asked.conf_level != 0.95:
        parts.append(f"Intervals are {asked.conf_level:.0%} intervals")
    return ". ".join(parts) + "."


def _studied(panel: Panel) -> str:
    """Whether p (chance) compares effects as they are or for their error."""
    return " for its error" if len(panel.cohorts) == 1 and panel.piloted.sum() > 1 else ""


def _findings(asked: _Asked, tests: _Tests, trend: _Trend) -> Iterator[Finding]:
    panel = asked.panel
    n_piloted = int(panel.piloted.sum())
    if np.isnan(tests.effect.p_value):
        text = "The pilot rests on one unit: no error can be had, and the estimate is a description."
        yield Finding(name="one_unit_piloted", text=text, severity="serious")
    elif len(panel.starts) < ENOUGH_CLUSTERS:
        text = f"There are only {len(panel.starts)} units, {n_piloted} of them in the pilot; tests allow for that."
        yield Finding(name="few_clusters", text=text)
    if tests.effect.df < ENOUGH_DF:
        text = f"So few units tell about the effect that p is rough (fewer than {ENOUGH_DF} degrees of freedom)."
        yield Finding(name="few_degrees_of_freedom", text=text)
    if tests.n_assignments * LEVEL < 1:
        text = f"There are {tests.n_assignments} ways to choose the units, so p (chance) cannot fall below 5 %."
        yield Finding(name="few_assignments", text=text, severity="serious")
    yield from _trend_findings(trend)
    if asked.any_pooled:
        text = "Units that tables hide to protect people count as one unit."
        yield Finding(name="units_pooled", text=text, severity="info")
    if asked.n_left_out:
        when = "in every wave" if len(panel.cohorts) > 1 else "both before and after the start"
        text = f"{plural(asked.n_left_out, 'unit')} without answers {when} left out."
        yield Finding(name="units_left_out", text=text)
    if (panel.sizes == 0).any():
        gaps = plural(int((panel.sizes == 0).any(axis=1).sum()), "unit")
        text = f"{gaps} without answers in one of the waves: estimates rest on the others there."
        yield Finding(name="unbalanced", text=text)
