"""Which files a case works on: the study's own, or those given for this run; each checked and hashed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from smstudy.engine.fingerprint import digest_file
from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.study.definition import DataFile, Study
from smstudy.survey.files import nearest_files

ROLES = ("responses", "previous_responses", "frame")
GIVEN = "files.json"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The files of one case.

    Attributes
    ----------
    responses, previous_responses, frame : Path or None
        Export of this wave, of the previous one, and the head counts.
    wave, previous_wave : str
        Names of the waves; an empty previous wave means there is none.
    doubts : tuple of str
        What speaks against a file given for this run, though it may be right.
    """

    responses: Path
    previous_responses: Path | None
    frame: Path | None
    wave: str
    previous_wave: str
    doubts: tuple[str, ...] = ()

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
        If a file given for this run is not there or is that of another wave, or both waves are the same file.
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
    inputs = Inputs(
        responses=_given(given["responses"]) if "responses" in given else _of_wave(folder, study, wave, "responses"),
        previous_responses=_previous(folder, study, given, previous),
        frame=_given(frame) if frame else _declared(folder, study.frame) if study.frame else None,
        wave=wave,
        previous_wave=previous,
    )
    _refuse_same(inputs)
    return replace(inputs, doubts=tuple(_doubts(folder, study, given, inputs)))


def _refuse_same(inputs: Inputs) -> None:
    """Refuse one file as both waves: nothing would have changed."""
    now, before = inputs.responses, inputs.previous_responses
    if before is not None and _same(now, before):
        names = now.name if now.name == before.name else f"{now.name} and {before.name} hold the same"
        raise DataError(
            f"wave {inputs.wave} and wave {inputs.previous_wave or '(unnamed)'} are the same file ({names}). "
            "Give each wave its own export, under waves: in study.yml or with --data."
        )


def _doubts(folder: Path, study: Study, given: Mapping[str, str], inputs: Inputs) -> Iterator[str]:
    """Hold files given for this run against the waves of study.yml: refuse that of another wave, doubt a new one."""
    waves = {"responses": inputs.wave, "previous_responses": inputs.previous_wave}
    for role, wave in waves.items():
        if role not in given or not wave:
            continue
        path: Path = getattr(inputs, role)
        known = {name: _is_file_of(path, folder, entry) for name, entry in study.waves.items()}
        if known.get(wave):
            continue
        if other := next((name for name, is_it in known.items() if is_it), ""):
            raise DataError(
                f"--data {role}={given[role]}: this is the file of wave {other} in study.yml, not of wave {wave}. "
                f"Give the file of wave {wave}, or name the wave it belongs to."
            )
        if known.get(wave) is False:
            yield (
                f"{path.name} is not the file that study.yml names for wave {wave} ({study.waves[wave].file}): its "
                "content differs. That is right if it was downloaded again; else check which wave it belongs to."
            )


def _is_file_of(path: Path, folder: Path, entry: DataFile) -> bool | None:
    """Whether a file is the one study.yml describes, by its digest, else by its content; None if nobody knows."""
    if entry.sha256:
        return digest_file(path) == entry.sha256
    declared = folder / entry.file
    return _same(path, declared) if declared.is_file() else None


def _same(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and digest_file(one) == digest_file(other)


@dataclass(frozen=True)
class Given:
    """What the last run of a case was given on the command line: the key of the run, the wave, and files by role."""

    run: str
    wave: str
    data: Mapping[str, str]


def remember_given(runs: Path, case: str, given: Given) -> None:
    """Write down which files a run was given, so that it can be released; the last run stands last.

    The paths stay beside the runs and never leave: the manifest of a run holds digests only.
    """
    before = recall_given(runs)
    after = {name: each for name, each in before.items() if name != case} | {case: given}
    if list(after.items()) == list(before.items()):
        return
    content = {name: {"run": each.run, "wave": each.wave, "data": dict(each.data)} for name, each in after.items()}
    aside = runs / f".{GIVEN}-{os.getpid()}"
    with suppress(OSError):
        aside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(aside, runs / GIVEN)


def recall_given(runs: Path) -> dict[str, Given]:
    """Read which files the last run of each case was given, the last run last; none if nothing readable is there."""
    try:
        content = json.loads((runs / GIVEN).read_text(encoding="utf-8"))
        return {case: Given(each["run"], each["wave"], dict(each["data"])) for case, each in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


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
