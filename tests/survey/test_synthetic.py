"""What is planted must be found, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.errors import CodebookError, DataError
from smstudy.survey.codebook import Category, Codebook, Scale, Variable
from smstudy.survey.synthetic import (
    ATTENTIVE,
    BLANK,
    RANDOM,
    SPEEDER,
    STRAIGHT_LINER,
    People,
    Plan,
    answers_frame,
    draw_answers,
    draw_latents,
    draw_people,
    draw_respondents,
    draw_scores,
    items_of,
    mean_scores,
    staff,
)

AGREE = tuple(Category(value=str(i), label=f"answer {i}") for i in range(1, 6))
ITEMS = {"support": ("s_1", "s_2", "s_3r"), "use": ("u_1", "u_2", "u_3")}
ROLES = ("staff", "lead")
CODEBOOK = Codebook(
    title="Two scales",
    missing={"-99": "prefer not to say"},
    variables=[
        {"name": "unit", "kind": "unit", "categories": [{"value": i, "label": name} for i, name in enumerate("AB")]},
        {"name": "role", "kind": "category", "categories": [{"value": i, "label": n} for i, n in enumerate(ROLES)]},
        *(
            {"name": name, "kind": "item", "categories": AGREE, "reverse": name.endswith("r")}
            for names in ITEMS.values()
            for name in names
        ),
    ],
    scales=[Scale(name=name, items=items) for name, items in ITEMS.items()],
)


def plan(**changes: object) -> Plan:
    planted = {
        "scales": ("support", "use"),
        "units": {"A": 300, "B": 100},
        "segments": {"keen": (1.0, 0.0), "calm": (-1.0, 0.0)},
        "shares": np.array([[0.5, 0.5], [0.2, 0.8]]),
        "unit_effects": np.zeros((2, 2)),
        "spread": (0.8, 0.8),
    }
    return Plan(**{**planted, **changes})


def draw(seed: int = 1, times: int = 50, wave: int = 1, **changes: object):
    rng, planted = np.random.default_rng(seed), plan(**changes)
    people = draw_people(planted, staff(planted, times), rng)
    return planted, people, draw_answers(planted, CODEBOOK, people, wave=wave, rng=rng)


def test_one_seed_gives_one_data_set():
    (_, _, first), (_, _, again), (_, _, other) = draw(seed=3), draw(seed=3), draw(seed=4)
    np.testing.assert_array_equal(first.codes, again.codes)
    assert not np.array_equal(first.codes, other.codes)


def test_staff_repeats_the_head_counts():
    assert np.bincount(staff(plan(), 2)).tolist() == [600, 200]


def test_answers_are_codes_of_the_codebook():
    _, _, answers = draw()
    assert set(np.unique(answers.codes)) == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_reversed_items_run_against_their_scale_until_scored():
    planted, _, answers = draw()
    r = np.corrcoef(answers.codes.T)
    assert r[0, 1] > 0.4 and r[0, 2] < -0.4
    turned = answers.codes.copy()
    turned[:, 2] = 6 - turned[:, 2]
    np.testing.assert_allclose(mean_scores(planted, CODEBOOK, answers.codes)[:, 0], turned[:, :3].mean(axis=1))


def test_items_of_one_scale_share_one_factor():
    _, _, answers = draw()
    r = np.abs(np.corrcoef(answers.codes.T))
    assert r[:3, 3:].max() < 0.03, "scales were planted independent; 4 standard errors at n = 20,000 are 0.028"
    assert r[3:, 3:][np.triu_indices(3, 1)].min() > 0.25


def test_segments_have_the_shares_of_their_unit():
    _, people, _ = draw()
    for unit, share in enumerate((0.5, 0.2)):
        found = np.mean(people.segment[people.unit == unit] == 0)
        assert abs(found - share) < 4 * 0.5 / np.sqrt(5000)  # 4 standard errors in the smaller unit


def test_segments_differ_where_planted_and_only_there():
    planted, people, answers = draw()
    scores = mean_scores(planted, CODEBOOK, answers.codes)
    difference = scores[people.segment == 0].mean(axis=0) - scores[people.segment == 1].mean(axis=0)
    assert difference[0] > 1
    assert abs(difference[1]) < 0.05, "4 standard errors at n = 20,000"


def test_unit_effects_move_only_their_unit():
    shares = np.full((2, 2), 0.5)
    planted, people, answers = draw(shares=shares, unit_effects=np.array([[0.0, 0.0], [0.0, 0.6]]))
    scores = mean_scores(planted, CODEBOOK, answers.codes)
    difference = scores[people.unit == 1].mean(axis=0) - scores[people.unit == 0].mean(axis=0)
    assert difference[1] > 0.3
    assert abs(difference[0]) < 0.06, "4 standard errors at n = 5,000"


def test_an_effect_is_the_slope_on_the_latent_cause():
    planted = plan(effects={"use": {"support": 0.4}})
    rng = np.random.default_rng(2)
    latents = draw_latents(planted, draw_people(planted, staff(planted, 100), rng), 1, rng)
    slope = np.polyfit(latents[:, 0], latents[:, 1], 1)[0]
    assert abs(slope - 0.4) < 0.015, "4 standard errors at n = 40,000"


def test_a_shift_moves_one_scale_in_one_wave_for_everybody():
    planted = plan(shifts=({}, {"use": -0.5}), stability=1.0)
    people = draw_people(planted, staff(planted), np.random.default_rng(5))
    before, after = (draw_latents(planted, people, wave, np.random.default_rng(6)) for wave in (1, 2))
    np.testing.assert_allclose(after - before, np.tile([0.0, -0.5], (len(people), 1)), atol=1e-12)  # rounding


def test_stability_is_the_correlation_within_segments():
    planted = plan(stability=0.7)
    rng = np.random.default_rng(7)
    people = draw_people(planted, staff(planted, 100), rng)
    before, after = (draw_latents(planted, people, 1, rng)[:, 1] for _ in range(2))
    assert abs(np.corrcoef(before, after)[0, 1] - 0.7) < 0.011, "4 standard errors at n = 40,000"


def test_missing_answers_have_their_shares_and_reasons():
    _, _, answers = draw(missing={BLANK: 0.04, "-99": 0.02})
    np.testing.assert_array_equal(np.isnan(answers.codes), answers.reasons > 0)
    found = [np.mean(answers.reasons == reason) for reason in (1, 2)]
    np.testing.assert_allclose(found, [0.04, 0.02], atol=4 * 0.2 / np.sqrt(answers.codes.size))  # 4 standard errors


def test_missing_answers_tell_nothing_about_the_person():
    planted, people, answers = draw(missing={BLANK: 0.1})
    lost = (answers.reasons > 0).mean(axis=1)
    assert abs(np.corrcoef(lost, people.segment)[0, 1]) < 4 / np.sqrt(len(people))  # 4 standard errors


def test_fatigue_loses_more_at_the_end_and_no_more_in_all():
    _, _, answers = draw(missing={BLANK: 0.1}, fatigue=1.0)
    lost = (answers.reasons > 0).mean(axis=0)
    assert lost[-1] / lost[0] > 2.5
    assert abs(lost.mean() - 0.1) < 0.004, "4 standard errors of a share of .1 in 120,000 answers"


def test_careless_respondents_have_their_shares_and_their_marks():
    _, _, answers = draw(careless={STRAIGHT_LINER: 0.03, RANDOM: 0.02, SPEEDER: 0.01})
    found = np.bincount(answers.careless, minlength=4)[1:] / len(answers.careless)
    np.testing.assert_allclose(found, [0.03, 0.02, 0.01], atol=0.005)  # 4 standard errors at n = 20,000
    assert np.ptp(answers.codes[answers.careless == STRAIGHT_LINER], axis=1).max() == 0
    speeders, attentive = (np.median(answers.seconds[answers.careless == kind]) for kind in (SPEEDER, ATTENTIVE))
    assert speeders < attentive / 5


def test_background_is_independent_of_the_answers():
    planted, people, answers = draw(background={"role": (0.7, 0.3)})
    role, score = people.background["role"], mean_scores(planted, CODEBOOK, answers.codes)[:, 0]
    assert abs(role.mean() - 0.3) < 4 * 0.46 / np.sqrt(len(role))  # 4 standard errors
    assert abs(np.corrcoef(role, score)[0, 1]) < 4 / np.sqrt(len(role))  # 4 standard errors


def test_response_has_its_rate():
    planted = plan(response=0.62)
    assert abs(draw_respondents(planted, 40_000, np.random.default_rng(8)).mean() - 0.62) < 0.01  # 4 standard errors


def test_half_of_the_items_make_a_score_and_fewer_do_not():
    codes = np.array([[4.0, np.nan, 2.0, 5.0, np.nan, np.nan]])
    scores = mean_scores(plan(), CODEBOOK, codes)
    np.testing.assert_array_equal(scores, [[4.0, np.nan]])


def test_scores_drawn_in_pieces_have_the_same_law():
    planted = plan(careless={RANDOM: 0.1})
    people = draw_people(planted, staff(planted, 100), np.random.default_rng(9))
    means = []
    for chunk in (1_000, 100_000):
        scores, attentive = draw_scores(planted, CODEBOOK, people, wave=1, rng=np.random.default_rng(10), chunk=chunk)
        assert abs(attentive.mean() - 0.9) < 0.006, "4 standard errors at n = 40,000"
        means.append(scores[attentive].mean(axis=0))
    np.testing.assert_allclose(*means, atol=0.03)  # 4 standard errors of a difference at n = 36,000


def test_people_can_be_taken_by_position():
    role = np.array([5, 6, 7])
    people = People(unit=role - 5, segment=role, lasting=np.eye(3), background={"role": role})
    part = people.take(np.array([2, 0]))
    assert (len(part), part.unit.tolist(), part.background["role"].tolist()) == (2, [2, 0], [7, 5])


def test_a_frame_of_answers_speaks_the_codebook():
    planted, people, answers = draw(times=1, background={"role": (0.5, 0.5)})
    frame = answers_frame(planted, CODEBOOK, people, answers)
    assert list(frame) == ["unit", "role", *(item.name for item in items_of(planted, CODEBOOK))]
    assert set(frame["unit"]) == {"A", "B"} and set(frame["role"]) == set(ROLES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": np.ones((2, 1))}, "shares has shape"),
        ({"shares": np.full((2, 2), 0.6)}, "do not sum to 1"),
        ({"unit_effects": np.zeros((1, 2))}, "unit_effects has shape"),
        ({"spread": (1.0,)}, "spread has shape"),
        ({"effects": {"usage": {"support": 1.0}}}, '"usage"'),
        ({"effects": {"support": {"use": 1.0}}}, "before"),
        ({"shifts": ({"suport": 1.0},)}, 'Did you mean "support"'),
        ({"missing": {BLANK: 0.7, "-99": 0.4}}, "more than 1"),
    ],
)
def test_a_plan_that_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        plan(**changes)


def test_a_plan_that_does_not_fit_the_codebook_is_refused():
    with pytest.raises(DataError, match='"-98".*Did you mean "-99"'):
        draw(times=1, missing={"-98": 0.1})
    with pytest.raises(DataError, match="wave 3"):
        draw(times=1, wave=3)
    with pytest.raises(CodebookError, match='Did you mean "support"'):
        items_of(plan(scales=("suport", "use")), CODEBOOK)


def test_an_item_may_have_any_number_of_categories():
    seven = tuple(Category(value=str(i), label=str(i)) for i in range(7))
    codebook = Codebook(
        title="Seven answers",
        variables=[Variable(name=n, column=n, kind="item", categories=seven) for n in ("a", "b")],
        scales=[Scale(name="s", items=("a", "b"))],
    )
    planted = Plan(
        scales=("s",), units={"A": 5000}, segments={"all": (0.0,)}, shares=np.ones((1, 1)),
        unit_effects=np.zeros((1, 1)), spread=(1.0,), difficulty={"b": 1.0}, careless={RANDOM: 0.2},
    )  # fmt: skip
    rng = np.random.default_rng(11)
    answers = draw_answers(planted, codebook, draw_people(planted, staff(planted), rng), wave=1, rng=rng)
    assert set(np.unique(answers.codes)) == set(range(7))
    assert answers.codes[:, 0].mean() > answers.codes[:, 1].mean() + 0.5
