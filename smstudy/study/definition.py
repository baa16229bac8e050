"""A study as data: what `study.yml` may say, and where its files are found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from smstudy.documents import Entry, read_document
from smstudy.errors import StudyError, did_you_mean
from smstudy.privacy import Privacy
from smstudy.survey.codebook import Code
from smstudy.survey.rules import Rule

SHIPPED = Path(__file__).resolve().parents[1] / "_shipped"
CHECKOUT = Path(__file__).resolve().parents[2]
DRAFTED = {"question": "What does this study want to know?", "organization": "Name of the organization"}
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
Value = str | int | float | bool | list[str] | list[int] | list[float] | None


class DataFile(Entry):
    """A file of the study, relative to its folder; `sha256` is checked when given."""

    file: str
    sha256: str = ""
    get: str = ""


class Frame(DataFile):
    """Head counts: a CSV with one row per department."""

    unit: str = "unit"
    headcount: str = "headcount"


class Step(Entry):
    """A notebook of the study, its parameters, and the notebooks it builds on."""

    name: str
    parameters: Mapping[str, Value] = Field(default_factory=dict)
    after: tuple[str, ...] = ()


class Hypothesis(Entry):
    """A claim and how it is decided, set before the data are seen.

    Attributes
    ----------
    result, term : str
        Which number decides: `notebook/result` and the row of it.
    direction : {"positive", "negative", "changed"}
        What the claim expects.
    smallest : float
        Smallest effect of interest, in units of the estimate.
    rule : {"interval", "groups"}
        `interval` asks the confidence interval, `groups` whether stable groups exist.
    """

    id: str
    statement: str
    result: str
    term: str = ""
    direction: Literal["positive", "negative", "changed"] = "positive"
    smallest: float = Field(default=0.1, ge=0)
    rule: Literal["interval", "groups"] = "interval"


class Weighting(Entry):
    """How answers are weighted to the head counts.

    Attributes
    ----------
    margins : tuple of str
        Columns of the head counts that are named like variables; all of them if left out.
    method : {"rake", "poststratify"}
        To each margin in turn, or to every combination.
    trim : float or None
        Largest weight, in units of the mean weight.
    missing : {"refuse", "keep"}
        What to do with respondents who did not state a margin.
    """

    margins: tuple[str, ...] = ()
    method: Literal["rake", "poststratify"] = "rake"
    trim: float | None = Field(default=None, gt=1)
    missing: Literal["refuse", "keep"] = "refuse"


class Thresholds(Entry):
    """Smallest groups that may be shown; they can only be raised."""

    min_n: int = 5
    comment_min_n: int = 10


def _day(value: object) -> object:
    """The last day on which the answers are kept."""
    day = value.isoformat() if isinstance(value, date) else value
    if not isinstance(day, str) or not DAY.fullmatch(day):
        raise ValueError("keep_until: write a day, for example 2027-12-31")
    return day


def _days(value: object) -> object:
    """First and last day of the field period, written 2026-03-31."""
    days = [day.isoformat() if isinstance(day, date) else day for day in value] if isinstance(value, list) else value
    if not isinstance(days, list) or len(days) != 2 or not all(isinstance(d, str) and DAY.fullmatch(d) for d in days):
        raise ValueError("period: write the first and the last day, for example [2026-03-01, 2026-03-31]")
    return tuple(days)


class Study(Entry):
    """All that `study.yml` says.

    `period` is the first and the last day on which answers were collected. `cutoffs` holds numbers that stay the same
    in every wave, by the id of a cleaning rule or the name of a quality index; `attention` the right answer of each
    attention check. `contact` says who answers for the study, `keep_until` when the raw answers are deleted.
    """

    title: str
    question: str
    organization: str
    wave: str
    previous_wave: str = ""
    waves: Mapping[str, DataFile]
    frame: Frame | None = None
    unit: str = ""
    person: str = ""
    rules: tuple[Rule, ...] = ()
    period: Annotated[tuple[str, ...], BeforeValidator(_days)] = ()
    cutoffs: Mapping[str, float] = Field(default_factory=dict)
    attention: Mapping[str, Code] = Field(default_factory=dict)
    weights: Weighting | None = None
    notebooks: tuple[Step, ...] = Field(min_length=1)
    hypotheses: tuple[Hypothesis, ...] = ()
    privacy: Thresholds = Thresholds()
    seed: int = 20260
    cell_seconds: int = Field(default=300, gt=0)
    synthetic: bool = False
    cite: str = ""
    contact: str = ""
    keep_until: Annotated[str, BeforeValidator(_day)] = ""

    @property
    def policy(self) -> Privacy:
        """The thresholds as a policy; DisclosureError if one is lower than its floor."""
        return Privacy(min_n=self.privacy.min_n, comment_min_n=self.privacy.comment_min_n)

    @model_validator(mode="after")
    def _check(self) -> Study:
        names = [step.name for step in self.notebooks]
        for step in self.notebooks:
            for name in step.after:
                if name not in names[: names.index(step.name)]:
                    raise ValueError(f'notebook "{step.name}" comes after "{name}", which is no earlier notebook')
        for hypothesis in self.hypotheses:
            if hypothesis.result.partition("/")[0] not in names:
                raise ValueError(
                    f'hypothesis "{hypothesis.id}" asks "{hypothesis.result}", which is no result of the study. '
                    f"{did_you_mean(hypothesis.result.partition('/')[0], names)}"
                )
        return self


def read_study(folder: Path) -> Study:
    """Read and check `study.yml` of a folder.

    Raises
    ------
    StudyError
        With the line, what is wrong, what is allowed and what to do.
    """
    path = folder / "study.yml"
    if not path.is_file():
        raise StudyError(f"{folder} holds no study.yml. Give the folder of a study, or begin one with `smstudy new`.")
    return read_document(path, Study, StudyError)


def still_drafted(folder: Path, study: Study) -> list[str]:
    """Keys of `study.yml` that still say what `smstudy new` wrote, each with its line and what to write instead."""
    said = {key: text for key, text in DRAFTED.items() if getattr(study, key) == text}
    if study.title == folder.name:
        said = {"title": folder.name, **said}
    lines = (folder / "study.yml").read_text(encoding="utf-8-sig").splitlines()
    places = {key: next((i for i, line in enumerate(lines, 1) if line.startswith(f"{key}:")), 1) for key in said}
    return [f'study.yml line {places[key]}: {key}: "{text}"' for key, text in said.items()]


def home() -> Path:
    """The folder that holds `notebooks`, `studies` and `data`: inside an installed package, else the checkout."""
    return SHIPPED if SHIPPED.is_dir() else CHECKOUT


def find_study(name: str) -> Path:
    """Find the folder of a study: a path, or a name looked up in `studies/` upwards, then in the package.

    Raises
    ------
    StudyError
        With the nearest known names.
    """
    given = Path(name).expanduser()
    places = [
        given,
        *(up / "studies" / name for up in (Path.cwd(), *Path.cwd().parents)),
        home() / "studies" / given.name,
    ]
    for place in places:
        if (place / "study.yml").is_file():
            return place.resolve()
    if given.is_dir():
        read_study(given)
    raise StudyError(f'There is no study "{name}". {did_you_mean(given.name, list_studies())}')


def list_studies() -> dict[str, Path]:
    """All studies in reach, by name."""
    roots = [home() / "studies", *(up / "studies" for up in (*reversed(Path.cwd().parents), Path.cwd()))]
    return {path.parent.name: path.parent for root in roots for path in sorted(root.glob("*/study.yml"))}


def place_of(folder: Path) -> str:
    """Where a study lies: seen from the working folder, or that it comes with smstudy."""
    if folder.is_relative_to(Path.cwd()):
        return str(folder.relative_to(Path.cwd()))
    return "comes with smstudy" if folder.parent == home() / "studies" else str(folder)


def find_notebook(folder: Path, name: str) -> Path:
    """Find a notebook of a study: its own copy wins over the shipped one.

    Raises
    ------
    StudyError
        With the nearest known names.
    """
    for place in (folder / f"{name}.ipynb", home() / "notebooks" / f"{name}.ipynb"):
        if place.is_file():
            return place
    known = {path.stem for place in (folder, home() / "notebooks") for path in place.glob("*.ipynb")}
    raise StudyError(f'{folder.name}: there is no notebook "{name}". {did_you_mean(name, known)}')


def runs_folder(folder: Path) -> Path:
    """Where the runs of a study are kept: in its folder, or in the working folder for a study of the package."""
    inside = folder.is_relative_to(SHIPPED)
    return (Path.cwd() / "studies" / folder.name if inside else folder) / "runs"
