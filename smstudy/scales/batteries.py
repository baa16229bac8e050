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
from smstudy.inference.consistency import Floats, correlation_interval, item_rests
from smstudy.privacy import Privacy
from smstudy.scales.scoring import items_of
from smstudy.survey.dataset import Data, Survey, labels_of, privacy_of

Missing = Literal["pairwise", "listwise"]

LEAST = 3
HANDLING = {
    "pairwise": "each covariance from all who answered both items (pairwise)",
    "listwise": "only respondents who answered all items (listwise)",
}
ADVICE = "Check wording and coding, and mark what is worded the other way with `reverse: true` in the codebook"


@dataclass(frozen=True, kw_only=True)
class Battery:
    """Items ready for computing: who they belong to, their names, and the answers that are used."""

    title: str
    names: tuple[str, ...]
    answers: Floats
    missing_share: Floats
    missing: Missing
    labels: Mapping[str, str]
    privacy: Privacy

    @property
    def n(self) -> int:
        return len(self.answers)

    @property
    def k(self) -> int:
        return len(self.names)

    @property
    def n_complete(self) -> int:
        return int((~np.isnan(self.answers)).all(axis=1).sum())


def battery_of(items: Data, scale: str | None, conf_level: float, missing: Missing) -> Battery:
    """Take the items of a frame, or of a scale of a survey with its reversed items turned round.

    Raises
    ------
    DataError
        If fewer than 2 items or 3 complete rows remain, or an item is constant, text, infinite or without answers.
    """
    check_level(conf_level)
    if missing not in HANDLING:
        raise DataError(f'missing = "{missing}" is not known. Use "pairwise" or "listwise".')
    if isinstance(items, Survey) and scale is None:
        names = join_words([entry.name for entry in items.codebook.scales], "or")
        raise DataError(f"A survey has several scales. Name one: {names}.")
    frame = items_of(items, scale) if isinstance(items, Survey) else items
    title = labels_of(items).get(scale or "", scale or "the items")
    values = _numbers(frame, title)
    answers = values[~np.isnan(values).all(axis=1)]
    used = answers[~np.isnan(answers).any(axis=1)] if missing == "listwise" else answers
    names = tuple(map(str, frame.columns))
    _check_answers(used, answers, names, title)
    return Battery(
        title=title,
        names=names,
        answers=used,
        missing_share=np.isnan(values).mean(axis=0),
        missing=missing,
        labels=_labels(items),
        privacy=privacy_of(items),
    )


def _labels(items: Data) -> Mapping[str, str]:
    """Labels of the items, those that were turned round marked: their means are read the other way."""
    if not isinstance(items, Survey):
        return {}
    turned = {v.name: f"{v.label} (turned round)" for v in items.codebook.variables if v.reverse}
    return {**items.codebook.labels, **turned}


def check_level(conf_level: float) -> None:
    """Refuse a confidence level that is none."""
    if not 0 < conf_level < 1:
        raise DataError(f"conf_level = {conf_level} is no level. Use a number between 0 and 1, such as 0.95.")


def _numbers(frame: pd.DataFrame, title: str) -> Floats:
    if not isinstance(frame, pd.DataFrame) or frame.shape[1] < 2:
        raise DataError(f"{title}: reliability needs two items or more in a frame. Add items.")
    if not frame.columns.is_unique:
        raise DataError(f"{title}: two items have the same name. Give every item its own.")
    text = [str(name) for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    if text:
        raise DataError(f"{title}: {join_words(text)} hold no numbers. Recode the answers into numbers first.")
    values = frame.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise DataError(f"{title}: an answer is infinite. Set it to missing first.")
    return values


def _check_answers(used: Floats, answers: Floats, names: Sequence[str], title: str) -> None:
    empty = [name for name, column in zip(names, answers.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise DataError(f"{title}: nobody answered {join_words(empty)}. Check the export, or leave it out.")
    if (~np.isnan(used).any(axis=1)).sum() < LEAST:
        raise DataError(f"{title}: fewer than {LEAST} respondents answered all items. Collect more answers.")
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
        raise DataError(f"{battery.title}: {_against(battery, covariances, pairs, conf_level)}")
    return rests, low, high


def pairs_of_item(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fewest respondents an item shares with any other: the cautious n of its item-rest correlation."""
    return np.where(np.eye(len(pairs), dtype=bool), pairs.max(), pairs).min(axis=0)


def _against(battery: Battery, covariances: Floats, pairs: NDArray[np.int64], conf_level: float) -> str:
    """Name the item that runs against the others where one can be named, else the items that conflict."""
    culprit = _culprit(covariances, pairs_of_item(pairs), conf_level)
    if culprit is not None:
        return f"{battery.names[culprit]} is answered against the other items. {ADVICE}, or leave the item out."
    one, other = _camps(battery, covariances)
    if not one:
        return f"the items run against each other: {join_words(other)}. {ADVICE}, or split the scale."
    return f"{join_words(one)} run against {join_words(other)}. {ADVICE}, or split the scale."


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
