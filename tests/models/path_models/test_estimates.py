"""Laws of `smstudy.models.path_models.estimates`: estimates, quality, prediction and priorities of PLS path models."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy as sm
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError
from smstudy.inference.partial_least_squares import fit_paths, item_correlations, resampled_moments
from smstudy.inference.psychometrics.discriminant import monotrait_ratios
from smstudy.inference.threads import one_thread
from smstudy.models.path_models.answers import read_paths
from smstudy.models.path_models.estimates import paths
from smstudy.models.path_models.forecasts import predictive_power

HERE = Path(__file__).resolve().parents[2] / "reference"
REFERENCE = json.loads((HERE / "paths.json").read_text(encoding="utf-8"))
SAME = {"rtol": 0, "atol": 1e-8}  # weights settle to 1e-10 here and to 1e-13 in R
MODEL = """
trust =~ t1 + t2 + t3
worry =~ w1 + w2
made <~ m1 + m2 + m3
useful =~ u1 + u2 + u3
use =~ o1
useful ~ trust + worry
use ~ trust + useful + made
"""
SIMPLE = "a =~ a1 + a2 + a3; b =~ b1 + b2 + b3; c =~ c1 + c2 + c3; b ~ a; c ~ a + b"
TRUTH = {("a", "b"): 0.5, ("a", "c"): 0.3, ("b", "c"): 0.4}
DEMO = "adoption ~ leadership + usefulness + readiness\nusefulness ~ leadership\nreadiness ~ leadership"


@cache
def drawn():
    return pd.read_csv(HERE / "paths.csv")


def planted(n=300, seed=1, noise=0.8):
    """Three factors with known paths, three items each."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    b = 0.5 * a + 0.75**0.5 * rng.normal(size=n)
    c = 0.3 * a + 0.4 * b + (1 - 0.09 - 0.16 - 0.12) ** 0.5 * rng.normal(size=n)
    items = np.repeat(np.column_stack([a, b, c]), 3, axis=1) + noise * rng.normal(size=(n, 9))
    return pd.DataFrame(items, columns=[f"{name}{i}" for name in "abc" for i in (1, 2, 3)])


def fitted(text=MODEL, data=None, **options):
    return paths(text, drawn() if data is None else data, **{"n_boot": 200, **options})


@cache
def plain():
    return fitted(consistent=False)


@cache
def corrected():
    return fitted()


@cache
def demo():
    return sm.open_study("quarterly-pulse").survey("clean")


def names_of(result):
    return {finding.name for finding in result.findings}


@pytest.mark.parametrize(("fit", "kind"), [(plain, "plain"), (corrected, "consistent")])
def test_tables_agree_with_plain_r(fit, kind):
    found, expected = fit(), REFERENCE[kind]
    places = {name: place for place, name in enumerate(["trust", "worry", "made", "useful", "use"])}
    for row in found.tidy().to_dict("records"):
        assert row["estimate"] == pytest.approx(
            expected["paths"][places[row["term"]]][places[row["outcome"]]], abs=1e-8
        )
    np.testing.assert_allclose(found.items.tidy()["item_weight"], expected["weights"], **SAME)
    np.testing.assert_allclose(found.items.tidy()["loading"], expected["loadings"], **SAME)
    table = found.constructs.tidy().set_index("term")
    for name, pair in expected["reliability"].items():
        np.testing.assert_allclose(table.loc[name, ["composite", "extracted"]].astype(float), pair, **SAME)
    np.testing.assert_allclose(table.loc[["useful", "use"], "r_squared"], np.array(expected["r_squared"])[3:], **SAME)
    assert found.glance()["srmr"] == pytest.approx(expected["srmr"], abs=1e-8)  # as SAME


