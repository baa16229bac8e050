"""Drafting a study from an export whose items an instrument knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from smstudy.scales.reliability import reliability
from smstudy.study.recognition import apply_instruments, recognized_scales
from smstudy.study.scaffold import draft_study
from smstudy.survey.codebook import Codebook, read_codebook
from smstudy.survey.decoding import decode
from smstudy.survey.drafts.guesses import Draft
from smstudy.survey.exports import read_export

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo-organization"
PULSE = ROOT / "studies" / "quarterly-pulse" / "codebook.yml"
WORDS = ("Strongly disagree", "Disagree", "Neither agree nor disagree", "Agree", "Strongly agree")
TASKS, KNOWS, PROJECTS = (
    "I use it to coordinate tasks.",
    "I use it to find someone who knows.",
    "I use it to keep up with projects.",
)


def _words(*places: int) -> tuple[tuple[str, str], ...]:
    return tuple((str(i), WORDS[place - 1]) for i, place in enumerate(places, 1))


def _item(name: str, title: str, categories: tuple = _words(1, 2, 3, 4, 5), **more: object) -> Draft:
    return Draft(name, name.upper(), title, **{"kind": "item", "categories": categories, **more})


@pytest.fixture(scope="module", params=["wave-2.csv", "wave-3.csv"])
def drafted(request, tmp_path_factory) -> tuple[str, Codebook]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("drafted"))
        return request.param, read_codebook(draft_study("mine", str(DEMO / request.param)).folder / "codebook.yml")


def test_the_scales_of_the_demo_are_recognized(drafted):
    names = {variable.column: variable.name for variable in drafted[1].variables}
    pulse = read_codebook(PULSE)
    asked = [tuple(names[pulse.variable(item).column] for item in scale.items) for scale in pulse.scales]
    assert [(s.name, s.title, s.basis, s.items) for s in drafted[1].scales] == [
        (s.name, s.title, s.basis, items) for s, items in zip(pulse.scales, asked, strict=True)
    ]


def test_recognized_items_are_reversed_and_never_silently(drafted):
    reverse = {v.column for v in read_codebook(PULSE).variables if v.reverse}
    assert {v.column for v in drafted[1].variables if v.reverse} == reverse
    assert all("adoption-pulse" in v.confirm for v in drafted[1].variables if v.reverse)


def test_the_drafted_codebook_gives_the_reliability_of_the_finished_one(drafted):
    export = read_export(DEMO / drafted[0])
    mine, finished = (reliability(decode(export, codebook)).tidy() for codebook in (drafted[1], read_codebook(PULSE)))
    assert mine.equals(finished)


def test_numbers_without_words_are_to_be_confirmed():
    numbers = tuple((str(i), f"answer {i}") for i in (2, 3, 4, 5))
    (draft,), _ = apply_instruments([_item("a", TASKS, numbers)])
    assert [code for code, *_ in draft.categories] == ["1", "2", "3", "4", "5"]
    assert "the export has numbers" in draft.confirm


def test_an_answer_nobody_gave_does_not_shift_the_others():
    (draft,), _ = apply_instruments([_item("a", TASKS, _words(2, 4, 5))])
    assert [(code, label) for code, label, *_ in draft.categories] == [(str(i), w) for i, w in enumerate(WORDS, 1)]


def test_codes_the_export_declares_are_kept():
    declared = tuple((str(10 - i), word) for i, word in enumerate(WORDS))
    (draft,), found = apply_instruments([_item("a", TASKS, declared)], coded={"A"})
    assert draft.categories == declared and found["a"].item.name == "usw_1"


def test_answers_the_instrument_does_not_know_are_kept():
    other = (("1", "Never"), ("2", "Often"), ("3", "Always"))
    (draft,), found = apply_instruments([_item("a", TASKS, other)])
    assert draft.categories == other and "a" in found


def test_missing_codes_among_words_are_no_answers():
    (draft,), _ = apply_instruments([_item("a", TASKS, (("-99", "-99"), *((w, w) for w in WORDS)), kind="category")])
    assert draft.kind == "item" and dict(draft.missing) == {"-99": "code to be confirmed"}


def test_a_text_column_with_the_words_of_an_item_is_left_alone():
    draft = _item("a", "Leaders say it matters but do nothing about it.", (), kind="text")
    assert apply_instruments([draft]) == ([draft], {})


def test_what_is_not_recognized_stays_as_it_was():
    drafts = [_item("a", "Something else."), _item("b", TASKS)]
    assert apply_instruments(drafts)[0][0] is drafts[0]


def test_a_part_of_a_scale_says_what_is_not_there():
    (scale,) = recognized_scales(*apply_instruments([_item("b", KNOWS), _item("a", TASKS)]))
    assert scale.items == ("a", "b")
    assert scale.description.endswith("Not in this export: usw_3 and bin_1.")


def test_one_item_makes_no_scale():
    assert recognized_scales(*apply_instruments([_item("a", TASKS)])) == []


def test_items_on_different_answer_scales_make_no_scale():
    seven = tuple((str(i), f"{i} of seven") for i in range(1, 8))
    assert recognized_scales(*apply_instruments([_item("a", TASKS), _item("b", KNOWS, seven)])) == []


def test_a_scale_does_not_take_the_name_of_a_variable():
    drafts = [_item("adoption", TASKS), _item("b", KNOWS), _item("c", PROJECTS)]
    assert [scale.name for scale in recognized_scales(*apply_instruments(drafts))] == ["adoption_scale"]
