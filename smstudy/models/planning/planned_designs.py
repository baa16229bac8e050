"""The tests a study can be planned for: what each needs to be told, and the chance that it finds an effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite, sqrt
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import StudyError, did_you_mean
from smstudy.inference import power_formulas as formulas
from smstudy.inference import power_simulations as simulations
from smstudy.inference.finite_samples import change_variance, forced_overlap, overlap_df
from smstudy.result import Finding

Array = NDArray[np.float64]
Setting = float | tuple[float, ...]
Settings = Mapping[str, Setting]
Sizes = tuple[float, float]
REQUIRED = None
NOTHING = 1e-12
POSTHOC = (
    "Power is planned for the smallest effect that would matter, not for the effect that was found: computed from the "
    "data it only restates their p value (Hoenig & Heisey 2001, American Statistician 55, 19-24). Give smallest=, and "
    "read the interval of the estimate to see what the data say."
)
PAIRS = ("population", "waves")
POSTHOC_WORDS = ("observed", "estimate", "p_value", "posthoc")


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a test may be told besides the effect and the sample.

    Attributes
    ----------
    default : float, tuple or None
        Used if nothing is given; None if it must be given.
    low, high : float
        Allowed values, the ends of `open_ends` not included.
    whole : bool
        Whether only whole numbers are allowed.
    """

    words: str
    default: Setting | None = REQUIRED
    low: float = 0.0
    high: float = np.inf
    open_ends: str = "both"
    whole: bool = False

    @property
    def range(self) -> str:
        """Allowed values in words.

        >>> BASE.range, TEAM_SIZE.range
        ('a number above 0 and below 1', 'a number from 1')
        """
        low = f"{'above' if self.open_ends in ('both', 'low') else 'from'} {self.low:g}"
        high = f" and below {self.high:g}" if self.open_ends in ("both", "high") else f" up to {self.high:g}"
        return f"a {'whole ' if self.whole else ''}number {low}{high if isfinite(self.high) else ''}"

    def allows(self, value: float) -> bool:
        """Say whether a number is allowed."""
        if isinstance(value, bool) or not isinstance(value, Real) or value != value:
            return False
        above = value > self.low if self.open_ends in ("both", "low") else value >= self.low
        below = value < self.high if self.open_ends in ("both", "high") else value <= self.high
        return above and below and (not self.whole or value == int(value))


SD = Option(words="standard deviation of the scores, within groups", default=1.0)
TEAM_SIZE = Option(words="people per team, if whole teams are asked", default=1, low=1, open_ends="high")
ICC = Option(words="ICC(1), likeness of people of a team", default=0.0, high=1, open_ends="high")
BASE = Option(words="share to compare with, 0 to 1", high=1)
DRAWS = Option(words="repetitions of a simulation", default=2000, low=100, high=1_000_000, open_ends="none", whole=True)
SEED = Option(words="start of the simulation", default=1, open_ends="high", whole=True)
TEAMS = {"team_size": TEAM_SIZE, "icc": ICC}
SIMULATION = {"draws": DRAWS, "seed": SEED}
EXACT_SCORES = Finding(
    name="exact_scores",
    text="Scores are taken for exact. If they are answers to questions, a small department gives false alarms.",
)
RELIABILITY = Option(words="reliability of the scores, such as alpha", default=np.nan, high=1, open_ends="low")
POPULATION = Option(words="people in the department", default=np.inf, low=2, open_ends="none")


@dataclass(frozen=True, kw_only=True)
class Design:
    """A test that can be planned.

    Attributes
    ----------
    title : str
        What is planned.
    effect : str
        The effect in words, with its place.
    sample : str
        What n counts, with its place.
    test : str
        How it will be tested.
    chance : callable
        From effect, respondents of both samples, settings and level to the chance.
    options : mapping
        By name.
    nothing : float
        The value that is no effect.
    least : int
        Smallest n.
    most : callable
        From settings to the largest effect, of which the search stays below.
    two_sizes : bool
        Whether n may be a pair.
    pair : str
        What a pair counts, with its places.
    each : str
        What one n counts where n may be a pair.
    negative : bool
        Whether the effect may be below 0.
    """

    title: str
    effect: str
    sample: str
    test: str
    chance: Callable[[float, Sizes, Settings, float], Array | float]
    options: Mapping[str, Option] = field(default_factory=dict)
    nothing: float = 0.0
    least: Callable[[Settings], int] = lambda settings: 2
    most: Callable[[Settings], float] = lambda settings: np.inf
    two_sizes: bool = False
    pair: str = "{n} and {m} respondents in two groups"
    each: str = "each group"
    negative: bool = False

    @property
    def simulated(self) -> bool:
        """Whether the chance is simulated."""
        return "draws" in self.options


