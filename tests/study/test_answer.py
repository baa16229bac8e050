"""The answer says what the verdicts say, and nothing else."""

import pytest

from smstudy.study.answer import OPENINGS, answer
from smstudy.study.definition import Hypothesis, Study
from smstudy.study.hypotheses import SUPPORTED, decide

STUDY = Study(
    title="T", question="Why?", organization="O", wave="2", waves={"2": {"file": "x.csv"}}, notebooks=[{"name": "n"}]
)


def said(records=None, hypotheses=(), previous="1"):
    records = records or {}
    result = answer(STUDY, "2", previous, records, decide(hypotheses, records))
    return {row["term"]: row["statement"] for row in result.tidy().to_dict("records")}


def change(*rows):
    return {
        "30-groups/changes": {"kind": "WaveChanges", "glance": {}, "labels": {"con": "Concerns"}, "tidy": list(rows)}
    }


def moved(term, difference, verdict="changed", **more):
    return {"term": term, "difference": difference, "verdict": verdict, **more}


def test_without_any_result_nothing_is_said():
    assert said() == {}


def test_who_answered_comes_from_the_response():
    response = {"kind": "Response", "glance": {"n": 292, "response": 0.611}, "tidy": [], "findings": []}
    assert said({"n/response": response}) == {"response": "292 people answered, 61 % of all."}


def test_without_head_counts_the_flow_says_who_is_left():
    flow = {"kind": "Cleaning", "glance": {"n": 1}, "tidy": [], "findings": []}
    assert said({"n/flow": flow}) == {"respondents": "1 person answered; how many were asked is not known."}


def test_a_hidden_number_of_respondents_is_not_said():
    flow = {"kind": "Cleaning", "glance": {}, "tidy": [], "findings": []}
    assert said({"n/flow": flow}) == {}


def test_statements_stand_under_their_verdict():
    hypotheses = [
        Hypothesis(id="1", statement="Support raises use.", result="n/r", term="a"),
        Hypothesis(id="2", statement="IT uses it more.", result="n/r", term="a"),
        Hypothesis(id="3", statement="Fear lowers use.", result="n/r", term="gone"),
    ]
    row = {"term": "a", "estimate": 0.5, "conf_low": 0.3, "conf_high": 0.7}
    records = {"n/r": {"kind": "Regression", "glance": {}, "tidy": [row], "findings": []}}
    sentences = said(records, hypotheses)
    assert sentences[SUPPORTED] == "The data support this: support raises use; IT uses it more."
    assert sentences["not tested"] == "This was not tested: fear lowers use."


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([moved("con", -0.28)], "Since wave 1, Concerns (−0.28 points) changed."),
        (
            [moved("con", -0.28), moved("x", 0.3)],
            "Since wave 1, Concerns (−0.28 points) and x (0.30 points) changed.",
        ),
        (
            [moved("con", -0.28), moved("x", 0.0, "cannot tell")],
            "Since wave 1, Concerns (−0.28 points) changed and for 1 other score we cannot tell whether anything "
            "changed.",
        ),
        (
            [moved("con", -0.28, means="not tested"), moved("x", 0.3, means="allowed"), moved("y", 1.0, means="")],
            "Since wave 1, Concerns (−0.28 points), x (0.30 points) and y (1.00 points) changed. Whether the questions "
            "on Concerns mean the same in both waves is not known.",
        ),
        (
            [moved("con", 0.1, "cannot tell"), moved("x", 0.0, "cannot tell")],
            "Since wave 1, for 2 scores we cannot tell whether anything changed.",
        ),
        ([moved("con", None, None)], "Since wave 1, nothing can be said about change."),
        ([], "Since wave 1, nothing can be said about change."),
    ],
)
def test_change_is_worded_by_its_verdict(rows, words):
    assert said(change(*rows)) == {"change": words}


def test_without_a_previous_wave_change_is_not_mentioned():
    assert said(change(moved("con", -0.28)), previous="") == {}


def test_every_verdict_has_an_opening():
    assert set(OPENINGS) == {"supported", "not supported", "too little data", "not tested"}
