"""Laws of counting dimensions: R's values, brute force, special cases, and the right rate on planted truths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.psychometrics.dimensions import (
    acceleration_factor,
    average_partials,
    optimal_coordinates,
    parallel_analysis,
    permuted_parallel,
    polychoric_widening,
    reduced,
    sampling_adequacy,
    sphericity,
)
from smstudy.inference.psychometrics.polychoric import ordinal_codes, polychorics

from .test_extraction import CASES, SIMPLE, R, correlations_of, implied


@pytest.mark.parametrize("case", CASES)
def test_adequacy_agrees_with_psych_kmo(case):
    found = sampling_adequacy(correlations_of(case))
    assert found.overall == pytest.approx(R[case]["kmo"], abs=1e-12)  # same formula, rounding
    assert found.items == pytest.approx(R[case]["msa"], abs=1e-12)  # the same


@pytest.mark.parametrize("case", CASES)
def test_sphericity_agrees_with_psych(case):
    expected = R[case]["sphericity"]
    found = sphericity(correlations_of(case), R[case]["n"])
    assert (found.statistic, found.df) == pytest.approx((expected["statistic"], expected["df"]), rel=1e-10)  # rounding


@pytest.mark.parametrize("case", CASES)
def test_average_partials_agree_with_psych_vss(case):
    found = average_partials(correlations_of(case))
    expected = R[case]["map"][: len(found.squared) - 1]
    assert found.squared[1 : len(expected) + 1] == pytest.approx(expected, abs=1e-10)  # same formula, rounding
    assert found.squared == pytest.approx(R[case]["map_squared"], abs=1e-10)  # the same
    assert found.fourth == pytest.approx(R[case]["map_fourth"], abs=1e-10)  # the same


@pytest.mark.parametrize("case", CASES)
def test_the_scree_is_read_as_nfactors_reads_it(case):
    roots = np.linalg.eigvalsh(correlations_of(case))[::-1]
    ones = np.ones(len(roots))
    expected = R[case]["scree"]
    assert optimal_coordinates(roots, ones) == expected["oc"]
    assert acceleration_factor(roots, ones) == expected["af"]


@pytest.mark.parametrize("case", CASES)
def test_simulated_eigenvalues_have_the_mean_of_psych(case):
    expected = R[case]["null"]
    found = parallel_analysis(correlations_of(case), R[case]["n"], n_draws=1000)
    assert found.components.observed == pytest.approx(expected["pc_values"], abs=1e-10)  # same matrix, rounding
    assert found.factors.observed == pytest.approx(expected["fa_values"], abs=1e-10)  # the same
    error = np.array(expected["pc_sd"]) * np.sqrt(1 / 400 + 1 / 1000)
    assert np.abs(found.components.simulated_mean - expected["psych_pc"]).max() < 4.5 * error.max()  # 4.5 errors
    error = np.array(expected["fa_sd"]) * np.sqrt(1 / 400 + 1 / 1000)
    assert np.abs(found.factors.simulated_mean - expected["psych_fa"]).max() < 4.5 * error.max()  # 4.5 errors


@pytest.mark.parametrize("case", CASES)
def test_simulated_quantiles_are_near_those_of_nfactors(case):
    expected = R[case]["null"]
    found = parallel_analysis(correlations_of(case), R[case]["n"], n_draws=1000)
    # nFactors draws covariances, whose eigenvalues vary a little more; a 95 % quantile of 400 has an error of 0.1 sd
    tolerance = 0.6 * max(expected["pc_sd"])
    assert found.components.simulated_quantile == pytest.approx(expected["pc_quantile"], abs=tolerance)
    assert found.factors.simulated_quantile == pytest.approx(expected["fa_quantile"], abs=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_suggestions_agree_with_psych_fa_parallel(case):
    found = parallel_analysis(correlations_of(case), R[case]["n"])
    expected = R[case]["null"]
    # with a correlation matrix psych::fa.parallel compares factors with the mean, components with the quantile
    for ours, theirs, seen, drawn, spread in (
        (found.factors.n_above_mean, expected["nfact"], found.factors.observed, found.factors.simulated_mean, "fa_sd"),
        (
            found.components.n_above_quantile,
            expected["ncomp"],
            found.components.observed,
            found.components.simulated_quantile,
            "pc_sd",
        ),
    ):
        unsure = np.abs(seen - drawn) < 0.3 * np.array(expected[spread])  # error of a quantile of 400 draws
        assert ours == theirs or unsure[min(ours, theirs)]


def test_drawn_correlations_are_those_of_drawn_answers():
    rng = np.random.default_rng(8)
    drawn = np.array(
        [np.linalg.eigvalsh(np.corrcoef(rng.standard_normal((40, 6)), rowvar=False))[::-1] for _ in range(4000)]
    )
    found = parallel_analysis(np.eye(6) * 0.9 + 0.1, 40, n_draws=4000)
    error = drawn.std(axis=0) * np.sqrt(2 / 4000)
    assert (np.abs(found.components.simulated_mean - drawn.mean(axis=0)) < 4.5 * error).all()  # 4.5 errors, 6 values
    spread = np.quantile(drawn, 0.95, axis=0)
    assert found.components.simulated_quantile == pytest.approx(spread, abs=0.02)  # a quantile has twice the error


def test_shuffled_and_drawn_answers_agree():
    rng = np.random.default_rng(9)
    answers = rng.choice(5, size=(300, 8), p=[0.5, 0.2, 0.15, 0.1, 0.05]).astype(float) + 1
    drawn = parallel_analysis(np.corrcoef(answers, rowvar=False), 300)
    shuffled = permuted_parallel(answers, n_draws=500)
    assert shuffled.components.observed == pytest.approx(drawn.components.observed, abs=1e-10)  # same, rounding
    assert shuffled.components.simulated_mean == pytest.approx(drawn.components.simulated_mean, abs=0.015)  # 5 errors


def test_widened_draws_spread_as_polychoric_correlations_do():
    rng = np.random.default_rng(10)
    shares, n = np.array([0.6, 0.25, 0.1, 0.05]), 400
    biggest = []
    for _ in range(60):
        answers = pd.DataFrame(rng.choice(4, size=(n, 6), p=shares), columns=list("abcdef"))
        biggest.append(np.linalg.eigvalsh(polychorics(ordinal_codes(answers)).correlations)[-1])
    wider = polychoric_widening([shares * n] * 6)
    found = parallel_analysis(np.eye(6), n, widening=wider, n_draws=2000)
    plain = parallel_analysis(np.eye(6), n, n_draws=2000)
    error = np.std(biggest) / np.sqrt(60)
    assert abs(found.components.simulated_mean[0] - np.mean(biggest)) < 4 * error  # 4 errors
    assert np.mean(biggest) - plain.components.simulated_mean[0] > 4 * error  # unwidened draws would be too narrow


def test_many_fine_categories_are_not_widened():
    assert polychoric_widening([np.full(2000, 1)])[0] == pytest.approx(1, abs=1e-2)  # grouping 2,000 ways loses < 1 %


def test_reduced_correlations_hold_squared_multiple_correlations():
    correlations = correlations_of("bfi")
    others = np.linalg.solve(correlations[1:, 1:], correlations[1:, 0])
    assert reduced(correlations)[0, 0] == pytest.approx(correlations[0, 1:] @ others, abs=1e-12)  # rounding


def test_independent_items_are_not_adequate_to_factor():
    rng = np.random.default_rng(11)
    correlations = np.corrcoef(rng.standard_normal((500, 8)), rowvar=False)
    assert sampling_adequacy(correlations).overall < 0.6 and sphericity(correlations, 500).p_value > 0.001


def test_sphericity_holds_its_level():
    rng = np.random.default_rng(12)
    p = [sphericity(np.corrcoef(rng.standard_normal((60, 5)), rowvar=False), 60).p_value for _ in range(2000)]
    assert 0.035 < np.mean(np.array(p) < 0.05) < 0.066  # 3 standard errors of a rate of 5 % in 2,000


def test_the_same_seed_gives_the_same_numbers():
    one, other = (parallel_analysis(implied(SIMPLE), 100, n_draws=50, seed=2) for _ in range(2))
    assert (one.factors.simulated_quantile == other.factors.simulated_quantile).all()


def test_fewer_respondents_than_items_are_refused():
    with pytest.raises(EstimationError, match="^12 items need more than 12 respondents"):
        parallel_analysis(implied(SIMPLE), 12)


# planted truths


def test_parallel_analysis_finds_nothing_where_there_is_nothing():
    rng = np.random.default_rng(13)
    found = [
        parallel_analysis(
            np.corrcoef(rng.standard_normal((200, 10)), rowvar=False), 200, n_draws=100, seed=i
        ).components.n_above_quantile
        for i in range(200)
    ]
    assert 0.0 < np.mean(np.array(found) > 0) < 0.11  # level 5 % in 200, the reference of 100 draws adds to it


def test_parallel_analysis_and_map_find_three_planted_factors():
    rng = np.random.default_rng(14)
    root = np.linalg.cholesky(implied(SIMPLE))
    hits = []
    for i in range(40):
        correlations = np.corrcoef(rng.standard_normal((300, 12)) @ root.T, rowvar=False)
        parallel = parallel_analysis(correlations, 300, n_draws=100, seed=i)
        partials = average_partials(correlations)
        hits.append((parallel.components.n_above_quantile == 3, np.argmin(partials.squared) == 3))
    assert (np.mean(hits, axis=0) > 0.9).all()  # strong factors, so nearly always
