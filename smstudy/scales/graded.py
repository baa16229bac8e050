"""What each answer to an item tells about the attitude behind a scale: the graded response model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, figures
from smstudy.display.information import information_curve, information_words
from smstudy.display.prose import join_words
from smstudy.display.rules import ITEM_SLOPE, RELIABILITY
from smstudy.errors import DataError
from smstudy.inference.psychometrics.consistency import pairwise_covariances
from smstudy.inference.psychometrics.graded import Graded, attitudes, graded_model, item_information
from smstudy.inference.psychometrics.polychoric import OrdinalSample, ordinal_codes
from smstudy.result import Finding, Result, Rows
from smstudy.scales.batteries import Battery, battery_of, refuse_opposed, repeated_items
from smstudy.scales.scoring import items_of
from smstudy.survey.codebook import answer_range
from smstudy.survey.dataset import Data, Survey, frame_of

LEAST_ITEMS = 3
LEAST_PER_PARAMETER = 3
FEW_PER_PARAMETER = 10
RELIABLE = RELIABILITY.cuts[1]
DRAWN = np.linspace(-4, 4, 81)
HEIGHT = 8
HIDDEN = "thresholds hidden, an answer is rare"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class GradedResponse(Result):
    """A graded response model of a scale; the picture is the information of the whole scale.

    Attributes
    ----------
    model : Graded
        Estimates for further computing.
    scale : str or None
        Scale of the survey.
    categories : tuple of tuple of float
        Answers of each item in their order.
    counts : tuple of ndarray
        How often each was given.
    conf_level : float
        Level of the intervals.
    """

    model: Graded = field(repr=False)
    scale: str | None
    categories: tuple[tuple[float, ...], ...] = field(repr=False)
    counts: tuple[NDArray[np.int64], ...] = field(repr=False)
    conf_level: float

    picture: ClassVar = staticmethod(information_curve)

    def tidy(self) -> pd.DataFrame:
        """One row per item: discrimination (estimate) and thresholds; those of items with a rare answer are hidden."""
        errors, _ = self.model.errors
        width = stats.norm.isf((1 - self.conf_level) / 2) * errors
        rare = np.array([counts.min() < self.privacy.min_n for counts in self.counts])
        readings = [ITEM_SLOPE.read(slope) for slope in self.model.slopes]
        table = pd.DataFrame(
            {
                "term": self.model.names,
                "estimate": self.model.slopes,
                "std_error": errors,
                "conf_low": self.model.slopes - width,
                "conf_high": self.model.slopes + width,
            }
        )
        thresholds = np.where(rare[:, None], np.nan, self.model.thresholds)
        columns = {f"b{k + 1}": column for k, column in enumerate(thresholds.T)}
        reading = [f"{word}; {HIDDEN}" if is_rare else word for word, is_rare in zip(readings, rare, strict=True)]
        return table.assign(**columns, reading=reading)

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, items, fit, and where on the scale attitudes are told reliably."""
        model = self.model
        low, high, share = _reliable(DRAWN, self.drawn()["information"].to_numpy())
        return {
            "n": model.n,
            "n_items": len(model.names),
            "log_likelihood": model.log_likelihood,
            "aic": 2 * model.n_parameters - 2 * model.log_likelihood,
            "bic": float(np.log(model.n)) * model.n_parameters - 2 * model.log_likelihood,
            "precise_low": low,
            "precise_high": high,
            "share": share,
            "conf_level": self.conf_level,
        }

    def drawn(self) -> pd.DataFrame:
        """Information and standard error over the attitude; rare answers count as their neighbor."""
        pairs = zip(self.model.intercepts, self.counts, strict=True)
        joined = np.array([_joined(cuts, counts, self.privacy.min_n) for cuts, counts in pairs])
        told = item_information(self.model.slopes, joined, DRAWN).sum(axis=0)
        with np.errstate(divide="ignore"):
            return pd.DataFrame({"attitude": DRAWN, "information": told, "std_error": 1 / np.sqrt(told)})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the information of the scale and the standard error it leaves."""
        return super().plot(ax or figures.new_axes(HEIGHT))

    def alt_text(self) -> str:
        """Say where the scale tells most."""
        return information_words(self.drawn(), title=self.title)

    def augment(self, data: Data) -> Rows:
        """Add `.attitude`, expected given the answers, and `.attitude_error`; missing where nothing was answered."""
        frame = items_of(data, self.scale) if isinstance(data, Survey) else frame_of(data)
        missing = [name for name in self.model.names if name not in frame]
        if missing:
            raise DataError(f"The data lack {join_words(missing)}. Give the same items as the model was fitted to.")
        codes = np.column_stack([_codes(frame[n], c) for n, c in zip(self.model.names, self.categories, strict=True)])
        n_categories = np.array([len(categories) for categories in self.categories])
        mean, error = attitudes(self.model, OrdinalSample(self.model.names, codes, n_categories))
        return Rows(frame_of(data).assign(**{".attitude": mean, ".attitude_error": error}))


def graded_response(items: Data, scale: str | None = None, *, conf_level: float = 0.95) -> GradedResponse:
    """Fit a graded response model: how sharply each item tells attitudes apart, and where on the scale.

    The odds of an answer or a higher one rise with the attitude: by the factor exp(discrimination) for one standard
    deviation. Threshold b1 is the attitude from which half give the second answer or a higher one, and so on. The
    model takes for granted that one attitude stands behind all items; a factor analysis tells whether that is so.

    Parameters
    ----------
    items : DataFrame, shape (n respondents, k items), or Survey
        Whole numbers, reversed items already turned round; or a survey, whose codebook says what to turn round. Answers
        may be missing at random.
    scale : str, optional
        Name of the scale; needed for a survey.
    conf_level : float
        Level of the intervals of discriminations, between 0 and 1.

    Returns
    -------
    GradedResponse
        `augment(data)` gives expected attitudes of respondents for further computing; they are never shown.

    Raises
    ------
    DataError
        If there are fewer than 3 items, an item is constant or runs against the others, nobody chose an answer that
        lies between others, or respondents are fewer than 3 per parameter.
    EstimationError
        If a discrimination grows without end, or the steps do not settle.

    References
    ----------
    Samejima (1969), Psychometrika Monograph 17. See `smstudy.inference.psychometrics.graded.graded_model`.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> lines = 1.5 * rng.standard_normal((900, 1)) + rng.logistic(size=(900, 4))
    >>> answers = pd.DataFrame(np.digitize(lines, [-1.5, 0, 1.5]), columns=list("abcd"))
    >>> fit = graded_response(answers)
    >>> bool((fit.tidy()["conf_low"] > 1).all())
    True
    """
    battery = battery_of(items, scale, conf_level, "pairwise")
    if battery.k < LEAST_ITEMS:
        raise DataError(
            f"{battery.title}: a graded response model needs {LEAST_ITEMS} items or more. Add items, or use "
            "cronbach_alpha()."
        )
    answers = pd.DataFrame(battery.answers, columns=list(battery.names))
    sample = ordinal_codes(answers)
    categories = tuple(tuple(np.unique(column[~np.isnan(column)]).tolist()) for column in battery.answers.T)
    _refuse_gaps(items, battery, categories)
    _refuse_few(battery, sample)
    refuse_opposed(battery, *pairwise_covariances(battery.answers), conf_level)
    model = graded_model(sample)
    _refuse_falling(battery, model)
    return GradedResponse(
        title=f"Graded response model: {battery.title}",
        note=_note(battery),
        findings=_findings(battery, model, conf_level),
        labels=battery.labels,
        privacy=battery.privacy,
        model=model,
        scale=scale,
        categories=categories,
        counts=tuple(np.bincount(codes[codes >= 0]) for codes in sample.codes.T),
        conf_level=conf_level,
    )


def _note(battery: Battery) -> str:
    return (
        "Estimate: discrimination, the log odds ratio of a higher answer for one SD of attitude; b1 and so on: the "
        "attitude, in SD from the mean, from which half answer in the second step or higher. Marginal maximum "
        "likelihood, attitudes normal, missing answers at random; standard errors from the observed information. "
        f"Reliable: 1 - SE² is {apa.bounded(RELIABLE)} or more; share: respondents whose attitude lies there, if "
        f"normal. For the curve, answers given by fewer than {battery.privacy.min_n} count as their neighbor."
    )


def _refuse_gaps(items: Data, battery: Battery, categories: Sequence[tuple[float, ...]]) -> None:
    """Refuse items of which nobody chose an answer between two that were chosen: it has no threshold."""
    gaps = [
        name
        for name, chosen in zip(battery.names, categories, strict=True)
        if any(min(chosen) < code < max(chosen) and code not in chosen for code in _possible(items, name, chosen))
    ]
    if gaps:
        raise DataError(
            f"{battery.title}: nobody chose one of the middle answers of {join_words(gaps)}, so it has no threshold. "
            "Join that answer with its neighbor, or leave the item out."
        )


def _possible(items: Data, name: str, chosen: tuple[float, ...]) -> Sequence[float]:
    """Codes an item may have: those of the codebook, turned round where the item is; else all whole numbers."""
    if not isinstance(items, Survey):
        return [float(code) for code in range(int(min(chosen)), int(max(chosen)) + 1)]
    variable = items.codebook.variable(name)
    codes = [float(category.value) for category in variable.categories]
    return [sum(answer_range(variable)) - code for code in codes] if variable.reverse else codes


def _refuse_few(battery: Battery, sample: OrdinalSample) -> None:
    needed = LEAST_PER_PARAMETER * int(sample.n_categories.sum())
    if sample.n < needed:
        raise DataError(
            f"{battery.title}: {sample.n} respondents answered, and the model with {sample.n_categories.sum()} "
            f"parameters needs {needed} respondents or more ({LEAST_PER_PARAMETER} per parameter). Collect more "
            "answers, or join categories."
        )
    repeated = repeated_items(battery.answers, battery.names)
    if repeated:
        raise DataError(f"{battery.title}: {repeated}")


def _refuse_falling(battery: Battery, model: Graded) -> None:
    falling = [name for name, slope in zip(model.names, model.slopes, strict=True) if slope <= 0]
    if falling:
        raise DataError(
            f"{battery.title}: {join_words(falling)} does not rise with the attitude behind the other items. Mark what "
            "is worded the other way with `reverse: true` in the codebook, or leave it out."
        )


def _findings(battery: Battery, model: Graded, conf_level: float) -> tuple[Finding, ...]:
    made = []
    errors, _ = model.errors
    low = model.slopes - stats.norm.isf((1 - conf_level) / 2) * errors
    unsure = [name for name, end in zip(model.names, low, strict=True) if end <= 0]
    if unsure:
        text = f"{battery.title}: {join_words(unsure)} may tell nothing about the attitude; its thresholds are rough."
        made.append(Finding(name="weak_items", text=text))
    if model.n < FEW_PER_PARAMETER * model.n_parameters:
        text = (
            f"{battery.title}: fewer than {FEW_PER_PARAMETER} respondents for each of {model.n_parameters} parameters, "
            "so the numbers are rough."
        )
        made.append(Finding(name="few_respondents", text=text))
    return tuple(made)


def _codes(answers: pd.Series, categories: tuple[float, ...]) -> NDArray[np.int8]:
    """Place of each answer among those the model knows; DataError if it does not know one."""
    codes = pd.Index(categories).get_indexer(answers.astype(float))
    if (codes[answers.notna()] < 0).any():
        raise DataError(f"{answers.name} holds an answer the model does not know. Give answers to the same question.")
    return codes.astype(np.int8)


def _joined(intercepts: NDArray[np.float64], counts: NDArray[np.int64], min_n: int) -> NDArray[np.float64]:
    """Intercepts without those next to a rare answer, which joins its rarer neighbor; the others are -inf."""
    cuts, sizes = list(intercepts[: len(counts) - 1]), list(counts)
    while cuts and min(sizes) < min_n:
        rarest = int(np.argmin(sizes))
        after = rarest == 0 or (rarest < len(cuts) and sizes[rarest + 1] < sizes[rarest - 1])
        left = rarest if after else rarest - 1
        sizes[left] += sizes.pop(left + 1)
        cuts.pop(left)
    return np.array(cuts + [-np.inf] * (len(intercepts) - len(cuts)))


def _reliable(attitude: NDArray[np.float64], told: NDArray[np.float64]) -> tuple[float, float, float]:
    """Ends of the attitudes told reliably and the share of people there; NaN, NaN, 0 if there are none."""
    there = told >= 1 / (1 - RELIABLE)
    if not there.any():
        return float("nan"), float("nan"), 0.0
    weights = stats.norm.pdf(attitude)
    return float(attitude[there].min()), float(attitude[there].max()), float(weights[there].sum() / weights.sum())
