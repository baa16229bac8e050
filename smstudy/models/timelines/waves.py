"""Answers of several waves put one under the other, and the order of the waves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.errors import ColumnError, DataError, StudyError, did_you_mean
from smstudy.privacy import Privacy
from smstudy.survey.dataset import Data, Survey, frame_of, kind_of, labels_of, privacy_of
from smstudy.survey.disclosure import hidden_groups

Array = NDArray[np.float64]
WAVE = "wave"
WHOLE = 1e-6  # of a person: what a share times a number of people may miss by rounding


class Stack(NamedTuple):
    """Rows of several waves: the frame, the column that tells the wave, words and policy, units that tables hide."""

    frame: pd.DataFrame
    wave: str
    labels: Mapping[str, str]
    policy: Privacy
    surveys: tuple[Survey, ...]

    def hidden(self, unit: str, *, outcome: str = "") -> frozenset[str]:
        """Units that tables of one of the waves hide, if the codebook has them, and those small in an outcome."""
        known = [s for s in self.surveys if unit in [each.name for each in s.codebook.of_kind("unit")]]
        parts = [replace(part, privacy=self.policy) for survey in known for part in self._waves(survey)]
        return frozenset().union(
            *(hidden_groups(part, unit, scores=[outcome] if outcome in part.answers else []) for part in parts)
        )

    def _waves(self, survey: Survey) -> Iterator[Survey]:
        """A survey, and where it holds several waves each of them."""
        yield survey
        for wave in survey.answers[self.wave].dropna().unique() if self.wave in survey.answers else ():
            yield survey.keep_rows(survey.answers[self.wave] == wave, f"wave {wave}")


def stacked(data: Data | Sequence[Survey], wave: str | None, min_n: int | None) -> Stack:
    """Put several waves into one frame; a frame or survey that holds several stays as it is.

    Raises
    ------
    StudyError, DataError
        If nothing tells the waves apart.
    """
    if isinstance(data, (Survey, pd.DataFrame)):
        if wave is None:
            raise StudyError("One frame with several waves needs wave=, the column that tells them apart. Name it.")
        policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
        surveys = (data,) if isinstance(data, Survey) else ()
        return Stack(frame_of(data), wave, labels_of(data), policy, surveys)
    surveys = _surveys(data)
    policy = _strictest([survey.privacy for survey in surveys])
    parts = [survey.answers.assign(**{WAVE: survey.wave}) for survey in surveys]
    frame = pd.concat(parts, ignore_index=True)
    frame[WAVE] = pd.Categorical(frame[WAVE], [survey.wave for survey in surveys], ordered=True)
    return Stack(
        frame, WAVE, surveys[-1].codebook.labels, policy if min_n is None else policy.raised_to(min_n), surveys
    )


def _surveys(data: Sequence[Survey]) -> tuple[Survey, ...]:
    if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
        raise DataError(f"Give a frame of several waves, or a list of surveys in their order; this is {kind_of(data)}.")
    surveys = tuple(data)
    wrong = next((each for each in surveys if not isinstance(each, Survey)), None)
    if wrong is not None or len(surveys) < 2:
        raise DataError(
            "Give at least two surveys in the order of their waves, or one frame with a column for the wave."
        )
    if any(survey is None for survey in surveys):
        raise DataError("There is no previous wave. A pilot is judged by a wave before its start and one after it.")
    names = [survey.wave for survey in surveys]
    if len(set(names)) < len(names) or not all(names):
        raise DataError("Each survey needs a wave name of its own. Open them with open_study(...), or set .wave.")
    return surveys


def _strictest(policies: Sequence[Privacy]) -> Privacy:
    closed = frozenset().union(*(policy.closed for policy in policies))
    strict = max(policies, key=lambda policy: policy.min_n)
    return Privacy(min_n=strict.min_n, comment_min_n=max(p.comment_min_n for p in policies), closed=closed)


def column_of(stack: Stack, name: str) -> pd.Series:
    """One column; DataError with the nearest name if it is not there once."""
    if name not in stack.frame:
        raise ColumnError(f'There is no column "{name}". {did_you_mean(str(name), map(str, stack.frame.columns))}')
    if isinstance(stack.frame[name], pd.DataFrame):
        raise DataError(f'The data have more than one column "{name}". Keep one.')
    return stack.frame[name]


def numbers_of(stack: Stack, name: str) -> Array:
    """A column of finite numbers, NaN where missing; DataError for text or infinite values."""
    column = column_of(stack, name)
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        raise DataError(f'"{name}" is not a number. Name a score, or decode the answers first.')
    values = column.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise DataError(f'"{name}" has infinite values. Set them missing by a rule.')
    return values


def sizes_of(stack: Stack, size: str | None) -> Array:
    """How many people each row stands for; DataError for one that is not a whole number from 1 on."""
    if size is None:
        return np.ones(len(stack.frame))
    sizes = numbers_of(stack, size)
    if not ((sizes >= 1) & (sizes == np.round(sizes))).all():
        raise DataError(
            f'"{size}" must be the number of people behind each row: a whole number from 1 on, never missing.'
        )
    return sizes


class Answers(NamedTuple):
    """Answers, or means and how many people each is of; how many of them gave the higher of two answers, else NaN."""

    values: Array
    sizes: Array
    yes: Array

    def only(self, chosen: NDArray[np.bool_]) -> Answers:
        """Some of the rows."""
        return Answers(*(part[chosen] for part in self))

    def few(self, cells: NDArray[np.intp], n_cells: int, min_n: int) -> NDArray[np.bool_]:
        """Find the cells whose mean tells what few people answered; an empty one tells nothing.

        With two answers the mean gives the number of people with each, so that both must be enough: where nobody gave
        one, everybody gave the other. With more answers it tells what each answered if all answered alike.

        Examples
        --------
        >>> shares = answers(np.array([0.0, 1, 1, 1]), np.array([9.0, 2, 9, 9]))
        >>> shares.few(np.array([0, 0, 1, 2]), 4, 5).tolist()
        [True, True, True, False]
        >>> answers(np.array([3.0, 3, 2, 4]), np.ones(4)).few(np.array([0, 0, 1, 1]), 2, 5).tolist()
        [True, False]
        """
        people = np.bincount(cells, self.sizes, minlength=n_cells)
        if not np.isnan(self.yes).any():
            given = np.bincount(cells, self.yes, minlength=n_cells)
            return (people > 0) & (np.minimum(given, people - given) < min_n - WHOLE)
        if (self.sizes > 1).any():
            return np.zeros(n_cells, dtype=bool)
        low, high = np.full(n_cells, np.inf), np.full(n_cells, -np.inf)
        np.minimum.at(low, cells, self.values)
        np.maximum.at(high, cells, self.values)
        return low == high


def answers(values: Array, sizes: Array) -> Answers:
    """Tell an outcome of two answers from others; means that are whole numbers of people from 0 to 1 are shares."""
    low, high, given = values.min(), values.max(), sizes * values
    if np.isin(values, (low, high)).all():
        return Answers(values, sizes, sizes * (values == high))
    shares = low >= 0 and high <= 1 and (sizes > 1).any() and (np.abs(given - given.round()) < WHOLE).all()
    return Answers(values, sizes, given if shares else np.full(len(values), np.nan))


def waves_of(stack: Stack, order: Sequence[object] | None) -> tuple[NDArray[np.intp], tuple[object, ...]]:
    """Number the wave of each row by its place in time, -1 where missing.

    Raises
    ------
    DataError, StudyError
        If the order does not follow from the values (text), or the order given lacks a wave or names an unknown one.
    """
    column = column_of(stack, stack.wave)
    found = list(column.dropna().unique())
    if order is None:
        order = _natural_order(column, found)
    order = list(order)
    unknown = next((each for each in order if each not in found), None)
    if unknown is not None:
        raise StudyError(f'waves= names "{unknown}". {did_you_mean(str(unknown), map(str, found))}')
    left = next((each for each in found if each not in order), None)
    if left is not None or len(set(order)) < len(order):
        what = f'leaves out wave "{left}"' if left is not None else "names a wave twice"
        raise StudyError(f"waves= {what}. Name every wave once, the first one first.")
    place = {each: i for i, each in enumerate(order)}
    return np.array([place.get(each, -1) for each in column], dtype=np.intp), tuple(order)


def _natural_order(column: pd.Series, found: list[object]) -> list[object]:
    if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        return [each for each in column.cat.categories if each in found]
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return sorted(found)
    raise DataError(
        f'The order of the waves in "{column.name}" is not clear: they are text. Give waves=[...], the first one first.'
    )


def wave_place(order: Sequence[object], since: object) -> int:
    """Place of the wave something began, by its value or its name; StudyError if there is no such wave.

    >>> wave_place(["1", "2"], 2), wave_place([1.0, 2.0], "2")
    (1, 1)
    """
    if since in order:
        return list(order).index(since)
    if isinstance(since, str) and isinstance(order[0], pd.Timestamp):
        since = pd.to_datetime(since, errors="coerce")
    names = [named(each) for each in order]
    if named(since) not in names:
        raise StudyError(f'since = "{since}" is no wave of the data. {did_you_mean(str(since), names)}')
    return names.index(named(since))


def named(value: object) -> str:
    """A unit or wave as it is called; a whole number without its decimals.

    >>> named(2.0), named("2"), named(2.5)
    ('2', '2', '2.5')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def named_codes(column: pd.Series) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Number units by their names in order; none may be missing."""
    codes, found = pd.factorize(column)
    again, names = pd.factorize(np.array([named(each) for each in found], dtype=object), sort=True)
    return again[codes].astype(np.intp), tuple(names)


def times_of(stack: Stack, order: Sequence[object]) -> Array:
    """When each wave was: numbers as they are, dates in months (else days), places in an order that is declared.

    Parameters
    ----------
    stack : Stack
    order : sequence
        From `waves_of`, the values of the waves in their natural order.
    """
    column = column_of(stack, stack.wave)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.categories.get_indexer(list(order)).astype(float)
    if not pd.api.types.is_datetime64_any_dtype(column):
        return np.array(order, dtype=float)
    dates = pd.DatetimeIndex(order)
    if dates.day.nunique() == 1 or dates.is_month_end.all():
        return (12 * dates.year + dates.month).to_numpy(float)
    return ((dates - dates[0]) / pd.Timedelta(days=1)).to_numpy(float)
