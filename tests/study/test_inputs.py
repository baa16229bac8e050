"""The wrong file or the wrong wave is refused or doubted before anything is computed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from smstudy.study.inputs import Given, recall_given, remember_given

WAVES = (
    ('wave: "1"\n', 'wave: "2"\nprevious_wave: "1"\n'),
    ('  "1": {file: responses.csv}\n', '  "1": {file: q1.csv, sha256: SHA}\n  "2": {file: q2.csv}\n'),
)


@pytest.fixture
def waves(small, respondents):
    """A study of two waves: that of the first is known by its digest, that of the second by its file."""
    q2 = small.write("q2.csv", small.text())
    small.rows[:] = respondents({"Sales": 50, "Service": 40, "Research": 30}, seed=9)
    q1 = small.write("q1.csv", small.text())
    for old, new in WAVES:
        small.edit("study.yml", old, new.replace("SHA", hashlib.sha256(q1.read_bytes()).hexdigest()))
    return small, q1, q2


def refused(outcome, *words):
    assert outcome.code == 12 and len(outcome.lines) == 1 and outcome.lines[0].startswith("DataError: "), outcome.err
    assert all(word in outcome.lines[0] for word in words), outcome.lines[0]


@pytest.mark.parametrize("command", ["check", "run"])
def test_one_file_as_both_waves_is_refused(waves, command):
    study, _, q2 = waves
    copy = study.write("last quarter.csv", q2.read_bytes())
    words = ("wave 2 and wave 1 are the same file", "last quarter.csv")
    refused(study.call(command, str(study.folder), "--data", f"previous_responses={copy}"), *words)
    study.edit("study.yml", "file: q2.csv", "file: q1.csv")
    refused(study.call(command, str(study.folder)), "wave 2 and wave 1 are the same file (q1.csv)")


def test_a_file_of_another_wave_is_named_with_its_wave(waves):
    study, q1, q2 = waves
    swapped = ("--data", f"responses={q1}", "--data", f"previous_responses={q2}")
    refused(study.check(*swapped), "responses=", "the file of wave 1 in study.yml, not of wave 2")
    refused(study.check("--data", f"responses={q1}", "--previous-wave", ""), "the file of wave 1")
    q1.unlink()  # known by its digest alone
    renamed = study.write("renamed.csv", study.text())
    refused(study.run("--data", f"responses={renamed}", "--wave", "3", "--previous-wave", "2"), "the file of wave 1")


def test_a_file_of_its_own_wave_is_taken_without_a_word(waves):
    study, q1, q2 = waves
    outcome = study.check("--data", f"responses={q2}", "--data", f"previous_responses={q1}")
    assert outcome.code == 0 and "is not the file" not in outcome.out


def test_a_file_of_a_known_wave_with_other_content_is_doubted_not_refused(waves):
    study, _, q2 = waves
    again = study.write("q2 again.csv", q2.read_bytes() + b"\n")
    doubt = "q2 again.csv is not the file that study.yml names for wave 2 (q2.csv)"
    outcome = study.check("--data", f"responses={again}")
    assert outcome.code == 0 and doubt in outcome.out
    ran = study.run("--data", f"responses={again}")
    assert ran.code == 0 and f"To know: {doubt}" in ran.err


def test_a_new_wave_raises_no_doubt(waves, respondents):
    study, *_ = waves
    study.rows[:] = respondents({"Sales": 50, "Service": 40, "Research": 30}, seed=10)
    q3 = study.write("q3.csv", study.text())
    outcome = study.check("--data", f"responses={q3}", "--wave", "3", "--previous-wave", "2")
    assert outcome.code == 0 and "is not the file" not in outcome.out


@pytest.mark.parametrize(("now", "before", "told"), [("2026-03", "2026-06", True), ("2026-06", "2026-03", False)])
def test_dates_that_lie_before_those_of_the_previous_wave_are_doubted(waves, now, before, told):
    study, q1, q2 = waves
    for path, month in ((q2, now), (q1, before)):
        first, *rest = path.read_text(encoding="utf-8").splitlines()
        days = [f"{month}-{1 + i % 28:02d} 09:00:00" for i in range(len(rest))]
        days[5] = "2026-04-30 09:00:00"  # a test run
        lines = [f"{first},Start time,born"]
        lines += [f"{line},{day},19{60 + i % 40}-01-01" for i, (line, day) in enumerate(zip(rest, days))]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    dates = "  - {name: start, column: Start time, kind: date}\n  - {name: born, kind: date}\n"
    study.edit("codebook.yml", "scales:\n  - {name: support", dates + "scales:\n  - {name: support")
    text = (study.folder / "study.yml").read_text(encoding="utf-8")
    study.write("study.yml", text.replace(text[text.index(", sha256") : text.index('}\n  "2"')], ""))
    outcome = study.check()
    assert outcome.code == 0, outcome.err
    assert ("Dates of wave 2 lie before those of wave 1 (start)" in outcome.out) == told
    study.notebook("look", "import smstudy as sm\nrun = sm.open_study(study)\nrun.keep('flow', run.cleaning())")
    study.edit("study.yml", "  - {id: H1, statement: Support raises use., result: look/drivers, term: support}\n", "")
    study.edit("study.yml", "hypotheses:\n", "")
    ran = study.run()
    assert ran.code == 0, ran.err
    page = Path(ran.out.strip()).read_text(encoding="utf-8")
    assert ("the two files may be the wrong way round" in page) == told


def test_what_a_run_was_given_is_remembered_the_last_run_last(tmp_path):
    one, two = Given("a", "1", {"responses": "/x.csv"}), Given("b", "2", {})
    for case, given in (("w1", one), ("w2", two), ("w1", one)):
        remember_given(tmp_path, case, given)
    assert list(recall_given(tmp_path).items()) == [("w2", two), ("w1", one)]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"w1": 3}', '{"w1": {"run": "a"}}'])
def test_a_spoiled_memory_is_none(tmp_path, content):
    (tmp_path / "files.json").write_text(content, encoding="utf-8")
    assert recall_given(tmp_path) == {}
