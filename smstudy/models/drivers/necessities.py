"""Necessary conditions: without a level of something, is a level of the outcome not reached, whatever else is there?

What a reader sees is about `min_n` people at least. A ceiling stands on corners, and a corner is the pair of answers
of one person; so corners, the ends of the observed scope and the equation of a straight ceiling are never shown. Effect
sizes are rounded to two decimals, and left out where even these would tell the ceiling. The levels in the bottleneck
table are those below which fewer than `min_n` of the people who reach an outcome are: the table is the same whether
nobody or `min_n` - 1 people stand in the corner. Limit: who knows the answers of all others can tell the last one's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from numbers import Integral
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, ceilings, figures
from smstudy.display.prose import join_words
from smstudy.display.rules import Rule
from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.inference.ceilings import (
    Kind,
    Scope,
    corner_line,
    corners,
    effect_sizes,
    effects_without,
    held_levels,
    less_influential,
    matched_effects,
    n_above,
    observed_scope,
    p_value,
    permuted_effects,
    spread_effects,
)
from smstudy.inference.multiplicity import holm
from smstudy.inference.regression.design import Design, build_design
from smstudy.inference.regression.formula import Formula, parse_formula
from smstudy.inference.threads import one_thread
from smstudy.models.ranges import Ranges, need_ranges
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, Survey, labels_of, privacy_of
from smstudy.survey.disclosure import blank, pool_hidden, pooled_column

Array = NDArray[np.float64]
ScopeKind = Literal["empirical", "theoretical"]
Levels = Literal["percent", "actual"]
KINDS: dict[Kind, str] = {"ce_fdh": "step ceiling (CE-FDH)", "cr_fdh": "straight ceiling (CR-FDH)"}
NECESSARY = "necessary"
CORRELATED = "correlated, necessity not shown"
NOT_NECESSARY = "not necessary"
TOO_FEW = "too few data"
NOT_CORRECTED = "not certain after correction for several conditions"
SMALLEST_EFFECT = 0.10
LEVEL = 0.05
FEWEST = 30
ENOUGH = 100
ACCURATE = 0.95
FEWEST_PERMUTATIONS = 99
EXACT = 1e-12
PICTURE_ROWS = 9
TENTHS = np.linspace(0, 1, 11)
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
EFFECTS = {"effect_size": 0, "effect_step": 0, "effect_line": 0, "effect_low": 1, "effect_high": 2}
NULLS = ("p_value", "p_correlated", "p_spread")
TESTS = (*NULLS, "p_adjusted")
FEWEST_CELLS = 13  # a number has 101 partitions: as many ceilings leave 13 cells empty, for however many respondents
EFFECT = Rule(
    "effect size of a necessary condition, d",
    (0.10, 0.30, 0.50),
    ("small", "medium", "large", "very large"),
    "Dul (2016), Organizational Research Methods 19, 10-52",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Bottlenecks(Result):
    """What level of each condition goes with a level of the outcome; `rows` ungated, `unit` is "%" or empty."""

    rows: pd.DataFrame = field(repr=False)
    n: int
    unit: str
    low: frozenset[str] = frozenset()

    picture: ClassVar[Callable[..., Axes]] = staticmethod(ceilings.steps)

    def tidy(self) -> pd.DataFrame:
        """One row per condition and level of the outcome: outcome_level, needed_level, hidden."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw one line per condition."""
        return super().plot(ax or figures.new_axes(PICTURE_ROWS))

    def alt_text(self) -> str:
        """What goes with the highest level of the outcome that may be told, in words."""
        told = self.shown().dropna(subset=["needed_level"])
        highest = told[told["outcome_level"] == told["outcome_level"].max()]
        cells = [
            f"{self.labels.get(row['term'], row['term'])} {self._write(row)}" for row in highest.to_dict("records")
        ]
        return f"{self.title}. For {self._number(told['outcome_level'].max())}: {'; '.join(cells)}."

    def shown(self) -> pd.DataFrame:
        """The table without the level where fewer people than the threshold reach the outcome."""
        return blank(self.rows, self.rows["hidden"].to_numpy(), ["needed_level"])

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """One row per level of the outcome, one column per condition."""
        written = shown.assign(needed_level=[self._write(row) for row in shown.to_dict("records")])
        wide = written.pivot(index="outcome_level", columns="term", values="needed_level")[[*shown["term"].unique()]]
        wide = wide.rename(columns={name: self.labels.get(name, name) for name in wide})
        wide.insert(0, "outcome_level", [self._number(level) for level in wide.index])
        return wide.reset_index(drop=True).rename_axis(columns=None)

    def _write(self, row: Mapping[str, object]) -> str:
        if row.get("hidden") is True:
            return "hidden"
        if row["reading"] == "not needed":
            return "not needed"
        return f"{'at most' if row['term'] in self.low else 'at least'} {self._number(row['needed_level'])}"

    def _number(self, value: float) -> str:
        return f"{value:.0f} %" if self.unit else f"{value:.4g}"


