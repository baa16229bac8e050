"""Model formulas as data: a small grammar of its own, parsed without running anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from smstudy.errors import StudyError, did_you_mean

Transform = Literal["", "C", "log", "log1p", "sqrt", "square", "cube", "center", "scale"]
FUNCTIONS: tuple[Transform, ...] = ("C", "log", "log1p", "sqrt", "square", "cube", "center", "scale")
MAX_LENGTH = 2000
MAX_DEPTH = 20
MAX_TERMS = 200
MAX_POWER = 4
ALLOWED = (
    "Allowed are names, `any column` in backticks, ~ + - * : ** ( ), 0 and 1, C(x), C(x, ref='level'), "
    "log, log1p, sqrt, square, cube, center and scale of one column."
)
CURVE = "For a curve write {0} + square({0})"
ONCE = "Write it once"
TEAMS = 'teams are named beside the formula, as in multilevel("y ~ x", survey, group="team", slopes=["x"])'
ELSEWHERE = {
    "I": "write square(x) or cube(x) for a power",
    "poly": "write x + square(x) for a curve",
    "factor": "write C(x), or C(x, ref='level')",
    "as.factor": "write C(x), or C(x, ref='level')",
    "exp": "make a column of your own first",
}
TOKEN = re.compile(
    r"""(?P<number>\d+(?:\.\d+)?) | (?P<name>[^\W\d][\w.]*) | `(?P<quoted>[^`\n]{1,200})`
      | '(?P<single>[^'\n]{0,200})' | "(?P<double>[^"\n]{0,200})" | (?P<sign>\*\*|[~+\-*:(),=])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Factor:
    """One column as it enters a model.

    Attributes
    ----------
    column : str
        Name of the column.
    transform : str
        "" as it is, "C" as categories, or the name of a function.
    reference : str or None
        The level others are compared with, where the formula names one.
    """

    column: str
    transform: Transform = ""
    reference: str | None = None

    @property
    def label(self) -> str:
        """The factor as a formula has it, without the reference level.

        >>> Factor("unit", "C", "Sales").label
        'C(unit)'
        """
        return f"{self.transform}({self.column})" if self.transform else self.column


def variable_of(label: str) -> str:
    """The column behind the label of a factor.

    >>> variable_of("log(tenure)"), variable_of("tenure")
    ('tenure', 'tenure')
    """
    name, _, rest = label.partition("(")
    return rest[:-1] if name in FUNCTIONS and rest.endswith(")") else label


Term = tuple[Factor, ...]


@dataclass(frozen=True)
class Formula:
    """A parsed formula.

    Attributes
    ----------
    text : str
        As it was written.
    outcome : Factor
        Left side.
    terms : tuple of tuple of Factor
        Right side without the intercept, lower degrees first, as R orders them.
    intercept : bool
        Whether the model has a constant.
    """

    text: str
    outcome: Factor
    terms: tuple[Term, ...]
    intercept: bool

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Every factor of the right side once, in order of first appearance."""
        return tuple(dict.fromkeys(factor for term in self.terms for factor in term))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the formula needs, the outcome first."""
        return tuple(dict.fromkeys([self.outcome.column, *(factor.column for factor in self.factors)]))

    def without_control(self, column: str) -> Formula:
        """The same formula without `C()` of a column as a term of its own.

        >>> [factor.column for factor in parse_formula("y ~ x + C(unit)").without_control("unit").factors]
        ['x']
        """
        kept = tuple(term for term in self.terms if [(f.column, f.transform) for f in term] != [(column, "C")])
        return replace(self, terms=kept)


def term_label(term: Term) -> str:
    """Write a term as a formula has it.

    >>> term_label((Factor("leadership"), Factor("unit", "C")))
    'leadership:C(unit)'
    """
    return ":".join(factor.label for factor in term)


def parse_formula(text: str) -> Formula:
    """Read a formula such as `adoption ~ leadership * readiness + C(unit, ref='Sales')`.

    Terms are expanded and ordered as R does it: `*` crosses, `:` interacts, `**` crosses up to a power, `-` takes
    terms away, `- 1` and `+ 0` the intercept. A column crossed with itself, which R takes for the column alone, is
    refused: a curve is `x + square(x)`. Nothing in the text is ever run.

    Parameters
    ----------
    text : str
        One outcome, `~`, and the terms.

    Returns
    -------
    Formula

    Raises
    ------
    StudyError
        With the position of what cannot be read and what is allowed; also for formulas longer than 2000 characters,
        nested deeper than 20 or with more than 200 terms.

    References
    ----------
    Wilkinson & Rogers (1973), Applied Statistics 22, 392-399. Agrees with R `terms()` and its `term.labels`.

    Examples
    --------
    >>> [term_label(term) for term in parse_formula("y ~ a * b").terms]
    ['a', 'b', 'a:b']
    """
    if not isinstance(text, str):
        raise StudyError(f'A formula is a text, not {type(text).__name__}. Write it as in "adoption ~ leadership".')
    tokens = _tokens(text)
    middle = [i for i, token in enumerate(tokens) if token.is_sign("~")]
    if len(middle) != 1:
        raise StudyError(f'A formula needs one "~" between outcome and terms, this has {len(middle)}: {_quote(text)}.')
    outcome = _outcome(text, tokens[: middle[0]], tokens[middle[0]].place)
    parser = _Parser(text, tokens[middle[0] + 1 :], len(text))
    parsed = parser.whole()
    order = {factor: place for place, factor in enumerate(parser.seen)}
    terms = [tuple(sorted(term, key=order.__getitem__)) for term in parsed.terms]
    if any(factor.column == outcome.column for term in terms for factor in term):
        raise StudyError(f'"{outcome.column}" stands on both sides of "~". Nothing explains itself: remove it.')
    return Formula(text, outcome, tuple(sorted(terms, key=len)), parsed.intercept is not False)


class _Token(NamedTuple):
    kind: str
    text: str
    place: int

    def is_sign(self, *signs: str) -> bool:
        return self.kind == "sign" and self.text in signs


@dataclass
class _Sum:
    """Terms in order, and what was said about the intercept: nothing, keep it or leave it out."""

    terms: dict[frozenset[Factor], None] = field(default_factory=dict)
    intercept: bool | None = None


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_LENGTH:
        raise StudyError(f"The formula has {len(text)} characters, {MAX_LENGTH} are allowed. Name fewer terms.")
    tokens, place = [], 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        match = TOKEN.match(text, place)
        if match is None:
            raise _error(text, place, TEAMS if text[place] == "|" else f'"{text[place]}" cannot stand here')
        tokens.append(_Token(str(match.lastgroup), match.group(str(match.lastgroup)), place))
        place = match.end()
    return tokens


def _outcome(text: str, tokens: list[_Token], end: int) -> Factor:
    parser = _Parser(text, tokens, end)
    parsed = parser.whole()
    terms = list(parsed.terms)
    if len(terms) != 1 or len(terms[0]) != 1 or parsed.intercept is not None:
        raise StudyError(f'The left side of "~" must be one column: {_quote(text)}. {ALLOWED}')
    (factor,) = terms[0]
    if factor.transform == "C":
        raise StudyError(f'The outcome is one column, not C({factor.column}). Write "{factor.column} ~ ...".')
    return factor


class _Parser:
    """Recursive descent over the tokens of one side; binds as R does: ** over : over * over + and -."""

    def __init__(self, text: str, tokens: list[_Token], end: int) -> None:
        self.text = text
        self.end = end
        self.tokens = tokens
        self.place = 0
        self.depth = 0
        self.seen: dict[Factor, None] = {}

    def whole(self) -> _Sum:
        parsed = self.sum()
        if self.place < len(self.tokens):
            raise self.unexpected(self.tokens[self.place])
        return parsed

    def sum(self) -> _Sum:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise StudyError(f"The formula is nested deeper than {MAX_DEPTH} parentheses. Write it flatter.")
        total = _Sum()
        sign = self.accept("-", "+")
        _join(total, self.product(), minus=sign == "-")
        while (sign := self.accept("+", "-")) is not None:
            _join(total, self.product(), minus=sign == "-")
            _limit(total.terms)
        self.depth -= 1
        return total

    def product(self) -> _Sum:
        return self.binary("*", self.interaction, lambda a, b: {**a, **b, **_cross(a, b)})

    def interaction(self) -> _Sum:
        return self.binary(":", self.power, _cross)

    def binary(self, sign: str, operand: Callable[[], _Sum], combine: Callable[..., dict]) -> _Sum:
        left = operand()
        while self.accept(sign):
            self.only_terms(left)
            right = operand()
            self.only_terms(right)
            self.refuse_itself(left, right)
            left = _Sum(_limit(combine(left.terms, right.terms)))
        return left

    def power(self) -> _Sum:
        base = self.atom()
        while self.accept("**"):
            self.only_terms(base)
            token = self.take()
            if token.kind != "number" or token.text not in "1234":
                raise _error(self.text, token.place, f"a power must be a whole number from 1 to {MAX_POWER}")
            terms = base.terms
            if token.text != "1":
                self.refuse_itself(base, base)
            for _ in range(int(token.text) - 1):
                terms = _limit({**terms, **_cross(terms, base.terms)})
            base = _Sum(terms)
        return base

    def atom(self) -> _Sum:
        token = self.take()
        if token.kind == "number":
            if token.text not in ("0", "1"):
                raise _error(self.text, token.place, f"the number {token.text} cannot be a term, only 0 and 1 can")
            return _Sum(intercept=token.text == "1")
        if token.is_sign("("):
            inner = self.sum()
            self.expect(")")
            return inner
        if token.kind not in ("name", "quoted"):
            raise self.unexpected(token)
        called = token.kind == "name" and self.accept("(")
        factor = self.call(token) if called else Factor(token.text)
        self.seen.setdefault(factor)
        return _Sum({frozenset([factor]): None})

    def call(self, function: _Token) -> Factor:
        if function.text not in FUNCTIONS:
            advice = ELSEWHERE.get(function.text) or did_you_mean(function.text, FUNCTIONS)
            what = f'the function "{function.text}" is not known. {advice[:1].upper()}{advice[1:]}'
            raise _error(self.text, function.place, what.removesuffix("."))
        column = self.take()
        if column.kind not in ("name", "quoted"):
            raise _error(self.text, column.place, f"{function.text}() takes the name of one column")
        reference = self.reference() if function.text == "C" and self.accept(",") else None
        self.expect(")")
        return Factor(column.text, function.text, reference)

    def reference(self) -> str:
        key = self.take()
        if (key.kind, key.text) != ("name", "ref"):
            raise _error(self.text, key.place, "C() takes a column and ref='level'")
        self.expect("=")
        level = self.take()
        if level.kind not in ("single", "double", "number"):
            raise _error(self.text, level.place, "the level after ref= must stand in quotes")
        return level.text

    def accept(self, *signs: str) -> str | None:
        if self.place < len(self.tokens) and self.tokens[self.place].is_sign(*signs):
            self.place += 1
            return self.tokens[self.place - 1].text
        return None

    def expect(self, sign: str) -> None:
        token = self.take()
        if not token.is_sign(sign):
            raise _error(self.text, token.place, f'"{sign}" is expected here')

    def take(self) -> _Token:
        if self.place >= len(self.tokens):
            raise _error(self.text, self.end, "something is missing here")
        self.place += 1
        return self.tokens[self.place - 1]

    def only_terms(self, part: _Sum) -> None:
        if part.intercept is not None:
            raise StudyError(f"0 and 1 stand alone, joined by + or -, in a formula: {_quote(self.text)}. {ALLOWED}")

    def refuse_itself(self, left: _Sum, right: _Sum) -> None:
        """Refuse `x*x`, `x:x` and `x**2`: a set of terms has no squares, and who writes them means one."""
        alone = left.terms if len(left.terms) == 1 else right.terms if len(right.terms) == 1 else {}
        for term in alone:
            if term in left.terms and term in right.terms:
                name = term_label(tuple(term))
                advice = CURVE.format(name) if all(not factor.transform for factor in term) else ONCE
                what = f'"{name}" is crossed with itself, which adds nothing. {advice}'
                raise _error(self.text, self.tokens[self.place - 1].place, what)

    def unexpected(self, token: _Token) -> StudyError:
        return _error(self.text, token.place, f'"{token.text}" cannot stand here')


def _join(total: _Sum, part: _Sum, *, minus: bool) -> None:
    """Add terms to a sum or take them away; `- 1` leaves the intercept out, `- 0` keeps it."""
    if part.intercept is not None:
        total.intercept = part.intercept != minus
    for term in part.terms:
        if minus:
            total.terms.pop(term, None)
        else:
            total.terms.setdefault(term)


def _cross(left: dict[frozenset[Factor], None], right: dict[frozenset[Factor], None]) -> dict[frozenset[Factor], None]:
    return {a | b: None for a in left for b in right}


def _limit(terms: dict[frozenset[Factor], None]) -> dict[frozenset[Factor], None]:
    if len(terms) > MAX_TERMS:
        raise StudyError(f"The formula has more than {MAX_TERMS} terms. Name fewer, or cross fewer of them.")
    return terms


def _error(text: str, place: int, what: str) -> StudyError:
    return StudyError(f"Formula {_quote(text)}, character {place + 1}: {what}. {ALLOWED}")


def _quote(text: str) -> str:
    """The formula as one short readable line."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return f'"{line[:120]}…"' if len(line) > 120 else f'"{line}"'
