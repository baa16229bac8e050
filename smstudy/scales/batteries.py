"""Items ready for computing: how answers are taken from a frame or a survey, and which are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import join_words
from smstudy.errors import DataError
from smstudy.inference.psychometrics.consistency import Floats, correlation_interval, item_rests
from smstudy.privacy import Privacy
from smstudy.scales.arguments import check_choice, check_level, check_word
from smstudy.scales.scoring import items_of
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of
from smstudy.survey.distributions import solvable_items

Missing = Literal["pairwise", "listwise"]


class ContradictionError(DataError):
    """Items of one scale are answered against each other."""


LEAST = 3
HANDLING = {
    "pairwise": "each covariance from all who answered both items (pairwise)",
    "listwise": "only respondents who answered all items (listwise)",
}
ADVICE = "Check wording and coding, and mark what is worded the other way with `reverse: true` in the codebook"
ADVICE_TABLE = (
    "Check wording and coding, and turn round what is worded the other way, such as 6 - frame[[…]] for answers 1 to 5"
)
FEW_VALUES = 15
FAR_FROM_ONE = 10
OFTEN = 10
SAME, SINGULAR, INVOLVED = 1e-9, 1e-10, 1e-6  # rounding of a correlation, of a matrix of them, and of its direction
USUAL = (7, 8, 9, 66, 77, 88, 96, 97, 98, 99, 777, 888, 997, 998, 999, 9999)
MISSING_CODES = (-1, *(-code for code in USUAL), *USUAL[2:])


@dataclass(frozen=True, kw_only=True)
class Battery:
    """Items ready for computing: who they belong to, their names, and the answers that are used."""

    title: str
    names: tuple[str, ...]
    answers: Floats
    missing_share: Floats
    missing: Missing
    of_table: bool
    labels: Mapping[str, str]
    privacy: Privacy
    solvable: frozenset[str] = frozenset()

    @property
    def n(self) -> int:
        return len(self.answers)

    @property
    def k(self) -> int:
        return len(self.names)

    @property
    def n_complete(self) -> int:
        return int((~np.isnan(self.answers)).all(axis=1).sum())


def battery_of(
    items: Data,
    scale: str | None,
    conf_level: float,
    missing: Missing,
    *,
    privacy: Privacy | None = None,
    title: str | None = None,
) -> Battery:
    """Take the items of a frame, or of a scale of a survey with its reversed items turned round.

    `privacy` is the policy of a frame that was taken from a survey, `title` what the items of a frame are called.

    Raises
    ------
    DataError
        If there are fewer than 2 items, fewer respondents answered an item, two items or, if listwise, all items than
        the policy shows, or an item is constant, text, infinite or without answers; if a scale is named for a frame, or
        a frame seems to hold a code for missing answers.
    """
    check_level(conf_level)
    check_choice("missing", missing, HANDLING)
    asked = frame_of(items)
    of_table = not isinstance(items, Survey) and privacy is None
    refuse_scale_of_table(items, scale)
    frame = items_of(items, named_scale(items, scale)) if isinstance(items, Survey) else asked
    title = title or labels_of(items).get(scale or "", scale or "The items")
    values = _numbers(frame, title)
    if of_table:
        refuse_missing_codes(frame, title)
    answers = values[~np.isnan(values).all(axis=1)]
    used = answers[~np.isnan(answers).any(axis=1)] if missing == "listwise" else answers
    names = tuple(map(str, frame.columns))
    policy = privacy or privacy_of(items)
    _refuse_few(answers, names, title, missing, policy)
    _refuse_constant(used, names, title)
    return Battery(
        title=title,
        names=names,
        answers=used,
        missing_share=np.isnan(values).mean(axis=0),
        missing=missing,
        of_table=of_table,
        labels=_labels(items),
        privacy=policy,
        solvable=solvable_items(items, names),
    )


def _labels(items: Data) -> Mapping[str, str]:
    """Labels of the items, those that were turned round marked: their means are read the other way."""
    if not isinstance(items, Survey):
        return {}
    turned = {v.name: f"{v.label} (turned round)" for v in items.codebook.variables if v.reverse}
    return {**items.codebook.labels, **turned}


def named_scale(survey: Survey, scale: str | None) -> str:
    """The name of a scale of a survey; DataError if none is named, or several."""
    names = [entry.name for entry in survey.codebook.scales]
    if scale is None:
        raise DataError(f"A survey has several scales. Name one: {join_words(names, 'or')}.")
    check_word("scale", scale, names[0] if names else "trust")
    return scale


def refuse_scale_of_table(items: Data, scale: object) -> None:
    """Refuse the name of a scale where there is no codebook that could say what it means."""
    if not isinstance(items, Survey) and scale is not None:
        raise DataError('A table has no scales: give the items of one, such as frame[["q1", "q2", "q3"]].')


def refuse_missing_codes(frame: pd.DataFrame, title: str) -> None:
    """Refuse a table with what looks like a code for missing answers: a usual one that lies apart from the others.

    A survey needs no such guess, since its codebook declares these codes. Of answers drawn from scales of 1 to 9, 1 to
    10 and 0 to 10, skewed ones and few respondents included, fewer than one table in 500 is refused for nothing.

    Raises
    ------
    DataError
        If a column of whole numbers, at most 15 different ones, holds such a code, and the distance from it to the
        others is larger than their range; or if in all such columns together a step is missing between the code and the
        others, which have no gap and end with an answer given 10 times or more.

    Examples
    --------
    >>> refuse_missing_codes(pd.DataFrame({"q1": [1, 2, 5], "q2": [0, 1, -99]}), "The items")
    Traceback (most recent call last):
    smstudy.errors.DataError: The items: q2 holds -99 beside 0 to 1. If it stands for a missing answer, ...
    """
    columns = frame.select_dtypes("number").items()
    whole = {str(name): column for name, column in columns if _few_whole(column)}
    found = [(name, *parts) for name, column in whole.items() if (parts := _set_apart(column)) is not None]
    found = found or _beyond_a_gap(whole)
    if not found:
        return
    name, codes, low, high = found[0]
    others = [other for other, same, *_ in found[1:] if same == codes]
    also = f" ({join_words(others)} too)" if others else ""
    meant = "it stands for a missing answer, write it as missing"
    if len(codes) > 1:
        meant = "they stand for missing answers, write them as missing"
    replaced = codes[0] if len(codes) == 1 else f"[{', '.join(codes)}]"
    raise DataError(
        f"{title}: {name} holds {join_words(codes)} beside {low:g} to {high:g}{also}. If {meant}: "
        f'frame.replace({replaced}, float("nan")). If not, give a survey: its codebook says which answers there are.'
    )


def _set_apart(column: pd.Series) -> tuple[tuple[str, ...], float, float] | None:
    """Usual codes for missing answers at the ends of a column and far from the rest, and the range of this rest."""
    values = np.unique(column.dropna().to_numpy(dtype=float))
    for start, end in _cuts(values, MISSING_CODES):
        rest = values[start:end]
        gaps = [*(rest[0] - values[:start][-1:]), *(values[end:][:1] - rest[-1])]
        if min(gaps) > (max(np.ptp(rest), 1.0) if len(rest) > 1 else FAR_FROM_ONE):
            return tuple(f"{code:g}" for code in (*values[:start], *values[end:])), rest[0], rest[-1]
    return None


def _few_whole(column: pd.Series) -> bool:
    values = np.unique(column.dropna().to_numpy(dtype=float))
    return 2 <= len(values) <= FEW_VALUES and bool(np.isfinite(values).all() and (np.rint(values) == values).all())


def _cuts(values: Floats, codes: Sequence[float]) -> list[tuple[int, int]]:
    """Beginning and end of what is left of sorted values without usual codes at their ends, the shortest first."""
    usual = np.isin(values, codes)
    below, above = (int(np.cumprod(ends).sum()) for ends in (usual, usual[::-1]))
    cuts = [(i, len(values) - j) for i in range(below + 1) for j in range(above + 1) if 0 < i + j < len(values)]
    return sorted(cuts, key=lambda cut: cut[1] - cut[0])


def _beyond_a_gap(columns: Mapping[str, pd.Series]) -> list[tuple[str, tuple[str, ...], float, float]]:
    """Columns with usual codes beyond a gap that no column fills, though the answer before the gap was given often."""
    if not columns:
        return []
    together = pd.concat(list(columns.values())).dropna().to_numpy(dtype=float)
    values, counts = np.unique(together, return_counts=True)
    for start, end in _cuts(values, (8, *MISSING_CODES)):
        rest = values[start:end]
        ends = [(rest[0] - values[start - 1], counts[start])] if start else []
        ends += [(values[end] - rest[-1], counts[end - 1])] if end < len(values) else []
        if len(rest) > 1 and (np.diff(rest) == 1).all() and all(gap >= 2 and many >= OFTEN for gap, many in ends):
            outside = {name: np.setdiff1d(column.dropna().to_numpy(float), rest) for name, column in columns.items()}
            return [(name, tuple(f"{code:g}" for code in codes), rest[0], rest[-1])
                    for name, codes in outside.items() if len(codes)]  # fmt: skip
    return []


def refuse_text(frame: pd.DataFrame, title: str) -> None:
    """Refuse columns that are not of numbers, and say where they hold numbers all the same."""
    text = [str(name) for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    stored = numbers_as_text(frame)
    if stored:
        names = join_words(stored)
        quoted = ", ".join(f'"{name}"' for name in stored)
        raise DataError(
            f"{title}: {names} {_hold(stored)} numbers stored as text or category. Use pd.to_numeric: "
            f"frame[[{quoted}]].astype(object).apply(pd.to_numeric)."
        )
    if text:
        raise DataError(f"{title}: {join_words(text)} {_hold(text)} no numbers. Recode the answers into numbers first.")


def numbers_as_text(frame: pd.DataFrame) -> list[str]:
    """Columns that are not of numbers although all that they hold are numbers."""
    found = []
    for name, column in frame.items():
        answered = column.dropna().astype(object)
        if len(answered) and not pd.api.types.is_numeric_dtype(column):
            found += [str(name)] * int(pd.to_numeric(answered, errors="coerce").notna().all())
    return found


def _hold(names: Sequence[str]) -> str:
    return "holds" if len(names) == 1 else "hold"


def _numbers(frame: pd.DataFrame, title: str) -> Floats:
    if frame.shape[1] < 2:
        raise DataError(f"{title}: reliability needs two items or more in a frame. Add items.")
    if not frame.columns.is_unique:
        raise DataError(f"{title}: two items have the same name. Give every item its own.")
    refuse_text(frame, title)
    values = frame.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise DataError(f"{title}: an answer is infinite. Set it to missing first.")
    return values


def _refuse_few(answers: Floats, names: Sequence[str], title: str, missing: Missing, policy: Privacy) -> None:
    """Refuse items without answers, then what would tell about few respondents."""
    empty = [name for name, column in zip(names, answers.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise DataError(f"{title}: nobody answered {join_words(empty)}. Check the export, or leave it out.")
    thin = thin_answers(answers, names, policy)
    if thin:
        raise DataError(f"{title}: {thin[0].lower()}{thin[1:]}")
    least = policy.min_n if missing == "listwise" else LEAST
    if (~np.isnan(answers).any(axis=1)).sum() < least:
        few = policy.too_few("answered all items")
        raise DataError(f"{title}: {few[0].lower()}{few[1:]} Leave out items that many skipped, or collect answers.")


def thin_answers(answers: Floats, names: Sequence[str], policy: Privacy) -> str:
    """Say which items were answered, alone or two together, by fewer respondents than may be shown; "" if none."""
    known = (~np.isnan(answers)).astype(float)
    if not policy.allows(int(known.any(axis=1).sum())):
        return f"{policy.too_few('answered any of the items')} Collect more answers."
    shared = known.T @ known
    few = np.argwhere(np.triu((shared > 0) & (shared < policy.min_n)))
    alone = [names[one] for one, other in few if one == other]
    if alone:
        return f"{policy.too_few(f'answered {join_words(alone)}')} Leave out such items, or collect more answers."
    if not len(few):
        return ""
    one, other = (names[place] for place in few[0])
    return f"{policy.too_few(f'answered both {one} and {other}')} Leave one out, or collect more answers."


def few_rows(n: int, k: int, needed: int, why: str, policy: Privacy, *, answered: str = "all") -> str:
    """Say how many respondents there are and how many it takes.

    >>> few_rows(10, 12, 27, "one for each parameter", Privacy())[:75]
    '10 respondents answered all 12 items, and 27 or more are needed (one for ea'
    """
    there = f"{n} respondents" if policy.allows(n) else f"Fewer than {policy.min_n} respondents"
    return (
        f"{there} answered {answered} {k} items, and {needed} or more are needed ({why}). Collect more answers, or use "
        "fewer items."
    )


def repeated_items(answers: Floats, names: Sequence[str]) -> str:
    """Say which items repeat each other or follow from each other, from those who answered all; "" if none do.

    >>> repeated_items(np.array([[1.0, 1, 2], [2, 2, 1], [4, 4, 3], [3, 3, 5]]), ["a", "b", "c"])
    'a and b hold the same answers. Leave one of them out.'
    """
    complete = answers[~np.isnan(answers).any(axis=1)]
    if len(complete) <= len(names) or (np.ptp(complete, axis=0) == 0).any():
        return ""
    correlations = np.corrcoef(complete, rowvar=False)
    same = np.argwhere(np.triu(np.abs(correlations) > 1 - SAME, 1))
    if len(same):
        pairs = join_words([f"{names[one]} and {names[other]}" for one, other in same])
        equal = all((complete[:, one] == complete[:, other]).all() for one, other in same)
        return f"{pairs} {'hold the same answers' if equal else 'go together perfectly'}. Leave one of them out."
    roots, vectors = np.linalg.eigh(correlations)
    moving = (np.abs(vectors[:, roots < SINGULAR]) > INVOLVED).any(axis=1)
    if not moving.any():
        return ""
    determined = join_words([name for name, each in zip(names, moving, strict=True) if each])
    return f"{determined} determine each other, as a sum and its parts do. Leave one of them out."


def _refuse_constant(used: Floats, names: Sequence[str], title: str) -> None:
    constant = [name for name, column in zip(names, used.T, strict=True) if np.nanmax(column) == np.nanmin(column)]
    if constant:
        raise DataError(f"{title}: everybody gave the same answer to {join_words(constant)}. Leave it out.")


def refuse_opposed(
    battery: Battery, covariances: Floats, pairs: NDArray[np.int64], conf_level: float
) -> tuple[Floats, Floats, Floats]:
    """Correlations of items with the rest of their scale and their intervals; items clearly against it are refused.

    Raises
    ------
    DataError
        If an interval lies below 0, or the items together share nothing.
    """
    rests = item_rests(covariances)
    low, high = correlation_interval(rests, pairs_of_item(pairs), conf_level)
    if (high < 0).any() or covariances.sum() <= 0:
        raise ContradictionError(f"{battery.title}: {_against(battery, covariances, pairs, conf_level)}")
    return rests, low, high


def pairs_of_item(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fewest respondents an item shares with any other: the cautious n of its item-rest correlation."""
    return np.where(np.eye(len(pairs), dtype=bool), pairs.max(), pairs).min(axis=0)


