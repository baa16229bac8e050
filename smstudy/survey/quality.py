"""How carefully people answered: signs, cut-offs with their source, one rule that flags. Nothing is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import groupby
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from smstudy.display import figures
from smstudy.display.prose import join_words, plural
from smstudy.errors import DataError, SmstudyError, StudyError, did_you_mean
from smstudy.inference.threads import one_thread
from smstudy.result import Finding, Result, Rows
from smstudy.survey.careless import (
    Floats,
    average_string,
    contradictions,
    even_odd,
    failed_checks,
    longstring,
    mahalanobis,
    missing_share,
    person_total,
    psychometric_synonyms,
    relative_speed,
    response_variability,
    seconds_per_item,
    straight_share,
    synonym_pairs,
    zero_variance,
)
from smstudy.survey.cleaning import flag_name, match_category
from smstudy.survey.codebook import Variable, answer_range
from smstudy.survey.dataset import Survey, need_survey
from smstudy.survey.disclosure import blank

MIN_ITEMS = 6
MIN_ITEMS_REPEATED = 10
MIN_BATTERY = 4
MIN_SCALES = 3
MIN_PAIRS = 10
LONGEST_CAREFUL_RUN = 14
COMMON_ORDER = 0.30
ANY = "any"
CARELESS = "careless"
DURATION = "duration_seconds"
MEDIAN = "median_seconds"
EXAMPLE = {"attention": '{"check_1": "Agree"}', "thresholds": '{"longstring": 10}'}
ONE_ANSWER, INCONSISTENT, UNUSUAL, FAST, CHECKED = "one answer", "inconsistent", "unusual", "fast", "checked"


@dataclass(frozen=True)
class Sheet:
    """The answers the indices look at.

    Attributes
    ----------
    items : array, shape (n, k)
        As they were given, in the order asked, attention checks left out.
    scored : array, shape (n, items of scales)
        Scale by scale, reversed items turned round; as a share of the answer scale if these differ in length.
    factors : tuple of int
        Number of items of each scale.
    batteries : tuple of tuples of int
        Columns of `items` that stand together and have one answer scale.
    mixed : tuple of tuples of int
        The batteries with items of both directions.
    middles : tuple of float
        Middle of the answer scale of each of these.
    seconds : array, shape (n,), or None
        Time taken.
    median : float or None
        Seconds per item of the median respondent, if frozen by an earlier wave.
    checks : array, shape (n, checks), or None
        1 for an attention check failed, 0 for one passed.
    """

    items: Floats
    scored: Floats
    factors: tuple[int, ...] = ()
    batteries: tuple[tuple[int, ...], ...] = ()
    mixed: tuple[tuple[int, ...], ...] = ()
    middles: tuple[float, ...] = ()
    seconds: Floats | None = None
    median: float | None = None
    checks: Floats | None = None

    @property
    def k(self) -> int:
        """Number of items."""
        return self.items.shape[1]

    @property
    def varying(self) -> Floats:
        """The items to which not everybody gave the same answer."""
        return self.items[:, np.fmax.reduce(self.items, axis=0) > np.fmin.reduce(self.items, axis=0)]

    @cached_property
    def agreement(self) -> Floats:
        """Correlation of everybody's answers with the means of the others."""
        return person_total(self.items)

    @cached_property
    def distances(self) -> Floats | None:
        """Squared Mahalanobis distances; None if the covariances cannot be inverted."""
        try:
            return mahalanobis(self.varying)
        except DataError:
            return None

    @property
    def telling(self) -> bool:
        """Whether one and the same answer to everything can hardly be meant."""
        return bool(self.mixed) or self.k > LONGEST_CAREFUL_RUN


