"""Which items belong to which factor, and the answers to them: what factor models of several scales begin with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import join_words
from smstudy.errors import ColumnError, DataError, EstimationError, did_you_mean
from smstudy.privacy import Privacy
from smstudy.result import Finding
from smstudy.scales.batteries import few_rows, refuse_missing_codes, refuse_text, repeated_items, thin_answers
from smstudy.scales.scoring import items_of, scales_of
from smstudy.survey.codebook import Scale
from smstudy.survey.dataset import Data, Survey, frame_of, privacy_of

Factors = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Items of several factors.

    Attributes
    ----------
    answers : DataFrame, shape (n respondents, p items)
        Reversed items turned round, every item once.
    factors : mapping of str to tuple of str
        Items of each factor.
    turned : tuple of str
        Items that were turned round.
    labels : mapping of str to str
        Words for items and factors.
    privacy : Privacy
        The policy.
    constant : tuple of str
        Items that everybody answered alike; they are left out of answers and factors.
    """

    answers: pd.DataFrame = field(repr=False)
    factors: Mapping[str, tuple[str, ...]]
    turned: tuple[str, ...]
    labels: Mapping[str, str]
    privacy: Privacy
    constant: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Items, in the order of the factors."""
        return tuple(self.answers.columns)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Say which items are left out because nobody differs in them."""
        if not self.constant:
            return ()
        words = join_words([f'"{self.labels.get(name, name)}"' for name in self.constant])
        text = (
            f"Left out, because everybody gave the same answer: {words}. An item in which nobody differs goes with "
            "nothing, so all numbers here are of the other items. Check the export; if the answers are right, read "
            "its wording."
        )
        return (Finding(name="constant_items", text=text, severity="serious"),)

    def without(self, items: Sequence[str]) -> Measured:
        """The same without some items.

        Raises
        ------
        UnusableError
            If a factor keeps fewer than two.
        """
        gone = set(items)
        factors = {name: tuple(each for each in members if each not in gone) for name, members in self.factors.items()}
        for name, members in factors.items():
            if len(members) < 2:
                same = join_words([self.labels.get(each, each) for each in self.factors[name] if each in gone])
                raise UnusableError(
                    f"{self.labels.get(name, name)}: everybody gave the same answer to {same}, so fewer than two items "
                    "are left in which people differ. Leave this scale out."
                )
        kept = [name for name in self.names if name not in gone]
        return replace(
            self,
            answers=self.answers[kept],
            factors=factors,
            turned=tuple(each for each in self.turned if each not in gone),
            constant=(*self.constant, *(each for each in self.names if each in gone)),
        )

    def complete(self) -> NDArray[np.float64]:
        """The answers of those who answered every item.

        Raises
        ------
        DataError
            If there are fewer of them than the policy shows.
        """
        values = self.answers.to_numpy(float)
        kept = values[~np.isnan(values).any(axis=1)]
        if len(kept) < self.privacy.min_n:
            raise DataError(
                f"{self.privacy.too_few(f'answered all {len(self.names)} items')} Leave out items that many skipped, "
                'or use estimator="FIML".'
            )
        return kept


def refuse_untestable(items: Measured, n_parameters: int, *, gaps: bool) -> None:
    """Refuse fewer respondents than a model has parameters, and items that repeat each other.

    Parameters
    ----------
    items : Measured
        Items of the model.
    n_parameters : int
        Parameters of the model but for free means.
    gaps : bool
        Whether the model uses respondents who did not answer all items.

    Raises
    ------
    EstimationError
        With both numbers, or the names of the items.
    """
    values = items.answers.to_numpy(float)
    used = ~np.isnan(values).all(axis=1) if gaps else ~np.isnan(values).any(axis=1)
    if used.sum() < n_parameters:
        why = "one for each parameter of the model"
        answered = "any of the" if gaps else "all"
        raise EstimationError(
            few_rows(int(used.sum()), len(items.names), n_parameters, why, items.privacy, answered=answered)
        )
    repeated = repeated_items(values, items.names)
    if repeated:
        raise EstimationError(f"No model can tell what these items measure apart: {repeated}")


class UnusableError(DataError):
    """The answers to some items cannot be used; other items may be."""


