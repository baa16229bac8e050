"""PLS path models against SmartPLS, plain R, brute force and a factor model."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.inference.bootstrap import resamples
from smstudy.inference.partial_least_squares import (
    PathStructure,
    construct_quality,
    driver_effects,
    fit_paths,
    implied_correlations,
    item_correlations,
    item_inflation,
    resampled_moments,
    root_mean_residual,
)

HERE = Path(__file__).resolve().parents[1] / "reference"
REFERENCE = json.loads((HERE / "paths.json").read_text(encoding="utf-8"))
SAME = {"rtol": 0, "atol": 1e-8}  # both iterate until weights move by less than 1e-10 (here) and 1e-13 (R)
ECSI = ["Image", "Expectation", "Quality", "Value", "Satisfaction", "Complaints", "Loyalty"]
ITEMS = {"Image": ("IMAG", 5), "Expectation": ("CUEX", 3), "Quality": ("PERQ", 7), "Value": ("PERV", 2),
         "Satisfaction": ("CUSA", 3), "Complaints": ("CUSCO", 0), "Loyalty": ("CUSL", 3)}  # fmt: skip
ECSI_PATHS = ["Image Expectation", "Image Satisfaction", "Image Loyalty", "Expectation Quality", "Expectation Value",
              "Expectation Satisfaction", "Quality Value", "Quality Satisfaction", "Value Satisfaction",
              "Satisfaction Complaints", "Satisfaction Loyalty", "Complaints Loyalty"]  # fmt: skip
# SmartPLS 2.0.M3 on the same 250 answers, printed to 8 digits (its results come with the tests of R package semPLS).
SMARTPLS = {
    "path": [0.50491393, 0.17873950, 0.19575534, 0.55674896, 0.04998839, 0.06252287,
             0.55830438, 0.51202394, 0.19476510, 0.52806625, 0.48547762, 0.06692607],
    "centroid": [0.50470564, 0.17883348, 0.19535971, 0.55724786, 0.05078755, 0.06442534,
                 0.55721686, 0.51254524, 0.19181566, 0.52609731, 0.48347472, 0.07123241],
    "factorial": [0.50494314, 0.17859267, 0.19581962, 0.55675903, 0.05017810, 0.06494365,
                  0.55776245, 0.51297470, 0.19144526, 0.52585655, 0.48305917, 0.07031057],
}  # fmt: skip
SMARTPLS_LOYALTY = {"CUSL1": 0.46066473, "CUSL2": 0.11426953, "CUSL3": 0.65431059}
SMARTPLS_TOTAL = {"Image Loyalty": 0.39873238, "Expectation Complaints": 0.22066175, "Quality Loyalty": 0.32330474}


def structure_of(blocks, links, *, formative=(), factors=(), inner="path"):
    """Structure of named constructs with so many items each."""
    names, ends = list(blocks), np.cumsum(list(blocks.values()))
    drivers = np.zeros((len(names), len(names)), dtype=bool)
    for link in links:
        one, other = link.split()
        drivers[names.index(one), names.index(other)] = True
    places = tuple(tuple(range(end - size, end)) for end, size in zip(ends, blocks.values(), strict=True))
    return PathStructure(
        blocks=places,
        drivers=drivers,
        formative=np.array([name in formative for name in names]),
        factors=np.array([name in factors for name in names]),
        inner=inner,
    )


def ecsi_names():
    return [f"{stem}{i + 1}" if size else stem for stem, size in ITEMS.values() for i in range(max(size, 1))]


def ecsi(**options):
    table = pd.read_csv(HERE / "paths_mobi.csv")
    table.index = table.columns
    blocks = {name: max(size, 1) for name, (_, size) in ITEMS.items()}
    return table.loc[ecsi_names(), ecsi_names()].to_numpy(), structure_of(blocks, ECSI_PATHS, **options)


BLOCKS = {"trust": 3, "worry": 2, "made": 3, "useful": 3, "use": 1}
LINKS = ["trust useful", "worry useful", "trust use", "useful use", "made use"]
FACTORS = ("trust", "worry", "useful")


def drawn():
    return pd.read_csv(HERE / "paths.csv")


def answers():
    return drawn().iloc[:, :12].to_numpy(float)


@pytest.mark.parametrize("inner", ["path", "centroid", "factorial"])
def test_agrees_with_smartpls_on_the_ecsi_data(inner):
    correlations, structure = ecsi(inner=inner)
    fit = fit_paths(correlations[None], structure)
    places = [tuple(ECSI.index(name) for name in link.split()) for link in ECSI_PATHS]
    found = [fit.paths[0][place] for place in places]
    # half a unit of the last printed digit, and SmartPLS stops when weights move by less than 1e-7
    np.testing.assert_allclose(found, SMARTPLS[inner], rtol=0, atol=3e-8)


def test_weights_and_total_effects_agree_with_smartpls():
    correlations, structure = ecsi()
    fit = fit_paths(correlations[None], structure)
    weights = dict(zip(ecsi_names(), fit.weights[0], strict=True))
    for name, printed in SMARTPLS_LOYALTY.items():
        assert weights[name] == pytest.approx(printed, abs=3e-8)  # as above
    for link, printed in SMARTPLS_TOTAL.items():
        one, other = (ECSI.index(name) for name in link.split())
        assert fit.total[0, one, other] == pytest.approx(printed, abs=3e-8)  # as above


@pytest.mark.parametrize("inner", ["path", "centroid", "factorial"])
def test_agrees_with_plain_r_on_scores(inner):
    correlations, structure = ecsi(inner=inner)
    fit, expected = fit_paths(correlations[None], structure), REFERENCE["ecsi"][inner]
    np.testing.assert_allclose(fit.weights[0], expected["weights"], **SAME)
    np.testing.assert_allclose(fit.loadings[0], expected["loadings"], **SAME)
    np.testing.assert_allclose(fit.paths[0], expected["paths"], **SAME)
    np.testing.assert_allclose(fit.r_squared[0], expected["r_squared"], **SAME)


def test_consistent_estimates_agree_with_r_and_impossible_ones_are_marked():
    correlations, structure = ecsi(factors=[name for name in ECSI if name != "Complaints"])
    fit, expected = fit_paths(correlations[None], structure), REFERENCE["ecsi"]["consistent"]
    np.testing.assert_allclose(fit.reliabilities[0], expected["rho"], **SAME)
    np.testing.assert_allclose(fit.paths[0], expected["paths"], rtol=0, atol=1e-6)  # correlations are nearly singular
    assert fit.converged[0] and not fit.proper[0] and not fit.usable[0]


@pytest.mark.parametrize(("kind", "factors"), [("plain", ()), ("consistent", FACTORS)])
def test_formative_blocks_and_single_items_agree_with_r(kind, factors):
    structure = structure_of(BLOCKS, LINKS, formative=["made"], factors=factors)
    correlations = np.corrcoef(answers(), rowvar=False)
    fit, expected = fit_paths(correlations[None], structure), REFERENCE[kind]
    for name in ("weights", "loadings", "correlations", "paths", "r_squared"):
        np.testing.assert_allclose(getattr(fit, name)[0], expected[name], **SAME)
    np.testing.assert_allclose(fit.reliabilities[0], expected["rho"], **SAME)
    np.testing.assert_allclose(fit.total[0], expected["total"], **SAME)
    composite, extracted = construct_quality(fit.loadings[0], structure)
    for place, name in ((0, "trust"), (1, "worry"), (3, "useful")):
        np.testing.assert_allclose([composite[place], extracted[place]], expected["reliability"][name], **SAME)
    assert np.isnan(composite[[2, 4]]).all()
    implied = implied_correlations(correlations, fit, structure)
    assert root_mean_residual(correlations, implied) == pytest.approx(expected["srmr"], abs=1e-8)  # as SAME


def test_what_a_driver_adds_agrees_with_regressions_in_r():
    structure = structure_of(BLOCKS, LINKS, formative=["made"])
    correlations = np.corrcoef(answers(), rowvar=False)
    fit = fit_paths(correlations[None], structure)
    added = driver_effects(fit.correlations[0], fit.paths[0], fit.r_squared[0], structure.drivers)
    names = list(BLOCKS)
    for outcome in ("useful", "use"):
        for driver, expected in REFERENCE["plain"]["quality"][outcome].items():
            if driver != "adjusted":
                place = names.index(driver), names.index(outcome)
                np.testing.assert_allclose([added.f_squared[place], added.vif[place]], expected, **SAME)
    np.testing.assert_allclose(item_inflation(correlations, structure), REFERENCE["plain"]["item_vif"], **SAME)


def test_a_stack_gives_what_a_loop_over_the_same_resamples_gives():
    structure = structure_of(BLOCKS, LINKS, formative=["made"], factors=FACTORS)
    values = answers()
    whole = fit_paths(np.corrcoef(values, rowvar=False)[None], structure)
    counts = np.concatenate(list(resamples(len(values), n_boot=40, seed=5))).astype(int)
    moments = np.concatenate(list(resampled_moments(values - values.mean(axis=0), n_boot=40, seed=5)))
    stack = fit_paths(item_correlations(moments)[0], structure, like=whole.weights[0])
    for place, drawn_rows in enumerate(counts):
        again = np.repeat(values, drawn_rows, axis=0)
        single = fit_paths(np.corrcoef(again, rowvar=False)[None], structure, like=whole.weights[0])
        np.testing.assert_allclose(stack.paths[place], single.paths[0], rtol=0, atol=1e-8)  # as SAME
        np.testing.assert_allclose(stack.weights[place], single.weights[0], rtol=0, atol=1e-8)  # as SAME


def test_among_very_many_respondents_groups_are_drawn(monkeypatch):
    monkeypatch.setattr("smstudy.inference.partial_least_squares.MOST_PRODUCTS", 40_000)
    values = np.random.default_rng(1).normal(size=(3000, 4))
    moments = np.concatenate(list(resampled_moments(values, n_boot=300, seed=2)))
    means = moments[:, 0, 1:] / moments[:, :1, 0]
    np.testing.assert_allclose(means.std(axis=0), 3000**-0.5, rtol=0.15)  # 300 resamples: SE of an SD is 4 %


def test_resampled_scores_stay_the_same_way_up():
    structure = structure_of(BLOCKS, LINKS, formative=["made"])
    values = answers()
    whole = fit_paths(np.corrcoef(values, rowvar=False)[None], structure)
    turned = fit_paths(np.corrcoef(values, rowvar=False)[None], structure, like=-whole.weights[0])
    np.testing.assert_allclose(turned.weights, -whole.weights, rtol=0, atol=1e-12)  # the same numbers
    np.testing.assert_allclose(turned.paths, whole.paths, rtol=0, atol=1e-12)  # both ends turned


def test_with_single_items_a_path_model_is_a_regression():
    values = np.random.default_rng(3).normal(size=(80, 3)) @ np.array([[1, 0.4, 0.3], [0, 1, 0.5], [0, 0, 1]])
    structure = structure_of({"a": 1, "b": 1, "c": 1}, ["a c", "b c"])
    fit = fit_paths(np.corrcoef(values, rowvar=False)[None], structure)
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    slopes = np.linalg.lstsq(z[:, :2], z[:, 2], rcond=None)[0]
    np.testing.assert_allclose(fit.paths[0][:2, 2], slopes, rtol=0, atol=1e-12)  # closed form


def test_from_correlations_of_a_factor_model_the_correction_gets_its_paths_back_exactly():
    loadings = np.array([0.8, 0.7, 0.6, 0.9, 0.5, 0.75, 0.65, 0.7, 0.85])
    paths = {"a b": 0.5, "a c": 0.3, "b c": 0.4}
    between = np.array([[1, 0.5, 0.5], [0.5, 1, 0.55], [0.5, 0.55, 1]])
    members = np.kron(np.eye(3), np.ones((3, 1)))
    correlations = (loadings[:, None] * members) @ between @ (loadings[:, None] * members).T
    np.fill_diagonal(correlations, 1)
    corrected = fit_paths(correlations[None], structure_of({"a": 3, "b": 3, "c": 3}, paths, factors="abc"))
    plain = fit_paths(correlations[None], structure_of({"a": 3, "b": 3, "c": 3}, paths))
    found = [corrected.paths[0]["abc".index(link[0]), "abc".index(link[2])] for link in paths]
    np.testing.assert_allclose(found, list(paths.values()), rtol=0, atol=1e-8)  # as SAME
    np.testing.assert_allclose(corrected.loadings[0], loadings, rtol=0, atol=1e-8)  # as SAME
    assert plain.paths[0][0, 1] < 0.5 * 0.85  # attenuated by the square root of two reliabilities


def test_an_item_that_does_not_vary_spoils_its_sample_only():
    values = answers()[:60]
    moments = np.concatenate(list(resampled_moments(values, n_boot=3, seed=1)))
    moments[1, 1, :] = moments[1, :, 1] = 0
    fit = fit_paths(item_correlations(moments)[0], structure_of(BLOCKS, LINKS, formative=["made"]))
    assert fit.usable.tolist() == [True, False, True]


def test_singular_blocks_have_no_formative_weights():
    correlations = np.corrcoef(answers(), rowvar=False)
    twin = correlations.copy()
    twin[5], twin[:, 5] = twin[6], twin[:, 6]
    twin[5, 5] = twin[5, 6] = twin[6, 5] = 1
    fit = fit_paths(np.stack([correlations, twin]), structure_of(BLOCKS, LINKS, formative=["made"]))
    assert fit.usable.tolist() == [True, False]
