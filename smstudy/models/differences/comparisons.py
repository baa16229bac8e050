"""Groups compared on one outcome: by means with unequal variances, or by ranks, each with effect sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, product
from math import isfinite
from numbers import Real
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import figures, rules
from smstudy.display.prose import lower_first
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError, did_you_mean
from smstudy.inference.group_tests import (
    Moments,
    Spread,
    Superiority,
    contrast,
    epsilon_squared,
    estimate_of,
    kruskal_test,
    moments,
    omega_squared,
    probability_above,
    standardized_difference,
    superiority,
    welch_test,
)
from smstudy.inference.linearization import check_level
from smstudy.inference.multiplicity import benjamini_hochberg, holm
from smstudy.inference.regression.design import POOLED, Design, build_design
from smstudy.inference.regression.formula import Factor, Formula, Term
from smstudy.models.differences.groups import FEW, SPREAD, GroupScores, few_values_finding, has_few_values
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, Survey, labels_of, privacy_of
from smstudy.survey.disclosure import pool_hidden

Array = NDArray[np.float64]
Method = Literal["welch", "kruskal"]
Correction = Literal["holm", "bh"]
CORRECT = {"holm": holm, "bh": benjamini_hochberg}
CORRECTED = {"holm": "Holm", "bh": "Benjamini & Hochberg"}
TITLES = {"welch": "Means compared", "kruskal": "Ranks compared"}
STANDARDIZED = {"g": "estimate", "g_low": "conf_low", "g_high": "conf_high"}
CERTAIN = 0.05
PAIRS = 100
POINTS = 100


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class GroupComparison(Result):
    """Groups compared in pairs.

    Attributes
    ----------
    groups : GroupScores
        Mean of each group, with standard deviation and interval where these do not tell single answers.
    rows : DataFrame
        The tidy table.
    summary : mapping
        What `glance()` gives.
    matrix : array
        Covariance of the differences of means; empty with ranks.
    """

    groups: GroupScores
    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    matrix: Array = field(repr=False)

    picture: ClassVar = staticmethod(partial(figures.estimates, xlabel="First group minus second, with interval"))

    def tidy(self) -> pd.DataFrame:
        """One row per pair of groups: the first minus the second."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """The test of all groups together, with its effect size and the interval of that."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out what the title says, and columns that only computations need."""
        left = ("term", "std_error", "statistic", "df", "p_value")
        return shown[[name for name in shown if name not in left and shown[name].notna().any()]]

    def drawn(self) -> pd.DataFrame:
        """The pairs that are not hidden, each with the names of both groups."""
        drawn = super().drawn()
        return drawn.assign(term=drawn["group"] + " − " + drawn["other_group"]).drop(columns="group")

    def pooling(self) -> Poolable:
        """Differences of means with their covariance, and Welch's degrees of freedom.

        Raises
        ------
        EstimationError
            With ranks, whose pairs of respondents change from one imputation to the next.
        """
        if not self.matrix.size:
            raise EstimationError('Ranks cannot be pooled over imputations. Use method="welch".')
        return Poolable(
            keys=self.rows[["term"]].assign(group=self.rows["group"] + " − " + self.rows["other_group"]),
            estimates=self.rows["estimate"].to_numpy(float),
            covariance=self.matrix,
            df_complete=self.rows["df"].to_numpy(float),
            n=int(self.summary["n"]),
            title=self.title,
            note="First group minus second, each group with a variance of its own.",
        )


