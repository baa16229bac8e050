"""Variables in numbers: means, spread and shape, and how they go together (the Table 1 of an article)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.display import apa, tables
from smstudy.display.prose import join_words
from smstudy.errors import ColumnError, DataError, did_you_mean
from smstudy.inference.multiplicity import holm
from smstudy.inference.psychometrics.consistency import correlation_interval
from smstudy.result import Finding, Poolable, Result
from smstudy.scales.arguments import check_level, check_words
from smstudy.scales.reliability import cronbach_alpha
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of
from smstudy.survey.distributions import solvable_items, without_solvable

LEAST = 3
FISHER_LEAST = 3
ROUNDING = 1e-10
DIAGONAL = apa.EMPTY
EXTREMES = ("minimum", "maximum")
TABLE_1 = ("n", "mean", "std_dev", "alpha")


@dataclass(frozen=True, kw_only=True, repr=False)
class Description(Result):
    """Variables in numbers.

    `shared` counts the respondents at the minimum and at the maximum of each variable; an extreme that fewer than
    `privacy.min_n` share says something about them and is not shown. `solvable` names items of which few people gave
    one of few answers: mean, spread and skew would tell how few, and are not shown.
    """

    rows: pd.DataFrame = field(repr=False)
    shared: pd.DataFrame = field(repr=False)
    n: int
    solvable: frozenset[str] = frozenset()

    def tidy(self) -> pd.DataFrame:
        """One row per variable; minimum and maximum are observed."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The tidy table after the privacy policy, without the extremes of a few."""
        shown = without_solvable(super().shown(), self.solvable, ("mean", "std_dev", "skew"))
        common = self.shared >= self.privacy.min_n
        return shown.assign(**{name: shown[name].where(common[name].to_numpy()) for name in EXTREMES})

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}

    def pooling(self) -> Poolable:
        """The means."""
        n = self.rows["n"].to_numpy(float)
        return Poolable(
            keys=self.rows[["term"]],
            estimates=self.rows["mean"].to_numpy(float),
            covariance=np.diag(self.rows["std_dev"].to_numpy(float) ** 2 / n),
            df_complete=n - 1,
            n=self.n,
            title="Means",
            note="",
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Correlations(Result):
    """Pairwise correlations; shown as M, SD, n, alpha and the lower triangle of r."""

    rows: pd.DataFrame = field(repr=False)
    description: Description
    conf_level: float

    def tidy(self) -> pd.DataFrame:
        """One row per pair of variables."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and the level of the intervals."""
        return {"n": self.description.n, "conf_level": self.conf_level, "missing": "pairwise"}

    def pooling(self) -> Poolable:
        """Correlations on Fisher's z scale, each for itself."""
        n = self.rows["n"].to_numpy(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return Poolable(
                keys=self.rows[["term", "other_term"]],
                estimates=np.arctanh(self.rows["correlation"].to_numpy(float)),
                covariance=np.diag(np.where(n > FISHER_LEAST, 1 / (n - FISHER_LEAST), np.nan)),
                df_complete=np.inf,
                scale="fisher_z",
                n=self.description.n,
                title="Correlations",
                note="Pearson correlations.",
            )

    def table(self) -> tables.Table:
        """M, SD, n and alpha of each variable, then its correlations with those before it."""
        described = self.description.shown()
        terms = list(described["term"])
        cells = {(row["other_term"], row["term"]): _cell("correlation", row) for row in self.shown().to_dict("records")}
        columns = [name for name in TABLE_1 if name in described]
        rows = [
            (
                f"{i + 1}. {self.labels.get(row['term'], row['term'])}",
                *(_cell(name, row) for name in columns),
                *(cells.get((row["term"], other), DIAGONAL if row["term"] == other else "") for other in terms[:-1]),
            )
            for i, row in enumerate(described.to_dict("records"))
        ]
        numbers = tuple(str(i + 1) for i in range(len(terms) - 1))
        return tables.Table(
            title=self.title,
            headings=("Variable", *(apa.column(name).heading for name in columns), *numbers),
            rows=tuple(rows),
            numeric=(False, *[True] * (len(columns) + len(numbers))),
            note=self.note,
        )


def describe(data: Data, variables: Sequence[str]) -> Description:
    """Describe numeric variables.

    Parameters
    ----------
    data : Survey or DataFrame
        One row per respondent.
    variables : sequence of str
        Items, numbers or scores.

    Returns
    -------
    Description
        `skew` is adjusted for sample size (G1, as SAS and SPSS give it; R psych::describe(type = 2)).

    Raises
    ------
    DataError
        If a variable is not there, is no number, or is named twice.

    Examples
    --------
    >>> describe(pd.DataFrame({"age": [30, 40, 50, 80, 35.0]}), ["age"]).tidy()["skew"].round(3).item()
    1.538
    """
    frame = _chosen(data, variables)
    rows = pd.DataFrame([_described(name, frame[name]) for name in frame])
    return Description(
        title="Description of the variables",
        note=(
            "Skew is adjusted for sample size (G1); Min and Max are observed, "
            f"and left out where fewer than {privacy_of(data).min_n} respondents share them."
        ),
        findings=_shapeless(rows),
        labels=labels_of(data),
        privacy=privacy_of(data),
        rows=rows,
        shared=pd.DataFrame({"minimum": (frame == frame.min()).sum(), "maximum": (frame == frame.max()).sum()}),
        n=len(frame),
        solvable=solvable_items(data, list(frame)),
    )


def correlate(data: Data, variables: Sequence[str], *, conf_level: float = 0.95) -> Correlations:
    """Correlate variables pair by pair, with intervals and corrected p values.

    Parameters
    ----------
    data : Survey or DataFrame
        One row per respondent; for a survey the table also shows alpha of each variable that is a scale.
    variables : sequence of str
        Two or more items, numbers or scores.
    conf_level : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    Correlations
        Pearson's r of each pair with Fisher's interval, p (t with n - 2 degrees of freedom) and p after Holm over all
        pairs.

    Raises
    ------
    DataError
        If there are fewer than two variables, one is not there, is no number, is named twice, or everybody has the
        same value.

    References
    ----------
    Agrees with R cor.test and p.adjust(p, "holm") (tests/reference/reliability.R).
    """
    frame = _chosen(data, variables)
    if frame.shape[1] < 2:
        raise DataError("A correlation needs two variables. Name at least one more.")
    check_level(conf_level)
    constant = [name for name in frame if frame[name].nunique() < 2]
    if constant:
        raise DataError(f"Everybody has the same value, or none, in {join_words(constant)}. Leave it out.")
    rows = pd.DataFrame([_pair(frame, *pair, conf_level) for pair in combinations(frame, 2)])
    rows["p_adjusted"] = holm(rows["p_value"])
    description = describe(data, variables)
    alphas, refused = _alphas(data, variables)
    return Correlations(
        title="Means, standard deviations and correlations",
        note=_note(bool(alphas)),
        findings=(*refused, *_uncorrelated(rows)),
        labels=labels_of(data),
        privacy=privacy_of(data),
        rows=rows,
        description=_with_alphas(description, alphas),
        conf_level=conf_level,
    )


def _chosen(data: Data, variables: Sequence[str]) -> pd.DataFrame:
    answers = frame_of(data)
    check_words("variables", variables)
    names = [variables] if isinstance(variables, str) else list(variables)
    if not names:
        raise DataError("No variable is named. Name at least one.")
    if len(set(names)) < len(names):
        raise DataError("A variable is named twice. Keep one of them.")
    for name in names:
        if name not in answers:
            raise ColumnError(f'There is no variable or score "{name}". {did_you_mean(name, map(str, answers))}')
        if not pd.api.types.is_numeric_dtype(answers[name]):
            raise DataError(f'"{name}" holds no numbers. Only items, numbers and scores can be described by a mean.')
        if np.isinf(answers[name].astype(float)).any():
            raise DataError(f'"{name}" holds an infinite number. Set it to missing first.')
    return answers[names].astype(float)


def _described(name: str, values: pd.Series) -> dict[str, object]:
    known = values.dropna()
    varies = len(known) >= LEAST and known.nunique() > 1
    return {
        "term": name,
        "n": len(known),
        "missing_share": float(values.isna().mean()) if len(values) else float("nan"),
        "mean": float(known.mean()),
        "std_dev": float(known.std()),
        "skew": float(stats.skew(known, bias=False)) if varies else float("nan"),
        "minimum": float(known.min()),
        "maximum": float(known.max()),
    }


def _shapeless(rows: pd.DataFrame) -> tuple[Finding, ...]:
    names = list(rows.loc[rows["skew"].isna(), "term"])
    if not names:
        return ()
    text = f"No skew for {join_words(names)}: fewer than {LEAST} answers, or all of them the same."
    return (Finding(name="no_variation", text=text),)


def _pair(frame: pd.DataFrame, one: str, other: str, conf_level: float) -> dict[str, object]:
    both = frame[[one, other]].dropna().to_numpy()
    n = len(both)
    r = _pearson(both)
    low, high = correlation_interval(np.array([r]), np.array([n]), conf_level)
    return {
        "term": one,
        "other_term": other,
        "n": n,
        "correlation": r,
        "conf_low": float(low[0]),
        "conf_high": float(high[0]),
        "p_value": _p_value(r, n),
    }


def _p_value(r: float, n: int) -> float:
    """Two-sided p of a correlation; t with n - 2 degrees of freedom."""
    if abs(r) == 1:
        return 0.0
    return float(2 * stats.t.sf(abs(r) * np.sqrt((n - 2) / (1 - r**2)), n - 2))


def _pearson(both: np.ndarray) -> float:
    """Pearson's r of two columns; missing for fewer than three rows or a constant column."""
    if len(both) < LEAST or (np.ptp(both, axis=0) <= ROUNDING * np.abs(both).max(axis=0)).any():
        return float("nan")
    scaled = both - both.mean(axis=0)
    scaled /= np.sqrt((scaled**2).sum(axis=0))
    return float(np.clip(scaled[:, 0] @ scaled[:, 1], -1, 1))


def _alphas(data: Data, variables: Sequence[str]) -> tuple[dict[str, float], list[Finding]]:
    """Alpha of every variable that is a scale of the codebook; a refused one is left out and said."""
    scales = {scale.name for scale in data.codebook.scales} if isinstance(data, Survey) else set()
    alphas, refused = {}, []
    for name in variables:
        if name in scales:
            try:
                alphas[name] = cronbach_alpha(data, name).estimate
            except DataError as error:
                refused.append(Finding(name="scale_refused", text=str(error), severity="serious"))
    return alphas, refused


def _with_alphas(description: Description, alphas: dict[str, float]) -> Description:
    if not alphas:
        return description
    rows = description.tidy()
    rows["alpha"] = rows["term"].map(alphas).astype(float)
    return replace(description, rows=rows)


def _uncorrelated(rows: pd.DataFrame) -> tuple[Finding, ...]:
    missing = rows[rows["correlation"].isna()]
    if missing.empty:
        return ()
    pairs = join_words(
        [f"{one} with {other}" for one, other in zip(missing["term"], missing["other_term"], strict=True)]
    )
    return (Finding(name="too_few_pairs", text=f"Too few people answered both, or all of them the same: {pairs}."),)


def _note(with_alpha: bool) -> str:
    parts = ["Pearson correlations from all who answered both variables (pairwise)."]
    if with_alpha:
        parts.append("alpha: raw, pairwise covariances; only for scales.")
    return " ".join(parts)


def _cell(name: str, row: dict[str, object]) -> str:
    return tables.HIDDEN if row.get("hidden") is True else apa.write(name, row[name])
