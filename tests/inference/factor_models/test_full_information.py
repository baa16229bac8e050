"""Laws of fits to answers with gaps; agreement with R is tested with the complete ones in test_normal_theory.py."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.errors import DataError, EstimationError
from smstudy.inference.factor_models.full_information import fit_fiml
from smstudy.inference.factor_models.normal_theory import fit_mlr
from smstudy.inference.factor_models.structures import measurement_model

ITEMS = [f"q{i}" for i in range(6)]
TWO = {"f": ITEMS[:3], "g": ITEMS[3:]}
LOADINGS = np.array([0.8, 0.7, 0.6, 0.8, 0.7, 0.6])


def planted(n: int, rng: np.random.Generator) -> np.ndarray:
    factors = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], n)[:, [0, 0, 0, 1, 1, 1]]
    return factors * LOADINGS + rng.normal(size=(n, 6)) * np.sqrt(1 - LOADINGS**2)


def test_without_gaps_it_is_robust_maximum_likelihood() -> None:
    answers = [planted(200, np.random.default_rng(seed)) for seed in (1, 2)]
    structure = measurement_model(ITEMS, TWO, n_groups=2)
    gaps, complete = fit_fiml(structure, answers), fit_mlr(structure, answers)
    # the moments of the saturated model settle at 1e-10
    assert gaps.parameters == pytest.approx(complete.parameters, abs=1e-7)
    assert gaps.sampling == pytest.approx(complete.sampling, abs=1e-7)
    for one, other in ((gaps.test, complete.test), (gaps.baseline, complete.baseline)):
        assert (one.statistic, one.scale) == pytest.approx((other.statistic, other.scale), rel=1e-6)
    assert gaps.complete_test.statistic == pytest.approx(gaps.test.statistic, rel=1e-6)
    assert gaps.complete_test.scale == pytest.approx(gaps.test.scale, rel=0.05)  # two estimates of the same trace


def test_respondents_without_any_answer_do_not_count() -> None:
    answers = planted(150, np.random.default_rng(3))
    answers[::4, 1] = np.nan
    with_empty = np.vstack([answers, np.full((9, 6), np.nan)])
    structure = measurement_model(ITEMS, TWO)
    one, other = fit_fiml(structure, [answers]), fit_fiml(structure, [with_empty])
    assert one.n == other.n == 150 and np.array_equal(one.parameters, other.parameters)


def test_gaps_that_depend_on_other_answers_leave_no_bias() -> None:
    rng = np.random.default_rng(4)
    answers = planted(6000, rng)
    answers[answers[:, 0] > 0.2, 1] = np.nan  # missing at random: who says yes to q0 skips q1
    structure = measurement_model(ITEMS, TWO)
    fitted = fit_fiml(structure, [answers])
    distance = np.abs(fitted.parameters[:6] - LOADINGS) / np.sqrt(np.diag(fitted.sampling)[:6])
    assert distance.max() < 3.5  # six normal deviates: one in 2000 samples is beyond
    means = fitted.parameters[structure.places["intercepts"][0, :, 0]]
    assert abs(means[1]) < 0.1  # the mean of the answers there are is -0.4


def test_the_test_keeps_its_size_with_gaps() -> None:
    rng, structure, rejected = np.random.default_rng(5), measurement_model(ITEMS, TWO), 0
    for _ in range(40):
        answers = planted(300, rng)
        answers[rng.random(answers.shape) < 0.1] = np.nan
        rejected += fit_fiml(structure, [answers]).test.p_value < 0.05
    assert rejected <= 8  # more than that in one of 3,000 such simulations if it is one in 20


def test_items_never_answered_together_are_refused() -> None:
    answers = planted(200, np.random.default_rng(6))
    answers[:100, 0], answers[100:, 1] = np.nan, np.nan
    with pytest.raises((EstimationError, DataError)):
        fit_fiml(measurement_model(ITEMS, TWO), [answers])
