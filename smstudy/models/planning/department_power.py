"""Which departments of a survey are large enough to show what would matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from smstudy.display import apa, power_curves
from smstudy.display.prose import lower_first
from smstudy.errors import DataError, EstimationError, StudyError
from smstudy.inference.psychometrics.consistency import alpha_of, pairwise_covariances
from smstudy.models.planning.planned_designs import DESIGNS, Setting, settings_of
from smstudy.models.planning.power_searches import POWER, Plan
from smstudy.result import Finding, Result
from smstudy.scales.scoring import items_of
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import NO_GROUP, POOLED, group_names, hidden_groups, protect
from smstudy.survey.response import response_table

NUMBERS = ("power", "found")


@dataclass(frozen=True, kw_only=True, repr=False)
class DepartmentPower(Result):
    """One row per department: respondents, the chance to show what would matter, and what it can show reliably."""

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str] = field(default_factory=dict)

    picture: ClassVar = staticmethod(power_curves.department_powers)

    def tidy(self) -> pd.DataFrame:
        """One row per department; small ones are hidden."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, departments, the effect asked for and the level of the test."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out head counts where none is known."""
        return shown.drop(columns="n_frame") if shown["n_frame"].isna().all() else shown

    def alt_text(self) -> str:
        """The chance of each department, in words."""
        drawn = self.drawn()
        parts = [f"{group} {apa.share(chance)}" for group, chance in zip(drawn["group"], drawn["power"], strict=True)]
        return f"{self.title}. Power: {'; '.join(parts) or 'nothing may be shown'}."


def department_power(
    survey: Survey,
    *,
    smallest: float,
    unit: str,
    score: str,
    head_counts: pd.DataFrame | None,
    power: float,
    alpha: float,
    settings: Mapping[str, Setting],
) -> DepartmentPower:
    """Plan the change of a mean in every department, as many answering again as in this wave.

    Parameters
    ----------
    survey : Survey
        Clean answers with scores.
    smallest, unit, score, head_counts, power, alpha
        As in `power`.
    settings : mapping
        What else the test is told; the standard deviation and, for a scale, alpha are taken from the survey.
    """
    values = survey.column(score).astype(float).to_numpy()
    if not np.isfinite(values).any():
        raise DataError(f'Nobody has a value of "{score}". Name another score.')
    hidden, groups = hidden_groups(survey, unit, scores=[score]), group_names(survey, unit)
    told = {"sd": _spread_within(values, groups.where(~groups.isin(hidden), POOLED)), **settings}
    if head_counts is not None and "reliability" not in told:
        told["reliability"] = _alpha(survey, score)
    rows = _sizes(survey, unit, groups[np.isfinite(values)], head_counts)
    design = DESIGNS["change"]
    settings = settings_of('power("change")', design.options, told)
    plan = Plan(name="change", design=design, settings=settings, alpha=alpha)
    plan.check_effect(smallest)
    rows = pd.concat([rows, _planned(plan, rows, smallest, power)], axis=1)
    safe = protect(
        rows.assign(hidden=rows["group"].isin(hidden)), group="group", counts=["n", "n_frame"], numbers=NUMBERS,
        privacy=survey.privacy,
    )  # fmt: skip
    table = safe.table.assign(reading=safe.table["reading"].where(~safe.table["hidden"]))
    able = int((table["power"] >= POWER.cuts[1]).sum())
    return DepartmentPower(
        title=f"What each {lower_first(survey.codebook.labels.get(unit, unit))} can show: "
        f"{survey.codebook.labels.get(score, score)}",
        note=_note(plan, smallest, power, head_counts is not None),
        findings=(*safe.findings, _some_can(able, int((~table["hidden"]).sum()), plan.effect(smallest))),
        labels=survey.codebook.labels,
        privacy=survey.privacy,
        rows=table,
        summary={"n": int(np.isfinite(values).sum()), "n_groups": len(table), "smallest": float(smallest),
                 "test_level": alpha},
    )  # fmt: skip


def _sizes(survey: Survey, unit: str, groups: pd.Series, head_counts: pd.DataFrame | None) -> pd.DataFrame:
    """Respondents with a score and people of every department; who states none is in no department."""
    known = response_table(survey, head_counts, unit).rows.set_index("group")["n_frame"]
    n = groups.value_counts().reindex(known.index, fill_value=0)
    if (n > known).any():
        raise DataError("At least one department has more respondents than people. Check the head counts.")
    rows = pd.DataFrame({"group": known.index, "n_frame": known.to_numpy(float), "n": n.to_numpy(int)})
    return rows[rows["group"] != NO_GROUP].reset_index(drop=True)


def _planned(plan: Plan, rows: pd.DataFrame, smallest: float, power: float) -> pd.DataFrame:
    """The chance of every department, and what it can show."""
    known = [_one(plan, n, people, smallest, power) for n, people in zip(rows["n"], rows["n_frame"], strict=True)]
    table = pd.DataFrame(known, columns=NUMBERS, dtype=float)
    words = [f"{POWER.read(chance)} {plan.effect(smallest)}" if chance == chance else None for chance in table["power"]]
    return table.assign(reading=pd.Series(words, dtype=object))


def _one(plan: Plan, n: int, people: float, smallest: float, power: float) -> tuple[float, float]:
    if n < plan.least:
        return np.nan, np.nan
    settings = {**plan.settings, "population": people if people == people else np.inf}
    own = Plan(name=plan.name, design=plan.design, settings=settings, alpha=plan.alpha)
    try:
        return own.chance(smallest, (n, n)), own.detectable((n, n), power)
    except EstimationError:
        return own.chance(smallest, (n, n)), np.nan


def _spread_within(values: np.ndarray, groups: pd.Series) -> float:
    """Standard deviation within departments, all together; those that are hidden count as one."""
    frame = pd.DataFrame({"value": values, "group": groups.to_numpy(object)}).dropna()
    rest = frame["value"] - frame.groupby("group")["value"].transform("mean")
    df = len(frame) - frame["group"].nunique()
    if df < 1 or not (rest**2).sum() > 0:
        raise DataError("The score does not vary within departments, so no chance can be computed.")
    return float(np.sqrt((rest**2).sum() / df))


def _alpha(survey: Survey, score: str) -> float:
    """Alpha of the scale over all respondents: that of a small department says nothing."""
    if score not in {scale.name for scale in survey.codebook.scales}:
        raise StudyError(
            f'"{score}" is no scale of the codebook, so its reliability is not known; with head counts it is needed. '
            "Give reliability=, 1 if values are exact."
        )
    alpha = alpha_of(pairwise_covariances(items_of(survey, score).to_numpy(float))[0])
    if not 0 < alpha <= 1:
        raise EstimationError(f'The items of "{score}" do not agree (alpha is not above 0). Give reliability=.')
    return alpha


def _note(plan: Plan, smallest: float, power: float, counted: bool) -> str:
    s = plan.settings
    people = (
        f"Only those who do not answer are uncertain, and the error of those who do: reliability "
        f"{apa.bounded(s['reliability'])}. " if counted else "No head counts: departments count as endless. "
    )  # fmt: skip
    return (
        f"Chance to find {plan.effect(smallest)} in the next wave if as many answer as in this one: "
        f"{plan.design.test}, two-sided, level {apa.bounded(plan.alpha)}, standard deviation within groups "
        f"{apa.number(s['sd'])}. {people}Found reliably: smallest change with a chance of {apa.share(power)}. "
        "For one test at a time; p corrected for many departments makes the chance smaller."
    )


def _some_can(able: int, told: int, effect: str) -> Finding:
    text = (
        f"{able} of {told} groups shown have a chance of 80 % or more to show {effect}; of the others no change seen "
    )
    return Finding(name="too_small_to_tell", severity="info", text=text + 'means "cannot tell", not "no change".')
