"""Algorithms of suppression against a reader who solves for what is hidden, written apart from the package."""

import itertools
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from smstudy.errors import DataError, DisclosureError
from smstudy.privacy import Privacy
from smstudy.survey.disclosure import protect_hierarchy, protect_two_way
from smstudy.survey.suppression import hidden_rows, possible_values, small_differences

REFERENCE = Path(__file__).parents[1] / "reference"
SOLVER = 1e-6  # tolerance of the linear-programming solver, far below one person
TABLES = st.lists(st.lists(st.integers(0, 14), min_size=3, max_size=3), min_size=2, max_size=4)
PEOPLE = st.sets(st.integers(0, 15), min_size=1)


def solve(lines, shown, place, sign, floor=0):
    """The least (sign 1) or greatest (-1) value of a cell, given lines (parts, total) over named cells."""
    cells = list(shown)
    equations = np.zeros((len(lines), len(cells)))
    for i, (parts, total) in enumerate(lines):
        for part in parts:
            equations[i, cells.index(part)] = 1
        equations[i, cells.index(total)] = -1
    bounds = [(floor, None) if np.isnan(shown[cell]) else (shown[cell], shown[cell]) for cell in cells]
    target = [float(sign) * (cell == place) for cell in cells]
    found = linprog(target, A_eq=equations, b_eq=np.zeros(len(lines)), bounds=bounds)
    return sign * np.inf * -1 if found.status == 3 else sign * found.fun


def cells_of(frame):
    return {(row, column): frame.loc[row, column] for row in frame.index for column in frame.columns}


def lines_of(frame, families):
    """Sums over columns for every row, and over the members of every family for every column."""
    inner = [column for column in frame.columns if column != "all"]
    across = [([(row, column) for column in inner], (row, "all")) for row in frame.index]
    down = [
        ([(member, column) for member in members], (unit, column))
        for unit, members in families.items()
        for column in frame.columns
    ]
    return across + down


def check(true, shown, families):
    counts, visible = cells_of(true), cells_of(shown)
    lines = lines_of(true, families)
    for place, n in counts.items():
        if 0 < n < 5:
            assert np.isnan(visible[place])
            assert solve(lines, visible, place, 1) <= 1 + SOLVER
            assert solve(lines, visible, place, -1) >= 4 - SOLVER
        elif not np.isnan(visible[place]):
            assert visible[place] == n


def with_totals(table, parents=None):
    full = table.astype(float)
    families = {}
    for row in table.index:
        families.setdefault((parents or {}).get(row, "all"), []).append(row)
    for unit in [unit for unit in families if unit != "all"]:
        full.loc[unit] = table.loc[families[unit]].sum()
        families.setdefault("all", []).append(unit)
    full.loc["all"] = table.sum()
    return full.assign(all=full.sum(axis=1)), families


@settings(max_examples=25, deadline=None)
@given(TABLES)
def test_a_reader_with_a_linear_program_cannot_narrow_a_small_cell(rows):
    table = pd.DataFrame(rows, columns=list("xyz"), index=[f"r{i}" for i in range(len(rows))])
    try:
        shown = protect_two_way(table, privacy=Privacy()).table
    except DisclosureError:
        assert table.to_numpy().sum() < 100  # only small tables have no safe choice
        return
    true, families = with_totals(table)
    check(true, shown.loc[true.index], families)


@pytest.mark.parametrize("seed", range(6))
def test_teams_within_departments_cannot_be_narrowed(seed):
    rng = np.random.default_rng(seed)
    teams = [f"team {i}" for i in range(8)]
    parents = {team: f"dept {i // 3}" for i, team in enumerate(teams)}
    table = pd.DataFrame(rng.poisson(6, size=(8, 3)), index=teams, columns=list("xyz"))
    shown = protect_two_way(table, privacy=Privacy(), parents=parents).table
    true, families = with_totals(table, parents)
    check(true, shown.loc[true.index], families)