def measured(items: Data, factors: Factors | Sequence[str] | None = None) -> Measured:
    """Take the items of factors from a frame, or of scales from a survey, whose codebook says what to turn round.

    Parameters
    ----------
    items : DataFrame or Survey
        Answers.
    factors : mapping of str to sequence of str, or sequence of str
        Items of each factor; for a survey also names of scales, and if left out all scales of the codebook.

    Raises
    ------
    DataError
        If a factor has fewer than two items; an item or a scale is not there, holds text or no answers, or stands in
        two scales without being named in both on purpose; or fewer respondents answered an item, or two items, than
        the policy shows, or nobody answered both; or everybody gave the same answer to so many items of a factor that
        fewer than two are left. Fewer such items are left out, and `findings` names them.
    """
    frame = frame_of(items)
    if isinstance(factors, str) and "=~" in factors:
        raise DataError(
            'Factors are not written as in lavaan but as a mapping from names to items: factors={"N": ["N1", "N2"]}.'
        )
    if isinstance(items, Survey):
        chosen = _named(factors) if isinstance(factors, Mapping) else _scales(items, factors)
        turned = tuple(each for each in _each(chosen) if items.codebook.variable(each).reverse)
        answers, labels = _from_survey(items, chosen), _labels(items, turned)
    elif isinstance(factors, Mapping):
        chosen, turned, labels = _named(factors), (), {}
        answers = _from_frame(frame, chosen)
        refuse_missing_codes(answers, "The items")
    else:
        raise DataError('A table does not say which items belong together. Name them: factors={"trust": ["t1", "t2"]}.')
    policy = privacy_of(items)
    _refuse_empty(answers, policy)
    taken = Measured(answers=answers, factors=chosen, turned=turned, labels=labels, privacy=policy)
    return taken.without([name for name in answers if answers[name].nunique() == 1])


def _named(factors: Factors) -> dict[str, tuple[str, ...]]:
    if not factors:
        raise DataError("There is no factor. Name at least one with its items.")
    chosen = {}
    for name, members in factors.items():
        if isinstance(members, str) or not isinstance(members, Iterable):
            raise DataError(f'Factor "{name}": give a list of items, such as ["{members}"].')
        chosen[str(name)] = tuple(str(member) for member in members)
        if len(set(chosen[str(name)])) < len(chosen[str(name)]):
            raise DataError(f'Factor "{name}" names an item twice. Name every item once.')
        if len(chosen[str(name)]) < 2:
            raise DataError(f'Factor "{name}" needs two items or more. Add items, or leave it out.')
    clash = sorted(set(chosen) & set(_each(chosen)))
    if clash:
        raise DataError(f"{join_words(clash)} is the name of a factor and of an item. Name the factor otherwise.")
    return chosen


def _each(factors: Mapping[str, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(item for members in factors.values() for item in members))


def _scales(survey: Survey, names: Sequence[str] | str | None) -> dict[str, tuple[str, ...]]:
    chosen = {scale.name: tuple(scale.items) for scale in scales_of(survey, names)}
    where = pd.Series([item for members in chosen.values() for item in members]).value_counts()
    twice = sorted(where.index[where > 1])
    if twice:
        raise DataError(
            f"{join_words(twice)} belongs to two of the scales, so they cannot be told apart. Name the scales that go "
            "together, or say on purpose which items measure what: factors={...}."
        )
    return _named(chosen)


def _from_survey(survey: Survey, factors: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Items turned round as the codebook says, through scales made for the purpose."""
    scales = tuple(Scale(name=name, items=members) for name, members in factors.items())
    book = survey.codebook.model_copy(update={"scales": scales})
    with_scales = Survey(answers=survey.answers, codebook=book, missing=survey.missing, privacy=survey.privacy)
    frames = [items_of(with_scales, name) for name in factors]
    together = pd.concat(frames, axis=1)
    return together.loc[:, ~together.columns.duplicated()]


def _from_frame(frame: pd.DataFrame, factors: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    columns = {str(name): name for name in frame.columns}
    if not frame.columns.is_unique:
        raise DataError("Two items have the same name. Give every item its own.")
    for name in _each(factors):
        if name not in columns:
            raise ColumnError(f'There is no item "{name}". {did_you_mean(name, columns)}')
    taken = frame[[columns[name] for name in _each(factors)]].set_axis(_each(factors), axis=1)
    refuse_text(taken, "The items")
    numbers = taken.astype(float)
    if np.isinf(numbers.to_numpy()).any():
        raise DataError("An answer is infinite. Set it to missing first.")
    return numbers


def _labels(survey: Survey, turned: Sequence[str]) -> dict[str, str]:
    words = survey.codebook.labels
    return {**words, **{name: f"{words[name]} (turned round)" for name in turned}}


def _refuse_empty(answers: pd.DataFrame, policy: Privacy) -> None:
    empty = [name for name in answers if answers[name].isna().all()]
    if empty:
        raise UnusableError(f"Nobody answered {join_words(empty)}. Check the export, or leave it out.")
    thin = thin_answers(answers.to_numpy(float), list(answers), policy)
    if thin:
        raise UnusableError(thin)
    known = answers.notna().to_numpy(float)
    apart = np.argwhere(np.triu(known.T @ known == 0))
    if len(apart):
        one, other = (answers.columns[place] for place in apart[0])
        raise UnusableError(
            f"Nobody answered both {one} and {other}, so nothing tells how they go together. Leave one of them out, "
            "or put them into models of their own."
        )
