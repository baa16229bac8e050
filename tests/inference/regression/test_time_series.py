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


def test_agrees_with_r():
    x = interrupted_design(24, 13)
    fit = least_squares(x, LOGINS, names=INTERRUPTED)
    assert usual_lags(24) == R["lag"]
    np.testing.assert_allclose(fit.coefficients, R["estimate"], rtol=1e-9)  # closed form
    std_error = np.sqrt(np.diag(newey_west(fit, lags=R["lag"])))
    np.testing.assert_allclose(std_error, R["std_error"], rtol=1e-8)  # the same sums
    _, statistic, p_value = breusch_godfrey(x, fit.residuals)
    np.testing.assert_allclose([statistic, p_value], [R["bg"], R["bg_p"]], rtol=1e-8)  # as above


def test_without_lags_it_is_robust_to_unequal_variances():
    x = interrupted_design(24, 13)
    fit = least_squares(x, LOGINS, names=INTERRUPTED)
    plain = robust(fit.influence, fit.residuals, fit.hat, "HC1")
    np.testing.assert_allclose(newey_west(fit, lags=0), plain, rtol=1e-10)  # the same sums in another order


def test_autoregressive_errors_agree_with_gls():
    found = autoregressive(interrupted_design(24, 13), LOGINS, names=INTERRUPTED)
    np.testing.assert_allclose(found.alike, R["rho"], rtol=1e-5)  # both searches stop where the likelihood is flat
    np.testing.assert_allclose(found.coefficients, R["ar_estimate"], rtol=1e-5)  # as above
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), R["ar_error"], rtol=1e-5)  # as above


def test_autoregressive_errors_hold_their_level_about():
    """No jump, 24 waves, neighbors alike by .4: 200 series."""
    rng, x, rejected = np.random.default_rng(7), interrupted_design(24, 12), 0
    for _ in range(200):
        errors = lfilter([1.0], [1.0, -0.4], rng.normal(size=54))
        with one_thread():
            found = autoregressive(x, errors[30:], names=INTERRUPTED)
        statistic = abs(found.coefficients[2]) / np.sqrt(found.covariance[2, 2])
        rejected += 2 * stats.t.sf(statistic, found.df[2]) < 0.05
    assert rejected / 200 < 0.13  # 7 to 8 % in 500 series; 3 standard errors of 200
