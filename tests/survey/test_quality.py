"""The quality card: what it computes when, whom it flags, and that it protects people."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, StudyError
from smstudy.survey import careless
from smstudy.survey.cleaning import clean
from smstudy.survey.codebook import Category, Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.quality import ANY, CARELESS, INDICES, gate_card, quality_card, with_flags
from smstudy.survey.rules import Rule

AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
UNITS = [{"value": code, "label": label} for code, label in enumerate(["IT", "HR", "Sales", "Legal"], 1)]


def survey(n=200, k=12, seed=3, careless=12):
    random = np.random.default_rng(seed)
    items = pd.DataFrame(random.integers(1, 6, (n, k)).astype(float), columns=[f"q{i}" for i in range(1, k + 1)])
    items.iloc[:careless] = 3.0
    seconds = random.uniform(6, 12, n) * k
    seconds[:careless] = 1.5 * k
    units = pd.Series(random.choice(["IT", "HR", "Sales", "Legal"], n, p=[0.5, 0.28, 0.2, 0.02]), dtype="str")
    book = Codebook.model_validate(
        {
            "title": "Test",
            "variables": [
                {"name": "unit", "kind": "unit", "title": "Department", "categories": UNITS},
                {"name": "duration_seconds", "kind": "number"},
                *({"name": name, "kind": "item", "categories": AGREE} for name in items),
            ],
        }
    )
    answers = pd.concat([units.rename("unit"), pd.Series(seconds, name="duration_seconds"), items], axis=1)
    return Survey(answers=answers, codebook=book, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def changed(data, **columns):
    return data.with_columns(data.answers.assign(**columns)[list(columns)], "changed by a test")


def test_planted_careless_respondents_are_flagged_and_nobody_is_removed():
    data = survey()
    card = quality_card(data)
    flags = card.flags.frame
    assert flags.loc[:11, ["longstring", "zero_variance", "seconds_per_item", "relative_speed"]].all(axis=None)
    assert not flags.loc[12:, ["zero_variance", "seconds_per_item"]].any(axis=None)
    assert len(flags) == len(data.answers) == 200
    assert card.tidy().set_index("term")["n"].to_dict() == flags.sum().to_dict()


def test_every_index_says_where_its_cut_off_comes_from():
    card = quality_card(survey())
    assert card.tidy()["reason"].str.len().min() > 10
    assert {index.source[0] for index in INDICES.values()} and all(len(i.source) > 30 for i in INDICES.values())


def test_small_counts_of_the_card_are_hidden():
    card = quality_card(survey(careless=3))
    shown = card.shown().set_index("term")
    assert shown.loc["zero_variance", ["n", "share"]].isna().all() and shown.loc["zero_variance", "hidden"]
    assert "hidden" in card.to_text()


@pytest.mark.parametrize(
    ("n", "hidden"),
    [
        ([10, 2, 12], [False, True, True]),  # 12 at least one, 10 of them by the first: the second is 2 or more
        ([10, 2, 11], [False, True, True]),  # one shows the second sign and not the first
        ([10, 2, 10], [False, True, False]),
        ([10, 10, 15], [False, False, False]),
        ([10, 8, 15], [False, False, True]),  # three show both signs
        ([10, 8, 12], [False, False, True]),  # two show the second sign and not the first
        ([0, 2, 2], [False, True, True]),
        ([97, 0, 97], [True, False, True]),  # all but 3
    ],
)
def test_the_union_does_not_give_a_hidden_count_away(n, hidden):
    shown = gate_card(rows(a=n[0], b=n[1], any=n[2]), 100, 5)
    assert shown.get("hidden", pd.Series([False] * 3)).tolist() == hidden


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ({"longstring": 12, "zero_variance": 10, "any": 32, "careless": 20}, {"zero_variance"}),  # 2 show one only
        ({"longstring": 12, "zero_variance": 12, "any": 32, "careless": 14}, {"longstring", "zero_variance"}),
        ({"longstring": 12, "zero_variance": 12, "any": 32, "careless": 30}, {"any"}),  # 2 with a sign, no flag
        ({"longstring": 4, "zero_variance": 4, "any": 32, "careless": 8}, {"longstring", "zero_variance", "any"}),
        ({"longstring": 12, "zero_variance": 12, "any": 32, "careless": 20}, set()),
    ],
)
def test_counts_that_hold_each_other_do_not_tell_of_a_few(counts, hidden):
    shown = gate_card(rows(even_odd=25, **counts), 100, 5)
    assert set(shown.loc[shown.get("hidden", shown["n"] < 0).astype(bool), "term"]) == hidden


WORLDS = {
    "two signs": (11, 4, ("a", "b"), ()),
    "three signs": (7, 3, ("a", "b", "c"), ()),
    "a sign within another": (9, 3, ("longstring", "zero_variance", "a"), [("zero_variance", "longstring")]),
    "a sign within the flag": (9, 3, ("longstring", CARELESS, "a"), [("longstring", CARELESS)]),
}


@pytest.mark.parametrize(("n", "min_n", "signs", "nested"), WORLDS.values(), ids=WORLDS)
def test_no_card_tells_of_a_few_people_however_the_signs_fall(n, min_n, signs, nested):
    """Every way n people can show the signs; readers rule out the ways that do not fit what the card shows."""
    kinds = np.array([kind for kind in product((0, 1), repeat=len(signs)) if _may_be(dict(zip(signs, kind)), nested)])
    bars = np.array(list(combinations(range(n + len(kinds) - 1), len(kinds) - 1)))
    ways = np.diff(bars, axis=1, prepend=-1, append=n + len(kinds) - 1) - 1
    parts = kinds[:, [sign != CARELESS for sign in signs]]
    counts = np.column_stack([ways @ kinds, ways @ parts.any(axis=1)])
    groups = ways @ np.array(list(product((0, 1), repeat=len(kinds)))).T
    for card in np.unique(counts, axis=0):
        shown = gate_card(rows(**dict(zip((*signs, ANY), card.tolist()))), n, min_n)
        hidden = shown["n"].isna().to_numpy()
        fits = ((counts == card) | (hidden & (counts > 0))).all(axis=1)
        least, most = groups[fits].min(axis=0), groups[fits].max(axis=0)
        assert not ((least >= 1) & (most < min_n) & ((least > 1) | (most < min_n - 1))).any(), shown


def _may_be(kind, nested):
    """Whoever is flagged shows a sign, and nobody shows a part without the whole."""
    sign = any(there for name, there in kind.items() if name != CARELESS)
    return kind.get(CARELESS, 0) <= sign and all(kind[part] <= kind[whole] for part, whole in nested)


def rows(**n):
    return pd.DataFrame({"term": list(n), "threshold": 1.0, "n": list(n.values()), "share": 0.1, "reason": "r"})


def test_flags_become_columns_that_rules_can_use():
    data = survey()
    flagged = with_flags(data, quality_card(data))
    rules = [
        Rule(id="s", stage="quality", column=column, op="flagged", action="flag", reason="r")
        for column in ("flag_zero_variance", "zero_variance")
    ]
    for one in rules:
        assert clean(flagged, [one]).tidy()["n_hit"].tolist() == [12]
    assert set(flagged.answers["flag_any"]) == set(flagged.answers["flag_careless"]) == {0.0, 1.0}


def test_a_card_of_other_respondents_is_refused():
    data = survey()
    other = data.keep_rows(data.answers["q1"] > 2, "fewer")
    with pytest.raises(DataError, match="other respondents"):
        with_flags(data, quality_card(other))


def test_without_a_time_speed_is_left_out_and_said():
    data = survey()
    for blind in (changed(data, duration_seconds=np.nan), changed(data, duration_seconds=0.0)):
        card = quality_card(blind)
        assert "relative_speed" not in set(card.tidy()["term"])
        assert "no_duration" in {finding.name for finding in card.findings}


def test_few_items_say_nothing_about_runs():
    card = quality_card(survey(k=3))
    assert list(card.tidy()["term"]) == ["missing_share", "seconds_per_item", "relative_speed", ANY, CARELESS]
    assert "few_items" in {finding.name for finding in card.findings}


def test_all_items_missing_is_a_card_and_no_crash():
    data = survey()
    card = quality_card(changed(data, **{f"q{i}": np.nan for i in range(1, 13)}))
    assert card.tidy().set_index("term").loc["missing_share", "n"] == 200


def test_thresholds_can_be_set_by_name_only():
    card = quality_card(survey(), thresholds={"longstring": 12})
    row = card.tidy().set_index("term").loc["longstring"]
    assert (row["threshold"], row["reason"]) == (12, "set for this study")
    with pytest.raises(StudyError, match='Did you mean "longstring"'):
        quality_card(survey(), thresholds={"longstrings": 12})


def test_repeated_answers_are_a_finding_and_straight_lines_are_none():
    data = survey()
    assert "repeated_answers" not in {finding.name for finding in quality_card(data).findings}
    twice = data.answers.copy()
    twice.iloc[150] = twice.iloc[100]
    again = data.with_columns(twice, "one response twice")
    assert "repeated_answers" in {finding.name for finding in quality_card(again).findings}


# --- attentive and careless people, simulated


def simulated(
    seed,
    *,
    n=400,
    scales=8,
    size=5,
    points=5,
    reverse=1,
    loading=0.75,
    correlation=0.3,
    shift=0.0,
    plant=None,
):
    """People with traits; in each scale of `size` items the last ones are reversed; the first tenth is planted."""
    random = np.random.default_rng(seed)
    traits = random.normal(size=(n, scales)) * np.sqrt(1 - correlation)
    traits += random.normal(size=(n, 1)) * np.sqrt(correlation)
    center = np.repeat(random.normal(shift, 0.5, scales), size) + random.normal(0, 0.2, scales * size)
    noise = random.normal(size=(n, scales * size))
    latent = loading * np.repeat(traits, size, axis=1) + np.sqrt(1 - loading**2) * noise + center
    items = np.digitize(latent, np.linspace(-1.5, 1.5, points - 1)) + 1.0
    turned = np.tile(np.arange(size) >= size - reverse, scales)
    items[:, turned] = points + 1 - items[:, turned]
    planted = 0 if plant is None else n // 10
    if plant == "straight":
        items[:planted] = random.integers(1, points + 1, (planted, 1))
    if plant == "random":
        items[:planted] = random.integers(1, points + 1, (planted, items.shape[1]))
    names = [f"s{scale}_{item}" for scale in range(scales) for item in range(size)]
    seconds = random.lognormal(np.log(6), 0.4, n) * len(names)
    return likert(items, names, turned, points, scales, seconds), planted


def likert(items, names, turned, points, scales, seconds=None):
    answers = [{"value": code, "label": f"answer {code}"} for code in range(1, points + 1)]
    size = len(names) // scales
    book = {
        "title": "Test",
        "answer_scales": {"agree": answers},
        "variables": [
            {"name": "duration_seconds", "kind": "number"},
            *({"name": n, "kind": "item", "categories": "agree", "reverse": bool(r)} for n, r in zip(names, turned)),
        ],
        "scales": [{"name": f"scale_{s}", "items": names[s * size : (s + 1) * size]} for s in range(scales)],
    }
    frame = pd.DataFrame(items, columns=names)
    if seconds is not None:
        frame.insert(0, "duration_seconds", seconds)
    return Survey(
        answers=frame,
        codebook=Codebook.model_validate(book),
        missing=pd.DataFrame(columns=["row", "variable", "reason"]),
    )


DESIGNS = {
    "8 scales of 5": {},
    "none reversed": {"reverse": 0},
    "7 points": {"scales": 10, "size": 4, "points": 7},
    "5 scales of 4": {"scales": 5, "size": 4},
    "12 scales of 5": {"scales": 12},
    "skewed": {"shift": 1.0},
    "weak scales": {"loading": 0.55, "correlation": 0.15},
    "strong scales": {"loading": 0.85, "correlation": 0.5},
    "150 people": {"n": 150},
    "12 items": {"scales": 3, "size": 4},
}
# Answers at random are found less often where items are few: the odd pattern and the inconsistency both need length.
FOUND_AT_RANDOM = {"5 scales of 4": 0.65, "150 people": 0.65, "12 items": 0.45}


@pytest.mark.parametrize("design", DESIGNS)
def test_of_attentive_people_fewer_than_one_in_a_hundred_are_flagged(design):
    shares = [quality_card(simulated(seed, **DESIGNS[design])[0]).flags.frame[CARELESS].mean() for seed in range(5)]
    assert np.mean(shares) < 0.01


@pytest.mark.parametrize("design", DESIGNS)
def test_planted_people_are_found(design):
    found = {"straight": [], "random": []}
    for plant, shares in found.items():
        for seed in range(4):
            data, planted = simulated(50 + seed, plant=plant, **DESIGNS[design])
            shares.append(quality_card(data).flags.frame[CARELESS].iloc[:planted].mean())
    least = FOUND_AT_RANDOM.get(design, 0.8)
    assert np.mean(found["straight"]) > 0.95 and np.mean(found["random"]) > least, {
        k: np.mean(v) for k, v in found.items()
    }


def test_people_who_think_otherwise_are_not_careless():
    data, _ = simulated(1)
    names = [v.name for v in data.codebook.of_kind("item")]
    other = data.answers.copy()
    other.loc[:59, names] = 6 - other.loc[:59, names]
    flags = quality_card(data.with_columns(other, "15 % think the opposite")).flags.frame
    assert flags.loc[:59, "person_total"].mean() > 0.8 and flags.loc[:59, CARELESS].mean() < 0.05


def test_agreement_with_the_others_is_not_computed_where_they_do_not_agree():
    data, _ = simulated(1)
    names = [v.name for v in data.codebook.of_kind("item")]
    torn = data.answers.copy()
    torn.loc[:199, names] = 6 - torn.loc[:199, names]
    assert "person_total" not in quality_card(data.with_columns(torn, "half think the opposite")).flags.frame


def test_a_sign_of_one_kind_flags_nobody():
    data, _ = simulated(1)
    card = quality_card(data, thresholds={"even_odd": -2, "person_total": 2})
    frame = card.flags.frame
    assert frame["even_odd"].mean() > 0.9 and frame["person_total"].all()
    others = frame.drop(columns=["even_odd", "person_total", "irv", "average_string", "relative_speed", ANY, CARELESS])
    assert (frame[CARELESS] == others.any(axis=1)).all()


def test_cut_offs_of_the_sample_never_flag():
    data, _ = simulated(1)
    card = quality_card(data, thresholds={"irv": 9, "average_string": 0, "relative_speed": 0})
    assert card.flags.frame[["irv", "average_string", "relative_speed"]].all(axis=None)
    assert card.flags.frame[CARELESS].mean() < 0.01


def test_turning_items_round_in_the_export_and_in_the_codebook_gives_the_same_inconsistency():
    data, _ = simulated(1)
    reversed_names = [v.name for v in data.codebook.variables if v.reverse]
    book = data.codebook.model_copy(
        update={"variables": tuple(v.model_copy(update={"reverse": False}) for v in data.codebook.variables)}
    )
    turned = Survey(
        answers=data.answers.assign(**{name: 6 - data.answers[name] for name in reversed_names}),
        codebook=book, missing=data.missing,
    )  # fmt: skip
    first, second = (quality_card(each).indices.frame["even_odd"] for each in (data, turned))
    assert first.equals(second)


def test_answer_scales_of_different_length_are_compared_as_shares():
    data, _ = simulated(1, reverse=0)
    long = [v.name for v in data.codebook.variables if v.name.startswith(("s0_", "s1_"))]
    ten = tuple(Category(value=str(code), label=f"{code}") for code in range(11))
    variables = tuple(
        v.model_copy(update={"categories": ten}) if v.name in long else v for v in data.codebook.variables
    )
    stretched = Survey(
        answers=data.answers.assign(**{name: (data.answers[name] - 1) * 2.5 for name in long}),
        codebook=data.codebook.model_copy(update={"variables": variables}), missing=data.missing,
    )  # fmt: skip
    expected = quality_card(data).indices.frame["even_odd"]
    assert quality_card(stretched).indices.frame["even_odd"].to_numpy() == pytest.approx(
        expected, abs=1e-9
    )  # steps of 1/40


def test_straight_lines_are_told_by_battery():
    data, _ = simulated(1)
    names = [v.name for v in data.codebook.variables if v.kind == "item"]
    between = data.codebook.variables[0].model_copy(update={"name": "age", "column": "age"})
    items = list(data.codebook.variables[1:])
    book = data.codebook.model_copy(
        update={"variables": (data.codebook.variables[0], *items[:20], between, *items[20:])}
    )
    answers = data.answers.copy()
    answers.loc[0, names[:20]] = 4.0
    answers.loc[1, names[20:]] = 3.0
    values = quality_card(Survey(answers=answers, codebook=book, missing=data.missing)).indices.frame
    assert values.loc[:1, "straight_batteries"].tolist() == [0.5, 0.5]
    assert values.loc[:1, "straight_reversed"].tolist() == [1, 0], "the middle answer contradicts nothing"
    assert not values.loc[2:, ["straight_batteries", "straight_reversed"]].any(axis=None)
    assert "straight_batteries" not in quality_card(data).indices.frame, "one battery is all items"


# --- attention checks


def checked():
    data = survey()
    book = Codebook.model_validate(
        {
            **data.codebook.model_dump(),
            "variables": [
                *data.codebook.model_dump()["variables"],
                {"name": "att1", "kind": "item", "categories": AGREE},
                {"name": "att2", "kind": "category", "categories": AGREE},
            ],
        }
    )
    right = pd.DataFrame({"att1": np.full(200, 3.0), "att2": pd.Series(["answer 5"] * 200, dtype="str")})
    right.loc[:19, "att1"] = 2.0
    right.loc[:9, "att2"] = "answer 1"
    right.loc[30:39, "att1"] = np.nan
    answers = pd.concat([data.answers, right], axis=1)
    return Survey(answers=answers, codebook=book, missing=data.missing)


def test_failed_attention_checks_are_counted_and_two_are_enough():
    card = quality_card(checked(), attention={"att1": "3", "att2": "answer 5"})
    values = card.indices.frame["attention"]
    assert values[:10].eq(2).all() and values[10:20].eq(1).all() and values[20:].eq(0).all()
    assert card.flags.frame.loc[:9, CARELESS].all() and card.n_items == 12


def test_codes_and_labels_name_the_same_right_answer():
    cards = [quality_card(checked(), attention={"att2": right}) for right in ("5", 5, "answer 5", "ANSWER 5")]
    assert all(card.indices.frame["attention"].equals(cards[0].indices.frame["attention"]) for card in cards)


def test_an_impossible_right_answer_is_refused():
    with pytest.raises(DataError, match="none of its answers. Allowed: answer 1"):
        quality_card(checked(), attention={"att1": "7"})


# --- the next wave


def test_frozen_cut_offs_give_the_same_signs_to_fewer_people():
    data, _ = simulated(1)
    first = quality_card(data)
    fast = data.answers["duration_seconds"] < data.answers["duration_seconds"].median()
    half = data.keep_rows(fast, "the faster half")
    frozen = quality_card(half, thresholds=first.frozen())
    columns = ["irv", "average_string", "relative_speed"]
    assert set(first.frozen()) == {"irv", "average_string", "median_seconds"}
    assert frozen.flags.frame[columns].equals(first.flags.frame.loc[fast, columns])
    assert not quality_card(half).flags.frame[columns].equals(first.flags.frame.loc[fast, columns])


def test_the_speed_others_are_compared_with_is_said():
    data, _ = simulated(1)
    median = quality_card(data).indices.frame["seconds_per_item"].median()
    assert f"compared with the {median:.2f} seconds per item of the median respondent" in quality_card(data).note
    frozen = quality_card(data, thresholds={"median_seconds": 4})
    assert "compared with the 4.00 seconds per item set for this study" in frozen.note


def test_cut_offs_of_too_few_people_are_not_shown():
    data, _ = simulated(1)
    few = quality_card(data.keep_rows(data.answers.index < 4, "four"))
    assert "compared with" not in few.note
    shown = few.shown().set_index("term")
    assert shown.loc[["irv", "average_string"], "threshold"].isna().all() and shown["n"].isna().all()


def test_what_is_not_computed_is_said():
    (finding,) = [f for f in quality_card(survey()).findings if f.name == "index_not_computed"]
    assert "Even-odd inconsistency (fewer than 3 scales" in finding.text


def test_many_flagged_is_a_finding():
    data, _ = simulated(1, plant="straight")
    assert "many_flagged" not in {f.name for f in quality_card(simulated(1)[0]).findings}
    again = data.keep_rows(data.answers.index < 200, "the first half")
    assert "many_flagged" in {f.name for f in quality_card(again).findings}


def test_an_item_with_one_answer_for_all_does_not_stop_the_distance():
    data, _ = simulated(1)
    constant = changed(data, s0_0=3.0)
    values = quality_card(constant).indices.frame["mahalanobis"]
    others = data.answers[[v.name for v in data.codebook.of_kind("item") if v.name != "s0_0"]].to_numpy(float)
    assert values.to_numpy() == pytest.approx(careless.mahalanobis(others))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thresholds": {"longstring": float("nan")}}, 'threshold of "longstring" is "nan"'),
        ({"thresholds": {"longstring": "x"}}, 'threshold of "longstring" is "x"'),
        ({"thresholds": {"irv": float("inf")}}, 'threshold of "irv" is "inf"'),
        ({"thresholds": {"irv": None}}, 'threshold of "irv" is "None"'),
        ({"thresholds": {"median_seconds": 0}}, "above 0"),
        ({"thresholds": ["longstring"]}, "thresholds is a list"),
        ({"attention": ["q1"]}, "attention is a list"),
    ],
)
def test_settings_that_would_switch_a_sign_off_are_refused(options, message):
    with pytest.raises(StudyError, match=message):
        quality_card(survey(), **options)


@pytest.mark.parametrize("right", ["abc", None, float("nan")])
def test_the_right_answer_of_a_number_is_a_number(right):
    with pytest.raises(DataError, match='check "duration_seconds" is'):
        quality_card(survey(), attention={"duration_seconds": right})


def test_a_frame_without_a_codebook_has_no_card():
    data = survey()
    with pytest.raises(DataError, match="quality_card needs a Survey"):
        quality_card(data.answers)
    with pytest.raises(DataError, match="with_flags needs a Survey"):
        with_flags(data.answers, quality_card(data))


def test_frozen_cut_offs_are_those_that_exist():
    data = survey()
    card = quality_card(changed(data, **{f"q{i}": np.nan for i in range(1, 13)}))
    assert np.isfinite(list(card.frozen().values())).all()
    quality_card(data, thresholds=card.frozen())
