"""Laws of `smstudy.models.samplings`; for errors see test_estimates.py and test_weighted_regression.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.models.samplings import errors_in_words, sampling_of
from smstudy.survey.weights import poststratify

PEOPLE = pd.DataFrame({"site": ["N"] * 6 + ["S"] * 4, "team": list("aabbccddee"), "w": np.arange(1.0, 11)})
HEADS = {"site": {"N": 60, "S": 20}}


def test_without_anything_everybody_counts_once():
    sampling = sampling_of(PEOPLE, None)
    assert (sampling.weights == 1).all() and sampling.strata is None and sampling.population is None


def test_a_column_and_weights_from_head_counts_are_read():
    assert sampling_of(PEOPLE, "w").weights.tolist() == PEOPLE["w"].tolist()
    made = sampling_of(PEOPLE, poststratify(PEOPLE, HEADS, pool_small=False))
    assert made.weights.tolist() == pytest.approx([10.0] * 6 + [5.0] * 4, rel=1e-12)  # one division
    assert made.calibration is not None


def test_head_counts_by_stratum_give_weights_of_people_or_of_clusters():
    assert sampling_of(PEOPLE, None, strata="site", population=HEADS).weights.tolist() == [10.0] * 6 + [5.0] * 4
    teams = sampling_of(PEOPLE, None, strata="site", clusters="team", population={"site": {"N": 6, "S": 2}})
    assert teams.weights.tolist() == [2.0] * 6 + [1.0] * 4


def test_the_words_name_what_was_used():
    assert errors_in_words(None) == "linearization"
    assert errors_in_words("w", strata="site", clusters="team", population=5) == (
        "linearization, strata site, clusters team, population correction"
    )


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_a_wrong_weight_is_refused_without_its_value(wrong):
    with pytest.raises(DataError, match="must give every respondent a weight above 0") as caught:
        sampling_of(PEOPLE.assign(w=PEOPLE["w"].where(PEOPLE.index != 3, wrong)), "w")
    assert str(wrong) not in str(caught.value).replace("above 0", "")


def test_a_respondent_without_a_stratum_is_refused():
    with pytest.raises(DataError, match='have no "site"'):
        sampling_of(PEOPLE.assign(site=PEOPLE["site"].where(PEOPLE.index != 3)), None, strata="site")