def _against(battery: Battery, covariances: Floats, pairs: NDArray[np.int64], conf_level: float) -> str:
    """Name the item that runs against the others where one can be named, else the items that conflict."""
    culprit = _culprit(covariances, pairs_of_item(pairs), conf_level)
    advice = ADVICE_TABLE if battery.of_table else ADVICE
    if culprit is not None:
        return f"{battery.names[culprit]} is answered against the other items. {advice}, or leave the item out."
    one, other = _camps(battery, covariances)
    if not one:
        return f"the items run against each other: {join_words(other)}. {advice}, or split the scale."
    return f"{join_words(one)} run against {join_words(other)}. {advice}, or split the scale."


def _culprit(covariances: Floats, n: NDArray[np.int64], conf_level: float) -> int | None:
    """The one item that, turned round, leaves every item-rest correlation positive, or at least none clearly negative.

    Two items always accuse each other.
    """
    k = len(covariances)
    if k == 2:
        return None
    signs = np.where(np.eye(k, dtype=bool), -1.0, 1.0)
    turned = np.array([item_rests(covariances * np.outer(sign, sign)) for sign in signs])
    mended = np.flatnonzero((turned > 0).all(axis=1))
    if len(mended) == 1:
        return int(mended[0])
    negative = np.flatnonzero(correlation_interval(item_rests(covariances), n, conf_level)[1] < 0)
    if len(negative) == 1 and not (correlation_interval(turned[negative[0]], n, conf_level)[1] < 0).any():
        return int(negative[0])
    return None


def _camps(battery: Battery, covariances: Floats) -> tuple[list[str], list[str]]:
    """Items split by the sign of their weight in the first principal component, the smaller camp first."""
    weights = np.linalg.eigh(correlations_of(covariances))[1][:, -1]
    positive = [name for name, weight in zip(battery.names, weights, strict=True) if weight > 0]
    negative = [name for name in battery.names if name not in positive]
    one, other = sorted((positive, negative), key=len)
    return one, other


def correlations_of(covariances: Floats) -> Floats:
    """Covariances as correlations."""
    spread = np.sqrt(np.diag(covariances))
    return covariances / np.outer(spread, spread)
