"""smstudy: from a raw survey export to a verified report.

The names a notebook uses; each is loaded when it is first asked for, so that `import smstudy` costs nothing.
"""

from __future__ import annotations

from importlib import import_module

FRONT_DOOR = {
    "agreement": "smstudy.scales.aggregation",
    "attempt": "smstudy.result",
    "audit": "smstudy.survey.auditing",
    "by_group": "smstudy.models.differences.groups",
    "changes": "smstudy.models.differences.groups",
    "choose_factors": "smstudy.scales.factors",
    "choose_k": "smstudy.clustering.choice",
    "clean": "smstudy.survey.cleaning",
    "common_method": "smstudy.scales.method_variance",
    "compare_groups": "smstudy.models.differences.comparisons",
    "compare_models": "smstudy.scales.rival_models",
    "compare_regressions": "smstudy.models.side_by_side",
    "compare_paths": "smstudy.models.path_models.groups",
    "compare_schemas": "smstudy.survey.schema",
    "confirm": "smstudy.scales.confirmatory",
    "congruence": "smstudy.models.mechanisms.congruences",
    "constructs": "smstudy.scales.constructs",
    "correlate": "smstudy.scales.description",
    "cross_table": "smstudy.survey.crosstab",
    "counts": "smstudy.models.regressions.event_counts",
    "cronbach_alpha": "smstudy.scales.reliability",
    "decode": "smstudy.survey.decoding",
    "distribution": "smstudy.survey.distributions",
    "describe": "smstudy.scales.description",
    "assign": "smstudy.clustering.kmeans",
    "effects": "smstudy.models.regressions.marginal",
    "equivalence": "smstudy.models.differences.equivalences",
    "factor_analysis": "smstudy.scales.factors",
    "find_defects": "smstudy.survey.defects",
    "graded_response": "smstudy.scales.graded",
    "importance": "smstudy.models.drivers.contributions",
    "hazard": "smstudy.models.timelines.hazards",
    "impute": "smstudy.survey.imputations",
    "index_accuracy": "smstudy.survey.grading",
    "interrupted_series": "smstudy.models.timelines.interruptions",
    "invariance": "smstudy.scales.invariances",
    "item_functioning": "smstudy.scales.functioning",
    "kmeans": "smstudy.clustering.kmeans",
    "little_test": "smstudy.survey.missing",
    "mediate": "smstudy.models.mechanisms.mediations",
    "margin_of_error": "smstudy.models.planning.error_margins",
    "match_units": "smstudy.models.timelines.matches",
    "missing_patterns": "smstudy.survey.missing",
    "moderate": "smstudy.models.mechanisms.moderations",
    "multilevel": "smstudy.models.nested.multilevels",
    "multinomial": "smstudy.models.regressions.categories",
    "necessity": "smstudy.models.drivers.necessities",
    "nesting": "smstudy.models.nested.dependence",
    "nonresponse": "smstudy.survey.weights",
    "omega_categorical": "smstudy.scales.omegas",
    "omega_hierarchical": "smstudy.scales.omegas",
    "omega_total": "smstudy.scales.reliability",
    "planned_contrasts": "smstudy.models.differences.contrasts",
    "open_study": "smstudy.study.session",
    "ordinal": "smstudy.models.regressions.categories",
    "ordinal_alpha": "smstudy.scales.omegas",
    "pilot": "smstudy.models.timelines.pilots",
    "polychoric": "smstudy.scales.polychorics",
    "paths": "smstudy.models.path_models.estimates",
    "pool": "smstudy.models.pooled",
    "poststratify": "smstudy.survey.weights",
    "power": "smstudy.models.planning.precision",
    "predictions": "smstudy.models.regressions.predicted",
    "priorities": "smstudy.models.drivers.priorities",
    "profile": "smstudy.clustering.profiles",
    "quality_card": "smstudy.survey.quality",
    "quality_grade": "smstudy.survey.grading",
    "rake": "smstudy.survey.weights",
    "read_codebook": "smstudy.survey.codebook",
    "read_export": "smstudy.survey.exports",
    "regress": "smstudy.models.regressions.regression",
    "reliability": "smstudy.scales.reliability",
    "response_table": "smstudy.survey.response",
    "retest": "smstudy.scales.retests",
    "score": "smstudy.scales.scoring",
    "sensitivity": "smstudy.study.sensitivity",
    "survival": "smstudy.models.timelines.durations",
    "validity": "smstudy.scales.validities",
    "verbatims": "smstudy.survey.comments",
    "weighted_means": "smstudy.models.differences.estimates",
}

__all__ = sorted(FRONT_DOOR)


def __getattr__(name: str) -> object:
    if name not in FRONT_DOOR:
        raise AttributeError(f'smstudy has no "{name}". Its names: {", ".join(__all__)}.')
    return getattr(import_module(FRONT_DOOR[name]), name)


def __dir__() -> list[str]:
    return __all__
