"""Who is in a segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import norm, ttest_ind_from_stats

from smstudy.clustering.kmeans import Segmentation, assign
from smstudy.clustering.sample import numeric_column
from smstudy.display import apa, figures
from smstudy.display.prose import join_words
from smstudy.errors import ColumnError, DataError, did_you_mean
from smstudy.inference.multiplicity import holm
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, frame_of, privacy_of
from smstudy.survey.disclosure import pool_hidden

OTHERS = "all other groups"
MANY_CATEGORIES = 60
HEIGHT = 8
NUMBERS = ("n", "share", "mean", "std_mean", "statistic", "df", "p_value")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Profile(Result):
    """Means of each segment, and shares of categories where nobody can be recognized.

    Attributes
    ----------
    rows : DataFrame
        One row per variable and segment, then one per category and segment.
    n : int
        Respondents in segments.
    """

    rows: pd.DataFrame
    n: int
    n_dropped: int
    k: int

    picture = figures.profiles

    def tidy(self) -> pd.DataFrame:
        """One row per variable (or category) and segment."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents in segments, respondents who could not be assigned, number of segments."""
        return {"n": self.n, "n_dropped": self.n_dropped, "k": self.k}

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out columns in which nothing stands."""
        numbers = [name for name in (*NUMBERS, "p_adjusted") if name in shown]
        return shown.drop(columns=[name for name in numbers if shown[name].isna().all()])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw one line per segment over the variables."""
        return super().plot(ax or figures.new_axes(HEIGHT))

    def alt_text(self) -> str:
        """Say per segment how far its means lie from everybody's."""
        means = self.shown().dropna(subset=["std_mean"]).groupby("segment", sort=False)
        parts = [f"{self._word(name)}: {', '.join(map(self._told, part.itertuples()))}" for name, part in means]
        return f"{self.title}, in standard deviations from everybody's mean. {'; '.join(parts)}."

    def _told(self, row: NamedTuple) -> str:
        return f"{self._word(row.term)} {apa.number(row.std_mean)}"

    def _word(self, name: str) -> str:
        return self.labels.get(name, name)


def profile(
    segmentation: Segmentation | Mapping[str, object],
    data: Data,
    *,
    variables: Sequence[str] | None = None,
    by: Sequence[str] = (),
) -> Profile:
    """Describe who is in each segment.

    Parameters
    ----------
    segmentation : Segmentation or mapping
        A fit, or a stored one from `to_model()`; the data are assigned to it.
    data : Survey or DataFrame
    variables : sequence of str, optional
        Numeric variables to profile; by default those the segments were formed on.
    by : sequence of str
        Categories, such as unit or tenure. Categories with a cell below the privacy threshold are put together; where
        that does not help, the variable is hidden altogether, since single hidden cells could be worked out.

    Returns
    -------
    Profile
        `std_mean`: mean in standard deviations from everybody's mean. Variables from outside the segmentation are
        tested by Welch's t test of the segment against all others, categories by adjusted residuals; `p_adjusted` is
        Holm's correction over all tests of the page. Variables the segments were formed on are not tested: they differ
        by construction.

    Raises
    ------
    DataError
        If a variable is unknown, not numeric, or a category has too many different values.

    References
    ----------
    Welch (1947), Biometrika 34, 28-35, R stats::t.test; adjusted residuals: Haberman (1973), Biometrics 29, 205-220,
    R stats::chisq.test(...)$stdres; Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    assigned = assign(segmentation, data)
    cluster = assigned.rows.frame[".cluster"]
    formed_on = segmentation.variables if isinstance(segmentation, Segmentation) else tuple(segmentation["variables"])
    privacy = privacy_of(data)
    names = list(dict.fromkeys(formed_on if variables is None else variables))
    outside = {name: name not in formed_on for name in names}
    columns = [numeric_column(data, name) for name in names]
    means = [_mean_rows(cluster, column, assigned.segments, outside[column.name], privacy) for column in columns]
    tables = {name: _safe_table(cluster, _category(pool_hidden(data, by), name), privacy) for name in dict.fromkeys(by)}
    shares = [_share_rows(table, name, assigned.segments) for name, table in tables.items() if table is not None]
    hidden = [assigned.labels.get(name, name) for name, table in tables.items() if table is None]
    return Profile(
        title="Profile of the segments",
        note=_note(
            [assigned.labels.get(name, name) for name in names if name in formed_on],
            any(outside.values()),
            bool(shares),
        ),
        findings=(*assigned.findings, *_findings(hidden)),
        labels=assigned.labels,
        privacy=privacy,
        rows=_corrected(pd.concat([*means, *shares], ignore_index=True), bool(shares)),
        n=int(cluster.notna().sum()),
        n_dropped=int(cluster.isna().sum()),
        k=len(assigned.segments),
    )


def _mean_rows(
    cluster: pd.Series, values: pd.Series, segments: Sequence[str], tested: bool, privacy: Privacy
) -> pd.DataFrame:
    known = values.notna() & cluster.notna()
    values, cluster = values[known], cluster[known]
    rows = [_mean_row(values, cluster == segment, tested) for segment in segments]
    table = pd.DataFrame(rows).assign(term=values.name, segment=segments)
    if all(privacy.allows(n) for n in table["n"]):
        return table
    return table.assign(**{name: np.nan for name in NUMBERS if name in table}, hidden=True)


def _mean_row(values: pd.Series, inside: pd.Series, tested: bool) -> dict[str, float]:
    own, others = values[inside], values[~inside]
    spread = values.std(ddof=1)
    z = (own.mean() - values.mean()) / spread if spread > 0 else np.nan
    row = {"n": len(own), "mean": own.mean(), "std_mean": z}
    if not tested or min(len(own), len(others)) < 2 or own.std(ddof=1) + others.std(ddof=1) == 0:
        return row
    test = ttest_ind_from_stats(*_moments(own), *_moments(others), equal_var=False)
    return {**row, "statistic": test.statistic, "df": welch_df(own, others), "p_value": test.pvalue}


def welch_df(one: pd.Series, other: pd.Series) -> float:
    """Degrees of freedom of Welch's t test (Welch-Satterthwaite)."""
    first, second = (part.var(ddof=1) / len(part) for part in (one, other))
    return (first + second) ** 2 / (first**2 / (len(one) - 1) + second**2 / (len(other) - 1))


