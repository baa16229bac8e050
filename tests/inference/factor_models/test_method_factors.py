"""Laws of method factors and markers: lavaan's values, special cases, then planted method variance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.method_factors import (
    difference,
    first_component,
    marker_models,
    method_factor,
    partial_correlation,
)
from smstudy.inference.factor_models.normal_theory import fit_mlr
from smstudy.inference.factor_models.structures import measurement_model

REFERENCE = Path(__file__).parents[2] / "reference"
SHARED = Path(__file__).parents[4] / "shared" / "data"
R = json.loads((REFERENCE / "validity.json").read_text(encoding="utf-8"))
FILES = {
    "bfi": REFERENCE / "bfi.csv",
    "bfi_reversed": REFERENCE / "bfi.csv",
    "holzinger": SHARED / "cfa" / "HolzingerSwineford1939.csv",
    "trello": SHARED / "trello_utaut2" / "utaut2_216.csv",
    "wiki": SHARED / "wiki4he" / "wiki4HE.csv",
}
LOADINGS = np.array([0.8, 0.7, 0.6, 0.5])
SCALES = {"one": list("abcd"), "two": list("efgh")}


def data_of(name: str) -> tuple[np.ndarray, dict[str, list[str]]]:
    if not FILES[name].exists():
        pytest.skip(f"the data set {name} is not here: it lies in the shared folder beside the repository")
    scales = R["validity"][name.removesuffix("_reversed")]["scales"]
    items = [item for members in scales.values() for item in members]
    answers = pd.read_csv(FILES[name], na_values="?", sep=None, engine="python")[items].astype(float)
    turned = [item for item in R["turned"] if name.startswith("bfi")]
    answers[turned] = 7 - answers[turned]
    return answers.dropna().to_numpy(), scales


def oriented(model: dict[str, list]) -> np.ndarray:
    """Correlations of the scales' factors, turned so that loadings sum to more than 0: lavaan leaves it open."""
    k = len(model["correlations"])
    signs = np.sign(np.array(model["std"])[:, :k].sum(axis=0))
    return np.array(model["correlations"]) * np.outer(signs, signs)


