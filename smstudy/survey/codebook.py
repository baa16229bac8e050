"""What was asked: every variable of an export, its answers and the scales made of it, read from `codebook.yml`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from smstudy.documents import Entry, read_document
from smstudy.errors import CodebookError, did_you_mean

Kind = Literal["id", "unit", "category", "item", "number", "date", "text", "multi-select", "weight"]
Code = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, (str, bool)) else f"{value}")]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
ANSWER_LINES = (
    "At the top of codebook.yml write answer_scales: {agree5: [{value: 1, label: Strongly disagree}, {value: 2, label: "
    "Disagree}, ...]}, under the item categories: agree5"
)


class Category(Entry):
    """One answer: its code in the file, the words people saw, and other spellings of them."""

    value: Code
    label: str
    aliases: tuple[str, ...] = ()


class Constraints(Entry):
    """Smallest and largest possible number."""

    minimum: float | None = None
    maximum: float | None = None


class Variable(Entry):
    """One variable: where it stands in the export and how its answers are to be read.

    Attributes
    ----------
    name : str
        Short name used in formulas: letters, digits, underscore.
    column : str
        Header of the column in the export; the name itself if left out.
    former_columns : tuple of str
        Headers the column had in other waves, for instance because the wording of the question was changed.
    title : str
        Wording a reader sees.
    kind : str
        id, unit, category, item, number, date, text, multi-select or weight.
    categories : tuple of Category, or the name of an entry of `answer_scales`
        The possible answers; needed for item and category.
    reverse : bool
        Worded against its scale: it is turned round when scores are made, never before.
    missing : mapping
        Codes that mean "no answer", each with its reason; added to those of the whole codebook.
    unknown_codes : {"error", "keep", "missing"}
        What to do with a code the codebook does not know.
    delimiter : str
        What stands between the answers of a multi-select.
    """

    name: str
    column: str = ""
    former_columns: tuple[str, ...] = ()
    title: str = ""
    description: str = ""
    kind: Kind
    categories: tuple[Category, ...] | str = ()
    reverse: bool = False
    confirm: str = ""
    missing: Mapping[Code, str] = Field(default_factory=dict)
    unknown_codes: Literal["error", "keep", "missing"] = "error"
    constraints: Constraints = Constraints()
    delimiter: str = ","

    @model_validator(mode="after")
    def _check(self) -> Variable:
        if not NAME.fullmatch(self.name):
            raise ValueError(f'the name "{self.name}" must be letters, digits and underscores and start with a letter')
        if self.reverse and self.kind != "item":
            raise ValueError(f'"{self.name}": only a variable of kind item can be reversed')
        return self

    @property
    def label(self) -> str:
        """The words a reader knows the variable by."""
        return self.title or self.name

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header the column may have: today's first, then the former ones."""
        return (self.column, *self.former_columns)

    def column_in(self, names: Collection[str]) -> str | None:
        """Find the header of the variable among these: today's, else the first former one; None if none is there.

        >>> Variable(name="use", column="Q6_1", former_columns=["Q4_1"], kind="text").column_in(["Q4_1", "Q5"])
        'Q4_1'
        """
        return next((header for header in self.headers if header in names), None)


class Scale(Entry):
    """Items that measure one thing, and how their answers become a score.

    `min_answered` is the share of items a respondent must have answered to get a score.
    """

    name: str
    title: str = ""
    description: str = ""
    items: tuple[str, ...]
    scoring: Literal["mean", "sum"] = "mean"
    min_answered: float = Field(default=0.5, gt=0, le=1)
    basis: str = ""

    @property
    def label(self) -> str:
        """The words a reader knows the scale by."""
        return self.title or self.name


