"""What the estimators of factor models hand back, whichever way they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.structures import Moments, Structure

Floats = NDArray[np.float64]


class Sample(NamedTuple):
    """Observed moments of one group: covariances with divisor n, shape (p, p), means, shape (p,), respondents."""

    covariances: Floats
    means: Floats
    n: int


@dataclass(frozen=True)
class ChiSquare:
    """A test of fit: `statistic` under normal theory, and how it is corrected.

    Attributes
    ----------
    statistic : float
        Uncorrected.
    df : int
        Degrees of freedom.
    scale, shift : float
        The corrected statistic is statistic / scale + shift.
    """

    statistic: float
    df: int
    scale: float = 1.0
    shift: float = 0.0

    @property
    def corrected(self) -> float:
        """The statistic that is compared with chi-squared.

        >>> ChiSquare(30.0, 10, scale=1.5, shift=2.0).corrected
        22.0
        """
        return self.statistic / self.scale + self.shift

    @property
    def p_value(self) -> float:
        """Probability of a statistic as large if the model holds; missing for a saturated model."""
        return float(stats.chi2.sf(self.corrected, self.df)) if self.df else float("nan")


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A factor model with its estimates.

    Attributes
    ----------
    structure : Structure
        The model.
    parameters : ndarray, shape (q,)
        Estimates of its free parameters.
    sampling : ndarray, shape (q, q)
        Their covariance over samples.
    test, baseline : ChiSquare
        Fit of the model, and of the one in which items do not covary.
    observed : sequence of Sample, length g
        What was fitted; for ordinal answers polychoric correlations.
    estimator : str
        "ML", "MLR", "FIML" or "WLSMV".
    log_likelihood : float
        At the estimates; missing where there is none.
    """

    structure: Structure
    parameters: Floats
    sampling: Floats = field(repr=False)
    test: ChiSquare
    baseline: ChiSquare
    observed: Sequence[Sample] = field(repr=False)
    estimator: str
    log_likelihood: float = float("nan")

    @property
    def n(self) -> int:
        """Respondents of all groups."""
        return sum(sample.n for sample in self.observed)

    @property
    def implied(self) -> Moments:
        """Moments that the model implies at the estimates."""
        return self.structure.moments(self.parameters)


def scaled_difference(restricted: Fitted, free: Fitted) -> ChiSquare:
    """Test a model fitted by maximum likelihood against one in which it is nested; scaled where their tests are.

    Raises
    ------
    EstimationError
        If the scale of the difference is not positive.

    References
    ----------
    Satorra & Bentler (2001), Psychometrika 66, 507-514. Agrees with R lavaan::lavTestLRT
    (tests/reference/invariance.R, validity.R, confirmatory.R).
    """
    df = restricted.test.df - free.test.df
    scale = (restricted.test.df * restricted.test.scale - free.test.df * free.test.scale) / df
    if not scale > 0:
        raise EstimationError(
            "The scale of the robust difference test is not positive: there are too few respondents for it. "
            'Use estimator="ML", or collect more answers.'
        )
    return ChiSquare(max(restricted.test.statistic - free.test.statistic, 0.0), df, scale=scale)
