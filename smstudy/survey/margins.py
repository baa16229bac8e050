"""Head counts and respondents side by side: the categories of each margin, who is in them, how many people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import join_words
from smstudy.errors import DataError, did_you_mean
from smstudy.survey.codebook import Variable
from smstudy.survey.dataset import Data, Survey, frame_of
from smstudy.survey.disclosure import NO_GROUP
from smstudy.survey.operators import match_category

HEADCOUNT = "headcount"
TIMES = " × "
Codes = NDArray[np.intp]
HeadCounts = pd.DataFrame | Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Margin:
    """One margin: a variable, or several combined.

    Attributes
    ----------
    name : str
    categories : tuple of str, length k
        Those of the head counts in their order, then those only respondents have, then "(not stated)".
    codes : integer array, shape (n,)
        Category of each respondent.
    headcounts : array, shape (k,)
        People of each category; NaN where the head counts do not name it.
    """

    name: str
    categories: tuple[str, ...]
    codes: Codes = field(repr=False)
    headcounts: NDArray[np.float64] = field(repr=False)

    @cached_property
    def respondents(self) -> Codes:
        """Respondents of each category, shape (k,)."""
        return np.bincount(self.codes, minlength=len(self.categories))


def read_margins(data: Data, frame: HeadCounts, names: Sequence[str] = ()) -> list[Margin]:
    """Compare respondents with head counts, one margin for each variable.

    Parameters
    ----------
    data : Survey or DataFrame
        Who answered.
    frame : DataFrame or mapping
        One row per cell, columns named like variables and `headcount`; or per variable its categories and head counts.
        Categories may be labels, codes or other spellings of the codebook.
    names : sequence of str
        Variables to use; all that the head counts have if left out.

    Raises
    ------
    DataError
        If a variable or a column is not there, a cell is named twice, or a head count is no number of people.
    """
    _refuse_no_table(frame)
    if isinstance(frame, pd.DataFrame):
        names = _margin_names(frame.columns, names)
        cells = _read_cells(data, frame, names)
        counts = {name: cells.groupby(name, sort=False)[HEADCOUNT].sum().to_dict() for name in names}
    else:
        names = list(names) or list(frame)
        counts = {name: _mapped(data, frame, name) for name in names}
    return [_margin(name, *_answers(data, name), counts[name]) for name in names]


def read_joint_margin(data: Data, frame: HeadCounts, names: Sequence[str] = ()) -> Margin:
    """Compare respondents with head counts, one margin for the combinations of all variables."""
    _refuse_no_table(frame)
    if not isinstance(frame, pd.DataFrame):
        if len(names or list(frame)) != 1:
            raise DataError(
                "Post-stratification needs the head count of every combination. Give a table with one row for each, "
                "or use rake(), which needs each margin by itself."
            )
        return read_margins(data, frame, names)[0]
    names = _margin_names(frame.columns, names)
    cells = _read_cells(data, frame, names)
    joined = cells[names].agg(TIMES.join, axis=1)
    joint = cells.groupby(joined, sort=False)[HEADCOUNT].sum().to_dict()
    return _margin(TIMES.join(names), *_joint_answers([_answers(data, name) for name in names]), joint)


def _refuse_no_table(frame: HeadCounts) -> None:
    """Refuse what is neither a table nor a mapping of mappings, and a table with two columns of one name."""
    if isinstance(frame, pd.DataFrame):
        if frame.columns.has_duplicates:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise DataError(f'The head counts have more than one column "{twice}". Keep one.')
    elif not (isinstance(frame, Mapping) and frame and all(isinstance(part, Mapping) for part in frame.values())):
        raise DataError(
            f'Head counts are a table with a column "{HEADCOUNT}", or name for each variable its categories and their '
            'people, such as {"unit": {"Sales": 40, "IT": 60}}. Give one of these.'
        )


def _margin_names(columns: pd.Index, names: Sequence[str]) -> list[str]:
    if HEADCOUNT not in columns:
        raise DataError(f'The head counts have no column "{HEADCOUNT}". {did_you_mean(HEADCOUNT, map(str, columns))}')
    there = [str(name) for name in columns if name != HEADCOUNT]
    for name in names:
        if name not in there:
            raise DataError(f'The head counts have no column "{name}". {did_you_mean(name, there)}')
    if not (names or there):
        raise DataError("The head counts have no column that names groups. Add one, such as the department.")
    return list(names or there)


def _read_cells(data: Data, frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The head counts with the words respondents' answers have, summed over the columns that are not used."""
    cells = pd.DataFrame({name: _categories(_variable(data, name), frame[name], name) for name in names})
    cells[HEADCOUNT] = _people(frame[HEADCOUNT], cells)
    others = [name for name in frame.columns if name not in (*names, HEADCOUNT)]
    keys = pd.concat([cells[list(names)], frame[others].reset_index(drop=True)], axis=1)
    if keys.duplicated().any():
        twice = keys.loc[keys.duplicated(), list(names)].iloc[0]
        raise DataError(f"The head counts name {TIMES.join(twice)} twice. Keep one row for each cell.")
    return cells


