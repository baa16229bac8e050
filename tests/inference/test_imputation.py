"""Laws of `smstudy.inference.imputation`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.imputation import chained_equations, chance_reduction, nearest, scale_reduction
from smstudy.inference.pooling import pool_estimates
from smstudy.inference.regression.least_squares import least_squares

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "missing.json").read_text())
MODELS = {"planted": ("A1", ["A2", "A3"]), "nhanes": ("chl", ["bmi", "age"])}


def completed(data, chains):
    for i in range(len(chains.means[0])):
        filled = data.copy()
        for j, values in enumerate(chains.values):
            filled[np.isnan(data[:, j]), j] = values[i]
        yield filled


def with_gaps(n=200, seed=1, share=0.2):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    data = np.column_stack([x, x + rng.normal(size=n), np.round(3 + x + rng.normal(size=n))])
    data[rng.random(n) < share, 1] = np.nan
    data[rng.random(n) < share, 2] = np.nan
    return data


def impute(data, **options):
    return chained_equations(data, **({"m": 5, "iterations": 5, "donors": 5, "seed": 1} | options))


@pytest.mark.parametrize("name", MODELS)
def test_distribution_agrees_with_mice(name):
    frame = pd.read_csv(REFERENCE / f"missing_{name}.csv")
    outcome, drivers = MODELS[name]
    data = frame.to_numpy(float)
    chains = impute(data, m=200, iterations=10, seed=5)
    found = []
    for filled in map(lambda d: pd.DataFrame(d, columns=frame.columns), completed(data, chains)):
        x = np.column_stack([np.ones(len(filled)), filled[drivers]])
        fit = least_squares(x, filled[outcome].to_numpy(), names=["constant", *drivers])
        variances = np.diag(fit.bread) * (fit.residuals @ fit.residuals) / (len(x) - 3)
        means = [filled[column] for column in EXPECTED[name]["means"]]
        found.append([*zip(fit.coefficients, variances), *((m.mean(), m.var() / len(m)) for m in means)])
    found = np.array(found)
    expected = [*EXPECTED[name]["coefficients"], *EXPECTED[name]["means"].values()]
    for (estimates, variances), wanted in zip(found.transpose(1, 2, 0), expected, strict=True):
        between = estimates.var(ddof=1)
        error = np.sqrt((between + wanted["between"]) / 200)
        assert abs(estimates.mean() - wanted["estimate"]) < 4 * error  # four simulation errors, 200 draws on each side
        assert variances.mean() == pytest.approx(wanted["within"], rel=0.1)  # hangs on the draws only weakly
        # a ratio of two variances from 200 draws each has a log standard error of sqrt(2 * 2 / 199) = 0.14
        assert abs(np.log(between / wanted["between"])) < 4 * 0.14


def test_pooled_intervals_cover_the_truth_under_missing_at_random():
    rng = np.random.default_rng(8)
    hits, estimates = 0, []
    for repeat in range(200):
        x = rng.normal(size=150)
        y = 0.5 * x + rng.normal(size=150)
        y[rng.random(150) < 1 / (1 + np.exp(0.8 - 1.2 * x))] = np.nan
        data = np.column_stack([x, y])
        sets = list(completed(data, impute(data, m=10, iterations=1, seed=repeat)))
        means = np.array([[d[:, 1].mean()] for d in sets])
        variances = np.array([[[d[:, 1].var(ddof=1) / 150]] for d in sets])
        pooled = pool_estimates(means, variances, 149.0)
        estimates.append(pooled.estimate.item())
        hits += abs(pooled.estimate.item() / pooled.std_error.item()) < 1.96
    assert abs(np.mean(estimates)) < 3 * np.std(estimates) / np.sqrt(200) + 0.02  # simulation error; pmm's small bias
    assert hits / 200 > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)  # three simulation errors below the level


def test_imputed_values_are_observed_ones():
    data = with_gaps()
    for j, values in enumerate(impute(data).values):
        assert set(np.unique(values)) <= set(data[~np.isnan(data[:, j]), j])


def test_the_same_seed_gives_the_same_and_another_seed_does_not():
    data = with_gaps()
    one, same, other = (impute(data, seed=seed).values[1] for seed in (3, 3, 4))
    assert (one == same).all() and (one != other).any()


def test_more_imputations_begin_with_the_fewer():
    data = with_gaps()
    assert (impute(data, m=7).values[2][:3] == impute(data, m=3).values[2]).all()


def test_input_stays_as_it_was():
    data = with_gaps()
    before = data.copy()
    impute(data)
    np.testing.assert_array_equal(data, before)


def test_units_of_measurement_do_not_matter():
    data = with_gaps()
    scale, shift = np.array([1.0, 1e6, 1e-3]), np.array([0.0, 5.0, 1e3])
    one, other = impute(data), impute(data * scale + shift)
    np.testing.assert_allclose(one.values[1] * 1e6 + 5, other.values[1], rtol=1e-9)  # the same donors


def test_a_perfect_predictor_gives_back_what_was_lost():
    x = np.arange(100.0)
    data = np.column_stack([x, 2 * x])
    data[[10, 50], 1] = np.nan
    values = impute(data, donors=1).values[1]
    assert np.abs(values - [20.0, 100.0]).max() <= 2.0  # the neighbour's value


def test_columns_that_repeat_each_other_are_imputed_all_the_same():
    data = with_gaps()
    doubled = np.column_stack([data, data[:, 0] * 3 + 1, data[:, 0]])
    assert np.isfinite(impute(doubled).values[1]).all()


def test_further_predictors_tell_groups_apart():
    rng = np.random.default_rng(2)
    group = np.repeat([0.0, 1.0], 100)
    y = 10 * group + rng.normal(size=200)
    y[::10] = np.nan
    data = np.column_stack([rng.normal(size=200), y])
    values = impute(data, also=group[:, None]).values[1]
    assert (values[:, :10] < 5).all() and (values[:, 10:] > 5).all()


def test_donors_are_among_the_nearest_and_ties_are_drawn_alike():
    rng = np.random.default_rng(3)
    observed = rng.normal(size=50)
    wanted = rng.normal(size=400)
    chosen = nearest(observed, wanted, 5, rng)
    distance = np.abs(observed[None, :] - wanted[:, None])
    rank = (distance < distance[np.arange(400), chosen][:, None]).sum(axis=1)
    assert rank.max() < 5 and len(np.unique(rank)) == 5
    drawn = np.concatenate([nearest(np.zeros(20), np.zeros(100), 3, rng) for _ in range(40)])
    shares = np.bincount(drawn, minlength=20) / 4000
    assert np.abs(shares - 0.05).max() < 0.02  # 4000 draws, standard error 0.0034; the edges of a window add a little


def test_fewer_answers_than_donors_still_give_one():
    assert set(nearest(np.array([1.0, 2.0]), np.zeros(50), 5, np.random.default_rng(1))) == {0, 1}


def test_scale_reduction_is_near_one_for_chains_of_one_kind_and_large_for_others():
    rng = np.random.default_rng(6)
    trace = rng.normal(size=(50, 20, 2))
    trace[:, :, 1] += 3 * np.arange(20)
    same, apart = scale_reduction(trace)
    assert same == pytest.approx(1, abs=0.05) and apart > 5  # 1000 independent draws


def test_settled_chains_exceed_the_limit_of_chance_in_one_of_a_hundred():
    traces = np.random.default_rng(3).normal(size=(5, 2, 20_000))
    exceeded = (scale_reduction(traces) > chance_reduction(5, 2, 1)).mean()
    assert exceeded == pytest.approx(0.01, abs=0.0025)  # 3.5 standard errors of a share of 20,000


def test_columns_that_cannot_be_predicted_are_refused_by_name():
    data = with_gaps()
    constant = np.where(np.isnan(data[:, 1]), np.nan, 4.0)
    with pytest.raises(EstimationError, match='"q2" has no answers that vary'):
        impute(np.column_stack([data[:, 0], constant]), names=["q1", "q2"])
    with pytest.raises(EstimationError, match='"q2" has too few answers'):
        few = np.where(np.arange(200) < 4, data[:, 0], np.nan)
        impute(np.column_stack([data[:, 0], few, data[:, 0] ** 2, data[:, 0] ** 3]), names=["q1", "q2", "q3", "q4"])
