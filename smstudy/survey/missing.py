"""Answers that are missing: how many, why, in which combinations, and whether they look missing at random."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import apa, patterns, rules, tables
from smstudy.display.prose import join_words, plural
from smstudy.errors import ColumnError, DataError, StudyError, did_you_mean
from smstudy.inference.incomplete import LittleStatistic, little_statistic
from smstudy.inference.multiplicity import holm
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, need_survey, privacy_of
from smstudy.survey.disclosure import hidden_rows

ANSWERED = "answered"
LEFT_BLANK, DROPPED_OUT, REFUSED = "left blank", "dropped out", "refused"
NO_OPINION, NOT_APPLICABLE, NOT_SHOWN, SET_MISSING = "no opinion", "not applicable", "not shown", "set missing"
REASONS = (LEFT_BLANK, DROPPED_OUT, REFUSED, NO_OPINION, NOT_APPLICABLE, NOT_SHOWN, SET_MISSING)
CODES = {reason: code for code, reason in enumerate((ANSWERED, *REASONS))}
NOT_ASKED = (NOT_APPLICABLE, NOT_SHOWN)
WORDS = {
    NOT_SHOWN: r"not (shown|asked|displayed|presented|seen)|filter|skip logic|inapplicable routing|routed",
    NOT_APPLICABLE: r"not applicable|does not apply|inapplicable|\bn\.?/?a\b",
    NO_OPINION: r"no opinion|don.?t know|do not know|not sure|undecided|cannot say|can.?t say|unsure",
    REFUSED: r"refus|prefer not|rather not|declin|no comment",
    DROPPED_OUT: r"drop(ped)?.?out|broke off|break.?off|abandon|quit",
    LEFT_BLANK: r"no answer|blank|unanswered|not answered|skipped|no response|declared missing",
}
PATTERNS = {reason: re.compile(words, re.IGNORECASE) for reason, words in WORDS.items()}
SHORTEST_TAIL = 2
ASKED = ("item", "number", "category", "unit")
COMPLETE, OTHERS = "Nothing missing", "Other combinations"
LEVEL = 0.05
LEAST_COMPARED = 10
ROWS_PER_PATTERN = 5
LARGEST = 1e100
CANNOT_TELL, NOT_COMPLETELY_RANDOM = "cannot tell", "not missing completely at random"
LITTLE_NOTE = (
    "Chi-squared test of equal means in all patterns of missing answers (normal theory, maximum-likelihood "
    "covariance). A large p does not show that answers are missing completely at random. Effect: difference of the "
    "mean, in standard deviations, between those who left the second variable out and those who answered it (the "
    f"clearest with at least {LEAST_COMPARED} each), p after Welch, corrected (Holm) for all pairs. Effect of the "
    "test: root mean square distance of the means of a pattern from everybody's, in standard deviations, without what "
    "chance adds; it is a measure of this package, not of the literature."
)


def read_reason(reason: str) -> str:
    """Sort the reason a codebook or a cleaning rule gives for a missing answer into one of `REASONS`.

    >>> read_reason("prefer not to say"), read_reason("Filtered out"), read_reason("answers of a robot")
    ('refused', 'not shown', 'set missing')
    """
    return next((kind for kind, words in PATTERNS.items() if words.search(reason)), SET_MISSING)


def reasons_of(survey: Survey, variables: Sequence[str]) -> pd.DataFrame:
    """Say for every cell whether it is answered or why not, as one of `REASONS`.

    Blank cells after the last item a respondent answered count as dropped out, if at least two items follow; items are
    taken in the order of the codebook.
    """
    answers = survey.answers[list(variables)]
    told = survey.missing[survey.missing["variable"].isin(variables)]
    kinds = told["reason"].map({reason: CODES[read_reason(reason)] for reason in told["reason"].unique()})
    cells = np.full(answers.shape, CODES[LEFT_BLANK], dtype=np.int8)
    rows, columns = answers.index.get_indexer(told["row"]), answers.columns.get_indexer(told["variable"])
    cells[rows[rows >= 0], columns[rows >= 0]] = kinds.to_numpy(dtype=np.int8)[rows >= 0]
    cells[_after_break_off(survey, list(variables)) & (cells == CODES[LEFT_BLANK])] = CODES[DROPPED_OUT]
    cells[answers.notna().to_numpy()] = CODES[ANSWERED]
    named = {name: pd.Categorical.from_codes(cells[:, j], list(CODES)) for j, name in enumerate(answers)}
    return pd.DataFrame(named, index=answers.index)


def break_offs(survey: Survey) -> NDArray[np.intp]:
    """Number of the item each respondent stopped before, shape (n,); the number of items for those who did not stop."""
    items = _items(survey)
    if not items:
        return np.zeros(len(survey.answers), dtype=np.intp)
    answered = survey.answers[items].notna().to_numpy()
    after = len(items) - np.argmax(answered[:, ::-1], axis=1)
    after = np.where(answered.any(axis=1), after, 0)
    return np.where(len(items) - after >= SHORTEST_TAIL, after, len(items))


def _items(survey: Survey) -> list[str]:
    return [variable.name for variable in survey.codebook.of_kind("item") if variable.name in survey.answers]


def _after_break_off(survey: Survey, variables: list[str]) -> NDArray[np.bool_]:
    items = _items(survey)
    order = {variable.name: place for place, variable in enumerate(survey.codebook.variables)}
    first_missing = np.array([*(order[item] for item in items), len(order)])[break_offs(survey)]
    return first_missing[:, None] <= np.array([order.get(name, -1) for name in variables])


@dataclass(frozen=True, kw_only=True, repr=False)
class Combinations(Result):
    """Which variables are missing together; combinations of a few respondents are counted as one."""

    rows: pd.DataFrame = field(repr=False)
    n: int

    picture: ClassVar = staticmethod(patterns.combinations)

    def tidy(self) -> pd.DataFrame:
        """One row per combination, the most frequent first."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents."""
        return {"n": self.n}

    def drawn(self) -> pd.DataFrame:
        """The combinations that stand for themselves."""
        return self.rows[self.rows["group"] != OTHERS]


