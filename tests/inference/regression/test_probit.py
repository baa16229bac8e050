"""Probit regression agrees with R and is what it should be in special cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.regression.covariance import clustered, robust
from smstudy.inference.regression.probit import probit

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "event_counts.json").read_text(encoding="utf-8"))["probit"]
PEOPLE = pd.read_csv(FOLDER / "categories.csv").dropna()
X = np.column_stack(
    [np.ones(len(PEOPLE)), PEOPLE[["leadership", "trained"]], PEOPLE["role"] == "expert", PEOPLE["role"] == "manager"]
).astype(float)
Y = (PEOPLE["agree"] >= 4).to_numpy(float)
NAMES = ["(intercept)", "leadership", "trained", "expert", "manager"]
ITERATED = {"rtol": 1e-6, "atol": 1e-9}  # two iterations that stop at different places


def test_agrees_with_glm():
    fit = probit(X, Y, names=NAMES)
    np.testing.assert_allclose(fit.coefficients, REFERENCE["estimate"], **ITERATED)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.bread)), REFERENCE["classical"], **ITERATED)
    np.testing.assert_allclose(fit.hat[:5], REFERENCE["hat"], **ITERATED)
    assert fit.log_likelihood == pytest.approx(REFERENCE["log_likelihood"], rel=1e-10)  # flat at the maximum


def test_agrees_with_sandwich():
    fit, groups = probit(X, Y, names=NAMES), pd.factorize(PEOPLE["unit"])[0]
    hc0 = robust(fit.influence, fit.residuals, fit.hat, "HC0")
    cr1 = clustered(fit.influence, fit.residuals, groups, "CR1")
    np.testing.assert_allclose(np.sqrt(np.diag(hc0)), REFERENCE["HC0"], **ITERATED)
    np.testing.assert_allclose(np.sqrt(np.diag(cr1)), REFERENCE["CR1"], **ITERATED)


def test_weights_stand_for_repeated_rows():
    times = np.arange(len(Y)) % 3 + 1
    weighted = probit(X, Y, names=NAMES, weights=times.astype(float))
    repeated = probit(np.repeat(X, times, axis=0), np.repeat(Y, times), names=NAMES)
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, atol=1e-9)  # same sums in another order
    np.testing.assert_allclose(weighted.bread, repeated.bread, atol=1e-9)  # as above


def test_a_column_that_tells_the_outcome_is_refused():
    with pytest.raises(EstimationError, match="trained.* tells"):
        probit(np.column_stack([X[:, :2], Y]), Y, names=["(intercept)", "leadership", "trained"])
