"""Separated text cut in blocks of many rows at once.

A block that is written by the rules of CSV is cut with arrays; one with an odd quotation mark or line break row by
row. A block ends where a record does in either case. What has a fault (rows of another width, endless cells) is left to
the careful reader in `tabular`, which finds the words; where this reader gives an answer, it is the same.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smstudy.survey.formats.columns import Column, Growing, Part, narrow_type

BLOCK = 2 << 20
LONGEST = 8 << 20
WORKERS = min(2, os.cpu_count() or 1)
LONG = 255  # no byte of UTF-8
NEWLINE, RETURN, QUOTE = b'\n\r"'


class Unusual(Exception):
    """This reader does not vouch for the text: the careful one has to look.

    Attributes
    ----------
    offset, lines : int
        Bytes of UTF-8 and lines before the block in question, the header included; what stands there is sound.
    """

    def __init__(self, offset: int = 0, lines: int = 0) -> None:
        super().__init__(offset, lines)
        self.offset, self.lines = offset, lines


class Blocks:
    """A file of separated text below its header, cut into columns.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str
        A codec that reads all of it.
    separator : str
        One ASCII character.
    skipped : str
        Text before the first row of answers.
    width : int
        Cells of every row.

    Attributes
    ----------
    n_rows, blank_rows, n_bytes : int
        Rows and empty lines so far, and the memory they take.
    """

    def __init__(self, path: Path, encoding: str, separator: str, skipped: str, width: int) -> None:
        if not separator.isascii() or separator in '"\r\n':
            raise Unusual
        self._source = (path, encoding, skipped)
        self._separator = separator
        self._offset, self._lines = len(skipped.encode()), _count_lines(skipped.encode())
        self._columns = [_Coder() for _ in range(width)]
        self.n_rows = self.blank_rows = self.n_bytes = self._part_bytes = 0

    def cut(self) -> Iterator[None]:
        """Read on, block by block, so that the caller can look at the counts in between."""
        waiting: deque[tuple[bytes, Future]] = deque()
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                for block in _whole_records(_utf8(*self._source)):
                    waiting.append((block, pool.submit(self._cut_block, block)))
                    if len(waiting) > WORKERS:
                        yield self._take(*waiting.popleft())
                while waiting:
                    yield self._take(*waiting.popleft())
            finally:
                for _, future in waiting:
                    future.cancel()

    def finish(self) -> tuple[Column, ...]:
        """Give the columns, and forget them here."""
        columns, self._columns = self._columns, []
        with ThreadPoolExecutor(WORKERS) as pool:
            return tuple(pool.map(_Coder.finish, columns))

    def _take(self, block: bytes, future: Future) -> None:
        try:
            rows, blank, parts = future.result()
        except Unusual:
            raise Unusual(self._offset, self._lines) from None
        self._offset += len(block)
        self._lines += _count_lines(block)
        self.n_rows += rows
        self.blank_rows += blank
        for column, part in zip(self._columns, parts, strict=True):
            column.parts.append(part)
            self._part_bytes += part.nbytes
        self.n_bytes = self._part_bytes + sum(column.word_bytes for column in self._columns)

    def _cut_block(self, block: bytes) -> tuple[int, int, list[Part]]:
        try:
            cells = _Cells(block, ord(self._separator), len(self._columns))
        except Unusual:
            return self._cut_rows(block)
        return len(cells.starts), cells.blank_rows, _encode(cells, self._columns)

    def _cut_rows(self, block: bytes) -> tuple[int, int, list[Part]]:
        """Cut a block row by row; Unusual if it has a fault or does not end with a record."""
        reader = csv.reader(io.StringIO(block.decode(), newline=""), delimiter=self._separator, strict=True)
        try:
            records = list(reader)
        except csv.Error:
            raise Unusual from None
        rows = [record for record in records if record]
        if any(len(row) != len(self._columns) for row in rows):
            raise Unusual
        columns = list(zip(*rows, strict=True)) or [()] * len(self._columns)
        parts = [column.part(cells) for column, cells in zip(self._columns, columns, strict=True)]
        return len(rows), len(records) - len(rows), parts


class _Cells:
    """Where the cells of a block stand.

    Attributes
    ----------
    starts, lengths : ndarray of int, shape (rows, width)
        Place and number of bytes of every cell, without its quotation marks.
    first : ndarray of uint8, shape (rows, width)
        The byte of a cell that is one ASCII character, 0 for an empty one, `LONG` for any other.
    """

    def __init__(self, block: bytes, separator: int, width: int) -> None:
        self.block = block
        self.has_quotes = QUOTE in block
        buffer = np.frombuffer(block, np.uint8)
        inside = _inside_quotes(buffer, separator) if self.has_quotes else None
        limits = buffer == separator
        limits |= buffer == NEWLINE
        if inside is not None:
            limits &= ~inside
        n_lines = None if self.has_quotes else block.count(b"\n")
        starts, ends, self.blank_rows = _fold(buffer, np.flatnonzero(limits), width, n_lines)
        if RETURN in block:
            _refuse_lone_returns(buffer, inside)
            ends[:, -1] -= (buffer[ends[:, -1] - 1] == RETURN) & (ends[:, -1] > starts[:, -1])
        first = buffer[starts]
        if self.has_quotes:
            quoted = first == QUOTE
            starts += quoted
            ends -= quoted
            first = buffer[starts]
        lengths = np.subtract(ends, starts, dtype=np.int32, casting="unsafe")
        if lengths.max(initial=0) > csv.field_size_limit():
            raise Unusual
        first *= lengths > 0
        first |= np.negative((lengths > 1).view(np.uint8))
        self.starts, self.lengths, self.first = starts, lengths, first

    def texts(self, rows: np.ndarray | slice, places: np.ndarray | int) -> pa.Array:
        """Some cells as text, given in the order of the file."""
        starts, lengths = self.starts[rows, places], self.lengths[rows, places]
        if not len(starts):
            return pa.array([], pa.string())
        offsets = np.empty(2 * len(starts), np.int32)  # every other text is what stands between two cells
        offsets[0::2] = starts
        offsets[1::2] = starts + lengths
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.block)]
        between = pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)
        texts = between.take(pa.array(np.arange(0, len(offsets) - 1, 2)))
        return pc.replace_substring(texts, '""', '"') if self.has_quotes else texts


class _Coder(Growing):
    """One column; a cell of one ASCII character is its own code."""

    def __init__(self) -> None:
        super().__init__()
        self.words = {"": 0, **{chr(byte): byte for byte in range(1, 128)}}
        self._lock = Lock()

    def part(self, cells: Sequence[str]) -> Part:
        with self._lock:
            return super().part(cells)

    def places_of(self, words: Sequence[str]) -> list[int] | None:
        """Codes of words, new ones learned; None if there are too many different ones."""
        with self._lock:
            return [self.words[word] for word in words] if self.learn(words) else None


def _encode(cells: _Cells, columns: Sequence[_Coder]) -> list[Part]:
    """Give the cells of every column as codes, or as text where there are too many different ones."""
    is_text = np.array([column.is_text for column in columns])
    rows, places = np.divmod(np.flatnonzero(cells.first.ravel() == LONG), len(columns))
    if is_text.any():
        is_coded = ~is_text[places]
        rows, places = rows[is_coded], places[is_coded]
    codes = np.ascontiguousarray(cells.first.T)
    found = cells.texts(rows, places).dictionary_encode()
    words, indices = found.dictionary.to_pylist(), found.indices.to_numpy()
    order = np.argsort(places.astype(np.uint16), kind="stable")
    limits = np.searchsorted(places[order], np.arange(len(columns) + 1))
    parts: list[Part] = []
    for place, column in enumerate(columns):
        part = None
        if not is_text[place]:
            these = order[limits[place] : limits[place + 1]]
            part = _coded_part(codes[place], column, rows[these], indices[these], words)
        parts.append(cells.texts(slice(None), place) if part is None else part)
    return parts


def _coded_part(
    codes: np.ndarray, column: _Coder, rows: np.ndarray, indices: np.ndarray, words: Sequence[str]
) -> np.ndarray | None:
    """The codes of one column, longer cells (their rows, and places among words) included; None if too many."""
    if not len(rows):
        return codes.copy()
    used = np.flatnonzero(np.bincount(indices, minlength=len(words)))
    places = column.places_of([words[index] for index in used.tolist()])
    if places is None:
        return None
    spread = codes.astype(narrow_type(len(column.words)))
    table = np.zeros(len(words), spread.dtype)
    table[used] = places
    spread[rows] = table[indices]
    return spread


# ---- where cells begin and end -------------------------------------------------------------------------------------


def _fold(buffer: np.ndarray, ends: np.ndarray, width: int, n_lines: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Fold the ends of cells into rows; returns starts and ends, shape (rows, width), and the number of empty lines.

    `n_lines` is the number of line breaks where all of them end a line.
    """
    starts = np.empty_like(ends)
    starts[:1] = 0
    np.add(ends[:-1], 1, out=starts[1:])
    rows = len(ends) // width
    if width > 1 and n_lines == rows == len(ends) / width and (buffer[ends[width - 1 :: width]] == NEWLINE).all():
        return starts.reshape(-1, width), ends.reshape(-1, width), 0
    last = buffer[ends] == NEWLINE
    lines = np.flatnonzero(last)
    cells = np.diff(lines, prepend=-1)
    sizes = ends[lines] - starts[lines]
    blank = (cells == 1) & ((sizes == 0) | ((sizes == 1) & (buffer[starts[lines]] == RETURN)))
    if (cells[~blank] != width).any():
        raise Unusual
    keep = np.ones(len(ends), dtype=bool)
    keep[lines[blank]] = False
    return starts[keep].reshape(-1, width), ends[keep].reshape(-1, width), int(blank.sum())


