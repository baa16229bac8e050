"""YAML that people write: read as YAML 1.2, refused in one line with the line number, and never slow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.documents import MAX_BYTES, Entry, document_problems, read_document
from smstudy.errors import CodebookError, StudyError
from smstudy.study.definition import Study
from smstudy.survey.codebook import Codebook


class Part(Entry):
    name: str
    size: int = 1


class Page(Entry):
    title: str
    parts: tuple[Part, ...] = ()
    words: dict[str, str] = {}


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes) -> Page:
        path = tmp_path / "page.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_document(path, Page, CodebookError)

    return read_text


@pytest.mark.parametrize(
    ("written", "value"),
    [("no", "no"), ("off", "off"), ("y", "y"), ("5", "5"), ('"true"', "true"), ("0x10", "16"), ("'é: #'", "é: #")],
)
def test_plain_words_stay_text(read, written, value):
    assert read(f"title: {written}\nwords: {{a: {written}}}").title == value


def test_a_byte_order_mark_is_no_part_of_the_text(read):
    assert read(b"\xef\xbb\xbftitle: x\n").title == "x"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("titel: x\ntitle: y", 1, ('"titel"', '"title"')),
        ("title: x\nparts:\n  - {name: a}\n  - {nam: b}", 4, ('"nam"', '"name"')),
        ("title: x\nparts:\n  - {size: 2}", 3, ('"name"', "missing")),
        ("title: x\nparts:\n  - name: a\n    size: big", 4, ('parts, entry "a", size', '"big"')),
        ("title: true", 1, ("title", "quotes")),
        ("title: 2024-01-01", 1, ("title", "quotes")),
        ("title: [a]", 1, ("title", "text")),
        ("title: x\nparts: {a: b}", 2, ("parts",)),
        ("title: x\nparts: [a]", 2, ("parts, entry 1", "keys")),
        ("title: x\ntitle: y", 2, ("twice",)),
        ("title: x\nwords: {a: b, a: c}", 2, ('"a"', "twice")),
        ("title: &a x", 1, ("anchors",)),
        ("title: x\nparts: &p [{name: *p}]", 2, ("anchors",)),
        ("title: !!binary aGVsbG8=", 1, ("tags",)),
        ("title: !secret x", 1, ("tags",)),
        ("? [a, b]\n: x", 1, ("plain text",)),
        ("title: x\n  bad: y", 2, ("YAML",)),
        ("title: 'open", 1, ("YAML",)),
        ("title: x\n--- \ntitle: y", 2, ("YAML",)),
    ],
)
def test_what_is_wrong_is_said_with_its_line(read, text, line, words):
    with pytest.raises(CodebookError, match=rf"^page.yml line {line}: ") as caught:
        read(text)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


NAMED = (
    (
        "rules:\n  - {id: twice, action: drop}\n  - {action: drop}\n  - {id: x, action: flag, acton: flag}",
        ('line 2: rule "twice", action: ', "line 3: rule 2, action: ", 'line 4: rule "x": unknown key "acton"'),
    ),
    (
        "variables:\n  - {name: age, kind: numbr}\n  - {name: unit, kind: unit, categories: [{value: 1}]}\n"
        "  - {name: sex, kind: number, reverse: true}",
        (
            'line 2: variable "age", kind: ',
            'line 3: variable "unit", category "1": ',
            'line 4: variable "sex": only a variable of kind item',
        ),
    ),
    ("variables: []", ("line 1: variables: must hold at least one entry",)),
    ("scales:\n  - {name: use, items: 3}", ('line 2: scale "use", items: ',)),
    ("notebooks:\n  - {name: look, after: [1, [2]]}", ('line 2: notebook "look", after, entry 2: ',)),
    ("hypotheses:\n  - {id: H1, statement: x, smallest: much}", ('line 2: hypothesis "H1", smallest: ',)),
    ("rules:\n  - {id: \"" + "x" * 60 + "\", action: drop}", ("line 2: rule 1, action: ",)),
)  # fmt: skip


@pytest.mark.parametrize(("text", "places"), NAMED)
def test_an_entry_of_a_list_is_called_by_its_name(text, places, tmp_path):
    path = tmp_path / "page.yml"
    path.write_text(text)
    is_codebook = text.startswith(("variables", "scales"))
    told = document_problems(path, *((Codebook, CodebookError) if is_codebook else (Study, StudyError)))
    for place in places:
        assert any(f"page.yml {place}" in line for line in told), told


def test_a_key_that_is_missing_is_said_beside_other_problems(tmp_path):
    path = tmp_path / "page.yml"
    path.write_text("title: x\nparts:\n  - {size: 2}\n  - {nam: b}\n  - {name: c, size: big}")
    lines = [line.split(": ", 1)[1] for line in document_problems(path, Page, CodebookError)]
    assert lines == [
        'parts, entry 2: unknown key "nam". Did you mean "name"?',
        'parts, entry 1: the key "name" is missing. Add it.',
        'parts, entry "c", size: must be a valid integer, unable to parse string as an integer (it says "big").',
    ]


def test_a_misspelled_key_is_not_said_to_be_missing_too(tmp_path):
    path = tmp_path / "page.yml"
    path.write_text("title: x\nparts:\n  - size: 2\n    nam: b")
    told = document_problems(path, Page, CodebookError)
    assert told == ['page.yml line 4: parts, entry 1: unknown key "nam". Did you mean "name"?']


def test_a_list_with_one_wrong_entry_is_not_said_to_be_empty(tmp_path):
    path = tmp_path / "page.yml"
    path.write_text("title: x\nvariables:\n  - {name: unit, kind: unit, categories: [{value: 1}]}")
    told = document_problems(path, Codebook, CodebookError)
    assert told == ['page.yml line 3: variable "unit", category "1": the key "label" is missing. Add it.']


def test_long_values_are_not_repeated_in_messages(read):
    with pytest.raises(CodebookError) as caught:
        read("title: x\nparts: [{name: a, size: " + "secret" * 30 + "}]")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["[" * 3000, "title: " + "{a: " * 400, "- " * 5000, "a: &a [*a]", "x" * (MAX_BYTES + 1), "\0", b"\xff\xfe", "\x07"],
)
def test_hostile_files_are_refused_in_one_line(read, text):
    with pytest.raises(CodebookError) as caught:
        read(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(max_size=60), st.text("{}[]&*!|>'\"%@`:,-?# \n\tatile1", max_size=60)))
def test_any_text_is_read_or_refused(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        assert isinstance(read_document(path, Page, CodebookError), Page)
    except CodebookError as error:
        assert "\n" not in str(error)
