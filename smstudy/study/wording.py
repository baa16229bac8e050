"""Results in the words of the page: which columns it shows, under which headings, and what to know beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from smstudy.display import apa, rules, tables
from smstudy.display.prose import join_words, plural

Record = Mapping[str, object]
Rows = Sequence[Mapping[str, object]]

# Columns the page shows of a kind of result, in words for readers who are no statisticians; the files hold all of them.
COLUMNS = {
    "Cleaning": {
        "reason": "Reason to leave answers out", "n_before": "People before", "n_removed": "Left out",
        "n_after": "People after",
    },
    "Response": {"group": "Department", "n_frame": "People", "n": "Answered", "response": "Share"},
    "ReliabilityTable": {
        "term": "Scale", "n_items": "Statements", "alpha": "Reliability (alpha)", "alpha_low": "95% interval",
        "reading": "In words",
    },
    "Reliability": {
        "term": "Statement", "n": "Answers", "mean": "Mean", "item_rest": "Goes with the others (r)",
        "missing_share": "Missing",
    },
    "Scores": {
        "term": "Scale", "n_items": "Statements", "n": "People", "mean": "Mean", "std_dev": "Spread (SD)",
        "minimum": "Lowest possible", "maximum": "Highest possible",
    },
    "WaveChanges": {
        "term": "Score", "group": "Group", "n_previous": "People before", "n": "People now", "previous": "Mean before",
        "mean": "Mean now", "difference": "Change", "conf_low": "95% interval", "verdict": "Verdict",
    },
    "Regression": {
        "term": "Driver", "estimate": "Points of the outcome per point", "conf_low": "95% interval",
        "reading": "In words",
    },
    "NestingAdvice": {
        "term": "Driver", "icc_1": "How alike members of a department are (ICC; 0: not at all)", "reading": "In words",
    },
    "Importance": {
        "term": "Driver", "importance": "Share of what all account for", "importance_low": "95% interval",
        "reading": "In words",
    },
    "Moderation": {
        "at": "At", "estimate": "Points of the outcome per point", "conf_low": "95% interval", "reading": "In words",
    },
    "Mediation": {
        "effect": "Way", "term": "By way of", "estimate": "Points of the outcome per point",
        "conf_low": "95% interval", "reading": "In words",
    },
    "Necessity": {
        "term": "Driver", "effect_size": "Empty corner (d; 0: none)", "verdict": "Verdict", "reading": "In words",
    },
    "Priorities": {
        "term": "Driver", "verdict": "Verdict", "importance": "Share of what all account for",
        "performance": "Level now (0 to 100)", "quadrant": "On the map", "reading": "In words",
    },
    "Pilot": {
        "term": "Outcome", "estimate": "Change beyond the others, in points", "conf_low": "95% interval",
        "reading": "In words", "verdict": "Verdict",
    },
    "DepartmentPower": {
        "group": "Department", "n_frame": "People", "n": "Answered", "power": "Chance to see it",
        "found": "Smallest change seen reliably", "reading": "In words",
    },
    "GroupChoice": {"k": "Groups tried", "stability": "Stability (1: always the same)", "verdict": "Verdict"},
    "Segmentation": {"segment": "Kind", "n": "People", "share": "Share", "conf_low": "95% interval"},
    "Sensitivity": {
        "term": "Score", "estimate": "Mean of everybody", "estimate_without": "Without the flagged",
        "difference": "Change", "verdict": "Verdict",
    },
    "WeightedMeans": {
        "term": "Score", "group": "Group", "estimate": "Weighted mean", "conf_low": "95% interval",
        "unweighted": "Without weights",
    },
    "Construct": {
        "term": "Statement", "mean": "Mean", "item_rest": "Goes with the others (r)", "conf_low": "95% interval",
        "verdict": "In words", "reason": "What to do",
    },
    "Validity": {
        "term": "Scale", "other_term": "and", "htmt": "How far they overlap (HTMT; 1: the same)",
        "htmt_low": "95% interval", "verdict": "In words",
    },
    "Agreement": {
        "term": "Scale", "rwg": "Members agree (rWG; 1: fully)", "icc_2": "Departments can be told apart (ICC(2))",
        "icc_2_low": "95% interval", "verdict": "Averages",
    },
    "Distribution": {"term": "Question", "answer": "Answer", "n": "People", "share": "Share"},
}  # fmt: skip
# Rows of a model that answer nobody's question; the files hold them.
TECHNICAL_ROWS = ("Constant",)
# What a refused analysis would have answered.
REFUSED = {
    "nesting": "Do departments matter?",
    "multilevel": "Do departments matter?",
    "importance": "Which drivers matter most?",
    "moderate": "For whom?",
    "mediate": "By which way?",
    "pilot": "Did the pilot make a difference?",
    "necessity": "What can the outcome not do without?",
    "priorities": "Must-have and nice-to-have",
    "confirm": "Do the statements belong together as planned?",
    "validity": "Are these scales different things?",
    "agreement": "May answers be averaged to departments?",
    "invariance": "Do the questions mean the same in both waves?",
}
EMPTY = {
    "Cleaning": "The study has no cleaning rules, so nobody was left out.",
    "WaveChanges": "There is no previous wave to compare with.",
    "Invariance": "There is no previous wave to compare with.",
}
NOTHING = "There is nothing to show here."
ALL_HIDDEN = "Everything in this table is hidden, because each row would tell about few people."
ONE_KIND = "No number of groups held, so everybody counts as one group and there are no kinds to tell apart."
# What a reader of the page must know to read a table in which something is hidden.
BELOW_HIDDEN = {
    "Cleaning": "Steps with few people are hidden and stand together in the last row. People before and after follow "
    "the rows shown, so they are not in the order of the steps.",
}
FIT = {
    "cfi": ("How much better than a model in which nothing goes together (CFI; 1: perfectly)", rules.COMPARATIVE_FIT),
    "rmsea": ("How far it misses per degree of freedom (RMSEA; 0: not at all)", rules.ONE_FACTOR),
    "srmr": ("How far the correlations differ on average (SRMR; 0: not at all)", rules.RESIDUAL_FIT),
}
FITS, UNFIT, UNSURE = "fits", "does not fit", "cannot tell"
PARTS_AS_SHARES = ("response", "item_missing", "careless")
CANNOT_TELL, NOT_KNOWN = "cannot tell", "not known"


def table_of(record: Record) -> Record:
    """The table of a stored result as the page shows it."""
    return OWN_TABLES.get(record["kind"], _plain_table)(record)


def summary_of(records: Sequence[Record]) -> str:
    """What the pages of all scales come to, in a sentence or two; empty without such pages."""
    pages = [record for record in records if record["kind"] == "Construct"]
    rows = [row for record in pages for row in record["tidy"]]
    if not pages:
        return ""
    told = f"{sum(row['verdict'] == FITS for row in rows)} of {plural(len(rows), 'statement')} fit their scale."
    for verdict, words in {UNFIT: "Not fitting", UNSURE: "Too few answers to tell"}.items():
        names = [record_label(row["term"], records).rstrip(".") for row in rows if row["verdict"] == verdict]
        told += f" {words}: {'; '.join(names)}." if names else ""
    unjudged = [record["table"]["title"].partition(",")[0] for record in pages if not record["tidy"]]
    told += f" Scales that could not be judged: {join_words(unjudged)}." if unjudged else ""
    return f"{told} Unfold a scale to see its statements."


def record_label(name: str, records: Sequence[Record]) -> str:
    """The words a reader knows a variable by."""
    return next((record["labels"][name] for record in records if name in record["labels"]), name)


def sentence_instead(record: Record, table: Record) -> str:
    """One sentence in the place of a table that would tell nothing; empty if it tells something."""
    rows = record["tidy"]
    if record["kind"] == "Refusal":
        return f"Not computed. {rows[0]['reason']}"
    if not rows and record["kind"] == "Construct" and record["findings"]:
        return " ".join(finding["text"] for finding in record["findings"])
    if not rows or not table["rows"]:
        return EMPTY.get(record["kind"], NOTHING)
    if all(row.get("hidden") for row in rows):
        return ALL_HIDDEN
    return ONE_KIND if record["kind"] == "Segmentation" and len(rows) == 1 else ""


def words_below(record: Record) -> str:
    """What to know beside a table: how its words come about, and what hiding does to it."""
    kind, rows = record["kind"], record["tidy"]
    hidden = BELOW_HIDDEN.get(kind, "") if any(row.get("hidden") for row in rows) else ""
    return " ".join(filter(None, (BELOW[kind](rows) if kind in BELOW else "", hidden)))


def _plain_table(record: Record) -> Record:
    """Keep the columns of `COLUMNS` under their plain headings, without those that say the same in every row."""
    table, wanted = record["table"], COLUMNS.get(record["kind"], {})
    table = {**table, "rows": [row for row in table["rows"] if row[0] not in TECHNICAL_ROWS]}
    names = [name for name in record["layout"] if name != tables.HIDDEN and name not in tables.INTERVALS.values()]
    if not wanted or len(names) != len(table["headings"]):
        return table
    rows = table["rows"]
    same = {name for i, name in enumerate(names) if len(rows) > 1 and len({row[i] for row in rows}) == 1}
    kept = [i for i, name in enumerate(names) if name in wanted and not (name in ("term", "group") and name in same)]
    return {
        **table,
        "headings": [wanted[names[i]] for i in kept],
        "numeric": [table["numeric"][i] for i in kept],
        "rows": [[row[i] for i in kept] for row in rows],
    }


def _grid(record: Record) -> Record:
    """Lay a profile out with one row a score and one column a segment; in brackets the distance from everybody."""
    labels, rows = record["labels"], record["tidy"]
    segments = list(dict.fromkeys(row["segment"] for row in rows))
    cells = {(row["term"], row["segment"]): _profile_cell(row) for row in rows}
    terms = list(dict.fromkeys(row["term"] for row in rows))
    return {
        **record["table"],
        "headings": ["Score", *(labels.get(name, name) for name in segments)],
        "numeric": [False, *(True for _ in segments)],
        "rows": [[labels.get(term, term), *(cells.get((term, s), apa.EMPTY) for s in segments)] for term in terms],
    }


def _profile_cell(row: Record) -> str:
    if row["mean"] is None:
        return tables.HIDDEN
    sign = "+" if row["std_mean"] > 0 else ""
    return f"{apa.write('mean', row['mean'])} ({sign}{apa.write('std_mean', row['std_mean'])} SD)"


def _graded(record: Record) -> Record:
    """Write each part of the grade in its own unit, and in words what is not known."""
    rows = [[record["labels"].get(row["term"], row["term"]), _part(row), _grade(row)] for row in record["tidy"]]
    return {
        **record["table"], "headings": ["Part", "Value", "Grade"], "numeric": [False, False, False], "rows": rows,
    }  # fmt: skip


def _part(row: Record) -> str:
    term, value = row["term"], row["estimate"]
    if term == "overall":
        return "from the parts above"
    if value is None:
        return NOT_KNOWN if row["reading"] == CANNOT_TELL else tables.HIDDEN
    if term in PARTS_AS_SHARES:
        return apa.share(value)
    if term == "burden":
        return f"{apa.number(value, 1)} minutes"
    return f"{apa.count(value)}: {row['reason'].partition(';')[0]}" if value else "none"


def _grade(row: Record) -> str:
    """The grade, or the reason why there is none."""
    return row["reason"] if row["reason"].startswith(CANNOT_TELL) else row["reading"]


def _by_treatment(record: Record) -> Record:
    """One row for all columns of the export that are treated alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in record["tidy"]:
        alike.setdefault((row["action"], row["reason"]), []).append(row["term"])
    return {
        **record["table"],
        "headings": ["What is done", "Why", "Columns of the export"],
        "numeric": [False, False, False],
        "rows": [[action, reason, ", ".join(columns)] for (action, reason), columns in alike.items()],
    }


