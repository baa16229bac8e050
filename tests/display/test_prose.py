"""Small pieces of English."""

import pytest

from smstudy.display.prose import join_words, lower_first, plural


@pytest.mark.parametrize(
    ("words", "joined"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abc"), "a, b and c")]
)
def test_words_are_joined_as_a_sentence_does(words, joined):
    assert join_words(words) == joined


def test_the_last_joint_can_be_another_word():
    assert join_words(["1", "2"], "or") == "1 or 2"


@pytest.mark.parametrize(("n", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1200, "1,200 rows")])
def test_things_are_counted(n, words):
    assert plural(n, "row") == words


def test_an_own_plural_is_used():
    assert plural(2, "person", "people") == "2 people"


@pytest.mark.parametrize(
    ("text", "lowered"),
    [
        ("People agree", "people agree"), ("IT agrees", "IT agrees"), ("I agree", "I agree"), ("A team", "a team"),
        ("", ""), ("already", "already"), ("iPads help", "iPads help"), ("HR", "HR"),
    ],
)  # fmt: skip
def test_abbreviations_keep_their_capitals(text, lowered):
    assert lower_first(text) == lowered
