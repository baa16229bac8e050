"""Laws of `smstudy.inference.incomplete`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

from smstudy.errors import DataError, EstimationError
from smstudy.inference.incomplete import little_statistic, normal_moments

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "missing.json").read_text())
ITEMS = ["A1", "A2", "A3", "A4", "A5", "C1", "C2", "C3"]
DATA = {
    "air": pd.read_csv(REFERENCE / "missing_air.csv").to_numpy(float),
    "items": pd.read_csv(REFERENCE / "bfi.csv")[ITEMS].to_numpy(float),
}


def with_gaps(n=60, p=3, share=0.2, seed=1):
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(n, p)) @ rng.normal(size=(p, p))
    data[rng.random(data.shape) < share] = np.nan
    return data


@pytest.mark.parametrize("name", DATA)
def test_moments_agree_with_lavaan(name):
    ours, expected = normal_moments(DATA[name]), EXPECTED[name]
    np.testing.assert_allclose(ours.mean, expected["mean"], rtol=1e-6)  # lavaan's EM ends near 1e-7
    sizes = np.sqrt(np.diag(expected["covariance"]))
    gap = (ours.covariance - expected["covariance"]) / np.outer(sizes, sizes)
    assert np.abs(gap).max() < 1e-6  # as above, as correlations


@pytest.mark.parametrize("name", DATA)
def test_little_agrees_with_r(name):
    ours, expected = little_statistic(DATA[name]), EXPECTED[name]
    assert (ours.df, ours.n_patterns) == (expected["df"], expected["n_patterns"])
    assert ours.statistic == pytest.approx(expected["statistic"], rel=1e-5)  # from moments good to 1e-6
    assert ours.p_value == pytest.approx(expected["p_value"], rel=1e-4)  # p is steeper than the statistic


def test_little_gives_what_naniar_prints_for_airquality():
    ours = little_statistic(DATA["air"])
    assert (round(ours.statistic, 1), ours.df, round(ours.p_value, 5), ours.n_patterns) == (35.1, 14, 0.00142, 4)


def test_moments_are_a_maximum_of_the_likelihood():
    data = with_gaps(p=2)

    def minus_log_likelihood(theta):
        root = np.array([[np.exp(theta[2]), 0], [theta[3], np.exp(theta[4])]])
        mean, covariance = theta[:2], root @ root.T
        rows = [(row, ~np.isnan(row)) for row in data if not np.isnan(row).all()]
        return -sum(stats.multivariate_normal.logpdf(r[s], mean[s], covariance[np.ix_(s, s)]) for r, s in rows)

    best = minimize(minus_log_likelihood, np.zeros(5), method="BFGS").x
    root = np.array([[np.exp(best[2]), 0], [best[3], np.exp(best[4])]])
    ours = normal_moments(data)
    np.testing.assert_allclose(ours.mean, best[:2], atol=1e-4)  # BFGS with numerical slopes
    np.testing.assert_allclose(ours.covariance, root @ root.T, rtol=1e-3, atol=1e-4)  # as above


def test_moments_without_gaps_are_the_usual_ones():
    data = with_gaps(share=0.0)
    ours = normal_moments(data)
    np.testing.assert_allclose(ours.mean, data.mean(axis=0), rtol=1e-12)  # one step
    np.testing.assert_allclose(ours.covariance, np.cov(data.T, bias=True), rtol=1e-10)  # one step


def test_units_of_measurement_do_not_matter():
    data = with_gaps()
    one, other = little_statistic(data), little_statistic(data * [1e-4, 1.0, 1e5] + [3.0, 0.0, 1e6])
    assert other.statistic == pytest.approx(one.statistic, rel=1e-7)  # standardized first; 1e6 + x loses 6 digits


def test_little_by_hand_for_one_gap_column():
    rng = np.random.default_rng(5)
    data = np.column_stack([rng.normal(size=80), rng.normal(size=80)])
    data[:30, 1] = np.nan
    moments = normal_moments(data)
    groups = data[:30, :1], data[30:]
    by_hand = sum(
        len(part) * (d := part.mean(axis=0) - moments.mean[:k]) @ np.linalg.inv(moments.covariance[:k, :k]) @ d
        for k, part in zip((1, 2), groups, strict=True)
    )
    ours = little_statistic(data)
    assert ours.df == 1 and ours.statistic == pytest.approx(by_hand, rel=1e-8)  # same moments, other arithmetic


def test_little_holds_its_level_when_answers_go_missing_at_chance_and_speaks_when_not():
    rng = np.random.default_rng(11)
    chance, planted = [], []
    for _ in range(100):
        data = rng.normal(size=(300, 3)) @ np.array([[1, 0.5, 0.4], [0, 1, 0.3], [0, 0, 1]])
        at_chance, by_first = data.copy(), data.copy()
        at_chance[rng.random(300) < 0.2, 1] = np.nan
        at_chance[rng.random(300) < 0.2, 2] = np.nan
        by_first[rng.random(300) < 1 / (1 + np.exp(1.5 - data[:, 0])), 1] = np.nan
        chance.append(little_statistic(at_chance).p_value < 0.05)
        planted.append(little_statistic(by_first).p_value < 0.05)
    assert np.mean(chance) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)  # three simulation errors above the level
    assert np.mean(planted) > 0.95  # means differ by about one standard deviation


def test_effect_size_does_not_grow_with_the_sample():
    rng = np.random.default_rng(3)
    found = []
    for n in (400, 6400):
        data = rng.normal(size=(n, 2))
        data[data[:, 0] > rng.normal(size=n) + 1, 1] = np.nan
        found.append(little_statistic(data).effect_size)
    assert found[0] == pytest.approx(found[1], rel=0.2)  # simulation error of the smaller sample, about 0.07


def test_hostile_tables_are_refused_in_words():
    data = with_gaps()
    with pytest.raises(DataError, match="no patterns"):
        little_statistic(with_gaps(share=0.0))
    with pytest.raises(DataError, match="answers that vary"):
        little_statistic(np.column_stack([data, np.ones(len(data))]))
    with pytest.raises(DataError, match="answers that vary"):
        little_statistic(np.column_stack([data, np.full(len(data), np.nan)]))
    with pytest.raises(DataError, match="need more than"):
        little_statistic(data[:3])
    with pytest.raises(EstimationError, match="determine each other"):
        little_statistic(np.column_stack([data, data[:, 0] * 2]))
