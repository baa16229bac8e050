"""Laws of modification indices: R's values, and what happens when the path is really added."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.inference.factor_models.likelihood import pieces_of
from smstudy.inference.factor_models.modification import modifications
from smstudy.inference.factor_models.normal_theory import fit_ml, sample_of
from smstudy.inference.factor_models.structures import freed, measurement_model


@pytest.mark.parametrize("name", ["hs_ml", "hs_mlr", "hs_groups_ml", "pd_errors_ml", "bfi_ml", "holes_fiml"])
def test_agrees_with_lavaan_modindices(name, named_case, find_cell) -> None:
    case = named_case(name)
    fitted, expected = case.fit(), case.expected["mi"]
    pieces = pieces_of(case.answers)[0] if case.estimator == "fiml" else None
    found = {(each.matrix, (each.group, each.row, each.column)): each for each in modifications(fitted, pieces)}
    assert len(found) == len(expected["mi"])
    for key, index, change, std_change in zip(
        zip(expected["lhs"], expected["op"], expected["rhs"], expected["group"]),
        expected["mi"],
        expected["epc"],
        expected["sepc"],
    ):
        mine = found[find_cell(fitted.structure, *key)]
        assert mine.index == pytest.approx(index, abs=1e-6), key  # from slopes of both programs near 1e-10, times n
        assert (mine.change, mine.std_change) == pytest.approx((change, std_change), abs=1e-8), key


def test_a_planted_path_comes_first_and_is_about_what_it_promises() -> None:
    rng = np.random.default_rng(2)
    items = [f"q{i}" for i in range(6)]
    factors = rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], 4000)
    answers = factors[:, [0, 0, 0, 1, 1, 1]] * 0.7 + rng.normal(size=(4000, 6)) * 0.6
    answers[:, [1, 4]] += 0.3 * rng.normal(size=(4000, 1))  # two questions share some words
    structure, sample = measurement_model(items, {"f": items[:3], "g": items[3:]}), sample_of(answers)
    fitted = fit_ml(structure, [sample])
    first = modifications(fitted)[0]
    wider = fit_ml(freed(structure, first.matrix, [(first.group, first.row, first.column)]), [sample])
    assert (first.matrix, first.row, first.column) == ("residuals", 4, 1)
    drop = fitted.test.statistic - wider.test.statistic
    assert first.index == pytest.approx(drop, rel=0.2)  # a score test is a first guess
    assert first.change == pytest.approx(wider.parameters[-1], rel=0.4)


def test_paths_that_cannot_be_told_are_left_out() -> None:
    """One factor of three items is saturated: no path is left."""
    answers = np.random.default_rng(3).normal(size=(100, 3)) + np.random.default_rng(4).normal(size=(100, 1))
    fitted = fit_ml(measurement_model(list("abc"), {"f": list("abc")}), [sample_of(answers)])
    assert modifications(fitted) == []
