"""The report: one page that needs no network and runs nothing, made only from stored results."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from smstudy.display import apa, rules, tables
from smstudy.display.prose import join_words
from smstudy.engine.manifest import read_manifest
from smstudy.errors import DisclosureError
from smstudy.study.definition import Study, read_study
from smstudy.study.inputs import Inputs
from smstudy.study.ledger import FILE, KEY
from smstudy.survey.auditing import Audit, audit
from smstudy.survey.codebook import read_codebook
from smstudy.survey.exports import read_export
from smstudy.survey.protection import on_leaders
from smstudy.survey.scanning import scan_file

SECTIONS = {
    "10-quality": ("Who answered", "How many people answered, and whose answers could be used."),
    "15-weights": (
        "Whom the answers stand for",
        "Whether departments that answered rarely change the picture once they get their share. Intervals are about "
        "the people of this organization, of whom many answered, so they are narrower than below.",
    ),
    "20-scales": ("What was measured", "Whether the questions that belong together hang together."),
    "30-groups": ("Departments and change", "Scores with the range in which the true value plausibly lies."),
    "40-drivers": (
        "What goes with the outcome",
        "Each driver with the others held constant. This is no proof of cause.",
    ),
    "50-segments": ("Kinds of respondents", "Whether people fall into groups, and who is in them."),
}
SUMMARY = "90-summary"
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
    "Distribution": {"term": "Question", "answer": "Answer", "n": "People", "share": "Share"},
}  # fmt: skip
# Kinds of result that stand at the end of the page, beside what was hidden.
ABOUT_PROTECTION = ("ProtectionSheet", "Audit")
# Kinds of result for those who work with the data: in the notebooks and files of the run, not on the page.
FOR_ANALYSTS = ("DefectReport", "PooledResult", "QualityCard", "MissingPatterns", "NonResponse", "Weights")
# Rows of a model that answer nobody's question; the files hold them.
TECHNICAL_ROWS = ("Constant",)
EMPTY = {
    "Cleaning": "The study has no cleaning rules, so nobody was left out.",
    "WaveChanges": "There is no previous wave to compare with.",
}
NOTHING = "There is nothing to show here."
ALL_HIDDEN = "Everything in this table is hidden, because each row would tell about few people."
ONE_KIND = "No number of groups held, so everybody counts as one group and there are no kinds to tell apart."
# What the verdicts on hypotheses mean; `smstudy.study.hypotheses.decide` is the rule.
DECISION = (
    "Supported: the whole interval lies on the expected side of zero, and the number is at least the smallest effect "
    "of interest. Not supported: an effect of that size is ruled out. Too little data: both are possible, so this is "
    "no “no”. Not tested: the number is not there."
)
NOT_STATED = 'Not stated: write "{}:" in study.yml.'
DECISION_GROUPS = "A claim about kinds of people is supported if a number of groups counts."
DECISION_MANY = (
    "Where a table is corrected for its comparisons, as changes between waves are, the verdict is too; nothing is "
    "corrected for the number of statements here."
)
# What a reader of the page must know to read a table in which something is hidden.
BELOW_HIDDEN = {
    "Cleaning": "Steps with few people are hidden and stand together in the last row. People before and after follow "
    "the rows shown, so they are not in the order of the steps.",
}
PARTS_AS_SHARES = ("response", "item_missing", "careless")
CANNOT_TELL, NOT_KNOWN = "cannot tell", "not known"
SUPPRESSED = ("_hidden", "_pooled")
SHORTEST_SECRET = 12


@dataclass(frozen=True, kw_only=True)
class Block:
    """A stored result as the page shows it."""

    name: str
    record: Mapping[str, object]
    table: Mapping[str, object]
    instead: str
    below: str
    picture: str
    alt: str


def publish_report(staging: Path, folder: Path, inputs: Inputs) -> None:
    """Write `report.html` into a finished run and scan every file of it.

    Parameters
    ----------
    staging : Path
        The run before it is published.
    folder : Path
        Folder of the study.
    inputs : Inputs
        Files the run worked on; what identifies people in them must not appear in any file of the run.

    Raises
    ------
    DisclosureError
        If a file holds an address, an identifier or an answer in somebody's own words.
    """
    page = render_report(staging, read_study(folder), inputs)
    (staging / "report.html").write_text(page, encoding="utf-8")
    secrets = _secrets(folder, inputs) - _shown_comments(staging)
    for path in sorted(path for path in staging.rglob("*") if path.is_file()):
        problems = scan_file(path, secrets)
        if problems:
            raise DisclosureError(
                f"{path.relative_to(staging)} would show {problems[0]}, so nothing was published. "
                "Take out what prints it, and run again."
            )


def render_report(run: Path, study: Study, inputs: Inputs) -> str:
    """Render the page from the results of a run.

    Parameters
    ----------
    run : Path
        Folder with `results/`, `figures/` and `manifest.json`.
    """
    blocks = {folder.name: _blocks(run, folder.name) for folder in sorted((run / "results").glob("*"))}
    everything = [block for part in blocks.values() for block in part]
    findings = _findings(everything)
    records = {f"{name}/{block.name}": block.record for name, part in blocks.items() for block in part}
    hidden = audit(records, privacy=study.policy)
    environment = Environment(
        loader=PackageLoader("smstudy.study", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("report.html.j2").render(
        study=study,
        inputs=inputs,
        answer=_rows(blocks.get(SUMMARY, ()), "Answer"),
        verdicts=_rows(blocks.get(SUMMARY, ()), "Verdicts"),
        decision=_decision(study),
        sections=[
            (*SECTIONS.get(name, (name, "")), told)
            for name, part in blocks.items()
            if name != SUMMARY and (told := _told(part))
        ],
        facts=_facts(study, inputs),
        protection=[block for block in everything if block.record["kind"] in ABOUT_PROTECTION],
        findings=[finding for finding in findings if not finding["name"].endswith(SUPPRESSED)],
        hidden=_places(hidden),
        methods=[
            (block.record["title"], block.record["note"])
            for block in everything
            if block.record["note"] and block.record["kind"] not in ABOUT_PROTECTION
        ],
        manifest=read_manifest(run),
    )


def _decision(study: Study) -> str:
    asked = {hypothesis.rule for hypothesis in study.hypotheses}
    return " ".join([DECISION, *([DECISION_GROUPS] if "groups" in asked else []), DECISION_MANY])


def _facts(study: Study, inputs: Inputs) -> list[tuple[str, str]]:
    """What those who look after data protection ask first: question and answer."""
    policy = study.policy
    files = join_words([path.name for path in (inputs.responses, inputs.previous_responses) if path])
    return [
        ("Purpose", f"{study.title}: {study.question}"),
        ("Who asks", study.organization),
        ("Who answers for the study", study.contact or NOT_STATED.format("contact")),
        ("Raw answers are kept until", study.keep_until or NOT_STATED.format("keep_until")),
        ("Smallest group shown", f"{policy.min_n} people; for comments {policy.comment_min_n}. {on_leaders(policy)}"),
        (
            "Where the answers are",
            f"In {files}, where the study was told to look. smstudy does not change, copy or delete what lies there. "
            "A run holds numbers about groups only.",
        ),
        (
            "What stays of each person",
            f"Until a report is released: nothing. `smstudy release` then writes {FILE} and {KEY} into the folder "
            "runs of the study. They hold which respondents stood behind each group shown, as keyed hashes without "
            "answers, so that a later report does not give away the few who make the difference. Whoever has both and "
            "knows all answers of a person, or the person's identifier, can find out the group that person was "
            "counted in. Keep both with the answers, give neither away, and delete them with the runs.",
        ),
        ("What left this machine", "Nothing. A run opens no network connection, and this page loads nothing."),
    ]


def _places(hidden: Audit) -> list[tuple[str, str, list[str]]]:
    """What was hidden: result, reason, and the places of it, one entry a result and reason."""
    rows = hidden.tidy()
    return [
        (str(result), str(reason), [_place(*place) for place in zip(part["group"], part["term"], strict=True)])
        for (result, reason), part in rows.groupby(["result", "reason"], sort=False)
    ]


def _place(group: str, term: str) -> str:
    return " ".join(filter(None, (group, term))).rstrip(".")


def _told(blocks: Sequence[Block]) -> list[Block]:
    """Choose what leaders read; a profile of one group says nothing that the table before does not."""
    left_out = (*ABOUT_PROTECTION, *FOR_ANALYSTS)
    return [block for block in blocks if block.record["kind"] not in left_out and not _profile_of_one(block.record)]


def _profile_of_one(record: Mapping[str, object]) -> bool:
    return record["kind"] == "Profile" and len({row["segment"] for row in record["tidy"]}) == 1


def _blocks(run: Path, notebook: str) -> list[Block]:
    paths = (run / "results" / notebook).glob("*.json")
    records = [(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    records.sort(key=lambda pair: (pair[1]["order"], pair[0]))
    return [_block(run / "figures" / notebook, name, record) for name, record in records]


def _block(figures: Path, name: str, record: Mapping[str, object]) -> Block:
    image, words = figures / f"{name}.svg", figures / f"{name}.txt"
    picture, alt = "", ""
    if image.is_file():
        picture = f"data:image/svg+xml;base64,{base64.b64encode(image.read_bytes()).decode()}"
        alt = words.read_text(encoding="utf-8").strip()
    table = OWN_TABLES.get(record["kind"], _plain_table)(record)
    return Block(
        name=name, record=record, table=table, instead=_instead(record, table), below=_below(record), picture=picture,
        alt=alt,
    )  # fmt: skip


def _instead(record: Mapping[str, object], table: Mapping[str, object]) -> str:
    """One sentence in the place of a table that would tell nothing; empty if it tells something."""
    rows = record["tidy"]
    if not rows or not table["rows"]:
        return EMPTY.get(record["kind"], NOTHING)
    if all(row.get("hidden") for row in rows):
        return ALL_HIDDEN
    return ONE_KIND if record["kind"] == "Segmentation" and len(rows) == 1 else ""


def _below(record: Mapping[str, object]) -> str:
    """What to know beside a table: how its words come about, and what hiding does to it."""
    kind, rows = record["kind"], record["tidy"]
    hidden = BELOW_HIDDEN.get(kind, "") if any(row.get("hidden") for row in rows) else ""
    return " ".join(filter(None, (BELOW[kind](rows) if kind in BELOW else "", hidden)))


def _plain_table(record: Mapping[str, object]) -> Mapping[str, object]:
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


def _grid(record: Mapping[str, object]) -> Mapping[str, object]:
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


def _profile_cell(row: Mapping[str, object]) -> str:
    if row["mean"] is None:
        return tables.HIDDEN
    sign = "+" if row["std_mean"] > 0 else ""
    return f"{apa.write('mean', row['mean'])} ({sign}{apa.write('std_mean', row['std_mean'])} SD)"


def _graded(record: Mapping[str, object]) -> Mapping[str, object]:
    """Write each part of the grade in its own unit, and in words what is not known."""
    rows = [[record["labels"].get(row["term"], row["term"]), _part(row), _grade(row)] for row in record["tidy"]]
    return {
        **record["table"], "headings": ["Part", "Value", "Grade"], "numeric": [False, False, False], "rows": rows,
    }  # fmt: skip


def _part(row: Mapping[str, object]) -> str:
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


def _grade(row: Mapping[str, object]) -> str:
    """The grade, or the reason why there is none."""
    return row["reason"] if row["reason"].startswith(CANNOT_TELL) else row["reading"]


def _by_treatment(record: Mapping[str, object]) -> Mapping[str, object]:
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


OWN_TABLES: dict[str, Callable[[Mapping[str, object]], Mapping[str, object]]] = {
    "Profile": _grid,
    "QualityGrade": _graded,
    "ProtectionSheet": _by_treatment,
}


def _yardstick(rule: rules.Rule) -> str:
    """A rule in words: from which number on which word."""
    steps = [f"{word} from {apa.bounded(cut)}" for cut, word in zip(rule.cuts, rule.words[1:], strict=True)]
    return f"{rule.words[0]} below {apa.bounded(rule.cuts[0])}, {join_words(steps)}"


def _about_scales(rows: Sequence[Mapping[str, object]]) -> str:
    return f"In words: {_yardstick(rules.RELIABILITY)}. These limits are a convention."


def _about_drivers(rows: Sequence[Mapping[str, object]]) -> str:
    unclear = "Direction uncertain: the interval holds zero."
    if all(row.get("std_estimate") is None for row in rows):
        return unclear
    return (
        f"In words: standard deviations of the outcome per standard deviation of the driver: "
        f"{_yardstick(rules.STANDARDIZED)}. These limits are a convention. {unclear}"
    )


def _about_changes(rows: Sequence[Mapping[str, object]]) -> str:
    shown = sum(row.get("p_adjusted") is not None for row in rows)
    tell = "“Cannot tell” is not “no change”: the data allow both."
    if shown < 2:
        return tell
    return (
        f"The verdict is corrected for the {shown} comparisons of this table, the interval of a row is not: it can "
        f"leave out zero where the verdict is “cannot tell”. {tell}"
    )


def _about_choice(rows: Sequence[Mapping[str, object]]) -> str:
    return (
        f"Counts: stability of at least {apa.bounded(rules.STABILITY.cuts[1])}, and groups clearer than those found in "
        "artificial data that have one group only, corrected for all numbers tried."
    )


def _about_profile(rows: Sequence[Mapping[str, object]]) -> str:
    return (
        f"In brackets: standard deviations from everybody's mean: {_yardstick(rules.EFFECT)}, up or down. A kind is "
        "named after its two largest differences."
    )


def _about_sensitivity(rows: Sequence[Mapping[str, object]]) -> str:
    return (
        "Stays: the mean without the flagged lies inside the 95% interval of everybody's, and both intervals lie on "
        "the same side of zero."
    )


def _about_grade(rows: Sequence[Mapping[str, object]]) -> str:
    return f"A is good, E is poor. Overall: {rows[-1]['reason'].removeprefix(f'{CANNOT_TELL}: ')}."


# What a reader must know where the words of a table are.
BELOW: dict[str, Callable[[Sequence[Mapping[str, object]]], str]] = {
    "ReliabilityTable": _about_scales,
    "Regression": _about_drivers,
    "WaveChanges": _about_changes,
    "GroupChoice": _about_choice,
    "Profile": _about_profile,
    "Sensitivity": _about_sensitivity,
    "QualityGrade": _about_grade,
}


def _rows(blocks: Sequence[Block], kind: str) -> list[Mapping[str, object]]:
    return [row for block in blocks if block.record["kind"] == kind for row in block.record["tidy"]]


def _findings(blocks: Sequence[Block]) -> list[dict[str, str]]:
    """Every finding once, serious ones first."""
    unique = {finding["text"]: finding for block in blocks for finding in block.record["findings"]}
    order = ("serious", "warning", "info")
    return sorted(unique.values(), key=lambda finding: order.index(finding["severity"]))


def _shown_comments(staging: Path) -> set[str]:
    """Comments that `verbatims` scrubbed and shows."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in staging.glob("results/*/*.json")]
    shown = [record for record in records if record["kind"] == "Verbatims"]
    return {row["comment"] for record in shown for row in record["tidy"] if row["comment"]}


def _secrets(folder: Path, inputs: Inputs) -> set[str]:
    """What must not be published: identifiers, and answers in respondents' own words."""
    codebook = read_codebook(folder / "codebook.yml")
    own_words = [header for variable in codebook.of_kind("id", "text") for header in variable.headers]
    secrets: set[str] = set()
    for path in filter(None, (inputs.responses, inputs.previous_responses)):
        cells = read_export(path, keep=own_words).cells
        for column in own_words:
            secrets |= {cell for cell in cells.get(column, ()) if len(cell) >= SHORTEST_SECRET}
    return secrets
