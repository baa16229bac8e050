"""The item banks: what is shipped, what a user may add, and what is recognized by its wording."""

from __future__ import annotations

import hashlib
import re
from itertools import chain
from pathlib import Path

import pytest

from smstudy.documents import read_document
from smstudy.errors import CodebookError, StudyError
from smstudy.instruments.library import (
    SHIPPED,
    Instrument,
    InstrumentItem,
    InstrumentScale,
    list_instruments,
    read_instrument,
    recognize,
    scales_of,
)
from smstudy.survey.codebook import Codebook, Variable, read_codebook
from smstudy.survey.decoding import normalize

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(SHIPPED.glob("*.yml"))
# Short phrases that mark published scales whose texts may not be given away (work engagement, psychological safety,
# organizational identification, telepressure, technology acceptance, readiness). Only digests stand here, not the
# phrases: the first ten hex digits of the SHA-256 of three to seven words in small letters without punctuation.
RESTRICTED = {
    "8f37a88ebb", "13fda95cc4", "0fe88eccbe", "de57d140d5", "53beca6966", "bf897f4de0", "9163e2d3cd", "d8d3fcc312",
    "4b3cd241c2", "1feb91fbfe", "9b893159b8", "6b6d2d6ce0", "9d5a806805", "00cae96a55", "bdc5e526a1", "c1278dcd62",
    "d38d160a01", "69ae5d42a3", "cbf5dd9e28", "375a6e1ec6", "b1aacc41d2", "3a8c6c15b8", "1691808197", "d989b8cd91",
    "32782aa990", "4809a6a19c", "6c6206a29f", "bd1c334080", "cb1ad00bfa", "b340c8c041",
}  # fmt: skip
LOCAL_INSTRUMENT = """
title: Plugged in
license: with permission of its owner
status: published
answers:
  agree3:
    - {value: 1, label: Disagree}
    - {value: 2, label: Neither}
    - {value: 3, label: Agree}
scales:
  - name: plugged
    title: Plugged
    level: person
    answers: agree3
    basis: a licensed scale
    items:
      - {name: plug_1, text: Tea is served in the afternoon.}
      - {name: plug_2r, text: The kettle is always cold., reverse: true}
"""


@pytest.fixture
def shipped() -> dict[str, Instrument]:
    return {path.stem: read_document(path, Instrument, CodebookError) for path in FILES}


@pytest.fixture
def scales(shipped: dict[str, Instrument]) -> list[InstrumentScale]:
    return [scale for instrument in shipped.values() for scale in instrument.scales]