@dataclass(frozen=True, kw_only=True, repr=False)
class NecessityChecklist(Result):
    """The questions of the SCoRe checklist that data can answer."""

    rows: pd.DataFrame = field(repr=False)
    n: int

    def tidy(self) -> pd.DataFrame:
        """One row per question: check, verdict, reason."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Necessity(Result):
    """Whether conditions are necessary for an outcome.

    Attributes
    ----------
    conditions : DataFrame
        Exact and ungated, as `tidy()` gives it.
    bottleneck : Bottlenecks
        What level of each condition goes with a level of the outcome.
    checklist : NecessityChecklist
        The SCoRe checklist, as far as data can answer it.
    summary : mapping
        What `glance()` gives.
    above : tuple of int
        Respondents above the straight ceiling of each condition; never shown.
    telling : bool array, shape (conditions, 3)
        Where the effect size, and the lowest and highest one, would tell the answers of single respondents.
    """

    conditions: pd.DataFrame = field(repr=False)
    bottleneck: Bottlenecks
    checklist: NecessityChecklist
    summary: Mapping[str, int | float | str]
    above: tuple[int, ...] = field(repr=False)
    telling: NDArray[np.bool_] = field(repr=False)

    picture: ClassVar[Callable[..., Axes]] = staticmethod(
        partial(
            figures.estimates,
            value="effect_size",
            ends=("effect_low", "effect_high"),
            xlabel="Effect size d; line: without the few most influential respondents",
        )
    )

    def tidy(self) -> pd.DataFrame:
        """One row per condition, numbers exact; what is rendered is rounded."""
        return self.conditions.copy()

    def shown(self) -> pd.DataFrame:
        """The table with effect sizes rounded, and without numbers that tell about a few people.

        Without accuracy where a few people are above the ceiling, and without effect sizes and p where these would
        tell the ceiling: answers in few steps, or a corner that is nearly full or nearly empty.
        """
        shown = super().shown()
        few = [0 < count < self.privacy.min_n for count in self.above]
        effects = {name: shown[name].round(2).mask(self.telling[:, place]) for name, place in EFFECTS.items()}
        tests = {name: shown[name].mask(self.telling[:, 0]) for name in TESTS}
        accuracy, correlation = shown["accuracy"].mask(few), shown["rank_correlation"].round(2)
        return shown.assign(**effects, **tests, accuracy=accuracy, rank_correlation=correlation)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """What the verdict rests on."""
        columns = ["term", "effect_size", "effect_low", *TESTS, "verdict", "reading"]
        return shown[columns]

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and how it was computed."""
        return dict(self.summary)

    def alt_text(self) -> str:
        """Effect sizes in words."""
        rows = self.shown()
        names = [self.labels.get(name, name) for name in rows["term"]]
        sizes = [apa.write("effect_size", size) for size in rows["effect_size"]]
        parts = [f"{name} {size} ({verdict})" for name, size, verdict in zip(names, sizes, rows["verdict"])]
        return f"{self.title}. Effect sizes: {'; '.join(parts)}."


class _Asked(NamedTuple):
    """What was asked for, checked."""

    formula: Formula
    names: tuple[str, ...]
    low: frozenset[str]
    kind: Kind
    scope: ScopeKind
    levels: Levels
    ranges: Ranges
    policy: Privacy
    n_permutations: int
    seed: int


