"""Does a path model predict the answers of people it has not seen (PLSpredict)?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.inference.path_prediction import Gain, PredictionErrors, cross_predict, draw_folds, mean_gain
from smstudy.models.path_models.answers import PathAnswers
from smstudy.models.path_models.tables import PathTable
from smstudy.result import Finding

Signs = NDArray[np.int_]
FOLDS, REPEATS = 10, 10
SKEWED = 1.0
LINEAR, MEAN = 1, 2
TOO_FEW, CANNOT_TELL, NONE = "too little data", "cannot tell", "none"
NOTE = (
    "Each answer is predicted from the items of the constructs that nothing explains, by models fitted without the "
    f"respondent ({FOLDS} parts, {REPEATS} times). Q²: share of the squared error of a mere mean that is avoided. "
    "Error: root of the mean squared error, or mean absolute error where errors are skewed; beside it that of a linear "
    "model from item to item. p: paired t tests of the squared errors of all items of the construct against those of "
    "the mean and of the linear model (CVPAT; Liengaard et al., 2021). Predictive power: high if clearly better than "
    "both, medium if clearly better than the mean only, low if clearly worse than the linear model, none if clearly "
    "worse than the mean, else cannot tell."
)
AGAINST_MEAN = {1: "better than the mean", 0: "not clearly better than the mean", -1: "worse than the mean"}
AGAINST_LINEAR = {
    1: "better than the linear model",
    0: "about as the linear model",
    -1: "worse than the linear model",
}


def predictive_power(found: PathAnswers, *, seed: int) -> PathTable:
    """Compare errors of prediction with those of a linear model and of a mean.

    Parameters
    ----------
    found : PathAnswers
        Model and answers.
    seed : int
        Of the parts.

    Notes
    -----
    The usual rule counts items with a smaller error, clearly smaller or not (Shmueli et al., 2019): it gave some
    predictive power to a third of models between constructs that had nothing to do with each other. Here chance has to
    be ruled out.

    References
    ----------
    Shmueli, Sarstedt, Hair, Cheah, Ting, Vaithilingam & Ringle (2019), European J. Marketing 53, 2322-2347; Liengaard,
    Sharma, Hult, Jensen, Sarstedt, Hair & Ringle (2021), Decision Sciences 52, 362-392. Squared errors count in
    variances of the item here, so that items on wider scales do not count more.
    """
    structure = found.structure
    fed = sum(len(block) for block, explained in zip(structure.blocks, structure.drivers.any(axis=0)) if not explained)
    errors = None
    if found.n - -(-found.n // FOLDS) > fed + 1 and found.n >= 2 * FOLDS:
        errors = cross_predict(found.answers, structure, draw_folds(found.n, folds=FOLDS, repeats=REPEATS, seed=seed))
    if errors is None or not np.isfinite(errors.root_mean_square).all():
        return _table(found, pd.DataFrame(columns=["term", "verdict"]), TOO_FEW)
    mean, linear = mean_gain(errors.losses, MEAN), mean_gain(errors.losses, LINEAR)
    return _table(found, _rows(found, errors, mean, linear), _verdict(_side(mean)[-1], _side(linear)[-1]))


def _side(gain: Gain) -> Signs:
    """1 where the path model is clearly better, -1 where it is clearly worse, else 0."""
    return (gain.conf_low > 0).astype(int) - (gain.conf_high < 0).astype(int)


def _verdict(mean: int, linear: int) -> str:
    if mean <= 0:
        return NONE if mean else CANNOT_TELL
    return {1: "high", 0: "medium", -1: "low"}[int(linear)]


def _rows(found: PathAnswers, errors: PredictionErrors, mean: Gain, linear: Gain) -> pd.DataFrame:
    skewed = np.abs(errors.skew) > SKEWED
    ours, theirs, _ = np.where(skewed, errors.mean_absolute, errors.root_mean_square)
    owners = [found.owners[item] for item in errors.items]
    places = np.array([found.structure.explained.index(found.constructs.index(name)) for name in owners])
    sides = list(zip(_side(mean)[places], _side(linear)[places], strict=True))
    return pd.DataFrame(
        {
            "term": [found.items[item] for item in errors.items],
            "outcome": owners,
            "q_squared": errors.q_squared,
            "error": ours,
            "error_linear": theirs,
            "method": np.where(skewed, "mean absolute", "root mean square"),
            "p_mean": mean.p_value[places],
            "p_linear": linear.p_value[places],
            "reading": [f"{AGAINST_MEAN[one]}, {AGAINST_LINEAR[other]}" for one, other in sides],
            "verdict": [_verdict(*each) for each in sides],
        }
    )


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
    if verdict == CANNOT_TELL:
        text = (
            "It is not clear that the model predicts answers of people it has not seen better than the mere mean: it "
            "describes these respondents, and may say little about others."
        )
        yield Finding(name="no_better_than_mean", text=text)
    if verdict == NONE:
        text = (
            "The model predicts answers of people it has not seen worse than the mere mean: it describes these "
            "respondents, and says nothing about others."
        )
        yield Finding(name="no_predictive_power", text=text)
    if verdict == "low":
        text = (
            "A linear model from item to item predicts answers better than the path model: items tell more than the "
            "constructs and paths let through."
        )
        yield Finding(name="worse_than_linear", text=text)
