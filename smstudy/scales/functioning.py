"""Whether items mean the same in all groups: differential item functioning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, figures
from smstudy.display.prose import join_words
from smstudy.display.rules import FUNCTIONING
from smstudy.errors import ColumnError, DataError, EstimationError, did_you_mean
from smstudy.inference.multiplicity import benjamini_hochberg, holm
from smstudy.inference.psychometrics.consistency import pairwise_covariances
from smstudy.inference.psychometrics.graded import graded_model, rest_attitudes
from smstudy.inference.psychometrics.polychoric import OrdinalSample, ordinal_codes
from smstudy.inference.regression.design import POOLED
from smstudy.inference.regression.ordinal import OrdinalFit, nagelkerke_change, ordinal_fit
from smstudy.inference.threads import one_thread
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_choice, check_word, check_words
from smstudy.scales.batteries import Battery, battery_of, refuse_opposed
from smstudy.survey.dataset import Data, Survey, frame_of
from smstudy.survey.disclosure import NO_GROUP, pool_hidden

Floats = NDArray[np.float64]
Correction = Literal["holm", "benjamini_hochberg"]

CORRECTIONS: dict[str, tuple[Callable[[Floats], Floats], str]] = {
    "holm": (holm, "Holm 1979"),
    "benjamini_hochberg": (benjamini_hochberg, "Benjamini & Hochberg 1995"),
}
LEAST_GROUP = 50
FEW_GROUP = 200
LEAST_ANCHORS = 3
NEGLIGIBLE = FUNCTIONING.cuts[0]
SAME, LITTLE, DIFFERENT = "same in all groups", "differs, but little", "different"
CANNOT_TELL = "cannot tell"
MOST_DIFFER = 0.5
NUMBERS = ("statistic", "df", "p_value", "p_uniform", "p_nonuniform", "r_squared_change", "conf_low", "conf_high")


@dataclass(frozen=True, kw_only=True, repr=False)
class ItemFunctioning(Result):
    """Differential item functioning, one row per item.

    Attributes
    ----------
    rows : DataFrame
        The table.
    by : str
        Variable that holds the groups.
    n, n_groups : int
        Respondents and groups compared.
    conf_level : float
        Level of the intervals; 1 minus it is that of the verdicts.
    """

    rows: pd.DataFrame = field(repr=False)
    by: str
    n: int
    n_groups: int
    conf_level: float

    picture: ClassVar = staticmethod(partial(figures.estimates, value="r_squared_change"))

    def tidy(self) -> pd.DataFrame:
        """One row per item; conf_low and conf_high belong to the change of R²."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, items and groups."""
        return {"n": self.n, "n_items": len(self.rows), "n_groups": self.n_groups, "conf_level": self.conf_level}

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out what only computations need."""
        return shown[["term", "p_adjusted", "p_uniform", "p_nonuniform", "r_squared_change", "conf_low", "conf_high",
                      "reading", "reason", "verdict"]]  # fmt: skip

    def alt_text(self) -> str:
        """Say what each item's verdict is."""
        said = [f"{apa.say('term', row.term, self.labels)}: {row.verdict}" for row in self.rows.itertuples()]
        return f"{self.title}. {'; '.join(said)}."


