"""Laws of taking items in: what tables may not hold, and what is said of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.scales.aggregation import agreement
from smstudy.scales.batteries import refuse_missing_codes
from smstudy.scales.factors import choose_factors, factor_analysis
from smstudy.scales.omegas import omega_categorical, omega_hierarchical, ordinal_alpha
from smstudy.scales.polychorics import polychoric
from smstudy.scales.reliability import cronbach_alpha, omega_total
from smstudy.scales.retests import retest
from smstudy.scales.validities import validity

ESTIMATES = (cronbach_alpha, omega_total, omega_categorical, omega_hierarchical, ordinal_alpha, polychoric)
FACTORS = {"one": ["q1", "q2", "q3"], "two": ["q4", "q5", "q6"]}


def planted(n: int = 300, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    latent = 0.7 * rng.standard_normal((n, 1)) + 0.7 * rng.standard_normal((n, 6))
    return pd.DataFrame(np.digitize(latent, [-1.5, -0.8, 0.0, 0.8, 1.5]) + 1, columns=[f"q{i + 1}" for i in range(6)])


def with_code(code: float) -> pd.DataFrame:
    items = planted()
    items.iloc[5:40, 2] = code
    return items


@pytest.mark.parametrize(("values", "codes"), [
    ([1, 2, 3, 4, 5, 6, -99], "-99"),
    ([1, 2, 3, 4, 5, 99], "99"),
    ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 999], "999"),
    ([1, 2, 3, 4, 9], "9"),
    ([0, 1, -9], "-9"),
    ([1, 2, -1], "-1"),
    ([1, 1, 99], "99"),
    ([1, 2, 3, -88, -99], "[-99, -88]"),
    ([1, 2, 3, 97, 98], "[97, 98]"),
    ([-77, 1, 2, 3, 88], "[-77, 88]"),
])  # fmt: skip
def test_a_usual_code_far_from_the_answers_is_refused(values: list[float], codes: str) -> None:
    frame = pd.DataFrame({"q": values, "fine": 1})
    with pytest.raises(DataError, match="q holds ") as refused:
        refuse_missing_codes(frame, "the items")
    assert f'frame.replace({codes}, float("nan"))' in str(refused.value)
    refuse_missing_codes(frame.replace([float(each) for each in codes.strip("[]").split(",")], np.nan), "the items")


@pytest.mark.parametrize("values", [
    list(range(11)),
    [-3, -2, -1, 0, 1, 2, 3],
    [-1, 1],
    [-1, 0, 1],
    [1, 3, 5, 7, 9],
    [1, 9],
    [0.5, 1.5, 99.0],
    [*range(20), 99],
    [95, 96, 97, 98, 99],
    [float("nan"), 1, 2],
])  # fmt: skip
def test_answers_that_only_look_like_a_code_pass(values: list[float]) -> None:
    refuse_missing_codes(pd.DataFrame({"q": values}), "the items")


@pytest.mark.parametrize(("low", "high", "code"), [(1, 5, 9), (1, 5, 8), (1, 7, 9), (0, 6, 8), (1, 5, -1)])
def test_a_code_beyond_a_gap_that_no_item_fills_is_refused(low: int, high: int, code: float) -> None:
    items = pd.DataFrame(np.random.default_rng(1).integers(low, high + 1, (150, 4)), columns=list("abcd"))
    items.loc[5, "b"] = code
    with pytest.raises(DataError, match=f"b holds {code} beside {low} to {high}. If it stands for a missing answer"):
        refuse_missing_codes(items, "the items")
    refuse_missing_codes(items.replace(code, np.nan), "the items")
    every = np.arange(min(low, code), max(high, code) + 1)
    refuse_missing_codes(items.assign(c=np.resize(every, 150)), "the items")


def test_two_codes_beyond_a_gap_are_named_together() -> None:
    items = pd.DataFrame(np.random.default_rng(1).integers(1, 6, (150, 4)), columns=list("abcd"))
    items.loc[5, "b"], items.loc[6, "b"] = 8, 9
    with pytest.raises(DataError, match="b holds 8 and 9 beside 1 to 5"):
        refuse_missing_codes(items, "the items")


@pytest.mark.parametrize("answers", [[1, 3, 5, 9], [1, 3, 5, 7, 9], range(1, 8), range(11), range(1, 10), [1, 2, 4, 8]])
def test_scales_in_use_hold_no_code(answers: list[int]) -> None:
    rng = np.random.default_rng(1)
    for n in (10, 30, 200):
        refuse_missing_codes(pd.DataFrame(rng.choice(list(answers), (n, 6))), "the items")


def test_skewed_answers_from_0_to_10_hardly_ever_look_like_a_code() -> None:
    rng, refused = np.random.default_rng(1), 0
    for _ in range(300):
        trait = rng.standard_normal((60, 1)) + rng.standard_normal((60, 3))
        try:
            refuse_missing_codes(pd.DataFrame(np.clip(np.round(np.exp(trait) * rng.uniform(0.5, 4)), 0, 10)), "these")
        except DataError:
            refused += 1
    assert refused <= 2  # measured 1 in 1,000 tables of 0 to 10; twice in 300 has a probability above 3 %


def test_the_items_with_the_same_code_are_named_together() -> None:
    items = with_code(-99).assign(q5=with_code(-99)["q3"])
    with pytest.raises(DataError, match=r"q3 holds -99 beside 1 to 6 \(q5 too\)\. If it stands for a missing answer"):
        cronbach_alpha(items)


@pytest.mark.parametrize("estimate", [
    *ESTIMATES,
    lambda items: factor_analysis(items, 2),
    choose_factors,
    lambda items: validity(items, FACTORS, n_boot=100),
    lambda items: agreement(items.assign(team=[f"T{i % 10}" for i in range(len(items))]), by="team"),
    lambda items: retest(items.assign(person=range(300)), planted().assign(person=range(300)), person="person"),
])  # fmt: skip
def test_a_table_with_a_forgotten_code_gives_no_number(estimate: object) -> None:
    with pytest.raises(DataError, match="q3 holds -99 beside 1 to 6"):
        estimate(with_code(-99))


@pytest.mark.parametrize("estimate", [*ESTIMATES, choose_factors])
def test_a_table_has_no_scales(estimate: object) -> None:
    with pytest.raises(DataError, match="A table has no scales: give the items of one, such as frame"):
        estimate(planted(), "N")


@pytest.mark.parametrize("kind", ["str", "string", "category", "object"])
def test_numbers_stored_as_text_are_said_to_be_numbers(kind: str) -> None:
    items = planted()
    stored = items.astype({"q2": str}).astype({"q2": kind})
    for estimate in (cronbach_alpha, polychoric):
        with pytest.raises(DataError, match="q2 holds numbers stored as text or category. Use pd.to_numeric"):
            estimate(stored)
    mended = stored.assign(**stored[["q2"]].astype(object).apply(pd.to_numeric))
    assert cronbach_alpha(mended).estimate == cronbach_alpha(items).estimate


def test_one_item_holds_and_two_hold_no_numbers() -> None:
    for columns, words in (({"q1": "often"}, "q1 holds no"), ({"q1": "often", "q2": "never"}, "q1 and q2 hold no")):
        for estimate in (cronbach_alpha, polychoric):
            with pytest.raises(DataError, match=words):
                estimate(planted().assign(**columns))


def test_advice_about_reversed_items_of_a_table_speaks_of_no_codebook() -> None:
    items = planted().assign(q1=lambda frame: 7 - frame["q1"])
    for estimate in (cronbach_alpha, lambda frame: validity(frame, FACTORS, n_boot=100)):
        with pytest.raises(DataError, match="q1 is answered against the other items.*turn round what") as refused:
            estimate(items)
        assert "codebook" not in str(refused.value)
