"""Item banks: the instruments that are shipped, those a user has put beside them, and items known by their wording."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from smstudy.documents import Entry, read_document
from smstudy.errors import CodebookError, StudyError, did_you_mean
from smstudy.survey.codebook import Category, Scale
from smstudy.survey.decoding import normalize

SHIPPED = Path(__file__).resolve().parent
LOCAL = Path("instruments") / "local"
MATRIX = re.compile(r"\s[-–—]\s|\s?\[")


class InstrumentItem(Entry):
    """One statement: its name, the words a respondent reads, and whether it is worded against its scale."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    text: str = Field(min_length=1)
    reverse: bool = False


class InstrumentScale(Entry):
    """Items that measure one thing.

    Attributes
    ----------
    level : {"person", "unit"}
        Whom the scale describes: the respondent, or the unit the respondent belongs to.
    answers : str
        Name of an entry of the instrument's `answers`.
    basis : str
        The published idea behind it, with its DOI where there is one; never a claim to be that published scale.
    """

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    title: str
    description: str = ""
    level: Literal["person", "unit"]
    answers: str
    basis: str
    scoring: Literal["mean", "sum"] = "mean"
    min_answered: float = Field(default=0.5, gt=0, le=1)
    items: tuple[InstrumentItem, ...]


class Instrument(Entry):
    """A set of related scales, as one YAML file describes it."""

    title: str
    description: str = ""
    instruction: str = ""
    language: str = "en"
    license: str
    status: str
    answers: Mapping[str, tuple[Category, ...]]
    scales: tuple[InstrumentScale, ...]

    @model_validator(mode="after")
    def _check(self) -> Instrument:
        if not self.scales:
            raise ValueError('"scales" is empty. Write at least one scale')
        for scale in self.scales:
            if len(scale.items) < 2:
                raise ValueError(f'scale "{scale.name}" has fewer than two items. Write at least two')
            if scale.answers not in self.answers:
                hint = did_you_mean(scale.answers, self.answers)
                raise ValueError(f'scale "{scale.name}" names the answers "{scale.answers}". {hint}')
        _refuse_twice("name", [scale.name for scale in self.scales] + [item.name for item in self.items])
        _refuse_twice("wording", [normalize(item.text) for item in self.items])
        return self

    @property
    def items(self) -> tuple[InstrumentItem, ...]:
        """All items, scale by scale."""
        return tuple(item for scale in self.scales for item in scale.items)


@dataclass(frozen=True, kw_only=True)
class Recognized:
    """Where a wording was found: name of the instrument, its answers, the scale and the item."""

    instrument: str
    answers: tuple[Category, ...]
    scale: InstrumentScale
    item: InstrumentItem


def list_instruments() -> list[str]:
    """Name the instruments there are: those that are shipped and those in `instruments/local` upwards from here.

    >>> "adoption-pulse" in list_instruments()
    True
    """
    return sorted(_files())


def read_instrument(name: str) -> Instrument:
    """Read one instrument.

    Parameters
    ----------
    name : str
        Name of the file without `.yml`. A local instrument goes before a shipped one of the same name.

    Raises
    ------
    StudyError
        If there is none of that name.
    CodebookError
        If the file is not a valid instrument: line, what is wrong, what is allowed.

    Examples
    --------
    >>> [scale.name for scale in read_instrument("adoption-pulse").scales][:2]
    ['leadership', 'readiness']
    """
    files = _files()
    if name not in files:
        raise StudyError(f'There is no instrument "{name}". {did_you_mean(name, files)}')
    return read_document(files[name], Instrument, CodebookError)


def scales_of(instrument: Instrument) -> tuple[Scale, ...]:
    """Give the scales of an instrument as a codebook writes them, with the instrument's own item names."""
    return tuple(
        Scale(
            name=scale.name,
            title=scale.title,
            description=scale.description,
            items=tuple(item.name for item in scale.items),
            scoring=scale.scoring,
            min_answered=scale.min_answered,
            basis=scale.basis,
        )
        for scale in instrument.scales
    )


def recognize(wordings: Mapping[str, str]) -> dict[str, Recognized]:
    """Find items by the words respondents read.

    Parameters
    ----------
    wordings : mapping
        Name of a variable to its wording. Of a question with several rows ("stem - row", "stem [row]") the row counts.

    Returns
    -------
    dict
        The variables whose wording is word for word that of an item, apart from case, spaces, dashes, quotes and final
        punctuation. A wording that two variables share is left out: nobody knows which of them is meant.

    Examples
    --------
    >>> found = recognize({"q1": "How far do you agree? - Leaders say it matters but do nothing about it."})
    >>> found["q1"].scale.name, found["q1"].item.reverse
    ('leadership', True)
    """
    known = {normalize(entry.item.text): entry for entry in _all_items()}
    matches = {name: match for name, wording in wordings.items() if (match := _match(wording, known))}
    times = Counter(match.item.text for match in matches.values())
    return {name: match for name, match in matches.items() if times[match.item.text] == 1}


def _match(wording: str, known: Mapping[str, Recognized]) -> Recognized | None:
    """Look up the whole wording, then what stands after each mark between stem and row."""
    starts = [0, *(mark.end() for mark in MATRIX.finditer(wording))]
    parts = (normalize(wording[start:].removesuffix("]")) for start in starts)
    return next((known[part] for part in parts if part in known), None)


def _all_items() -> Iterator[Recognized]:
    """Give every item of every instrument; local ones last, so that they win."""
    for name, path in sorted(_files().items(), key=lambda entry: entry[1].parent != SHIPPED):
        instrument = read_document(path, Instrument, CodebookError)
        for scale in instrument.scales:
            for item in scale.items:
                answers = instrument.answers[scale.answers]
                yield Recognized(instrument=name, answers=answers, scale=scale, item=item)


def _files() -> dict[str, Path]:
    """Name every instrument file; the nearest folder wins."""
    local = [up / LOCAL for up in (*reversed(Path.cwd().parents), Path.cwd())]
    return {path.stem: path for folder in (SHIPPED, *local) for path in sorted(folder.glob("*.yml"))}


def _refuse_twice(what: str, names: list[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise ValueError(f"{what} given twice: {', '.join(twice)}. Keep one of them")
