"""Laws of ordinal logistic regression: R's values, special cases, refusals."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smstudy.errors import EstimationError
from smstudy.inference.regression.logistic import logistic
from smstudy.inference.regression.ordinal import nagelkerke_change, ordinal_fit

HERE = Path(__file__).parents[2] / "reference"
R = json.loads((HERE / "graded.json").read_text(encoding="utf-8"))["regressions"]


def planted(item: str) -> tuple[np.ndarray, np.ndarray]:
    frame = pd.read_csv(HERE / "graded_functioning.csv")
    match, in_b = frame[["q3", "q5"]].mean(axis=1), (frame["group"] == "b").astype(float)
    used = frame[item].notna()
    return np.column_stack([match, in_b, match * in_b])[used], frame.loc[used, item].to_numpy(int) - 1


@pytest.mark.parametrize("item", list(R))
def test_agrees_with_polr_and_clm(item):
    x, y = planted(item)
    fits = [ordinal_fit(x[:, :p], y, names=["match", "in_b", "product"][:p]) for p in range(4)]
    logs = [fit.log_likelihood for fit in fits]
    assert logs == pytest.approx(R[item]["log_likelihoods"], abs=1e-8)  # digits R wrote
    full = fits[-1]
    assert full.n == R[item]["n"]
    assert full.coefficients == pytest.approx(np.array(R[item]["coefficients"]), abs=1e-7)  # clm's gradTol is 1e-10
    assert full.thresholds == pytest.approx(np.array(R[item]["thresholds"]), abs=1e-7)
    assert np.sqrt(np.diag(full.covariance)) == pytest.approx(np.array(R[item]["errors"]), rel=1e-6)


def test_two_categories_give_logistic_regression():
    x, y = planted("q2")
    ordinal = ordinal_fit(x, (y > 2).astype(int), names=list("abc"))
    plain = logistic(np.column_stack([np.ones(len(x)), x]), (y > 2).astype(float), names=["(intercept)", *"abc"])
    assert ordinal.coefficients == pytest.approx(plain.coefficients[1:], abs=1e-9)  # two Newton searches of one maximum
    assert ordinal.thresholds[0] == pytest.approx(-plain.coefficients[0], abs=1e-9)
    assert ordinal.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-9)


def test_weights_stand_for_repeated_rows():
    x, y = planted("q4")
    times = np.arange(len(y)) % 3 + 1
    repeated = ordinal_fit(np.repeat(x, times, axis=0), np.repeat(y, times), names=list("abc"))
    weighted = ordinal_fit(x, y, names=list("abc"), weights=times.astype(float))
    assert weighted.coefficients == pytest.approx(repeated.coefficients, abs=1e-9)  # same sums in another order
    assert weighted.covariance == pytest.approx(repeated.covariance, abs=1e-9)


def test_turning_the_answers_round_turns_the_coefficients():
    x, y = planted("q2")
    fit, turned = (ordinal_fit(x, answers, names=list("abc")) for answers in (y, y.max() - y))
    assert turned.coefficients == pytest.approx(-fit.coefficients, abs=1e-9)  # same maximum
    assert turned.thresholds == pytest.approx(-fit.thresholds[::-1], abs=1e-9)


def test_a_column_that_tells_all_answers_is_refused_without_a_warning():
    y = np.repeat([0, 1, 2], 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EstimationError, match='separated: "x" tells'):
            ordinal_fit(y[:, None] + np.linspace(0, 0.4, 60)[:, None], y, names=["x"])


def test_columns_that_repeat_each_other_are_refused():
    x, y = planted("q2")
    with pytest.raises(EstimationError):
        ordinal_fit(x[:, [0, 0]], y, names=["a", "b"])


def test_the_change_of_r_squared_is_zero_without_a_rise_and_its_interval_starts_there():
    change, low, high = nagelkerke_change((-500.0, -400.0, -400.0), 400, 2, 0.95)
    assert (change, low) == (0.0, 0.0)
    assert high == 0.0  # a statistic of 0 is less likely than 2.5 % under no shift at all


def test_the_interval_of_the_change_covers_the_planted_one():
    rng, shift, inside = np.random.default_rng(1), 20.0, []
    for statistic in stats.ncx2.rvs(2, shift, size=400, random_state=rng):
        _, low, high = nagelkerke_change((-600.0, -500.0, -500.0 + statistic / 2), 500, 2, 0.95)
        truth = np.exp(-200 / 500) * -np.expm1(-shift / 500) / -np.expm1(-1200 / 500)
        inside.append(low <= truth <= high)
    assert 0.92 < np.mean(inside) < 0.98  # 400 exact 95 % intervals: standard error 1.1 %