def _fit(record: Record) -> Record:
    """How well a factor model reproduces the answers; what belongs to what is in its picture."""
    fit = record["glance"]
    rows = [
        [meaning, apa.bounded(fit[name]), rule.read(fit[name])]
        for name, (meaning, rule) in FIT.items()
        if fit.get(name) is not None
    ]
    headings = ["The model and the answers", "Value", "In words"]
    return {**record["table"], "headings": headings, "numeric": [False, True, False], "rows": rows}


def _comparable(record: Record) -> Record:
    """Whether means of each scale may be compared, and what stands in the way."""
    rows: dict[str, list[Mapping[str, object]]] = {}
    for row in record["tidy"]:
        rows.setdefault(row["scale"], []).append(row)
    told = [[record["labels"].get(scale, scale), steps[0]["means"], _obstacle(steps)] for scale, steps in rows.items()]
    headings = ["Scale", "Means may be compared", "Why"]
    return {**record["table"], "headings": headings, "numeric": [False] * 3, "rows": told}


def _obstacle(steps: Rows) -> str:
    if steps[0]["means"] == "allowed":
        return "The questions mean the same."
    return next((f"{row['reading']} {row['reason']}" for row in steps if row["verdict"] != "supported"), NOT_KNOWN)


def _refused(record: Record) -> Record:
    """The table of a refused analysis under the question it would have answered."""
    asked = record["title"].removeprefix("Not computed: ")
    return {**record["table"], "title": REFUSED.get(asked.replace(" ", "_"), record["title"])}


