from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans

from smstudy.clustering.kmeans import assign, bootstrap_shares, fit, kmeans, share_intervals, silhouettes
from smstudy.errors import DataError, DisclosureError
from smstudy.inference.lloyd import refine, standardize
from smstudy.privacy import Privacy

SCALES = ["leadership", "readiness", "concerns", "usefulness", "adoption"]
FOUR = ["adoption", "readiness", "concerns", "usefulness"]


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_agrees_with_r_kmeans_and_silhouette(reference, reference_data, k):
    found = kmeans(reference_data, FOUR, k=k, seed=1, n_boot=20)
    expected = reference["fits"][k - 2]
    assert found.within == pytest.approx(expected["within"], rel=1e-10)  # the same optimum
    np.testing.assert_allclose(found.centers, expected["centers"], atol=1e-10)  # means of the same rows
    assert found.sizes.tolist() == expected["size"]
    np.testing.assert_allclose(found.silhouettes, expected["silhouettes"], atol=1e-10)  # means of exact formulas
    assert found.glance()["silhouette"] == pytest.approx(expected["silhouette"], abs=1e-10)  # as above


def test_segments_are_ordered_by_size_and_named_by_what_is_special(planted):
    found = kmeans(planted(280, 1), SCALES, k=4, seed=1, n_boot=20)
    assert (np.diff(found.sizes) <= 0).all()
    names = [found.labels[name] for name in found.segments]
    assert any("low leadership" in n or "low adoption" in n or "low readiness" in n for n in names)
    assert len(set(names)) == 4


def test_equal_sizes_are_ordered_by_the_first_center_coordinate():
    z = np.array([[1.0, 0.0]] * 5 + [[-1.0, 0.0]] * 5)
    centers, place, within = fit(z, 2, seed=0, n_init=5)
    assert centers[:, 0].tolist() == [-1.0, 1.0]
    assert place.tolist() == [1] * 5 + [0] * 5
    assert within == 0


def test_never_fits_worse_than_scikit_learn(planted):
    z = standardize(planted(150, 2, separation=0.5).to_numpy())
    for k in (2, 4, 6):
        best = KMeans(k, n_init=50, random_state=1).fit(z).inertia_
        assert fit(z, k, seed=1, n_init=50)[2] <= best + 1e-9  # sums in another order


def test_same_seed_gives_the_same_segmentation_in_any_row_order(planted):
    data = planted(200, 3)
    first, again = (kmeans(data, SCALES, k=4, seed=5, n_boot=30) for _ in range(2))
    pd.testing.assert_frame_equal(first.tidy(), again.tidy(), check_exact=True)
    shuffled = kmeans(data.sample(frac=1, random_state=0), SCALES, k=4, seed=6, n_boot=30)
    assert shuffled.assignment.sort_index().tolist() == first.assignment.tolist()


def test_units_of_measurement_do_not_matter(planted):
    data = planted(200, 3)
    first = kmeans(data, SCALES, k=4, seed=5, n_boot=20)
    scaled = kmeans(data * 37.5 - 4, SCALES, k=4, seed=5, n_boot=20)
    assert scaled.assignment.tolist() == first.assignment.tolist()


def test_incomplete_rows_are_left_out_and_counted(planted):
    data = planted(100, 4)
    data.loc[[3, 50], "adoption"] = np.nan
    found = kmeans(data, SCALES, k=2, seed=1, n_boot=20)
    assert found.glance()["n"] == 98 and found.glance()["n_dropped"] == 2
    assert 3 not in found.assignment.index
    augmented = found.augment(data).frame
    assert pd.isna(augmented.loc[3, ".cluster"]) and np.isnan(augmented.loc[3, ".distance"])
    assert len(augmented) == 100


def test_input_is_not_changed(planted):
    data = planted(60, 4)
    before = data.copy()
    kmeans(data, SCALES, k=2, seed=1, n_boot=20)
    pd.testing.assert_frame_equal(data, before)


def test_stored_segmentation_scores_its_own_respondents_alike(planted):
    data = planted(150, 5)
    found = kmeans(data, SCALES, k=4, seed=1, n_boot=20)
    stored = json.loads(json.dumps(found.to_model(), allow_nan=False))
    scored = assign(stored, data)
    assert scored.rows.frame[".cluster"].tolist() == found.assignment.tolist()
    assert scored.tidy()["n"].tolist() == found.sizes.tolist()
    assert assign(found, data).tidy().equals(scored.tidy())


def test_new_respondents_get_the_nearest_center(planted):
    data = planted(150, 5)
    found = kmeans(data, SCALES, k=4, seed=1, n_boot=20)
    at_center = pd.DataFrame(found.centers * found.sds + found.means, columns=SCALES)
    rows = assign(found, at_center).rows.frame
    assert rows[".cluster"].tolist() == list(found.segments)
    np.testing.assert_allclose(rows[".distance"], 0, atol=1e-12)  # rounding of one multiplication