def necessity(
    formula: str,
    data: Data,
    *,
    low: Collection[str] = (),
    ceiling: Kind = "ce_fdh",
    scope: ScopeKind = "empirical",
    levels: Levels = "percent",
    ranges: Ranges | None = None,
    n_permutations: int = 1000,
    seed: int = 1,
    min_n: int | None = None,
) -> Necessity:
    """Ask whether conditions are necessary for an outcome: without them it is not reached, whatever else is there.

    Parameters
    ----------
    formula : str
        Such as `"adoption ~ leadership + readiness"`; numbers as they are, since a ceiling depends on them.
    data : Survey or DataFrame
        One row per respondent; rows with a missing answer in a column needed are left out and counted.
    low : collection of str
        Conditions of which a low level is said to be needed, such as concerns. Decide before looking.
    ceiling : {"ce_fdh", "cr_fdh"}
        Step ceiling, right for answers in steps, or the straight line through its corners.
    scope : {"empirical", "theoretical"}
        Whether the effect size is a share of the observed rectangle, or of that of all possible answers.
    levels : {"percent", "actual"}
        Units of the bottleneck table: percent of the scope, or points of the answer scale, which must be known.
    ranges : mapping, optional
        Smallest and largest possible value by column, where no codebook knows them.
    n_permutations : int
        Random data sets of each of the two tests.
    seed : int
        Seed of the tests.
    min_n : int, optional
        Raises the threshold of people below which nothing is shown.

    Returns
    -------
    Necessity
        Per condition the effect size d, three p (against data without any connection, against data only correlated as
        strongly, and against data that only rise and spread as theirs), and a verdict. "Necessary": d of at least .10,
        also without the `min_n` most influential respondents, and all p below .05, corrected (Holm) for the number of
        conditions. "Correlated, necessity not shown": d of at least .10 and a permutation p below .05, with at least
        100 respondents; the reading says what is missing. "Not necessary": d below .10 with at least 100 respondents,
        or whoever of the `min_n` most influential is left out. "Too few data": all else, and below 30 respondents.

    Raises
    ------
    StudyError
        If the formula has more than plain columns, or an option is not known.
    DataError
        If columns are unknown, no numbers or constant, a condition gives the outcome exactly, or a range is not known.
    DisclosureError
        If fewer than the threshold have all answers.

    Notes
    -----
    The permutation test alone finds a "necessary" condition in 50 to 100 % of data that are merely correlated. The
    second null has the observed answers and rank correlation (Gaussian copula), the third a mean and a spread that
    follow the condition. Simulated shares called necessary without any ceiling, 100 / 200 / 300 respondents: normal .01
    / .04, answers in steps 0 to .02, spread growing as exp(.2x) .06 / .02 / .15 (without the third null .27 / .40 /
    .55) and as exp(.4x) .17 / .14 / .28 (.66 / .88 / .98), Poisson .04 / .09 / .09 (.20 / .35 / .38), survival Clayton
    .07 / .09 / .16, errors skewed to the left .15 / .18 / .21, two groups .12 / .06 / 0. So theory must decide. The
    price is power where the ceiling is soft, as few come near it: beta(2, 2) answers below min(1, .2 + x) .36 / .80 /
    .98 (without the third null .73 / .96 / 1), the same with noise .08 / .31 / .43 (.44 / .81 / .91). A hard one is
    found in .89 / .99 / 1.

    References
    ----------
    Dul (2016), Organizational Research Methods 19, 10-52; Dul, Van der Laan & Kuik (2020), ibid. 23, 385-395. Effect
    sizes agree with R NCA (published 0.42 and 0.31 of its example) and a plain R implementation
    (tests/reference/necessity.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.random(200)
    >>> frame = pd.DataFrame({"x": x, "y": rng.random(200) * np.minimum(1, 0.2 + x)})
    >>> necessity("y ~ x", frame).tidy()["verdict"].tolist()
    ['necessary']
    """
    asked = _asked(formula, data, low, ceiling, scope, levels, ranges, n_permutations, seed, min_n)
    frame = pool_hidden(data, asked.formula.columns)
    design = build_design(asked.formula, frame, min_level_n=asked.policy.min_n)
    conditions = _conditions(design, asked)
    with one_thread():
        rows = [_examined(name, x, design.y, asked) for name, x in conditions.items()]
        turns = [_without_few(name, x, design.y, asked) for name, x in conditions.items()]
        above = tuple(n_above(x, design.y, corner_line(corners(x, design.y))) for x in conditions.values())
        telling = np.array([tells_corners(x, design.y, asked.policy.min_n) for x in conditions.values()])
    table = _judged(pd.DataFrame(rows), len(design.y))
    turned = table.loc[_turned_verdicts(table, turns, len(design.y)), "term"]
    labels = dict(labels_of(data))
    doubts = *_doubts(data, turned, design, conditions, asked.policy.min_n), *_untold(table, telling, labels)
    return _result(table, above, telling, conditions, design, asked, labels, doubts)


