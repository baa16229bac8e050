"""The report: one page that needs no network and runs nothing, made only from stored results."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from smstudy.display.prose import join_words
from smstudy.engine.manifest import read_manifest
from smstudy.errors import DisclosureError
from smstudy.study.definition import Study, read_study
from smstudy.study.inputs import Inputs
from smstudy.study.ledger import FILE, KEY
from smstudy.study.wording import sentence_instead, summary_of, table_of, words_below
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
    "45-mechanisms": (
        "For whom, and by which way",
        "Whether a driver goes with the outcome more strongly for some, and what may lie in between.",
    ),
    "50-segments": ("Kinds of respondents", "Whether people fall into groups, and who is in them."),
    "55-necessity": (
        "Must-have and nice-to-have",
        "What matters on average, and what a high outcome hardly occurs without.",
    ),
    "65-pilots": ("The pilot", "The change where it ran, beside the change elsewhere over the same time."),
}
SUMMARY = "90-summary"
# Kinds of result that stand at the end of the page, beside what was hidden.
ABOUT_PROTECTION = ("ProtectionSheet", "Audit")
# Kinds of result for those who work with the data: in the notebooks and files of the run, not on the page.
FOR_ANALYSTS = (
    "DefectReport", "PooledResult", "QualityCard", "MissingPatterns", "NonResponse", "Weights", "Multilevel",
    "NestingAdvice",
)  # fmt: skip
# Kinds of result whose warnings and method are for analysts too, because the page shows another model instead.
SECOND_MODELS = ("Multilevel", "NestingAdvice", "PooledResult")
# Kinds of result whose picture is for analysts; the page has the table in words.
TABLE_ONLY = ("Agreement", "Invariance")
# Kinds of result that are folded on the page, because there is one for every scale.
DETAILS = ("Construct",)
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

    @property
    def is_detail(self) -> bool:
        """Whether the page shows it only when it is asked to."""
        return self.record["kind"] in DETAILS


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
            (*SECTIONS.get(name, (name, "")), summary_of([block.record for block in told]), told)
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
            if block.record["note"] and block.record["kind"] not in (*ABOUT_PROTECTION, *SECOND_MODELS)
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
    if image.is_file() and record["kind"] not in (*TABLE_ONLY, "Refusal"):
        picture = f"data:image/svg+xml;base64,{base64.b64encode(image.read_bytes()).decode()}"
        alt = words.read_text(encoding="utf-8").strip()
    table = table_of(record)
    return Block(
        name=name, record=record, table=table, instead=sentence_instead(record, table), below=words_below(record),
        picture=picture, alt=alt,
    )  # fmt: skip


def _rows(blocks: Sequence[Block], kind: str) -> list[Mapping[str, object]]:
    return [row for block in blocks if block.record["kind"] == kind for row in block.record["tidy"]]


def _findings(blocks: Sequence[Block]) -> list[dict[str, str]]:
    """Every finding once, serious ones first."""
    told = [block.record for block in blocks if block.record["kind"] not in SECOND_MODELS]
    unique = {finding["text"]: finding for record in told for finding in record["findings"]}
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
