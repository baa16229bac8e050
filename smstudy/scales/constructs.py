"""A page per construct: what was asked, how people answered, how far the score can be trusted, what to drop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import apa, rules
from smstudy.errors import DataError, EstimationError
from smstudy.inference.psychometrics.consistency import Floats, correlation_interval, pairwise_covariances
from smstudy.result import Finding, Pages, Result
from smstudy.scales.arguments import check_level
from smstudy.scales.reliability import Reliability, cronbach_alpha, omega_total
from smstudy.scales.scoring import items_of, scales_of
from smstudy.survey.codebook import Scale
from smstudy.survey.dataset import Survey, need_survey
from smstudy.survey.distributions import Distribution, distribution, solvable_items, without_solvable

TELLING = ("mean", "std_dev", "difference")
WEAK, SAME = rules.ITEM_REST.cuts[0], rules.SHORT_FORM.cuts[0]
FITS, UNFIT, CANNOT_TELL = "fits", "does not fit", "cannot tell"
COLUMNS = ("term", "n", "mean", "std_dev", "item_rest", "conf_low", "conf_high", "loading", "alpha_without",
           "score_without", "difference", "verdict", "reason")  # fmt: skip
TABLE = ("term", "n", "mean", "std_dev", "item_rest", "conf_low", "conf_high", "alpha_without", "verdict", "reason")


@dataclass(frozen=True, kw_only=True, repr=False)
class Construct(Result):
    """One scale on one page.

    Attributes
    ----------
    alpha, omega : Reliability or None
        None where it was refused; a finding says why.
    answers : Distribution
        How often each answer was given; the picture of the page.
    solvable : frozenset of str
        Items whose hidden counts would follow from mean and spread.
    """

    n: int
    n_items: int
    conf_level: float
    alpha: Reliability | None
    omega: Reliability | None
    answers: Distribution = field(repr=False)
    solvable: frozenset[str] = frozenset()
    rows: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per item; `difference` is the mean of the score without the item minus that with it."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The table without mean and spread of items whose hidden counts could be solved from them."""
        return without_solvable(super().shown(), self.solvable, TELLING)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Without what the reason says in words already."""
        return shown[list(TABLE)]

    def glance(self) -> dict[str, int | float | str]:
        """Alpha with its interval, omega, and what to think of them."""
        line: dict[str, int | float | str] = {"n": self.n, "n_items": self.n_items, "conf_level": self.conf_level}
        if self.alpha is not None:
            line |= {"alpha": self.alpha.estimate, "conf_low": self.alpha.conf_low, "conf_high": self.alpha.conf_high}
        if self.omega is not None:
            line["omega"] = self.omega.estimate
        reading = rules.RELIABILITY.read(self.alpha.estimate if self.alpha else np.nan)
        return {**line, "verdict": reading}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the answers to each item."""
        return self.answers.plot(ax)

    def drawn(self) -> pd.DataFrame:
        """The answers, small counts hidden."""
        return self.answers.drawn()

    def alt_text(self) -> str:
        """What the picture shows, in words."""
        return self.answers.alt_text()

    picture = plot


def constructs(data: Survey, scales: Sequence[str] | None = None, *, conf_level: float = 0.95) -> Pages:
    """Look at every scale on a page of its own: items, answers, reliability, and which item could go.

    Parameters
    ----------
    data : Survey
        Answers and codebook.
    scales : sequence of str, optional
        Scales to look at; all of the codebook if left out.
    conf_level : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    Pages
        A `Construct` per scale, by its name. An item fits if the interval of its item-rest correlation lies above
        .30, does not if it lies below, and otherwise nobody can tell. Whether it matters to drop an item says the
        correlation of the score with the one that lacks it.

    Raises
    ------
    CodebookError
        If a name is no scale, or the codebook has none.

    References
    ----------
    Nunnally & Bernstein (1994), Psychometric Theory, chapter 8. Item-rest r and alpha without: R psych::alpha.

    Examples
    --------
    >>> import smstudy as sm
    >>> pages = sm.constructs(sm.open_study("quarterly-pulse").survey("clean"))
    >>> pages["leadership"].tidy()["verdict"].tolist()
    ['fits', 'fits', 'fits', 'fits']
    """
    check_level(conf_level)
    need_survey(data, "constructs")
    return Pages({scale.name: _page(data, scale, conf_level) for scale in scales_of(data, scales)})


