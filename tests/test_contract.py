"""What every result promises, tried on one example of every class of result there is."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import re

import matplotlib
import pandas as pd
import pytest

import smstudy
from smstudy import vocabulary
from smstudy.errors import DataError
from smstudy.result import Result, write_record

matplotlib.use("Agg")
SMALL = 4


def _all_results() -> set[type[Result]]:
    for module in pkgutil.walk_packages(smstudy.__path__, "smstudy."):
        if module.name != "smstudy.__main__":
            importlib.import_module(module.name)
    found, todo = set(), [Result]
    while todo:
        todo += (children := todo.pop().__subclasses__())
        found |= {child for child in children if child.__module__.startswith("smstudy.")}
    return found


@pytest.fixture(scope="module")
def examples() -> dict[str, Result]:
    """One result of every class, made on wave 2 of the demo organization."""
    run = smstudy.open_study("quarterly-pulse")
    survey, previous = run.survey("clean"), run.previous_survey()
    names = ["adoption", "leadership", "readiness", "usefulness", "concerns"]
    cleaning = run.cleaning()
    segments = smstudy.kmeans(survey, names, k=2, seed=1)
    missing, imputed = smstudy.missing_patterns(survey), smstudy.impute(survey, m=2, seed=1)
    weeks = pd.Series(range(len(survey.answers)), index=survey.answers.index) % 9 + 1
    waits = survey.answers.assign(week=weeks, adopted=weeks.mod(3).lt(2).astype(int))
    made = [
        run.response(), run.quality(), cleaning, cleaning.by_unit(), smstudy.score(survey), smstudy.reliability(survey),
        smstudy.attempt(smstudy.omega_total, survey.answers[["sup_1", "sup_1"]]),
        smstudy.cronbach_alpha(survey, "leadership"), smstudy.constructs(survey)["leadership"],
        smstudy.describe(survey, names), smstudy.correlate(survey, names),
        smstudy.by_group(survey, names, "unit"), smstudy.changes(survey, previous, names, person="panel"),
        (linear := smstudy.regress("adoption ~ leadership + C(unit)", survey)), segments,
        smstudy.assign(segments, survey), smstudy.profile(segments, survey),
        smstudy.choose_k(survey, names, ks=[2], seed=1, n_boot=20, n_null=99),
        (weights := smstudy.rake(survey, run.frame, missing="keep")), smstudy.nonresponse(survey, run.frame),
        smstudy.weighted_means(survey, [*names, "role"], weights=weights, by="unit"),
        run.verdicts(), run.answer(), smstudy.verbatims(survey, "comment", seed=1),
        smstudy.audit({"10-quality/flow": cleaning.to_record()}, privacy=survey.privacy),
        smstudy.quality_grade(run.quality(), cleaning.survey, response=run.response()),
        smstudy.index_accuracy(run.quality(), run.quality().flags.frame["any"]),
        missing, missing.combinations, smstudy.little_test(survey), imputed,
        smstudy.pool(imputed, lambda s: smstudy.regress("adoption ~ leadership", s)),
        smstudy.compare_schemas(smstudy.read_export(run.inputs.responses), run.codebook),
        smstudy.find_defects(smstudy.read_export(run.inputs.responses), run.codebook, frame=run.frame),
        cleaning.reasons(), cleaning.compare(cleaning), smstudy.sensitivity(survey, "flag_any"),
        (averaging := smstudy.agreement(survey)), averaging.departments,
        smstudy.retest(survey, previous, person="panel"), smstudy.invariance(survey, by="role", scales=["readiness"]),
        smstudy.omega_hierarchical(survey.answers.filter(regex="^(sup_[123]|usw_)"), n_factors=2, n_boot=100),
        run.protection(), smstudy.distribution(survey, "leadership"), smstudy.cross_table(survey, "unit", "role"),
        (model := smstudy.confirm(survey, ["leadership", "usefulness"])), model.modification(),
        smstudy.compare_models({"two": model, "same": smstudy.confirm(survey, ["usefulness", "leadership"])}),
        smstudy.choose_factors(survey, ["adoption", "leadership"]), smstudy.polychoric(survey, "leadership"),
        smstudy.graded_response(survey, "leadership"), smstudy.item_functioning(survey, "leadership", by="tenure"),
        (factors := smstudy.factor_analysis(survey, 2, scales=["adoption", "leadership"])), factors.correlations,
        (told_apart := smstudy.validity(survey, ["adoption", "leadership"], n_boot=100)), told_apart.convergence,
        smstudy.common_method(survey, ["adoption", "leadership"]),
        (ordered := smstudy.ordinal("sup_1 ~ readiness + C(unit)", survey)), smstudy.effects(ordered, survey),
        smstudy.predictions(ordered, survey, {"readiness": [2, 4]}),
        smstudy.multinomial("role ~ readiness", survey),
        smstudy.compare_regressions({"plain": smstudy.regress("adoption ~ leadership", survey), "units": linear}),
        smstudy.counts("high ~ readiness", survey.answers.assign(high=lambda a: a.filter(like="_1").gt(3).sum(axis=1))),
        (moderated := smstudy.moderate("adoption ~ leadership * readiness", survey)), moderated.regions,
        (mediated := smstudy.mediate(survey, outcome="adoption", driver="leadership", mediators=["usefulness"])),
        mediated.paths, mediated.confounding,
        (leveled := smstudy.multilevel("adoption ~ leadership", survey)), leveled.variances, leveled.teams,
        smstudy.nesting("adoption ~ leadership", survey),
        (routes := smstudy.paths("adoption ~ leadership + usefulness\nusefulness ~ leadership", survey, n_boot=100)),
        routes.items, routes.priorities(),
        smstudy.compare_paths(
            "adoption ~ leadership", survey, by="tenure", groups=["Less than 2 years", "2 to 5 years"],
            consistent=False, n_permutations=100, n_boot=100,
        ),
        (page := smstudy.priorities("adoption ~ leadership + readiness", survey, n_boot=100, n_permutations=99)),
        page.importance, page.importance.dominance, page.importance.conditional,
        page.necessity, page.necessity.bottleneck, page.necessity.checklist,
        (pilot := smstudy.pilot([previous, survey], "adoption", unit="unit", treated=["Sales", "Logistics"],
                                since=survey.wave)), pilot.event_study,
        (series := smstudy.interrupted_series(waits, "adoption", wave="week", since=5)), series.series,
        (spans := smstudy.survival(waits, time="week", event="adopted")), spans.medians,
        (hazards := smstudy.hazard("week ~ leadership", waits, event="adopted")), hazards.proportionality,
        smstudy.match_units(survey, ["leadership"], unit="unit", treated=["Sales", "Logistics"]),
        smstudy.compare_groups(survey, "adoption", "role"),
        smstudy.planned_contrasts(survey, "adoption", "role", {"leaders": {"Team lead": 1, "Staff": -1}}),
        smstudy.equivalence(survey, "adoption", against="leadership", bounds=0.2),
        (surface := smstudy.congruence(survey, "adoption", "leadership", "readiness")), surface.checklist,
        smstudy.power("means", smallest=0.5, power=0.8), smstudy.margin_of_error("share", margin=0.05),
        smstudy.power("change", survey, unit="unit", score="adoption", smallest=0.4, head_counts=run.frame),
    ]  # fmt: skip
    return {type(result).__name__: result for result in made}


def test_every_class_of_result_has_an_example(examples):
    assert {cls.__name__ for cls in _all_results()} == set(examples)


def test_results_are_frozen_and_keyword_only():
    for cls in _all_results():
        assert cls.__dataclass_params__.frozen, cls
        assert all(field.kw_only for field in dataclasses.fields(cls)), cls


def test_no_class_brings_its_own_repr():
    assert {cls for cls in _all_results() if cls.__repr__ is not Result.__repr__} == set()


def test_columns_and_keys_come_from_the_vocabulary(examples):
    for result in examples.values():
        assert set(result.shown()) <= set(vocabulary.TIDY), type(result)
        assert set(result.glance()) <= set(vocabulary.GLANCE), type(result)


def test_glance_holds_plain_values(examples):
    for result in examples.values():
        assert {type(value) for value in result.glance().values()} <= {int, float, str}, type(result)


def test_a_result_cannot_be_changed_through_its_table(examples):
    for result in examples.values():
        table = result.tidy()
        table[table.columns[0]] = "changed"
        assert not (result.tidy()[table.columns[0]] == "changed").any(), type(result)


def test_records_are_json_and_come_out_the_same_twice(examples):
    for result in examples.values():
        assert write_record(result) == write_record(result)
        assert json.loads(write_record(result))["kind"] == type(result).__name__


def test_no_rendering_shows_a_small_count(examples):
    for result in examples.values():
        shown = result.shown()
        for count in {"n", "n_previous", "n_linked", "n_hit", "n_removed"} & set(shown):
            assert not shown[count].between(1, SMALL).any(), (type(result), count)


def test_renderings_are_inert(examples):
    for result in examples.values():
        page = result.to_html()
        assert not re.search(r"<script|javascript:|https?://|\son\w+=", page, re.IGNORECASE), type(result)


def test_text_is_escaped_at_the_last_step(examples):
    evil = '<img src=x onerror="alert(1)">'
    for result in examples.values():
        changed = dataclasses.replace(result, title=evil, note=evil)
        assert evil not in changed.to_html() and "&lt;img" in changed.to_html()


def test_every_rendering_works(examples):
    for result in examples.values():
        assert result.to_text() and r"\begin{table}" in result.to_latex() and result.to_csv()
        assert result.to_docx().tables
        assert result.alt_text()


def test_a_picture_is_drawn_or_refused_in_words(examples):
    for result in examples.values():
        if result.picture is None:
            with pytest.raises(DataError, match="no picture"):
                result.plot()
        else:
            axes = result.plot()
            assert axes.get_title(loc="left")
            matplotlib.pyplot.close(axes.get_figure())


def test_row_level_data_show_their_shape_only(examples):
    survey = smstudy.open_study("quarterly-pulse").survey("clean")
    for name in ("Regression", "Segmentation"):
        rows = examples[name].augment(survey)
        assert re.fullmatch(r"\d+ rows x \d+ columns \(rows are not shown; use .frame to compute\)", repr(rows))
        assert isinstance(rows.frame, pd.DataFrame)
