"""How good a survey is in five grades, and how well each careless index does where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.display.prose import join_words
from smstudy.display.rules import Rule
from smstudy.errors import DataError
from smstudy.inference.multiplicity import holm
from smstudy.result import Finding, Result
from smstudy.survey.careless import Area, area_under_curve
from smstudy.survey.codebook import Variable, answer_range
from smstudy.survey.dataset import Survey, need_survey
from smstudy.survey.quality import CARELESS, DURATION, INCONSISTENT, INDICES, UNUSUAL, QualityCard
from smstudy.survey.response import Response

CANNOT_TELL = "cannot tell"
MIN_KNOWN = 3
OF_CHANCE = 0.5
BLIND_REASON = "no index of inconsistency can be computed, so answers at random would not be seen"
INCOHERENT_REASON = "the answers of half of the respondents or more do not hang together"
ANSWERS = ("item_missing", "careless")
LONG_BATTERY = 10
LATE_GAIN = 0.05
LATE = 5
BEST_FIRST, WORST_FIRST = ("A", "B", "C", "D", "E"), ("E", "D", "C", "B", "A")
RESPONSE = Rule(
    "response",
    (0.119, 0.323, 0.527, 0.731),
    WORST_FIRST,
    "mean response of 490 studies in organizations, 52.7 %, and steps of one standard deviation, 20.4: Baruch & Holtom "
    "(2008), Human Relations 61, 1139-1160",
)
MISSING = Rule(
    "item missing",
    (0.01, 0.05, 0.10, 0.15),
    BEST_FIRST,
    "below 1 % trivial, below 5 % manageable, above 15 % severe: Acuna & Rodriguez (2004), Classification, Clustering "
    "and Data Mining Applications, 639-647; from 10 % bias is likely: Bennett (2001), Australian and New Zealand J. "
    "Public Health 25, 464-469",
)
SHARE_CARELESS = Rule(
    "careless",
    (0.035, 0.05, 0.10, 0.12),
    BEST_FIRST,
    "3.5 % on the internet: Johnson (2005), J. Research in Personality 39, 103-129; 5 % change correlations: Crede "
    "(2010), Educational and Psychological Measurement 70, 596-612; 10 % change factors: Woods (2006), J. "
    "Psychopathology and Behavioral Assessment 28, 189-194; 10-12 % of students who must take part: Meade & Craig "
    "(2012), Psychological Methods 17, 437-455",
)
BURDEN = Rule(
    "burden",
    (10, 15, 20, 28),
    BEST_FIRST,
    "respondents want 10 to 15 minutes and bear 20 to 28: Revilla & Ochoa (2017), Int. J. Market Research 59, 557-565; "
    "Revilla & Hohne (2020), Int. J. Market Research 62, 538-545",
)
HAZARDS = Rule(
    "hazards",
    (1, 2, 3, 4),
    BEST_FIRST,
    "one grade per hazard: more answers missing at the end (Galesic & Bosnjak, 2009, Public Opinion Quarterly 73, "
    "349-360), a battery of more than 10 items without a reversed one (Couper et al., 2013, Social Science Computer "
    "Review 31, 322-345), answer scales of different length (Weijters et al., 2010, Int. J. Research in Marketing 27, "
    "236-247), no attention check (Meade & Craig, 2012)",
)
DISCRIMINATION = Rule(
    "area under the curve",
    (0.70, 0.80, 0.90),
    ("weak", "acceptable", "excellent", "outstanding"),
    "Hosmer & Lemeshow (2000), Applied Logistic Regression, 162",
)
LABELS_OF_CHECKS = " The labels are the failed checks, so these and the flag, which they are part of, are not judged."
NOTHING_WORKS = Finding(
    name="no_index_beats_chance",
    text="No index does better than chance on these labels, the number of indices tested taken into account. Do not "
    "remove anybody because of an index.",
)
NO_INTERVAL = Finding(
    name="no_interval",
    text="An index tells the two sides apart wholly. DeLong's interval has no width there, however few respondents "
    "there are, so none is given: a new sample would hardly do as well.",
    severity="info",
)
INCOHERENT = Finding(
    name="answers_do_not_hang_together",
    text="Half of the respondents or more show the same sign of inconsistent or unusual answers. Answers at random "
    "look like that, and so do scales that do not measure one thing each. Look at the reliability of the scales before "
    "any other result.",
)
LABELS = {
    "response": "Response (share of those asked)",
    "item_missing": "Answers missing (share)",
    "careless": "Flagged as careless (share)",
    "burden": "Burden (median minutes)",
    "hazards": "Hazards of the questionnaire (number)",
    "overall": "Overall",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class QualityGrade(Result):
    """A grade from A to E for each of five parts of a survey, and one for all; `rows` as `tidy()` gives them."""

    rows: pd.DataFrame = field(repr=False)
    n: int

    def tidy(self) -> pd.DataFrame:
        """One row per part and one for all: term, estimate, reading (the grade), reason."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, and the grade of all."""
        return {"n": self.n, "verdict": str(self.rows["reading"].iloc[-1])}