class Codebook(Entry):
    """All that is known about a questionnaire."""

    title: str
    description: str = ""
    language: str = "en"
    missing: Mapping[Code, str] = Field(default_factory=dict)
    answer_scales: Mapping[str, tuple[Category, ...]] = Field(default_factory=dict)
    variables: tuple[Variable, ...] = Field(min_length=1)
    scales: tuple[Scale, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: object) -> object:
        """Give every variable its column and spell out answer scales that are named."""
        if not isinstance(data, Mapping) or not isinstance(data.get("variables"), list):
            return data
        known = data.get("answer_scales") or {}
        return {**data, "variables": [_filled(variable, known) for variable in data["variables"]]}

    @model_validator(mode="after")
    def _check(self) -> Codebook:
        _refuse_twice("variable or scale", [v.name for v in self.variables] + [s.name for s in self.scales])
        _refuse_twice("column", [header for variable in self.variables for header in variable.headers])
        for variable in self.variables:
            _check_answers(variable)
        for scale in self.scales:
            self._check_scale(scale)
        return self

    def _check_scale(self, scale: Scale) -> None:
        items = {v.name: v for v in self.variables if v.kind == "item"}
        if not scale.items:
            raise ValueError(f'scale "{scale.name}" names no items. Name two or more')
        for name in scale.items:
            if name not in items:
                raise ValueError(f'scale "{scale.name}" names "{name}", which is no item. {did_you_mean(name, items)}')
        _refuse_twice(f'item of scale "{scale.name}"', list(scale.items))
        ranges = {tuple(sorted(answer_range(items[name]))) for name in scale.items}
        if len(ranges) > 1:
            raise ValueError(f'scale "{scale.name}" mixes answer scales of different length. Split it into scales.')

    def variable(self, name: str) -> Variable:
        """Look a variable up by name; CodebookError with the nearest name if there is none."""
        if name not in self._by_name:
            raise CodebookError(f'The codebook has no variable "{name}". {did_you_mean(name, self._by_name)}')
        return self._by_name[name]

    def scale(self, name: str) -> Scale:
        """Look a scale up by name; CodebookError with the nearest name if there is none."""
        scales = {scale.name: scale for scale in self.scales}
        if name not in scales:
            raise CodebookError(f'The codebook has no scale "{name}". {did_you_mean(name, scales)}')
        return scales[name]

    def of_kind(self, *kinds: Kind) -> tuple[Variable, ...]:
        """All variables of the given kinds, in order."""
        return tuple(variable for variable in self.variables if variable.kind in kinds)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Name of every variable and scale to its words."""
        return {entry.name: entry.label for entry in (*self.variables, *self.scales)}

    @cached_property
    def _by_name(self) -> dict[str, Variable]:
        return {variable.name: variable for variable in self.variables}


def read_codebook(path: Path | str) -> Codebook:
    """Read and check a codebook.

    Raises
    ------
    CodebookError
        With the line, what is wrong, what is allowed and what to do.
    """
    return read_document(Path(path), Codebook, CodebookError)


def answer_range(variable: Variable) -> tuple[float, float]:
    """Smallest and largest code of an item.

    >>> agree = tuple(Category(value=str(i), label=f"answer {i}") for i in range(1, 6))
    >>> answer_range(Variable(name="q1", kind="item", categories=agree))
    (1.0, 5.0)
    """
    codes = [float(category.value) for category in variable.categories]
    return min(codes), max(codes)


def _filled(variable: object, known: Mapping) -> object:
    if not isinstance(variable, Mapping):
        return variable
    filled = {"column": variable.get("name", ""), **variable}
    named = variable.get("categories")
    if isinstance(named, str):
        if named not in known:
            raise ValueError(f'"{filled["column"]}" names the answer scale "{named}". {did_you_mean(named, known)}')
        filled["categories"] = known[named]
    return filled


def _check_answers(variable: Variable) -> None:
    if variable.kind == "item":
        if len(variable.categories) < 2:
            raise ValueError(f'item "{variable.name}" needs at least two categories. {ANSWER_LINES}')
        if not all(_is_number(category.value) for category in variable.categories):
            raise ValueError(f'item "{variable.name}": every category needs a number as its value')
    _refuse_twice(f'code of "{variable.name}"', [category.value for category in variable.categories])
    codes = {category.value: category for category in variable.categories}
    for category in variable.categories:
        for word in (category.label, *category.aliases):
            if codes.get(word, category) is not category:
                raise ValueError(
                    f'"{variable.name}": "{word}" is the code of one answer and the words of another. Change one'
                )


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def _refuse_twice(what: str, names: list[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise ValueError(f"{what} named twice: {', '.join(twice)}. Keep one of them")
