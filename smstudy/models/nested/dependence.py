"""Do the teams matter? Advice on how to analyze respondents who belong to teams, with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, figures
from smstudy.display.prose import join_words
from smstudy.errors import EstimationError, SmstudyError, StudyError
from smstudy.inference.multiplicity import holm
from smstudy.inference.psychometrics.intraclass import Grouped, grouped_correlation
from smstudy.inference.regression.design import INTERCEPT, Design, build_design
from smstudy.inference.regression.formula import Formula, parse_formula
from smstudy.inference.regression.least_squares import LeastSquares, least_squares
from smstudy.inference.regression.likeness import clustered_effects, design_effects, shared_part
from smstudy.inference.regression.mixed import mixed_model
from smstudy.inference.regression.random_effects import boundary_p
from smstudy.inference.threads import one_thread
from smstudy.models.nested.teams import Teams, check_group, check_level, check_rows, teams_of
from smstudy.models.regressions.likelihood_models import labels_of_terms
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, labels_of, privacy_of
from smstudy.survey.disclosure import pool_hidden, pooled_column

Array = NDArray[np.float64]
MIXED, CLUSTERED, IGNORE, CANNOT_TELL = "mixed model", "clustered errors", "ignore the teams", "cannot tell"
TOLERABLE = 0.05
FEWEST_TEAMS = 6
MANY_TEAMS = 40
TOLD = 0.05
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, repr=False)
class NestingAdvice(Result):
    """How to analyze respondents in teams, one row per driver.

    Attributes
    ----------
    verdict : {"mixed model", "clustered errors", "ignore the teams", "cannot tell"}
        The advice.
    reason : str
        Why, in one or two sentences.
    """

    verdict: str
    reason: str
    rows: pd.DataFrame = field(repr=False)
    summary: dict[str, int | float | str]

    picture: ClassVar = staticmethod(partial(figures.bars, value="deff"))

    def tidy(self) -> pd.DataFrame:
        """One row per coefficient but the constant."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Teams, likeness of their members once drivers are known, and the advice."""
        return dict(self.summary)


class _Likeness(NamedTuple):
    """Correlation of two members' residuals: estimate and the ends of its interval."""

    single: float
    low: float
    high: float


class _Effects(NamedTuple):
    """Design effects of all drivers: estimates and upper ends, shape (k,) each.

    `level`, `level_high`: if teams differ in their level only; `clustered`, `clustered_high`: whatever differs, missing
    for what whole teams share.
    """

    level: Array
    level_high: Array
    clustered: Array
    clustered_high: Array

    @property
    def estimate(self) -> Array:
        """The larger one."""
        return np.fmax(self.level, self.clustered)

    @property
    def high(self) -> Array:
        """The larger upper end."""
        return np.fmax(self.level_high, self.clustered_high)


class _Drivers(NamedTuple):
    """All coefficients but the constant: places in the design, names, and shares that lie between teams."""

    places: NDArray[np.intp]
    names: list[str]
    shared: Array

    @property
    def within(self) -> NDArray[np.bool_]:
        """Which differ within teams."""
        return self.shared < 1 - ROUNDING


class _Found(NamedTuple):
    """What the advice follows from: design effects, drivers whose effect differs, those whose team means matter."""

    design: Design
    teams: Teams
    likeness: _Likeness
    drivers: _Drivers
    effects: _Effects
    differing: list[str]
    shifted: list[str]

    @property
    def rows(self) -> pd.DataFrame:
        """The tidy table."""
        names, x, codes = self.drivers.names, self.design.x, self.teams.codes
        pairs = zip(names, self.effects.estimate, self.effects.high, strict=True)
        return pd.DataFrame(
            {
                "term": names,
                "icc_1": [_icc(x[:, place], codes) for place in self.drivers.places],
                "deff": self.effects.estimate,
                "deff_high": self.effects.high,
                "reading": [_reading(*pair, differs=name in self.differing) for name, *pair in pairs],
            }
        )


