"""A file of separated text, read cell by cell: encoding, separator, quoting, and every row accounted for."""

from __future__ import annotations

import codecs
import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np

from smstudy.errors import DataError

MAX_BYTES = 256 << 20
MAX_LINE = 8 << 20
MAX_COLUMNS = 16_384
MAX_LINES = 1_048_576
MAX_CELLS = 20_000_000
MAX_MEMORY = 400 << 20

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
    b"PAR1": "a Parquet file",
    b"<stata_dta>": "a Stata file",
    b"RDX": "an R data file",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
SAVE_AS = "Export it again as CSV (UTF-8), .xlsx or .sav."

_State = tuple[bytes, int]
_BLOCK = 1 << 20
_SAMPLE_LINES = 300
_CONTROL = bytes(set(range(1, 32)) - {9, 10, 11, 12, 13, 27})
_COMMA_NUMBER = re.compile(r"[+-]?\d+,(\d+)\Z")
_POINT_NUMBER = re.compile(r"[+-]?\d+\.\d+\Z")


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a file holds before anybody says what its rows mean.

    Attributes
    ----------
    container : str
        "text", "xlsx" or "spss".
    header : tuple of str, length k
        The first row as written.
    cells : ndarray of object, shape (n, k)
        Every later row, as text.
    blank_rows : int
        Rows without any answer that are not in `cells`.
    """

    name: str
    container: str
    header: tuple[str, ...]
    cells: np.ndarray
    blank_rows: int = 0
    decimal: str = "."
    notes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    choices: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows below the header."""
        return len(self.cells)

    def row(self, number: int) -> tuple[str, ...]:
        """One row below the header, from 0."""
        return tuple(self.cells[number])

    def below(self, rows: int) -> Table:
        """The table without its first rows below the header."""
        return replace(self, cells=self.cells[rows:])


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

    def add(self, text: str) -> None:
        self._feeds += text.count("\n")
        self._returns += text.count("\r")

    def refuse_zero(self, name: str, text: str) -> None:
        if "\0" in text:
            self.add(text[: text.index("\0")])
            raise DataError(f"{name} line {self.number}: the file holds a zero (NUL) character. {SAVE_AS}")


