"""Which files a case works on: the study's own, or those given for this run; each checked and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smstudy.engine.fingerprint import digest_file
from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.study.definition import DataFile, Study
from smstudy.survey.files import nearest_files

ROLES = ("responses", "previous_responses", "frame")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The files of one case.

    Attributes
    ----------
    responses, previous_responses, frame : Path or None
        Export of this wave, of the previous one, and the head counts.
    wave, previous_wave : str
        Names of the waves; an empty previous wave means there is none.
    """

    responses: Path
    previous_responses: Path | None
    frame: Path | None
    wave: str
    previous_wave: str

    @classmethod
    def from_context(cls, context: Mapping) -> Inputs:
        """Rebuild the inputs from what the engine hands a notebook."""
        paths = {role: Path(context["paths"][role]) if context["paths"].get(role) else None for role in ROLES}
        return cls(**paths, wave=context["wave"], previous_wave=context["previous_wave"])

    def paths(self) -> dict[str, str]:
        """Role to path, of the files there are."""
        return {role: str(path) for role in ROLES if (path := getattr(self, role)) is not None}

    def digests(self) -> dict[str, str]:
        """Role to SHA-256, of the files there are."""
        return {role: digest_file(Path(path)) for role, path in self.paths().items()}


def resolve_inputs(
    folder: Path,
    study: Study,
    *,
    data: Mapping[str, str] | None = None,
    wave: str = "",
    previous_wave: str | None = None,
) -> Inputs:
    """Find the files of a case.

    Parameters
    ----------
    folder : Path
        Folder of the study; files in `study.yml` are relative to it.
    data : mapping, optional
        Files given for this run, by role: responses, previous_responses, frame.
    wave, previous_wave : str, optional
        Names of the waves, if others than in `study.yml`; an empty previous wave switches the comparison off.

    Raises
    ------
    StudyError
        If a role is unknown, a wave has no file, or a file is not there or not the one that `study.yml` describes.
    DataError
        If a file given for this run is not there.
    """
    given = dict(data or {})
    for role in given:
        if role not in ROLES:
            raise StudyError(f"--data {role}=…: there is no such file in a study. {did_you_mean(role, ROLES)}")
    wave = wave or study.wave
    previous = study.previous_wave if previous_wave is None else previous_wave
    if previous == wave:
        raise StudyError(
            f'wave and previous_wave are both "{wave}". Name two different waves, or leave previous_wave empty.'
        )
    frame = given.get("frame")
    return Inputs(
        responses=_given(given["responses"]) if "responses" in given else _of_wave(folder, study, wave, "responses"),
        previous_responses=_previous(folder, study, given, previous),
        frame=_given(frame) if frame else _declared(folder, study.frame) if study.frame else None,
        wave=wave,
        previous_wave=previous,
    )


def _previous(folder: Path, study: Study, given: Mapping[str, str], previous: str) -> Path | None:
    if "previous_responses" in given:
        return _given(given["previous_responses"])
    return _of_wave(folder, study, previous, "previous_responses") if previous else None


def _of_wave(folder: Path, study: Study, wave: str, role: str) -> Path:
    if wave not in study.waves:
        raise StudyError(
            f'study.yml has no file for wave "{wave}". {did_you_mean(wave, study.waves)} '
            f"Add the wave under waves:, or give the file with --data {role}=FILE."
        )
    return _declared(folder, study.waves[wave])


def _declared(folder: Path, entry: DataFile) -> Path:
    path = (folder / entry.file).resolve()
    if not path.is_file():
        how = entry.get or "Correct study.yml, or give the file with --data."
        raise StudyError(f"{folder.name}: the file {entry.file} is not there. {how}")
    if entry.sha256 and digest_file(path) != entry.sha256:
        raise StudyError(
            f"{folder.name}: {entry.file} is not the file that study.yml describes (its SHA-256 differs). "
            "Restore the file, or take sha256 out of study.yml if the change is meant."
        )
    return path


def _given(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise DataError(f'There is no file "{name}". {nearest_files(path)}')
    return path.resolve()
