"""Pictures: what is drawn, in words that are never read as code, and the same bytes twice."""

import warnings
from functools import partial

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smstudy.display import figures

matplotlib.use("Agg")
ODD = [
    "costs $5 and $6",
    "_hidden_",
    "50 % _of_ $\\foo$",
    "a & b <c>",
    "x" * 200,
    "word " * 60,
    "Ünïcode — ok",
    "{curly} ^x_y",
]


@pytest.fixture(autouse=True)
def closed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


def frame(names=("a", "b", "c"), **columns):
    n = len(names)
    middle = np.linspace(-0.2, 0.6, n)
    made = {
        "term": names, "group": names, "segment": names, "reason": names, "k": range(2, 2 + n), "estimate": middle,
        "conf_low": middle - 0.1, "conf_high": middle + 0.1, "share": np.linspace(0.1, 0.9, n), "std_mean": middle,
        "previous": middle + 0.05, "mean": middle, "n_after": np.arange(n)[::-1] + 50, "n_removed": np.arange(n),
        "stability": 0.8, "p_adjusted": 0.01,
    }  # fmt: skip
    return pd.DataFrame({**made, **columns})


def share_bars(ax, rows, **words):
    return figures.bars(ax, rows, value="share", **words)


DRAWERS = [
    figures.estimates,
    figures.group_estimates,
    share_bars,
    figures.changes,
    figures.profiles,
    figures.choices,
]
every = pytest.mark.parametrize("draw", DRAWERS, ids=lambda draw: draw.__name__)


def drawn(draw, rows, *, title="Title", labels=None):
    return draw(figures.new_axes(len(rows)), rows, labels=labels or {}, title=title)


def words_of(axes):
    texts = [
        *axes.get_yticklabels(),
        *axes.get_xticklabels(),
        *axes.texts,
        axes.xaxis.label,
        axes.title,
        axes._left_title,
    ]
    legend = axes.get_legend()
    return [text.get_text() for text in (*texts, *(legend.get_texts() if legend else ()))]


@every
def test_odd_names_are_drawn_as_they_are(draw, tmp_path):
    axes = drawn(draw, frame(ODD), title=ODD[2], labels={"a": "$x$"})
    axes.get_figure().canvas.draw()
    figures.save(axes, "", tmp_path / "f")


@every
def test_the_axes_of_a_user_need_no_house_style(draw):
    _, axes = plt.subplots()
    draw(axes, frame(ODD), labels={}, title="$\\foo$")
    axes.get_figure().canvas.draw()


@every
@pytest.mark.parametrize("rows", [1, 25])
def test_one_row_and_many_are_drawn(draw, rows):
    drawn(draw, frame([f"name {i}" for i in range(rows)])).get_figure().canvas.draw()


@every
def test_rows_without_numbers_are_left_out_and_nothing_at_all_is_said_in_words(draw):
    numbers = list(frame().select_dtypes("number").drop(columns="k"))
    some = frame()
    some.loc[1, numbers] = np.nan
    assert "b" not in words_of(drawn(draw, some))
    none = frame().astype({name: float for name in numbers})
    none[numbers] = np.nan
    for rows in (none, none.iloc[:0]):
        axes = drawn(draw, rows)
        assert any("Nothing to draw" in text for text in words_of(axes))
        assert axes.get_title(loc="left") == "Title" and not axes.axison


@every
def test_the_same_rows_give_the_same_bytes(draw, tmp_path):
    for name in ("one", "two"):
        paths = figures.save(drawn(draw, frame()), "a,b\n", tmp_path / name)
        assert [path.suffix for path in paths] == [".png", ".svg", ".csv"]
    for ending in (".png", ".svg", ".csv"):
        assert (tmp_path / f"one{ending}").read_bytes() == (tmp_path / f"two{ending}").read_bytes()


