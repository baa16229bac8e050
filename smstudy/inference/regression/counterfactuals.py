"""Designs in which one variable is changed for everybody and all else stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.errors import DataError
from smstudy.inference.regression.design import INTERCEPT, TRANSFORMS, Design
from smstudy.inference.regression.formula import Factor, Formula

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
NUDGE = 1e-20
NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Basis:
    """How the columns of a design follow from the variables.

    Attributes
    ----------
    design : Design
    factors : tuple of Factor
        Of the formula.
    numbers : mapping
        Values of each variable that enters as a number, each of shape (n,).
    """

    design: Design = field(repr=False)
    factors: tuple[Factor, ...]
    numbers: Mapping[str, Array] = field(repr=False)

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables of the right side, in order."""
        return tuple(dict.fromkeys(factor.column for factor in self.factors))

    def placed(self, *, numbers: Mapping[str, float] = NOTHING, levels: Mapping[str, int] = NOTHING) -> Array:
        """The design if everybody had these values of numbers and these levels of categorical variables, shape (n, p).

        What the formula does not have is passed over.
        """
        n = len(self.design.y)
        values = {name: np.full(n, float(to)) for name, to in numbers.items() if name in self.numbers}
        codes = {name: np.full(n, to, dtype=np.intp) for name, to in levels.items()}
        return self._columns(self._values({**self.numbers, **values}), codes)

    def slope(self, variable: str) -> Array:
        """How the design changes per unit of a number, shape (n, p): exact, by a step along the imaginary axis.

        Raises
        ------
        DataError
            If the slope is infinite, as that of a square root at 0.
        """
        moved = self._values({**self.numbers, variable: self.numbers[variable] + 1j * NUDGE})
        slopes = np.imag(self._columns(moved, {})) / NUDGE
        if (
            any(f.transform == "sqrt" and f.column == variable for f in self.factors)
            and not self.numbers[variable].all()
        ):
            raise DataError(f'The effect of "{variable}" is infinite where it is 0, because of sqrt(). Use log1p().')
        return slopes

    def _values(self, numbers: Mapping[str, Array]) -> dict[str, Array]:
        """Every numeric factor by its label; means and spreads stay those of the fit."""
        known = [factor for factor in self.factors if factor.column in numbers and factor.transform != "C"]
        return {factor.label: _transformed(factor, numbers, self.numbers[factor.column]) for factor in known}

    def _columns(self, values: Mapping[str, Array], codes: Mapping[str, Codes]) -> Array:
        made = []
        for parts in self.design.parts:
            column: Array | float = 1.0
            for name, level in parts:
                column = column * (self._has(name, level, codes) if level else values.get(name, 1.0))
            made.append(np.broadcast_to(column, len(self.design.y)))
        return np.column_stack(made)

    def _has(self, variable: str, level: str, codes: Mapping[str, Codes]) -> Array:
        levels = self.design.levels[variable]
        return (codes.get(variable, levels.codes) == levels.names.index(level)).astype(float)


def _transformed(factor: Factor, numbers: Mapping[str, Array], fitted: Array) -> Array:
    values = numbers[factor.column]
    if factor.transform in ("center", "scale"):
        return (values - fitted.mean()) / (fitted.std(ddof=1) if factor.transform == "scale" else 1.0)
    return TRANSFORMS[factor.transform](values)


def basis_of(formula: Formula, design: Design, complete: pd.DataFrame) -> Basis:
    """Tell how a design follows from the variables.

    Parameters
    ----------
    formula : Formula
    design : Design
        Built from it.
    complete : DataFrame
        The rows the design was built from.

    Raises
    ------
    DataError
        If a variable enters as a number and as a category at once.
    """
    labels = {name for parts in design.parts for name, level in parts if not level and name != INTERCEPT}
    numeric = {factor.column for factor in formula.factors if factor.label in labels}
    both = numeric & set(design.levels)
    if both:
        name = min(both)
        raise DataError(f'"{name}" is in the formula as a number and as C({name}): it cannot be changed alone.')
    return Basis(
        design=design,
        factors=formula.factors,
        numbers={name: complete[name].to_numpy(dtype=float) for name in sorted(numeric)},
    )
