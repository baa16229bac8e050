"""Answers of several waves put one under the other, and the order of the waves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.privacy import Privacy
from smstudy.survey.dataset import Data, Survey, frame_of, kind_of, labels_of, privacy_of
from smstudy.survey.disclosure import hidden_groups

Array = NDArray[np.float64]
WAVE = "wave"


class Stack(NamedTuple):
    """Rows of several waves: the frame, the column that tells the wave, words and policy, units that tables hide."""

    frame: pd.DataFrame
    wave: str
    labels: Mapping[str, str]
    policy: Privacy
    surveys: tuple[Survey, ...]

    def hidden(self, unit: str) -> frozenset[str]:
        """Units that tables of one of the waves hide, if the codebook knows the units."""
        known = [s for s in self.surveys if unit in [each.name for each in s.codebook.of_kind("unit")]]
        return frozenset().union(*(hidden_groups(survey, unit) for survey in known))


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
        raise DataError(f'There is no column "{name}". {did_you_mean(str(name), map(str, stack.frame.columns))}')
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
    """Place of the wave something began; StudyError if there is no such wave."""
    if since not in order:
        hint = did_you_mean(str(since), [str(each) for each in order])
        raise StudyError(f'since = "{since}" is no wave of the data. {hint}')
    return list(order).index(since)
