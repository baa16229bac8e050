"""Raw survey exports: recognized by looking at the file, read as text, direct identifiers dropped at the door."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from smstudy.errors import DataError
from smstudy.survey.codebook import Kind
from smstudy.survey.files import nearest_files
from smstudy.survey.formats import foreign
from smstudy.survey.formats.columns import Column, stored
from smstudy.survey.formats.identifiers import identifier_by_content, identifier_by_name
from smstudy.survey.formats.platforms import READERS, Reading
from smstudy.survey.formats.reading import plain_text
from smstudy.survey.formats.structures import read_structure, with_structure
from smstudy.survey.formats.tabular import (
    MAX_BYTES,
    SAVE_AS,
    Table,
    check_width,
    read_text,
)

SECONDS = 20

CONTAINERS: dict[str, Callable[[bytes], bool]] = {
    "spss": lambda magic: magic.startswith((b"$FL2", b"$FL3")),
    "xlsx": lambda magic: magic.startswith((b"PK\x03\x04", b"PK\x05\x06")),
    "stata": lambda magic: magic.startswith(b"<stata_dta>") or bool(_OLD_STATA.match(magic)),
    "parquet": lambda magic: magic.startswith(b"PAR1"),
}
MISSING_MARKS = frozenset({"", "?"})

_SLOW = "reading takes too long; the file may be damaged, or too large for its format: save it as CSV (UTF-8)"
_OUT_OF_TIME = -getattr(signal, "SIGXCPU", 24)
# The slower parser openpyxl would choose guards against what the limits of the child process guard against anyway.
_CHILD_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OPENPYXL_DEFUSEDXML": "False",
}
_OLD_STATA = re.compile(rb"[\x66-\x73][\x01\x02]\x01\x00")  # release, byte order, file type


@dataclass(frozen=True, kw_only=True)
class Export:
    """A raw export as text, with every row and column accounted for.

    Attributes
    ----------
    cells : DataFrame, shape (n rows, k columns)
        Text exactly as in the file, as categories where few cells differ, else as `str`; an empty cell is "". Range
        index.
    source : str
        File name without folders.
    form : str
        The reader that recognized the file, a key of `READERS`.
    labels : dict
        Column -> question wording.
    choices : dict
        Column -> code -> label.
    missing : dict
        Column -> codes declared missing, as text.
    kinds : dict
        Column -> what the platform says it is, where it says so.
    delimiters : dict
        Column -> what stands between the answers of a multi-select.
    dropped : dict
        Column -> why it was dropped at the door.
    duplicates, blank_headers : tuple of str
        Columns whose name in the file was taken or empty, under the name given to them here.
    rows_read, header_rows, blank_rows : int
        Rows of answers (= len(cells)), of headings, and without any cell.
    decimal : str
        "." or ",": how numbers are written. Nothing is converted.
    notes : tuple of str
        What was found on the way, in sentences without cells.
    """

    cells: pd.DataFrame = field(repr=False)
    source: str
    form: str
    labels: dict[str, str] = field(default_factory=dict)
    choices: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    delimiters: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    duplicates: tuple[str, ...] = ()
    blank_headers: tuple[str, ...] = ()
    rows_read: int = 0
    header_rows: int = 1
    blank_rows: int = 0
    decimal: str = "."
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        rows, columns = self.cells.shape
        return f"Export({self.form}, {rows} rows x {columns} columns, {len(self.dropped)} dropped)"


def read_export(
    path: str | os.PathLike[str], *, keep: Collection[str] = (), structure: str | os.PathLike[str] | None = None
) -> Export:
    """Read a raw survey export: separated text of any common dialect and encoding, .xlsx, .sav, .dta or Parquet.

    Parameters
    ----------
    path : str or path
        The file. Its name plays no part in how it is read.
    keep : collection of str
        Columns the codebook declares. They are not dropped for what they hold, nor for an ordinary name such as "Name";
        IP addresses, recipients and locations that a survey platform adds are dropped all the same.
    structure : str or path, optional
        The platform's own definition of the questionnaire (.qsf, .lss, .txt of R syntax, REDCap data dictionary): it
        knows wording, answers and kinds that the export does not say.

    Returns
    -------
    Export
        Text only: "NA", "None", "00123" and "1e5" stay what they are.

    Raises
    ------
    DataError
        If the file is missing, empty, damaged, not an export, too large, or has rows that do not fit its header. Rows
        are never padded or cut, because answers would be shifted or lost.
    """
    table = _load(Path(path))
    form = next(name for name, (recognize, _) in READERS.items() if recognize(table))
    export = _drop_identifiers(_export(table, form, READERS[form][1](table)), keep)
    return export if structure is None else with_structure(export, read_structure(Path(structure)), keep=keep)


def content_digest(export: Export) -> str:
    """Hash columns and cells, not the way they are written down; "?" and an empty cell are the same.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.
    """
    digest = hashlib.sha256(_line(export.cells.columns))
    for row in export.cells.to_numpy(dtype=object):
        digest.update(_line("" if cell in MISSING_MARKS else cell for cell in row))
    return digest.hexdigest()


def _line(cells: Iterable[str]) -> bytes:
    return json.dumps(list(cells)).encode() + b"\n"


# ---- names and identifiers -----------------------------------------------------------------------------------------


def _export(table: Table, form: str, reading: Reading) -> Export:
    """Put what a reader says about positions under the names of columns."""
    body = table.below(reading.header_rows - 1)
    if not body.n_rows:
        raise DataError(f"{table.name}: the file holds column names but no answers. Export the responses as well.")
    names, duplicates, blank = _unique_names(reading.names)
    stored_as = dict(zip(table.header, names, strict=True))
    labels = _renamed(table.labels, stored_as)
    labels |= {name: plain_text(text) for name, text in _named(reading.labels, names).items()}
    return Export(
        cells=_frame(body.columns, names),
        source=table.name,
        form=form,
        labels={name: label for name, label in labels.items() if label},
        choices=_renamed(table.choices, stored_as) | _named(reading.choices, names),
        missing=_renamed(table.missing, stored_as) | _named(reading.missing, names),
        kinds=_named(reading.kinds, names),
        delimiters=_named(reading.delimiters, names),
        dropped=_named(reading.dropped, names),
        duplicates=duplicates,
        blank_headers=blank,
        rows_read=body.n_rows,
        header_rows=reading.header_rows,
        blank_rows=table.blank_rows,
        decimal=table.decimal,
        notes=(*table.notes, *reading.notes, *_notes(table, reading)),
    )


def _notes(table: Table, reading: Reading) -> list[str]:
    notes = []
    if table.blank_rows:
        notes.append("Skipped 1 empty row." if table.blank_rows == 1 else f"Skipped {table.blank_rows} empty rows.")
    if len(reading.names) > 1 and all(re.fullmatch(r"\s*-?\d+([.,]\d+)?\s*", name) for name in reading.names):
        notes.append("All column names are numbers: the row of names may be missing.")
    return notes


def _named(entries: Mapping[int, Any], names: Sequence[str]) -> dict[str, Any]:
    """Entries by position under the names of their columns."""
    return {names[place]: entry for place, entry in entries.items()}


def _renamed(entries: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What the file says under its own names of columns, under the names given here."""
    return {names[name]: entry for name, entry in entries.items()}