OWN_TABLES: dict[str, Callable[[Record], Record]] = {
    "FactorModel": _fit,
    "Invariance": _comparable,
    "Profile": _grid,
    "QualityGrade": _graded,
    "ProtectionSheet": _by_treatment,
    "Refusal": _refused,
}


def _yardstick(rule: rules.Rule) -> str:
    """A rule in words: from which number on which word."""
    steps = [f"{word} from {apa.bounded(cut)}" for cut, word in zip(rule.cuts, rule.words[1:], strict=True)]
    return f"{rule.words[0]} below {apa.bounded(rule.cuts[0])}, {join_words(steps)}"


def _about_scales(rows: Rows) -> str:
    return f"In words: {_yardstick(rules.RELIABILITY)}. These limits are a convention."


def _about_constructs(rows: Rows) -> str:
    return (
        f"A statement fits if the whole interval is above {apa.bounded(rules.ITEM_REST.cuts[0])}, and does not if it "
        "is below. Pictures show the answers as given; means and correlations are taken after "
        "turning round statements that are worded the other way. Where few people gave one of the "
        "answers, all of them are hidden, since their number would follow from the mean."
    )


def _about_validity(rows: Rows) -> str:
    low, high = (apa.bounded(cut) for cut in (rules.DISCRIMINATION.cuts[0], rules.DISCRIMINATION.cuts[-1]))
    return (
        f"Two things: the whole interval is below {low}. Not shown to be two things: it begins at {high} or above. "
        "Cannot tell: the interval reaches beyond; where such scales are driver and outcome, that they go together may "
        "mean no more than that they ask the same."
    )


