"""Matching: units outside a pilot that resemble those in it, and how alike the two groups are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import balance as pictures
from smstudy.display.prose import join_words, plural
from smstudy.display.rules import Rule
from smstudy.errors import DataError, DisclosureError, StudyError, did_you_mean
from smstudy.inference.matching import balance, distances, match, pooled_covariance
from smstudy.models.timelines.waves import (
    Stack,
    column_of,
    named,
    named_codes,
    numbers_of,
    sizes_of,
    wave_place,
    waves_of,
)
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of

Array = NDArray[np.float64]
ALIKE = Rule(
    "standardized difference of two groups",
    (0.10, 0.25),
    ("alike", "nearly alike", "not alike"),
    "0.10: Austin (2009), Statistics in Medicine 28, 3083-3107; 0.25: Stuart (2010), Statistical Science 25, 1-21",
)
RATIO = 2.0  # of variances: Rubin (2001), Health Services and Outcomes Research Methodology 2, 169-188


@dataclass(frozen=True, kw_only=True, repr=False)
class Matching(Result):
    """How alike units in a pilot and those they are compared with are, before and after matching.

    Attributes
    ----------
    rows : DataFrame
        What `tidy()` gives.
    summary : mapping
        What `glance()` gives.
    treated, comparison : tuple
        Units in the pilot that have a match, and the matches, as the data have them: for
        `pilot(treated=..., comparison=...)`.
    """

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    treated: tuple[object, ...] = field(repr=False)
    comparison: tuple[object, ...] = field(repr=False)

    picture: ClassVar = staticmethod(partial(pictures.love, yardsticks=(ALIKE.cuts[0],)))

    def tidy(self) -> pd.DataFrame:
        """One row per column matched on: standardized difference and ratio of variances, before and after."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and units."""
        return dict(self.summary)

    def alt_text(self) -> str:
        """Differences before and after in words."""
        parts = [
            f"{self.labels.get(row['term'], row['term'])} {row['balance_before']:.2f}, then {row['balance_after']:.2f}"
            for row in self.shown().to_dict("records")
        ]
        return f"{self.title}. Standardized difference: {'; '.join(parts)}."


class _Units(NamedTuple):
    """Means of the columns by unit, people behind them, and which units are in the pilot."""

    names: NDArray[np.object_]
    x: Array
    sizes: Array
    piloted: NDArray[np.bool_]
    n_dropped: int


def match_units(
    data: Data,
    on: Sequence[str],
    *,
    unit: str,
    treated: Collection[str],
    ratio: int = 1,
    caliper: float | None = None,
    wave: str | None = None,
    since: object = None,
    waves: Sequence[object] | None = None,
    size: str | None = None,
    min_n: int | None = None,
) -> Matching:
    """Find units outside a pilot that resembled those in it before it began.

    Parameters
    ----------
    data : Survey or DataFrame
        One row per respondent or, with `size`, per unit.
    on : list of str
        Scores and numbers to be alike in, averaged by unit; the outcome before the start belongs among them.
    unit : str
        Column of the units.
    treated : list of str
        Units in the pilot.
    ratio : int
        Comparison units per unit in the pilot.
    caliper : float, optional
        Largest Mahalanobis distance, in standard deviations between units; units in the pilot without all their matches
        within it are left out, as few as possible.
    wave, since, waves : optional
        With several waves in the data: their column, the first wave with the pilot (only earlier ones count), and
        their order, as in `pilot`.
    size : str, optional
        Column with the number of people each row stands for.
    min_n : int, optional
        Raises the threshold of people below which nothing is shown.

    Returns
    -------
    Matching
        Pairs with the smallest Mahalanobis distances in all, without putting a unit back.

    Raises
    ------
    StudyError, DataError
        If a name is not there, there are too few units to choose from, or none is near enough.
    DisclosureError
        If fewer than the threshold answered in one of the groups.
    EstimationError
        If the columns determine each other.

    Notes
    -----
    Matching makes groups alike in what was asked about, in nothing else. It needs many units to choose from.

    References
    ----------
    Rubin (1980), Biometrics 36, 293-298; Stuart (2010), Statistical Science 25, 1-21.

    Examples
    --------
    >>> frame = pd.DataFrame({"team": list("abcdefgh"), "use": [3, 4, 3.1, 4.2, 1, 2, 5, 2.5], "people": 20})
    >>> match_units(frame, ["use"], unit="team", treated=["a", "b"], size="people").comparison
    ('c', 'd')
    """
    if not isinstance(ratio, int) or ratio < 1:
        raise StudyError(f"ratio = {ratio} is no number of units. Give a whole number from 1 on.")
    if caliper is not None and not caliper > 0:
        raise StudyError(f"caliper = {caliper} is no distance. Give a number above 0, such as 1.")
    if isinstance(on, str) or not on:
        raise StudyError('on= needs a list of columns, such as ["adoption"].')
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    surveys = (data,) if isinstance(data, Survey) else ()
    stack = Stack(frame_of(data), wave or "", labels_of(data), policy, surveys)
    units = _units(stack, list(on), unit, treated, _before(stack, wave, since, waves), size)
    _check(units, ratio)
    distance = distances(units.x, units.piloted)
    chosen = match(distance, ratio=ratio, caliper=np.inf if caliper is None else caliper)
    return _result(stack, list(on), units, chosen)


