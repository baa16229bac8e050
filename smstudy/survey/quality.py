"""How carefully people answered, and how many of those asked did: flags and findings, never a silent deletion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import figures
from smstudy.display.prose import join_words, plural
from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.result import Finding, Result, Rows
from smstudy.survey.cleaning import flag_name, match_category
from smstudy.survey.codebook import Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import NO_GROUP, blank, group_names, hidden_groups, protect

MIN_ITEMS = 6
MIN_ITEMS_REPEATED = 10
ANY = "any"
DURATION = "duration_seconds"


@dataclass(frozen=True)
class Index:
    """One sign of careless answering.

    Attributes
    ----------
    label : str
        What is measured.
    compute : callable
        (items of shape (n, k), seconds of shape (n,)) to values of shape (n,); missing where nothing can be said.
    cutoff : callable
        (values, number of items) to the value from which the flag speaks.
    low : bool
        Whether small values are the suspicious ones.
    source : str
        Why this cut-off.
    """

    label: str
    compute: Callable[[np.ndarray, np.ndarray], np.ndarray]
    cutoff: Callable[[np.ndarray, int], float]
    low: bool
    source: str


def longstring(items: np.ndarray) -> np.ndarray:
    """Find the longest run of identical answers of each respondent.

    Parameters
    ----------
    items : array, shape (n, k)
        Answers in the order in which they were asked; a missing answer ends a run and is none.

    Returns
    -------
    array, shape (n,)
        0 to k.

    References
    ----------
    Johnson (2005), J. Research in Personality 39, 103-129. Where nothing is missing, the definition of R
    careless::longstring.

    Examples
    --------
    >>> longstring(np.array([[1.0, 2, 2, 2, 5], [3, np.nan, 3, 4, 4]]))
    array([3., 2.])
    """
    longest = np.zeros(len(items))
    run = np.zeros(len(items))
    for place in range(items.shape[1]):
        same = items[:, place] == items[:, place - 1] if place else np.zeros(len(items), dtype=bool)
        run = np.where(np.isnan(items[:, place]), 0, np.where(same, run + 1, 1))
        longest = np.maximum(longest, run)
    return longest


def response_variability(items: np.ndarray) -> np.ndarray:
    """Compute the standard deviation of each respondent's answers (n - 1), missing answers left out.

    References
    ----------
    Dunn, Heggestad, Shanock & Theilgard (2018), J. Business and Psychology 33, 105-121. Agrees with R careless::irv.

    Examples
    --------
    >>> response_variability(np.array([[1.0, 3, np.nan], [2, 2, 2]])).round(3)
    array([1.414, 0.   ])
    """
    answered = (~np.isnan(items)).sum(axis=1)
    mean = np.nansum(items, axis=1) / np.maximum(answered, 1)
    squares = np.nansum((items - mean[:, None]) ** 2, axis=1)
    return np.where(answered > 1, np.sqrt(squares / np.maximum(answered - 1, 1)), np.nan)


def zero_variance(items: np.ndarray) -> np.ndarray:
    """Say 1 where all answers of a respondent are the same, else 0; missing where less than half was answered."""
    answered = (~np.isnan(items)).sum(axis=1)
    low, high = (
        fill(np.where(np.isnan(items), empty, items), axis=1) for fill, empty in ((np.min, np.inf), (np.max, -np.inf))
    )
    enough = answered >= max(2, items.shape[1] / 2)
    return np.where(enough, (low == high).astype(float), np.nan)


def missing_share(items: np.ndarray) -> np.ndarray:
    """Compute the share of items each respondent left out."""
    return np.isnan(items).mean(axis=1)


def seconds_per_item(items: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Divide the time taken by the number of items answered; missing where nothing was answered or no time is known."""
    answered = (~np.isnan(items)).sum(axis=1)
    return np.where(answered > 0, seconds / np.maximum(answered, 1), np.nan)


