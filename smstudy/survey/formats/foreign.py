"""Read .sav, .dta, .xlsx and Parquet in a process of their own: a damaged file can crash or exhaust the library.

Run as a script with the format and the path as arguments, it prints one JSON object: `header`, `columns` (each with its
different cells, `words`, and the place of each cell among them, `codes`, in base64), `labels`, `choices`, `missing`,
`notes`, `blank_rows`; or `problem`, a sentence that quotes no cell.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import zipfile
from array import array
from base64 import b64encode
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from typing import Any

MAX_CELLS = 20_000_000
MAX_SHEET_CELLS = 4_000_000
MAX_PARQUET_CELLS = 80_000_000
BATCH = 1 << 16
MAX_ROWS = 1_048_576
MAX_UNPACKED = 128 << 20
MAX_RATIO = 200
MEMORY = 600 << 20
CPU_SECONDS = 8

Answer = dict[str, Any]


class Refused(Exception):
    """The file is not read; the message says why."""


def as_text(value: Any) -> str:
    """Write a stored value as a person would type it: 3.0 is "3", a date is ISO, nothing is "".

    >>> [as_text(value) for value in (3.0, 0.1 + 0.2, None, True, date(2024, 3, 1))]
    ['3', '0.3', '', 'TRUE', '2024-03-01']
    """
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format(value, ".15g")
    if isinstance(value, datetime):
        return _moment_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).encode("utf-8", "replace").decode("utf-8")


def packed(words: Iterable[str], codes: Sequence[int]) -> dict[str, Any]:
    """One column for the other process: a code takes 1, 2 or 4 bytes, as many as `size` says."""
    words = list(words)
    size, letter = next((size, letter) for size, letter in ((1, "B"), (2, "H"), (4, "I")) if len(words) < 256**size)
    return {"words": words, "codes": b64encode(array(letter, codes).tobytes()).decode("ascii"), "size": size}


def pack(values: Iterable[Hashable]) -> dict[str, Any]:
    """The same, from stored values; each different one is turned into text once."""
    places: dict[str, int] = {}
    known: dict[Hashable, int] = {}
    codes = array("I")
    for value in values:
        key = (type(value), value)
        if key not in known:
            known[key] = places.setdefault(as_text(value), len(places))
        codes.append(known[key])
    return packed(places, codes)


def _moment_text(value: datetime) -> str:
    if value.time() == time(0):
        return value.date().isoformat()
    return value.isoformat(sep=" ", timespec="seconds" if not value.microsecond else "milliseconds")


# ---- SPSS ----------------------------------------------------------------------------------------------------------


def read_sav(path: str) -> Answer:
    """Read .sav or .zsav with labels; declared missing codes stay in the cells and are listed."""
    return _in_its_encoding(_sav_answer, path)


def _in_its_encoding(read: Callable[[Any, str, str | None], Answer], path: str) -> Answer:
    import pyreadstat

    try:
        return read(pyreadstat, path, None)
    except (pyreadstat.ReadstatError, UnicodeDecodeError) as error:
        if "encoding" not in str(error) and not isinstance(error, UnicodeDecodeError):
            raise
    answer = read(pyreadstat, path, "WINDOWS-1252")
    answer["notes"].append("The file does not state its encoding; read as Windows-1252.")
    return answer


def _sav_answer(pyreadstat: Any, path: str, encoding: str | None) -> Answer:
    _, outline = pyreadstat.read_sav(path, metadataonly=True, encoding=encoding)
    width = len(outline.column_names)
    if not width:
        raise Refused("the file holds no variables; export the responses as well")
    limit = MAX_CELLS // width
    columns, meta = pyreadstat.read_sav(
        path, user_missing=True, output_format="dict", encoding=encoding, row_limit=limit + 1
    )
    packs = {name: pack(_plain(values)) for name, values in columns.items()}
    if any(len(values) > limit for values in columns.values()):
        raise Refused(f"the file holds more than {MAX_CELLS:,} cells; leave out variables not needed")
    choices = {name: _coded(labels) for name, labels in meta.variable_value_labels.items()}
    texts = {name: each["words"] for name, each in packs.items()}
    missing = {name: _declared(ranges, texts[name], choices.get(name, {})) for name, ranges in _ranges(meta, texts)}
    notes = [note for name, ranges in _ranges(meta, texts) for note in _range_notes(name, ranges)]
    return _answer(packs, meta, choices, missing, notes)


def _answer(
    packs: dict[str, Any], meta: Any, choices: dict[str, Any], missing: dict[str, list[str]], notes: list[str]
) -> Answer:
    if None in packs or len(packs) != len(meta.column_names):
        raise Refused("a variable has no name of its own, so the file is damaged; export it again")
    return {
        "header": list(packs),
        "columns": list(packs.values()),
        "labels": {name: label for name, label in meta.column_names_to_labels.items() if label},
        "choices": choices,
        "missing": missing,
        "notes": notes,
    }


def _plain(values: Any) -> Iterable[Any]:
    return values.tolist() if hasattr(values, "tolist") else values


def _coded(labels: dict[Any, str]) -> dict[str, str]:
    return {as_text(code): str(label) for code, label in labels.items()}


def _ranges(meta: Any, texts: dict[str, list[str]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    return ((name, ranges) for name, ranges in meta.missing_ranges.items() if name in texts)


def _declared(ranges: list[dict[str, Any]], cells: list[str], labels: dict[str, str]) -> list[str]:
    """Single codes as declared; of a range, the codes that occur in the cells or the labels."""
    single = [as_text(entry["lo"]) for entry in ranges if entry["lo"] == entry["hi"]]
    spans = [(entry["lo"], entry["hi"]) for entry in ranges if entry["lo"] != entry["hi"]]
    candidates = sorted({*cells, *labels}) if spans else []
    within = [code for code in candidates if code not in single and any(_within(code, *span) for span in spans)]
    return single + within


def _range_notes(name: str, ranges: list[dict[str, Any]]) -> list[str]:
    spans = [(as_text(entry["lo"]), as_text(entry["hi"])) for entry in ranges if entry["lo"] != entry["hi"]]
    return [f"{name}: codes from {low} to {high} are declared missing." for low, high in spans]


def _within(code: str, low: Any, high: Any) -> bool:
    if isinstance(low, str):
        return low <= code <= high
    try:
        return low <= float(code) <= high
    except ValueError:
        return False


# ---- Stata ---------------------------------------------------------------------------------------------------------


def read_dta(path: str) -> Answer:
    """Read .dta with labels; the extended missing values .a to .z stay in the cells and are listed."""
    return _in_its_encoding(_dta_answer, path)


def _dta_answer(pyreadstat: Any, path: str, encoding: str | None) -> Answer:
    _, outline = pyreadstat.read_dta(path, metadataonly=True, encoding=encoding)
    width = len(outline.column_names)
    if not width:
        raise Refused("the file holds no variables; export the responses as well")
    limit = MAX_CELLS // width
    columns, meta = pyreadstat.read_dta(
        path, user_missing=True, output_format="dict", encoding=encoding, row_limit=limit + 1
    )
    if any(len(values) > limit for values in columns.values()):
        raise Refused(f"the file holds more than {MAX_CELLS:,} cells; leave out variables not needed")
    numeric = {name for name, kind in meta.readstat_variable_types.items() if kind != "string"}
    packs = {name: pack(_dotted(_plain(values), name in numeric)) for name, values in columns.items()}
    choices = {
        name: _coded({_dot(code, name in numeric): label for code, label in labels.items()})
        for name, labels in meta.variable_value_labels.items()
    }
    missing = {name: [f".{letter}" for letter in letters] for name, letters in meta.missing_user_values.items()}
    return _answer(packs, meta, choices, missing, [])


def _dotted(values: Iterable[Any], is_numeric: bool) -> Iterator[Any]:
    return (_dot(value, is_numeric) for value in values)


def _dot(value: Any, is_numeric: bool) -> Any:
    """Write an extended missing value of a number the way Stata does."""
    return f".{value}" if is_numeric and isinstance(value, str) and value else value


# ---- Parquet -------------------------------------------------------------------------------------------------------


def read_parquet(path: str) -> Answer:
    """Read the columns of a Parquet file, a batch of rows at a time; columns of lists or records are refused."""
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    schema = file.schema_arrow
    outline = file.metadata
    if not len(schema):
        raise Refused("the file holds no columns; export the responses as well")
    if outline.num_rows * len(schema) > MAX_PARQUET_CELLS:
        raise Refused(f"the file claims more than {MAX_PARQUET_CELLS:,} cells; leave out columns not needed")
    for entry in schema:
        _refuse_nested(entry)
    columns = [_Stored() for _ in schema]
    for batch in file.iter_batches(batch_size=BATCH, use_threads=False):
        for column, values in zip(columns, batch.columns, strict=True):
            column.add(values)
    packs = [packed(column.words, column.codes) for column in columns]
    return {"header": schema.names, "columns": packs, "labels": {}, "choices": {}, "missing": {}, "notes": []}


def _refuse_nested(entry: Any) -> None:
    import pyarrow.types as types

    kind = entry.type.value_type if types.is_dictionary(entry.type) else entry.type
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    if types.is_nested(kind) or is_bytes:
        raise Refused(
            f'the column "{_brief(entry.name)}" holds lists, records or bytes, not one answer a row; leave it out'
        )


def _brief(name: str) -> str:
    """The name of a column in one short line."""
    line = "".join(sign if sign.isprintable() else " " for sign in name[:200])
    return line if len(name) <= 60 else f"{line[:59]}…"


class _Stored:
    """One column of a Parquet file while its batches come in."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}
        self.codes = array("I")

    def add(self, values: Any) -> None:
        import pyarrow.types as types

        if types.is_timestamp(values.type) or types.is_time64(values.type):
            values = values.cast(_microseconds(values.type), safe=False)
        if types.is_floating(values.type) and values.type.bit_width < 64:
            values = values.cast("string").cast("double")  # 0.1 is stored as 0.10000000149 in 32 bits
        coded = values if types.is_dictionary(values.type) else values.dictionary_encode()
        words = [as_text(value) for value in (*coded.dictionary.to_pylist(), None)]
        places = [self.words.setdefault(word, len(self.words)) for word in words]
        blank = len(words) - 1
        self.codes.extend(places[code] for code in coded.indices.fill_null(blank).to_pylist())