@every
def test_a_saved_figure_is_closed_and_has_neither_date_nor_script(draw, tmp_path):
    open_before = plt.get_fignums()
    figures.save(drawn(draw, frame()), "", tmp_path / "f")
    assert plt.get_fignums() == open_before
    svg = (tmp_path / "f.svg").read_text(encoding="utf-8")
    assert "<script" not in svg and "dc:date" not in svg


@every
def test_settings_outside_stay_as_they_were(draw):
    before = dict(matplotlib.rcParams)
    drawn(draw, frame())
    assert dict(matplotlib.rcParams) == before


def test_names_that_begin_with_an_underscore_are_in_the_legend():
    legend = drawn(figures.profiles, frame(["_one", "two"]), labels={"two": "_Two"}).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["_one", "_Two"]


def test_a_segment_keeps_its_line_whatever_the_order_of_rows():
    rows = pd.DataFrame({"term": ["x", "x", "y", "y"], "segment": ["S1", "S2"] * 2, "std_mean": [1.0, -1.0, 0.5, -0.5]})
    lines = drawn(figures.profiles, rows).get_lines()
    assert list(lines[0].get_ydata()) == [1.0, 0.5] and list(lines[1].get_ydata()) == [-1.0, -0.5]


def test_the_first_row_is_on_top():
    labels = drawn(figures.estimates, frame()).get_yticklabels()
    assert [label.get_text() for label in sorted(labels, key=lambda label: -label.get_position()[1])] == ["a", "b", "c"]


def test_long_names_are_cut_to_two_lines():
    names = [label.get_text() for label in drawn(figures.estimates, frame(["x" * 300, "b c " * 99])).get_yticklabels()]
    assert all(name.count("\n") <= 1 and len(name) <= 2 * figures.LABEL_WIDTH + 1 for name in names)
    assert all(name.endswith("…") for name in names)


def test_rows_are_named_by_all_that_tells_them_apart():
    rows = frame(["a", "a", "b", "b"], group=["G", "H", "G", "H"])
    assert [t.get_text() for t in drawn(figures.changes, rows).get_yticklabels()] == ["a, G", "a, H", "b, G", "b, H"]


def test_zero_is_in_sight_of_effects_and_of_means_only_where_an_interval_holds_it():
    near, far = frame(), frame(estimate=[3.0, 3.1, 3.2], conf_low=2.9, conf_high=3.3)
    assert drawn(figures.estimates, far).get_xlim()[0] <= 0
    means = partial(figures.estimates, zero=False)
    assert drawn(means, far).get_xlim()[0] > 0
    assert len(drawn(means, near).get_lines()) == len(drawn(means, far).get_lines()) + 1


def test_a_small_change_does_not_fill_the_picture():
    low, high = drawn(figures.changes, frame(mean=[3.0, 3.01, 3.02], previous=[3.01, 3.02, 3.0])).get_xlim()
    assert high - low >= figures.LEAST_SPAN


def test_alt_text_names_every_row_and_its_number():
    text = figures.describe(frame()[["term", "estimate"]], title="T", labels={"a": "Alpha"})
    assert text == "T. Estimate: Alpha −0.20; b 0.20; c 0.60."


def test_alt_text_of_groups_names_the_groups():
    rows = frame(["x", "x"], group=["G", "H"])[["term", "group", "estimate"]]
    assert figures.describe(rows, title="T", labels={}) == "T. Estimate: G −0.20; H 0.60."


def test_alt_text_says_how_many_more_there_are_and_when_there_is_nothing():
    many = frame([f"n{i}" for i in range(30)])[["term", "share"]]
    assert figures.describe(many, title="T", labels={}).endswith("; and 6 more.")
    assert figures.describe(many.iloc[:0], title="T", labels={}) == "T. There is nothing to draw."


def test_the_numbers_of_a_figure_stand_beside_it(tmp_path):
    figures.save(drawn(figures.estimates, frame()), "term,estimate\na,1\n", tmp_path / "f")
    assert (tmp_path / "f.csv").read_text(encoding="utf-8") == "term,estimate\na,1\n"
