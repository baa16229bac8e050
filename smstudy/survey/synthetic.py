"""Answers nobody gave: drawn from a codebook and a plan that says what is to be found in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from smstudy.errors import DataError, did_you_mean
from smstudy.survey.codebook import Codebook, Scale, Variable, answer_range

ATTENTIVE, STRAIGHT_LINER, RANDOM, SPEEDER = range(4)
BLANK = "blank"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is planted. Latent numbers are in units in which an item's cuts run from -1.5 to 1.5.

    Attributes
    ----------
    scales : tuple of str, length p
        Scales of the codebook, causes before what they drive.
    units : mapping
        Name of every unit to its head count.
    segments : mapping
        Name of every segment to the centers of its members on the p scales.
    shares : ndarray, shape (units, segments)
        Share of every segment in every unit; rows sum to 1.
    unit_effects : ndarray, shape (units, p)
        What a unit adds to the latent value of all its members, whatever their segment.
    effects : mapping
        Scale to {cause: coefficient}: the coefficient times the cause's latent value is added.
    spread : tuple of float, length p
        Standard deviation of persons around the center of their segment in their unit.
    stability : float
        Share of that variance that stays with a person from wave to wave.
    shifts : tuple of mappings
        Per wave: scale to what is added to everybody's latent value.
    loading : float
        Correlation of an item's underlying value with a latent of variance 1.
    cuts : tuple of float
        First and last cut between an item's answers; the others lie evenly between them.
    difficulty : mapping
        Item to what is taken from its underlying value; 0 if not named.
    background : mapping
        Category variable to the shares of its categories, independent of everything else.
    response : float
        Probability that a person answers in a wave, independent of everything else.
    careless : mapping
        Kind of carelessness to the share of respondents.
    missing : mapping
        Reason ("blank" or a missing code of the codebook) to the share of item answers lost to it, at random.
    fatigue : float
        How much more is lost at the last item than at the first, as a share of the mean.
    """

    scales: tuple[str, ...]
    units: Mapping[str, int]
    segments: Mapping[str, tuple[float, ...]]
    shares: np.ndarray
    unit_effects: np.ndarray
    effects: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    spread: tuple[float, ...]
    stability: float = 0.7
    shifts: tuple[Mapping[str, float], ...] = ({},)
    loading: float = 0.8
    cuts: tuple[float, float] = (-1.5, 1.5)
    difficulty: Mapping[str, float] = field(default_factory=dict)
    background: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    response: float = 1.0
    careless: Mapping[int, float] = field(default_factory=dict)
    missing: Mapping[str, float] = field(default_factory=dict)
    fatigue: float = 0.0

    def __post_init__(self) -> None:
        expected = {
            "shares": (np.shape(self.shares), (len(self.units), len(self.segments))),
            "unit_effects": (np.shape(self.unit_effects), (len(self.units), len(self.scales))),
            "spread": (np.shape(self.spread), (len(self.scales),)),
            "segments": (np.shape(list(self.segments.values())), (len(self.segments), len(self.scales))),
        }
        for name, (shape, allowed) in expected.items():
            if shape != allowed:
                raise DataError(f"The plan's {name} has shape {shape}; {allowed} is needed. Correct the plan.")
        if not np.allclose(np.sum(self.shares, axis=1), 1) or np.min(self.shares) < 0:
            raise DataError("The plan's shares of segments do not sum to 1 in every unit. Divide each row by its sum.")
        for name, shares in (("missing", self.missing), ("careless", self.careless)):
            if sum(shares.values()) > 1:
                raise DataError(f"The plan's shares of {name} add up to more than 1. Lower them.")
        self._check_names()

    def _check_names(self) -> None:
        named = {*self.effects, *(name for part in (*self.effects.values(), *self.shifts) for name in part)}
        for name in sorted(named - set(self.scales)):
            raise DataError(f'The plan has an effect of or on "{name}". {did_you_mean(name, self.scales)}')
        for scale, causes in self.effects.items():
            for cause in causes:
                if self.scales.index(cause) >= self.scales.index(scale):
                    raise DataError(f'The plan lets "{cause}" drive "{scale}". Name causes before what they drive.')


