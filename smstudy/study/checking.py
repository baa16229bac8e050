"""Look a study over without running it: files, codebook, data, rules and parameters."""

from __future__ import annotations

from collections.abc import Mapping

from smstudy.display.prose import plural
from smstudy.errors import StudyError, did_you_mean
from smstudy.study.definition import Study, find_study, read_study
from smstudy.study.inputs import resolve_inputs
from smstudy.study.runner import plan_jobs
from smstudy.study.session import StudyRun
from smstudy.survey.codebook import Codebook


def check_study(
    name: str, *, data: Mapping[str, str] | None = None, wave: str = "", previous_wave: str | None = None
) -> str:
    """Check everything about a study that can be checked without a notebook.

    Returns
    -------
    str
        What was read and what a reader must know, one line each.

    Raises
    ------
    StudyError, CodebookError, DataError, DisclosureError
        The first thing that would stop a run.
    """
    folder = find_study(name)
    study = read_study(folder)
    inputs = resolve_inputs(folder, study, data=data, wave=wave, previous_wave=previous_wave)
    run = StudyRun(folder=folder, study=study, inputs=inputs, privacy=study.policy)
    _check_names(study, run.codebook)
    plan_jobs(folder, study, inputs, {})
    survey, previous = run.survey("clean"), run.previous_survey()
    response = run.response()
    lines = [
        f"{study.title}: {plural(len(study.notebooks), 'notebook')}",
        f"wave {inputs.wave}, from {inputs.responses.name}:",
        *_indented(survey.log),
    ]
    if previous is not None:
        lines += [f"previous wave {inputs.previous_wave}:", *_indented(previous.log)]
    notes = dict.fromkeys(finding.text for finding in (*survey.findings, *response.findings))
    open_questions = _unconfirmed(run.codebook)
    ready = (
        "Ready to run."
        if not open_questions
        else "It can run; first decide what is to be confirmed, and take confirm: out."
    )
    return "\n".join([*lines, *_section("to know:", notes), *_section("to confirm:", open_questions), ready])


def _check_names(study: Study, codebook: Codebook) -> None:
    for key, name in (("unit", study.unit), ("person", study.person)):
        known = [variable.name for variable in codebook.variables]
        if name and name not in known:
            raise StudyError(f'study.yml: {key}: "{name}" is no variable of the codebook. {did_you_mean(name, known)}')


def _unconfirmed(codebook: Codebook) -> list[str]:
    return [f"{variable.name}: {variable.confirm}" for variable in codebook.variables if variable.confirm]


def _section(heading: str, lines) -> list[str]:
    return [heading, *_indented(lines)] if lines else []


def _indented(lines) -> list[str]:
    return [f"  {line}" for line in lines]
