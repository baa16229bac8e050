"""Factor models fitted to answers with gaps by full-information maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smstudy.inference.factor_models.admissible import inverse, refuse_improper
from smstudy.inference.factor_models.fitted import ChiSquare, Fitted, Sample
from smstudy.inference.factor_models.likelihood import (
    Pieces,
    complete_pieces,
    discrepancy,
    first_order,
    information,
    minimize,
    pieces_of,
)
from smstudy.inference.factor_models.normal_theory import (
    degrees_of_freedom,
    refuse_unusable,
    saturated_discrepancy,
    scaled_by,
)
from smstudy.inference.factor_models.starts import oriented, started
from smstudy.inference.factor_models.structures import Structure, measurement_model
from smstudy.inference.incomplete import normal_moments
from smstudy.inference.threads import one_thread

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FittedIncomplete(Fitted):
    """A factor model fitted to answers with gaps.

    Attributes
    ----------
    complete_test, complete_baseline : ChiSquare
        The same tests as if nothing were missing, with their scale: what fit indices of incomplete answers are made of.

    References
    ----------
    Zhang & Savalei (2023), Psychological Methods 28, 263-283 (their FIML-C, version 3).
    """

    complete_test: ChiSquare
    complete_baseline: ChiSquare


def fit_fiml(structure: Structure, answers: Sequence[Floats]) -> FittedIncomplete:
    """Fit a factor model by maximum likelihood to all answers there are, with robust standard errors and test.

    Respondents count with the items they answered (full information); unbiased if answers are missing at random.
    Respondents without any answer are left out.

    Parameters
    ----------
    structure : Structure
        The model.
    answers : sequence of ndarray, length g, each of shape (n, p)
        Answers of each group; NaN is a gap.

    Raises
    ------
    EstimationError, DataError
        As for `fit_ml`; also if means and covariances cannot be told from the answers at hand.

    References
    ----------
    Yuan & Bentler (2000), Sociological Methodology 30, 165-200. Agrees with R
    lavaan::cfa(estimator = "MLR", missing = "fiml") (tests/reference/confirmatory.R).
    """
    samples = [_expected_sample(each) for each in answers]
    refuse_unusable(structure, samples)
    with one_thread():
        pieces, rows = pieces_of(answers)
        found = minimize(started(structure, samples), pieces)
        parameters = oriented(structure, found.parameters)
        refuse_improper(structure, parameters, found.distance)
        whole = _saturated(samples, answers)
        fit = _judge(whole, structure, parameters, pieces, rows)
        alone = _judge(whole, *_independence(structure, pieces), pieces, rows)
    n_answers = float((pieces.n @ pieces.seen).sum())
    return FittedIncomplete(
        structure=structure,
        parameters=parameters,
        sampling=fit.sampling,
        test=fit.test,
        baseline=alone.test,
        observed=tuple(samples),
        estimator="FIML",
        log_likelihood=-(float(pieces.n.sum()) * found.value + n_answers * float(np.log(2 * np.pi))) / 2,
        complete_test=fit.complete_test,
        complete_baseline=alone.complete_test,
    )


class _Judged(NamedTuple):
    """A model held against the saturated one; `sampling` is the robust covariance of its parameters."""

    sampling: Floats
    test: ChiSquare
    complete_test: ChiSquare


class _Group(NamedTuple):
    """The saturated model of one group, its parameters covariances and then means.

    `information` A and `meat` B of the answers there are, `complete` W the information if none were missing: all
    weighted with the share of the group. `ratio` is the inverse of A times B.
    """

    information: Floats
    meat: Floats
    complete: Floats
    ratio: Floats


class _Saturated(NamedTuple):
    """The model that restricts nothing, at the estimates of all groups."""

    samples: Sequence[Sample]
    value: float
    groups: Sequence[_Group]


def _expected_sample(answers: Floats) -> Sample:
    """Moments from answers with gaps by maximum likelihood."""
    moments = normal_moments(answers)
    return Sample(moments.covariance, moments.mean, int((~np.isnan(answers)).any(axis=1).sum()))


def _saturated(samples: Sequence[Sample], answers: Sequence[Floats]) -> _Saturated:
    model = _unrestricted(len(samples[0].means))
    rows, columns = _cells(len(samples[0].means))
    n, value, groups = sum(sample.n for sample in samples), 0.0, []
    for sample, each in zip(samples, answers, strict=True):
        at = np.concatenate([sample.covariances[rows, columns], sample.means])
        pieces, answered = pieces_of([each])
        share = sample.n / n
        value += share * discrepancy(model, pieces, at)
        known = share * information(model, pieces, at, "observed")
        meat = share * first_order(model, pieces, answered, at)
        complete = share * information(model, complete_pieces([sample]), at, "expected")
        groups.append(_Group(known, meat, complete, inverse(known, model) @ meat))
    return _Saturated(samples, value, groups)


def _unrestricted(p: int) -> Structure:
    """One group with a free covariance for every pair of items."""
    names = [str(i) for i in range(p)]
    pairs = [(names[row], names[column]) for row, column in zip(*_cells(p), strict=True) if row != column]
    return measurement_model(names, {}, correlated_errors=pairs)


def _cells(p: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Variances, then covariances: the order of the parameters of the unrestricted model."""
    rows, columns = np.tril_indices(p, -1)
    return np.concatenate([np.arange(p), rows]), np.concatenate([np.arange(p), columns])


