"""Laws of suppression, each checked against a reader who solves for what is hidden."""

import itertools
import time
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from smstudy.errors import DataError, DisclosureError
from smstudy.privacy import Privacy
from smstudy.survey.disclosure import (
    hidden_rows,
    list_suppressed,
    pool_small,
    protect,
    protect_change,
    protect_two_way,
    scan_file,
    scan_text,
)

COUNTS = st.lists(st.integers(0, 30), min_size=1, max_size=8)
TABLES = st.lists(st.lists(st.integers(0, 14), min_size=3, max_size=3), min_size=2, max_size=4)


def protected(counts, **options):
    table = pd.DataFrame({"group": [f"g{i}" for i in range(len(counts))], "n": counts, "mean": 3.0})
    return protect(table, group="group", counts=["n"], numbers=["mean"], privacy=Privacy(), **options)


@given(COUNTS)
def test_a_reader_who_knows_the_total_cannot_narrow_a_small_count(counts):
    counts = np.array(counts)
    hidden = hidden_rows(counts[:, None], 5)
    if hidden.all() or not hidden.any():
        return
    total, others = counts[hidden].sum(), hidden.sum() - 1
    for place in np.flatnonzero((counts > 0) & (counts < 5)):
        assert hidden[place]
        assert others >= 1 and total - others >= 4  # each hidden group has 1 or more, so a group has up to the rest


@given(COUNTS)
def test_hidden_numbers_are_blank_and_shown_numbers_unchanged(counts):
    shown, _ = protected(counts)
    hidden = shown.get("hidden", pd.Series(False, index=shown.index))
    assert shown.loc[hidden, ["n", "mean"]].isna().all(axis=None)
    assert (shown.loc[~hidden, "n"] == np.array(counts)[~hidden]).all()


@given(COUNTS)
def test_protecting_is_monotone_when_the_total_is_unknown(counts):
    column = np.array(counts)[:, None]
    assert (hidden_rows(column, 5) >= hidden_rows(column, 5, total_known=False)).all()


def test_the_input_table_is_not_changed():
    table = pd.DataFrame({"group": ["a", "b"], "n": [9, 2]})
    protect(table, group="group", counts=["n"], numbers=[], privacy=Privacy())
    assert table["n"].tolist() == [9, 2] and "hidden" not in table


def test_a_group_that_was_hidden_before_stays_hidden():
    table = pd.DataFrame({"group": ["a", "b", "c"], "n": [9.0, 20, 30], "hidden": [True, False, False]})
    shown, _ = protect(table, group="group", counts=["n"], numbers=[], privacy=Privacy())
    assert shown["hidden"].tolist()[0]


def test_a_group_small_in_one_wave_is_hidden_in_both():
    now = pd.DataFrame({"group": ["a", "b", "c"], "n": [9, 20, 30]})
    then = pd.DataFrame({"group": ["a", "b", "d"], "n": [3, 20, 30]})
    one, other = protect_change(now, then, group="group", counts=["n"], numbers=[], privacy=Privacy())
    for shown in (one.table, other.table):
        assert shown.loc[shown["group"] == "a", "hidden"].all()
        assert shown["hidden"].sum() >= 2
    assert one.table.set_index("group")["hidden"]["b"] == other.table.set_index("group")["hidden"]["b"]


def solve(table, shown, place, sign, floor):
    """The least (sign 1) or greatest (-1) value of a cell, by a linear programme written apart from the package."""
    rows, columns = shown.shape
    cells = list(itertools.product(range(rows), range(columns)))
    equations = np.zeros((rows + columns, len(cells)))
    for column, (i, j) in enumerate(cells):
        equations[i, column] = -1 if j == columns - 1 else 1
        equations[rows + j, column] = -1 if i == rows - 1 else 1
    bounds = [
        (floor, None) if np.isnan(shown[cell]) else (shown[cell], shown[cell]) for cell in cells
    ]
    target = [float(sign) * (cell == place) for cell in cells]
    return sign * linprog(target, A_eq=equations, b_eq=np.zeros(rows + columns), bounds=bounds).fun


@settings(max_examples=25, deadline=None)
@given(TABLES)
def test_a_reader_with_a_linear_programme_cannot_narrow_a_small_cell(rows):
    table = pd.DataFrame(rows, columns=list("xyz"))
    try:
        shown = protect_two_way(table, privacy=Privacy()).table.to_numpy()
    except DisclosureError:
        assert table.to_numpy().sum() < 100  # only small tables have no safe choice
        return
    counts = np.pad(table.to_numpy(), ((0, 1), (0, 1)))
    counts[:-1, -1], counts[-1, :-1], counts[-1, -1] = table.sum(axis=1), table.sum(), table.to_numpy().sum()
    for place in zip(*np.nonzero((counts > 0) & (counts < 5)), strict=True):
        assert np.isnan(shown[place])
        assert solve(counts, shown, place, 1, 0) <= 1 + 1e-6  # solver tolerance
        assert solve(counts, shown, place, -1, 0) >= 4 - 1e-6  # solver tolerance
    visible = ~np.isnan(shown)
    assert (shown[visible] == counts[visible]).all()


