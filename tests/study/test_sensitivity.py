"""Laws of the sensitivity line: it says what a hand calculation says, and nothing about a few people."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smstudy.errors import DataError
from smstudy.models.differences.groups import by_group
from smstudy.models.regressions.regression import regress
from smstudy.privacy import Privacy
from smstudy.scales.scoring import score
from smstudy.study.sensitivity import CHANGES, NOBODY, STAYS, TOO_FEW, sensitivity
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey

AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
UNITS = [{"value": code, "label": f"Unit {code}"} for code in range(1, 4)]
SCALES = {name: [f"{name}{i}" for i in range(1, 5)] for name in ("use", "support")}
BOOK = Codebook.model_validate(
    {
        "title": "Test",
        "variables": [
            {"name": "unit", "kind": "unit", "categories": UNITS},
            *({"name": item, "kind": "item", "categories": AGREE} for items in SCALES.values() for item in items),
        ],
        "scales": [{"name": name, "title": name.capitalize(), "items": items} for name, items in SCALES.items()],
    }
)


def survey(n=300, flagged=30, *, careless=None, seed=1):
    """Answers in which support goes with use; the first `flagged` rows are flagged and answer `careless`, if given."""
    random = np.random.default_rng(seed)
    support = random.normal(size=(n, 1))
    use = 0.6 * support + 0.8 * random.normal(size=(n, 1))
    noise = random.normal(size=(n, 8))
    items = np.clip(np.round(3 + np.hstack([use.repeat(4, 1), support.repeat(4, 1)]) + 0.5 * noise), 1, 5)
    if careless is not None:
        items[:flagged] = careless
    answers = pd.DataFrame(items, columns=[*SCALES["use"], *SCALES["support"]])
    answers.insert(0, "unit", [f"Unit {1 + i % 3}" for i in range(n)])
    answers["flag_any"] = (np.arange(n) < flagged).astype(float)
    nothing = pd.DataFrame(columns=["row", "variable", "reason"])
    return score(Survey(answers=answers, codebook=BOOK, missing=nothing)).survey


def slopes(data):
    return regress("use ~ support", data)


def test_the_means_are_those_of_a_hand_calculation():
    data = survey()
    row = sensitivity(data, "flag_any").shown().set_index("term").loc["use"]
    everybody, without = data.answers["use"], data.answers["use"][30:]
    low, high = stats.t.interval(0.95, 299, everybody.mean(), everybody.sem())
    expected = [270, everybody.mean(), low, high, without.mean(), without.mean() - everybody.mean()]
    names = ["n_without", "estimate", "conf_low", "conf_high", "estimate_without", "difference"]
    assert row[names].tolist() == pytest.approx(expected, abs=1e-12)  # the same sums in another order


def test_flagged_who_answer_like_the_others_leave_every_verdict():
    line = sensitivity(survey(), "flag_any")
    assert line.shown()["verdict"].tolist() == [STAYS, STAYS]
    assert line.glance() == {"verdict": STAYS} and line.findings == ()


def test_many_who_agree_to_everything_change_a_mean():
    line = sensitivity(survey(flagged=60, careless=5), "flag_any", scores=["use"])
    assert line.shown()["verdict"].tolist() == [CHANGES]
    assert line.glance() == {"verdict": CHANGES} and "Use" in line.findings[0].text


def test_a_correlation_made_by_the_careless_alone_changes_its_verdict():
    data = survey(flagged=60, careless=5)
    random = np.random.default_rng(3)
    shuffled = data.answers.copy()
    shuffled.loc[60:, "support"] = random.permutation(shuffled.loc[60:, "support"].to_numpy())
    line = sensitivity(replace(data, answers=shuffled), "flag_any", analysis=slopes)
    row = line.shown().set_index("term").loc["support"]
    assert row["conf_low"] > 0 and row["verdict"] == CHANGES


def test_the_terms_of_an_analysis_are_those_of_two_runs():
    data = survey()
    line = sensitivity(data, "flag_any", analysis=slopes).shown().set_index("term")
    kept = data.keep_rows(data.answers["flag_any"] == 0, "without")
    alone = regress("use ~ support", kept).tidy().set_index("term")
    assert line.loc["support", "estimate_without"] == alone.loc["support", "estimate"]
    assert line.loc["support", "verdict"] == STAYS


def test_nobody_flagged_is_said():
    line = sensitivity(survey(flagged=0), "flag_any")
    assert set(line.shown()["verdict"]) == {NOBODY} and line.glance() == {"verdict": NOBODY}
    assert [finding.name for finding in line.findings] == ["nobody_left_out"]


@pytest.mark.parametrize("kind", ["boolean", "Float64", object])
def test_a_flag_may_be_of_any_kind_of_number(kind):
    data = survey()
    flag = (data.answers["flag_any"] > 0).astype(kind)
    flag[299] = None if kind is object else pd.NA
    pd.testing.assert_frame_equal(sensitivity(data, flag).tidy(), sensitivity(data, "flag_any").tidy())


@pytest.mark.parametrize("flagged", [1, 4])
def test_few_flagged_are_not_told_apart(flagged):
    line = sensitivity(survey(flagged=flagged), "flag_any")
    shown = line.shown()
    assert shown[["n_without", "estimate", "conf_low", "estimate_without", "difference"]].isna().all(axis=None)
    assert set(shown["verdict"]) == {TOO_FEW} and line.findings[0].name == "too_few_flagged"


def test_a_score_that_few_of_the_flagged_have_is_hidden():
    data = survey()
    answers = data.answers.copy()
    answers.loc[:26, "use"] = np.nan
    shown = sensitivity(replace(data, answers=answers), "flag_any").shown().set_index("term")
    assert np.isnan(shown.loc["use", "estimate"]) and shown.loc["use", "verdict"] == TOO_FEW
    assert shown.loc["support", "verdict"] == STAYS


def test_too_few_left_are_hidden():
    shown = sensitivity(survey(n=40, flagged=37), "flag_any").shown()
    assert shown["hidden"].all()


def test_a_raised_threshold_hides_more():
    data = replace(survey(), privacy=Privacy(min_n=31))
    assert sensitivity(data, "flag_any").shown()["hidden"].all()


def test_levels_with_few_flagged_are_hidden_and_the_slopes_stay():
    line = sensitivity(survey(flagged=12), "flag_any", analysis=lambda data: regress("use ~ support + C(unit)", data))
    shown = line.shown().set_index("term")
    assert shown.loc[[term for term in shown.index if term != "support"], "hidden"].all()
    assert shown.loc["support", "verdict"] == STAYS


def test_groups_with_few_flagged_hide_all_groups_since_they_add_up():
    data = survey(flagged=12)
    line = sensitivity(data, "flag_any", analysis=lambda one: by_group(one, ["use"], "unit"))
    assert line.shown()["hidden"].all()
    many = sensitivity(survey(flagged=60), "flag_any", analysis=lambda one: by_group(one, ["use"], "unit"))
    assert "hidden" not in many.shown()


def test_a_series_of_flags_does_the_same_as_the_column():
    data = survey()
    by_series = sensitivity(data, data.answers["flag_any"] > 0)
    pd.testing.assert_frame_equal(by_series.tidy(), sensitivity(data, "flag_any").tidy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flagged": "flag_all"}, 'Did you mean "flag_any"'),
        ({"flagged": pd.Series([True, False])}, "one value per row"),
        ({"scores": ["usage"]}, 'Did you mean "use"'),
        ({"analysis": lambda data: score(data)}, "has no estimate"),
        ({"analysis": lambda data: data.answers}, "gave a DataFrame and no Result"),
        ({"analysis": lambda data: None}, "gave a NoneType and no Result"),
        ({"flagged": "unit"}, "words or dates"),
        ({"flagged": [True] * 300}, "flag is a list"),
        ({"flagged": "use1"}, "Everybody is flagged"),
    ],
)
def test_what_cannot_be_compared_is_said(change, message):
    arguments = {"flagged": "flag_any", **change}
    with pytest.raises(DataError, match=message):
        sensitivity(survey(), arguments.pop("flagged"), **arguments)


def test_answers_without_scores_are_refused():
    data = survey()
    with pytest.raises(DataError, match="Call score"):
        sensitivity(replace(data, answers=data.answers.drop(columns=list(SCALES))), "flag_any")
