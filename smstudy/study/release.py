"""From a run to a release: what leaves the study, remembered, so that no later run gives few people away."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from smstudy.display.prose import join_words
from smstudy.engine.fingerprint import digest_json
from smstudy.engine.manifest import MANIFEST, read_manifest, write_manifest
from smstudy.engine.schedule import only_run
from smstudy.errors import DataError, RunError, StudyError
from smstudy.result import Finding
from smstudy.study.definition import Study, find_study, read_study, runs_folder, still_drafted
from smstudy.study.guarding import UNRECOGNIZED, guard, released
from smstudy.study.inputs import Inputs, recall_given, resolve_inputs
from smstudy.study.ledger import Ledger, read_ledger, write_ledger
from smstudy.study.runner import cases, identity_of, verified_run
from smstudy.study.session import StudyRun
from smstudy.survey.dataset import Survey

LEAVES = ("report.html", "figures", "tables", "results", MANIFEST)
STAYED = "The notebooks with their outputs stay in the run; what left is listed under outputs."


def release_run(name: str, *, data: Mapping[str, str] | None = None, wave: str = "") -> Path:
    """Release the last run of a study: copy what may leave, and remember who stood behind each number.

    Parameters
    ----------
    name : str
        Name or folder of the study.
    data : mapping, optional
        Files the run was given, by role, where they are no longer in their place.
    wave : str, optional
        Wave, if another than that of the last run.

    Returns
    -------
    Path
        The folder `released/CASE/RUN` in the folder of the study. From now on a run of the same wave hides groups that
        differ by fewer people than may be shown.

    Raises
    ------
    StudyError
        If `study.yml` still says what its draft said.
    DataError
        If a file the run was given is not there.
    RunError
        If there is no complete run, or data, codebook or study were changed since.
    DisclosureError
        If an earlier release and this one together would give few people away.
    """
    folder = find_study(name)
    study = read_study(folder)
    _refuse_drafted(folder, study)
    runs = runs_folder(folder)
    last = next(reversed(recall_given(runs).values()), None)
    run = verified_run(folder, study, wave or (last.wave if last else ""))
    recorded = dict(read_manifest(run)["identity"])
    closed = {tuple(group) for group in recorded.pop("closed", ())}
    inputs = _inputs_of(run, folder, study, recorded, data or {})
    _refuse_changed(folder, identity_of(folder, study, inputs), recorded)
    with only_run(runs):
        findings = _remember(folder, study, inputs, digest_json(recorded), closed)
    return _copy(run, runs.with_name("released") / run.parent.name / run.name, findings)


def _inputs_of(
    run: Path, folder: Path, study: Study, recorded: Mapping[str, object], data: Mapping[str, str]
) -> Inputs:
    """The files of a run: those given now, those it was given, else those of study.yml."""
    given = recall_given(run.parents[1]).get(run.parent.name)
    files = {**(given.data if given is not None and given.run == run.name else {}), **data}
    wave = recorded["wave"]
    for role, path in files.items():
        if role not in data and not Path(path).is_file():
            raise DataError(
                f"{path} is not there, and the last run of wave {wave} was given this file. Say where it is now: "
                f"smstudy release {folder.name} --wave {wave} --data {role}=FILE"
            )
    return resolve_inputs(folder, study, data=files, wave=wave, previous_wave=recorded["previous_wave"])


def _refuse_changed(folder: Path, now: Mapping[str, object], recorded: Mapping[str, object]) -> None:
    """Refuse to release a run that was made from something else."""
    words = {"definition": "study.yml", "codebook": "codebook.yml"}
    changed = [words.get(name, name) for name in {**recorded, **now} if now.get(name) != recorded.get(name)]
    if changed:
        raise RunError(
            f"{folder.name} is no longer as it was in its last run; changed since: {join_words(changed)}. Run it again "
            "with the same files, then release."
        )


def _refuse_drafted(folder: Path, study: Study) -> None:
    """Refuse to let a report go out under words that nobody wrote."""
    if drafted := still_drafted(folder, study):
        raise StudyError(
            f"{folder.name} still says what its draft said, and a released report would show it: {'; '.join(drafted)}. "
            f"Write your own words there, type `smstudy run {folder.name}`, then release."
        )


def guarded(folder: Path, study: Study, inputs: Inputs, ledger: Ledger, run: str) -> tuple[list[tuple[str, str]], bool]:
    """Name the groups, as (unit, group), that must not be shown beside what the ledger holds.

    The second part says whether most respondents of an earlier release are not recognized.
    """
    surveys = [
        guard(clean, raw, ledger, run=run, case=case, **_splits(clean))
        for case, raw, clean in _waves(folder, study, inputs)
    ]
    unrecognized = any(UNRECOGNIZED in survey.findings for survey in surveys)
    return sorted({group for survey in surveys for group in survey.privacy.closed}), unrecognized


def _remember(
    folder: Path, study: Study, inputs: Inputs, run: str, closed: Collection[tuple[str, str]]
) -> list[Finding]:
    """Write the release into the ledger; what a reader of it must know is given back."""
    runs = runs_folder(folder)
    before = ledger = read_ledger(runs)
    findings: list[Finding] = []
    for case, raw, clean in _waves(folder, study, inputs):
        shown = guard(clean, raw, before, run=run, case=case, **_splits(clean))
        if not shown.privacy.closed <= set(closed):
            raise RunError("The last run shows groups that must be hidden since an earlier release. Run it again.")
        findings += [finding for finding in shown.findings if finding == UNRECOGNIZED and finding not in findings]
        ledger = released(shown, raw, ledger, run=run, case=case, **_splits(clean))
    write_ledger(ledger, runs)
    return findings


def _waves(folder: Path, study: Study, inputs: Inputs) -> list[tuple[str, Survey, Survey]]:
    """Case, raw and clean answers of each wave a report tells about."""
    this = StudyRun(folder=folder, study=study, inputs=inputs, privacy=study.policy)
    sessions = [this, *([this.previous()] if inputs.previous_responses is not None else [])]
    return [
        (case, session.survey("raw"), session.survey("clean"))
        for case, session in zip(cases(study, inputs), sessions, strict=True)
    ]


def _splits(survey: Survey) -> dict[str, list[str]]:
    """Variables by which a table may show groups: those of kind unit together, each of kind category for itself."""
    kinds = {"units": "unit", "categories": "category"}
    return {
        name: [variable.name for variable in survey.codebook.of_kind(kind) if variable.name in survey.answers]
        for name, kind in kinds.items()
    }


def _copy(run: Path, target: Path, findings: Sequence[Finding]) -> Path:
    """Copy what leaves aside and move it into place, so that a release is complete or absent."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".new-", dir=target.parent) as aside:
            fresh = Path(aside) / "release"
            fresh.mkdir()
            for name in LEAVES:
                if (run / name).is_dir():
                    shutil.copytree(run / name, fresh / name)
                elif name != MANIFEST and (run / name).is_file():
                    shutil.copy2(run / name, fresh / name)
            write_manifest(fresh, _told(read_manifest(run), findings), outputs=True)
            if target.exists():
                target.replace(Path(aside) / "before")
            fresh.replace(target)
    except OSError as problem:
        raise RunError(f"{target} cannot be written: {problem.strerror}. Make room, then release again.") from None
    return target


def _told(manifest: Mapping[str, object], findings: Sequence[Finding]) -> dict[str, object]:
    """What a run was made from, without the groups that were closed: to tell them apart from others narrows a guess."""
    identity = {name: value for name, value in manifest["identity"].items() if name != "closed"}
    return {
        **{k: v for k, v in manifest.items() if k not in ("schema", "outputs")},
        "identity": identity,
        "findings": [{"name": finding.name, "text": finding.text} for finding in findings],
        "stayed": STAYED,
    }