def tells_corners(x: Array, y: Array, min_n: int) -> NDArray[np.bool_]:
    """Say whether effect sizes would tell the ceiling, whose corners are single respondents; shape (3,).

    The three are that of all respondents, and the lowest and highest without the `min_n` most influential.

    Neighboring values of both make cells, and an effect size is about the share of those above the ceiling. If few
    cells are above it, or few below, few ceilings have as many, and the number tells which: k cells can be above in as
    many ways as k has partitions, 101 for 13.

    Examples
    --------
    >>> likert = np.tile(np.arange(1.0, 6), 20)
    >>> tells_corners(likert, likert, 5).tolist()
    [True, True, True]
    """
    cells = (len(np.unique(x)) - 1) * (len(np.unique(y)) - 1)
    observed = float(effect_sizes(x, y[:, None], observed_scope(x, y))[0])
    above = cells * np.array([observed, *effects_without(x, y, None, most=min_n)])
    return np.minimum(above, cells - above) < FEWEST_CELLS


def _asked(
    formula: str, data: Data, low: Collection[str], kind: Kind, scope: ScopeKind, levels: Levels,
    ranges: Ranges | None, n_permutations: int, seed: int, min_n: int | None,
) -> _Asked:  # fmt: skip
    for name, value, known in (("ceiling", kind, Kind), ("scope", scope, ScopeKind), ("levels", levels, Levels)):
        if value not in get_args(known):
            raise StudyError(f'{name} = "{value}" is not known. {did_you_mean(str(value), get_args(known))}')
    if not isinstance(n_permutations, Integral) or n_permutations < FEWEST_PERMUTATIONS:
        raise StudyError(f"n_permutations = {n_permutations!r} is too few. Use {FEWEST_PERMUTATIONS} or more.")
    parsed = parse_formula(formula)
    names = plain_terms(parsed, "A necessary condition")
    if isinstance(low, str):
        raise StudyError(f'Give low as a list, such as ["{low}"].')
    for name in low:
        if name not in names:
            raise StudyError(f'low names "{name}", which is no condition. {did_you_mean(name, names)}')
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    needed = scope == "theoretical" or levels == "actual"
    known = need_ranges(data, parsed.columns, ranges) if needed else {}
    return _Asked(parsed, names, frozenset(low), kind, scope, levels, known, policy, int(n_permutations), seed)


def plain_terms(formula: Formula, what: str) -> tuple[str, ...]:
    """Names of the terms, if all are plain columns; StudyError else."""
    if formula.outcome.transform or any(len(term) > 1 or term[0].transform for term in formula.terms):
        raise StudyError(
            f"{what} is one column as it is, because its level counts: no products and no functions. "
            f'Write the formula as "{formula.outcome.column} ~ a + b".'
        )
    if not formula.terms:
        raise StudyError(f'The formula "{formula.text}" names no condition. Name one at least after the ~.')
    return tuple(term[0].column for term in formula.terms)


def _conditions(design: Design, asked: _Asked) -> dict[str, Array]:
    """The columns by name; those of which a low level is needed are turned round (negative)."""
    texts = [name for name in asked.names if name in design.levels] + (
        [asked.formula.outcome.column] * bool(design.event)
    )
    if texts:
        raise DataError(f'"{texts[0]}" is text. A necessary condition and its outcome must be numbers.')
    found = {}
    for name in asked.names:
        x = design.x[:, design.names.index(name)]
        if abs(np.corrcoef(x, design.y)[0, 1]) > 1 - EXACT:
            raise DataError(
                f'"{name}" gives the outcome exactly. Is one computed from the other? Name another condition.'
            )
        found[name] = -x if name in asked.low else x
    _check_inside(found, design, asked)
    return found


def _check_inside(conditions: Mapping[str, Array], design: Design, asked: _Asked) -> None:
    columns = {name: asked_x * (-1 if name in asked.low else 1) for name, asked_x in conditions.items()}
    for name, values in (columns | {asked.formula.outcome.column: design.y}).items():
        low, high = asked.ranges.get(name, (-np.inf, np.inf))
        if values.min() < low or values.max() > high:
            raise DataError(f'"{name}" has values outside {low:g} to {high:g}. Correct the range, or the data.')


def _scope(name: str, x: Array, y: Array, asked: _Asked) -> Scope:
    if asked.scope == "empirical":
        return observed_scope(x, y)
    return Scope(*_turned(name, asked), *asked.ranges[asked.formula.outcome.column])


