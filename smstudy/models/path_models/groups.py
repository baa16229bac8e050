"""Do two groups have the same path model? Multi-group comparison by permutation, with the gate that comes before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import figures
from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError, StudyError, did_you_mean
from smstudy.inference.multiplicity import holm
from smstudy.inference.partial_least_squares import Inner
from smstudy.inference.path_permutation import GroupContrast, compare_groups
from smstudy.inference.threads import one_thread
from smstudy.models.path_models.answers import PathAnswers, read_paths, refuse_improper, refuse_unusable
from smstudy.models.path_models.tables import PathTable
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_level, check_resamples, check_seed
from smstudy.survey.dataset import Data, frame_of
from smstudy.survey.disclosure import pool_hidden

Array = NDArray[np.float64]
ALPHA = 0.05
MOST_FAILED = 0.05
LEAST_PERMUTATIONS = 100
ROUNDING = 1e-9
DIFFER, CANNOT_TELL, NOT_COMPARABLE = "differ", "cannot tell", "not comparable"
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
    summary : mapping
        What `glance()` gives.
    """

    rows: pd.DataFrame = field(repr=False)
    invariance: PathTable = field(repr=False)
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
        Verdict: "differ", if p by permutation, corrected for the number of paths (Holm), is below .05; "not
        comparable", if a construct at an end of the path is made up otherwise in the other group (`.invariance`); else
        "cannot tell". That groups do not differ is never shown by this test.

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
    MICOM takes its cut-off from random groups. These presume that everything is equal, paths included: where a path is
    .8 in one group and .1 in the other, two thirds of constructs with the same make-up fail (150 respondents per
    group). The gate here takes it from resamples within groups, shifted so that both have the same weights; 3 % fail.

    References
    ----------
    Chin & Dibbern (2010) in Handbook of Partial Least Squares, 171-193; MICOM: Henseler, Ringle & Sarstedt (2016),
    International Marketing Review 33, 405-431.
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
            "would mislead. Say consistent=False, or leave out constructs."
        )
    return _result(found, contrast, pair, by, conf_level)


def _column(data: Data, by: str) -> pd.Series:
    frame = frame_of(data)
    if by not in frame:
        raise DataError(f'There is no column "{by}". {did_you_mean(str(by), map(str, frame.columns))}')
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
    found: PathAnswers, contrast: GroupContrast, pair: tuple[str, str], by: str, conf_level: float
) -> PathComparison:
    invariance = _invariance(found, contrast, pair, conf_level)
    alike = dict(zip(invariance.rows["term"], invariance.rows["verdict"] == ALIKE, strict=True))
    rows = _rows(found, contrast, alike, conf_level)
    return PathComparison(
        title=f"Path model of {pair[0]} and {pair[1]} ({found.say(by)})",
        note=f"Estimate: {pair[0]}; other group: {pair[1]}; difference: first minus second. p: share of "
        f"{len(contrast.permuted):,} random groups of the same sizes with a difference as large; corrected for the "
        "number of paths (Holm). Intervals: percentiles of resamples within groups, each for itself. Not comparable: "
        "the construct is made up otherwise in the other group.",
        findings=tuple(_findings(found, rows, alike)),
        labels=found.labels,
        privacy=found.privacy,
        rows=rows,
        invariance=invariance,
        summary={"n": found.n, "n_dropped": found.n_dropped, "n_groups": 2, "conf_level": conf_level},
    )


ALIKE, UNLIKE = "made up alike", "made up otherwise"


def _invariance(found: PathAnswers, contrast: GroupContrast, pair: tuple[str, str], conf_level: float) -> PathTable:
    threshold = np.quantile(contrast.null_likeness, ALPHA, axis=0)
    p_values = _p_values(contrast.null_likeness <= contrast.likeness + ROUNDING)
    rows = pd.DataFrame(
        {
            "term": found.constructs,
            "correlation": contrast.likeness,
            "threshold": threshold,
            "p_value": p_values,
            "p_permutation": _p_values(contrast.permuted_likeness <= contrast.likeness + ROUNDING),
            "verdict": np.where(p_values < ALPHA, UNLIKE, ALIKE),
        }
    )
    return PathTable(
        title=f"Are constructs made up alike in {pair[0]} and {pair[1]}?",
        note="r: correlation of the scores that the weights of both groups give to everybody (MICOM, step 2; step 1 is "
        "the same model for both). Cut-off and p: resamples within groups, shifted to the same weights, since random "
        "groups (permutation) are misled where a path differs. Alike means: no difference found.",
        labels=found.labels,
        privacy=found.privacy,
        rows=rows,
        summary={"n": found.n, "conf_level": conf_level},
    )


def _rows(found: PathAnswers, contrast: GroupContrast, alike: Mapping[str, bool], conf_level: float) -> pd.DataFrame:
    drivers = found.structure.drivers.T
    one, other = (fit.paths[0].T[drivers] for fit in contrast.fits)
    gaps = contrast.permuted.mT[:, drivers]
    p_values = _p_values(np.abs(gaps) >= np.abs(one - other) - ROUNDING)
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


def _p_values(as_extreme: NDArray[np.bool_]) -> Array:
    """Share of permutations as extreme, the data themselves counted."""
    return (1 + as_extreme.sum(axis=0)) / (1 + len(as_extreme))


def _verdict(row: Mapping[str, object], found: PathAnswers, alike: Mapping[str, bool]) -> tuple[str, str]:
    unlike = [found.say(str(row[name])) for name in ("term", "outcome") if not alike[str(row[name])]]
    if unlike:
        return NOT_COMPARABLE, f"{join_words(unlike)} {'is' if len(unlike) == 1 else 'are'} made up otherwise."
    return (DIFFER, "") if row["p_adjusted"] < ALPHA else (CANNOT_TELL, "")


def _findings(found: PathAnswers, rows: pd.DataFrame, alike: Mapping[str, bool]) -> Iterator[Finding]:
    unlike = [found.say(name) for name, same in alike.items() if not same]
    if unlike:
        text = (
            f"{join_words(unlike)}: items count differently in both groups, so paths from and to it are about "
            "different things and are not compared."
        )
        yield Finding(name="not_comparable", text=text)
    if (rows["verdict"] == CANNOT_TELL).all():
        text = "No difference is shown, which does not show that groups are alike: see how wide the intervals are."
        yield Finding(name="no_difference_shown", text=text, severity="info")