def _page(data: Survey, scale: Scale, conf_level: float) -> Construct:
    alpha, refused = _tried(cronbach_alpha, data, scale, conf_level)
    omega, refused_omega = _tried(omega_total, data, scale, conf_level) if alpha else (None, ())
    told = (*refused, *refused_omega, *(alpha.findings if alpha else ()), *(omega.findings if omega else ()))
    return Construct(
        title=f"{scale.title or scale.name}, statement by statement",
        note=_note(alpha),
        findings=tuple({finding.name: finding for finding in told}.values()),
        labels=data.codebook.labels,
        privacy=data.privacy,
        n=int(items_of(data, scale.name).notna().any(axis=1).sum()),
        n_items=len(scale.items),
        conf_level=conf_level,
        alpha=alpha,
        omega=omega,
        answers=distribution(data, scale.name),
        solvable=solvable_items(data, scale.items),
        rows=_rows(data, scale, alpha, omega, conf_level) if alpha else pd.DataFrame(columns=list(COLUMNS)),
    )


def _tried(
    estimate: type, data: Survey, scale: Scale, conf_level: float
) -> tuple[Reliability | None, tuple[Finding, ...]]:
    try:
        return estimate(data, scale.name, conf_level=conf_level), ()
    except (DataError, EstimationError) as error:
        return None, (Finding(name=f"{estimate.__name__}_refused", text=str(error), severity="serious"),)


def _note(alpha: Reliability | None) -> str:
    if alpha is None:
        return ""
    return (
        f"{alpha.note} A statement fits if the whole interval of its correlation with the others is above "
        f"{apa.bounded(WEAK)}, and does not if it is below. Dropping a statement because of one survey makes the next "
        "one look worse than this one promised."
    )


def _rows(data: Survey, scale: Scale, alpha: Reliability, omega: Reliability | None, conf_level: float) -> pd.DataFrame:
    rows = alpha.tidy().drop(columns=["conf_low", "conf_high"], errors="ignore")
    answers = items_of(data, scale.name).to_numpy(float)
    covariances, pairs = pairwise_covariances(answers)
    smallest = np.array([np.delete(row, place).min() for place, row in enumerate(pairs)])
    low, high = correlation_interval(rows["item_rest"].to_numpy(float), smallest, conf_level)
    means = rows["mean"].to_numpy(float)
    without = (means.sum() - means) / (len(means) - 1)
    rows = rows.assign(
        conf_low=low,
        conf_high=high,
        loading=omega.tidy()["loading"].to_numpy(float) if omega and "loading" in omega.tidy() else np.nan,
        score_without=_scores_without(covariances) if len(means) > 2 else np.nan,
        difference=without - means.mean() if len(means) > 2 else np.nan,
    )
    rows["verdict"] = [_verdict(*ends) for ends in zip(low, high, strict=True)]
    turned = {name for name in scale.items if data.codebook.variable(name).reverse}
    rows["reason"] = [_reason(alpha.estimate, row, row["term"] in turned) for row in rows.to_dict("records")]
    return rows[list(COLUMNS)]


def _scores_without(covariances: Floats) -> Floats:
    """Correlation of the sum of all items with the sum of all but one, shape (k,).

    >>> _scores_without(np.eye(4)).round(3).tolist()
    [0.866, 0.866, 0.866, 0.866]
    """
    total, by_item = covariances.sum(), covariances.sum(axis=0)
    rest = total - 2 * by_item + np.diag(covariances)
    return (total - by_item) / np.sqrt(total * rest)


def _verdict(low: float, high: float) -> str:
    if low >= WEAK:
        return FITS
    return UNFIT if high < WEAK else CANNOT_TELL


def _reason(alpha: float, row: dict[str, object], turned: bool) -> str:
    worded = " Worded the other way; turned round." if turned else ""
    return _advice(alpha, row) + worded


def _advice(alpha: float, row: dict[str, object]) -> str:
    if np.isnan(row["alpha_without"]):
        return "With two statements neither can go."
    if row["verdict"] == FITS:
        return f"Keep it; without it alpha is {apa.bounded(row['alpha_without'])}."
    matter = "hardly matters" if row["score_without"] >= SAME else "changes the score"
    return (
        f"Without it alpha is {apa.bounded(row['alpha_without'])} (with it {apa.bounded(alpha)}); the scores agree at "
        f"r = {apa.bounded(row['score_without'])}: leaving it out {matter}."
    )
