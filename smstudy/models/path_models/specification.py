"""The text of a path model: which items belong to which construct, and which construct explains which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from smstudy.display.prose import join_words
from smstudy.errors import StudyError

MAX_LENGTH = 10_000
LINE = re.compile(r"(?P<left>.+?)\s*(?P<sign>=~|<~|~)\s*(?P<right>.+)")
NAME = re.compile(r"\s*(?:(?P<plain>[^\W\d][\w.]*)|`(?P<quoted>[^`\n]{1,200})`)\s*")
PIECE = re.compile(r"`[^`\n]*`|[^`+]+|.")
EXAMPLE = '"trust =~ t_1 + t_2" (reflective items), "use <~ u_1 + u_2" (formative items) or "use ~ trust" (a path)'


@dataclass(frozen=True)
class PathSpecification:
    """A path model as it was asked for.

    Attributes
    ----------
    items : mapping of str to tuple of str
        Items of the constructs that name them.
    formative : frozenset of str
        Constructs that are made of their items.
    drivers : mapping of str to tuple of str
        What explains each explained construct.
    """

    items: Mapping[str, tuple[str, ...]]
    formative: frozenset[str]
    drivers: Mapping[str, tuple[str, ...]]

    @property
    def constructs(self) -> tuple[str, ...]:
        """All constructs, those with items first."""
        return tuple(dict.fromkeys([*self.items, *(name for name in self._linked())]))

    @property
    def text(self) -> str:
        """The model line by line, always in the same form, so that two versions can be compared.

        >>> print(parse_paths("b~a # comment").text)
        b ~ a
        """
        signs = {name: "<~" if name in self.formative else "=~" for name in self.items}
        lines = [f"{_quote(name)} {signs[name]} {_sum(items)}" for name, items in self.items.items()]
        return "\n".join([*lines, *(f"{_quote(name)} ~ {_sum(rows)}" for name, rows in self.drivers.items())])

    def _linked(self) -> Iterator[str]:
        for name, rows in self.drivers.items():
            yield from (*rows, name)


def parse_paths(text: str) -> PathSpecification:
    """Read a path model; nothing in it is ever run.

    Parameters
    ----------
    text : str
        One statement per line or between semicolons: `construct =~ item + item` for reflective items, `<~` for
        formative ones, `construct ~ construct + construct` for paths. `#` begins a comment; names with blanks stand in
        backticks.

    Raises
    ------
    StudyError
        If a line cannot be read, names something twice, or if constructs go round in a circle or stand alone.

    Examples
    --------
    >>> parse_paths("trust =~ t_1 + t_2\\nuse <~ u_1 + u_2\\nuse ~ trust").drivers
    {'use': ('trust',)}
    """
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        raise StudyError(f"A path model is a text of at most {MAX_LENGTH:,} characters, such as {EXAMPLE}.")
    items: dict[str, tuple[str, ...]] = {}
    drivers: dict[str, tuple[str, ...]] = {}
    formative = set()
    for number, line in _lines(text):
        name, sign, names = _statement(number, line)
        told = drivers if sign == "~" else items
        if name in told:
            raise StudyError(f'Line {number}: "{name}" has a line with {sign} or its like already. Put both into one.')
        told[name] = names
        formative |= {name} if sign == "<~" else set()
    found = PathSpecification(items, frozenset(formative), drivers)
    _check(found)
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        for part in line.partition("#")[0].split(";"):
            if part.strip():
                yield number, part.strip()


def _statement(number: int, line: str) -> tuple[str, str, tuple[str, ...]]:
    found = LINE.fullmatch(line)
    if found is None:
        raise StudyError(f'Line {number}: "{line[:60]}" is no statement. Write lines such as {EXAMPLE}.')
    left, *more = _names(number, found["left"])
    if more:
        raise StudyError(f"Line {number}: left of {found['sign']} stands one name, here are {1 + len(more)}.")
    right = _names(number, found["right"])
    twice = sorted({name for name in right if right.count(name) > 1})
    if twice:
        raise StudyError(f"Line {number}: {join_words(twice)} stands there twice. Name everything once.")
    return left, found["sign"], tuple(right)


def _names(number: int, text: str) -> list[str]:
    names = []
    for part in _split(text):
        found = NAME.fullmatch(part)
        if found is None:
            raise StudyError(
                f'Line {number}: "{part.strip()[:60]}" is no name. Names are joined by +; one with blanks or signs '
                "stands in backticks."
            )
        names.append(found["plain"] or found["quoted"])
    return names


def _split(text: str) -> list[str]:
    """Split at plus signs outside of backticks."""
    parts = [""]
    for piece in PIECE.findall(text):
        parts = [*parts, ""] if piece == "+" else [*parts[:-1], parts[-1] + piece]
    return parts


def _check(found: PathSpecification) -> None:
    if not found.drivers:
        raise StudyError(f"The model has no path. Add a line such as {EXAMPLE.rpartition(' or ')[2]}.")
    alone = [name for name in found.items if name not in set(found._linked())]
    if alone:
        raise StudyError(f"No path leads to or from {join_words(alone)}. Add one, or leave the construct out.")
    owners: dict[str, str] = {}
    for name, items in found.items.items():
        for item in items:
            if item in owners:
                raise StudyError(f'The item "{item}" belongs to {owners[item]} and to {name}. Leave one of them out.')
            owners[item] = name
    circle = _circle(found.drivers)
    if circle:
        raise StudyError(f"The paths go round in a circle: {' ~ '.join(circle)}. Leave one of them out.")


def _circle(drivers: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Constructs that explain each other in the end; empty if none do."""
    left = {name: set(rows) & set(drivers) for name, rows in drivers.items()}
    while ready := [name for name, rows in left.items() if not rows]:
        left = {name: rows - set(ready) for name, rows in left.items() if name not in ready}
    if not left:
        return []
    way = [next(iter(left))]
    while way[-1] not in way[:-1]:
        way.append(min(left[way[-1]]))
    return way[way.index(way[-1]) :]


def _quote(name: str) -> str:
    found = NAME.fullmatch(name)
    return name if found and found["plain"] == name else f"`{name}`"


def _sum(names: tuple[str, ...]) -> str:
    return " + ".join(map(_quote, names))
