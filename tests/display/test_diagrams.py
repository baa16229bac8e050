"""Laws of the flow diagram: every rule is in it, boxes hold their words, and no number but those of the table."""

import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.display import diagrams, figures

matplotlib.use("Agg")
STAGES = ["eligibility", "eligibility", "completeness", "quality", "quality"]
ACTIONS = ["exclude", "set_missing", "exclude", "flag", "exclude"]
REASONS = ["test run", "impossible age", "did not reach the last page", "very slow", "too fast"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def flow(removed=(10, 0, 30, 0, 0), reasons=REASONS, entered=1240):
    removed = np.array(removed)
    after = entered - np.cumsum(removed)
    counts = {"n_before": after + removed, "n_hit": removed + 7, "n_removed": removed, "n_after": after}
    return pd.DataFrame({"stage": STAGES, "reason": list(reasons), "action": ACTIONS, **counts})


def drawn(rows, title="Flow"):
    return diagrams.flow(diagrams.new_axes(rows), rows, labels={}, title=title)


def words(axes):
    return [" ".join(text.get_text().split()) for text in axes.texts if text.get_text()]


def test_the_spine_tells_who_entered_who_is_left_after_each_stage_and_at_the_end():
    assert [text for text in words(drawn(flow())) if "•" not in text] == [
        "Entered n = 1,240",
        "After eligibility n = 1,230",
        "After completeness n = 1,200",
        "Left for analysis n = 1,200",
    ]


def test_every_rule_is_in_the_diagram_those_that_hit_nobody_too():
    text = " ".join(words(drawn(flow())))
    for reason, n in zip(REASONS, ("n = 10", "set missing, n = 7", "n = 30", "flagged, n = 7", "n = 0")):
        assert f"• {reason} ({n})" in text


def test_hidden_counts_are_said_to_be_hidden_and_the_number_entered_with_them():
    rows = flow().astype({"n_hit": float, "n_removed": float, "n_before": float, "n_after": float})
    rows.loc[2, ["n_before", "n_hit", "n_removed", "n_after"]] = np.nan
    text = words(drawn(rows))
    assert text[0] == "Entered n hidden" and "• did not reach the last page (n hidden)" in " ".join(text)
    assert not any("After completeness" in one for one in text)


def test_hidden_rules_counted_together_tell_the_number_entered():
    rows = flow().astype(float, errors="ignore")
    rows.loc[[0, 2], ["n_before", "n_hit", "n_removed", "n_after"]] = np.nan
    rows.loc[[1, 3, 4], ["n_before", "n_after"]] = 1240
    together = {"stage": "several", "reason": "The hidden rules together", "action": "exclude"}
    counts = {"n_before": 1240, "n_hit": np.nan, "n_removed": 40, "n_after": 1200}
    text = words(drawn(pd.concat([rows, pd.DataFrame([{**together, **counts}])], ignore_index=True)))
    assert text[0] == "Entered n = 1,240" and "(n = 40)" in " ".join(text)


@pytest.mark.parametrize(
    "reason", ["IN CAPITALS " * 9, "x" * 300, "word " * 90, "costs $5 and $6 %_^", "a & b <c>", "ü"]
)
def test_words_stay_inside_their_boxes(reason):
    axes = drawn(flow(reasons=[reason] * 5))
    figure = axes.get_figure()
    figure.canvas.draw()
    boxes = [patch.get_window_extent() for patch in axes.patches]
    texts = [text.get_window_extent() for text in axes.texts if text.get_text()]
    for box, text in zip(boxes, texts, strict=True):
        assert box.x0 <= text.x0 and text.x1 <= box.x1 and box.y0 <= text.y0 and text.y1 <= box.y1


def test_a_reason_that_is_cut_keeps_its_number():
    assert "(n = 10)" in " ".join(words(drawn(flow(reasons=["word " * 90] * 5))))


def test_boxes_do_not_overlap():
    boxes = diagrams._boxes(flow())
    assert all(a.y + a.height < b.y for a, b in zip(boxes, boxes[1:]))


def test_letters_shrink_on_small_axes():
    _, small = plt.subplots(figsize=(2.5, 3))
    rows = flow()
    sizes = [one.texts[0].get_fontsize() for one in (diagrams.flow(small, rows, labels={}, title="t"), drawn(rows))]
    assert sizes[0] < 0.6 * sizes[1]


def test_the_same_flow_gives_the_same_bytes_without_clock(tmp_path):
    for name in ("one", "two"):
        figures.save(drawn(flow()), "a,b\n", tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert not re.search(r"<script|href=\"http", (tmp_path / "one.svg").read_text(encoding="utf-8"))


def test_nothing_to_draw_is_said_in_words():
    rows = flow().iloc[:0]
    assert "Nothing to draw" in words(diagrams.flow(diagrams.new_axes(rows), rows, labels={}, title="t"))[0]