def item_functioning(
    data: Data,
    scale: str | Sequence[str],
    *,
    by: str,
    correction: Correction = "holm",
    conf_level: float = 0.95,
) -> ItemFunctioning:
    """Test whether people of the same attitude but of different groups answer an item differently.

    An item that does makes the scores of groups differ though their attitudes do not. Each item is explained by
    ordinal logistic regressions with the attitude, the group, and their product. The attitude is what a graded response
    model expects from the other items, each group with its own distribution: a plain score of the other items gives
    false alarms as soon as groups differ in attitude. Items that differ leave the attitude one by one, the clearest
    first.

    Parameters
    ----------
    data : Survey or DataFrame
        Answers and groups.
    scale : str, or sequence of str
        A scale of the survey; or the items, reversed ones already turned round, of a frame.
    by : str
        Variable with the groups. Groups that the privacy policy hides, of fewer than 50 respondents, or not stated, are
        not used.
    correction : {"holm", "benjamini_hochberg"}
        Correction of the p values for the number of items.
    conf_level : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    ItemFunctioning
        Verdict `different` if the corrected p is below the level and R² rises by .035 or more, `differs, but little` if
        p is below the level and the interval of that rise lies below .035, `same in all groups` if the interval does
        and p is not, else `cannot tell`. Where p is below the level for half of the items or more, which of them differ
        cannot be told, and every verdict is `cannot tell`: items that shift together look like another attitude.

    Raises
    ------
    DataError
        If the scale has fewer than 4 items, an item is constant or runs against the others, or fewer than two groups
        are left.
    EstimationError
        If the graded response model cannot be fitted.

    References
    ----------
    Zumbo (1999), A Handbook on the Theory and Methods of Differential Item Functioning; Choi, Gibbons & Crane (2011),
    J. Statistical Software 39(8) (lordif); own distributions: Shealy & Stout (1993), Psychometrika 58, 159-194. The
    likelihood-ratio tests agree with R MASS::polr and ordinal::clm (tests/reference/graded.R).
    """
    check_choice("correction", correction, CORRECTIONS)
    check_word("by", by, "unit")
    battery, groups = _compared(data, scale, by, conf_level)
    sample = ordinal_codes(pd.DataFrame(battery.answers, columns=list(battery.names)))
    names, codes = np.unique(groups[groups != ""], return_inverse=True)
    sample = sample.keep(groups != "")
    with one_thread():
        rows, common = _purified(sample, codes, CORRECTIONS[correction][0], conf_level)
    told = rows.to_dict("records")
    rows["reason"] = [_reason(row, names.tolist(), 1 - conf_level) if common else "" for row in told]
    return ItemFunctioning(
        title=f"Items by {battery.labels.get(by, by)}: {battery.title}",
        note=_note(CORRECTIONS[correction][1], names.tolist()),
        findings=(
            *_findings(battery, codes, groups, common),
            *_untested(battery, rows, _silent(sample, codes, names.tolist())),
        ),
        labels=battery.labels,
        privacy=battery.privacy,
        rows=rows.drop(columns="effects"),
        by=by,
        n=_shown_n(len(groups), len(codes), battery.privacy.min_n),
        n_groups=len(names),
        conf_level=conf_level,
    )


def _compared(
    data: Data, scale: str | Sequence[str], by: str, conf_level: float
) -> tuple[Battery, NDArray[np.object_]]:
    """The items, and the group of each respondent with any answer; "" where it is not used."""
    frame = frame_of(data)
    if by not in frame:
        raise ColumnError(f'There is no variable "{by}". {did_you_mean(by, map(str, frame.columns))}')
    items = data if isinstance(data, Survey) else _frame_items(frame, scale)
    battery = battery_of(items, scale if isinstance(data, Survey) else None, conf_level, "pairwise")
    if battery.k <= LEAST_ANCHORS:
        raise DataError(f"{battery.title}: comparing items over groups needs {LEAST_ANCHORS + 1} items or more.")
    refuse_opposed(battery, *pairwise_covariances(battery.answers), conf_level)
    answered = frame[list(battery.names)].notna().any(axis=1)
    stated = pool_hidden(data, [by]).loc[answered, by].astype(object)
    groups = stated.where(stated.notna() & ~stated.isin([POOLED, NO_GROUP]), "").astype(str)
    least = max(LEAST_GROUP, battery.privacy.min_n)
    used = groups.where(groups.map(groups.value_counts()) >= least, "")
    if used[used != ""].nunique() < 2:
        raise DataError(
            f'"{by}" has no two groups of {least} respondents or more that may be compared. Join groups, or collect '
            "more answers."
        )
    return battery, used.to_numpy(object)


def _frame_items(frame: pd.DataFrame, scale: str | Sequence[str]) -> pd.DataFrame:
    check_words("scale", scale)
    names = [scale] if isinstance(scale, str) else list(scale)
    lacking = [name for name in names if name not in frame]
    if lacking:
        raise ColumnError(f'There is no item "{lacking[0]}". {did_you_mean(lacking[0], map(str, frame.columns))}')
    return frame[names]


