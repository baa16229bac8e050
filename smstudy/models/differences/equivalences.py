"""Is a difference, a correlation or a slope too small to matter? Two one-sided tests with a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa
from smstudy.display import bounds as pictures
from smstudy.display.prose import join_words, lower_first
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError, did_you_mean
from smstudy.inference.equivalence_tests import (
    Bounds,
    Equivalence,
    equivalent_correlation,
    equivalent_estimate,
    equivalent_pairs_standardized,
    equivalent_share,
    equivalent_shares,
    equivalent_standardized,
)
from smstudy.inference.group_tests import (
    Moments,
    Shares,
    contrast,
    moments,
    paired_standardized,
    standardized_contrast,
    standardized_difference,
)
from smstudy.inference.multiplicity import holm
from smstudy.inference.regression.design import Design, build_design
from smstudy.inference.regression.formula import Factor, Formula
from smstudy.models.differences.comparisons import (
    Sample,
    findings_of,
    is_number,
    level_place,
    sample_of,
    weights_finding,
)
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, frame_of, labels_of, privacy_of
from smstudy.survey.disclosure import pool_hidden

Array = NDArray[np.float64]
Unit = Literal["raw", "sd"]
EQUIVALENT, DIFFERENT, CANNOT_TELL = "equivalent", "different", "cannot tell"
SMALL_BUT_THERE = "different, but too small to matter"
CERTAIN = 0.05
LARGE = 0.80
SAME = 1e-6
VALUES = ("estimate", "difference")
CHOOSE = (
    "There is no default for the smallest effect that matters, because only you know what would change a decision. Fix "
    "it before looking at the data: the change in answer steps that people notice or that a measure must reach to be "
    "worth its cost, or the smallest effect of earlier studies. Then say, for instance, bounds=0.3 for 0.3 of the "
    'outcome\'s own unit, or bounds=0.2, unit="sd" for 0.2 standard deviations; bounds=(-0.1, 0.3) if sides differ.'
)
RULE = (
    "Equivalent: the 90% interval lies within the bounds (two one-sided tests at 5%). Different: the 95% interval does "
    "not hold zero. Both: different, but too small to matter. Neither: cannot tell"
)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class EquivalenceTest(Result):
    """Effects against the bounds from which on they matter, one row each."""

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar = staticmethod(pictures.within_bounds)

    def tidy(self) -> pd.DataFrame:
        """One row per effect."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, and the verdict where there is one row only."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out what the note says and what only computations need."""
        left = ("std_error", "df", "p_value", "bound_low", "bound_high")
        return shown[[name for name in shown if name not in left and shown[name].notna().any()]]

    def pooling(self) -> Poolable:
        """The effects with their standard errors; test the pooled ones again.

        Raises
        ------
        EstimationError
            If the tests do not rest on a standard error.
        """
        rows = self.rows
        if rows["std_error"].isna().any():
            raise EstimationError(
                "These tests rest on no standard error and cannot be pooled. Pool regress() and test that, or use "
                'unit="raw".'
            )
        return Poolable(
            keys=rows[[name for name in ("term", "group", "other_group") if name in rows]],
            estimates=rows["estimate"].to_numpy(float),
            covariance=np.diag(rows["std_error"].to_numpy(float) ** 2),
            df_complete=rows["df"].fillna(np.inf).to_numpy(float),
            n=int(self.summary.get("n", 0)),
            title=self.title,
            note="Effects as they are; test the pooled ones for equivalence.",
        )


class _Measured(NamedTuple):
    """One effect tested: what it is about, who is behind it and what it is called."""

    about: dict[str, object]
    found: Equivalence
    what: str
    higher: tuple[str, str] = ("higher", "lower")
    unit_spread: float = float("nan")
    standardized: float = float("nan")
    n_dropped: int = 0
    findings: tuple[Finding, ...] = ()


class _Asked(NamedTuple):
    bounds: Bounds
    unit: Unit
    group: str | None
    levels: tuple[str, str] | None
    against: float | str | None
    other: str | None
    policy: Privacy


def equivalence(
    data: Data | Result,
    outcome: str | Sequence[str],
    *,
    bounds: float | tuple[float, float] | None = None,
    unit: Unit = "raw",
    group: str | None = None,
    levels: tuple[str, str] | None = None,
    against: float | str | None = None,
    other: str | None = None,
    min_n: int | None = None,
) -> EquivalenceTest:
    """Say whether an effect is too small to matter, is there, both, or cannot be told.

    One of `group`, `against` and `other` says what is asked of data; a row of an earlier result needs none.

    Parameters
    ----------
    data : Survey, DataFrame or Result
        Answers; or a result with estimates, standard errors and degrees of freedom, such as of `regress`, `changes`,
        `compare_groups`, `planned_contrasts`, `congruence` or `pool`. Weights: test a row of `regress` with weights.
    outcome : str or sequence of str
        What is compared: numbers, or 0 and 1 (then shares); of a result the term of the row. Several are corrected by
        Holm, both for equivalence and for difference.
    bounds : float or (float, float)
        Smallest effect that matters, without a default: 0.3 is (-0.3, 0.3).
    unit : {"raw", "sd"}
        Whether bounds are in the outcome's own unit (points of 0 to 1 for shares), or in standard deviations.
    group : str, optional
        Column of two groups: first minus second, by Welch's test, shares by score tests. Of a result: whose row.
    levels : (str, str), optional
        Which two groups, in this order; needed if there are more than two.
    against : float or str, optional
        A value the mean is compared with; or a column with a second answer of the same respondents, such as in an
        earlier wave.
    other : str, optional
        Column whose correlation with the outcome is asked for; bounds are correlations.
    min_n : int, optional
        Raises the threshold below which groups are put together.

    Returns
    -------
    EquivalenceTest
        `verdict` is "equivalent" if the 90 % interval lies within the bounds, "different" if the 95 % interval does not
        hold zero, "different, but too small to matter" if both, else "cannot tell".

    Raises
    ------
    StudyError
        If bounds are missing, not around zero, or options do not fit together.
    DataError
        If a column or row is unknown, the outcome is text or does not vary, or there are not two groups.
    DisclosureError
        If a group is smaller than the threshold.

    References
    ----------
    Lakens, Scheel & Isager (2018), Advances in Methods and Practices in Psychological Science 1, 259-269. Agrees with
    two one-sided `t.test` of R, `prop.test` and `cor.test` (tests/reference/comparisons.R).

    Examples
    --------
    >>> frame = pd.DataFrame({"site": ["N", "S"] * 100, "use": [3.0, 4, 4, 3, 2, 3, 3, 2] * 25})
    >>> equivalence(frame, "use", group="site", bounds=0.5).tidy()["verdict"][0]
    'equivalent'
    """
    limits = _bounds(bounds)
    if unit not in get_args(Unit):
        raise StudyError(f'unit = "{unit}" is not known. {did_you_mean(str(unit), get_args(Unit))}')
    policy = data.privacy if isinstance(data, Result) else privacy_of(data)
    policy = policy if min_n is None else policy.raised_to(min_n)
    asked = _Asked(limits, unit, group, levels, against, other, policy)
    outcomes = list(dict.fromkeys([outcome] if isinstance(outcome, str) else outcome))
    if not outcomes:
        raise StudyError("Name at least one outcome.")
    if isinstance(data, Result):
        if against is not None or other is not None:
            raise StudyError("against= and other= ask for tests of data; a row of a result is tested as it is.")
        measured = [_of_result(data, name, asked) for name in outcomes]
        return _result(measured, data.labels, asked, f"Too small to matter? {data.title}")
    frame_of(data)
    measure = _measure_of(asked)
    labels = labels_of(data)
    measured = [measure(data, name, asked) for name in outcomes]
    result = _result(measured, labels, asked, _title(outcomes, asked, labels))
    return replace(result, findings=(*result.findings, *weights_finding(data)))


def _bounds(bounds: float | tuple[float, float] | None) -> Bounds:
    if bounds is None:
        raise StudyError(CHOOSE)
    given = bounds.tolist() if isinstance(bounds, np.ndarray) else bounds
    ends = (-given, given) if is_number(given) else tuple(given) if isinstance(given, (tuple, list)) else ()
    if any(isinstance(end, Real) and abs(end) == np.inf for end in ends):
        raise StudyError(
            f'bounds = {bounds!r} ask for one side only, and verdicts are about both. For "not worse by more than 0.3" '
            "give bounds=0.3 and read narrow_low: above -0.3 it says so, at 5 %."
        )
    if len(ends) != 2 or not all(map(is_number, ends)) or not ends[0] < 0 < ends[1]:
        raise StudyError(
            f"bounds = {bounds!r} is no room around zero. Give one number above 0, such as 0.3, or the lower and the "
            "upper bound in this order, such as (-0.1, 0.3)."
        )
    return float(ends[0]), float(ends[1])


def _measure_of(asked: _Asked) -> Callable[[Data, str, _Asked], _Measured]:
    """What is asked of the data."""
    named = {"group": asked.group, "against": asked.against, "other": asked.other}
    given = [name for name, value in named.items() if value is not None]
    if len(given) != 1:
        raise StudyError(
            "Say what the outcome is tested against by one of group= (two groups), against= (a value, or an earlier "
            f"answer of the same people) and other= (a correlation); given: {join_words(given) or 'none'}."
        )
    if asked.levels is not None and asked.group is None:
        raise StudyError("levels= names two groups of group=. Say group= too, or leave levels= out.")
    if asked.group is not None:
        return _of_groups
    if asked.other is not None:
        return _of_correlation
    return _of_pairs if isinstance(asked.against, str) else _of_value


def _of_groups(data: Data, outcome: str, asked: _Asked) -> _Measured:
    sample = sample_of(data, outcome, [asked.group], asked.policy)
    places = _two_levels(sample, asked)
    parts = [sample.values[place] for place in places]
    found = moments(parts)
    if sample.shares:
        _refuse_sd_of_shares(asked)
        counts = Shares(tuple(float(part.sum()) for part in parts), tuple(float(len(part)) for part in parts))
        test = equivalent_shares(counts, _share_bounds(asked.bounds))
        what = "Difference of shares" + (f' of "{sample.design.event}"' if sample.design.event else "")
    elif asked.unit == "sd":
        test = equivalent_standardized(found, np.array([1.0, -1.0]), asked.bounds)
        what = "Difference of means in standard deviations within groups (Hedges' g)"
    else:
        plain = contrast(found, np.array([1.0, -1.0]))
        test = equivalent_estimate(plain.estimate, plain.std_error, plain.df, asked.bounds)
        what = "Difference of means, by Welch's test"
    first, second = (sample.names[place] for place in places)
    return _Measured(
        {"term": outcome, "group": first, "other_group": second, "n": sum(map(len, parts))}, test, what,
        unit_spread=_spread(found, asked), n_dropped=sample.design.n_dropped,
        standardized=np.nan if sample.shares else standardized_difference(found).estimate,
        findings=tuple(findings_of(sample, found)),
    )  # fmt: skip


def _two_levels(sample: Sample, asked: _Asked) -> tuple[int, int]:
    if asked.levels is None:
        if len(sample.names) != 2:
            raise DataError(
                f'"{asked.group}" has {len(sample.names)} groups. Name the two to compare, such as '
                f'levels=("{sample.names[0]}", "{sample.names[1]}").'
            )
        return 0, 1
    if isinstance(asked.levels, str) or len(asked.levels) != 2 or asked.levels[0] == asked.levels[1]:
        raise StudyError(f"levels = {asked.levels!r} does not name two different groups.")
    first, second = (level_place(sample.names, level, asked.group) for level in asked.levels)
    return first, second


def _design(data: Data, outcome: str, column: str | None, asked: _Asked) -> Design:
    """The outcome, and a second column of numbers if there is one, of the complete rows."""
    if column == outcome:
        raise StudyError(f'"{outcome}" cannot be tested against itself. Name another column.')
    terms = () if column is None else ((Factor(column),),)
    formula = Formula(f"{outcome} and {column}", Factor(outcome), terms, True)
    design = build_design(formula, pool_hidden(data, formula.columns), min_level_n=asked.policy.min_n)
    if design.levels:
        raise DataError(f'"{column}" is text. Name a column of numbers.')
    if design.event and column is not None:
        raise DataError(f'"{outcome}" is text. Name a column of numbers.')
    return design


def _of_value(data: Data, outcome: str, asked: _Asked) -> _Measured:
    if not is_number(asked.against):
        raise StudyError(f"against = {asked.against!r} is no value. Give a number or the name of a column.")
    design, value = _design(data, outcome, None, asked), float(asked.against)
    y, n = design.y, len(design.y)
    about = {"term": outcome, "n": n}
    if np.isin(y, (0.0, 1.0)).all():
        return _share_of_value(design, about, value, asked)
    found = moments([y - value])
    if asked.unit == "sd":
        test = equivalent_standardized(found, np.ones(1), asked.bounds)
        return _Measured(about, test, f"Mean less {value:g} in standard deviations", n_dropped=design.n_dropped)
    plain = contrast(found, np.ones(1))
    test = equivalent_estimate(plain.estimate, plain.std_error, plain.df, asked.bounds)
    effect = standardized_contrast(found, np.ones(1)).estimate
    return _Measured(about, test, f"Mean less {value:g}, by a t test", unit_spread=_spread(found, asked),
                     standardized=effect, n_dropped=design.n_dropped)  # fmt: skip


def _share_of_value(design: Design, about: dict[str, object], value: float, asked: _Asked) -> _Measured:
    _refuse_sd_of_shares(asked)
    events, n = float(design.y.sum()), len(design.y)
    if not 0 < value < 1:
        raise StudyError(f"against = {value:g} is no share. The outcome has two answers, so give a share from 0 to 1.")
    test = equivalent_share(events, n, value, _share_bounds(asked.bounds))
    return _Measured(about, test, f"Share less {value:g}, by score tests", n_dropped=design.n_dropped)


def _of_pairs(data: Data, outcome: str, asked: _Asked) -> _Measured:
    design = _design(data, outcome, asked.against, asked)
    first, second = design.y, design.x[:, -1]
    change = first - second
    if len(change) - np.unique(change, return_counts=True)[1].max() < asked.policy.min_n:
        raise DisclosureError(
            f'"{outcome}" and "{asked.against}" differ by the same for all respondents, or all but fewer than '
            f"{asked.policy.min_n}, so the mean would tell about these."
        )
    about = {"term": outcome, "other_term": asked.against, "n": len(change)}
    if asked.unit == "sd":
        test = equivalent_pairs_standardized(first, second, asked.bounds)
        what = "Mean difference of the same people in (average) standard deviations of both answers"
        return _Measured(about, test, what, n_dropped=design.n_dropped)
    plain = contrast(moments([change]), np.ones(1))
    test = equivalent_estimate(plain.estimate, plain.std_error, plain.df, asked.bounds)
    spread = _spread(moments([first, second]), asked)
    return _Measured(about, test, "Mean difference of the same people, by a paired t test", unit_spread=spread,
                     standardized=paired_standardized(first, second).estimate, n_dropped=design.n_dropped)  # fmt: skip


def _of_correlation(data: Data, outcome: str, asked: _Asked) -> _Measured:
    if asked.unit == "sd":
        raise StudyError("Bounds of a correlation are correlations. Leave unit= out, and say bounds=0.1, for instance.")
    if max(map(abs, asked.bounds)) >= 1:
        raise StudyError("Bounds of a correlation must lie between -1 and 1. Give a correlation, such as bounds=0.1.")
    design = _design(data, outcome, asked.other, asked)
    correlation = float(np.corrcoef(design.y, design.x[:, -1])[0, 1])
    if abs(correlation) > 1 - SAME:
        raise EstimationError(f'"{outcome}" and "{asked.other}" give each other exactly, so there is nothing to test.')
    n = len(design.y)
    about = {"term": outcome, "other_term": asked.other, "n": n}
    test = equivalent_correlation(correlation, n, asked.bounds)
    return _Measured(about, test, "Pearson correlation, by Fisher's z", ("positive", "negative"),
                     n_dropped=design.n_dropped)  # fmt: skip


def _of_result(result: Result, term: str, asked: _Asked) -> _Measured:
    row = _row(result, term, asked)
    value = next((row[name] for name in VALUES if name in row), None)
    if value is None or "std_error" not in row:
        raise DataError(f"A {type(result).__name__} has no estimates with standard errors, so none can be tested.")
    error, df = float(row["std_error"]), float(row.get("df", np.nan))
    df = np.inf if np.isnan(df) else df
    if not (np.isfinite([value, error]).all() and error > 0):
        raise EstimationError(f'The row "{term}" has no standard error, so it cannot be tested.')
    _refuse_other_intervals(result, row, float(value), error, df)
    scale = _scale(result, row, float(value), asked)
    test = equivalent_estimate(float(value) * scale, error * scale, df, asked.bounds)
    about: dict[str, object] = {name: row[name] for name in ("term", "group", "other_group", "category") if name in row}
    n = row.get("n", result.glance().get("n"))
    what = "As in the result it is from" + (", in standard deviations" if asked.unit == "sd" else "")
    return _Measured(about | ({"n": int(n)} if n else {}), test, what, ("positive", "negative"))


def _row(result: Result, term: str, asked: _Asked) -> Mapping[str, object]:
    """The one row that is meant; hidden ones are not to be had."""
    rows = result.shown()
    if "term" not in rows or term not in set(rows["term"]):
        known = list(map(str, rows["term"])) if "term" in rows else []
        raise DataError(f'The result has no row "{term}". {did_you_mean(term, known)}')
    rows = rows[rows["term"] == term]
    wanted = {"group": asked.group} if asked.levels is None else dict(zip(("group", "other_group"), asked.levels))
    for column, name in wanted.items():
        if name is not None:
            rows = rows[rows[column] == name] if column in rows else rows[:0]
    if len(rows) != 1:
        raise DataError(
            f'{len(rows)} rows of the result are about "{term}". Say which by group=, or for pairs of groups by '
            'levels=("first", "second").'
        )
    row = rows.iloc[0].to_dict()
    if row.get("hidden") is True or row.get("hidden") == 1:
        raise DisclosureError("This row is hidden to protect people, so it cannot be tested.")
    return row


def _refuse_other_intervals(result: Result, row: Mapping[str, object], value: float, error: float, df: float) -> None:
    """Refuse rows whose own interval does not follow from standard error and degrees of freedom."""
    level = float(result.glance().get("conf_level", 0.95))
    ends = np.array([row.get("conf_low", np.nan), row.get("conf_high", np.nan)], dtype=float)
    half = float(stats.t.isf((1 - level) / 2, df)) * error
    if np.isfinite(ends).all() and np.abs(ends - [value - half, value + half]).max() > SAME * half:
        raise EstimationError(
            "The interval of this row does not follow from its standard error (a bootstrap, a share or ranks), so the "
            "two tests would not agree with it. Test the data, or a result with t intervals."
        )


def _scale(result: Result, row: Mapping[str, object], value: float, asked: _Asked) -> float:
    if asked.unit == "raw":
        return 1.0
    standardized = float(row.get("std_estimate", np.nan))
    if not np.isfinite(standardized) or value == 0:
        raise StudyError(
            f"This row of a {type(result).__name__} has no standardized estimate that its error could be scaled by. "
            "Give bounds in its own unit, or test the data."
        )
    return standardized / value


def _spread(found: Moments, asked: _Asked) -> float:
    """Standard deviation that raw bounds are judged by."""
    return float("nan") if asked.unit == "sd" else float(np.sqrt(found.pooled_variance))


def _share_bounds(bounds: Bounds) -> Bounds:
    if max(map(abs, bounds)) >= 1:
        raise StudyError("Bounds of shares lie between -1 and 1: 0.05 are 5 points in 100.")
    return bounds


def _refuse_sd_of_shares(asked: _Asked) -> None:
    if asked.unit == "sd":
        raise StudyError("The outcome has two answers. Give bounds in shares: bounds=0.05 are 5 points in 100.")


def _result(measured: Sequence[_Measured], labels: Mapping[str, str], asked: _Asked, title: str) -> EquivalenceTest:
    rows = pd.DataFrame([each.about | each.found._asdict() for each in measured])
    rows["g"] = [each.standardized for each in measured]
    rows["bound_low"], rows["bound_high"] = asked.bounds
    corrected = [holm(rows[name].to_numpy(float)) for name in ("p_value", "p_equivalent")]
    rows["verdict"] = [verdict_of(*pair) for pair in zip(*corrected, strict=True)]
    rows["reading"] = [_reading(row, each.higher) for row, each in zip(rows.to_dict("records"), measured, strict=True)]
    summary: dict[str, int | float | str] = {"n": int(rows["n"].max())} if "n" in rows else {}
    if len(rows) == 1:
        summary |= {"n_dropped": measured[0].n_dropped, "verdict": rows["verdict"][0]}
    return EquivalenceTest(
        title=title,
        note=_note(measured, asked.bounds),
        findings=tuple(dict.fromkeys(_findings(measured, asked))),
        labels=labels,
        privacy=asked.policy,
        rows=rows,
        summary=summary | {"conf_level": 0.95},
    )


def verdict_of(p_value: float, p_equivalent: float) -> str:
    """The verdict from both p values.

    >>> verdict_of(0.60, 0.01), verdict_of(0.01, 0.60), verdict_of(0.01, 0.01), verdict_of(0.60, 0.60)
    ('equivalent', 'different', 'different, but too small to matter', 'cannot tell')
    """
    different, equivalent = p_value < CERTAIN, p_equivalent < CERTAIN
    if different:
        return SMALL_BUT_THERE if equivalent else DIFFERENT
    return EQUIVALENT if equivalent else CANNOT_TELL


def _reading(row: Mapping[str, object], higher: tuple[str, str]) -> str:
    """The verdict for people who decide."""
    direction = higher[0] if row["estimate"] > 0 else higher[1]
    beyond = row["conf_low"] >= row["bound_high"] or row["conf_high"] <= row["bound_low"]
    if row["verdict"] == EQUIVALENT:
        most = max(abs(row["narrow_low"]), abs(row["narrow_high"]))
        return f"no effect that matters: at most {apa.number(most)} in either direction"
    if row["verdict"] == SMALL_BUT_THERE:
        return f"{direction}, but by too little to matter"
    if row["verdict"] == DIFFERENT:
        return f"{direction}, by enough to matter" if beyond else f"{direction}; whether by enough to matter is open"
    return "too little data: there may be no effect, or one that matters"


def _findings(measured: Sequence[_Measured], asked: _Asked) -> Iterator[Finding]:
    for each in measured:
        yield from each.findings
    widest = max(map(abs, asked.bounds))
    spreads = [1.0] if asked.unit == "sd" else [each.unit_spread for each in measured]
    if any(widest >= LARGE * spread for spread in spreads):
        text = (
            f"The bounds are {LARGE:g} standard deviations or wider: effects that are usually called large would "
            "count as too small to matter."
        )
        yield Finding(name="wide_bounds", text=text)


def _note(measured: Sequence[_Measured], bounds: Bounds) -> str:
    what = list(dict.fromkeys(each.what for each in measured))
    several = "; p corrected by Holm for the rows (their intervals are not)" if len(measured) > 1 else ""
    return (
        f"{'; '.join(what)}. {RULE}{several}. Effects from {apa.number(bounds[0])} to "
        f"{apa.number(bounds[1])} are too small to matter: these bounds were given, not found in the data."
    )


def _title(outcomes: Sequence[str], asked: _Asked, labels: Mapping[str, str]) -> str:
    words = join_words([labels.get(name, name) for name in outcomes])
    named = asked.group or asked.other or (asked.against if isinstance(asked.against, str) else None)
    if named is None:
        return f"Too small to matter? {words} against {asked.against:g}"
    joint = "by" if asked.group else "and"
    return f"Too small to matter? {words} {joint} {lower_first(labels.get(named, named))}"
