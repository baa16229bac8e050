from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from smstudy.clustering.kmeans import kmeans
from smstudy.clustering.profiles import OTHERS, adjusted_residuals, profile
from smstudy.errors import DataError

SCALES = ["leadership", "readiness", "concerns", "usefulness", "adoption"]
FOUR = ["adoption", "readiness", "concerns", "usefulness"]


@pytest.fixture(scope="module")
def data(planted) -> pd.DataFrame:
    rng = np.random.default_rng(77)
    chances = [0.4, 0.3, 0.24, 0.03, 0.03]
    return planted(280, 1).assign(unit=rng.choice(list("ABCDE"), 280, p=chances), age=rng.normal(40, 9, 280))


@pytest.fixture(scope="module")
def segments(data):
    return kmeans(data, SCALES, k=4, seed=1, n_boot=20)


def test_agrees_with_r_welch_residuals_and_holm(reference, reference_data):
    found = kmeans(reference_data, FOUR, k=3, seed=1, n_boot=20)
    rows = profile(found, reference_data, variables=["age"], by=["tenure"]).tidy()
    age, tenure = rows[rows["term"] == "age"], rows[rows["term"] == "tenure"]
    np.testing.assert_allclose(age["statistic"], reference["welch"]["statistic"], rtol=1e-9)  # closed formulas
    np.testing.assert_allclose(age["df"], reference["welch"]["df"], rtol=1e-9)  # as above
    np.testing.assert_allclose(age["p_value"], reference["welch"]["p"], rtol=1e-8)  # tail of t
    assert tenure["n"].tolist() == np.ravel(reference["counts"]).tolist()
    np.testing.assert_allclose(tenure["statistic"], np.ravel(reference["residuals"]), rtol=1e-9)  # closed formula
    np.testing.assert_allclose(rows["p_adjusted"], reference["holm"], rtol=1e-8)  # products of the p values


def test_variables_that_formed_the_segments_are_not_tested(segments, data):
    found = profile(segments, data, variables=[*SCALES, "age"])
    rows = found.tidy()
    assert rows.loc[rows["term"].isin(SCALES), "p_value"].isna().all()
    assert rows.loc[rows["term"] == "age", "p_value"].notna().all()
    assert "by construction" in found.note


def test_means_of_the_segments_average_to_zero(segments, data):
    rows = profile(segments, data).tidy()
    total = (rows["std_mean"] * rows["n"]).groupby(rows["term"]).sum()
    np.testing.assert_allclose(total, 0, atol=1e-10)  # sums of 280 rounded numbers
    np.testing.assert_allclose(rows["std_mean"], segments.centers.T.ravel(), atol=1e-10)  # the same means


def test_small_categories_are_put_together_and_reconcile(segments, data):
    rows = profile(segments, data, by=["unit"]).tidy()
    unit = rows[rows["term"] == "unit"]
    assert OTHERS in set(unit["group"]) and not {"D", "E"} & set(unit["group"])
    assert ((unit["n"] == 0) | (unit["n"] >= 5)).all()
    assert unit.groupby("segment")["n"].sum().reindex(segments.segments).tolist() == segments.sizes.tolist()


def test_a_single_small_category_is_never_named_others(segments, data):
    unit = pd.Series(np.where(np.arange(280) < 6, "tiny", np.where(np.arange(280) < 140, "A", "B")))
    rows = profile(segments, data.assign(unit=unit), by=["unit"]).tidy()
    assert set(rows["group"].dropna()) == {"B", OTHERS}


def test_categories_that_cannot_be_made_safe_are_hidden_altogether(segments, data):
    unit = pd.Series(np.where(np.arange(280) < 2, "tiny", "rest"))
    found = profile(segments, data.assign(unit=unit), by=["unit"])
    assert "unit" not in set(found.tidy()["term"])
    assert "categories_hidden" in [f.name for f in found.findings]
    assert "tiny" not in found.to_html() + json.dumps(found.to_record()) + repr(found)


def test_a_category_that_lies_in_one_segment_is_not_shown_alone(segments, data):
    first = segments.assignment[segments.assignment == "Segment 1"].index[:20]
    unit = pd.Series(np.where(np.arange(280) % 2, "A", "B")).where(~data.index.isin(first), "C")
    rows = profile(segments, data.assign(unit=unit), by=["unit"]).tidy()
    assert "C" not in set(rows["group"].dropna())


def test_a_variable_few_answered_is_hidden_in_every_segment(segments, data):
    few = data.assign(age=data["age"].where(segments.assignment != "Segment 4").fillna(pd.Series({0: 1.0})))
    few.loc[segments.assignment[segments.assignment == "Segment 4"].index[:2], "age"] = 33.0
    rows = profile(segments, few, variables=["age"]).shown()
    assert rows["hidden"].all() and rows[["n", "mean", "statistic"]].isna().all(axis=None)


def test_every_rendering_works(segments, data):
    found = profile(segments, data, by=["unit"])
    assert found.plot() is not None
    assert "Segment 1: " in found.alt_text()
    assert json.dumps(found.to_record(), allow_nan=False)
    assert "p_value" not in found.layout(profile(segments, data).shown())


def test_a_stored_segmentation_can_be_profiled(segments, data):
    stored = json.loads(json.dumps(segments.to_model()))
    assert profile(stored, data).tidy().equals(profile(segments, data).tidy())


def test_independent_counts_have_no_residuals():
    np.testing.assert_allclose(adjusted_residuals(np.outer([10.0, 20.0], [3.0, 6.0])), 0, atol=1e-12)  # exact products
    assert np.isnan(adjusted_residuals(np.array([[3.0, 4.0]]))).all()


def test_bad_input_gets_one_clear_line(segments, data):
    with pytest.raises(DataError, match='Did you mean "unit"'):
        profile(segments, data, by=["unt"])
    with pytest.raises(DataError, match="is no category"):
        profile(segments, data, by=["age"])
    with pytest.raises(DataError, match="not numeric"):
        profile(segments, data, variables=["unit"])
