"""What a study released is remembered, so that a later run gives nobody away; the memory itself tells little."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DisclosureError, RunError
from smstudy.models.differences.groups import by_group
from smstudy.study.guarding import guard, released, respondents
from smstudy.study.ledger import FILE, KEY, Ledger, read_ledger, write_ledger
from smstudy.survey.codebook import Codebook, Variable
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import DIFFERENCE, hidden_groups
from smstudy.survey.suppression import small_differences

BOOK = Codebook.model_validate(
    {
        "title": "Waves",
        "variables": [
            {"name": "unit", "kind": "unit", "categories": [{"value": n, "label": n} for n in ("A", "B", "C", "D")]},
            *({"name": f"q{i}", "kind": "item", "categories": [{"value": v, "label": str(v)} for v in range(1, 6)]}
              for i in range(12)),
        ],
        "scales": [{"name": "use", "items": [f"q{i}" for i in range(12)]}],
    }
)  # fmt: skip
UNITS = ["unit"]
CASE = "works-wave-2"


def survey(sizes, *, seed=3, late=(), extra=None):
    """Departments of given sizes, then those who came late; the answers of a person do not depend on who follows."""
    units = [name for name, size in sizes.items() for _ in range(size)] + list(late)
    q = np.random.default_rng(seed).integers(1, 6, size=(200, 12))[: len(units)].astype(float)
    answers = pd.DataFrame(q, columns=[f"q{i}" for i in range(12)]).assign(unit=units, use=q.mean(axis=1))
    nothing = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=answers if extra is None else extra(answers), codebook=BOOK, missing=nothing)


SIZES = {"A": 20, "B": 24, "C": 30, "D": 26}


def run(data, ledger, name, case=CASE):
    """Guard and release as a run does."""
    guarded = guard(data, data, ledger, run=name, case=case, units=UNITS)
    return guarded, released(guarded, data, ledger, run=name, case=case, units=UNITS)


@pytest.fixture
def after_first():
    return run(survey(SIZES), Ledger(key=b"k" * 32), "first")[1]


def test_the_same_answers_show_the_same_again(after_first):
    guarded, again = run(survey(SIZES), after_first, "first")
    assert guarded.privacy.closed == frozenset() and again == after_first
    assert run(survey(SIZES), after_first, "other notebook")[0].privacy.closed == frozenset()


def test_late_respondents_close_the_groups_they_came_to(after_first):
    later = survey(SIZES, late=["A", "A", "B", "B", "B", "B"])
    guarded, ledger = run(later, after_first, "second")
    assert hidden_groups(guarded, "unit") == {"A", "B"}
    assert [finding.name for finding in by_group(guarded, ["use"], "unit").findings] == ["groups_hidden", DIFFERENCE]
    repeated, _ = run(later, ledger, "second")
    assert repeated.privacy.closed == guarded.privacy.closed
    first_again, _ = run(survey(SIZES), ledger, "first")
    assert first_again.privacy.closed == frozenset()


def test_two_late_respondents_stop_the_run(after_first):
    with pytest.raises(DisclosureError, match="take it back"):
        run(survey(SIZES, late=["A", "B"]), after_first, "second")


def test_two_respondents_removed_by_a_changed_rule_stop_the_run(after_first):
    whole = survey(SIZES)
    fewer = whole.keep_rows(whole.answers.index.to_series() > 1, "stricter rule")
    with pytest.raises(DisclosureError, match="Fewer than 5 people"):
        guard(fewer, whole, after_first, run="second", case=CASE, units=UNITS)


def test_two_scores_that_changed_stop_the_run(after_first):
    def change(answers):
        return answers.assign(use=answers["use"].where(answers.index > 1, 3.0))

    with pytest.raises(DisclosureError):
        guard(survey(SIZES, extra=change), survey(SIZES), after_first, run="second", case=CASE, units=UNITS)


def with_roles(late=(), roles_of_late=()):
    """Departments that stay large, split by a second variable of kind category."""
    data = survey(SIZES, late=late)
    roles = ["Staff", "Lead"] * (sum(SIZES.values()) // 2) + list(roles_of_late)
    role = Variable(
        name="role", kind="category", categories=[{"value": n, "label": n} for n in ("Staff", "Lead", "Top")]
    )
    roles[:8] = ["Top"] * 8
    book = BOOK.model_copy(update={"variables": [*BOOK.variables, role]})
    return Survey(answers=data.answers.assign(role=roles), codebook=book, missing=data.missing)


def run_split(data, ledger, name):
    split = {"units": UNITS, "categories": ["role"]}
    guarded = guard(data, data, ledger, run=name, case=CASE, **split)
    return guarded, released(guarded, data, ledger, run=name, case=CASE, **split)


def test_late_respondents_close_the_categories_they_came_to():
    _, ledger = run_split(with_roles(), Ledger(key=b"k" * 32), "first")
    later = with_roles(["A"] * 7, ["Top", "Staff", "Staff", "Staff", "Lead", "Lead", "Lead"])
    guarded, after = run_split(later, ledger, "second")
    assert hidden_groups(guarded, "unit") == frozenset()  # seven came to A
    assert hidden_groups(guarded, "role") == {"Top", "Staff", "Lead"}
    assert not by_group(guarded, ["use"], "role").tidy().query("group != 'Everybody'")["estimate"].notna().any()
    assert run_split(later, after, "second")[0].privacy == guarded.privacy
    many = with_roles(["A"] * 12, ["Staff"] * 6 + ["Lead"] * 6)
    assert run_split(many, ledger, "second")[0].privacy.closed == frozenset()


def test_a_category_few_came_to_is_hidden_with_one_that_keeps_it_hidden():
    _, ledger = run_split(with_roles(), Ledger(key=b"k" * 32), "first")
    guarded, after = run_split(with_roles(["A"] * 9, ["Top"] * 2 + ["Staff"] * 7), ledger, "second")
    assert hidden_groups(guarded, "role") >= {"Top", "Staff"} and "Lead" not in hidden_groups(guarded, "role")
    sets = [one for release in after.releases for one in release.sets("use", split="role")]
    people = sorted(set().union(*sets))
    assert small_differences(np.array([[person in one for person in people] for one in sets]), 5) == []


def test_a_ledger_from_before_categories_were_guarded_is_read(after_first, tmp_path):
    write_ledger(after_first, tmp_path)
    content = json.loads((tmp_path / FILE).read_text())
    for entry in content["releases"]:
        del entry["splits"]
    (tmp_path / FILE).write_text(json.dumps(content))
    assert read_ledger(tmp_path) == after_first


def test_another_wave_closes_nothing(after_first):
    later = survey(SIZES, late=["A", "A"])
    assert run(later, after_first, "second", case="works-wave-3")[0].privacy.closed == frozenset()


def test_people_are_recognized_wherever_their_row_stands():
    data = survey(SIZES)
    turned = Survey(answers=data.answers[::-1], codebook=BOOK, missing=data.missing)
    key = b"k" * 32
    assert respondents(turned, turned, key).sort_index().equals(respondents(data, data, key))
    assert respondents(data, data, key).is_unique
    assert not set(respondents(data, data, b"l" * 32)) & set(respondents(data, data, key))


def test_respondents_not_recognized_are_said(after_first):
    others = survey(SIZES, seed=9)
    guarded, _ = run(others, after_first, "second")
    assert [finding.name for finding in guarded.findings] == ["respondents_not_recognized"]


def test_two_persons_with_equal_answers_are_two():
    data = survey(SIZES, extra=lambda answers: answers.assign(**{f"q{i}": 3.0 for i in range(12)}, use=3.0))
    assert respondents(data, data, b"k").is_unique


def test_the_ledger_comes_back_as_it_was_written(after_first, tmp_path):
    write_ledger(after_first, tmp_path)
    assert read_ledger(tmp_path) == after_first
    assert (tmp_path / KEY).stat().st_mode & 0o077 == 0


def test_the_file_holds_no_answer_no_name_and_no_small_count(tmp_path):
    small = survey({"A": 3, "B": 7, "C": 30, "D": 26})
    guarded, ledger = run(small, Ledger(key=b"k" * 32), "first")
    write_ledger(ledger, tmp_path)
    entry = json.loads((tmp_path / FILE).read_text())["releases"][0]
    assert sorted(map(len, entry["groups"])) == [10, 26, 30]
    assert all(len(person) == 12 for group in entry["groups"] for person in group)


def test_reading_the_ledger_of_an_unchanged_run_loads_no_pandas():
    code = "import sys, smstudy.study.ledger; print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_a_damaged_ledger_is_refused_in_one_line(after_first, tmp_path):
    write_ledger(after_first, tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(RunError, match="damaged"):
        read_ledger(tmp_path)
    write_ledger(after_first, tmp_path)
    (tmp_path / KEY).unlink()
    with pytest.raises(RunError, match="damaged"):
        read_ledger(tmp_path)


def test_a_reader_of_all_releases_finds_no_few():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        ledger = Ledger(key=b"k" * 32)
        late: list[str] = []
        for step in range(4):
            late += list(rng.choice(list("ABCD"), size=int(rng.integers(0, 9))))
            try:
                _, ledger = run(survey(SIZES, late=late), ledger, f"run {step}")
            except DisclosureError:
                continue
        sets = [one for release in ledger.releases for one in release.sets("use")]
        people = sorted(set().union(*sets))
        shape = np.array([[person in one for person in people] for one in sets], dtype=float)
        assert smallest_told(shape) >= 5


def smallest_told(shape):
    """People in the smallest group a reader can isolate by adding and subtracting any two or three releases' sets."""
    _, first = np.unique(shape, axis=1, return_index=True)
    sizes = {tuple(shape[:, i]): int((shape[:, i] == shape.T).all(axis=1).sum()) for i in first}
    columns = np.array(list(sizes)).T
    n = np.array(list(sizes.values()))
    best = n.sum()
    for i in range(len(shape)):
        for j in range(len(shape)):
            for k in range(len(shape)):
                for a, b in ((1, 0), (-1, 0), (-1, 1), (-1, -1)):
                    left = columns[i] + a * columns[j] + b * columns[k]
                    told = n[np.abs(left) > 0].sum()
                    best = min(best, told) if told else best
    return best
