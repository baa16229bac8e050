"""Do questions mean the same in all groups, or in both waves? Only then may their means be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from smstudy.display import apa, rules
from smstudy.display.fit_changes import fit_changes
from smstudy.display.prose import join_words, lower_first
from smstudy.errors import DataError, EstimationError
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_choice, check_word
from smstudy.scales.batteries import repeated_items
from smstudy.scales.equivalence import (
    CANNOT_TELL,
    FEW,
    HIDEABLE,
    LEVEL,
    NOT_SUPPORTED,
    NOT_TESTED,
    PARTLY,
    SUPPORTED,
    Judged,
    estimation_of,
    hidden_in,
    judge_steps,
    limits_for,
)
from smstudy.scales.measurement import Factors, Measured, UnusableError, measured
from smstudy.scales.occasions import Estimator, Occasions, by_groups, by_waves, counted, words_of
from smstudy.scales.scoring import scales_of
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of

ESTIMATORS: dict[str, str] = {
    "MLR": "robust maximum likelihood (MLR), complete answers",
    "ML": "maximum likelihood for normal answers (ML), complete answers",
    "FIML": "robust maximum likelihood (FIML) on all answers there are",
    "WLSMV": "weighted least squares for ordinal answers (WLSMV), complete answers; identification as Wu & Estabrook "
    "(2016, Psychometrika 81, 1014-1045)",
}
LINKED = "both waves of a person in one model by robust maximum likelihood (FIML)"
ALLOWED, NOT_ALLOWED = "allowed", "not allowed"
SMALL = rules.EFFECT.cuts[0]
NEEDED = ("configural", "threshold", "metric", "scalar")
EQUAL = {
    "configural": "same questions (configural)",
    "threshold": "+ thresholds",
    "metric": "+ loadings (metric)",
    "scalar": "+ intercepts (scalar)",
    "strict": "+ residual variances (strict)",
}
WORDS = {
    ("configural", SUPPORTED): "The same questions belong together.",
    ("configural", NOT_SUPPORTED): "The questions do not belong together as assumed, so the rest says little.",
    ("threshold", SUPPORTED): "The answers on offer are understood alike.",
    ("threshold", NOT_SUPPORTED): "The answers on offer are understood differently; scores cannot be compared.",
    ("metric", SUPPORTED): "Every question counts the same, so relations with other scores can be compared.",
    ("metric", NOT_SUPPORTED): "Questions count differently; neither relations nor means can be compared.",
    ("scalar", SUPPORTED): "The questions mean the same {where}, and means can be compared.",
    ("scalar", NOT_SUPPORTED): "Means cannot be compared: some questions are answered higher at the same standing.",
    ("strict", SUPPORTED): "Scores are equally precise.",
    ("strict", NOT_SUPPORTED): "Scores are not equally precise; this does not matter for means.",
}
WHY = {
    "threshold": "the answers on offer are understood differently",
    "metric": "questions count differently",
    "scalar": "some questions are answered higher at the same standing",
}
UNSURE = "Nobody can tell."
UNTESTED = "Not tested."
NOTHING_FOLLOWS = "It adds no misfit, but an earlier step did not hold, so nothing follows from it."
LAYOUT = ("scale", "step", "statistic", "df", "cfi", "rmsea", "cfi_change", "rmsea_change", "statistic_change",
          "df_change", "p_change", "left_free", "verdict", "reading", "reason", "means")  # fmt: skip
NUMBERS = ("statistic", "df", "p_value", "cfi", "rmsea", "cfi_change", "threshold", "rmsea_change",
           "statistic_change", "df_change", "p_change", "detectable")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Whether means of a scale may be compared.

    Attributes
    ----------
    scale : str
        Name of the scale.
    verdict : {"allowed", "not allowed", "cannot tell"}
        What the steps say.
    text : str
        The same in a sentence, with the reason.
    """

    scale: str
    verdict: str
    text: str

    def finding(self) -> Finding:
        """The gate as a finding for a page that compares means."""
        severity = {ALLOWED: "info", NOT_ALLOWED: "serious"}.get(self.verdict, "warning")
        return Finding(name=f"means_{self.verdict.replace(' ', '_')}", text=self.text, severity=severity)


