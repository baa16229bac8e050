"""Respondents of a pilot: which units count as one, and whose means would tell what few people answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import DisclosureError
from smstudy.inference.regression.panels import Panel
from smstudy.models.timelines.waves import Answers

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class Units(NamedTuple):
    """Unit of each respondent; of each unit its first wave in the pilot, and whether it is in it or compared with."""

    codes: Codes
    starts: Codes
    keep: NDArray[np.bool_]


class Rows(NamedTuple):
    """Answers of the units that are used, the first wave of each in the pilot, and when it was given."""

    answers: Answers
    starts: Codes
    places: Codes

    def tell_few(self, cohort: int, first: NDArray[np.bool_], second: NDArray[np.bool_], min_n: int) -> bool:
        """Whether a mean of units that began together or never, in the first or second waves, tells about few."""
        inside = np.isin(self.starts, (cohort, len(first))) & (first | second)[self.places]
        cells = 2 * (self.starts == cohort) + second[self.places]
        return bool(self.answers.only(inside).few(cells[inside], 4, min_n).any())


def pooled(units: Units, hidden: NDArray[np.bool_], unit: str) -> Units:
    """Count units that tables hide as one, the last; refuse a pilot that would tell them apart."""
    if not hidden.any():
        return units
    if len(np.unique(units.starts[hidden])) > 1 or len(np.unique(units.keep[hidden])) > 1:
        raise DisclosureError(
            f'The pilot would tell apart units of "{unit}" that tables hide to protect people. Leave all of them '
            "out of treated= and comparison=, or put all of them on one side; there they count as one unit."
        )
    places = np.where(hidden, (~hidden).sum(), np.cumsum(~hidden) - 1)
    own = np.append(np.flatnonzero(~hidden), np.flatnonzero(hidden)[0])
    return Units(places[units.codes], units.starts[own], units.keep[own])


def refuse_small(panel: Panel, few: int) -> None:
    """Refuse groups of few people."""
    for cohort in [*panel.cohorts, panel.sizes.shape[1]]:
        people = panel.sizes[panel.starts == cohort].sum(axis=0)
        if ((people > 0) & (people < few)).any():
            group = "units in the pilot" if cohort < panel.sizes.shape[1] else "units to compare with"
            raise DisclosureError(
                f"In one wave fewer than {few} respondents answered in the {group} (those that began together), and "
                "nothing is told about so few. Leave the wave out, or put starts together."
            )


def refuse_few(rows: Rows, panel: Panel, few: int) -> None:
    """Refuse an effect that rests on a mean from which the answers of few people follow."""
    waves = np.arange(panel.sizes.shape[1])
    if any(rows.tell_few(cohort, waves < cohort, waves >= cohort, few) for cohort in panel.cohorts):
        raise DisclosureError(
            f"Before or after the start, in the pilot or outside it, fewer than {few} respondents gave one of two "
            "answers, or all gave the same: the effect would tell what single people answered. Put waves or units "
            "together, or choose an outcome with more answers."
        )


def moments_told(rows: Rows, panel: Panel, moments: Codes, min_n: int) -> NDArray[np.bool_]:
    """Find the waves of an event study that may be told.

    A wave is hidden where a mean of it would tell what few people answered, and all are where that of the last wave
    before the start would. The effect is a sum over all waves, so a further one is hidden beside a single one, and more
    until the hidden ones together tell about enough.

    Parameters
    ----------
    rows : Rows
        Respondents of the panel.
    panel : Panel
        Units by waves.
    moments : integer array, shape (k,)
        Waves since the start, without -1.
    min_n : int
        The threshold.
    """
    waves = np.arange(panel.sizes.shape[1])
    none = np.zeros(len(waves), dtype=bool)

    def few(chosen: Sequence[int]) -> bool:
        return any(rows.tell_few(cohort, np.isin(waves - cohort, chosen), none, min_n) for cohort in panel.cohorts)

    if few([-1]):
        return np.zeros(len(moments), dtype=bool)
    hidden = [moment for moment in moments if few([moment])]
    others = [moment for moment in sorted(moments, key=abs, reverse=True) if moment not in hidden]
    while hidden and others and (len(hidden) == 1 or few(hidden)):
        hidden.append(others.pop(0))
    return ~np.isin(moments, hidden)
