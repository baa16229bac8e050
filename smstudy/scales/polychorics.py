"""How the attitudes behind ordinal answers go together: polychoric correlations of items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, figures, tables
from smstudy.display.prose import join_words
from smstudy.errors import DataError
from smstudy.inference.psychometrics.polychoric import (
    LEAST_ANSWERS,
    Missing,
    OrdinalSample,
    Polychorics,
    asymptotic_covariance,
    ordinal_codes,
    polychorics,
)
from smstudy.privacy import Privacy
from smstudy.result import Finding, Poolable, Result
from smstudy.scales.arguments import check_choice, check_level
from smstudy.scales.batteries import (
    HANDLING,
    named_scale,
    refuse_missing_codes,
    refuse_scale_of_table,
    refuse_text,
    thin_answers,
)
from smstudy.scales.scoring import items_of
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of

FEW = 100
NEARLY_NEVER = 1e-4
NOT_NEGATIVE = -1e-10
LISTED = 15
NAMED = 5
USED = {
    "pairwise": "thresholds from all who answered an item, correlations from all who answered both (pairwise)",
    "listwise": HANDLING["listwise"],
}


@dataclass(frozen=True, kw_only=True, repr=False)
class PolychoricCorrelations(Result):
    """Polychoric correlations of items; more than 15 pairs are shown as a lower triangle.

    Attributes
    ----------
    rows : DataFrame
        One row per pair.
    matrix : DataFrame, shape (k items, k items)
        The correlations for further computing.
    n, n_items : int
        Respondents with any answer, items.
    missing : str
        How missing answers are handled.
    conf_level : float
        Level of the intervals.
    rarest : ndarray, shape (pairs,)
        Of pairs of two-answer items, how many gave the rarest combination of answers that was given; else infinite.
    """

    rows: pd.DataFrame = field(repr=False)
    matrix: pd.DataFrame = field(repr=False)
    n: int
    missing: str
    conf_level: float
    rarest: NDArray[np.float64] = field(repr=False)

    picture: ClassVar = staticmethod(figures.heat_map)

    @property
    def n_items(self) -> int:
        """Items."""
        return len(self.matrix)

    def tidy(self) -> pd.DataFrame:
        """One row per pair of items; n answered both."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """As `tidy()`, without pairs of two-answer items of which few gave some combination of answers."""
        shown, told = super().shown(), self._telling
        if not told.any():
            return shown
        closed = shown["hidden"].to_numpy(bool) if "hidden" in shown else False
        return self.privacy.gate(shown.assign(hidden=told | closed))

    @property
    def _telling(self) -> NDArray[np.bool_]:
        """Pairs whose cross table has a cell of few people and follows from the correlation, its error and n."""
        return self.rarest < self.privacy.min_n

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, items, level of the intervals and how missing answers are handled."""
        return {"n": self.n, "n_items": self.n_items, "conf_level": self.conf_level, "missing": self.missing}

    def pooling(self) -> Poolable:
        """Correlations on Fisher's z scale, each for itself; those that are not shown are not pooled."""
        r, error = (self.rows[name].to_numpy(float) for name in ("estimate", "std_error"))
        return Poolable(
            keys=self.rows[["term", "other_term"]],
            estimates=np.where(np.isnan(error) | self._telling, np.nan, np.arctanh(r)),
            covariance=np.diag((error / (1 - r**2)) ** 2),
            df_complete=np.inf,
            scale="fisher_z",
            n=self.n,
            title=self.title,
            note="Polychoric correlations.",
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the correlations as a lower triangle of colored cells."""
        return super().plot(ax or figures.new_axes(self.n_items))

    def alt_text(self) -> str:
        """Say which correlations are the smallest and the largest."""
        drawn = self.drawn().dropna(subset=["estimate"]).sort_values("estimate")
        if drawn.empty:
            return super().alt_text()
        ends = [
            f"{apa.say('term', row.term, self.labels)} with {apa.say('term', row.other_term, self.labels)} "
            f"{apa.write('estimate', row.estimate)}"
            for row in drawn.iloc[[0, -1]].itertuples()
        ]
        return f"{self.title}. Smallest: {ends[0]}; largest: {ends[1]}."

    def table(self) -> tables.Table:
        """One row per pair, or one per item with its correlations with those before it."""
        return super().table() if len(self.rows) <= LISTED else self._triangle()

    def _triangle(self) -> tables.Table:
        names = list(self.matrix)
        cells = {(row["other_term"], row["term"]): _cell(row) for row in self.shown().to_dict("records")}
        rows = [
            (
                f"{i + 1}. {self.labels.get(name, name)}",
                *(cells.get((name, other), apa.EMPTY if name == other else "") for other in names[:-1]),
            )
            for i, name in enumerate(names)
        ]
        numbers = tuple(str(i + 1) for i in range(len(names) - 1))
        return tables.Table(
            title=self.title,
            headings=("Item", *numbers),
            rows=tuple(rows),
            numeric=(False, *[True] * len(numbers)),
            note=self.note,
        )


def polychoric(
    items: Data, scale: str | None = None, *, conf_level: float = 0.95, missing: Missing = "pairwise"
) -> PolychoricCorrelations:
    """Correlate the normal variables that are thought to stand behind ordinal answers.

    Answers such as agree - disagree are cut points on an attitude that varies continuously. Pearson's r of their codes
    is too small, the more so the fewer categories there are and the more skewed they are; the polychoric correlation is
    that of the attitudes if these are normal. Standard errors come from the scores of respondents (they need no further
    model), intervals from them on Fisher's z scale.

    Parameters
    ----------
    items : DataFrame, shape (n respondents, k items), or Survey
        Whole numbers, 2 to 12 different ones per item; or a survey, whose codebook says what to turn round.
    scale : str, optional
        Name of the scale; needed for a survey.
    conf_level : float
        Level of the intervals, between 0 and 1.
    missing : {"pairwise", "listwise"}
        Each correlation from all who answered both items, or only from those who answered all.

    Returns
    -------
    PolychoricCorrelations
        `matrix` holds the correlations; thresholds are never shown, since with n they are counts. A correlation of two
        two-answer items is not shown where few gave some combination of answers: with error and n it is their table.

    Raises
    ------
    DataError
        If there are fewer than 2 items; an item has text, decimals, no answer, one category or more than 12; an answer
        of a survey lies outside the categories of the codebook; fewer than 10, or than the policy shows, answered both
        items of a pair; a scale is named for a frame, or a frame seems to hold a code for missing answers.

    References
    ----------
    Olsson (1979), Psychometrika 44, 443-460; standard errors: Muthen (1984), Psychometrika 49, 115-132. Agrees with R
    lavaan::lavCor and lavInspect(fit, "gamma") (tests/reference/polychoric.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> attitude = rng.standard_normal((2000, 1)) * 0.8 + rng.standard_normal((2000, 2)) * 0.6
    >>> answers = pd.DataFrame(np.digitize(attitude, [-0.5, 0.8]), columns=["a", "b"])
    >>> round(float(polychoric(answers).matrix.loc["a", "b"]), 1)
    0.6
    """
    check_level(conf_level)
    check_choice("missing", missing, USED)
    frame = _items(items, scale)
    _refuse_few(frame, missing, privacy_of(items))
    sample = ordinal_codes(frame, missing=missing)
    found = polychorics(sample)
    sampling = np.diag(asymptotic_covariance(sample, found))[found.n_thresholds.sum() :] / sample.n
    rows = _rows(found, np.where(found.boundary, np.nan, np.sqrt(sampling)), conf_level)
    names, rarest = list(found.names), _rarest(sample, found)
    return PolychoricCorrelations(
        title=f"Polychoric correlations: {labels_of(items).get(scale or '', scale or 'The items')}",
        note=(
            f"Two-step maximum likelihood; {USED[missing]}; intervals by the delta method on Fisher's z scale."
            + (" Items worded the other way are turned round." if isinstance(items, Survey) else "")
        ),
        findings=(*_findings(found), *_kept_back(rarest, privacy_of(items).min_n)),
        labels=labels_of(items),
        privacy=privacy_of(items),
        rows=rows,
        matrix=pd.DataFrame(found.correlations, index=names, columns=names),
        n=sample.n,
        missing=missing,
        conf_level=conf_level,
        rarest=rarest,
    )


def _rarest(sample: OrdinalSample, found: Polychorics) -> NDArray[np.float64]:
    """Of each pair of two-answer items, how many gave the rarest combination that was given; infinite elsewhere."""
    given = np.stack([sample.codes == answer for answer in (0, 1)]).astype(float)
    cells = np.einsum("ani,bnj->abij", given, given).reshape(4, len(found.names), len(found.names))
    smallest = np.where(cells > 0, cells, np.inf).min(axis=0)
    two = sample.n_categories == 2
    return np.where(np.outer(two, two), smallest, np.inf)[found.pairs]


def _kept_back(rarest: NDArray[np.float64], min_n: int) -> tuple[Finding, ...]:
    if not (rarest < min_n).any():
        return ()
    text = (
        f"Correlations of two questions with two answers are hidden where fewer than {min_n} respondents gave some "
        "combination of answers: with standard error and n, the number who did so would follow."
    )
    return (Finding(name="pairs_hidden", text=text, severity="info"),)


def _items(items: Data, scale: str | None) -> pd.DataFrame:
    frame = frame_of(items)
    refuse_scale_of_table(items, scale)
    if isinstance(items, Survey):
        return items_of(items, named_scale(items, scale))
    if frame.columns.is_unique:
        refuse_text(frame, "The items")
        refuse_missing_codes(frame, "The items")
    return frame


def _refuse_few(frame: pd.DataFrame, missing: Missing, policy: Privacy) -> None:
    """Refuse what would tell about too few, where the policy asks for more than an estimate does."""
    if policy.min_n <= LEAST_ANSWERS:
        return
    answered = frame.notna().to_numpy()
    thin = thin_answers(np.where(answered, 1.0, np.nan), list(map(str, frame.columns)), policy)
    if not thin and missing == "listwise" and answered.all(axis=1).sum() < policy.min_n:
        thin = f"{policy.too_few('answered all items')} Leave out items that many skipped, or collect answers."
    if thin:
        raise DataError(thin)


def _rows(found: Polychorics, errors: NDArray[np.float64], conf_level: float) -> pd.DataFrame:
    one, other = found.pairs
    names, r = np.array(found.names, dtype=object), found.correlations[found.pairs]
    width = stats.norm.isf((1 - conf_level) / 2) * errors / (1 - r**2)
    return pd.DataFrame(
        {
            "term": names[one],
            "other_term": names[other],
            "n": found.n_pairs[found.pairs],
            "estimate": r,
            "std_error": errors,
            "conf_low": np.tanh(np.arctanh(r) - width),
            "conf_high": np.tanh(np.arctanh(r) + width),
        }
    )


def _findings(found: Polychorics) -> tuple[Finding, ...]:
    """What must be known before these correlations are used."""
    made = []
    if found.boundary.any():
        text = (
            f"{_named(found, found.boundary)}: no answers contradict a perfect correlation, so the estimate stops at "
            "0.999 and has no standard error. Do not build on it: leave one of the items out."
        )
        made.append(Finding(name="perfect_correlation", text=text, severity="serious"))
    smallest = float(np.linalg.eigvalsh(found.correlations)[0])
    if smallest < NOT_NEGATIVE:
        text = (
            "Taken together, no variables can have these correlations: the matrix is not positive definite (smallest "
            f"eigenvalue {apa.number(smallest, 3)}). Exploratory factor analysis refuses it; a confirmatory model by "
            "WLSMV does not need it to be, but read it with care. Join rare categories, or leave an item out."
        )
        made.append(Finding(name="not_positive_definite", text=text, severity="serious"))
    improbable = (found.least_expected < NEARLY_NEVER) & ~found.boundary
    if improbable.any():
        text = (
            f"{_named(found, improbable)}: somebody gave a pair of answers that hardly ever occurs if attitudes are "
            "normal. One careless respondent can carry such an estimate; other programs may differ. Check the quality "
            "of the answers."
        )
        made.append(Finding(name="improbable_answers", text=text))
    return (*made, *_sparse(found))


def _sparse(found: Polychorics) -> tuple[Finding, ...]:
    made = []
    empty = found.n_empty > 0
    if empty.any():
        text = (
            f"In {int(empty.sum())} of {len(empty)} pairs some combination of answers was given by nobody. Many such "
            "pairs make standard errors rough; joining rare categories helps."
        )
        made.append(Finding(name="empty_cells", text=text, severity="info"))
    if found.n_pairs[found.pairs].min() < FEW:
        text = f"Fewer than {FEW} respondents answered both items of a pair, so standard errors are rough."
        made.append(Finding(name="few_respondents", text=text))
    return tuple(made)


def _named(found: Polychorics, chosen: NDArray[np.bool_]) -> str:
    one, other = (index[chosen] for index in found.pairs)
    words = [f"{found.names[i]} with {found.names[j]}" for i, j in zip(one[:NAMED], other[:NAMED], strict=True)]
    more: Sequence[str] = [f"{len(one) - NAMED} more pairs"] if len(one) > NAMED else []
    return join_words([*words, *more])


def _cell(row: dict[str, object]) -> str:
    return tables.HIDDEN if row.get("hidden") is True else apa.write("estimate", row["estimate"])
