"""What a run depends on, as digests. Standard library only: this is all a run in which nothing changed has to load."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from smstudy.engine.parameters import is_parameters_cell, read_cells, source_of

SOURCE_SUFFIXES = frozenset({".py", ".yml", ".html", ".css"})
DISTRIBUTIONS = (
    "ipykernel", "ipython", "matplotlib", "nbclient", "numpy", "openpyxl", "pandas", "papermill", "pyreadstat",
    "scikit-learn", "scipy", "seaborn", "statsmodels",
)  # fmt: skip


def digest_bytes(content: bytes) -> str:
    """Give the sha256 of some bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """Give the sha256 of a file's bytes in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_json(value: object) -> str:
    """Give the sha256 of a JSON value; the order of keys does not count.

    >>> digest_json({"a": 1, "b": [2]}) == digest_json({"b": [2], "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_plain)
    return digest_bytes(text.encode("ascii"))


def notebook_digest(path: Path) -> str:
    """Give the digest of what a notebook computes: its code cells in order and which of them holds the parameters.

    Text cells, outputs and other metadata do not count.

    Raises
    ------
    StudyError
        If the file is not a notebook.
    """
    code = [cell for cell in read_cells(path) if cell["cell_type"] == "code"]
    return digest_json([[is_parameters_cell(cell), source_of(cell)] for cell in code])


@cache
def package_digest() -> str:
    """Give the digest of the sources of smstudy itself; read once a process."""
    package = Path(__file__).resolve().parents[1]
    return digest_json({path.relative_to(package).as_posix(): digest_file(path) for path in _sources(package)})


@cache
def versions() -> dict[str, str]:
    """Give the versions that can change a number or a picture: Python, platform and the named distributions."""
    found = {name: version for name in DISTRIBUTIONS if (version := _version(name))}
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python, "platform": f"{sys.platform}-{_machine()}", **found}


def _sources(package: Path) -> Iterable[Path]:
    for folder, folders, files in os.walk(package):
        folders[:] = sorted(name for name in folders if name != "__pycache__" and not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if os.path.splitext(name)[1] in SOURCE_SUFFIXES)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _machine() -> str:
    return os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "unknown")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