def test_what_drivers_add_agrees_with_regressions_in_r():
    expected = REFERENCE["plain"]["quality"]
    for row in plain().tidy().to_dict("records"):
        np.testing.assert_allclose([row["f_squared"], row["vif"]], expected[row["outcome"]][row["term"]], **SAME)
    table = plain().constructs.tidy().set_index("term")
    for name in ("useful", "use"):
        assert table.loc[name, "adj_r_squared"] == pytest.approx(expected[name]["adjusted"], abs=1e-8)  # as SAME


def test_total_effects_are_direct_plus_indirect():
    effects = plain().effects.tidy().set_index(["term", "outcome", "parameter"])["estimate"]
    direct = plain().tidy().set_index(["term", "outcome"])["estimate"]
    assert effects["trust", "use", "indirect effect"] == pytest.approx(
        direct["trust", "useful"] * direct["useful", "use"]
    )
    assert effects["trust", "use", "total effect"] == pytest.approx(
        effects["trust", "use", "indirect effect"] + direct["trust", "use"]
    )
    assert ("made", "use", "indirect effect") not in effects.index


def test_the_correction_recovers_a_factor_model_and_scores_are_attenuated():
    found = {True: [], False: []}
    with one_thread():
        for seed in range(120):
            answers = read_paths(SIMPLE, planted(seed=seed), consistent=True, inner="path", min_n=None)
            scores = read_paths(SIMPLE, planted(seed=seed), consistent=False, inner="path", min_n=None)
            for which in (answers, scores):
                fit = fit_paths(np.corrcoef(which.answers, rowvar=False)[None], which.structure)
                found[which is answers].append([fit.paths[0][i, j] for i, j in ((0, 1), (0, 2), (1, 2))])
    mean, error = np.mean(found[True], axis=0), np.std(found[True], axis=0) / 120**0.5
    assert (np.abs(mean - list(TRUTH.values())) < 3 * error + 0.01).all()  # Monte Carlo error, bias of order 1/n
    reliability = 3 / (3 + 0.64)
    assert np.mean(found[False], axis=0)[0] == pytest.approx(0.5 * reliability, abs=0.02)  # its own Monte Carlo error


def test_intervals_hold_the_planted_paths_in_19_of_20_samples():
    held = []
    with one_thread():
        for seed in range(150):
            found = read_paths(SIMPLE, planted(250, seed=1000 + seed), consistent=True, inner="path", min_n=None)
            like = fit_paths(np.corrcoef(found.answers, rowvar=False)[None], found.structure).weights[0]
            moments = np.concatenate(list(resampled_moments(found.answers, n_boot=200, seed=seed)))
            fit = fit_paths(item_correlations(moments)[0], found.structure, like=like)
            low, high = np.quantile(fit.paths[fit.usable], [0.025, 0.975], axis=0)
            held += [low[i, j] < truth < high[i, j] for (i, j), truth in zip(((0, 1), (0, 2), (1, 2)), TRUTH.values())]
    assert abs(np.mean(held) - 0.95) < 3 * 0.0178  # three standard errors of a share of 150 samples


def test_words_are_associational():
    result = fitted(SIMPLE, planted())
    assert result.tidy()["reading"].str.contains("goes with").all()
    assert "not what leads to what" in result.note


