"""What came back: answers, their codebook, and a log of every step done to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from smstudy.errors import ColumnError, DataError, did_you_mean
from smstudy.privacy import Privacy
from smstudy.result import Finding
from smstudy.survey.codebook import Codebook


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Answers with all that is needed to read them. Immutable: every step gives a new one.

    Attributes
    ----------
    answers : DataFrame
        One row per respondent, one column per variable of the codebook and per score already made. Items, numbers and
        weights are floats, categories and units their labels as text, dates timestamps; missing is NaN.
    missing : DataFrame
        Why answers are missing: columns row, variable, reason.
    log : tuple of str
        What was done, in order, in words.
    """

    answers: pd.DataFrame = field(repr=False)
    codebook: Codebook = field(repr=False)
    missing: pd.DataFrame = field(repr=False)
    log: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    privacy: Privacy = field(default_factory=Privacy)
    wave: str = ""

    def __repr__(self) -> str:
        return f"Survey of {len(self.answers)} rows x {self.answers.shape[1]} variables, wave {self.wave or 'unnamed'}"

    def keep_rows(self, keep: pd.Series, step: str) -> Survey:
        """Give the survey with only the rows where `keep` is true, and say so in the log."""
        answers = self.answers[keep]
        missing = self.missing[self.missing["row"].isin(answers.index)]
        return replace(self, answers=answers, missing=missing, log=(*self.log, step))

    def with_columns(self, columns: pd.DataFrame, step: str) -> Survey:
        """Give the survey with columns added or replaced, and say so in the log."""
        others = self.answers.drop(columns=[name for name in columns if name in self.answers])
        return replace(self, answers=pd.concat([others, columns], axis=1), log=(*self.log, step))

    def column(self, name: str) -> pd.Series:
        """Look a column up; DataError with the nearest name if there is none."""
        if name not in self.answers:
            raise ColumnError(f'There is no variable or score "{name}". {did_you_mean(name, self.answers.columns)}')
        return self.answers[name]


Data = Survey | pd.DataFrame


def need_survey(data: Data, what: str) -> Survey:
    """Give the survey back; DataError if it is a bare frame, which has no codebook."""
    if not isinstance(data, Survey):
        raise DataError(
            f"{what} needs a Survey, because it reads the codebook. Get one from open_study(...).survey(), "
            "or from decode(read_export(FILE), read_codebook(FILE))."
        )
    return data


def frame_of(data: Data) -> pd.DataFrame:
    """The answers of a survey, or the frame itself; DataError if it is neither.

    >>> frame_of([1, 2])
    Traceback (most recent call last):
    smstudy.errors.DataError: Give a DataFrame of answers, or a survey; this is a list.
    """
    if isinstance(data, Survey):
        return data.answers
    if not isinstance(data, pd.DataFrame):
        hint = " Read the file first, such as with pd.read_csv()." if isinstance(data, str | Path) else ""
        raise DataError(f"Give a DataFrame of answers, or a survey; this is {kind_of(data)}.{hint}")
    return data


def kind_of(value: object) -> str:
    """What a value is, with its article.

    >>> kind_of([1]), kind_of({}), kind_of(None)
    ('a list', 'a dict', 'None')
    """
    if value is None:
        return "None"
    word = type(value).__name__
    return f"{'an' if word[0].lower() in 'aeio' or word == 'ndarray' else 'a'} {word}"


def labels_of(data: Data) -> Mapping[str, str]:
    """The labels of a survey's codebook; none for a frame."""
    return data.codebook.labels if isinstance(data, Survey) else {}


def privacy_of(data: Data) -> Privacy:
    """The privacy policy of a survey; the default for a frame."""
    return data.privacy if isinstance(data, Survey) else Privacy()
