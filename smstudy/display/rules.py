"""Rules that turn a number into a word, each with its source. The words are conventions, not laws."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Words for ranges of a number.

    Attributes
    ----------
    name : str
        What the rule is about.
    cuts : tuple of float
        Rising limits; a value on a limit belongs to the range above it.
    words : tuple of str
        One more word than limits.
    source : str
        Who proposed it.

    Examples
    --------
    >>> RELIABILITY.read(0.83)
    'good'
    """

    name: str
    cuts: tuple[float, ...]
    words: tuple[str, ...]
    source: str

    def read(self, value: float) -> str:
        """Give the word for a value; nothing can be said about a missing one."""
        return "cannot tell" if value != value else self.words[bisect_right(self.cuts, value)]


RELIABILITY = Rule(
    "reliability",
    (0.60, 0.70, 0.80, 0.95),
    ("too weak to use alone", "weak", "acceptable", "good", "very high: items repeat each other"),
    "Nunnally & Bernstein (1994), Psychometric Theory; top: Streiner (2003), J. Personality Assessment 80, 99-103",
)
STANDARDIZED = Rule(
    "standardized coefficient",
    (0.10, 0.20, 0.30),
    ("negligible", "small", "medium", "large"),
    "Gignac & Szodorai (2016), Personality and Individual Differences 102, 74-78, for correlations",
)
COLLINEARITY = Rule(
    "variance inflation",
    (5.0, 10.0),
    ("unproblematic", "high: drivers overlap", "very high: drivers cannot be told apart"),
    "O'Brien (2007), Quality & Quantity 41, 673-690, who warns against using it mechanically",
)
STABILITY = Rule(
    "cluster stability",
    (0.60, 0.75, 0.85),
    ("dissolves", "a pattern, no clear group", "stable", "highly stable"),
    "Hennig (2007), Computational Statistics & Data Analysis 52, 258-271",
)
EFFECT = Rule(
    "standardized difference",
    (0.20, 0.50, 0.80),
    ("negligible", "small", "medium", "large"),
    "Cohen (1988), Statistical Power Analysis, chapter 2",
)
ITEM_REST = Rule(
    "item-rest correlation",
    (0.30,),
    ("weak", "sufficient"),
    "Nunnally & Bernstein (1994), Psychometric Theory, chapter 8",
)
ONE_FACTOR = Rule(
    "misfit of one factor (RMSEA)",
    (0.05, 0.08, 0.10),
    ("close fit", "fair fit", "mediocre fit", "poor fit"),
    "MacCallum, Browne & Sugawara (1996), Psychological Methods 1, 130-149",
)
