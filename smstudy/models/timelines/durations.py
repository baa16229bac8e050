"""How long it takes until something happens, such as adoption, when some have not got there yet.

A step of a survival curve stands at the time of one person. So what a reader sees is told at round times only, and
only at those between which nobody or at least `min_n` people had the event, nobody or at least `min_n` were censored,
and nobody or at least `min_n` are left. The curve ends where no further time can be told. Shares are rounded to two
decimals, because their last digits would tell in what order single people had the event or were censored. Where a few
people of a group had the event, or a few had not, no totals of events are told, and curves end early enough that none
of these counts follows from everybody's total.

The log-rank test compares the events of a group with those expected, which a reader can work out nearly. So it is told
only if no group has few events, and where times are few steps with few events or censored people in one of them, p is
told to two decimals, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from smstudy.display import apa, figures, survival_curves
from smstudy.display.prose import join_words
from smstudy.errors import ColumnError, DataError, DisclosureError, StudyError, did_you_mean
from smstudy.inference.survival import Curve, LogRank, joined_times, kaplan_meier, log_rank, quantile_time
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of
from smstudy.survey.disclosure import pool_hidden

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
EVERYBODY = "Everybody"
MOST_POINTS = 20
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
EXACT = 1e-9
MOST_GROUPS = 12
FEW_EVENTS = 10
FEW_TIMES = 5
CURVE_ROWS = 9
HALF = 0.5


@dataclass(frozen=True, kw_only=True, repr=False)
class MedianTimes(Result):
    """How long it takes until it has happened to half, by group; `rows` exact, `told` as it may be shown."""

    rows: pd.DataFrame = field(repr=False)
    told: pd.DataFrame = field(repr=False)
    n: int

    def tidy(self) -> pd.DataFrame:
        """One row per group: n, events, median and its interval, exact."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The same with times that may be told: the first by which it had happened to half."""
        return self.told.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}


@dataclass(frozen=True, kw_only=True, repr=False)
class Survival(Result):
    """Shares to whom something has not happened yet.

    Attributes
    ----------
    rows : DataFrame
        Exact and ungated, one row per group and time, as `tidy()` gives it.
    told : DataFrame
        What may be shown.
    medians : MedianTimes
        How long it takes until it has happened to half.
    summary : mapping
        What `glance()` gives.
    """

    rows: pd.DataFrame = field(repr=False)
    told: pd.DataFrame = field(repr=False)
    medians: MedianTimes
    summary: Mapping[str, int | float | str]

    picture: ClassVar = staticmethod(survival_curves.curves)

    def tidy(self) -> pd.DataFrame:
        """One row per group and time at which anything happens, exact: for computing, what is shown is coarser."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """Round times only, between which nobody or enough people had the event or were censored."""
        return self.told.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and the log-rank test."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Without the group where there is one only."""
        return shown.drop(columns="group") if shown["group"].nunique() == 1 else shown

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw one curve per group."""
        return super().plot(ax or figures.new_axes(CURVE_ROWS))

    def alt_text(self) -> str:
        """The last share told of each group, in words."""
        last = self.drawn().groupby("group", sort=False).last()
        parts = [f"{name} {apa.share(row['estimate'])} at {row['time']:g}" for name, row in last.iterrows()]
        return f"{self.title}. Not yet: {'; '.join(parts)}."


class Times(NamedTuple):
    """Times, events (0 or 1) and which rows of the data they are of."""

    time: Array
    event: Array
    used: NDArray[np.bool_]


class _Group(NamedTuple):
    """A group's exact curve and the times that may be told."""

    name: str
    curve: Curve
    points: Array

    @property
    def totals(self) -> Array:
        """Events and censored."""
        return np.array([self.curve.events.sum(), self.curve.censored.sum()])

    @property
    def tail(self) -> Array:
        """Events and censored after the last time told."""
        return self.totals - [_until(self.curve, part, self.points[-1:]).sum() for part in self.curve[2:4]]

    def shorter(self) -> _Group:
        """The same told up to the time before the last."""
        return self._replace(points=self.points[:-1])


