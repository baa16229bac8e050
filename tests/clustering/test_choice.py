from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from smstudy.clustering.choice import choose_k, gap, null_statistics, p_values
from smstudy.clustering.kmeans import kmeans
from smstudy.errors import DataError
from smstudy.inference.copula import fit_copula
from smstudy.inference.lloyd import standardize

SCALES = ["leadership", "readiness", "concerns", "usefulness", "adoption"]
QUICK = {"n_boot": 30, "n_null": 99}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_four_planted_segments_are_found(seed, planted):
    choice = choose_k(planted(280, seed), SCALES, seed=seed, **QUICK)
    assert choice.verdict == "4 groups" and choice.k == 4


CORNERS = {
    "tetrahedron": [[0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 4]],
    "square": [[0, 0], [5, 0], [0, 5], [5, 5]],
    "two": [[0, 0, 0], [3, 3, 3]],
    "five": [[0, 0, 0, 0], [4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 4]],
}


@pytest.mark.parametrize("shape", CORNERS)
def test_clear_groups_are_counted_right_wherever_they_lie(shape):
    corners, rng = np.array(CORNERS[shape], dtype=float), np.random.default_rng(0)
    values = np.vstack([corner + rng.normal(size=(60, corners.shape[1])) for corner in corners])
    frame = pd.DataFrame(values, columns=list("abcd")[: corners.shape[1]])
    assert choose_k(frame, list(frame), seed=1, **QUICK).k == len(corners)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_one_group_has_no_stable_groups(shift, one_group):
    choice = choose_k(one_group(280, 11, shift=shift), SCALES, seed=1, **QUICK)
    assert choice.verdict == "no stable groups" and choice.k == 1
    assert [f.name for f in choice.findings] == ["no_stable_groups"]
    assert choice.tidy()["stability"].iloc[0] > 0.75  # stability alone would have found two groups in one cloud


def test_one_group_rarely_beats_itself(one_group):
    rejected = 0
    for seed in range(20):
        data = one_group(150, 100 + seed, shift=0.8 * (seed % 2)).to_numpy()
        rng = np.random.default_rng(seed)
        null = standardize(fit_copula(data).draw(99, len(data), rng))
        statistics = null_statistics(np.concatenate([standardize(data)[None], null]), [2, 3], rng)
        rejected += (p_values(statistics)[1] < 0.05).any()
    assert rejected <= 3  # binomial(20, .05): 4 or more has probability .016


def test_two_far_groups_are_found_although_every_margin_has_two_peaks():
    rng = np.random.default_rng(4)
    side = rng.choice([-1, 1], 200)[:, None] * np.ones(5)
    answers = np.clip(3 + 1.1 * side + 0.45 * rng.standard_normal((200, 5)), 1, 5)
    data = pd.DataFrame(np.round(answers * 4) / 4, columns=SCALES)
    assert choose_k(data, SCALES, seed=1, **QUICK).verdict == "2 groups"


def test_same_seed_gives_the_same_result(one_group):
    data = one_group(120, 3)
    first, again = (choose_k(data, SCALES, ks=[2, 3], seed=4, **QUICK) for _ in range(2))
    pd.testing.assert_frame_equal(first.tidy(), again.tidy(), check_exact=True)


def test_within_sum_of_squares_enters_the_gap_as_in_clusgap(reference, reference_data):
    z = standardize(reference_data[["adoption", "readiness", "concerns", "usefulness"]].to_numpy())
    gaps, _ = gap(z, [2, 3, 4, 5], np.random.default_rng(1))
    expected = np.array(reference["log_within"][1:])
    logs = np.log([fit["within"] for fit in reference["fits"]])
    np.testing.assert_allclose(logs - np.log(2), expected, atol=1e-10)  # clusGap halves every sum of squares
    assert gaps.argmax() == 1  # three groups were planted


def test_too_little_data_is_a_result_and_the_segmentation_is_everybody(planted):
    data = planted(20, 1)
    choice = choose_k(data, SCALES, seed=1)
    assert choice.verdict == "too little data" and choice.tidy().empty
    assert choice.plot() is not None and choice.to_html() and json.dumps(choice.to_record(), allow_nan=False)
    assert kmeans(data, SCALES, k=choice.k, seed=1, n_boot=20).sizes.tolist() == [20]


def test_all_missing_variables_are_too_little_data(planted):
    choice = choose_k(planted(60, 1).assign(adoption=np.nan), ["adoption", "concerns"], seed=1)
    assert choice.verdict == "too little data"
    assert "variable_left_out" in [f.name for f in choice.findings]


def test_a_group_too_small_to_be_shown_does_not_count(one_group):
    far = pd.DataFrame(np.random.default_rng(1).normal(25, 0.1, (4, 5)), columns=SCALES)
    data = pd.concat([one_group(200, 5), far], ignore_index=True)
    choice = choose_k(data, SCALES, ks=[2, 3], seed=1, **QUICK)
    assert choice.tidy()["verdict"].iloc[0] != "counts" and choice.k == 1


def test_yes_no_answers_are_no_groups():
    rng = np.random.default_rng(8)
    yes = rng.standard_normal((200, 4)) + rng.standard_normal((200, 1)) > 0
    data = pd.DataFrame(yes.astype(float), columns=list("abcd"))
    assert choose_k(data, list("abcd"), ks=[2, 3], seed=1, **QUICK).verdict == "no stable groups"


def test_picture_and_text_carry_the_verdict(one_group):
    choice = choose_k(one_group(100, 3), SCALES, ks=[2, 3], seed=4, **QUICK)
    assert choice.plot() is not None
    assert "no stable groups" in choice.to_text()


@pytest.mark.parametrize(
    ("change", "ks", "words"),
    [
        (lambda d: d, [1, 2], "whole numbers of at least 2"),
        (lambda d: d, [], "whole numbers of at least 2"),
        (lambda d: d, [2, 40], "too many"),
        (lambda d: d.assign(adoption=d["readiness"]), [2], "follows exactly"),
        (lambda d: d.assign(adoption=d["readiness"] - d["concerns"]), [2], "follows exactly"),
        (lambda d: d.assign(adoption="secret"), [2], "not numeric"),
    ],
)
def test_bad_input_gets_one_clear_line(change, ks, words, planted):
    with pytest.raises(DataError, match=words) as caught:
        choose_k(change(planted(60, 1)), SCALES, ks=ks, seed=1, **QUICK)
    assert "secret" not in str(caught.value)