@dataclass(frozen=True, kw_only=True)
class Index:
    """One sign of careless answering.

    Attributes
    ----------
    label : str
        What is measured.
    compute : callable
        Sheet to values of shape (n,); missing where nothing can be said.
    cutoff : callable
        (values, sheet) to the value from which the sign is there.
    source : str
        Why this cut-off.
    family : str
        Kind of carelessness; signs of one family count once. Empty if it counts for none.
    low : bool
        Whether small values are the suspicious ones.
    relative : bool
        Whether the cut-off or the value comes from the sample, so that somebody stands out however careful all are.
    alone : callable
        Sheet to the value from which the sign is enough by itself; nan for never.
    lacks : callable
        Sheet to the words for what is missing to compute it; empty if nothing is.
    """

    label: str
    compute: Callable[[Sheet], Floats]
    cutoff: Callable[[Floats, Sheet], float]
    source: str
    family: str = ""
    low: bool = False
    relative: bool = False
    alone: Callable[[Sheet], float] = lambda sheet: float("nan")
    lacks: Callable[[Sheet], str] = lambda sheet: "" if sheet.k >= MIN_ITEMS else f"fewer than {MIN_ITEMS} items"

    def speaks(self, values: Floats, limit: float) -> np.ndarray:
        """Say for whom the sign is there, shape (n,)."""
        return values < limit if self.low else values >= limit


