"""Laws of validity(): what it refuses, what it says when it cannot tell, and planted scales that are one thing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.privacy import Privacy
from smstudy.result import write_record
from smstudy.scales.validities import Validity, validity
from smstudy.vocabulary import TIDY

REFERENCE = Path(__file__).parents[1] / "reference"
R = json.loads((REFERENCE / "validity.json").read_text(encoding="utf-8"))
TWO = {"one": list("abc"), "two": list("def")}
BOOT = 200


def planted(n: int = 500, seed: int = 1, r: float = 0.3, loading: float = 0.8) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    traits = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], size=n)
    noise = np.sqrt(1 - loading**2) * rng.standard_normal((n, 6))
    return pd.DataFrame(loading * np.repeat(traits, 3, axis=1) + noise, columns=list("abcdef"))


def bfi() -> pd.DataFrame:
    answers = pd.read_csv(REFERENCE / "bfi.csv").astype(float)
    answers[R["turned"]] = 7 - answers[R["turned"]]
    return answers


def names_of(result: Validity) -> set[str]:
    return {finding.name for finding in (*result.findings, *result.convergence.findings)}


# R


def test_complete_answers_agree_with_semtools() -> None:
    expected = R["validity"]["bfi"]
    items = [item for members in expected["scales"].values() for item in members]
    result = validity(bfi()[items].dropna(), expected["scales"], n_boot=100)
    scales, pairs = result.convergence.tidy(), np.triu_indices(5, 1)
    assert scales["extracted"].to_numpy() == pytest.approx(expected["ave"], abs=1e-7)  # both searches end at 1e-9
    assert scales["extracted_std"].to_numpy() == pytest.approx(expected["ave_standardized"], abs=1e-7)  # as above
    assert scales["composite"].to_numpy() == pytest.approx(expected["composite"], abs=1e-7)  # as above
    for kind in ("htmt", "htmt2"):
        assert result.tidy()[kind].to_numpy() == pytest.approx(np.array(expected[kind])[pairs], abs=1e-12)  # rounding


def test_answers_with_gaps_use_everybody() -> None:
    expected = R["validity"]["bfi"]
    result = validity(bfi(), {name: expected["scales"][name] for name in ("A", "C")}, n_boot=100)
    assert result.glance()["n"] == len(bfi()) > expected["n"]
    assert result.tidy()["htmt"][0] == pytest.approx(expected["htmt_pairwise"][0][1], abs=1e-12)  # rounding


# Verdicts


def test_scales_that_differ_are_two_things() -> None:
    result = validity(planted(), TWO, n_boot=BOOT)
    row = result.tidy().iloc[0]
    assert row["verdict"] == "two things" and row["fornell_larcker"] == "holds"
    assert row["htmt_low"] < 0.3 < row["htmt_high"] and row["conf_low"] < 0.3 < row["conf_high"]
    assert list(result.convergence.tidy()["verdict"]) == ["items share enough"] * 2


def test_two_names_for_one_thing_are_not_two_things() -> None:
    result = validity(planted(1500, r=1.0), TWO, n_boot=BOOT)
    assert result.tidy()["verdict"].tolist() == ["not shown to be two things"]


def test_close_scales_leave_it_open() -> None:
    row = validity(planted(300, r=0.86), TWO, n_boot=BOOT).tidy().iloc[0]
    assert row["verdict"] == "cannot tell" and row["fornell_larcker"] in ("fails", "cannot tell")


def test_few_respondents_leave_it_open() -> None:
    assert validity(planted(25, r=0.6, loading=0.6), TWO, n_boot=BOOT).tidy()["verdict"].tolist() == ["cannot tell"]


def test_weak_items_share_too_little() -> None:
    result = validity(planted(2000, loading=0.5), TWO, n_boot=BOOT)
    assert list(result.convergence.tidy()["verdict"]) == ["items share too little"] * 2


def test_turning_a_whole_scale_round_changes_no_ratio() -> None:
    answers = planted()
    turned = answers.assign(**{name: -answers[name] for name in "def"})
    one, other = (validity(each, TWO, n_boot=BOOT).tidy().iloc[0] for each in (answers, turned))
    assert other["htmt"] == pytest.approx(one["htmt"], abs=1e-12)  # rounding
    assert other["factor_correlation"] == pytest.approx(-one["factor_correlation"], abs=1e-8)  # two searches


def test_the_order_of_scales_changes_nothing() -> None:
    rows = [validity(planted(), {name: TWO[name] for name in order}, n_boot=BOOT) for order in (TWO, ["two", "one"])]
    one, other = (each.convergence.tidy().set_index("term").loc["one"] for each in rows)
    assert one["extracted"] == pytest.approx(other["extracted"], abs=1e-8)  # two searches
    assert one["shared_most"] == pytest.approx(other["shared_most"], abs=1e-8)  # as above


# Refusals


def test_a_heywood_case_has_no_ave_but_htmt() -> None:
    answers = planted(200, seed=3)
    answers["c"] = 0.999 * answers["a"] + 0.001 * answers["b"] + 1e-3 * answers["f"]
    answers["b"] = 0.2 * answers["b"] + 0.05 * answers["a"]
    result = validity(answers, TWO, n_boot=BOOT)
    assert "model_refused" in names_of(result)
    assert result.convergence.tidy()["extracted"].isna().all() and result.tidy()["factor_correlation"].isna().all()
    assert list(result.convergence.tidy()["verdict"]) == ["cannot tell"] * 2
    assert result.tidy()[["htmt", "htmt_low", "htmt_high"]].notna().all(axis=None)
    assert result.to_html() and result.convergence.to_html()


@pytest.mark.parametrize(
    ("scales", "words"),
    [
        ({"one": list("abc")}, "two of them or more"),
        ({"one": list("abc"), "two": ["d"]}, "needs two items"),
        ({"one": list("abc"), "two": list("cde")}, "c stands in two scales"),
        ({"one": list("abc"), "two": ["d", "g"]}, "gave the same answer to g"),
        ({"one": list("abc"), "two": ["d", "h"]}, 'no item "h"'),
    ],
)
def test_what_cannot_be_compared_is_refused(scales: dict[str, list[str]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        validity(planted().assign(g=1.0), scales)


def test_an_item_nobody_turned_round_is_named() -> None:
    answers = planted()
    with pytest.raises(DataError, match="b is answered against"):
        validity(answers.assign(b=-answers["b"]), TWO)


@pytest.mark.parametrize("option", [{"n_boot": 10}, {"conf_level": 1.0}])
def test_options_without_meaning_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(DataError):
        validity(planted(), TWO, **option)


def test_two_items_are_allowed_with_a_word_of_care() -> None:
    result = validity(planted(r=0.6), {"one": list("abc"), "two": list("de")}, n_boot=BOOT)
    assert "two_items" in names_of(result) and result.convergence.tidy()["extracted"].notna().all()


def test_items_that_go_both_ways_are_named() -> None:
    assert "mixed_signs" in names_of(validity(planted(300, r=0.0), TWO, n_boot=BOOT))


def test_a_ratio_outside_its_own_interval_is_explained() -> None:
    outside = 0
    for seed in range(12):
        found = validity(planted(150, r=0.0, seed=seed), TWO, n_boot=BOOT)
        row = found.tidy().iloc[0]
        beyond = any(not row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] for name in ("htmt", "htmt2"))
        assert beyond == ("ratio_outside_interval" in names_of(found))
        outside += beyond
    assert outside


def test_a_constant_item_does_not_remove_all_scales() -> None:
    answers = planted(300)
    item = TWO["one"][1]
    found = validity(answers.assign(**{item: 3.0}), TWO, n_boot=BOOT)
    short = {**TWO, "one": [name for name in TWO["one"] if name != item]}
    pd.testing.assert_frame_equal(found.tidy(), validity(answers, short, n_boot=BOOT).tidy())
    told = [each for each in found.findings if each.name == "constant_items"]
    assert [each.severity for each in told] == ["serious"] and item in told[0].text


def test_an_item_that_repeats_another_is_named_though_ratios_stay() -> None:
    one, other, *_ = TWO["one"]
    answers = planted(300)
    found = validity(answers.assign(**{other: answers[one]}), TWO, n_boot=BOOT)
    told = [each.text for each in found.findings if each.name == "model_refused"]
    assert f"{one} and {other} hold the same answers. Leave one of them out" in told[0]
    assert found.tidy()["htmt"].notna().all()


# Result


def test_the_same_seed_gives_the_same_record() -> None:
    one, same = (write_record(validity(planted(), TWO, n_boot=BOOT, seed=3)) for _ in range(2))
    assert one == same


def test_columns_come_from_the_vocabulary() -> None:
    result = validity(planted(), TWO, n_boot=BOOT)
    assert set(result.tidy()) | set(result.convergence.tidy()) <= set(TIDY)


def test_the_root_of_ave_stands_on_the_diagonal() -> None:
    convergence = validity(planted(), TWO, n_boot=BOOT).convergence
    table, rows = convergence.table(), convergence.tidy()
    assert table.headings[-2:] == ("1", "2")
    assert [row[-2 + place].lstrip(".") for place, row in enumerate(table.rows)] == [
        f"{value**0.5:.2f}".lstrip("0.") for value in rows["extracted"]
    ]


def test_scales_of_a_few_are_hidden() -> None:
    result = validity(planted(), TWO, n_boot=BOOT)
    strict = Privacy(min_n=600)
    hidden = type(result)(**{**vars(result), "privacy": strict, "rows": result.rows})
    assert hidden.shown()["htmt"].isna().all() and ".3" not in hidden.to_csv()
    scales = type(result.convergence)(**{**vars(result.convergence), "privacy": strict})
    assert {cell for row in scales.table().rows for cell in row[1:]} <= {"hidden", "–", "", "3"}


@pytest.mark.parametrize(("gaps", "words"), [
    ({"f": slice(3, None)}, "Fewer than 5 respondents answered f, and nothing is shown for so few"),
    ({"a": slice(0, 58), "f": slice(62, None)}, "Fewer than 5 respondents answered both a and f"),
])  # fmt: skip
def test_items_answered_together_by_a_few_are_refused(gaps: dict[str, slice], words: str) -> None:
    answers = planted(120)
    for name, rows in gaps.items():
        answers.iloc[rows, answers.columns.get_loc(name)] = np.nan
    with pytest.raises(DataError, match=words):
        validity(answers, TWO, n_boot=BOOT)
