"""Rules that turn a number into a word."""

import itertools

import pytest

from smstudy.display import rules
from smstudy.display.rules import Rule

RULES = [value for value in vars(rules).values() if isinstance(value, Rule)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_has_rising_limits_one_more_word_and_a_source(rule):
    assert all(low < high for low, high in itertools.pairwise(rule.cuts))
    assert len(rule.words) == len(rule.cuts) + 1 == len(set(rule.words))
    assert any(character.isdigit() for character in rule.source)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_value_on_a_limit_belongs_to_the_range_above(rule):
    for place, cut in enumerate(rule.cuts):
        assert rule.read(cut) == rule.words[place + 1]
        assert rule.read(cut - 1e-9) == rule.words[place]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_nothing_is_said_about_a_missing_number(rule):
    assert rule.read(float("nan")) == "cannot tell"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_ends_of_the_line_have_words(rule):
    assert rule.read(float("-inf")) == rule.words[0] and rule.read(float("inf")) == rule.words[-1]