@dataclass(frozen=True, kw_only=True)
class People:
    """Persons as they are before they answer: n of them.

    Attributes
    ----------
    unit, segment : ndarray of int, shape (n,)
        Position in the plan's units and segments.
    lasting : ndarray, shape (n, p)
        The part of their deviation that stays from wave to wave, standard normal.
    background : mapping
        Category variable to positions of categories, each of shape (n,).
    """

    unit: np.ndarray
    segment: np.ndarray
    lasting: np.ndarray
    background: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.unit)

    def take(self, rows: np.ndarray) -> People:
        """Give the persons at the given positions."""
        background = {name: values[rows] for name, values in self.background.items()}
        return People(
            unit=self.unit[rows], segment=self.segment[rows], lasting=self.lasting[rows], background=background
        )


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the n persons answered to the k items, in the order of the questionnaire.

    Attributes
    ----------
    codes : ndarray, shape (n, k)
        Codes as a respondent sees them, reversed items not turned round; missing is NaN.
    reasons : ndarray of int8, shape (n, k)
        0 if answered, else 1 + position of the reason in the plan's `missing`.
    careless : ndarray of int8, shape (n,)
        ATTENTIVE, STRAIGHT_LINER, RANDOM or SPEEDER.
    seconds : ndarray of int, shape (n,)
        Time taken.
    """

    codes: np.ndarray
    reasons: np.ndarray
    careless: np.ndarray
    seconds: np.ndarray


def draw_people(plan: Plan, unit: np.ndarray, rng: np.random.Generator) -> People:
    """Draw persons for given places.

    Parameters
    ----------
    unit : ndarray of int, shape (n,)
        Unit of every person, as position in the plan's units; see `staff`.
    rng : Generator
        The only source of chance.

    Examples
    --------
    >>> plan = Plan(scales=("s",), units={"A": 2, "B": 1}, segments={"all": (0.0,)}, shares=np.ones((2, 1)),
    ...             unit_effects=np.zeros((2, 1)), spread=(1.0,))
    >>> draw_people(plan, staff(plan), np.random.default_rng(1)).unit.tolist()
    [0, 0, 1]
    """
    segment = _pick(np.cumsum(plan.shares, axis=1)[unit], rng)
    lasting = rng.standard_normal((len(unit), len(plan.scales)))
    background = {
        name: _pick(np.broadcast_to(np.cumsum(shares), (len(unit), len(shares))), rng)
        for name, shares in plan.background.items()
    }
    return People(unit=unit, segment=segment, lasting=lasting, background=background)


def staff(plan: Plan, times: int = 1) -> np.ndarray:
    """Give everybody's unit, `times` copies of the organization: shape (times * head count,)."""
    return np.repeat(np.arange(len(plan.units)), np.array(list(plan.units.values())) * times)


def draw_respondents(plan: Plan, n: int, rng: np.random.Generator) -> np.ndarray:
    """Say who of n persons answers in a wave: booleans of shape (n,)."""
    return rng.random(n) < plan.response


def draw_latents(plan: Plan, people: People, wave: int, rng: np.random.Generator) -> np.ndarray:
    """Draw what persons think in a wave (counted from 1): shape (n, p)."""
    if not 1 <= wave <= len(plan.shifts):
        raise DataError(f"The plan has no wave {wave}. Allowed: 1 to {len(plan.shifts)}; name its shifts in the plan.")
    passing = rng.standard_normal(people.lasting.shape)
    deviation = np.sqrt(plan.stability) * people.lasting + np.sqrt(1 - plan.stability) * passing
    centers = np.array(list(plan.segments.values()))
    latents = centers[people.segment] + plan.unit_effects[people.unit] + deviation * np.array(plan.spread)
    for position, scale in enumerate(plan.scales):
        for cause, coefficient in plan.effects.get(scale, {}).items():
            latents[:, position] += coefficient * latents[:, plan.scales.index(cause)]
        latents[:, position] += plan.shifts[wave - 1].get(scale, 0.0)
    return latents


def draw_answers(plan: Plan, codebook: Codebook, people: People, *, wave: int, rng: np.random.Generator) -> Answers:
    """Draw the answers of persons in a wave: attentive ones, careless ones, and those not given.

    Parameters
    ----------
    wave : int
        Counted from 1.

    Raises
    ------
    CodebookError
        If the plan names a scale the codebook does not have.
    DataError
        If the plan has no such wave, or names a missing code the codebook does not have.
    """
    _check_reasons(plan, codebook)
    codes = _attentive(plan, codebook, draw_latents(plan, people, wave, rng), rng)
    careless = _pick_kinds(plan.careless, len(people), rng)
    ranges = np.array([answer_range(item) for item in items_of(plan, codebook)])
    for kind in plan.careless:
        rows = np.flatnonzero(careless == kind)
        codes[rows] = _careless(kind, len(rows), ranges, rng)
    reasons = _lost(plan, codes.shape, rng)
    codes[reasons > 0] = np.nan
    return Answers(codes=codes, reasons=reasons, careless=careless, seconds=_seconds(careless, rng))


def items_of(plan: Plan, codebook: Codebook) -> list[Variable]:
    """Give the items of the plan's scales, in the plan's order: k of them."""
    return [codebook.variable(name) for scale in plan.scales for name in codebook.scale(scale).items]


def mean_scores(plan: Plan, codebook: Codebook, codes: np.ndarray) -> np.ndarray:
    """Score what was drawn: mean of the answered items, reversed ones turned round, as shape (n, p).

    The product's own scoring is `smstudy.scales.scoring`; this one serves the truth at n = 1,000,000. NaN where fewer
    items were answered than the scale asks for.
    """
    scores, start = np.empty((len(codes), len(plan.scales))), 0
    for position, name in enumerate(plan.scales):
        scale = codebook.scale(name)
        block = codes[:, start : start + len(scale.items)]
        scores[:, position] = _mean_score(codebook, scale, block)
        start += len(scale.items)
    return scores


