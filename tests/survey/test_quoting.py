"""Laws of quoting: a message may repeat what a questionnaire says, never what a person says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstudy.survey.codebook import Variable
from smstudy.survey.quoting import may_quote

LABELS = ("Strongly disagree", "Agree", "Research & Development", "Sales", "18-24 years")
UNIT = Variable.model_validate(
    {"name": "q", "kind": "category", "categories": [{"value": i, "label": word} for i, word in enumerate(LABELS)]}
)


@pytest.mark.parametrize("answer", ["9", "-99", "3.0", "n/a", "Prefer not to say", "stimme zu", *LABELS])
def test_what_questionnaires_say_may_be_quoted(answer):
    assert may_quote(answer, UNIT)


@pytest.mark.parametrize("answer", ["Salse", "strongly  DISAGREE.", "Reserch & Developmnt"])
def test_a_declared_answer_may_be_quoted_up_to_spelling(answer):
    assert may_quote(answer, UNIT)


@pytest.mark.parametrize("answer", ["Anna", "Anna Smith", "P29700", "470011", "bad, my boss", "18-25 years", "", "ok"])
def test_anything_else_may_not_be_quoted(answer):
    assert not may_quote(answer, UNIT)


@given(label=st.sampled_from(LABELS), more=st.sampled_from(["Anna", "Smith", "boss 7", "and my manager Lee"]))
def test_one_word_more_and_an_answer_is_somebodys_own(label, more):
    assert not may_quote(f"{label} {more}", UNIT) and not may_quote(f"{more}: {label}", UNIT)
