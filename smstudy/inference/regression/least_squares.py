"""Least squares by QR on columns of length one, with the digits that are left known and refused when too few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from smstudy.display.prose import join_words
from smstudy.errors import EstimationError

Array = NDArray[np.float64]
DIGITS = 7
EPSILON = float(np.finfo(float).eps)
ALIASED = 1e-11
MOST_NAMED = 6


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """A least-squares fit of n respondents on p columns.

    Attributes
    ----------
    coefficients : array, shape (p,)
    residuals : array, shape (n,)
        Observed minus fitted.
    hat : array, shape (n,)
        Leverages, in [0, 1].
    basis : array, shape (n, p)
        Columns of length one at right angles that span those of the design.
    root : array, shape (p, p)
        Turns the basis into the influence: root @ basis' is (X'X)⁻¹X', and root @ root' is (X'X)⁻¹.
    """

    coefficients: Array
    residuals: Array
    hat: Array
    basis: Array
    root: Array

    @cached_property
    def influence(self) -> Array:
        """(X'X)⁻¹X', the pseudo-inverse, shape (p, n)."""
        return self.root @ self.basis.T

    @property
    def bread(self) -> Array:
        """(X'X)⁻¹, shape (p, p)."""
        return self.root @ self.root.T


def least_squares(x: Array, y: Array, *, names: Sequence[str]) -> LeastSquares:
    """Fit a linear model.

    Parameters
    ----------
    x : array, shape (n, p)
        One column per coefficient, the constant included.
    y : array, shape (n,)
        What is explained.
    names : sequence of str, length p
        What the columns are called in messages.

    Returns
    -------
    LeastSquares

    Raises
    ------
    EstimationError
        If a column is a combination of others (they are named), or the columns are so close to that that fewer than
        7 digits of the coefficients would be certain.

    References
    ----------
    Golub & Van Loan (2013), Matrix Computations, section 5.3; scaling: van der Sluis (1969), Numerische Mathematik 14,
    14-23. Agrees with R `lm` and with the NIST reference data sets for linear regression.

    Examples
    --------
    >>> x = np.column_stack([np.ones(4), np.arange(4.0)])
    >>> least_squares(x, np.array([1.0, 3.0, 5.0, 7.0]), names=["(intercept)", "x"]).coefficients.round(6).tolist()
    [1.0, 2.0]
    """
    lengths = np.linalg.norm(x, axis=0)
    if not lengths.all():
        _refuse_zero([name for name, length in zip(names, lengths, strict=True) if not length])
    q, r = qr(x / lengths, mode="economic")
    _refuse_aliased(x / lengths, r, names)
    root = solve_triangular(r, np.eye(len(r))) / lengths[:, None]
    coefficients = solve_triangular(r, q.T @ y) / lengths
    return LeastSquares(
        coefficients=coefficients,
        residuals=y - x @ coefficients,
        hat=np.clip((q**2).sum(axis=1), 0.0, 1.0),
        basis=q,
        root=root,
    )


def _refuse_zero(names: Sequence[str]) -> None:
    raise EstimationError(
        f"{join_words(names)}: no respondent has this combination, so no coefficient exists for it. "
        "Merge levels, or leave the interaction out."
    )


def _refuse_aliased(scaled: Array, r: Array, names: Sequence[str]) -> None:
    """Refuse columns that repeat others, or nearly."""
    pivots = np.abs(np.diag(r))
    if pivots.min() < ALIASED:
        first = int(np.flatnonzero(pivots < ALIASED)[0])
        involved = join_words(_partners(scaled, first, names))
        raise EstimationError(
            f'The coefficient of "{names[first]}" does not exist: the column is determined by {involved}. '
            "Remove one of them from the formula."
        )
    condition = float(np.linalg.cond(r))
    if condition * EPSILON > 10.0**-DIGITS:
        left = max(0, int(-np.log10(condition * EPSILON)))
        involved = join_words(_near(r, names))
        raise EstimationError(
            f"Only {left} digits of the coefficients would be certain, {DIGITS} are promised: {involved} nearly "
            f"determine each other (condition number {condition:.1e}). Remove one, or center powers and products."
        )


def _partners(scaled: Array, column: int, names: Sequence[str]) -> list[str]:
    weights = np.linalg.lstsq(scaled[:, :column], scaled[:, column], rcond=None)[0]
    partners = [f'"{names[j]}"' for j in np.flatnonzero(np.abs(weights) > 1e-6)]
    return partners if len(partners) <= MOST_NAMED else [*partners[: MOST_NAMED - 1], "further columns"]


def _near(r: Array, names: Sequence[str]) -> list[str]:
    """Columns with a share in the direction that the data hardly spread over, at most six."""
    weakest = np.abs(np.linalg.svd(r)[2][-1])
    strong = [j for j in np.argsort(-weakest, kind="stable") if weakest[j] > 0.05][:MOST_NAMED]
    return [f'"{names[j]}"' for j in sorted(strong)]
