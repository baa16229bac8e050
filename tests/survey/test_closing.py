"""Groups are closed so that no sum over several cuts or releases leaves a few people."""

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DisclosureError
from smstudy.survey.closing import (
    close_groups,
    few_gaps,
    moved_groups,
    on_one_base,
    refuse_small_difference,
    shown_sets,
)
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import ALL, hidden_groups
from smstudy.survey.suppression import small_differences

NAMES = [f"g{i}" for i in range(9)]
UNIT = [{"value": name, "label": name} for name in NAMES]
BOOK = Codebook.model_validate(
    {
        "title": "Groups",
        "variables": [
            {"name": "unit", "kind": "unit", "categories": UNIT},
            {"name": "place", "kind": "unit", "categories": UNIT},
            {"name": "q", "kind": "item", "categories": [{"value": i, "label": str(i)} for i in range(1, 6)]},
        ],
        "scales": [{"name": "use", "items": ["q"]}],
    }
)


def survey(units, places=None):
    """One respondent for each unit named; scores differ within every group."""
    n = len(units)
    q = np.arange(n) % 5 + 1.0
    columns = {"unit": units, "place": places or units, "q": q, "use": q}
    answers = pd.DataFrame(columns, index=[f"p{i}" for i in range(n)])
    return Survey(answers=answers, codebook=BOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def known(*surveys, units=("unit",)):
    """What reports on earlier surveys gave away."""
    sets = [people for one in surveys for people in [frozenset(one.answers.index), *shown_sets(one, units).values()]]
    return {ALL: sets, "use": sets}


LARGE = ["g0"] * 20 + ["g1"] * 20 + ["g2"] * 20


def test_the_same_answers_close_nothing():
    assert close_groups(survey(LARGE), ["unit"], known=known(survey(LARGE))).privacy.closed == frozenset()


def test_a_group_with_two_more_than_before_is_closed_with_one_that_grew_too():
    later = survey([*LARGE, "g0", "g0", *["g1"] * 5])
    closed = close_groups(later, ["unit"], known=known(survey(LARGE)))
    assert hidden_groups(closed, "unit") == {"g0", "g1"}  # g2 did not grow: beside it the two would still follow


def test_two_more_respondents_in_all_stop_the_release():
    with pytest.raises(DisclosureError, match="wait until more have answered"):
        close_groups(survey([*LARGE, "g0", "g0"]), ["unit"], known=known(survey(LARGE)))


def test_two_respondents_replaced_by_two_others_stop_the_release():
    other = survey(LARGE)
    names = [*other.answers.index[2:], "x", "y"]
    changed = Survey(answers=other.answers.set_axis(names), codebook=BOOK, missing=other.missing)
    with pytest.raises(DisclosureError, match="Fewer than 5 people"):
        close_groups(changed, ["unit"], known=known(other))


def test_many_more_respondents_close_nothing():
    later = survey([*LARGE, *["g0"] * 6, *["g2"] * 9])
    assert close_groups(later, ["unit"], known=known(survey(LARGE))).privacy.closed == frozenset()


def test_a_unit_minus_the_units_in_it_shown_elsewhere_is_no_few():
    units = ["g0"] * 20 + ["g1"] * 20 + ["g2"] * 3 + ["g3"] * 30
    places = ["g4"] * 43 + ["g5"] * 30  # place g4 is g0, g1 and the three of g2
    data = survey(units, places)
    assert hidden_groups(data, "unit") == {"g0", "g2"}
    closed = close_groups(data, ["unit", "place"])
    assert closed.privacy.closed == frozenset()


def test_a_few_between_two_splits_are_closed():
    units = ["g0"] * 20 + ["g1"] * 23 + ["g3"] * 30 + ["g6"] * 20 + ["g8"] * 20
    places = ["g4"] * 40 + ["g5"] * 33 + ["g7"] * 40  # three of g1 are in g5, the others in g4 with g0
    data = survey(units, places)
    assert not hidden_groups(data, "unit") | hidden_groups(data, "place")
    closed = close_groups(data, ["unit", "place"])
    sets = [people for people in shown_sets(closed, ["unit", "place"]).values()]
    inside = np.array([[person in one for person in data.answers.index] for one in sets])
    assert closed.privacy.closed and small_differences(inside, 5) == []
    with pytest.raises(DisclosureError, match="Every group would be hidden"):
        close_groups(survey(units[:73], places[:73]), ["unit", "place"])


def test_groups_hidden_together_are_followed_through_a_second_release():
    before = ["g0"] * 4 + ["g1"] * 8 + ["g2"] * 20 + ["g3"] * 20
    first, second = survey(before), survey([*before, "g0", *["g2"] * 6])
    assert hidden_groups(second, "unit") == frozenset()
    closed = close_groups(second, ["unit"], known=known(first))
    assert {"g0"} < hidden_groups(closed, "unit")  # else the one who came to g0 follows from g0 + g1 before and now


def test_a_second_cut_that_differs_by_few_is_refused():
    data = survey(LARGE)
    some = data.keep_rows(pd.Series(np.arange(60) > 2, index=data.answers.index), "without the flagged")
    with pytest.raises(DisclosureError, match="The two selections differ by fewer than 5"):
        refuse_small_difference(data, some)
    many = data.keep_rows(pd.Series(np.arange(60) > 5, index=data.answers.index), "without the flagged")
    refuse_small_difference(data, many)
    spread = data.keep_rows(pd.Series(np.arange(60) % 10 > 0, index=data.answers.index), "without the flagged")
    refuse_small_difference(data, spread)
    with pytest.raises(DisclosureError):
        refuse_small_difference(data, spread, unit="unit")


def wave(units, people):
    """One wave; the answer to `use` is a person's own and never changes, as their age would."""
    own = {f"p{i:03d}": 1.0 + (i * 7) % 11 for i in range(200)}
    answers = pd.DataFrame({"unit": units, "place": people, "use": [own.get(person, 3.0) for person in people]})
    return Survey(answers=answers, codebook=BOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def people(first, n):
    return [f"p{i:03d}" for i in range(first, first + n)]


BEFORE = wave(["g0"] * 6 + ["g1"] * 8 + ["g2"] * 20, people(0, 34))
NOW = wave(["g0"] * 5 + ["g1"] * 9 + ["g2"] * 30, people(1, 5) + people(10, 4) + people(100, 5) + people(16, 30))


def test_a_group_one_person_left_between_linked_waves_is_hidden():
    gone = BEFORE.answers["use"][0]
    sums = [one.answers.groupby("unit")["use"].sum() for one in (BEFORE, NOW)]
    assert sums[0]["g0"] - sums[1]["g0"] == gone  # mean times n, before minus now: the answer of the one who left
    assert not hidden_groups(BEFORE, "unit") | hidden_groups(NOW, "unit")  # no rule for one wave sees it
    assert moved_groups(NOW, BEFORE, "unit", "place") == {
        "g0",
        "g1",
    }  # with a second one: else it follows from the sums


def test_a_group_that_one_person_came_to_is_hidden_and_one_where_many_changed_is_not():
    assert moved_groups(BEFORE, NOW, "unit", "place") == {"g0", "g1"}
    same = moved_groups(BEFORE, BEFORE, "unit", "place")
    assert same == frozenset()
    assert moved_groups(BEFORE, BEFORE, "unit", "place", hidden=frozenset({"g1"})) == {"g1"}


def test_two_replaced_by_two_others_are_few_and_respondents_without_a_code_are_not_known():
    replaced = wave(["g0"] * 6 + ["g1"] * 8 + ["g2"] * 20, ["x", "y", *people(2, 12), *people(120, 20)])
    assert "g0" in moved_groups(replaced, BEFORE, "unit", "place")
    nobody = wave(["g0"] * 6 + ["g1"] * 8 + ["g2"] * 20, [None] * 34)
    assert moved_groups(nobody, BEFORE, "unit", "place") == frozenset()


def test_hiding_groups_cannot_help_where_few_of_all_changed():
    fewer = wave(["g0"] * 5 + ["g1"] * 8 + ["g2"] * 20, people(1, 33))
    assert moved_groups(fewer, BEFORE, "unit", "place") == {"g0"}


@pytest.mark.parametrize("seed", range(10))
def test_no_group_shown_and_not_the_hidden_ones_together_differ_by_few_between_waves(seed):
    rng = np.random.default_rng(seed)
    units, codes = rng.choice(NAMES, size=120).tolist(), people(0, 120)
    stay = rng.random(120) < 0.9
    now = wave(
        [u for u, s in zip(units, stay) if s] + rng.choice(NAMES, size=12).tolist(),
        [c for c, s in zip(codes, stay) if s] + people(150, 12),
    )
    hidden = moved_groups(now, wave(units, codes), "unit", "place")
    sets = [{g: set(w.answers["place"][w.answers["unit"] == g]) for g in NAMES} for w in (wave(units, codes), now)]
    changed = [len(sets[0][g] ^ sets[1][g]) for g in NAMES if g not in hidden]
    together = [set().union(*(one[g] for g in hidden)) for one in sets]
    assert all(n == 0 or n >= 5 for n in [*changed, len(together[0] ^ together[1])])


def test_closing_changes_no_answer():
    later = survey([*LARGE, "g0", "g0", *["g1"] * 5])
    assert close_groups(later, ["unit"], known=known(survey(LARGE))).answers is later.answers


TWO = [{"value": 1, "label": "no"}, {"value": 2, "label": "yes"}]


def scored(**scores) -> Survey:
    """A survey with the scores given; missing answers are None."""
    variables = [{"name": f"{name}{i}", "kind": "item", "categories": TWO} for name in scores for i in (1, 2)]
    scales = [{"name": name, "items": [f"{name}1", f"{name}2"]} for name in scores]
    book = Codebook.model_validate({"title": "t", "variables": variables, "scales": scales})
    frame = pd.DataFrame({name: np.asarray(values, dtype=float) for name, values in scores.items()})
    return Survey(answers=frame, codebook=book, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def test_a_few_who_alone_lack_a_score_are_left_out_of_all_tables():
    survey = scored(use=[1.0] * 28 + [np.nan] * 2, trust=[2.0] * 30)
    assert few_gaps(survey).sum() == 2
    kept = on_one_base(survey)
    assert len(kept.answers) == 28 and [finding.name for finding in kept.findings] == ["few_gaps"]


def test_many_who_lack_a_score_stay():
    survey = scored(use=[1.0] * 25 + [np.nan] * 5, trust=[2.0] * 30)
    assert on_one_base(survey) is survey


def test_a_few_who_have_one_score_and_lack_another_are_left_out_too():
    nothing = np.nan
    survey = scored(use=[1.0] * 22 + [nothing] * 8, trust=[2.0] * 24 + [nothing] * 6)
    out = few_gaps(survey)
    assert out.to_numpy().nonzero()[0].tolist() == [22, 23]


@pytest.mark.parametrize("seed", range(20))
def test_on_one_base_no_two_tables_differ_by_few(seed):
    rng = np.random.default_rng(seed)
    holes = rng.random((200, 4)) < rng.uniform(0, 0.06, 4)
    survey = on_one_base(scored(**{f"s{i}": np.where(holes[:, i], np.nan, 1.0) for i in range(4)}))
    lacks = survey.answers.isna()
    some = lacks.any(axis=1)
    differences = [(lacks[name].sum(), (some & ~lacks[name]).sum()) for name in lacks]
    assert all(n == 0 or n >= survey.privacy.min_n for pair in differences for n in pair)