def test_a_bridge_between_two_circles_of_hidden_cells_is_seen():
    table = pd.DataFrame([[2, 3, 40, 40], [3, 2, 4, 40], [40, 40, 2, 3], [40, 40, 3, 2]], columns=list("wxyz"))
    table.index = list("abcd")
    shown = protect_two_way(table, privacy=Privacy()).table
    true, families = with_totals(table)
    check(true, shown, families)  # two hidden cells in each line are not enough here


def test_a_sum_narrows_a_cell_that_stands_with_one_other():
    values, equations = np.array([3.0, 2, 5]), np.array([[1.0, 1, -1]])
    hidden = np.array([True, True, False])
    assert possible_values(0, values, equations, hidden, least=np.zeros(3)) == (0, 5)
    assert possible_values(0, values, equations, hidden, least=np.ones(3)) == (1, 4)


def test_fewer_respondents_than_the_threshold_cannot_be_crossed():
    with pytest.raises(DisclosureError, match="Fewer than 5 respondents"):
        protect_two_way(pd.DataFrame({"x": [1, 1], "y": [1, 0]}), privacy=Privacy())


def test_a_table_in_which_nothing_is_small_is_shown_whole():
    table = pd.DataFrame({"x": [5, 6], "y": [7, 0]}, index=["a", "b"])
    assert protect_two_way(table.assign(y=[7, 9]), privacy=Privacy()).table.notna().all(axis=None)


def test_fifty_rows_by_twenty_columns_take_a_moment():
    rng = np.random.default_rng(2)
    means = 8 * rng.lognormal(0, 1, (50, 1)) * rng.lognormal(0, 0.5, (1, 20))
    table = pd.DataFrame(rng.poisson(means), index=[f"r{i}" for i in range(50)], columns=[f"c{i}" for i in range(20)])
    start = time.perf_counter()
    shown = protect_two_way(table, privacy=Privacy()).table
    assert time.perf_counter() - start < 5  # about 0.1 s on one core; a shared machine may be many times slower
    counts = table.to_numpy()
    hidden = shown.to_numpy()[:-1, :-1][(counts > 0) & (counts < 5)]
    assert np.isnan(hidden).all()
    extra = np.isnan(shown.to_numpy()).sum() - (counts < 5).sum()
    assert extra < 0.1 * (counts < 5).sum()  # little more is hidden than must be


def test_bfi_by_gender_education_and_age_has_the_small_cells_that_r_counts():
    expected = json.loads((REFERENCE / "disclosure.json").read_text(encoding="utf-8"))
    cells = pd.read_csv(REFERENCE / "disclosure.csv")
    people = cells["Freq"].to_numpy()
    assert (people > 0).sum() == expected["cells"] == 72
    assert [int(people[people < k].sum()) for k in expected["k"]] == expected["people_below"] == [5, 17, 38, 109]
    cells["team"] = cells["gender"].astype(str) + " / " + cells["education"]
    table = cells.pivot_table(index="team", columns="band", values="Freq", aggfunc="sum")
    parents = {team: team.partition(" / ")[0] for team in table.index}
    shown = protect_two_way(table, privacy=Privacy(), parents=parents).table
    true, families = with_totals(table, parents)
    check(true, shown.loc[true.index, true.columns], families)


def test_units_that_do_not_add_up_are_refused():
    table = pd.DataFrame({"group": ["all", "a", "b"], "unit": [None, "all", "all"], "n": [30, 9, 20]})
    with pytest.raises(DataError, match="do not add up"):
        protect_hierarchy(table, group="group", parent="unit", counts=["n"], numbers=[], privacy=Privacy())


def test_a_unit_without_a_row_is_named():
    table = pd.DataFrame({"group": ["all", "a"], "unit": [None, "al"], "n": [9, 9]})
    with pytest.raises(DataError, match='Did you mean "all"'):
        protect_hierarchy(table, group="group", parent="unit", counts=["n"], numbers=[], privacy=Privacy())