def _turned(name: str, asked: _Asked) -> tuple[float, float]:
    low, high = asked.ranges[name]
    return (-high, -low) if name in asked.low else (low, high)


def _examined(name: str, x: Array, y: Array, asked: _Asked) -> dict[str, object]:
    """Effect sizes and tests of one condition."""
    scope = _scope(name, x, y, asked)
    effects = {kind: float(effect_sizes(x, y[:, None], scope, kind)[0]) for kind in get_args(Kind)}
    rng = np.random.default_rng([asked.seed, asked.names.index(name)])
    options = {"kind": asked.kind, "n_permutations": asked.n_permutations, "rng": rng}
    kept = scope if asked.scope == "theoretical" else None
    least, most = effects_without(x, y, kept, kind=asked.kind, most=asked.policy.min_n)
    above = n_above(x, y, corner_line(corners(x, y)))
    return {
        "term": name,
        "effect_size": effects[asked.kind],
        "effect_step": effects["ce_fdh"],
        "effect_line": effects["cr_fdh"],
        "effect_low": least,
        "effect_high": most,
        "accuracy": 1 - above / len(y),
        "rank_correlation": float(stats.spearmanr(x, y).statistic),
        "p_value": p_value(effects[asked.kind], permuted_effects(x, y, scope, **options)),
        "p_correlated": p_value(effects[asked.kind], matched_effects(x, y, scope, **options)),
        "p_spread": p_value(effects[asked.kind], spread_effects(x, y, scope, **options)),
    }


def _without_few(name: str, x: Array, y: Array, asked: _Asked) -> list[dict[str, object]]:
    """The same without the few most influential respondents, those who lower the effect and those who raise it."""
    kept = _scope(name, x, y, asked) if asked.scope == "theoretical" else None
    stay = less_influential(x, y, kept, kind=asked.kind, most=asked.policy.min_n - 1)
    both = [each for each in stay if not each.all() and np.ptp(x[each]) > 0 and np.ptp(y[each]) > 0]
    return [_examined(name, x[each], y[each], asked) for each in both]


def _turned_verdicts(table: pd.DataFrame, turns: list[list[dict[str, object]]], n: int) -> NDArray[np.bool_]:
    """Conditions whose verdict would be another one without the few most influential respondents."""
    found = np.zeros(len(table), dtype=bool)
    columns = [name for name in table if name not in ("p_adjusted", "verdict", "reading")]
    for place, rows in enumerate(turns):
        for row in rows:
            other = table[columns].to_dict("records")
            other[place] = row
            found[place] |= _judged(pd.DataFrame(other), n)["verdict"][place] != table["verdict"][place]
    return found


def _judged(table: pd.DataFrame, n: int) -> pd.DataFrame:
    adjusted = holm(table[list(NULLS)].max(axis=1))
    table = table.assign(p_adjusted=adjusted)
    verdicts = [_verdict(row, n) for row in table.to_dict("records")]
    readings = [_reading(verdict, row) for verdict, row in zip(verdicts, table.to_dict("records"))]
    return table.assign(verdict=verdicts, reading=readings)


def _verdict(row: Mapping[str, float], n: int) -> str:
    large = row["effect_size"] >= SMALLEST_EFFECT
    if n < FEWEST:
        return TOO_FEW
    if large and row["effect_low"] >= SMALLEST_EFFECT and row["p_adjusted"] < LEVEL:
        return NECESSARY
    if row["effect_high"] < SMALLEST_EFFECT or (not large and n >= ENOUGH):
        return NOT_NECESSARY
    return CORRELATED if large and n >= ENOUGH and row["p_value"] < LEVEL else TOO_FEW


def _reading(verdict: str, row: Mapping[str, float]) -> str:
    if verdict == TOO_FEW:
        return "cannot tell"
    said = {
        NECESSARY: "high outcomes hardly occur without it, more than correlation and unequal spread explain",
        CORRELATED: _missing(row),
        NOT_NECESSARY: "the empty corner is too small to count",
    }
    return f"{EFFECT.read(row['effect_size'])} effect: {said[verdict]}"


def _missing(row: Mapping[str, float]) -> str:
    """Which condition of a necessary one is not met."""
    if row["p_correlated"] >= LEVEL:
        return "correlation alone may explain the empty corner"
    if row["p_spread"] >= LEVEL:
        return "an outcome that spreads more may explain the empty corner"
    return "rests on a few respondents" if row["effect_low"] < SMALLEST_EFFECT else NOT_CORRECTED


