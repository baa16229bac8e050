"""Laws of `smstudy.models.path_models.groups`: two groups compared by permutation, with the gate before it."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, EstimationError, StudyError
from smstudy.models.path_models.estimates import paths
from smstudy.models.path_models.groups import compare_paths
from smstudy.models.path_models.tables import PathTable

MODEL = "a =~ a1 + a2 + a3; b =~ b1 + b2 + b3; b ~ a"
QUICK = {"n_permutations": 199, "n_boot": 200}


def group(rng, n, path, loadings=(1, 1, 1)):
    a = rng.normal(size=n)
    b = path * a + (1 - path**2) ** 0.5 * rng.normal(size=n)
    items = np.column_stack([np.outer(a, loadings), np.outer(b, (1, 1, 1))]) + 0.7 * rng.normal(size=(n, 6))
    return pd.DataFrame(items, columns=[f"{name}{i}" for name in "ab" for i in (1, 2, 3)])


def two(first, second, n=150, seed=1, loadings=(1, 1, 1)):
    rng = np.random.default_rng(seed)
    parts = [group(rng, n, first).assign(site="north"), group(rng, n, second, loadings).assign(site="south")]
    return pd.concat(parts, ignore_index=True)


def compared(frame, **options):
    return compare_paths(MODEL, frame, **{"by": "site", **QUICK, **options})


def test_a_planted_difference_is_told():
    row = compared(two(0.8, 0.25)).tidy().iloc[0]
    assert row["verdict"] == "differ" and row["conf_low"] > 0
    assert row["difference"] == pytest.approx(row["estimate"] - row["other_estimate"])


def test_equal_groups_are_not_called_equal():
    result = compared(two(0.5, 0.5))
    assert result.tidy()["verdict"].tolist() == ["cannot tell"]
    assert [finding.name for finding in result.findings] == ["no_difference_shown"]


def test_differ_is_only_said_where_the_interval_does_not_hold_zero(monkeypatch):
    monkeypatch.setattr("smstudy.models.path_models.groups.permutation_p", lambda flags: np.full(flags.shape[1], 0.001))
    result = compared(two(0.5, 0.5))
    row = result.tidy().iloc[0]
    assert row["conf_low"] < 0 < row["conf_high"]
    monkeypatch.setattr("smstudy.models.path_models.groups._invariance", _alike)
    result = compared(two(0.5, 0.5))
    assert result.tidy()["verdict"].tolist() == ["cannot tell"]
    assert "p_and_interval_disagree" in {finding.name for finding in result.findings}


def _alike(found, contrast, pair, conf_level):
    rows = pd.DataFrame({"term": found.constructs, "verdict": "made up alike"})
    return PathTable(title="", note="", labels={}, privacy=found.privacy, rows=rows, summary={})


def test_a_difference_of_means_is_no_difference_of_paths():
    said = []
    for seed in range(40):
        frame = two(0.5, 0.5, n=100, seed=seed)
        frame.loc[frame["site"] == "south", frame.columns[:6]] += 3
        said += compared(frame, consistent=False, n_permutations=100, n_boot=100).tidy()["verdict"].tolist()
    assert said.count("differ") <= 0.05 * 40 + 3 * (40 * 0.05 * 0.95) ** 0.5  # three standard errors


def test_all_rows_are_counted():
    frame = two(0.7, 0.2)
    frame.loc[:9, "site"] = np.nan
    frame.loc[20:49, "a1"] = np.nan
    result = compared(frame)
    assert result.glance()["n"] + result.glance()["n_dropped"] == len(frame)
    told = {finding.name: finding.text for finding in result.findings}
    assert told["rows_of_no_group"].startswith("10 rows") and told["many_left_out"].startswith("north: 21%")


def test_what_is_wrong_with_items_of_one_group_is_told():
    frame = two(0.6, 0.6, n=250)
    south = frame["site"] == "south"
    frame.loc[south, "a3"] = -frame.loc[south, "a3"]
    result = compared(frame, consistent=False)
    assert any(finding.name == "opposed_items" and finding.text.startswith("south:") for finding in result.findings)


def test_scores_of_unlike_reliability_are_named():
    frame = two(0.6, 0.6, n=250)
    south = frame["site"] == "south"
    noise = np.random.default_rng(3).normal(size=(250, 6))
    frame.loc[south, frame.columns[:6]] += 1.2 * noise
    plain, corrected = (compared(frame, consistent=each) for each in (False, True))
    assert "unlike_reliability" in {finding.name for finding in plain.findings}
    assert "unlike_reliability" not in {finding.name for finding in corrected.findings}


def test_means_and_variances_are_compared_too():
    frame = two(0.6, 0.6)
    frame.loc[frame["site"] == "south", ["a1", "a2", "a3"]] += 2
    rows = compared(frame).score_differences.tidy().set_index(["term", "parameter"])
    assert rows.loc[("a", "difference of means"), "verdict"] == "differ"
    assert rows.loc[("b", "difference of means"), "verdict"] == "cannot tell"


def test_estimates_are_those_of_each_group():
    frame = two(0.7, 0.2)
    row = compared(frame).tidy().iloc[0]
    for name, column in (("north", "estimate"), ("south", "other_estimate")):
        alone = paths(MODEL, frame[frame["site"] == name], n_boot=100).tidy().iloc[0]
        assert row[column] == pytest.approx(alone["estimate"], abs=1e-8)  # weights settle to 1e-10


def test_turning_the_groups_round_turns_the_difference():
    frame = two(0.7, 0.2)
    one, other = (compared(frame, groups=pair).tidy().iloc[0] for pair in (["north", "south"], ["south", "north"]))
    assert one["difference"] == pytest.approx(-other["difference"], abs=1e-8)  # as above
    assert one["p_value"] == pytest.approx(other["p_value"], abs=0.05)  # other random groups


def test_constructs_made_up_otherwise_are_not_comparable():
    result = compared(two(0.6, 0.6, n=250, loadings=(1, 0.05, -0.6)), consistent=False)
    assert result.invariance.tidy().set_index("term")["verdict"].to_dict() == {
        "a": "made up otherwise",
        "b": "made up alike",
    }
    assert result.tidy()["verdict"].tolist() == ["not comparable"]
    assert "a is made up otherwise" in result.tidy()["reason"].iloc[0]
    assert "not_comparable" in {finding.name for finding in result.findings}


def test_the_gate_stays_open_where_only_a_path_differs():
    shut = []
    for seed in range(40):
        table = compared(two(0.8, 0.1, seed=seed), consistent=False, n_permutations=100, n_boot=100).invariance.tidy()
        shut += list(table["p_value"] < 0.05)
    assert np.mean(shut) <= 0.05 + 3 * 0.0345  # three standard errors of a share of 40 samples


def test_small_groups_are_refused_without_their_number():
    frame = two(0.5, 0.5)
    frame.loc[3:149, "site"] = np.nan
    with pytest.raises(DataError, match="Fewer than 5 respondents of north answered all items") as caught:
        compared(frame)
    assert " 3 " not in str(caught.value)
    with pytest.raises(DataError, match="Fewer than 200 respondents"):
        compared(two(0.5, 0.5), min_n=200)


def test_a_group_smaller_than_the_model_is_refused():
    frame = two(0.5, 0.5)
    frame.loc[6:149, "site"] = np.nan
    with pytest.raises(EstimationError, match="6 respondents answered all 6 items, and 7 or more"):
        compared(frame)


def test_hidden_departments_cannot_be_compared():
    survey = sm.open_study("quarterly-pulse").survey("clean")
    with pytest.raises(StudyError, match="no group .Quality Management. that can be shown"):
        compare_paths("adoption ~ leadership", survey, by="unit", groups=["Quality Management", "Sales"], **QUICK)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": "sight"}, DataError, 'no column "sight". Did you mean "site"'),
        ({"groups": ["north", "west"]}, StudyError, 'no group "west"'),
        ({"groups": ["north", "north"]}, StudyError, "two different groups"),
        ({"groups": "north"}, StudyError, "two different groups"),
        ({"n_permutations": 10}, StudyError, "too few"),
    ],
)
def test_what_is_no_comparison_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        compared(two(0.5, 0.5), **options)


def test_more_than_two_groups_must_be_named():
    frame = two(0.5, 0.5)
    frame.loc[:40, "site"] = "west"
    with pytest.raises(StudyError, match="has 3 groups"):
        compared(frame)
    result = compared(frame, groups=["north", "south"])
    assert result.glance()["n"] == 259 and result.glance()["n_dropped"] == 41


def test_a_picture_is_drawn():
    axes = compared(two(0.7, 0.2)).plot()
    assert axes.get_yticklabels()[0].get_text() == "a - b"
    plt.close(axes.get_figure())
