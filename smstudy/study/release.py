"""From a run to a release: what leaves the study, remembered, so that no later run gives few people away."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from smstudy.engine.fingerprint import digest_json
from smstudy.engine.manifest import read_manifest
from smstudy.engine.schedule import only_run
from smstudy.errors import RunError
from smstudy.study.definition import Study, find_study, read_study, runs_folder
from smstudy.study.guarding import guard, released
from smstudy.study.inputs import Inputs, resolve_inputs
from smstudy.study.ledger import Ledger, read_ledger, write_ledger
from smstudy.study.runner import cases, identity_of, verified_run
from smstudy.study.session import StudyRun
from smstudy.survey.dataset import Survey

LEAVES = ("report.html", "figures", "tables", "results", "manifest.json")


def release_run(name: str, *, wave: str = "") -> Path:
    """Release the last run of a study: copy what may leave, and remember who stood behind each number.

    Parameters
    ----------
    name : str
        Name or folder of the study.
    wave : str, optional
        Wave, if another than in `study.yml`.

    Returns
    -------
    Path
        The folder `released/CASE/RUN` in the folder of the study. From now on a run of the same wave hides groups that
        differ by fewer people than may be shown.

    Raises
    ------
    RunError
        If there is no complete run, or data, codebook or study were changed since.
    DisclosureError
        If an earlier release and this one together would give few people away.
    """
    folder = find_study(name)
    study = read_study(folder)
    run = verified_run(folder, study, wave)
    recorded = dict(read_manifest(run)["identity"])
    closed = {tuple(group) for group in recorded.pop("closed", ())}
    inputs = resolve_inputs(folder, study, wave=recorded["wave"], previous_wave=recorded["previous_wave"])
    if identity_of(folder, study, inputs) != recorded:
        raise RunError(
            f"Data, codebook or study of {folder.name} are not those of the last run. Run it again, with the files "
            "named in study.yml, then release."
        )
    with only_run(runs_folder(folder)):
        _remember(folder, study, inputs, digest_json(recorded), closed)
    return _copy(run, runs_folder(folder).with_name("released") / run.parent.name / run.name)


def guarded(folder: Path, study: Study, inputs: Inputs, ledger: Ledger, run: str) -> list[tuple[str, str]]:
    """Name the groups, as (unit, group), that must not be shown beside what the ledger holds."""
    surveys = [
        guard(clean, raw, ledger, run=run, case=case, units=_units(clean))
        for case, raw, clean in _waves(folder, study, inputs)
    ]
    return sorted({group for survey in surveys for group in survey.privacy.closed})


def _remember(folder: Path, study: Study, inputs: Inputs, run: str, closed: Collection[tuple[str, str]]) -> None:
    runs = runs_folder(folder)
    before = ledger = read_ledger(runs)
    for case, raw, clean in _waves(folder, study, inputs):
        shown = guard(clean, raw, before, run=run, case=case, units=_units(clean))
        if not shown.privacy.closed <= set(closed):
            raise RunError("The last run shows groups that must be hidden since an earlier release. Run it again.")
        ledger = released(shown, raw, ledger, run=run, case=case, units=_units(clean))
    write_ledger(ledger, runs)


def _waves(folder: Path, study: Study, inputs: Inputs) -> list[tuple[str, Survey, Survey]]:
    """Case, raw and clean answers of each wave a report tells about."""
    this = StudyRun(folder=folder, study=study, inputs=inputs, privacy=study.policy)
    sessions = [this, *([this.previous()] if inputs.previous_responses is not None else [])]
    return [
        (case, session.survey("raw"), session.survey("clean"))
        for case, session in zip(cases(study, inputs), sessions, strict=True)
    ]


def _units(survey: Survey) -> Sequence[str]:
    return [variable.name for variable in survey.codebook.of_kind("unit")]


def _copy(run: Path, target: Path) -> Path:
    """Copy what leaves aside and move it into place, so that a release is complete or absent."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".new-", dir=target.parent) as aside:
            fresh = Path(aside) / "release"
            fresh.mkdir()
            for name in LEAVES:
                if (run / name).is_dir():
                    shutil.copytree(run / name, fresh / name)
                elif (run / name).is_file():
                    shutil.copy2(run / name, fresh / name)
            if target.exists():
                target.replace(Path(aside) / "before")
            fresh.replace(target)
    except OSError as problem:
        raise RunError(f"{target} cannot be written: {problem.strerror}. Make room, then release again.") from None
    return target
