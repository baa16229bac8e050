"""Do two groups have the same path model? Multi-group comparison by permutation, with the gate that comes before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import figures
from smstudy.display.prose import join_words
from smstudy.errors import ColumnError, EstimationError, StudyError, did_you_mean
from smstudy.inference.multiplicity import holm
from smstudy.inference.partial_least_squares import Inner, PathFit, score_reliabilities
from smstudy.inference.path_permutation import ROUNDING, GroupContrast, compare_groups, permutation_p
from smstudy.inference.threads import one_thread
from smstudy.models.path_models.answers import PathAnswers, read_paths, refuse_improper, refuse_unusable
from smstudy.models.path_models.findings import left_out_finding, measurement_findings
from smstudy.models.path_models.tables import FittedPaths, PathDraws, PathTable, constructs_table, items_table
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_level, check_resamples, check_seed
from smstudy.survey.dataset import Data, frame_of
from smstudy.survey.disclosure import pool_hidden

Array = NDArray[np.float64]
ALPHA = 0.05
MOST_FAILED = 0.05
LEAST_PERMUTATIONS = 100
UNLIKE_RELIABILITY = 0.1  # of rho_A: a path of .4 between two such constructs then differs by .04 or more
DIFFER, CANNOT_TELL, NOT_COMPARABLE = "differ", "cannot tell", "not comparable"
ZERO_INSIDE = "p speaks for a difference, the interval holds 0."
SHOWN = ("term", "outcome", "estimate", "other_estimate", "difference", "conf_low", "conf_high", "p_value",
         "p_adjusted", "verdict", "reason")  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class PathComparison(Result):
    """Paths of two groups side by side.

    Attributes
    ----------
    rows : DataFrame
        The tidy table: one row per path; `estimate` is of the first group, `difference` first minus second.
    invariance : PathTable
        Whether constructs are made up alike in both groups (MICOM, step 2): the gate before a comparison.
    score_differences : PathTable
        Whether means and variances of scores differ (MICOM, step 3): not needed to compare paths, but to put both
        groups together.
    summary : mapping
        What `glance()` gives.
    """

    rows: pd.DataFrame = field(repr=False)
    invariance: PathTable = field(repr=False)
    score_differences: PathTable = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar = staticmethod(
        partial(figures.estimates, value="difference", xlabel="Difference of path coefficients, with interval")
    )

    def tidy(self) -> pd.DataFrame:
        """One row per path."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample, permutations and level of the intervals."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out columns without a value."""
        return shown[[name for name in SHOWN if shown[name].notna().any()]]

    def drawn(self) -> pd.DataFrame:
        """Paths that can be compared, named after both ends."""
        drawn = super().drawn()
        drawn = drawn[drawn["verdict"] != NOT_COMPARABLE]
        one, other = (drawn[name].map(lambda name: self.labels.get(name, name)) for name in ("term", "outcome"))
        return drawn.assign(term=[f"{a} - {b}" for a, b in zip(one, other, strict=True)])


def compare_paths(
    specification: str,
    data: Data,
    *,
    by: str,
    groups: Sequence[str] | None = None,
    consistent: bool = True,
    inner: Inner = "path",
    n_permutations: int = 1000,
    n_boot: int = 1000,
    seed: int = 1,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> PathComparison:
    """Compare the path model of two groups.

    Parameters
    ----------
    specification, data, consistent, inner, conf_level, min_n
        As in `paths`.
    by : str
        Column that says who belongs to which group.
    groups : pair of str, optional
        The two groups; can be left out if there are only two.
    n_permutations : int
        Random groups, 100 or more, for p.
    n_boot, seed : int
        Resamples within groups for the intervals; what fixes both.

    Returns
    -------
    PathComparison
        Verdict: "differ", if p by permutation, corrected for the number of paths (Holm), is below .05 and the interval
        of the difference does not hold 0; "not comparable", if a construct at an end of the path is made up otherwise
        in the other group (`.invariance`: p below .05); else "cannot tell". That groups do not differ is never shown by
        this test. `n_dropped` counts all other rows: of other groups, of none, of people who skipped an item.

    Raises
    ------
    StudyError
        If there are more than two groups and none are named, or a name is not there.
    DataError, DisclosureError
        If a group is smaller than the threshold, or as in `paths`.
    EstimationError
        If a group has fewer respondents than weights and paths, or as in `paths`.

    Notes
    -----
    Random groups are drawn from items that have mean 0 and standard deviation 1 in each group, which leaves paths as
    they are: mixing groups of different means would make differences of means look like differences of paths. The
    difference is divided by its error, so that groups may differ in size and spread (Chung & Romano, 2013). Of 70 to
    150 simulated pairs of groups with the same three paths, "differ" was said of one or more of them in 0 to 5 %: alike
    groups; means 1.5 to 3 standard deviations apart; 200 and 40 respondents with normal and heavy-tailed answers.
    MICOM itself works on the answers as they are.

    MICOM takes its cut-off from random groups. These presume that everything is equal, paths included: where a path is
    .8 in one group and .1 in the other, two thirds of constructs with the same make-up fail (150 respondents per
    group). The gate here takes it from resamples within groups, shifted so that both have the same weights; 3 % fail.

    References
    ----------
    Chin & Dibbern (2010) in Handbook of Partial Least Squares, 171-193; Chung & Romano (2013), Annals of Statistics 41,
    484-507; MICOM: Henseler, Ringle & Sarstedt (2016), International Marketing Review 33, 405-431.
    """
    check_level(conf_level)
    check_resamples(n_boot)
    check_seed(seed)
    if not isinstance(n_permutations, int) or n_permutations < LEAST_PERMUTATIONS:
        raise StudyError(f"n_permutations = {n_permutations!r} is too few. Use {LEAST_PERMUTATIONS} or more.")
    column = _column(data, by)
    pair = _pair(column, by, groups)
    options = {"consistent": consistent, "inner": inner, "min_n": min_n}
    found = read_paths(specification, data, among=column.isin(pair), **options)
    first = (column[found.used] == pair[0]).to_numpy()
    for name, rows in zip(pair, (first, ~first), strict=True):
        refuse_unusable(found, found.answers[rows], f" of {name}")
    with one_thread():
        contrast = compare_groups(
            found.answers, first, found.structure, n_permutations=n_permutations, n_boot=int(n_boot), seed=seed
        )
    for name, fit in zip(pair, contrast.fits, strict=True):
        refuse_improper(fit, found, f" of {name}")
    failed = contrast.n_failed / (n_permutations + n_boot)
    if failed > MOST_FAILED:
        raise EstimationError(
            f"In {failed:.0%} of the random groups and resamples the model has no solution, so that p and intervals "
            f"would mislead. {_way_out(found)}"
        )
    return _result(found, contrast, column, pair, by, conf_level)


def _way_out(found: PathAnswers) -> str:
    if found.structure.factors.any():
        return (
            "The correction for unreliability often fails in small groups. Say consistent=False: paths are then about "
            "scores with their measurement error. Or leave out the construct that is measured worst "
            "(paths(...).constructs, group by group)."
        )
    return "Leave out constructs that hardly go with others, or put groups together."


def _column(data: Data, by: str) -> pd.Series:
    frame = frame_of(data)
    if by not in frame:
        raise ColumnError(f'There is no column "{by}". {did_you_mean(str(by), map(str, frame.columns))}')
    column = pool_hidden(data, [by])[by]
    return column.map(lambda value: f"{value:g}" if isinstance(value, float) else str(value), na_action="ignore")


def _pair(column: pd.Series, by: str, groups: Sequence[str] | None) -> tuple[str, str]:
    known = sorted(column.dropna().unique())
    if groups is None:
        if len(known) != 2:
            raise StudyError(
                f'"{by}" has {len(known)} groups, and two are compared. Name them: groups=["A", "B"]. '
                f"{did_you_mean('', known)}"
            )
        return known[0], known[1]
    if isinstance(groups, str) or len(set(groups)) != 2 or len(groups) != 2:
        raise StudyError('Give two different groups, such as groups=["A", "B"].')
    for name in groups:
        if str(name) not in known:
            raise StudyError(f'"{by}" has no group "{name}" that can be shown. {did_you_mean(str(name), known)}')
    return str(groups[0]), str(groups[1])


def _result(
    found: PathAnswers, contrast: GroupContrast, column: pd.Series, pair: tuple[str, str], by: str, conf_level: float
) -> PathComparison:
    invariance = _invariance(found, contrast, pair, conf_level)
    alike = dict(zip(invariance.rows["term"], invariance.rows["verdict"] == ALIKE, strict=True))
    rows = _rows(found, contrast, alike, conf_level)
    findings = (
        *_findings(found, rows, alike),
        *_measured(found, contrast, column, pair),
        *_unlike_reliability(found, contrast),
        *_left_out(found, column, pair, by),
    )
    return PathComparison(
        title=f"Path model of {pair[0]} and {pair[1]} ({found.say(by)})",
        note=f"Estimate: {pair[0]}; other group: {pair[1]}; difference: first minus second. p: share of "
        f"{len(contrast.permuted):,} random groups of the same sizes with a difference as large beside its error, "
        "items having mean 0 and standard deviation 1 in each group; corrected for the number of paths (Holm). "
        "Intervals: percentiles of resamples within groups, each for itself. Differ: p is below .05 and the interval "
        "does not hold 0. Not comparable: the construct is made up otherwise in the other group.",
        findings=findings,
        labels=found.labels,
        privacy=found.privacy,
        rows=rows,
        invariance=invariance,
        score_differences=_score_differences(found, contrast, pair, conf_level),
        summary={
            "n": found.n, "n_dropped": len(column) - found.n, "n_groups": 2, "conf_level": conf_level,
        },
    )  # fmt: skip


ALIKE, UNLIKE = "made up alike", "made up otherwise"


def _invariance(found: PathAnswers, contrast: GroupContrast, pair: tuple[str, str], conf_level: float) -> PathTable:
    threshold = np.quantile(contrast.null_likeness, ALPHA, axis=0)
    p_values = permutation_p(contrast.null_likeness <= contrast.likeness + ROUNDING)
    rows = pd.DataFrame(
        {
            "term": found.constructs,
            "correlation": contrast.likeness,
            "threshold": threshold,
            "p_value": p_values,
            "verdict": np.where(p_values < ALPHA, UNLIKE, ALIKE),
        }
    )
    return PathTable(
        title=f"Are constructs made up alike in {pair[0]} and {pair[1]}?",
        note="r: correlation of the scores that the weights of both groups give to everybody (MICOM, step 2; step 1 is "
        "the same model for both). p: share of resamples within groups, shifted to the same weights, with an r as low, "
        "since random groups (permutation) are misled where a path differs; cut-off: the r that 5 % of them are below. "
        "Made up otherwise: p is below .05. Alike means: no difference found.",
        labels=found.labels,
        privacy=found.privacy,
        rows=rows,
        summary={"n": found.n, "conf_level": conf_level},
    )


def _score_differences(
    found: PathAnswers, contrast: GroupContrast, pair: tuple[str, str], conf_level: float
) -> PathTable:
    scores = contrast.scores
    parts = (("difference of means", scores.means, scores.p_means),
             ("ratio of variances", scores.variances, scores.p_variances))  # fmt: skip
    rows = pd.concat(
        [pd.DataFrame({"term": found.constructs, "parameter": words, "estimate": values, "p_value": p_values})
         for words, values, p_values in parts],
        ignore_index=True,
    )  # fmt: skip
    rows["verdict"] = np.where(rows["p_value"] < ALPHA, DIFFER, CANNOT_TELL)
    return PathTable(
        title=f"Do scores of {pair[0]} and {pair[1]} differ?",
        note=f"MICOM, step 3, by the weights of everybody: mean of {pair[0]} minus that of {pair[1]} in standard "
        "deviations of everybody; variance of the first by that of the second. p: random groups, each for itself. Not "
        "needed to compare paths; where scores differ, do not put both groups into one path model.",
        labels=found.labels,
        privacy=found.privacy,
        rows=rows,
        summary={"n": found.n, "conf_level": conf_level},
    )


def _rows(found: PathAnswers, contrast: GroupContrast, alike: Mapping[str, bool], conf_level: float) -> pd.DataFrame:
    drivers = found.structure.drivers.T
    one, other = (fit.paths[0].T[drivers] for fit in contrast.fits)
    gaps = np.abs(contrast.permuted.mT[:, drivers])
    p_values = permutation_p(gaps >= np.abs(contrast.statistic.T[drivers]) - ROUNDING)
    low, high = np.quantile(contrast.resampled.mT[:, drivers], [(1 - conf_level) / 2, (1 + conf_level) / 2], axis=0)
    to, by = np.nonzero(drivers)
    rows = pd.DataFrame(
        {
            "term": [found.constructs[i] for i in by],
            "outcome": [found.constructs[j] for j in to],
            "estimate": one,
            "other_estimate": other,
            "difference": one - other,
            "conf_low": low,
            "conf_high": high,
            "p_value": p_values,
        }
    )
    rows["p_adjusted"] = holm(p_values)
    told = [_verdict(row, found, alike) for row in rows.to_dict("records")]
    return rows.assign(verdict=[verdict for verdict, _ in told], reason=[reason for _, reason in told])


def _verdict(row: Mapping[str, object], found: PathAnswers, alike: Mapping[str, bool]) -> tuple[str, str]:
    unlike = [found.say(str(row[name])) for name in ("term", "outcome") if not alike[str(row[name])]]
    if unlike:
        return NOT_COMPARABLE, f"{join_words(unlike)} {'is' if len(unlike) == 1 else 'are'} made up otherwise."
    shown, apart = row["p_adjusted"] < ALPHA, row["conf_low"] > 0 or row["conf_high"] < 0
    if shown and not apart:
        return CANNOT_TELL, ZERO_INSIDE
    return (DIFFER, "") if shown else (CANNOT_TELL, "")


def _findings(found: PathAnswers, rows: pd.DataFrame, alike: Mapping[str, bool]) -> Iterator[Finding]:
    unlike = [found.say(name) for name, same in alike.items() if not same]
    if unlike:
        text = (
            f"{join_words(unlike)}: items count differently in both groups, so paths from and to it are about "
            "different things and are not compared."
        )
        yield Finding(name="not_comparable", text=text)
    torn = rows[rows["reason"] == ZERO_INSIDE]
    if len(torn):
        ways = [f"{found.say(a)} to {found.say(b)}" for a, b in zip(torn["term"], torn["outcome"], strict=True)]
        text = (
            f"p and interval disagree about {join_words(ways)}: p is below .05, but the interval holds 0. One of both "
            'is off, as happens in small groups; the verdict is therefore "cannot tell".'
        )
        yield Finding(name="p_and_interval_disagree", text=text)
    if (rows["verdict"] == CANNOT_TELL).all():
        text = "No difference is shown, which does not show that groups are alike: see how wide the intervals are."
        yield Finding(name="no_difference_shown", text=text, severity="info")


def _measured(
    found: PathAnswers, contrast: GroupContrast, column: pd.Series, pair: tuple[str, str]
) -> Iterator[Finding]:
    """What `paths` would say of the items and constructs of each group."""
    groups = column[found.used].to_numpy()
    for name, fit in zip(pair, contrast.fits, strict=True):
        part = replace(found, answers=found.answers[groups == name])
        fitted = FittedPaths(part, np.corrcoef(part.answers, rowvar=False), fit, _no_draws(fit), 0.95)
        items, constructs = items_table(fitted).rows, constructs_table(fitted).rows
        for finding in measurement_findings(part, items, constructs):
            yield replace(finding, text=f"{name}: {finding.text}")


def _no_draws(fit: PathFit) -> PathDraws:
    nothing = np.empty((0, 0))
    return PathDraws(fit, nothing, nothing, nothing, 0, False)


def _unlike_reliability(found: PathAnswers, contrast: GroupContrast) -> Iterator[Finding]:
    """Scores are compared, and those of one group are more reliable than those of the other."""
    structure = found.structure
    one, other = (score_reliabilities(fit.weights[0], structure.members) for fit in contrast.fits)
    kinds = [found.kind(name) == "reflective" for name in found.constructs]
    unlike = ~structure.factors & kinds & (np.abs(one - other) > UNLIKE_RELIABILITY)
    if unlike.any():
        names = join_words([found.say(found.constructs[j]) for j in np.flatnonzero(unlike)])
        text = (
            f"{names}: measured more reliably in one group than in the other (rho_A). Without the correction for "
            "unreliability paths then differ even where those between the constructs themselves do not."
        )
        yield Finding(name="unlike_reliability", text=text)


def _left_out(found: PathAnswers, column: pd.Series, pair: tuple[str, str], by: str) -> Iterator[Finding]:
    """Who skipped an item, group by group, and rows of no or another group."""
    skipped = []
    for name in pair:
        mine = (column == name).to_numpy()
        used = int((mine & found.used).sum())
        skipped.append(int(mine.sum()) - used)
        yield from left_out_finding(used, skipped[-1], found.privacy, f"{name}: ")
    elsewhere = int((~column.isin(pair)).sum())
    if elsewhere and all(found.privacy.allows(count) for count in (elsewhere, *skipped)):
        text = f"{elsewhere:,} rows have no value of {found.say(by)}, or belong to another or hidden group."
        yield Finding(name="rows_of_no_group", text=text, severity="info")
