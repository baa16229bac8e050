"""Laws of `smstudy.models.path_models.specification`."""

import pytest

from smstudy.errors import StudyError
from smstudy.models.path_models.specification import parse_paths

MODEL = """
trust =~ t_1 + t_2   # reflective
use <~ `use, hours` + `a + b`   # formative
use ~ trust + worry; worry ~ trust
"""


def test_lines_say_items_and_paths():
    found = parse_paths(MODEL)
    assert found.items == {"trust": ("t_1", "t_2"), "use": ("use, hours", "a + b")}
    assert found.formative == {"use"}
    assert found.drivers == {"use": ("trust", "worry"), "worry": ("trust",)}
    assert found.constructs == ("trust", "use", "worry")


def test_written_out_and_read_again_a_model_is_the_same():
    found = parse_paths(MODEL)
    assert parse_paths(found.text) == found
    assert parse_paths(found.text).text == found.text
    assert found.text.splitlines()[1] == "use <~ `use, hours` + `a + b`"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trust =~ t_1", "no path"),
        ("use ~ trust\ntrust ~ worry\nworry ~ use", "circle: use ~ worry ~ trust ~ use|circle: .* ~ .*"),
        ("use ~ use", "circle: use ~ use"),
        ("a =~ x\nuse ~ trust", "No path leads to or from a"),
        ("a =~ x + y\nb =~ y\na ~ b", '"y" belongs to a and to b'),
        ("a =~ x + x\na ~ b", "x stands there twice"),
        ("a ~ b\na ~ c", 'Line 2: "a" has a line'),
        ("a =~ x\na <~ y\na ~ b", 'Line 2: "a" has a line'),
        ("a + b ~ c", "one name"),
        ("a ~ b c", '"b c" is no name'),
        ("a ~ 1", '"1" is no name'),
        ("a ~ b +", '"" is no name'),
        ("a ~ __import__('os')", "is no name"),
        ("a = b", "no statement"),
        ("a ~ `b", "is no name"),
        ("", "no path"),
        ("a ~ b\n" * 5000, "at most 10,000"),
        (None, "is a text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, message):
    with pytest.raises(StudyError, match=message):
        parse_paths(text)


def test_hostile_text_is_refused_quickly():
    for text in ("a ~ b" + " " * 9000 + "!", "a" * 9999, "`" * 9999, "a ~ " + "+" * 9000, "~" * 9999):
        with pytest.raises(StudyError):
            parse_paths(text)