def _microseconds(kind: Any) -> Any:
    """Python's own times are no finer than this."""
    import pyarrow

    return pyarrow.timestamp("us", kind.tz) if pyarrow.types.is_timestamp(kind) else pyarrow.time64("us")


# ---- workbooks -----------------------------------------------------------------------------------------------------


def read_xlsx(path: str) -> Answer:
    """Read the first sheet that holds anything; formulas give the value stored with them."""
    import openpyxl

    _check_workbook(path)
    with open(path, "rb") as stream:  # given a name, openpyxl would judge by its ending
        return _book_answer(openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False))


def _check_workbook(path: str) -> None:
    """Refuse archives that are not workbooks, and those that unpack to far more than they hold."""
    size = os.path.getsize(path)
    if size > MAX_UNPACKED:
        raise Refused(f"the workbook is larger than {MAX_UNPACKED >> 20} MB; save the sheet as CSV (UTF-8)")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error):
        raise Refused("the workbook or archive is damaged; export it again as CSV (UTF-8) or .xlsx") from None
    if "xl/workbook.xml" not in {member.filename for member in members}:
        raise Refused("an archive, but not an .xlsx workbook; unpack it, or save it as CSV or .xlsx")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * size + (1 << 20):
        raise Refused(f"the workbook unpacks to {unpacked >> 20} MB; save the sheet as CSV (UTF-8)")


