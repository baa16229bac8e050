"""Items become scores: reversed items turned round, then the mean or the prorated sum of what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pandas as pd

from smstudy.display.prose import join_words, plural
from smstudy.errors import CodebookError, DataError
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_words
from smstudy.survey.codebook import Scale, answer_range
from smstudy.survey.dataset import Survey, need_survey

Answers = TypeVar("Answers", pd.Series, pd.DataFrame, np.ndarray)
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, repr=False)
class Scores(Result):
    """What became of each scale; `survey` is the survey with one column of scores per scale added or replaced."""

    survey: Survey = field(repr=False)
    rows: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per scale; minimum and maximum are the possible ones."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and how answers become scores."""
        return {"n": len(self.survey.answers), "scoring": "from the items, reversed items turned round"}


def reverse(answers: Answers, low: float, high: float) -> Answers:
    """Turn the answers to an item round: the lowest becomes the highest.

    Parameters
    ----------
    answers : Series, DataFrame or ndarray
        Codes between `low` and `high`; missing stays missing.
    low, high : float
        Smallest and largest possible answer.

    Raises
    ------
    DataError
        If an answer lies outside.

    Examples
    --------
    >>> reverse(np.array([1.0, 4.0, 5.0]), 1, 5).tolist()
    [5.0, 2.0, 1.0]
    """
    values = np.asarray(answers, dtype=float)
    if (values < low).any() or (values > high).any():
        raise DataError(
            f"An answer lies outside {low:g} to {high:g}, so it cannot be turned round. "
            "Correct the categories in the codebook, or declare the code as missing."
        )
    return low + high - answers


def scales_of(survey: Survey, names: Sequence[str] | str | None = None) -> tuple[Scale, ...]:
    """Look up scales by name; all scales of the codebook if none is named.

    Raises
    ------
    CodebookError
        If a name is no scale, or the codebook has none.
    """
    if names is not None:
        check_words("scales", names)
    names = [names] if isinstance(names, str) else names
    book = survey.codebook
    chosen = book.scales if names is None else tuple(book.scale(name) for name in dict.fromkeys(names))
    if not chosen:
        raise CodebookError("There is no scale to work on. Add one under `scales:` in the codebook: name and items.")
    return chosen


def items_of(survey: Survey, scale_name: str) -> pd.DataFrame:
    """The answers to the items of a scale, reversed items turned round.

    Returns
    -------
    DataFrame, shape (n respondents, k items)
        One float column per item, in the order of the scale.

    Raises
    ------
    CodebookError
        If there is no such scale.
    DataError
        If an item is not in the data, or an answer lies outside the categories of the codebook.
    """
    scale = survey.codebook.scale(scale_name)
    return pd.DataFrame({name: _item(survey, scale, name) for name in scale.items}, index=survey.answers.index)


def score(data: Survey, scales: Sequence[str] | None = None) -> Scores:
    """Score scales from their items; scoring again gives the same, since scores never enter.

    A respondent gets a score who answered at least the share `min_answered` of the items: the mean of the answers, or
    for a sum that mean times the number of items (prorated).

    Parameters
    ----------
    data : Survey
        Answers and codebook.
    scales : sequence of str, optional
        Scales to score; all of the codebook if left out.

    Raises
    ------
    CodebookError
        If a name is no scale, or the codebook has none.
    DataError
        If an item is not in the data, or an answer lies outside the categories of the codebook.
    """
    chosen = scales_of(need_survey(data, "score"), scales)
    items = {scale.name: items_of(data, scale.name) for scale in chosen}
    scores = pd.DataFrame({scale.name: _person_scores(items[scale.name], scale) for scale in chosen})
    names = join_words([scale.name for scale in chosen])
    return Scores(
        title="Scores of the scales",
        note=_note(chosen),
        findings=tuple(finding for scale in chosen for finding in _findings(data, scale, scores[scale.name])),
        labels=data.codebook.labels,
        privacy=data.privacy,
        survey=data.with_columns(scores, f"scored {plural(len(chosen), 'scale')}: {names}"),
        rows=pd.DataFrame([_row(data, scale, items[scale.name], scores[scale.name]) for scale in chosen]),
    )


def _item(survey: Survey, scale: Scale, name: str) -> pd.Series:
    variable = survey.codebook.variable(name)
    low, high = answer_range(variable)
    try:
        answers = survey.column(name).astype(float)
    except (ValueError, TypeError):
        raise DataError(
            f'Scale "{scale.name}": item "{name}" holds text. Declare its categories in the codebook.'
        ) from None
    if ((answers < low) | (answers > high)).any():
        raise DataError(
            f'Scale "{scale.name}": item "{name}" holds answers outside {low:g} to {high:g}. '
            "Correct its categories in the codebook, or declare those codes as missing."
        )
    return reverse(answers, low, high) if variable.reverse else answers


def _person_scores(items: pd.DataFrame, scale: Scale) -> pd.Series:
    k = items.shape[1]
    enough = items.notna().sum(axis=1) / k >= scale.min_answered - ROUNDING
    return items.mean(axis=1).where(enough) * (k if scale.scoring == "sum" else 1)


def _row(survey: Survey, scale: Scale, items: pd.DataFrame, scores: pd.Series) -> dict[str, object]:
    low, high = answer_range(survey.codebook.variable(scale.items[0]))
    times = len(scale.items) if scale.scoring == "sum" else 1
    return {
        "term": scale.name,
        "n_items": len(scale.items),
        "n": int(scores.notna().sum()),
        "missing_share": float(items.isna().to_numpy().mean()) if len(items) else float("nan"),
        "mean": float(scores.mean()),
        "std_dev": float(scores.std()),
        "minimum": low * times,
        "maximum": high * times,
    }


def _note(scales: Sequence[Scale]) -> str:
    sums = [scale.label for scale in scales if scale.scoring == "sum"]
    shares = sorted({scale.min_answered for scale in scales})
    needed = join_words([f"{share:.0%}".replace("%", " %") for share in shares], "or")
    parts = [
        f"A score is the mean of the answered items, reversed items turned round, if at least {needed} are answered.",
        "Min and Max are the possible ones.",
    ]
    if sums:
        parts.append(f"Sums ({join_words(sums)}) are that mean times the number of items: missing items are prorated.")
    return " ".join(parts)


def _findings(survey: Survey, scale: Scale, scores: pd.Series) -> list[Finding]:
    variables = [survey.codebook.variable(name) for name in scale.items]
    turned = [variable.name for variable in variables if variable.reverse]
    unsure = [variable.name for variable in variables if variable.confirm]
    found = []
    if turned:
        text = f"{scale.label}: turned round {join_words(turned)}."
        found.append(Finding(name="reversed_items", text=text, severity="info"))
    if unsure:
        text = (
            f"{scale.label}: the codebook asks somebody to confirm {join_words(unsure)}. "
            "Read the wording, then delete `confirm`."
        )
        found.append(Finding(name="unconfirmed_items", text=text))
    if scores.notna().sum() == 0:
        text = f"{scale.label}: nobody answered at least {scale.min_answered:.0%} of the items, so there is no score."
        found.append(Finding(name="no_scores", text=text, severity="serious"))
    return found
