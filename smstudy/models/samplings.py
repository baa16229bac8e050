"""How respondents were sampled, as every analysis reads it: weights, strata, clusters and the people asked."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import lower_first
from smstudy.errors import ColumnError, DataError, DisclosureError, did_you_mean
from smstudy.inference.linearization import Lonely, Sampling
from smstudy.survey.dataset import Data, frame_of
from smstudy.survey.disclosure import pooled_column
from smstudy.survey.margins import HeadCounts, read_margins
from smstudy.survey.weights import Weights, weight_column

Array = NDArray[np.float64]
Population = float | HeadCounts | None


def sampling_of(
    data: Data,
    weights: Weights | str | None,
    *,
    strata: str = "",
    clusters: str = "",
    population: Population = None,
    lonely: Lonely = "refuse",
) -> Sampling:
    """Read how respondents were sampled.

    Parameters
    ----------
    data : Survey or DataFrame
        All respondents, also those an analysis leaves out: their rows tell how the sample was drawn.
    weights : Weights, str or None
        From `rake` or `poststratify`, or a variable with weights. Without any, everybody counts the same, unless
        `population` is given by stratum.
    strata, clusters : str
        Variable with groups that were sampled separately, and with groups asked as a whole. Departments that tables
        hide are one group, with all their people.
    population : float, DataFrame or mapping, optional
        People (clusters, if there are any) in all, or head counts by stratum.
    lonely : {"refuse", "adjust"}
        What to do with a stratum of one respondent or cluster.

    Raises
    ------
    DataError
        If a variable is not there or has gaps, a weight is not above 0, or head counts do not fit.

    Examples
    --------
    >>> sampling_of(pd.DataFrame({"site": ["N", "N", "S"]}), None, strata="site", population={"site": {"N": 6, "S": 2}}
    ... ).weights.tolist()
    [3.0, 3.0, 2.0]
    """
    n = len(frame_of(data))
    codes = codes_of(data, strata) if strata else None
    teams = codes_of(data, clusters) if clusters else None
    people = _people(data, strata, population)
    calibration = weights.calibration if isinstance(weights, Weights) else None
    return Sampling(
        weights=_own_weights(data, weights) if weights is not None else _equal_weights(n, codes, teams, people),
        strata=codes,
        clusters=teams,
        population=people,
        calibration=calibration,
        lonely=lonely,
    )


def refuse_telling(weights: Weights | str | None, groups: Sequence[str]) -> None:
    """Refuse weights that tell small groups apart where estimates by group are asked for.

    Raises
    ------
    DisclosureError
        Then scores of a small group would follow from the weighted and the unweighted estimate.
    """
    if groups and isinstance(weights, Weights) and "hidden" in weights.rows and weights.rows["hidden"].any():
        raise DisclosureError(
            "These weights tell small groups apart, so their scores could be computed from the weighted and the "
            f"unweighted mean of all. Make the weights with pool_small=True, or leave out {groups[0]}."
        )


def errors_in_words(
    weights: Weights | str | None, *, strata: str = "", clusters: str = "", population: Population = None
) -> str:
    """Say how standard errors are computed.

    >>> errors_in_words("weight", strata="site")
    'linearization, strata site'
    """
    parts = [("calibrated", isinstance(weights, Weights)), (f"strata {strata}", bool(strata)),
             (f"clusters {clusters}", bool(clusters)), ("population correction", population is not None)]  # fmt: skip
    return lower_first(", ".join(["linearization", *(words for words, used in parts if used)]))


def codes_of(data: Data, name: str) -> NDArray[np.intp]:
    """Number the strata or clusters from 0, hidden departments as one; DataError if a respondent has none."""
    if column_of(data, name).isna().any():
        raise DataError(f'Some respondents have no "{name}". Exclude them with a rule, or name other groups.')
    return pd.factorize(pooled_column(data, name))[0]


def column_of(data: Data, name: str) -> pd.Series:
    """One column of the answers; DataError if it is not there, or there twice."""
    answers = frame_of(data)
    if name not in answers:
        raise ColumnError(
            f'There is no variable or score "{name}". {did_you_mean(str(name), map(str, answers.columns))}'
        )
    if isinstance(answers[name], pd.DataFrame):
        raise DataError(f'The answers have more than one column "{name}". Keep one.')
    return answers[name]


def _own_weights(data: Data, weights: Weights | str) -> Array:
    if isinstance(weights, Weights):
        return weights.of(data)
    if not isinstance(weights, str):
        raise DataError("Weights are what rake() or poststratify() gives, or the name of a variable. Give one.")
    return weight_column(data, weights)


def _equal_weights(n: int, strata: NDArray | None, clusters: NDArray | None, people: Array | None) -> Array:
    """One for everybody; with a population, people per respondent (or clusters per cluster) of the stratum."""
    if people is None:
        return np.ones(n)
    units = np.arange(n) if clusters is None else clusters
    frame = pd.DataFrame({"stratum": np.zeros(n) if strata is None else strata, "unit": units})
    return people / frame.groupby("stratum")["unit"].transform("nunique").to_numpy(float)


def _people(data: Data, strata: str, population: Population) -> Array | None:
    n = len(frame_of(data))
    if population is None:
        return None
    if isinstance(population, Real):
        if isinstance(population, bool) or not 0 < population < np.inf:
            raise DataError(f"population = {population!r} is no number of people. Give one above 0.")
        if strata:
            raise DataError("With strata, the population must be given for each of them. Give the head counts.")
        return np.full(n, float(population))
    if not strata:
        raise DataError("Head counts by group need strata, the variable they are about. Name it, or give one number.")
    margin = read_margins(data, population, [strata])[0]
    unknown = np.isnan(margin.headcounts) & (margin.respondents > 0)
    if unknown.any():
        name = margin.categories[int(np.argmax(unknown))]
        raise DataError(f'The head counts do not say how many people "{name}" ("{strata}") has. Add it.')
    own = codes_of(data, strata)
    parts = np.unique(np.column_stack([own, margin.codes]), axis=0)
    return np.bincount(parts[:, 0], margin.headcounts[parts[:, 1]])[own]
