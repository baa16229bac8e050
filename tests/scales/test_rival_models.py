"""Laws of comparing factor models: R's difference tests, nesting found by fitting, and verdicts that can be open."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.privacy import Privacy
from smstudy.scales.confirmatory import confirm
from smstudy.scales.rival_models import _Difference, _tested, compare_models

HERE = Path(__file__).parents[1] / "reference"
CFA = Path(__file__).parents[3] / "shared" / "data" / "cfa"
R = json.loads((HERE / "confirmatory.json").read_text(encoding="utf-8"))
BIG5 = {name: [f"{name}{i}" for i in range(1, 6)] for name in "ACENO"}
X = [f"x{i}" for i in range(1, 10)]
THREE = {"visual": X[:3], "textual": X[3:6], "speed": X[6:]}
ONE, TWO = {"F": list("abcdef")}, {"F": list("abc"), "G": list("def")}


def bfi() -> pd.DataFrame:
    items = pd.read_csv(HERE / "bfi.csv").astype(float)
    items[R["turned"]] = 7 - items[R["turned"]]
    return items


def planted(correlation: float, n: int = 400, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    factors = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n)[:, [0] * 3 + [1] * 3]
    return pd.DataFrame(factors * 0.75 + rng.normal(size=(n, 6)) * 0.65, columns=list("abcdef"))


def agrees(row, expected) -> None:
    assert row["df_change"] == expected["df"]
    assert row["statistic_change"] == pytest.approx(
        expected["statistic"], rel=1e-7
    )  # lavaan differentiates numerically
    assert row["p_change"] == pytest.approx(expected["p"], rel=1e-5)  # a change of 1e-7 moves far tails that much


@pytest.mark.parametrize("estimator", ["ML", "MLR"])
def test_agrees_with_lavaan_on_one_factor_against_three(estimator: str) -> None:
    path = CFA / "HolzingerSwineford1939.csv"
    if not path.exists():
        pytest.skip("the shared data sets are not beside this checkout")
    items = pd.read_csv(path)
    models = {"one": confirm(items, {"g": X}, estimator=estimator), "three": confirm(items, THREE, estimator=estimator)}
    result = compare_models(models)
    agrees(result.tidy().iloc[1], R["differences"][f"hs_{estimator.lower()}"])
    assert result.verdict == "three fits better than one"


def test_agrees_with_lavaan_on_a_method_factor() -> None:
    models = {"plain": confirm(bfi(), BIG5), "wording": confirm(bfi(), BIG5, method_factor=R["turned"])}
    result = compare_models(models)
    agrees(result.tidy().iloc[1], R["differences"]["bfi_mlr"])
    assert [each.name for each in result.findings] == ["none_fits"]


@pytest.mark.parametrize("estimator", ["ML", "MLR", "FIML", "WLSMV"])
def test_two_clear_factors_beat_one(estimator: str) -> None:
    answers = planted(0.3).round()
    models = {name: confirm(answers, factors, estimator=estimator) for name, factors in (("one", ONE), ("two", TWO))}
    result = compare_models(models)
    assert result.verdict == "two fits better than one" and result.tidy()["term"].tolist() == ["two", "one"]


def test_what_cannot_be_told_apart_is_said() -> None:
    answers = planted(0.98)
    pair = [("a", "d")]
    models = {"plain": confirm(answers, ONE), "pair": confirm(answers, ONE, correlated_errors=pair)}
    assert compare_models(models).verdict.startswith("cannot tell plain from pair: take plain")


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.4, 0.3], "c is favored: the most restricted model that no test rejects"),
        ([0.4, 0.01], "b is favored: the most restricted model that no test rejects"),
        ([0.01, 0.4], "a is favored: the most restricted model that no test rejects"),
        (
            [0.4, np.nan],
            "b is favored: the most restricted model that no test rejects; there is no test of c against b",
        ),
        ([np.nan, 0.4], "cannot tell: there is no test of b against a"),
    ],
)
def test_a_chain_of_tests_ends_where_a_model_is_rejected_or_untested(p_values: list[float], expected: str) -> None:
    assert _tested(["a", "b", "c"], [_Difference(1.0, 1, p, "") for p in p_values]) == expected


def test_without_bic_the_tests_choose_among_three_models() -> None:
    answers = planted(0.3).round()
    rivals = {"one": (ONE, ()), "two": (TWO, ()), "pair": (TWO, [("a", "d")])}
    models = {
        name: confirm(answers, factors, estimator="WLSMV", correlated_errors=pairs)
        for name, (factors, pairs) in rivals.items()
    }
    result = compare_models(models)
    assert result.tidy()["term"].tolist() == ["pair", "two", "one"]
    assert result.verdict == "two is favored: the most restricted model that no test rejects"
    assert "BIC" not in result.note and "AIC" not in result.note


def test_ordinal_models_without_a_test_say_so() -> None:
    answers = planted(0.3).round()
    models = {
        name: confirm(answers, TWO, estimator="WLSMV", correlated_errors=[pair])
        for name, pair in (("near", ("a", "d")), ("far", ("b", "e")))
    }
    assert compare_models(models).verdict.endswith("there is no test")


def test_models_without_names_are_refused_in_words() -> None:
    model = confirm(planted(0.3), TWO)
    for given in (([model, model],), (model, model), (model,)):
        with pytest.raises(DataError, match='name: compare_models\\({"one factor": first'):
            compare_models(*given)


def test_models_that_are_not_nested_get_no_test() -> None:
    answers = planted(0.3)
    other = {"F": list("abd"), "G": list("cef")}
    rows = compare_models({"right": confirm(answers, TWO), "wrong": confirm(answers, other)}).tidy()
    assert rows["reason"][1] == "as many parameters: no test" and rows["verdict"][1].startswith("right is favored")
    apart = confirm(answers, {"F": list("abc"), "G": list("def")}, correlated_errors=[("a", "b")])
    crossed = confirm(answers, other)
    rows = compare_models({"pair": apart, "wrong": crossed}).tidy()
    assert rows["reason"][1] == "not nested: no test" and np.isnan(rows["p_change"][1])


def test_the_same_model_in_another_order_is_no_better() -> None:
    answers = planted(0.3)
    turned = {"G": list("fed"), "F": list("cba")}
    result = compare_models({"one": confirm(answers, TWO), "same": confirm(answers, turned)})
    assert result.verdict.startswith("cannot tell")


def test_different_answers_estimators_and_single_models_are_refused() -> None:
    answers = planted(0.3)
    model = confirm(answers, TWO)
    for other, words in (
        (confirm(planted(0.3, seed=2), TWO), "different items or respondents"),
        (confirm(answers, {"F": list("abcde")}), "different items or respondents"),
        (confirm(answers, ONE, estimator="ML"), "same estimator"),
        (answers, "no factor model"),
    ):
        with pytest.raises(DataError, match=words):
            compare_models({"one": model, "other": other})
    with pytest.raises(DataError, match="two models or more"):
        compare_models({"one": model})


def test_models_of_too_few_are_hidden() -> None:
    rng = np.random.default_rng(1)
    traits = rng.multivariate_normal([0, 0], [[1, 0.4], [0.4, 1]], size=60).repeat(3, axis=1)
    answers = pd.DataFrame(traits + 0.6 * rng.normal(size=(60, 6)), columns=list("abcdef"))
    models = {name: confirm(answers, factors) for name, factors in {"one": ONE, "two": TWO}.items()}
    hidden = replace(compare_models(models), privacy=Privacy(min_n=61)).shown()
    assert hidden["cfi"].isna().all() and hidden["verdict"].isna().all() and hidden["reason"].isna().all()
