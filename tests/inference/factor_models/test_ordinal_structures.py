"""Factor models of ordinal answers agree with lavaan, recover what was planted, and refuse what has no solution."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.fit_indices import cfi, rmsea, rmsea_interval, tli
from smstudy.inference.factor_models.fitted import ChiSquare
from smstudy.inference.factor_models.ordinal_structures import (
    OrdinalFitted,
    OrdinalMoments,
    difference_test,
    fit_wlsmv,
    ordinal_moments,
    slope_and_information,
    with_thresholds,
)
from smstudy.inference.factor_models.standardization import standardize_fit
from smstudy.inference.factor_models.structures import (
    FIXED,
    SYMMETRIC,
    Structure,
    fixed,
    freed,
    measurement_model,
    tied,
)
from smstudy.inference.psychometrics.polychoric import OrdinalSample, ordinal_codes

HERE = Path(__file__).parents[2] / "reference"
SHARED = Path(__file__).parents[4] / "shared" / "data"
LAVAAN = json.loads((HERE / "ordinal_structures.json").read_text())
NAMES = {"=~": "loadings", "|": "thresholds", "~1": "intercepts"}
EXACT = 1e-6  # lavaan's correlations stop at 1e-6 or so of their own search, ours at 1e-9


def block(*names: str) -> dict[str, list[str]]:
    return {name: [f"{name}{i}" for i in range(1, 6)] for name in names}


@cache
def bfi() -> OrdinalMoments:
    return ordinal_moments(ordinal_codes(pd.read_csv(HERE / "bfi_complete.csv")))


@cache
def planted() -> pd.DataFrame:
    return pd.read_csv(HERE / "ordinal_groups.csv")


@cache
def by_group(*items: str) -> list[OrdinalMoments]:
    sample = ordinal_codes(planted()[list(items)])
    return [ordinal_moments(sample.keep((planted()["group"] == group).to_numpy())) for group in (1, 2)]


def model_of(factors: dict[str, list[str]], **options: object) -> Structure:
    items = list(dict.fromkeys(item for members in factors.values() for item in members))
    return measurement_model(items, factors, **options)


def fit_bfi(factors: dict[str, list[str]], **options: object) -> OrdinalFitted:
    return fit_wlsmv(model_of(factors, **options), [bfi()])


def cell_of(model: Structure, row: dict) -> tuple[str, tuple[int, int, int]]:
    group, left, op, right = row["group"] - 1, row["lhs"], row["op"], row["rhs"]
    item, factor = model.items, model.factors
    if op == "=~":
        if right in factor:
            return "regressions", (group, factor.index(right), factor.index(left))
        return "loadings", (group, item.index(right), factor.index(left))
    if op == "~~":
        names, matrix = (factor, "factor_covariances") if left in factor else (item, "residuals")
        return matrix, (group, names.index(left), names.index(right))
    if op == "|":
        return "thresholds", (group, item.index(left), int(right[1:]) - 1)
    if left in factor:
        return "factor_means", (group, factor.index(left), 0)
    return "intercepts", (group, item.index(left), 0)


def assert_agrees(fitted: OrdinalFitted, case: dict, *, estimates: float = EXACT, errors: float = EXACT) -> None:
    fit, model = case["fit"], fitted.structure
    assert fitted.n == case["n"]
    assert (fitted.test.df, fitted.baseline.df) == (fit["df"], fit["baseline.df"])
    close = pytest.approx
    assert fitted.test.statistic == close(fit["chisq"], rel=EXACT)
    assert fitted.test.corrected == close(fit["chisq.scaled"], rel=EXACT)
    assert fitted.test.p_value == close(fit["pvalue.scaled"], abs=EXACT)
    assert fitted.test.scale == close(fit["chisq.scaling.factor"], rel=EXACT)
    assert fitted.test.shift == close(np.sum(case["shift"]), rel=EXACT)
    assert fitted.baseline.statistic == close(fit["baseline.chisq"], rel=EXACT)
    assert fitted.baseline.corrected == close(fit["baseline.chisq.scaled"], rel=EXACT)
    assert_indices_agree(fitted, fit)
    turned = directions(fitted, case)
    seen = 0
    spread = np.sqrt(np.diag(fitted.sampling))
    for row in case["estimates"]:
        matrix, cell = cell_of(model, row)
        places = model.places[matrix]
        if places.shape[2] == 0 or places[cell] == FIXED:
            assert matrix == "thresholds"
            continue
        seen += 1
        assert fitted.parameters[places[cell]] == close(turned(row) * row["est"], abs=estimates), row
        assert spread[places[cell]] == close(row["se"], abs=errors), row
    assert seen >= model.n_parameters
    found = standardized_cells(fitted)
    for row in case["standardized"]:
        place = found.get(cell_of(model, row))
        if place is not None:
            assert place[0] == close(turned(row) * row["est.std"], abs=estimates), row
            assert place[1] == close(row["se"], abs=errors), row


def standardized_cells(fitted: OrdinalFitted) -> dict[tuple, tuple[float, float]]:
    found = standardize_fit(fitted)
    cells = {}
    for matrix, cell, estimate, error in zip(
        found.matrices, found.cells.tolist(), found.estimates, found.std_errors, strict=True
    ):
        group, row, column = cell
        cells[matrix, (group, row, column)] = (estimate, error)
        if matrix in SYMMETRIC:
            cells[matrix, (group, column, row)] = (estimate, error)
    return cells


def directions(fitted: OrdinalFitted, case: dict) -> Callable[[dict], int]:
    """Ours are turned so that loadings do not sum to less than 0; lavaan leaves factors as they come."""
    found, signs = standardized_cells(fitted), {}
    for row in case["standardized"]:
        matrix, cell = cell_of(fitted.structure, row)
        if matrix == "loadings":
            signs.setdefault(row["lhs"], int(np.sign(found[matrix, cell][0] * row["est.std"])))
    for row in case["standardized"]:
        matrix, cell = cell_of(fitted.structure, row)
        if matrix == "regressions":
            signs.setdefault(row["lhs"], int(np.sign(found[matrix, cell][0] * row["est.std"])) * signs[row["rhs"]])
    return lambda row: 1 if row["op"] == "|" else signs.get(row["lhs"], 1) * signs.get(row["rhs"], 1)


def assert_indices_agree(fitted: OrdinalFitted, fit: dict) -> None:
    test, baseline = (ChiSquare(each.corrected, each.df) for each in (fitted.test, fitted.baseline))
    groups = len(fitted.moments)
    counted = fitted.n - groups
    assert cfi(test, baseline) == pytest.approx(fit["cfi.scaled"], abs=EXACT)
    assert tli(test, baseline) == pytest.approx(fit["tli.scaled"], abs=EXACT)
    assert rmsea(test, counted, groups) == pytest.approx(fit["rmsea.scaled"], abs=EXACT)
    ends = [fit["rmsea.ci.lower.scaled"], fit["rmsea.ci.upper.scaled"]]
    assert rmsea_interval(test, counted, groups) == pytest.approx(ends, abs=1e-5)  # lavaan's root search stops there
    below = np.tril_indices(len(fitted.structure.items))
    gaps = [a.covariances - b for a, b in zip(fitted.observed, fitted.implied.covariances, strict=True)]
    shares = [sample.n / fitted.n for sample in fitted.observed]
    srmr = sum(share * np.sqrt((gap[below] ** 2).mean()) for share, gap in zip(shares, gaps, strict=True))
    assert srmr == pytest.approx(fit["srmr"], abs=EXACT)


def test_five_factors_agree_with_lavaan():
    assert_agrees(fit_bfi(block("A", "C", "E", "N", "O")), LAVAAN["five"])


def test_second_order_agrees_with_lavaan():
    names = ("A", "C", "E", "N")
    assert_agrees(fit_bfi(block(*names), higher={"G": names}), LAVAAN["second"])


def test_correlated_errors_agree_with_lavaan():
    pairs = [("N1", "N2"), ("E1", "E2")]
    assert_agrees(fit_bfi(block("E", "N"), correlated_errors=pairs), LAVAAN["errors"])


def test_method_factor_agrees_with_lavaan():
    factors = {**block("C", "E", "O"), "M": ["C4", "C5", "E1", "E2", "O2", "O5"]}
    assert_agrees(fit_bfi(factors, uncorrelated=["M"]), LAVAAN["method"])


def unequal_case() -> tuple[Structure, list[OrdinalMoments]]:
    factors = {"f": ["y1", "x2", "x3", "x4"], "g": ["y5", "x6", "x7", "x8"]}
    model = model_of(factors)
    return model, [ordinal_moments(ordinal_codes(planted()[list(model.items)]))]


def test_items_with_different_categories_agree_with_lavaan():
    model, samples = unequal_case()
    assert_agrees(fit_wlsmv(model, samples), LAVAAN["unequal"])


def test_theta_parameterization_agrees_with_lavaan():
    model, samples = unequal_case()
    assert_agrees(fit_wlsmv(with_thresholds(model, samples), samples), LAVAAN["theta"])


def test_groups_agree_with_lavaan():
    factors = {"f": ["x1", "x2", "x3", "x4"], "g": ["x5", "x6", "x7", "x8"]}
    model = model_of(factors, n_groups=2)
    assert_agrees(fit_wlsmv(model, by_group(*model.items)), LAVAAN["groups"])


@cache
def steps() -> dict[str, OrdinalFitted]:
    """Invariance as Wu and Estabrook identify it: every step ties more, and frees what this identifies."""
    model = model_of({"f": ["x1", "x2", "x3", "x4"], "g": ["x5", "x6", "x7"]}, n_groups=2)
    samples = by_group(*model.items)
    second = [(1, item, item) for item in range(7)]
    levels = [(1, item, 0) for item in range(7)]
    configural = with_thresholds(model, samples)
    thresholds = freed(freed(tied(configural, "thresholds"), "residuals", second, 1.0), "intercepts", levels)
    loadings = freed(tied(thresholds, "loadings"), "factor_covariances", [(1, 0, 0), (1, 1, 1)], 1.0)
    intercepts = freed(fixed(loadings, "intercepts", levels, 0.0), "factor_means", [(1, 0, 0), (1, 1, 0)])
    residuals = fixed(intercepts, "residuals", second, 1.0)
    models = {
        "configural": configural,
        "thresholds": thresholds,
        "loadings": loadings,
        "intercepts": intercepts,
        "residuals": residuals,
    }
    return {name: fit_wlsmv(each, samples) for name, each in models.items()}


@pytest.mark.parametrize("step", ["configural", "thresholds", "loadings", "intercepts", "residuals"])
def test_steps_of_invariance_agree_with_lavaan(step):
    assert_agrees(steps()[step], LAVAAN["steps"][step], estimates=5e-5, errors=5e-5)  # lavaan's search stops


@pytest.mark.parametrize("step", ["thresholds", "loadings", "intercepts", "residuals"])
def test_differences_between_steps_agree_with_lavaan(step):
    names = list(steps())
    free = steps()[names[names.index(step) - 1]]
    found, expected = difference_test(steps()[step], free), LAVAAN["differences"][step]
    assert found.df == expected["df"]
    assert found.corrected == pytest.approx(expected["statistic"], rel=1e-5)  # lavaan's search stops there
    assert found.p_value == pytest.approx(expected["p"], abs=1e-5)  # lavaan's search stops there
    assert 1 / found.scale == pytest.approx(expected["scale"], rel=1e-5)  # lavaan's search stops there
    assert found.shift == pytest.approx(expected["shift"], abs=1e-5)  # lavaan's search stops there


def test_difference_agrees_with_lavaan_where_thresholds_follow_the_data():
    free, restricted = fit_bfi(block("E", "N")), fit_bfi(block("E", "N"), uncorrelated=["E", "N"])
    found = difference_test(restricted, free)
    assert found.df == LAVAAN["orthogonal"]["df"]
    assert found.corrected == pytest.approx(LAVAAN["orthogonal"]["statistic"], rel=EXACT)


def test_scores_give_the_modification_indices_of_lavaan():
    fitted, q = fit_bfi(block("E", "N")), 11
    turned = directions(fitted, LAVAAN["indices"])
    for row in LAVAAN["indices"]["indices"]:
        matrix, cell = cell_of(fitted.structure, {**row, "group": 1})
        wider = freed(fitted.structure, matrix, [cell])
        pull, known = slope_and_information(wider, np.append(fitted.parameters, 0), fitted.moments)
        left = known[q, q] - known[q, :q] @ np.linalg.solve(known[:q, :q], known[:q, q])
        assert fitted.n * pull[q] ** 2 / left == pytest.approx(row["mi"], rel=1e-5)  # of small indices, few digits
        assert pull[q] / left == pytest.approx(turned(row) * row["epc"], abs=EXACT)


def test_order_of_items_does_not_matter_for_differences():
    moments = [ordinal_moments(sample_of(np.random.default_rng(19), 500))]
    wider = fit_wlsmv(model_of(SIX), moments)
    plain = difference_test(fit_wlsmv(model_of({"f": list("abcdeh")}), moments), wider)
    turned = difference_test(fit_wlsmv(model_of({"f": list("hbcdea")}), moments), wider)
    assert turned.corrected == pytest.approx(plain.corrected, rel=1e-8)  # both searches end within 1e-9


def shared(name: str) -> pd.DataFrame:
    path = SHARED / name
    if not path.exists():
        pytest.skip("the folder of shared data is not beside this repository")
    return pd.read_csv(path, na_values="?")


def test_trello_agrees_with_lavaan():
    factors = {
        "PE": ["PE1", "PE2", "PE3", "PE4"],
        "HAB": ["HAB1", "HAB2", "HAB3", "HAB4"],
        "HM": ["HM1", "HM2", "HM3"],
    }
    model = model_of(factors)
    answers = shared("trello_utaut2/utaut2_216.csv")[list(model.items)]
    assert_agrees(fit_wlsmv(model, [ordinal_moments(ordinal_codes(answers))]), LAVAAN["trello"])


@pytest.mark.parametrize(("case", "missing"), [("wiki", "listwise"), ("wiki_pairwise", "pairwise")])
def test_wiki_agrees_with_lavaan(case, missing):
    factors = {
        "PU": ["PU1", "PU2", "PU3"],
        "PEU": ["PEU1", "PEU2", "PEU3"],
        "Qu": ["Qu1", "Qu2", "Qu3", "Qu4", "Qu5"],
        "Use": ["Use1", "Use2", "Use3", "Use4", "Use5"],
    }
    model = model_of(factors)
    answers = shared("wiki4he/wiki4HE.csv")[list(model.items)]
    assert_agrees(fit_wlsmv(model, [ordinal_moments(ordinal_codes(answers, missing=missing))]), LAVAAN[case])


PLANTED = np.array([0.8, 0.7, 0.6, 0.75, 0.65, 0.7, 0.4])
SIX = {"f": ["a", "b", "c"], "g": ["d", "e", "h"]}


def sample_of(rng: np.random.Generator, n: int, *, extra: float = 0.0) -> OrdinalSample:
    """Two factors behind six items with three or four categories; `extra` joins errors over factors."""
    model = model_of(SIX)
    cells = np.concatenate([PLANTED, 1 - PLANTED[:6] ** 2, np.zeros(6)])
    latent = rng.normal(size=(n, 6)) @ np.linalg.cholesky(model.moments(cells).covariances[0]).T
    latent[:, [0, 3]] += np.sqrt(extra) * rng.normal(size=(n, 1))
    cuts = [np.array([-0.9, 0.2, 1.0]), np.array([-0.5, 0.6])]
    codes = np.column_stack([np.searchsorted(cuts[item % 2], latent[:, item]) for item in range(6)]).astype(np.int8)
    return OrdinalSample(model.items, codes, np.array([4, 3] * 3))


def test_planted_model_comes_back():
    fitted = fit_wlsmv(model_of(SIX), [ordinal_moments(sample_of(np.random.default_rng(5), 100_000))])
    assert fitted.parameters == pytest.approx(PLANTED, abs=4 * np.sqrt(np.diag(fitted.sampling)).max())  # 4 errors
    assert fitted.test.p_value > 0.001


def test_tests_have_their_size_and_intervals_cover():
    rng, runs, wider = np.random.default_rng(6), 150, model_of(SIX, correlated_errors=[("a", "d"), ("b", "e")])
    fits = [fit_wlsmv(model_of(SIX), [ordinal_moments(sample_of(rng, 400))]) for _ in range(runs)]
    of_fit = [fitted.test.p_value for fitted in fits]
    of_difference = [difference_test(fitted, fit_wlsmv(wider, fitted.moments)).p_value for fitted in fits]
    for p_values in (of_fit, of_difference):
        rejected = np.mean(np.array(p_values) < 0.05)
        assert rejected == pytest.approx(0.05, abs=0.053)  # 3 binomial errors, sqrt(.05 * .95 / 150) = .0178
    z = np.array([(fitted.parameters - PLANTED) / np.sqrt(np.diag(fitted.sampling)) for fitted in fits])
    assert (np.abs(z) < 1.96).mean() == pytest.approx(0.95, abs=0.02)  # 3 errors of 7 parameters taken together
    assert z.std(axis=0) == pytest.approx(np.ones(7), abs=0.2)  # 3.5 errors, 1 / sqrt(2 * 150) = .058


def test_test_finds_errors_that_go_together():
    fitted = fit_wlsmv(model_of(SIX), [ordinal_moments(sample_of(np.random.default_rng(7), 2000, extra=0.3))])
    assert fitted.test.p_value < 1e-6


def test_thresholds_in_the_model_change_nothing_by_themselves():
    moments = [ordinal_moments(sample_of(np.random.default_rng(9), 500))]
    plain = fit_wlsmv(model_of(SIX), moments)
    theta = fit_wlsmv(with_thresholds(model_of(SIX), moments), moments)
    assert theta.test.corrected == pytest.approx(plain.test.corrected, rel=1e-9)  # both searches end within 1e-10
    assert theta.implied.covariances == pytest.approx(plain.implied.covariances, abs=1e-9)  # as above
    one, other = standardize_fit(plain), standardize_fit(theta)
    assert other.estimates == pytest.approx(one.estimates, abs=1e-9)  # as above
    assert other.std_errors == pytest.approx(one.std_errors, abs=1e-9)  # as above


def test_order_of_items_does_not_matter():
    moments = ordinal_moments(sample_of(np.random.default_rng(10), 500))
    plain = fit_wlsmv(model_of(SIX), [moments])
    turned = fit_wlsmv(model_of({"g": ["h", "e", "d"], "f": ["c", "b", "a"]}), [moments])
    assert turned.test.corrected == pytest.approx(plain.test.corrected, rel=1e-9)  # both searches end within 1e-10
    assert turned.parameters[:6] == pytest.approx(plain.parameters[5::-1], abs=1e-9)  # as above


def test_some_items_of_moments_are_the_moments_of_some_items():
    sample = sample_of(np.random.default_rng(11), 500)
    names = ("h", "a", "d")
    columns = [sample.names.index(name) for name in names]
    few = OrdinalSample(names, sample.codes[:, columns], sample.n_categories[columns])
    chosen, direct = ordinal_moments(sample).of_items(names), ordinal_moments(few)
    assert chosen.gamma == pytest.approx(direct.gamma, abs=1e-7)  # correlations settle at 1e-9
    m = direct.found.thresholds.shape[1]
    assert np.array_equal(chosen.found.thresholds[:, :m], direct.found.thresholds)
    assert np.array_equal(chosen.found.tables[:, : m + 1, : m + 1], direct.found.tables)


def test_model_with_as_many_parameters_as_correlations_has_no_test():
    items = {"f": ["a", "b", "c"]}
    fitted = fit_wlsmv(model_of(items), [ordinal_moments(sample_of(np.random.default_rng(12), 500))])
    assert fitted.test.df == 0
    assert fitted.test.statistic == pytest.approx(0, abs=1e-9)  # the search ends within 1e-10
    assert np.isnan(fitted.test.p_value)


def moments_of(correlations: np.ndarray, n: int = 400) -> OrdinalMoments:
    """Answers whose polychoric correlations are close to some, drawn without seeds that please."""
    rng = np.random.default_rng(13)
    codes = (rng.normal(size=(n, len(correlations))) @ np.linalg.cholesky(correlations).T > 0.2).astype(np.int8)
    return ordinal_moments(OrdinalSample(tuple("abcdef"[: len(correlations)]), codes, np.full(len(correlations), 2)))


def test_correlations_of_no_variables_do_not_stop_the_fit():
    rng = np.random.default_rng(18)
    latent = 0.9 * rng.normal(size=(40, 1)) + np.sqrt(0.19) * rng.normal(size=(40, 14))
    codes = (latent > np.linspace(-0.6, 0.6, 14)).astype(np.int8)
    names = tuple(f"x{i}" for i in range(14))
    moments = ordinal_moments(OrdinalSample(names, codes, np.full(14, 2)))
    assert moments.smallest_eigenvalue < 0
    assert fit_wlsmv(model_of({"f": list(names)}), [moments]).test.df == 77


@pytest.mark.parametrize("with_levels", [False, True])
def test_heywood_case_is_refused(with_levels):
    correlations = np.array([[1, 0.8, 0.8], [0.8, 1, 0.4], [0.8, 0.4, 1]])  # 0.8 * 0.8 / 0.4 is a loading squared
    moments, model = [moments_of(correlations)], model_of({"f": ["a", "b", "c"]})
    with pytest.raises(EstimationError, match="Heywood"):
        fit_wlsmv(with_thresholds(model, moments) if with_levels else model, moments)


def test_factors_that_are_one_are_refused():
    correlations = np.full((6, 6), 0.5) + 0.5 * np.eye(6)
    correlations[:3, :3] -= 0.2 * (1 - np.eye(3))
    correlations[3:, 3:] -= 0.2 * (1 - np.eye(3))
    model = model_of({"f": ["a", "b", "c"], "g": ["d", "e", "f"]})
    with pytest.raises(EstimationError, match="correlation beyond 1"):
        fit_wlsmv(model, [moments_of(correlations, 2000)])


def test_two_items_alone_are_refused():
    with pytest.raises(EstimationError, match="negative degrees of freedom"):
        fit_wlsmv(model_of({"f": ["a", "b"]}), [moments_of(np.full((2, 2), 0.5) + 0.5 * np.eye(2))])


def test_model_that_is_not_identified_is_refused():
    correlations = np.full((5, 5), 0.4) + 0.6 * np.eye(5)
    model = model_of({"f": ["a", "b", "c"], "g": ["d", "e"]}, uncorrelated=["g"])
    with pytest.raises(EstimationError, match="not identified"):
        fit_wlsmv(model, [moments_of(correlations)])


def test_fewer_respondents_than_parameters_are_refused():
    codes = np.random.default_rng(14).integers(0, 2, size=(20, 13)).astype(np.int8)
    names = tuple(f"x{i}" for i in range(13))
    moments = ordinal_moments(OrdinalSample(names, codes, np.full(13, 2)))
    with pytest.raises(
        EstimationError, match="fewer complete respondents than the model needs, 26: .* thresholds .* counted"
    ):
        fit_wlsmv(model_of({"f": list(names)}), [moments])


def test_group_without_a_category_is_refused():
    sample = sample_of(np.random.default_rng(15), 400)
    first = sample.codes[:, 0] < 3
    joined = sample.n_categories.copy()
    joined[0] = 3
    low = OrdinalSample(sample.names, sample.codes[first], joined)
    with pytest.raises(EstimationError, match="^a: a group lacks a category"):
        fit_wlsmv(model_of(SIX, n_groups=2), [ordinal_moments(sample), ordinal_moments(low)])


def test_pair_without_exception_is_refused():
    codes = np.repeat([[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]], 25, axis=0).astype(np.int8)
    with pytest.raises(EstimationError, match="No answers to a and b contradict"):
        ordinal_moments(OrdinalSample(tuple("abc"), codes, np.full(3, 2)))


def test_models_that_are_not_nested_are_not_tested():
    moments = [ordinal_moments(sample_of(np.random.default_rng(16), 500))]
    fitted = fit_wlsmv(model_of(SIX), moments)
    other = fit_wlsmv(model_of({"f": list("abcdeh")}, correlated_errors=[("a", "d"), ("b", "e")]), moments)
    with pytest.raises(EstimationError, match="not nested"):
        difference_test(fitted, other)
    fresh = fit_wlsmv(model_of({"f": list("abcdeh")}), [ordinal_moments(sample_of(np.random.default_rng(17), 500))])
    with pytest.raises(EstimationError, match="different answers"):
        difference_test(fresh, fitted)
