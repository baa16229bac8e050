"""Coefficients in words that claim no more than a coefficient says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smstudy.display import rules
from smstudy.inference.regression.design import Design
from smstudy.inference.regression.formula import Formula, Term, term_label

Array = NDArray[np.float64]
POINT = "holds at one point only: see effects()"
CURVE = "part of a curve: see effects()"
PRODUCT = "slopes differ: see moderate()"
CROSSED = (
    "A term that is also part of a product is about those at 0, or in the reference group, of what it is crossed with"
)


def contexts(formula: Formula, design: Design) -> tuple[str, ...]:
    """Say of every column what its coefficient is about if it is not the slope for everybody; else "".

    >>> from smstudy.inference.regression.formula import parse_formula
    >>> from smstudy.inference.regression.design import build_design
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"y": np.arange(20.0) % 7, "x": np.arange(20.0) % 5, "m": np.arange(20.0) ** 2})
    >>> crossed = parse_formula("y ~ x * m")
    >>> contexts(crossed, build_design(crossed, frame, min_level_n=5))[2:]
    ('holds at one point only: see effects()', 'slopes differ: see moderate()')
    """
    terms = {term_label(term): term for term in formula.terms}
    return tuple(_context(terms[name], formula) if name in terms else "" for name in design.terms)


def _context(term: Term, formula: Formula) -> str:
    others = [factor for factor in formula.factors if factor not in term]
    if any(other.column == factor.column for other in others for factor in term):
        return CURVE
    if any(set(term) < set(larger) for larger in formula.terms):
        return POINT
    return PRODUCT if len(term) > 1 else ""


def size_words(design: Design, standardized: Array, shifts: Array) -> tuple[str, ...]:
    """Words for the size of coefficients, "" where there is none.

    Parameters
    ----------
    design : Design
    standardized : array, shape (p,)
        In standard deviations of the outcome per standard deviation of the driver; NaN where there is none.
    shifts : array, shape (p,)
        In standard deviations of the outcome: what a level or a driver of 0 and 1 is read by, as a difference of means.
    """
    return tuple(
        rules.EFFECT.read(abs(shift)) if two else "" if np.isnan(beta) else rules.STANDARDIZED.read(abs(beta))
        for two, beta, shift in zip(_two_valued(design), standardized, shifts, strict=True)
    )


def _two_valued(design: Design) -> list[bool]:
    """Whether a column is a level, or a number of 0 and 1, and no product."""
    return [
        len(parts) == 1 and (bool(parts[0][1]) or (numeric and bool(np.isin(column, (0.0, 1.0)).all())))
        for parts, numeric, column in zip(design.parts, design.numeric, design.x.T, strict=True)
    ]