def test_few_new_respondents_are_scored_but_not_counted_in_public(planted):
    data = planted(150, 5)
    scored = assign(kmeans(data, SCALES, k=4, seed=1, n_boot=20), data.head(8))
    assert scored.tidy()["hidden"].all() and scored.shown()["n"].isna().all()
    assert len(scored.rows.frame) == 8
    assert "rows are not shown" in repr(scored.rows)


def test_nothing_row_level_is_rendered(planted):
    data = planted(100, 6).set_axis([f"person{i}" for i in range(100)])
    found = kmeans(data, SCALES, k=2, seed=1, n_boot=20)
    shown = found.to_html() + repr(found) + found.to_csv() + json.dumps([found.to_record(), found.to_model()])
    assert "person" not in shown


def test_a_segment_below_the_threshold_is_refused(planted):
    data = pd.concat([planted(100, 7), pd.DataFrame([[40.0] * 5] * 3, columns=SCALES)], ignore_index=True)
    with pytest.raises(DisclosureError, match="fewer than 5 respondents"):
        kmeans(data, SCALES, k=2, seed=1, n_boot=20)


def test_one_segment_is_everybody(planted):
    found = kmeans(planted(12, 8), SCALES, k=1, seed=1, n_boot=20)
    assert found.tidy()["share"].tolist() == [1.0]
    assert np.isnan(found.glance()["silhouette"])
    assert found.plot() is not None and found.to_html()


def test_every_rendering_works(planted):
    found = kmeans(planted(100, 9), SCALES, k=3, seed=1, n_boot=20)
    assert found.plot() is not None and "Segment 1" in found.alt_text()
    assert replace(found, privacy=Privacy(min_n=90)).shown()["n"].isna().any()


@pytest.mark.parametrize(
    ("change", "variables", "k", "words"),
    [
        (lambda d: d.head(20), SCALES, 2, "Too little data"),
        (lambda d: d, SCALES[:1], 2, "at least two variables"),
        (lambda d: d, "adoption", 2, "at least two variables"),
        (lambda d: d, ["adoption", "adoption"], 2, "named twice: adoption"),
        (lambda d: d, ["adoption", "readines"], 2, 'Did you mean "readiness"'),
        (lambda d: d.assign(adoption="secret"), SCALES, 2, '"adoption" is not numeric'),
        (lambda d: d.assign(adoption=np.inf), SCALES, 2, "infinite"),
        (lambda d: d.assign(adoption=3.0, readiness=np.nan), ["adoption", "readiness"], 2, "Too little data"),
        (lambda d: d.assign(adoption=3.0), ["adoption", "readiness"], 2, "Fewer than two variables differ"),
        (lambda d: d, SCALES, 30, "too many"),
        (lambda d: pd.concat([d.head(2)] * 30, ignore_index=True), SCALES, 3, "too many"),
        (lambda d: d, SCALES, 0, "k = 0"),
        (lambda d: d, SCALES, 2.5, "k = 2.5"),
    ],
)
def test_bad_input_gets_one_clear_line(change, variables, k, words, planted):
    with pytest.raises(DataError, match=words) as caught:
        kmeans(change(planted(60, 1)), variables, k=k, seed=1, n_boot=20)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_variable_nobody_answered_is_left_out_and_said(planted):
    found = kmeans(planted(60, 1).assign(concerns=np.nan, usefulness=2.0), SCALES, k=2, seed=1, n_boot=20)
    assert found.variables == ("leadership", "readiness", "adoption")
    assert [f.name for f in found.findings] == ["variable_left_out"]
    assert found.glance()["n"] == 60


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "other"},
        {"means": [0.0]},
        {"sds": [0.0] * 5},
        {"centers": "x"},
        {"means": [float("nan")] * 5},
        {"labels": 3},
    ],
)
def test_a_damaged_stored_segmentation_is_refused(damage, planted):
    data = planted(60, 1)
    model = {**kmeans(data, SCALES, k=2, seed=1, n_boot=20).to_model(), **damage}
    with pytest.raises(DataError, match="no stored segmentation"):
        assign(model, data)


def test_silhouette_of_one_group_does_not_exist():
    assert np.isnan(silhouettes(np.zeros((5, 2)), np.zeros(5, dtype=int), 1)).all()


def test_intervals_of_shares_cover_at_their_rate(planted):
    large = standardize(planted(100_000, 99).to_numpy())
    start, _, _ = fit(large[:3000], 4, seed=0, n_init=20)
    limit = refine(large[None], start[None])
    truth = np.bincount(limit.assignment[0], minlength=4) / len(large)
    hits = []
    for seed in range(40):
        values = planted(280, seed).to_numpy()
        z = standardize(values)
        own = refine(z[None], limit.centers)
        shares = np.bincount(own.assignment[0], minlength=4) / len(z)
        repeated = bootstrap_shares(values, own.centers[0], n_boot=60, rng=np.random.default_rng(seed))
        low, high = share_intervals(shares, repeated, 0.95).T
        hits += ((low <= truth) & (truth <= high)).tolist()
    assert np.mean(hits) >= 0.90  # .95 give or take 3 Monte-Carlo errors of 160 intervals (.017 each)
