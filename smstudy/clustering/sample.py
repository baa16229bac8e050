"""The complete rows a clustering works on, checked once for every method of this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import join_words, plural
from smstudy.errors import ColumnError, DataError, did_you_mean
from smstudy.result import Finding
from smstudy.survey.dataset import Data, frame_of, labels_of

ENOUGH = 30
MUCH_MISSING = 0.2


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Complete rows of the variables that vary.

    Attributes
    ----------
    frame : DataFrame, shape (n, p)
        Floats, index as in the data.
    n_dropped : int
        Rows left out because an answer is missing.
    findings : tuple of Finding
        What was left out.
    """

    frame: pd.DataFrame = field(repr=False)
    n_dropped: int
    findings: tuple[Finding, ...] = ()

    @property
    def z(self) -> NDArray[np.float64]:
        """The rows in standard deviations from the mean, shape (n, p)."""
        return ((self.frame - self.frame.mean()) / self.frame.std(ddof=1)).to_numpy()


def complete_sample(data: Data, variables: Sequence[str]) -> Sample:
    """Take the complete rows of some numeric variables.

    A variable nobody answered, or everybody answered alike, cannot tell people apart: it is left out, with a finding.

    Raises
    ------
    DataError
        If a variable is unknown, named twice, not numeric or infinite somewhere.
    """
    frame = pd.DataFrame({name: numeric_column(data, name) for name in _distinct(variables)})
    words = labels_of(data)
    flat = [name for name in frame if frame[name].dropna().nunique() < 2]
    complete = frame.drop(columns=flat).dropna() if len(flat) < frame.shape[1] else frame.iloc[:0].drop(columns=flat)
    flat_later = [name for name in complete if len(complete) > 1 and complete[name].nunique() < 2]
    left_out = [words.get(name, name) for name in frame if name in {*flat, *flat_later}]
    findings = [*_left_out(left_out), *_dropped(len(frame) - len(complete), len(frame))]
    return Sample(
        frame=complete.drop(columns=flat_later), n_dropped=len(frame) - len(complete), findings=tuple(findings)
    )


def numeric_column(data: Data, name: str) -> pd.Series:
    """Look up a numeric variable as floats; DataError without any value if it is something else."""
    frame = frame_of(data)
    if name not in frame:
        raise ColumnError(f'There is no variable or score "{name}". {did_you_mean(name, map(str, frame.columns))}')
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise DataError(f'"{name}" is not numeric. Segments are formed and profiled on items, scores and numbers.')
    column = column.astype(float)
    if np.isinf(column).any():
        raise DataError(f'"{name}" has infinite values. Set them to missing or correct them.')
    return column


def _distinct(variables: Sequence[str]) -> list[str]:
    names = [variables] if isinstance(variables, str) else list(variables)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"Variables named twice: {', '.join(twice)}. Name each variable once.")
    if len(names) < 2:
        raise DataError("Segments need at least two variables; with one they only cut a scale into pieces. Name more.")
    return names


def _left_out(words: Sequence[str]) -> list[Finding]:
    if not words:
        return []
    text = f"Left out of the segments because everybody answered alike or nobody answered: {join_words(words)}."
    return [Finding(name="variable_left_out", text=text, severity="serious")]


def _dropped(dropped: int, total: int) -> list[Finding]:
    if not total or dropped / total <= MUCH_MISSING:
        return []
    text = (
        f"{plural(dropped, 'respondent')} of {total:,} left out because an answer is missing; "
        "the segments describe only the others."
    )
    return [Finding(name="many_incomplete", text=text)]