@pytest.fixture
def items(scales: list[InstrumentScale]) -> list[InstrumentItem]:
    return [item for scale in scales for item in scale.items]


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder below one that holds `instruments/local`."""
    folder = tmp_path / "instruments" / "local"
    folder.mkdir(parents=True)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    return folder


def _phrases(text: str) -> list[str]:
    words = re.findall(r"[a-z]+", text.casefold().replace("'m", " am"))
    windows = (words[i : i + size] for size in range(3, 8) for i in range(len(words) - size + 1))
    return [" ".join(window) for window in windows]


def _digest(phrase: str) -> str:
    return hashlib.sha256(phrase.encode()).hexdigest()[:10]


def test_every_shipped_instrument_is_listed_and_read():
    assert {path.stem for path in FILES} <= set(list_instruments())
    assert all(read_instrument(path.stem).items for path in FILES)


def test_every_shipped_instrument_is_free_and_called_a_draft(shipped):
    assert {(i.license, i.status, i.language) for i in shipped.values()} == {("CC0-1.0", "unvalidated draft", "en")}


def test_every_name_and_every_wording_is_given_once(scales, items):
    names = [*(scale.name for scale in scales), *(item.name for item in items)]
    assert len(set(names)) == len(names)
    assert len({normalize(item.text) for item in items}) == len(items)


def test_every_scale_has_three_items_and_fewer_reversed_ones_than_not(scales):
    assert [s.name for s in scales if len(s.items) < 3 or 2 * sum(i.reverse for i in s.items) >= len(s.items)] == []


def test_the_name_of_an_item_says_whether_it_is_reversed(items):
    assert [item.name for item in items if item.name.endswith("r") != item.reverse] == []


def test_no_item_asks_two_things_at_once(items):
    assert [item.name for item in items if re.search(r"\b(and|or)\b|/", item.text)] == []


def test_every_item_is_one_short_sentence(items):
    assert [i.name for i in items if not re.fullmatch(r"[A-Z][^.?!]*\.", i.text) or len(i.text.split()) > 18] == []


def test_every_scale_names_an_idea_and_none_claims_to_be_a_published_scale(scales):
    assert [s.name for s in scales if not re.search(r"\bidea\b|own definition", s.basis)] == []
    assert [s.name for s in scales if re.search(r"verbatim|adapted|taken from|items (of|from)", s.basis)] == []


def test_every_doi_is_a_full_address(scales):
    bases = [scale.basis for scale in scales if "doi" in scale.basis]
    assert [basis for basis in bases if not re.search(r", https://doi\.org/10\.\d{4,}/\S+$", basis)] == []


def test_no_text_of_a_restricted_scale_is_shipped(items):
    codebook = read_codebook(ROOT / "studies" / "quarterly-pulse" / "codebook.yml")
    texts = [*(item.text for item in items), *(variable.title for variable in codebook.variables)]
    assert {_digest(phrase) for phrase in chain.from_iterable(map(_phrases, texts))} & RESTRICTED == set()


def test_a_marked_phrase_is_found_inside_a_sentence():
    assert _digest("the kettle is cold") in map(_digest, _phrases("Today, the kettle is cold; I'm sad."))


def test_the_quarterly_pulse_asks_the_adoption_pulse_word_for_word():
    codebook = read_codebook(ROOT / "studies" / "quarterly-pulse" / "codebook.yml")
    pulse = read_instrument("adoption-pulse")
    assert scales_of(pulse) == codebook.scales
    asked = {v.name: (v.title, v.reverse, v.categories) for v in codebook.of_kind("item")}
    assert asked == {item.name: (item.text, item.reverse, pulse.answers["agree5"]) for item in pulse.items}


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_an_instrument_makes_a_valid_codebook(name):
    instrument = read_instrument(name)
    answers = {item.name: instrument.answers[scale.answers] for scale in instrument.scales for item in scale.items}
    variables = tuple(
        Variable(name=i.name, column=i.name, title=i.text, kind="item", reverse=i.reverse, categories=answers[i.name])
        for i in instrument.items
    )
    assert Codebook(title=name, variables=variables, scales=scales_of(instrument)).scales


def test_an_unknown_instrument_is_refused_with_the_nearest_name():
    with pytest.raises(StudyError, match='no instrument "adoption-puls". Did you mean "adoption-pulse"?'):
        read_instrument("adoption-puls")


def test_a_local_instrument_is_found_from_a_folder_below(local):
    (local / "plugged-in.yml").write_text(LOCAL_INSTRUMENT)
    assert "plugged-in" in list_instruments()
    assert read_instrument("plugged-in").scales[0].items[1].reverse
    assert recognize({"x": "the kettle is always COLD"})["x"].instrument == "plugged-in"


def test_a_local_instrument_goes_before_a_shipped_one(local):
    (local / "acceptance.yml").write_text(LOCAL_INSTRUMENT)
    assert read_instrument("acceptance").title == "Plugged in"
    assert recognize({"x": "It took me little time to learn the platform."}) == {}


def test_a_wording_that_is_shipped_too_is_recognized_as_the_local_one(local):
    text = LOCAL_INSTRUMENT.replace("Tea is served in the afternoon.", "I use it to thank people.")
    (local / "a-plugged-in.yml").write_text(text)
    assert recognize({"x": "I use it to thank people."})["x"].item.name == "plug_1"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("level: person", "level: planet", r"line 13: scale \"\w+\", level: .*'person' or 'unit' .*planet\S*$"),
        ("reverse: true", "revers: true", r'unknown key "revers". Did you mean "reverse"'),
        ("answers: agree3", "answers: agre3", r'scale "plugged" names the answers "agre3". Did you mean "agree3"'),
        ("name: plug_2r", "name: plug_1", r"name given twice: plug_1"),
        ("      - {name: plug_2r, text: The kettle is always cold., reverse: true}\n", "", "fewer than two items"),
        ("The kettle is always cold.", "tea is served in the afternoon", r"wording given twice"),
    ],
)
def test_a_damaged_local_instrument_is_refused_with_its_place(local, old, new, message):
    (local / "plugged-in.yml").write_text(LOCAL_INSTRUMENT.replace(old, new))
    with pytest.raises(CodebookError, match=message):
        read_instrument("plugged-in")


def test_local_instruments_are_kept_out_of_git():
    assert "instruments/local/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(
    "wording",
    [
        "My work would not change if the platform disappeared.",
        "  my work would  not change if the platform disappeared ",
        "How far do you agree? - My work would not change if the platform disappeared.",
        "Thinking of tasks - at work - My work would not change if the platform disappeared.",
        "How far do you agree? [My work would not change if the platform disappeared.]",
    ],
)
def test_an_item_is_recognized_however_it_is_spelled(wording):
    found = recognize({"q1": wording})["q1"]
    assert (found.instrument, found.scale.name, found.item.name) == ("adoption-pulse", "usefulness", "pex_3r")


def test_other_words_are_not_recognized():
    near = "My work would change if the platform disappeared."
    assert recognize({"a": near, "b": "", "c": "Department", "d": " - "}) == {}


def test_a_wording_that_two_variables_share_is_not_recognized():
    tasks, knows = "I use it to coordinate tasks.", "I use it to find someone who knows."
    assert recognize({"before": tasks, "after": f"Now - {tasks}", "other": knows}).keys() == {"other"}


def test_the_wheel_carries_every_instrument():
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the wheel; it is not installed")
    carried = {Path(file.relative_path).as_posix() for file in wheel.WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {f"smstudy/instruments/{path.name}" for path in FILES} <= carried
