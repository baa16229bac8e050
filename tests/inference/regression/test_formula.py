"""Laws of `smstudy.inference.regression.formula`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.errors import StudyError
from smstudy.inference.regression.formula import Factor, Formula, parse_formula, term_label

REFERENCE = json.loads((Path(__file__).parents[2] / "reference" / "regression.json").read_text(encoding="utf-8"))
PIECES = st.sampled_from(
    ["a", "b", "`odd col`", "y", "~", "+", "-", "*", ":", "**", "(", ")", "0", "1", "2", "C(a)", "C(b, ref='x')",
     "log(a)", "f(", ",", "=", "'", "`", "__import__('os')", "é", "\x00", "a.b", " "]
)  # fmt: skip

TEXTS = st.one_of(
    st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join), st.lists(PIECES, max_size=40).map(" ".join)
)


def labels(formula: Formula) -> list[str]:
    return [term_label(term) for term in formula.terms]


@pytest.mark.parametrize("case", REFERENCE["matrices"], ids=lambda case: case["formula"])
def test_terms_come_in_the_order_of_r(case):
    expected = case["terms"] if isinstance(case["terms"], list) else [case["terms"]]
    parsed = parse_formula("y" + case["formula"].replace("^", "**"))
    assert labels(parsed) == expected
    assert parsed.intercept is not ("0 +" in case["formula"])


@pytest.mark.parametrize(
    ("text", "terms", "intercept"),
    [
        ("y ~ a", ["a"], True),
        ("y ~ 1", [], True),
        ("y ~ a - 1", ["a"], False),
        ("y ~ 0 + a", ["a"], False),
        ("y ~ a - 1 + 1", ["a"], True),
        ("y ~ -1 + a", ["a"], False),
        ("y ~ a * b", ["a", "b", "a:b"], True),
        ("y ~ a * b - a", ["b", "a:b"], True),
        ("y ~ a * b * c", ["a", "b", "c", "a:b", "a:c", "b:c", "a:b:c"], True),
        ("y ~ (a + b + c) ** 2", ["a", "b", "c", "a:b", "a:c", "b:c"], True),
        ("y ~ a:b + b:a", ["a:b"], True),
        ("y ~ a + b:a", ["a", "a:b"], True),
        ("y ~ a + (a + b):(a + c)", ["a", "a:c", "a:b", "b:c"], True),
        ("y ~ a + b * c : d", ["a", "b", "c:d", "b:c:d"], True),
        ("y ~ `column with spaces` + log1p(`x 2`)", ["column with spaces", "log1p(x 2)"], True),
    ],
)
def test_operators_mean_what_they_mean_in_r(text, terms, intercept):
    parsed = parse_formula(text)
    assert (labels(parsed), parsed.intercept) == (terms, intercept)


def test_functions_and_reference_levels_are_read():
    parsed = parse_formula("log(y) ~ C(unit, ref='Sales') + C(grade, ref=2) + sqrt(x)")
    assert parsed.outcome == Factor("y", "log")
    assert parsed.factors == (Factor("unit", "C", "Sales"), Factor("grade", "C", "2"), Factor("x", "sqrt"))
    assert parsed.columns == ("y", "unit", "grade", "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("y ~ f(x)", 'character 5: the function "f" is not known'),
        ("y ~ lgo(x)", 'Did you mean "log"?'),
        ("y ~ __import__('os')", 'the function "__import__" is not known'),
        ("y ~ os.system('true')", 'the function "os.system" is not known'),
        ("y ~ I(a)", "Write square(x) or cube(x) for a power"),
        ("y ~ factor(a)", "Write C(x), or C(x, ref='level')"),
        ("y ~ a + (1|team)", 'group="team"'),
        ("y ~ a b", 'character 7: "b" cannot stand here'),
        ("y ~ a +", "character 8: something is missing here"),
        ("y ~ (a + b", "something is missing here"),
        ("y ~ a)", 'character 6: ")" cannot stand here'),
        ("y ~ log(a + b)", '")" is expected here'),
        ("y ~ log(log(a))", '")" is expected here'),
        ("y ~ C(a, base=1)", "C() takes a column and ref='level'"),
        ("y ~ a ** 9", "a power must be a whole number from 1 to 4"),
        ("y ~ a + a ** 2", 'character 14: "a" is crossed with itself, which adds nothing'),
        ("y ~ a * a", "For a curve write a + square(a)"),
        ("y ~ a:a", "For a curve write a + square(a)"),
        ("y ~ C(a) * C(a)", "Write it once"),
        ("y ~ 2", "the number 2 cannot be a term"),
        ("y ~ a:1", "0 and 1 stand alone"),
        ("y ~ a; b", 'character 6: ";" cannot stand here'),
        ("y ~ 'a'", "cannot stand here"),
        ("y", 'needs one "~"'),
        ("y ~ a ~ b", 'needs one "~"'),
        ("~ a", "character 1: something is missing here"),
        ("y + z ~ a", "must be one column"),
        ("C(y) ~ a", "The outcome is one column"),
        ("y ~ y + a", "Nothing explains itself"),
        ("", 'needs one "~"'),
        (None, "A formula is a text"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text, said):
    with pytest.raises(StudyError) as caught:
        parse_formula(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "y ~ " + "a + " * 1000 + "a",
        "y ~ " + "(" * 30 + "a" + ")" * 30,
        "y ~ " + "(" * 900 + "a" + ")" * 900,
        "y ~ " + " + ".join(f"x{i}" for i in range(201)),
        "y ~ (" + " + ".join(f"x{i}" for i in range(30)) + ") ** 4",
        "y ~ " + " * ".join(f"x{i}" for i in range(60)),
    ],
    ids=["long", "nested", "nested deeply", "many terms", "power", "products"],
)
def test_formulas_without_measure_are_refused_at_once(text):
    started = time.perf_counter()
    with pytest.raises(StudyError):
        parse_formula(text)
    assert time.perf_counter() - started < 1  # typically a millisecond; the rest is room for a busy machine


@settings(max_examples=400, deadline=1000)
@given(TEXTS)
def test_any_text_is_read_or_refused(text):
    for candidate in (text, "y ~ " + text):
        try:
            parsed = parse_formula(candidate)
        except StudyError as error:
            assert len(str(error)) < 700
        else:
            assert all(len(set(term)) == len(term) for term in parsed.terms)
            assert len({frozenset(term) for term in parsed.terms}) == len(parsed.terms)


@given(st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True), min_size=1, max_size=6))
def test_reading_what_was_written_changes_nothing(terms):
    text = "y ~ " + " + ".join(":".join(term) for term in terms)
    once = parse_formula(text)
    again = parse_formula("y ~ " + " + ".join(labels(once)))
    assert {frozenset(term) for term in again.terms} == {frozenset(term) for term in once.terms}
    assert [len(term) for term in once.terms] == sorted(len(term) for term in once.terms)