def _fence(values: Floats, side: int) -> float:
    """Tukey's lower (-1) or upper (1) fence."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan")
    low, high = np.quantile(known, [0.25, 0.75])
    return float((high if side > 0 else low) + side * 1.5 * (high - low))


def _constant(cut: float) -> Callable[[Floats, Sheet], float]:
    return lambda values, sheet: cut


def _no_scales(sheet: Sheet) -> str:
    return "" if len(sheet.factors) >= MIN_SCALES else f"fewer than {MIN_SCALES} scales of at least 2 items"


def _no_pairs(sheet: Sheet, *, antonyms: bool) -> str:
    kind = "below -.60" if antonyms else "above .60"
    found = len(synonym_pairs(sheet.items, antonyms=antonyms)[0]) if sheet.k > 2 else 0
    return "" if found >= MIN_PAIRS else f"fewer than {MIN_PAIRS} pairs of items that correlate {kind}"


def _no_agreement(sheet: Sheet) -> str:
    """Whoever thinks otherwise is not careless: without a common order of the items this index tells opinions apart."""
    if sheet.k < MIN_ITEMS:
        return f"fewer than {MIN_ITEMS} items"
    known = sheet.agreement[np.isfinite(sheet.agreement)]
    return "" if len(known) and np.median(known) >= COMMON_ORDER else "half of the respondents correlate below .30"


def _no_distance(sheet: Sheet) -> str:
    if sheet.k < MIN_ITEMS:
        return f"fewer than {MIN_ITEMS} items"
    return "" if sheet.distances is not None else "covariances that cannot be inverted, mostly for want of respondents"


def _no_seconds(sheet: Sheet) -> str:
    return "" if sheet.seconds is not None else "no time"


INDICES: dict[str, Index] = {
    "longstring": Index(
        label="Longest run of identical answers",
        compute=lambda sheet: longstring(sheet.items),
        cutoff=lambda values, sheet: float(np.ceil(sheet.k / 2)),
        alone=lambda sheet: max(np.ceil(sheet.k / 2), LONGEST_CAREFUL_RUN + 1),
        source="half of all items or more in a row: Curran (2016), J. Experimental Social Psychology 66, 4-19",
    ),
    "average_string": Index(
        label="Mean length of runs of identical answers",
        compute=lambda sheet: average_string(sheet.items),
        cutoff=lambda values, sheet: _fence(values, 1),
        family=ONE_ANSWER,
        relative=True,
        source="no agreed cut-off (Curran, 2016, J. Experimental Social Psychology 66, 4-19); above Tukey's upper "
        "fence, so that only those who stand apart are marked",
    ),
    "zero_variance": Index(
        label="The same answer to every item",
        compute=lambda sheet: zero_variance(sheet.items),
        cutoff=_constant(1.0),
        family=ONE_ANSWER,
        alone=lambda sheet: 1.0 if sheet.telling else float("nan"),
        source="one answer to all, reversed ones included: Kim et al. (2019), Social Science Computer Review 37, "
        "214-233",
    ),
    "straight_batteries": Index(
        label="Share of batteries answered with one answer",
        compute=lambda sheet: straight_share(sheet.items, sheet.batteries),
        cutoff=_constant(0.5),
        family=ONE_ANSWER,
        alone=lambda sheet: 1.0 if sheet.telling else float("nan"),
        lacks=lambda sheet: "" if len(sheet.batteries) > 1 else f"fewer than 2 batteries of {MIN_BATTERY} items",
        source="half of the batteries or more, as Curran (2016) has it for items; measured as simple "
        "nondifferentiation: Kim et al. (2019), Social Science Computer Review 37, 214-233",
    ),
    "straight_reversed": Index(
        label="Batteries with reversed items answered with one answer",
        compute=lambda sheet: contradictions(sheet.items, sheet.mixed, sheet.middles),
        cutoff=_constant(1.0),
        family=ONE_ANSWER,
        lacks=lambda sheet: "" if sheet.mixed else "no battery with reversed items",
        source="agreeing to a statement and to its opposite: Schonlau & Toepoel (2015), Survey Research Methods 9, "
        "125-137; the middle answer does not count",
    ),
    "irv": Index(
        label="Spread of a respondent's answers",
        compute=lambda sheet: response_variability(sheet.items),
        cutoff=lambda values, sheet: _fence(values, -1),
        family=ONE_ANSWER,
        low=True,
        relative=True,
        source="no agreed cut-off (Dunn et al., 2018, J. Business and Psychology 33, 105-121); below Tukey's lower "
        "fence, so that only those who stand apart are marked",
    ),
    "even_odd": Index(
        label="Even-odd inconsistency",
        compute=lambda sheet: even_odd(sheet.scored, sheet.factors),
        cutoff=_constant(-0.30),
        family=INCONSISTENT,
        lacks=_no_scales,
        source="even and odd halves correlate .30 or less: Jackson's rule in Johnson (2005), J. Research in "
        "Personality 39, 103-129",
    ),
    "synonyms": Index(
        label="Agreement of items that go together",
        compute=lambda sheet: psychometric_synonyms(sheet.items),
        cutoff=_constant(0.22),
        family=INCONSISTENT,
        low=True,
        lacks=partial(_no_pairs, antonyms=False),
        source="below .22 over pairs that correlate above .60: DeSimone, Harms & DeSimone (2015), J. Organizational "
        "Behavior 36, 171-181",
    ),
    "antonyms": Index(
        label="Agreement of items that exclude each other",
        compute=lambda sheet: psychometric_synonyms(sheet.items, antonyms=True),
        cutoff=_constant(-0.03),
        family=INCONSISTENT,
        lacks=partial(_no_pairs, antonyms=True),
        source="-.03 or more over pairs that correlate below -.60: Johnson (2005), J. Research in Personality 39, "
        "103-129",
    ),
    "person_total": Index(
        label="Agreement with the mean answers of the others",
        compute=lambda sheet: sheet.agreement,
        cutoff=_constant(0.0),
        family=INCONSISTENT,
        low=True,
        lacks=_no_agreement,
        source="no agreed cut-off (Curran, 2016, J. Experimental Social Psychology 66, 4-19); below 0 the answers run "
        "against those of the others; used only where half of all reach .30",
    ),
    "mahalanobis": Index(
        label="Squared Mahalanobis distance",
        compute=lambda sheet: sheet.distances,
        cutoff=lambda values, sheet: float(stats.chi2.isf(0.01, sheet.varying.shape[1])),
        family=UNUSUAL,
        alone=lambda sheet: float(stats.chi2.isf(0.01 / len(sheet.items), sheet.varying.shape[1])),
        lacks=_no_distance,
        source="p < .01 of the chi-squared distribution, as R careless::mahad has it; Meade & Craig (2012), "
        "Psychological Methods 17, 437-455",
    ),
    "missing_share": Index(
        label="Share of items left out",
        compute=lambda sheet: missing_share(sheet.items),
        cutoff=_constant(0.5),
        lacks=lambda sheet: "",
        source="half of the items or more left out; below half answered is a break-off: AAPOR Standard Definitions",
    ),
    "seconds_per_item": Index(
        label="Seconds per item",
        compute=lambda sheet: seconds_per_item(sheet.items, sheet.seconds),
        cutoff=_constant(2.0),
        family=FAST,
        low=True,
        alone=lambda sheet: 1.0,
        lacks=_no_seconds,
        source="less than 2 seconds per item: Huang et al. (2012), J. Business and Psychology 27, 99-114",
    ),
    "relative_speed": Index(
        label="Times faster than the median",
        compute=lambda sheet: relative_speed(sheet.items, sheet.seconds, median=sheet.median),
        cutoff=_constant(2.0),
        family=FAST,
        relative=True,
        lacks=_no_seconds,
        source="twice as fast as the median or faster: Leiner (2019), Survey Research Methods 13, 229-248",
    ),
    "attention": Index(
        label="Failed attention checks",
        compute=lambda sheet: failed_checks(sheet.checks),
        cutoff=_constant(1.0),
        family=CHECKED,
        alone=lambda sheet: 2.0,
        lacks=lambda sheet: "" if sheet.checks is not None else "no attention check named",
        source="one check failed is a sign, it may be a slip; two are enough: Curran (2016), J. Experimental Social "
        "Psychology 66, 4-19",
    ),
}
UNIONS = {
    ANY: ("At least one sign", "at least one of these: a hint, no verdict"),
    CARELESS: (
        "Flagged as careless",
        "signs of two kinds, or one that is enough by itself (see the note): Meade & Craig (2012), Psychological "
        "Methods 17, 437-455; Curran (2016)",
    ),
}
# Counts of which readers know that the first is part of the second.
NESTED = (("zero_variance", "longstring"), ("zero_variance", CARELESS), ("longstring", CARELESS))


@dataclass(frozen=True, kw_only=True, repr=False)
class QualityCard(Result):
    """How many respondents show each sign of careless answering, and how many are flagged.

    Attributes
    ----------
    rows : DataFrame
        Ungated, as `tidy()` gives them.
    n_items : int
        Items looked at.
    indices : Rows
        Value of every index, one row per respondent.
    flags : Rows
        Whether each index speaks, boolean; the column `any` is true where at least one does, `careless` where the rule
        of `quality_card` flags.
    """

    rows: pd.DataFrame = field(repr=False)
    n_items: int
    indices: Rows
    flags: Rows

    picture: ClassVar[Callable[..., Axes]] = staticmethod(partial(figures.bars, value="share"))

    def tidy(self) -> pd.DataFrame:
        """One row per index, one for any of them, one for the flagged: term, threshold, n, share, reason."""
        return self.rows.copy()

    def shown(self) -> pd.DataFrame:
        """The card with small counts hidden, and further ones that would give one away."""
        return gate_card(self.rows, len(self.flags.frame), self.privacy.min_n)

    def glance(self) -> dict[str, int | float | str]:
        """Respondents looked at, and the number of items."""
        return {"n": len(self.flags.frame), "n_items": self.n_items}

    def frozen(self) -> dict[str, float]:
        """The cut-offs that came from these respondents, for `thresholds=` of the next wave's card."""
        values = self.indices.frame
        limits = self.rows.set_index("term")["threshold"].to_dict()
        cuts = {name: limits[name] for name in values if INDICES[name].relative and name != "relative_speed"}
        found = {name: cut for name, cut in cuts.items() if np.isfinite(cut)}
        if "relative_speed" in values and values["seconds_per_item"].notna().any():
            found[MEDIAN] = float(values["seconds_per_item"].median())
        return found