def _frame(columns: Sequence[Column], names: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame(dict(enumerate(columns)), copy=False)
    return frame.set_axis(pd.Index(names, dtype=object), axis=1)


def _unique_names(header: Sequence[str]) -> tuple[list[str], tuple[str, ...], tuple[str, ...]]:
    """Return the names (spaces tidied, one each), those that were taken, those that were blank."""
    tidy = [" ".join(name.split()) for name in header]
    taken = set(tidy)
    free: dict[str, Iterator[str]] = {}
    names, duplicates, blank = [], [], []
    for position, name in enumerate(tidy, start=1):
        if not name:
            name = next(_free_names(f"column {position}", taken))
            blank.append(name)
        elif name in free:
            name = next(free[name])
            duplicates.append(name)
        else:
            free[name] = _free_names(name, taken)
        names.append(name)
    return names, tuple(duplicates), tuple(blank)


def _free_names(name: str, taken: set[str]) -> Iterator[str]:
    """The name, or the name with 2, 3 … after it: those that are free at the time."""
    for candidate in chain([name], (f"{name} ({number})" for number in count(2))):
        if candidate not in taken:
            taken.add(candidate)
            yield candidate


def _drop_identifiers(export: Export, keep: Collection[str]) -> Export:
    dropped = dict(export.dropped)
    for name in export.cells.columns:
        reason = dropped.get(name) or identifier_by_name(name, keep)
        if not reason and name not in keep:
            reason = identifier_by_content(export.cells[name])
        if reason:
            dropped[name] = reason
    left = [name for name in export.cells.columns if name not in dropped]
    return replace(
        export,
        cells=export.cells[left],
        labels=_without(export.labels, dropped),
        choices=_without(export.choices, dropped),
        missing=_without(export.missing, dropped),
        kinds=_without(export.kinds, dropped),
        delimiters=_without(export.delimiters, dropped),
        dropped=dropped,
    )


def _without(entries: dict[str, Any], dropped: Collection[str]) -> dict[str, Any]:
    return {name: entry for name, entry in entries.items() if name not in dropped}


# ---- files ---------------------------------------------------------------------------------------------------------


def _load(path: Path) -> Table:
    """Choose by the first bytes who reads the file."""
    try:
        _refuse_missing(path)
        with path.open("rb") as stream:
            magic = stream.read(11)
        kind = next((kind for kind, is_stored in CONTAINERS.items() if is_stored(magic)), "text")
        if kind == "text":
            return read_text(path)
        return _load_foreign(kind, path)
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror or 'unknown reason'}).") from None


