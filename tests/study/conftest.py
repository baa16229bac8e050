"""A small synthetic study to spoil in one place at a time, and the command line as a user meets it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import numpy as np
import pytest

from smstudy.cli import main

UNITS = {"Sales": 50, "Service": 40, "Research": 30}
ITEMS = {"support": ("s1", "s2", "s3", "s4"), "usefulness": ("u1", "u2", "u3"), "use": ("a1", "a2", "a3")}
ANSWERS = ("Strongly disagree", "Disagree", "Neither", "Agree", "Strongly agree")
SECRET = "zyxomma quillwort 7731 said my manager"
PROGRESS = re.compile(r"[\w-]+: (unchanged|\d+\.\d s)")
HEADER = ["unit", "seconds", *(item for items in ITEMS.values() for item in items), "comment"]


def answers(sizes: dict[str, int], *, seed: int = 7) -> list[list[str]]:
    """Rows of answers with three factors; leaders' support raises use. A respondent's words stand in one cell."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit, n in sizes.items():
        for _ in range(n):
            support, usefulness = rng.normal(size=2)
            factors = {"support": support, "usefulness": usefulness, "use": 0.6 * support + 0.4 * rng.normal()}
            codes = [
                str(int(np.clip(np.round(3 + factors[scale] + 0.6 * rng.normal()), 1, 5)))
                for scale, items in ITEMS.items()
                for _ in items
            ]
            rows.append([unit, str(int(rng.integers(90, 600))), *codes, ""])
    rows[3][-1] = SECRET
    return rows


def codebook(units: Sequence[str] = tuple(UNITS)) -> str:
    """The codebook of the small study."""
    labels = "\n".join(f"    - {{value: {i}, label: {label}}}" for i, label in enumerate(ANSWERS, 1))
    items = "\n".join(
        f"  - {{name: {item}, title: Statement {item}, kind: item, categories: agree5}}"
        for names in ITEMS.values()
        for item in names
    )
    scales = "\n".join(f"  - {{name: {scale}, items: [{', '.join(names)}]}}" for scale, names in ITEMS.items())
    departments = "".join(f"      - {{value: {unit}, label: {unit}}}\n" for unit in units)
    return (
        f"title: Small survey\nanswer_scales:\n  agree5:\n{labels}\nvariables:\n"
        f"  - name: unit\n    kind: unit\n    categories:\n{departments}"
        "  - {name: seconds, kind: number, constraints: {minimum: 0}}\n"
        f"{items}\n  - {{name: comment, kind: text}}\nscales:\n{scales}\n"
    )


STUDY = """\
title: Small study
question: What goes with use?
organization: Nowhere Ltd
wave: "1"
waves:
  "1": {file: responses.csv}
unit: unit
notebooks:
  - {name: look}
hypotheses:
  - {id: H1, statement: Support raises use., result: look/drivers, term: support}
"""
LOOK = (
    "import smstudy as sm\n\nrun = sm.open_study(study, min_n=min_n)\nsurvey = run.survey('clean')\nsurvey",
    "run.keep('drivers', sm.regress(formula, survey))",
)
PARAMETERS = 'study: str = "small"\nformula: str = "use ~ support + usefulness"\nmin_n: int = 5'


@dataclass(frozen=True)
class Outcome:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What was said, without the progress of a run."""
        return [line for line in self.err.splitlines() if not PROGRESS.fullmatch(line)]


@dataclass(frozen=True)
class Small:
    """The folder of a small study, and the commands on it."""

    folder: Path
    call: Callable[..., Outcome] = field(repr=False)
    header: list[str] = field(default_factory=lambda: list(HEADER), repr=False)
    rows: list[list[str]] = field(default_factory=lambda: answers(UNITS), repr=False)
    secret: str = SECRET

    def text(self, *, separator: str = ",") -> str:
        """The header and the rows as the text of a CSV file."""
        return "".join(separator.join(row) + "\n" for row in [self.header, *self.rows])

    def column(self, name: str, values: Sequence[str] | str) -> None:
        """Put other answers into a column and write the export."""
        for i, row in enumerate(self.rows):
            row[self.header.index(name)] = values if isinstance(values, str) else values[i]
        self.write("responses.csv", self.text())

    def write(self, name: str, content: str | bytes) -> Path:
        """Put a file into the folder."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Change one place of a file."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.write(name, text.replace(old, new))

    def notebook(self, name: str, *cells: str, parameters: str = PARAMETERS) -> None:
        """Write a notebook of the study's own."""
        tagged = nbformat.v4.new_code_cell(parameters, id="c0", metadata={"tags": ["parameters"]})
        code = [nbformat.v4.new_code_cell(source, id=f"c{i}") for i, source in enumerate(cells, 1)]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        node = nbformat.v4.new_notebook(cells=[tagged, *code], metadata={"kernelspec": kernel})
        nbformat.write(node, self.folder / f"{name}.ipynb")

    def check(self, *options: str) -> Outcome:
        """Type `smstudy check` on the study."""
        return self.call("check", str(self.folder), *options)

    def run(self, *options: str) -> Outcome:
        """Type `smstudy run` on the study."""
        return self.call("run", str(self.folder), *options)

    def published(self) -> list[Path]:
        """Every file below runs/, hidden ones included."""
        return [path for path in (self.folder / "runs").rglob("*") if path.is_file()]


@pytest.fixture(autouse=True)
def _package_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs hold while somebody edits the package under test."""
    monkeypatch.setattr("smstudy.engine.schedule.package_digest", lambda: "package")


@pytest.fixture
def respondents() -> Callable[..., list[list[str]]]:
    """Draw rows of answers: `respondents({"Sales": 2, "Service": 80})`."""
    return answers


@pytest.fixture
def write_codebook() -> Callable[..., str]:
    """The codebook for other departments."""
    return codebook


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def type_in(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        shown = capsys.readouterr()
        return Outcome(code, shown.out, shown.err)

    return type_in


@pytest.fixture
def small(tmp_path: Path, call: Callable[..., Outcome]) -> Small:
    """A study of 120 synthetic respondents in three departments, in a path with a space."""
    study = Small(tmp_path / "a folder" / "small", call)
    study.folder.mkdir(parents=True)
    study.write("responses.csv", study.text())
    study.write("codebook.yml", codebook())
    study.write("study.yml", STUDY)
    study.notebook("look", *LOOK)
    return study
