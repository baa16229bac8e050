"""What a rule of cleaning can say about the rows of a survey: one function an operator, arrays in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smstudy.errors import StudyError, did_you_mean
from smstudy.survey.codebook import Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.decoding import normalize
from smstudy.survey.rules import Condition

FLAG = "flag_"
MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, odd: spreads bits (Knuth, vol. 3, 6.4)


@dataclass(frozen=True)
class State:
    """What a rule looks at: the answers as they are now, of all rows that entered, and who is out already.

    `changed` holds the columns that earlier rules changed or added; `out` has shape (n rows,).
    """

    survey: Survey
    changed: Mapping[str, pd.Series]
    out: np.ndarray
    rule: str

    def has(self, name: str) -> bool:
        return name in self.changed or name in self.survey.answers

    def column(self, name: str) -> pd.Series:
        if name in self.changed:
            return self.changed[name]
        if name in self.survey.answers:
            return self.survey.answers[name]
        raise self.unknown(name, [*self.survey.answers.columns, *self.changed])

    def unknown(self, name: str, known: Iterable[object]) -> StudyError:
        """The error for a name that none of the known ones is."""
        names = [*map(str, known)]
        flags, asked = [word for word in names if word.startswith(FLAG)], name.startswith(FLAG)
        made = " Quality flags are there after with_flags()." if asked and not flags else ""
        hint = did_you_mean(name, flags if asked and flags else [word for word in names if word not in flags])
        return self.error(f'there is no variable "{name}". {hint}{made}')

    def block(self, condition: Condition) -> dict[str, pd.Series]:
        """The columns of a rule, scales spelled out as their items and multi-selects as their choices."""
        names = dict.fromkeys(name for entry in condition.columns for name in self.spelled_out(entry))
        return {name: self.column(name) for name in names}

    def spelled_out(self, entry: str) -> tuple[str, ...]:
        """The columns a name stands for."""
        scale = next((scale for scale in self.survey.codebook.scales if scale.name == entry), None)
        if scale is not None:
            return scale.items
        variable = self.variable(entry)
        if variable is not None and variable.kind == "multi-select" and not self.has(entry):
            return tuple(f"{entry}_{category.value}" for category in variable.categories)
        return (entry,)

    def variable(self, name: str) -> Variable | None:
        return next((v for v in self.survey.codebook.variables if v.name == name), None)

    def error(self, text: str) -> StudyError:
        return StudyError(f'Cleaning rule "{self.rule}": {text}')


def match_category(variable: Variable, value: float | str) -> str | None:
    """Find the label of a category by its label, code or another spelling, whatever the case; None if there is none.

    >>> from smstudy.survey.codebook import Category
    >>> unit = Variable(name="u", kind="unit", categories=(Category(value="1", label="Sales", aliases=("Sls",)),))
    >>> match_category(unit, 1.0), match_category(unit, " sales "), match_category(unit, "HR")
    ('Sales', 'Sales', None)
    """
    code, words = folded(value), normalize(str(value))
    for category in variable.categories:
        labels = {normalize(word) for word in (category.label, *category.aliases)}
        if code in (folded(category.value), folded(category.label)) or words in labels:
            return category.label
    return None


def folded(value: object) -> str:
    """Write a value as text without regard to case and spaces."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).casefold()


def flag_name(name: str) -> str:
    """Name of the column that holds a flag: 1 where it speaks, else 0.

    >>> flag_name("too-fast")
    'flag_too_fast'
    """
    return FLAG + name.replace("-", "_")


def comparable(state: State, name: str, value: float | str) -> float | str | pd.Timestamp:
    """Turn a value of a rule into what stands in the column: a label without case, a number or a time."""
    column, variable = state.column(name), state.variable(name)
    if pd.api.types.is_datetime64_any_dtype(column):
        return _as_time(state, name, value)
    if pd.api.types.is_numeric_dtype(column):
        return _as_number(state, name, value)
    if variable is None or not variable.categories:
        return folded(value)
    label = match_category(variable, value)
    if label is None and variable.unknown_codes != "keep":
        hint = did_you_mean(str(value), [category.label for category in variable.categories])
        raise state.error(f'"{name}" has no answer "{value}". {hint}')
    return folded(value if label is None else label)