def _inside_quotes(buffer: np.ndarray, separator: int) -> np.ndarray:
    """Say of every byte whether it is in quotation marks; refuses marks that do not begin, double or end a cell."""
    marks = buffer == QUOTE
    places = np.flatnonzero(marks)
    opening, closing = places[0::2], places[1::2]
    if len(opening) != len(closing):
        raise Unusual
    limit = np.zeros(256, dtype=bool)
    limit[[separator, NEWLINE, RETURN]] = True
    doubled = opening[1:] == closing[:-1] + 1
    begins = limit[buffer[opening - 1]]  # before the first byte comes the last one, a line break
    ends = limit[buffer[closing + 1]]
    begins[1:] |= doubled
    ends[:-1] |= doubled
    if not (begins.all() and ends.all()):
        raise Unusual
    return np.bitwise_xor.accumulate(marks)


def _refuse_lone_returns(buffer: np.ndarray, inside: np.ndarray | None) -> None:
    returns = buffer == RETURN
    if inside is not None:
        returns &= ~inside
    if (buffer[np.flatnonzero(returns) + 1] != NEWLINE).any():
        raise Unusual


def _count_lines(block: bytes) -> int:
    """Lines as Python counts them: they end with a line feed, a return, or both."""
    breaks = block.count(b"\n")
    return breaks + block.count(b"\r") - block.count(b"\r\n") if RETURN in block else breaks


