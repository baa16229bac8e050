"""Laws of description and correlation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smstudy.errors import DataError
from smstudy.result import write_record
from smstudy.scales.description import correlate, describe
from smstudy.scales.scoring import score
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "reliability.json").read_text(encoding="utf-8"))
SCALES = ["agreeableness", "conscientiousness", "extraversion", "neuroticism", "openness"]
SAME = {"rtol": 0, "atol": 1e-10}  # R prints 16 digits; sums of 300 products
MISSING = float("nan")


def bfi() -> Survey:
    raw = pd.read_csv(HERE / "bfi.csv").astype(float)
    categories = [{"value": str(i), "label": f"answer {i}"} for i in range(1, 7)]
    codebook = {
        "title": "T",
        "variables": [{"name": n, "kind": "item", "categories": categories, "reverse": n in R["reverse"]} for n in raw],
        "scales": [{"name": name, "items": R["scales"][name], "min_answered": 0.01} for name in SCALES],
    }
    blank = pd.DataFrame(columns=["row", "variable", "reason"])
    survey = Survey(answers=raw, codebook=Codebook.model_validate(codebook), missing=blank)
    return score(survey).survey


def items() -> pd.DataFrame:
    frame = bfi().answers
    frame[R["reverse"]] = 7 - frame[R["reverse"]]
    return frame


def test_agrees_with_psych_describe() -> None:
    expected = R["describe"]
    rows = describe(items(), expected["term"]).tidy()
    assert rows["n"].tolist() == expected["n"]
    for name, column in {"mean": "mean", "std_dev": "sd", "skew": "skew", "minimum": "min", "maximum": "max"}.items():
        np.testing.assert_allclose(rows[name], expected[column], **SAME)


def test_agrees_with_cor_test_and_holm() -> None:
    expected = R["correlate"]
    rows = correlate(bfi(), SCALES).tidy()
    assert rows["term"].tolist() == expected["term"]
    assert rows["other_term"].tolist() == expected["other"]
    columns = {"correlation": "r", "conf_low": "low", "conf_high": "high", "p_value": "p", "p_adjusted": "holm"}
    for name, column in columns.items():
        np.testing.assert_allclose(rows[name], expected[column], **SAME)


def test_a_pair_of_items_uses_all_who_answered_both() -> None:
    row = correlate(items(), ["A1", "N3"]).tidy().iloc[0]
    expected = R["item_pair"]
    assert row["n"] == expected["df"] + 2
    for name, column in {"correlation": "r", "conf_low": "low", "conf_high": "high"}.items():
        np.testing.assert_allclose(row[name], expected[column], **SAME)
    assert row["p_value"] == pytest.approx(expected["p"], rel=1e-9)  # a tail probability


def test_skew_of_a_symmetric_variable_is_zero() -> None:
    row = describe(pd.DataFrame({"x": [1.0, 2, 3, 4, 5]}), ["x"]).tidy().iloc[0]
    assert row["skew"] == pytest.approx(0, abs=1e-15)  # rounding


def test_a_perfect_line_correlates_one() -> None:
    x = np.arange(10.0)
    row = correlate(pd.DataFrame({"x": x, "y": 3 - 2 * x}), ["x", "y"]).tidy().iloc[0]
    assert row["correlation"] == pytest.approx(-1, abs=1e-15)  # rounding
    assert row["conf_high"] == pytest.approx(-1, abs=1e-7)  # half the digits of r near 1
    assert row["p_value"] < 1e-50


def test_correlation_is_symmetric_and_free_of_units() -> None:
    frame = items()
    one = correlate(frame, ["A2", "N3"]).tidy().iloc[0]
    other = correlate(frame.assign(A2=frame["A2"] * 1e6 + 1e9), ["N3", "A2"]).tidy().iloc[0]
    assert one["correlation"] == pytest.approx(other["correlation"], abs=1e-9)  # the offset costs three digits


def test_agrees_with_scipy() -> None:
    frame = items()[["C1", "C2"]].dropna()
    row = correlate(frame, ["C1", "C2"]).tidy().iloc[0]
    reference = stats.pearsonr(frame["C1"], frame["C2"])
    assert row["correlation"] == pytest.approx(reference.statistic, abs=1e-12)  # rounding
    assert row["p_value"] == pytest.approx(reference.pvalue, rel=1e-9)  # beta and t tails


def test_the_table_shows_mean_sd_n_alpha_and_the_lower_triangle() -> None:
    table = correlate(bfi(), SCALES).table()
    assert table.headings == ("Variable", "n", "M", "SD", "alpha", "1", "2", "3", "4")
    assert table.rows[0][0] == "1. agreeableness" and table.rows[0][5:] == ("–", "", "", "")
    assert table.rows[4][4] == f"{R['pairwise']['openness']['alpha']:.2f}".lstrip("0")
    first = R["correlate"]["r"][0]
    assert table.rows[1][5] == f"{first:.2f}".replace("0.", ".", 1).replace("-", "−")
    assert "*" not in str(table)


def test_a_frame_has_no_alpha() -> None:
    assert "alpha" not in correlate(items(), ["A1", "A2"]).table().headings


def test_a_refused_alpha_leaves_a_dash_and_a_finding() -> None:
    survey = bfi()
    broken = survey.with_columns(7 - survey.answers[["N1"]], "broken")
    result = correlate(broken, SCALES)
    assert [finding.name for finding in result.findings] == ["scale_refused"]
    assert result.table().rows[3][4] == "–"


def test_pairs_of_few_people_are_hidden() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.standard_normal((20, 3)), columns=list("xyz"))
    frame.loc[4:, "x"] = MISSING
    result = correlate(frame, ["x", "y", "z"])
    rows = result.table().rows
    assert rows[0][1:4] == ("hidden",) * 3
    assert rows[1][4] == "hidden" and rows[2][4] == "hidden" and rows[2][5] != "hidden"
    assert "null" in write_record(result)


def test_too_few_pairs_are_a_finding() -> None:
    frame = pd.DataFrame({"x": [1.0, 2, 3, *[MISSING] * 9], "y": [*[MISSING] * 2, *np.arange(10.0)]})
    result = correlate(frame, ["x", "y"])
    assert [finding.name for finding in result.findings] == ["too_few_pairs"]
    assert result.tidy()[["correlation", "p_value", "p_adjusted"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["A1"], "needs two variables"),
        ([], "No variable"),
        (["A1", "A1"], "named twice"),
        (["A1", "agreeablenes"], 'Did you mean "agreeableness"'),
        (["A1", "constant"], "same value"),
        (["A1", "empty"], "same value, or none"),
        (["A1", "text"], "holds no numbers"),
    ],
)
def test_what_cannot_be_correlated_is_refused(names: list[str], message: str) -> None:
    frame = items().assign(constant=3.0, empty=MISSING, text="a secret")
    with pytest.raises(DataError, match=message) as caught:
        correlate(frame, names)
    assert "secret" not in str(caught.value)


def test_a_constant_and_an_empty_variable_can_be_described() -> None:
    result = describe(pd.DataFrame({"c": [2.0] * 9, "e": [MISSING] * 9}), ["c", "e"])
    assert result.tidy()["n"].tolist() == [9, 0]
    assert [finding.name for finding in result.findings] == ["no_variation"]
    write_record(result)


def test_results_use_the_vocabulary_and_can_be_stored() -> None:
    for result in (describe(bfi(), SCALES), correlate(bfi(), SCALES)):
        assert set(result.tidy()) <= set(TIDY)
        assert set(result.glance()) <= set(GLANCE)
        assert result.tidy() is not result.tidy()
        write_record(result)
        assert result.to_html() and result.to_latex() and result.to_text()


def test_the_level_widens_the_interval() -> None:
    narrow, wide = (correlate(bfi(), SCALES, conf_level=level).tidy() for level in (0.8, 0.99))
    assert (wide["conf_low"] < narrow["conf_low"]).all() and (wide["conf_high"] > narrow["conf_high"]).all()


def test_an_extreme_of_a_few_people_is_not_shown() -> None:
    frame = pd.DataFrame({"age": [*[30.0] * 5, *np.arange(31.0, 63.0), 977.0], "tenure": np.repeat([1.0, 2.0], 19)})
    result = describe(frame, ["age", "tenure"])
    shown = result.shown().set_index("term")
    assert shown.loc["age", "minimum"] == 30 and np.isnan(shown.loc["age", "maximum"])
    assert shown.loc["tenure", ["minimum", "maximum"]].tolist() == [1, 2]
    assert result.tidy()["maximum"].tolist() == [977, 2]
    for rendering in (result.to_text(), result.to_html(), result.to_csv(), write_record(result)):
        assert "977" not in rendering
