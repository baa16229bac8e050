"""Laws of fit indices: R's values, and what they are where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.inference.factor_models.fit_indices import close_fit, fit_indices, rmsea, rmsea_interval
from smstudy.inference.factor_models.fitted import ChiSquare, Sample
from smstudy.inference.factor_models.normal_theory import fit_ml
from smstudy.inference.factor_models.ordinal_structures import fit_wlsmv, ordinal_moments
from smstudy.inference.factor_models.structures import measurement_model
from smstudy.inference.psychometrics.polychoric import OrdinalSample

NAMES = {
    "cfi": "cfi",
    "tli": "tli",
    "rmsea": "rmsea",
    "rmsea_low": "rmsea.ci.lower",
    "rmsea_high": "rmsea.ci.upper",
    "close_p": "rmsea.pvalue",
}


def test_agrees_with_lavaan(case) -> None:
    indices, measures = fit_indices(case.fit()), case.expected["measures"]
    robust = "" if case.estimator == "ml" else ".robust"
    # lavaan ends its search with gaps in two groups at slopes of 5e-7, and seeks its robust numbers numerically
    loose = 1e-6 if case.estimator == "fiml" else 1e-7
    for name, theirs in NAMES.items():
        assert getattr(indices, name) == pytest.approx(measures[theirs + robust], abs=loose), name
    assert indices.srmr == pytest.approx(measures["srmr"], abs=loose)
    assert (indices.n_parameters, indices.df) == (measures["npar"], measures["df"])
    assert (indices.aic, indices.bic) == pytest.approx((measures["aic"], measures["bic"]), abs=1e-6)  # sums near 1e4
    corrected = "chisq" if case.estimator == "ml" else "chisq.scaled"
    assert indices.chi_square == pytest.approx(measures[corrected], abs=1e-3 if len(case.answers) > 1 else 1e-6)
    pvalue = "pvalue" if case.estimator == "ml" else "pvalue.scaled"
    assert indices.p_value == pytest.approx(measures[pvalue], abs=1e-7)


def test_ordinal_answers_are_judged_by_the_scaled_statistic(named_case) -> None:
    """R: lavaan::cfa(ordered = TRUE) on the complete rows of bfi.csv."""
    case = named_case("bfi_ml")
    codes = (case.answers[0] - 1).astype(np.int8)
    sample = OrdinalSample(case.structure.items, codes, np.full(25, 6))
    indices = fit_indices(fit_wlsmv(case.structure, [ordinal_moments(sample)]))
    found = (indices.cfi, indices.tli, indices.rmsea, indices.rmsea_low, indices.rmsea_high, indices.srmr)
    lavaan = (0.81503108, 0.79060122, 0.09226325, 0.08551770, 0.09908656, 0.09821046)
    assert found == pytest.approx(lavaan, abs=2e-7)  # eight digits of R; polychorics settle at about 1e-8
    assert np.isnan([indices.aic, indices.bic]).all()


def test_a_saturated_model_leaves_nothing_to_judge() -> None:
    loadings = np.array([0.5, 0.6, 0.7])
    sample = Sample(np.outer(loadings, loadings) + np.diag(1 - loadings**2), np.zeros(3), 100)
    indices = fit_indices(fit_ml(measurement_model(list("abc"), {"f": list("abc")}), [sample]))
    assert np.isnan([indices.cfi, indices.tli, indices.rmsea, indices.rmsea_high, indices.close_p]).all()
    assert indices.srmr == pytest.approx(0, abs=1e-9)  # the search ends at 1e-10 of an error


def test_a_perfect_fit_has_the_best_indices() -> None:
    loadings = np.array([0.5, 0.6, 0.7, 0.8])
    sample = Sample(np.outer(loadings, loadings) + np.diag(1 - loadings**2), np.zeros(4), 100)
    indices = fit_indices(fit_ml(measurement_model(list("abcd"), {"f": list("abcd")}), [sample]))
    assert (indices.cfi, indices.rmsea, indices.rmsea_low) == (1, 0, 0)
    assert indices.tli > 1


def test_the_interval_holds_the_estimate_and_its_ends_have_their_probability() -> None:
    test = ChiSquare(80.0, 40)
    low, high = rmsea_interval(test, 300)
    assert low < rmsea(test, 300) < high
    # the p of close fit is the probability beyond if the RMSEA is .05; at the ends of the interval it is 5 and 95 %
    narrower = [rmsea_interval(test, 300, conf_level=level) for level in (0.5, 0.8, 0.9, 0.99)]
    assert all(a[0] > b[0] and a[1] < b[1] for a, b in zip(narrower, narrower[1:]))
    n_at_low = 300 * (low / 0.05) ** 2
    assert close_fit(test, n_at_low) == pytest.approx(0.05, abs=1e-6)  # root finding ends at 1e-10


def test_a_very_bad_fit_still_has_an_upper_end() -> None:
    low, high = rmsea_interval(ChiSquare(1e5, 10), 300)
    assert 0 < low < high < np.inf
