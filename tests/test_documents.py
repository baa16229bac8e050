"""YAML that people write: read as YAML 1.2, refused in one line with the line number, and never slow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.documents import MAX_BYTES, Entry, read_document
from smstudy.errors import CodebookError


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
        ("title: x\nparts:\n  - name: a\n    size: big", 4, ("parts.0.size", '"big"')),
        ("title: true", 1, ("title", "quotes")),
        ("title: 2024-01-01", 1, ("title", "quotes")),
        ("title: [a]", 1, ("title", "text")),
        ("title: x\nparts: {a: b}", 2, ("parts",)),
        ("title: x\nparts: [a]", 2, ("parts.0", "keys")),
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