def hierarchy(seed):
    """Divisions of departments of teams with sizes, as rows of one table, and who belongs to whom."""
    rng = np.random.default_rng(seed)
    rows, families = [], {}
    for d in range(3):
        for e in range(rng.integers(1, 4)):
            for t in range(rng.integers(1, 5)):
                rows.append((f"t{d}{e}{t}", f"e{d}{e}", int(rng.integers(0, 14)), int(rng.integers(0, 9))))
    teams = pd.DataFrame(rows, columns=["group", "unit", "n", "m"])
    departments = teams.groupby("unit")[["n", "m"]].sum().reset_index(names="group")
    departments["unit"] = "d" + departments["group"].str[1]
    divisions = departments.groupby("unit")[["n", "m"]].sum().reset_index(names="group").assign(unit="all")
    top = pd.DataFrame([{"group": "all", "unit": None, "n": teams["n"].sum(), "m": teams["m"].sum()}])
    table = pd.concat([top, divisions, departments, teams], ignore_index=True)
    for group, unit in zip(table["group"], table["unit"].fillna("")):
        families.setdefault(unit, []).append(group)
    families.pop("")
    return table, families


@pytest.mark.parametrize("seed", range(8))
def test_no_small_group_follows_from_three_levels_above_it(seed):
    table, families = hierarchy(seed)
    shown = protect_hierarchy(table, group="group", parent="unit", counts=["n", "m"], numbers=[], privacy=Privacy())
    hidden = shown.table.get("hidden", pd.Series(False, index=table.index))
    for count in ("n", "m"):
        visible = dict(zip(table["group"], shown.table[count].astype(float)))
        lines = [(parts, unit) for unit, parts in families.items()]
        floor = int((table.loc[hidden, count] > 0).all())  # an empty team is shown as empty, so a hidden one is not
        for group, n in zip(table["group"], table[count]):
            if 0 < n < 5:
                assert np.isnan(visible[group])
                filled = sum(m > 0 and g in families.get(group, ()) for g, m in zip(table["group"], table[count]))
                assert solve(lines, visible, group, 1, floor) <= max(1, filled) + SOLVER
                assert solve(lines, visible, group, -1, floor) >= 4 - SOLVER
    assert shown.table.loc[hidden, ["n", "m"]].isna().all(axis=None)


def in_span(sets, few):
    """Whether a combination of the sums over the sets rests on these few alone, by brute force."""
    people = sorted(set().union(*sets))
    shape = np.array([[person in one for person in people] for one in sets], dtype=float)
    outside = shape[:, [person not in few for person in people]]
    return np.linalg.matrix_rank(shape) > np.linalg.matrix_rank(outside)


@settings(max_examples=40, deadline=None)
@given(st.lists(PEOPLE, min_size=1, max_size=5))
def test_small_differences_are_those_a_reader_finds_by_trying_all(sets):
    everybody = sorted(set().union(*sets))
    inside = np.array([[person in one for person in everybody] for one in sets])
    found = [{everybody[place] for place in few} for few in small_differences(inside, 4)]
    for r in range(1, 4):
        for few in itertools.combinations(everybody, r):
            told = any(one <= set(few) for one in found)
            assert told == in_span(sets, set(few)), few


def test_differences_are_found_over_several_steps():
    a, b, c, late = (np.digitize(np.arange(35), [10, 20, 33]) == i for i in range(4))
    assert small_differences(np.array([a, b | c]), 5) == []
    assert [few.tolist() for few in small_differences(np.array([a, b | c, b, c | late]), 5)] == [[33, 34]]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.integers(5, 9))
def test_a_higher_threshold_never_opens_the_smallest_groups(counts, min_n):
    column = np.array(counts)[:, None]
    small = (column[:, 0] > 0) & (column[:, 0] < min_n)
    assert hidden_rows(column, min_n)[small].all()