def planted(n: int, seed: int, method: float, marker: float | None = None) -> np.ndarray:
    """Two uncorrelated traits and a method behind all eight items; four items of a marker if it loads on the method."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 1))
    items = np.repeat(rng.standard_normal((n, 2)), 4, axis=1) * np.tile(LOADINGS, 2) + method * shared
    answers = items + 0.6 * rng.standard_normal((n, 8))
    if marker is None:
        return answers
    own = marker * shared + np.sqrt(1 - marker**2) * rng.standard_normal((n, 1))
    return np.hstack([answers, own * LOADINGS + 0.6 * rng.standard_normal((n, 4))])


def found_in(answers: np.ndarray, scales: dict[str, list[str]], items: list[str]):
    names = [item for members in scales.values() for item in members]

    def fit(structure):
        return fit_mlr(structure, [answers])

    return method_factor(fit(measurement_model(names, scales)), fit, answers, items)


def marker_in(answers: np.ndarray, scales: dict[str, list[str]], marker: list[str]):
    names = [*(item for members in scales.values() for item in members), *marker]
    return marker_models(names, scales, marker, lambda structure: fit_mlr(structure, [answers]), 0.05)


# R


@pytest.mark.parametrize("name", [each for each, values in R["method"].items() if "difference" in values])
def test_agrees_with_a_method_factor_in_lavaan(name: str) -> None:
    answers, scales = data_of(name)
    found, expected = found_in(answers, scales, R["method"][name]["items"]), R["method"][name]
    test = expected["difference"]
    assert found.test.df == test["df"] == 1
    assert found.test.statistic == pytest.approx(test["statistic"], rel=1e-6)  # lavaan's scales are differences of sums
    assert found.test.p_value == pytest.approx(test["p"] / 2, rel=1e-5)  # as above
    loadings = np.array(expected["wide"]["std"])[:, -1]
    assert found.share == pytest.approx((loadings[loadings != 0] ** 2).mean(), abs=1e-7)  # both searches end at 1e-9
    change = np.abs(oriented(expected["wide"]) - oriented(expected["base"]))
    assert found.shift == pytest.approx(change.max(), abs=1e-6)  # as above


def test_a_model_lavaan_cannot_fit_is_refused() -> None:
    answers, scales = data_of("holzinger")
    assert "difference" not in R["method"]["holzinger"]
    with pytest.raises(EstimationError):
        found_in(answers, scales, R["method"]["holzinger"]["items"])


@pytest.mark.parametrize("name", list(R["marker"]))
def test_agrees_with_the_marker_technique_in_lavaan(name: str) -> None:
    answers, scales = data_of(name)
    expected = R["marker"][name]
    marker = scales.pop(expected["marker"])
    found = marker_in(answers, scales, marker)
    for test, key in ((found.equal, "c_b"), (found.unequal, "u_c"), (found.restricted, "r")):
        assert test.df == expected[key]["df"]
        assert test.statistic == pytest.approx(
            expected[key]["statistic"], rel=1e-5
        )  # lavaan stops early if parameters are equal
        assert test.p_value == pytest.approx(expected[key]["p"], rel=1e-4)  # as above
    assert found.share == pytest.approx((np.array(expected["std"]) ** 2).mean(), abs=1e-6)  # as above


# Special cases


def test_items_that_have_less_in_common_than_their_factors_say_have_no_method_factor() -> None:
    loadings = np.kron(np.eye(2), LOADINGS[:, None])
    chosen = np.isin(list("abcdefgh"), list("adeh")).astype(float)
    root = np.linalg.cholesky(loadings @ loadings.T + 0.4 * np.eye(8) - 0.05 * np.outer(chosen, chosen))
    normal = np.random.default_rng(2).standard_normal((500, 8))
    normal = (normal - normal.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(normal.T)).T)
    found = found_in(normal @ root.T, SCALES, list("adeh"))
    assert found.test is None and found.share == 0 and found.shift == 0


def test_the_same_model_twice_differs_by_nothing() -> None:
    answers = planted(300, 1, 0.0)
    narrow = fit_mlr(measurement_model(list("abcdefgh"), SCALES, uncorrelated=["one", "two"]), [answers])
    wide = fit_mlr(measurement_model(list("abcdefgh"), SCALES), [answers])
    test = difference(wide, narrow)
    assert test.df == 1 and test.statistic >= 0 and 0 <= test.p_value <= 1


def test_nothing_to_take_out_changes_no_correlation() -> None:
    r = np.array([0.3, -0.2])
    assert partial_correlation(r, 0.0).tolist() == r.tolist()


def test_unrelated_items_have_equal_components() -> None:
    assert first_component(np.eye(5)) == pytest.approx(0.2, abs=1e-15)  # rounding


# Planted truth


def test_a_planted_method_factor_is_found() -> None:
    found = found_in(planted(2000, 3, 0.5), SCALES, list("abcdefgh"))
    total = np.mean(0.25 / (LOADINGS**2 + 0.25 + 0.36))
    assert found.test.p_value < 0.001
    assert abs(found.share - total) < 3 * found.std_error  # three standard errors
    assert found.shift > 0.2  # without it the traits seem to correlate


def test_without_method_variance_it_is_found_as_often_as_chance_allows() -> None:
    found = [found_in(planted(400, 100 + seed, 0.0), SCALES, list("abcdefgh")) for seed in range(60)]
    hits = np.mean([each.test is not None and each.test.p_value < 0.05 for each in found])
    assert hits <= 0.14  # 5 % within three standard errors of 60 draws


def test_a_planted_marker_is_found() -> None:
    found = marker_in(planted(1500, 4, 0.5, marker=0.8), SCALES, list("wxyz"))
    assert found.equal.p_value < 0.001 and found.restricted.p_value < 0.001 and found.share > 0.1


def test_a_marker_of_one_item_is_allowed() -> None:
    answers = planted(1500, 5, 0.5, marker=0.8)[:, :9]
    assert marker_in(answers, SCALES, ["w"]).equal.p_value < 0.001


def test_a_marker_that_has_nothing_to_do_with_it_finds_nothing() -> None:
    hits = [marker_in(planted(400, 200 + seed, 0.0, marker=0.0), SCALES, list("wxyz")).equal for seed in range(30)]
    assert np.mean([test.p_value < 0.05 for test in hits]) <= 0.17  # 5 % within three standard errors of 30 draws