def nesting(
    formula: str, data: Data, *, group: str = "unit", conf_level: float = 0.95, min_n: int | None = None
) -> NestingAdvice:
    """Advise between a mixed model, clustered errors and ignoring the teams, with the reason.

    Parameters
    ----------
    formula : str
        The regression that is wanted, such as `"adoption ~ leadership + readiness"`; `C()` of the group is left out.
    data : Survey or DataFrame
        One row per respondent.
    group : str
        Column of the teams.
    conf_level : float
        Level of the interval of the likeness of members.
    min_n : int, optional
        Raises the threshold below which levels are pooled or refused.

    Returns
    -------
    NestingAdvice
        `cannot tell` with fewer than 6 teams; `mixed model` with fewer than 40 teams between which the effect of a
        driver is seen to differ, or where teams can matter by their level only; `ignore the teams` if even at the upper
        end of its interval no standard error of a driver is off by more than 5 % (5 % false alarms then are 6 %), which
        for what differs within teams takes some hundred teams; else `clustered errors`, which hold whatever teams
        differ in and cost little.
        `deff` is the design effect of each coefficient: what a common level of a team makes of it (Moulton) or the
        variance by clustered errors (CR2) against that by robust ones (HC2), whichever is larger. `icc_1` is ICC(1) of
        the driver as R multilevel, below 0 if members of a team differ more than strangers; `icc_1_residual` in
        `glance()` is that of what drivers leave.

    Notes
    -----
    Simulated with 32 teams, 640 respondents, one driver without an effect on average, 600 samples each (Monte-Carlo
    error 0.9 %; slopes and levels of teams, 0.35, in units in which residuals have 0.9). False alarms of a regression
    that ignores the teams, of a random intercept alone, and of following the advice: 4, 4 and 4 % where nothing
    differs; 4, 5 and 3 % where levels differ; 14, 16 and 5 % where slopes differ too by 0.2; 29, 36 and 7 % by 0.4.
    "Ignore the teams" was the advice in 3, 5, 0 and 0 % of the samples, and `deff` about right in as many.

    Raises
    ------
    StudyError, DataError, DisclosureError, EstimationError
        As `multilevel` and `regress` do.

    References
    ----------
    Design effects: Moulton (1986), J. Econometrics 32, 385-397. That a test of the intraclass correlation, or a design
    effect below 2, is no reason to ignore teams: Lai & Kwok (2015), J. Experimental Education 83, 423-438. Few teams:
    McNeish & Stapleton (2016), Educational Psychology Review 28, 295-314. When clustered errors are enough: McNeish,
    Stapleton & Silverman (2017), Psychological Methods 22, 114-140; from how many clusters: Cameron & Miller (2015), J.
    Human Resources 50, 317-372.
    """
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    check_level(conf_level)
    parsed = parse_formula(formula).without_control(group)
    _check(parsed, group)
    check_group(data, group)
    design = build_design(parsed, pool_hidden(data, parsed.columns), min_level_n=policy.min_n, also=[group])
    check_rows(design)
    teams = teams_of(pooled_column(data, group)[design.used], group)
    with one_thread():
        fit = least_squares(design.x, design.y, names=design.names)
        likeness, drivers = _likeness(fit, teams, conf_level), _drivers(design, teams)
        effects = _effects(fit, teams, likeness, drivers, conf_level)
        unlike = _differing(design, teams, drivers), _shifted(design, teams, drivers)
        found = _Found(design, teams, likeness, drivers, effects, *unlike)
    labels = {**labels_of(data)}
    labels |= labels_of_terms(design, labels)
    return _result(found, labels, policy, spoken=labels.get(group, group), conf_level=conf_level)


def _check(parsed: Formula, group: str) -> None:
    if group in parsed.columns:
        raise StudyError(f'"{group}" says which team a respondent belongs to and cannot be a term too. Remove it.')
    if not parsed.intercept or not parsed.terms:
        raise StudyError("The advice is about drivers beside a constant: name at least one and keep the constant.")


