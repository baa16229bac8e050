"""Laws of `smstudy.inference.regression.design`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.errors import DataError, DisclosureError
from smstudy.inference.regression.design import POOLED, build_design
from smstudy.inference.regression.formula import parse_formula

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "regression.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "regression.csv")


def design(text, frame, min_n=5, **options):
    return build_design(parse_formula(text), frame, min_level_n=min_n, **options)


def groups(**sizes):
    """A frame with a column of groups of the given sizes and an outcome that varies."""
    unit = [name for name, size in sizes.items() for _ in range(size)]
    return pd.DataFrame({"unit": unit, "y": np.arange(len(unit), dtype=float)})


@pytest.mark.parametrize("case", REFERENCE["matrices"], ids=lambda case: case["formula"])
def test_agrees_with_model_matrix(case):
    built = design("adoption" + case["formula"].replace("^", "**"), PEOPLE)
    n = len(built.y)
    assert built.x.shape == (len(PEOPLE), case["columns"])
    np.testing.assert_allclose(built.x.sum(axis=0), case["sums"], rtol=1e-12, atol=1e-9)  # sums of 240 rounded terms
    checks = (built.x * np.arange(1, n + 1)[:, None] / n).sum(axis=0)
    np.testing.assert_allclose(checks, case["checks"], rtol=1e-12, atol=1e-9)  # the same, order of rows included


def test_columns_are_named_by_term_and_level():
    built = design("adoption ~ leadership + C(role, ref='expert') + leadership:site", PEOPLE)
    assert built.names == (
        "(intercept)", "leadership", "role[employee]", "role[manager]", "leadership:site[south]",
    )  # fmt: skip
    assert built.terms == ("(intercept)", "leadership", "C(role)", "C(role)", "leadership:site")
    assert built.controls == {"C(role)"}
    assert built.numeric == (False, True, False, False, False)


def test_rows_with_a_missing_answer_are_left_out_and_counted():
    built = design("adoption ~ readiness", PEOPLE)
    assert built.n_dropped == PEOPLE["readiness"].isna().sum() == 9
    assert built.used.sum() == len(built.y) == len(PEOPLE) - 9
    cluster = PEOPLE.assign(team=[None, *"ab" * 119, "a"])
    assert design("adoption ~ tenure", cluster, also=["team"]).n_dropped == 1


def test_small_levels_are_pooled_until_the_pool_is_large_enough():
    built = design("y ~ C(unit)", groups(a=20, b=2, c=9, d=6, e=1))
    levels = built.levels["unit"]
    assert levels.names == ("a", "c", POOLED)
    assert levels.pooled == ("b", "d", "e")
    assert levels.counts.tolist() == [20, 9, 9]
    (finding,) = built.findings
    assert finding.name == "levels_pooled"
    assert not any(count in finding.text for count in (" 2 ", " 6 ", " 1 ", " 9 "))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 15), min_size=2, max_size=8), st.integers(5, 9))
def test_no_level_has_fewer_respondents_than_the_threshold(sizes, min_n):
    frame = groups(**{f"u{i}": size for i, size in enumerate(sizes)})
    try:
        levels = design("y ~ unit", frame, min_n).levels["unit"]
    except (DataError, DisclosureError):
        assert sum(size >= min_n for size in sizes) < 2 or min(sizes) < min_n
    else:
        assert levels.counts.min() >= min_n
        assert levels.counts.sum() == len(frame)
        assert len(levels.pooled) != 1


def test_one_person_among_zeros_is_refused():
    frame = groups(a=20, b=20).assign(flag=[1.0, 1.0] + [0.0] * 38, mostly=[3.0, 2.0, 7.0] + [1.0] * 37)
    for name in ("flag", "mostly"):
        with pytest.raises(DisclosureError, match=name):
            design(f"y ~ {name}", frame)


def test_small_combinations_of_levels_are_refused():
    frame = groups(a=20, b=20).assign(role=["x"] * 18 + ["z"] * 2 + ["x", "z"] * 10, number=[0, 1] * 20)
    design("y ~ unit + role", frame)
    with pytest.raises(DisclosureError, match="unit:role"):
        design("y ~ unit * role", frame)
    frame["alone"] = [1.0] * 19 + [4.0] + list(range(20))
    design("y ~ unit + alone", frame)
    with pytest.raises(DisclosureError, match="unit:alone"):
        design("y ~ unit:alone", frame)
    design("y ~ unit:number", frame)
    frame["number"] = [0] * 18 + [1, 1] + [0, 1] * 10
    with pytest.raises(DisclosureError, match="unit:number"):
        design("y ~ unit:number", frame)


def test_free_text_never_becomes_levels_or_part_of_a_message():
    frame = groups(a=40).assign(comment=[f"secret {i}" for i in range(40)])
    with pytest.raises(DisclosureError) as caught:
        design("y ~ comment", frame)
    assert "secret" not in str(caught.value)
    frame = groups(a=20, b=20).assign(comment=["fine"] * 20 + ["good"] * 18 + ["secret one", "secret two"])
    with pytest.raises(DataError) as caught:
        design("y ~ C(comment, ref='secret')", frame)
    assert "secret one" not in str(caught.value)


def test_categories_keep_their_declared_order():
    frame = groups(a=20, b=20)
    frame["unit"] = pd.Categorical(frame["unit"], categories=["b", "never", "a"])
    assert design("y ~ unit", frame).names == ("(intercept)", "unit[a]")


def test_numbers_become_levels_in_numeric_order():
    frame = groups(a=60).assign(grade=[10, 9, 2.5] * 20)
    assert design("y ~ C(grade)", frame).names == ("(intercept)", "grade[9]", "grade[10]")
    assert design("y ~ C(grade, ref=10)", frame).names == ("(intercept)", "grade[2.5]", "grade[9]")


def test_an_outcome_of_two_levels_models_the_second():
    frame = groups(a=20, b=20).assign(answer=["yes", "no"] * 20, x=np.arange(40.0))
    built = design("answer ~ x", frame)
    assert built.event == "yes"
    assert built.y.tolist() == [1.0, 0.0] * 20


def test_center_and_scale_use_the_rows_that_remain():
    built = design("adoption ~ center(tenure) + scale(leadership) + readiness", PEOPLE)
    np.testing.assert_allclose(built.x[:, 1:3].mean(axis=0), 0, atol=1e-12)  # a mean of rounded numbers
    np.testing.assert_allclose(built.x[:, 2].std(ddof=1), 1, rtol=1e-12)  # one division by the rounded spread


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("y ~ untt", 'Did you mean "unit"?'),
        ("same ~ x", "the same value in all complete rows"),
        ("y ~ same", "the same value in all complete rows"),
        ("y ~ one", "one level only"),
        ("unit ~ x", "exactly two levels"),
        ("y ~ log(x)", "needs values above 0"),
        ("y ~ sqrt(minus)", "needs values of at least 0"),
        ("y ~ log(unit)", "needs numbers"),
        ("y ~ day", "is a date or time"),
        ("y ~ lists", "neither numbers nor text"),
        ("y ~ endless", "infinite"),
        ("y ~ empty", "No row has an answer"),
        ("y ~ twice", "Two columns are called"),
        ("y ~ C(unit, ref='nope')", 'no level "nope"'),
    ],
)
def test_data_that_cannot_carry_the_formula_are_named(text, said):
    frame = groups(a=10, b=10, c=10)
    frame = frame.assign(
        same=1.0, one="only", x=np.arange(30.0), minus=np.arange(30.0) - 5, empty=np.nan, lists=[[1]] * 30,
        day=pd.date_range("2024-01-01", periods=30), endless=[np.inf] * 30, twice=1.0,
    )  # fmt: skip
    frame = pd.concat([frame, frame[["twice"]]], axis=1)
    with pytest.raises(DataError) as caught:
        design(text, frame)
    assert said in str(caught.value)


def test_too_few_complete_rows_are_not_described():
    frame = groups(a=20).assign(x=[1.0, 2.0, 3.0, 4.0] + [np.nan] * 16)
    with pytest.raises(DisclosureError, match="Fewer than 5"):
        design("y ~ x", frame)


def test_the_frame_is_not_changed():
    before = PEOPLE.copy()
    design("adoption ~ scale(tenure) * role", PEOPLE)
    pd.testing.assert_frame_equal(PEOPLE, before)
