"""Factor models fitted by maximum likelihood to complete, normally distributed answers.

`fit_ml` trusts normality; `fit_mlr` corrects standard errors and test for its absence. Answers with gaps:
`full_information`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.admissible import inverse, refuse_improper
from smstudy.inference.factor_models.fitted import ChiSquare, Fitted, Sample
from smstudy.inference.factor_models.likelihood import complete_pieces, first_order, information, minimize, pieces_of
from smstudy.inference.factor_models.starts import oriented, started
from smstudy.inference.factor_models.structures import FIXED, Structure
from smstudy.inference.threads import one_thread

Floats = NDArray[np.float64]

SMALLEST_EIGENVALUE = 1e-10


def fit_ml(structure: Structure, samples: Sequence[Sample]) -> Fitted:
    """Fit a factor model by maximum likelihood to complete answers, in one or several groups.

    Standard errors come from the expected information; the test is n times the discrepancy.

    Parameters
    ----------
    structure : Structure
        The model; free cells that are all zero get start values from the data.
    samples : sequence of Sample, length g
        Observed moments of each group.

    Raises
    ------
    EstimationError
        If the covariances are singular, there are more parameters than moments or respondents, the search does not
        end, the parameters are not identified, or the solution is improper (a residual variance of 0 or less, a
        correlation beyond 1).

    References
    ----------
    Joreskog (1969), Psychometrika 34, 183-202; Joreskog (1971), Psychometrika 36, 409-426, for several groups. Agrees
    with R lavaan::cfa(estimator = "ML") (tests/reference/confirmatory.R).

    Examples
    --------
    >>> from smstudy.inference.factor_models.structures import measurement_model
    >>> true = np.array([0.5, 0.6, 0.7, 0.8])
    >>> sample = Sample(np.outer(true, true) + np.diag(1 - true**2), np.zeros(4), 200)
    >>> fitted = fit_ml(measurement_model(list("abcd"), {"f": list("abcd")}), [sample])
    >>> fitted.parameters[:4].round(6).tolist()
    [0.5, 0.6, 0.7, 0.8]
    >>> fitted.test.df, round(fitted.test.statistic, 6)
    (2, 0.0)
    """
    refuse_unusable(structure, samples)
    with one_thread():
        pieces = complete_pieces(samples)
        found = minimize(started(structure, samples), pieces)
        parameters = oriented(structure, found.parameters)
        refuse_improper(structure, parameters, found.distance)
        sampling = inverse(information(structure, pieces, parameters, "expected"), structure) / pieces.n.sum()
    n, p = int(pieces.n.sum()), len(structure.items)
    statistic = n * (found.value - saturated_discrepancy(samples))
    return Fitted(
        structure=structure,
        parameters=parameters,
        sampling=sampling,
        test=ChiSquare(max(float(statistic), 0.0), degrees_of_freedom(structure)),
        baseline=_independence(samples),
        observed=tuple(samples),
        estimator="ML",
        log_likelihood=float(-n / 2 * (p * np.log(2 * np.pi) + found.value)),
    )


def fit_mlr(structure: Structure, answers: Sequence[Floats]) -> Fitted:
    """Fit a factor model by maximum likelihood, with standard errors and a test that do not need normality.

    Standard errors are sandwiches of observed information and casewise slopes; the test is scaled by Yuan and Bentler
    in the variant of Mplus.

    Parameters
    ----------
    structure : Structure
        The model.
    answers : sequence of ndarray, length g, each of shape (n, p)
        Complete answers of each group.

    Raises
    ------
    EstimationError
        As for `fit_ml`.

    References
    ----------
    Yuan & Bentler (2000), Sociological Methodology 30, 165-200; Asparouhov & Muthen (2005) for the variant. Agrees with
    R lavaan::cfa(estimator = "MLR") (tests/reference/confirmatory.R).
    """
    samples = [sample_of(each) for each in answers]
    plain = fit_ml(structure, samples)
    with one_thread():
        pieces, rows = pieces_of(answers)
        bread = inverse(information(structure, pieces, plain.parameters, "observed"), structure)
        meat = first_order(structure, pieces, rows, plain.parameters)
        saturated = sum(_mardia(each, sample) for each, sample in zip(answers, samples, strict=True))
    free = sum(_independence_trace(each, sample) for each, sample in zip(answers, samples, strict=True))
    return replace(
        plain,
        estimator="MLR",
        sampling=bread @ meat @ bread / plain.n,
        test=scaled_by(plain.test, saturated - float((bread * meat).sum())),
        baseline=scaled_by(plain.baseline, saturated - free),
    )


def degrees_of_freedom(structure: Structure) -> int:
    """Means and covariances of all groups minus parameters."""
    p = len(structure.items)
    return structure.n_groups * p * (p + 3) // 2 - structure.n_parameters


def n_counted(structure: Structure) -> int:
    """Parameters but for means that follow the data without restriction in a single group, as lavaan counts them."""
    p = len(structure.items)
    return structure.n_parameters - (p if means_are_free(structure) else 0)


def means_are_free(structure: Structure) -> bool:
    """Whether it is one group whose items have an intercept each and nothing else is said about means."""
    intercepts = structure.places["intercepts"]
    alone = len(np.unique(intercepts)) == intercepts.size and (intercepts != FIXED).all()
    return structure.n_groups == 1 and bool(alone and (structure.places["factor_means"] == FIXED).all())


def refuse_unusable(structure: Structure, samples: Sequence[Sample]) -> None:
    """Refuse models with more parameters than moments or respondents, and singular covariances."""
    refuse_too_rich(structure, sum(sample.n for sample in samples))
    for sample in samples:
        spread = np.sqrt(np.diag(sample.covariances))
        if not (spread > 0).all():
            constant = [name for name, each in zip(structure.items, spread, strict=True) if not each > 0]
            raise EstimationError(f"Everybody gave the same answer to {', '.join(constant)}. Leave it out.")
        correlations = sample.covariances / np.outer(spread, spread)
        if not np.isfinite(correlations).all() or np.linalg.eigvalsh(correlations)[0] < SMALLEST_EIGENVALUE:
            raise EstimationError(
                "The covariances of the items are not positive definite: an item follows from the others, or there are "
                "fewer respondents than items. Leave out the repeated item, or collect more answers."
            )


def refuse_too_rich(structure: Structure, n: int) -> None:
    """Refuse more parameters than the moments or the respondents can carry."""
    df, counted = degrees_of_freedom(structure), n_counted(structure)
    if df < 0:
        raise EstimationError(
            f"The model has {counted} parameters but the items have only {counted + df} variances, covariances and "
            "means to tell them, so it cannot be fitted (negative degrees of freedom). A factor alone needs three "
            "items; give it more items, or leave out a path."
        )
    if n < counted:
        raise EstimationError(
            f"There are fewer respondents than the model needs, {counted}: one for each of its parameters. Use fewer "
            "items or factors, or collect more answers."
        )


def sample_of(answers: Floats) -> Sample:
    """Moments of complete answers, shape (n, p)."""
    means = answers.mean(axis=0)
    return Sample((answers - means).T @ (answers - means) / len(answers), means, len(answers))


def saturated_discrepancy(samples: Sequence[Sample]) -> float:
    """The discrepancy of a model that reproduces the observed moments."""
    n = sum(sample.n for sample in samples)
    return sum(sample.n / n * (np.linalg.slogdet(sample.covariances)[1] + len(sample.means)) for sample in samples)


def scaled_by(test: ChiSquare, trace: float) -> ChiSquare:
    """The test with the scale that the trace of its statistic gives; a saturated model has none.

    Raises
    ------
    EstimationError
        If the trace is not positive.
    """
    if test.df == 0:
        return test
    if not trace > 0:
        raise EstimationError(
            "The scale of the robust test is not positive: there are too few respondents for this model. "
            'Use estimator="ML", or collect more answers.'
        )
    return replace(test, scale=trace / test.df)


def _independence(samples: Sequence[Sample]) -> ChiSquare:
    """Test of the model in which items have variances and means but do not covary."""
    p = len(samples[0].means)
    gaps = [
        sample.n * (np.log(np.diag(sample.covariances)).sum() - np.linalg.slogdet(sample.covariances)[1])
        for sample in samples
    ]
    return ChiSquare(float(sum(gaps)), len(samples) * p * (p - 1) // 2)


def _mardia(answers: Floats, sample: Sample) -> float:
    """Trace of the saturated model: slopes of single respondents against information, from Mardia's kurtosis."""
    rows = answers - sample.means
    squared = np.einsum("ij,ij->i", rows @ np.linalg.inv(sample.covariances), rows)
    p = len(sample.means)
    return float(((squared**2).mean() - p) / 2 + p)


def _independence_trace(answers: Floats, sample: Sample) -> float:
    """The same of the model in which items do not covary: the kurtosis of each item."""
    kurtosis = ((answers - sample.means) ** 4).mean(axis=0) / np.diag(sample.covariances) ** 2
    return float(((kurtosis - 1) / 2 + 1).sum())