def _result(
    found: _Found, labels: Mapping[str, str], policy: Privacy, *, spoken: str, conf_level: float
) -> NestingAdvice:
    rows = found.rows
    verdict, reason = _advice(found, rows, labels)
    words = (_spoken(names, labels) for names in (found.differing, found.shifted))
    return NestingAdvice(
        title=f"Do teams matter ({spoken})? Advice: {verdict}",
        note=f"{reason} Design effect: by how much the variance of a coefficient differs from what a regression that "
        "ignores the teams says, by the likeness of members or by clustered errors, whichever says more, with the "
        "upper end of its interval. Teams are ignored if no standard error but the constant's is off by more than "
        f"{TOLERABLE:.0%} there. A mixed model can be more precise even where errors are right.",
        findings=(*found.design.findings, *_findings(found.teams, *words)),
        labels=labels,
        privacy=policy,
        verdict=verdict,
        reason=reason,
        rows=rows,
        summary={
            "n": len(found.design.y),
            "n_dropped": found.design.n_dropped,
            "n_groups": len(found.teams.names),
            "icc_1_residual": found.likeness.single,
            "conf_low": found.likeness.low,
            "conf_high": found.likeness.high,
            "verdict": verdict,
            "conf_level": float(conf_level),
        },
    )


def _likeness(fit: LeastSquares, teams: Teams, conf_level: float) -> _Likeness:
    try:
        found: Grouped = grouped_correlation(fit.residuals, teams.codes, conf_level)
    except EstimationError as error:
        raise EstimationError(f"How alike members of a team are cannot be told. {error}") from None
    return _Likeness(max(found.single, 0.0), max(found.single_ends[0], 0.0), max(found.single_ends[1], 0.0))


def _drivers(design: Design, teams: Teams) -> _Drivers:
    places = np.flatnonzero(np.array(design.names) != INTERCEPT)
    shared = np.array([shared_part(design.x[:, place], teams.codes) for place in places])
    return _Drivers(places, [design.names[place] for place in places], shared)


def _effects(fit: LeastSquares, teams: Teams, likeness: _Likeness, drivers: _Drivers, conf_level: float) -> _Effects:
    influence = fit.influence[drivers.places]
    level = (design_effects(influence, teams.codes, value) for value in (likeness.single, likeness.high))
    clustered = clustered_effects(fit, teams.codes, conf_level)
    return _Effects(*level, *(np.where(drivers.within, effects[drivers.places], np.nan) for effects in clustered))


def _icc(column: Array, codes: NDArray[np.intp]) -> float:
    """ICC(1) of a driver; 1 if whole teams share it."""
    try:
        return grouped_correlation(column, codes).single
    except EstimationError:
        return 1.0


def _reading(effect: float, highest: float, *, differs: bool) -> str:
    """How far off the standard error is that ignores the teams."""
    if _off(effect) > TOLERABLE:
        return f"ignored: error {_share_off(effect)}"
    if _off(highest) > TOLERABLE:
        return f"ignored: error perhaps {_share_off(highest)}"
    return "ignored: its effect differs between teams" if differs else "ignored: error about right"


def _off(effect: float) -> float:
    return float(abs(np.sqrt(effect) - 1))


def _share_off(effect: float) -> str:
    off = float(1 / np.sqrt(effect) - 1)
    return f"{abs(off):.0%} too {'large' if off > 0 else 'small'}"


def _differing(design: Design, teams: Teams, drivers: _Drivers) -> list[str]:
    """Drivers whose effect is seen to differ between teams, by likelihood-ratio tests corrected for their number."""
    if len(teams.names) < FEWEST_TEAMS:
        return []
    names = _numbers(design, drivers, drivers.within)
    p_values = holm([_p_of_slope(design, teams, name) for name in names])
    return [name for name, p in zip(names, p_values, strict=True) if p < TOLD]


def _numbers(design: Design, drivers: _Drivers, chosen: NDArray[np.bool_]) -> list[str]:
    """Those of the chosen drivers that are numbers."""
    names = zip(drivers.names, drivers.places, chosen, strict=True)
    return [name for name, place, kept in names if kept and design.numeric[place]]


def _p_of_slope(design: Design, teams: Teams, name: str) -> float:
    z = np.column_stack([np.ones(len(design.y)), design.x[:, design.names.index(name)]])
    try:
        with_slope, level = (mixed_model(design.x, design.y, z[:, :q], teams.codes) for q in (2, 1))
    except SmstudyError:
        return float("nan")
    return boundary_p(2 * (with_slope.log_likelihood - level.log_likelihood), 1)