def _refuse_missing(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path}: this is a folder. Name the export file in it.")
    if not path.exists():
        raise DataError(f"{path}: there is no such file. {nearest_files(path)}")
    if not path.is_file():
        raise DataError(f"{path}: this is not an ordinary file. Save the export to disk first.")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path.name}: larger than {MAX_BYTES >> 20} MB. Split the export, or export fewer columns.")


def _load_foreign(kind: str, path: Path) -> Table:
    """Have `foreign.py` read the file in a process of its own, within limits of time and memory."""
    command = [sys.executable, "-P", "-X", "utf8", foreign.__file__, kind, str(path.resolve())]
    environment = os.environ | _CHILD_ENVIRONMENT
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, env=environment, check=False)
        answer = {"problem": _SLOW} if done.returncode == _OUT_OF_TIME else json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        answer = {"problem": _SLOW}
    except ValueError:
        raise DataError(f"{path.name}: the file is damaged; the reader stopped. {SAVE_AS}") from None
    if "problem" in answer:
        raise DataError(f"{path.name}: {answer['problem']}.")
    return _foreign_table(kind, path.name, answer)


def _foreign_table(kind: str, name: str, answer: foreign.Answer) -> Table:
    header, columns = answer["header"], [_unpacked(column) for column in answer["columns"]]
    check_width(name, header)
    if not len(columns[0]):
        raise DataError(f"{name}: the file holds column names but no answers. Export the responses as well.")
    return Table(
        name=name,
        container=kind,
        header=tuple(header),
        columns=tuple(columns),
        blank_rows=answer.get("blank_rows", 0),
        notes=tuple(answer["notes"]),
        labels=answer.get("labels", {}),
        choices=answer.get("choices", {}),
        missing={column: tuple(codes) for column, codes in answer.get("missing", {}).items()},
    )


def _unpacked(column: Mapping[str, Any]) -> Column:
    codes = np.frombuffer(b64decode(column["codes"]), f"u{column['size']}")
    return stored(codes, column["words"])
