"""Laws of the front door of all functions of scales: what cannot be used is refused by name, never with a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.scales.aggregation import agreement
from smstudy.scales.arguments import check_options, check_seed
from smstudy.scales.confirmatory import confirm
from smstudy.scales.constructs import constructs
from smstudy.scales.description import correlate, describe
from smstudy.scales.factors import choose_factors, factor_analysis
from smstudy.scales.functioning import item_functioning
from smstudy.scales.graded import graded_response
from smstudy.scales.invariances import invariance
from smstudy.scales.method_variance import common_method
from smstudy.scales.omegas import omega_categorical, omega_hierarchical, ordinal_alpha
from smstudy.scales.polychorics import polychoric
from smstudy.scales.reliability import cronbach_alpha, omega_total, reliability
from smstudy.scales.retests import retest
from smstudy.scales.scoring import score
from smstudy.scales.validities import validity

rng = np.random.default_rng(1)
LATENT = rng.standard_normal((200, 2)).repeat(3, axis=1) + 0.7 * rng.standard_normal((200, 6))
ITEMS = pd.DataFrame(np.digitize(LATENT, [-1, 0, 1]) + 1, columns=list("abcdef"))
SCALES = {"one": list("abc"), "two": list("def")}
FRAME = ITEMS.assign(team=rng.choice(["A", "B"], 200))

OF_FRAMES: dict[str, Callable[..., object]] = {
    "cronbach_alpha": cronbach_alpha,
    "omega_total": omega_total,
    "omega_categorical": omega_categorical,
    "omega_hierarchical": omega_hierarchical,
    "ordinal_alpha": ordinal_alpha,
    "polychoric": polychoric,
    "choose_factors": choose_factors,
    "factor_analysis": lambda data, **more: factor_analysis(data, **{"n_factors": 2, **more}),
    "graded_response": graded_response,
    "confirm": lambda data, **more: confirm(data, SCALES, **more),
    "validity": lambda data, **more: validity(data, SCALES, **more),
    "common_method": lambda data, **more: common_method(data, SCALES, **more),
    "invariance": lambda data, **more: invariance(data, **{"by": "team", "scales": SCALES, **more}),
    "item_functioning": lambda data, **more: item_functioning(data, list("abcdef"), **{"by": "team", **more}),
    "agreement": lambda data, **more: agreement(data, **{"by": "team", **more}),
    "retest": lambda data, **more: retest(data, FRAME, **{"person": "team", **more}),
    "retest before": lambda data, **more: retest(FRAME, data, **{"person": "team", **more}),
    "describe": lambda data, **more: describe(data, **{"variables": ["a"], **more}),
    "correlate": lambda data, **more: correlate(data, **{"variables": ["a", "b"], **more}),
}
OF_SURVEYS = {"reliability": reliability, "constructs": constructs, "score": score}
LEVELS = [name for name in OF_FRAMES if name not in ("choose_factors", "factor_analysis", "common_method",
                                                     "invariance", "describe")]  # fmt: skip


@pytest.mark.parametrize(("data", "kind"), [
    (ITEMS.to_numpy(), "an ndarray"),
    (None, "None"),
    (ITEMS.to_dict("list"), "a dict"),
    ([1, 2, 3], "a list"),
    ("answers.csv", "a str. Read the file first"),
    (ITEMS["a"], "a Series"),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", OF_FRAMES)
def test_what_is_neither_frame_nor_survey_is_refused(name: str, data: object, kind: str) -> None:
    with pytest.raises(DataError, match=f"^Give a DataFrame of answers, or a survey; this is {re.escape(kind)}"):
        OF_FRAMES[name](data)


@pytest.mark.parametrize("data", [ITEMS, ITEMS.to_numpy(), None, "answers.csv"], ids=str)
@pytest.mark.parametrize("name", OF_SURVEYS)
def test_what_needs_a_codebook_asks_for_a_survey(name: str, data: object) -> None:
    with pytest.raises(DataError, match="needs a Survey"):
        OF_SURVEYS[name](data)


@pytest.mark.parametrize("level", ["95%", "0.95", 95, 0, 1, True, None, float("nan"), [0.9]], ids=str)
@pytest.mark.parametrize("name", LEVELS)
def test_a_level_is_a_number_between_0_and_1(name: str, level: object) -> None:
    with pytest.raises(DataError, match="is no level. Use a number between 0 and 1"):
        OF_FRAMES[name](FRAME if name in ("agreement", "item_functioning") else ITEMS, conf_level=level)


@pytest.mark.parametrize(("name", "argument", "value", "told"), [
    ("agreement", "options", "5", 'options = "5" is no number of answers'),
    ("agreement", "options", 5.5, "options = 5.5 is no number of answers"),
    ("validity", "n_boot", "200", 'n_boot = "200" is no number of resamples'),
    ("validity", "n_boot", 99, "n_boot = 99 is too few"),
    ("validity", "seed", -1, "seed = -1 is no seed"),
    ("omega_hierarchical", "n_boot", None, "n_boot = None is no number of resamples"),
    ("omega_hierarchical", "n_factors", "3", 'n_factors = "3" is no number of factors'),
    ("omega_hierarchical", "seed", 1.5, "seed = 1.5 is no seed"),
    ("choose_factors", "seed", -1, "seed = -1 is no seed. Use a whole number from 0"),
    ("factor_analysis", "seed", "one", 'seed = "one" is no seed'),
    ("factor_analysis", "n_factors", "3", 'n_factors = "3" is no number of factors. Use a whole number from 1'),
    ("factor_analysis", "n_factors", 2.5, "n_factors = 2.5 is no number of factors"),
    ("factor_analysis", "n_factors", True, "n_factors = True is no number of factors"),
    ("factor_analysis", "method", ["ml"], "method = .* is not known"),
    ("factor_analysis", "rotation", None, "rotation = None is not known"),
    ("choose_factors", "correlation", ["pearson"], "correlation = .* is not known"),
    ("cronbach_alpha", "missing", ["pairwise"], 'missing = .* Use "pairwise" or "listwise"'),
    ("cronbach_alpha", "interval", {}, "interval = .* is not known"),
    ("polychoric", "missing", {}, "missing = .* is not known"),
    ("confirm", "estimator", ["ML"], 'estimator = .* Use "MLR", "ML", "FIML" or "WLSMV"'),
    ("confirm", "estimator", "wlsmv", 'estimator = "wlsmv" is not known'),
    ("confirm", "correlated_errors", 5, "needs pairs of different items"),
    ("invariance", "estimator", None, "estimator = None is not known"),
    ("invariance", "by", ["team"], 'by needs one name, such as by="unit"; this is a list'),
    ("invariance", "person", 5, "person needs one name"),
    ("item_functioning", "by", ["team"], "by needs one name"),
    ("item_functioning", "correction", ["holm"], "correction = .* is not known"),
    ("agreement", "by", ["team"], "by needs one name"),
    ("retest", "person", ["team"], "person needs one name"),
    ("common_method", "marker", ["a"], "marker needs one name"),
    ("describe", "variables", 5, "variables needs names"),
    ("correlate", "variables", [1, 2], "variables needs names"),
])  # fmt: skip
def test_an_argument_that_cannot_be_used_is_named_with_what_is_allowed(
    name: str, argument: str, value: object, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        OF_FRAMES[name](FRAME if name in ("agreement", "item_functioning") else ITEMS, **{argument: value})


def test_numbers_of_numpy_are_numbers() -> None:
    check_seed(np.int64(3))
    check_options(np.float64(5))
    found = factor_analysis(ITEMS, np.int64(2), seed=np.int64(1))
    assert found.loadings.shape == (6, 2)