def test_the_same_seed_gives_the_same_result():
    one, other = (fitted(SIMPLE, planted(), seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(one.tidy(), other.tidy())
    assert not one.tidy()["conf_low"].equals(fitted(SIMPLE, planted(), seed=5).tidy()["conf_low"])


def test_scales_of_a_survey_need_no_line_for_their_items():
    result = fitted(DEMO, demo())
    assert result.specification.splitlines()[0].startswith("leadership =~ sup_1 + sup_2")
    named = fitted(result.specification, demo())
    pd.testing.assert_frame_equal(result.tidy(), named.tidy())
    turned = result.items.tidy().set_index("term")
    assert turned.loc["com_3r", "loading"] > 0 and "turned round" in result.labels["com_3r"]
    assert result.tidy().iloc[0]["estimate"] > 0
    assert "many_left_out" in names_of(result)


def test_scores_come_in_rows_and_miss_where_an_answer_does():
    frame = planted()
    frame.loc[3, "a1"] = np.nan
    result = fitted(SIMPLE, frame)
    rows = result.augment(frame)
    assert "rows x" in repr(rows)
    assert rows.frame[".a"].isna().sum() == 1 and rows.frame[".c"].notna().sum() == 299
    assert rows.frame[".b"].std(ddof=0) == pytest.approx(1)
    with pytest.raises(DataError, match="other rows"):
        result.augment(frame.iloc[5:])
    assert result.glance()["n_dropped"] == 1 and "Left out" not in result.to_text()


def test_predictive_power_of_a_true_model_and_of_noise():
    noisy = planted(400, noise=1.2)
    assert fitted(SIMPLE, noisy).prediction.glance()["verdict"] in ("high", "medium")
    table = fitted(SIMPLE, noisy).prediction.tidy()
    assert set(table["outcome"]) == {"b", "c"} and (table["q_squared"] < 1).all()
    assert table["reading"].str.startswith("better than the mean").all() and (table["p_mean"] < 0.05).all()


def test_noise_is_hardly_ever_called_predicted():
    said = []
    for seed in range(40):
        noise = pd.DataFrame(np.random.default_rng(seed).normal(size=(100, 9)), columns=planted(10).columns)
        found = read_paths(SIMPLE, noise, consistent=False, inner="path", min_n=None)
        said.append(predictive_power(found, seed=1).glance()["verdict"])
    # 2.5 % at most, since the model is no better than the mean: 1 expected, and 3 within three standard errors
    assert sum(word in ("high", "medium", "low") for word in said) <= 3


def test_too_few_respondents_to_check_predictions_are_said():
    result = fitted(SIMPLE, planted(18), consistent=False)
    assert result.glance()["predictive_power"] == "too little data"
    assert "not_predicted" in names_of(result)


def test_priorities_put_possible_answers_on_a_scale_of_100():
    frame = planted()
    limits = {name: (-10, 10) for name in frame}
    page = fitted(SIMPLE, frame).priorities("c", ranges=limits)
    rows = page.tidy().set_index("term")
    assert list(rows.index) == ["a", "b"]
    assert rows["performance"].between(45, 55).all()
    effects = fitted(SIMPLE, frame).effects.tidy()
    total = effects[(effects["parameter"] == "total effect") & (effects["term"] == "a")]
    assert rows.loc["a", "estimate"] == pytest.approx(total["estimate"].iloc[0])
    shifted = fitted(SIMPLE, frame + 1).priorities("c", ranges=limits).tidy().set_index("term")
    np.testing.assert_allclose(shifted["performance"] - rows["performance"], 5, rtol=0, atol=1e-6)  # 1 of 20 points
    assert set(demo_priorities().tidy()["term"]) == {"leadership", "usefulness", "readiness"}


def demo_priorities():
    return fitted(DEMO, demo()).priorities()


def test_priorities_need_possible_answers_and_an_explained_outcome():
    result = fitted(SIMPLE, planted())
    with pytest.raises(DataError, match='possible answers of "a1"'):
        result.priorities("c")
    with pytest.raises(StudyError, match='Nothing explains "a"'):
        result.priorities("a")
    with pytest.raises(StudyError, match="is no range"):
        result.priorities("c", ranges={"a1": (5, 1)})
    with pytest.raises(StudyError, match='"zz", which is no item'):
        result.priorities("c", ranges={"zz": (1, 5)})
    for wrong in (3, None, ("a", "b"), (1, 2, 3)):
        with pytest.raises(StudyError, match="is no range"):
            result.priorities("c", ranges={"a1": wrong})
    with pytest.raises(StudyError, match="ranges must name items"):
        result.priorities("c", ranges=(1, 5))


def test_answers_outside_of_what_is_possible_are_refused():
    frame = planted()
    limits = {name: (-10, 10) for name in frame} | {"a2": (1, 5)}
    with pytest.raises(DataError, match='Some answers to "a2" lie outside') as caught:
        fitted(SIMPLE, frame).priorities("c", ranges=limits)
    assert "-1" not in str(caught.value)


def test_items_that_count_against_their_construct_have_no_level():
    frame = planted()
    frame["a3"] = -frame["a3"]
    result = fitted(SIMPLE, frame, consistent=False)
    assert "opposed_items" in names_of(result)
    page = result.priorities("c", ranges={name: (-10, 10) for name in frame}).tidy().set_index("term")
    assert np.isnan(page.loc["a", "performance"]) and np.isfinite(page.loc["b", "performance"])


def test_turning_every_item_of_a_construct_turns_its_paths():
    frame = planted()
    turned = frame.assign(**{name: -frame[name] for name in ("a1", "a2", "a3")})
    one, other = (fitted(SIMPLE, data).tidy()["estimate"].to_numpy() for data in (frame, turned))
    np.testing.assert_allclose(other, one * [-1, -1, 1], **SAME)


@pytest.mark.parametrize(
    ("text", "change", "error", "message"),
    [
        (SIMPLE, {"a1": 3.0}, DataError, "everybody gave the same answer to a1"),
        (SIMPLE, {"a1": "text"}, DataError, "a1 holds no numbers"),
        (SIMPLE.replace("a1", "a_1"), {}, DataError, 'no item "a_1". Did you mean "a1"'),
        ("a =~ a1 + a2; b ~ a", {}, StudyError, '"b" has no items'),
        (SIMPLE + "; a ~ c", {}, StudyError, "circle"),
        (SIMPLE + "; d =~ a1", {}, StudyError, "No path"),
    ],
)
def test_what_cannot_be_estimated_is_refused(text, change, error, message):
    with pytest.raises(error, match=message):
        fitted(text, planted().assign(**change))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"consistent": "yes"}, StudyError, "consistent = 'yes' is neither True"),
        ({"inner": "pathweighting"}, StudyError, 'inner = "pathweighting"'),
        ({"n_boot": 10}, DataError, "too few for an interval"),
        ({"conf_level": 95}, DataError, "is no level"),
        ({"seed": -1}, DataError, "is no seed"),
        ({"min_n": 2}, DisclosureError, "can only be raised"),
        ({"min_n": 400}, DataError, "Fewer than 400 respondents answered all items"),
    ],
)
def test_options_that_are_none_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        fitted(SIMPLE, planted(), **options)