def settings_of(
    name: str, options: Mapping[str, Option], given: Mapping[str, object], counted: str = ""
) -> dict[str, Setting]:
    """Check what a test is told and fill in the rest; `name` is the call, such as `power("means")`.

    `counted` says what n counts, for whoever gives it another name.

    Raises
    ------
    StudyError
        If an option is not known, is missing, or has a value that is not allowed.
    """
    for option, value in given.items():
        if option in POSTHOC_WORDS:
            raise StudyError(f'power has no option "{option}". {POSTHOC}')
        if option not in options:
            hint = f" The sample is told by n: {counted}." if counted else ""
            raise StudyError(f'{name} has no option "{option}". {did_you_mean(option, options)}{hint}')
        _check(option, options[option], value)
    for option, allowed in options.items():
        if allowed.default is REQUIRED and option not in given:
            raise StudyError(f"{name} needs {option}: {allowed.words}. Give it.")
    return {option: given.get(option, allowed.default) for option, allowed in options.items()}


def _check(option: str, allowed: Option, value: object) -> None:
    several = isinstance(value, tuple | list) and (option == "answers" or (option in PAIRS and len(value) == 2))
    parts = value if several else (value,)
    if not parts or not all(allowed.allows(part) for part in parts):
        raise StudyError(f"{option} = {value!r} is not allowed: {allowed.words}. Give {allowed.range}.")


def pair_of(value: Setting) -> Sizes:
    """Both of two numbers; one number stands for both.

    >>> pair_of(10), pair_of((10, 20))
    ((10.0, 10.0), (10.0, 20.0))
    """
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return float(first), float(second)


