"""Numbers as APA 7 writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pandas as pd

from smstudy.vocabulary import AUGMENT, GLANCE, NAMES, TIDY, Column, Kind

EMPTY = "–"
MINUS = "−"
MOST_DECIMALS = 4


def number(value: float, digits: int = 2) -> str:
    """Write a number with a fixed number of decimals and a true minus sign; from ten million on with an exponent.

    >>> number(-0.3456)
    '−0.35'
    """
    if _absent(value):
        return EMPTY
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    if digits and abs(value) >= 1e7:
        return f"{value:.{digits}e}".replace("-", MINUS)
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text.replace("-", MINUS)


def change(value: float, digits: int = 2) -> str:
    """Write a difference: with more decimals, four at most, where fewer would show nothing.

    >>> change(-0.0042), change(0.25), change(0.0)
    ('−0.004', '0.25', '0.00')
    """
    written = (number(value, more) for more in range(digits, MOST_DECIMALS + 1))
    return next((text for text in written if text.strip("0.")), number(value, digits))


def bounded(value: float, digits: int = 2) -> str:
    """Write a number that cannot exceed 1 without its leading zero.

    >>> bounded(0.873), bounded(-0.2), bounded(1.0)
    ('.87', '−.20', '1.00')
    """
    written = number(value, digits)
    return written.replace("0.", ".", 1) if written.startswith(("0.", MINUS + "0.")) else written


def p_value(value: float) -> str:
    """Write a p value: three decimals, or less than .001.

    >>> p_value(0.0341), p_value(1e-9)
    ('.034', '< .001')
    """
    if _absent(value):
        return EMPTY
    return "< .001" if value < 0.001 else bounded(value, 3)


def count(value: float) -> str:
    """Write a whole number.

    >>> count(1204.0)
    '1,204'
    """
    return number(value, 0)


def share(value: float) -> str:
    """Write a share as a whole percentage.

    >>> share(0.6251)
    '63 %'
    """
    return EMPTY if _absent(value) else f"{number(100 * value, 0)} %"


def degrees(value: float) -> str:
    """Write degrees of freedom: whole when they are whole, else one decimal."""
    return EMPTY if _absent(value) else count(value) if float(value).is_integer() else number(value, 1)


def interval(low: float, high: float, digits: int = 2) -> str:
    """Write a confidence interval.

    >>> interval(-0.1, 0.25)
    '[−0.10, 0.25]'
    """
    return EMPTY if _absent(low) or _absent(high) else f"[{number(low, digits)}, {number(high, digits)}]"


def text(value: object) -> str:
    """Write text as it is; nothing at all as a dash."""
    return EMPTY if _absent(value) else str(value)


WRITERS: dict[Kind, Callable[..., str]] = {
    "text": text,
    "number": number,
    "change": change,
    "bounded": bounded,
    "count": count,
    "share": share,
    "p_value": p_value,
    "df": degrees,
    "flag": lambda value: "yes" if value else "",
}


def column(name: str) -> Column:
    """Look a column up in the vocabulary; an unknown one is written as text under its own name."""
    return TIDY.get(name) or GLANCE.get(name) or AUGMENT.get(name) or Column(name, "", "text")


def write(name: str, value: object) -> str:
    """Write the value of a column of the vocabulary.

    >>> write("p_value", 0.2), write("n", 31.0)
    ('.200', '31')
    """
    return text(value) if isinstance(value, str) else WRITERS[column(name).kind](value)


def say(name: str, value: str, labels: Mapping[str, str]) -> str:
    """Write a text of a column; the name of a variable becomes its label.

    >>> say("term", "sup_1", {"sup_1": "Priority"}), say("stage", "consent", {"consent": "I agree"})
    ('Priority', 'consent')
    """
    return labels.get(value, value) if name in NAMES else value


def _absent(value: object) -> bool:
    return bool(pd.isna(value))