def _result(
    table: pd.DataFrame, above: tuple[int, ...], telling: NDArray[np.bool_], conditions: Mapping[str, Array],
    design: Design, asked: _Asked, labels: dict[str, str], doubts: tuple[Finding, ...],
) -> Necessity:  # fmt: skip
    outcome = labels.get(asked.formula.outcome.column, asked.formula.outcome.column)
    shared = {"labels": labels, "privacy": asked.policy}
    bottleneck = _bottleneck(conditions, design.y, asked, outcome, shared)
    checks = _checks(table, above, len(design.y), asked, _told_effects(telling))
    checklist = NecessityChecklist(
        title="Questions of the SCoRe checklist that data answer",
        note="Numbers as in the checklist of Dul (2026). Those not listed are about theory, design and text: only the "
        "author can answer them.",
        rows=pd.DataFrame(list(checks), columns=["check", "verdict", "reason"]),
        n=len(design.y),
        **shared,
    )
    return Necessity(
        title=f"Is it necessary for {outcome}?",
        note=_note(asked, labels),
        findings=(*design.findings, *_findings(table, design, asked, labels), *doubts),
        conditions=table,
        bottleneck=bottleneck,
        checklist=checklist,
        summary={"n": len(design.y), "n_dropped": design.n_dropped, "ceiling": KINDS[asked.kind], "scope": asked.scope},
        above=above,
        telling=telling,
        **shared,
    )


def _note(asked: _Asked, labels: Mapping[str, str]) -> str:
    parts = [
        f"d is the share of the {asked.scope} scope above the {KINDS[asked.kind]}. p: against data without any "
        "connection. p (correlation), p (spread): against data that are correlated as strongly, and against data that "
        f"rise and spread as these do, without a ceiling. Corrected: the largest, after Holm. Necessary: "
        f"d of .10 or more, also without the {asked.policy.min_n} most influential respondents, and a corrected p "
        "below .05",
        "One wave shows what occurs together; why something should be necessary is for theory to say",
    ]
    if asked.low:
        names = join_words([labels.get(name, name) for name in sorted(asked.low)])
        parts.append(f"Asked is whether a low level is necessary: {names}")
    return ". ".join(parts) + "."


def _findings(table: pd.DataFrame, design: Design, asked: _Asked, labels: Mapping[str, str]) -> Iterator[Finding]:
    n = len(design.y)
    if n < ENOUGH:
        text = f"Fewer than {ENOUGH} respondents: an empty corner can easily be chance, and its absence shows nothing."
        yield Finding(name="too_little_data", text=text, severity="serious" if n < FEWEST else "warning")
    if design.n_dropped > 0.10 * (n + design.n_dropped):
        text = "More than 10 % of the rows were left out because an answer is missing; those who remain may differ."
        yield Finding(name="many_dropped", text=text)
    falling = goes_with_less(table, n, asked.low)
    if falling.any():
        names = join_words([labels.get(name, name) for name in table.loc[falling, "term"]])
        text = f"{names}: goes with a lower outcome. Should little of it be needed, name it in low=, before looking."
        yield Finding(name="goes_with_less", text=text)
    few = _rests_on_few(table)
    if few.any():
        names = join_words([labels.get(name, name) for name in table.loc[few, "term"]])
        text = f"{names}: without the {asked.policy.min_n} most influential respondents d falls to less than half."
        yield Finding(name="ceiling_rests_on_few", text=text)
    spreads = (table["verdict"] == CORRELATED) & (table["p_correlated"] < LEVEL) & (table["p_spread"] >= LEVEL)
    if spreads.any():
        names = join_words([labels.get(name, name) for name in table.loc[spreads, "term"]])
        text = f"{names}: the outcome spreads more where there is more of it, and such a corner needs no ceiling then."
        yield Finding(name="spread_looks_like_a_ceiling", text=text)
    if (table["verdict"] == NECESSARY).any():
        text = "A soft ceiling and a spread that grows leave the same corner; what is necessary is for theory to say."
        yield Finding(name="theory_decides", text=text, severity="info")
    tempting = (table["p_value"] < LEVEL) & (table["p_correlated"] >= LEVEL)
    if tempting.any():
        names = join_words([labels.get(name, name) for name in table.loc[tempting, "term"]])
        text = f"{names}: the usual permutation test alone would say necessary; correlation is enough to explain it."
        yield Finding(name="permutation_test_not_enough", text=text, severity="info")