def test_a_bridge_between_two_circles_of_hidden_cells_is_seen():
    table = pd.DataFrame(
        [[2, 3, 40, 40], [3, 2, 4, 40], [40, 40, 2, 3], [40, 40, 3, 2]], columns=list("wxyz")
    )
    shown = protect_two_way(table, privacy=Privacy()).table.to_numpy()
    assert solve(None, shown, (1, 2), -1, 0) - solve(None, shown, (1, 2), 1, 0) >= 3  # two per line is not enough here


def test_fewer_respondents_than_the_threshold_cannot_be_crossed():
    with pytest.raises(DisclosureError, match="Combine groups"):
        protect_two_way(pd.DataFrame({"x": [1, 1], "y": [1, 0]}), privacy=Privacy())


def test_pooling_leaves_no_small_group_and_loses_nobody():
    groups = pd.Series(["a"] * 20 + ["b"] * 2 + ["c"] * 7 + ["d"] * 30 + [None])
    pooled, findings = pool_small(groups, 5)
    assert pooled.value_counts().to_dict() == {"a": 20, "d": 30, "(small groups)": 9}
    assert pooled.isna().sum() == 1 and findings[0].name == "small_groups_pooled"


def test_pooling_changes_nothing_when_all_groups_are_large():
    groups = pd.Series(["a"] * 20 + ["b"] * 5)
    assert pool_small(groups, 5)[0].equals(groups) and pool_small(groups, 5)[1] == ()


def test_what_is_listed_as_suppressed_has_no_numbers_of_people():
    shown, _ = protected([20, 3, 8])
    listed = list_suppressed(shown, group="group", min_n=5)
    assert [entry.where for entry in listed] == ["g1", "g2"]
    assert len({entry.reason for entry in listed}) == 1


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match='Did you mean "group"'):
        protect(pd.DataFrame({"group": []}), group="groop", counts=[], numbers=[], privacy=Privacy())


@pytest.mark.parametrize(
    "text",
    [
        "write to jo.doe+x@mail.example.co.uk today",
        "<a>10.1.22.203</a>",
        "from 2001:0db8:85a3:0000:0000:8a2e:0370:7334 at noon",
        "id R_3kTq9ZpLw1 in a line",
        "She said: my boss, Ann &amp; her deputy, shout at us.",
        '"my boss, Ann \\u0026 her deputy,\\nshout at us"',
        "MY BOSS ANN & HER DEPUTY shout at us",
        "staff number 0048213.",
        "<td>AB-1234-X</td>",
    ],
)
def test_what_identifies_people_is_found_and_not_repeated(text):
    forbidden = ["R_3kTq9ZpLw1", "my boss, Ann & her deputy, shout at us", "0048213", "AB-1234-X"]
    found = scan_text(text, forbidden)
    assert len(found) == 1
    assert not any(word in found[0] for word in ["example", "10.1", "2001", "R_3k", "boss", "0048", "1234"])


@pytest.mark.parametrize(
    "text",
    [
        "version 3.11.4 of python, scipy 1.17.1, at 12:30:45",
        "@media print { td::before { content: '' } }",
        "10.0048213 and 0.0048213 and 1004821399",
        "R_3kTq9ZpLw12 is another one",
        "listening on 127.0.0.1",
        'src="data:image/png;base64,' + "Rk9P/0048213/" * 3 + '"',
        "",
    ],
)
def test_ordinary_text_is_not_taken_for_people(text):
    assert scan_text(text, ["R_3kTq9ZpLw1", "0048213", "12", "", "a"]) == []


def test_the_contact_of_a_study_may_be_published():
    assert scan_text("Ask study@example.org", allowed=["Study@example.org"]) == []


def test_megabytes_are_scanned_in_a_moment():
    text = " ".join(f"<td class='n'>{i * 7919 % 10007}.{i % 97}</td>" for i in range(200_000))
    forbidden = [f"R_{i:012d}" for i in range(5000)] + [f"comment number {i} about leaders" for i in range(5000)]
    start = time.perf_counter()
    assert scan_text(text, forbidden) == []
    assert time.perf_counter() - start < 8  # about 1.5 s on one core; a shared machine may be several times slower


def test_word_files_are_opened_and_pictures_are_not(tmp_path):
    with zipfile.ZipFile(tmp_path / "table.docx", "w") as archive:
        archive.writestr("word/document.xml", "<w:t>jo@example.org</w:t>")
        archive.writestr("word/media/image1.png", b"jo@example.org")
    (tmp_path / "figure.png").write_bytes(b"jo@example.org")
    assert scan_file(tmp_path / "table.docx") == ["1 e-mail address in word/document.xml"]
    assert scan_file(tmp_path / "figure.png") == []
