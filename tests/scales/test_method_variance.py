"""Laws of common_method(): a planted method is found, its absence is never claimed, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.inference.multiplicity import holm
from smstudy.scales.method_variance import UNMEASURED, CommonMethod, _corrected, common_method
from smstudy.vocabulary import GLANCE, TIDY

LOADINGS = np.array([0.8, 0.7, 0.6, 0.5])
TWO = {"one": list("abcd"), "two": list("efgh")}
WITH_MARKER = {**TWO, "color": list("wxyz")}


def planted(n: int = 800, seed: int = 1, method: float = 0.5, marker: float = 0.8) -> pd.DataFrame:
    """Two uncorrelated traits, a method behind their eight items, and a marker that loads on the method."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 1))
    items = np.repeat(rng.standard_normal((n, 2)), 4, axis=1) * np.tile(LOADINGS, 2) + method * shared
    own = marker * shared + np.sqrt(1 - marker**2) * rng.standard_normal((n, 1))
    both = np.hstack([items, np.repeat(own, 4, axis=1) * LOADINGS]) + 0.6 * rng.standard_normal((n, 12))
    return pd.DataFrame(both, columns=list("abcdefghwxyz"))


def row(result: CommonMethod, check: str) -> pd.Series:
    return result.tidy().set_index("check").loc[check]


def test_a_planted_method_gives_a_sign_everywhere() -> None:
    result = common_method(planted(), WITH_MARKER, marker="color")
    assert result.verdict == "a sign of it"
    for check in (
        "Unmeasured method factor",
        "Marker: same effect on all items",
        "Marker: bias of correlations of factors",
    ):
        assert row(result, check)["verdict"] == "a sign of it"
    assert row(result, "Marker: partial correlations of scores")["verdict"] == "a sign of it"


def test_no_method_is_never_said_to_be_absent() -> None:
    result = common_method(planted(method=0.0, seed=4), TWO)
    assert result.verdict == "cannot tell"
    assert set(result.tidy()["verdict"]) <= {"cannot tell", "not tested"}
    assert "not_ruled_out" in {finding.name for finding in result.findings}


def test_p_values_are_corrected_for_the_tests_there_are() -> None:
    for marker in (None, "color"):
        scales = WITH_MARKER if marker else TWO
        table = common_method(planted(300, method=0.1, marker=0.3), scales, marker=marker).tidy()
        np.testing.assert_array_equal(table["p_adjusted"], holm(table["p_value"]))
        assert (table.loc[table["p_adjusted"] >= 0.05, "verdict"] == "cannot tell").all()


def test_a_test_that_only_chance_makes_small_gives_no_sign() -> None:
    row_of = {"check": UNMEASURED, "verdict": "a sign of it", "reason": "It takes 5 %."}
    rows = [{**row_of, "p_value": p} for p in (0.03, 0.4, 0.6, np.nan)]
    found = _corrected(rows)
    assert found["verdict"].tolist() == ["cannot tell"] * 3 + ["a sign of it"]
    assert found["reason"].str.contains("chance").tolist() == [True] * 3 + [False]


def test_a_method_that_moves_no_correlation_is_a_slight_sign() -> None:
    """With thousands of respondents the smallest method is more than chance."""
    result = common_method(planted(6000, method=0.1), WITH_MARKER, marker="color")
    assert row(result, "Marker: bias of correlations of factors")["difference"] < 0.1
    assert result.verdict == "a slight sign"
    told = {finding.name: finding.text for finding in result.findings}
    assert told["not_ruled_out"].startswith("No check gives more than a slight sign")


def test_without_a_marker_it_is_said_that_nothing_was_tested() -> None:
    assert row(common_method(planted(), TWO), "Marker")["verdict"] == "not tested"


def test_harman_is_a_remark_only() -> None:
    result = common_method(planted(), TWO)
    assert "harman" in {finding.name for finding in result.findings}
    assert not result.tidy()["check"].str.contains("Harman").any()


def test_the_method_explains_the_correlation_it_made() -> None:
    """The scores of uncorrelated traits correlate by the method; what they share with the marker takes most of it."""
    result = common_method(planted(3000), WITH_MARKER, marker="color")
    assert row(result, "Unmeasured method factor")["difference"] > 0.2
    assert row(result, "Marker: partial correlations of scores")["difference"] > 0.1


def test_a_marker_may_be_one_item() -> None:
    result = common_method(planted(), TWO, marker="w")
    assert row(result, "Marker: same effect on all items")["p_value"] < 0.001


def test_answers_with_gaps_are_used() -> None:
    answers = planted(300)
    answers[np.random.default_rng(1).random(answers.shape) < 0.03] = np.nan
    assert common_method(answers, TWO).glance()["n"] == 300


@pytest.mark.parametrize(
    ("scales", "marker", "words"),
    [
        ({"one": list("abcd")}, None, "two of them or more"),
        (TWO, "a", "belongs to a scale"),
        (TWO, "colour", 'no scale or item "colour"'),
        ({"one": list("abcd"), "two": list("defg")}, None, "d stands in two scales"),
        ({**TWO, "color": list("wx")}, "two", "two of them or more"),
    ],
)
def test_what_cannot_be_checked_is_refused(scales: dict[str, list[str]], marker: str | None, words: str) -> None:
    if marker == "two":
        scales = {name: scales[name] for name in ("one", "two")}
    with pytest.raises(DataError, match=words):
        common_method(planted(), scales, marker=marker)


def test_columns_come_from_the_vocabulary() -> None:
    result = common_method(planted(), TWO)
    assert set(result.tidy()) <= set(TIDY) and set(result.glance()) <= set(GLANCE)
    assert result.to_html() and result.to_docx().tables


def test_partial_correlations_of_a_few_are_not_tested() -> None:
    answers, third = planted(600), np.arange(600) // 200
    for place, names in enumerate((TWO["one"], TWO["two"], WITH_MARKER["color"])):
        answers.loc[(third == place) & (answers.index % 200 > 0), names] = np.nan
    partial = row(common_method(answers, WITH_MARKER, marker="color"), "Marker: partial correlations of scores")
    assert partial["verdict"] == "not tested" and "Fewer than 5 respondents" in partial["reason"]
