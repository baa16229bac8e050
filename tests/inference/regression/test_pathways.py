"""Laws of `smstudy.inference.regression.pathways`: batched paths equal a loop of regressions."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.inference.bootstrap import resamples
from smstudy.inference.regression.pathways import (
    DRIVER,
    OUTCOME,
    PRODUCT,
    PathModel,
    bootstrap_paths,
    confounded_effect,
    critical_correlation,
    mediator,
    moderated_mediator,
    path_effects,
    residual_products,
)
from smstudy.inference.threads import one_thread

HERE = Path(__file__).parents[2] / "reference"
R = json.loads((HERE / "mediation.json").read_text(encoding="utf-8"))
STRETCHES = {7: "a", 8: "ac", 14: "b", 15: "bc", 58: "ab", 59: "abc"}
NAMES = {"a": "first", "b": "second", "c": "direct"}
VALUES = (-0.8, 0.0, 0.8)
SAME = {"rtol": 1e-10, "atol": 1e-10}  # normal equations of standardized columns against QR
MODELS = {
    "one": PathModel(n_mediators=1),
    "parallel": PathModel(n_mediators=3),
    "serial": PathModel(n_mediators=3, serial=True),
    **{
        str(number): PathModel(n_mediators=2, moderated=frozenset(NAMES[c] for c in parts), values=VALUES)
        for number, parts in STRETCHES.items()
    },
}  # fmt: skip


def columns_of(model, n=90, n_controls=3, seed=4):
    """Simulated columns in the order of the model, controls with a rare level at the end."""
    rng = np.random.default_rng(seed)
    x, w = rng.integers(0, 2, n) + 0.0, rng.normal(3, 1, n)
    m = [0.4 * x + 0.2 * w * x + rng.normal(size=n) for _ in range(model.n_mediators)]
    y = 0.3 * x + sum(0.3 * each + 0.1 * each * w for each in m) + rng.normal(size=n)
    x, w, m = x - x.mean(), w - w.mean(), [each - each.mean() for each in m]
    known = {OUTCOME: y, DRIVER: x, "moderator": w, PRODUCT: x * w}
    known |= {mediator(i): each for i, each in enumerate(m)} | {
        moderated_mediator(i): each * w for i, each in enumerate(m)
    }
    controls = np.column_stack([rng.normal(size=n), rng.integers(0, 2, n), np.arange(n) < 5])[:, :n_controls]
    return np.column_stack([*(known[name] for name in model.columns), controls])


def by_hand(model, columns):
    """All effects from regressions, one after the other."""
    place = {name: i for i, name in enumerate(model.columns)}
    controls = columns[:, len(place) :]

    def slopes(outcome):
        names = model.equations[outcome]
        x = np.column_stack([np.ones(len(columns)), columns[:, [place[name] for name in names]], controls])
        found = np.linalg.lstsq(x, columns[:, place[outcome]], rcond=None)[0][1:]
        return dict(zip(names, found, strict=False))

    y, ms = slopes(OUTCOME), [slopes(mediator(i)) for i in range(model.n_mediators)]

    def direct(w=0.0):
        return y[DRIVER] + y.get(PRODUCT, 0.0) * w

    def way(via, w=0.0):
        effect = ms[via[0]][DRIVER] + ms[via[0]].get(PRODUCT, 0.0) * w
        for one, other in zip(via[:-1], via[1:], strict=True):
            effect *= ms[other][mediator(one)]
        return effect * (y[mediator(via[-1])] + y.get(moderated_mediator(via[-1]), 0.0) * w)

    sizes = range(1, model.n_mediators + 1) if model.serial else (1,)
    together = sum(way(each) for size in sizes for each in combinations(range(model.n_mediators), size))
    step = VALUES[-1] - VALUES[0] if model.linear_index else 1.0
    compute = {
        "direct": lambda via, w: direct(w),
        "indirect": way,
        "total": lambda via, w: direct() + together,
        "all indirect": lambda via, w: together,
        "difference": lambda via, w: way(via[:1]) - way(via[1:]),
        "index": lambda via, w: (way(via, VALUES[-1]) - way(via, VALUES[0])) / step,
    }
    return np.array([compute[kind](via, model.values[at] if at >= 0 else 0.0) for kind, via, at in model.effects])


def drawn(n, times, state=12345):
    """The resamples of mediation.R as counts."""
    while True:
        counts = np.zeros((times, n))
        for row in counts:
            for _ in range(n):
                state = (69069 * state + 1) % 2**32
                row[n * state // 2**32] += 1
        n, times = yield counts, state


@pytest.mark.parametrize("name", MODELS)
def test_batched_effects_equal_a_loop_of_regressions(name):
    model = MODELS[name]
    columns = columns_of(model)
    counts = next(resamples(90, n_boot=40, seed=2))
    found = path_effects(model, columns, n_controls=3)(counts)
    wanted = [by_hand(model, np.repeat(columns, row.astype(int), axis=0)) for row in counts]
    np.testing.assert_allclose(found, wanted, **SAME)


def test_a_level_that_is_not_drawn_takes_no_part():
    model = MODELS["one"]
    columns = columns_of(model)
    counts = np.ones((1, 90))
    counts[0, :5] = 0
    kept = np.column_stack([columns[5:, :3], columns[5:, 3:5]])
    np.testing.assert_allclose(path_effects(model, columns, n_controls=3)(counts)[0], by_hand(model, kept), **SAME)


def test_controls_that_add_up_to_the_constant_in_a_resample_change_nothing():
    model = MODELS["one"]
    columns = columns_of(model, n_controls=0)
    levels = np.arange(90) % 3
    columns = np.column_stack([columns, levels == 1, levels == 2])
    counts = (levels != 0).astype(float)[None, :]
    kept = columns[levels != 0][:, :4]
    np.testing.assert_allclose(path_effects(model, columns, n_controls=2)(counts)[0], by_hand(model, kept), **SAME)


def test_a_resample_without_spread_of_the_driver_gives_nothing():
    columns = columns_of(MODELS["one"])
    counts = (columns[:, 1] > 0).astype(float)[None, :]
    assert np.isnan(path_effects(MODELS["one"], columns, n_controls=3)(counts)[0]).all()


def test_leaving_out_equals_fitting_without():
    model = MODELS["15"]
    columns = columns_of(model, n=40)
    found = bootstrap_paths(model, columns, n_controls=3, n_boot=20, seed=1, leave_out=True).left_out
    wanted = [by_hand(model, np.delete(columns, i, axis=0)) for i in range(40)]
    np.testing.assert_allclose(found, wanted, **SAME)


def test_leaving_out_clusters_equals_fitting_without_them():
    model, groups = MODELS["parallel"], np.arange(90) % 9
    columns = columns_of(model)
    found = bootstrap_paths(model, columns, n_controls=3, n_boot=20, seed=1, groups=groups, leave_out=True).left_out
    np.testing.assert_allclose(found, [by_hand(model, columns[groups != g]) for g in range(9)], **SAME)


def test_clusters_are_drawn_as_a_whole():
    model, groups = MODELS["one"], np.arange(90) // 6
    columns = columns_of(model)
    found = bootstrap_paths(model, columns, n_controls=3, n_boot=5, seed=3, groups=groups).draws
    counts = next(resamples(90, n_boot=5, seed=3, groups=groups))
    np.testing.assert_allclose(found, path_effects(model, columns, n_controls=3)(counts), **SAME)


def test_total_is_direct_and_indirect_together():
    columns = columns_of(MODELS["serial"])
    total, direct, *_, indirect = bootstrap_paths(MODELS["serial"], columns, n_controls=3, n_boot=2, seed=1).estimate
    x = np.column_stack([np.ones(90), columns[:, [1]], columns[:, -3:]])
    assert total == pytest.approx(direct + indirect, abs=1e-12)  # a sum
    assert total == pytest.approx(np.linalg.lstsq(x, columns[:, 0], rcond=None)[0][1], abs=1e-10)  # as above


def test_with_a_moderator_of_two_values_each_half_stands_for_itself():
    rng = np.random.default_rng(8)
    x, e, f, half = rng.normal(size=(4, 200))
    w = (half > 0) - (half > 0).mean()
    m = (0.2 + w) * x + w + e
    y = 0.3 * x + (0.5 - w) * m + w + f
    model = PathModel(n_mediators=1, moderated=frozenset(NAMES.values()), values=(w.min(), w.max()))
    xc, mc = x - x.mean(), m - m.mean()
    known = {OUTCOME: y, DRIVER: xc, "moderator": w, PRODUCT: xc * w, mediator(0): mc, moderated_mediator(0): mc * w}
    found = bootstrap_paths(model, np.column_stack([known[n] for n in model.columns]), n_controls=0, n_boot=2, seed=1)
    own = [by_hand(MODELS["one"], np.column_stack([y, x, m])[chosen]) for chosen in (w < 0, w > 0)]
    wanted = [own[0][1], own[1][1], own[0][2], own[1][2], own[1][2] - own[0][2]]
    np.testing.assert_allclose(found.estimate, wanted, **SAME)


def test_units_change_effects_by_their_factor():
    columns = columns_of(MODELS["parallel"])
    factor = np.array([2.0, 10.0, 3.0, 0.1, 7.0, 5.0, 5.0, 5.0])
    one, other = (
        path_effects(MODELS["parallel"], each, n_controls=3)(np.ones((1, 90)))
        for each in (columns, columns * factor + 4)
    )
    np.testing.assert_allclose(other, one * 2 / 10, **SAME)


def r_columns(name):
    """Data and model of a case of mediation.R."""
    if name == "simple":
        frame = pd.read_csv(HERE / "mediation_jobs.csv")
        order = ["depress2", "treat", "job_seek", "econ_hard", "sex", "age"]
        return PathModel(n_mediators=1), frame[order].to_numpy(float), 3
    if name in ("parallel", "serial"):
        frame = pd.read_csv(HERE / "mediation_media.csv")
        middle = ["pmi", "importance"] if name == "parallel" else ["importance", "pmi"]
        return (
            PathModel(n_mediators=2, serial=name == "serial"),
            frame[["reaction", "cond", *middle]].to_numpy(float),
            0,
        )
    frame = pd.read_csv(HERE / "mediation_protest.csv")
    w = frame["sexism"]
    values = tuple((np.array([-1, 0, 1]) * w.std()).tolist())
    model = PathModel(n_mediators=1, moderated=frozenset(NAMES[c] for c in STRETCHES[int(name)]), values=values)
    y, x, m, w = (frame[k] - frame[k].mean() for k in ("liking", "prot2", "respappr", "sexism"))
    known = {OUTCOME: y, DRIVER: x, mediator(0): m, "moderator": w, PRODUCT: x * w, moderated_mediator(0): m * w}
    return model, np.column_stack([known[each] for each in model.columns]), 0


def test_every_resample_equals_that_of_r():
    order = ["simple", "parallel", "serial", *map(str, STRETCHES)]
    sizes = {"simple": 899, "parallel": 123, "serial": 123}
    state = 12345
    for name in order:
        model, columns, n_controls = r_columns(name)
        case = R["cases"][name]
        counts, state = next(drawn(sizes.get(name, 129), len(case["draws"]), state))
        effects = path_effects(model, columns, n_controls=n_controls)
        np.testing.assert_allclose(effects(np.ones((1, len(columns))))[0], case["estimate"], **SAME)
        draws = effects(counts)
        np.testing.assert_allclose(draws, case["draws"], **SAME)
        if "percentile" in case:
            np.testing.assert_allclose(np.quantile(draws, [0.025, 0.975], axis=0), case["percentile"], **SAME)


def test_sensitivity_agrees_with_the_formulas_in_r():
    model, columns, _ = r_columns("simple")
    scaled = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    ones = np.column_stack([np.ones(899), scaled])
    products = residual_products((ones.T @ ones)[None], 3)
    case = R["sensitivity"]
    assert critical_correlation(products).item() == pytest.approx(case["rho"], abs=1e-10)  # as above
    unit = columns.std(axis=0)[0] / columns.std(axis=0)[1]
    found = confounded_effect(products, np.array(case["at"]))[0] * unit
    np.testing.assert_allclose(found, case["acme"], **SAME)


def test_a_planted_confounder_is_undone_at_its_rho():
    rng = np.random.default_rng(12)
    n, rho = 200_000, 0.4
    x, e, u = rng.normal(size=(3, n))
    m = 0.5 * x + e
    y = 0.2 * x + 0.3 * m + rho * e + np.sqrt(1 - rho**2) * u  # errors correlate by 0.4
    columns = np.column_stack([y, x, m])
    scaled = np.column_stack([np.ones(n), (columns - columns.mean(axis=0)) / columns.std(axis=0)])
    products = residual_products((scaled.T @ scaled)[None], 0)
    unit = columns.std(axis=0)[0] / columns.std(axis=0)[1]
    naive, right = confounded_effect(products, np.array([0.0, rho]))[0] * unit
    assert naive == pytest.approx(0.5 * 0.7, abs=0.01)  # three errors at n = 200,000
    assert right == pytest.approx(0.5 * 0.3, abs=0.01)  # as above


def test_intervals_of_indirect_effects_cover():
    covered = rejected = 0
    rng = np.random.default_rng(77)
    with one_thread():
        for _ in range(300):
            x, e, f = rng.normal(size=(3, 100))
            m = 0.4 * x + e
            columns = np.column_stack([0.3 * m + f, x, m])
            low, high = bootstrap_paths(MODELS["one"], columns, n_controls=0, n_boot=400, seed=1).interval()
            covered += low[2] <= 0.12 <= high[2]
            columns = np.column_stack([f, x, e])
            low, high = bootstrap_paths(MODELS["one"], columns, n_controls=0, n_boot=400, seed=1).interval()
            rejected += not low[2] <= 0 <= high[2]
    assert 0.905 <= covered / 300 <= 0.985  # 0.95, three binomial errors of 0.0126 and 400 resamples
    assert rejected / 300 <= 0.02  # with both paths zero the test is known to be far below 5 %
