"""The record of a run: what went in, what came out, and whether it is still so."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from smstudy.engine.fingerprint import digest_file, digest_json
from smstudy.errors import RunError

SCHEMA = 1
MANIFEST = "manifest.json"
DIGITS = 9
FLOOR = 1e-12


def read_manifest(folder: Path) -> dict[str, object]:
    """Read the manifest of a finished run.

    Raises
    ------
    RunError
        If there is none, it cannot be read, or another version of smstudy wrote it.
    """
    try:
        manifest = json.loads((Path(folder) / MANIFEST).read_text(encoding="utf-8"))
        known = manifest["schema"] == SCHEMA and isinstance(manifest["outputs"], list)
    except FileNotFoundError:
        raise RunError(f"{folder} is not a finished run: it has no {MANIFEST}. Run the study again.") from None
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise RunError(f"{Path(folder) / MANIFEST} is damaged or of another version. Run the study again.")
    return manifest


def write_manifest(folder: Path, content: Mapping[str, object], *, outputs: bool) -> None:
    """Write `content` as the manifest of a run, with the list of the run's files and their digests when `outputs`."""
    listed = list(list_outputs(folder)) if outputs else []
    write_json(Path(folder) / MANIFEST, {"schema": SCHEMA, **content, "outputs": listed})


def write_json(path: Path, content: object) -> None:
    """Write a JSON value for people to read, keys in the order given."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def list_outputs(folder: Path) -> Iterator[dict[str, str]]:
    """List the files of a run or of a cache entry, but for the manifest, each with its sha256; sorted by path."""
    for path in files_of(folder):
        if path != MANIFEST:
            yield {"path": path, "sha256": digest_file(Path(folder) / path)}


def files_of(folder: Path) -> list[str]:
    """List the regular files under a folder as sorted relative paths with forward slashes; no hidden folders."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(parent, name) for name in names)
        found += [path.relative_to(folder).as_posix() for path in paths if path.is_file() and not path.is_symlink()]
    return sorted(found)


def verify(folder: Path) -> list[str]:
    """List the files of a run that are missing, changed or new since it was finished; an empty list means all is well.

    Raises
    ------
    RunError
        If the folder holds no finished run.
    """
    recorded = {entry["path"]: entry["sha256"] for entry in read_manifest(folder)["outputs"]}
    present = {entry["path"]: entry["sha256"] for entry in list_outputs(folder)}
    return sorted(path for path in recorded.keys() | present.keys() if recorded.get(path) != present.get(path))


def result_digest(folder: Path) -> str:
    """Give one digest for all results of a run, equal for two runs that found the same.

    Numbers count to 9 significant digits and below 1e-12 as zero, so that the last bits of a sum do not matter.

    Parameters
    ----------
    folder : Path
        A run or a cache entry: what holds a folder ``results`` of JSON files.

    Raises
    ------
    RunError
        If a results file is not JSON.
    """
    results = Path(folder) / "results"
    names = [name for name in files_of(results) if name.endswith(".json")]
    return digest_json({name: _rounded(_read_result(results / name)) for name in names})


def _read_result(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        place = f"{path.parent.name}/{path.name}"
        raise RunError(f"the result {place} is not JSON. Store results with run.keep().") from None


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return "0" if abs(value) < FLOOR else f"{value:.{DIGITS - 1}e}"
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return value
