"""Which numbers to hide so that no hidden one follows: algorithms on arrays of counts and on sets of people.

The law of this module: from the shown cells and the sums readers know, nobody learns more about a hidden small count
than the word "hidden" says, that is 1 to min_n - 1; and no sums of released sets of people leave fewer than min_n.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, hstack
from scipy.sparse.csgraph import connected_components

from smstudy.errors import DisclosureError

CLOSE = 1e-6  # slack of the solver, far below one person


def hidden_rows(
    counts: np.ndarray, min_n: int, *, total_known: bool = True, hidden: np.ndarray | None = None
) -> np.ndarray:
    """Choose the rows to hide, shape (n groups,), for counts of shape (n groups, k columns) with known column sums.

    >>> hidden_rows(np.array([[20], [3], [8]]), 5)
    array([False,  True,  True])
    """
    counts = np.nan_to_num(counts)
    small = (counts > 0) & (counts < min_n)
    hidden = small.any(axis=1) | (False if hidden is None else hidden)
    size = np.where(counts > 0, counts, np.inf).min(axis=1, initial=np.inf)
    while total_known and hidden.any() and not hidden.all() and not _safe(counts[hidden], min_n):
        candidates = np.where(hidden, np.inf, size)
        if not np.isfinite(candidates).any():
            return np.ones(len(hidden), dtype=bool)
        hidden[np.argmin(candidates)] = True
    return hidden


def _safe(counts: np.ndarray, min_n: int) -> bool:
    """Say whether hidden counts with known sums (one per column) leave each of them open from 1 to min_n - 1."""
    people = counts > 0
    some = people.sum(axis=0)
    return len(counts) > 1 and bool(np.all((some == 0) | ((some > 1) & (counts.sum(axis=0) >= min_n + some - 2))))


def hide_cells(
    values: np.ndarray, equations: np.ndarray | csr_array, min_n: int, *, hidden: np.ndarray, last: np.ndarray,
    least: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Choose cells to hide so that no small count can be narrowed down by linear equations readers know.

    Parameters
    ----------
    values : array, shape (n,)
        Counts of people; those from 1 to min_n - 1 are hidden first.
    equations : array or sparse array, shape (m, n)
        Coefficients of the sums readers know; what each adds up to is taken from the values.
    min_n : int
        Smallest count that may be shown.
    hidden : array of bool, shape (n,)
        Cells that are hidden anyway, above all those of 0, which would else tell that the hidden ones are not empty.
    last : array of bool, shape (n,)
        Totals: hidden only if nothing else helps, and known not to be empty.
    least : array, shape (n,), optional
        What readers know each cell to be at least; 1 for totals and 0 for others if left out. No hiding can make a
        cell less than that.

    Returns
    -------
    array of bool, shape (n,)

    Raises
    ------
    DisclosureError
        If no choice is safe.

    Notes
    -----
    Each line is first given enough hidden cells by itself. Then linear programs look for points a reader cannot rule
    out, many cells at a time: a cell is safe once one point has it at 1 or less and one at min_n - 1 or more. Hiding
    more never makes a safe cell unsafe, so points are never looked for twice.

    References
    ----------
    Fischetti & Salazar (2001), Management Science 47, 1008-1027, for the attacker's linear programs.
    """
    lines = csr_array(equations, dtype=float)
    small = (values > 0) & (values < min_n)
    hidden = _fill_lines(values, lines, min_n, small, small | hidden, last)
    least = last.astype(float) if least is None else least
    todo = {sign: np.flatnonzero(small) for sign in (1, -1)}
    while any(map(len, todo.values())):
        for sign, ends in ((1, np.full(len(values), min_n - 1.0)), (-1, np.maximum(least, 1))):
            todo[sign] = unreached(todo[sign], ends, sign, values, lines, hidden, least)
        _hide_beside(np.union1d(todo[1], todo[-1]), values, lines, hidden, last)
    return hidden


def covers(bounds: tuple[float, float], min_n: int) -> bool:
    """Say whether every count from 1 to min_n - 1 lies within the bounds."""
    return bounds[0] <= 1 and bounds[1] >= min_n - 1