def _about_averages(rows: Rows) -> str:
    return (
        f"Allowed: members of a department agree (rWG from {apa.bounded(rules.AGREED.cuts[0])}), departments differ, "
        f"and their means are reliable (ICC(2) from {apa.bounded(rules.GROUP_MEANS.cuts[0])}). Where averages are not "
        "allowed, speak of people, not of departments; where nobody can tell, read averages of departments with doubt."
    )


def _about_drivers(rows: Rows) -> str:
    unclear = "Direction uncertain: the interval holds zero."
    if all(row.get("std_estimate") is None for row in rows):
        return unclear
    return (
        f"In words: standard deviations of the outcome per standard deviation of the driver: "
        f"{_yardstick(rules.STANDARDIZED)}. These limits are a convention. {unclear}"
    )


def _about_changes(rows: Rows) -> str:
    shown = sum(row.get("p_adjusted") is not None for row in rows)
    tell = "“Cannot tell” is not “no change”: the data allow both."
    if shown < 2:
        return f"The verdict is for this row alone; tables of several scores are corrected for all of them. {tell}"
    return (
        f"The verdict is corrected for the {shown} comparisons of this table, the interval of a row is not: it can "
        f"leave out zero where the verdict is “cannot tell”. {tell}"
    )


def _about_choice(rows: Rows) -> str:
    return (
        f"Counts: stability of at least {apa.bounded(rules.STABILITY.cuts[1])}, and groups clearer than those found in "
        "artificial data that have one group only, corrected for all numbers tried."
    )


