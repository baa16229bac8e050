"""Rules of cleaning as `study.yml` writes them: data, never a text that is evaluated."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from smstudy.documents import Entry
from smstudy.errors import did_you_mean

Stage = Literal["eligibility", "consent", "completeness", "duplicates", "quality", "analysis"]
Action = Literal["exclude", "flag", "set_missing", "recode"]
STAGES: tuple[str, ...] = get_args(Stage)
LISTS = ("in", "not_in")
RANGES = ("between", "outside")
COLUMN_PAIRS = ("less_than_column", "greater_than_column")
NO_VALUE = ("missing", "not_missing", "chosen", "duplicate_of_earlier", "flagged", *COLUMN_PAIRS)
SEVERAL = ("missing_share_above", "chosen", "duplicate_of_earlier", "flagged")
RELATIVE = ("less", "greater")
OPERATIONS = ("equals", "not_equals", *LISTS, *RELATIVE, *RANGES, "contains", *NO_VALUE, "missing_share_above")


def _scalar(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("a value is text or a number; write true and false in quotes")
    return value if isinstance(value, str) else float(value)


Scalar = Annotated[float | str, BeforeValidator(_scalar)]


class Condition(Entry):
    """What must hold for a row of answers.

    Attributes
    ----------
    column : str or tuple of str
        A variable; a list of variables or scales for missing_share_above, chosen, duplicate_of_earlier and flagged.
    op : str
        One of `OPERATIONS`.
    value : text, number or list of them
        What the operator compares with: for a category its label, code or another spelling of it; for between and
        outside the lowest and the highest number or date, both inside.
    relative_to : {"median"}, optional
        For less and greater: the value is a factor, and the cut-off that factor times the median of the respondents
        still in when the stage begins.
    other : str, optional
        The second column of less_than_column and greater_than_column.
    plus : number
        Added to the second column: in its unit for numbers, in days for dates.
    """

    column: str | tuple[str, ...]
    op: str
    value: Scalar | tuple[Scalar, ...] | None = None
    relative_to: Literal["median"] | None = None
    other: str | None = None
    plus: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns as a tuple, also if there is one."""
        return (self.column,) if isinstance(self.column, str) else self.column

    @property
    def values(self) -> tuple[float | str, ...]:
        """The values as a tuple, also if there is one."""
        return self.value if isinstance(self.value, tuple) else (self.value,)


class Rule(Condition):
    """One rule of cleaning: a condition, what happens to the rows it hits, and why.

    Attributes
    ----------
    id : str
        Short name: letters, digits, underscore, hyphen.
    stage : str
        eligibility, consent, completeness, duplicates, quality or analysis; rules are applied in this order.
    where : Condition, optional
        A second condition that must hold as well, as for answers that contradict each other.
    action : {"exclude", "flag", "set_missing", "recode"}
        What happens to the rows that are hit; `flag` adds a column `flag_<id>`.
    to : text or number
        New answer, for recode.
    reason : str
        Why, for the reader of the flow table.

    Examples
    --------
    >>> Rule(id="test", stage="eligibility", column="status", op="equals", value="Preview", action="exclude",
    ...      reason="test run of the questionnaire").column
    'status'
    """

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)
    stage: Stage
    where: Condition | None = None
    action: Action
    to: Scalar | None = None
    reason: str = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Rule:
        _check_condition(self, self.id)
        if (self.to is not None) != (self.action == "recode"):
            raise ValueError(f'"{self.id}": recode needs "to", and only recode does')
        if self.action in ("set_missing", "recode") and not isinstance(self.column, str):
            raise ValueError(f'"{self.id}": {self.action} changes one column. Name one')
        if self.where is not None:
            _check_condition(self.where, self.id)
            if self.where.relative_to or self.where.op == "duplicate_of_earlier":
                raise ValueError(f'"{self.id}": "where" takes neither relative_to nor duplicate_of_earlier')
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """Every column the rule looks at, scales and flags as they are written."""
        names = (*self.columns, *((self.other,) if self.other else ()))
        if self.where is None:
            return names
        return (*names, *self.where.columns, *((self.where.other,) if self.where.other else ()))


def _check_condition(condition: Condition, rule: str) -> None:
    if condition.op not in OPERATIONS:
        raise ValueError(f'"{rule}": unknown op "{condition.op}". {did_you_mean(condition.op, OPERATIONS)}')
    if not condition.columns:
        raise ValueError(f'"{rule}": column names nothing')
    if condition.op not in SEVERAL and not isinstance(condition.column, str):
        raise ValueError(f'"{rule}": {condition.op} takes one column. A list is for {", ".join(SEVERAL)}')
    _check_value(condition, rule)
    _check_other(condition, rule)


def _check_value(condition: Condition, rule: str) -> None:
    op, value = condition.op, condition.value
    if op in NO_VALUE:
        if value is not None:
            raise ValueError(f'"{rule}": {op} takes no value. Leave it out')
    elif value is None:
        raise ValueError(f'"{rule}": {op} needs a value')
    elif op in RANGES:
        _check_range(condition, rule)
    elif isinstance(value, tuple) != (op in LISTS):
        raise ValueError(f'"{rule}": {op} takes {"a list" if op in LISTS else "one value"}')
    if op == "missing_share_above" and not (isinstance(value, float) and 0 <= value < 1):
        raise ValueError(f'"{rule}": the share must be a number from 0 to less than 1')
    if op == "contains" and not (isinstance(value, str) and value.strip()):
        raise ValueError(f'"{rule}": contains takes words; a number needs quotes')


def _check_range(condition: Condition, rule: str) -> None:
    ends = condition.value
    if not isinstance(ends, tuple) or len(ends) != 2 or type(ends[0]) is not type(ends[1]) or ends[0] > ends[1]:
        raise ValueError(f'"{rule}": {condition.op} takes the lowest and the highest, as in [1, 5]')


def _check_other(condition: Condition, rule: str) -> None:
    op = condition.op
    if (condition.other is not None) != (op in COLUMN_PAIRS):
        raise ValueError(f'"{rule}": {" and ".join(COLUMN_PAIRS)} need "other", and only they do')
    if condition.plus and op not in COLUMN_PAIRS:
        raise ValueError(f'"{rule}": "plus" is for {" and ".join(COLUMN_PAIRS)}')
    if condition.relative_to is None:
        return
    if op not in RELATIVE:
        raise ValueError(f'"{rule}": relative_to is for {" and ".join(RELATIVE)}')
    if not isinstance(condition.value, float) or condition.value <= 0:
        raise ValueError(f'"{rule}": with relative_to the value is a factor above 0, as in 0.5')