def _as_number(state: State, name: str, value: float | str) -> float:
    variable = state.variable(name)
    if variable is not None and isinstance(value, str):
        label = match_category(variable, value)
        value = next((category.value for category in variable.categories if category.label == label), value)
    try:
        return float(value)
    except ValueError:
        raise state.error(
            f'"{name}" holds numbers, but the value "{value}" is none. Give a number, or a label of the codebook.'
        ) from None


def _as_time(state: State, name: str, value: float | str) -> pd.Timestamp:
    zone = state.column(name).dt.tz
    try:
        time = pd.Timestamp(str(value))
        return time.tz_localize(zone) if zone is not None and time.tzinfo is None else time
    except ValueError:
        raise state.error(f'"{name}" holds dates, but "{value}" is none. Write 2026-03-31.') from None


def _is_ordered(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)


def _by_word(column: pd.Series, holds: Callable[[str], bool]) -> np.ndarray:
    """Try a condition once for each different text of a column; a missing answer never meets it."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, words = column.cat.codes.to_numpy(), column.cat.categories
    else:
        codes, words = pd.factorize(column)
    met = np.fromiter((holds(folded(word)) for word in words), dtype=bool, count=len(words))
    return np.append(met, False)[codes]


def _equals(state: State, condition: Condition) -> np.ndarray:
    name = condition.columns[0]
    column, wanted = state.column(name), {comparable(state, name, value) for value in condition.values}
    if not _is_ordered(column):
        return _by_word(column, wanted.__contains__)
    return column.isin(list(wanted)).to_numpy()


def _truth(compared: pd.Series) -> np.ndarray:
    return compared.to_numpy(dtype=bool, na_value=False)


def _not_equals(state: State, condition: Condition) -> np.ndarray:
    return ~_equals(state, condition) & _not_missing(state, condition)


def _limits(state: State, condition: Condition) -> tuple[pd.Series, list[object]]:
    """The column and the limits a rule compares it with; words have no order."""
    name = condition.columns[0]
    limits = [comparable(state, name, value) for value in condition.values]
    if any(isinstance(limit, str) for limit in limits):
        raise state.error(f'"{name}" holds words, and {condition.op} compares numbers or dates. Use equals or in.')
    return state.column(name), limits


def _less(state: State, condition: Condition) -> np.ndarray:
    column, (limit,) = _limits(state, condition)
    return _truth(column < limit)


def _greater(state: State, condition: Condition) -> np.ndarray:
    column, (limit,) = _limits(state, condition)
    return _truth(column > limit)


def _between(state: State, condition: Condition) -> np.ndarray:
    column, (low, high) = _limits(state, condition)
    return _truth(column >= low) & _truth(column <= high)


def _outside(state: State, condition: Condition) -> np.ndarray:
    column, (low, high) = _limits(state, condition)
    return _truth(column < low) | _truth(column > high)


def _contains(state: State, condition: Condition) -> np.ndarray:
    name, part = condition.columns[0], folded(condition.value)
    if _is_ordered(state.column(name)):
        raise state.error(f'"{name}" holds numbers or dates, and contains looks into words. Use equals or in.')
    return _by_word(state.column(name), lambda word: part in word)


def _pair(state: State, condition: Condition) -> tuple[pd.Series, pd.Series]:
    """The two columns a rule compares, the second one moved by `plus`."""
    first, second = state.column(condition.columns[0]), state.column(condition.other)
    times = [pd.api.types.is_datetime64_any_dtype(column) for column in (first, second)]
    numbers = [pd.api.types.is_numeric_dtype(column) for column in (first, second)]
    if not (all(times) or all(numbers)):
        raise state.error(
            f'{condition.op} compares two columns of numbers or two of dates; "{condition.columns[0]}" and '
            f'"{condition.other}" are not.'
        )
    return first, second + (pd.Timedelta(days=condition.plus) if all(times) else condition.plus)


def _less_than_column(state: State, condition: Condition) -> np.ndarray:
    first, second = _pair(state, condition)
    return _truth(first < second)


def _greater_than_column(state: State, condition: Condition) -> np.ndarray:
    first, second = _pair(state, condition)
    return _truth(first > second)


def _missing(state: State, condition: Condition) -> np.ndarray:
    return state.column(condition.columns[0]).isna().to_numpy()


def _not_missing(state: State, condition: Condition) -> np.ndarray:
    return ~_missing(state, condition)


def _missing_share_above(state: State, condition: Condition) -> np.ndarray:
    block = state.block(condition)
    return _gaps(block, len(state.out)) / len(block) > condition.value


def _gaps(block: Mapping[str, pd.Series], rows: int) -> np.ndarray:
    """Count the missing answers of each row, shape (n rows,)."""
    gaps = np.zeros(rows, dtype=np.int32)
    for column in block.values():
        gaps += column.isna().to_numpy()
    return gaps


def _chosen(state: State, condition: Condition) -> np.ndarray:
    """Rows in which any of the columns holds more than 0."""
    for name, column in (block := state.block(condition)).items():
        if not pd.api.types.is_numeric_dtype(column):
            raise state.error(f'"{name}" does not hold 0 and 1. {condition.op} is for choices and flags.')
    return np.logical_or.reduce([_truth(column > 0) for column in block.values()])


def _flagged(state: State, condition: Condition) -> np.ndarray:
    names = tuple(name if state.has(name) else flag_name(name) for name in condition.columns)
    flags = [str(name) for name in (*state.survey.answers.columns, *state.changed) if str(name).startswith(FLAG)]
    for given, name in zip(condition.columns, names, strict=True):
        if flags and not state.has(name):
            raise state.unknown(given, flags if given.startswith(FLAG) else [flag.removeprefix(FLAG) for flag in flags])
    return _chosen(state, Condition(column=names, op="chosen"))


def _duplicate_of_earlier(state: State, condition: Condition) -> np.ndarray:
    """Rows that repeat another in all columns; of each set the best is kept: not out, most items answered, earliest.

    A row without an identifier cannot be told to be a repetition; missing items are equal to missing items.
    """
    block = state.block(condition)
    known = _gaps(block, len(state.out)) < len(block)
    for name, column in block.items():
        if (variable := state.variable(name)) is None or variable.kind != "item":
            known &= column.notna().to_numpy()
    places = np.flatnonzero(_repeated(block, len(state.out)) & known)
    items = [v.name for v in state.survey.codebook.of_kind("item") if state.has(v.name)]
    judged = {name: state.column(name).iloc[places] for name in items or state.survey.answers}
    order = np.lexsort((_gaps(judged, len(places)), state.out[places]))
    rows = pd.DataFrame({name: column.iloc[places[order]].to_numpy() for name, column in block.items()})
    hit = np.zeros(len(state.out), dtype=bool)
    hit[places[order]] = rows.duplicated(keep="first")
    return hit


def _repeated(block: Mapping[str, pd.Series], rows: int) -> np.ndarray:
    """Say which rows may occur more than once: all that do, and by chance of the hash a few that do not."""
    hashed = np.zeros(rows, dtype=np.uint64)
    for column in block.values():
        hashed = (hashed ^ _key(column)) * MIX
        hashed ^= hashed >> np.uint64(29)
    return pd.Series(hashed).duplicated(keep=False).to_numpy()


def _key(column: pd.Series) -> np.ndarray:
    """Turn a column into whole numbers, shape (n rows,): equal answers give equal numbers, missing ones too."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype(np.int64).view(np.uint64)
    if pd.api.types.is_float_dtype(column):
        values = column.to_numpy(dtype=float, na_value=np.nan) + 0.0  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan  # one pattern of bits for all missing values
        return values.view(np.uint64)
    return pd.factorize(column)[0].astype(np.int64).view(np.uint64)


OPERATORS: dict[str, Callable[[State, Condition], np.ndarray]] = {
    "equals": _equals,
    "not_equals": _not_equals,
    "in": _equals,
    "not_in": _not_equals,
    "less": _less,
    "greater": _greater,
    "between": _between,
    "outside": _outside,
    "contains": _contains,
    "less_than_column": _less_than_column,
    "greater_than_column": _greater_than_column,
    "missing": _missing,
    "not_missing": _not_missing,
    "missing_share_above": _missing_share_above,
    "chosen": _chosen,
    "duplicate_of_earlier": _duplicate_of_earlier,
    "flagged": _flagged,
}
