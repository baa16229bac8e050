"""A file of separated text, read cell by cell: encoding, separator, quoting, and every row accounted for."""

from __future__ import annotations

import codecs
import csv
import io
import re
import string
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from smstudy.errors import DataError
from smstudy.survey.formats.blocks import Blocks, Unusual
from smstudy.survey.formats.columns import Column, Growing, filled, trimmed

MAX_BYTES = 512 << 20
MAX_LINE = 8 << 20
MAX_COLUMNS = 16_384
MAX_LINES = 4_000_000
MAX_CELLS = 120_000_000
MAX_CAREFUL_LINES = 1_048_576
MAX_CAREFUL_CELLS = 20_000_000
MAX_MEMORY = 320 << 20

SEPARATORS = {"\t": "tab", ";": "semicolon", "|": "vertical bar", ",": "comma"}
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SPOKEN = {"utf-8-sig": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
OTHER_FORMATS = {
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old .xls or password-protected workbook",
    b"\x1f\x8b": "a gzip archive",
    b"RDX": "an R data file",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
SAVE_AS = "Export it again as CSV (UTF-8), .xlsx or .sav."

_State = tuple[bytes, int]
_BLOCK = 1 << 20
_PILED = 1 << 18
_SAMPLE_LINES = 300
_LETTERS = string.ascii_letters.encode()
_CONTROL = bytes(set(range(1, 32)) - {9, 10, 11, 12, 13, 27})
_COMMA_NUMBER = re.compile(r"[+-]?\d+,(\d+)\Z")
_POINT_NUMBER = re.compile(r"[+-]?\d+\.\d+\Z")


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a file holds before anybody says what its rows mean.

    Attributes
    ----------
    container : str
        "text", "xlsx", "spss", "stata" or "parquet".
    header : tuple of str, length k
        The first row as written.
    columns : tuple of Column, length k
        The cells of every later row, as text; an empty one is "".
    blank_rows : int
        Rows without any answer that are not in `columns`.
    """

    name: str
    container: str
    header: tuple[str, ...]
    columns: tuple[Column, ...]
    blank_rows: int = 0
    decimal: str = "."
    notes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    choices: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows below the header."""
        return len(self.columns[0])

    def row(self, number: int) -> tuple[str, ...]:
        """One row below the header, from 0."""
        return tuple(column[number] for column in self.columns)

    def column(self, place: int) -> pd.Series:
        """One column below the header, from 0."""
        return pd.Series(self.columns[place], copy=False)

    def below(self, rows: int) -> Table:
        """The table without its first rows below the header."""
        return self.between(rows, self.n_rows) if rows else self

    def between(self, start: int, stop: int) -> Table:
        """The rows from `start` to before `stop`, counted from 0 below the header."""
        return replace(self, columns=tuple(trimmed(column, start, stop) for column in self.columns))


@dataclass(frozen=True)
class _Layout:
    """How the text of one file is to be cut."""

    encoding: str
    separator: str
    whole_lines: bool = False
    skip: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Fault:
    """The first byte that does not belong to the encoding; `line` counts from 1."""

    position: int
    line: int


class _LineCounter:
    """Counts line breaks, of whichever kind the file uses."""

    def __init__(self) -> None:
        self._feeds = self._returns = 0

    @property
    def number(self) -> int:
        """The line that comes next, from 1."""
        return 1 + max(self._feeds, self._returns)

    def add(self, text: str | bytes) -> None:
        feed, back = ("\n", "\r") if isinstance(text, str) else (b"\n", b"\r")
        self._feeds += text.count(feed)
        self._returns += text.count(back) if back in text else 0

    def refuse_zero(self, name: str, text: str | bytes) -> None:
        zero = "\0" if isinstance(text, str) else b"\0"
        if zero in text:
            self.add(text[: text.index(zero)])
            raise DataError(f"{name} line {self.number}: the file holds a zero (NUL) character. {SAVE_AS}")


def read_text(path: Path) -> Table:
    """Read separated text; encoding and separator are found by looking at the file.

    Parameters
    ----------
    path : Path
        An existing file of at most 512 MB.

    Returns
    -------
    Table
        Every row and cell as text, nothing converted.

    Raises
    ------
    DataError
        If the file is not a table, its encoding is damaged, or a row has more or fewer cells than the header.
    """
    layout = _find_layout(path)
    try:
        table = _read_blocks(path, layout)
    except Unusual as place:
        if not _has_short_headings(path, layout):
            _refuse_faults(path, layout, place)
        table = _read_carefully(path, layout)
    return _with_decimal(_without_empty_end(_without_blank_columns(table)), layout.separator)


def check_width(name: str, header: list[str]) -> None:
    """Refuse a header wider than any survey."""
    if len(header) > MAX_COLUMNS:
        raise DataError(f"{name}: {len(header)} columns; at most {MAX_COLUMNS} are read. Export fewer questions.")


def check_cells(name: str, cells: int, limit: int | None = None) -> None:
    """Refuse more cells than can be read in good time."""
    limit = MAX_CELLS if limit is None else limit
    if cells > limit:
        raise DataError(f"{name}: more than {limit:,} cells. Split the export, or leave out columns not needed.")


def check_memory(name: str, n_bytes: int) -> None:
    """Refuse cells that do not fit in memory comfortably."""
    if n_bytes > MAX_MEMORY:
        raise DataError(
            f"{name}: needs more than {MAX_MEMORY >> 20} MB of memory. "
            "Split the export, or leave out columns not needed."
        )


# ---- rows, many at once --------------------------------------------------------------------------------------------


def _read_blocks(path: Path, layout: _Layout) -> Table:
    """Read a file that is written by the rules; Unusual if it is not."""
    header, skipped = _read_header(path, layout)
    blocks = Blocks(path, layout.encoding, layout.separator, skipped, len(header))
    for _ in blocks.cut():
        _check_lines(path.name, blocks.n_rows + blocks.blank_rows)
        check_cells(path.name, blocks.n_rows * len(header))
        check_memory(path.name, blocks.n_bytes)
    return Table(
        name=path.name,
        container="text",
        header=tuple(header),
        columns=blocks.finish(),
        blank_rows=blocks.blank_rows,
        notes=layout.notes,
    )


def _read_header(path: Path, layout: _Layout) -> tuple[list[str], str]:
    """The first record, and all text up to the end of it."""
    if layout.whole_lines:
        raise Unusual
    taken: list[str] = []
    with path.open(encoding=layout.encoding, newline="") as stream:
        taken += islice(stream, layout.skip)
        reader = csv.reader(_noted(stream, taken), delimiter=layout.separator, strict=True)
        with suppress(csv.Error):
            header = next(filter(None, reader), [])
            _check_header(path.name, header)
            return header, "".join(taken)
    raise Unusual


def _noted(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _check_header(name: str, header: list[str]) -> None:
    if not any(cell.strip() for cell in header):
        raise DataError(f"{name}: the file holds no column names. {SAVE_AS}")
    check_width(name, header)


def _check_lines(name: str, lines: int, limit: int | None = None) -> None:
    limit = MAX_LINES if limit is None else limit
    if lines > limit:
        raise DataError(f"{name}: more than {limit:,} lines. Split the export.")


# ---- rows, one by one ----------------------------------------------------------------------------------------------


def _read_carefully(path: Path, layout: _Layout) -> Table:
    """Read a file row by row, and find the words for what is wrong with it."""
    records = _records(path, layout)
    if _has_short_headings(path, layout):
        records = _with_filled_headings(records)
    _, header = next(records, (0, []))
    _check_header(path.name, header)
    width = len(header)
    pile = _Pile(path.name, width)
    ragged: list[tuple[int, int]] = []
    for line, record in records:
        if not record:
            pile.blank_lines += 1
        elif len(record) != width:
            ragged.append((line, len(record)))
        elif not ragged:
            pile.add(record)
    if ragged:
        _refuse_ragged(path.name, width, ragged)
    return Table(
        name=path.name,
        container="text",
        header=tuple(header),
        columns=pile.finish(),
        blank_rows=pile.blank_lines,
        notes=layout.notes,
    )


def _has_short_headings(path: Path, layout: _Layout) -> bool:
    """Whether rows 1 and 2 stop before the last heading of row 3, as panels such as Centiment write them."""
    head = [record for _, record in islice(_records(path, layout), 3)]
    return len(head) == 3 and head[2][:2] == ["Session ID", "Publish ID"] and len(head[0]) < len(head[2])


def _with_filled_headings(records: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    head = list(islice(records, 3))
    width = len(head[2][1])
    return chain(((line, record + [""] * (width - len(record))) for line, record in head), records)


def _refuse_faults(path: Path, layout: _Layout, place: Unusual) -> None:
    """Look for what is wrong from a place that is not read in blocks; nothing happens if all is well to the end."""
    if not place.offset or layout.encoding not in ("utf-8", "utf-8-sig"):
        return
    header, _ = _read_header(path, layout)
    with path.open("rb") as stream:
        stream.seek(place.offset + (len(codecs.BOM_UTF8) if layout.encoding == "utf-8-sig" else 0))
        lines = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        records = _records_of(path.name, lines, layout, place.lines)
        ragged = [(line, len(record)) for line, record in records if record and len(record) != len(header)]
    if ragged:
        _refuse_ragged(path.name, len(header), ragged)


class _Pile:
    """Rows read so far; beyond the limits of time and memory they are only counted, in case something else is wrong."""

    def __init__(self, name: str, width: int) -> None:
        self.blank_lines = 0
        self._name = name
        self._columns = [Growing() for _ in range(width)]
        self._rows: list[list[str]] = []
        self._text = self._n_cells = 0
        self._refusal: DataError | None = None

    def add(self, record: list[str]) -> None:
        if self._refusal:
            return
        self._rows.append(record)
        self._text += sum(map(len, record)) + len(record)
        if self._text > _PILED:
            self._store()

    def finish(self) -> tuple[Column, ...]:
        self._store()
        if self._refusal:
            raise self._refusal
        return tuple(column.finish() for column in self._columns)

    def _store(self) -> None:
        for column, cells in zip(self._columns, zip(*self._rows, strict=True), strict=bool(self._rows)):
            column.add(cells)
        self._n_cells += len(self._rows) * len(self._columns)
        self._rows.clear()
        self._text = 0
        try:
            check_cells(self._name, self._n_cells, MAX_CAREFUL_CELLS)
            check_memory(self._name, sum(column.n_bytes for column in self._columns))
        except DataError as refusal:
            self._refusal = refusal


def _refuse_ragged(name: str, width: int, ragged: list[tuple[int, int]]) -> NoReturn:
    line, count = ragged[0]
    more = f" ({len(ragged)} such lines)" if len(ragged) > 1 else ""
    kind = "more" if count > width else "fewer"
    hint = "a separator inside an answer must be in quotation marks, and the header needs one name per column"
    if count < width:
        hint = "the line may be cut off, or a line break inside an answer is not in quotation marks"
    raise DataError(
        f"{name} line {line}: {_cells(count)}, {kind} than the {width} of the header{more}, so answers would be "
        f"shifted or lost. Export the file again: {hint}."
    )


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _without_empty_end(table: Table) -> Table:
    """Leave out rows at the end in which nothing stands, and count them; DataError if nothing is left."""
    keep = table.n_rows
    if keep and not any(table.row(keep - 1)):
        ends = [np.flatnonzero(filled(column)) for column in table.columns]
        keep = max((int(end[-1]) + 1 for end in ends if len(end)), default=0)
    if not keep:
        raise DataError(f"{table.name}: the file holds column names but no answers. Export the responses as well.")
    empty = table.n_rows - keep
    return replace(table.between(0, keep), blank_rows=table.blank_rows + empty) if empty else table


def _without_blank_columns(table: Table) -> Table:
    """Leave out columns at the end that have no name and no cell."""
    width = len(table.header)
    while width > 1 and not table.header[width - 1].strip() and not filled(table.columns[width - 1]).any():
        width -= 1
    dropped = len(table.header) - width
    if not dropped:
        return table
    note = "Ignored an empty column at the end." if dropped == 1 else f"Ignored {dropped} empty columns at the end."
    return replace(table, header=table.header[:width], columns=table.columns[:width], notes=(*table.notes, note))


def _with_decimal(table: Table, separator: str) -> Table:
    return table if separator == "," else replace(table, decimal=_decimal(table, separator))


def _decimal(table: Table, separator: str) -> str:
    """Tell from the first cells how numbers are written."""
    comma = point = unclear = 0
    rows = max(1, 100_000 // len(table.columns))
    for cell, times in pd.concat([table.column(j)[:rows].value_counts() for j in range(len(table.columns))]).items():
        if match := _COMMA_NUMBER.match(cell):
            unclear, comma = (unclear + times, comma) if len(match[1]) == 3 else (unclear, comma + times)
        elif _POINT_NUMBER.match(cell):
            point += times
    if comma or point:
        return "," if comma > point else "."
    return "," if unclear and separator == ";" else "."


def _records(path: Path, layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) from the first line that is not blank."""
    with path.open(encoding=layout.encoding, newline="") as stream:
        for _ in range(layout.skip):
            stream.readline()
        yield from dropwhile(lambda entry: not entry[1], _records_of(path.name, stream, layout, layout.skip))


def _records_of(name: str, lines: Iterable[str], layout: _Layout, before: int) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of lines, so many others before them."""
    reader = csv.reader(lines, delimiter=layout.separator, strict=True)
    while True:
        line = before + reader.line_num + 1
        _check_lines(name, reader.line_num, MAX_CAREFUL_LINES)
        try:
            record = next(reader)
            if layout.whole_lines and record:
                record = _unwrap(record, layout.separator)
        except StopIteration:
            return
        except csv.Error as error:
            _refuse_quoting(name, line, error)
        yield line, record


def _unwrap(record: list[str], separator: str) -> list[str]:
    """Cut a line that was quoted as a whole; a line that was not is left as it is."""
    if len(record) != 1:
        return record
    inner = list(csv.reader(io.StringIO(record[0], newline=""), delimiter=separator, strict=True))
    return inner[0] if len(inner) == 1 else record


def _refuse_quoting(name: str, line: int, error: csv.Error) -> NoReturn:
    problem = "a quotation mark inside a quoted answer is not doubled"
    if "unexpected end" in str(error):
        problem = "a quotation mark is opened and never closed; the file may be cut off"
    elif "field limit" in str(error):
        limit = csv.field_size_limit()
        problem = f"a cell is longer than {limit:,} characters, or its closing quotation mark is missing"
    raise DataError(f"{name} line {line}: {problem}. {SAVE_AS}") from None


# ---- separator -----------------------------------------------------------------------------------------------------


def _find_layout(path: Path) -> _Layout:
    encoding, notes = _find_encoding(path)
    with path.open(encoding=encoding, newline="") as stream:
        lines = list(islice(_until(stream, _BLOCK), _SAMPLE_LINES))
        complete = not stream.read(1)
    _refuse_markup(path.name, "".join(lines))
    declared = re.fullmatch(r'"?sep=([^\w"\r\n])"?\s*', lines[0])
    if declared:
        notes.append(f'The first line declares the separator "{declared[1]}".')
        return _Layout(encoding, declared[1], skip=1, notes=tuple(notes))
    separator, whole = _find_separator(lines, complete)
    return _Layout(encoding, separator, whole, notes=(*notes, *_describe_separator(separator, whole)))


def _describe_separator(separator: str, whole: bool) -> list[str]:
    notes = [f"Columns are separated by {SEPARATORS[separator]}."]
    return [*notes, "Each line is in quotation marks as a whole."] if whole else notes


def _until(stream: Iterable[str], limit: int) -> Iterator[str]:
    read = 0
    for line in stream:
        yield line
        read += len(line)
        if read > limit:
            return


def _find_separator(lines: list[str], complete: bool) -> tuple[str, bool]:
    """Choose the separator that cuts most sample rows into as many cells as the header; True = whole lines quoted."""
    cuts = {separator: _cut(lines, separator, complete) for separator in SEPARATORS}
    wide = {separator: cut for separator, cut in cuts.items() if len(cut[0][0]) > 1}
    for separator in SEPARATORS:
        if _is_whole_quoted(cuts[separator][0], separator):
            return separator, True
    if wide:
        return max(wide, key=lambda separator: _fit(*wide[separator])), False
    return max(reversed(cuts), key=lambda separator: _fit(*cuts[separator])[:2]), False


def _cut(lines: list[str], separator: str, complete: bool) -> tuple[list[list[str]], bool]:
    """Cut the sample; returns (rows, True if a quotation mark was in the way)."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    rows: list[list[str]] = []
    failed = False
    try:
        rows.extend(row for row in reader if row)
    except csv.Error as error:
        failed = complete or "unexpected end" not in str(error)
    return rows or [[""]], failed


def _fit(rows: list[list[str]], failed: bool) -> tuple[bool, float, int]:
    width = len(rows[0])
    body = rows[1:]
    share = sum(len(row) == width for row in body) / len(body) if body else 0.0
    return not failed, share, width


def _is_whole_quoted(rows: list[list[str]], separator: str) -> bool:
    """True if every row is one cell that itself holds a row, three cells or more, as wide as the header."""
    body = [row for row in rows[1:] if any(row)]
    if not body or any(len(row) != 1 for row in body):
        return False
    try:
        widths = {len(_unwrap(row, separator)) for row in (rows[0], *body)}
    except csv.Error:
        return False
    return len(widths) == 1 and widths.pop() >= 3


# ---- encoding ------------------------------------------------------------------------------------------------------


def _find_encoding(path: Path) -> tuple[str, list[str]]:
    """Return the codec that reads the whole file, and what to say about it."""
    with path.open("rb") as stream:
        head = stream.read(_BLOCK)
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise DataError(f"{path.name}: the file is empty. {SAVE_AS}")
    marked = next((codec for mark, codec in BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
    encoding = marked or _guess_utf16(head) or "utf-8"
    if encoding == "utf-8":
        _refuse_binary(path.name, head)
    fault = _first_fault(path, encoding)
    if fault and encoding == "utf-8":
        encoding = _legacy_encoding(path, fault)
    elif fault:
        _refuse_bytes(path.name, SPOKEN.get(encoding, encoding.upper()), fault)
    return encoding, _describe_encoding(encoding, bool(marked))


def _describe_encoding(encoding: str, marked: bool) -> list[str]:
    spoken = SPOKEN.get(encoding, encoding.upper())
    if encoding == "cp1252":
        return ["Not UTF-8; read as Windows-1252. If accented letters look wrong, export the file again as UTF-8."]
    return [f"Encoding {spoken}{' with a byte order mark' if marked else ''}."]


def _guess_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark: zero bytes stand on one side of the pairs only."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    low, high = sorted((even, odd))
    if high < 3 or low * 50 > high or high * 20 < len(head) // 2:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _refuse_binary(name: str, head: bytes) -> None:
    for magic, what in OTHER_FORMATS.items():
        if head.startswith(magic):
            raise DataError(f"{name}: this is {what}, which is not read. {SAVE_AS}")
    controls = len(head) - len(head.translate(None, _CONTROL))
    if controls > 3 and controls * 200 > len(head):
        raise DataError(f"{name}: this is not a text table (it holds binary data). {SAVE_AS}")


def _first_fault(path: Path, encoding: str) -> _Fault | None:
    """Decode the file block by block; refuses zero characters and endless lines on the way."""
    decoder, as_is = codecs.getincrementaldecoder(encoding)(), encoding in ("utf-8", "cp1252")
    fed = pending = 0
    lines = _LineCounter()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            state = decoder.getstate()
            try:
                text = block if as_is and not state[0] and block.isascii() else decoder.decode(block)
            except UnicodeDecodeError as error:
                offset, good = _locate_fault(decoder, state, block, error.start)
                lines.add(good)
                return _Fault(fed + offset + 1, lines.number)
            lines.refuse_zero(path.name, text)
            lines.add(text)
            last = _last_end(text)
            pending = pending + len(text) if last < 0 else len(text) - last - 1
            if pending > MAX_LINE:
                raise DataError(
                    f"{path.name} line {lines.number}: longer than {MAX_LINE >> 20} MB; not a table. {SAVE_AS}"
                )
            fed += len(block)
    unfinished = len(decoder.getstate()[0])
    return _Fault(fed - unfinished + 1, lines.number) if unfinished else None


def _last_end(text: str | bytes) -> int:
    """Where the last line break stands; -1 if there is none."""
    feed, back = ("\n", "\r") if isinstance(text, str) else (b"\n", b"\r")
    return max(text.rfind(feed), text.rfind(back) if back in text else -1)


def _locate_fault(decoder: codecs.IncrementalDecoder, state: _State, block: bytes, start: int) -> tuple[int, str]:
    """Where in the block the undecodable byte stands, and the text before it."""
    decoder.setstate(state)
    offset = start - len(state[0])
    return offset, decoder.decode(block[: max(0, offset)])


def _legacy_encoding(path: Path, fault: _Fault) -> str:
    """Windows-1252 if nothing speaks for UTF-8 and the letters are plausible; refuses mixtures."""
    valid, invalid, letters = _count_characters(path)
    if valid >= invalid:
        _refuse_bytes(path.name, "UTF-8", fault)
    western = _first_fault(path, "cp1252")
    if western or (invalid >= 20 and invalid > 0.3 * (letters + invalid)):
        _refuse_bytes(path.name, "UTF-8 or Windows-1252", western or fault)
    return "cp1252"


def _count_characters(path: Path) -> tuple[int, int, int]:
    """Characters beyond ASCII that are valid UTF-8, bytes that are not, and ASCII letters."""
    valid = invalid = letters = 0
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            text = decoder.decode(block)
            bad = text.count("\ufffd")
            invalid += bad
            valid += len(text) - len(text.encode("ascii", "ignore")) - bad
            letters += len(block) - len(block.translate(None, _LETTERS))
    return valid, invalid, letters


def _refuse_bytes(name: str, encoding: str, fault: _Fault) -> NoReturn:
    raise DataError(
        f"{name} line {fault.line}: the byte at position {fault.position} is not {encoding}; the file mixes encodings, "
        f"is damaged, or uses another one. Save it as UTF-8 and try again."
    )


def _refuse_markup(name: str, sample: str) -> None:
    start = sample.lstrip()[:2000].lower()
    if start.startswith("<!doctype html") or (start.startswith("<") and re.search(r"<(html|head|body)\b", start)):
        raise DataError(f"{name}: this is a web page, perhaps a login page, not an export. {SAVE_AS}")
    if start.startswith("<?xml"):
        raise DataError(f"{name}: this is an XML document, which is not read. {SAVE_AS}")
    if re.match(r'\{\s*("|\})|\[\s*[{\[]', start):
        raise DataError(f"{name}: this is a JSON document, which is not read. {SAVE_AS}")