def draw_scores(
    plan: Plan, codebook: Codebook, people: People, *, wave: int, rng: np.random.Generator, chunk: int = 50_000
) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores of many persons without keeping their answers.

    Returns
    -------
    scores : ndarray, shape (n, p)
    attentive : ndarray of bool, shape (n,)
    """
    scores = np.empty((len(people), len(plan.scales)))
    attentive = np.empty(len(people), dtype=bool)
    for rows in _chunks(len(people), chunk):
        answers = draw_answers(plan, codebook, people.take(rows), wave=wave, rng=rng)
        scores[rows] = mean_scores(plan, codebook, answers.codes)
        attentive[rows] = answers.careless == ATTENTIVE
    return scores, attentive


def answers_frame(plan: Plan, codebook: Codebook, people: People, answers: Answers) -> pd.DataFrame:
    """Give answers as a frame in the codebook's own names: items as codes, unit and background as labels.

    Returns
    -------
    DataFrame, shape (n, 1 + background variables + k)
    """
    units = np.array(list(plan.units), dtype=object)
    columns: dict[str, np.ndarray] = {variable.name: units[people.unit] for variable in codebook.of_kind("unit")[:1]}
    for name, positions in people.background.items():
        labels = np.array([category.label for category in codebook.variable(name).categories], dtype=object)
        columns[name] = labels[positions]
    items = {item.name: answers.codes[:, j] for j, item in enumerate(items_of(plan, codebook))}
    return pd.DataFrame({**columns, **items})


def _attentive(plan: Plan, codebook: Codebook, latents: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    items = items_of(plan, codebook)
    codes = np.empty((len(latents), len(items)))
    owners = [i for i, scale in enumerate(plan.scales) for _ in codebook.scale(scale).items]
    noise = rng.standard_normal(codes.shape) * np.sqrt(1 - plan.loading**2)
    for j, item in enumerate(items):
        value = plan.loading * latents[:, owners[j]] + noise[:, j] - plan.difficulty.get(item.name, 0.0)
        codes[:, j] = _answer(value, item, plan.cuts)
    return codes


def _answer(value: np.ndarray, item: Variable, cuts: tuple[float, float]) -> np.ndarray:
    """Cut an underlying value into the item's codes; a reversed item gets the mirrored one."""
    codes = np.sort([float(category.value) for category in item.categories])
    codes = codes[::-1] if item.reverse else codes
    return codes[np.searchsorted(np.linspace(*cuts, len(codes) - 1), value)]


def _mean_score(codebook: Codebook, scale: Scale, codes: np.ndarray) -> np.ndarray:
    turned = codes.copy()
    for j, item in enumerate(map(codebook.variable, scale.items)):
        if item.reverse:
            turned[:, j] = sum(answer_range(item)) - codes[:, j]
    given = np.sum(np.isfinite(turned), axis=1)
    enough = given >= scale.min_answered * len(scale.items)
    return np.where(enough, np.nansum(turned, axis=1) / np.maximum(given, 1), np.nan)


def _careless(kind: int, n: int, ranges: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low, high = ranges[:, 0], ranges[:, 1]
    shown = rng.random((n, 1 if kind == STRAIGHT_LINER else len(ranges)))
    return np.floor(low + shown * (high - low + 1))


def _seconds(careless: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw durations: attentive about five minutes for 20 items, speeders about half a minute."""
    median = np.array([300.0, 110.0, 140.0, 32.0])[careless]
    width = np.array([0.38, 0.30, 0.30, 0.18])[careless]
    return np.maximum(12, np.rint(median * np.exp(width * rng.standard_normal(len(careless))))).astype(int)


def _lost(plan: Plan, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    if not plan.missing:
        return np.zeros(shape, dtype=np.int8)
    shares = np.array(list(plan.missing.values()))
    tilt = 1 + plan.fatigue * np.linspace(-0.5, 0.5, shape[1])
    chance = rng.random(shape) / tilt
    edges = np.cumsum(shares)
    return np.where(chance < edges[-1], 1 + np.searchsorted(edges, chance, side="right"), 0).astype(np.int8)


def _pick(cumulative: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pick one position per row of cumulative shares."""
    chance = rng.random(len(cumulative))
    return np.minimum(np.sum(chance[:, None] >= cumulative, axis=1), cumulative.shape[1] - 1)


def _pick_kinds(shares: Mapping[int, float], n: int, rng: np.random.Generator) -> np.ndarray:
    kinds = np.array([*shares, ATTENTIVE], dtype=np.int8)
    return kinds[np.searchsorted(np.cumsum(list(shares.values())), rng.random(n), side="right")]


def _chunks(n: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


def _check_reasons(plan: Plan, codebook: Codebook) -> None:
    for reason in plan.missing:
        if reason != BLANK and reason not in codebook.missing:
            raise DataError(f'The plan loses answers to "{reason}". {did_you_mean(reason, [BLANK, *codebook.missing])}')
