"""Laws of the steps of measurement invariance: R's values, what identification must not matter for, what ends where."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.factor_models.fit_indices import fit_indices
from smstudy.inference.factor_models.fitted import Fitted
from smstudy.inference.factor_models.full_information import fit_fiml
from smstudy.inference.factor_models.invariance_steps import (
    Repeated,
    held,
    invariant,
    over_groups,
    over_ordinal_groups,
    over_waves,
    released,
    releases,
    step_difference,
)
from smstudy.inference.factor_models.likelihood import complete_pieces
from smstudy.inference.factor_models.normal_theory import fit_ml, fit_mlr, sample_of
from smstudy.inference.factor_models.ordinal_structures import fit_wlsmv, ordinal_moments
from smstudy.inference.psychometrics.polychoric import ordinal_codes

HERE = Path(__file__).parents[2] / "reference"
HOLZINGER = Path(__file__).parents[4] / "shared" / "data" / "cfa" / "HolzingerSwineford1939.csv"
LAVAAN = json.loads((HERE / "invariance.json").read_text(encoding="utf-8"))
LINEAR = ("configural", "metric", "scalar", "strict")
THREE_FACTORS = {"visual": ["x1", "x2", "x3"], "textual": ["x4", "x5", "x6"], "speed": ["x7", "x8", "x9"]}


def block(*names: str) -> dict[str, list[str]]:
    return {name: [f"{name}{i}" for i in range(1, 6)] for name in names}


def items_of(factors: dict[str, list[str]]) -> list[str]:
    return [item for members in factors.values() for item in members]


def bfi() -> pd.DataFrame:
    gender = pd.read_csv(HERE / "bfi_gender.csv")
    return pd.read_csv(HERE / "bfi_complete.csv").assign(gender=gender["gender"])


def split(frame: pd.DataFrame, factors: dict[str, list[str]], by: str) -> list[np.ndarray]:
    return [part[items_of(factors)].to_numpy(float) for _, part in frame.groupby(by)]


def linear(groups: list[np.ndarray], factors: dict[str, list[str]], estimator: str) -> dict[str, Fitted]:
    base = over_groups(items_of(factors), factors, len(groups))
    samples = [sample_of(each) for each in groups]
    models = {step: invariant(base, step) for step in base.steps}
    return {
        step: fit_ml(each, samples) if estimator == "ML" else fit_mlr(each, groups) for step, each in models.items()
    }


def ordinal_base(frame: pd.DataFrame, factors: dict[str, list[str]], by: str) -> tuple[Repeated, list]:
    codes = ordinal_codes(frame[items_of(factors)])
    samples = [ordinal_moments(codes.keep((frame[by] == each).to_numpy())) for each in sorted(frame[by].unique())]
    return over_ordinal_groups(items_of(factors), factors, samples), samples


def ordinal(frame: pd.DataFrame, factors: dict[str, list[str]], by: str) -> dict[str, Fitted]:
    base, samples = ordinal_base(frame, factors, by)
    return {step: fit_wlsmv(invariant(base, step), samples) for step in base.steps}


@cache
def one_scale() -> dict[str, Fitted]:
    return linear(split(bfi(), block("E"), "gender"), block("E"), "ML")


@cache
def ordinal_scale() -> dict[str, Fitted]:
    return ordinal(bfi(), block("E"), "gender")


def assert_steps(fits: dict[str, Fitted], expected: dict, *, cfi: str, rmsea: str, rel: float) -> None:
    """Compare fit of each step and the difference test from each to the next."""
    for step, values in expected["steps"].items():
        found, fit = fit_indices(fits[step]), values["fit"]
        assert found.df == fit["df"], step
        assert fits[step].test.statistic == pytest.approx(fit["chisq"], rel=rel), step
        assert found.chi_square == pytest.approx(fit.get("chisq.scaled", fit["chisq"]), rel=rel), step
        assert found.cfi == pytest.approx(fit[cfi], abs=rel), step
        assert found.rmsea == pytest.approx(fit[rmsea], abs=rel), step
    for one, two in pairwise(expected["steps"]):
        found, values = step_difference(fits[two], fits[one]), expected["differences"][two]
        assert found.df == values["df"], two
        near = 10 * rel  # a difference of two large numbers loses a digit
        assert found.corrected == pytest.approx(values["statistic"], rel=near, abs=near), two
        assert found.p_value == pytest.approx(values["p"], abs=near), two


# R


def test_one_scale_by_gender_agrees_with_lavaan():
    assert_steps(one_scale(), LAVAAN["one"], cfi="cfi", rmsea="rmsea", rel=1e-6)  # asked for; both search to the end


def test_five_factors_by_gender_agree_with_lavaan():
    factors = block("A", "C", "E", "N", "O")
    fits = linear(split(bfi(), factors, "gender"), factors, "MLR")
    assert_steps(fits, LAVAAN["five"], cfi="cfi.robust", rmsea="rmsea.robust", rel=1e-6)  # both search to the end


@pytest.mark.skipif(not HOLZINGER.exists(), reason="../shared/data is not there")
@pytest.mark.parametrize(("estimator", "cfi", "rmsea"), [("ML", "cfi", "rmsea"), ("MLR", "cfi.robust", "rmsea.robust")])
def test_schools_of_holzinger_and_swineford_agree_with_lavaan(estimator, cfi, rmsea):
    fits = linear(split(pd.read_csv(HOLZINGER), THREE_FACTORS, "school"), THREE_FACTORS, estimator)
    expected = LAVAAN[f"schools_{estimator.lower()}"]
    assert_steps(fits, expected, cfi=cfi, rmsea=rmsea, rel=1e-6)  # both search to the end


def test_ordinal_steps_agree_with_semtools():
    expected = LAVAAN["ordinal_theta"]
    assert_steps(ordinal_scale(), expected, cfi="cfi.scaled", rmsea="rmsea.scaled", rel=1e-4)  # lavaan stops there


def test_delta_and_theta_are_the_same_models():
    expected = LAVAAN["ordinal_delta"]
    assert_steps(ordinal_scale(), expected, cfi="cfi.scaled", rmsea="rmsea.scaled", rel=1e-4)  # lavaan stops there


def three_answers() -> pd.DataFrame:
    names = block("N")["N"]
    frame = bfi()
    return frame[names].apply(lambda column: np.digitize(column, [3, 5])).assign(gender=frame["gender"])


def test_three_answers_agree_with_semtools():
    fits = ordinal(three_answers(), block("N"), "gender")
    assert "threshold" not in fits
    assert_steps(fits, LAVAAN["three"], cfi="cfi.scaled", rmsea="rmsea.scaled", rel=1e-4)  # lavaan stops there


def test_two_answers_agree_with_semtools():
    frame = (bfi()[block("N")["N"]] > 3).astype(float).assign(gender=bfi()["gender"])
    fits = ordinal(frame, block("N"), "gender")
    assert list(fits) == ["configural", "scalar", "strict"]
    assert_steps(fits, LAVAAN["binary"], cfi="cfi.scaled", rmsea="rmsea.scaled", rel=1e-4)  # lavaan stops there


def test_two_answers_among_more_agree_with_semtools():
    factors = {"f": ["y1", "x2", "x3", "x4"], "g": ["y5", "x6", "x7"]}
    fits = ordinal(pd.read_csv(HERE / "ordinal_groups.csv"), factors, "group")
    kept = {step: fits[step] for step in ("configural", "threshold", "scalar", "strict")}
    expected = LAVAAN["mixed"]
    assert_steps(kept, expected, cfi="cfi.scaled", rmsea="rmsea.scaled", rel=1e-4)  # lavaan stops there


@cache
def panel() -> tuple[Repeated, dict[str, Fitted]]:
    answers = pd.read_csv(HERE / "invariance_waves.csv").drop(columns="person").to_numpy(float)
    base = over_waves([f"x{i}" for i in range(1, 5)], {"f": [f"x{i}" for i in range(1, 5)]})
    return base, {step: fit_fiml(invariant(base, step), [answers]) for step in base.steps}


def test_waves_of_the_same_people_agree_with_lavaan():
    expected = LAVAAN["waves"]
    assert_steps(panel()[1], expected, cfi="cfi.robust", rmsea="rmsea.robust", rel=1e-5)  # lavaan's EM stops there


@pytest.mark.parametrize("step", ["metric", "scalar", "strict"])
def test_score_tests_agree_with_lavaan(step):
    base = over_groups(items_of(block("E")), block("E"), 2)
    fitted = one_scale()[step]
    found = {each.item: each for each in releases(base, fitted, step, {}, complete_pieces(fitted.observed))}
    expected = {row["item"]: row for row in LAVAAN[f"score_{step}"]}
    assert set(found) == set(expected)
    for item, row in expected.items():
        assert found[item].statistic == pytest.approx(row["statistic"], rel=1e-5, abs=1e-6)  # lavaan stops there
        assert found[item].df == row["df"]


# Special cases


def test_a_step_with_all_items_free_is_the_step_before():
    base = over_groups(items_of(block("E")), block("E"), 2)
    free = dict.fromkeys(base.items[2:], "scalar")
    some = invariant(base, "scalar", free)
    assert some.n_parameters == invariant(base, "scalar").n_parameters + 3


def test_a_free_item_stays_free_in_later_steps():
    base = over_groups(items_of(block("E")), block("E"), 2)
    model = invariant(base, "strict", {"E3": "metric"})
    for matrix, cell in (("loadings", (2, 0)), ("intercepts", (2, 0)), ("residuals", (2, 2))):
        assert len(set(model.places[matrix][:, *cell])) == 2


def test_releasing_an_item_predicts_the_fall_of_chi_squared():
    groups = split(bfi(), block("E"), "gender")
    base, samples = over_groups(items_of(block("E")), block("E"), 2), [sample_of(each) for each in groups]
    restricted = one_scale()["scalar"]
    largest = releases(base, restricted, "scalar", {}, complete_pieces(samples))[0]
    wider = fit_ml(invariant(base, "scalar", {largest.item: "scalar"}), samples)
    fall = restricted.test.statistic - wider.test.statistic
    assert largest.statistic == pytest.approx(fall, rel=0.1)  # the two tests agree only asymptotically


def test_releasing_an_ordinal_item_is_a_difference_test():
    base, samples = ordinal_base(bfi(), block("E"), "gender")
    fitted = ordinal_scale()["scalar"]
    wider = fit_wlsmv(invariant(base, "scalar", {"E4": "scalar"}), samples)
    found = released(base, fitted, wider, "E4", "scalar")
    assert found.df == 1
    assert found.statistic == step_difference(fitted, wider).corrected


def test_items_with_few_answers_are_not_held_before_they_can_be():
    base, _ = ordinal_base(pd.read_csv(HERE / "ordinal_groups.csv"), {"f": ["y1", "x2", "x8", "x4"]}, "group")
    assert held(base, "threshold", {}) == ["x2", "x4"]
    assert held(base, "metric", {}) == ["x2", "x8", "x4"]
    assert held(base, "scalar", {}) == ["y1", "x2", "x8", "x4"]


def test_equal_groups_fit_every_step_alike():
    group = split(bfi(), block("E"), "gender")[0]
    fits = linear([group, group], block("E"), "ML")
    for step in LINEAR[1:]:
        gap = fits[step].test.statistic - fits["configural"].test.statistic
        assert gap == pytest.approx(0, abs=1e-6)  # rounding of the search


def test_a_difference_without_a_positive_scale_is_refused():
    fits = one_scale()
    free = fits["configural"]
    broken = type(free)(**{**vars(free), "test": type(free.test)(free.test.statistic, free.test.df, scale=50.0)})
    with pytest.raises(EstimationError, match="scale of the robust difference"):
        step_difference(fits["metric"], broken)
