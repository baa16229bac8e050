"""A plan: a design with its settings; its chance, the sample it needs, the effect it finds, all in words too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, isfinite, log
from numbers import Real

import numpy as np

from smstudy.display.rules import Rule
from smstudy.errors import EstimationError, StudyError
from smstudy.models.planning.planned_designs import Design, Settings, Sizes, pair_of

MOST_PEOPLE, MOST_SIMULATED = 10_000_000, 20_000
EXACT_STEPS, SIMULATED_STEPS = 60, 14
START, NEARLY = 1e-3, 1e-9
MOST_EFFECT, LOG_MOST = 1e9, 20.0
POWER = Rule(
    "chance to find an effect",
    (0.5, 0.8),
    ("can rarely show", "may show", "can show"),
    "0.80: Cohen (1988), Statistical Power Analysis, chapter 2; below 0.50 a toss of a coin would do better",
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A test with all it needs to be told but the effect and the sample."""

    name: str
    design: Design
    settings: Settings
    alpha: float

    def chance(self, effect: float, n: Sizes) -> float:
        """The chance that the test finds an effect."""
        return float(self.design.chance(effect, n, self.settings, self.alpha))

    def error(self, chance: float) -> float:
        """Simulation error of a chance."""
        return float(np.sqrt(chance * (1 - chance) / self.settings["draws"]))

    @property
    def least(self) -> int:
        """Smallest n."""
        return self.design.least(self.settings)

    @property
    def most_people(self) -> int:
        """Largest n that is tried."""
        return MOST_SIMULATED if self.design.simulated else MOST_PEOPLE

    @property
    def people(self) -> float:
        """How many can answer at most."""
        return min(pair_of(self.settings.get("population", np.inf)))

    def check_effect(self, effect: float) -> None:
        """Refuse an effect that is none, or that cannot be."""
        if not is_number(effect) or effect == self.design.nothing:
            raise StudyError(
                f'smallest = {effect!r} is no effect. Give the size of "{self.effect("…")}" that would just matter.'
            )
        if self.design.nothing == 1 and effect <= 0:
            raise StudyError(f"smallest = {effect!r} is no ratio. Give a number above 0 other than 1.")
        if effect < 0 and not self.design.negative:
            raise StudyError(f"smallest = {effect!r} is below 0. Give the size of the effect; both directions count.")
        if not self.possible(effect):
            most = f"{self.design.most(self.settings):.3g}"
            room = f"between {-self.settings['base']:.3g} and {most}" if self.design.negative else f"below {most}"
            raise StudyError(
                f"smallest = {effect!r} is more than there can be: by the other numbers it must lie {room}, without "
                "the ends."
            )

    def check_sizes(self, n: object) -> Sizes:
        """Give both sizes; refuse what is no number of respondents."""
        if isinstance(n, tuple | list) and not (self.design.two_sizes and len(n) == 2):
            raise StudyError(f'power("{self.name}") needs one n, not {n!r}: {self.sample("n")}.')
        parts = n if isinstance(n, tuple | list) else (n,)
        for part in parts:
            if not is_number(part) or part != int(part) or not self.least <= part <= self.most_people:
                ends = f"from {self.least} to {self.most_people:,}"
                raise StudyError(f"n = {n!r} is no sample for this test. Give whole numbers {ends}.")
        sizes = pair_of(n)
        if not self.can_answer(sizes):
            raise StudyError(f"n = {n!r}, but population = {self.settings['population']!r}. No more can answer.")
        return sizes

    def can_answer(self, n: Sizes) -> bool:
        """Say whether so many can answer, and are tried."""
        people = pair_of(self.settings.get("population", np.inf))
        return self.least <= min(n) and max(n) <= self.most_people and n[0] <= people[0] and n[1] <= people[1]

    def needed(self, effect: float, power: float) -> int:
        """The smallest n, the same in both samples, that finds an effect with the chance wanted.

        Raises
        ------
        EstimationError
            If no n does, such as in a department that is too small.
        """
        top = int(min(self.people, self.most_people))
        found = smallest_n(lambda n: self.chance(effect, (n, n)) >= power, self.least, top)
        if found is None:
            raise self._out_of_reach(effect, power, top)
        return found

    def detectable(self, n: Sizes, power: float) -> float:
        """The smallest effect that is found with the chance wanted.

        Raises
        ------
        EstimationError
            If there is none.
        """
        ceiling = self._ceiling()
        low, high = 0.0, min(START, ceiling)
        while self.chance(self._effect_at(high), n) < power:
            if high >= ceiling:
                raise EstimationError(
                    f"{upper_first(self.sample(n))} cannot show any effect with a chance of {chance_in_words(power)}. "
                    "Plan more respondents."
                )
            low, high = high, min(2 * high, ceiling)
        for _ in range(SIMULATED_STEPS if self.design.simulated else EXACT_STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.chance(self._effect_at(middle), n) >= power else (middle, high)
        return self._effect_at(high)

    def effect(self, value: float | str) -> str:
        """An effect in words."""
        return self.design.effect.format(effect=value if isinstance(value, str) else f"{value:.3g}")

    def sample(self, n: Sizes | str) -> str:
        """A sample in words."""
        first, second = (n, n) if isinstance(n, str) else n
        if first == second:
            return self.design.sample.format(n=first if isinstance(first, str) else f"{first:,.0f}")
        return self.design.pair.format(n=f"{first:,.0f}", m=f"{second:,.0f}")

    def reading(self, effect: float, n: Sizes, chance: float) -> str:
        """The chance in plain words."""
        who = self.sample(n)
        if np.isfinite(self.people):
            who = f"a department of {self.people:,.0f} with {who}"
        return (
            f"{upper_first(who)} {POWER.read(chance)} {self.effect(effect)}: the chance is {chance_in_words(chance)}."
        )

    def scaled(self, effect: float, factor: float) -> float:
        """An effect that many times as far from none."""
        return exp(log(effect) * factor) if self.design.nothing == 1 else effect * factor

    def possible(self, effect: float) -> bool:
        """Say whether an effect can be."""
        lowest = -self.settings["base"] if self.design.negative else -np.inf
        return lowest < effect < self.design.most(self.settings)

    def _ceiling(self) -> float:
        most = self.design.most(self.settings)
        return most * (1 - NEARLY) if np.isfinite(most) else LOG_MOST if self.design.nothing == 1 else MOST_EFFECT

    def _effect_at(self, distance: float) -> float:
        return exp(distance) if self.design.nothing == 1 else distance

    def _out_of_reach(self, effect: float, power: float, top: int) -> EstimationError:
        wanted = f"{self.effect(effect)} with a chance of {chance_in_words(power)}"
        if top == self.people:
            chance = chance_in_words(self.chance(effect, (top, top)))
            return EstimationError(
                f"Even if all {top:,.0f} people answer, they cannot show {wanted}: the chance is {chance}. Combine "
                "departments, ask more questions for a more reliable score, or name a larger effect."
            )
        return EstimationError(f"More than {top:,} would be needed to show {wanted}.")


def smallest_n(enough: Callable[[int], bool], least: int, top: int) -> int | None:
    """The smallest n from `least` to `top` that is enough; None if none is.

    >>> smallest_n(lambda n: n * n > 50, 2, 100), smallest_n(lambda n: False, 2, 9)
    (8, None)
    """
    low, high = least - 1, min(least, top)
    while not enough(high):
        if high >= top:
            return None
        low, high = high, min(2 * high, top)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def is_number(value: object) -> bool:
    """Say whether a value is a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def chance_in_words(chance: float) -> str:
    """Write a chance as a percentage that is never quite 0 or 100.

    >>> chance_in_words(0.213), chance_in_words(0.9999), chance_in_words(0.0001)
    ('21 %', 'over 99 %', 'less than 1 %')
    """
    return "over 99 %" if chance > 0.995 else "less than 1 %" if chance < 0.005 else f"{100 * chance:.0f} %"


def upper_first(text: str) -> str:
    """Begin a sentence.

    >>> upper_first("two groups")
    'Two groups'
    """
    return text[:1].upper() + text[1:]
