"""smstudy: from a raw survey export to a verified report.

The names a notebook uses; each is loaded when it is first asked for, so that `import smstudy` costs nothing.
"""

from __future__ import annotations

from importlib import import_module

FRONT_DOOR = {
    "by_group": "smstudy.models.groups",
    "changes": "smstudy.models.groups",
    "choose_k": "smstudy.clustering.choice",
    "clean": "smstudy.survey.cleaning",
    "correlate": "smstudy.scales.description",
    "cronbach_alpha": "smstudy.scales.reliability",
    "decode": "smstudy.survey.decoding",
    "describe": "smstudy.scales.description",
    "assign": "smstudy.clustering.kmeans",
    "kmeans": "smstudy.clustering.kmeans",
    "omega_total": "smstudy.scales.reliability",
    "open_study": "smstudy.study.session",
    "profile": "smstudy.clustering.profiles",
    "quality_card": "smstudy.survey.quality",
    "read_codebook": "smstudy.survey.codebook",
    "read_export": "smstudy.survey.exports",
    "regress": "smstudy.models.regression",
    "reliability": "smstudy.scales.reliability",
    "response_table": "smstudy.survey.quality",
    "score": "smstudy.scales.scoring",
}

__all__ = sorted(FRONT_DOOR)


def __getattr__(name: str) -> object:
    if name not in FRONT_DOOR:
        raise AttributeError(f'smstudy has no "{name}". Its names: {", ".join(__all__)}.')
    return getattr(import_module(FRONT_DOOR[name]), name)


def __dir__() -> list[str]:
    return __all__