def _independence(structure: Structure, pieces: Pieces) -> tuple[Structure, Floats]:
    """The model in which items do not covary, at its estimates: variances and means of the answers there are."""
    at = []
    for group in range(structure.n_groups):
        mine = Pieces(*(part[pieces.groups == group] for part in pieces))
        n = mine.n @ mine.seen
        means = mine.n @ mine.means / n
        squares = np.diagonal(mine.covariances, axis1=1, axis2=2) + mine.seen * (mine.means - means) ** 2
        at += [mine.n @ squares / n, means]
    return measurement_model(structure.items, {}, n_groups=structure.n_groups), np.concatenate(at)


def _judge(whole: _Saturated, structure: Structure, at: Floats, pieces: Pieces, rows: Sequence[Floats]) -> _Judged:
    bread = inverse(information(structure, pieces, at, "observed"), structure)
    meat = first_order(structure, pieces, rows, at)
    n, df = float(pieces.n.sum()), degrees_of_freedom(structure)
    trace = sum(float(np.trace(group.ratio)) for group in whole.groups) - float((bread * meat).sum())
    statistic = float(n * (discrepancy(structure, pieces, at) - whole.value))
    complete = n * (discrepancy(structure, complete_pieces(whole.samples), at) - saturated_discrepancy(whole.samples))
    return _Judged(
        bread @ meat @ bread / n,
        scaled_by(ChiSquare(max(statistic, 0.0), df), trace),
        scaled_by(ChiSquare(max(float(complete), 0.0), df), _complete_trace(whole, structure, at)),
    )


def _complete_trace(whole: _Saturated, structure: Structure, at: Floats) -> float:
    """Trace of U A^-1 W A^-1 U G with U = A - A D (D'AD)^-1 D'A, slopes D of the moments and G = A^-1 B A^-1."""
    slopes, q = structure.slopes(at), structure.n_parameters
    places = _cells(len(structure.items))
    known, complete, meat, mixed = np.zeros((4, q, q))
    total = 0.0
    for number, group in enumerate(whole.groups):
        moved = np.concatenate([slopes.elements(number, q, *places), slopes.mean_elements(number, q)])
        known += moved.T @ group.information @ moved
        complete += moved.T @ group.complete @ moved
        meat += moved.T @ group.meat @ moved
        mixed += moved.T @ group.complete @ group.ratio @ moved
        total += float(np.sum(np.linalg.solve(group.information, group.ratio.T) * group.complete))
    inner = inverse(known, structure)
    return total - 2 * float(np.trace(inner @ mixed)) + float(np.trace(inner @ complete @ inner @ meat))
