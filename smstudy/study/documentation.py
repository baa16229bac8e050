"""The codebook of a study as documents: for archives, for statistics programs, and for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pyreadstat
from jinja2 import Environment, PackageLoader, StrictUndefined

from smstudy.display import apa
from smstudy.errors import StudyError
from smstudy.study.definition import find_study, read_study, runs_folder
from smstudy.study.inputs import resolve_inputs
from smstudy.study.session import StudyRun
from smstudy.survey.codebook import Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.distributions import distribution
from smstudy.survey.metadata import COUNTED, describe_package, label_answers, missing_codes, write_ddi

ANSWERS = "answers-confidential.sav"


def write_documents(
    name: str, *, data: Mapping[str, str] | None = None, wave: str = "", to: str = "", with_answers: bool = False
) -> Path:
    """Write the codebook of a study as documents.

    Parameters
    ----------
    name : str
        Name or folder of the study.
    data : mapping, optional
        Files by role, as for a run.
    wave : str, optional
        Wave whose answers are counted, if another than in `study.yml`.
    to : str, optional
        Folder to write to; `documents` in the folder of the study if left out.
    with_answers : bool
        Also write the answers of every respondent, labeled, as an SPSS file. It is confidential: one row a person.

    Returns
    -------
    Path
        The folder, with `codebook.md`, `codebook.html` (both with distributions, small counts hidden),
        `datapackage.json` and `ddi-codebook.xml`.

    Raises
    ------
    StudyError, CodebookError, DataError
        As a run does, and if the folder cannot be written.
    """
    folder = find_study(name)
    study = read_study(folder)
    inputs = resolve_inputs(folder, study, data=data, wave=wave, previous_wave="")
    survey = StudyRun(folder=folder, study=study, inputs=inputs, privacy=study.policy).survey("clean")
    target = Path(to).expanduser() if to else runs_folder(folder).with_name("documents")
    file = inputs.responses.name
    pages = {
        "codebook.md": _page("codebook.md.j2", survey, escape=False),
        "codebook.html": _page("codebook.html.j2", survey, escape=True),
        "datapackage.json": _json(describe_package(survey.codebook, file=file)),
        "ddi-codebook.xml": write_ddi(survey.codebook, file=file, n=len(survey.answers)),
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        for page, text in pages.items():
            (target / page).write_text(text, encoding="utf-8")
        if with_answers:
            _write_sav(survey, target / ANSWERS)
    except OSError as problem:
        raise StudyError(f"{target} cannot be written: {problem.strerror}. Choose another folder with --to.") from None
    return target


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _write_sav(survey: Survey, path: Path) -> None:
    labeled = label_answers(survey)
    pyreadstat.write_sav(
        labeled.frame, str(path), file_label=survey.codebook.title[:64], column_labels=labeled.labels,
        variable_value_labels=labeled.values, variable_measure=labeled.measures,
    )  # fmt: skip


def _page(template: str, survey: Survey, *, escape: bool) -> str:
    environment = Environment(
        loader=PackageLoader("smstudy.study", "drafts"), autoescape=escape, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["cell"] = _cell
    entries = [_entry(survey, variable) for variable in survey.codebook.variables]
    return environment.get_template(template).render(survey=survey, codebook=survey.codebook, entries=entries)


def _cell(text: object) -> str:
    """A text on one line of a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def _entry(survey: Survey, variable: Variable) -> dict[str, object]:
    """What a page says of a variable: its answers with how many gave them, or its mean."""
    answers, summary = [], ""
    if variable.kind in COUNTED and variable.categories:
        answers = _counted(survey, variable)
    elif variable.kind == "number":
        summary = _summary(survey, variable)
    missing = missing_codes(variable, survey.codebook.missing)
    return {"variable": variable, "answers": answers, "summary": summary, "missing": missing}


def _counted(survey: Survey, variable: Variable) -> list[tuple[str, str, str, str, int]]:
    """Code, words, number and share of every answer as they may be shown, and the length of its bar in percent."""
    codes = {category.label: category.value for category in variable.categories}
    rows = distribution(survey, variable.name).shown().to_dict("records")
    return [
        (
            codes.get(row["answer"], ""),
            row["answer"],
            "hidden" if row.get("hidden") else apa.count(row["n"]),
            "" if row.get("hidden") else apa.share(row["share"]),
            0 if row.get("hidden") else round(100 * row["share"]),
        )
        for row in rows
    ]


def _summary(survey: Survey, variable: Variable) -> str:
    given = survey.answers[variable.name].dropna()
    if not survey.privacy.allows(len(given)) or not survey.privacy.allows(len(survey.answers) - len(given)):
        return "not shown: few people"
    if given.nunique() == 1:
        return "not shown: all answers are the same"
    return f"n = {apa.count(len(given))}, M = {apa.number(given.mean())}, SD = {apa.number(given.std())}"
