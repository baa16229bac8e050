from __future__ import annotations

import numpy as np
import pytest

from smstudy.inference.copula import (
    Margin,
    fit_copula,
    match_correlations,
    nearest_correlation,
    observed_margin,
    one_peak_margin,
)


def answers(seed: int, shift: float = 0.0, n: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    true = rng.standard_normal((n, 1)) + rng.standard_normal((n, 4))
    return 1.0 + np.searchsorted([-1.5, -0.5, 0.5, 1.5], true + shift)


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_samples_have_the_observed_correlations_and_margins(shift):
    sample = answers(1, shift)
    drawn = fit_copula(sample, observed_margin).draw(1, 200_000, np.random.default_rng(2))[0]
    off = np.abs(np.corrcoef(drawn, rowvar=False) - np.corrcoef(sample, rowvar=False)).max()
    assert off < 0.012  # 4 Monte-Carlo errors (.0022) and a series cut after TERMS
    np.testing.assert_allclose(drawn.mean(axis=0), sample.mean(axis=0), atol=0.015)  # 4 errors of a mean, SD 1.5


def test_halved_answers_follow_the_arcsine_law():
    coin = Margin(np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    target = np.array([[1.0, 0.4], [0.4, 1.0]])
    latent = match_correlations((coin, coin), target)[0, 1]
    assert latent == pytest.approx(np.sin(np.pi * 0.4 / 2), abs=1e-6)  # phi = 2/pi asin(r), exact; series converged


def test_independent_answers_stay_independent():
    margin = observed_margin(answers(3)[:, 0])
    assert match_correlations((margin, margin), np.eye(2))[0, 1] == pytest.approx(0, abs=1e-9)  # bisection step


def test_only_observed_answers_are_drawn():
    sample = answers(4, 1.0)
    drawn = fit_copula(sample).draw(3, 100, np.random.default_rng(1))
    assert drawn.shape == (3, 100, 4)
    assert set(np.unique(drawn)) <= set(np.unique(sample))


def test_one_peak_keeps_a_margin_that_has_one():
    column = np.repeat([1.0, 2, 3, 4, 5], [5, 10, 30, 12, 3])
    np.testing.assert_allclose(one_peak_margin(column).chances, observed_margin(column).chances, atol=1e-12)  # same


def test_one_peak_fills_the_valley_between_two_and_keeps_heaps_at_the_ends():
    column = np.repeat(np.arange(1.0, 10), [20, 5, 25, 4, 2, 4, 25, 5, 10])
    chances = one_peak_margin(column).chances
    inner = np.sign(np.diff(chances[1:-1]).round(12))
    signs = inner[inner != 0]
    assert (np.diff(signs) <= 0).all()
    assert chances[0] == 0.2 and chances[-1] == 0.1
    assert chances.sum() == pytest.approx(1, abs=1e-12)  # a distribution


def test_many_different_values_are_put_into_classes():
    margin = one_peak_margin(np.random.default_rng(1).standard_normal(300))
    assert len(margin.values) == 25 and margin.chances.sum() == pytest.approx(1, abs=1e-12)  # a distribution


def test_an_impossible_matrix_becomes_a_possible_one():
    impossible = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    mended = nearest_correlation(impossible)
    assert np.linalg.eigvalsh(mended)[0] > 0
    np.testing.assert_allclose(np.diag(mended), 1, atol=1e-12)  # rescaled