def _means(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    return formulas.t_power(effect, *_error_of_means(n, s), alpha=alpha)


def _equivalence(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    return formulas.equivalence_power(effect, *_error_of_means(n, s), alpha=alpha)


def _error_of_means(n: Sizes, s: Settings) -> tuple[float, float]:
    """Standard error and degrees of freedom of a difference of means; with whole teams those of team means."""
    units = (n[0] / s["team_size"], n[1] / s["team_size"])
    inflated = formulas.design_effect(s["team_size"], s["icc"])
    error = s["sd"] * sqrt(inflated * (1 / n[0] + 1 / n[1]))
    return error, float(overlap_df(units))


def _change(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    if s["correlation"] and s["overlap"] != s["overlap"] and not np.isfinite(pair_of(s["population"])).all():
        raise StudyError(
            "A correlation only matters where people answer in both waves. Give overlap=, their share of the smaller "
            "wave: 1 if all do."
        )
    return formulas.t_power(effect, *error_of_change(n, s), alpha=alpha)


def error_of_change(n: Sizes, s: Settings) -> tuple[float, float]:
    """Standard error and degrees of freedom of a change between two waves."""
    people, pairs = pair_of(s["population"]), None
    if s["overlap"] == s["overlap"]:
        pairs = max(s["overlap"] * min(n), forced_overlap(n, people))
    variance = change_variance(
        n, sd=(s["sd"], s["sd"]), population=people, reliability=reliability_of(s), correlation=s["correlation"],
        overlap=pairs,
    )  # fmt: skip
    error = np.sqrt(max(variance, NOTHING * s["sd"] ** 2))
    return float(error), float(overlap_df(n, overlap=forced_overlap(n, people) if pairs is None else pairs))


def reliability_of(s: Settings) -> float:
    """The reliability of scores; StudyError if a small department makes it matter and it is not given."""
    if s["reliability"] == s["reliability"]:
        if s.get("correlation", 0.0) > s["reliability"]:
            raise StudyError(
                f"correlation = {s['correlation']:g} is above reliability = {s['reliability']:g}: scores cannot agree "
                "more with those of another wave than with themselves. Correct one of them."
            )
        return s["reliability"]
    if np.isfinite(pair_of(s["population"])).any():
        raise StudyError(
            "Where the people of a department are counted, the reliability of the scores must be known: the plain "
            "correction for a small department takes scores for exact and doubles its false alarms. Give reliability=, "
            "such as alpha; 1 if scores are exact."
        )
    return 1.0


def _share(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    return formulas.share_power(s["base"], effect, n[0] / _inflation(s), alpha=alpha)


def _shares(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    return formulas.shares_power(s["base"], effect, n[0] / _inflation(s), n[1] / _inflation(s), alpha=alpha)


def _inflation(s: Settings) -> float:
    return formulas.design_effect(s["team_size"], s["icc"])


def _coefficient(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    return formulas.f_power(effect, n[0], 1, int(s["drivers"]) - 1, alpha=alpha)


def _r_squared(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    return formulas.f_power(effect / (1 - effect), n[0], int(s["drivers"]), alpha=alpha)


def _groups(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    return formulas.f_power(effect**2, n[0] * s["groups"], int(s["groups"]) - 1, alpha=alpha)


def _logit(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    return formulas.logit_power(effect, n[0], s["share"], s["others"], alpha=alpha)


def _ordinal(effect: float, n: Sizes, s: Settings, alpha: float) -> float:
    if not isinstance(s["answers"], tuple | list) or abs(sum(s["answers"]) - 1) > 1e-6 or len(s["answers"]) < 2:
        raise StudyError("answers must be the shares of 2 answers or more, lowest first, that add up to 1.")
    shares = np.array(s["answers"]) / sum(s["answers"])
    return _simulated(simulations.ordered, (round(n[0]), round(n[1]), effect, shares), s, alpha)


def _mediation(effect: float, n: Sizes, s: Settings, alpha: float) -> float:
    first = sqrt(abs(effect)) if s["first"] != s["first"] else s["first"]
    if first == 0:
        raise StudyError("first = 0 leaves no indirect effect. Give a path that is not 0.")
    second = effect / first
    if abs(second) >= 1 or second**2 + s["direct"] ** 2 + 2 * first * second * s["direct"] >= 1:
        raise StudyError(
            f"An indirect effect of {effect:g} with a first path of {first:g} and a direct one of {s['direct']:g} "
            "would explain more than there is. Give standardized paths that fit together."
        )
    return _simulated(simulations.mediated, (round(n[0]), first, second, s["direct"]), s, alpha)


def _interaction(effect: float, n: Sizes, s: Settings, alpha: float) -> float:
    return _simulated(simulations.moderated, (round(n[0]), effect, s["correlation"], s["reliability"]), s, alpha)


def _multilevel(effect: float, n: Sizes, s: Settings, alpha: float) -> float:
    if effect**2 + s["slope_sd"] ** 2 + s["icc"] >= 1:
        raise StudyError("Slope, spread of slopes and ICC would explain more than there is. Give smaller ones.")
    within = (int(s["team_size"]), s["slope_sd"], s["icc"])
    return _simulated(simulations.within_teams, (round(n[0]), effect, *within), s, alpha)


def _pilot(effect: float, n: Sizes, s: Settings, alpha: float) -> float:
    before, since = pair_of(s["waves"])
    spread = sqrt(s["change_sd"] ** 2 + s["sd"] ** 2 / s["people"] * (1 / before + 1 / since))
    return _simulated(simulations.piloted, (round(n[0]), round(n[1]), effect, spread), s, alpha)


def _survival(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    return formulas.survival_power(effect, *n, s["events"], alpha=alpha)


def _path(effect: float, n: Sizes, s: Settings, alpha: float) -> Array:
    told = {"correlation": s["correlation"], "items": int(s["items"]), "loading": s["loading"]}
    return formulas.path_power(effect, n[0], other=_other_path(effect, s), **told, alpha=alpha)


def _other_path(effect: float, s: Settings) -> float:
    """The path of the other drivers, put together, that gives the R² wanted; 0 if none is."""
    if s["r_squared"] != s["r_squared"]:
        return 0.0
    room = s["r_squared"] - effect**2 * (1 - s["correlation"] ** 2)
    return sqrt(max(room, 0.0)) - effect * s["correlation"]


def _most_path(s: Settings) -> float:
    """The largest path that the R² leaves room for, given the other drivers."""
    most = 1.0 if s["r_squared"] != s["r_squared"] else s["r_squared"] / (1 - s["correlation"] ** 2)
    return min(1.0, sqrt(most))


def _simulated(simulate: Callable[..., NDArray[np.bool_]], told: tuple, s: Settings, alpha: float) -> float:
    return float(simulate(*told, draws=int(s["draws"]), seed=int(s["seed"]), alpha=alpha).mean())


def _least_of_teams(s: Settings) -> int:
    return int(np.ceil(2 * s["team_size"]))


def _most_indirect(s: Settings) -> float:
    """The largest indirect effect that a first path and a direct one leave room for."""
    direct = s["direct"]
    if s["first"] != s["first"]:
        return min(1.0, (1 - direct**2) / (1 + 2 * direct)) if direct > -0.5 else 1.0
    first = abs(s["first"])
    return first * min(1.0, sqrt(first**2 * direct**2 + 1 - direct**2) - first * direct)


GROUPS_OF = "two groups of {n} each"
RESPONDENTS = "{n} respondents"
ODDS = "an odds ratio of {effect}"
DRIVERS = Option(words="number of terms of the model besides the constant", low=1, open_ends="high", whole=True)
OTHERS = Option(
    words="share of the driver's variance that other drivers explain", default=0.0, high=1, open_ends="high"
)
CORRELATION = Option(words="correlation", default=0.0, low=-1, high=1)

DESIGNS: dict[str, Design] = {
    "means": Design(
        title="Difference of two means", effect="a difference of {effect}", sample=GROUPS_OF, test="Welch's t test",
        chance=_means, options={"sd": SD, **TEAMS}, least=_least_of_teams, two_sizes=True,
    ),
    "change": Design(
        title="Change of a mean between two waves", effect="a change of {effect}",
        sample="{n} respondents in each wave", test="t test of the change",
        pair="{n} and {m} respondents in the waves", each="each wave",
        chance=_change, two_sizes=True,
        options={
            "sd": SD, "population": POPULATION, "reliability": RELIABILITY, "correlation": CORRELATION,
            "overlap": Option(words="share of the smaller wave who answer in both", default=np.nan, high=1,
                              open_ends="none"),
        },
    ),
    "share": Design(
        title="Share compared with a known one", effect="a difference of {effect} from a share", sample=RESPONDENTS,
        test="normal test of a share", chance=_share, options={"base": BASE, **TEAMS}, negative=True,
        most=lambda s: 1 - s["base"],
    ),
    "shares": Design(
        title="Difference of two shares", effect="a difference of {effect} between shares", sample=GROUPS_OF,
        test="normal test of two shares", chance=_shares, options={"base": BASE, **TEAMS}, negative=True,
        most=lambda s: 1 - s["base"], two_sizes=True,
    ),
    "correlation": Design(
        title="Correlation", effect="a correlation of {effect}", sample=RESPONDENTS, test="t test of a correlation",
        chance=lambda e, n, s, alpha: formulas.correlation_power(e, n[0], alpha=alpha),
        least=lambda s: 4, most=lambda s: 1.0,
    ),
    "coefficient": Design(
        title="One driver of a linear regression", effect="a driver with an f² of {effect}", sample=RESPONDENTS,
        test="t test of a coefficient", chance=_coefficient, options={"drivers": DRIVERS},
        least=lambda s: int(s["drivers"]) + 3,
    ),
    "r_squared": Design(
        title="All drivers of a linear regression", effect="an R² of {effect}", sample=RESPONDENTS,
        test="F test of all terms", chance=_r_squared, options={"drivers": DRIVERS},
        least=lambda s: int(s["drivers"]) + 3, most=lambda s: 1.0,
    ),
    "groups": Design(
        title="Differences between the means of several groups", effect="differences of f = {effect}",
        sample="groups of {n} each", test="F test of an analysis of variance", chance=_groups,
        options={"groups": Option(words="number of groups", low=2, open_ends="high", whole=True)},
    ),
    "equivalence": Design(
        title="Two means that differ by less than matters", effect="that two means differ by less than {effect}",
        sample=GROUPS_OF, test="two one-sided t tests (TOST), if the means do not differ", chance=_equivalence,
        options={"sd": SD, **TEAMS}, least=_least_of_teams, two_sizes=True,
    ),
    "logit": Design(
        title="Driver of a logistic regression", effect=ODDS + " per standard deviation", sample=RESPONDENTS,
        test="Wald test of a coefficient", chance=_logit, nothing=1.0,
        options={"share": Option(words="share of yes where the driver has its mean", high=1), "others": OTHERS},
    ),
    "ordinal": Design(
        title="Ordered answers of two groups", effect=ODDS + " of a higher answer", sample=GROUPS_OF,
        test="Wilcoxon's test with ties, the score test of an ordinal logit", chance=_ordinal, nothing=1.0,
        options={"answers": Option(words="shares of the answers of the first group, lowest first", high=1,
                                   open_ends="none"), **SIMULATION},
        two_sizes=True,
    ),
    "mediation": Design(
        title="Indirect effect", effect="a standardized indirect effect of {effect}", sample=RESPONDENTS,
        test="Monte-Carlo interval of the product of two paths", chance=_mediation, least=lambda s: 6,
        most=_most_indirect,
        options={"first": Option(words="standardized path to the mediator; left out: as long as the second",
                                 default=np.nan, low=-1, high=1),
                 "direct": Option(words="standardized path past the mediator", default=0.0, low=-1, high=1),
                 **SIMULATION},
    ),
    "interaction": Design(
        title="Interaction of two drivers", effect="an interaction of {effect}", sample=RESPONDENTS,
        test="t test of the product of two drivers", chance=_interaction, least=lambda s: 6,
        most=lambda s: 1 / sqrt(1 + s["correlation"] ** 2),
        options={"correlation": CORRELATION, **SIMULATION,
                 "reliability": Option(words="reliability of both drivers", default=1.0, high=1, open_ends="low")},
    ),
    "pilot": Design(
        title="Effect of a pilot", effect="an effect of {effect}",
        sample="{n} units in the pilot and {n} others", pair="{n} units in the pilot and {m} others",
        each="each side, in units", chance=_pilot, two_sizes=True,
        test="difference-in-differences, CR2 errors and randomization inference both significant",
        options={"people": Option(words="respondents per unit in each wave", low=1, open_ends="high"),
                 "change_sd": Option(words="standard deviation of how much units change by themselves, 0 if all change "
                                     "alike", low=0, open_ends="high"),
                 "waves": Option(words="waves before the start and from the start on", default=(1, 1), low=1,
                                 open_ends="high", whole=True),
                 "sd": SD, **SIMULATION},
    ),
    "survival": Design(
        title="Times of two groups", effect="a hazard ratio of {effect}", sample=GROUPS_OF, test="log-rank test",
        chance=_survival, nothing=1.0, two_sizes=True,
        options={"events": Option(words="share of the first group that has had the event by the end", high=1)},
    ),
    "path": Design(
        title="One path between constructs", effect="a standardized path of {effect}", sample=RESPONDENTS,
        test="t test of a path corrected for unreliability (PLSc)", chance=_path, least=lambda s: 10, most=_most_path,
        options={"r_squared": Option(words="R² of all drivers of the outcome; left out: this one alone", default=np.nan,
                                     high=1),
                 "correlation": Option(words="correlation with the other drivers", default=0.0, low=-1, high=1),
                 "items": Option(words="items per construct", default=3, low=2, open_ends="high", whole=True),
                 "loading": Option(words="standardized loading of the items", default=0.75, high=1)},
    ),
    "multilevel": Design(
        title="Driver of people in teams", effect="a standardized slope of {effect}", sample="{n} teams",
        test="t test of the mean slope of teams", chance=_multilevel, least=lambda s: 3,
        most=lambda s: sqrt(max(1 - s["icc"] - s["slope_sd"] ** 2, 0.0)),
        options={"team_size": Option(words="people per team", low=3, open_ends="high", whole=True), "icc": ICC,
                 "slope_sd": Option(words="standard deviation of the slopes over teams", default=0.0, high=1,
                                    open_ends="high"), **SIMULATION},
    ),
}  # fmt: skip
