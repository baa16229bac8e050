"""Weights that make respondents add up to the head counts, and who did not respond."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import figures
from smstudy.display.prose import join_words, lower_first
from smstudy.errors import ColumnError, DataError, EstimationError, did_you_mean
from smstudy.inference.calibration import Calibration, kish_design_effect, rake_trimmed, rake_weights
from smstudy.inference.regression.design import POOLED
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result, Rows
from smstudy.survey.codebook import Codebook, Variable
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, need_survey, privacy_of
from smstudy.survey.disclosure import NO_GROUP, blank, counted_as_one, why_hidden
from smstudy.survey.margins import TIMES, HeadCounts, Margin, read_joint_margin, read_margins
from smstudy.survey.suppression import hidden_rows

WEIGHT = "weight"
EVERYBODY = "Everybody"
EXTREME = 5.0
EXPECTED = 5.0
RESPONSE_COLUMNS = ("term", "group", "n_frame", "n", "response", "share", "share_frame", "statistic", "df", "p_value",
                    "representativity")  # fmt: skip
Array = NDArray[np.float64]
Missing = Literal["refuse", "keep"]


class Target(NamedTuple):
    """A margin and what the weights of each of its categories shall add up to."""

    margin: Margin
    people: Array


@dataclass(frozen=True, kw_only=True, repr=False)
class Weights(Result):
    """Weights of the respondents, shown per category only: a weight of its own would point to a person.

    Attributes
    ----------
    values : Rows
        The weights, one row per respondent, column `weight`; they add up to the head counts.
    data : Survey or DataFrame
        What was weighted.
    calibration : Calibration
        How, for the variances of what is estimated with the weights.
    made_from : tuple of str
        Variables that decide about the weights: the margins and the weights to begin with.
    n_frame : float
        People in the head counts.
    design_effect : float
        Kish's 1 + cv².
    """

    rows: pd.DataFrame = field(repr=False)
    values: Rows
    data: Data = field(repr=False)
    calibration: Calibration = field(repr=False)
    made_from: tuple[str, ...] = field(repr=False)
    n_frame: float
    design_effect: float

    picture: ClassVar[Callable[..., Axes]] = staticmethod(partial(figures.bars, value="weight_mean"))

    @property
    def survey(self) -> Survey:
        """The survey with the weights as a variable of kind weight."""
        survey = need_survey(self.data, "Weights.survey")
        weighted = survey.with_columns(self.values.frame, "weights added")
        return replace(weighted, codebook=_with_weight(survey.codebook))

    def of(self, data: Data) -> Array:
        """The weights of these respondents, shape (n,); DataError if they are others, or in another order."""
        mine, theirs = frame_of(self.data), frame_of(data)
        if not mine.index.equals(theirs.index):
            raise DataError("The weights are about other respondents. Make them from the same answers.")
        for name in self.made_from:
            if not _same_answers(mine[name], theirs.get(name)):
                raise DataError(
                    f'The weights were made from other answers to "{name}", or from rows in another order. Make the '
                    "weights from these data."
                )
        return self.calibration.weights

    def tidy(self) -> pd.DataFrame:
        """One row per category of each margin: n, head count, both shares, mean weight."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents; and, if no category is hidden, design effect, effective n, and the range but for a few."""
        n, weights = len(self.values.frame), np.sort(self.calibration.weights)
        if n < self.privacy.min_n or ("hidden" in self.rows and self.rows["hidden"].any()):
            return {"n": n}
        few = self.privacy.min_n - 1
        return {
            "n": n,
            "deff": self.design_effect,
            "n_effective": n / self.design_effect,
            "weight_low": float(weights[few]),
            "weight_high": float(weights[-1 - few]),
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class NonResponse(Result):
    """Who responded, per category of each margin, with a test of whether response differs between categories."""

    rows: pd.DataFrame = field(repr=False)

    picture: ClassVar[Callable[..., Axes]] = staticmethod(partial(figures.bars, value="response"))

    def tidy(self) -> pd.DataFrame:
        """Per margin one row for everybody, with the test and the R-indicator, and one per category."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, people and the response of all."""
        first = self.rows.iloc[0]
        return {"n": int(first["n"])} | ({"response": float(first["response"])} if first["n_frame"] > 0 else {})

    def drawn(self) -> pd.DataFrame:
        """The categories that are not hidden."""
        drawn = super().drawn()
        return drawn[drawn["group"] != EVERYBODY]


def rake(
    data: Data,
    frame: HeadCounts,
    *,
    margins: Sequence[str] = (),
    base: str = "",
    trim: float | None = None,
    missing: Missing = "refuse",
    pool_small: bool = True,
) -> Weights:
    """Weight respondents so that they add up to the head counts of every margin by itself.

    Parameters
    ----------
    data : Survey or DataFrame
        Who answered.
    frame : DataFrame or mapping
        Head counts, whole numbers of people: one row per cell, columns named like variables and `headcount`; or a
        mapping of each variable to its categories and counts.
    margins : sequence of str
        Variables to use; all that the head counts have if left out.
    base : str, optional
        Variable with weights to begin with; everybody begins with the same if left out.
    trim : float, optional
        Largest weight, in multiples of the mean weight: weights are cut there and raked again until both hold.
    missing : {"refuse", "keep"}
        Respondents who do not state a margin: refuse, or keep their share of the people. Their weight is then not
        changed for that margin, as if they were like the others; to give them weight 1 would make them count for nobody
        but themselves, while all others stand for several people.
    pool_small : bool
        Put categories that tables must hide (too few respondents) together before raking. Such weights are unstable,
        and with the head counts known, the design effect or a weighted mean would give a hidden count away. Without
        it the weights are the same as R survey gives for the same margins, and these numbers are not shown.

    Returns
    -------
    Weights
        `.survey` is the survey with the weights; `.values` the weights alone.

    Raises
    ------
    DataError
        If head counts and respondents do not fit together; the message says what to do.
    EstimationError
        If raking does not settle or the limit for trimming cannot be met.

    References
    ----------
    Deming & Stephan (1940), Annals of Mathematical Statistics 11, 427-444; Kish (1965), Survey Sampling. Agrees with R
    survey::rake run until nothing changes. How `missing="keep"` works: as in R anesrake.

    Examples
    --------
    >>> answers = pd.DataFrame({"unit": ["A"] * 20 + ["B"] * 10})
    >>> weights = rake(answers, {"unit": {"A": 40, "B": 60}})
    >>> weights.tidy()[["group", "n", "weight_mean"]].values.tolist()
    [['A', 20.0, 2.0], ['B', 10.0, 6.0]]
    """
    return _weigh(data, read_margins(data, frame, margins), base, trim, missing, pool_small)


def poststratify(
    data: Data,
    frame: HeadCounts,
    *,
    margins: Sequence[str] = (),
    base: str = "",
    missing: Missing = "refuse",
    pool_small: bool = True,
) -> Weights:
    """Weight respondents so that every combination of the margins adds up to its head count.

    Parameters and errors are those of `rake`; every combination needs respondents, so use it for few margins.

    References
    ----------
    Holt & Smith (1979), J. Royal Statistical Society A 142, 33-46. Agrees with R survey::postStratify.
    """
    return _weigh(data, [read_joint_margin(data, frame, margins)], base, None, missing, pool_small)


def nonresponse(data: Data, frame: HeadCounts, *, margins: Sequence[str] = ()) -> NonResponse:
    """Compare respondents with head counts and test whether the response differs between categories.

    Parameters
    ----------
    data : Survey or DataFrame
        Who answered.
    frame : DataFrame or mapping
        Head counts, as for `rake`.
    margins : sequence of str
        Variables to use; all that the head counts have if left out.

    Returns
    -------
    NonResponse
        The chi-squared test of equal response in all categories (people asked, by category and response: it allows
        for the share of people who answered), and the R-indicator 1 - 2 S, S being the standard deviation of
        the response over people, less what chance alone would give (1 means no difference beyond chance). Categories
        that are hidden count as one in both. Respondents who do not state a margin count in the response of everybody;
        for the test and the R-indicator nobody knows their category, so that they count as not having responded there.

    References
    ----------
    Schouten, Cobben & Bethlehem (2009), Survey Methodology 35, 101-113; correction: Shlomo, Skinner & Schouten (2012),
    J. Official Statistics 28, 201-213. The test agrees with R chisq.test(rbind(n, headcount - n), correct = FALSE).
    """
    found = [_nonresponse_rows(data, margin) for margin in read_margins(data, frame, margins)]
    rows = pd.concat([rows for rows, _ in found], ignore_index=True)
    return NonResponse(
        title="Response by group",
        note="Respondents left after cleaning, per head count. Test: do all groups respond alike? R-indicator: 1 if "
        "there is no difference beyond chance, lower the more they differ. That hardly any people of a group are "
        "missing is shown: it says who took part, not what anybody answered.",
        findings=_once(finding for _, findings in found for finding in findings),
        labels=labels_of(data),
        privacy=privacy_of(data),
        rows=rows,
    )


def _weigh(
    data: Data, margins: Sequence[Margin], base: str, trim: float | None, missing: Missing, pool_small: bool
) -> Weights:
    if missing not in ("refuse", "keep"):
        raise DataError(f'missing = "{missing}" is not known. Allowed: refuse, keep.')
    start = _base_weights(data, base)
    targets = [_target(margin, start, missing) for margin in margins]
    _refuse_different_totals(targets)
    if pool_small:
        targets = [_pooled(target, data) for target in targets]
    _refuse_empty(targets)
    codes, people = [target.margin.codes for target in targets], [target.people for target in targets]
    found = rake_weights(start, codes, people) if trim is None else rake_trimmed(start, codes, people, _limit(trim))
    rows, hidden = _weight_rows(data, targets, found)
    place = _ordinal(privacy_of(data).min_n)
    return Weights(
        title="Weights by " + join_words([lower_first(_label(data, margin.name)) for margin in margins]),
        note="Shares of respondents and of people. Mean weight: people each respondent of the category stands for. "
        f"Smallest and largest weight: the {place} smallest and the {place} largest, so that no weight of a few is "
        "told. The design effect is Kish's: how many times unequal weights alone enlarge a variance.",
        findings=(*_weight_findings(data, margins, targets, found, trim), *hidden),
        labels=labels_of(data),
        privacy=privacy_of(data),
        rows=rows,
        values=Rows(pd.DataFrame({WEIGHT: found.weights}, index=frame_of(data).index)),
        data=data,
        calibration=found,
        made_from=tuple(dict.fromkeys([*_variables(margins), *([base] if base else [])])),
        n_frame=float(people[0].sum()),
        design_effect=kish_design_effect(found.weights),
    )


def _ordinal(number: int) -> str:
    """Write 5 as 5th."""
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")


def _variables(margins: Sequence[Margin]) -> list[str]:
    return [name for margin in margins for name in margin.name.split(TIMES)]


def _same_answers(mine: pd.Series, theirs: pd.Series | pd.DataFrame | None) -> bool:
    """Say whether answers are the same; gaps may have been filled since, as by imputation."""
    stated = mine.notna().to_numpy()
    if not isinstance(theirs, pd.Series) or theirs.isna().to_numpy()[stated].any():
        return False
    return bool((mine.to_numpy(object)[stated] == theirs.to_numpy(object)[stated]).all())


def _base_weights(data: Data, base: str) -> Array:
    answers = frame_of(data)
    if answers.empty:
        raise DataError("There is nobody to weight: no respondent is left.")
    return weight_column(data, base) if base else np.ones(len(answers))


def weight_column(data: Data, name: str) -> Array:
    """The weights in a variable, shape (n,); DataError if a respondent has none above 0."""
    answers = frame_of(data)
    if name not in answers:
        raise ColumnError(f'There is no variable or score "{name}". {did_you_mean(name, map(str, answers.columns))}')
    if isinstance(answers[name], pd.DataFrame):
        raise DataError(f'The answers have more than one column "{name}". Keep one.')
    weights = pd.to_numeric(answers[name], errors="coerce").to_numpy(float, na_value=np.nan)
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise DataError(f'"{name}" must give every respondent a weight above 0. Exclude the others with a rule first.')
    return weights


def _limit(trim: float) -> float:
    if not (isinstance(trim, Real) and 1 < trim < np.inf):
        raise DataError(f"trim = {trim!r} is no limit: it is a number of times the mean weight, above 1, such as 5.")
    return float(trim)


def _target(margin: Margin, base: Array, missing: Missing) -> Target:
    """What the weights shall add up to; respondents who did not state the margin keep their share."""
    silent = np.array([category == NO_GROUP for category in margin.categories])
    if silent.any() and missing == "refuse":
        raise DataError(
            f'Some respondents do not state "{margin.name}". Say missing="keep", so that they keep their share, leave '
            "the margin out, or exclude them with a rule."
        )
    _refuse_respondents_in(margin, np.isnan(margin.headcounts) & ~silent | _nobody(margin))
    sums = np.bincount(margin.codes, weights=base, minlength=len(silent))
    kept = sums[silent].sum() / sums.sum()
    total = np.nansum(margin.headcounts)
    return Target(margin, np.where(silent, kept * total, np.nan_to_num(margin.headcounts) * (1 - kept)))


def _nobody(margin: Margin) -> NDArray[np.bool_]:
    """Categories with respondents and a head count of 0."""
    return (margin.headcounts == 0) & (margin.respondents > 0)


def _refuse_respondents_in(margin: Margin, wrong: NDArray[np.bool_]) -> None:
    names = [name for name, lacks in zip(margin.categories, wrong, strict=True) if lacks]
    if names:
        raise DataError(
            f'There are respondents in {join_words(names[:5])} ("{margin.name}"), where the head counts have nobody. '
            "Correct the head counts, or recode the answers with a rule."
        )


def _refuse_different_totals(targets: Sequence[Target]) -> None:
    totals = {target.margin.name: float(target.people.sum()) for target in targets}
    (first, people), *others = totals.items()
    for name, other in others:
        if abs(other - people) > 1e-9 * people:
            raise DataError(
                f'The head counts of "{first}" add up to {people:,.6g}, those of "{name}" to {other:,.6g}. '
                "Give every margin the same people."
            )


def _pooled(target: Target, data: Data) -> Target:
    """Put categories with too few respondents together, and further ones so that no hidden count follows."""
    margin, min_n = target.margin, privacy_of(data).min_n
    n = margin.respondents
    pool = hidden_rows(n[:, None].astype(float), min_n, hidden=_closed(data, margin))
    pool |= (n == 0) & (target.people > 0)
    while pool.any() and not pool.all() and (n[pool].sum() < min_n or pool.sum() < 2):
        pool[np.argmin(np.where(pool, np.inf, n))] = True
    if not pool.any():
        return target
    if pool.all():
        raise DataError(f'No two categories of "{margin.name}" have enough respondents to be told apart. Leave it out.')
    kept = np.flatnonzero(~pool)
    place = np.full(len(pool), len(kept))
    place[kept] = np.arange(len(kept))
    merged = Margin(
        name=margin.name,
        categories=(*(margin.categories[i] for i in kept), POOLED),
        codes=place[margin.codes],
        headcounts=np.append(margin.headcounts[kept], np.nansum(margin.headcounts[pool])),
    )
    return Target(merged, np.append(target.people[kept], target.people[pool].sum()))


def _closed(data: Data, margin: Margin) -> NDArray[np.bool_]:
    """Categories that all tables of the survey hide."""
    known = [v.name for v in data.codebook.of_kind("unit", "category")] if isinstance(data, Survey) else []
    closed = counted_as_one(data, margin.name) if margin.name in known else frozenset()
    return np.array([category in closed for category in margin.categories])


def _refuse_empty(targets: Sequence[Target]) -> None:
    for margin, people in targets:
        names = [name for name, n, k in zip(margin.categories, margin.respondents, people, strict=True) if k and not n]
        if names:
            raise DataError(
                f'Nobody in {join_words(names[:5])} ("{margin.name}") responded, so nobody can stand for them. Put '
                "categories together in the head counts and the codebook, leave the margin out, or say pool_small=True."
            )


def _weight_rows(data: Data, targets: Sequence[Target], found: Calibration) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    n, headcounts, people = (
        np.concatenate(parts)
        for parts in zip(*((m.respondents.astype(float), m.headcounts, people) for m, people in targets), strict=True)
    )
    sums = [np.bincount(m.codes, weights=found.weights, minlength=len(m.categories)) for m, _ in targets]
    terms = [margin.name for margin, _ in targets for _ in margin.categories]
    there = n > 0
    rows = pd.DataFrame({
        "term": terms,
        "group": [category for margin, _ in targets for category in margin.categories],
        "n": n,
        "n_frame": headcounts,
        "share": n / len(found.weights),
        "share_frame": people / targets[0].people.sum(),
        "weight_mean": np.concatenate(sums) / np.where(there, n, 1),
    })  # fmt: skip
    hidden = np.concatenate([_hidden(data, margin) for margin, _ in targets])
    shown = blank(rows, hidden, [name for name in rows if name not in ("term", "group")])
    return shown[there].reset_index(drop=True), _hidden_finding(hidden[there], privacy_of(data))


def _hidden(data: Data, margin: Margin) -> NDArray[np.bool_]:
    """Categories that are hidden, and further ones so that none follows from the totals."""
    counts = np.column_stack([margin.respondents, margin.headcounts])
    return hidden_rows(counts, privacy_of(data).min_n, hidden=_closed(data, margin))


def _hidden_finding(hidden: NDArray[np.bool_], privacy: Privacy) -> tuple[Finding, ...]:
    if not hidden.any():
        return ()
    text = f"{int(hidden.sum())} of {len(hidden)} categories are hidden: {why_hidden(privacy.min_n)}."
    return (Finding(name="groups_hidden", text=text, severity="info"),)


def _weight_findings(
    data: Data, margins: Sequence[Margin], targets: Sequence[Target], found: Calibration, trim: float | None
) -> list[Finding]:
    said = []
    pooled = [_label(data, margin.name) for margin, _ in targets if POOLED in margin.categories]
    if pooled:
        text = (
            f"Categories of {join_words(pooled)} that have too few respondents to be shown, or are needed to hide such "
            f'ones, are weighted together as "{POOLED}".'
        )
        said.append(Finding(name="categories_pooled", text=text, severity="info"))
    silent = [_label(data, margin.name) for margin in margins if NO_GROUP in margin.categories]
    if silent:
        text = f"Respondents who do not state {join_words(silent)} keep their share, as if they were like the others."
        said.append(Finding(name="margin_not_stated", text=text))
    said.extend(extreme_weights(found.weights))
    if trim is not None:
        text = f"No weight exceeds {trim:g} times the mean; the head counts are still met."
        said.append(Finding(name="weights_trimmed", text=text, severity="info"))
    return said


def extreme_weights(weights: Array) -> tuple[Finding, ...]:
    """A finding if a weight is many times the mean weight."""
    if weights.max() <= EXTREME * weights.mean():
        return ()
    text = (
        f"At least one weight is more than {EXTREME:g} times the mean: few respondents speak for many people. Trim "
        "the weights, or put categories together."
    )
    return (Finding(name="extreme_weights", text=text),)


def _nonresponse_rows(data: Data, margin: Margin) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    _refuse_respondents_in(margin, _nobody(margin))
    n, people = margin.respondents.astype(float), margin.headcounts
    rows = pd.DataFrame({
        "term": margin.name, "group": margin.categories, "n_frame": people, "n": n,
        "response": np.divide(n, people, out=np.full(len(n), np.nan), where=people > 0),
        "share": n / max(n.sum(), 1), "share_frame": people / np.nansum(people),
    })  # fmt: skip
    closed = _hidden(data, margin)
    shown = blank(rows, closed, ["n_frame", "n", "response", "share", "share_frame"]).assign(hidden=closed)
    top, findings = _everybody(margin, closed)
    findings += _not_stated(data, margin)
    table = pd.concat([pd.DataFrame([top]), shown], ignore_index=True)
    hidden = _hidden_finding(closed, privacy_of(data))
    return table.reindex(columns=RESPONSE_COLUMNS).assign(hidden=table["hidden"]), (*findings, *hidden)


def _everybody(margin: Margin, closed: NDArray[np.bool_]) -> tuple[dict[str, object], list[Finding]]:
    """Response of all who stated the margin, with the test; hidden categories count as one."""
    stated = np.array([category != NO_GROUP for category in margin.categories])
    top = {"term": margin.name, "group": EVERYBODY, "n": float(len(margin.codes)), "hidden": False}
    n, people = margin.respondents.astype(float), margin.headcounts
    unnamed = [name for name, lacks in zip(margin.categories, np.isnan(people) & stated, strict=True) if lacks]
    if unnamed:
        text = f"The head counts do not name {join_words(unnamed[:5])}, so the response of all is not computed."
        return top, [Finding(name="unit_without_head_count", text=text)]
    asked = people[stated].sum()
    top |= {"n_frame": asked, "response": n.sum() / asked, "share": 1.0, "share_frame": 1.0}
    if (n > people).any():
        text = "At least one group has more respondents than people. Check the head counts and the duplicates."
        return top, [Finding(name="more_than_head_count", text=text, severity="serious")]
    apart = stated & ~closed
    if closed[stated].any():
        n = np.append(n[apart], n[stated & closed].sum())
        people = np.append(people[apart], people[stated & closed].sum())
    else:
        n, people = n[apart], people[apart]
    try:
        test = response_test(n, people)
    except EstimationError:
        return top, []
    few = min(people * n.sum() / people.sum()) < EXPECTED or min(people * (1 - n.sum() / people.sum())) < EXPECTED
    text = f'"{margin.name}": fewer than {EXPECTED:g} are expected somewhere, so the test of equal response is rough.'
    return top | test._asdict(), [Finding(name="few_expected", text=text, severity="info")] if few else []


def _not_stated(data: Data, margin: Margin) -> list[Finding]:
    if NO_GROUP not in margin.categories:
        return []
    text = (
        f"Respondents who do not state {_label(data, margin.name)} count in the response of everybody. The test and "
        "the R-indicator, which need the group, count them as people who did not respond."
    )
    return [Finding(name="margin_not_stated", text=text)]


class ResponseTest(NamedTuple):
    """Test of equal response, and how far response is from equal."""

    statistic: float
    df: int
    p_value: float
    representativity: float


def response_test(n: Array, people: Array) -> ResponseTest:
    """Test whether groups respond alike, and compute the R-indicator, corrected for chance.

    Parameters
    ----------
    n, people : arrays, shape (k,)
        Respondents and people of each group.

    Raises
    ------
    EstimationError
        If there are fewer than 2 groups, or all people responded, or nobody did.

    Examples
    --------
    >>> response_test(np.array([30.0, 10.0]), np.array([60.0, 60.0])).p_value.__round__(5)
    0.00011
    """
    people, n = people[people > 0], n[people > 0]
    rate = n.sum() / people.sum() if len(people) else 0.0
    if len(people) < 2 or not 0 < rate < 1:
        raise EstimationError("Response cannot be compared: this needs two groups, and some who did not respond.")
    own, share = n / people, people / people.sum()
    statistic = float(np.sum(people * (own - rate) ** 2) / (rate * (1 - rate)))
    chance = float(np.sum(own * (1 - own) * (1 - share))) / people.sum()
    spread = max(float(share @ (own - rate) ** 2) - chance, 0.0)
    df = len(people) - 1
    return ResponseTest(statistic, df, float(stats.chi2.sf(statistic, df)), 1 - 2 * float(np.sqrt(spread)))


def _with_weight(codebook: Codebook) -> Codebook:
    """The codebook with the weights as a variable."""
    kept = tuple(variable for variable in codebook.variables if variable.name != WEIGHT)
    weight = Variable(name=WEIGHT, column=WEIGHT, title="Weight", kind="weight", description="People stood for.")
    fields = {name: getattr(codebook, name) for name in type(codebook).model_fields}
    return Codebook.model_validate({**fields, "variables": (*kept, weight)})


def _label(data: Data, name: str) -> str:
    return TIMES.join(labels_of(data).get(part, part) for part in name.split(TIMES))


def _once(findings: object) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys(findings))
