"""Laws of reading by a codebook: every row, column and code is accounted for, and nothing is guessed."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.errors import CodebookError, DataError, SmstudyError
from smstudy.survey.codebook import Codebook
from smstudy.survey.decoding import decode, normalize
from smstudy.survey.exports import Export

AGREE = [
    {"value": 1, "label": "Disagree"},
    {"value": 2, "label": "Neither", "aliases": ["Neutral"]},
    {"value": 3, "label": "Agree"},
]


def read(cells, decimal=".", export=None, **variable):
    """Decode one column called x."""
    made = Export(
        cells=pd.DataFrame({"x": cells}, dtype="str"), source="x.csv", form="table", decimal=decimal, **(export or {})
    )
    missing = variable.pop("everywhere", {})
    book = {"title": "t", "missing": missing, "variables": [{"name": "x", **variable}]}
    return decode(made, Codebook.model_validate(book))


def values(survey):
    return [None if value != value else value for value in survey.answers["x"]]


def reasons(survey):
    return dict(zip(survey.missing["row"], survey.missing["reason"], strict=True))


@pytest.mark.parametrize(
    "cell",
    [
        "3",
        "3.0",
        "3,0",
        "03",
        " 3 ",
        "Agree",
        "agree",
        " AGREE. ",
        "“Agree”".strip("“”"),
        "a\u00a0gree".replace("\u00a0", ""),
    ],
)
def test_spellings_of_one_answer_meet(cell):
    assert values(read([cell], kind="item", categories=AGREE)) == [3]


@pytest.mark.parametrize("cell", ["4", "0", "3.5", "-3", "Agreed", "agree strongly", "1e0x", "٣٣", "NaN", "inf", "1 2"])
def test_what_the_codebook_does_not_know_is_an_error(cell):
    with pytest.raises(DataError, match='"x"'):
        read([cell, "1"], kind="item", categories=AGREE)


def test_unknown_codes_are_kept_or_dropped_only_if_declared():
    cells = ["1", "9", "9", "9", "9", "9", "some words"]
    dropped = read(cells, kind="item", categories=AGREE, unknown_codes="missing")
    assert values(dropped) == [1] + [None] * 6 and set(reasons(dropped).values()) == {"code not in the codebook"}
    kept = read(cells, kind="item", categories=AGREE, unknown_codes="keep")
    assert values(kept) == [1, 9, 9, 9, 9, 9, None]
    category = read(cells, kind="category", categories=AGREE, unknown_codes="keep")
    assert values(category) == ["Disagree", *["code 9"] * 5, "other text"]
    for survey in (dropped, kept, category):
        [finding] = survey.findings
        assert "code 9" in finding.text and "some words" not in finding.text


def test_every_missing_cell_has_its_reason():
    survey = read(["1", "", "-99", "-99.0", "refused", "-88"], kind="item", categories=AGREE, missing={-99: "refused"},
                  everywhere={-88: "not shown"})  # fmt: skip
    assert values(survey) == [1] + [None] * 5
    assert reasons(survey) == {1: "no answer", 2: "refused", 3: "refused", 4: "refused", 5: "not shown"}


def test_codes_the_file_declares_missing_are_missing():
    survey = read(["1", "9"], kind="item", categories=AGREE, export={"missing": {"x": ("9",)}})
    assert reasons(survey) == {1: "declared missing in the file"}


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "N/A", "-99", "NULL"])
def test_words_that_look_missing_are_answers(word):
    assert values(read([word, "b"], kind="text")) == [word, "b"]
    assert values(read([word, "b"], kind="category")) == [word, "b"]
    assert read([word, "b"], kind="id").answers["x"].notna().all()


@pytest.mark.parametrize(
    ("cell", "decimal", "number"),
    [
        ("1.5", ".", 1.5),
        ("1,5", ",", 1.5),
        ("1.5", ",", 1.5),
        ("-2", ".", -2),
        ("1e3", ".", 1000),
        (".5", ".", 0.5),
        ("007", ".", 7),
    ],
)
def test_numbers_are_read_as_the_file_writes_them(cell, decimal, number):
    assert values(read([cell], decimal, kind="number")) == [number]


@pytest.mark.parametrize("cell", ["1,5", "1,000", "5 years", "10-20", "0x10", "1_0", "nan", "inf", "1e9999", "--1"])
def test_what_is_no_number_is_an_error(cell):
    with pytest.raises(DataError):
        read([cell], kind="number")


def test_numbers_outside_the_possible_are_an_error():
    with pytest.raises(DataError, match="at least 0 and at most 100"):
        read(["101"], kind="number", constraints={"minimum": 0, "maximum": 100})


def test_identifiers_link_rows_and_cannot_be_read():
    first, second = (read(cells, kind="id").answers["x"] for cells in (["Ann", "bob", "ann "], ["bob", "", "Ann"]))
    assert first[0] == first[2] == second[2] and first[1] == second[0] and pd.isna(second[1])
    assert not any(name in "".join(first).casefold() for name in ("ann", "bob"))


@pytest.mark.parametrize(
    ("cell", "chosen"),
    [
        ("Chat", {"1"}),
        ("Chat, Wiki", {"1", "2"}),
        ("wiki,chat,", {"1", "2"}),
        ("Forums, groups", {"3"}),
        ("Wiki,Forums, groups,Chat", {"1", "2", "3"}),
        ("1,3", {"1", "3"}),
    ],
)
def test_choices_are_told_apart_even_with_the_delimiter_in_them(cell, chosen):
    tools = [{"value": i, "label": label} for i, label in enumerate(("Chat", "Wiki", "Forums, groups"), 1)]
    answers = read([cell], kind="multi-select", categories=tools).answers.iloc[0]
    assert {name.removeprefix("x_") for name in answers.index[answers == 1]} == chosen
    assert answers.notna().all()


def test_a_choice_nobody_offered_is_an_error_and_an_empty_cell_is_missing():
    tools = [{"value": 1, "label": "Chat"}, {"value": 2, "label": "Wiki"}]
    with pytest.raises(DataError) as caught:
        read(["Chat, carrier pigeon"], kind="multi-select", categories=tools)
    assert "pigeon" not in str(caught.value)
    assert read(["", "Chat"], kind="multi-select", categories=tools).answers.iloc[0].isna().all()


def test_columns_that_are_not_there_or_there_twice_are_an_error():
    with pytest.raises(CodebookError, match='"y".*"x"|"x".*"y"|Allowed: x'):
        read(["1"], kind="text", column="y")
    for column in ("x", "x (2)"):
        cells = pd.DataFrame({"x": ["1"], "x (2)": ["2"]}, dtype="str")
        twice = Export(cells=cells, source="x.csv", form="table", duplicates=("x (2)",))
        with pytest.raises(CodebookError, match="more than once"):
            decode(
                twice,
                Codebook.model_validate({"title": "t", "variables": [{"name": "a", "column": column, "kind": "text"}]}),
            )


def test_columns_nobody_declared_are_listed():
    cells = pd.DataFrame({"x": ["1"], "left": ["2"]}, dtype="str")
    survey = decode(
        Export(cells=cells, source="x.csv", form="table", dropped={"Email": "e-mail address"}),
        Codebook.model_validate({"title": "t", "variables": [{"name": "x", "kind": "text"}]}),
    )
    assert list(survey.answers) == ["x"]
    assert [f.name for f in survey.findings] == ["unused_columns", "identifiers_removed"]
    assert '"left"' in survey.findings[0].text and "Email" in survey.findings[1].text


def test_folding_twice_changes_nothing():
    for text in (" Strongly–Agree. ", "don’t know", "A/B_c"):
        assert normalize(normalize(text)) == normalize(text)


KINDS = st.sampled_from(["text", "id", "number", "date", "item", "category", "unit", "weight", "multi-select"])
CELLS = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from(["1", "3", "Agree", "-99", "", "2025-02-30", "1,2"])),
    min_size=1,
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(cells=CELLS, kind=KINDS)
def test_any_cell_is_a_value_or_missing_with_a_reason_or_refused_unquoted(cells, kind):
    coded = {"categories": AGREE} if kind in ("item", "category", "unit", "multi-select") else {}
    try:
        survey = read(cells, kind=kind, missing={-99: "refused"}, **coded)
    except SmstudyError as error:
        long = [cell.strip() for cell in cells if len(cell.strip()) > 4 and cell.strip() not in str(AGREE)]
        assert "\n" not in str(error) and not any(cell in str(error) for cell in long)
        return
    empty = set(survey.answers.index[survey.answers.isna().all(axis=1)])
    assert empty == set(survey.missing["row"]) and len(survey.answers) == len(cells)
