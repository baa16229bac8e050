"""Does a path model predict the answers of people it has not seen (PLSpredict)?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from smstudy.inference.path_prediction import PredictionErrors, cross_predict, draw_folds
from smstudy.models.path_models.answers import PathAnswers
from smstudy.models.path_models.tables import PathTable
from smstudy.result import Finding

FOLDS, REPEATS = 10, 10
SKEWED = 1.0
TOO_FEW = "too little data"
NOTE = (
    "Each answer is predicted from the items of the constructs that nothing explains, by models fitted without the "
    f"respondent ({FOLDS} parts, {REPEATS} times). Q²: share of the squared error of a mere mean that is avoided. "
    "Error: root of the mean squared error, or mean absolute error where errors are skewed; beside it that of a linear "
    "model from item to item. Predictive power (Shmueli et al., 2019): high if the path model has the smaller error "
    "for all items, medium for half of them or more, low for fewer, none for no item; only items with Q² above 0 count."
)


def predictive_power(found: PathAnswers, *, seed: int) -> PathTable:
    """Compare errors of prediction with those of a linear model and of a mean.

    Parameters
    ----------
    found : PathAnswers
        Model and answers.
    seed : int
        Of the parts.

    References
    ----------
    Shmueli, Sarstedt, Hair, Cheah, Ting, Vaithilingam & Ringle (2019), European J. Marketing 53, 2322-2347.
    """
    structure = found.structure
    fed = sum(len(block) for block, explained in zip(structure.blocks, structure.drivers.any(axis=0)) if not explained)
    errors = None
    if found.n - -(-found.n // FOLDS) > fed + 1 and found.n >= 2 * FOLDS:
        errors = cross_predict(found.answers, structure, draw_folds(found.n, folds=FOLDS, repeats=REPEATS, seed=seed))
    if errors is None or not np.isfinite(errors.root_mean_square).all():
        return _table(found, pd.DataFrame(columns=["term", "verdict"]), TOO_FEW)
    rows = _rows(found, errors)
    return _table(found, rows, _verdict(rows["q_squared"], rows["error"], rows["error_linear"]))


def _rows(found: PathAnswers, errors: PredictionErrors) -> pd.DataFrame:
    skewed = np.abs(errors.skew) > SKEWED
    ours, linear, _ = np.where(skewed, errors.mean_absolute, errors.root_mean_square)
    rows = pd.DataFrame(
        {
            "term": [found.items[item] for item in errors.items],
            "outcome": [found.owners[item] for item in errors.items],
            "q_squared": errors.q_squared,
            "error": ours,
            "error_linear": linear,
            "method": np.where(skewed, "mean absolute", "root mean square"),
            "reading": _readings(errors.q_squared, ours, linear),
        }
    )
    parts = rows.groupby("outcome", sort=False)
    power = {name: _verdict(part["q_squared"], part["error"], part["error_linear"]) for name, part in parts}
    return rows.assign(verdict=rows["outcome"].map(power))


def _verdict(q_squared: pd.Series, ours: pd.Series, linear: pd.Series) -> str:
    won = int(((q_squared > 0) & (ours < linear)).sum())
    if won == len(ours):
        return "high"
    return "none" if not won else "medium" if 2 * won >= len(ours) else "low"


def _readings(q_squared: np.ndarray, ours: np.ndarray, linear: np.ndarray) -> list[str]:
    words = np.where(ours < linear, "better than the linear model", "no better than the linear model")
    return list(np.where(q_squared > 0, words, "no better than the mean"))


def _table(found: PathAnswers, rows: pd.DataFrame, verdict: str) -> PathTable:
    return PathTable(
        title="Does the path model predict answers it has not seen?",
        note=NOTE,
        findings=tuple(_findings(verdict)),
        labels=found.labels,
        privacy=found.privacy,
        rows=rows,
        summary={"n": found.n, "verdict": verdict},
    )


def _findings(verdict: str) -> Iterator[Finding]:
    if verdict == TOO_FEW:
        text = "Too few respondents, or weights that do not settle without some of them, to check predictions."
        yield Finding(name="not_predicted", text=text)
    if verdict == "none":
        text = (
            "The model predicts no answer of people it has not seen better than a linear model or the mean: it "
            "describes these respondents, and says little about others."
        )
        yield Finding(name="no_predictive_power", text=text)