def test_repeated_items_are_refused():
    with pytest.raises(EstimationError, match="a1 and a2 hold the same answers"):
        fitted(SIMPLE, planted().assign(a2=lambda frame: frame["a1"]))


def test_fewer_respondents_than_parameters_are_refused():
    with pytest.raises(EstimationError, match="10 respondents answered all 9 items, and 12 or more are needed"):
        fitted(SIMPLE, planted(10))


def test_an_infinite_answer_and_a_code_for_missing_answers_are_refused():
    frame = planted()
    frame.loc[0, "a1"] = np.inf
    with pytest.raises(DataError, match="infinite"):
        fitted(SIMPLE, frame)
    coded = planted().round().clip(-2, 2).assign(a1=lambda frame: frame["a1"].where(frame.index > 9, -99))
    with pytest.raises(DataError, match="a1 holds -99"):
        fitted(SIMPLE, coded)


def test_an_item_that_sets_few_apart_is_refused():
    rare = planted().assign(a1=lambda frame: (frame.index < 3).astype(float))
    with pytest.raises(DisclosureError, match='differ from all others in "a1"'):
        fitted(SIMPLE, rare)


def test_constructs_that_are_one_thing_have_no_corrected_solution():
    rng = np.random.default_rng(5)
    one = rng.normal(size=200)
    items = one[:, None] + 0.8 * rng.normal(size=(200, 9))
    frame = pd.DataFrame(items, columns=planted().columns)
    with pytest.raises(EstimationError, match="consistent=False"):
        fitted(SIMPLE, frame)
    assert "constructs_overlap" in names_of(fitted(SIMPLE, frame, consistent=False))