def _purified(
    sample: OrdinalSample, groups: NDArray[np.int64], correct: Callable[[Floats], Floats], conf_level: float
) -> tuple[pd.DataFrame, bool]:
    """Test all items, take the clearest difference out of the attitude, and test again; whether most do not differ.

    Items leave one at a time: a single one that differs much makes others seem to differ a little the other way.
    """
    anchors, level = np.ones(len(sample.names), bool), 1 - conf_level
    while anchors.sum() >= LEAST_ANCHORS:
        rows = _judged(sample, groups, anchors, correct, conf_level)
        clear = anchors & (rows["p_adjusted"] < level).to_numpy()
        if not clear.any() and not _most_differ(rows, level):
            return rows, True
        if not clear.any() or (~anchors).sum() + 1 >= MOST_DIFFER * len(anchors):
            break
        anchors = anchors.copy()
        anchors[int(np.where(clear, rows["statistic"], -np.inf).argmax())] = False
    return rows.assign(verdict=CANNOT_TELL, reading=FUNCTIONING.read(np.nan)), False


def _judged(
    sample: OrdinalSample,
    groups: NDArray[np.int64],
    anchors: NDArray[np.bool_],
    correct: Callable[[Floats], Floats],
    conf_level: float,
) -> pd.DataFrame:
    """Test all items at the attitude that the anchors tell."""
    attitudes = _attitudes(sample, groups, anchors)
    rows = pd.DataFrame([_tested(sample, groups, attitudes, j, conf_level) for j in range(len(sample.names))])
    rows["p_adjusted"] = correct(rows["p_value"].to_numpy(float))
    rows["reading"] = [FUNCTIONING.read(change) for change in rows["r_squared_change"]]
    rows["verdict"] = [_verdict(row, 1 - conf_level) for row in rows.to_dict("records")]
    return rows


def _most_differ(rows: pd.DataFrame, level: float) -> bool:
    """Whether half of the tested items or more differ, by however little: the others may be the ones that do."""
    p = rows["p_adjusted"].dropna()
    return bool((p < level).mean() >= MOST_DIFFER)


def _attitudes(sample: OrdinalSample, groups: NDArray[np.int64], anchors: NDArray[np.bool_]) -> Floats:
    """Expected attitude from the anchors, for each item without the item itself, shape (n, p)."""
    names = tuple(np.array(sample.names, object)[anchors])
    some = OrdinalSample(names, sample.codes[:, anchors], sample.n_categories[anchors])
    fit = graded_model(some)
    anchor_of = np.cumsum(anchors) - 1
    without, overall = rest_attitudes(fit, some, groups)
    return np.where(anchors, without[:, np.where(anchors, anchor_of, 0)], overall[:, None])


def _tested(
    sample: OrdinalSample, groups: NDArray[np.int64], attitudes: Floats, item: int, conf_level: float
) -> dict[str, object]:
    """Likelihood-ratio tests of one item; NaN where a regression does not exist."""
    used = (sample.codes[:, item] >= 0) & ~np.isnan(attitudes[:, item])
    answers = np.unique(sample.codes[used, item], return_inverse=True)[1]
    attitude, in_group = attitudes[used, item][:, None], np.eye(groups.max() + 1)[groups[used], 1:]
    row: dict[str, object] = {"term": sample.names[item], **dict.fromkeys(NUMBERS, np.nan), "effects": None}
    try:
        fits = _nested(answers, attitude, in_group)
    except EstimationError:
        return row
    empty, alone, level, slope = (fit.log_likelihood for fit in fits)
    df = in_group.shape[1]
    change, low, high = nagelkerke_change((empty, alone, slope), used.sum(), 2 * df, conf_level)
    return row | {
        "statistic": 2 * (slope - alone),
        "df": 2 * df,
        "p_value": float(stats.chi2.sf(2 * (slope - alone), 2 * df)),
        "p_uniform": float(stats.chi2.sf(2 * (level - alone), df)),
        "p_nonuniform": float(stats.chi2.sf(2 * (slope - level), df)),
        "r_squared_change": change,
        "conf_low": low,
        "conf_high": high,
        "effects": (fits[2].coefficients[1:], fits[3].coefficients[1 + df :]),
    }


def _nested(answers: NDArray[np.int64], attitude: Floats, in_group: Floats) -> list[OrdinalFit]:
    """Regressions on nothing, the attitude, also the group, also their product."""
    both = np.column_stack([attitude, in_group])
    designs = [attitude[:, :0], attitude, both, np.column_stack([both, in_group * attitude])]
    return [ordinal_fit(x, answers, names=[f"column {j + 1}" for j in range(x.shape[1])]) for x in designs]


