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
from smstudy.inference.polychoric import Missing, Polychorics, asymptotic_covariance, ordinal_codes, polychorics
from smstudy.result import Finding, Poolable, Result
from smstudy.scales.batteries import HANDLING, check_level
from smstudy.scales.scoring import items_of
from smstudy.survey.dataset import Data, Survey, labels_of, privacy_of

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
    """

    rows: pd.DataFrame = field(repr=False)
    matrix: pd.DataFrame = field(repr=False)
    n: int
    missing: str
    conf_level: float

    picture: ClassVar = staticmethod(figures.heat_map)

    @property
    def n_items(self) -> int:
        """Items."""
        return len(self.matrix)

    def tidy(self) -> pd.DataFrame:
        """One row per pair of items; n answered both."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, items, level of the intervals and how missing answers are handled."""
        return {"n": self.n, "n_items": self.n_items, "conf_level": self.conf_level, "missing": self.missing}

    def pooling(self) -> Poolable:
        """Correlations on Fisher's z scale, each for itself."""
        r, error = (self.rows[name].to_numpy(float) for name in ("estimate", "std_error"))
        return Poolable(
            keys=self.rows[["term", "other_term"]],
            estimates=np.where(np.isnan(error), np.nan, np.arctanh(r)),
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
        `matrix` holds the correlations; thresholds are never shown, since with n they are counts.

    Raises
    ------
    DataError
        If there are fewer than 2 items; an item has text, decimals, no answer, one category or more than 12; an answer
        of a survey lies outside the categories of the codebook; or fewer than 10 answered both items of a pair.

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
    if missing not in USED:
        raise DataError(f'missing = "{missing}" is not known. Use "pairwise" or "listwise".')
    sample = ordinal_codes(_items(items, scale), missing=missing)
    found = polychorics(sample)
    sampling = np.diag(asymptotic_covariance(sample, found))[found.n_thresholds.sum() :] / sample.n
    rows = _rows(found, np.where(found.boundary, np.nan, np.sqrt(sampling)), conf_level)
    names = list(found.names)
    return PolychoricCorrelations(
        title=f"Polychoric correlations: {labels_of(items).get(scale or '', scale or 'the items')}",
        note=(
            f"Two-step maximum likelihood; {USED[missing]}; intervals by the delta method on Fisher's z scale."
            + (" Items worded the other way are turned round." if isinstance(items, Survey) else "")
        ),
        findings=_findings(found),
        labels=labels_of(items),
        privacy=privacy_of(items),
        rows=rows,
        matrix=pd.DataFrame(found.correlations, index=names, columns=names),
        n=sample.n,
        missing=missing,
        conf_level=conf_level,
    )


def _items(items: Data, scale: str | None) -> pd.DataFrame:
    if not isinstance(items, Survey):
        return items
    if scale is None:
        names = join_words([entry.name for entry in items.codebook.scales], "or")
        raise DataError(f"A survey has several scales. Name one: {names}.")
    return items_of(items, scale)


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
            "0.999 and has no standard error. Do not build on it: join rare categories, or leave one of the items out."
        )
        made.append(Finding(name="perfect_correlation", text=text, severity="serious"))
    smallest = float(np.linalg.eigvalsh(found.correlations)[0])
    if smallest < NOT_NEGATIVE:
        text = (
            "Taken together, no variables can have these correlations: the matrix is not positive definite (smallest "
            f"eigenvalue {apa.number(smallest, 3)}). Factor analysis by maximum likelihood refuses it; least squares "
            "(minres, WLSMV) does not need it to be, but read it with care. Join rare categories, or leave an item out."
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
