"""From a study to a finished run: check everything first, let the engine run the notebooks, add the report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from smstudy.display.prose import slug
from smstudy.engine.fingerprint import digest_file, digest_json
from smstudy.engine.manifest import verify
from smstudy.engine.parameters import Parameter, check_parameters, declared_parameters, parse_parameter
from smstudy.engine.schedule import Finished, Job, latest_run, run_jobs
from smstudy.errors import CodebookError, DataError, DisclosureError, RunError, StudyError, did_you_mean
from smstudy.privacy import Privacy
from smstudy.study.definition import Step, Study, find_notebook, find_study, read_study, runs_folder
from smstudy.study.inputs import Given, Inputs, remember_given, resolve_inputs
from smstudy.study.ledger import read_ledger
from smstudy.study.naming import check_names
from smstudy.survey.codebook import read_codebook


def run_study(
    name: str,
    *,
    data: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    wave: str = "",
    previous_wave: str | None = None,
    workers: int = 3,
) -> Finished:
    """Run a study, or only what changed since the last time.

    Parameters
    ----------
    name : str
        Name or folder of the study.
    data : mapping, optional
        Files for this run by role: responses, previous_responses, frame.
    parameters : mapping, optional
        Notebook parameters as text; each goes to every notebook that declares it.
    wave, previous_wave : str, optional
        Names of the waves, if others than in `study.yml`.
    workers : int
        Notebooks run at a time.

    Returns
    -------
    Finished
        The folder of the run, which holds `report.html`.

    Raises
    ------
    StudyError, CodebookError, DataError, DisclosureError, RunError, EstimationError
        In one line; earlier runs are untouched.
    """
    folder = find_study(name)
    study = read_study(folder)
    inputs = resolve_inputs(folder, study, data=data, wave=wave, previous_wave=previous_wave)
    for doubt in inputs.doubts:
        print(f"To know: {doubt}", file=sys.stderr)
    identity = identity_of(folder, study, inputs)
    closed, unrecognized = _guarded(folder, study, inputs, identity)
    jobs = plan_jobs(folder, study, inputs, parameters or {}, closed=closed, unrecognized=unrecognized)
    runs, case = runs_folder(folder), case_name(study, inputs.wave)
    try:
        finished = run_jobs(
            jobs,
            runs=runs,
            case=case,
            identity=identity | ({"closed": [list(group) for group in closed]} if closed else {}),
            finish=_finish(folder, inputs),
            workers=workers,
        )
    except (CodebookError, DataError) as problem:
        raise type(problem)(f"{problem} {_where_to_look(name, data, wave, previous_wave)}") from None
    files = {role: str(getattr(inputs, role)) for role in data or {}}
    remember_given(runs, case, Given(finished.key, inputs.wave, files))
    return finished


def _where_to_look(name: str, data: Mapping[str, str] | None, wave: str, previous_wave: str | None) -> str:
    """The command that names every problem of the data at once, with the options of this run."""
    files = [part for role, file in (data or {}).items() for part in ("--data", f"{role}={file}")]
    waves = ["--wave", wave] if wave else []
    earlier = [] if previous_wave is None else ["--previous-wave", previous_wave]
    words = [f'"{word}"' if not word or " " in word else word for word in (name, *files, *waves, *earlier)]
    return f"To see all problems of the data at once, type: smstudy check {' '.join(words)}"


def latest_report(name: str, *, wave: str = "") -> Path:
    """Find the report of the last complete run of a case.

    Raises
    ------
    RunError
        If there is no complete run, or a file of it was changed since.
    """
    folder = find_study(name)
    return verified_run(folder, read_study(folder), wave) / "report.html"


def verified_run(folder: Path, study: Study, wave: str) -> Path:
    """Find the last complete run of a case; RunError if there is none, or a file of it was changed since."""
    found = latest_run(runs_folder(folder), case_name(study, wave or study.wave))
    if found is None:
        raise RunError(
            f"{folder.name} has no complete run of wave {wave or study.wave}. Type `smstudy run {folder.name}`."
        )
    changed = verify(found)
    if changed:
        raise RunError(
            f"{found}: {changed[0]} was changed since the run was finished. Delete the folder and run again."
        )
    return found


def case_name(study: Study, wave: str) -> str:
    """Name the folder of a case: organization and wave, as plain letters."""
    return f"{slug(study.organization)}-wave-{slug(wave)}"


def plan_jobs(
    folder: Path,
    study: Study,
    inputs: Inputs,
    given: Mapping[str, str],
    *,
    closed: Sequence[tuple[str, str]] = (),
    unrecognized: bool = False,
) -> list[Job]:
    """Turn the notebooks of a study into jobs; every parameter is checked before a kernel starts.

    `closed` names groups, as (unit, group), that must not be shown because of what was released before; `unrecognized`
    says that respondents of an earlier release are not recognized.
    """
    policy = study.policy
    notebooks = {step.name: find_notebook(folder, step.name) for step in study.notebooks}
    declared = {name: declared_parameters(path) for name, path in notebooks.items()}
    _refuse_unknown(given, declared)
    parameters = {s.name: _parameters(s, declared[s.name], given, folder, policy) for s in study.notebooks}
    codebook = read_codebook(folder / "codebook.yml")
    for name, notebook in notebooks.items():
        used = {key: parameter.default for key, parameter in declared[name].items()} | parameters[name]
        own = notebook.parent == folder
        check_names(used, codebook, where=f"notebook {name}", unit=study.unit, makes_columns=own)
    digests = inputs.digests() | {name: digest_file(folder / f"{name}.yml") for name in ("study", "codebook")}
    context = {
        "study": folder.name,
        "wave": inputs.wave,
        "previous_wave": inputs.previous_wave,
        "seed": study.seed,
        "closed": [list(group) for group in closed],
        "unrecognized": unrecognized,
        "paths": {"folder": str(folder), **inputs.paths()},
    }
    return [
        Job(
            name=step.name,
            notebook=notebooks[step.name],
            parameters=parameters[step.name],
            after=step.after,
            inputs=digests,
            context=context,
            timeout=study.cell_seconds,
        )
        for step in study.notebooks
    ]


def _parameters(
    step: Step, declared: Mapping[str, Parameter], given: Mapping[str, str], folder: Path, policy: Privacy
) -> dict[str, object]:
    where = f"notebook {step.name}"
    defaults = {"study": folder.name, "min_n": policy.min_n}
    values: dict[str, object] = {name: value for name, value in defaults.items() if name in declared}
    values |= step.parameters
    values |= {n: parse_parameter(text, declared[n], where) for n, text in given.items() if n in declared}
    checked = check_parameters(values, declared, where=where)
    if "min_n" in checked:
        _refuse_lower(int(checked["min_n"]), policy, where)
    return checked


def _refuse_lower(min_n: int, policy: Privacy, where: str) -> None:
    if min_n < policy.min_n:
        raise DisclosureError(
            f"{where}: min_n = {min_n} is lower than {policy.min_n}. Thresholds can only be raised: "
            f"use {policy.min_n} or more."
        )


def _refuse_unknown(given: Mapping[str, str], declared: Mapping[str, Mapping[str, Parameter]]) -> None:
    known = {name for parameters in declared.values() for name in parameters}
    for name in given:
        if name not in known:
            raise StudyError(f'No notebook of this study has a parameter "{name}". {did_you_mean(name, known)}')


def _guarded(
    folder: Path, study: Study, inputs: Inputs, identity: Mapping[str, object]
) -> tuple[list[tuple[str, str]], bool]:
    """What `release.guarded` says; no group if the study released nothing, and what it said of a run made before."""
    ledger = read_ledger(runs_folder(folder))
    if not ledger.releases:
        return [], False
    run = digest_json(identity)
    earlier = [ledger.find(run, case) for case in cases(study, inputs)]
    if all(earlier):
        closed = sorted({group for release in earlier for group in release.closed})
        return closed, any(release.unrecognized for release in earlier)
    from smstudy.study.release import guarded  # reads all answers; only where a release may be given away

    return guarded(folder, study, inputs, ledger, run)


def cases(study: Study, inputs: Inputs) -> list[str]:
    """The cases a report tells about: this wave, and the previous one if there is one."""
    waves = [inputs.wave, *([inputs.previous_wave] if inputs.previous_responses is not None else [])]
    return [case_name(study, wave) for wave in waves]


def identity_of(folder: Path, study: Study, inputs: Inputs) -> dict[str, object]:
    """What a run is made from."""
    return {
        "study": folder.name,
        "title": study.title,
        "organization": study.organization,
        "wave": inputs.wave,
        "previous_wave": inputs.previous_wave,
        "data": inputs.digests(),
        "codebook": digest_file(folder / "codebook.yml"),
        "definition": digest_file(folder / "study.yml"),
        "seed": study.seed,
        "smstudy": version("smstudy"),
    }


def _finish(folder: Path, inputs: Inputs) -> Callable[[Path], None]:
    def finish(staging: Path) -> None:
        from smstudy.study.report import publish_report  # not needed by a run in which nothing changed

        publish_report(staging, folder, inputs)

    return finish