def _mapped(data: Data, frame: Mapping[str, Mapping[str, float]], name: str) -> dict[str, float]:
    if name not in frame:
        raise DataError(f'There are no head counts of "{name}". {did_you_mean(name, frame)}')
    variable = _variable(data, name)
    counts = {category_word(variable, category): _number(count) for category, count in frame[name].items()}
    if len(counts) < len(frame[name]):
        raise DataError(f'The head counts of "{name}" name a category twice. Keep one number for each.')
    _refuse_no_people([category for category, count in counts.items() if not _is_whole(count)])
    return counts


def _people(column: pd.Series, cells: pd.DataFrame) -> pd.Series:
    counts = pd.to_numeric(column.reset_index(drop=True), errors="coerce").astype(float)
    bad = ~(np.isfinite(counts) & (counts >= 0) & (counts % 1 == 0))
    _refuse_no_people([TIMES.join(row) for row in cells.loc[bad].astype(str).to_numpy()])
    return counts


def _is_whole(count: float) -> bool:
    return 0 <= count < np.inf and count % 1 == 0


def _number(value: object) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _refuse_no_people(names: Sequence[str]) -> None:
    if names:
        raise DataError(
            f"The head count of {join_words(names[:3])} is no number of people. Head counts are whole numbers of "
            "people: correct them, or multiply shares by the number of all people and round."
        )


def _margin(name: str, codes: Codes, words: Sequence[str], counts: Mapping[str, float]) -> Margin:
    """Number the categories: those of the head counts, of respondents only, not stated."""
    if not any(counts.values()):
        raise DataError(f'The head counts of "{name}" have nobody. Correct them, or leave the variable out.')
    known = list(counts)
    extra = sorted(set(words) - {*known, NO_GROUP})
    names = [*known, *extra, *([NO_GROUP] if NO_GROUP in words else [])]
    place = {category: i for i, category in enumerate(names)}
    return Margin(
        name=name,
        categories=tuple(names),
        codes=np.array([place[word] for word in words], dtype=np.intp)[codes],
        headcounts=np.array([counts.get(category, np.nan) for category in names], dtype=float),
    )


def _answers(data: Data, name: str) -> tuple[Codes, list[str]]:
    """Number of each respondent's category, and the categories that occur in words; not stated is one."""
    answers = frame_of(data)
    if name not in answers:
        hint = did_you_mean(name, map(str, answers.columns))
        raise DataError(f'The head counts have a column "{name}", but the answers have no such variable. {hint}')
    if isinstance(answers[name], pd.DataFrame):
        raise DataError(f'The answers have more than one column "{name}". Keep one.')
    codes, found = pd.factorize(answers[name])
    variable = _variable(data, name)
    words = [category_word(variable, value) for value in found]
    if (codes < 0).any():
        codes, words = np.where(codes < 0, len(words), codes), [*words, NO_GROUP]
    return codes.astype(np.intp, copy=False), words


def _joint_answers(parts: Sequence[tuple[Codes, list[str]]]) -> tuple[Codes, list[str]]:
    """The same for combinations; whoever leaves one of them out has stated none."""
    codes, words = parts[0]
    for others, names in parts[1:]:
        codes, found = pd.factorize(codes * len(names) + others)
        pairs = [(words[pair // len(names)], names[pair % len(names)]) for pair in found]
        words = [NO_GROUP if NO_GROUP in pair else TIMES.join(pair) for pair in pairs]
    return codes, words


def _categories(variable: Variable | None, column: pd.Series, name: str) -> list[str]:
    if column.isna().any() or (column.astype(str).str.strip() == "").any():
        raise DataError(f'The head counts leave "{name}" empty in a row. Name the category in every row.')
    return [category_word(variable, value) for value in column]


def category_word(variable: Variable | None, value: object) -> str:
    """The label of a category by its code, label or other spelling; without a codebook all digits of a number.

    >>> category_word(None, 1234567.0), category_word(None, 2.5)
    ('1234567', '2.5')
    """
    text = _exact(float(value)) if isinstance(value, (float, np.floating)) else str(value).strip()
    return (match_category(variable, text) if variable else None) or text


def _exact(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


def _variable(data: Data, name: str) -> Variable | None:
    known = data.codebook.variables if isinstance(data, Survey) else ()
    return next((variable for variable in known if variable.name == name), None)
