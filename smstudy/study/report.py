"""The report: one page that needs no network and runs nothing, made only from stored results."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from smstudy.engine.manifest import read_manifest
from smstudy.errors import DisclosureError
from smstudy.study.definition import Study, read_study
from smstudy.study.inputs import Inputs
from smstudy.survey.codebook import read_codebook
from smstudy.survey.disclosure import scan_file
from smstudy.survey.exports import read_export

SECTIONS = {
    "10-quality": ("Who answered", "How many people answered, and whose answers could be used."),
    "20-scales": ("What was measured", "Whether the questions that belong together hang together."),
    "30-groups": ("Departments and change", "Scores with the range in which the true value plausibly lies."),
    "40-drivers": ("What goes with the outcome", "Each driver with the others held constant. This is no proof of cause."),
    "50-segments": ("Kinds of respondents", "Whether people fall into groups, and who is in them."),
}
SUMMARY = "90-summary"
SUPPRESSED = ("_hidden", "_pooled")
SHORTEST_SECRET = 12


@dataclass(frozen=True, kw_only=True)
class Block:
    """A stored result as the page shows it."""

    name: str
    record: Mapping[str, object]
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
    secrets = _secrets(folder, inputs)
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
    blocks = {folder.name: _blocks(run, folder.name) for folder in sorted((run / "results").iterdir())}
    everything = [block for part in blocks.values() for block in part]
    findings = _findings(everything)
    environment = Environment(
        loader=PackageLoader("smstudy.study", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("report.html.j2").render(
        study=study,
        inputs=inputs,
        answer=_rows(blocks.get(SUMMARY, ()), "Answer"),
        verdicts=_rows(blocks.get(SUMMARY, ()), "Verdicts"),
        sections=[(*SECTIONS.get(name, (name, "")), part) for name, part in blocks.items() if name != SUMMARY],
        findings=[finding for finding in findings if not finding["name"].endswith(SUPPRESSED)],
        suppressed=[finding for finding in findings if finding["name"].endswith(SUPPRESSED)],
        methods=[(block.record["title"], block.record["note"]) for block in everything if block.record["note"]],
        manifest=read_manifest(run),
    )


def _blocks(run: Path, notebook: str) -> list[Block]:
    paths = (run / "results" / notebook).glob("*.json")
    records = [(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    records.sort(key=lambda pair: (pair[1]["order"], pair[0]))
    return [_block(run / "figures" / notebook, name, record) for name, record in records]


def _block(figures: Path, name: str, record: Mapping[str, object]) -> Block:
    image, words = figures / f"{name}.svg", figures / f"{name}.txt"
    if not image.is_file():
        return Block(name=name, record=record, picture="", alt="")
    coded = base64.b64encode(image.read_bytes()).decode()
    return Block(name=name, record=record, picture=f"data:image/svg+xml;base64,{coded}", alt=words.read_text(encoding="utf-8").strip())


def _rows(blocks: Sequence[Block], kind: str) -> list[Mapping[str, object]]:
    return [row for block in blocks if block.record["kind"] == kind for row in block.record["tidy"]]


def _findings(blocks: Sequence[Block]) -> list[dict[str, str]]:
    """Every finding once, serious ones first."""
    unique = {finding["text"]: finding for block in blocks for finding in block.record["findings"]}
    order = ("serious", "warning", "info")
    return sorted(unique.values(), key=lambda finding: order.index(finding["severity"]))


def _secrets(folder: Path, inputs: Inputs) -> set[str]:
    """What must not be published: identifiers, and answers in respondents' own words."""
    codebook = read_codebook(folder / "codebook.yml")
    own_words = [variable.column for variable in codebook.of_kind("id", "text")]
    secrets: set[str] = set()
    for path in filter(None, (inputs.responses, inputs.previous_responses)):
        cells = read_export(path, keep=own_words).cells
        for column in own_words:
            secrets |= {cell for cell in cells.get(column, ()) if len(cell) >= SHORTEST_SECRET}
    return secrets
