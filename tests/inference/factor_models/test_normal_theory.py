"""Laws of factor models fitted to normal answers: R's values, brute force, special cases, a planted truth, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.fitted import Sample
from smstudy.inference.factor_models.normal_theory import degrees_of_freedom, fit_ml, fit_mlr, sample_of
from smstudy.inference.factor_models.structures import fixed, freed, measurement_model, tied

ITEMS = [f"q{i}" for i in range(6)]
TWO = {"f": ITEMS[:3], "g": ITEMS[3:]}
LOADINGS = np.array([0.8, 0.7, 0.6, 0.8, 0.7, 0.6])


def planted(n: int, rng: np.random.Generator, correlation: float = 0.4) -> np.ndarray:
    factors = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n)[:, [0, 0, 0, 1, 1, 1]]
    return 3 + factors * LOADINGS + rng.normal(size=(n, 6)) * np.sqrt(1 - LOADINGS**2)


def implied(correlation: float = 0.4) -> np.ndarray:
    factors = np.where(np.equal.outer(np.arange(6) // 3, np.arange(6) // 3), 1, correlation)
    common = np.outer(LOADINGS, LOADINGS) * factors
    return common + np.diag(1 - LOADINGS**2)


# R


def test_agrees_with_lavaan(case, find_cell) -> None:
    fitted, expected = case.fit(), case.expected
    cells = fitted.structure.at(fitted.parameters)
    errors = np.append(np.sqrt(np.diag(fitted.sampling)), 0.0)
    two_groups_with_gaps = case.estimator == "fiml" and len(case.answers) == 2
    # lavaan's solution was led on to slopes near 1e-13, but with gaps in two groups, where its own stay at 5e-7
    loose = 1e-5 if two_groups_with_gaps else 1e-9
    # lavaan differentiates its slopes numerically under MLR and FIML: errors of about 1e-8
    loose_errors = loose if case.estimator == "ml" else max(loose, 1e-7)
    for key, estimate, error in zip(
        zip(expected["lhs"], expected["op"], expected["rhs"], expected["group"]), expected["est"], expected["se"]
    ):
        matrix, cell = find_cell(fitted.structure, *key)
        assert cells[matrix][cell] == pytest.approx(estimate, abs=loose), key
        assert errors[fitted.structure.places[matrix][cell]] == pytest.approx(error, abs=loose_errors), key
    measures = expected["measures"]
    assert (fitted.test.df, fitted.baseline.df) == (measures["df"], measures["baseline.df"])
    assert fitted.test.statistic == pytest.approx(measures["chisq"], abs=1e-7)  # sums over people of size 1e3
    assert fitted.log_likelihood == pytest.approx(measures["logl"], abs=1e-7)
    if case.estimator != "ml":
        scaled = 1e-3 if two_groups_with_gaps else 1e-6  # from slopes differentiated numerically, times chi-squared
        assert fitted.test.corrected == pytest.approx(measures["chisq.scaled"], abs=scaled)
        # lavaan searches for the baseline numerically; here it has a formula
        assert fitted.baseline.corrected == pytest.approx(measures["baseline.chisq.scaled"], abs=1e-3)


# brute force


def test_no_search_finds_a_better_likelihood() -> None:
    structure = measurement_model(ITEMS[:4], {"f": ITEMS[:4]})
    sample = sample_of(planted(150, np.random.default_rng(3))[:, :4])

    def discrepancy(at):
        moments = structure.moments(at)
        gap = sample.means - moments.means[0]
        precision = np.linalg.inv(moments.covariances[0])
        return np.linalg.slogdet(moments.covariances[0])[1] + np.sum(
            precision * (sample.covariances + np.outer(gap, gap))
        )

    start = np.concatenate([np.full(4, 0.5), np.full(4, 0.5), sample.means])
    found = optimize.minimize(discrepancy, start, method="BFGS", options={"gtol": 1e-9})
    fitted = fit_ml(structure, [sample])
    assert discrepancy(fitted.parameters) <= found.fun + 1e-12  # rounding of sums near 4
    assert fitted.parameters == pytest.approx(found.x, abs=1e-5)  # where a quasi-Newton search with slopes of 1e-9 ends


def test_standard_errors_are_those_of_the_curvature_of_the_likelihood() -> None:
    """At moments that the model reproduces, observed and expected information are the same."""
    structure = measurement_model(ITEMS, TWO)
    fitted = fit_ml(structure, [Sample(implied(), np.zeros(6), 400)])
    robust = np.linalg.inv(_curvature(structure, implied(), fitted.parameters)) / 400
    assert fitted.sampling == pytest.approx(robust, abs=1e-7)  # second differences with steps of 1e-4


def _curvature(structure, covariances, at):
    def half(point):
        moments = structure.moments(point)
        gap = moments.means[0]
        precision = np.linalg.inv(moments.covariances[0])
        inner = np.sum(precision * (covariances + np.outer(gap, gap)))
        return (np.linalg.slogdet(moments.covariances[0])[1] + inner) / 2

    steps = 1e-4 * np.eye(len(at))
    return np.array(
        [
            [(half(at + a + b) - half(at + a - b) - half(at - a + b) + half(at - a - b)) / 4e-8 for b in steps]
            for a in steps
        ]
    )


# special cases


def test_the_truth_is_found_in_the_moments_it_implies() -> None:
    fitted = fit_ml(measurement_model(ITEMS, TWO), [Sample(implied(), np.full(6, 3.0), 500)])
    assert fitted.parameters[:7] == pytest.approx([*LOADINGS, 0.4], abs=1e-9)  # the search ends at 1e-10 of an error
    assert fitted.test.statistic == pytest.approx(0, abs=1e-9)  # 500 times rounding of sums near 6


def test_a_saturated_model_fits_without_any_misfit() -> None:
    answers = planted(200, np.random.default_rng(5))[:, :3]
    for fitted in (
        fit_ml(measurement_model(ITEMS[:3], {"f": ITEMS[:3]}), [sample_of(answers)]),
        fit_mlr(measurement_model(ITEMS[:3], {"f": ITEMS[:3]}), [answers]),
    ):
        assert fitted.test.df == 0 and np.isnan(fitted.test.p_value)
        assert fitted.test.statistic == pytest.approx(0, abs=1e-9)  # 200 times rounding of sums near 3


def test_groups_without_anything_in_common_are_fitted_like_each_alone() -> None:
    rng = np.random.default_rng(6)
    samples = [sample_of(planted(150, rng)), sample_of(planted(250, rng))]
    together = fit_ml(measurement_model(ITEMS, TWO, n_groups=2), samples)
    alone = [fit_ml(measurement_model(ITEMS, TWO), [sample]) for sample in samples]
    assert together.test.statistic == pytest.approx(sum(each.test.statistic for each in alone), abs=1e-8)  # rounding
    assert together.parameters == pytest.approx(np.concatenate([each.parameters for each in alone]), abs=1e-8)
    assert together.log_likelihood == pytest.approx(sum(each.log_likelihood for each in alone), abs=1e-8)


def test_tied_loadings_and_intercepts_leave_the_difference_to_the_factors() -> None:
    structure = tied(tied(measurement_model(ITEMS, TWO, n_groups=2), "loadings"), "intercepts")
    structure = freed(structure, "factor_means", [(1, 0, 0), (1, 1, 0)])
    structure = freed(structure, "factor_covariances", [(1, 0, 0), (1, 1, 1)], start=1.0)
    factors = np.repeat([0, 1], 3)
    spread = np.array([1.5, 0.7])[factors]
    second = (implied() - np.diag(1 - LOADINGS**2)) * np.outer(spread, spread) + np.diag(1 - LOADINGS**2)
    means = np.array([0.5, -0.3])[factors] * LOADINGS
    fitted = fit_ml(structure, [Sample(implied(), np.zeros(6), 300), Sample(second, means, 300)])
    cells = fitted.structure.at(fitted.parameters)
    assert cells["factor_means"][1, :, 0] == pytest.approx([0.5, -0.3], abs=1e-8)  # the search ends at 1e-10 of errors
    assert np.diag(cells["factor_covariances"][1]) == pytest.approx([2.25, 0.49], abs=1e-8)
    assert fitted.test.statistic == pytest.approx(0, abs=1e-9)  # rounding of sums near 6, times 600


def test_units_of_the_answers_change_nothing_but_units() -> None:
    rng = np.random.default_rng(7)
    answers, units = planted(200, rng), np.array([1, 1e3, 1e-3, 1, 50, 0.02])
    plain, scaled = (fit_mlr(measurement_model(ITEMS, TWO), [each]) for each in (answers, answers * units))
    assert scaled.test.statistic == pytest.approx(plain.test.statistic, rel=1e-9)  # the same sums, scaled
    assert scaled.test.scale == pytest.approx(plain.test.scale, rel=1e-8)
    assert scaled.parameters[:6] == pytest.approx(plain.parameters[:6] * units, rel=1e-7)  # ends at 1e-10 of errors


def test_reversed_answers_turn_the_sign_of_their_loading() -> None:
    answers = planted(300, np.random.default_rng(8))
    turned = answers * [1, 1, -1, 1, 1, 1]
    plain, mirrored = (fit_ml(measurement_model(ITEMS, TWO), [sample_of(each)]) for each in (answers, turned))
    assert mirrored.parameters[:7] == pytest.approx(plain.parameters[:7] * [1, 1, -1, 1, 1, 1, 1], abs=1e-8)


def test_all_answers_reversed_give_the_same_factors() -> None:
    answers = planted(300, np.random.default_rng(8))
    plain, mirrored = (fit_ml(measurement_model(ITEMS, TWO), [sample_of(each)]) for each in (answers, -answers))
    assert mirrored.parameters[:7] == pytest.approx(plain.parameters[:7], abs=1e-8)  # ends at 1e-10 of errors


# a planted truth


def test_intervals_cover_the_truth_and_the_test_keeps_its_size() -> None:
    rng, rounds = np.random.default_rng(11), 80
    truth = np.array([*LOADINGS, 0.4])
    covered, rejected = np.zeros((2, 7)), np.zeros(2)
    for _ in range(rounds):
        answers = planted(300, rng)
        for place, fitted in enumerate(
            (
                fit_ml(measurement_model(ITEMS, TWO), [sample_of(answers)]),
                fit_mlr(measurement_model(ITEMS, TWO), [answers]),
            )
        ):
            errors = np.sqrt(np.diag(fitted.sampling))[:7]
            covered[place] += np.abs(fitted.parameters[:7] - truth) < 1.96 * errors
            rejected[place] += fitted.test.p_value < 0.05
    low, high = stats.binom.ppf([0.0005, 0.9995], rounds, 0.95)  # 14 counts: rarely one outside by chance
    assert (covered >= low).all() and (covered <= high).all()
    low, high = stats.binom.ppf([0.0005, 0.9995], rounds, 0.05)
    assert all(low <= total <= high for total in rejected)


# refusals


def refused(structure, sample, words):
    with pytest.raises(EstimationError, match=words):
        fit_ml(structure, [sample])


def test_more_parameters_than_moments_are_refused() -> None:
    refused(
        measurement_model(ITEMS[:2], {"f": ITEMS[:2]}), Sample(implied()[:2, :2], np.zeros(2), 99), "negative degrees"
    )


def test_more_parameters_than_respondents_are_refused() -> None:
    refused(
        measurement_model(ITEMS, TWO), Sample(implied(), np.zeros(6), 12), "fewer respondents than the model needs, 13"
    )


def test_singular_covariances_are_refused() -> None:
    repeated = implied()[np.ix_([0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 4, 4])]
    refused(measurement_model(ITEMS, TWO), Sample(repeated, np.zeros(6), 300), "not positive definite")


def test_a_constant_item_is_named() -> None:
    constant = implied() * np.outer([1, 1, 0, 1, 1, 1], [1, 1, 0, 1, 1, 1])
    refused(measurement_model(ITEMS, TWO), Sample(constant, np.zeros(6), 300), "same answer to q2")


def test_two_items_of_an_uncorrelated_factor_are_not_identified() -> None:
    structure = measurement_model(ITEMS, {"f": ITEMS[:4], "g": ITEMS[4:]}, uncorrelated=["g"])
    refused(structure, Sample(implied(0.0), np.zeros(6), 300), "not identified.*residual variance of q[45].*q[45] on g")


def test_a_factor_that_stands_beside_itself_is_not_identified() -> None:
    structure = freed(measurement_model(ITEMS, TWO), "factor_covariances", [(0, 0, 0)], start=1.0)
    refused(structure, Sample(implied(), np.zeros(6), 300), "not identified")


def test_heywood_cases_are_refused_with_the_item() -> None:
    correlations = np.array([[1, 0.9, 0.8], [0.9, 1, 0.5], [0.8, 0.5, 1]])
    refused(measurement_model(ITEMS[:3], {"f": ITEMS[:3]}), Sample(correlations, np.zeros(3), 300), "for q0 .a Heywood")


def test_factors_that_correlate_beyond_one_are_refused_by_name() -> None:
    across = implied(1.15)
    refused(measurement_model(ITEMS, TWO), Sample(across, np.zeros(6), 300), "factors f and g would have a correlation")


def test_a_correlation_fixed_to_one_is_allowed() -> None:
    structure = fixed(measurement_model(ITEMS, TWO), "factor_covariances", [(0, 1, 0)], 1.0)
    fitted = fit_ml(structure, [Sample(implied(0.9), np.zeros(6), 300)])
    one = fit_ml(measurement_model(ITEMS, {"f": ITEMS}), [Sample(implied(0.9), np.zeros(6), 300)])
    assert fitted.test.statistic == pytest.approx(one.test.statistic, abs=1e-8)  # the same model
    assert fitted.test.df == one.test.df == degrees_of_freedom(structure)