def goes_with_less(table: pd.DataFrame, n: int, low: Collection[str]) -> pd.Series:
    """Conditions with a clearly negative rank correlation, but for those of which little is asked."""
    r = table["rank_correlation"].clip(-1 + EXACT, 1 - EXACT)
    p = 2 * stats.t.sf(np.abs(r) * np.sqrt((n - 2) / (1 - r**2)), n - 2)
    return (r < 0) & (p < LEVEL) & ~table["term"].isin(low)


def _doubts(
    data: Data, turned: Collection[str], design: Design, conditions: Mapping[str, Array], min_n: int
) -> Iterator[Finding]:
    """Verdicts that a few respondents can turn, and teams whose members answer alike."""
    labels = labels_of(data)
    if len(turned):
        names = join_words([labels.get(name, name) for name in turned])
        text = f"The verdict on {names} would be another one without fewer than {min_n} respondents, those it rests on."
        yield Finding(name="verdict_rests_on_few", text=text)
    for unit in data.codebook.of_kind("unit") if isinstance(data, Survey) else ():
        teams = pooled_column(data, unit.name)[design.used]
        alike = [name for name, x in conditions.items() if _alike(x, teams) and _alike(design.y, teams)]
        if alike:
            names = join_words([labels.get(name, name) for name in alike])
            text = (
                f"Answers on {names} and on the outcome differ by {labels.get(unit.name, unit.name)}. The tests take "
                "all respondents for independent, so that p is too small."
            )
            yield Finding(name="teams_answer_alike", text=text)


def _alike(values: Array, teams: pd.Series) -> bool:
    """Whether respondents of one team resemble each other more than chance (F test)."""
    parts = [values[where] for where in teams.reset_index(drop=True).groupby(teams.to_numpy()).indices.values()]
    parts = [part for part in parts if len(part) > 1]
    return len(parts) > 1 and bool(stats.f_oneway(*parts).pvalue < LEVEL)


def _rests_on_few(table: pd.DataFrame) -> pd.Series:
    """Conditions with an effect that falls to less than half without the most influential respondents."""
    return (table["effect_size"] >= SMALLEST_EFFECT) & (table["effect_low"] < table["effect_size"] / 2)


def _untold(table: pd.DataFrame, telling: NDArray[np.bool_], labels: Mapping[str, str]) -> Iterator[Finding]:
    if telling.any():
        names = join_words([labels.get(name, name) for name in table.loc[telling.any(axis=1), "term"]])
        text = f"{names}: numbers left out (–) would tell the answers of single respondents."
        yield Finding(name="effect_not_shown", text=text, severity="info")


def _bottleneck(
    conditions: Mapping[str, Array], y: Array, asked: _Asked, outcome: str, shared: Mapping[str, object]
) -> Bottlenecks:
    parts = [_needed_rows(name, x, y, asked) for name, x in conditions.items()]
    rows = pd.concat(parts, ignore_index=True)
    percent = asked.levels == "percent"
    units = f"percent of the {asked.scope} scope" if percent else "points of the answer scale"
    few = asked.policy.min_n
    return Bottlenecks(
        title=f"What goes with a level of {outcome}",
        note=f"Levels in {units}. Of those who reach the level on the left, fewer than {few} (perhaps nobody) have "
        "less (more, where a low level is asked) than the level in the cell. Not needed: every level of the condition "
        f"occurs. Hidden: fewer than {few} respondents reach the level.",
        rows=rows,
        n=len(y),
        unit="%" if percent else "",
        low=asked.low,
        **shared,
    )


def _needed_rows(name: str, x: Array, y: Array, asked: _Asked) -> pd.DataFrame:
    x_levels, y_levels = _levels(name, x, y, asked)
    held = held_levels(x, y, x_levels=x_levels, y_levels=y_levels, min_n=asked.policy.min_n)
    if asked.levels == "percent":
        scope = _scope(name, x, y, asked)
        told = np.round(100 * (held - scope.x_low) / (scope.x_high - scope.x_low))
        told, reached = (100 - told if name in asked.low else told), 100 * TENTHS
    else:
        told, reached = (-held if name in asked.low else held), y_levels
    reading = np.where(np.isnan(held), None, np.where(held == x_levels[0], "not needed", "needed"))
    rows = {"term": name, "outcome_level": reached, "needed_level": told, "reading": reading, "hidden": np.isnan(held)}
    return pd.DataFrame(rows)


