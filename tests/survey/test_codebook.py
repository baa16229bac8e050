"""A codebook knows every answer, and says where it does not fit together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from smstudy.errors import CodebookError
from smstudy.survey.codebook import Codebook, answer_range, read_codebook

ANSWERS = [{"value": i, "label": f"answer {i}"} for i in range(1, 6)]
UNORDERED = [{"value": "a", "label": "a"}, {"value": "b", "label": "b"}]
TWICE = [{"value": 1, "label": "a"}, {"value": 1, "label": "b"}]
AMBIGUOUS = [{"value": 1, "label": "2"}, {"value": 2, "label": "3"}]
SCALE = {"name": "s", "items": ["q1"]}
PAIR = ["q1", "q2"]
SHORTER = {"kind": "item", "categories": ANSWERS[:4]}
ITEM = {"kind": "item", "categories": "agree"}


def codebook(variables, **more):
    return Codebook.model_validate({"title": "t", "answer_scales": {"agree": ANSWERS}, "variables": variables, **more})


def test_a_variable_stands_in_the_column_of_its_name_unless_said_otherwise():
    book = codebook([{"name": "q1", **ITEM}, {"name": "q2", "column": "Q 2", "title": "Two", **ITEM}])
    assert [v.column for v in book.variables] == ["q1", "Q 2"]
    assert book.labels == {"q1": "q1", "q2": "Two"} and answer_range(book.variable("q1")) == (1, 5)


def test_a_column_is_found_under_its_present_name_then_under_its_former_ones():
    variable = codebook([{"name": "q1", "column": "new", "former_columns": ["old", "older"], **ITEM}]).variables[0]
    assert variable.column_in({"older", "old", "new"}) == "new"
    assert variable.column_in({"older", "old"}) == "old" and variable.column_in({"other"}) is None


@pytest.mark.parametrize(
    ("variables", "more", "words"),
    [
        ([{"name": "q1", **ITEM}, {"name": "q1", **ITEM}], {}, "q1"),
        ([{"name": "q1", **ITEM}, {"name": "q2", "column": "q1", **ITEM}], {}, "column named twice"),
        ([{"name": "use", **ITEM}], {"scales": [{"name": "use", "items": ["use"]}]}, "variable or scale named twice"),
        ([{"name": "q1", "former_columns": ["q2"], **ITEM}, {"name": "q2", **ITEM}], {}, "column named twice: q2"),
        ([{"name": "q1", "former_columns": ["q1"], **ITEM}], {}, "column named twice: q1"),
        ([{"name": "1q", **ITEM}], {}, "start with a letter"),
        ([{"name": "q 1", **ITEM}], {}, "letters, digits"),
        ([{"name": "q1", "kind": "item"}], {}, "two categories"),
        ([{"name": "q1", "kind": "item", "categories": "agre"}], {}, '"agree"'),
        ([{"name": "q1", "kind": "item", "categories": UNORDERED}], {}, "number"),
        ([{"name": "q1", "kind": "item", "categories": TWICE}], {}, "twice"),
        ([{"name": "q1", "kind": "category", "categories": AMBIGUOUS}], {}, "words of another"),
        ([{"name": "q1", "kind": "number", "reverse": True}], {}, "reversed"),
        ([{"name": "q1", **ITEM}], {"scales": [{"name": "s", "items": ["q2"]}]}, "Allowed: q1"),
        ([{"name": "q1", **ITEM}], {"scales": [{"name": "s", "items": ["q1", "q1"]}]}, "twice"),
        ([{"name": "q1", **ITEM}, {"name": "q2", **SHORTER}], {"scales": [{"name": "s", "items": PAIR}]}, "mixes"),
        ([{"name": "q1", **ITEM}], {"scales": [{**SCALE, "min_answered": 2}]}, "less than or equal"),
        ([], {}, "at least 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(variables, more, words):
    with pytest.raises(ValidationError) as caught:
        codebook(variables, **more)
    assert words in str(caught.value)


def test_looking_up_what_is_not_there_gives_the_nearest_name():
    book = codebook([{"name": "support", **ITEM}], scales=[{"name": "use", "items": ["support"]}])
    with pytest.raises(CodebookError, match='"support"'):
        book.variable("suport")
    with pytest.raises(CodebookError, match='"use"'):
        book.scale("uses")


def test_codes_written_as_numbers_or_words_are_the_same(tmp_path):
    path = tmp_path / "codebook.yml"
    answers = "[{value: %s, label: no}, {value: 2, label: yes}]"
    text = f"title: t\nmissing: {{%s: no answer}}\nvariables:\n  - {{name: q, kind: item, categories: {answers}}}\n"
    books = []
    for code, value in ((-99, 1), ('"-99"', '"1"')):
        path.write_text(text % (code, value))
        books.append(read_codebook(path))
    assert books[0] == books[1] and [c.label for c in books[0].variables[0].categories] == ["no", "yes"]


def test_a_large_codebook_is_read_in_time(tmp_path):
    path = tmp_path / "codebook.yml"
    path.write_text("title: t\nvariables:\n" + "".join(f"  - {{name: v{i}, kind: text}}\n" for i in range(3000)))
    assert len(read_codebook(path).variables) == 3000