class Sample(NamedTuple):
    """An outcome by groups: values of each group, in order; `cells` names the level of every factor."""

    design: Design
    cells: tuple[tuple[str, ...], ...]
    values: tuple[Array, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Groups as one word each."""
        return tuple(", ".join(cell) for cell in self.cells)

    @property
    def shares(self) -> bool:
        """Whether the outcome is 0 or 1, so that means are shares."""
        return bool(np.isin(self.design.y, (0.0, 1.0)).all())

    @property
    def n(self) -> int:
        """Respondents in all groups."""
        return len(self.design.y)

    @property
    def tells_answers(self) -> bool:
        """Whether number, mean and spread of a group can be solved for how many gave each of few answers."""
        return has_few_values(self.design.y) and min(map(len, self.values)) < FEW


def compare_groups(
    data: Data,
    outcome: str,
    group: str,
    *,
    method: Method = "welch",
    reference: str | None = None,
    spread: Spread = "pooled",
    correction: Correction = "holm",
    conf_level: float = 0.95,
    min_n: int | None = None,
    seed: int = 1,
) -> GroupComparison:
    """Compare groups on one outcome, all together and in pairs.

    Of an outcome with three to 11 values, such as one statement, number, mean and spread of fewer than 20 respondents
    tell how many gave each answer. Such groups are compared together, as "(small groups)"; `groups` has their means.

    Parameters
    ----------
    data : Survey or DataFrame
        One row per respondent. Weights are not supported: use `weighted_means`, or `regress` with weights.
    outcome : str
        A number, or two answers; then means are shares of the second answer.
    group : str
        Column of the groups; those below the threshold are counted together as "(small groups)".
    method : {"welch", "kruskal"}
        "welch" compares means and needs no equal variances; "kruskal" ranks, for outcomes of few steps or with far
        values, and gives Cliff's delta (the rank-biserial correlation) for each pair.
    reference : str, optional
        Compare every other group with this one only; left out: all pairs.
    spread : {"pooled", "average", "control"}
        Standard deviation that differences of means are put in: within all of the pair (Hedges' g), the average, or
        that of the second group (Glass's delta).
    correction : {"holm", "bh"}
        For the number of pairs: Holm, or Benjamini & Hochberg.
    conf_level : float
        Level of the intervals, each for its row alone.
    min_n : int, optional
        Raises the threshold below which groups are put together.
    seed : int
        Start of the random permutations that test ranks of pairs with a group below 20.

    Returns
    -------
    GroupComparison
        `estimate` is the first group minus the second (Cliff's delta with ranks), `superiority` the probability that a
        respondent of the first is higher than one of the second. `glance()` has the test of all groups (Welch's F or
        Kruskal-Wallis) and its effect size, omega squared or epsilon squared. Omega squared is the share of variance
        that lies between groups, each with a variance of its own; Welch's F is used for p only.

    Raises
    ------
    StudyError
        If an option is not known.
    DataError
        If a column is unknown, the outcome is text or does not vary, or there is one group only.
    DisclosureError
        If no two groups are large enough, or all of a group gave the same answer.

    References
    ----------
    Agrees with R `oneway.test`, `kruskal.test`, `t.test`, `psych::cohen.d` and formulas in plain R
    (tests/reference/comparisons.R). Why not to assume equal variances: Delacre, Leys, Mora & Lakens (2019), Int. Review
    of Social Psychology 32(1), 13. Effect in words: McGraw & Wong (1992), Psychological Bulletin 111, 361-365.

    Examples
    --------
    >>> frame = pd.DataFrame({"site": ["N", "S"] * 20, "use": [1.0, 3, 2, 4, 3, 5, 2, 3] * 5})
    >>> compare_groups(frame, "use", "site").tidy()[["group", "other_group", "estimate"]].values.tolist()
    [['N', 'S', -1.75]]
    """
    for name, value, known in (
        ("method", method, Method),
        ("spread", spread, Spread),
        ("correction", correction, Correction),
    ):
        if value not in get_args(known):
            raise StudyError(f'{name} = "{value}" is not known. {did_you_mean(str(value), get_args(known))}')
    check_level(conf_level)
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    shown = sample_of(data, outcome, [group], policy)
    sample = _large_groups(data, outcome, group, policy) if shown.tells_answers else shown
    pairs = _pairs(sample.names, reference, group)
    found = moments(sample.values)
    shares = sample.shares
    if method == "welch":
        rows, matrix = _means_compared(sample, found, pairs, spread, conf_level)
    else:
        rows, matrix = _ranks_compared(sample, pairs, conf_level, seed), np.empty((0, 0))
    rows["p_adjusted"] = CORRECT[correction](rows["p_value"].to_numpy())
    rows["reading"] = [_reading(row, method, shares=shares) for row in rows.to_dict("records")]
    return _result(data, outcome, group, shown, sample, found, rows, matrix, policy,
                   _Asked(method, spread, correction, conf_level))  # fmt: skip


def is_number(value: object) -> bool:
    """Say whether a value is a finite number; truth values are none.

    >>> is_number(np.int64(1)), is_number(True), is_number("1")
    (True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


class _Asked(NamedTuple):
    method: Method
    spread: Spread
    correction: Correction
    conf_level: float


def sample_of(data: Data, outcome: str, groups: Sequence[str], policy: Privacy) -> Sample:
    """Read an outcome by the levels of one or more grouping columns, checked and with small groups put together.

    Raises
    ------
    DataError, DisclosureError
        As `compare_groups` does; with several columns no combination may be small.
    """
    for name in (outcome, *groups):
        if not isinstance(name, str):
            raise StudyError(f'Name columns by text, such as "use"; this is {type(name).__name__}.')
    if outcome in groups:
        raise StudyError(f'"{outcome}" is both outcome and group. Name another column as group.')
    factors = [Factor(name, "C") for name in dict.fromkeys(groups)]
    terms: list[Term] = [(factor,) for factor in factors]
    whole = [tuple(factors)] if len(factors) > 1 else []
    formula = Formula(f"{outcome} by {', '.join(groups)}", Factor(outcome), (*terms, *whole), True)
    design = build_design(formula, pool_hidden(data, formula.columns), min_level_n=policy.min_n)
    levels = [design.levels[factor.column] for factor in factors]
    places = np.ravel_multi_index([part.codes for part in levels], [len(part.names) for part in levels])
    cells = tuple(product(*(part.names for part in levels)))
    values = tuple(design.y[places == place] for place in range(len(cells)))
    empty = next((cell for cell, part in zip(cells, values, strict=True) if not len(part)), None)
    if empty:
        raise DataError(f"Nobody is in {' and '.join(empty)} together. Name fewer columns, or merge their levels.")
    return Sample(design, cells, values)


def _large_groups(data: Data, outcome: str, group: str, policy: Privacy) -> Sample:
    """The outcome by groups whose spread tells no single answers, the others put together."""
    try:
        return sample_of(data, outcome, [group], policy.raised_to(max(FEW, policy.min_n)))
    except DisclosureError:
        raise DisclosureError(
            f'"{outcome}" has few values, so that number, mean and spread of fewer than {FEW} respondents tell how '
            f'many gave each answer, and "{group}" has no two groups of so many. Compare a scale of several '
            "statements, or merge groups by what they mean."
        ) from None


def _pairs(names: Sequence[str], reference: str | None, group: str) -> list[tuple[int, int]]:
    if reference is None:
        return list(combinations(range(len(names)), 2))
    second = level_place(names, reference, group)
    return [(first, second) for first in range(len(names)) if first != second]


def level_place(names: Sequence[str], level: object, group: str) -> int:
    """Number of a level; DataError with the nearest name if there is none, or it is too small to be shown."""
    if str(level) not in names:
        raise DataError(f'"{group}" has no group "{level}" that may be shown. {did_you_mean(str(level), names)}')
    return list(names).index(str(level))


def _means_compared(
    sample: Sample, found: Moments, pairs: Sequence[tuple[int, int]], spread: Spread, conf_level: float
) -> tuple[pd.DataFrame, Array]:
    weights = np.zeros((len(pairs), len(sample.names)))
    rows = []
    for place, (first, second) in enumerate(pairs):
        weights[place, [first, second]] = 1.0, -1.0
        estimate = contrast(found, weights[place], conf_level=conf_level)
        both = Moments(*(part[[first, second]] for part in found))
        effect = standardized_difference(both, spread, conf_level)._asdict() if not sample.shares else {}
        above = _pairs_told(sample, first, second)
        rows.append(
            _named(sample, first, second) | estimate._asdict()
            | {name: effect.get(key, np.nan) for name, key in STANDARDIZED.items()}
            | {"superiority": above}
        )  # fmt: skip
    return pd.DataFrame(rows), weights * (found.variance / found.n) @ weights.T


def _pairs_told(sample: Sample, first: int, second: int) -> float:
    """Share of pairs in which the first is higher; missing or rounded where, with the SD, it tells single answers."""
    x, y = sample.values[first], sample.values[second]
    if min(len(x), len(y)) < FEW:
        return float("nan")
    above = probability_above(x, y)
    return round(above, 1) if has_few_values(sample.design.y) else above


def _ranks_compared(sample: Sample, pairs: Sequence[tuple[int, int]], conf_level: float, seed: int) -> pd.DataFrame:
    rows = []
    for first, second in pairs:
        found: Superiority = superiority(sample.values[first], sample.values[second], conf_level, seed=seed)
        tested = {name: getattr(found, name) for name in ("std_error", "df", "statistic", "p_value")}
        rows.append(_named(sample, first, second) | found.delta._asdict() | tested | {"superiority": found.share})
    return pd.DataFrame(rows)


def _named(sample: Sample, first: int, second: int) -> dict[str, str]:
    return {"term": "", "group": sample.names[first], "other_group": sample.names[second]}


def _reading(row: Mapping[str, float], method: Method, *, shares: bool) -> str:
    """A difference in words: its direction where that is clear, its size, and how many pairs show it."""
    if row["p_adjusted"] >= CERTAIN:
        return "direction uncertain"
    direction = "higher" if row["estimate"] > 0 else "lower"
    if method == "welch" and shares:
        return f"{direction}: {POINTS * row['estimate']:+.0f} points"
    size = rules.EFFECT.read(abs(row["g"])) if method == "welch" else rules.DOMINANCE.read(abs(row["estimate"]))
    share = row["superiority"] if row["estimate"] > 0 else 1 - row["superiority"]
    pairs = "" if np.isnan(share) else f": in {share * PAIRS:.0f} of {PAIRS} pairs of respondents"
    return f"{direction}, {size}{pairs}"


def _result(
    data: Data, outcome: str, group: str, shown: Sample, sample: Sample, found: Moments, rows: pd.DataFrame,
    matrix: Array, policy: Privacy, asked: _Asked,
) -> GroupComparison:  # fmt: skip
    labels = labels_of(data)
    title = f"{TITLES[asked.method]}: {labels.get(outcome, outcome)} by {lower_first(labels.get(group, group))}"
    rows["term"] = outcome
    few = [few_values_finding([outcome])] if shown.tells_answers else []
    told = (*few, *weights_finding(data))
    findings = (*findings_of(sample, found), *told)
    return GroupComparison(
        title=title,
        note=_note(sample, asked),
        findings=findings,
        labels=labels,
        privacy=policy,
        groups=_group_scores(
            title.partition(": ")[2],
            outcome,
            shown,
            _left_out(shown, sample),
            (*findings_of(shown, moments(shown.values)), *told),
            labels,
            policy,
            asked.conf_level,
        ),
        rows=rows,
        summary=_summary(sample, found, asked),
        matrix=matrix,
    )


def _summary(sample: Sample, found: Moments, asked: _Asked) -> dict[str, int | float | str]:
    summary: dict[str, int | float | str] = {
        "n": sample.n, "n_dropped": sample.design.n_dropped, "n_groups": len(sample.names)
    }  # fmt: skip
    if asked.method == "welch":
        test = welch_test(found)
        effect = omega_squared(found, asked.conf_level)
    else:
        test = kruskal_test(sample.values)
        effect = epsilon_squared(test, sample.n, asked.conf_level)
    tested = {key: value for key, value in test._asdict().items() if not np.isnan(value)}
    summary |= {key: float(value) for key, value in tested.items()} | {"effect_size": float(effect.estimate)}
    return summary | {
        "conf_low": float(effect.conf_low), "conf_high": float(effect.conf_high), "conf_level": float(asked.conf_level)
    }  # fmt: skip


def findings_of(sample: Sample, found: Moments) -> Iterator[Finding]:
    """What a reader of compared groups must know."""
    yield from sample.design.findings
    if found.n.min() < FEW:
        text = f"A group has fewer than {FEW} respondents: only large differences can be seen there."
        yield Finding(name="small_groups", text=text)


def weights_finding(data: Data) -> Iterator[Finding]:
    """Say that weights of a survey are not used."""
    if isinstance(data, Survey) and data.codebook.of_kind("weight"):
        text = (
            "The survey has weights, which this comparison does not use: every respondent counts the same. For "
            "weighted differences use regress() or weighted_means() with weights=."
        )
        yield Finding(name="weights_not_used", text=text)


def _note(sample: Sample, asked: _Asked) -> str:
    if asked.method == "kruskal":
        words = (
            "Kruskal-Wallis test of all groups; the effect is epsilon squared. Pairs: Cliff's delta (rank-biserial "
            "correlation) with the test of Brunner and Munzel, or with fewer than 20 in a group a permutation test"
        )
    else:
        unit = {
            "pooled": "Hedges' g, in standard deviations within both groups",
            "average": "in average standard deviations of both groups",
            "control": "in standard deviations of the second group (Glass's delta)",
        }[asked.spread]
        what = f'Shares of "{sample.design.event}" and' if sample.design.event else "Means and"
        words = f"{what} Welch's tests, each group with its own variance; the effect of all is omega squared, the "
        words += "share of variance that lies between groups"
        words += "" if sample.shares else f". Differences are given as they are and as {unit}"
    return f"{words}. Corrected p: {CORRECTED[asked.correction]}, for all pairs; intervals are for each row alone."


def _left_out(shown: Sample, sample: Sample) -> Sequence[str]:
    """Groups that are compared together: the spread of one would tell that of another."""
    return [name for name in shown.names if name not in sample.names or name == POOLED] if shown is not sample else []


def _group_scores(
    title: str, outcome: str, sample: Sample, left_out: Sequence[str], findings: tuple[Finding, ...],
    labels: Mapping[str, str], policy: Privacy, conf_level: float,
) -> GroupScores:  # fmt: skip
    found = moments(sample.values)
    errors = np.sqrt(found.variance / found.n)
    rows = [
        {"term": outcome, "group": name, "n": int(n), "std_dev": float(np.sqrt(variance))}
        | {key: value for key, value in estimate_of(float(mean), float(error), n - 1, conf_level)._asdict().items()
           if key not in ("statistic", "p_value")}
        for name, n, mean, variance, error in zip(sample.names, *found, errors, strict=True)
    ]  # fmt: skip
    table = pd.DataFrame(rows).assign(hidden=False)
    table.loc[table["group"].isin(left_out), SPREAD] = np.nan
    note = f"Means with {conf_level:.0%} t intervals."
    return GroupScores(title=title, note=note, findings=findings, labels=labels, privacy=policy, rows=table)
