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
NO_VALUE = ("missing", "not_missing", "duplicate_of_earlier", "flagged")
SEVERAL = ("missing_share_above", "duplicate_of_earlier", "flagged")
OPERATIONS = ("equals", "not_equals", *LISTS, "less", "greater", *NO_VALUE, "missing_share_above")


def _scalar(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("a value is text or a number; write true and false in quotes")
    return value if isinstance(value, str) else float(value)


Scalar = Annotated[float | str, BeforeValidator(_scalar)]


class Rule(Entry):
    """One rule of cleaning.

    Attributes
    ----------
    id : str
        Short name: letters, digits, underscore, hyphen.
    stage : str
        eligibility, consent, completeness, duplicates, quality or analysis; rules are applied in this order.
    column : str or tuple of str
        A variable; a list of variables or scales for missing_share_above, duplicate_of_earlier and flagged.
    op : str
        One of `OPERATIONS`.
    value : text, number or list of them
        What the operator compares with: for a category its label, code or another spelling of it.
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
    column: str | tuple[str, ...]
    op: str
    value: Scalar | tuple[Scalar, ...] | None = None
    action: Action
    to: Scalar | None = None
    reason: str = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Rule:
        if self.op not in OPERATIONS:
            raise ValueError(f'rule "{self.id}": unknown op "{self.op}". {did_you_mean(self.op, OPERATIONS)}')
        if not self.columns:
            raise ValueError(f'rule "{self.id}": column names nothing')
        if self.op not in SEVERAL and not isinstance(self.column, str):
            raise ValueError(f'rule "{self.id}": {self.op} takes one column. A list is for {", ".join(SEVERAL)}')
        if (self.to is not None) != (self.action == "recode"):
            raise ValueError(f'rule "{self.id}": recode needs "to", and only recode does')
        if self.action in ("set_missing", "recode") and not isinstance(self.column, str):
            raise ValueError(f'rule "{self.id}": {self.action} changes one column. Name one')
        _check_value(self)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns as a tuple, also if there is one."""
        return (self.column,) if isinstance(self.column, str) else self.column

    @property
    def values(self) -> tuple[float | str, ...]:
        """The values as a tuple, also if there is one."""
        return self.value if isinstance(self.value, tuple) else (self.value,)


def _check_value(rule: Rule) -> None:
    if rule.op in NO_VALUE:
        if rule.value is not None:
            raise ValueError(f'rule "{rule.id}": {rule.op} takes no value. Leave it out')
    elif rule.value is None:
        raise ValueError(f'rule "{rule.id}": {rule.op} needs a value')
    elif isinstance(rule.value, tuple) != (rule.op in LISTS):
        raise ValueError(f'rule "{rule.id}": {rule.op} takes {"a list" if rule.op in LISTS else "one value"}')
    if rule.op == "missing_share_above" and not (isinstance(rule.value, float) and 0 <= rule.value < 1):
        raise ValueError(f'rule "{rule.id}": the share must be a number from 0 to less than 1')