def _about_profile(rows: Rows) -> str:
    return (
        f"In brackets: standard deviations from everybody's mean: {_yardstick(rules.EFFECT)}, up or down. A kind is "
        "named after its two largest differences."
    )


def _about_sensitivity(rows: Rows) -> str:
    return (
        "Stays: the mean without the flagged lies inside the 95% interval of everybody's, and both intervals lie on "
        "the same side of zero."
    )


def _about_grade(rows: Rows) -> str:
    return f"A is good, E is poor. Overall: {rows[-1]['reason'].removeprefix(f'{CANNOT_TELL}: ')}."


def _about_importance(rows: Rows) -> str:
    return (
        "Drivers overlap, so each gets its share averaged over all orders. Where the words name no other driver, the "
        "order of the two may be chance. A large share does not say that raising the driver would raise the outcome."
    )


def _about_moderation(rows: Rows) -> str:
    return (
        "The last row is the test: does the slope differ between people low and high in the other score? If it says "
        "“cannot tell” or “direction uncertain”, the rows above may differ by chance alone, however unlike they look."
    )


def _about_mediation(rows: Rows) -> str:
    return (
        "A way whose interval leaves out zero is in line with the data; other orders of the scores can be as well, "
        "and something nobody asked about may stand behind both. Nothing here shows what a change would bring about."
    )


def _about_necessity(rows: Rows) -> str:
    return (
        "Necessary: hardly anybody has much of the outcome with little of the driver, and neither chance, correlation "
        "nor an outcome that merely spreads more leaves so many such people out. Correlated, necessity not shown: one "
        "of these may explain it. Too few data: cannot tell. A necessary driver does not by itself bring the outcome "
        "about."
    )


def _about_priorities(rows: Rows) -> str:
    return (
        "Must-have: necessary, see the table of necessary conditions. Nice-to-have: goes with the outcome on average, "
        "but is not shown to be indispensable; that does not make it unimportant. The place on the map compares a "
        "driver with the mean of all: it says where to look first, not what would help."
    )


def _about_pilots(rows: Rows) -> str:
    return (
        "The number compares the change where the pilot ran with the change elsewhere over the same time. It is an "
        "effect of the pilot only if both would have changed alike without it; a single wave before the start cannot "
        "show whether they did. “No effect shown” or “cannot tell” is no reason to stop a pilot, nor to extend one."
    )


def _about_reach(rows: Rows) -> str:
    return (
        "Chance to see it: of departments in which the change is real, so many would show it next time if as many "
        "answer. Below 80 %, no change seen means “cannot tell”. More answers help small departments most."
    )


# What a reader must know where the words of a table are.
BELOW: dict[str, Callable[[Rows], str]] = {
    "ReliabilityTable": _about_scales,
    "Construct": _about_constructs,
    "Validity": _about_validity,
    "Agreement": _about_averages,
    "Regression": _about_drivers,
    "WaveChanges": _about_changes,
    "GroupChoice": _about_choice,
    "Profile": _about_profile,
    "Sensitivity": _about_sensitivity,
    "Importance": _about_importance,
    "Moderation": _about_moderation,
    "Mediation": _about_mediation,
    "Necessity": _about_necessity,
    "Priorities": _about_priorities,
    "Pilot": _about_pilots,
    "DepartmentPower": _about_reach,
    "QualityGrade": _about_grade,
}