def quality_grade(
    card: QualityCard, survey: Survey, *, response: Response | None = None, duration: str = DURATION
) -> QualityGrade:
    """Grade a survey from A (good) to E (poor).

    The overall grade is the second worst of the parts that are known: one weak part does not condemn a survey, two do.
    But it is at most one grade better than the worse of the answers missing and the careless share. These two are
    faults of the very numbers that all results are made from, and no other part makes good for them; response, burden
    and hazards say what may have gone wrong.

    The careless share is judged only where answers hang together. Where half of the respondents or more show one and
    the same sign of inconsistent or unusual answers, few flagged are no good news: the rule looks for people who differ
    from the others. Half is what chance gives: of answers at random, the halves of the scales correlate below 0 as
    often as above, so more than half of the respondents lie beyond the cut-off for even-odd consistency. The careless
    share and the overall grade then cannot be told, and a finding says so; an E stays, since more cannot be worse.
    Where no index of inconsistency can be computed (fewer than 3 scales, no pairs of like items), answers at random
    would not be seen, and the careless share cannot be told either.

    The overall grade cannot be told with fewer than three parts either. Grades help to see what to improve; they are no
    test of whether results are right.

    Parameters
    ----------
    card : QualityCard
        Of these respondents.
    survey : Survey
        The answers the card was made from.
    response : Response, optional
        Respondents per head count; without it, or without head counts, response cannot be told.
    duration : str
        Variable with the seconds taken; without it the burden cannot be told.

    Returns
    -------
    QualityGrade
        Five parts, each with its number, its grade and where the grades come from. The grade of the careless share is
        kept back where it would tell a count of fewer people than may be shown.

    Raises
    ------
    DataError
        If there is no codebook, or the card is about other respondents.

    References
    ----------
    The sources of the grades stand in the column `reason`. That they are put together in one grade is our convention.
    """
    survey = need_survey(survey, "quality_grade")
    if not card.flags.frame.index.equals(survey.answers.index):
        raise DataError("The quality card is about other respondents than the survey. Make both from the same answers.")
    enough = survey.privacy.allows(len(survey.answers))
    hazards = list(_hazards(card, survey))
    parts = {
        "response": (_response(response), RESPONSE, "no head counts"),
        "item_missing": (float(_items(survey).isna().to_numpy().mean()), MISSING, "no items"),
        "careless": (_shown_share(card), SHARE_CARELESS, "the number is hidden to protect people"),
        "burden": (_minutes(survey, duration), BURDEN, "no time"),
        "hazards": (float(len(hazards)), HAZARDS, "no items"),
    }
    rows = [_part(name, number if enough else float("nan"), rule, lack) for name, (number, rule, lack) in parts.items()]
    if enough and (hidden := _grade_of_hidden(card)):
        rows[2] |= {"reading": hidden, "reason": SHARE_CARELESS.source}
    incoherent = enough and _incoherent(card)
    lack = INCOHERENT_REASON if incoherent else "" if _sees_random_answers(card) else BLIND_REASON
    if lack and rows[2]["reading"] not in (BEST_FIRST[-1], CANNOT_TELL):
        rows[2] |= {"reading": CANNOT_TELL, "reason": f"{CANNOT_TELL}: {lack}"}
    if hazards:
        rows[4]["reason"] = f"{join_words(hazards)}; {HAZARDS.source}"
    return QualityGrade(
        title="Quality of the survey",
        note="A is good, E is poor. The overall grade is the second worst of the parts that are known, and at most one "
        "grade better than the worse of the answers missing and the careless share.",
        findings=(INCOHERENT,) if incoherent else (),
        labels=LABELS,
        privacy=survey.privacy,
        rows=pd.DataFrame([*rows, _overall({str(row["term"]): str(row["reading"]) for row in rows}, incoherent)]),
        n=len(survey.answers),
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class IndexAccuracy(Result):
    """How well each careless index tells those who failed a check from those who passed; `rows` as `tidy()` has it."""

    rows: pd.DataFrame = field(repr=False)
    n: int
    share: float
    conf_level: float

    def tidy(self) -> pd.DataFrame:
        """One row per index, and one for the flag unless it knows the labels.

        Columns: term, estimate (area), std_error, conf_low, conf_high, p_value, p_adjusted, reading.
        """
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents with a label, the share who failed, and the level of the intervals."""
        return {"n": self.n, "share": self.share, "conf_level": self.conf_level}


def index_accuracy(card: QualityCard, failed: pd.Series | None = None, *, conf_level: float = 0.95) -> IndexAccuracy:
    """Say how well each careless index finds those who are known to have been careless.

    Parameters
    ----------
    card : QualityCard
        Its indices are judged.
    failed : Series, optional
        True or 1 for respondents known to have been careless, false or 0 for the others, missing where it is not known;
        same rows as the card. If left out: those who failed an attention check of the card. The checks, and the flag
        that is built from them among others, are then not judged: they know the labels.
    conf_level : float
        Level of the intervals, above 0 and below 1.

    Returns
    -------
    IndexAccuracy
        Area under the ROC curve: the probability that somebody careless looks more suspicious than somebody who was
        not; .50 is chance. Respondents without a value of an index are left out of its row. That no index beats chance
        is said unless the rank-sum test of one does after Holm's correction; intervals are not corrected.

    Raises
    ------
    DataError
        If there is no label, it is about other respondents or not 0 and 1, too few failed or passed to be shown, or the
        level is none.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837-845. Agrees with R pROC::ci.auc(method = "delong"). Mann
    & Whitney (1947), Annals of Mathematical Statistics 18, 50-60: R wilcox.test(exact = FALSE). Holm (1979),
    Scandinavian Journal of Statistics 6, 65-70.
    """
    if not 0 < conf_level < 1:
        raise DataError(f"conf_level = {conf_level} is no level. Use a number between 0 and 1, such as 0.95.")
    labels = _labels(card, failed)
    known = labels.notna()
    bad = labels[known] == 1
    if min(bad.sum(), (~bad).sum()) < card.privacy.min_n:
        raise DataError(
            f"Fewer than {card.privacy.min_n} respondents failed, or fewer passed: too few to judge an index. "
            "Use a label with more of both."
        )
    scores = card.indices.frame.assign(**{CARELESS: card.flags.frame[CARELESS].astype(float)})[known]
    if known_to_flag := _from_checks(card, labels):
        scores = scores.drop(columns=["attention", CARELESS])
    rows = [_accuracy(name, scores[name], bad, conf_level, card.privacy.min_n) for name in scores]
    table = pd.DataFrame(rows)
    table.insert(6, "p_adjusted", holm(table["p_value"]))
    return IndexAccuracy(
        title="How well each index finds careless respondents",
        note=f"Area under the ROC curve; .50 is chance. Words: {DISCRIMINATION.source}. p of the rank-sum test, "
        f"corrected with Holm's method.{LABELS_OF_CHECKS if known_to_flag else ''}",
        findings=tuple(_accuracy_findings(table, conf_level)),
        labels=dict(card.labels),
        privacy=card.privacy,
        rows=table,
        n=int(known.sum()),
        share=float(bad.mean()),
        conf_level=conf_level,
    )


def _part(name: str, number: float, rule: Rule, lack: str) -> dict[str, object]:
    reason = rule.source if number == number else f"{CANNOT_TELL}: {lack}"
    return {"term": name, "estimate": number, "reading": rule.read(number), "reason": reason}


def _overall(grades: Mapping[str, str], incoherent: bool) -> dict[str, object]:
    known = sorted((grade for grade in grades.values() if grade != CANNOT_TELL), reverse=True)
    if len(known) < MIN_KNOWN:
        text, grade = f"fewer than {MIN_KNOWN} parts are known", CANNOT_TELL
    elif incoherent and grades["careless"] == CANNOT_TELL:
        text, grade = INCOHERENT_REASON, CANNOT_TELL
    elif (best := _best_possible(grades)) > known[1]:
        text, grade = "one grade better than the worse of answers missing and careless share: all rests on these", best
    else:
        text, grade = f"second worst of {len(known)} parts: one weak part does not condemn a survey, two do", known[1]
    return {"term": "overall", "estimate": float("nan"), "reading": grade, "reason": text}


def _best_possible(grades: Mapping[str, str]) -> str:
    """One grade better than the worse of those parts that are about the answers themselves."""
    worst = max(BEST_FIRST.index(grades[name]) if grades[name] in BEST_FIRST else 0 for name in ANSWERS)
    return BEST_FIRST[max(worst - 1, 0)]


def _sees_random_answers(card: QualityCard) -> bool:
    return any(INDICES[name].family == INCONSISTENT for name in card.indices.frame)


def _incoherent(card: QualityCard) -> bool:
    """Whether half of the respondents, and enough to be shown, have the same sign of inconsistency or unusualness."""
    signs = [name for name in card.indices.frame if INDICES[name].family in (INCONSISTENT, UNUSUAL)]
    flags = card.flags.frame[signs]
    return bool(((flags.mean() >= OF_CHANCE) & (flags.sum() >= card.privacy.min_n)).any())


def _response(response: Response | None) -> float:
    return float(response.glance().get("response", float("nan"))) if response is not None else float("nan")


def _shown_share(card: QualityCard) -> float:
    """The share flagged, missing where the card hides it."""
    shown = card.shown().set_index("term")
    return float(shown.loc[CARELESS, "share"])


def _grade_of_hidden(card: QualityCard) -> str:
    """The grade of a hidden share if every small number flagged, or not flagged, would give the same, else nothing."""
    n, flagged, few = len(card.flags.frame), int(card.flags.frame[CARELESS].sum()), card.privacy.min_n - 1
    for count, ends in ((flagged, (1, few)), (n - flagged, (n - few, n - 1))):
        least, most = (SHARE_CARELESS.read(end / n) for end in ends)
        if 0 < count <= few and least == most:
            return least
    return ""


def _minutes(survey: Survey, duration: str) -> float:
    if duration not in survey.answers or not pd.api.types.is_numeric_dtype(survey.answers[duration]):
        return float("nan")
    seconds = survey.answers[duration]
    return float(seconds.where(seconds > 0).median() / 60)


def _items(survey: Survey) -> pd.DataFrame:
    return survey.answers[[v.name for v in survey.codebook.of_kind("item") if v.name in survey.answers]]


def _hazards(card: QualityCard, survey: Survey) -> Iterator[str]:
    """What about the questionnaire, or the way it was answered, invites careless answers."""
    items = _items(survey)
    left_out = items.isna().mean().to_numpy()
    ends = max(1, len(left_out) // LATE)
    if left_out[-ends:].mean() - left_out[:ends].mean() >= LATE_GAIN:
        yield "more answers are missing at the end"
    if any(len(run) > LONG_BATTERY and not any(v.reverse for v in run) for run in _runs(survey)):
        yield f"a battery of more than {LONG_BATTERY} items has no reversed one"
    variables = [survey.codebook.variable(name) for name in items]
    if len({len(variable.categories) for variable in variables}) > 1:
        yield "answer scales differ in length"
    if "attention" not in card.indices.frame:
        yield "there is no attention check"


def _runs(survey: Survey) -> Iterator[list[Variable]]:
    """Items that stand together and have one answer scale."""
    for kind, run in groupby(survey.codebook.variables, key=lambda v: answer_range(v) if v.kind == "item" else None):
        if kind is not None:
            yield list(run)


def _labels(card: QualityCard, failed: pd.Series | None) -> pd.Series:
    """1 careless, 0 not, missing unknown; rows as in the card."""
    values = card.indices.frame
    if failed is None:
        if "attention" not in values:
            raise DataError(
                "The card has no attention checks. Name them in quality_card(attention=...), or give a label."
            )
        return _check_labels(card)
    if not isinstance(failed, pd.Series):
        raise DataError(f"The label is a {type(failed).__name__}. Give a Series with the rows of the answers.")
    if not failed.index.equals(values.index):
        raise DataError("The label is about other respondents than the card. Take both from the same answers.")
    labels = pd.to_numeric(failed, errors="coerce").astype("Float64").astype(float)
    if not labels[failed.notna()].isin([0.0, 1.0]).all():
        raise DataError("The label must be true or 1 for careless, false or 0 for not, or missing. Recode it first.")
    return labels


def _check_labels(card: QualityCard) -> pd.Series:
    failures = card.indices.frame["attention"]
    return (failures > 0).astype(float).where(failures.notna())


def _from_checks(card: QualityCard, labels: pd.Series) -> bool:
    """Whether the labels are the failed checks of the card, left out or given."""
    if "attention" not in card.indices.frame:
        return False
    return bool((labels == _check_labels(card))[labels.notna()].all())


def _accuracy_findings(table: pd.DataFrame, conf_level: float) -> Iterator[Finding]:
    if not ((table["estimate"] > 0.5) & (table["p_adjusted"] < 1 - conf_level)).any():
        yield NOTHING_WORKS
    if table["estimate"].isin([0.0, 1.0]).any():
        yield NO_INTERVAL


def _accuracy(name: str, scores: pd.Series, bad: pd.Series, conf_level: float, min_n: int) -> dict[str, object]:
    """Area and interval of one index; missing where too few of one side have a value."""
    sign = -1 if name in INDICES and INDICES[name].low else 1
    use = np.isfinite(scores.to_numpy())
    failed = bad.to_numpy()[use]
    if min(failed.sum(), (~failed).sum()) < min_n:
        return {"term": name, **dict.fromkeys((*Area._fields, "p_value"), float("nan")), "reading": CANNOT_TELL}
    values = sign * scores.to_numpy(float)[use]
    area, p_value = area_under_curve(values, failed, conf_level=conf_level), _rank_sum(values, failed)
    return {"term": name, **area._asdict(), "p_value": p_value, "reading": _words(area, p_value < 1 - conf_level)}


def _rank_sum(values: np.ndarray, failed: np.ndarray) -> float:
    """p of the rank-sum test, corrected for ties and continuity; missing, so no test, if all values are the same."""
    if values.min() == values.max():
        return float("nan")
    return float(stats.mannwhitneyu(values[failed], values[~failed], method="asymptotic").pvalue)


def _words(area: Area, differs: bool) -> str:
    """Words for an area: by its interval, or by the rank-sum test where there is none."""
    no_interval = area.conf_low != area.conf_low
    if not differs if no_interval else area.conf_low <= 0.5 <= area.conf_high:
        return "no better than chance"
    return "worse than chance" if area.estimate < 0.5 else DISCRIMINATION.read(area.estimate)
