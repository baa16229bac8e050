"""Factor models as matrices: what parameters they have, the moments they imply, and how these move with them.

A model says, in every group g, y = nu + Lambda eta + epsilon and eta = alpha + B eta + zeta, with covariances Theta of
epsilon and Psi of zeta (the all-y model of LISREL). Thresholds cut ordinal answers out of y.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Matrix = Literal[
    "loadings", "regressions", "factor_covariances", "residuals", "intercepts", "factor_means", "thresholds"
]

FIXED = -1
SYMMETRIC = frozenset({"factor_covariances", "residuals"})


class Moments(NamedTuple):
    """Moments that a model implies: covariances, shape (g, p, p), and means, shape (g, p)."""

    covariances: Floats
    means: Floats


@dataclass(frozen=True)
class Structure:
    """The cells of a factor model: fixed values, and free parameters that may stand in several cells.

    Attributes
    ----------
    items, factors : tuple of str, lengths p and m
        Names of observed variables and of factors; the order of rows and columns.
    values : mapping of str to ndarray, shape (g, rows, columns)
        For every matrix the value of its fixed cells; what stands in a free cell is where the search begins.
    places : mapping of str to ndarray of int, shape (g, rows, columns)
        Number of the free parameter in each cell, `FIXED` for none. Equal numbers are equal parameters. Symmetric
        matrices are filled on both sides.
    """

    items: tuple[str, ...]
    factors: tuple[str, ...]
    values: Mapping[str, Floats]
    places: Mapping[str, Places]

    @property
    def n_groups(self) -> int:
        """Groups of respondents."""
        return len(self.values["loadings"])

    @property
    def n_parameters(self) -> int:
        """Different free parameters."""
        return 1 + max(int(places.max(initial=FIXED)) for places in self.places.values())

    def start(self) -> Floats:
        """Where the search begins, shape (q,): the mean over the cells of each parameter."""
        sums, cells = np.zeros(self.n_parameters), np.zeros(self.n_parameters)
        for name, places in self.places.items():
            free = places != FIXED
            np.add.at(sums, places[free], self.values[name][free])
            np.add.at(cells, places[free], 1)
        return sums / cells

    def at(self, parameters: Floats) -> dict[str, Floats]:
        """Every matrix at some values of the parameters, shape (q,), real or complex."""
        cells = dict(self.values)
        for name, free in self._everywhere.items():
            cells[name] = self.values[name].astype(np.result_type(float, parameters))
            cells[name][free.cells] = parameters[free.numbers]
        return cells

    @cached_property
    def _everywhere(self) -> dict[str, _Free]:
        """Free cells of the matrices that have any."""
        return {name: _Free.of(places) for name, places in self.places.items() if (places != FIXED).any()}

    @cached_property
    def _below(self) -> dict[str, _Free]:
        """The same, symmetric matrices below the diagonal only."""
        below = {name: places.copy() for name, places in self.places.items() if name in self._everywhere}
        for name in SYMMETRIC & below.keys():
            below[name][:, *np.triu_indices(below[name].shape[1], 1)] = FIXED
        return {name: _Free.of(places) for name, places in below.items()}

    def moments(self, parameters: Floats) -> Moments:
        """Covariances and means that the model implies."""
        cells = self.at(parameters)
        paths = _paths(cells)
        covariances = paths @ cells["factor_covariances"] @ paths.mT + cells["residuals"]
        return Moments(covariances, (cells["intercepts"] + paths @ cells["factor_means"])[:, :, 0])

    def slopes(self, parameters: Floats) -> Slopes:
        """How the implied moments move with the parameters."""
        cells = self.at(parameters)
        paths = _paths(cells)
        total = paths @ cells["factor_covariances"] @ _total_effects(cells).mT
        means = _total_effects(cells) @ cells["factor_means"]
        unit = np.broadcast_to(np.eye(len(self.items)), (self.n_groups, len(self.items), len(self.items)))
        sides = {
            "loadings": (unit, total, means),
            "regressions": (paths, total, means),
            "factor_covariances": (paths, paths, None),
            "residuals": (unit, unit, None),
            "intercepts": (unit, None, None),
            "factor_means": (paths, None, None),
        }
        return _collect([_cells_of(self._below[name], name, *sides[name]) for name in sides if name in self._below])


@dataclass(frozen=True)
class Slopes:
    """Derivatives of implied moments by cells: those of the covariances are left * right' + right * left'.

    Attributes
    ----------
    parameters, groups : ndarray of int, shape (c,)
        Which parameter stands in a free cell, and in which group.
    left, right : ndarray, shape (c, p)
        The two factors; `right` is halved on the diagonal of a symmetric matrix, and 0 for cells of the means.
    means : ndarray, shape (c, p)
        Derivatives of the means.
    """

    parameters: Places
    groups: Places
    left: Floats
    right: Floats
    means: Floats

    def gradient(self, by_covariance: Floats, by_mean: Floats, n_parameters: int) -> Floats:
        """Derivatives of a number by the parameters, from those by moments: (g, p, p), symmetric, and (g, p)."""
        towards = np.einsum("cp,cpq,cq->c", self.left, by_covariance[self.groups], self.right, optimize=True)
        slope = 2 * towards + (by_mean[self.groups] * self.means).sum(axis=1)
        return np.bincount(self.parameters, slope, n_parameters)

    def covariances(self, group: int, n_parameters: int) -> Floats:
        """Derivatives of the covariances of a group, shape (q, p, p)."""
        here = self.groups == group
        outer = self.left[here, :, None] * self.right[here, None, :]
        return self._sum(outer + outer.mT, here, n_parameters)

    def elements(self, group: int, n_parameters: int, rows: Places, columns: Places) -> Floats:
        """Derivatives of some covariances of a group, shape (len(rows), q)."""
        here = self.groups == group
        left, right = self.left[here], self.right[here]
        moved = left[:, rows] * right[:, columns] + left[:, columns] * right[:, rows]
        return self._sum(moved, here, n_parameters).T

    def mean_elements(self, group: int, n_parameters: int) -> Floats:
        """Derivatives of the means of a group, shape (p, q)."""
        here = self.groups == group
        return self._sum(self.means[here], here, n_parameters).T

    def _sum(self, by_cell: Floats, here: NDArray[np.bool_], n_parameters: int) -> Floats:
        summed = np.zeros((n_parameters, *by_cell.shape[1:]))
        np.add.at(summed, self.parameters[here], by_cell)
        return summed


def measurement_model(
    items: Sequence[str],
    factors: Mapping[str, Sequence[str]],
    *,
    higher: Mapping[str, Sequence[str]] | None = None,
    uncorrelated: Iterable[str] = (),
    correlated_errors: Iterable[tuple[str, str]] = (),
    n_groups: int = 1,
) -> Structure:
    """Write a confirmatory factor model down: factors of variance 1, free means of the items, means of factors 0.

    Parameters
    ----------
    items : sequence of str, length p
        Observed variables, in the order of their moments.
    factors : mapping of str to sequence of str
        Items of each factor.
    higher : mapping of str to sequence of str, optional
        Factors of each factor of second order; those factors then do not covary otherwise.
    uncorrelated : iterable of str
        Factors that covary with no other, such as a method factor.
    correlated_errors : iterable of pairs of str
        Items whose residuals covary.
    n_groups : int
        Groups; every parameter is free in each of them.

    Returns
    -------
    Structure
        Parameters are numbered group by group: loadings, loadings of second order, factor covariances, residual
        variances and covariances, intercepts.

    Examples
    --------
    >>> model = measurement_model(["a", "b", "c"], {"f": ["a", "b", "c"]})
    >>> model.n_parameters
    9
    >>> model.moments(np.array([0.8, 0.7, 0.6, 1, 1, 1, 0, 0, 0])).covariances[0].round(2).tolist()
    [[1.64, 0.56, 0.48], [0.56, 1.49, 0.42], [0.48, 0.42, 1.36]]
    """
    higher = higher or {}
    names = (*factors, *higher)
    row, column = {name: i for i, name in enumerate(items)}, {name: k for k, name in enumerate(names)}
    below = {name for members in higher.values() for name in members}
    alone = below | set(uncorrelated)
    covarying = [name for name in names if name not in alone]
    pairs = [(a, b) for i, a in enumerate(covarying) for b in covarying[:i]]
    free = {
        "loadings": [(row[item], column[name]) for name, members in factors.items() for item in members],
        "regressions": [(column[member], column[name]) for name, members in higher.items() for member in members],
        "factor_covariances": [(column[a], column[b]) for a, b in pairs],
        "residuals": [(i, i) for i in range(len(row))] + [(row[a], row[b]) for a, b in correlated_errors],
        "intercepts": [(i, 0) for i in range(len(row))],
    }
    empty = _empty(tuple(items), names, n_groups)
    empty.values["factor_covariances"][:] = np.eye(len(names))
    for group in range(n_groups):
        for name, cells in free.items():
            for cell in cells:
                _place(empty, name, (group, *cell), empty.n_parameters)
    return empty


def with_starts(structure: Structure, **values: Floats) -> Structure:
    """The same model, searched from other values of its free cells; shapes broadcast to (g, rows, columns)."""
    started = {
        name: np.where(structure.places[name] == FIXED, structure.values[name], value) for name, value in values.items()
    }
    return replace(structure, values={**structure.values, **started})


def fixed(structure: Structure, matrix: Matrix, cells: Iterable[tuple[int, int, int]], value: float) -> Structure:
    """The model with some cells (group, row, column) fixed to a value."""
    changed = _copied(structure)
    for cell in cells:
        _place(changed, matrix, cell, FIXED)
        _value(changed, matrix, cell, value)
    return _renumbered(changed)


def freed(structure: Structure, matrix: Matrix, cells: Iterable[tuple[int, int, int]], start: float = 0.0) -> Structure:
    """The model with some cells (group, row, column) free, each a parameter of its own."""
    changed = _copied(structure)
    for cell in cells:
        _place(changed, matrix, cell, changed.n_parameters)
        _value(changed, matrix, cell, start)
    return changed


def tied(structure: Structure, matrix: Matrix, keep: NDArray[np.bool_] | None = None) -> Structure:
    """The model with the free cells of a matrix equal over groups, but for those marked in `keep`."""
    changed = _copied(structure)
    places = changed.places[matrix]
    same = np.ones(places.shape[1:], bool) if keep is None else ~keep
    both = (places != FIXED) & (places[:1] != FIXED) & same
    places[both] = np.broadcast_to(places[:1], places.shape)[both]
    return _renumbered(changed)


def _paths(cells: Mapping[str, Floats]) -> Floats:
    """Effects of the disturbances of the factors on the items, shape (g, p, m)."""
    return cells["loadings"] @ _total_effects(cells)


def _total_effects(cells: Mapping[str, Floats]) -> Floats:
    direct = cells["regressions"]
    unit = np.eye(direct.shape[-1])
    return np.linalg.inv(unit - direct) if direct.any() else np.broadcast_to(unit, direct.shape)


class _Free(NamedTuple):
    """Free cells of a matrix: groups, rows and columns, and the number of the parameter in each."""

    cells: tuple[Places, Places, Places]
    numbers: Places

    @classmethod
    def of(cls, places: Places) -> _Free:
        cells = np.nonzero(places != FIXED)
        return cls(cells, places[cells])


def _cells_of(free: _Free, name: str, left: Floats, right: Floats | None, means: Floats | None) -> tuple:
    """Free cells of a matrix with their derivatives."""
    groups, rows, columns = free.cells
    to_left = left[groups, :, rows]
    if right is None:
        return free.numbers, groups, to_left, np.zeros_like(to_left), to_left
    to_right = right[groups, :, columns]
    if name in SYMMETRIC:
        to_right = to_right * np.where(rows == columns, 0.5, 1.0)[:, None]
    to_mean = np.zeros_like(to_left) if means is None else to_left * means[groups, columns]
    return free.numbers, groups, to_left, to_right, to_mean


def _collect(parts: Sequence[tuple]) -> Slopes:
    return Slopes(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _empty(items: tuple[str, ...], factors: tuple[str, ...], n_groups: int) -> Structure:
    p, m = len(items), len(factors)
    shapes = {
        "loadings": (p, m),
        "regressions": (m, m),
        "factor_covariances": (m, m),
        "residuals": (p, p),
        "intercepts": (p, 1),
        "factor_means": (m, 1),
        "thresholds": (p, 0),
    }
    values = {name: np.zeros((n_groups, *shape)) for name, shape in shapes.items()}
    return Structure(items, factors, values, {name: np.full(value.shape, FIXED) for name, value in values.items()})


def _copied(structure: Structure) -> Structure:
    values = {name: value.copy() for name, value in structure.values.items()}
    return replace(structure, values=values, places={name: value.copy() for name, value in structure.places.items()})


def _place(structure: Structure, matrix: str, cell: tuple[int, int, int], number: int) -> None:
    for each in _mirrored(matrix, cell):
        structure.places[matrix][each] = number


def _value(structure: Structure, matrix: str, cell: tuple[int, int, int], value: float) -> None:
    for each in _mirrored(matrix, cell):
        structure.values[matrix][each] = value


def _mirrored(matrix: str, cell: tuple[int, int, int]) -> set[tuple[int, int, int]]:
    group, row, column = cell
    return {cell, (group, column, row)} if matrix in SYMMETRIC else {cell}


def _renumbered(structure: Structure) -> Structure:
    """The same model with its parameters numbered without gaps, in the same order."""
    used = np.unique(np.concatenate([places.ravel() for places in structure.places.values()]))
    used = used[used != FIXED]
    numbers = np.full(int(used.max(initial=0)) + 2, FIXED)
    numbers[used] = np.arange(len(used))
    return replace(structure, places={name: numbers[places] for name, places in structure.places.items()})


def equated(structure: Structure, matrix: Matrix, sets: Iterable[Sequence[tuple[int, int, int]]]) -> Structure:
    """The model in which the free cells (group, row, column) of each set are one parameter, that of the first cell."""
    changed = _copied(structure)
    for first, *others in sets:
        number = int(changed.places[matrix][first])
        for cell in others:
            _place(changed, matrix, cell, number)
    return _renumbered(changed)
