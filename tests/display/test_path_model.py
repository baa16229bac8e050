"""Laws of `smstudy.display.path_model`."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.patches import Ellipse, FancyArrowPatch

from smstudy.display.path_model import importance_performance, new_axes, path_model


def routes(**columns):
    frame = pd.DataFrame(
        {
            "term": ["lead", "lead", "use", "worry"],
            "outcome": ["use", "adopt", "adopt", "adopt"],
            "estimate": [0.5, 0.3, 0.4, -0.1],
            "conf_low": [0.3, 0.1, 0.2, -0.3],
            "conf_high": [0.6, 0.5, 0.6, 0.1],
            "r_squared": [0.25, 0.5, 0.5, 0.5],
        }
    )
    return frame.assign(**columns)


def drawn(frame=None):
    frame = routes() if frame is None else frame
    axes = path_model(new_axes(frame), frame, labels={"lead": "Leadership $1"}, title="Model")
    plt.close(axes.get_figure())
    return axes


def middles(axes):
    return {text: patch.get_center() for text, patch in zip(
        [text.get_text().split("\n")[0] for text in axes.texts if text.get_zorder() == 4],
        [patch for patch in axes.patches if isinstance(patch, Ellipse)], strict=True)}  # fmt: skip


def test_every_construct_and_path_is_drawn_once():
    axes = drawn()
    assert len([patch for patch in axes.patches if isinstance(patch, Ellipse)]) == 4
    assert len([patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]) == 4
    assert {"0.50", "0.30", "0.40", "−0.10"} <= {text.get_text() for text in axes.texts}


def test_drivers_stand_left_of_what_they_go_with():
    places = middles(drawn())
    assert places["Leadership $1"][0] < places["use"][0] < places["adopt"][0]


def test_a_path_that_passes_a_construct_keeps_clear_of_its_oval():
    axes = drawn()
    center, width, height = next(
        (patch.get_center(), patch.width, patch.height)
        for patch in axes.patches
        if isinstance(patch, Ellipse) and patch.get_center()[0] == middles(axes)["use"][0]
    )
    for patch in axes.patches:
        if isinstance(patch, FancyArrowPatch):
            points = patch._path_original.interpolated(50).vertices
            inside = ((points - center) / [width / 2, height / 2]) ** 2
            assert (inside.sum(axis=1) > 0.98).all()


def test_paths_whose_interval_holds_zero_are_dashed():
    styles = [patch.get_linestyle() for patch in drawn().patches if isinstance(patch, FancyArrowPatch)]
    assert [style in ("--", "dashed") for style in styles] == [False, False, False, True]


def test_without_intervals_every_path_is_dashed():
    axes = drawn(routes(conf_low=float("nan"), conf_high=float("nan")))
    styles = [patch.get_linestyle() for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert all(style in ("--", "dashed") for style in styles)


def test_nothing_to_draw_is_said():
    for draw in (path_model, importance_performance):
        empty = routes(performance=1.0).iloc[:0]
        axes = draw(new_axes(empty), empty, labels={}, title="Model")
        assert axes.texts
        plt.close(axes.get_figure())


def test_the_map_has_a_point_for_each_construct_that_has_a_level():
    frame = routes(performance=[40.0, 50.0, 60.0, float("nan")], performance_low=35.0, performance_high=65.0)
    axes = importance_performance(new_axes(frame), frame, labels={}, title="Map")
    assert len(axes.lines[0].get_xdata()) == 3
    plt.close(axes.get_figure())
