"""Read .sav and .xlsx in a process of their own, because a damaged file can crash or exhaust the library that reads it.

Run as a script with the format and the path as arguments, it prints one JSON object: `rows` (the first is the header),
`labels`, `choices`, `missing`, `notes`, `blank_rows`; or `problem`, a sentence that quotes no cell.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, time
from typing import Any

MAX_CELLS = 20_000_000
MAX_SHEET_CELLS = 4_000_000
MAX_ROWS = 1_048_576
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
    return str(value)


def _moment_text(value: datetime) -> str:
    if value.time() == time(0):
        return value.date().isoformat()
    return value.isoformat(sep=" ", timespec="seconds" if not value.microsecond else "milliseconds")


# ---- SPSS ----------------------------------------------------------------------------------------------------------


def read_sav(path: str) -> Answer:
    """Read .sav or .zsav with labels; declared missing codes stay in the cells and are listed."""
    import pyreadstat

    try:
        return _sav_answer(pyreadstat, path, None)
    except pyreadstat.ReadstatError as error:
        if "encoding" not in str(error):
            raise
    answer = _sav_answer(pyreadstat, path, "WINDOWS-1252")
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
    texts = {name: [as_text(value) for value in _plain(values)] for name, values in columns.items()}
    rows = list(zip(*texts.values(), strict=True))
    if len(rows) > limit:
        raise Refused(f"the file holds more than {MAX_CELLS:,} cells; leave out variables not needed")
    choices = {name: _coded(labels) for name, labels in meta.variable_value_labels.items()}
    missing = {name: _declared(ranges, texts[name], choices.get(name, {})) for name, ranges in _ranges(meta, texts)}
    notes = [note for name, ranges in _ranges(meta, texts) for note in _range_notes(name, ranges)]
    labels = {name: label for name, label in meta.column_names_to_labels.items() if label}
    return {"rows": [list(texts), *rows], "labels": labels, "choices": choices, "missing": missing, "notes": notes}


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


# ---- workbooks -----------------------------------------------------------------------------------------------------


def read_xlsx(path: str) -> Answer:
    """Read the first sheet that holds anything; formulas give the value stored with them."""
    import openpyxl

    with open(path, "rb") as stream:  # given a name, openpyxl would judge by its ending
        return _book_answer(openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False))


def _book_answer(book: Any) -> Answer:
    for number, sheet in enumerate(book.worksheets, start=1):
        rows, blank = _sheet_rows(sheet)
        if rows:
            notes = [f"Read sheet {number} of {len(book.worksheets)}; the others are not read."]
            notes = notes if len(book.worksheets) > 1 else []
            return {"rows": rows, "notes": notes, "blank_rows": blank}
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


def main(kind: str, path: str) -> None:
    """Read one file and print the answer."""
    limit_resources()
    try:
        answer = {"spss": read_sav, "xlsx": read_xlsx}[kind](path)
    except Refused as refusal:
        answer = {"problem": str(refusal)}
    except MemoryError:
        answer = {"problem": "reading it needs more memory than is allowed; save it as CSV (UTF-8)"}
    except Exception:  # a library's message may quote cells
        answer = {"problem": "the file is damaged or not what its first bytes claim; export it again"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