def read_text(path: Path) -> Table:
    """Read separated text; encoding and separator are found by looking at the file.

    Parameters
    ----------
    path : Path
        An existing file of at most 256 MB.

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
    records = _records(path, layout)
    _, header = next(records, (0, []))
    if not any(cell.strip() for cell in header):
        raise DataError(f"{path.name}: the file holds no column names. {SAVE_AS}")
    return _drop_trailing_blank_columns(_collect(path.name, header, records, layout))


def as_cells(flat: list[str], width: int) -> np.ndarray:
    """Fold a flat list of cells into rows of `width`; returns an object array of shape (n, width)."""
    return np.array(flat, dtype=object).reshape(-1, width)


def check_width(name: str, header: list[str]) -> None:
    """Refuse a header wider than any survey."""
    if len(header) > MAX_COLUMNS:
        raise DataError(f"{name}: {len(header)} columns; at most {MAX_COLUMNS} are read. Export fewer questions.")


def check_cells(name: str, cells: int) -> None:
    """Refuse more cells than fit in memory comfortably."""
    if cells > MAX_CELLS:
        raise DataError(f"{name}: more than {MAX_CELLS:,} cells. Split the export, or leave out columns not needed.")


# ---- rows ----------------------------------------------------------------------------------------------------------


def _collect(name: str, header: list[str], records: Iterable[tuple[int, list[str]]], layout: _Layout) -> Table:
    width = len(header)
    check_width(name, header)
    pile = _Pile(name)
    ragged: list[tuple[int, int]] = []
    blank_lines = 0
    for line, record in records:
        if not record:
            blank_lines += 1
        elif len(record) != width:
            ragged.append((line, len(record)))
        else:
            pile.add(record)
    if ragged:
        _refuse_ragged(name, width, ragged)
    cells, empty_rows = _without_empty_end(as_cells(pile.cells, width))
    if not len(cells):
        raise DataError(f"{name}: the file holds column names but no answers. Export the responses as well.")
    return Table(
        name=name,
        container="text",
        header=tuple(header),
        cells=cells,
        blank_rows=blank_lines + empty_rows,
        decimal="." if layout.separator == "," else _decimal(cells, layout.separator),
        notes=layout.notes,
    )


class _Pile:
    """Cells read so far, equal ones stored once, within a limit of memory."""

    def __init__(self, name: str) -> None:
        self.cells: list[str] = []
        self._name = name
        self._seen: dict[str, str] = {}
        self._text = 0

    def add(self, record: list[str]) -> None:
        seen = self._seen
        self._text += sum(sys.getsizeof(cell) for cell in record if cell not in seen)
        self.cells.extend(map(seen.setdefault, record, record))
        if len(seen) > 20_000:
            seen.clear()
        check_cells(self._name, len(self.cells))
        if self._text + 2 * sys.getsizeof(self.cells) > MAX_MEMORY:
            raise DataError(
                f"{self._name}: needs more than {MAX_MEMORY >> 20} MB of memory. "
                "Split the export, or leave out columns not needed."
            )


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


def _without_empty_end(cells: np.ndarray) -> tuple[np.ndarray, int]:
    keep = len(cells)
    while keep and not any(cells[keep - 1]):
        keep -= 1
    return cells[:keep], len(cells) - keep


def _drop_trailing_blank_columns(table: Table) -> Table:
    width = len(table.header)
    while width > 1 and not table.header[width - 1].strip() and not any(table.cells[:, width - 1]):
        width -= 1
    dropped = len(table.header) - width
    if not dropped:
        return table
    note = "Ignored an empty column at the end." if dropped == 1 else f"Ignored {dropped} empty columns at the end."
    return replace(table, header=table.header[:width], cells=table.cells[:, :width], notes=(*table.notes, note))


def _decimal(cells: np.ndarray, separator: str) -> str:
    comma = point = unclear = 0
    for cell in cells[: max(1, 100_000 // cells.shape[1])].ravel():
        if match := _COMMA_NUMBER.match(cell):
            unclear, comma = (unclear + 1, comma) if len(match[1]) == 3 else (unclear, comma + 1)
        elif _POINT_NUMBER.match(cell):
            point += 1
    if comma or point:
        return "," if comma > point else "."
    return "," if unclear and separator == ";" else "."


def _records(path: Path, layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) from the first line that is not blank."""
    with path.open(encoding=layout.encoding, newline="") as stream:
        for _ in range(layout.skip):
            stream.readline()
        reader = csv.reader(stream, delimiter=layout.separator, strict=True)
        started = False
        while True:
            line = layout.skip + reader.line_num + 1
            if line > MAX_LINES:
                raise DataError(f"{path.name}: more than {MAX_LINES:,} lines. Split the export.")
            try:
                record = next(reader)
                if layout.whole_lines and record:
                    record = _unwrap(record, layout.separator)
            except StopIteration:
                return
            except csv.Error as error:
                _refuse_quoting(path.name, line, error)
            started = started or bool(record)
            if started:
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
    declared = re.fullmatch(r'"?sep=(.)"?\s*', lines[0])
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
    decoder = codecs.getincrementaldecoder(encoding)()
    fed = pending = 0
    lines = _LineCounter()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            state = decoder.getstate()
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError as error:
                offset, good = _locate_fault(decoder, state, block, error.start)
                lines.add(good)
                return _Fault(fed + offset + 1, lines.number)
            lines.refuse_zero(path.name, text)
            lines.add(text)
            last = max(text.rfind("\n"), text.rfind("\r"))
            pending = pending + len(text) if last < 0 else len(text) - last - 1
            if pending > MAX_LINE:
                raise DataError(
                    f"{path.name} line {lines.number}: longer than {MAX_LINE >> 20} MB; not a table. {SAVE_AS}"
                )
            fed += len(block)
    unfinished = len(decoder.getstate()[0])
    return _Fault(fed - unfinished + 1, lines.number) if unfinished else None


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
            letters += len(re.findall(rb"[A-Za-z]", block))
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