def relative_speed(items: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Say how many times faster than the median respondent somebody was, per item answered."""
    own = seconds_per_item(items, seconds)
    known = own[np.isfinite(own)]
    return np.median(known) / np.where(own > 0, own, np.nan) if len(known) else own


def _lower_fence(values: np.ndarray, k: int) -> float:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan")
    low, high = np.quantile(known, [0.25, 0.75])
    return float(low - 1.5 * (high - low))


def _constant(cut: float) -> Callable[[np.ndarray, int], float]:
    return lambda values, k: cut


INDICES: dict[str, Index] = {
    "longstring": Index(
        "Longest run of identical answers", lambda items, seconds: longstring(items),
        lambda values, k: float(np.ceil(k / 2)), False,
        "half of all items or more in a row: Curran (2016), J. Experimental Social Psychology 66, 4-19",
    ),
    "zero_variance": Index(
        "The same answer to every item", lambda items, seconds: zero_variance(items), _constant(1.0), False,
        "one answer to all, reversed ones included: Kim et al. (2019), Social Science Computer Review 37, 214-233",
    ),
    "irv": Index(
        "Spread of a respondent's answers", lambda items, seconds: response_variability(items), _lower_fence, True,
        "no agreed cut-off (Dunn et al., 2018, J. Business and Psychology 33, 105-121); below Tukey's lower fence, "
        "so that only those who stand apart are flagged",
    ),
    "missing_share": Index(
        "Share of items left out", lambda items, seconds: missing_share(items), _constant(0.5), False,
        "half of the items or more left out; below half answered is a break-off: AAPOR Standard Definitions",
    ),
    "seconds_per_item": Index(
        "Seconds per item", seconds_per_item, _constant(2.0), True,
        "less than 2 seconds per item: Huang et al. (2012), J. Business and Psychology 27, 99-114",
    ),
    "relative_speed": Index(
        "Times faster than the median", relative_speed, _constant(2.0), False,
        "twice as fast as the median or faster: Leiner (2019), Survey Research Methods 13, 229-248",
    ),
}  # fmt: skip
SOURCES = {**{name: index.source for name, index in INDICES.items()}, ANY: "at least one of these"}
TIMED = ("seconds_per_item", "relative_speed")


@dataclass(frozen=True, kw_only=True, repr=False)
class QualityCard(Result):
    """How many respondents show each sign of careless answering.

    Attributes
    ----------
    rows : DataFrame
        Ungated, as `tidy()` gives them.
    n_items : int
        Items looked at.
    indices : Rows
        Value of every index, one row per respondent.
    flags : Rows
        Whether each index speaks, boolean; the column `any` is true where at least one does.
    """

    rows: pd.DataFrame = field(repr=False)
    n_items: int
    indices: Rows
    flags: Rows

    picture: ClassVar[Callable[..., Axes]] = staticmethod(partial(figures.bars, value="share"))

    def tidy(self) -> pd.DataFrame:
        """One row per index and one for any of them: term, threshold, n flagged, share, reason."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The card with small counts hidden, and the last row too where it would give one away."""
        return gate_card(self.rows, len(self.flags.frame), self.privacy.min_n)

    def glance(self) -> dict[str, int | float | str]:
        """Respondents looked at, and the number of items."""
        return {"n": len(self.flags.frame), "n_items": self.n_items}


def quality_card(
    survey: Survey, *, duration: str = DURATION, thresholds: Mapping[str, float] | None = None
) -> QualityCard:
    """Look for signs of careless answering.

    Parameters
    ----------
    survey : Survey
        All items of the codebook are used, in its order, as they were answered (reversed items not turned round).
    duration : str
        Variable with the seconds taken; the speed indices are left out if it is not there.
    thresholds : mapping, optional
        Other cut-offs, by name of the index (see `INDICES`).

    Returns
    -------
    QualityCard
        One row per index. Flags are hints: on real failures of attention checks single indices do hardly better than
        chance, so nobody should be removed for one of them alone.

    Raises
    ------
    DataError
        If there are no respondents or fewer than 2 items.
    StudyError
        If a threshold is for no index.
    """
    items, seconds = _items(survey), _seconds(survey, duration)
    names = [name for name in INDICES if name not in TIMED or seconds is not None]
    names = [name for name in names if items.shape[1] >= MIN_ITEMS or name in (*TIMED, "missing_share")]
    cuts = _own_thresholds(thresholds or {})
    matrix, times = items.to_numpy(float), np.full(len(items), np.nan) if seconds is None else seconds.to_numpy(float)
    values = {name: INDICES[name].compute(matrix, times) for name in names}
    limits = {name: cuts.get(name, INDICES[name].cutoff(values[name], matrix.shape[1])) for name in names}
    flags = pd.DataFrame({name: _speaks(name, values[name], limits[name]) for name in names}, index=items.index)
    flags[ANY] = flags.any(axis=1)
    return QualityCard(
        title="Signs of careless answering",
        note=f"{plural(items.shape[1], 'item')}, in the order of the codebook. Flags are hints; this removes nobody.",
        findings=(*_card_findings(items, seconds, flags[ANY], survey), *_repeated(survey, items)),
        labels={**{name: INDICES[name].label for name in names}, ANY: "Any of these"},
        privacy=survey.privacy,
        rows=_card_rows(flags, limits, cuts),
        n_items=items.shape[1],
        indices=Rows(pd.DataFrame(values, index=items.index)),
        flags=Rows(flags),
    )


def with_flags(survey: Survey, card: QualityCard) -> Survey:
    """Add the flags of a card as columns `flag_<index>` and `flag_any`, 1 where the index speaks, for cleaning rules.

    Raises
    ------
    DataError
        If the card is about other respondents.
    """
    flags = card.flags.frame
    if not flags.index.equals(survey.answers.index):
        raise DataError("The quality card is about other respondents than the survey. Make both from the same answers.")
    columns = flags.astype(float).rename(columns=flag_name)
    return survey.with_columns(columns, "quality flags added")


def gate_card(rows: pd.DataFrame, n: int, min_n: int) -> pd.DataFrame:
    """Hide small counts of a quality card.

    A count is hidden if it, or the rest of the respondents, is from 1 to min_n - 1. The last row, the union of the
    others, is hidden too where it says of a hidden count more than that it is at least 1.
    """
    flagged = rows["n"].to_numpy(float)
    hidden = ((flagged > 0) & (flagged < min_n)) | ((n - flagged > 0) & (n - flagged < min_n)) | (0 < n < min_n)
    parts = hidden[:-1]
    hidden[-1] |= parts.any() and flagged[-1] - flagged[:-1][~parts].sum() > 1
    return blank(rows, hidden, ["n", "share"])


def _items(survey: Survey) -> pd.DataFrame:
    names = [v.name for v in survey.codebook.of_kind("item") if v.name in survey.answers]
    if survey.answers.empty:
        raise DataError("There are no answers to check: no respondent is left.")
    if len(names) < 2:
        raise DataError(
            f"A quality card needs at least 2 items, the survey has {len(names)}. Declare variables of kind item."
        )
    return survey.answers[names].astype(float)


def _seconds(survey: Survey, duration: str) -> pd.Series | None:
    """The time taken, none at all if it is not there or never known; a time that is not positive is not known."""
    if duration not in survey.answers or not pd.api.types.is_numeric_dtype(survey.answers[duration]):
        return None
    seconds = survey.answers[duration].astype(float)
    seconds = seconds.where(seconds > 0)
    return seconds if seconds.notna().any() else None


def _own_thresholds(thresholds: Mapping[str, float]) -> dict[str, float]:
    for name in thresholds:
        if name not in INDICES:
            raise StudyError(f'There is no quality index "{name}". {did_you_mean(name, INDICES)}')
    return {name: float(cut) for name, cut in thresholds.items()}


def _speaks(name: str, values: np.ndarray, limit: float) -> np.ndarray:
    return values < limit if INDICES[name].low else values >= limit


def _card_rows(flags: pd.DataFrame, limits: Mapping[str, float], own: Mapping[str, float]) -> pd.DataFrame:
    rows = [
        {
            "term": name,
            "threshold": limits.get(name, float("nan")),
            "n": int(flags[name].sum()),
            "share": float(flags[name].mean()),
            "reason": "set for this study" if name in own else SOURCES[name],
        }
        for name in flags
    ]
    return pd.DataFrame(rows)


def _card_findings(items: pd.DataFrame, seconds: pd.Series | None, flagged: pd.Series, survey: Survey) -> list[Finding]:
    found = []
    if items.shape[1] < MIN_ITEMS:
        text = f"Only {items.shape[1]} items: below {MIN_ITEMS}, runs and spread say nothing and are left out."
        found.append(Finding(name="few_items", text=text))
    if seconds is None:
        text = f"No time is known: the answers have no variable {DURATION}, so speed is not checked."
        found.append(Finding(name="no_duration", text=text, severity="info"))
    if flagged.mean() > 0.10 and flagged.sum() >= survey.privacy.min_n:
        text = "More than one respondent in ten shows a sign of careless answers. Report results with and without them."
        found.append(Finding(name="many_flagged", text=text))
    return found


def _repeated(survey: Survey, items: pd.DataFrame) -> list[Finding]:
    """Say if somebody repeats another respondent answer by answer; rows of one single answer are no repetition."""
    aside = ("id", "date", "weight")
    about = [v.name for v in survey.codebook.variables if v.kind not in aside and v.name != DURATION]
    block = survey.answers[[name for name in about if name in survey.answers]]
    varied = items.nunique(axis=1) > 1
    enough = items.notna().sum(axis=1) >= MIN_ITEMS_REPEATED
    if not (block.duplicated() & varied & enough).any():
        return []
    text = (
        "Some respondents repeat another one in every single answer. With this many items that is hardly chance: look "
        "for a response sent twice, and exclude it with a rule of the stage duplicates."
    )
    return [Finding(name="repeated_answers", text=text)]


def _draw_response(ax: Axes, frame: pd.DataFrame, **words: object) -> Axes:
    """Draw the response of each department, or the respondents where no head count is known."""
    return figures.bars(ax, frame, value="response" if frame["response"].notna().any() else "n", **words)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response(Result):
    """Respondents per head count, by department; `closed` names departments that all tables of the survey hide."""

    rows: pd.DataFrame = field(repr=False)
    closed: frozenset[str] = frozenset()

    picture: ClassVar[Callable[..., Axes]] = _draw_response

    def tidy(self) -> pd.DataFrame:
        """One row per department: group, n_frame, n, response."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The table with small departments hidden, and further ones so that none follows from the totals."""
        rows, counts = self.rows.assign(hidden=self.rows["group"].isin(self.closed)), ["n", "n_frame"]
        return protect(rows, group="group", counts=counts, numbers=["response"], privacy=self.privacy).table

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out head counts and response where none is known."""
        unknown = ["n_frame", "response"] if self.rows["n_frame"].isna().all() else []
        return shown.drop(columns=unknown)

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, departments and the response of all."""
        stated = self.rows[self.rows["group"] != NO_GROUP]
        n, asked = int(self.rows["n"].sum()), stated["n_frame"].sum(skipna=False)
        response = {"response": float(n / asked)} if asked > 0 else {}
        return {"n": n, "n_groups": len(stated), **response}


def response_table(survey: Survey, frame: pd.DataFrame | None, unit: str | None = None) -> Response:
    """Compare respondents with head counts.

    Parameters
    ----------
    survey : Survey
        Who answered.
    frame : DataFrame or None
        Columns `unit` (labels, codes or other spellings of the codebook) and `headcount`, one row per department.
    unit : str, optional
        Variable that says which department somebody belongs to; the first one of kind unit if left out.

    Returns
    -------
    Response
        One row per department, those without an answer included, and one for respondents who did not state theirs.

    Raises
    ------
    DataError
        If the frame lacks a column, names a department twice, or a head count is no whole number above 0.
    """
    variable = _unit(survey, unit)
    answered = group_names(survey, variable.name).value_counts()
    asked = _head_counts(frame, variable) if frame is not None else pd.Series(dtype=float)
    groups = sorted(set(answered.index) | set(asked.index))
    n = answered.reindex(groups, fill_value=0).to_numpy(int)
    n_frame = asked.reindex(groups).to_numpy(float)
    rows = pd.DataFrame({"group": groups, "n_frame": n_frame, "n": n, "response": n / n_frame})
    return Response(
        title=f"Response by {variable.label}",
        note="Respondents left after cleaning, per head count.",
        findings=_response_findings(rows, frame is not None),
        privacy=survey.privacy,
        rows=rows,
        closed=hidden_groups(survey, variable.name),
    )


def _unit(survey: Survey, unit: str | None) -> Variable:
    units = survey.codebook.of_kind("unit")
    if unit:
        return survey.codebook.variable(unit)
    if not units:
        raise DataError("The codebook has no variable of kind unit. Declare the one that names the department.")
    return units[0]


def _head_counts(frame: pd.DataFrame, variable: Variable) -> pd.Series:
    for name in ("unit", "headcount"):
        if name not in frame:
            raise DataError(f'The head counts have no column "{name}". {did_you_mean(name, map(str, frame.columns))}')
    counts = pd.to_numeric(frame["headcount"], errors="coerce").astype(float)
    names = [match_category(variable, str(name)) or str(name).strip() for name in frame["unit"]]
    bad = [name for name, count in zip(names, counts, strict=True) if not (count > 0 and count == int(count))]
    if bad:
        raise DataError(f"The head count of {join_words(bad[:3])} is no whole number above 0. Correct the head counts.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"The head counts name {join_words(twice[:3])} twice. Keep one row for each department.")
    return pd.Series(counts.to_numpy(), index=names)


def _response_findings(rows: pd.DataFrame, counted: bool) -> tuple[Finding, ...]:
    if not counted:
        text = "Head counts are not given, so nothing can be said about who did not answer."
        return (Finding(name="no_head_count", text=text),)
    found = []
    absent = rows.loc[rows["n_frame"].isna() & (rows["group"] != NO_GROUP), "group"].tolist()
    if absent:
        text = f"The head counts do not name {join_words(absent[:5])}. The response of all is not computed."
        found.append(Finding(name="unit_without_head_count", text=text))
    if (rows["n"] > rows["n_frame"]).any():
        text = "At least one department has more respondents than people. Check the head counts and the duplicates."
        found.append(Finding(name="more_than_head_count", text=text, severity="serious"))
    return tuple(found)