def possible_values(
    cell: int, values: np.ndarray, equations: np.ndarray, hidden: np.ndarray, *, least: np.ndarray
) -> tuple[float, float]:
    """Find the least and the greatest whole number a hidden cell could be, given the shown cells and the sums.

    `least`, shape (n,), says what a reader knows each hidden cell to be at least.
    """
    free, rest = _free_system(values, csr_array(equations, dtype=float), hidden)
    target = (np.flatnonzero(hidden) == cell).astype(float)
    if not len((free @ target).nonzero()[0]):
        return float(least[cell]), np.inf
    limits = [(floor, None) for floor in least[hidden]]
    ends = []
    for sign in (1, -1):
        found = linprog(sign * target, A_eq=free, b_eq=rest, bounds=limits)
        ends.append(np.inf if found.status == 3 else sign * found.fun)
    return float(np.ceil(ends[0] - CLOSE)), float(np.floor(ends[1] + CLOSE))


def unreached(
    cells: np.ndarray, ends: np.ndarray, sign: int, values: np.ndarray, lines: csr_array, hidden: np.ndarray,
    least: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Of hidden cells, give those that a reader knows to be below their end (sign 1) or above it (sign -1)."""
    left = cells[sign * values[cells] < sign * ends[cells]]
    wanted = left
    while len(wanted):
        point = _far_point(wanted, ends, sign, values, lines, hidden, least)
        reached = sign * point[wanted] >= sign * ends[wanted] - CLOSE
        left = left[sign * point[left] < sign * ends[left] - CLOSE]
        if not reached.any() and len(wanted) == 1:
            wanted = wanted[:0]
        else:
            wanted = wanted[~reached] if reached.any() else wanted[:1]
    return left


def _far_point(
    cells: np.ndarray, ends: np.ndarray, sign: int, values: np.ndarray, lines: csr_array, hidden: np.ndarray,
    least: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Find counts readers cannot rule out in which as many cells as possible come near their ends; shape (n,)."""
    free, rest = _free_system(values, lines, hidden)
    places = np.searchsorted(np.flatnonzero(hidden), cells)
    n, k = free.shape[1], len(cells)
    picked = csr_array((np.ones(k), (np.arange(k), places)), shape=(k, n))
    found = linprog(
        np.concatenate([np.zeros(n), np.ones(k)]),
        A_eq=hstack([free, csr_array((free.shape[0], k))]),
        b_eq=rest,
        A_ub=hstack([-sign * picked, -eye_array(k)]),
        b_ub=-sign * ends[cells],
        bounds=np.column_stack([np.concatenate([least[hidden], np.zeros(k)]), np.full(n + k, np.inf)]),
    )
    point = values.astype(float)
    point[hidden] = found.x[:n]
    return point


def _free_system(values: np.ndarray, lines: csr_array, hidden: np.ndarray) -> tuple[csr_array, np.ndarray]:
    """The sums over hidden cells only, and what each adds up to."""
    free = lines[:, np.flatnonzero(hidden)]
    used = np.flatnonzero(np.diff(free.indptr))
    return free[used], (lines @ (values * hidden))[used]


def _fill_lines(
    values: np.ndarray, lines: csr_array, min_n: int, small: np.ndarray, hidden: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Hide further cells of each sum until the sum alone leaves its small cells open from 1 to min_n - 1."""
    hidden = hidden.copy()
    for _, parts in _line_cells(lines):
        parts = parts[~last[parts]]
        while np.any(small[parts]) and values[parts][hidden[parts]].sum() < min_n - 1:
            shown = parts[~hidden[parts] & (values[parts] > 0)]
            if not len(shown):
                break
            hidden[_best(shown, values, lines, hidden)] = True
    return hidden


def _line_cells(lines: csr_array) -> Iterator[tuple[int, np.ndarray]]:
    for line, (start, stop) in enumerate(zip(lines.indptr, lines.indptr[1:])):
        yield line, lines.indices[start:stop]


def _hide_beside(cells: np.ndarray, values: np.ndarray, lines: csr_array, hidden: np.ndarray, last: np.ndarray) -> None:
    """Mark one more cell as hidden for each cell still narrowed; cells of one sum share it."""
    touched = np.zeros(lines.shape[0], dtype=bool)
    columns = lines.tocsc()
    for cell in cells:
        own = columns.indices[columns.indptr[cell] : columns.indptr[cell + 1]]
        if not touched[own].any():
            hidden[_next_cell(own, values, lines, hidden, last)] = True
            touched[own] = True


def _next_cell(own: np.ndarray, values: np.ndarray, lines: csr_array, hidden: np.ndarray, last: np.ndarray) -> int:
    """Choose a shown cell: in one of the own sums, else in a sum of any hidden cell; cells marked last come last."""
    near = np.zeros(len(values), dtype=bool)
    near[lines[own].indices] = True
    linked = np.zeros(len(values), dtype=bool)
    linked[lines[np.flatnonzero(abs(lines) @ hidden.astype(float))].indices] = True
    for choice in (near & ~last, linked & ~last, near & last, linked & last):
        places = np.flatnonzero(choice & ~hidden & (values > 0))
        if len(places):
            return _best(places, values, lines, hidden)
    raise DisclosureError(
        "This table cannot be shown: whatever is hidden, a count of a small group follows from the totals. "
        "Combine groups, or leave the table out."
    )


def _best(places: np.ndarray, values: np.ndarray, lines: csr_array, hidden: np.ndarray) -> int:
    """Choose the cell with the fewest sums in which nothing is hidden yet, of these the smallest."""
    open_lines = (abs(lines) @ hidden.astype(float) == 0).astype(float)
    alone = open_lines @ abs(lines[:, places])
    return int(places[np.lexsort([values[places], alone])[0]])


def small_differences(inside: np.ndarray, min_n: int) -> list[np.ndarray]:
    """Find the groups of 1 to min_n - 1 people about whom sums over released sets say something.

    Somebody who knows the sums of a variable over all released sets can add and subtract them. A weighted sum in which
    only a few people are left tells about these few.

    Parameters
    ----------
    inside : array of bool, shape (s sets, n people)
        Who is in which released set.
    min_n : int
        Smallest number of people about whom something may be said.

    Returns
    -------
    list of array
        The places of the people of each smallest such group; empty if there is none.

    Examples
    --------
    >>> everybody = np.arange(20) < 20
    >>> small_differences(np.array([everybody, np.arange(20) < 17]), 5)
    [array([17, 18, 19])]
    """
    inside = np.asarray(inside, dtype=bool)
    _, first, part = np.unique(np.packbits(inside, axis=0), axis=1, return_index=True, return_inverse=True)
    shape = inside[:, first]
    sizes = np.where(shape.any(axis=0), np.bincount(part, minlength=shape.shape[1]), min_n)
    if not (sizes < min_n).any():
        return []
    shape = _independent(shape[np.argsort(inside.sum(axis=1), kind="stable")].astype(float))
    found = []
    for columns in _blocks(shape):
        for few in _dependent(null_space(shape[:, columns]), sizes[columns], min_n):
            found.append(np.flatnonzero(np.isin(part, columns[list(few)])))
    return found


def _independent(shape: np.ndarray) -> np.ndarray:
    """Leave out the rows that follow from those before them."""
    kept, base = [], np.zeros((0, shape.shape[1]))
    for place, row in enumerate(shape):
        rest = row - (base @ row) @ base
        rest -= (base @ rest) @ base
        if np.linalg.norm(rest) > CLOSE:
            kept.append(place)
            base = np.vstack([base, rest / np.linalg.norm(rest)])
    return shape[kept]


def _blocks(shape: np.ndarray) -> list[np.ndarray]:
    """Sort the columns into blocks that share no row."""
    n, found = connected_components(csr_array(shape.T @ shape))
    return [np.flatnonzero(found == place) for place in range(n)]


def _dependent(free: np.ndarray, sizes: np.ndarray, min_n: int) -> list[tuple[int, ...]]:
    """Smallest sets of parts with fewer than min_n people on which a combination of the known sums can rest.

    A vector lies in the space of the known sums if it is orthogonal to all that is free; one that rests on a few parts
    exists where their rows of the free space are linearly dependent.
    """
    small = np.flatnonzero(sizes < min_n).tolist()
    found: list[tuple[int, ...]] = []
    for r in range(1, min_n):
        small = [place for place in small if (place,) not in found]
        for chosen in combinations(small, r):
            skip = sizes[list(chosen)].sum() >= min_n or any(set(one) <= set(chosen) for one in found)
            if not skip and (not free.size or np.linalg.matrix_rank(free[list(chosen)], tol=CLOSE) < r):
                found.append(chosen)
    return found
