"""Smallest and largest value a column can have, and those that enough respondents have."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from smstudy.display.prose import join_words
from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.survey.codebook import Codebook, Variable, answer_range
from smstudy.survey.dataset import Data, Survey

Array = NDArray[np.float64]
Ranges = Mapping[str, tuple[float, float]]


def possible_range(data: Data, name: str, ranges: Ranges) -> tuple[float, float] | None:
    """Smallest and largest value a column can have: as given, else as the codebook says; None if nobody knows."""
    if name in ranges:
        return checked_range(name, ranges[name])
    if not isinstance(data, Survey):
        return None
    book = data.codebook
    scale = next((each for each in book.scales if each.name == name), None)
    if scale is not None:
        low, high = answer_range(book.variable(scale.items[0]))
        times = len(scale.items) if scale.scoring == "sum" else 1
        return low * times, high * times
    return _variable_range(book, name)


def _variable_range(book: Codebook, name: str) -> tuple[float, float] | None:
    variable: Variable | None = next((each for each in book.variables if each.name == name), None)
    if variable is None:
        return None
    if variable.kind == "item":
        return answer_range(variable)
    low, high = variable.constraints.minimum, variable.constraints.maximum
    return None if low is None or high is None else (float(low), float(high))


def need_ranges(data: Data, names: Collection[str], ranges: Ranges | None) -> dict[str, tuple[float, float]]:
    """Ranges of all columns; DataError naming those nobody knows."""
    given = ranges or {}
    for name in given:
        if name not in names:
            raise StudyError(f'ranges names "{name}", which is not in the formula. {did_you_mean(name, list(names))}')
    found = {name: possible_range(data, name, given) for name in names}
    unknown = [f'"{name}"' for name, limits in found.items() if limits is None]
    if unknown:
        raise DataError(
            f"The possible answers of {join_words(unknown)} are not known. Give them, such as "
            f"ranges={{{unknown[0]}: (1, 5)}}, or use a survey with a codebook."
        )
    return {name: limits for name, limits in found.items() if limits is not None}


def checked_range(name: str, limits: object, *, option: str = "") -> tuple[float, float]:
    """Smallest and largest value as numbers; StudyError if they are none."""
    try:
        low, high = (float(end) for end in limits)
    except (TypeError, ValueError):
        low, high = float("nan"), float("nan")
    if not -np.inf < low < high < np.inf:
        given = option or f'ranges["{name}"]'
        raise StudyError(f"{given} is no range. Give the smallest and the largest possible value: (1, 5).")
    return low, high


def range_of_several(values: Array, min_n: int) -> tuple[float, float]:
    """A low and a high value that at least `min_n` respondents are on either side of, and that is no single one's.

    >>> range_of_several(np.arange(9.0), 3)
    (3.0, 5.0)
    """
    rising, falling = np.sort(values), -np.sort(-values)
    low, high = (value_of_several(each, float(each[min_n - 1]), min_n - 1, min_n) for each in (rising, falling))
    return low, high


def value_of_several(ordered: Array, found: float, start: int, min_n: int) -> float:
    """A value that `min_n` have, or the mean of so many in order from `start`."""
    if (ordered == found).sum() >= min_n:
        return found
    start = min(max(start, 0), len(ordered) - min_n)
    return float(ordered[start : start + min_n].mean())
