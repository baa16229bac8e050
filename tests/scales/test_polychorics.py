"""Laws of the table of polychoric correlations: R's values, findings, privacy, pictures, refusals."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.errors import CodebookError, DataError
from smstudy.privacy import Privacy
from smstudy.result import write_record
from smstudy.scales.polychorics import PolychoricCorrelations, polychoric
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

matplotlib.use("Agg")
HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "polychoric.json").read_text(encoding="utf-8"))


def bfi() -> pd.DataFrame:
    return pd.read_csv(HERE / "bfi.csv").iloc[:, :10]


def small() -> pd.DataFrame:
    items = pd.read_csv(HERE / "polychoric_small.csv")
    return items[[name for name in items if not name.endswith("_m")]]


def planted(n: int = 400, k: int = 4, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    answers = 0.7 * rng.standard_normal((n, 1)) + 0.7 * rng.standard_normal((n, k))
    return pd.DataFrame(np.digitize(answers, [-1.0, 0.0, 1.0]) + 1, columns=[f"q{i + 1}" for i in range(k)])


def survey_of(items: pd.DataFrame, reverse: str = "", high: int = 4) -> Survey:
    categories = [{"value": str(i), "label": f"answer {i}"} for i in range(1, high + 1)]
    codebook = {
        "title": "T",
        "variables": [
            {"name": n, "kind": "item", "title": f"Item {n}", "categories": categories, "reverse": n == reverse}
            for n in items
        ],
        "scales": [{"name": "climate", "items": list(items)}],
    }
    blank = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=items.astype(float), codebook=Codebook.model_validate(codebook), missing=blank)


def names_of(result: PolychoricCorrelations) -> set[str]:
    return {finding.name for finding in result.findings}


def test_estimates_and_errors_are_those_of_lavaan() -> None:
    rows, expected = polychoric(bfi()).tidy(), R["bfi_missing"]
    variances = np.array(expected["diagonal"])[-45:] / expected["n"]
    np.testing.assert_allclose(rows["estimate"], expected["rho"], atol=1e-6)  # where lavaan's search ends
    np.testing.assert_allclose(rows["std_error"], np.sqrt(variances), rtol=1e-6)  # follows the correlations
    assert rows["n"].tolist() == [int(bfi()[list(pair)].notna().all(axis=1).sum()) for pair in _pairs(rows)]


def test_listwise_uses_complete_rows() -> None:
    result = polychoric(bfi(), missing="listwise")
    np.testing.assert_allclose(result.tidy()["estimate"], R["bfi_listwise"]["rho"], atol=1e-6)  # lavaan's search
    assert result.glance() == {"n": 289, "n_items": 10, "conf_level": 0.95, "missing": "listwise"}


def test_intervals_hold_their_estimate_and_stay_inside_one() -> None:
    rows = polychoric(planted(60, 3)).tidy()
    assert (rows["conf_low"] < rows["estimate"]).all() and (rows["estimate"] < rows["conf_high"]).all()
    assert rows[["conf_low", "conf_high"]].abs().to_numpy().max() < 1
    wide, narrow = (polychoric(planted(60, 3), conf_level=level).tidy() for level in (0.99, 0.8))
    assert (wide["conf_high"] > narrow["conf_high"]).all()


def test_the_matrix_holds_the_rows() -> None:
    result = polychoric(bfi())
    rows = result.tidy()
    assert [result.matrix.loc[pair] for pair in _pairs(rows)] == rows["estimate"].tolist()
    assert (np.diag(result.matrix) == 1).all() and result.matrix.equals(result.matrix.T)


def test_it_is_larger_than_pearson_for_few_skewed_categories() -> None:
    items = planted().ge(4).astype(int)
    rows, pearson = polychoric(items).tidy(), items.corr()
    assert (rows["estimate"] > [pearson.loc[pair] for pair in _pairs(rows)]).all()


def test_a_survey_turns_reversed_items_round() -> None:
    items = planted()
    turned = items.assign(q1=5 - items["q1"])
    result = polychoric(survey_of(turned, reverse="q1"), "climate")
    np.testing.assert_allclose(result.matrix, polychoric(items).matrix, atol=1e-12)  # the same tables
    assert "turned round" in result.note and result.labels["q1"] == "Item q1"


def test_a_perfect_pair_has_no_standard_error() -> None:
    result = polychoric(small())
    perfect = result.tidy().query("term == 'four' and other_term == 'rare1'").iloc[0]
    assert perfect["estimate"] == 0.999
    assert perfect[["std_error", "conf_low", "conf_high"]].isna().all()
    assert {"perfect_correlation", "not_positive_definite", "empty_cells"} <= names_of(result)
    assert np.isnan(result.pooling().estimates).sum() == 1


def test_a_careless_respondent_against_a_high_correlation_is_told() -> None:
    rng = np.random.default_rng(2)
    attitude = rng.standard_normal((3000, 1)) * 0.95 + rng.standard_normal((3000, 3)) * 0.3
    items = pd.DataFrame(np.digitize(attitude, [-1.5, 0.0, 1.5]), columns=["a", "b", "c"])
    assert "improbable_answers" not in names_of(polychoric(items))
    slipped = pd.concat([items, pd.DataFrame({"a": [0], "b": [3], "c": [3]})])
    finding = next(f for f in polychoric(slipped).findings if f.name == "improbable_answers")
    assert "a with b and a with c" in finding.text and "1" not in finding.text


def test_clean_answers_of_many_give_no_finding() -> None:
    assert names_of(polychoric(planted(2000, 4))) == set()
    assert names_of(polychoric(planted(90, 2))) >= {"few_respondents"}


def test_long_lists_are_shown_as_a_triangle() -> None:
    few, many = polychoric(planted(k=4)).table(), polychoric(planted(k=7)).table()
    assert len(few.rows) == 6 and few.headings[:2] == ("Term", "With")
    assert len(many.rows) == 7 and many.headings == ("Item", *"123456")
    assert many.rows[0][2:] == ("",) * 5 and all(many.rows[-1])


def test_rows_of_few_respondents_are_hidden_and_thresholds_never_shown() -> None:
    items = planted(k=7)
    items.loc[12:, "q1"] = np.nan
    result = polychoric(survey_of(items), "climate")
    careful = dataclasses.replace(result, privacy=result.privacy.raised_to(15))
    shown = careful.shown()
    assert shown.loc[shown["term"] == "q1", "estimate"].isna().all() and shown["hidden"].sum() == 6
    assert "hidden" in careful.to_text().lower() or "–" in careful.to_text()
    assert not {name for name in shown if "threshold" in name}


def yes_or_no(*cells: int) -> pd.DataFrame:
    """Two items with two answers and a given cross table, and one with three that goes with them."""
    one, other = np.repeat([1, 1, 2, 2], cells), np.repeat([1, 2, 1, 2], cells)
    third = np.clip(one + other - 1 + np.random.default_rng(1).integers(-1, 2, len(one)), 1, 3)
    return pd.DataFrame({"q1": one, "q2": other, "q3": third})


def test_a_cross_table_of_two_answers_with_a_rare_cell_is_hidden() -> None:
    result = polychoric(yes_or_no(47, 6, 3, 44))
    hidden = result.shown().set_index(["term", "other_term"])["hidden"]
    assert hidden.to_dict() == {("q1", "q2"): True, ("q1", "q3"): False, ("q2", "q3"): False}
    assert result.shown().iloc[0][["n", "estimate", "std_error", "conf_low", "conf_high"]].isna().all()
    assert result.tidy()["estimate"].notna().all() and np.isnan(result.pooling().estimates).tolist()[0]
    assert str(result.tidy()["estimate"][0]) not in write_record(result) + result.to_csv()
    assert "q1 with q2" not in result.alt_text() and "pairs_hidden" in names_of(result)


def test_a_cross_table_without_a_rare_cell_is_shown_until_the_threshold_is_raised() -> None:
    result = polychoric(yes_or_no(47, 6, 5, 44))
    assert "hidden" not in result.shown() and "pairs_hidden" not in names_of(result)
    careful = dataclasses.replace(result, privacy=result.privacy.raised_to(6))
    assert careful.shown()["hidden"].tolist() == [True, False, False]
    refused = dataclasses.replace(result, privacy=result.privacy.raised_to(200))
    assert refused.shown()["hidden"].all() and refused.shown()["estimate"].isna().all()


def test_only_those_who_answered_both_count_in_a_cross_table() -> None:
    items = yes_or_no(47, 6, 5, 44)
    items.loc[53, "q1"] = np.nan
    assert polychoric(items).shown()["hidden"].tolist() == [True, False, False]


def test_columns_keys_and_record_are_plain() -> None:
    result = polychoric(planted())
    assert set(result.tidy()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    assert {type(value) for value in result.glance().values()} <= {int, float, str}
    assert json.loads(write_record(result))["kind"] == "PolychoricCorrelations"


@pytest.mark.parametrize("k", [3, 14])
def test_the_picture_is_a_triangle_of_cells(k: int) -> None:
    ax = polychoric(planted(300, k)).plot()
    assert len(ax.collections) == 1 and len(ax.get_yticklabels()) == k - 1
    assert len(ax.texts) == (k * (k - 1) // 2 if k <= 12 else 0)
    plt.close("all")


def test_the_picture_is_put_in_words() -> None:
    result = polychoric(planted())
    rows = result.tidy().sort_values("estimate")
    assert f"largest: {rows['term'].iloc[-1]} with {rows['other_term'].iloc[-1]}" in result.alt_text()


def test_imputed_answers_can_be_pooled() -> None:
    result = polychoric(planted())
    rows, poolable = result.tidy(), result.pooling()
    np.testing.assert_allclose(np.tanh(poolable.estimates), rows["estimate"], rtol=1e-12)  # there and back
    width = 1.959964 * np.sqrt(np.diag(poolable.covariance))
    np.testing.assert_allclose(np.tanh(poolable.estimates + width), rows["conf_high"], rtol=1e-6)  # 1.96 to 7 digits


def test_mistakes_are_refused_in_words() -> None:
    survey = survey_of(planted())
    with pytest.raises(DataError, match="A survey has several scales. Name one: climate."):
        polychoric(survey)
    with pytest.raises(CodebookError):
        polychoric(survey, "weather")
    with pytest.raises(DataError, match='missing = "fiml" is not known'):
        polychoric(planted(), missing="fiml")
    with pytest.raises(DataError, match="conf_level = 95 is no level"):
        polychoric(planted(), conf_level=95)
    with pytest.raises(DataError, match="outside 1 to 4"):
        polychoric(survey_of(planted().replace(4, 9)), "climate")
    with pytest.raises(DataError, match="Everybody gave the same answer to q2"):
        polychoric(planted().assign(q2=3))


def _pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["term"], rows["other_term"], strict=True))


def test_a_raised_threshold_refuses_pairs_in_the_words_of_the_policy() -> None:
    items = planted()
    items.iloc[12:, 0] = np.nan
    strict = dataclasses.replace(survey_of(items), privacy=Privacy(min_n=20))
    with pytest.raises(DataError, match="Fewer than 20 respondents answered q1, and nothing is shown for so few"):
        polychoric(strict, "climate")
    assert polychoric(survey_of(items), "climate").n == len(items)
    items = planted()
    items.iloc[12:200, 0], items.iloc[200:, 1] = np.nan, np.nan
    strict = dataclasses.replace(survey_of(items), privacy=Privacy(min_n=20))
    with pytest.raises(DataError, match="Fewer than 20 respondents answered both q1 and q2"):
        polychoric(strict, "climate")
    with pytest.raises(DataError, match="Fewer than 20 respondents answered"):
        polychoric(strict, "climate", missing="listwise")


def test_a_raised_threshold_refuses_complete_answers_of_a_few() -> None:
    items = planted()
    items.iloc[0:200, 0], items.iloc[215:300, 1], items.iloc[300:, 2] = np.nan, np.nan, np.nan
    strict = dataclasses.replace(survey_of(items), privacy=Privacy(min_n=20))
    assert polychoric(strict, "climate").n == len(items)
    with pytest.raises(DataError, match="Fewer than 20 respondents answered all items, and nothing is shown"):
        polychoric(strict, "climate", missing="listwise")


def test_rows_are_hidden_where_the_policy_asks_for_more_respondents() -> None:
    result = dataclasses.replace(polychoric(planted()), privacy=Privacy(min_n=500))
    assert result.shown()["estimate"].isna().all() and result.shown()["hidden"].all()
    assert {cell for row in result.table().rows for cell in row} & {"hidden"}


def test_advice_fits_what_can_be_done() -> None:
    items = planted().assign(q4=lambda frame: frame["q1"])
    text = {finding.name: finding.text for finding in polychoric(items).findings}["perfect_correlation"]
    assert "no answers contradict a perfect correlation" in text and "leave one of the items out" in text
    assert "join" not in text