def _levels(name: str, x: Array, y: Array, asked: _Asked) -> tuple[Array, Array]:
    """Levels that may be named: tenths of the scope, or round numbers of the answer scale."""
    if asked.levels == "percent":
        scope = _scope(name, x, y, asked)
        across, up = scope.x_high - scope.x_low, scope.y_high - scope.y_low
        return scope.x_low + across * TENTHS, scope.y_low + up * TENTHS
    return _round_levels(*_turned(name, asked)), _round_levels(*asked.ranges[asked.formula.outcome.column])


def _round_levels(low: float, high: float) -> Array:
    """About ten round numbers from the lowest to the highest.

    >>> _round_levels(1, 5).tolist()
    [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]
    """
    power = 10.0 ** np.floor(np.log10((high - low) / 10))
    step = next(power * nice for nice in NICE if (high - low) / (power * nice) <= 10 + EXACT)
    return np.append(np.arange(low, high - step / 2, step), high)


def _told_effects(telling: NDArray[np.bool_]) -> tuple[str, str]:
    """Whether effect sizes and p are told, and where they are if not."""
    hidden = telling[:, 0]
    if not hidden.any():
        return "yes", "With two decimals; p also against correlated data."
    whose = "none" if hidden.all() else f"{(~hidden).sum()} of {len(hidden)} conditions"
    return (
        "no" if hidden.all() else "in part",
        f"Of {whose} here, where a number would tell single answers; tidy() has all, for your own eyes.",
    )


def _checks(
    table: pd.DataFrame, above: tuple[int, ...], n: int, asked: _Asked, told: tuple[str, str]
) -> Iterator[tuple[str, str, str]]:
    few, many = asked.policy.min_n, ENOUGH
    enough = "yes" if n >= many else "no"
    yield "15. Is the sample large enough?", enough, f"{n} respondents; the rule of thumb is {many}."
    yield "19. Are only allowed transformations used?", "yes", "None are: the formula takes columns as they are."
    yield "20. Is the ceiling specified?", "yes", f"The {KINDS[asked.kind]}; effect sizes of both are told."
    yield "21. Is the scope specified?", "yes", f"{asked.scope.capitalize()}."
    yield "22. Are thresholds stated?", "yes", f"d of {SMALLEST_EFFECT:.2f}, p of {LEVEL:.2f}, corrected for several."
    yield _outlier_check(table, few)
    yield _accuracy_check(above, n, few)
    yield "27. Is the software specified?", "yes", f"smstudy {version('smstudy')}."
    plots = "A plot of points would show single persons; the bottleneck picture shows what holds for enough of them."
    yield "29. Are XY plots shown?", "no", plots
    yield "31. Are effect size and p reported?", *told
    yield "32. Does the verdict rest on theory, d and p?", "in part", "On d and p. The theory is for you to give."
    yield "33. Is the bottleneck table reported?", "yes", f"With levels that hold for all but fewer than {few} people."
    yield "34. Are NN and NA explained?", "yes", 'NN is "not needed"; NA cannot occur, levels lie inside the scope.'
    yield _robustness_check(table)


def _outlier_check(table: pd.DataFrame, few: int) -> tuple[str, str, str]:
    moved = _rests_on_few(table).any()
    words = "At least one d falls to less than half" if moved else "No d of .10 or more falls to less than half"
    return (
        "24. Are outliers analyzed?",
        "yes",
        f"{words} without the {few} most influential respondents; nobody is removed.",
    )


def _accuracy_check(above: tuple[int, ...], n: int, few: int) -> tuple[str, str, str]:
    question = f"25. Is the straight ceiling accurate (at least {ACCURATE:.0%} below it)?"
    allowed = (1 - ACCURATE) * n
    if allowed < few - 1:
        return question, "cannot tell", "Too few respondents: the answer would tell how few are above it."
    return question, "yes" if max(above) <= allowed else "no", "The step ceiling has nobody above it by definition."


def _robustness_check(table: pd.DataFrame) -> tuple[str, str, str]:
    question = "36. Do other choices lead to the same effect?"
    sizes = table[["effect_step", "effect_line", "effect_low"]] >= SMALLEST_EFFECT
    same = sizes.eq(sizes["effect_step"], axis=0).all(axis=1)
    if same.all():
        return question, "yes", "With either ceiling and without the most influential d is on the same side of .10."
    names = join_words([str(name) for name in table.loc[~same, "term"]])
    return question, "no", f"For {names} d reaches .10 with one choice and not with another."
