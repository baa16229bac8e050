"""What is published is scanned for addresses, identifiers and answers in respondents' own words."""

import time
import zipfile

import pytest

from smstudy.survey.scanning import scan_file, scan_text


@pytest.mark.parametrize(
    "text",
    [
        "write to jo.doe+x@mail.example.co.uk today",
        "<a>10.1.22.203</a>",
        "from 2001:0db8:85a3:0000:0000:8a2e:0370:7334 at noon",
        "id R_3kTq9ZpLw1 in a line",
        "She said: my boss, Ann &amp; her deputy, shout at us.",
        '"my boss, Ann \\u0026 her deputy,\\nshout at us"',
        "MY BOSS ANN & HER DEPUTY shout at us",
        "staff number 0048213.",
        "<td>AB-1234-X</td>",
    ],
)
def test_what_identifies_people_is_found_and_not_repeated(text):
    forbidden = ["R_3kTq9ZpLw1", "my boss, Ann & her deputy, shout at us", "0048213", "AB-1234-X"]
    found = scan_text(text, forbidden)
    assert len(found) == 1
    assert not any(word in found[0] for word in ["example", "10.1", "2001", "R_3k", "boss", "0048", "1234"])


@pytest.mark.parametrize(
    "text",
    [
        "version 3.11.4 of python, scipy 1.17.1, at 12:30:45",
        "@media print { td::before { content: '' } }",
        "10.0048213 and 0.0048213 and 1004821399",
        "R_3kTq9ZpLw12 is another one",
        "listening on 127.0.0.1",
        'src="data:image/png;base64,' + "Rk9P/0048213/" * 3 + '"',
        "",
    ],
)
def test_ordinary_text_is_not_taken_for_people(text):
    assert scan_text(text, ["R_3kTq9ZpLw1", "0048213", "12", "", "a"]) == []


def test_the_contact_of_a_study_may_be_published():
    assert scan_text("Ask study@example.org", allowed=["Study@example.org"]) == []


def test_megabytes_are_scanned_in_a_moment():
    text = " ".join(f"<td class='n'>{i * 7919 % 10007}.{i % 97}</td>" for i in range(200_000))
    forbidden = [f"R_{i:012d}" for i in range(5000)] + [f"comment number {i} about leaders" for i in range(5000)]
    start = time.perf_counter()
    assert scan_text(text, forbidden) == []
    assert time.perf_counter() - start < 8  # about 1.5 s on one core; a shared machine may be several times slower


def test_word_files_are_opened_and_pictures_are_not(tmp_path):
    with zipfile.ZipFile(tmp_path / "table.docx", "w") as archive:
        archive.writestr("word/document.xml", "<w:t>jo@example.org</w:t>")
        archive.writestr("word/media/image1.png", b"jo@example.org")
    (tmp_path / "figure.png").write_bytes(b"jo@example.org")
    assert scan_file(tmp_path / "table.docx") == ["1 e-mail address in word/document.xml"]
    assert scan_file(tmp_path / "figure.png") == []


def test_accounts_and_telephones_are_found_and_look_alikes_are_not():
    assert scan_text("to DE89 3704 0044 0532 0130 00") == ["1 account number"]
    assert scan_text("to GB82WEST12345698765432") == ["1 account number"]
    assert scan_text("to DE89 3704 0044 0532 0130 01, code AB12 3456 7890 1234") == []
    assert scan_text("call +49 170 1234567 or +1 (555) 123-4567") == ["2 telephone numbers"]
    assert scan_text("1e+10 12345 67890, 3 +4.5 0.123456789, +12.5 %, n = 1234567890") == []