def survival(
    data: Data,
    *,
    time: str,
    event: str | None = None,
    by: str | None = None,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> Survival:
    """Estimate how long it takes until something happens, and whether it takes groups equally long.

    Parameters
    ----------
    data : Survey or DataFrame
        One row per person.
    time : str
        Column with how long each person was followed, above 0: until the event, or until the last time it had not
        happened.
    event : str
        Column that is 1 if it happened at that time, 0 if it had not happened yet (censored). It must be named:
        people who have not adopted yet are no adopters at the end of the study.
    by : str, optional
        Column of groups to compare.
    conf_level : float
        Level of the pointwise intervals.
    min_n : int, optional
        Raises the threshold of people below which nothing is shown.

    Returns
    -------
    Survival
        Kaplan-Meier estimates with log-log intervals from Greenwood's errors, `.medians`, and the log-rank test, p
        rounded up or left out where it would tell about few people. Everybody counts the same, without survey weights
        or strata. `tidy()` is exact; what is shown ends where too few are left, and tells round times only.

    Raises
    ------
    StudyError, DataError
        If columns are unknown, a time is not above 0, an event not 0 or 1, or nobody had the event.
    DisclosureError
        If fewer than the threshold had the event, or are in one of the groups.

    References
    ----------
    Kaplan & Meier (1958), JASA 53, 457-481. Agrees with R `survival::survfit(conf.type = "log-log")` and `survdiff`
    (tests/reference/survival.R).

    Examples
    --------
    >>> frame = pd.DataFrame({"week": np.repeat([1, 2, 3], [6, 6, 8]), "adopted": np.repeat([1, 1, 0], [6, 6, 8])})
    >>> survival(frame, time="week", event="adopted").shown()[["time", "n_risk", "n_event", "estimate"]].values.tolist()
    [[0.0, 20.0, 0.0, 1.0], [1.0, 14.0, 6.0, 0.7], [2.0, 8.0, 6.0, 0.4], [3.0, 0.0, 0.0, 0.4]]
    """
    if not isinstance(conf_level, (int, float)) or not 0.5 <= conf_level < 1:
        raise StudyError(f"conf_level = {conf_level} is no level. Give a share from 0.5 to below 1, such as 0.95.")
    event = declared(event)
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    times = read_times(data, time, event, also=[by] if by else [])
    need_events(times, policy)
    codes, names = _groups(data, by, times.used, policy)
    grid = told_times(times.time)
    every = [_group(name, times, codes == k, grid, policy, conf_level) for k, name in enumerate(names)]
    groups, totals_told = _protected(every, policy)
    test = log_rank(times.time, times.event, codes) if by else None
    labels = labels_of(data)
    told = _test_told(test, step_counts(times, codes), totals_told, policy) if test else {}
    return _result(groups, totals_told, told, times, conf_level, policy, labels, labels.get(event, event))


def declared(event: str | None) -> str:
    """The column of events; StudyError if none is named, because then nothing tells who is censored."""
    if event is None:
        raise StudyError(
            "Say who had the event: event= names a column that is 1 where it happened at that time and 0 where it had "
            "not happened yet (censored). Without it people who are still waiting would count as if it had happened."
        )
    return event


def read_times(data: Data, time: str, event: str, *, also: list[str]) -> Times:
    """Read how long people were followed and whether the event happened; rows with anything missing are left out.

    Raises
    ------
    DataError
        If a column is unknown, a time is not above 0, or an event is not 0 or 1.
    """
    frame = frame_of(data)
    for name in (time, event, *also):
        if name not in frame:
            raise ColumnError(f'There is no column "{name}". {did_you_mean(str(name), map(str, frame.columns))}')
        if isinstance(frame[name], pd.DataFrame):
            raise DataError(f'The data have more than one column "{name}". Keep one.')
    if time == event:
        raise DataError(f'"{time}" cannot be both the time and the event. Name two columns.')
    used = frame[[time, event, *also]].notna().all(axis=1).to_numpy()
    values, flags = (_numbers(frame[name], used) for name in (time, event))
    if not np.isin(flags, (0.0, 1.0)).all():
        raise DataError(f'"{event}" must be 1 where the event happened and 0 where it had not happened yet. Recode it.')
    if not (np.isfinite(values) & (values > 0)).all():
        raise DataError(
            f'"{time}" must be above 0 and finite for everybody. Who had the event at the very start was never waiting '
            "for it: leave these people out by a rule, or count from an earlier day."
        )
    return Times(joined_times(values), flags, used)


def _numbers(column: pd.Series, used: NDArray[np.bool_]) -> Array:
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        raise DataError(f'"{column.name}" is not a number. Compute one first, such as days from the start.')
    return column[used].to_numpy(float)


def need_events(times: Times, policy: Privacy) -> None:
    """Refuse data in which nobody, or fewer than the threshold, had the event."""
    if not policy.allows(len(times.time)) or not len(times.time):
        raise DisclosureError(policy.too_few("have a time and an event (0 or 1)"))
    if not times.event.any():
        raise DataError("Everybody is censored: nobody had the event, so nothing tells how long it takes.")
    if not policy.allows(times.event.sum()):
        raise DisclosureError(policy.too_few("had the event"))


def _groups(data: Data, by: str | None, used: NDArray[np.bool_], policy: Privacy) -> tuple[Codes, tuple[str, ...]]:
    if by is None:
        return np.zeros(int(used.sum()), dtype=np.intp), (EVERYBODY,)
    column = pool_hidden(data, [by])[by][used]
    if isinstance(data, Survey) or isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    codes, found = pd.factorize(column, sort=True)
    names = tuple(f"{each:g}" if isinstance(each, float) else str(each) for each in found)
    if len(names) < 2:
        raise DataError(f'Everybody has the same "{by}", so there are no groups to compare. Leave by= out.')
    if len(names) > MOST_GROUPS:
        raise DataError(f'"{by}" has {len(names)} values; curves of more than {MOST_GROUPS} groups cannot be read.')
    if (np.bincount(codes) < policy.min_n).any():
        raise DisclosureError(
            f'A group of "{by}" has fewer than {policy.min_n} people with a time and an event. Merge groups by what '
            "they mean."
        )
    return codes, names


def told_times(time: Array) -> Array:
    """Round times, at most about 20, up to the first at or after the latest; whole ones where all times are.

    >>> told_times(np.array([1.0, 4.0])).tolist(), told_times(np.array([1.0, 880.0]))[:2].tolist()
    ([1.0, 2.0, 3.0, 4.0], [50.0, 100.0])
    """
    latest = float(time.max())
    power = 10.0 ** np.floor(np.log10(latest / MOST_POINTS))
    step = next(power * nice for nice in NICE if latest / (power * nice) <= MOST_POINTS + EXACT)
    step = max(step, 1.0) if (time % 1 == 0).all() else step
    return step * np.arange(1, np.ceil(latest / step - EXACT) + 1)


def _group(
    name: str, times: Times, inside: NDArray[np.bool_], grid: Array, policy: Privacy, conf_level: float
) -> _Group:
    curve = kaplan_meier(times.time[inside], times.event[inside], conf_level=conf_level)
    return _Group(name, curve, _told_points(curve, grid, policy))


def _told_points(curve: Curve, grid: Array, policy: Privacy) -> Array:
    """Times of the grid between which nobody or enough people had the event, or were censored."""
    events, censored = _until(curve, curve.events, grid), _until(curve, curve.censored, grid)
    n = curve.at_risk[0]
    kept, before = [], (0.0, 0.0)
    for place in range(len(grid)):
        now = (events[place], censored[place])
        if now != before and all(map(policy.allows, (now[0] - before[0], now[1] - before[1], n - sum(now)))):
            kept, before = [*kept, place], now
    return grid[kept]


def _protected(groups: list[_Group], policy: Privacy) -> tuple[list[_Group], bool]:
    """End curves early enough that no small count follows, and say whether totals may be told."""
    if all(policy.allows(total) for group in groups for total in group.totals):
        return [_clean(group, policy) for group in groups], True
    everybody = np.sum([group.totals for group in groups], axis=0)
    while all(map(policy.allows, everybody)) and any(len(group.points) for group in groups):
        if _open(np.array([group.tail for group in groups]), policy.min_n):
            break
        longest = max(range(len(groups)), key=lambda k: len(groups[k].points))
        groups = [group.shorter() if k == longest else group for k, group in enumerate(groups)]
    return groups, False


def _clean(group: _Group, policy: Privacy) -> _Group:
    """End a curve where nobody or enough people have the event, or are censored, afterwards."""
    while len(group.points) and not all(map(policy.allows, group.tail)):
        group = group.shorter()
    return group


def _open(tails: Array, min_n: int) -> bool:
    """Whether small counts after the last time told could be anything from 1 to min_n - 1, all sums being known.

    >>> _open(np.array([[9.0, 1.0], [8.0, 2.0]]), 5), _open(np.array([[9.0, 1.0], [8.0, 4.0]]), 5)
    (False, True)
    """
    left, sums = tails.sum(axis=1, keepdims=True), tails.sum(axis=0)
    small = (tails > 0) & (tails < min_n)
    narrow = (sums < min_n - 1) | (sums - (left.sum() - left) > 1)
    return not (small & narrow).any()


def step_counts(times: Times, codes: Codes) -> Array:
    """Events, then censored, of each group at each time, shape (2, times, groups)."""
    found, places = np.unique(times.time, return_inverse=True)
    counts = np.zeros((2, len(found), int(codes.max()) + 1))
    np.add.at(counts, ((1 - times.event).astype(np.intp), places, codes), 1.0)
    return counts


def any_few(counts: Array, policy: Privacy) -> bool:
    """Whether one of the counts is of few people."""
    return bool(((counts > 0) & (counts < policy.min_n)).any())


def _test_told(test: LogRank, counts: Array, totals_told: bool, policy: Privacy) -> dict[str, float]:
    """What may be told of the test: all of it, p rounded up, or the number of groups only."""
    n_times, n_groups = counts.shape[1:]
    told: dict[str, float] = {"n_groups": n_groups}
    if any_few(counts[0].sum(axis=0), policy):
        return told
    if n_times > MOST_POINTS or not any_few(counts, policy):
        return told | {"statistic": test.statistic, "df": test.df, "p_value": test.p_value}
    if not totals_told or n_times <= FEW_TIMES:
        return told
    return told | {"df": test.df, "p_value": float(np.ceil(100 * test.p_value) / 100)}


def _until(curve: Curve, counts: Array, grid: Array) -> Array:
    """How many up to each time, that time included."""
    return np.concatenate([[0.0], np.cumsum(counts)])[np.searchsorted(curve.time, grid * (1 + EXACT), side="right")]


def _at(curve: Curve, values: Array, points: Array, start: float) -> Array:
    """Values of a curve at some times."""
    return np.concatenate([[start], values])[np.searchsorted(curve.time, points * (1 + EXACT), side="right")]


def _exact(group: _Group) -> pd.DataFrame:
    curve = group.curve
    return pd.DataFrame(
        {
            "group": group.name, "time": curve.time, "n_risk": curve.at_risk, "n_event": curve.events,
            "n_censored": curve.censored, "estimate": curve.survival, "std_error": curve.std_error,
            "conf_low": curve.conf_low, "conf_high": curve.conf_high,
        }
    )  # fmt: skip


def _told(group: _Group) -> pd.DataFrame:
    """The rows of a group that may be shown."""
    curve, points = group.curve, np.concatenate([[0.0], group.points])
    events = _until(curve, curve.events, points)
    gone = events + _until(curve, curve.censored, points)
    return pd.DataFrame(
        {
            "group": group.name, "time": points, "n_risk": curve.at_risk[0] - gone,
            "n_event": np.diff(events, prepend=0),
            "estimate": _at(curve, curve.survival, points, 1.0).round(2),
            "conf_low": _at(curve, curve.conf_low, points, np.nan).round(2),
            "conf_high": _at(curve, curve.conf_high, points, np.nan).round(2),
        }
    )  # fmt: skip


def _medians(groups: list[_Group]) -> pd.DataFrame:
    rows = []
    for group in groups:
        curve = group.curve
        low, high = (np.nan_to_num(each, nan=1.0) for each in (curve.conf_low, curve.conf_high))
        ends = [quantile_time(curve.time, each, HALF) for each in (curve.survival, low, high)]
        rows.append((group.name, curve.at_risk[0], group.totals[0], *ends))
    return pd.DataFrame(rows, columns=["group", "n", "n_event", "median", "conf_low", "conf_high"])


def _told_medians(groups: list[_Group], totals_told: bool) -> pd.DataFrame:
    """Medians at the times that may be told."""
    rows = []
    for group in groups:
        curve, points = group.curve, group.points
        ends = [_first_half(curve, each, points) for each in (curve.survival, curve.conf_low, curve.conf_high)]
        total = group.totals[0] if totals_told else np.nan
        rows.append((group.name, curve.at_risk[0], total, *ends, _half(ends[0], points)))
    return pd.DataFrame(rows, columns=["group", "n", "n_event", "median", "conf_low", "conf_high", "reading"])


def _first_half(curve: Curve, values: Array, points: Array) -> float:
    below = np.nan_to_num(_at(curve, values, points, 1.0), nan=1.0) <= HALF
    return float(points[below][0]) if below.any() else float("nan")


def _half(median: float, points: Array) -> str:
    if np.isfinite(median):
        return f"half by {median:g}"
    return f"fewer than half by {points[-1]:g}" if len(points) else "cannot tell"


def _result(
    groups: list[_Group], totals_told: bool, test: Mapping[str, float], times: Times, conf_level: float,
    policy: Privacy, labels: Mapping[str, str], what: str,
) -> Survival:  # fmt: skip
    shared = {"labels": labels, "privacy": policy}
    told = pd.concat([_told(group) for group in groups], ignore_index=True)
    summary = {"n": len(times.time), "n_dropped": int((~times.used).sum()), **test}
    medians = MedianTimes(
        title=f"Median time until: {what}",
        note=f"First time told by which it had happened to half; intervals ({conf_level:.0%}) likewise. A dash: not by "
        "the last time that can be told.",
        rows=_medians(groups),
        told=_told_medians(groups, totals_told),
        n=len(times.time),
        **shared,
    )
    return Survival(
        title=f"Time until: {what}",
        note=_note(policy, conf_level, test),
        findings=tuple(_findings(groups, totals_told, times, test)),
        rows=pd.concat([_exact(group) for group in groups], ignore_index=True),
        told=told,
        medians=medians,
        summary=summary | {"conf_level": float(conf_level)},
        **shared,
    )


def _note(policy: Privacy, conf_level: float, test: Mapping[str, float]) -> str:
    parts = [
        "Estimate: share to whom it has not happened by that time (Kaplan-Meier), pointwise log-log intervals; n at "
        "risk: people followed for longer; events: since the row above",
        f"Told are round times between which nobody or at least {policy.min_n} people had the event or stopped being "
        f"followed, while nobody or at least {policy.min_n} are left",
        "Censored people count until they were last seen; this supposes that they are like those followed for longer",
    ]
    if "p_value" in test:
        rounded = "" if "statistic" in test else ", rounded up to two decimals"
        parts.append(f"p: log-rank test that all groups take equally long{rounded}")
    if conf_level != 0.95:
        parts.append(f"Intervals are {conf_level:.0%} intervals")
    return ". ".join(parts) + "."


def _findings(groups: list[_Group], totals_told: bool, times: Times, test: Mapping[str, float]) -> Iterator[Finding]:
    if not totals_told:
        text = "How many had the event in all is not told, because in a group few people had it, or few had not."
        yield Finding(name="totals_hidden", text=text, severity="info")
    if test and "p_value" not in test:
        text = (
            "The log-rank test is not told, because it would tell how many of a group had the event, or when, where "
            "these are few. Merge groups by what they mean, or use finer times."
        )
        yield Finding(name="test_hidden", text=text, severity="info")
    short = [group.name for group in groups if not len(group.points)]
    if short:
        text = f"{join_words(short)}: there is no time that can be told without telling about a few people."
        yield Finding(name="no_curve", text=text)
    if times.event.sum() < FEW_EVENTS:
        text = f"Fewer than {FEW_EVENTS} people had the event: too little data for more than a first impression."
        yield Finding(name="few_events", text=text, severity="serious")