def _before(stack: Stack, wave: str | None, since: object, waves: Sequence[object] | None) -> NDArray[np.bool_]:
    """Rows of waves before the start; all if there is one wave."""
    if wave is None:
        return np.ones(len(stack.frame), dtype=bool)
    if since is None:
        raise StudyError("With wave=, say in since= when the pilot began: only waves before it count.")
    places, order = waves_of(stack, waves)
    before = (places >= 0) & (places < wave_place(order, since))
    if not before.any():
        raise DataError("There is no wave before the start. Units must be matched on what was before it.")
    return before


def _units(
    stack: Stack, on: list[str], unit: str, treated: Collection[str], rows: NDArray[np.bool_], size: str | None
) -> _Units:
    if isinstance(treated, str):
        raise StudyError(f'treated = "{treated}" must be a list of units, such as ["{treated}"].')
    values = np.column_stack([numbers_of(stack, name) for name in on])
    sizes, column = sizes_of(stack, size), column_of(stack, unit).astype(object)
    known = rows & np.isfinite(values).all(axis=1) & column.notna().to_numpy()
    if not known.any():
        raise DataError(f'No row has {join_words(on)} and "{unit}". Check the names.')
    codes, names = named_codes(column[known])
    unknown = next((each for each in treated if named(each) not in names), None)
    if unknown is not None:
        raise StudyError(f'There is no unit "{unknown}" with answers. {did_you_mean(named(unknown), names)}')
    values_of = column[known].drop_duplicates()
    own = dict(zip(values_of.map(named), values_of, strict=True))
    people = np.bincount(codes, sizes[known])
    sums = np.column_stack([np.bincount(codes, sizes[known] * part) for part in values[known].T])
    piloted = np.isin(names, [named(each) for each in treated])
    shown = ~np.isin(names, list(stack.hidden(unit))) & (people >= stack.policy.min_n)
    if (piloted & ~shown).any():
        raise DisclosureError(
            f"A unit in the pilot has fewer than {stack.policy.min_n} respondents, or is hidden in tables to protect "
            "people, so nothing is told about it. Leave it out of treated=."
        )
    dropped = int(sizes[rows & ~known].sum())
    means = (sums / people[:, None])[shown]
    called = np.array([own[name] for name in names], dtype=object)
    return _Units(called[shown], means, people[shown], piloted[shown], dropped)


def _check(units: _Units, ratio: int) -> None:
    n_treated, n_others = int(units.piloted.sum()), int((~units.piloted).sum())
    if n_treated == 0:
        raise DataError("No unit is in the pilot. Check treated=.")
    if n_others < ratio * n_treated:
        raise DataError(
            f"{plural(n_treated, 'unit')} in the pilot need {ratio * n_treated} others to be compared with; there are "
            f"{n_others}. Lower ratio=, or compare with all."
        )


