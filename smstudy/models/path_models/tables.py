"""Tables of a path model: paths, indirect and total effects, items, constructs, and pairs of constructs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display import rules
from smstudy.inference.bootstrap import Bootstrap
from smstudy.inference.partial_least_squares import (
    PathFit,
    construct_quality,
    construct_ratios,
    driver_effects,
    item_inflation,
    score_reliabilities,
)
from smstudy.models.path_models.answers import PathAnswers
from smstudy.result import Result

Array = NDArray[np.float64]
CANNOT_TELL = "cannot tell"
EFFECT_COLUMNS = ("term", "outcome", "parameter", "estimate", "conf_low", "conf_high", "reading")


@dataclass(frozen=True, kw_only=True, repr=False)
class PathTable(Result):
    """One of the tables that belong to a path model."""

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]

    def tidy(self) -> pd.DataFrame:
        """One row per effect, item, construct or pair."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample and level of the intervals."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out columns without a value."""
        return shown[[name for name in shown if shown[name].notna().any()]]


class PathDraws(NamedTuple):
    """Estimates in resamples that have them: models, means and spreads of items, both HTMT of pairs (b, 2, pairs); how
    many had none."""

    fit: PathFit
    means: Array
    spreads: Array
    ratios: Array
    n_failed: int
    steady: bool


class FittedPaths(NamedTuple):
    """A fitted path model on its way to tables."""

    found: PathAnswers
    correlations: Array
    fit: PathFit
    draws: PathDraws
    conf_level: float

    def ends(self, draws: Array) -> tuple[Array, Array]:
        """Percentile intervals; missing where too many resamples had no estimates."""
        if not self.draws.steady:
            return (np.full(draws.shape[1:], np.nan),) * 2
        low, high = np.quantile(draws, [(1 - self.conf_level) / 2, (1 + self.conf_level) / 2], axis=0)
        return low, high

    def table(self, rows: pd.DataFrame, *, title: str, note: str) -> PathTable:
        """Put rows into a result."""
        found = self.found
        return PathTable(
            title=title,
            note=note,
            labels=found.labels,
            privacy=found.privacy,
            rows=rows,
            summary={"n": found.n, "conf_level": self.conf_level},
        )


def coefficient_rows(fitted: FittedPaths) -> pd.DataFrame:
    """One row per path, by outcome."""
    names, drivers = fitted.found.constructs, fitted.found.structure.drivers
    fit, steady = fitted.fit, fitted.draws.steady
    estimates, draws = fit.paths[0].T[drivers.T], fitted.draws.fit.paths.mT[:, drivers.T]
    low, high = fitted.ends(draws)
    added = driver_effects(fit.correlations[0], fit.paths[0], fit.r_squared[0], drivers)
    to, by = np.nonzero(drivers.T)
    table = pd.DataFrame(
        {
            "term": [names[i] for i in by],
            "outcome": [names[j] for j in to],
            "estimate": estimates,
            "std_error": draws.std(axis=0, ddof=1) if steady else np.nan,
            "conf_low": low,
            "conf_high": high,
            "p_value": Bootstrap(estimate=estimates, draws=draws).p_value() if steady else np.nan,
            "f_squared": added.f_squared.T[drivers.T],
            "vif": added.vif.T[drivers.T],
            "r_squared": fit.r_squared[0][to],
        }
    )
    return table.assign(reading=[_reading(*row) for row in table[["estimate", "conf_low", "conf_high"]].to_numpy()])


def effects_table(fitted: FittedPaths) -> PathTable:
    """Indirect and total effects of constructs with a way of two steps or more between them."""
    names, drivers = fitted.found.constructs, fitted.found.structure.drivers.astype(float)
    longer = (drivers @ np.linalg.matrix_power(np.eye(len(names)) + drivers, len(names)) @ drivers) > 0
    total, drawn = fitted.fit.total[0], fitted.draws.fit.total
    kinds = (
        ("indirect effect", total - fitted.fit.paths[0], drawn - fitted.draws.fit.paths),
        ("total effect", total, drawn),
    )
    rows = []
    for i, j in np.argwhere(longer):
        for kind, values, draws in kinds:
            ends = [float(end) for end in fitted.ends(draws[:, i, j])]
            reading = _reading(values[i, j], *ends)
            rows.append((names[i], names[j], kind, values[i, j], *ends, reading))
    return fitted.table(
        pd.DataFrame(rows, columns=list(EFFECT_COLUMNS)),
        title="Indirect and total effects of the path model",
        note="Standardized. Indirect: along all ways over other constructs; total: direct and indirect together. With "
        "one wave an indirect effect is a product of associations, not a mechanism.",
    )


def items_table(fitted: FittedPaths) -> PathTable:
    """Loadings of reflective and weights of formative items."""
    found, fit, draws = fitted.found, fitted.fit, fitted.draws.fit
    formative = np.array([found.kind(name) == "formative" for name in found.owners])
    low, high = fitted.ends(np.where(formative, draws.weights, draws.loadings))
    rows = pd.DataFrame(
        {
            "term": found.items,
            "scale": [found.say(name) for name in found.owners],
            "parameter": np.where(formative, "weight", "loading"),
            "estimate": np.where(formative, fit.weights[0], fit.loadings[0]),
            "conf_low": low,
            "conf_high": high,
            "loading": fit.loadings[0],
            "item_weight": fit.weights[0],
            "vif": item_inflation(fitted.correlations, found.structure),
        }
    )
    note = "Estimate: loading of a reflective, weight of a formative item. VIF: among the items of the construct."
    return fitted.table(rows, title="Items of the path model", note=note)


def constructs_table(fitted: FittedPaths) -> PathTable:
    """How well each construct is measured, and how far it is explained."""
    found, structure, fit = fitted.found, fitted.found.structure, fitted.fit
    composite, extracted = construct_quality(fit.loadings[0], structure)
    measured = ~np.isnan(composite)
    rho = np.where(measured, score_reliabilities(fit.weights[0], structure.members), np.nan)
    counts = structure.drivers.sum(axis=0)
    low, high = fitted.ends(fitted.draws.fit.r_squared)
    adjusted = 1 - (1 - fit.r_squared[0]) * (found.n - 1) / (found.n - counts - 1)
    rows = pd.DataFrame(
        {
            "term": found.constructs,
            "parameter": [found.kind(name) for name in found.constructs],
            "n_items": [len(block) for block in structure.blocks],
            "rho_a": rho,
            "composite": composite,
            "extracted": extracted,
            "r_squared": np.where(counts > 0, fit.r_squared[0], np.nan),
            "conf_low": np.where(counts > 0, low, np.nan),
            "conf_high": np.where(counts > 0, high, np.nan),
            "adj_r_squared": np.where(counts > 0, adjusted, np.nan),
            "reading": [_reliable(value) if each else "" for value, each in zip(rho, measured, strict=True)],
        }
    )
    note = "The interval belongs to R². rho_A: reliability of the score; reading: reliability."
    return fitted.table(rows, title="Constructs of the path model", note=note)


def pairs_table(fitted: FittedPaths) -> PathTable:
    """Whether reflective constructs can be told apart."""
    ratios, pairs = construct_ratios(fitted.correlations, fitted.found.structure)
    low, high = fitted.ends(fitted.draws.ratios)
    names, between = fitted.found.constructs, fitted.fit.correlations[0]
    rows = pd.DataFrame(
        {
            "term": [names[i] for i, _ in pairs],
            "other_term": [names[j] for _, j in pairs],
            "correlation": [between[i, j] for i, j in pairs],
            "htmt": ratios.htmt,
            "htmt_low": low[0],
            "htmt_high": high[0],
            "htmt2": ratios.htmt2,
            "htmt2_low": low[1],
            "htmt2_high": high[1],
            "verdict": [_apart(*ends) for ends in zip(np.fmin(*low), np.fmax(*high), strict=True)],
        }
    )
    note = (
        "r: correlation of the constructs as the model has it. HTMT2 takes geometric means, right where loadings "
        "differ. The verdict reads the lowest and the highest end of both intervals."
    )
    return fitted.table(rows, title="Can the constructs be told apart?", note=note)


def _reading(estimate: float, low: float, high: float) -> str:
    if not (low > 0 or high < 0):
        return CANNOT_TELL
    side = "more" if estimate > 0 else "less"
    return f"{rules.STANDARDIZED.read(abs(estimate))}: 1 SD more goes with {abs(estimate):.2f} SD {side}"


def _reliable(rho: float) -> str:
    return rules.RELIABILITY.read(rho) if 0 <= rho <= 1 else "cannot be"


def _apart(low: float, high: float) -> str:
    read = rules.DISCRIMINATION.read
    return read(low) if read(low) == read(high) else CANNOT_TELL
