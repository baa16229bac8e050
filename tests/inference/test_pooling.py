"""Laws of `smstudy.inference.pooling`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.pooling import barnard_rubin, pool_estimates, pooled_wald
from smstudy.inference.regression.least_squares import least_squares

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "pooling.json").read_text())


@pytest.fixture(scope="module")
def fits():
    """Coefficients and covariances of chl ~ bmi + age in the five imputations of nhanes."""
    stacked = pd.read_csv(REFERENCE / "pooling_nhanes.csv")
    estimates, covariances = [], []
    for number in range(1, 6):
        data = stacked[stacked[".imp"] == number]
        x = np.column_stack([np.ones(len(data)), data["bmi"], data["age"]])
        fit = least_squares(x, data["chl"].to_numpy(float), names=["constant", "bmi", "age"])
        estimates.append(fit.coefficients)
        covariances.append(fit.bread * (fit.residuals @ fit.residuals) / (len(data) - 3))
    return np.array(estimates), np.array(covariances)


def test_agrees_with_mice_pool(fits):
    pooled, expected = pool_estimates(*fits, 22.0), EXPECTED["nhanes"]
    ours = {
        "estimate": pooled.estimate, "std_error": pooled.std_error, "within": np.diag(pooled.within),
        "between": np.diag(pooled.between), "df": pooled.df, "riv": pooled.riv, "lambda": pooled.share_missing,
        "fmi": pooled.fmi,
    }  # fmt: skip
    for name, values in ours.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-8, err_msg=name)  # promised: 1e-8


def test_agrees_with_mice_d1(fits):
    estimates, covariances = fits
    pooled = pool_estimates(estimates[:, 1:], covariances[:, 1:, 1:])
    statistic, k, df, p = pooled_wald(pooled, 5, 22.0)
    expected = EXPECTED["nhanes_wald"]
    assert k == expected["df"]
    wanted = [expected["statistic"], expected["df_residual"], expected["p_value"]]
    np.testing.assert_allclose([statistic, df, p], wanted, rtol=1e-8)  # promised: 1e-8


def test_equal_imputations_give_the_complete_data_error():
    pooled = pool_estimates(np.ones((4, 2)), np.array([np.eye(2)] * 4), 30.0)
    assert pooled.std_error.tolist() == [1.0, 1.0] and pooled.riv.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(pooled.df, 31 / 33 * 30, rtol=1e-14)  # Barnard-Rubin at a share of 0, by definition


def test_large_complete_data_give_rubins_first_degrees_of_freedom():
    share = np.array([0.1, 0.4])
    np.testing.assert_allclose(barnard_rubin(share, 5), 4 / share**2, rtol=1e-14)  # the same formula
    np.testing.assert_allclose(barnard_rubin(share, 5, 1e12), 4 / share**2, rtol=1e-9)  # 400 / 1e12 is left


def test_no_missing_information_keeps_infinite_degrees_of_freedom():
    assert barnard_rubin(np.array([0.0]), 5).tolist() == [np.inf]


def test_degrees_of_freedom_never_exceed_those_of_the_complete_data():
    rng = np.random.default_rng(4)
    for df_complete in (5.0, 50.0):
        assert (barnard_rubin(rng.random(200), 20, df_complete) < df_complete).all()


def test_total_variance_is_the_sum_of_its_parts():
    rng = np.random.default_rng(1)
    estimates = rng.normal(size=(7, 3))
    within = np.array([np.cov(rng.normal(size=(3, 20))) for _ in range(7)])
    pooled = pool_estimates(estimates, within)
    by_hand = sum(within) / 7 + (1 + 1 / 7) * np.cov(estimates.T)
    np.testing.assert_allclose(pooled.covariance, by_hand, rtol=1e-12)  # two ways to add the same numbers


def test_a_test_of_one_term_is_its_squared_t():
    estimates, within = np.array([[1.0], [1.4], [0.7]]), np.full((3, 1, 1), 0.2)
    pooled = pool_estimates(estimates, within, 40.0)
    statistic, k, _, _ = pooled_wald(pooled, 3, 40.0)
    assert k == 1
    assert statistic == pytest.approx((pooled.estimate / pooled.std_error).item() ** 2, rel=1e-12)  # algebra


@pytest.mark.parametrize("m", [2, 3, 5, 8])
@pytest.mark.parametrize("df_complete", [12.0, np.inf])
def test_a_test_of_one_term_has_the_p_of_its_t_test(m, df_complete):
    estimates = np.random.default_rng(m).normal(1.0, 0.3, size=(m, 1))
    pooled = pool_estimates(estimates, np.full((m, 1, 1), 0.2), df_complete)
    _, _, df, p = pooled_wald(pooled, m, df_complete)
    t = (pooled.estimate / pooled.std_error).item()
    assert df == pytest.approx(pooled.df.item(), rel=1e-12)  # the same formula
    assert p == pytest.approx(2 * stats.t.sf(abs(t), pooled.df.item()), rel=1e-10)  # F(1, df) is t squared


def test_a_joint_test_never_has_more_degrees_of_freedom_than_the_complete_data():
    rng = np.random.default_rng(7)
    for m, k in ((4, 2), (3, 3), (5, 4)):
        estimates = 1 + 0.05 * rng.normal(size=(m, k))
        pooled = pool_estimates(estimates, np.array([np.eye(k)] * m))
        assert pooled_wald(pooled, m, 30.0)[2] < 30.0


@pytest.mark.parametrize(("m", "k"), [(2, 2), (3, 2), (2, 3), (2, 4)])
def test_too_few_imputations_for_a_joint_test_are_refused_with_how_many_are_enough(m, k):
    rng = np.random.default_rng(1)
    with pytest.raises(EstimationError, match="too few to test") as refused:
        pooled_wald(pool_estimates(rng.normal(size=(m, k)), np.array([np.eye(k)] * m)), m, 50.0)
    enough = int(str(refused.value).split("m = ")[1].split()[0])
    assert k * (enough - 1) > 4 >= k * (enough - 2)


def test_too_few_degrees_of_freedom_for_a_joint_test_are_refused():
    rng = np.random.default_rng(1)
    pooled = pool_estimates(rng.normal(size=(5, 2)), np.array([np.eye(2)] * 5))
    with pytest.raises(EstimationError, match="4 degrees of freedom.*cannot be tested together"):
        pooled_wald(pooled, 5, 4.0)


def test_a_test_with_few_imputations_or_without_missing_information_exists():
    same = pool_estimates(np.ones((2, 2)), np.array([np.eye(2)] * 2))
    assert pooled_wald(same, 2, 12.0)[2] == 12.0
    few = pool_estimates(np.array([[1.0, 2.0], [1.5, 1.0]]), np.array([np.eye(2)] * 2))
    assert np.isfinite(pooled_wald(few, 2)).all()
    assert np.isfinite(pooled_wald(pool_estimates(np.eye(4), np.array([np.eye(4)] * 4)), 4)[2])


def test_a_missing_estimate_stays_missing_and_touches_no_other():
    estimates = np.array([[1.0, np.nan], [3.0, 2.0]])
    pooled = pool_estimates(estimates, np.array([np.diag([1.0, np.nan])] * 2))
    assert pooled.std_error[0] == 2.0 and np.isnan(pooled.std_error[1])


def test_one_imputation_is_refused():
    with pytest.raises(EstimationError, match="at least 2"):
        pool_estimates(np.ones((1, 2)), np.ones((1, 2, 2)))


def test_terms_that_determine_each_other_are_not_tested_together():
    pooled = pool_estimates(np.array([[1.0, 1.0], [2.0, 2.0], [1.5, 1.5]]), np.ones((3, 2, 2)))
    with pytest.raises(EstimationError, match="determine each other"):
        pooled_wald(pooled, 3)