@dataclass(frozen=True, kw_only=True, repr=False)
class MissingPatterns(Result):
    """How much is missing in each variable, why, and which variables are missing together."""

    rows: pd.DataFrame = field(repr=False)
    combinations: Combinations
    summary: Mapping[str, int | float | str]

    picture: ClassVar = staticmethod(patterns.combinations)

    def tidy(self) -> pd.DataFrame:
        """One row per variable and reason, the answers given among them; what would show a few is hidden."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents, those with all answers where that may be told, and whether gaps are nested."""
        return dict(self.summary)

    def drawn(self) -> pd.DataFrame:
        """The combinations."""
        return self.combinations.drawn()

    def table(self) -> tables.Table:
        """One row per variable, one column per reason."""
        shown = self.shown()
        reasons = [reason for reason in (ANSWERED, *REASONS) if (shown["reason"] == reason).any()]
        cells = {(row["term"], row["reason"]): row for row in shown.to_dict("records")}
        terms = list(dict.fromkeys(shown["term"]))
        return tables.Table(
            title=self.title,
            headings=("Variable", *(reason.capitalize() for reason in reasons)),
            rows=tuple((self.labels.get(t, t), *(_cell(cells.get((t, r))) for r in reasons)) for t in terms),
            numeric=(False, *[True] * len(reasons)),
            note=self.note,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class LittleTest(Result):
    """Whether answers look missing completely at random, and how large the differences are that speak against it."""

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]

    def tidy(self) -> pd.DataFrame:
        """One row per variable: the variable whose gaps go with the largest difference in it."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """The test."""
        return dict(self.summary)


def missing_patterns(survey: Survey, *, variables: Sequence[str] | None = None) -> MissingPatterns:
    """Count what is missing, why, and together with what.

    Parameters
    ----------
    survey : Survey
        Its codebook and cleaning rules say why answers are missing.
    variables : sequence of str, optional
        Left out: all items, numbers, categories and units.

    Returns
    -------
    MissingPatterns
        The variables with gaps, or all of them if nothing is missing. Counts of fewer than the threshold are hidden,
        and so are those they could be computed from; `.combinations` says which variables are missing together.

    Raises
    ------
    DataError
        If a variable is not there, none is named, or there are no respondents.
    """
    survey = need_survey(survey, "missing_patterns")
    names = _existing(survey, variables)
    if not names or survey.answers.empty:
        raise DataError("There is nothing to count: name a variable at least, and check that respondents are left.")
    reasons = reasons_of(survey, names)
    lacks = (reasons != ANSWERED).any()
    gaps = reasons.columns[lacks | ~lacks.any()]
    counts = _counts(reasons[gaps])
    hidden = _hidden(counts, survey.privacy.min_n)
    lacking = reasons[gaps] != ANSWERED
    combinations = _combinations(survey, lacking, known=~hidden[ANSWERED].to_numpy())
    return MissingPatterns(
        title="Missing answers",
        note=_patterns_note(len(names) - len(gaps)),
        findings=tuple(_break_off_finding(survey)),
        labels=survey.codebook.labels,
        privacy=survey.privacy,
        rows=_long(counts, hidden, len(reasons)),
        combinations=combinations,
        summary=_patterns_summary(lacking, combinations),
    )


def little_test(data: Data, *, variables: Sequence[str] | None = None) -> LittleTest:
    """Test whether answers are missing completely at random (Little's test), with the size of what speaks against it.

    A small p says they are not. A large p does not say that they are: the test sees differences of means only, and
    none in what was not asked.

    Parameters
    ----------
    data : Survey or DataFrame
        One row per respondent.
    variables : sequence of str, optional
        Items and numbers; left out: all of them that vary.

    Returns
    -------
    LittleTest
        `statistic` is chi-squared; `ratio` divides it by its degrees of freedom. `effect_size` in `tidy()`: per
        variable the clearest difference of its mean, in standard deviations, between those who left another variable
        out and those who answered it. In `glance()` that of the whole test, a measure of this package without a source
        in the literature: the root mean square distance, per answer and in standard deviations, of the means of a
        pattern from everybody's, less what chance adds. It has no published limits for small and large.

    Raises
    ------
    DataError
        If a variable is not there, there twice or no number, nothing is missing, or there are too few rows.
    EstimationError
        If variables determine each other.

    References
    ----------
    See `smstudy.inference.incomplete.little_statistic`.
    """
    refuse_no_table(data, "little_test")
    frame = _numbers(data, variables)
    test = little_statistic(frame.to_numpy())
    policy = privacy_of(data)
    rows = _differences(frame, max(LEAST_COMPARED, policy.min_n))
    findings = tuple(_little_findings(test, len(frame)))
    verdict = NOT_COMPLETELY_RANDOM if test.p_value < LEVEL and not findings else CANNOT_TELL
    return LittleTest(
        title="Little's test: are answers missing completely at random?",
        note=LITTLE_NOTE,
        findings=findings,
        labels=labels_of(data),
        privacy=policy,
        rows=rows,
        summary={
            "n": int(frame.notna().any(axis=1).sum()),
            "n_patterns": test.n_patterns,
            "statistic": test.statistic,
            "df": test.df,
            "p_value": test.p_value,
            "ratio": test.statistic / test.df,
            "effect_size": test.effect_size,
            "verdict": verdict,
        },
    )


def refuse_no_table(data: object, function: str) -> None:
    """Refuse what is neither Survey nor DataFrame, and columns that cannot be told apart."""
    if not isinstance(data, (Survey, pd.DataFrame)):
        raise StudyError(f"{function}() needs a Survey or a DataFrame, not a {type(data).__name__}.")
    columns = frame_of(data).columns
    if columns.has_duplicates:
        twice = join_words(list(dict.fromkeys(map(str, columns[columns.duplicated()]))))
        raise DataError(f"Columns with the same name: {twice}. Give every column its own name.")


def _existing(survey: Survey, variables: Sequence[str] | None) -> list[str]:
    if variables is None:
        return [variable.name for variable in survey.codebook.of_kind(*ASKED) if variable.name in survey.answers]
    names = [variables] if isinstance(variables, str) else list(dict.fromkeys(variables))
    for name in names:
        survey.column(name)
    return names


def _counts(reasons: pd.DataFrame) -> pd.DataFrame:
    """Respondents per variable (rows) and reason (columns)."""
    return pd.DataFrame({kind: (reasons == kind).sum() for kind in (ANSWERED, *REASONS)})


def _hidden(counts: pd.DataFrame, min_n: int) -> pd.DataFrame:
    """Which counts to hide; those who dropped out only grow, so that also small differences are hidden."""
    hidden = pd.DataFrame(False, index=counts.index, columns=counts.columns)
    last = 0
    for term, n in counts[DROPPED_OUT].items():
        if n == last or n - last >= min_n:
            last = n
        else:
            hidden.loc[term, DROPPED_OUT] = True
    for term in counts.index:
        row, before = counts.loc[term].to_numpy(float), hidden.loc[term].to_numpy(bool)
        hidden.loc[term] = hidden_rows(row[:, None], min_n, hidden=before)
    return hidden


def _long(counts: pd.DataFrame, hidden: pd.DataFrame, n: int) -> pd.DataFrame:
    rows = [
        {"term": term, "reason": kind, "n": float(counts.loc[term, kind]), "hidden": bool(hidden.loc[term, kind])}
        for term in counts.index
        for kind in counts.columns
        if counts.loc[term, kind]
    ]
    table = pd.DataFrame(rows)
    table.insert(3, "share", table["n"] / n)
    table[["n", "share"]] = table[["n", "share"]].mask(table["hidden"])
    return table


def _cell(row: Mapping[str, object] | None) -> str:
    if row is None:
        return apa.EMPTY
    return tables.HIDDEN if row["hidden"] else f"{apa.count(row['n'])} ({apa.share(row['share'])})"


def _combinations(survey: Survey, gaps: pd.DataFrame, *, known: NDArray[np.bool_]) -> Combinations:
    packed, counts = np.unique(np.packbits(gaps.to_numpy(), axis=1), axis=0, return_counts=True)
    found = np.unpackbits(packed, axis=1, count=gaps.shape[1]).astype(bool)
    order = np.lexsort((*found.T[::-1], -counts))
    found, counts = found[order], counts[order]
    alone = _standing_alone(found, counts, known, survey.privacy.min_n)
    rows = [
        {"group": _name(i, found[place]), "missing_terms": ", ".join(gaps.columns[found[place]]), "n": counts[place]}
        for i, place in enumerate(np.flatnonzero(alone), start=1)
    ]
    if not alone.all():
        rows.append({"group": OTHERS, "missing_terms": "", "n": counts[~alone].sum()})
    table = pd.DataFrame(rows)
    table["share"] = table["n"] / len(gaps)
    return Combinations(
        title="What is missing together",
        note="Combinations of a few respondents, and those they could be told from, are counted together as others.",
        labels=survey.codebook.labels,
        privacy=survey.privacy,
        rows=table,
        n=len(gaps),
    )


def _name(number: int, missing: NDArray[np.bool_]) -> str:
    return f"Combination {number}" if missing.any() else COMPLETE


def _standing_alone(
    found: NDArray[np.bool_], counts: NDArray[np.intp], known: NDArray[np.bool_], min_n: int
) -> NDArray[np.bool_]:
    """Which combinations may be shown: the others must be many, also those of them with and without each variable.

    `found`, shape (k, p), says what is missing in each combination, `known`, shape (p,), for which variables readers
    know how many lack them.
    """
    alone = counts >= min_n
    while alone.any() and not alone.all():
        others = counts[~alone]
        without = others @ found[~alone][:, known].astype(int)
        told = np.concatenate([[others.sum()], without, others.sum() - without])
        if not ((told > 0) & (told < min_n)).any():
            break
        alone[np.flatnonzero(alone)[np.argmin(counts[alone])]] = False
    return alone


def _patterns_summary(gaps: pd.DataFrame, combinations: Combinations) -> dict[str, int | float | str]:
    complete = combinations.rows.loc[combinations.rows["group"] == COMPLETE, "n"]
    told = {"n_complete": int(complete.iloc[0])} if len(complete) else {}
    ordered = gaps.to_numpy()[:, np.argsort(gaps.sum().to_numpy(), kind="stable")]
    nested = bool((ordered[:, :-1] <= ordered[:, 1:]).all())
    return {"n": len(gaps), **told, "monotone": "yes" if nested else "no"}


def _patterns_note(n_whole: int) -> str:
    whole = f" {plural(n_whole, 'variable')} without any gap left out." if n_whole else ""
    return (
        "Reasons as the codebook and the cleaning rules name them. Dropped out: blank after the last item answered, if "
        f"at least {SHORTEST_TAIL} items follow in the order of the codebook, or no item answered at all.{whole}"
    )


def _break_off_finding(survey: Survey) -> Iterator[Finding]:
    items, places, privacy = _items(survey), break_offs(survey), survey.privacy
    at = np.bincount(places[places < len(items)], minlength=len(items))
    nothing, later = (at[0], at[1:].sum()) if items else (0, 0)
    said = []
    if nothing and privacy.allows(nothing):
        said.append(f"{_respondents(nothing, len(places))} answered no item")
    if later and privacy.allows(nothing) and _all_steps_told(at, privacy):
        said.append(f"{_respondents(later, len(places))} stopped before the end{_where_most(survey, items, at)}")
    if said:
        yield Finding(name="broke_off", text="; ".join(said) + ".", severity="info")


def _respondents(count: int, n: int) -> str:
    return f"{plural(int(count), 'respondent')} ({count / n:.0%})"


def _all_steps_told(at: NDArray[np.intp], privacy: Privacy) -> bool:
    """Whether the table shows all who dropped out; it hides the last steps where a few took them."""
    last = 0
    for n in at.cumsum():
        last = n if privacy.allows(n - last) else last
    return bool(last == at.sum())


def _where_most(survey: Survey, items: list[str], at: NDArray[np.intp]) -> str:
    """Name the item before which most stopped, where neither they nor those before or after are a few."""
    place = 1 + int(at[1:].argmax())
    parts = at[1:place].sum(), at[place], at[place + 1 :].sum()
    if not all(survey.privacy.allows(count) for count in parts):
        return ""
    return f', {at[place]} of them before "{survey.codebook.labels[items[place]]}"'


def _numbers(data: Data, variables: Sequence[str] | None) -> pd.DataFrame:
    """Numeric variables; where none are named, those that vary."""
    frame = frame_of(data)
    if variables is not None:
        names = [variables] if isinstance(variables, str) else list(dict.fromkeys(variables))
        _refuse_other(frame, names)
        chosen = frame[names].astype(float)
    elif isinstance(data, Survey):
        chosen = frame[[v.name for v in data.codebook.of_kind("item", "number") if v.name in frame]].astype(float)
    else:
        chosen = frame.select_dtypes("number").astype(float)
    chosen = chosen if variables is not None else chosen.loc[:, chosen.nunique() > 1]
    if np.isinf(chosen.to_numpy()).any():
        raise DataError("A variable holds an infinite number. Set it to missing first.")
    if (chosen.abs() > LARGEST).any(axis=None):
        raise DataError(f"A variable holds a number beyond {LARGEST:g}. Set it to missing, or change its unit, first.")
    flat = [name for name in chosen if chosen[name].nunique() > 1 and not np.nanstd(chosen[name].to_numpy()) > 0]
    if flat:
        raise DataError(f'The answers to "{flat[0]}" differ by too little to compute with. Change its unit first.')
    if chosen.shape[1] < 2 or not chosen.isna().any().any():
        raise DataError("Little's test needs at least two variables, and answers missing in one of them.")
    return chosen


def _refuse_other(frame: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in frame:
            raise ColumnError(f'There is no variable or score "{name}". {did_you_mean(name, map(str, frame.columns))}')
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise DataError(f'"{name}" holds no numbers. Name items and numbers only.')


def _differences(frame: pd.DataFrame, least: int) -> pd.DataFrame:
    """Clearest standardized difference of each variable between those who lack and those who have another one.

    p is Welch's, corrected (Holm) for all pairs with at least `least` respondents on both sides.
    """
    values, seen = frame.to_numpy(), frame.notna().to_numpy(float)
    scaled = np.nan_to_num((values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0, ddof=1))
    lack, have = _group_means(1 - seen, scaled, seen), _group_means(seen, scaled, seen)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = lack.variance / lack.n, have.variance / have.n
        statistic = (lack.mean - have.mean) / np.sqrt(parts[0] + parts[1])
        df = (parts[0] + parts[1]) ** 2 / (parts[0] ** 2 / (lack.n - 1) + parts[1] ** 2 / (have.n - 1))
        p = 2 * stats.t.sf(np.abs(statistic), df)
    compared = (lack.n >= least) & (have.n >= least) & np.isfinite(p) & ~np.eye(len(p), dtype=bool)
    adjusted = np.full(p.shape, np.inf)
    adjusted[compared] = holm(p[compared])
    other = np.where(compared, p, np.inf).argmin(axis=0)
    rows = zip(frame, other, range(len(other)), strict=True)
    return pd.DataFrame([_difference(frame, name, i, j, lack.mean - have.mean, adjusted) for name, i, j in rows])


class _Means(NamedTuple):
    """Respondents, mean and variance of each variable (columns) among some respondents (one group a row)."""

    n: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


def _group_means(inside: NDArray[np.float64], scaled: NDArray[np.float64], seen: NDArray[np.float64]) -> _Means:
    n = inside.T @ seen
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = inside.T @ scaled / n
        variance = (inside.T @ scaled**2 / n - mean**2) * n / (n - 1)
    return _Means(n, mean, variance)


def _difference(
    frame: pd.DataFrame, name: str, i: int, j: int, differences: NDArray[np.float64], p: NDArray[np.float64]
) -> dict[str, object]:
    compared = bool(np.isfinite(p[i, j]))
    effect, chance = (float(differences[i, j]), float(p[i, j])) if compared else (float("nan"), float("nan"))
    clear = chance < LEVEL
    return {
        "term": name,
        "other_term": frame.columns[i] if compared else "",
        "effect_size": effect,
        "p_adjusted": chance,
        "reading": rules.EFFECT.read(abs(effect)) if clear else CANNOT_TELL,
    }


def _little_findings(test: LittleStatistic, n: int) -> Iterator[Finding]:
    if n / test.n_patterns < ROWS_PER_PATTERN:
        text = (
            f"There are {test.n_patterns} patterns of missing answers for {n} respondents, fewer than "
            f"{ROWS_PER_PATTERN} respondents each: p is too rough for a verdict. Look at the differences."
        )
        yield Finding(name="many_patterns", text=text)
