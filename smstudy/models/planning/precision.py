"""How many respondents a study needs: the chance that its test finds what would matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from smstudy.display import apa, power_curves
from smstudy.errors import StudyError, did_you_mean
from smstudy.models.planning.department_power import DepartmentPower, department_power
from smstudy.models.planning.planned_designs import (
    DESIGNS,
    EXACT_SCORES,
    Setting,
    Sizes,
    pair_of,
    settings_of,
)
from smstudy.models.planning.power_searches import POWER, Plan, is_number
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Survey, need_survey

USUAL = 0.8
SIZES = (0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
EFFECTS = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
FEW_EXPECTED = 5
KNOWN_AS = {
    "did": "pilot", "difference_in_differences": "pilot", "diff_in_diff": "pilot", "event_study": "pilot",
    "log_rank": "survival", "logrank": "survival", "cox": "survival", "hazard": "survival", "kaplan_meier": "survival",
    "paths": "path", "pls": "path", "sem": "path", "t": "means", "t_test": "means", "welch": "means", "anova": "groups",
    "proportion": "share", "proportions": "shares", "regression": "coefficient", "regress": "coefficient",
    "logistic": "logit", "odds_ratio": "logit", "tost": "equivalence", "indirect": "mediation", "mediate": "mediation",
    "moderate": "interaction", "moderation": "interaction", "mixed": "multilevel",
}  # fmt: skip
UNSAID = ("draws", "seed")


@dataclass(frozen=True, kw_only=True, repr=False)
class Power(Result):
    """The chance that a planned test finds the smallest effect that would matter.

    Attributes
    ----------
    reading : str
        The answer in plain words.
    rows : DataFrame
        The chance for smaller and larger samples, or effects where the effect was asked for.
    summary : mapping
        What `glance()` gives: planned n, effect, chance, level of the test.
    """

    reading: str
    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar = staticmethod(power_curves.power_curve)

    def tidy(self) -> pd.DataFrame:
        """One row per sample size or effect, that of the answer among them."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Planned n, effect, chance and level of the test."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out what is the same in every row and told beside the table."""
        still = "smallest" if shown["n_planned"].nunique() > 1 else "n_planned"
        return shown.drop(columns=still)

    def alt_text(self) -> str:
        """The points of the curve, in words."""
        return power_curves.curve_words(self.rows, title=self.title, value="power")


def power(
    test: str,
    survey: Survey | None = None,
    *,
    smallest: float | None = None,
    n: int | tuple[int, int] | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    unit: str = "",
    score: str = "",
    head_counts: pd.DataFrame | None = None,
    **settings: Setting,
) -> Power | DepartmentPower:
    """Plan a study: give two of `smallest`, `n` and `power`, and get the third.

    There is no way to give the effect that was observed: power computed from it only restates the p value (Hoenig &
    Heisey 2001, American Statistician 55, 19-24).

    Parameters
    ----------
    test : str
        "means", "change", "share", "shares", "correlation", "coefficient", "r_squared", "groups", "equivalence",
        "logit", "survival", "path"; by simulation "ordinal", "mediation", "interaction", "multilevel", "pilot".
    survey : Survey, optional
        With it, `unit` and `score`: a table of which departments can show a change ("change" only).
    smallest : float, optional
        Smallest effect of interest: the smallest that would make somebody act otherwise. A difference or change on the
        scale of `sd`; a difference of shares (0.1 is 10 points); a correlation; f² of a driver ("coefficient"); R²;
        Cohen's f ("groups"); margin ("equivalence"); odds or hazard ratio; standardized indirect effect, interaction,
        slope or path; effect of a pilot on the scale of `sd`.
    n : int or pair, optional
        Respondents: in each group or wave, or in all; teams for "multilevel", units in the pilot and others for
        "pilot".
    power : float, optional
        Chance wanted, above `alpha`; for a survey 0.8 unless said otherwise.
    alpha : float
        Level of the two-sided test.
    unit, score : str
        Variable with the departments, and the score to compare.
    head_counts : DataFrame, optional
        Columns `unit` and `headcount`.
    **settings
        means, equivalence: sd (1), team_size, icc. change: sd (1), population, reliability, correlation, overlap (share
        of the smaller wave in both; left out: by chance). share, shares: base, team_size, icc. coefficient,
        r_squared: drivers. groups: groups. logit: share, others. ordinal: answers. mediation: first, direct.
        interaction: correlation, reliability. multilevel: team_size, icc, slope_sd. survival: events (share of the
        first group). path: r_squared, correlation, items (3), loading (.75). pilot: people (per unit and wave),
        change_sd (of units), waves ((1, 1): before, from the start on), sd (1). Simulated ones: draws, seed.

    Returns
    -------
    Power or DepartmentPower

    Raises
    ------
    StudyError
        If the test or an option is not known, or a number cannot be.
    EstimationError
        If the power wanted cannot be reached, such as in a small department.

    References
    ----------
    Cohen (1988), Statistical Power Analysis. Agrees with R `power.t.test`, `power.prop.test` (both `strict = TRUE`) and
    `power.anova.test` to 1e-8 at a given n (tests/reference/power.R); R solves for n with a tolerance of 1e-4 only and
    gives fractions, here n is the smallest whole number. Small departments: `smstudy.inference.finite_samples`.
    Survival: Schoenfeld (1981), Biometrika 68, 316-319. "path" is the chance of a test that keeps its level; the
    intervals of `paths` find small paths more often, also where there are none.

    Examples
    --------
    >>> power("means", smallest=0.5, power=0.8).glance()["n_planned"]
    64
    >>> power("change", smallest=0.4, n=6, population=10, reliability=0.75, sd=0.8).reading
    'A department of 10 with 6 respondents in each wave can rarely show a change of 0.4: the chance is 18 %.'
    """
    if not isinstance(test, str) or test not in DESIGNS:
        known = KNOWN_AS.get(str(test).lower().replace("-", "_").replace(" ", "_"), str(test))
        raise StudyError(f'There is no test "{test}" to plan. {did_you_mean(known, DESIGNS)}')
    _check_chances(alpha, power)
    if survey is not None or unit or score or head_counts is not None:
        _check_survey(test, n, smallest, unit, score, settings)
        return department_power(
            need_survey(survey, "power by department"), smallest=smallest, unit=unit, score=score,
            head_counts=head_counts, power=USUAL if power is None else power, alpha=alpha, settings=settings,
        )  # fmt: skip
    design = DESIGNS[test]
    told = settings_of(f'power("{test}")', design.options, settings, design.sample.format(n="n"))
    return _planned(Plan(name=test, design=design, settings=told, alpha=alpha), smallest, n, power)


def _planned(plan: Plan, smallest: float | None, n: object, power: float | None) -> Power:
    absent = [name for name, value in (("smallest", smallest), ("n", n), ("power", power)) if value is None]
    if len(absent) != 1:
        raise StudyError("Give two of smallest, n and power; the third is computed. Given: " + (
            ", ".join(name for name in ("smallest", "n", "power") if name not in absent) or "none"
        ) + ".")  # fmt: skip
    if smallest is not None:
        plan.check_effect(smallest)
    sizes = None if n is None else plan.check_sizes(n)
    if sizes is None:
        sizes = pair_of(plan.needed(smallest, power))
    effect = plan.detectable(sizes, power) if smallest is None else float(smallest)
    chance = plan.chance(effect, sizes)
    summary = {"n_planned": _told(sizes), "smallest": effect, "power": chance, "test_level": plan.alpha}
    if plan.design.simulated:
        summary["power_error"] = plan.error(chance)
    reading = plan.reading(effect, sizes, chance)
    return Power(
        title=f"Power: {plan.design.title.lower() if plan.design.title[1:2].islower() else plan.design.title}",
        note=f"{reading} {_how(plan, sizes)}",
        findings=_findings(plan, effect, sizes, chance),
        reading=reading,
        rows=_curve(plan, effect, sizes, over_effects=smallest is None),
        summary=summary,
    )


def _curve(plan: Plan, effect: float, n: Sizes, *, over_effects: bool) -> pd.DataFrame:
    """Chances around the answer."""
    if over_effects:
        effects = [plan.scaled(effect, factor) for factor in EFFECTS]
        points = [(each, n) for each in effects if plan.possible(each)]
    else:
        sizes = {(float(round(n[0] * factor)), float(round(n[1] * factor))) for factor in SIZES} | {n}
        points = [(effect, each) for each in sorted(sizes) if plan.can_answer(each)]
    chances = np.array([plan.chance(*point) for point in points])
    rows = pd.DataFrame({
        "n_planned": [_told(each) for _, each in points],
        "smallest": [each for each, _ in points],
        "power": chances,
        "reading": [POWER.read(chance) for chance in chances],
    })  # fmt: skip
    if plan.design.two_sizes:
        rows = rows.assign(counted=["both together" if each[0] != each[1] else plan.design.each for _, each in points])
    return rows.assign(power_error=[plan.error(chance) for chance in chances]) if plan.design.simulated else rows


def _told(n: Sizes) -> int:
    """The size of both samples, or their sum if they differ."""
    return int(n[0] if n[0] == n[1] else n[0] + n[1])


def _how(plan: Plan, n: Sizes) -> str:
    """How the test is done and with which numbers."""
    defaults = {name: option.default for name, option in plan.design.options.items()}
    said = [
        f"{name.replace('_', ' ')} {_number(value)}" for name, value in plan.settings.items()
        if name not in UNSAID and value != defaults[name] and value == value
    ]  # fmt: skip
    how = f"{plan.design.test[:1].upper()}{plan.design.test[1:]}, level {apa.bounded(plan.alpha)}, two-sided"
    how = how.replace(", two-sided", "") if plan.name == "equivalence" else how
    both = " n: both samples together." if n[0] != n[1] else ""
    return "; ".join([how, *said]) + "." + both


def _number(value: Setting) -> str:
    return ", ".join(f"{part:.3g}" for part in value) if isinstance(value, tuple | list) else f"{value:.6g}"


def _findings(plan: Plan, effect: float, n: Sizes, chance: float) -> tuple[Finding, ...]:
    found = []
    if plan.design.simulated:
        text = (
            f"Simulated {int(plan.settings['draws']):,} times: the chance has an error of "
            f"{100 * plan.error(chance):.1f} points. An n or an effect that was asked for is as uncertain."
        )
        found.append(Finding(name="simulated", text=text, severity="info"))
    if np.isfinite(plan.people) and plan.settings.get("reliability") == 1:
        found.append(EXACT_SCORES)
    if plan.settings.get("correlation") and plan.settings.get("overlap", 0) != plan.settings.get("overlap", 0):
        text = (
            "People answer in both waves by chance: the correlation then does not matter, because the correction for "
            "those who do not answer already takes what pairs would save. Give overlap= if more answer twice."
        )
        found.append(Finding(name="overlap_by_chance", text=text, severity="info"))
    if "base" in plan.settings:
        shares = [plan.settings["base"], plan.settings["base"] + effect]
        if min(min(share, 1 - share) for share in shares) * min(n) < FEW_EXPECTED:
            text = "Fewer than 5 respondents are expected to give one of the answers, too few for the normal formula."
            found.append(Finding(name="few_expected", text=text))
    return tuple(found)


def _check_chances(alpha: object, power: object) -> None:
    if not is_number(alpha) or not 0 < alpha < 1:
        raise StudyError(f"alpha = {alpha!r} is no level of a test. Give a number between 0 and 1, such as 0.05.")
    if power is not None and (not is_number(power) or not alpha < power < 1):
        raise StudyError(
            f"power = {power!r} is not allowed: a false alarm has a chance of {alpha:g} already, and nothing is "
            f"certain. Give a number above alpha = {alpha:g} and below 1, such as 0.8."
        )


def _check_survey(
    test: str, n: object, smallest: object, unit: str, score: str, settings: Mapping[str, object]
) -> None:
    if test != "change":
        raise StudyError(
            f'A table by department is made for "change", not "{test}". Leave the survey out, or plan that.'
        )
    if n is not None or "population" in settings:
        raise StudyError("With a survey n and population come from its departments. Leave them out; give head_counts=.")
    for name, value in (("smallest", smallest), ("unit", unit), ("score", score)):
        if not value:
            raise StudyError(f"power by department needs {name}. Give it.")
