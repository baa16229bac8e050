"""Answers to the same items from several groups of people, or from two waves: who is compared, and who is protected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import join_words
from smstudy.errors import ColumnError, DataError, did_you_mean
from smstudy.inference.factor_models.structures import measurement_model
from smstudy.result import Finding
from smstudy.scales.measurement import Measured
from smstudy.scales.scoring import score
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of
from smstudy.survey.disclosure import NO_GROUP, alike, group_names, hidden_groups, protect, why_hidden

Floats = NDArray[np.float64]
Estimator = Literal["MLR", "ML", "FIML", "WLSMV"]

GROUPED = ("unit", "category")
LINKED_PER_ITEM = 5


@dataclass(frozen=True, kw_only=True)
class Occasions:
    """Answers to the items of one model, by group or wave.

    Attributes
    ----------
    measured : Measured
        Items, factors, words.
    names : tuple of str, length g
        Groups or waves.
    answers : tuple of ndarray, length g, each of shape (n, p)
        Answers that are used; NaN is a gap.
    together : ndarray, shape (n, 2 p), optional
        One row per person with the answers of both waves, where enough people are in both; NaN where they are not.
    n_asked : int
        Respondents of these groups, answers missing or not.
    n_linked : int
        People known to be in both waves.
    kind : {"group", "wave"}
        What the occasions are.
    """

    measured: Measured
    names: tuple[str, ...]
    answers: tuple[Floats, ...] = field(repr=False)
    together: Floats | None = field(default=None, repr=False)
    n_asked: int = 0
    n_linked: int = 0
    kind: Literal["group", "wave"] = "group"

    @property
    def places(self) -> tuple[str, ...]:
        """The occasions in words, for messages."""
        return tuple(f'{self.kind} "{name}"' for name in self.names)

    @property
    def n(self) -> int:
        """Answers used; people in both waves count once where they are linked."""
        return sum(map(len, self.answers)) if self.together is None else len(self.together)

    @property
    def n_answers(self) -> int:
        """Answers used; people in both waves count twice."""
        return sum(map(len, self.answers))

    def few_in_one_wave(self, min_n: int) -> bool:
        """Whether the number of linked people would tell about the few who are in one wave only."""
        return self.together is not None and any(0 < len(each) - self.n_linked < min_n for each in self.answers)


def by_groups(
    data: Data, models: Sequence[Measured], by: str, estimator: Estimator
) -> tuple[list[Occasions], tuple[Finding, ...]]:
    """Split the answers to the items of each model by a grouping variable; small groups are left out.

    Raises
    ------
    DataError
        If there is no such variable, it does not name groups, or fewer than two groups may be used.
    """
    groups = _groups(data, models, by)
    used = [_used(each.answers, estimator) for each in models]
    hidden = _hidden(data, models, used, groups, by)
    open_names = sorted(set(groups) - hidden - {NO_GROUP})
    _refuse_one(open_names, by, privacy_of(data).min_n)
    least = max(_parameters(each) for each in models) + 1
    small = [name for name in open_names if min(int((groups[rows] == name).sum()) for rows in used) < least]
    kept = [name for name in open_names if name not in small]
    if len(kept) < 2:
        raise DataError(
            f'Fewer than two groups of "{by}" have the {least} respondents that this model needs in each group '
            f"(too small: {join_words(small)}). Join groups, or name fewer scales."
        )
    findings = (*_hidden_finding(hidden, privacy_of(data).min_n), *_small_finding(small, least))
    return [_split(each, rows, groups, kept) for each, rows in zip(models, used, strict=True)], findings


def by_waves(
    survey: Survey, previous: Survey, models: Sequence[tuple[Measured, Measured]], person: str, estimator: Estimator
) -> tuple[list[Occasions], tuple[Finding, ...]]:
    """Put the answers of two waves beside each other; models hold each scale now and before.

    Raises
    ------
    DataError
        If a wave has too few respondents for the model.
    """
    names = (previous.wave or "the previous wave", survey.wave or "this wave")
    waves = [_wave(now, before, names, estimator, survey.privacy.min_n) for now, before in models]
    if not person:
        return waves, (_unlinked(),)
    codes = [_people(wave.column(person)) for wave in (previous, survey)]
    linked = [_linked(each, pair, codes, estimator) for each, pair in zip(waves, models, strict=True)]
    min_n = max(survey.privacy.min_n, previous.privacy.min_n)
    return linked, (*_link_findings(linked, survey.privacy.min_n), *_counted_twice(linked, min_n))


def _groups(data: Data, models: Sequence[Measured], by: str) -> pd.Series:
    columns = frame_of(data).columns
    if by not in columns:
        raise ColumnError(f'There is no variable "{by}" to group by. {did_you_mean(by, map(str, columns))}')
    if any(by in each.names for each in models):
        raise DataError(f'"{by}" is one of the items, so it cannot group the respondents. Name another variable.')
    if not isinstance(data, Survey):
        return data[by].astype(object).where(data[by].notna(), NO_GROUP).astype(str)
    kinds = [variable.kind for variable in data.codebook.variables if variable.name == by]
    if kinds and kinds[0] not in GROUPED:
        raise DataError(f'"{by}" is of kind {kinds[0]}. Groups come from a variable of kind unit or category.')
    return group_names(data, by)


def _used(answers: pd.DataFrame, estimator: Estimator) -> pd.Series:
    known = answers.notna()
    return known.any(axis=1) if estimator == "FIML" else known.all(axis=1)


def _hidden(
    data: Data, models: Sequence[Measured], used: Sequence[pd.Series], groups: pd.Series, by: str
) -> frozenset[str]:
    """Groups of few people, or of one mind, and those that protect them; the same for all models."""
    sizes = pd.DataFrame({str(place): rows.groupby(groups).sum() for place, rows in enumerate(used)})
    closed = set().union(*(alike(each.answers.mean(axis=1).to_frame(), groups) for each in models))
    closed |= _closed_by_house(data, by)
    table = sizes.rename_axis("group").reset_index().assign(hidden=lambda t: t["group"].isin(closed))
    found = protect(table, group="group", counts=list(sizes), numbers=[], privacy=privacy_of(data)).table
    return frozenset(found.loc[found["hidden"], "group"])


def _closed_by_house(data: Data, by: str) -> frozenset[str]:
    """What every page about these groups hides."""
    if not isinstance(data, Survey):
        return frozenset()
    return hidden_groups(score(data).survey if data.codebook.scales else data, by)


def _refuse_one(names: Sequence[str], by: str, min_n: int) -> None:
    if len(names) < 2:
        raise DataError(
            f'"{by}" has fewer than two groups that may be used ({why_hidden(min_n)}), so nothing can be compared. '
            "Join groups, or choose another variable."
        )


def _parameters(model: Measured) -> int:
    return measurement_model(model.names, model.factors).n_parameters


def _split(model: Measured, rows: pd.Series, groups: pd.Series, kept: Sequence[str]) -> Occasions:
    answers = tuple(model.answers[rows & (groups == name)].to_numpy(float) for name in kept)
    return Occasions(measured=model, names=tuple(kept), answers=answers, n_asked=int(groups.isin(list(kept)).sum()))


def _wave(now: Measured, before: Measured, names: tuple[str, str], estimator: Estimator, min_n: int) -> Occasions:
    answers = tuple(each.answers[_used(each.answers, estimator)].to_numpy(float) for each in (before, now))
    least = max(min_n, _parameters(now) + 1)
    for name, each in zip(names, answers, strict=True):
        if len(each) < least:
            raise DataError(
                f"Wave {name} has fewer than the {least} respondents that this model needs. Name fewer scales, or "
                "collect more answers."
            )
    n_asked = len(before.answers) + len(now.answers)
    return Occasions(measured=now, names=names, answers=answers, n_asked=n_asked, kind="wave")


def _people(codes: pd.Series) -> pd.Series:
    """Codes that stand for one person of a wave; the others link nobody."""
    usable = codes.notna() & ~codes.duplicated(keep=False)
    return codes[usable].astype(str)


def _linked(
    waves: Occasions, models: tuple[Measured, Measured], codes: Sequence[pd.Series], estimator: Estimator
) -> Occasions:
    """One row per person with both waves beside each other, if enough are in both and answers are numbers."""
    now, before = models
    frames = []
    for each, people in ((before, codes[0]), (now, codes[1])):
        rows = each.answers[_used(each.answers, estimator)]
        nobody = pd.Series([f"{len(frames)}:{row}" for row in range(len(rows))], index=rows.index)
        frames.append(rows.set_axis(("=" + people).reindex(rows.index).fillna(nobody), axis=0))
    both = frames[0].index.intersection(frames[1].index)
    if estimator == "WLSMV" or len(both) < LINKED_PER_ITEM * len(now.names):
        return replace(waves, n_linked=len(both))
    joined = pd.concat([frame.add_suffix(f"@{wave}") for wave, frame in enumerate(frames)], axis=1)
    return replace(waves, together=joined.to_numpy(float), n_linked=len(both))


def _link_findings(waves: Sequence[Occasions], min_n: int) -> tuple[Finding, ...]:
    if all(each.together is not None for each in waves):
        text = (
            "Respondents of both waves count as one person each: the model lets what is special to a question stay the "
            "same from wave to wave."
        )
        return (Finding(name="linked", text=text, severity="info"),)
    if all(each.n_linked < min_n for each in waves):
        text = f"Fewer than {min_n} respondents could be linked between the waves; all count as different people."
        return (Finding(name="not_linked", text=text, severity="info"),)
    text = (
        "Some respondents are in both waves but count as different people, because they are too few for the model that "
        "links them, or answers are ordinal. Tests are approximate."
    )
    return (Finding(name="linked_approximate", text=text),)


def counted(waves: Sequence[Occasions], min_n: int) -> int:
    """Number of respondents that may be shown, of the model that most answered; with few in one wave only, answers."""
    most = max(waves, key=lambda each: each.n)
    return most.n_answers if any(each.few_in_one_wave(min_n) for each in waves) else most.n


def _counted_twice(waves: Sequence[Occasions], min_n: int) -> tuple[Finding, ...]:
    if not any(each.few_in_one_wave(min_n) for each in waves):
        return ()
    text = (
        f"n is the sum of the respondents of both waves. Fewer than {min_n} are in one wave only, and the number of "
        "people would tell about them."
    )
    return (Finding(name="n_of_both_waves", text=text, severity="info"),)


def _unlinked() -> Finding:
    text = (
        "The same people may be in both waves; here all count as different people. If many are the same, tests are "
        "approximate: name the variable that links them with person=."
    )
    return Finding(name="not_linked", text=text)


def _hidden_finding(hidden: frozenset[str], min_n: int) -> tuple[Finding, ...]:
    if not hidden - {NO_GROUP}:
        return ()
    text = f"Groups are left out: {why_hidden(min_n)}. They are in none of the numbers."
    return (Finding(name="groups_hidden", text=text, severity="info"),)


def _small_finding(small: Sequence[str], least: int) -> tuple[Finding, ...]:
    if not small:
        return ()
    text = (
        f"Too small for this model, which needs {least} respondents in each group, and left out: {join_words(small)}. "
        "Whether questions mean the same there, nobody can tell."
    )
    return (Finding(name="groups_too_small", text=text),)


def words_of(data: Data, by: str) -> str:
    """What a grouping variable is called."""
    return labels_of(data).get(by, by)
