"""Columns of text, stored small: a column of few different cells as codes, one of many as a single block of text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

MAX_WORDS = 4096
"""More different cells than this, and a column is stored as text."""

MAX_WORD_BYTES = 1 << 20
"""Different cells that take more memory than this, and a column is stored as text."""

MAX_JOINED_BYTES = 64 << 20
PIECE = 1 << 16
Column = pd.Categorical | pd.api.extensions.ExtensionArray
Part = np.ndarray | pa.Array


class Growing:
    """One column while its cells come in.

    Attributes
    ----------
    words : dict of str to int
        Different cells met so far, each with its code.
    parts : list
        What has come in: arrays of codes, or of text once there are too many different cells.
    word_bytes : int
        Memory that the words take.
    """

    def __init__(self) -> None:
        self.words: dict[str, int] = {}
        self.parts: list[Part] = []
        self.is_text = False
        self.word_bytes = 0

    def learn(self, words: Iterable[str]) -> bool:
        """Give every new word a code; False if there are too many, so that the column is text from now on."""
        new = [word for word in words if word not in self.words]
        word_bytes = self.word_bytes + sum(map(sys.getsizeof, new))
        if self.is_text or len(new) + len(self.words) > MAX_WORDS or word_bytes > MAX_WORD_BYTES:
            self.is_text = True
            return False
        self.word_bytes = word_bytes
        self.words.update(zip(new, range(len(self.words), len(self.words) + len(new))))
        return True

    def part(self, cells: Sequence[str]) -> Part:
        """The next cells as they are stored."""
        if not self.learn(dict.fromkeys(cells)):
            return pa.array(cells, pa.large_string())
        return np.fromiter(map(self.words.__getitem__, cells), narrow_type(len(self.words)), len(cells))

    def add(self, cells: Sequence[str]) -> None:
        """Take in the next cells."""
        self.parts.append(self.part(cells))

    @property
    def n_bytes(self) -> int:
        """Memory that the cells take so far."""
        return self.word_bytes + sum(part.nbytes for part in self.parts)

    def finish(self) -> Column:
        """Give the column, and forget the cells here."""
        parts, self.parts = self.parts, []
        words = list(self.words)
        if not any(isinstance(part, pa.Array) for part in parts):
            return coded(np.concatenate(parts) if parts else np.zeros(0, np.uint8), words)
        table = pa.array(words, pa.large_string())
        chunks = [
            part.cast(pa.large_string()) if isinstance(part, pa.Array) else table.take(pa.array(part)) for part in parts
        ]
        return pd.array(_joined(pa.chunked_array(chunks)), dtype="str")


def _joined(text: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """In one piece, which is quicker to work with; in the pieces it came in if there is no room for both."""
    return text.combine_chunks() if text.nbytes <= MAX_JOINED_BYTES else text


def narrow_type(n_words: int) -> type[np.uint8 | np.uint16]:
    """Type of codes for so many words: one byte each, where that is enough."""
    return np.uint8 if n_words <= 256 else np.uint16


def coded(codes: np.ndarray, words: Sequence[str]) -> pd.Categorical:
    """A column of codes, with the words that occur and only those, sorted.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Place of each cell among the words.
    words : sequence of str
        Different from each other.

    Returns
    -------
    Categorical
        Never missing: an empty cell is the word "".
    """
    order = sorted(_used(codes, len(words)), key=words.__getitem__)
    places = np.zeros(max(256, len(words)), np.int8 if len(order) <= 127 else np.int16)
    places[order] = np.arange(len(order))
    dtype = pd.CategoricalDtype(pd.Index([words[code] for code in order], dtype="str"))
    return pd.Categorical.from_codes(_replaced(codes, places), dtype=dtype, validate=False)


def _used(codes: np.ndarray, n_words: int) -> list[int]:
    """Codes that occur; in pieces, because numpy counts in eight bytes a row."""
    counts = np.zeros(max(1, n_words), np.intp)
    for start in range(0, len(codes), PIECE):
        counts += np.bincount(codes[start : start + PIECE], minlength=len(counts))
    return np.flatnonzero(counts).tolist()


def _replaced(codes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The place of each code; bytes are replaced at once."""
    if codes.itemsize > 1 or places.itemsize > 1:
        return places[codes]
    return np.frombuffer(codes.tobytes().translate(places.tobytes()[:256]), np.int8)


def column_of(cells: Sequence[str]) -> Column:
    """Store cells, each a text.

    >>> column_of(["b", "", "b"]).tolist()
    ['b', '', 'b']
    """
    growing = Growing()
    growing.add(cells)
    return growing.finish()


def stored(codes: np.ndarray, words: Sequence[str]) -> Column:
    """Store cells that are given as places among different words."""
    if len(words) <= MAX_WORDS:
        return coded(codes, words)
    return pd.array(pa.array(words, pa.large_string()).take(pa.array(codes)), dtype="str")


def trimmed(column: Column, start: int, stop: int) -> Column:
    """The cells from `start` to before `stop`; words that stand nowhere else are forgotten."""
    part = column[start:stop]
    return coded(part.codes, part.categories.tolist()) if isinstance(part, pd.Categorical) else part


def filled(column: Column) -> np.ndarray:
    """Say of every cell whether it holds anything; shape (n,), bool."""
    if not isinstance(column, pd.Categorical):
        return np.asarray(column != "", dtype=bool)
    return np.array([*(word != "" for word in column.categories), False])[column.codes]


def words_and_codes(column: pd.Series) -> tuple[list[str], np.ndarray]:
    """The different cells of a column and the place of each cell among them; shape (n,).

    >>> words_and_codes(pd.Series(["b", "", "b"], dtype="str"))
    (['b', ''], array([0, 1, 0]))
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.categories.tolist(), column.cat.codes.to_numpy()
    codes, words = pd.factorize(column)
    return words.tolist(), codes