def test_weights_that_do_not_settle_are_refused(monkeypatch):
    monkeypatch.setattr("smstudy.inference.partial_least_squares.MOST_STEPS", 2)
    with pytest.raises(EstimationError, match="do not settle"):
        fitted(SIMPLE, planted())


def test_without_steady_resamples_there_are_no_intervals():
    result = fitted(SIMPLE, planted(40, seed=3, noise=2.0))
    assert "failed_resamples" in names_of(result)
    assert result.tidy()["conf_low"].isna().all() and (result.tidy()["reading"] == "cannot tell").all()
    with pytest.raises(EstimationError, match="cannot be pooled"):
        result.pooling()


def test_few_respondents_are_named_by_what_they_can_find():
    few = fitted(SIMPLE, planted(100))
    text = next(finding.text for finding in few.findings if finding.name == "few_respondents")
    assert "0.25 or more" in text  # 2.486 / 10
    assert "few_respondents" not in names_of(fitted(SIMPLE, planted(200)))


def test_scores_of_several_unreliable_drivers_may_be_off_both_ways():
    frame = planted(noise=1.2)
    plain, corrected = (fitted(SIMPLE, frame, consistent=each) for each in (False, True))
    told = next(finding.text for finding in plain.findings if finding.name == "uncorrected_drivers")
    assert "too small or too large" in told and '"a" and "b"' in told
    assert "uncorrected_drivers" not in names_of(corrected)
    one_driver = fitted("a =~ a1 + a2 + a3; b =~ b1 + b2 + b3; b ~ a", frame, consistent=False)
    assert "uncorrected_drivers" not in names_of(one_driver)


def test_both_ratios_of_pairs_are_those_of_validity():
    frame = planted()
    rows = fitted(SIMPLE, frame).pairs.tidy()
    blocks = [[3 * j, 3 * j + 1, 3 * j + 2] for j in range(3)]
    expected = monotrait_ratios(np.corrcoef(frame.to_numpy(), rowvar=False), blocks)
    np.testing.assert_allclose(rows[["htmt", "htmt2"]].T.to_numpy(float), np.array(expected), rtol=0, atol=1e-12)
    assert (rows["htmt2_low"] < rows["htmt2"]).all() and (rows["htmt2"] < rows["htmt2_high"]).all()


def test_low_reliability_and_overlap_of_formative_items_are_named():
    assert "low_reliability" in names_of(fitted(SIMPLE, planted(noise=1.8)))
    frame = drawn().assign(m2=drawn()["m1"] + 0.2 * drawn()["m2"])
    assert "collinear_items" in names_of(fitted(data=frame))


def test_pooled_over_imputations_the_paths_keep_their_sign():
    imputed = sm.impute(demo(), m=2, seed=1)
    pooled = sm.pool(imputed, lambda data: paths(DEMO, data, n_boot=200))
    assert len(pooled.tidy()) == 5 and pooled.tidy()["estimate"].iloc[0] > 0
    assert not (pooled.tidy()["df"] > 1e5).any()  # the normal distribution has none


def test_pictures_are_drawn():
    for result in (plain(), demo_priorities()):
        axes = result.plot()
        assert axes.get_title(loc="left") == result.title
        plt.close(axes.get_figure())


def test_the_diagram_names_constructs_and_coefficients():
    axes = plain().plot()
    words = " ".join(text.get_text() for text in axes.texts)
    assert all(name in words for name in ("trust", "worry", "made", "useful", "use"))
    assert words.count("R²") == 2
    assert "trust to useful" in plain().alt_text()
    plt.close(axes.get_figure())
