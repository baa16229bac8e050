"""A pilot that would be refused is told by check beforehand, with the cure, and stops no report."""

from __future__ import annotations

from pathlib import Path

import pytest

SIZES = {
    "Sales": 40,
    "Service": 30,
    "Research": 30,
    "Legal": 25,
    "Finance": 25,
    "Human Resources": 24,
    "Night shift": 3,
}
TWO_WAVES = (
    ('wave: "1"\n', 'wave: "2"\nprevious_wave: "1"\n'),
    ('  "1": {file: responses.csv}\n', '  "1": {file: earlier.csv}\n  "2": {file: responses.csv}\n'),
)
PILOT = "  - {{name: 65-pilots, parameters: {{outcome: use, piloted: [{}]}}}}\n"


@pytest.fixture
def piloted(small, respondents, write_codebook):
    """A study of two waves and seven departments, one of them too small to be shown; say which are in the pilot."""

    def make(*departments):
        small.write("codebook.yml", write_codebook(tuple(SIZES)))
        small.rows[:] = respondents(SIZES, seed=8)
        small.column("comment", "")
        small.write("earlier.csv", small.text())
        small.rows[:] = respondents(SIZES)
        small.column("comment", "")
        for old, new in TWO_WAVES:
            small.edit("study.yml", old, new)
        small.edit("study.yml", "  - {name: look}\n", "  - {name: look}\n" + PILOT.format(", ".join(departments)))
        return small

    return make


def noted(outcome):
    """What check says of the pilot."""
    assert outcome.code == 0, outcome.err
    return [line.strip() for line in outcome.out.splitlines() if "65-pilots" in line]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_department_of_the_pilot_that_is_none_is_named_with_the_nearest(piloted, command):
    study = piloted("Sales", "Human Resorces")
    outcome = study.call(command, str(study.folder))
    assert outcome.code == 10 and len(outcome.lines) == 1
    assert 'piloted: there is no department "Human Resorces". Did you mean "Human Resources"?' in outcome.err
    assert not study.published()


def test_a_department_without_answers_in_both_waves_is_named(piloted, write_codebook):
    study = piloted("Sales", "Purchasing")
    study.write("codebook.yml", write_codebook((*SIZES, "Purchasing")))
    outcome = study.check()
    assert outcome.code == 10 and 'no department "Purchasing" with answers in wave 1 or 2' in outcome.err


def test_departments_that_only_the_answers_name_are_checked_too(piloted):
    study = piloted("Sales", "Legl")
    text = (study.folder / "codebook.yml").read_text(encoding="utf-8")
    head, _, rest = text.partition("    categories:\n      - {value: Sales")
    study.write("codebook.yml", head + rest[rest.index("  - {name: seconds") :])
    outcome = study.check()
    assert outcome.code == 10 and 'no department "Legl"' in outcome.err and 'Did you mean "Legal"?' in outcome.err
    assert "Night shift" not in outcome.err


def test_a_pilot_that_would_tell_hidden_departments_apart_is_told_with_the_line_that_cures_it(piloted):
    study = piloted("Sales", "Service", "Night shift")
    [note] = noted(study.check())
    assert "would not be computed, because tables hide" in note and 'in "Night shift"' in note
    assert 'out of the categories of "unit" (codebook.yml line' in note and 'aliases: ["Night shift"]' in note
    study.edit("codebook.yml", "      - {value: Night shift, label: Night shift}\n", "")
    study.edit("codebook.yml", "label: Service}", 'label: Service, aliases: ["Night shift"]}')
    study.edit("study.yml", "Service, Night shift]", "Service, Legal]")
    assert noted(study.check()) == []


def test_hidden_departments_of_one_side_count_as_one_and_check_says_so(piloted):
    study = piloted("Night shift", "Human Resources", "Finance", "Legal")
    notes = " ".join(noted(study.check()))
    assert "they count as one department" in notes and "also in the pilot" in notes


def test_a_pilot_without_an_earlier_wave_is_told(small):
    small.edit("study.yml", "  - {name: look}\n", "  - {name: look}\n" + PILOT.format("Sales"))
    [note] = noted(small.check())
    assert "no previous wave" in note


def test_a_pilot_of_too_few_departments_is_told(piloted, write_codebook):
    study = piloted("Sales")
    few = {name: SIZES[name] for name in ("Sales", "Service", "Research")}
    study.rows[:] = [row for row in study.rows if row[0] in few]
    study.write("responses.csv", study.text())
    study.write("earlier.csv", study.text().replace("\n", "\n\n", 1))
    assert any("at least 6 are needed" in note for note in noted(study.check()))


def test_a_refused_pilot_leaves_its_reason_and_the_rest_of_the_report(piloted):
    study = piloted("Sales", "Service", "Night shift")
    outcome = study.run()
    assert outcome.code == 0, outcome.err
    page = Path(outcome.out.strip()).read_text(encoding="utf-8")
    assert "would tell apart units" in page and "What goes with use" in page
