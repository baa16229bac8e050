"""Contrasts that were planned beforehand, above all for vignettes given to respondents at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import figures, rules
from smstudy.display.prose import join_words, lower_first
from smstudy.errors import StudyError, did_you_mean
from smstudy.inference.group_tests import Moments, contrast, moments, standardized_contrast, welch_test
from smstudy.inference.linearization import check_level
from smstudy.inference.multiplicity import holm
from smstudy.models.differences.comparisons import (
    CERTAIN,
    POINTS,
    STANDARDIZED,
    Sample,
    findings_of,
    is_number,
    level_place,
    sample_of,
    weights_finding,
)
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result
from smstudy.survey.dataset import Data, labels_of, privacy_of

Array = NDArray[np.float64]
Weights = Mapping[str, float]
SUMS_TO_ZERO = 1e-9


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PlannedContrasts(Result):
    """Weighted sums of group means, one row per contrast.

    Attributes
    ----------
    rows : DataFrame
        The tidy table.
    summary : mapping
        What `glance()` gives.
    weights : DataFrame
        One row per contrast, one column per group: the weights after scaling.
    matrix : array
        Covariance of the contrasts.
    """

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]
    weights: pd.DataFrame = field(repr=False)
    matrix: Array = field(repr=False)

    picture: ClassVar = staticmethod(partial(figures.estimates, xlabel="Contrast, with interval"))

    def tidy(self) -> pd.DataFrame:
        """One row per contrast."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, and Welch's test of all groups together."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out what only computations need."""
        left = ("statistic", "df", "p_value")
        return shown[[name for name in shown if name not in left and shown[name].notna().any()]]

    def pooling(self) -> Poolable:
        """The contrasts with their covariance."""
        return Poolable(
            keys=self.rows[["term"]],
            estimates=self.rows["estimate"].to_numpy(float),
            covariance=self.matrix,
            df_complete=self.rows["df"].to_numpy(float),
            n=int(self.summary["n"]),
            title=self.title,
            note=self.note.rpartition(" Corrected p")[0],
        )


def planned_contrasts(
    data: Data,
    outcome: str,
    groups: str | Sequence[str],
    contrasts: Mapping[str, Mapping[str, float] | Mapping[str, Mapping[str, float]]],
    *,
    equal_variances: bool = False,
    conf_level: float = 0.95,
    min_n: int | None = None,
) -> PlannedContrasts:
    """Compare means of groups by contrasts that were planned before the data came in.

    Parameters
    ----------
    data : Survey or DataFrame
        One row per respondent: whoever judged several vignettes has several rows, which are no independent
        respondents; use `regress` with `cluster=`. Weights are not supported.
    outcome : str
        A number, or two answers; then contrasts are differences of shares.
    groups : str or sequence of str
        Column of the groups; several columns of a factorial design make a group of each combination.
    contrasts : mapping
        Name to weights, which must add up to 0: `{"values or not": {"values": 1, "neutral": -1}}`. Groups left out
        count 0. With several columns name the column first: `{"frame": {"frame": {"values": 1, "neutral": -1}}}` is a
        main effect, over all levels of the other columns alike, and two columns are their interaction, a difference of
        differences.
    equal_variances : bool
        Whether all groups share one variance, as in a classical analysis of variance; else each has its own.
    conf_level : float
        Level of the intervals, each for its row alone.
    min_n : int, optional
        Raises the threshold below which groups are put together.

    Returns
    -------
    PlannedContrasts
        `estimate` in the outcome's own unit, weights being scaled so that the positive ones of a column add up to 1:
        a mean of groups against another mean. `g` in standard deviations within groups. `p_adjusted` is Holm's.

    Raises
    ------
    StudyError
        If a contrast has weights that do not add up to 0, or compares nothing.
    DataError
        If a column or group is unknown, the outcome is text or does not vary.
    DisclosureError
        If a group or combination of groups is smaller than the threshold, or all of it gave the same answer.

    References
    ----------
    Maxwell, Delaney & Kelley (2018), Designing Experiments and Analyzing Data, chapters 4 and 7. Agrees with R
    `emmeans::contrast` with equal variances and with plain R without (tests/reference/comparisons.R).

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": ["a", "b", "c"] * 20, "y": [1.0, 2, 4, 2, 3, 5] * 10})
    >>> planned_contrasts(frame, "y", "arm", {"c or not": {"c": 2, "a": -1, "b": -1}}).tidy()["estimate"].tolist()
    [2.5]
    """
    check_level(conf_level)
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    columns = [groups] if isinstance(groups, str) else list(groups)
    if not columns or not isinstance(contrasts, Mapping) or not contrasts:
        raise StudyError('Name groups and at least one contrast, such as {"a or b": {"a": 1, "b": -1}}.')
    sample = sample_of(data, outcome, columns, policy)
    weights = np.array([_weights(name, spec, columns, sample) for name, spec in contrasts.items()])
    found = moments(sample.values)
    rows = pd.DataFrame([
        _row(name, each, found, equal_variances=equal_variances, shares=sample.shares, conf_level=conf_level)
        for name, each in zip(contrasts, weights, strict=True)
    ])  # fmt: skip
    rows["p_adjusted"] = holm(rows["p_value"].to_numpy())
    rows["reading"] = [_reading(row, shares=sample.shares) for row in rows.to_dict("records")]
    variance = np.full(len(found.n), found.pooled_variance) if equal_variances else found.variance
    matrix = weights * (variance / found.n) @ weights.T
    table = pd.DataFrame(weights, index=list(contrasts), columns=list(sample.names))
    return _result(data, outcome, columns, sample, found, rows, table, matrix, policy,
                   equal_variances=equal_variances, conf_level=conf_level)  # fmt: skip


def _weights(name: str, spec: object, columns: Sequence[str], sample: Sample) -> Array:
    """Weight of each group, positive ones of a column adding up to 1."""
    if not isinstance(spec, Mapping) or not spec:
        raise StudyError(f'Contrast "{name}" has no weights. Give each group a number, such as {{"a": 1, "b": -1}}.')
    if len(columns) == 1 and not any(isinstance(value, Mapping) for value in spec.values()):
        spec = {columns[0]: spec}
    for column, weights in spec.items():
        if column not in columns:
            raise StudyError(
                f'Contrast "{name}" names "{column}", no grouping column. {did_you_mean(str(column), columns)}'
            )
        if not isinstance(weights, Mapping):
            raise StudyError(f'Contrast "{name}": give "{column}" weights by level, such as {{"a": 1, "b": -1}}.')
    parts = []
    for place, column in enumerate(columns):
        levels = list(dict.fromkeys(cell[place] for cell in sample.cells))
        own = _scaled(name, spec[column], column, levels) if column in spec else np.full(len(levels), 1 / len(levels))
        parts.append(own)
    return reduce(lambda left, right: np.outer(left, right).ravel(), parts)


def _scaled(name: str, weights: Weights, column: str, levels: Sequence[str]) -> Array:
    values = np.zeros(len(levels))
    for level, weight in weights.items():
        if not is_number(weight):
            raise StudyError(f'Contrast "{name}": the weight of "{level}" is no number.')
        values[level_place(levels, level, column)] = weight
    size = np.abs(values).sum()
    if size == 0:
        raise StudyError(f'Contrast "{name}" compares nothing: all weights of "{column}" are 0.')
    if abs(values.sum()) > SUMS_TO_ZERO * size:
        raise StudyError(
            f'The weights of contrast "{name}" add up to {values.sum():g}, not to 0, so it would be no comparison. '
            "Groups that are averaged share a weight, such as 1, -0.5 and -0.5."
        )
    return values / values[values > 0].sum()


def _row(
    name: str, weights: Array, found: Moments, *, equal_variances: bool, shares: bool, conf_level: float
) -> dict[str, object]:
    estimate = contrast(found, weights, equal_variances=equal_variances, conf_level=conf_level)
    effect = {} if shares else standardized_contrast(found, weights, conf_level)._asdict()
    return {"term": name, **estimate._asdict()} | {key: effect.get(of, np.nan) for key, of in STANDARDIZED.items()}


def _reading(row: Mapping[str, float], *, shares: bool) -> str:
    if row["p_adjusted"] >= CERTAIN:
        return "direction uncertain"
    direction = "higher" if row["estimate"] > 0 else "lower"
    if shares:
        return f"{direction}: {POINTS * row['estimate']:+.0f} points"
    return f"{direction}, {rules.EFFECT.read(abs(row['g']))}"


def _result(
    data: Data, outcome: str, columns: Sequence[str], sample: Sample, found: Moments, rows: pd.DataFrame,
    weights: pd.DataFrame, matrix: Array, policy: Privacy, *, equal_variances: bool, conf_level: float,
) -> PlannedContrasts:  # fmt: skip
    labels = labels_of(data)
    test = welch_test(found)
    words = join_words([lower_first(labels.get(name, name)) for name in columns])
    errors = "one variance for all groups" if equal_variances else "each group with its own variance"
    unit = f'Shares of "{sample.design.event}"' if sample.design.event else "Shares" if sample.shares else "Means"
    return PlannedContrasts(
        title=f"Planned contrasts: {labels.get(outcome, outcome)} by {words}",
        note=f"{unit}, t tests, {errors}. Weights are scaled so that the positive ones of a column add up to 1; an "
        "interaction is a difference of differences. Corrected p: Holm, for all contrasts; intervals are for each row "
        "alone.",
        findings=(*findings_of(sample, found), *weights_finding(data), *_findings(weights)),
        labels=labels,
        privacy=policy,
        rows=rows,
        summary={
            "n": sample.n, "n_dropped": sample.design.n_dropped, "n_groups": len(sample.names),
            "statistic": float(test.statistic), "df": float(test.df), "df_residual": float(test.df_residual),
            "p_value": float(test.p_value), "conf_level": float(conf_level),
        },
        weights=weights,
        matrix=matrix,
    )  # fmt: skip


def _findings(weights: pd.DataFrame) -> Iterator[Finding]:
    """Say where contrasts repeat each other: more of them than groups can tell apart."""
    rank = int(np.linalg.matrix_rank(weights.to_numpy()))
    if rank < len(weights):
        text = f"{len(weights)} contrasts were asked for, of which {rank} are independent: some follow from the others."
        yield Finding(name="contrasts_repeat", text=text, severity="info")
