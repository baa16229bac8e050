"""The report: one page that needs no network and runs nothing, made only from stored results."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from smstudy.display import apa, tables
from smstudy.engine.manifest import read_manifest
from smstudy.errors import DisclosureError
from smstudy.study.definition import Study, read_study
from smstudy.study.inputs import Inputs
from smstudy.survey.auditing import Audit, audit
from smstudy.survey.codebook import read_codebook
from smstudy.survey.exports import read_export
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
    "QualityGrade": {"term": "Part", "estimate": "Value", "reading": "Grade"},
    "Sensitivity": {
        "term": "Score", "estimate": "Mean of everybody", "estimate_without": "Without the flagged",
        "difference": "Change", "verdict": "Verdict",
    },
    "WeightedMeans": {
        "term": "Score", "group": "Group", "estimate": "Weighted mean", "conf_low": "95% interval",
        "unweighted": "Without weights",
    },
    "Distribution": {"term": "Question", "answer": "Answer", "n": "People", "share": "Share"},
    "ProtectionSheet": {"term": "Column of the export", "action": "What is done with it", "reason": "Why"},
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
# What a reader of the page must know to read a table in which something is hidden.
BELOW = {
    "Cleaning": "Steps with few people are hidden and stand together in the last row. People before and after follow "
    "the rows shown, so they are not in the order of the steps.",
}
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
        sections=[(*SECTIONS.get(name, (name, "")), _told(part)) for name, part in blocks.items() if name != SUMMARY],
        protection=[block for block in everything if block.record["kind"] in ABOUT_PROTECTION],
        findings=[finding for finding in findings if not finding["name"].endswith(SUPPRESSED)],
        hidden=_places(hidden),
        methods=[(block.record["title"], block.record["note"]) for block in everything if block.record["note"]],
        manifest=read_manifest(run),
    )


def _places(hidden: Audit) -> list[tuple[str, str, list[str]]]:
    """What was hidden: result, reason, and the places of it, one entry a result and reason."""
    rows = hidden.tidy()
    return [
        (str(result), str(reason), [" ".join(filter(None, place)) for place in zip(part["group"], part["term"])])
        for (result, reason), part in rows.groupby(["result", "reason"], sort=False)
    ]


def _told(blocks: Sequence[Block]) -> list[Block]:
    return [block for block in blocks if block.record["kind"] not in (*ABOUT_PROTECTION, *FOR_ANALYSTS)]


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
    table = _plain_table(record)
    instead = "" if table["rows"] else EMPTY.get(record["kind"], NOTHING)
    below = BELOW.get(record["kind"], "") if any(row.get("hidden") for row in record["tidy"]) else ""
    return Block(name=name, record=record, table=table, instead=instead, below=below, picture=picture, alt=alt)


def _plain_table(record: Mapping[str, object]) -> Mapping[str, object]:
    """Keep the columns of `COLUMNS` under their plain headings, without those that say the same in every row."""
    if record["kind"] == "Profile":
        return _grid(record)
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