@dataclass(frozen=True, kw_only=True, repr=False)
class Invariance(Result):
    """Steps of measurement invariance, one row per scale and step; a second row where items were freed.

    Attributes
    ----------
    estimator : str
        How models were fitted: "FIML" where one model holds both waves, whatever was asked for.
    where : str
        What was compared, in words: "in all groups", "in both waves".
    gates : mapping of str to Gate
        For every scale, whether its means may be compared; scales tested together share a verdict.
    n, n_dropped, n_groups : int
        Respondents used for the scale that most answered, left out because of missing answers, and groups. Where few
        are in one of two waves only, n is the sum of the respondents of both.
    rows : DataFrame
        One row per scale and step.
    """

    estimator: str
    where: str
    gates: Mapping[str, Gate]
    n: int
    n_dropped: int
    n_groups: int
    rows: pd.DataFrame = field(repr=False)

    picture = staticmethod(fit_changes)

    def tidy(self) -> pd.DataFrame:
        """One row per scale and step: fit, what it costs against the step before, verdict."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, groups, and the verdict on means of the scale that does worst."""
        if not self.gates:
            return {"estimator": self.estimator}
        order = (ALLOWED, CANNOT_TELL, NOT_ALLOWED)
        worst = max((gate.verdict for gate in self.gates.values()), key=order.index)
        counts = {"n": self.n, "n_dropped": self.n_dropped, "n_groups": self.n_groups}
        return {**counts, "estimator": self.estimator, "verdict": f"means: {worst}"}

    def drawn(self) -> pd.DataFrame:
        """The rows by the name of their scale, where there are several, and step."""
        drawn = super().drawn()
        several = drawn["scale"].nunique() > 1
        scales = [f"{self.labels.get(name, name)}: " if several else "" for name in drawn["scale"]]
        return drawn.assign(term=[scale + step for scale, step in zip(scales, drawn["step"], strict=True)])

    def alt_text(self) -> str:
        """What the steps say of each scale, in words."""
        return " ".join([self.title, *(gate.text for gate in self.gates.values())])

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave p of the exact fit and what could have been found to the CSV file."""
        return shown[list(LAYOUT)]


def invariance(
    data: Data,
    previous: Survey | None = None,
    *,
    by: str = "",
    person: str = "",
    scales: Factors | Sequence[str] | None = None,
    together: bool = False,
    estimator: Estimator = "MLR",
    partial: bool = True,
) -> Invariance:
    """Test step by step whether questions mean the same in all groups, or in both waves.

    Parameters
    ----------
    data : Survey or DataFrame
        Answers of this wave; those of a survey are turned round as its codebook says.
    previous : Survey, optional
        Answers of the wave before; then waves are compared instead of groups.
    by : str
        Variable that names the group of each respondent: of a survey one of kind unit or category.
    person : str
        Variable that is the same for a person in both waves. Where enough people are in both, one model holds both
        waves, its errors correlated from wave to wave, and is fitted by robust full-information maximum likelihood,
        since some people are in one wave only. Within a wave only those count who answered all items, unless
        `estimator` is "FIML". Given without a wave before, the result is empty and says so.
    scales : mapping of str to sequence of str, or sequence of str
        Items of each scale; for a survey also names of scales, and if left out all scales of the codebook.
    together : bool
        One model of all scales with correlated factors, instead of one model for each scale; its verdict is that of
        all of them.
    estimator : {"MLR", "ML", "FIML", "WLSMV"}
        Robust or plain maximum likelihood on complete answers, robust maximum likelihood on all answers, or ordinal
        answers by weighted least squares.
    partial : bool
        Where a step fails, search for the items that differ, and go on with these free.

    Returns
    -------
    Invariance
        A step is `supported` if CFI falls by no more than .010 (with 300 respondents or fewer .005) and RMSEA grows by
        less than .015 (.010), or by more but the difference test does not confirm it (its level is .05 divided by the
        number of steps); `not supported` if CFI falls by more and the test confirms it; else nobody can tell. Loadings
        and intercepts that hold only because groups are too small to show a difference in one question of half a
        standard deviation (of loadings: for each standard deviation of the factor): nobody can tell either. `gates`
        says of each scale whether means may be compared.

    Raises
    ------
    DataError, CodebookError
        If a name is not there, or fewer than two groups may be used; with one scale also what keeps it from being
        tested. With several, such a scale becomes a finding.
    EstimationError
        If the only scale cannot be estimated at all.

    References
    ----------
    Cheung & Rensvold (2002), Structural Equation Modeling 9, 233-255; Chen (2007), Structural Equation Modeling 14,
    464-504; Byrne, Shavelson & Muthen (1989), Psychological Bulletin 105, 456-466, for partial invariance. Agrees with
    R lavaan and semTools::measEq.syntax (tests/reference/invariance.R).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(2)
    >>> answers = pd.DataFrame(rng.normal(size=(600, 1)) + rng.normal(size=(600, 4)), columns=list("abcd"))
    >>> found = invariance(answers.assign(site=["North", "South"] * 300), by="site", scales={"use": list("abcd")})
    >>> found.tidy()["verdict"].tolist(), found.gates["use"].verdict
    (['supported', 'supported', 'supported', 'supported'], 'allowed')
    """
    _check(data, previous, by, person, estimator)
    if previous is None and not by:
        return _no_previous(data, estimator)
    chosen, unusable = _models(data, scales, together)
    if previous is None:
        occasions, findings = by_groups(data, list(chosen.values()), by, estimator)
        title, where = f"by {lower_first(words_of(data, by))}", "in all groups"
    else:
        pairs, unusable = _pairs(chosen, *_models(previous, scales, together), unusable)
        chosen = {name: now for name, (now, _) in pairs.items()}
        occasions, findings = by_waves(data, previous, list(pairs.values()), person, estimator)
        title, where = f"from wave {occasions[0].names[0]} to wave {occasions[0].names[1]}", "in both waves"
    tested, refused = _tested(dict(zip(chosen, occasions, strict=True)), estimator, partial=partial)
    labels = {**labels_of(data), **{name: _words(name, each) for name, each in chosen.items()}}
    names = [*chosen, *unusable]
    members = {name: chosen[name].factors if name in chosen else {name: ()} for name in names}
    gates = _gates(members, tested, labels, where)
    means = {name: gates[next(iter(members[name]))].verdict for name in names}
    most = max(occasions, key=lambda each: each.n)
    return Invariance(
        title=f"Do the questions mean the same {title}?",
        note=_note(estimator, occasions, tested),
        findings=(
            *_left_out(chosen, unusable, labels),
            *findings,
            *_loss(occasions),
            *refused,
            *_step_findings(tested, labels),
        ),
        labels=labels,
        privacy=privacy_of(data),
        estimator=join_words(_estimators(estimator, occasions)),
        where=where,
        gates=gates,
        n=counted(occasions, _strictest(data, previous)),
        n_dropped=most.n_asked - most.n_answers,
        n_groups=len(most.names),
        rows=pd.concat(
            [_rows(name, tested.get(name, []), labels, where).assign(means=means[name]) for name in names],
            ignore_index=True,
        ),
    )


def _check(data: Data, previous: Survey | None, by: str, person: str, estimator: str) -> None:
    frame_of(data)
    check_choice("estimator", estimator, ESTIMATORS)
    check_word("by", by, "unit")
    check_word("person", person, "code")
    if previous is None and not by and not isinstance(data, Survey):
        raise DataError('A table holds no waves. Name the column of groups to compare: by="unit".')
    if by and (previous is not None or person):
        raise DataError("Compare either groups (by=) or waves (the survey before), not both at once.")
    if previous is not None and not (isinstance(data, Survey) and isinstance(previous, Survey)):
        raise DataError("Two waves are two surveys: a table does not say what its columns mean.")


def _strictest(data: Data, previous: Survey | None) -> int:
    return max(privacy_of(data).min_n, 0 if previous is None else previous.privacy.min_n)


def _no_previous(data: Data, estimator: str) -> Invariance:
    text = "There is no previous wave, so nothing can be said about whether the questions mean the same in both."
    return Invariance(
        title="Do the questions mean the same in both waves?",
        note=text,
        findings=(Finding(name="one_wave", text=text, severity="info"),),
        privacy=privacy_of(data),
        estimator=estimator,
        where="in both waves",
        gates={},
        n=0,
        n_dropped=0,
        n_groups=0,
        rows=pd.DataFrame(columns=["scale", "step", *NUMBERS, "left_free", "verdict", "reading", "reason", "means"]),
    )


def _models(
    data: Data, scales: Factors | Sequence[str] | None, together: bool
) -> tuple[dict[str, Measured], dict[str, DataError]]:
    """What is fitted as one model, by name; of several, those whose answers cannot be used, and why."""
    if not isinstance(data, Survey) and not isinstance(scales, Mapping):
        raise DataError('A table does not say which items belong together. Name them: scales={"trust": ["t1", "t2"]}.')
    if together:
        whole = measured(data, scales)
        return {", ".join(whole.factors): whole}, {}
    if isinstance(scales, Mapping):
        asked = {name: {name: members} for name, members in scales.items()}
    else:
        asked = {scale.name: [scale.name] for scale in scales_of(data, scales)}
    models, unusable = {}, {}
    for name, factors in asked.items():
        try:
            models[name] = measured(data, factors)
        except UnusableError as error:
            unusable[name] = error
    if not models:
        raise next(iter(unusable.values()))
    return models, unusable


def _left_out(
    models: Mapping[str, Measured], unusable: Mapping[str, DataError], labels: Mapping[str, str]
) -> list[Finding]:
    """Say of each model which items nobody differs in, and of the others why they cannot be tested."""
    told = [
        replace(finding, text=f"{_words(name, each)}: {lower_first(finding.text)}")
        for name, each in models.items()
        for finding in each.findings
    ]
    return [*told, *(_refused(labels.get(name, name), error) for name, error in unusable.items())]


def _refused(label: str, error: Exception) -> Finding:
    told = str(error)
    text = told if told.startswith(f"{label}: ") else f"{label}: {told}"
    return Finding(name="scale_refused", text=text, severity="serious")


def _pairs(
    now: Mapping[str, Measured],
    before: Mapping[str, Measured],
    unusable_before: Mapping[str, DataError],
    unusable_now: Mapping[str, DataError],
) -> tuple[dict[str, tuple[Measured, Measured]], dict[str, DataError]]:
    """Each model in both waves; those whose answers cannot be used in one of them, and why."""
    pairs, refused = {}, {**unusable_before, **unusable_now}
    for name, each in now.items():
        if name in unusable_before:
            continue
        if name not in before or {*before[name].names, *before[name].constant} != {*each.names, *each.constant}:
            raise DataError(
                f'Scale "{name}" has other items in the previous wave, so the two cannot be compared. Name the items '
                "both waves have: scales={...}."
            )
        try:
            pairs[name] = _alike(each, before[name])
        except UnusableError as error:
            refused[name] = error
    if not pairs:
        raise next(iter(refused.values()))
    return pairs, refused


def _alike(now: Measured, before: Measured) -> tuple[Measured, Measured]:
    """Both waves without what nobody differs in in one of them."""
    return (
        now.without([name for name in before.constant if name in now.names]),
        before.without([name for name in now.constant if name in before.names]),
    )


def _words(name: str, model: Measured) -> str:
    """Words for a model: those of its scales."""
    return ", ".join(model.labels.get(factor, factor) for factor in model.factors) or name


def _tested(
    models: Mapping[str, Occasions], estimator: Estimator, *, partial: bool
) -> tuple[dict[str, list[Judged]], tuple[Finding, ...]]:
    """The steps of each model; one that cannot be tested is a finding, unless it is the only one."""
    tested, refused = {}, []
    for name, occasions in models.items():
        try:
            _refuse_two(occasions)
            _refuse_repeated(occasions)
            tested[name] = judge_steps(estimation_of(occasions, estimator), partial=partial)
        except (DataError, EstimationError) as error:
            if len(models) == 1:
                raise
            refused.append(_refused(_words(name, occasions.measured), error))
    return tested, tuple(refused)


def _refuse_two(occasions: Occasions) -> None:
    if len(occasions.measured.names) < 3:
        raise DataError(
            "A scale of two items cannot be tested alone: nothing is left to judge. Add an item, or test scales "
            "together=True."
        )


def _refuse_repeated(occasions: Occasions) -> None:
    repeated = repeated_items(np.concatenate(occasions.answers), occasions.measured.names)
    if repeated:
        raise EstimationError(repeated)


def _rows(name: str, tested: Sequence[Judged], labels: Mapping[str, str], where: str) -> pd.DataFrame:
    if not tested:
        empty = {"scale": name, "step": EQUAL["configural"], **dict.fromkeys(NUMBERS, float("nan"))}
        words = {"left_free": "", "verdict": NOT_TESTED, "reading": UNTESTED, "reason": "see below"}
        return pd.DataFrame([{**empty, **words}])
    rows, last = [], {}
    for each in tested:
        row = _row(name, each, labels, where)
        if each.verdict == SUPPORTED and any(_open(before) for step, before in last.items() if step != each.step):
            row["reading"] = NOTHING_FOLLOWS
        rows.append(row)
        last[each.step] = each
    return pd.DataFrame(rows)


def _open(tested: Judged) -> bool:
    """Whether a step that means depend on did not hold."""
    return tested.step in NEEDED and tested.verdict not in (SUPPORTED, PARTLY) and not _saturated(tested)


def _row(name: str, tested: Judged, labels: Mapping[str, str], where: str) -> dict[str, object]:
    numbers = dict.fromkeys(NUMBERS, float("nan"))
    indices, difference = tested.indices, tested.difference
    if indices is not None:
        numbers |= {"statistic": indices.chi_square, "df": float(indices.df), "p_value": indices.p_value}
        numbers |= {"cfi": indices.cfi, "rmsea": indices.rmsea, "detectable": tested.detectable}
        numbers |= {"cfi_change": tested.cfi_change, "rmsea_change": tested.rmsea_change}
        numbers |= {"threshold": limits_for(tested.n)[0].cuts[0]}
    if difference is not None:
        numbers |= {"statistic_change": difference.corrected, "df_change": float(difference.df)}
        numbers |= {"p_change": difference.p_value}
    return {
        "scale": name,
        "step": EQUAL[tested.step] + (", in part" if tested.free_from else ""),
        **numbers,
        "left_free": _named(tested.free_from, labels),
        "verdict": tested.verdict,
        "reading": _reading(tested, where),
        "reason": tested.reason,
    }


def _reading(tested: Judged, where: str) -> str:
    if tested.verdict == PARTLY:
        return "It holds once some questions are left out of it."
    if tested.verdict in (CANNOT_TELL, NOT_TESTED):
        return UNSURE if tested.verdict == CANNOT_TELL else UNTESTED
    words = WORDS[tested.step, tested.verdict].format(where=where)
    return words if not tested.free_from else f"Of the other questions: {lower_first(words)}"


def _gates(
    members: Mapping[str, Mapping[str, Sequence[str]]],
    tested: Mapping[str, Sequence[Judged]],
    labels: Mapping[str, str],
    where: str,
) -> dict[str, Gate]:
    """The gate of every scale; those of one model share its steps."""
    return {
        scale: _gate(scale, scales, tested.get(name, []), labels, where)
        for name, scales in members.items()
        for scale in scales
    }


def _gate(name: str, scales: Factors, tested: Sequence[Judged], labels: Mapping[str, str], where: str) -> Gate:
    """The verdict on means: all steps up to equal intercepts must hold, each as it ended.

    Scales of one model share its verdict: where one of them fails, nothing was tested of the others alone.
    """
    others = [labels.get(scale, scale) for scale in scales if scale != name]
    label = labels.get(name, name) + (f" (tested together with {join_words(others)})" if others else "")
    steps = [each for each in tested if each.step in NEEDED and not _saturated(each)]
    last = {each.step: each for each in steps}
    failed = [each for each in steps if each.verdict == NOT_SUPPORTED and each.step != "configural"]
    unsure = [each for each in last.values() if each.verdict not in (SUPPORTED, PARTLY)]
    if failed:
        text = f"{label}: means cannot be compared, because {WHY[failed[0].step]} ({failed[0].reason})."
        return Gate(scale=name, verdict=NOT_ALLOWED, text=f"{text}{_remedy(last, unsure, labels, scales[name])}")
    if unsure or not tested:
        told = unsure[0].reason if unsure else "The steps could not be tested."
        text = f"{label}: nobody can tell whether means can be compared. {told.rstrip('.')}."
        return Gate(scale=name, verdict=CANNOT_TELL, text=text)
    text = f"{label}: the questions mean the same {where}, and means can be compared."
    return Gate(scale=name, verdict=ALLOWED, text=text)


def _remedy(
    last: Mapping[str, Judged], unsure: Sequence[Judged], labels: Mapping[str, str], members: Sequence[str]
) -> str:
    """What a search found that could be compared instead of the whole score."""
    scalar = last.get("scalar")
    if scalar is None or not scalar.free_from or scalar.verdict in (NOT_SUPPORTED, NOT_TESTED):
        return ""
    mine = [item for item in scalar.free_from if item in members]
    if not mine:
        return " The questions that differ belong to other scales: test this one alone."
    items = _named(mine, labels)
    if unsure:
        return f" Whether those of a score without {items} can be, nobody can tell."
    return f" Those of a score without {items} can be; a search found this, so confirm it in the next wave."


def _saturated(tested: Judged) -> bool:
    """Whether a step fits whatever people answer: it says nothing, and those after it do."""
    return tested.indices is not None and tested.indices.df == 0


def _loss(occasions: Sequence[Occasions]) -> tuple[Finding, ...]:
    lost = [(each.n_asked - each.n_answers, each) for each in occasions]
    shares = [n / each.n_asked for n, each in lost if n and each.measured.privacy.allows(n)]
    if not shares or max(shares) < 0.1:
        return ()
    text = (
        f"Up to {apa.share(max(shares))} of the respondents did not answer every question of a scale and are left out. "
        'With estimator="FIML" they count with what they answered.'
    )
    return (Finding(name="incomplete_left_out", text=text),)


def _step_findings(tested: Mapping[str, Sequence[Judged]], labels: Mapping[str, str]) -> list[Finding]:
    found = []
    for name, steps in tested.items():
        label = labels.get(name, name)
        if steps[0].verdict == NOT_SUPPORTED:
            text = f"{label}: {steps[0].reason} Differences between groups then mean little."
            found.append(Finding(name="questions_do_not_fit", text=text))
        if any(each.free_from for each in steps):
            text = (
                f"{label}: {_named(_last_free(steps), labels)} left free. The search was led by these answers, so it "
                "is exploratory: read the wording, and confirm it in the next wave."
            )
            found.append(Finding(name="partial_invariance", text=text))
        found += _outstanding(steps, label, labels)
        found += _small_groups(steps, label)
    return found


def _small_groups(steps: Sequence[Judged], label: str) -> list[Finding]:
    """What groups of this size can hide, of each step in its own words."""
    small = {each.step: each.detectable for each in steps if each.verdict == CANNOT_TELL}
    hidden = [hidden_in(step, size) for step, size in small.items() if size > HIDEABLE]
    if not hidden:
        return []
    text = (
        f"{label}: groups are small. They can hide {join_words(hidden)}; smaller differences are found with a "
        "probability of less than 80 %."
    )
    return [Finding(name="small_groups", text=text)]


def _outstanding(steps: Sequence[Judged], label: str, labels: Mapping[str, str]) -> list[Finding]:
    """The question that differs most although equal intercepts do not fail, if it is clearly more than chance."""
    last = next((each for each in reversed(steps) if each.step == "scalar"), None)
    if last is None or last.largest is None:
        return []
    largest, n_items = last.largest, len(last.fitted.structure.items)
    if largest.p_value * n_items >= LEVEL or abs(largest.change) < SMALL:
        return []
    text = (
        f"{label}: {_named([largest.item], labels)} stands out. Between groups or waves, people of the same standing "
        f"differ in it by about {apa.number(abs(largest.change))} standard deviations: read its wording."
    )
    return [Finding(name="question_stands_out", text=text, severity="info")]


def _last_free(steps: Sequence[Judged]) -> list[str]:
    return next(list(each.free_from) for each in reversed(steps) if each.free_from)


def _named(items: Iterable[str], labels: Mapping[str, str]) -> str:
    """Items in words, each in quotation marks: they may be sentences."""
    return join_words([f'"{labels.get(item, item)}"' for item in items]) if items else ""


def _note(estimator: str, occasions: Sequence[Occasions], tested: Mapping[str, Sequence[Judged]]) -> str:
    exact = " The change of chi² is tested for itself; it is not the difference of two values shown."
    scaled = exact if _estimators(estimator, occasions) != ["ML"] else ""
    return (
        "Each step holds more equal than the one above. A step holds if CFI falls by no more than its limit and RMSEA "
        f"grows by less than its own, or by more but p of the change is not below {apa.bounded(LEVEL)} divided by the "
        "number of changes tested: with few degrees of freedom RMSEA grows that much by chance. It fails if CFI falls "
        f"by more and p is below; else nobody can tell. Limits: {_limits([each.n for each in occasions])} "
        f"({rules.CFI_CHANGE.source}); they are conventions. By {_how(estimator, occasions)}.{scaled}"
        f"{_few_answers(estimator, tested)}"
    )


def _limits(sizes: Sequence[int]) -> str:
    """The limits in use: of scales with many respondents, with few, or both."""
    told = {n > FEW: " and ".join(apa.bounded(abs(rule.cuts[0]), 3) for rule in limits_for(n)) for n in sizes}
    if len(told) == 1:
        return told.popitem()[1]
    return f"{told[True]}, of scales with {FEW} respondents or fewer {told[False]}"


def _estimators(estimator: str, occasions: Sequence[Occasions]) -> list[str]:
    """How models were fitted; linked waves are fitted by FIML whatever was asked for."""
    return list(dict.fromkeys("FIML" if each.together is not None else estimator for each in occasions))


def _how(estimator: str, occasions: Sequence[Occasions]) -> str:
    linked = [each.together is not None for each in occasions]
    within = "all answers there are" if estimator == "FIML" else "people who answered everything in a wave"
    told = ([] if all(linked) else [ESTIMATORS[estimator]]) + ([f"{LINKED}, {within}"] if any(linked) else [])
    return "; where enough people are in both waves, ".join(told)


def _few_answers(estimator: str, tested: Mapping[str, Sequence[Judged]]) -> str:
    """Which steps ordinal answers cannot tell apart."""
    steps = {each.step for some in tested.values() for each in some}
    if estimator != "WLSMV" or "threshold" in steps or not steps:
        return ""
    if "metric" in steps:
        return " With three answers thresholds fit whatever they are, so they are no step of their own."
    return " With two answers, thresholds, loadings and intercepts can only be tested together."
