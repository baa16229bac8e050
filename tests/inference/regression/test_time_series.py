"""Laws of `smstudy.inference.regression.time_series`: sandwich's Newey-West and lmtest's Breusch-Godfrey."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from scipy.signal import lfilter

from smstudy.inference.regression.covariance import robust
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.time_series import (
    INTERRUPTED,
    autoregressive,
    breusch_godfrey,
    interrupted_design,
    newey_west,
    usual_lags,
)
from smstudy.inference.threads import one_thread

REFERENCE = Path(__file__).parents[2] / "reference"
R = json.loads((REFERENCE / "pilots.json").read_text())["series"]
LOGINS = pd.read_csv(REFERENCE / "pilots_series.csv")["logins"].to_numpy()
MONTHS = np.arange(24.0) - 13
FLAT = {"rtol": 1e-5}  # both searches stop where the likelihood is flat


def test_agrees_with_r():
    x = interrupted_design(MONTHS)
    fit = least_squares(x, LOGINS, names=INTERRUPTED)
    assert usual_lags(24) == R["lag"]
    np.testing.assert_allclose(fit.coefficients, R["estimate"], rtol=1e-9)  # closed form
    std_error = np.sqrt(np.diag(newey_west(fit, lags=R["lag"])))
    np.testing.assert_allclose(std_error, R["std_error"], rtol=1e-8)  # the same sums
    _, statistic, p_value = breusch_godfrey(x, fit.residuals, np.ones(23))
    np.testing.assert_allclose([statistic, p_value], [R["bg"], R["bg_p"]], rtol=1e-8)  # as above


def test_without_lags_it_is_robust_to_unequal_variances():
    x = interrupted_design(MONTHS)
    fit = least_squares(x, LOGINS, names=INTERRUPTED)
    plain = robust(fit.influence, fit.residuals, fit.hat, "HC1")
    np.testing.assert_allclose(newey_west(fit, lags=0), plain, rtol=1e-10)  # the same sums in another order


def test_autoregressive_errors_agree_with_gls():
    found = autoregressive(interrupted_design(MONTHS), LOGINS, names=INTERRUPTED)
    np.testing.assert_allclose(found.alike, R["rho"], rtol=1e-5)  # both searches stop where the likelihood is flat
    np.testing.assert_allclose(found.coefficients, R["ar_estimate"], rtol=1e-5)  # as above
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), R["ar_error"], rtol=1e-5)  # as above


def test_autoregressive_errors_hold_their_level_about():
    """No jump, 24 waves, neighbors alike by .4: 200 series."""
    rng, x, rejected = np.random.default_rng(7), interrupted_design(np.arange(24.0) - 12), 0
    for _ in range(200):
        errors = lfilter([1.0], [1.0, -0.4], rng.normal(size=54))
        with one_thread():
            found = autoregressive(x, errors[30:], names=INTERRUPTED)
        statistic = abs(found.coefficients[2]) / np.sqrt(found.covariance[2, 2])
        rejected += 2 * stats.t.sf(statistic, found.df[2]) < 0.05
    assert rejected / 200 < 0.13  # 7 to 8 % in 500 series; 3 standard errors of 200


def agrees(found, expected):
    np.testing.assert_allclose(found.coefficients, expected["estimate"], **FLAT)
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), expected["error"], **FLAT)
    np.testing.assert_allclose(found.alike, expected["rho"], **FLAT)


def test_months_that_are_missing_and_unequal_steps_agree_with_gls():
    """`corCAR1`: the correlation falls with the time between rows."""
    kept = ~np.isin(np.arange(1, 25), [5, 6, 7, 19])
    time = MONTHS[kept]
    agrees(autoregressive(interrupted_design(time), LOGINS[kept], names=INTERRUPTED, steps=np.diff(time)), R["gapped"])
    month = np.arange(1, 25)
    later = MONTHS + 0.25 * (month % 2 == 0)
    x = interrupted_design(MONTHS)
    x[:, 1], x[:, 3] = later, later * x[:, 2]
    other = LOGINS + 3 * np.sin(month / 3)
    agrees(autoregressive(x, other, names=INTERRUPTED, steps=np.diff(later)), R["uneven"])


def test_means_of_unequal_numbers_of_people_agree_with_gls():
    """`varConstProp`: a variance that is the same at all times, and one that falls with the number of people."""
    x = interrupted_design(MONTHS)
    agrees(autoregressive(x, LOGINS, names=INTERRUPTED, people=np.array(R["size"], float)), R["people"])


def test_people_count_only_where_their_number_differs():
    x = interrupted_design(MONTHS)
    plain = autoregressive(x, LOGINS, names=INTERRUPTED)
    for people in (np.full(24, 7.0), np.linspace(90, 120, 24)):
        same = autoregressive(x, LOGINS, names=INTERRUPTED, people=people)
        np.testing.assert_array_equal(same.coefficients, plain.coefficients)
        np.testing.assert_array_equal(same.df, plain.df)


def test_few_people_on_one_side_do_not_look_like_an_effect():
    """Only sampling error, means of 6 people in 4 waves and of 600 in 12: errors as if alike reject in 60 %."""
    people, time, rejected = np.repeat([6.0, 600.0], [4, 12]), np.arange(16.0) - 4, np.zeros(2)
    x = interrupted_design(time)
    for seed in range(60):
        y = np.random.default_rng(seed).normal(size=16) / np.sqrt(people)
        for k, counted in enumerate((people, None)):
            with one_thread():
                found = autoregressive(x, y, names=INTERRUPTED, people=counted)
            statistic = np.abs(found.coefficients / np.sqrt(np.diag(found.covariance)))[2:]
            rejected[k] += (2 * stats.t.sf(statistic, found.df[2:])).min() * 2 < 0.05
    assert rejected[0] / 60 < 0.15  # 5 % and 3 standard errors of 60
    assert rejected[1] / 60 > 0.35  # what is mended