def quality_card(
    survey: Survey,
    *,
    duration: str = DURATION,
    attention: Mapping[str, str | float] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> QualityCard:
    """Look for signs of careless answering, and flag those who show enough of them.

    A respondent is flagged (`careless`) for signs of at least two kinds, or for one that is enough by itself. The kinds
    are: one answer throughout, inconsistent answers, an unusual pattern, speed, failed attention checks. Careless
    people differ in kind, and a single index finds one kind only and is often wrong (Meade & Craig, 2012; Curran, 2016,
    who advises several hurdles, each set low). Enough by itself is what a careful person hardly does: one answer to
    everything where items are reversed or number more than 14 (in Costa & McCrae, 2008, nobody careful gave one answer
    more than 14 times running), a run of more than 14 that is also half of all items, a Mahalanobis distance that only
    one in a hundred whole surveys would hold (Wilks, 1963), less than 1 second per item (Wood et al., 2017), two failed
    checks. Cut-offs taken from the sample never count: they pick somebody out of any sample. Items left out are no
    carelessness and do not count either.

    Parameters
    ----------
    survey : Survey
        All items of the codebook are used, in its order, as they were answered (reversed items not turned round, but
        for even-odd consistency).
    duration : str
        Variable with the seconds taken; the speed indices are left out if it is not there.
    attention : mapping, optional
        Variable of an attention check to its right answer (code or label). It is left out of all other indices; an
        unanswered check is not failed.
    thresholds : mapping, optional
        Other cut-offs, by name of the index (see `INDICES`), and `median_seconds`, the seconds per item of the median
        respondent that speed is compared with. `card.frozen()` gives those of an earlier wave.

    Returns
    -------
    QualityCard
        One row per index, one for any of them, one for the flagged. Nobody is removed. Of simulated attentive people
        fewer than 1 in 100 are flagged, unless most of them tick an end of the answer scale, because distances assume
        normal answers. Straight lines are found nearly always. Answers at random are found in 8 or more of 10 cases
        where 40 items belong to 8 scales, in 7 with 20 items or 150 people, in 5 or 6 with 12 items; in fewer if they
        are many, because then they shape what is usual (tests/survey/test_quality.py). Simulations flatter: on real
        failures of attention checks single indices do hardly better than chance; see `index_accuracy`.

    Raises
    ------
    DataError
        If there is no codebook, no respondent, fewer than 2 items, or the right answer of a check is none of its
        answers.
    StudyError
        If a threshold is for no index or is no finite number.

    References
    ----------
    Meade & Craig (2012), Psychological Methods 17, 437-455. Curran (2016), J. Experimental Social Psychology 66, 4-19.
    Costa & McCrae (2008), in The SAGE Handbook of Personality Theory and Assessment 2, 179-198. Wilks (1963), Sankhya A
    25, 407-426. Wood, Harms, Lowman & DeSimone (2017), Social Psychological and Personality Science 8, 454-464. The
    indices: `smstudy.survey.careless`.
    """
    survey = need_survey(survey, "quality_card")
    for name, given in {"attention": attention, "thresholds": thresholds}.items():
        if not isinstance(given or {}, Mapping):
            raise StudyError(
                f"{name} is a {type(given).__name__}. Give names and values, such as {name}={EXAMPLE[name]}."
            )
    cuts = _own_thresholds(thresholds or {})
    items, seconds = _items(survey, attention or {}), _seconds(survey, duration)
    sheet = _sheet(survey, items, seconds, attention or {}, cuts.pop(MEDIAN, None))
    with one_thread():
        lacks = {name: index.lacks(sheet) for name, index in INDICES.items()}
        values = {name: INDICES[name].compute(sheet) for name, lack in lacks.items() if not lack}
    limits = {name: cuts.get(name, INDICES[name].cutoff(found, sheet)) for name, found in values.items()}
    flags = pd.DataFrame(
        {name: INDICES[name].speaks(found, limits[name]) for name, found in values.items()}, index=items.index
    )
    flags = flags.assign(**{ANY: flags.any(axis=1), CARELESS: _careless(values, flags, sheet)})
    return QualityCard(
        title="Signs of careless answering",
        note=_note(sheet, values, survey.privacy.min_n),
        findings=(*_card_findings(items, seconds, flags[CARELESS], lacks, survey), *_repeated(survey, items)),
        labels={**{name: INDICES[name].label for name in values}, **{name: UNIONS[name][0] for name in UNIONS}},
        privacy=survey.privacy,
        rows=_card_rows(flags, limits, cuts, survey.privacy.min_n),
        n_items=items.shape[1],
        indices=Rows(pd.DataFrame(values, index=items.index)),
        flags=Rows(flags),
    )


def with_flags(survey: Survey, card: QualityCard) -> Survey:
    """Add the flags of a card as columns for cleaning rules, 1 where they speak.

    The columns are `flag_<index>`, `flag_any` and `flag_careless`, which is the rule of `quality_card`.

    Raises
    ------
    DataError
        If the card is about other respondents.
    """
    flags, survey = card.flags.frame, need_survey(survey, "with_flags")
    if not flags.index.equals(survey.answers.index):
        raise DataError("The quality card is about other respondents than the survey. Make both from the same answers.")
    columns = flags.astype(float).rename(columns=flag_name)
    return survey.with_columns(columns, "quality flags added")


def gate_card(rows: pd.DataFrame, n: int, min_n: int) -> pd.DataFrame:
    """Hide small counts of a quality card, and those from which one would follow.

    A count is hidden if it, or the rest of the respondents, is from 1 to min_n - 1; so is one that falls short by so
    few of another that holds it. A union is hidden if it says of hidden parts more than that they are not empty. The
    union of all signs is hidden, as the one that says least, if it exceeds one of its parts by few people, or if the
    parts together exceed it by few: then few people show several signs. The flag is hidden too if the parts together
    exceed it by few, since they are no fewer than the union.
    """
    counts = dict(zip(rows["term"], rows["n"].astype(int), strict=True))

    def small(count: int) -> bool:
        return 0 < count < min_n

    few = {name for name, count in counts.items() if small(count) or small(n - count) or small(n)}
    nested = [(part, whole) for part, whole in NESTED if {part, whole} <= set(counts) - few]
    hidden = few | {part for part, whole in nested if small(counts[whole] - counts[part])}
    hidden |= {union for union in UNIONS if union in counts and _tells_of_parts(union, counts, few, hidden)}
    if any(small(counts[ANY] - counts[name]) for name in set(counts) - hidden) or _tells_overlap(counts, hidden, min_n):
        hidden.add(ANY)
    if _tells_not_flagged(counts, hidden, min_n):
        hidden.add(CARELESS)
    return blank(rows, rows["term"].isin(hidden).to_numpy(), ["n", "share"])


def _makers(counts: Mapping[str, int], hidden: set[str], *, flag: bool = False) -> tuple[list[str], list[str]]:
    """Shown signs that make up the union of all, none within another, and the hidden ones that may add to them.

    With `flag`, whoever is flagged counts as having a sign, which takes the place of those that always flag.
    """
    names = [name for name in counts if name not in UNIONS or (flag and name == CARELESS)]
    shown = [name for name in names if name not in hidden]
    within = {part for part, whole in NESTED if whole in shown}
    return [name for name in shown if name not in within], [name for name in names if name in hidden - within]


def _tells_of_parts(union: str, counts: Mapping[str, int], few: set[str], hidden: set[str]) -> bool:
    """Whether a union tells that hidden small parts have more than one person; larger hidden ones leave that open."""
    for flag in (False, True)[: 1 + (union == ANY)]:
        shown, others = _makers(counts, hidden, flag=flag)
        if others and set(others) <= few and counts[union] - sum(counts[name] for name in shown) > 1:
            return True
    return False


def _tells_overlap(counts: Mapping[str, int], hidden: set[str], min_n: int) -> bool:
    """Whether shown counts that make up the union of all add up to a few more, so that a few are in several of them."""
    for flag in (False, True):
        shown, others = _makers(counts, hidden, flag=flag)
        if not others and 0 < sum(counts[name] for name in shown) - counts[ANY] < min_n:
            return True
    return False


def _tells_not_flagged(counts: Mapping[str, int], hidden: set[str], min_n: int) -> bool:
    """Whether signs and flag alone tell that a few people show several signs, or one and no flag."""
    shown, others = _makers(counts, hidden)
    told = not others and CARELESS in set(counts) - hidden
    return told and 0 < sum(counts[name] for name in shown) - counts[CARELESS] < min_n


def _careless(values: Mapping[str, Floats], flags: pd.DataFrame, sheet: Sheet) -> np.ndarray:
    """Signs of two kinds, or one that is enough by itself, shape (n,)."""
    counted = [name for name in values if not INDICES[name].relative]
    kinds: dict[str, np.ndarray] = {}
    enough = nobody = np.zeros(len(flags), dtype=bool)
    for name in counted:
        index, found = INDICES[name], flags[name].to_numpy()
        if index.family:
            kinds[index.family] = kinds.get(index.family, nobody) | found
        enough = enough | found & index.speaks(values[name], index.alone(sheet))
    return enough | (sum(map(np.int64, kinds.values()), nobody.astype(int)) >= 2)


def _sheet(
    survey: Survey,
    items: pd.DataFrame,
    seconds: pd.Series | None,
    attention: Mapping[str, str | float],
    median: float | None,
) -> Sheet:
    batteries = tuple(_batteries(survey, items))
    variables = [survey.codebook.variable(name) for name in items]
    mixed = tuple(battery for battery in batteries if len({variables[place].reverse for place in battery}) == 2)
    scored, factors = _scored(survey, items)
    checks = [_failed(survey, name, right) for name, right in attention.items()]
    return Sheet(
        items=items.to_numpy(float),
        scored=scored,
        factors=factors,
        batteries=batteries,
        mixed=mixed,
        middles=tuple(sum(answer_range(variables[battery[0]])) / 2 for battery in mixed),
        seconds=None if seconds is None else seconds.to_numpy(float),
        median=median,
        checks=np.column_stack(checks) if checks else None,
    )


def _batteries(survey: Survey, items: pd.DataFrame) -> Iterator[tuple[int, ...]]:
    """Columns of items that stand together in the codebook and have one answer scale."""
    places = {name: place for place, name in enumerate(items)}
    asked = [v for v in survey.codebook.variables if v.kind != "item" or v.name in places]
    for _, run in groupby(asked, key=lambda v: tuple(c.value for c in v.categories) if v.kind == "item" else None):
        found = tuple(places[v.name] for v in run if v.kind == "item")
        if len(found) >= MIN_BATTERY:
            yield found


def _scored(survey: Survey, items: pd.DataFrame) -> tuple[Floats, tuple[int, ...]]:
    """Items scale by scale, reversed ones turned round, and the number of items of each scale."""
    scales = [[name for name in scale.items if name in items] for scale in survey.codebook.scales]
    scales = [names for names in scales if len(names) > 1]
    variables = [survey.codebook.variable(name) for names in scales for name in names]
    ranges = [answer_range(variable) for variable in variables]
    matrix = items[[variable.name for variable in variables]].to_numpy(float)
    low, high = (np.array([ends[side] for ends in ranges]) for side in (0, 1))
    turned = np.where([variable.reverse for variable in variables], low + high - matrix, matrix)
    factors = tuple(len(names) for names in scales)
    return (turned if len(set(ranges)) < 2 else (turned - low) / (high - low)), factors


def _failed(survey: Survey, name: str, right: str | float) -> np.ndarray:
    """1 where an attention check was failed, 0 where it was passed, missing where it was not answered."""
    variable, answers = survey.codebook.variable(name), survey.column(name)
    if not isinstance(right, str) or (variable.kind == "number" and not variable.categories):
        right = _number(right, f'The right answer of the check "{name}"', DataError)
    label = match_category(variable, right)
    if variable.categories and label is None:
        allowed = join_words([category.label for category in variable.categories])
        raise DataError(f'The right answer of the check "{name}" is none of its answers. Allowed: {allowed}.')
    wanted = _stored(variable, label, right)
    return np.where(answers.isna(), np.nan, (answers != wanted).astype(float))


def _stored(variable: Variable, label: str | None, right: str | float) -> str | float:
    """How the right answer stands in the answers: codes of items and numbers as floats, labels as text."""
    if variable.kind == "item":
        return next(float(category.value) for category in variable.categories if category.label == label)
    if variable.kind == "number":
        return float(right)
    return label if label is not None else str(right)


def _items(survey: Survey, attention: Sequence[str] | Mapping[str, object]) -> pd.DataFrame:
    names = [v.name for v in survey.codebook.of_kind("item") if v.name in survey.answers and v.name not in attention]
    if survey.answers.empty:
        raise DataError("There are no answers to check: no respondent is left.")
    if len(names) < 2:
        raise DataError(
            f"A quality card needs at least 2 items, the survey has {len(names)}. Declare variables of kind item."
        )
    return survey.answers[names].astype(float)


def _seconds(survey: Survey, duration: str) -> pd.Series | None:
    """The time taken, none at all if it is not there or never known; a time that is not positive is not known."""
    if duration not in survey.answers or not pd.api.types.is_numeric_dtype(survey.answers[duration]):
        return None
    seconds = survey.answers[duration].astype(float)
    seconds = seconds.where(seconds > 0)
    return seconds if seconds.notna().any() else None


def _own_thresholds(thresholds: Mapping[str, float]) -> dict[str, float]:
    for name in thresholds:
        if name not in (*INDICES, MEDIAN):
            raise StudyError(f'There is no quality index "{name}". {did_you_mean(name, (*INDICES, MEDIAN))}')
    cuts = {name: _number(cut, f'The threshold of "{name}"', StudyError) for name, cut in thresholds.items()}
    if cuts.get(MEDIAN, 1.0) <= 0:
        raise StudyError(f"{MEDIAN} is {cuts[MEDIAN]:g}. Seconds per item must be above 0.")
    return cuts


def _number(value: object, what: str, error: type[SmstudyError]) -> float:
    """Read a setting as a finite number; a sign compared with anything else would silently never be there."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise error(f'{what} is "{value}". It must be a finite number, such as 3. Correct it.')
    return number


def _card_rows(flags: pd.DataFrame, limits: Mapping[str, float], own: Mapping[str, float], min_n: int) -> pd.DataFrame:
    """One row per column of the flags; a cut-off taken from fewer than min_n respondents would tell about them."""
    untold = {name for name in limits if INDICES[name].relative and name not in own and len(flags) < min_n}
    rows = [
        {
            "term": name,
            "threshold": float("nan") if name in untold else limits.get(name, float("nan")),
            "n": int(flags[name].sum()),
            "share": float(flags[name].mean()),
            "reason": "set for this study"
            if name in own
            else UNIONS[name][1]
            if name in UNIONS
            else INDICES[name].source,
        }
        for name in flags
    ]
    return pd.DataFrame(rows)


def _note(sheet: Sheet, values: Mapping[str, Floats], min_n: int) -> str:
    relative = [INDICES[name].label.lower() for name in values if INDICES[name].relative]
    apart = f" Cut-offs of this sample ({join_words(relative)}) never flag anybody." if relative else ""
    return (
        f"{plural(sheet.k, 'item')}, in the order of the codebook. Flagged are signs of two kinds (one answer, "
        "inconsistent, unusual, fast, failed checks) or one sign that is enough by itself: one answer to everything "
        f"where items are reversed or more than {LONGEST_CAREFUL_RUN}, a run of more than {LONGEST_CAREFUL_RUN} and "
        "half of all items, a distance that only one in a hundred whole surveys would hold, less than 1 second per "
        f"item, two failed checks.{apart}{_speed_compared(sheet, min_n)} A flag is a hint; nobody is removed."
    )


def _speed_compared(sheet: Sheet, min_n: int) -> str:
    """Say which speed the others are compared with, unless it would tell about a few."""
    if sheet.seconds is None or (sheet.median is None and len(sheet.items) < min_n):
        return ""
    taken = seconds_per_item(sheet.items, sheet.seconds)
    known = taken[np.isfinite(taken)]
    if sheet.median is not None:
        return f" Speed is compared with the {sheet.median:.2f} seconds per item set for this study ({MEDIAN})."
    if not len(known):
        return ""
    return f" Speed is compared with the {np.median(known):.2f} seconds per item of the median respondent."


def _card_findings(
    items: pd.DataFrame, seconds: pd.Series | None, flagged: pd.Series, lacks: Mapping[str, str], survey: Survey
) -> list[Finding]:
    found = []
    if items.shape[1] < MIN_ITEMS:
        text = f"Only {items.shape[1]} items: below {MIN_ITEMS}, runs and spread say nothing and are left out."
        found.append(Finding(name="few_items", text=text))
    elif absent := [f"{INDICES[n].label} ({lack})" for n, lack in lacks.items() if lack and INDICES[n].family != FAST]:
        text = f"Not computed: {'; '.join(absent)}."
        found.append(Finding(name="index_not_computed", text=text, severity="info"))
    if seconds is None:
        text = f"No time is known: the answers have no variable {DURATION}, so speed is not checked."
        found.append(Finding(name="no_duration", text=text, severity="info"))
    if flagged.mean() > 0.10 and flagged.sum() >= survey.privacy.min_n:
        text = "More than one respondent in ten is flagged as careless. Report results with and without them."
        found.append(Finding(name="many_flagged", text=text))
    return found


def _repeated(survey: Survey, items: pd.DataFrame) -> list[Finding]:
    """Say if somebody repeats another respondent answer by answer; rows of one single answer are no repetition."""
    aside = ("id", "date", "weight")
    about = [v.name for v in survey.codebook.variables if v.kind not in aside and v.name != DURATION]
    block = survey.answers[[name for name in about if name in survey.answers]]
    varied = items.max(axis=1) > items.min(axis=1)
    enough = items.notna().sum(axis=1) >= MIN_ITEMS_REPEATED
    if not (block.duplicated() & varied & enough).any():
        return []
    text = (
        "Some respondents repeat another one in every single answer. With this many items that is hardly chance: look "
        "for a response sent twice, and exclude it with a rule of the stage duplicates."
    )
    return [Finding(name="repeated_answers", text=text)]
