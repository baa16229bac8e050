"""The questions of a questionnaire as its definition gives them: one per column an export may have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from smstudy.errors import DataError
from smstudy.survey.codebook import Kind

Choices = dict[str, str]
Row = dict[str, str]
MAX_QUESTIONS = 100_000


@dataclass(frozen=True, kw_only=True)
class Question:
    """One column as the platform that asked the question defines it.

    Attributes
    ----------
    code : str
        Name of the column in an export by code, for instance ``Q4_2``, ``Q4[SQ002]`` or ``tools___3``.
    label : str
        Wording, "stem - item" for a column that is one of several.
    kind : str or None
        What the platform says it is.
    choices : dict
        Code in the export -> label, in the order of the questionnaire.
    missing : dict
        Code -> reason.
    delimiter : str
        What stands between the answers of a multi-select.
    recodes : dict
        Number of a choice in the definition -> code in the export, where they differ.
    identifier : str
        What it says about a person, if the definition marks it so.
    """

    code: str
    label: str = ""
    kind: Kind | None = None
    choices: Choices = field(default_factory=dict)
    missing: Choices = field(default_factory=dict)
    delimiter: str = ""
    recodes: Choices = field(default_factory=dict)
    identifier: str = ""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """All that a definition says; `decimal` is "," if numbers are typed with a comma, else empty."""

    source: str
    form: str
    questions: tuple[Question, ...]
    decimal: str = ""
    notes: tuple[str, ...] = ()


def joined(stem: str, item: str) -> str:
    """Wording of one column among several.

    >>> joined("How useful is it?", "For my team")
    'How useful is it? - For my team'
    """
    return " - ".join(part for part in (stem, item) if part)


def scaled(choices: Choices) -> Kind:
    """Numbers from two answers on are a scale; other codes are categories."""
    return "item" if len(choices) > 1 and all(re.fullmatch(r"-?\d{1,4}", code) for code in choices) else "category"


def limited(source: str, questions: Iterable[Question]) -> tuple[Question, ...]:
    """Refuse a definition that would spread over more columns than any survey has."""
    listed = tuple(islice(questions, MAX_QUESTIONS + 1))
    if len(listed) > MAX_QUESTIONS:
        raise DataError(f"{source}: defines more than {MAX_QUESTIONS:,} columns, so it is not read. Split the survey.")
    return listed