def _protect(stack: Stack, groups: Sequence[float]) -> None:
    if any(not stack.policy.allows(people) for people in groups):
        raise DisclosureError(
            f"Fewer than {stack.policy.min_n} respondents answered in the units in the pilot, or in those to compare "
            "with, and nothing is told about so few."
        )


def _result(stack: Stack, on: list[str], units: _Units, chosen: NDArray[np.intp]) -> Matching:
    matched = (chosen >= 0).all(axis=1)
    if not matched.any():
        raise DataError("No unit in the pilot has a match that is near enough. Raise caliper=, or match on less.")
    treated, others = np.flatnonzero(units.piloted)[matched], np.flatnonzero(~units.piloted)[chosen[matched].ravel()]
    kept = np.concatenate([treated, others])
    _protect(stack, [units.sizes[part].sum() for part in (units.piloted, ~units.piloted, treated, others)])
    spread = np.sqrt(np.diag(pooled_covariance(units.x, units.piloted)))
    before, after = balance(units.x, units.piloted, spread), balance(units.x[kept], units.piloted[kept], spread)
    rows = pd.DataFrame(
        {
            "term": on, "balance_before": before.difference, "balance_after": after.difference,
            "ratio_before": before.ratio, "ratio_after": after.ratio,
            "reading": [_reading(*pair) for pair in zip(after.difference, after.ratio, strict=True)],
        }
    )  # fmt: skip
    return Matching(
        title="Units in the pilot and those to compare with",
        note="Means of units before the start; differences in standard deviations between units, pooled within both "
        "groups of all units. Matched by Mahalanobis distance, smallest in all, each unit once. Alike: below 0.10, "
        "and neither variance more than twice the other. "
        "Units of few people, and those that tables hide, take no part.",
        findings=tuple(_findings(rows, int((~matched).sum()), len(treated), stack)),
        labels=stack.labels,
        privacy=stack.policy,
        rows=rows,
        summary={
            "n": int(units.sizes.sum()), "n_dropped": units.n_dropped, "n_groups": len(units.names),
            "n_piloted": len(treated), "n_compared": len(others),
        },
        treated=tuple(units.names[treated]),
        comparison=tuple(units.names[np.sort(others)]),
    )  # fmt: skip


def _reading(difference: float, ratio: float) -> str:
    """Whether means are alike, and whether one group varies more than the other."""
    word = ALIKE.read(abs(difference))
    return f"{word}, but {_varies(ratio)}" if _spread_apart(ratio) else word


def _spread_apart(ratio: float) -> bool:
    return bool(np.isfinite(ratio) and not 1 / RATIO <= ratio <= RATIO)


def _varies(ratio: float) -> str:
    return "it varies more in the pilot" if ratio > 1 else "it varies less in the pilot"


def _findings(rows: pd.DataFrame, unmatched: int, n_treated: int, stack: Stack) -> Iterator[Finding]:
    apart = rows["balance_after"].abs() >= ALIKE.cuts[1]
    if apart.any():
        names = join_words([stack.labels.get(name, name) for name in rows.loc[apart, "term"]])
        text = f"Also after matching the groups are not alike in {names}. Find more units to choose from."
        yield Finding(name="not_alike", text=text)
    wide = rows["ratio_after"].map(_spread_apart)
    if wide.any():
        names = join_words([stack.labels.get(name, name) for name in rows.loc[wide, "term"]])
        text = (
            f"Also after matching one group has more than twice the variance of the other in {names}, so that units "
            "are not alike. Find more units to choose from, or match on less."
        )
        yield Finding(name="variances_differ", text=text)
    if unmatched:
        left = plural(unmatched, "unit")
        text = f"{left} in the pilot left out for want of a match: an estimate is for the others only."
        yield Finding(name="units_left_out", text=text)
    if n_treated < 2:
        text = "There is one unit in the pilot: variances cannot be compared."
        yield Finding(name="one_unit_piloted", text=text)
