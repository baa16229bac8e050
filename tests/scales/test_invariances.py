"""Laws of measurement invariance: planted differences, verdicts, the gate before means, what is refused and hidden."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smstudy.errors import DataError, EstimationError
from smstudy.inference.factor_models.fitted import ChiSquare
from smstudy.models.differences.groups import changes
from smstudy.result import write_record
from smstudy.scales.equivalence import Judged, _changed
from smstudy.scales.invariances import Invariance, _small_groups, invariance
from smstudy.scales.scoring import score
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

HERE = Path(__file__).parents[1] / "reference"
HOLZINGER = Path(__file__).parents[3] / "shared" / "data" / "cfa" / "HolzingerSwineford1939.csv"
ITEMS = list("abcde")
LOADINGS = np.array([0.8, 0.7, 0.6, 0.7, 0.75])


def planted(
    *, n: int = 400, seed: int = 1, intercept: float = 0.0, loading: float = 0.0, sizes: tuple[int, ...] = ()
) -> pd.DataFrame:
    """Five items in groups of different standing; question c is answered differently in the last group."""
    rng = np.random.default_rng(seed)
    sizes = sizes or (n, n)
    group = np.repeat(np.arange(len(sizes)), sizes)
    last = group == len(sizes) - 1
    trait = rng.normal(0.4 * last, 1)
    slopes = np.tile(LOADINGS, (len(group), 1))
    slopes[last, 2] += loading
    latent = trait[:, None] * slopes + rng.normal(size=slopes.shape) * np.sqrt(1 - LOADINGS**2)
    latent[last, 2] += intercept
    answers = pd.DataFrame(np.clip(np.round(latent + 3), 1, 5), columns=ITEMS)
    return answers.assign(unit=[f"U{place}" for place in group])


def survey_of(frame: pd.DataFrame, *, wave: str = "2", items: tuple[str, ...] = tuple(ITEMS)) -> Survey:
    answers = [{"value": str(i), "label": f"answer {i}"} for i in range(1, 6)]
    units = [{"value": name, "label": name} for name in sorted(frame["unit"].dropna().unique())]
    codebook = {
        "title": "T",
        "variables": [
            *({"name": name, "kind": "item", "categories": answers} for name in ITEMS),
            {"name": "unit", "kind": "unit", "categories": units},
            {"name": "person", "kind": "id"},
        ],
        "scales": [{"name": "use", "items": list(items)}],
    }
    blank = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=frame, codebook=Codebook.model_validate(codebook), missing=blank, wave=wave)


def of_frame(frame: pd.DataFrame, **options: object) -> Invariance:
    return invariance(frame, by="unit", scales={"use": ITEMS}, **options)


def verdicts(found: Invariance) -> dict[str, str]:
    return dict(zip(found.tidy()["step"], found.tidy()["verdict"], strict=True))


# planted truth


def test_equal_questions_are_supported_and_means_allowed():
    found = of_frame(planted())
    assert set(found.tidy()["verdict"]) == {"supported"}
    assert found.gates["use"].verdict == "allowed"
    assert found.gates["use"].text == "use: the questions mean the same in all groups, and means can be compared."


@pytest.mark.parametrize("estimator", ["MLR", "ML", "FIML", "WLSMV"])
def test_a_planted_intercept_is_found_by_every_estimator(estimator):
    found = of_frame(planted(intercept=0.5), estimator=estimator)
    told = verdicts(found)
    assert told["+ loadings (metric)"] == "supported"
    assert told["+ intercepts (scalar)"] == "not supported"
    assert told["+ intercepts (scalar), in part"] == "supported in part"
    assert set(found.tidy()["left_free"]) == {"", '"c"'}
    assert found.gates["use"].verdict == "not allowed" and 'without "c"' in found.gates["use"].text
    assert "partial_invariance" in {finding.name for finding in found.findings}


def test_a_planted_loading_is_found():
    found = of_frame(planted(loading=-0.5, n=800))
    told = verdicts(found)
    assert told["+ loadings (metric)"] == "not supported"
    assert told["+ loadings (metric), in part"] == "supported in part"
    assert '"c"' in set(found.tidy()["left_free"])


def test_without_a_search_the_later_steps_are_not_tested():
    found = of_frame(planted(intercept=0.5), partial=False)
    assert verdicts(found)["+ residual variances (strict)"] == "not tested"
    assert found.gates["use"].verdict == "not allowed"
    assert "means cannot be compared, because some questions" in found.gates["use"].text


def test_false_alarms_are_rare_and_half_a_standard_deviation_is_found():
    quiet = [of_frame(planted(n=250, seed=seed)).gates["use"].verdict for seed in range(20)]
    loud = [of_frame(planted(n=250, seed=seed, intercept=0.5)).gates["use"].verdict for seed in range(20)]
    assert quiet.count("not allowed") <= 3  # 5 % of 20; four or more have a probability of 1.6 %
    assert loud.count("allowed") == 0 and loud.count("not allowed") >= 18  # the search says c, or more


def test_two_answers_are_tested_in_one_step_and_the_note_says_so():
    frame = planted(n=600)
    frame[ITEMS] = (frame[ITEMS] > 3).astype(float)
    found = of_frame(frame, estimator="WLSMV")
    assert [step.split()[-1] for step in found.tidy()["step"]] == ["(configural)", "(scalar)", "(strict)"]
    assert "can only be tested together" in found.note


def test_a_question_that_stands_out_is_named_though_equal_intercepts_do_not_fail():
    found = of_frame(planted(n=3000, intercept=0.24, seed=2))
    told = {finding.name: finding.text for finding in found.findings}
    assert verdicts(found)["+ intercepts (scalar)"] == "cannot tell"
    assert '"c" stands out' in told["question_stands_out"] and "small_groups" not in told


def test_three_questions_can_be_tested_from_the_second_step_on():
    found = invariance(planted(), by="unit", scales={"use": ["a", "b", "d"]})
    assert found.tidy()["verdict"].tolist() == ["not tested", "supported", "supported", "supported"]
    assert found.gates["use"].verdict == "allowed"


def test_small_groups_cannot_tell():
    found = of_frame(planted(n=40, seed=5))
    assert found.gates["use"].verdict == "cannot tell"
    assert found.tidy()["detectable"].max() > 0.5
    (text,) = [finding.text for finding in found.findings if finding.name == "small_groups"]
    for step, words in (("metric", "with each standard deviation of standing"), ("scalar", "is answered")):
        told = found.tidy().set_index("step")["reason"].filter(like=step).item()
        assert (words in text) == (words in told)


def test_loadings_are_not_called_answers_that_are_higher():
    finding = _small_groups([Judged(step="metric", verdict="cannot tell", reason="", detectable=0.6)], "use")[0]
    assert "0.60 standard deviations more in one group" in finding.text and "higher" not in finding.text
    assert not _small_groups([Judged(step="scalar", verdict="cannot tell", reason="", detectable=0.4)], "use")


def _tested(cfi: float, rmsea: float, p: float, n: int = 600) -> Judged:
    difference = ChiSquare(float(stats.chi2.isf(p, 5)), 5)
    changes = {"cfi_change": cfi, "rmsea_change": rmsea}
    return Judged(step="metric", verdict="", reason="", n=n, difference=difference, **changes)


@pytest.mark.parametrize(
    ("cfi", "rmsea", "p", "verdict"),
    [
        (-0.009, 0.014, 0.001, "supported"),
        (-0.009, 0.016, 0.2, "supported"),
        (-0.009, 0.016, 0.001, "cannot tell"),
        (-0.011, 0.0, 0.2, "cannot tell"),
        (-0.011, 0.0, 0.001, "not supported"),
    ],
)
def test_a_step_is_judged_by_the_printed_rule(cfi, rmsea, p, verdict):
    found, reason = _changed(_tested(cfi, rmsea, p), 0.05 / 3)
    assert found == verdict
    assert ("can be chance" in reason) == (p > 0.1)


def test_the_note_names_the_limits_of_scales_with_few_and_with_many_respondents():
    many, few = (of_frame(planted(n=n)).note for n in (300, 120))
    assert "Limits: .010 and .015 (" in many and "Limits: .005 and .010 (" in few
    frame = planted(n=200)
    frame.loc[frame.index % 2 == 0, "a"] = np.nan
    both = invariance(frame, by="unit", scales={"use": list("abcd"), "more": list("bcde")})
    assert "Limits: .010 and .015, of scales with 300 respondents or fewer .005 and .010 (" in both.note


@pytest.mark.skipif(not HOLZINGER.exists(), reason="../shared/data is not there")
def test_the_known_questions_of_holzinger_and_swineford_are_found():
    factors = {"visual": ["x1", "x2", "x3"], "textual": ["x4", "x5", "x6"], "speed": ["x7", "x8", "x9"]}
    found = invariance(pd.read_csv(HOLZINGER), by="school", scales=factors, together=True)
    assert '"x3" and "x7"' in set(found.tidy()["left_free"])
    assert verdicts(found)["+ intercepts (scalar)"] == "not supported"


# waves


def two_waves(*, n: int = 500, shift: float = 0.0, linked: bool = True, second: bool = False) -> tuple[Survey, Survey]:
    """Five questions in two waves; question c moves by `shift`, d and e may have a trait of their own."""
    rng = np.random.default_rng(4)
    trait = rng.multivariate_normal([0, 0.3], [[1, 0.7], [0.7, 1]], n)
    special = rng.normal(0, 0.4, (n, 5))
    waves = []
    own = 0.4 * trait + rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], n) if second else trait
    for wave in range(2):
        behind = np.column_stack([trait[:, wave]] * 3 + [own[:, wave]] * 2)
        latent = behind * LOADINGS + special + rng.normal(0, 0.5, (n, 5))
        latent[:, 2] += shift * wave
        frame = pd.DataFrame(np.clip(np.round(latent + 3), 1, 5), columns=ITEMS)
        people = [f"P{i}" if linked else f"{wave}-{i}" for i in range(n)]
        waves.append(survey_of(frame.assign(unit="U0", person=people), wave=str(wave + 1)))
    return waves[1], waves[0]


def test_waves_of_the_same_people_are_one_model():
    found = invariance(*two_waves(), person="person")
    assert found.gates["use"].text.endswith("mean the same in both waves, and means can be compared.")
    assert [finding.name for finding in found.findings] == ["linked"]
    assert found.glance()["n"] == 500


def test_a_question_that_changed_between_waves_is_found():
    found = invariance(*two_waves(shift=0.4), person="person")
    assert found.gates["use"].verdict == "not allowed" and '"c"' in found.gates["use"].text


def test_linked_waves_name_the_estimator_that_was_used():
    found = invariance(*two_waves(), person="person", estimator="ML")
    assert found.estimator == found.glance()["estimator"] == "FIML"
    assert "(FIML), people who answered everything in a wave" in found.note and "tested for itself" in found.note
    assert "all answers there are" in invariance(*two_waves(), person="person", estimator="FIML").note
    assert of_frame(planted(n=100), estimator="ML").estimator == "ML"


def of_two_scales(survey: Survey) -> Survey:
    book = survey.codebook.model_dump()
    use = book["scales"][0]
    book["scales"] = [{**use, "name": "p", "items": list("abc")}, {**use, "name": "q", "items": list("de")}]
    return replace(survey, codebook=Codebook.model_validate(book))


def test_a_question_that_moved_is_no_change_of_scales_tested_together():
    now, before = (of_two_scales(wave) for wave in two_waves(shift=0.6, second=True))
    found = invariance(now, before, person="person", together=True)
    assert {name: gate.verdict for name, gate in found.gates.items()} == {"p": "not allowed", "q": "not allowed"}
    assert 'without "c"' in found.gates["p"].text and "test this one alone" in found.gates["q"].text
    scored = [score(wave).survey for wave in (now, before)]
    changed = changes(*scored, ["p", "q"], person="person", comparable=found).tidy()
    assert (changed["p_adjusted"] < 0.05).all()
    assert changed["verdict"].tolist() == ["cannot tell"] * 2 and changed["means"].tolist() == ["not allowed"] * 2


def test_unlinked_waves_are_called_approximate():
    assert "not_linked" in {finding.name for finding in invariance(*two_waves()).findings}
    (finding,) = invariance(*two_waves(linked=False), person="person").findings
    assert finding.name == "not_linked" and finding.text.startswith("Fewer than 5 respondents could be linked")


def test_ordinal_waves_of_the_same_people_are_called_approximate():
    found = invariance(*two_waves(), person="person", estimator="WLSMV")
    assert "linked_approximate" in {finding.name for finding in found.findings}


def test_without_a_wave_before_the_table_is_empty_and_says_so():
    survey, _ = two_waves()
    found = invariance(survey, None, person="person")
    assert found.tidy().empty and found.to_text() and found.plot()


# privacy


@pytest.mark.parametrize(("left_out", "shown"), [(0, 500), (3, 997), (20, 500)])
def test_the_number_of_people_does_not_tell_about_few_in_one_wave(left_out: int, shown: int):
    survey, before = two_waves()
    found = invariance(survey, replace(before, answers=before.answers.iloc[left_out:]), person="person")
    assert found.glance()["n"] == shown
    assert ("n_of_both_waves" in {finding.name for finding in found.findings}) == (left_out == 3)


def test_small_groups_are_never_named_or_used():
    small = planted(sizes=(300, 300, 6, 4))
    found = invariance(survey_of(small), by="unit")
    everything = write_record(found)
    assert "U2" not in everything and "U3" not in everything
    assert found.glance()["n_groups"] == 2
    assert found.glance()["n"] == 600


def test_groups_too_small_for_the_model_are_named_and_left_out():
    found = invariance(survey_of(planted(sizes=(300, 12, 300))), by="unit")
    told = {finding.name: finding.text for finding in found.findings}
    assert "U1" in told["groups_too_small"] and found.glance()["n"] == 600


def test_a_group_without_a_category_is_refused_by_item_not_by_group():
    frame = planted()
    frame.loc[(frame["unit"] == "U1") & (frame["c"] == 5), "c"] = 4
    with pytest.raises(DataError, match="c: in one of the groups nobody gave one of the answers") as caught:
        of_frame(frame, estimator="WLSMV")
    assert "U1" not in str(caught.value)


# refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "unti", "scales": {"use": ITEMS}}, "unit"),
        ({"by": "a", "scales": {"use": ITEMS}}, "one of the items"),
        ({"by": "unit"}, "scales="),
        ({"scales": {"use": ITEMS}}, "holds no waves"),
        ({"by": "unit", "person": "p", "scales": {"use": ITEMS}}, "not both"),
        ({"by": "unit", "scales": {"use": ["a", "b"]}}, "two items"),
        ({"by": "unit", "scales": {"use": ITEMS}, "estimator": "GLS"}, "MLR"),
    ],
)
def test_a_wrong_question_is_refused_with_what_to_do(options, words):
    with pytest.raises(DataError, match=words):
        invariance(planted(n=100), **options)


@pytest.mark.parametrize(
    ("value", "estimator", "words"),
    [
        (3.0, "MLR", 'c: in group "U1" everybody gave the same answer'),
        (np.nan, "FIML", 'c: in group "U1" nobody answered it'),
    ],
)
def test_an_item_that_says_nothing_in_a_group_is_named_with_the_group(value, estimator, words):
    frame = planted(n=100)
    frame.loc[frame["unit"] == "U1", "c"] = value
    with pytest.raises(DataError, match=words):
        of_frame(frame, estimator=estimator)


def test_an_improper_group_is_named():
    rng = np.random.default_rng(1)
    one = 0.7 * rng.normal(size=(400, 1)) + 0.7 * rng.normal(size=(400, 3))
    one[200:, 0] = 3 * one[200:, 1] + 2 * one[200:, 2] + 0.1 * rng.normal(size=200)
    frame = pd.DataFrame(one, columns=list("abc")).assign(unit=["U0"] * 200 + ["U1"] * 200)
    reasons = invariance(frame, by="unit", scales={"use": list("abc")}).tidy()["reason"]
    assert any("Heywood case" in reason and reason.endswith('This is so in group "U1".') for reason in reasons)


def test_one_group_is_refused():
    with pytest.raises(DataError, match="fewer than two groups"):
        of_frame(planted(n=100).assign(unit="U0"))


def test_groups_come_from_a_variable_that_names_groups():
    survey = survey_of(planted(n=100).assign(person="x"))
    with pytest.raises(DataError, match="of kind id"):
        invariance(survey, by="person")


def test_a_step_that_cannot_be_fitted_ends_the_sequence():
    rng = np.random.default_rng(1)
    trait = rng.normal(size=(400, 1))
    one = 0.7 * trait + 0.7 * rng.normal(size=(400, 3))
    one[200:, 0] = 3 * one[200:, 1] + 2 * one[200:, 2] + 0.1 * rng.normal(size=200)
    frame = pd.DataFrame(one, columns=list("abc")).assign(unit=["U0"] * 200 + ["U1"] * 200)
    found = invariance(frame, by="unit", scales={"use": list("abc")})
    assert found.tidy()["verdict"].iloc[-1] == "not tested"
    assert found.gates["use"].verdict == "cannot tell"


def test_a_scale_with_other_items_before_is_refused():
    survey, previous = two_waves()
    other = survey_of(previous.answers, items=("a", "b", "c"))
    with pytest.raises(DataError, match="other items in the previous wave"):
        invariance(survey, other)


# the gate, and the contract


def test_the_gate_says_how_serious_it_is():
    (gate,) = of_frame(planted()).gates.values()
    assert gate.verdict == "allowed" and gate.finding().severity == "info"


def test_rows_and_glance_use_the_vocabulary():
    found = of_frame(planted(n=200))
    assert set(found.tidy()) <= set(TIDY) and set(found.glance()) <= set(GLANCE)
    assert found.to_text() and found.plot()


def test_answers_are_not_changed():
    frame = planted(n=100)
    before = frame.copy()
    of_frame(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_scales_are_tested_one_by_one_or_together():
    rng = np.random.default_rng(3)
    trait = rng.multivariate_normal([0, 0], [[1, 0.4], [0.4, 1]], 600)
    answers = np.repeat(trait, 4, axis=1) * 0.7 + 0.7 * rng.normal(size=(600, 8))
    frame = pd.DataFrame(answers, columns=list("abcdefgh")).assign(unit=["U0", "U1"] * 300)
    scales = {"one": list("abcd"), "two": list("efgh")}
    apart = invariance(frame, by="unit", scales=scales)
    whole = invariance(frame, by="unit", scales=scales, together=True)
    assert list(apart.gates) == ["one", "two"] and list(whole.gates) == ["one", "two"]
    assert whole.gates["one"].text.startswith("one (tested together with two): the questions mean the same")
    assert set(whole.tidy()["scale"]) == {"one, two"} and set(whole.tidy()["means"]) == {"allowed"}
    assert whole.tidy()["df"].iloc[0] == 38
    assert list(whole.drawn()["term"]) == list(whole.drawn()["step"])


# what the unit, the order and the number of answers must not change


@pytest.mark.parametrize("unit", [0.1, 25.0])
def test_the_unit_of_the_answers_changes_nothing(unit):
    frame = planted(n=300, seed=3)
    one, other = (of_frame(frame.assign(**unit_of)) for unit_of in ({}, dict(frame[ITEMS] * unit)))
    assert verdicts(one) == verdicts(other) and one.gates["use"].text == other.gates["use"].text
    detectable = [each.tidy()["detectable"].dropna().to_numpy() for each in (one, other)]
    assert detectable[0] == pytest.approx(detectable[1], rel=1e-6)  # the search settles at 1e-11 of the discrepancy
    assert set(verdicts(one).values()) == {"supported"}


def test_the_order_of_groups_changes_nothing():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(3), (80, 250, 250))
    answers = 0.7 * rng.normal(size=(580, 1)) * np.array([1.0, 1.3, 0.8])[group][:, None] + rng.normal(size=(580, 5))
    answers[:, 2] += np.array([0.0, 0.2, -0.2])[group]
    found = [
        of_frame(pd.DataFrame(answers, columns=ITEMS).assign(unit=[names[each] for each in group])).tidy()
        for names in ("ABC", "CAB", "BCA")
    ]
    for other in found[1:]:
        assert other["verdict"].tolist() == found[0]["verdict"].tolist()
        near = pytest.approx(found[0]["detectable"], rel=1e-4, nan_ok=True)  # information at the end of a search
        assert other["detectable"].tolist() == near


def test_an_item_of_two_answers_can_hide_something_too():
    frame = planted(n=600)
    frame[ITEMS] = (frame[ITEMS] > 3).astype(float)
    found = of_frame(frame, estimator="WLSMV")
    assert found.tidy().set_index("step")["detectable"]["+ intercepts (scalar)"] > 0.5
    assert found.gates["use"].verdict == "cannot tell" and "more than 2 standard deviations" in found.gates["use"].text


def test_a_model_that_cannot_be_fitted_at_all_is_said():
    frame = planted(n=100)
    frame["b"] = frame["a"]
    for estimator in ("MLR", "ML", "FIML", "WLSMV"):
        with pytest.raises(EstimationError, match="a and b hold the same answers"):
            of_frame(frame, estimator=estimator)


@pytest.mark.parametrize("change", [{"d": 3.0}, {"d": np.nan}])
def test_a_scale_that_cannot_be_tested_is_a_finding_beside_others(change: dict[str, float]):
    frame = planted(n=100).assign(**change)
    found = invariance(frame, by="unit", scales={"one": list("abc"), "two": list("de")})
    told = [each for each in found.findings if each.name == "scale_refused"]
    assert [each.severity for each in told] == ["serious"] and told[0].text.startswith("two: ")
    assert list(found.gates) == ["one", "two"] and found.gates["two"].verdict == "cannot tell"
    assert set(found.tidy().query("scale == 'two'")["verdict"]) == {"not tested"}
    with pytest.raises(DataError):
        invariance(frame, by="unit", scales={"two": list("de")})


def test_a_question_in_which_nobody_differs_is_left_out_and_named():
    frame = planted(n=200)
    found, other = of_frame(frame.assign(d=3.0)), invariance(frame, by="unit", scales={"use": list("abce")})
    pd.testing.assert_frame_equal(found.tidy(), other.tidy())
    told = [each for each in found.findings if each.name == "constant_items"]
    assert [each.severity for each in told] == ["serious"] and '"d"' in told[0].text


def test_a_question_in_which_nobody_differs_in_one_wave_is_left_out_of_both():
    now, before = planted(n=200, seed=3), planted(n=200, seed=4)
    pair = [survey_of(before.assign(d=3.0), wave="1"), survey_of(now)]
    short = [survey_of(frame, wave=wave, items=tuple("abce")) for frame, wave in ((before, "1"), (now, "2"))]
    for two in (pair, pair[::-1]):
        assert [each.name for each in invariance(*two).findings].count("constant_items") == 1
    assert invariance(*pair[::-1]).tidy()["df"].tolist() == invariance(*short[::-1]).tidy()["df"].tolist()