# ---- bytes ---------------------------------------------------------------------------------------------------------


def _utf8(path: Path, encoding: str, skipped: str) -> Iterator[bytes]:
    """The file after the text to skip, in UTF-8, whatever it is written in."""
    with path.open("rb") as stream:
        if encoding in ("utf-8", "utf-8-sig"):
            mark = codecs.BOM_UTF8 if encoding == "utf-8-sig" else b""
            stream.seek(len(mark) + len(skipped.encode()))
            yield from iter(lambda: stream.read(BLOCK), b"")
            return
        decoder = codecs.getincrementaldecoder(encoding)()
        rest = len(skipped)
        while block := stream.read(BLOCK):
            text = decoder.decode(block)
            yield text[rest:].encode()
            rest = max(0, rest - len(text))


def _whole_records(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that end with a line break outside quotation marks."""
    rest = b""
    for block in blocks:
        piece = rest + block
        end = _last_break(piece) or (piece.rfind(b"\n") + 1 if len(piece) > BLOCK else 0)
        if not end and len(piece) > LONGEST:
            raise Unusual
        rest = piece[end:]
        if end:
            yield piece[:end]
    if rest:
        yield rest if rest.endswith(b"\n") else rest + b"\n"


def _last_break(piece: bytes) -> int:
    """Where the last complete record ends; 0 if there is none."""
    end, marks = len(piece), piece.count(b'"')
    while (before := piece.rfind(b"\n", 0, end)) >= 0:
        marks -= piece.count(b'"', before, end) if marks else 0
        if marks % 2 == 0:
            return before + 1
        end = before
    return 0
