"""Laws of extraction: R's minima, brute force, special cases that must collapse, refusals, a planted truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from smstudy.errors import EstimationError
from smstudy.inference.psychometrics.extraction import (
    HeywoodError,
    check_identified,
    degrees_of_freedom,
    extract,
    judge_fit,
)
from smstudy.inference.psychometrics.rotation import rotate

HERE = Path(__file__).parents[2] / "reference"
SHARED = Path(__file__).parents[4] / "shared" / "data"
R = json.loads((HERE / "factors.json").read_text(encoding="utf-8"))["cases"]
FILES = {
    "bfi": HERE / "bfi_complete.csv",
    "holzinger": SHARED / "cfa" / "HolzingerSwineford1939.csv",
    "trello": SHARED / "trello_utaut2" / "utaut2_216.csv",
    "wiki4he": SHARED / "wiki4he" / "wiki4HE.csv",
}
CASES = list(FILES)
SIMPLE = np.kron(np.eye(3), np.array([[0.8], [0.7], [0.6], [0.5]]))


def correlations_of(case: str) -> np.ndarray:
    if not FILES[case].exists():
        pytest.skip(f"{FILES[case].name} is not here: it is kept outside the repository")
    answers = pd.read_csv(FILES[case], na_values="?")[R[case]["items"]].dropna()
    assert len(answers) == R[case]["n"]
    return np.corrcoef(answers.to_numpy(dtype=float), rowvar=False)


def implied(loadings: np.ndarray) -> np.ndarray:
    model = loadings @ loadings.T
    return model + np.diag(1 - np.diag(model))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", ["minres", "ml", "pa"])
def test_the_minima_are_those_of_r(case, method):
    correlations, expected = correlations_of(case), R[case][method]
    found = extract(correlations, R[case]["m"], method=method)
    # R stops at a slope of 4e-9 (L-BFGS-B), or when the sum of communalities moves less than 1e-12 ("pa")
    assert found.uniquenesses == pytest.approx(expected["uniquenesses"], abs=1e-6)
    assert np.abs(found.loadings) == pytest.approx(np.abs(expected["loadings"]), abs=1e-6)  # signs: see rotation


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", ["minres", "ml"])
def test_no_value_is_above_that_of_r(case, method):
    found = extract(correlations_of(case), R[case]["m"], method=method)
    assert found.discrepancy <= R[case][method]["objective"] + 1e-12  # rounding of a sum of p squares


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_psych_fa_as_far_as_it_goes(case):
    theirs = R[case]["minres"]["psych"]
    found = extract(correlations_of(case), R[case]["m"])
    assert found.discrepancy <= theirs["objective"] + 1e-12  # rounding
    assert found.uniquenesses == pytest.approx(theirs["uniquenesses"], abs=2e-3)  # psych::fa stops early


@pytest.mark.parametrize("case", CASES)
def test_fit_agrees_with_psych(case):
    correlations, expected = correlations_of(case), R[case]["fit"]
    fit = judge_fit(correlations, extract(correlations, R[case]["m"]), R[case]["n"])
    assert fit.df == expected["dof"]
    theirs = [expected[name] for name in ("statistic", "p", "rms", "tli", "bic")]
    ours = [fit.statistic, fit.p_value, fit.rmsr, fit.tli, fit.bic]
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-12)  # R's minimum is 4e-9 of a slope away
    assert fit.rmsea == pytest.approx(expected["rmsea"][0], rel=1e-6)
    # uniroot in R stops at .Machine$double.eps^0.25 = 1.2e-4 of a noncentrality of hundreds
    assert [fit.rmsea_low, fit.rmsea_high] == pytest.approx(expected["rmsea"][1:], abs=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_likelihood_ratio_agrees_with_factanal(case):
    correlations, expected = correlations_of(case), R[case]["ml"]
    fit = judge_fit(correlations, extract(correlations, R[case]["m"], method="ml"), R[case]["n"])
    assert fit.df == expected["dof"]
    assert fit.statistic == pytest.approx(expected["statistic"], rel=1e-6)  # as above


@pytest.mark.parametrize("method", ["minres", "ml"])
def test_no_other_uniquenesses_do_better(method):
    correlations = correlations_of("bfi")
    found = extract(correlations, 4, method=method)
    rng = np.random.default_rng(1)

    def value(loadings: np.ndarray) -> float:
        loadings = loadings.reshape(25, 4)
        model = loadings @ loadings.T
        np.fill_diagonal(model, 1.0)
        if method == "minres":
            return float(((correlations - model)[np.tril_indices(25, -1)] ** 2).sum())
        sign, log = np.linalg.slogdet(model)
        if sign <= 0:
            return np.inf
        return float(log + np.trace(np.linalg.solve(model, correlations)) - np.linalg.slogdet(correlations)[1] - 25)

    start = found.loadings + 0.02 * rng.standard_normal((25, 4))
    free = minimize(value, start.ravel(), method="L-BFGS-B", options={"maxiter": 40, "maxfun": 20_000})
    assert found.discrepancy <= free.fun + 1e-9  # rounding; a free search over all loadings finds nothing lower


@pytest.mark.parametrize("method", ["minres", "ml", "pa"])
def test_exact_factors_are_found_exactly(method):
    found = extract(implied(SIMPLE), 3, method=method)
    assert found.loadings @ found.loadings.T == pytest.approx(SIMPLE @ SIMPLE.T, abs=1e-8)  # steps end at 1e-10
    assert found.discrepancy == pytest.approx(0, abs=1e-12)  # squares of the above


def test_principal_axes_end_where_minres_does():
    correlations = correlations_of("bfi")
    axes, residuals = (extract(correlations, 3, method=method) for method in ("pa", "minres"))
    assert axes.uniquenesses == pytest.approx(residuals.uniquenesses, abs=1e-7)  # pa creeps: its steps end at 1e-10


def test_the_order_of_items_changes_nothing():
    correlations = correlations_of("bfi")
    order = np.random.default_rng(2).permutation(25)
    straight = extract(correlations, 5).uniquenesses
    assert extract(correlations[np.ix_(order, order)], 5).uniquenesses == pytest.approx(straight[order], abs=1e-9)


def test_degrees_of_freedom_count_correlations_minus_parameters():
    for p, m in ((9, 3), (25, 5), (6, 2)):
        assert degrees_of_freedom(p, m) == p * (p - 1) // 2 - (p * m - m * (m - 1) // 2)


def test_one_factor_of_three_items_is_saturated():
    loadings = np.array([[0.5], [0.6], [0.7]])
    found = extract(implied(loadings), 1)
    fit = judge_fit(implied(loadings), found, 100)
    assert found.loadings == pytest.approx(loadings, abs=1e-8)  # steps end at 1e-11 of a slope
    assert fit.df == 0 and np.isnan(fit.tli) and fit.rmsr == pytest.approx(0, abs=1e-8)


# refusals


@pytest.mark.parametrize(("p", "m"), [(2, 1), (4, 2), (5, 3), (25, 19), (9, 0), (9, 2.5)])
def test_more_factors_than_the_items_carry_are_refused(p, m):
    with pytest.raises(EstimationError, match="too many|one factor or more"):
        check_identified(p, m)


def test_factors_that_are_not_there_are_refused():
    with pytest.raises(EstimationError, match="only 1 common factors|Heywood"):
        extract(implied(SIMPLE[:, :1] + SIMPLE[:, 1:2]), 4)


def test_a_repeated_item_is_refused():
    correlations = np.corrcoef(np.random.default_rng(3).standard_normal((50, 4)), rowvar=False)[[0, 1, 2, 3, 3]]
    with pytest.raises(EstimationError, match="not positive definite"):
        extract(correlations[:, [0, 1, 2, 3, 3]], 1)


@pytest.mark.parametrize("method", ["minres", "ml", "pa"])
def test_a_heywood_case_is_refused_and_names_its_item(method):
    correlations = np.array([[1, 0.8, 0.7], [0.8, 1, 0.5], [0.7, 0.5, 1]])  # the first loading would be 1.06
    with pytest.raises(HeywoodError, match="item 1") as refused:
        extract(correlations, 1, method=method)
    assert 0 in refused.value.places


# a planted truth


def test_three_planted_factors_are_recovered():
    rng = np.random.default_rng(4)
    factors = rng.standard_normal((4000, 3)) @ np.linalg.cholesky(0.7 * np.eye(3) + 0.3).T
    answers = factors @ SIMPLE.T + rng.standard_normal((4000, 12)) * np.sqrt(1 - (SIMPLE**2).sum(axis=1))
    turned = rotate(extract(np.corrcoef(answers, rowvar=False), 3).loadings)
    places = [int(np.argmax(np.abs(turned.loadings[4 * i]))) for i in range(3)]
    assert sorted(places) == [0, 1, 2]
    assert np.abs(turned.loadings[:, places] - SIMPLE).max() < 0.08  # 4 standard errors of about 0.02
    assert np.abs(turned.correlations[np.triu_indices(3, 1)] - 0.3).max() < 0.08  # the same