def _verdict(row: dict[str, object], level: float) -> str:
    clear = row["p_adjusted"] < level
    if clear and row["r_squared_change"] >= NEGLIGIBLE:
        return DIFFERENT
    if not row["conf_high"] < NEGLIGIBLE:
        return CANNOT_TELL
    return LITTLE if clear else SAME


def _reason(row: dict[str, object], names: list[str], level: float) -> str:
    """Which group answers highest and lowest, or in which the item tells most and least, at the same attitude."""
    if not row["p_adjusted"] < level:
        return ""
    (most, least), (sharpest, dullest) = (_ends(effect, names) for effect in row["effects"])
    said = []
    if row["p_uniform"] < level:
        said.append(f"{most} answers higher than {least} at the same attitude")
    if row["p_nonuniform"] < level:
        said.append(f"tells more in {sharpest} than in {dullest}")
    if row["verdict"] == CANNOT_TELL:
        said.append("whether by much, nobody can tell")
    return "; ".join(said)


def _ends(effects: Floats, names: list[str]) -> tuple[str, str]:
    """Groups with the largest and the smallest effect; that of the first is 0."""
    all_effects = np.append(0.0, effects)
    return names[int(all_effects.argmax())], names[int(all_effects.argmin())]


def _note(correction: str, names: list[str]) -> str:
    return (
        f"Groups: {join_words(names)}. Likelihood-ratio tests of ordinal logistic regressions at the same attitude, "
        f"which is told by the other items that do not differ. p corrected for all items ({correction}). The interval "
        "is that of the R² change (Nagelkerke). Different: corrected p below the level and a change of "
        f"{apa.bounded(NEGLIGIBLE, 3)} or more; differs, but little: p below the level and the whole interval below "
        f"{apa.bounded(NEGLIGIBLE, 3)}; same: p not below the level and the interval below it. "
        f"{apa.bounded(NEGLIGIBLE, 3)} is the bound of what ETS calls negligible, put into R² by Jodoin & Gierl "
        "(2001): about one logit between two groups of like size, odds of a higher answer two to three times as high. "
        "Cannot tell is not the same as no difference."
    )


def _shown_n(n_all: int, n_used: int, min_n: int) -> int:
    """Respondents used; all of them where the difference would be a small count."""
    return n_used if n_all - n_used == 0 or n_all - n_used >= min_n else n_all


def _findings(
    battery: Battery, codes: NDArray[np.int64], groups: NDArray[np.object_], common: bool
) -> tuple[Finding, ...]:
    made = []
    if (groups == "").any():
        text = (
            f"Respondents who state no group, or one that is hidden or has fewer than {LEAST_GROUP} respondents, are "
            "not used. Where they are very few, n counts them."
        )
        made.append(Finding(name="groups_left_out", text=text, severity="info"))
    if np.bincount(codes).min() < FEW_GROUP:
        text = f"{battery.title}: a group has fewer than {FEW_GROUP} respondents, so only large differences are found."
        made.append(Finding(name="few_respondents", text=text))
    if not common:
        text = (
            f"{battery.title}: half of the items or more differ between the groups, so which items differ cannot be "
            "told: those that shift together look like another attitude, and the others as if they differed. Do not "
            "compare the groups on this scale before its wording is checked."
        )
        made.append(Finding(name="no_common_measure", text=text, severity="serious"))
    return tuple(made)


def _silent(sample: OrdinalSample, codes: NDArray[np.int64], names: list[str]) -> dict[str, list[str]]:
    """Items that nobody in a group answered, with these groups."""
    answered = {name: set(codes[sample.codes[:, item] >= 0].tolist()) for item, name in enumerate(sample.names)}
    without = {
        item: [name for group, name in enumerate(names) if group not in there] for item, there in answered.items()
    }
    return {item: groups for item, groups in without.items() if groups}


def _untested(battery: Battery, rows: pd.DataFrame, silent: dict[str, list[str]]) -> tuple[Finding, ...]:
    """Say which items could not be tested, and why."""
    told = [f"nobody in {join_words(groups)} answered {item}" for item, groups in silent.items()]
    other = [item for item in rows.loc[rows["p_value"].isna(), "term"] if item not in silent]
    if other:
        told.append(f"no regression of {join_words(other)} exists, since an estimate would be infinite")
    text = f"{battery.title}: {'; '.join(told)}. Not tested."
    return (Finding(name="item_not_tested", text=text),) if told else ()