def _shifted(design: Design, teams: Teams, drivers: _Drivers) -> list[str]:
    """Drivers whose mean in a team goes with the outcome otherwise than the driver does within teams."""
    names = _numbers(design, drivers, drivers.within & (drivers.shared > ROUNDING))
    if not names or len(teams.names) < FEWEST_TEAMS + len(drivers.names) + len(names):
        return []
    columns = design.x[:, [design.names.index(name) for name in names]]
    means = np.column_stack([np.bincount(teams.codes, column) / teams.sizes for column in columns.T])[teams.codes]
    x = np.column_stack([design.x, means])
    try:
        least_squares(x, design.y, names=[*design.names, *names])
        fit = mixed_model(x, design.y, x[:, [design.names.index(INTERCEPT)]], teams.codes)
    except SmstudyError:
        return []
    k = len(names)
    statistic = fit.coefficients[-k:] / np.sqrt(np.diag(fit.covariance)[-k:])
    p_values = holm(2 * stats.t.sf(np.abs(statistic), fit.df[-k:]))
    return [name for name, p in zip(names, p_values, strict=True) if p < TOLD]


def _advice(found: _Found, rows: pd.DataFrame, labels: Mapping[str, str]) -> tuple[str, str]:
    count, likeness = len(found.teams.names), found.likeness
    off = [_off(effect) for effect in found.effects.high]
    alike = f"ICC of residuals {apa.bounded(likeness.single)} "
    alike += f"[{apa.bounded(likeness.low)}, {apa.bounded(likeness.high)}]"
    if max(off) <= TOLERABLE and not found.differing:
        return IGNORE, (
            "Members of a team resemble each other too little, and effects differ too little between teams, to matter "
            f"for these drivers ({alike}): regress() is enough."
        )
    if count < FEWEST_TEAMS:
        return CANNOT_TELL, (
            f"{count} teams are too few to tell how teams differ ({alike}). What differs within teams can be compared "
            "there: add the teams to regress() as C() of their column; what whole teams share cannot be judged."
        )
    worst = rows.iloc[int(np.argmax(off))]
    why = f"Teams may differ enough to matter ({alike}; {labels.get(worst['term'], worst['term'])}, {worst['reading']})"
    if found.differing:
        return _advice_on_slopes(why, _spoken(found.differing, labels), count)
    if any(_off(effect) > TOLERABLE for effect in found.effects.clustered_high):
        return CLUSTERED, (
            f"{why}, and {count} teams cannot rule out that effects differ between them: clustered errors, "
            "regress(cluster=), hold whatever teams differ in and cost little. To say how teams differ, use "
            "multilevel()."
        )
    enough = "" if count < MANY_TEAMS else " Clustered errors are as good if the teams themselves are of no interest."
    return MIXED, f"{why}: use multilevel().{enough}"


def _advice_on_slopes(why: str, spoken: str, count: int) -> tuple[str, str]:
    """Advice where the effect of a driver is seen to differ between teams."""
    if count >= MANY_TEAMS:
        return CLUSTERED, (
            f"{why}, and the effect of {spoken} differs between teams: with {count} teams clustered errors, "
            "regress(cluster=), hold whatever teams differ in. To say how teams differ, use multilevel() with slopes=."
        )
    return MIXED, f"{why}: use multilevel(), with slopes= for {spoken}, whose effect differs between teams."


def _spoken(names: list[str], labels: Mapping[str, str]) -> str:
    return join_words([labels.get(name, name) for name in names])


def _findings(teams: Teams, differing: str, shifted: str) -> Iterator[Finding]:
    if differing:
        text = f"The effect of {differing} differs between teams; one number for all is an average."
        yield Finding(name="slopes_differ", text=text, severity="info")
    if shifted:
        text = (
            f"Teams that are higher in {shifted} differ otherwise than members of one team do, and a "
            "coefficient mixes both (Mundlak, 1978, Econometrica 46, 69-85): add the mean of the team as a driver."
        )
        yield Finding(name="context_differs", text=text)
    if teams.sizes.std() > teams.sizes.mean():
        text = "Teams are of very unequal size, so a few large ones decide how far they matter."
        yield Finding(name="unequal_teams", text=text, severity="info")