def _moments(values: pd.Series) -> tuple[float, float, int]:
    return values.mean(), values.std(ddof=1), len(values)


def _category(data: Data, name: str) -> pd.Series:
    frame = frame_of(data)
    if name not in frame:
        raise ColumnError(f'There is no variable "{name}". {did_you_mean(name, map(str, frame.columns))}')
    column = frame[name].dropna()
    if column.nunique() > MANY_CATEGORIES:
        raise DataError(
            f'"{name}" has more than {MANY_CATEGORIES} different values, so it is no category. '
            "Use it under variables=, or group it first."
        )
    return column.astype(str)


def _safe_table(cluster: pd.Series, category: pd.Series, privacy: Privacy) -> pd.DataFrame | None:
    """Cross segments with categories, putting together what is too small; None where nothing can be shown.

    Categories are put together until every cell is 0 or large enough and none lies in one segment altogether, which
    would tell the segment of everybody in it; at least two are put together, so that none can be told apart.
    """
    table = pd.crosstab(category, cluster)
    if table.empty:
        return None
    small = pd.Series([not _safe(row, privacy) for row in table.to_numpy()], index=table.index)
    if not small.any():
        return table
    order = pd.DataFrame({"fine": ~small, "size": table.sum(axis=1)}).sort_values(["fine", "size"]).index
    for pooled in range(max(2, int(small.sum())), len(order)):
        others = table.loc[order[:pooled]].sum()
        if _safe(others.to_numpy(), privacy):
            return pd.concat([table.drop(index=order[:pooled]), others.to_frame(OTHERS).T])
    return None


def _safe(row: np.ndarray, privacy: Privacy) -> bool:
    return all(privacy.allows(n) for n in row) and (len(row) == 1 or row.max() < row.sum())


def _share_rows(table: pd.DataFrame, name: str, segments: Sequence[str]) -> pd.DataFrame:
    table = table.reindex(columns=list(segments), fill_value=0)
    counts = table.to_numpy(float)
    residuals = adjusted_residuals(counts)
    sizes = counts.sum(axis=0)
    rows = [
        {
            "term": name, "group": group, "segment": segment, "n": counts[i, j],
            "share": counts[i, j] / sizes[j] if sizes[j] else np.nan,
            "statistic": residuals[i, j], "p_value": 2 * norm.sf(abs(residuals[i, j])),
        }
        for i, group in enumerate(table.index) for j, segment in enumerate(segments)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def adjusted_residuals(counts: np.ndarray) -> np.ndarray:
    """Give the deviation of each cell from independence in standard errors (Haberman 1973).

    Parameters
    ----------
    counts : array, shape (r, c)

    Returns
    -------
    array, shape (r, c)
        NaN where a row or column is empty or holds everybody.
    """
    total = counts.sum()
    rows, columns = counts.sum(axis=1, keepdims=True) / total, counts.sum(axis=0, keepdims=True) / total
    variance = total * rows * columns * (1 - rows) * (1 - columns)
    error = np.sqrt(np.where(variance > 0, variance, np.nan))
    return (counts - total * rows * columns) / error


def _corrected(rows: pd.DataFrame, with_groups: bool) -> pd.DataFrame:
    order = ["term", *(["group"] if with_groups else []), "segment", "n", *(["share"] if with_groups else [])]
    order += ["mean", "std_mean", "statistic", "df", "p_value", "p_adjusted"]
    rows = rows.reindex(columns=[*order, *(["hidden"] if "hidden" in rows else [])])
    rows = rows.assign(hidden=rows["hidden"].eq(True)) if "hidden" in rows else rows
    tested = rows["p_value"].notna()
    if tested.any():
        rows.loc[tested, "p_adjusted"] = holm(rows.loc[tested, "p_value"].to_numpy(float))
    return rows.astype({name: float for name in order if name not in ("term", "group", "segment")})


def _findings(hidden: Sequence[str]) -> list[Finding]:
    if not hidden:
        return []
    text = f"Not shown by segment, because single respondents could be recognized: {join_words(hidden)}."
    return [Finding(name="categories_hidden", text=text, severity="info")]


def _note(circular: Sequence[str], tested: bool, with_shares: bool) -> str:
    parts = ["z: distance of the segment's mean from everybody's mean in standard deviations."]
    if circular:
        words = join_words(circular)
        parts.append(f"The segments were formed on {words}: they differ there by construction, so no test is given.")
    if tested:
        parts.append(
            "Tests: Welch's t, segment against all others, respondents taken as independent; Holm's correction."
        )
    if with_shares:
        parts.append("Categories: share within the segment, tested by adjusted residuals; small ones put together.")
    return " ".join(parts)