def _book_answer(book: Any) -> Answer:
    for number, sheet in enumerate(book.worksheets, start=1):
        rows, blank = _sheet_rows(sheet)
        if rows:
            notes = [f"Read sheet {number} of {len(book.worksheets)}; the others are not read."]
            notes = notes if len(book.worksheets) > 1 else []
            header, *body = rows
            columns = list(zip(*body, strict=True)) or [()] * len(header)
            return {"header": header, "columns": list(map(pack, columns)), "notes": notes, "blank_rows": blank}
    raise Refused("the workbook is empty; export it again")


def _sheet_rows(sheet: Any) -> tuple[list[list[str]], int]:
    """Rows from the header on, cut to its width, and the number of empty rows after it."""
    sheet.reset_dimensions()
    rows: list[list[str]] = []
    blank = cells = 0
    for number, record in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > MAX_ROWS:
            raise Refused(f"the sheet claims more than {MAX_ROWS:,} rows, more than Excel has; export it again")
        row = _without_empty_end([as_text(value) for value in record])
        if not row:
            blank += bool(rows)
            continue
        if len(rows) == 1 and not row[0] and rows[0][0].replace(" ", "").casefold() == "respondentid":
            rows[0] += [""] * (len(row) - len(rows[0]))  # SurveyMonkey names options in row 2 only
        width = len(rows[0]) if rows else len(row)
        if len(row) > width:
            raise Refused(
                f"row {number} has a cell in column {len(row)}, beyond the {width} columns of the header; "
                "delete stray cells or name the column"
            )
        cells += width
        if cells > MAX_SHEET_CELLS:
            raise Refused(f"the sheet holds more than {MAX_SHEET_CELLS:,} cells; save it as CSV (UTF-8)")
        rows.append(row + [""] * (width - len(row)))
    return rows, blank


def _without_empty_end(row: list[str]) -> list[str]:
    keep = len(row)
    while keep and not row[keep - 1]:
        keep -= 1
    return row[:keep]


# ---- the process ---------------------------------------------------------------------------------------------------


def limit_resources() -> None:
    """Cap this process where the system can; elsewhere the caller's time limit has to do."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    with suppress(ValueError, OSError):  # macOS knows the limit of memory but does not let it be set
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


READERS = {"spss": read_sav, "stata": read_dta, "xlsx": read_xlsx, "parquet": read_parquet}


def main(kind: str, path: str) -> None:
    """Read one file and print the answer."""
    limit_resources()
    try:
        answer = READERS[kind](path)
    except Refused as refusal:
        answer = {"problem": str(refusal)}
    except MemoryError:
        answer = {"problem": "reading it needs more memory than is allowed; save it as CSV (UTF-8)"}
    except Exception:  # a library's message may quote cells
        answer = {"problem": "the file is damaged or not what its first bytes claim; export it again"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
